//! CREATE INDEX and REINDEX.

use std::sync::Arc;

use dosql_base::{Code, Error, Result};

use super::Ddl;
use super::create_table::no_such_table;
use crate::catalog::build::build_index;
use crate::catalog::made_up::old_name;
use crate::catalog::schema::{Index, Table};
use crate::catalog::store::{Object, ObjectKind};
use crate::parse::ast::{CreateIndex, QualifiedName, Statement};
use crate::parse::parse_one;
use crate::storage::Storage;
use crate::value::Collation;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<bool> {
        self.check_schema(&create.name)?;
        let (name, table_name) = (self.name(create.name.name), self.name(create.table));
        let catalog = self.machine.catalog;
        let offset = self.offset(create.table);
        let schema = create.name.schema.map(|schema| self.name(schema));
        let Some(table) = catalog.table_in(schema.as_deref(), &table_name).cloned() else {
            if catalog.view(&table_name).is_some() {
                return Err(Error::invalid("views may not be indexed").at_offset(offset));
            }
            return Err(no_such_table(&format!("main.{table_name}")).at_offset(offset));
        };
        self.check_reserved(create.name.name)?;
        if table.made_up || table.name.starts_with("sqlite_") {
            return Err(Error::invalid(format!("table {} may not be indexed", old_name(&table.name)))
                .at_offset(offset));
        }
        if catalog.indexes.contains_key(&crate::catalog::load::lower(&name)) {
            if create.if_not_exists {
                return Ok(false);
            }
            let text = format!("index {name} already exists");
            return Err(Error::invalid(text).at_offset(self.offset(create.name.name)));
        }
        if catalog.table(&name).is_some() || catalog.view(&name).is_some() {
            let text = format!("there is already a table named {name}");
            return Err(Error::invalid(text).at_offset(self.offset(create.name.name)));
        }
        let start = if create.unique { "CREATE UNIQUE INDEX" } else { "CREATE INDEX" };
        let sql = self.stored_text(start, create.name.name);
        let mut object = Self::object(ObjectKind::Index, &name, &table.name, sql);
        // Bound as it stands, so that errors point into the statement.
        let as_written = Object { sql: self.cx.sql.into(), ..object.clone() };
        build_index(&table, &as_written, self.parsed, create)?;
        object.space = self.new_space(table.temporary)?;
        let index = stored_index(&table, &object)?;
        self.add_object(object, table.temporary)?;
        self.build(&table, &index)?;
        Ok(true)
    }

    /// Writes the entries of all rows of a table into an index that is empty.
    pub(super) fn build(&mut self, table: &Arc<Table>, index: &Index) -> Result<()> {
        let limit = self.machine.around.limits.memory;
        let mut entries = self.machine.all_entries(table, index, limit)?;
        entries.sort();
        if index.unique && entries.has_twins() {
            let message = crate::dml::constraints::unique_index_message(table, index);
            return Err(Error::constraint(Code::ConstraintUnique, message));
        }
        for key in entries.keys() {
            self.machine.storage.put(key, &[])?;
        }
        Ok(())
    }

    /// Builds indexes anew: of a collation, a table, one index, or all.
    pub(super) fn reindex(&mut self, name: Option<&QualifiedName>) -> Result<bool> {
        let catalog = self.machine.catalog;
        let text = name.map(|name| self.name(name.name));
        let collation = text.as_ref().and_then(|text| Collation::by_name(text));
        let mut found = text.is_none() || collation.is_some();
        for table in catalog.tables.values().filter(|table| !table.made_up) {
            for index in &table.indexes {
                let wanted = match (&text, collation) {
                    (None, _) => true,
                    (_, Some(collation)) => index.columns.iter().any(|part| part.collation == collation),
                    (Some(text), None) => {
                        index.name.eq_ignore_ascii_case(text) || table.name.eq_ignore_ascii_case(text)
                    }
                };
                if wanted {
                    found = true;
                    self.machine.clear_space(index.space)?;
                    self.build(table, index)?;
                }
            }
            found |= text.as_ref().is_some_and(|text| table.name.eq_ignore_ascii_case(text));
        }
        if found { Ok(false) } else { Err(Error::invalid("unable to identify the object to be reindexed")) }
    }
}

/// The index that a stored CREATE INDEX makes.
pub(super) fn stored_index(table: &Arc<Table>, object: &Object) -> Result<Index> {
    let parsed = parse_one(&object.sql)?;
    match &parsed.statement {
        Statement::CreateIndex(create) => build_index(table, object, &parsed, create),
        _ => Err(Error::corrupt("an index's stored SQL is another statement", "catalog")),
    }
}
