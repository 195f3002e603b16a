//! What a statement may use, and running it again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::ErrorKind;
use dosql_sql::exec::{Limits, QueryRun, StatementState};
use dosql_sql::value::Value;

use crate::harness::standard;

#[test]
fn a_statement_that_keeps_too_many_rows_fails_and_gives_the_memory_back() {
    let fixture = standard(2000);
    let small = Limits { memory: 30_000, ..Limits::default() };
    let never = AtomicBool::new(false);
    for sql in [
        "SELECT * FROM t ORDER BY b",
        "SELECT DISTINCT id, c FROM t",
        "SELECT id, count(*) FROM t GROUP BY id, c",
        "SELECT t.c, t2.c FROM t JOIN t AS t2 ON t2.b + 1 = t.b + 1",
        "SELECT id, sum(a) OVER (ORDER BY b) FROM t",
        "SELECT id FROM t UNION SELECT n FROM u",
        "SELECT group_concat(c ORDER BY id) FROM t",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION SELECT n + 1 FROM c) SELECT count(*) FROM c",
        "SELECT id FROM t WHERE id IN (SELECT id + 1 FROM t)",
    ] {
        let error = fixture.run_within(sql, small, &never).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Limit, "{sql}: {error}");
    }
    let mut state = StatementState::new();
    let query = Arc::new(fixture.bind("SELECT id FROM t ORDER BY b LIMIT 3").unwrap());
    for _ in 0..100 {
        let mut run = QueryRun::new(query.clone(), Vec::new());
        fixture.drain(&mut run, &mut state, small, &never).unwrap();
    }
}

#[test]
fn an_interrupted_statement_ends() {
    let fixture = standard(100);
    let now = AtomicBool::new(true);
    for sql in [
        "SELECT id FROM t",
        "SELECT count(*) FROM t, u, v",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
        "SELECT value FROM generate_series(1, 1000000000)",
    ] {
        let error = fixture.run_within(sql, Limits::default(), &now).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{sql}");
    }
}

#[test]
fn queries_nest_no_deeper_than_the_limit() {
    let fixture = standard(10);
    let nested = |depth: usize| {
        let mut sql = String::from("a");
        for level in 0..depth {
            sql = format!("(SELECT {sql} + t{level}.id FROM t AS t{level} WHERE t{level}.id = 2)");
        }
        format!("SELECT {sql} FROM t")
    };
    let never = AtomicBool::new(false);
    let limits = Limits { depth: 10, ..Limits::default() };
    assert!(fixture.run_within(&nested(9), limits, &never).is_ok());
    let error = fixture.run_within(&nested(12), limits, &never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn long_and_deep_statements_do_not_exhaust_the_stack() {
    let fixture = standard(10);
    let compound = vec!["SELECT id FROM t WHERE id = 4"; 450].join(" UNION ALL ");
    assert_eq!(fixture.run(&compound).unwrap().0.len(), 450);
    let joined: Vec<String> = (0..60).map(|at| format!("t AS t{at}")).collect();
    let equal: Vec<String> = (1..60).map(|at| format!("t{at}.id = t{}.id", at - 1)).collect();
    let sql = format!("SELECT count(*) FROM {} WHERE {}", joined.join(", "), equal.join(" AND "));
    assert_eq!(fixture.run(&sql).unwrap().0, [[Value::Integer(10)]]);
    let sum = vec!["a"; 900].join(" + ");
    assert_eq!(fixture.run(&format!("SELECT {sum} FROM t")).unwrap().0.len(), 10);
    let or: Vec<String> = (0..900).map(|at| format!("a = {at} * id")).collect();
    fixture.run(&format!("SELECT id FROM t WHERE {}", or.join(" OR "))).unwrap();
}

#[test]
fn a_run_that_is_reset_starts_anew_and_sees_what_changed() {
    let mut fixture = standard(300);
    for sql in [
        "SELECT id, a FROM t WHERE a > 3",
        "SELECT a FROM t WHERE id = 2",
        "SELECT count(*) FROM t",
        "SELECT t.id, u.n FROM t JOIN u ON u.x = t.a AND u.y < 'n'",
        "SELECT a FROM t UNION SELECT x FROM u",
        "SELECT id FROM t WHERE a IN (SELECT x FROM u) ORDER BY b, id",
        "SELECT id, rank() OVER (ORDER BY a) FROM t",
    ] {
        let mut run = QueryRun::new(Arc::new(fixture.bind(sql).unwrap()), Vec::new());
        let mut state = StatementState::new();
        let never = AtomicBool::new(false);
        let first = fixture.drain(&mut run, &mut state, Limits::default(), &never).unwrap().0;
        run.reset(Vec::new());
        state.reset();
        assert_eq!(first, fixture.drain(&mut run, &mut state, Limits::default(), &never).unwrap().0, "{sql}");
        let id = fixture.run("SELECT max(id) + 1 FROM t").unwrap().0[0][0].clone();
        let row = [id, 1_000.into(), 2.5.into(), "x".into(), "y".into(), Value::Null];
        fixture.insert("t", &row);
        run.reset(Vec::new());
        state.reset();
        let found = fixture.drain(&mut run, &mut state, Limits::default(), &never).unwrap().0;
        assert_eq!(found, fixture.run(sql).unwrap().0, "{sql}");
    }
}
