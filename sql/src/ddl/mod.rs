//! CREATE, ALTER, DROP, REINDEX and ANALYZE: changes of the catalog's rows, and of the data that belongs to them.
//!
//! ```text
//! names.rs          which names are taken, where an object goes, its stored text
//! create_table.rs   CREATE TABLE                create_index.rs   CREATE INDEX, REINDEX
//! create_other.rs   CREATE VIEW, TRIGGER        drop.rs           DROP
//! alter/            ALTER TABLE                 analyze.rs        ANALYZE
//! restore.rs        RESTORE TABLE, DATABASE
//! ```

mod alter;
mod analyze;
mod create_index;
mod create_other;
mod create_table;
mod drop;
mod names;
pub(crate) mod restore;

use std::sync::Arc;

use dosql_base::{Error, Result};

use crate::bind::BindContext;
use crate::dml::machine::Machine;
use crate::parse::ast::{Parsed, Statement};
use crate::plan::Query;
use crate::storage::Storage;

/// Whether a statement changes the schema.
#[must_use]
pub fn is_schema_change(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateTable(_)
            | Statement::CreateIndex(_)
            | Statement::CreateView(_)
            | Statement::CreateTrigger(_)
            | Statement::AlterTable { .. }
            | Statement::Drop { .. }
            | Statement::Reindex(_)
            | Statement::Analyze(_)
    )
}

/// What a schema change works with.
pub(crate) struct Ddl<'m, 'a, 'b, S: Storage> {
    pub(crate) machine: &'m mut Machine<'a, S>,
    pub(crate) cx: &'m BindContext<'b>,
    pub(crate) parsed: &'m Parsed,
    /// The query of CREATE TABLE AS.
    pub(crate) select: Option<&'m Arc<Query>>,
}

impl<S: Storage> Ddl<'_, '_, '_, S> {
    /// Carries out the statement. True where the schema changed.
    pub(crate) fn execute(&mut self) -> Result<bool> {
        let parsed = self.parsed;
        match &parsed.statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::CreateView(create) => self.create_view(create),
            Statement::CreateTrigger(create) => self.create_trigger(create),
            Statement::Drop { object, if_exists, name } => self.drop(*object, *if_exists, name),
            Statement::Reindex(name) => self.reindex(name.as_ref()),
            Statement::AlterTable { table, action } => self.alter_table(table, action),
            Statement::Analyze(name) => self.analyze(name.as_ref()),
            _ => Err(Error::invalid("this statement does not change the schema")),
        }
    }
}
