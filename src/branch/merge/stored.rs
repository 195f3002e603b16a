//! Conflicts that wait: rows of the table `dosql_conflicts`, one for each, until its `resolution` says `ours`, `theirs`, or which row it
//! is to be, as JSON. A resolution counts as long as all three states of the row are what they were.

use dosql_base::{Error, Result};
use dosql_sql::catalog::schema::Table;
use dosql_sql::value::{Blob, Text, Value};

use super::MergeConflict;
use super::rows::Cells;
use crate::sql::Connection;

/// The table.
pub(super) const TABLE: &str = "dosql_conflicts";

/// The conflicts of a merge that are stored.
pub(super) struct Resolutions(Vec<(MergeConflict, Option<String>)>);

impl Resolutions {
    /// Those of the merge of a branch.
    pub(super) fn load(connection: &Connection, from: &str) -> Result<Resolutions> {
        if !there(connection)? {
            return Err(Error::invalid(format!("no merge of {from} waits here")));
        }
        let sql = format!(
            "SELECT \"table\", \"key\", base, ours, theirs, resolution FROM {TABLE} WHERE merge = ? COLLATE NOCASE"
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([from], |row| {
            let (table, key) = (row.get(0)?, row.get(1)?);
            let conflict =
                MergeConflict { table, key, base: row.get(2)?, ours: row.get(3)?, theirs: row.get(4)? };
            Ok((conflict, row.get(5)?))
        })?;
        let known: Vec<_> = rows.collect::<Result<_>>()?;
        if known.is_empty() {
            return Err(Error::invalid(format!("no merge of {from} waits here")));
        }
        Ok(Resolutions(known))
    }

    /// What was said of a conflict.
    pub(super) fn of(&self, conflict: &MergeConflict) -> Option<&str> {
        let known = self.0.iter().find(|(known, _)| known == conflict)?;
        known.1.as_deref()
    }
}

fn there(connection: &Connection) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
    connection.prepare(sql)?.exists([TABLE])
}

/// The branches whose merges wait.
pub(super) fn waiting(connection: &Connection) -> Result<Vec<String>> {
    if !there(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(&format!("SELECT DISTINCT merge FROM {TABLE} ORDER BY merge"))?;
    let rows = statement.query_map((), |row| row.get(0))?;
    rows.collect()
}

/// Stores the conflicts of a merge, with what was said of those that are known.
pub(super) fn save(
    connection: &Connection,
    from: &str,
    conflicts: &[MergeConflict],
    known: Option<&Resolutions>,
) -> Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (merge TEXT, \"table\" TEXT, \"key\" TEXT, base TEXT, ours TEXT, \
         theirs TEXT, resolution TEXT, PRIMARY KEY (merge, \"table\", \"key\"))"
    ))?;
    connection.execute(&format!("DELETE FROM {TABLE} WHERE merge = ? COLLATE NOCASE"), [from])?;
    let sql = format!("INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?, ?)");
    for conflict in conflicts {
        let text = |text: &str| Value::Text(Text::new(text));
        let or_null = |held: Option<&str>| held.map_or(Value::Null, text);
        let row = [
            text(from),
            text(&conflict.table),
            text(&conflict.key),
            or_null(conflict.base.as_deref()),
            or_null(conflict.ours.as_deref()),
            or_null(conflict.theirs.as_deref()),
            or_null(known.and_then(|known| known.of(conflict))),
        ];
        connection.execute(&sql, row)?;
    }
    Ok(())
}

/// Removes the conflicts of a merge, and the table when it is empty.
pub(super) fn clear(connection: &Connection, from: &str) -> Result<()> {
    connection.execute(&format!("DELETE FROM {TABLE} WHERE merge = ? COLLATE NOCASE"), [from])?;
    if !connection.prepare(&format!("SELECT 1 FROM {TABLE} LIMIT 1"))?.exists(())? {
        connection.execute(&format!("DROP TABLE {TABLE}"), ())?;
    }
    Ok(())
}

/// A row as a JSON object. Blobs are text of the form `x'..'`.
pub(super) fn row_to_json(table: &Table, row: &[Value]) -> String {
    let columns = table.columns.iter().zip(row).filter(|(column, _)| column.generated.is_none());
    let cells: Vec<String> =
        columns.map(|(column, value)| format!("{}:{}", json_text(&column.name), json(value))).collect();
    format!("{{{}}}", cells.join(","))
}

/// The key of a row: its primary key as a JSON object, or its rowid.
pub(super) fn key_to_json(table: &Table, row: &[Value], rowid: i64) -> String {
    let keys = table.columns.iter().zip(row).filter(|(column, _)| column.primary_key_position > 0);
    let known_by_rowid = !table.without_rowid && keys.clone().any(|(_, value)| *value == Value::Null);
    let cells: Vec<String> =
        keys.map(|(column, value)| format!("{}:{}", json_text(&column.name), json(value))).collect();
    if cells.is_empty() || known_by_rowid {
        return rowid.to_string();
    }
    format!("{{{}}}", cells.join(","))
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_finite() => format!("{number:?}"),
        Value::Real(number) => json_text(&number.to_string()),
        Value::Text(text) => json_text(text),
        Value::Blob(bytes) => json_text(&hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Bytes as JSON: text where they are, else of the form `x'..'`.
pub(super) fn bytes_to_json(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => json_text(text),
        Err(_) => json_text(&hex(bytes)),
    }
}

pub(super) fn blob(bytes: &[u8]) -> Value {
    Value::Blob(Blob::from(bytes.to_vec()))
}

/// The row that a resolution writes: what it does not name is as if ours had won.
pub(super) fn row_of_json(table: &Table, text: &str, ours: &Option<Cells>) -> Result<Cells> {
    let database = crate::Database::open_memory()?;
    let connection = database.connect()?;
    let mut statement = connection.prepare("SELECT key, value FROM json_each(?)")?;
    let rows = statement.query_map([text], |row| Ok((row.get::<String>(0)?, row.get::<Value>(1)?)))?;
    let wrong = |error: Error| {
        Error::invalid(format!(
            "a resolution is 'ours', 'theirs' or a JSON object of columns, not {text}: {error}"
        ))
    };
    let cells: Vec<(String, Value)> = rows.collect::<Result<_>>().map_err(wrong)?;
    let mut row = ours.clone().unwrap_or_else(|| vec![Value::Null; table.columns.len()]);
    for (name, value) in cells {
        let at = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&name));
        let at = at.ok_or_else(|| {
            Error::invalid(format!("a resolution names {name}, which {} has not", table.name))
        })?;
        row[at] = table.columns[at].affinity.apply(value);
    }
    Ok(row)
}
