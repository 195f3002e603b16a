//! The bound triggers of every table that a statement may change, directly or through other triggers.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::Result;

use super::plan::{Event, Program};
use crate::catalog::load::lower;
use crate::catalog::schema::Table;
use crate::parse::ast::TriggerTime;
use crate::value::Text;

/// A trigger: when it fires, and its program, or why that could not be bound.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) name: Text,
    pub(crate) time: TriggerTime,
    pub(crate) event: Event,
    pub(crate) program: Result<Arc<Program>>,
}

/// By table, the triggers in the order in which they fire.
#[derive(Debug, Default)]
pub struct Programs {
    pub(crate) of_table: BTreeMap<(bool, Text), Vec<Candidate>>,
}

/// What tells a table from all others: whether it is temporary, and its lower-case name.
pub(crate) fn table_key(table: &Table) -> (bool, Text) {
    (table.temporary, lower(&table.name))
}

impl Programs {
    /// The triggers of a table.
    pub(crate) fn of(&self, table: &Table) -> &[Candidate] {
        if self.of_table.is_empty() {
            return &[];
        }
        self.of_table.get(&table_key(table)).map_or(&[], Vec::as_slice)
    }
}
