//! ALTER TABLE: rewrites the stored texts of everything that speaks of the table. Rows stay as they are: a column keeps its
//! field, and a row without a field reads as the column's default.
//!
//! ```text
//! add_column.rs   ADD COLUMN          drop_column.rs  DROP COLUMN
//! rename.rs       RENAME TO, RENAME COLUMN
//! versioning.rs   SET SYSTEM VERSIONING
//! follow.rs       views and triggers after a rename    edit.rs  changes of a text
//! ```

mod add_column;
mod drop_column;
mod edit;
mod follow;
mod rename;
mod versioning;

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::Ddl;
use super::create_table::no_such_table;
use crate::catalog::made_up::old_name;
use crate::catalog::schema::Table;
use crate::catalog::store::{Object, ObjectKind};
use crate::parse::ast::{AlterAction, QualifiedName};
use crate::storage::Storage;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn alter_table(&mut self, name: &QualifiedName, action: &AlterAction) -> Result<bool> {
        self.check_schema(name)?;
        let (table, object) = self.find_table(name, action)?;
        match action {
            AlterAction::AddColumn(column) => self.add_column(&table, object, *column)?,
            AlterAction::DropColumn(column) => self.drop_column(&table, object, *column)?,
            AlterAction::RenameTable(new) => self.rename_table(&table, object, *new)?,
            AlterAction::RenameColumn { from, to } => self.rename_column(&table, object, *from, *to)?,
            AlterAction::SetVersioning(_, clause) => self.set_versioning(object, *clause)?,
        }
        Ok(true)
    }

    /// The table to alter and its stored object.
    fn find_table(&self, name: &QualifiedName, action: &AlterAction) -> Result<(Arc<Table>, Object)> {
        let text = self.name(name.name);
        let offset = self.offset(name.name);
        let catalog = self.machine.catalog;
        if catalog.view(&text).is_some() && catalog.table(&text).is_none() {
            let message = match action {
                AlterAction::AddColumn(_) => "Cannot add a column to a view".to_owned(),
                AlterAction::RenameTable(_) => format!("view {text} may not be altered"),
                AlterAction::RenameColumn { .. } => format!("cannot rename columns of view \"{text}\""),
                AlterAction::DropColumn(_) => format!("cannot drop column from view \"{text}\""),
                AlterAction::SetVersioning(..) => format!("view {text} has no versions of its own"),
            };
            return Err(Error::invalid(message).at_offset(offset));
        }
        let full = match name.schema {
            Some(schema) => format!("{}.{text}", self.name(schema)),
            None => text.to_string(),
        };
        if catalog.table(&text).is_some_and(|table| table.made_up)
            || text.len() >= 7 && text.as_bytes()[..7].eq_ignore_ascii_case(b"sqlite_")
        {
            return Err(
                Error::invalid(format!("table {} may not be altered", old_name(&text))).at_offset(offset)
            );
        }
        let wanted = name.schema.map(|schema| self.name(schema).eq_ignore_ascii_case("temp"));
        let object = catalog.objects.iter().rev().find(|object| {
            object.kind == ObjectKind::Table
                && object.name.eq_ignore_ascii_case(&text)
                && wanted.is_none_or(|wanted| crate::catalog::temp::is_temporary(object.sequence) == wanted)
        });
        let object = object.cloned().ok_or_else(|| no_such_table(&full).at_offset(offset))?;
        let schema = if crate::catalog::temp::is_temporary(object.sequence) { "temp" } else { "main" };
        let table = catalog.table_in(Some(schema), &text).cloned();
        let table = table.ok_or_else(|| no_such_table(&full).at_offset(offset))?;
        Ok((table, object))
    }

    /// Whether a table has any row.
    fn has_rows(&self, table: &Table) -> Result<bool> {
        self.machine.any_entry(table.space)
    }
}
