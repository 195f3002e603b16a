//! Differences from SQLite on purpose, or in what SQLite itself leaves open, each with its reason.

use dosql::Value;

use super::compare::{Rows, same_rows};

/// Whether the difference between these outcomes of a statement is known. `Err` is the text of the error.
pub fn reason(sql: &str, ours: &Result<(), String>, theirs: &Result<(), String>) -> Option<&'static str> {
    let (ours, theirs) = (message(ours), message(theirs));
    if ours.contains("integer overflow") || theirs.contains("integer overflow") {
        return Some("whether sum() overflows depends on the order in which it meets its rows");
    }
    if theirs.contains("ON clause references tables to its right") {
        return Some("SQLite's flattening makes a condition on a subquery refer to tables that come later");
    }
    if sql.contains("printf") && sql.contains("%.2f") && sql.contains("e300") {
        return Some("digits beyond the 17th of a huge real are printed as they are, not as zeroes");
    }
    None
}

/// Whether the rows differ only in numbers that are text in SQLite's: it converts a subquery's value in place when it compares it,
/// and then returns the converted one.
pub fn converted(sql: &str, ours: &Rows, theirs: &Rows) -> bool {
    let plain = |rows: &Rows| -> Rows {
        let value = |value: &Value| match value {
            Value::Integer(n) => Value::Text(n.to_string().as_str().into()),
            Value::Real(x) => Value::Text(format!("{x:?}").as_str().into()),
            other => other.clone(),
        };
        rows.iter().map(|row| row.iter().map(value).collect()).collect()
    };
    sql.contains("WITH") && ours != theirs && same_rows(&plain(ours), &plain(theirs), true)
}

fn message(outcome: &Result<(), String>) -> &str {
    outcome.as_ref().err().map_or("", String::as_str)
}
