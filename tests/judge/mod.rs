//! Real SQLite as the judge, and where the shared corpora are.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::path::PathBuf;

use dosql::{Connection, Value};

/// A file or folder of the shared corpora, where they are present; tests pass where they are not.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found =
        root.ancestors().skip(1).map(|above| above.join("shared").join(path)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("shared/{path} is not there: skipped");
    }
    found
}

/// An SQLite database in memory.
pub struct Oracle(rusqlite::Connection);

impl Oracle {
    pub fn new() -> Self {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        Oracle(connection)
    }

    /// As [`Oracle::new`], and a double-quoted name is never a text.
    pub fn strict() -> Self {
        use rusqlite::config::DbConfig;
        let oracle = Oracle::new();
        for config in [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL] {
            oracle.0.set_db_config(config, false).unwrap();
        }
        oracle
    }

    /// Runs a script.
    pub fn run(&self, script: &str) -> Result<(), String> {
        self.0.execute_batch(script).map_err(|error| error.to_string())
    }

    /// The rows of a query.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>, String> {
        let mut statement = self.0.prepare(sql).map_err(|error| error.to_string())?;
        let width = statement.column_count();
        let mut rows = statement.query([]).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(|error| error.to_string())? {
            all.push((0..width).map(|index| value(row.get_ref(index).unwrap())).collect());
        }
        Ok(all)
    }
}

fn value(value: rusqlite::types::ValueRef<'_>) -> Value {
    match value {
        rusqlite::types::ValueRef::Null => Value::Null,
        rusqlite::types::ValueRef::Integer(n) => Value::Integer(n),
        rusqlite::types::ValueRef::Real(x) => Value::Real(x),
        rusqlite::types::ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).as_ref().into()),
        rusqlite::types::ValueRef::Blob(bytes) => Value::Blob(bytes.into()),
    }
}

/// The rows that dosql gives.
pub fn rows_of(connection: &Connection, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    let mut statement = connection.prepare(sql).map_err(|error| error.to_string())?;
    let mut rows = statement.query(()).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(|error| error.to_string())? {
        all.push(row.values());
    }
    Ok(all)
}

/// Whether two values are the same, reals to 15 digits.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Integer(a), Value::Integer(b)) => a == b,
        (Value::Real(a), Value::Real(b)) => {
            a == b || (a - b).abs() <= 1e-15 * a.abs().max(b.abs()).max(1e-300) * 10.0
        }
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Blob(a), Value::Blob(b)) => a == b,
        _ => false,
    }
}

/// What differs between the two, if anything does: the rows, their order, or whether the statement is refused.
pub fn differs(connection: &Connection, oracle: &Oracle, sql: &str) -> Option<String> {
    let (ours, theirs) = (rows_of(connection, sql), oracle.rows(sql));
    let equal = match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            let same_row = |(a, b): (&Vec<Value>, &Vec<Value>)| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            };
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(same_row)
        }
        (Err(_), Err(_)) => true,
        _ => false,
    };
    (!equal).then(|| format!("{sql}\nours {ours:?}\nSQLite's {theirs:?}"))
}

/// Fails unless both give the same rows in the same order, or both refuse.
pub fn assert_same(connection: &Connection, oracle: &Oracle, sql: &str) {
    let (ours, theirs) = (rows_of(connection, sql), oracle.rows(sql));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(
                ours.len(),
                theirs.len(),
                "number of rows of {sql}\nours {ours:?}\nSQLite's {theirs:?}"
            );
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let equal = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b));
                assert!(equal, "row {index} of {sql}\nours {ours:?}\nSQLite's {theirs:?}");
            }
        }
        (Err(_), Err(_)) => {}
        _ => panic!("{sql}\nours {ours:?}\nSQLite's {theirs:?}"),
    }
}
