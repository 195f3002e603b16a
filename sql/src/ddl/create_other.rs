//! CREATE VIEW and CREATE TRIGGER.

use dosql_base::{Error, Result};

use super::Ddl;
use super::create_table::no_such_table;
use crate::catalog::load::lower;
use crate::catalog::store::ObjectKind;
use crate::parse::ast::{CreateTrigger, CreateView, QualifiedName, Statement, TriggerTime};
use crate::storage::Storage;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<bool> {
        let temporary = self.is_temporary(create.temporary, &create.name)?;
        self.check_reserved(create.name.name)?;
        if self.is_taken(create.name.name, temporary, create.if_not_exists)? {
            return Ok(false);
        }
        if !self.parsed.ast.parameters.is_empty() {
            return Err(Error::invalid("parameters are not allowed in views"));
        }
        let name = self.name(create.name.name);
        let sql = self.stored_text("CREATE VIEW", create.name.name);
        self.add_object(Self::object(ObjectKind::View, &name, &name, sql), temporary)?;
        Ok(true)
    }

    pub(super) fn create_trigger(&mut self, create: &CreateTrigger) -> Result<bool> {
        let catalog = self.machine.catalog;
        let table_name = self.name(create.table.name);
        let offset = self.offset(create.table.name);
        let schema = create.table.schema.map(|schema| self.name(schema));
        let table = catalog.table_in(schema.as_deref(), &table_name);
        let on_temporary = table.is_some_and(|table| table.temporary);
        let temporary = self.is_temporary(create.temporary, &create.name)? || on_temporary;
        if !self.parsed.ast.parameters.is_empty() {
            return Err(Error::invalid("trigger cannot use variables"));
        }
        let shown = match (table, catalog.view(&table_name)) {
            (Some(table), _) => {
                if table.made_up || table.name.starts_with("sqlite_") {
                    return Err(Error::invalid("cannot create trigger on system table").at_offset(offset));
                }
                if create.time == TriggerTime::InsteadOf {
                    let text = format!("cannot create INSTEAD OF trigger on table: {table_name}");
                    return Err(Error::invalid(text).at_offset(offset));
                }
                table.name.clone()
            }
            (None, Some(view)) => {
                let time = match create.time {
                    TriggerTime::InsteadOf => None,
                    TriggerTime::Before => Some("BEFORE"),
                    TriggerTime::After => Some("AFTER"),
                };
                if let Some(time) = time {
                    let text = format!("cannot create {time} trigger on view: {table_name}");
                    return Err(Error::invalid(text).at_offset(offset));
                }
                view.name.clone()
            }
            (None, None) => {
                let schema = if temporary { "temp" } else { "main" };
                return Err(no_such_table(&format!("{schema}.{table_name}")).at_offset(offset));
            }
        };
        let name = self.name(create.name.name);
        self.check_reserved(create.name.name)?;
        if catalog.triggers.contains_key(&lower(&name)) {
            if create.if_not_exists {
                return Ok(false);
            }
            let text = format!("trigger {name} already exists");
            return Err(Error::invalid(text).at_offset(self.offset(create.name.name)));
        }
        self.check_body(create)?;
        let sql = self.stored_text("CREATE TRIGGER", create.name.name);
        self.add_object(Self::object(ObjectKind::Trigger, &name, &shown, sql), temporary)?;
        Ok(true)
    }

    /// Fails where a trigger's statements name a table with its schema, which would not survive a rename.
    fn check_body(&self, create: &CreateTrigger) -> Result<()> {
        let qualified = |name: &QualifiedName| name.schema.is_some();
        let bad = |statement: &Statement| match statement {
            Statement::Insert(insert) => qualified(&insert.table),
            Statement::Update(update) => qualified(&update.table),
            Statement::Delete(delete) => qualified(&delete.table),
            _ => false,
        };
        if self.parsed.ast.list(create.body).iter().any(bad) {
            return Err(Error::invalid(
                "qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within triggers",
            ));
        }
        Ok(())
    }
}
