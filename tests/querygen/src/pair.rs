//! A dosql database and an SQLite database that run the same statements.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dosql::{Connection, Database, Value};

use crate::compare::Rows;
use crate::{known, with_hint};

/// What a statement did.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The names of its columns.
    pub columns: Vec<String>,
    pub rows: Rows,
    /// What `changes()` and `last_insert_rowid()` say after it.
    pub changes: u64,
    pub last_insert_rowid: i64,
    /// Whether a transaction is open after it.
    pub in_transaction: bool,
}

/// Why a statement was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// SQLite's extended result code; 0 for a panic.
    pub code: i32,
    pub message: String,
}

impl Failure {
    /// The result code without its extension.
    pub fn class(&self) -> i32 {
        self.code & 0xff
    }

    pub fn is_panic(&self) -> bool {
        self.code == 0
    }
}

/// What came of a statement.
pub type Outcome = Result<Answer, Failure>;

/// What both made of a statement, where that differs.
#[derive(Clone, Debug)]
pub struct Mismatch {
    pub sql: String,
    pub ours: Outcome,
    pub theirs: Outcome,
}

impl Mismatch {
    /// What kind of difference it is; two of the same kind are most likely the same mistake.
    pub fn class(&self) -> String {
        let start = |failure: &Failure| failure.message.chars().take(24).collect::<String>();
        match (&self.ours, &self.theirs) {
            (Err(ours), _) if ours.is_panic() => "panic".into(),
            (Ok(ours), Ok(theirs)) if ours.columns != theirs.columns => "names of columns".into(),
            (Ok(ours), Ok(theirs)) if ours.rows != theirs.rows => "rows".into(),
            (Ok(_), Ok(_)) => "counters".into(),
            (Err(ours), Ok(_)) => format!("refused: {}", start(ours)),
            (Ok(_), Err(_)) => "accepted".into(),
            (Err(ours), Err(_)) => format!("other error: {}", start(ours)),
        }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "-- {}\n-- ours {:?}\n-- SQLite's {:?}", self.class(), self.ours, self.theirs)
    }
}

/// A statement that both agree on.
pub struct Agreed {
    /// Its rows, unless both refuse it.
    pub rows: Option<Rows>,
    /// The known difference that it met.
    pub known: Option<&'static str>,
}

pub struct Pair {
    pub database: Database,
    pub connection: Connection,
    pub sqlite: rusqlite::Connection,
    /// Whether a statement was refused since the last rowid was the same in both.
    was_refused: Cell<bool>,
}

impl Default for Pair {
    fn default() -> Self {
        Pair::new()
    }
}

impl Pair {
    pub fn new() -> Pair {
        let database = Database::open_memory().expect("a database in memory opens");
        let connection = database.connect().expect("an open database gives connections");
        let sqlite = rusqlite::Connection::open_in_memory().expect("an SQLite database in memory opens");
        // As in dosql: a name in double quotes is never a string, and foreign keys are on.
        use rusqlite::config::DbConfig;
        for config in [DbConfig::SQLITE_DBCONFIG_DQS_DML, DbConfig::SQLITE_DBCONFIG_DQS_DDL] {
            sqlite.set_db_config(config, false).expect("SQLite has this switch");
        }
        sqlite.execute_batch("PRAGMA foreign_keys = ON").expect("SQLite has this PRAGMA");
        Pair { database, connection, sqlite, was_refused: Cell::new(false) }
    }

    /// What dosql makes of a statement.
    pub fn ours(&self, sql: &str) -> Outcome {
        answer(&self.connection, sql)
    }

    /// What SQLite makes of a statement.
    pub fn theirs(&self, sql: &str) -> Outcome {
        let failure = |error: rusqlite::Error| self.failure(&error);
        let mut statement = self.sqlite.prepare(sql).map_err(failure)?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = statement.query([]).map_err(failure)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failure)? {
            let value = |index| value(row.get_ref(index).expect("the statement has so many columns"));
            all.push((0..columns.len()).map(value).collect());
        }
        drop(rows);
        drop(statement);
        Ok(Answer {
            columns,
            rows: all,
            changes: self.sqlite.changes(),
            last_insert_rowid: self.sqlite.last_insert_rowid(),
            in_transaction: !self.sqlite.is_autocommit(),
        })
    }

    fn failure(&self, error: &rusqlite::Error) -> Failure {
        let (code, message) = match error {
            rusqlite::Error::SqliteFailure(code, message) => (code.extended_code, message.clone()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, Some(msg.clone())),
            other => (1, Some(other.to_string())),
        };
        Failure { code, message: message.unwrap_or_default() }
    }

    /// Whether SQLite agrees where it computes each CTE of a query on its own.
    fn agrees_materialised(&self, sql: &str, ours: &Outcome) -> bool {
        if !(sql.starts_with("SELECT") || sql.starts_with("WITH")) || !sql.contains(" AS (") {
            return false;
        }
        let apart = sql.replace(" AS NOT MATERIALIZED (", " AS (").replace(" AS (", " AS MATERIALIZED (");
        let apart = apart.replace("named AS MATERIALIZED (", "named AS (");
        known::judge(sql, ours, &self.theirs(&apart), true) != known::Verdict::Different
    }

    /// Runs a statement in both.
    pub fn check(&self, sql: &str) -> Result<Agreed, Box<Mismatch>> {
        let sql = with_hint(sql, "");
        let (ours, theirs) = (self.ours(&sql), self.theirs(&sql));
        let verdict = known::judge(&sql, &ours, &theirs, self.was_refused.get());
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                self.was_refused.set(ours.last_insert_rowid != theirs.last_insert_rowid)
            }
            _ => self.was_refused.set(true),
        }
        match verdict {
            known::Verdict::Same => Ok(Agreed { rows: ours.ok().map(|answer| answer.rows), known: None }),
            known::Verdict::Known(reason) => {
                Ok(Agreed { rows: ours.ok().map(|answer| answer.rows), known: Some(reason) })
            }
            known::Verdict::Different if self.agrees_materialised(&sql, &ours) => {
                Ok(Agreed { rows: ours.ok().map(|answer| answer.rows), known: Some(known::FLATTENED) })
            }
            known::Verdict::Different => Err(Box::new(Mismatch { sql, ours, theirs })),
        }
    }
}

/// What dosql makes of a statement on this connection. A panic is a failure that says so.
pub fn answer(connection: &Connection, sql: &str) -> Outcome {
    answer_with(connection, sql, Vec::new())
}

/// As [`answer`], with values for the statement's parameters.
pub fn answer_with(connection: &Connection, sql: &str, parameters: Vec<Value>) -> Outcome {
    let caught = catch_unwind(AssertUnwindSafe(|| try_answer(connection, sql, parameters)));
    match caught {
        Ok(answer) => {
            answer.map_err(|e| Failure { code: e.code().sqlite(), message: e.message().to_owned() })
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Failure { code: 0, message: format!("panic: {}", text.unwrap_or_default()) })
        }
    }
}

fn try_answer(connection: &Connection, sql: &str, parameters: Vec<Value>) -> dosql::Result<Answer> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row.values());
    }
    drop(rows);
    Ok(Answer {
        columns,
        rows: all,
        changes: connection.changes(),
        last_insert_rowid: connection.last_insert_rowid(),
        in_transaction: connection.in_transaction(),
    })
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
