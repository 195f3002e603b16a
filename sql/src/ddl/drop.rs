//! DROP TABLE, INDEX, VIEW and TRIGGER.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::Ddl;
use crate::catalog::load::lower;
use crate::catalog::made_up;
use crate::catalog::schema::Table;
use crate::catalog::store::{Object, ObjectKind};
use crate::catalog::temp;
use crate::dml::foreign_key::foreign_key_failed;
use crate::parse::ast::{QualifiedName, SchemaObject};
use crate::storage::Storage;
use crate::value::Value;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn drop(&mut self, kind: SchemaObject, if_exists: bool, name: &QualifiedName) -> Result<bool> {
        self.check_schema(name)?;
        let (wanted, word) = match kind {
            SchemaObject::Table => (ObjectKind::Table, "table"),
            SchemaObject::Index => (ObjectKind::Index, "index"),
            SchemaObject::View => (ObjectKind::View, "view"),
            SchemaObject::Trigger => (ObjectKind::Trigger, "trigger"),
        };
        let text = self.name(name.name);
        let offset = self.offset(name.name);
        let only = name.schema.map(|schema| self.name(schema).eq_ignore_ascii_case("temp"));
        let catalog = self.machine.catalog;
        let found = catalog.objects.iter().rev().find(|object| {
            object.kind == wanted
                && object.name.eq_ignore_ascii_case(&text)
                && only.is_none_or(|only| temp::is_temporary(object.sequence) == only)
        });
        let made_up = wanted == ObjectKind::Table && catalog.table(&text).is_some_and(|table| table.made_up);
        let system = text.len() >= 7 && text.as_bytes()[..7].eq_ignore_ascii_case(b"sqlite_");
        if made_up || (wanted == ObjectKind::Table && found.is_some() && system && !is_statistics(&text)) {
            let message = format!("table {} may not be dropped", made_up::old_name(&text));
            return Err(Error::invalid(message).at_offset(offset));
        }
        let Some(object) = found.cloned() else {
            self.check_other_kind(kind, &text, offset)?;
            if if_exists {
                return Ok(false);
            }
            let full = match name.schema {
                Some(schema) => format!("{}.{text}", self.name(schema)),
                None => text.to_string(),
            };
            return Err(Error::invalid(format!("no such {word}: {full}")).at_offset(offset));
        };
        match wanted {
            ObjectKind::Table => self.drop_table(&object)?,
            ObjectKind::Index if object.sql.is_empty() => {
                let text = "index associated with UNIQUE or PRIMARY KEY constraint cannot be dropped";
                return Err(Error::invalid(text).at_offset(offset));
            }
            ObjectKind::View => {
                self.remove_belonging(&object)?;
                self.remove_object(&object)?;
            }
            ObjectKind::Index | ObjectKind::Trigger => self.remove_object(&object)?,
        }
        Ok(true)
    }

    fn check_other_kind(&self, kind: SchemaObject, text: &str, offset: usize) -> Result<()> {
        let catalog = self.machine.catalog;
        let message = match kind {
            SchemaObject::Table if catalog.view(text).is_some() => {
                format!("use DROP VIEW to delete view {text}")
            }
            SchemaObject::View if catalog.table(text).is_some() => {
                format!("use DROP TABLE to delete table {text}")
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(message).at_offset(offset))
    }

    fn drop_table(&mut self, object: &Object) -> Result<()> {
        let catalog = self.machine.catalog;
        let schema = if temp::is_temporary(object.sequence) { "temp" } else { "main" };
        if let Some(table) = catalog.table_in(Some(schema), &object.name).cloned() {
            self.release_children(&table)?;
            if table.autoincrement {
                self.forget_sequence(&table)?;
            }
        }
        self.remove_belonging(object)?;
        self.remove_object(object)
    }

    /// Removes the indexes and triggers of a table or view.
    fn remove_belonging(&mut self, object: &Object) -> Result<()> {
        let temporary = temp::is_temporary(object.sequence);
        let catalog = self.machine.catalog;
        // A temporary trigger may stand on a table of the database, where no temporary table hides that.
        let shared = catalog.hidden.contains_key(&lower(&object.name));
        let belongs = |other: &&Object| {
            matches!(other.kind, ObjectKind::Index | ObjectKind::Trigger)
                && other.table.eq_ignore_ascii_case(&object.name)
                && (other.kind == ObjectKind::Trigger && !shared
                    || temp::is_temporary(other.sequence) == temporary)
        };
        let belonging: Vec<Object> = catalog.objects.iter().filter(belongs).cloned().collect();
        for other in &belonging {
            self.remove_object(other)?;
        }
        Ok(())
    }

    /// What foreign keys of other tables make of the rows that go: their actions run, and none may be left without a parent.
    fn release_children(&mut self, table: &Arc<Table>) -> Result<()> {
        if !self.machine.settings.foreign_keys || !self.machine.catalog.has_children(&table.name) {
            return Ok(());
        }
        self.machine.dropping = true;
        self.machine.delete_all_rows(table)?;
        let deferred = std::mem::take(&mut self.machine.deferred);
        if self.machine.settings.defer_foreign_keys {
            self.machine.deferred = deferred;
            return Ok(());
        }
        for suspect in deferred {
            if self.machine.is_violated(&suspect)? {
                return Err(foreign_key_failed());
            }
        }
        Ok(())
    }

    /// Removes a table's row from `sqlite_sequence`.
    fn forget_sequence(&mut self, table: &Table) -> Result<()> {
        let Some(sequence) = self.machine.catalog.sequence_table(table.temporary).cloned() else {
            return Ok(());
        };
        for row_id in self.machine.row_ids(sequence.space)? {
            let row = self.machine.fetch(&sequence, &row_id)?.unwrap_or_default();
            if matches!(row.first(), Some(Value::Text(name)) if *name == table.name) {
                self.machine.remove_row(&sequence, &row_id)?;
            }
        }
        Ok(())
    }
}

fn is_statistics(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("sqlite_stat")
}
