//! A statement sees the schema as its transaction does, however it has come to change: the schema's version is read only where
//! something says that it may be another.

#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use dosql::{Connection, Database, ErrorKind, Options, Storage};

fn connections() -> (Connection, Connection) {
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    one.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    (one, other)
}

fn width(connection: &Connection) -> usize {
    connection.query_row("SELECT * FROM t", (), |row| Ok(row.values().len())).unwrap()
}

#[test]
fn a_change_by_another_connection_is_seen_by_statements_prepared_before() {
    let (one, other) = connections();
    let mut insert = one.prepare("INSERT INTO t (a) VALUES (?1)").unwrap();
    insert.execute((2,)).unwrap();
    assert_eq!(width(&one), 1);
    other.execute_batch("ALTER TABLE t ADD COLUMN b DEFAULT 7").unwrap();
    assert_eq!(width(&one), 2);
    other.execute_batch("CREATE UNIQUE INDEX t_b ON t (b) WHERE a > 2").unwrap();
    insert.execute((3,)).unwrap();
    assert_eq!(insert.execute((4,)).unwrap_err().kind(), ErrorKind::Constraint);
}

#[test]
fn a_change_that_was_undone_is_not_seen() {
    let (one, _) = connections();
    one.execute_batch("BEGIN; SAVEPOINT s; ALTER TABLE t ADD COLUMN b").unwrap();
    assert_eq!(width(&one), 2);
    one.execute_batch("ROLLBACK TO s").unwrap();
    assert_eq!(width(&one), 1);
    one.execute_batch("ALTER TABLE t ADD COLUMN c; ALTER TABLE t ADD COLUMN d").unwrap();
    assert_eq!(width(&one), 3);
    one.execute_batch("ROLLBACK").unwrap();
    assert_eq!(width(&one), 1);
}

#[test]
fn a_schema_that_was_undone_is_not_taken_for_the_next_of_the_same_version() {
    let (one, other) = connections();
    // By the connection itself, by another, and after a COMMIT that conflicted.
    one.execute_batch("BEGIN; ALTER TABLE t ADD COLUMN b").unwrap();
    assert_eq!(width(&one), 2);
    one.execute_batch("ROLLBACK; CREATE TABLE u (x)").unwrap();
    assert_eq!(width(&one), 1);
    one.execute_batch("BEGIN; ALTER TABLE t ADD COLUMN b; ALTER TABLE t ADD COLUMN c").unwrap();
    assert_eq!(width(&one), 3);
    one.execute_batch("ROLLBACK").unwrap();
    other.execute_batch("CREATE TABLE v (x); CREATE TABLE w (x)").unwrap();
    assert_eq!(width(&one), 1);
    one.execute_batch("BEGIN CONCURRENT; INSERT INTO t VALUES (5); ALTER TABLE t ADD COLUMN b").unwrap();
    assert_eq!(width(&one), 2);
    other
        .execute_batch("ALTER TABLE t ADD COLUMN c; ALTER TABLE t DROP COLUMN c; INSERT INTO t VALUES (5)")
        .unwrap();
    assert_eq!(one.execute_batch("COMMIT").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(width(&one), 1);
}

#[test]
fn a_temporary_table_in_front_of_another_is_seen_while_it_is_there() {
    let (one, other) = connections();
    assert_eq!(width(&one), 1);
    one.execute_batch("CREATE TEMP TABLE t (x, y); INSERT INTO t VALUES (1, 2)").unwrap();
    assert_eq!((width(&one), width(&other)), (2, 1));
    one.execute_batch("BEGIN; DROP TABLE temp.t").unwrap();
    assert_eq!(width(&one), 1);
    one.execute_batch("ROLLBACK").unwrap();
    assert_eq!(width(&one), 2);
}

#[test]
fn a_transaction_that_is_checked_has_read_the_schema() {
    let (one, other) = connections();
    one.execute_batch("BEGIN CONCURRENT").unwrap();
    one.execute("INSERT INTO t (a) VALUES (?1)", (10,)).unwrap();
    one.execute("INSERT INTO t (a) VALUES (?1)", (11,)).unwrap();
    other.execute_batch("ALTER TABLE t ADD COLUMN b NOT NULL DEFAULT 7").unwrap();
    let error = one.execute_batch("COMMIT").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}
