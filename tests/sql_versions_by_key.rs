//! The versions of some rows, looked up by their key, are those that a look at the versions of all rows finds.

#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::db;
use dosql::Connection;

const TABLES: [&str; 3] = [
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c)",
    "CREATE TABLE t (a INTEGER, b TEXT COLLATE NOCASE, c, PRIMARY KEY (b, a DESC)) WITHOUT ROWID",
    "CREATE TABLE t (c, b TEXT, a INTEGER)",
];

/// Conditions that a key serves, wholly or in part or not at all.
const CONDITIONS: [&str; 10] = [
    "a = 3",
    "a = 3.5",
    "a IN (1, 4, 4, NULL, 900)",
    "a BETWEEN 2 AND 5",
    "a > 6",
    "a <= 2 AND b = 'X'",
    "b = 'x'",
    "b = 'X' AND a >= 3",
    "b IN ('y', 'Z') AND a IN (1, 2, 3)",
    "b = 'x' COLLATE BINARY",
];

fn rows(sql: &Connection, text: &str) -> Vec<String> {
    let mut statement = sql.prepare(text).unwrap();
    let mut rows: Vec<String> =
        statement.query_map((), |row| row.get::<String>(0)).unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// The same rows, behind a query into which no condition goes.
fn hidden(what: &str) -> String {
    format!("(SELECT *, ROW_START_LSN, ROW_END_LSN FROM {what} LIMIT -1)")
}

/// A table with a past of random changes, and the moments of some of them.
fn past(create: &str, seed: u64) -> (dosql::Database, Connection, Vec<i64>) {
    let db = db();
    let sql = db.connect().unwrap();
    sql.execute_batch(create).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut moments = Vec::new();
    for n in 0..120 {
        let (a, b) = (random.i64(0..8), random.choice(["x", "X", "y", "Y", "z", "Z"]).unwrap());
        match random.u8(..4) {
            0 => sql.execute("DELETE FROM t WHERE a = ?1", [a]).unwrap(),
            _ => sql.execute("INSERT OR REPLACE INTO t (a, b, c) VALUES (?1, ?2, ?3)", (a, b, n)).unwrap(),
        };
        moments.push(db.last_commit().as_micros() as i64);
        if random.u8(..20) == 0 {
            db.checkpoint().unwrap();
        }
    }
    (db, sql, moments)
}

#[test]
fn versions_looked_up_by_a_key_are_those_that_a_scan_finds() {
    const SHOWN: &str = "a || ' ' || b || ' ' || c || ' ' || ROW_START_LSN || ' ' || ROW_END_LSN";
    for (at, create) in TABLES.iter().enumerate() {
        let (_db, sql, moments) = past(create, at as u64);
        let (from, to) = (moments[30], moments[90]);
        let mut any = 0;
        for what in [
            "t FOR SYSTEM_TIME ALL".to_owned(),
            format!("t FOR SYSTEM_TIME FROM LSN {from} TO LSN {to}"),
            format!("t FOR SYSTEM_TIME BETWEEN LSN {from} AND LSN {to}"),
            format!("t FOR SYSTEM_TIME FROM LSN {to} TO LSN {from}"),
            "dosql_history('t')".to_owned(),
        ] {
            let hidden = hidden(&what);
            for condition in CONDITIONS {
                let ask = |what: &str| rows(&sql, &format!("SELECT {SHOWN} FROM {what} WHERE {condition}"));
                let found = ask(&what);
                assert_eq!(found, ask(&hidden), "{create}: {what} WHERE {condition}");
                any |= found.len();
            }
            for join in ["JOIN", "LEFT JOIN"] {
                for on in [
                    "v.a = n.a",
                    "v.a = n.a AND v.b = n.b",
                    "v.b = n.b AND v.a > n.a",
                    "v.a = n.a + 3 AND v.c > 20",
                ] {
                    let shown = "n.a || ' ' || n.b || ' ' || coalesce(v.a || v.b || v.c, 'none')";
                    let ask =
                        |what: &str| rows(&sql, &format!("SELECT {shown} FROM t n {join} {what} v ON {on}"));
                    assert_eq!(ask(&what), ask(&hidden), "{create}: {join} {what} ON {on}");
                }
            }
        }
        assert!(any > 0);
    }
}

#[test]
fn versions_of_one_row_come_in_the_order_that_is_asked_for() {
    let (_db, sql, _) = past(TABLES[0], 9);
    let text = "SELECT a, ROW_START_LSN FROM t FOR SYSTEM_TIME ALL WHERE a IN (1, 2, 3) ORDER BY a DESC, ROW_START_LSN DESC";
    let mut statement = sql.prepare(text).unwrap();
    let found: Vec<(i64, i64)> =
        statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert!(found.len() > 20 && found.is_sorted_by(|a, b| a > b), "{found:?}");
}

#[test]
fn explain_tells_that_versions_are_looked_up() {
    let (_db, sql, _) = past(TABLES[0], 1);
    let plan = |text: &str| {
        sql.query_row(&format!("EXPLAIN QUERY PLAN {text}"), (), |row| row.get::<String>(3)).unwrap()
    };
    assert_eq!(
        plan("SELECT * FROM t FOR SYSTEM_TIME ALL WHERE a = 1"),
        "SEARCH VERSIONS OF t USING INTEGER PRIMARY KEY (rowid=?)"
    );
    assert_eq!(plan("SELECT * FROM t FOR SYSTEM_TIME ALL WHERE b = 'x'"), "SCAN VERSIONS OF t");
}
