//! A statement that fails is undone; under OR FAIL it keeps what it did before, inside a transaction and outside of one.

use dosql::{Code, Connection, Database};

fn keys(connection: &Connection) -> Vec<i64> {
    let mut statement = connection.prepare("SELECT a FROM t ORDER BY a").unwrap();
    let mut rows = statement.query(()).unwrap();
    let mut keys = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        keys.push(row.get(0).unwrap());
    }
    keys
}

fn connection() -> Connection {
    let connection = Database::open_memory().unwrap().connect().unwrap();
    connection.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    connection
}

fn failing(connection: &Connection, action: &str) {
    let sql = format!("INSERT {action} INTO t VALUES (10), (11), (1), (12)");
    assert_eq!(connection.execute(&sql, ()).unwrap_err().code(), Code::ConstraintPrimaryKey, "{sql}");
}

#[test]
fn or_fail_keeps_the_rows_before_the_one_that_failed() {
    let alone = connection();
    failing(&alone, "OR FAIL");
    assert_eq!(keys(&alone), [1, 10, 11]);
    let reader = alone.database().connect().unwrap();
    assert_eq!(keys(&reader), [1, 10, 11], "committed");
    let within = connection();
    within.execute_batch("BEGIN").unwrap();
    failing(&within, "OR FAIL");
    within.execute_batch("COMMIT").unwrap();
    assert_eq!(keys(&within), [1, 10, 11]);
}

#[test]
fn every_other_action_keeps_nothing_of_the_statement() {
    for action in ["", "OR ABORT", "OR ROLLBACK"] {
        let alone = connection();
        let before = alone.last_commit();
        failing(&alone, action);
        assert_eq!(keys(&alone), [1], "{action}");
        assert_eq!(alone.last_commit(), before, "nothing was committed");
    }
    let within = connection();
    within.execute_batch("BEGIN; INSERT INTO t VALUES (5)").unwrap();
    failing(&within, "OR ABORT");
    assert!(within.in_transaction());
    within.execute_batch("COMMIT").unwrap();
    assert_eq!(keys(&within), [1, 5]);
    within.execute_batch("BEGIN; INSERT INTO t VALUES (6)").unwrap();
    failing(&within, "OR ROLLBACK");
    assert!(!within.in_transaction());
    assert_eq!(keys(&within), [1, 5]);
}
