//! Statements as SQL.

use std::fmt::Write;

use dosql::{Timestamp, Value};

use super::statement::{Filter, How, OnConflict, Set, Statement};
use super::table::{Column, Table, Type};

/// A statement's text and parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub sql: String,
    pub parameters: Vec<Value>,
}

impl Text {
    fn new(sql: impl Into<String>) -> Self {
        Text { sql: sql.into(), parameters: Vec::new() }
    }

    fn parameter(&mut self, value: &Value) {
        self.parameters.push(value.clone());
        let _ = write!(self.sql, "?{}", self.parameters.len());
    }

    fn filter(&mut self, filter: &Filter) {
        match filter {
            Filter::All => {}
            Filter::Id(id) => {
                self.sql.push_str(" WHERE id = ");
                self.parameter(&Value::Integer(*id));
            }
            Filter::Ids(from, to) => {
                self.sql.push_str(" WHERE id BETWEEN ");
                self.parameter(&Value::Integer(*from));
                self.sql.push_str(" AND ");
                self.parameter(&Value::Integer(*to));
            }
            Filter::Equal(column, value) => {
                let _ = write!(self.sql, " WHERE {column} = ");
                self.parameter(value);
            }
            Filter::Below(column, value) => {
                let _ = write!(self.sql, " WHERE {column} < ");
                self.parameter(value);
            }
            Filter::AtLeast(column, value) => {
                let _ = write!(self.sql, " WHERE {column} >= ");
                self.parameter(value);
            }
            Filter::IsNull(column) => {
                let _ = write!(self.sql, " WHERE {column} IS NULL");
            }
        }
    }
}

impl Statement {
    /// As SQL; `None` for those of the key-value API.
    #[must_use]
    pub fn text(&self) -> Option<Text> {
        self.sql_text(None)
    }

    /// A query as of a moment.
    #[must_use]
    pub fn text_as_of(&self, at: AsOf) -> Option<Text> {
        self.sql_text(Some(at))
    }

    fn sql_text(&self, at: Option<AsOf>) -> Option<Text> {
        let at = at.map(AsOf::clause).unwrap_or_default();
        let mut text = Text::new("");
        match self {
            Statement::Put { .. }
            | Statement::Delete { .. }
            | Statement::Get { .. }
            | Statement::Range { .. } => {
                return None;
            }
            Statement::Insert { table, rows, conflict } => insert(&mut text, table, rows, conflict),
            Statement::Update { table, column, set, filter } => {
                let _ = write!(text.sql, "UPDATE {table} SET {column} = ");
                match set {
                    Set::To(value) => text.parameter(value),
                    Set::Add(by) => {
                        let _ = write!(text.sql, "{column} + ");
                        text.parameter(&Value::Integer(*by));
                    }
                }
                text.filter(filter);
            }
            Statement::Move { table, from, to } => {
                let _ = write!(text.sql, "UPDATE {table} SET id = ");
                text.parameter(&Value::Integer(*to));
                text.filter(&Filter::Id(*from));
            }
            Statement::Remove { table, filter } => {
                let _ = write!(text.sql, "DELETE FROM {table}");
                text.filter(filter);
            }
            Statement::Select { table, filter, how, backward } => {
                let how = match how {
                    How::AsPlanned => String::new(),
                    How::NotIndexed => " NOT INDEXED".to_string(),
                    How::By(index) => format!(" INDEXED BY {index}"),
                };
                let _ = write!(text.sql, "SELECT * FROM {table}{at}{how}");
                text.filter(filter);
                text.sql.push_str(if *backward { " ORDER BY id DESC" } else { " ORDER BY id" });
            }
            Statement::Count { table, filter } => {
                let _ = write!(text.sql, "SELECT count(*), min(id), max(id), sum(id) FROM {table}{at}");
                text.filter(filter);
            }
            Statement::SelectView { view } => {
                let _ = write!(text.sql, "SELECT * FROM {view}{at} ORDER BY 1");
            }
            _ => text.sql = self.definition(),
        }
        Some(text)
    }

    fn definition(&self) -> String {
        match self {
            Statement::CreateTable { name, table } => create_table(name, table),
            Statement::DropTable { table } => format!("DROP TABLE {table}"),
            Statement::RenameTable { table, to } => format!("ALTER TABLE {table} RENAME TO {to}"),
            Statement::AddColumn { table, column } => {
                format!("ALTER TABLE {table} ADD COLUMN {}", declaration(column))
            }
            Statement::DropColumn { table, column } => format!("ALTER TABLE {table} DROP COLUMN {column}"),
            Statement::RenameColumn { table, column, to } => {
                format!("ALTER TABLE {table} RENAME COLUMN {column} TO {to}")
            }
            Statement::CreateIndex { name, table, columns, unique } => {
                let unique = if *unique { "UNIQUE " } else { "" };
                format!("CREATE {unique}INDEX {name} ON {table} ({})", columns.join(", "))
            }
            Statement::DropIndex { name } => format!("DROP INDEX {name}"),
            Statement::CreateView { name, table, column, below } => {
                format!("CREATE VIEW {name} AS SELECT id, {column} FROM {table} WHERE id < {below}")
            }
            Statement::DropView { view } => format!("DROP VIEW {view}"),
            _ => String::new(),
        }
    }
}

/// A moment, and how to ask for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AsOf {
    Lsn(Timestamp),
    /// As a date and time in text.
    Timestamp(Timestamp),
}

impl AsOf {
    fn clause(self) -> String {
        match self {
            AsOf::Lsn(at) => format!(" FOR SYSTEM_TIME AS OF LSN {at}"),
            AsOf::Timestamp(at) => format!(" FOR SYSTEM_TIME AS OF TIMESTAMP '{}'", date(at)),
        }
    }
}

/// A moment as SQL writes it, to the microsecond.
fn date(at: Timestamp) -> String {
    let micros = at.as_micros();
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    // Civil from days (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{fraction:06}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn insert(text: &mut Text, table: &str, rows: &[Vec<Value>], conflict: &OnConflict) {
    let or = match conflict {
        OnConflict::Ignore => " OR IGNORE",
        OnConflict::Replace => " OR REPLACE",
        OnConflict::Abort | OnConflict::Update(_) => "",
    };
    let _ = write!(text.sql, "INSERT{or} INTO {table} VALUES ");
    for (i, row) in rows.iter().enumerate() {
        text.sql.push_str(if i == 0 { "(" } else { ", (" });
        for (i, value) in row.iter().enumerate() {
            text.sql.push_str(if i == 0 { "" } else { ", " });
            text.parameter(value);
        }
        text.sql.push(')');
    }
    if let OnConflict::Update(column) = conflict {
        let _ = write!(text.sql, " ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}");
    }
}

fn create_table(name: &str, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().skip(1).map(declaration).collect();
    let without = if table.without_rowid { " WITHOUT ROWID" } else { "" };
    let columns: String = columns.iter().map(|column| format!(", {column}")).collect();
    format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY{columns}){without}")
}

fn declaration(column: &Column) -> String {
    let kind = match column.kind {
        Type::Integer => "INTEGER",
        Type::Text => "TEXT",
        Type::Real => "REAL",
        Type::Blob => "BLOB",
    };
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    let default = match &column.default {
        Value::Null => String::new(),
        value => format!(" DEFAULT {}", dosql::types::quote(value.into())),
    };
    format!("{} {kind}{not_null}{default}", column.name)
}
