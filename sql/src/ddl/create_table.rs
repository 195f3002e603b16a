//! CREATE TABLE.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::Ddl;
use crate::catalog::build::{build_table, has_index, key_index_name, place_columns};
use crate::catalog::definition::read_table;
use crate::catalog::layout;
use crate::catalog::load::create_table;
use crate::catalog::schema::Table;
use crate::catalog::store::{Object, ObjectKind};
use crate::parse::ast::{CreateTable, TableBody};
use crate::parse::parse_one;
use crate::plan::{OutputColumn, Query};
use crate::storage::Storage;
use crate::value::{Affinity, Text, Value};

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<bool> {
        let temporary = self.is_temporary(create.temporary, &create.name)?;
        self.check_reserved(create.name.name)?;
        if self.is_taken(create.name.name, temporary, create.if_not_exists)? {
            return Ok(false);
        }
        let name = self.name(create.name.name);
        match &create.body {
            TableBody::Columns { versioning, .. } => {
                if temporary && versioning.is_some() {
                    let message = format!("{name} is temporary: it has no versions");
                    return Err(Error::invalid(message).at_offset(self.offset(create.name.name)));
                }
                // Checked as it stands first, so that errors point into the statement.
                read_table(&self.parsed.ast, self.cx.sql, create)?;
                let sql = self.stored_text("CREATE TABLE", create.name.name);
                self.add_table(&name, sql, temporary)?;
            }
            TableBody::Select(_) => {
                let Some(query) = self.select.map(Arc::clone) else {
                    return Err(Error::invalid("CREATE TABLE AS without its query"));
                };
                let sql = select_table_sql(&name, &query.columns);
                let rows = self.machine.gather(&query, &[])?;
                let table = self.add_table(&name, sql, temporary)?;
                self.fill(&table, &query, rows)?;
            }
        }
        Ok(true)
    }

    /// Stores a table and the indexes of its constraints.
    pub(super) fn add_table(&mut self, name: &Text, sql: Text, temporary: bool) -> Result<Arc<Table>> {
        let parsed = parse_one(&sql)?;
        let definition = read_table(&parsed.ast, &sql, create_table(&parsed)?)?;
        let (places, fields) = place_columns(&definition);
        let mut object = Object { fields, places, ..Self::object(ObjectKind::Table, name, name, sql) };
        let table = Arc::new(build_table(&definition, &object, &parsed)?);
        object.space = self.new_space(temporary)?;
        let table = Arc::new(Table { space: object.space, ..Arc::unwrap_or_clone(table) });
        self.add_object(object, temporary)?;
        for (number, key) in definition.keys.iter().enumerate() {
            if has_index(&definition, key) {
                let index = Text::from(key_index_name(name, number));
                let space = self.new_space(temporary)?;
                let object =
                    Object { space, ..Self::object(ObjectKind::Index, &index, name, Text::default()) };
                self.add_object(object, temporary)?;
            }
        }
        if definition.autoincrement && self.machine.catalog.sequence_table(temporary).is_none() {
            let name = Text::new(if temporary { "sqlite_temp_sequence" } else { "sqlite_sequence" });
            self.add_table(&name, Text::from(format!("CREATE TABLE {name}(name,seq)")), temporary)?;
        }
        Ok(table)
    }

    /// Writes the rows of CREATE TABLE AS.
    fn fill(&mut self, table: &Arc<Table>, query: &Query, rows: Vec<Vec<Value>>) -> Result<()> {
        debug_assert_eq!(table.columns.len(), query.outputs.len());
        for (rowid, mut row) in (1i64..).zip(rows) {
            for (value, column) in row.iter_mut().zip(&table.columns) {
                *value = column.affinity.apply(std::mem::take(value));
            }
            row.push(Value::Integer(rowid));
            let mut row_id = Vec::with_capacity(9);
            layout::put_row_id(&mut row_id, table, &row, rowid);
            self.machine.put_stored_row(table, &row, &row_id)?;
        }
        Ok(())
    }
}

/// The text of the table that CREATE TABLE AS makes, in SQLite's form.
fn select_table_sql(name: &str, columns: &[OutputColumn]) -> Text {
    let mut used: Vec<String> = Vec::with_capacity(columns.len());
    let mut parts = Vec::with_capacity(columns.len());
    for column in columns {
        let unique = unique_name(&column.name, &used);
        let kind = match column.affinity {
            Affinity::Blob => "",
            Affinity::Text => " TEXT",
            Affinity::Numeric => " NUM",
            Affinity::Integer => " INT",
            Affinity::Real => " REAL",
        };
        parts.push(format!("{}{kind}", quote_name(&unique)));
        used.push(unique);
    }
    let total: usize = parts.iter().map(|part| part.len() + 5).sum();
    let (start, between, end) = if total < 50 { ("", ",", "") } else { ("\n  ", ",\n  ", "\n") };
    Text::from(format!("CREATE TABLE {}({start}{}{end})", quote_name(name), parts.join(between)))
}

/// `name`, or `name:1` and so on where it is taken.
fn unique_name(name: &str, used: &[String]) -> String {
    let taken = |name: &str| used.iter().any(|used| used.eq_ignore_ascii_case(name));
    let mut unique = name.to_owned();
    let mut number = 0;
    while taken(&unique) {
        number += 1;
        unique = format!("{name}:{number}");
    }
    unique
}

/// A name as SQL text: quoted where it has to be.
#[must_use]
pub(crate) fn quote_name(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        && !crate::parse::is_keyword(name);
    if plain { name.to_owned() } else { always_quoted(name) }
}

/// A name in double quotes.
pub(crate) fn always_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The error for a name that no table has.
pub(super) fn no_such_table(name: &str) -> Error {
    Error::invalid(format!("no such table: {name}"))
}
