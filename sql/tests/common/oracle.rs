//! The same statement to the engine and to SQLite, and what each answers.

use dosql_sql::value::Value;
use rusqlite::types::ValueRef;

use crate::common::{Db, show_row};

fn render(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::text(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => Value::from(bytes),
    }
}

/// The rows that SQLite answers with, or its message.
fn oracle(sqlite: &rusqlite::Connection, sql: &str) -> Result<Vec<String>, String> {
    let run = || -> rusqlite::Result<Vec<String>> {
        let mut statement = sqlite.prepare(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let values: Vec<Value> =
                (0..width).map(|n| row.get_ref(n).map(render)).collect::<Result<_, _>>()?;
            all.push(show_row(&values));
        }
        Ok(all)
    };
    run().map_err(|error| match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        other => other.to_string(),
    })
}

/// What the engine answers, and what SQLite does.
pub(crate) fn both(
    db: &mut Db,
    sqlite: &rusqlite::Connection,
    sql: &str,
) -> [Result<Vec<String>, String>; 2] {
    let ours = db.try_run(sql).map(|answer| answer.rows.iter().map(|row| show_row(row)).collect());
    [ours.map_err(|error| error.message().to_owned()), oracle(sqlite, sql)]
}
