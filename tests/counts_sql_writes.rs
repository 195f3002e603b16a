//! What statements that change single rows allocate, before their commit: each an upper bound, a twentieth above what was measured.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use allocation_counter::measure;
use dosql::{Connection, Database, Options, Storage, params};

/// So long that a value cannot hold it without an allocation.
const TEXT: &str = "a text that is longer than what fits inside";
const ROWS: i64 = 2_000;

const SCHEMA: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, v REAL, s TEXT);
    CREATE INDEX t_k ON t (k)";
const INSERT: &str = "INSERT INTO t (id, k, v, s) VALUES (?1, ?2, ?3, ?4)";

/// A connection to a table of rows, with a transaction open.
fn filled() -> Connection {
    let options = Options::default();
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let connection = db.connect().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let mut insert = connection.prepare(INSERT).unwrap();
    for id in 0..ROWS {
        insert.execute(params![id, id % 100 + 200, id as f64, TEXT]).unwrap();
    }
    connection.execute_batch("COMMIT; BEGIN").unwrap();
    connection
}

/// Allocations of each run of a statement, after a few that find every buffer in place.
fn allocations(sql: &str, run: impl Fn(&mut dosql::Statement, i64)) -> f64 {
    let connection = filled();
    let mut statement = connection.prepare(sql).unwrap();
    (0..50).for_each(|n| run(&mut statement, n));
    let counted = measure(|| (50..1_050).for_each(|n| run(&mut statement, n))).count_total;
    connection.execute_batch("COMMIT").unwrap();
    counted as f64 / 1_000.0
}

/// Fails where `found` is more than `most`; says both.
fn at_most(what: &str, found: f64, most: f64) {
    println!("{what}: {found:.2}, at most {most}");
    assert!(found <= most, "{what}: {found:.2}, which is more than {most}");
}

#[test]
fn an_insert_allocates_its_parameters_alone() {
    let found = allocations(INSERT, |insert, n| {
        insert.execute(params![ROWS + n, n, n as f64, TEXT]).unwrap();
    });
    at_most("allocations of an INSERT", found, 1.05 * 1.0 + 0.1);
}

#[test]
fn an_update_in_place_allocates_nothing() {
    let found = allocations("UPDATE t SET v = v + 1 WHERE id = ?1", |update, n| {
        assert_eq!(update.execute([n]).unwrap(), 1);
    });
    at_most("allocations of an UPDATE", found, 0.1);
    let found = allocations("UPDATE t SET k = ?2 WHERE id = ?1", |update, n| {
        assert_eq!(update.execute([n, n % 100 + 300]).unwrap(), 1);
    });
    at_most("allocations of an UPDATE of an indexed column", found, 0.1);
}

#[test]
fn an_update_of_another_length_allocates_nothing_but_its_parameters() {
    let found = allocations("UPDATE t SET s = ?2, k = 1 WHERE id = ?1", |update, n| {
        assert_eq!(update.execute(params![n, "short"]).unwrap(), 1);
    });
    at_most("allocations of an UPDATE of another length", found, 0.1);
}

#[test]
fn an_upsert_allocates_its_parameters_alone() {
    let upsert = format!("{INSERT} ON CONFLICT (id) DO UPDATE SET k = excluded.k, v = excluded.v");
    let found = allocations(&upsert, |upsert, n| {
        assert_eq!(upsert.execute(params![n, n % 100 + 300, n as f64 + 0.5, TEXT]).unwrap(), 1);
    });
    at_most("allocations of an upsert", found, 1.05 * 1.0 + 0.1);
}

#[test]
fn a_delete_by_key_allocates_nothing() {
    let found = allocations("DELETE FROM t WHERE id = ?1", |delete, n| {
        assert_eq!(delete.execute([n]).unwrap(), 1);
    });
    at_most("allocations of a DELETE", found, 0.1);
}
