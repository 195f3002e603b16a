//! A dosql database and an SQLite database that run the same statements.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dosql::{Connection, Database, Value};

use super::compare::{Rows, same_order, same_rows};
use super::{known, with_hint};

/// What both made of a statement, where that differs.
#[derive(Clone, Debug)]
pub struct Mismatch {
    pub sql: String,
    pub ours: Result<Rows, String>,
    pub theirs: Result<Rows, String>,
}

impl Mismatch {
    /// What kind of difference it is; two of the same kind are most likely the same mistake.
    pub fn class(&self) -> String {
        match (&self.ours, &self.theirs) {
            (Ok(_), Ok(_)) => "rows".into(),
            (Err(error), Ok(_)) if error.starts_with("panic") => "panic".into(),
            (Err(error), Ok(_)) => format!("refused: {}", error.chars().take(24).collect::<String>()),
            (Ok(_), Err(_)) => "accepted".into(),
            (Err(error), Err(_)) => format!("both refused: {}", error.starts_with("panic")),
        }
    }
}

pub struct Pair {
    pub database: Database,
    pub connection: Connection,
    pub sqlite: rusqlite::Connection,
}

impl Pair {
    pub fn new() -> Pair {
        let database = Database::open_memory().unwrap();
        let connection = database.connect().unwrap();
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        // As in dosql: a name in double quotes is never a string, LIKE and the rest have no switch.
        let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML;
        sqlite.set_db_config(config, false).unwrap();
        Pair { database, connection, sqlite }
    }

    /// dosql's rows. A panic is an error that says so.
    pub fn ours(&self, sql: &str) -> Result<Rows, String> {
        catch_unwind(AssertUnwindSafe(|| rows_of(&self.connection, sql))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    }

    /// SQLite's rows.
    pub fn theirs(&self, sql: &str) -> Result<Rows, String> {
        let mut statement = self.sqlite.prepare(sql).map_err(|error| error.to_string())?;
        let width = statement.column_count();
        let mut rows = statement.query([]).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(|error| error.to_string())? {
            all.push((0..width).map(|index| value(row.get_ref(index).unwrap())).collect());
        }
        Ok(all)
    }

    /// Runs a statement in both.
    pub fn check(&self, sql: &str) -> Result<Option<Rows>, Box<Mismatch>> {
        let sql = with_hint(sql, "");
        let (ours, theirs) = (self.ours(&sql), self.theirs(&sql));
        if agree(&sql, &ours, &theirs) {
            return Ok(ours.ok());
        }
        Err(Box::new(Mismatch { sql, ours, theirs }))
    }
}

/// Whether two outcomes are the same, or differ in a known way.
pub fn agree(sql: &str, ours: &Result<Rows, String>, theirs: &Result<Rows, String>) -> bool {
    let same = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            let ordered = ends_ordered(sql);
            let loose = ["DISTINCT", "GROUP BY", "UNION", "INTERSECT", "EXCEPT", "LIMIT", "min(", "max("];
            let loose = loose.iter().any(|word| sql.contains(word));
            if same_rows(ours, theirs, false) {
                !ordered || same_order(ours, theirs)
            } else {
                // Which of the equal values stands for a group decides their order too.
                (loose && same_rows(ours, theirs, true)) || known::converted(sql, ours, theirs)
            }
        }
        (Err(ours), Err(_)) => !ours.starts_with("panic"),
        _ => false,
    };
    let outcome = |result: &Result<Rows, String>| result.as_ref().map(|_| ()).map_err(Clone::clone);
    same || known::reason(sql, &outcome(ours), &outcome(theirs)).is_some()
}

/// Whether the whole result is ordered: the last ORDER BY stands outside all parentheses.
fn ends_ordered(sql: &str) -> bool {
    if !sql.starts_with("SELECT") {
        return false;
    }
    sql.rfind(" ORDER BY ").is_some_and(|at| {
        let tail = &sql[at..];
        tail.matches('(').count() == tail.matches(')').count()
    })
}

fn rows_of(connection: &Connection, sql: &str) -> Result<Rows, String> {
    let mut statement = connection.prepare(sql).map_err(|error| error.to_string())?;
    let mut rows = statement.query(()).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(|error| error.to_string())? {
        all.push(row.values());
    }
    Ok(all)
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
