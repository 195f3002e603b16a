//! What is SQL and what is not, with the words and the place of each mistake.

use dosql_sql::parse::ast::{AsOfUnit, Ast, FromSource, Period, SelectBody, Statement};
use dosql_sql::parse::{parse_next, parse_one};

#[test]
fn statements_of_the_dialect_parse() {
    for sql in include_str!("parse/accepted.sql").lines() {
        let parsed = parse_one(sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let text = parsed.span.of(sql);
        assert!(sql.starts_with(text), "the span of {sql} is {text}");
    }
}

#[test]
fn mistakes_are_told_in_the_words_of_sqlite_and_with_their_place() {
    let mut failures = Vec::new();
    for line in include_str!("parse/rejected.sql").lines() {
        let [sql, message, offset] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let found = parse_one(sql)
            .map_or_else(|error| format!("{}\t{:?}", error.message(), error.offset()), |_| "parses".into());
        if found != format!("{message}\tSome({offset})") {
            failures.push(format!("{line}\n    {found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn statements_of_our_own_parse() {
    let own = [
        "SELECT * FROM t FOR SYSTEM_TIME AS OF '2026-01-01'",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP ? AS x, u AS y FOR SYSTEM_TIME AS OF LSN :lsn",
        "SELECT * FROM t x FOR system_time AS OF ? JOIN u FOR SYSTEM_TIME AS OF LSN 5 ON x.a = u.a WHERE 1",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF 5 NOT INDEXED",
        "SELECT * FROM t for",
        "SELECT lsn, timestamp FROM t FOR SYSTEM_TIME AS OF lsn (1 + 2)",
        "BEGIN CONCURRENT",
        "BEGIN CONCURRENT TRANSACTION",
        "UPDATE t SET a = 1 ORDER BY b LIMIT 5 OFFSET 2",
        "UPDATE t SET a = 1 WHERE b RETURNING a ORDER BY b LIMIT 5",
        "DELETE FROM t WHERE a ORDER BY b LIMIT 1, 2 RETURNING a",
        "DELETE FROM t LIMIT 1",
    ];
    for sql in own {
        parse_one(sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    }
}

#[test]
fn a_point_in_time_may_stand_before_or_behind_the_alias() {
    for (sql, unit) in [
        ("SELECT 1 FROM t FOR SYSTEM_TIME AS OF 7 x", AsOfUnit::Timestamp),
        ("SELECT 1 FROM t x FOR SYSTEM_TIME AS OF TIMESTAMP 7", AsOfUnit::Timestamp),
        ("SELECT 1 FROM t AS x FOR SYSTEM_TIME AS OF LSN 7", AsOfUnit::Lsn),
    ] {
        let parsed = parse_one(sql).unwrap();
        let Statement::Select(select) = parsed.statement else { panic!("{sql}") };
        let SelectBody::Query { from, .. } = &parsed.ast.list(parsed.ast[select].cores)[0].body else {
            panic!("{sql}")
        };
        let item = &parsed.ast.list(*from)[0];
        assert_eq!(item.alias.map(|alias| parsed.ast.text(alias)), Some("x"), "{sql}");
        let FromSource::Table { period: Some(Period::AsOf(point)), .. } = &item.source else {
            panic!("{sql}")
        };
        assert_eq!(point.unit, unit, "{sql}");
        assert_eq!(parsed.ast[point.expr].span.of(sql), "7");
    }
}

#[test]
fn a_script_is_read_statement_by_statement() {
    let script =
        "\u{FEFF}; -- nothing\n CREATE TABLE t (a) /* x */ ;;INSERT INTO t VALUES (';');\n SELECT 'ü' -- end";
    let (mut from, mut ast, mut texts) = (0, Ast::default(), Vec::new());
    while let Some((parsed, behind)) = parse_next(script, from, ast).unwrap() {
        texts.push(parsed.span.of(script));
        (from, ast) = (behind, parsed.ast);
    }
    assert_eq!(texts, ["CREATE TABLE t (a)", "INSERT INTO t VALUES (';')", "SELECT 'ü'"]);
}

#[test]
fn a_reused_tree_holds_nothing_of_the_statement_before() {
    let (first, _) = parse_next("SELECT :a, b FROM t", 0, Ast::default()).unwrap().unwrap();
    let (second, _) = parse_next("SELECT ?", 0, first.ast).unwrap().unwrap();
    assert_eq!(second.ast.parameters, [None]);
    assert_eq!(format!("{:?}", second), format!("{:?}", parse_one("SELECT ?").unwrap()));
}

#[test]
fn a_start_outside_the_text_is_an_error() {
    assert!(parse_next("SELECT 1", 9, Ast::default()).is_err());
    assert!(parse_next("'ü'", 2, Ast::default()).is_err());
}
