//! What is one past each limit of SQL is refused with an error that says so, and what is at it works. See docs/LIMITS.md.

mod common;

use common::Db;
use dosql_base::{Code, ErrorKind};
use dosql_sql::catalog::store;
use dosql_sql::codec::{MAX_COLUMNS, encode_row};
use dosql_sql::parse::MAX_LENGTH;
use dosql_sql::value::{Value, ValueRef};

fn one(db: &mut Db, sql: &str) -> Value {
    db.try_run(sql).unwrap().rows[0][0].clone()
}

fn refused(db: &mut Db, sql: &str) {
    let error = db.try_run(sql).expect_err("beyond the limit");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(!error.message().is_empty());
}

fn times(n: usize, text: &str, between: &str) -> String {
    vec![text; n].join(between)
}

#[test]
fn a_result_a_table_and_an_index_have_at_most_2000_columns() {
    let mut db = Db::new();
    let columns = |n: usize| (0..n).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
    db.try_run(&format!("CREATE TABLE wide ({})", columns(2000))).unwrap();
    db.try_run("INSERT INTO wide (c1999) VALUES (7)").unwrap();
    assert_eq!(one(&mut db, "SELECT c1999 FROM wide"), Value::Integer(7));
    refused(&mut db, &format!("CREATE TABLE wider ({})", columns(2001)));
    refused(&mut db, "SELECT *, 1 FROM wide");
    refused(&mut db, &format!("CREATE INDEX i ON wide ({})", times(2001, "c0", ", ")));
}

#[test]
fn a_join_has_at_most_64_tables() {
    let mut db = Db::new();
    db.try_run("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let from = |n: usize| (0..n).map(|i| format!("t AS t{i}")).collect::<Vec<_>>().join(", ");
    assert_eq!(one(&mut db, &format!("SELECT count(*) FROM {}", from(64))), Value::Integer(1));
    refused(&mut db, &format!("SELECT count(*) FROM {}", from(65)));
}

#[test]
fn a_compound_has_at_most_500_terms() {
    let mut db = Db::new();
    let compound = |n: usize| format!("SELECT count(*) FROM ({})", times(n, "SELECT 1", " UNION ALL "));
    assert_eq!(one(&mut db, &compound(500)), Value::Integer(500));
    refused(&mut db, &compound(501));
}

#[test]
fn views_and_subqueries_nest_to_a_limit() {
    let mut db = Db::new();
    db.try_run("CREATE VIEW v0 AS SELECT 1 AS a").unwrap();
    let mut deepest = 0;
    let error = loop {
        let next = deepest + 1;
        db.try_run(&format!("CREATE VIEW v{next} AS SELECT a FROM v{deepest}")).unwrap();
        match db.try_run(&format!("SELECT a FROM v{next}")) {
            Ok(_) => deepest = next,
            Err(error) => break error,
        }
        assert!(deepest < 100);
    };
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(deepest >= 60, "{deepest}");
}

#[test]
fn a_view_that_multiplies_itself_is_refused_before_it_takes_all_memory() {
    let mut db = Db::new();
    db.try_run("CREATE VIEW v0 AS SELECT 1 AS a").unwrap();
    for i in 1..12 {
        let sql = format!(
            "CREATE VIEW v{i} AS SELECT a FROM v{0} UNION ALL SELECT a FROM v{0} UNION ALL SELECT a FROM v{0}",
            i - 1
        );
        db.try_run(&sql).unwrap();
    }
    refused(&mut db, "SELECT count(*) FROM v11");
}

#[test]
fn an_expression_is_at_most_1000_high() {
    let mut db = Db::new();
    assert_eq!(one(&mut db, &format!("SELECT {}", times(1000, "1", " + "))), Value::Integer(1000));
    refused(&mut db, &format!("SELECT {}", times(1002, "1", " + ")));
}

#[test]
fn a_function_has_at_most_1000_arguments_and_a_parameter_at_most_number_32766() {
    let mut db = Db::new();
    assert_eq!(one(&mut db, &format!("SELECT max({})", times(1000, "1", ", "))), Value::Integer(1));
    refused(&mut db, &format!("SELECT max({})", times(1001, "1", ", ")));
    assert_eq!(one(&mut db, "SELECT ?32766"), Value::Null);
    assert!(db.try_run("SELECT ?32767").is_err());
    refused(&mut db, "SELECT ?32766, ?");
}

#[test]
fn text_and_blobs_that_a_function_makes_end_at_a_billion_bytes() {
    let mut db = Db::new();
    for sql in [
        "SELECT zeroblob(1000000001)",
        "SELECT length(randomblob(1000000001))",
        "SELECT printf('%2000000000d', 1)",
        "SELECT replace(hex(zeroblob(20000)), '0', hex(zeroblob(20000)))",
    ] {
        let error = db.try_run(sql).expect_err(sql);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::TooBig), "{sql}: {error}");
    }
}

