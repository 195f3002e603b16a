//! CSV files into tables. The first line names the columns.

use std::io::Read;

use dosql::{Connection, Error, Result, Value};

/// Reads CSV into `table`, which is made with text columns if it is not there, in one transaction. Where the table is
/// there, the values go to its columns by position. Errors name the `file`. Returns the number of rows.
pub fn csv(connection: &Connection, source: impl Read, file: &str, table: &str) -> Result<u64> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let header = reader.headers().map_err(|error| unreadable(file, &error))?.clone();
    if header.is_empty() {
        return Err(Error::invalid(format!("{file} is empty: its first line must name the columns")));
    }
    connection.transaction(|transaction| {
        let exists: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1))",
            (table,),
            |row| row.get(0),
        )?;
        if !exists {
            let columns: Vec<String> = header.iter().map(|name| format!("{} TEXT", quoted(name))).collect();
            transaction.execute(&format!("CREATE TABLE {} ({})", quoted(table), columns.join(", ")), ())?;
        }
        let marks = vec!["?"; header.len()].join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO {} VALUES ({marks})", quoted(table)))?;
        let mut rows = 0;
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(file, &error))?;
            if record.len() != header.len() {
                let line = record.position().map_or(0, csv::Position::line);
                return Err(Error::invalid(format!(
                    "{file} line {line} has {} fields where the first line has {}",
                    record.len(),
                    header.len()
                )));
            }
            let values: Vec<Value> = record.iter().map(|field| Value::Text(field.into())).collect();
            insert.execute(values)?;
            rows += 1;
        }
        Ok(rows)
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn unreadable(file: &str, error: &csv::Error) -> Error {
    Error::invalid(format!("{file} can't be read as CSV: {error}"))
}
