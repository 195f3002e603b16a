//! A statement that SQLite refuses is refused here with the same message, code and place: drivers, ORMs and people match on them.
//!
//! `tests/data/judged/errors.sql` holds one statement a line. What differs on purpose is listed below with its reason.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::collections::BTreeMap;

use dosql::{Connection, Database, Options, Storage};
use rusqlite::config::DbConfig;

const SETUP: &str = "
    CREATE TABLE t (a INTEGER PRIMARY KEY, b, c TEXT);
    CREATE TABLE u (k TEXT PRIMARY KEY NOT NULL, n INTEGER CHECK (n >= 0));
    CREATE TABLE w (k, x, PRIMARY KEY (k)) WITHOUT ROWID;
    CREATE TABLE s (i INTEGER, t TEXT NOT NULL) STRICT;
    CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE c (id REFERENCES p);
    CREATE TABLE g (a, b AS (a + 1));
    CREATE TABLE d (x);
    CREATE INDEX t_b ON t (b);
    CREATE VIEW v AS SELECT a FROM t;
    INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two');
    INSERT INTO u VALUES ('1', 1), ('2', 2);
    INSERT INTO w VALUES (1, 1);
    INSERT INTO p VALUES (1);
    INSERT INTO c VALUES (1);
    INSERT INTO d VALUES (1), (1);";

/// What both say of a statement: the message, the extended code, the byte.
#[derive(Debug, PartialEq)]
struct Refusal {
    message: String,
    code: i32,
    offset: Option<usize>,
}

fn ours(connection: &Connection, sql: &str) -> Result<(), Refusal> {
    let run = || {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
        Ok(())
    };
    run().map_err(|error: dosql::Error| Refusal {
        message: error.message().to_owned(),
        code: error.code().sqlite(),
        offset: error.offset(),
    })
}

fn theirs(connection: &rusqlite::Connection, sql: &str) -> Result<(), Refusal> {
    let run = || {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    };
    run().map_err(|error| match error {
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            Refusal { message: msg, code: error.extended_code, offset: usize::try_from(offset).ok() }
        }
        rusqlite::Error::SqliteFailure(error, message) => {
            Refusal { message: message.unwrap_or_default(), code: error.extended_code, offset: None }
        }
        other => panic!("{sql}: {other}"),
    })
}

/// Differences on purpose: the start of a statement, and why.
const KNOWN: &[(&str, &str)] = &[
    ("SELECT #1", "what is no token is told as such"),
    (
        "SELECT a COLLATE swedish FROM t",
        "a collation that is not there is a mistake where it decides nothing, too",
    ),
    ("SELECT * FROM t ORDER BY a COLLATE swedish", MISSING_COLLATION),
    ("CREATE TABLE n (a COLLATE swedish)", MISSING_COLLATION),
    ("CREATE INDEX i ON t (a COLLATE swedish)", MISSING_COLLATION),
    ("SELECT 1 = (SELECT 1, 2)", "SQLite says this of a subquery with a star only"),
    ("SELECT 'a' REGEXP 'b'", "the place is that of the expression"),
    ("SELECT 'a' MATCH 'b'", "there is no function of that name, not even one for another context"),
    ("CREATE TABLE n (a, b AS (c), c AS (b))", "both columns are in the circle"),
];
const MISSING_COLLATION: &str =
    "the code is that of every mistake: there is nothing that a program could load";

fn known() -> BTreeMap<&'static str, &'static str> {
    KNOWN.iter().copied().collect()
}

#[test]
fn a_statement_is_refused_with_the_message_code_and_place_of_sqlite() {
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let connection = database.connect().unwrap();
    let sqlite = rusqlite::Connection::open_in_memory().unwrap();
    sqlite.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    for config in [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL] {
        sqlite.set_db_config(config, false).unwrap();
    }
    connection.execute_batch(SETUP).unwrap();
    sqlite.execute_batch(SETUP).unwrap();
    let known = known();
    let (mut differ, mut refused) = (Vec::new(), 0);
    for sql in include_str!("data/judged/errors.sql").lines() {
        // Nothing of a statement that one of them takes may stay.
        connection.execute_batch("SAVEPOINT judged").unwrap();
        sqlite.execute_batch("SAVEPOINT judged").unwrap();
        let (ours, theirs) = (ours(&connection, sql), theirs(&sqlite, sql));
        connection.execute_batch("ROLLBACK TO judged; RELEASE judged").unwrap_or(());
        sqlite.execute_batch("ROLLBACK TO judged; RELEASE judged").unwrap_or(());
        refused += usize::from(theirs.is_err());
        let same = match (&ours, &theirs) {
            (Ok(()), Ok(())) => true,
            (Err(ours), Err(theirs)) => {
                let place = theirs.offset.is_none() || ours.offset == theirs.offset;
                ours.message == theirs.message && ours.code == theirs.code && place
            }
            _ => false,
        };
        if same == known.contains_key(sql) {
            differ.push(format!("{sql}\n    ours   {ours:?}\n    SQLite {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ, or differ no more:\n{}", differ.len(), differ.join("\n"));
    assert!(refused > 200, "{refused}");
}