#[test]
fn a_pattern_has_at_most_50000_bytes() {
    let mut db = Db::new();
    for operator in ["LIKE", "GLOB"] {
        let sql = |n: usize| format!("SELECT 'x' {operator} '{}'", "x".repeat(n));
        assert_eq!(one(&mut db, &sql(50_000)), Value::Integer(0));
        refused(&mut db, &sql(50_001));
    }
}

#[test]
fn json_nests_at_most_1000_deep() {
    let mut db = Db::new();
    let nested = |n: usize| format!("SELECT json_valid('{}{}')", "[".repeat(n), "]".repeat(n));
    assert_eq!(one(&mut db, &nested(1000)), Value::Integer(1));
    assert_eq!(one(&mut db, &nested(1001)), Value::Integer(0));
}

#[test]
fn a_statement_that_keeps_more_rows_than_it_may_is_refused_and_others_go_on() {
    let mut db = Db::new();
    db.session.settings.limits.memory = 1 << 20;
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)";
    for tail in [
        "SELECT i FROM n ORDER BY -i",
        "SELECT DISTINCT zeroblob(100000 + i) FROM n WHERE i < 1000",
        "SELECT DISTINCT CASE i % 2 WHEN 1 THEN i ELSE hex(zeroblob(50000 + i)) END FROM n WHERE i < 1000",
        "SELECT i, count(*) FROM n GROUP BY i",
        "SELECT DISTINCT i FROM n",
        "SELECT a.i FROM n AS a JOIN n AS b ON a.i = b.i",
        "SELECT row_number() OVER (ORDER BY i) FROM n",
    ] {
        refused(&mut db, &format!("{rows} {tail}"));
    }
    assert_eq!(one(&mut db, &format!("{rows} SELECT count(*) FROM n")), Value::Integer(100_000));
}

#[test]
fn triggers_set_each_other_off_at_most_1000_deep() {
    let mut db = Db::new();
    db.try_run("PRAGMA recursive_triggers = ON; CREATE TABLE t (a)").unwrap();
    let trigger = |most: u32| {
        format!(
            "DROP TRIGGER IF EXISTS up; DELETE FROM t; CREATE TRIGGER up AFTER INSERT ON t WHEN new.a < {most}
             BEGIN INSERT INTO t VALUES (new.a + 1); END"
        )
    };
    db.try_run(&trigger(500)).unwrap();
    db.try_run("INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(one(&mut db, "SELECT count(*) FROM t"), Value::Integer(500));
    db.try_run(&trigger(2000)).unwrap();
    refused(&mut db, "INSERT INTO t VALUES (1)");
    assert_eq!(one(&mut db, "SELECT count(*) FROM t"), Value::Integer(0), "the statement left nothing");
}

#[test]
fn the_last_number_of_a_table_is_refused_and_others_go_on() {
    let mut db = Db::new();
    db.try_run("CREATE TABLE before (a)").unwrap();
    let counters = store::Counters { next_space: store::END_OF_SPACES - 1, next_sequence: 9, version: 99 };
    store::write_counters(&mut db.storage, store::CATALOG_SPACE, &counters).unwrap();
    db.try_run("CREATE TABLE last (a); INSERT INTO last VALUES (1)").unwrap();
    refused(&mut db, "CREATE TABLE beyond (a)");
    db.try_run("INSERT INTO before SELECT a FROM last").unwrap();
    assert_eq!(one(&mut db, "SELECT a FROM before"), Value::Integer(1));
}

#[test]
fn a_text_of_more_than_a_billion_bytes_is_refused_unread() {
    let text = String::from_utf8(vec![0; MAX_LENGTH + 1]).unwrap();
    let error = dosql_sql::parse::parse_one(&text).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::TooBig));
}

#[test]
fn a_stored_row_has_at_most_32767_columns() {
    let mut out = Vec::new();
    encode_row(&vec![ValueRef::Null; MAX_COLUMNS], &mut out).unwrap();
    let error = encode_row(&vec![ValueRef::Null; MAX_COLUMNS + 1], &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}
