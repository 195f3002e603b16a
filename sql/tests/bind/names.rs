//! What names mean, and what results are called.

use super::{bind, error, plan};

fn names(sql: &str) -> Vec<String> {
    bind(sql).expect(sql).columns.into_iter().map(|column| column.name.to_string()).collect()
}

#[test]
fn a_result_is_called_by_alias_column_or_text() {
    assert_eq!(
        names("SELECT A, t.B, a+1, a  AS \"z z\", (a), rowid, count( * ) FROM t"),
        ["a", "b", "a+1", "z z", "a", "id", "count( * )"]
    );
    assert_eq!(names("SELECT * FROM (SELECT a, a, 1+1 FROM t)"), ["a", "a:1", "1+1"]);
    assert_eq!(names("SELECT * FROM (VALUES (1, 2))"), ["column1", "column2"]);
    assert_eq!(names("SELECT * FROM t NATURAL JOIN u"), ["id", "a", "b", "c", "d", "x"]);
    assert_eq!(names("SELECT u.*, t.id FROM t JOIN u USING (a)"), ["id", "a", "x", "id"]);
}

#[test]
fn names_are_found_inside_out() {
    assert!(
        plan("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE a = 1)")
            .contains("exists [1 < scan u(a=r0) if r0 = 1]")
    );
    assert!(plan("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE d = x)").contains("exists (r1)["));
    assert_eq!(plan("SELECT a + 1 AS z FROM t WHERE z > 2"), "(r0 + 1) < scan t(a=r0) if (r0 + 1) > 2");
    assert_eq!(plan("SELECT c AS a FROM t ORDER BY a"), "r0 < sort r0 < scan t(c=r0)");
    assert_eq!(plan("SELECT c AS a FROM t ORDER BY a + 1"), "r0 < sort (r1 + 1) < scan t(a=r1 c=r0)");
    assert_eq!(plan("SELECT oid FROM n WHERE _rowid_ = 3"), "r0 < scan n(rowid=r0) by key =3");
    assert_eq!(plan("SELECT true, false IS NOT TRUE"), "1, case when 0 then 0 else 1 end < one row");
}

#[test]
fn mistakes_are_told_in_sqlites_words() {
    for (sql, message) in [
        ("SELECT zz FROM t", "no such column: zz"),
        ("SELECT t.zz FROM t", "no such column: t.zz"),
        (
            "SELECT \"zz\" FROM t",
            "no such column: \"zz\" - should this be a string literal in single-quotes?",
        ),
        ("SELECT a FROM t, u", "ambiguous column name: a"),
        ("SELECT * FROM zz", "no such table: zz"),
        ("SELECT * FROM x.t", "no such table: x.t"),
        ("SELECT zz.* FROM t", "no such table: zz"),
        ("SELECT *", "no tables specified"),
        ("SELECT nope(1)", "no such function: nope"),
        ("SELECT abs(1, 2)", "wrong number of arguments to function abs()"),
        ("SELECT a FROM t WHERE count(*) > 1", "misuse of aggregate function count()"),
        ("SELECT max(min(a)) FROM t", "misuse of aggregate function min()"),
        ("SELECT a FROM t HAVING a > 1", "HAVING clause on a non-aggregate query"),
        ("SELECT a FROM t GROUP BY 2", "1st GROUP BY term out of range - should be between 1 and 1"),
        ("SELECT a FROM t ORDER BY 1, 5", "2nd ORDER BY term out of range - should be between 1 and 1"),
        (
            "SELECT count(*) AS n FROM t GROUP BY n",
            "aggregate functions are not allowed in the GROUP BY clause",
        ),
        ("SELECT (SELECT 1, 2)", "sub-select returns 2 columns - expected 1"),
        ("SELECT (1, 2) = 3", "row value misused"),
        ("SELECT 1 IN (SELECT 1, 2)", "sub-select returns 2 columns - expected 1"),
        (
            "SELECT 1 UNION SELECT 1, 2",
            "SELECTs to the left and right of UNION do not have the same number of result columns",
        ),
        (
            "SELECT a FROM t UNION SELECT id FROM u ORDER BY zz",
            "1st ORDER BY term does not match any column in the result set",
        ),
        (
            "SELECT * FROM t JOIN u USING (b)",
            "cannot join using column b - column not present in both tables",
        ),
        (
            "SELECT row_number() OVER () FROM t WHERE row_number() OVER () = 1",
            "misuse of window function row_number()",
        ),
        ("SELECT rank() OVER zz FROM t", "no such window: zz"),
        ("SELECT * FROM w", "view w is circularly defined"),
        ("WITH x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM x", "circular reference: x"),
        ("WITH x(p, q) AS (SELECT 1) SELECT * FROM x", "table x has 1 values for 2 columns"),
        ("SELECT a COLLATE zz FROM t", "no such collation sequence: zz"),
        ("SELECT * FROM t INDEXED BY zz", "no such index: zz"),
        ("SELECT raise(ignore)", "RAISE() may only be used within a trigger-program"),
        ("SELECT * FROM t LEFT JOIN u ON u.a = n.k JOIN n", "ON clause references tables to its right"),
    ] {
        assert_eq!(error(sql), message, "{sql}");
    }
}

#[test]
fn an_error_knows_where_it_stands() {
    assert_eq!(bind("SELECT a, zz FROM t").unwrap_err().offset(), Some(10));
    assert_eq!(bind("SELECT * FROM t JOIN zz").unwrap_err().offset(), Some(21));
}
