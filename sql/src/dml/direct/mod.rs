//! The direct way of changes that touch nothing but their rows: no operators for one row, no stack of tasks, no copies of rows.
//!
//! It is tried first, and does only what is plain: rows that fulfil every constraint, of a table without triggers, that no
//! foreign key follows. As soon as anything else turns up it steps back: what it has written is undone, and the statement
//! goes the general way ([`Machine::run`]) from its beginning, which knows what to do and how to say it. So the two ways need
//! not agree on errors, conflicts or their order, but only on what becomes of rows that meet none.
//!
//! ```text
//! mod.rs      which statements, and the steps back     row.rs      rows and their keys, what is seen of one row alone
//! insert.rs   INSERT with ON CONFLICT                  update.rs   UPDATE and DELETE
//! patch.rs    changes of a row in its place
//! ```

mod insert;
mod patch;
mod row;
mod update;

use std::sync::Arc;

use dosql_base::{ErrorKind, Result};

pub(crate) use row::Scratch;

use super::machine::Machine;
use patch::Patch;

use super::plan::{Change, DeletePlan, InsertPlan};
use super::programs::Programs;
use crate::catalog::schema::{Catalog, IndexKey, Table};
use crate::exec::point;
use crate::parse::ast::ConflictAction;
use crate::plan::{Expr, Node, Query};
use crate::storage::Storage;
use crate::value::Value;

/// How a statement can go the direct way; made with its plan.
#[derive(Clone, Debug)]
pub(crate) enum Direct {
    /// INSERT of one row of constants and parameters, and how its DO UPDATE can be done in place.
    Insert(Vec<Expr>, Option<Patch>),
    /// INSERT of the rows of a query.
    InsertAll,
    /// UPDATE of the row of one key; the query gives the values to set.
    UpdateRow(Arc<Query>, Option<Patch>),
    /// UPDATE of the rows of a query.
    UpdateAll,
    /// DELETE of the row of one key.
    DeleteRow(Arc<Query>),
    /// DELETE of the rows of a query, of which only these columns are read.
    DeleteAll { source: Arc<Query>, columns: Vec<usize> },
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Written,
    /// There is nothing to change.
    Nothing,
    /// It takes the general way.
    StepBack,
}

impl Direct {
    /// How a change goes the direct way; `None` where it can't.
    pub(crate) fn of(change: &Change, programs: &Programs, catalog: &Catalog) -> Option<Direct> {
        let table = change.table()?;
        let plain = table.generated.is_empty()
            && !table.made_up
            && programs.of(table).is_empty()
            && change.returning().is_none();
        if !plain {
            return None;
        }
        match change {
            Change::Insert(plan) => Direct::of_insert(plan),
            Change::Update(plan) if plan.view || plan.joined.is_some() => None,
            Change::Update(_) if catalog.has_children(&table.name) => None,
            Change::Update(plan) if point::is_row_of(&plan.source, table) => {
                let source = without_row(&plan.source, table);
                let patch = Patch::of_update(table, &source, &plan.sets);
                Some(Direct::UpdateRow(source, patch))
            }
            Change::Update(plan) => is_usual(plan.or).then_some(Direct::UpdateAll),
            Change::Delete(plan) if plan.view || catalog.has_children(&table.name) => None,
            Change::Delete(plan) if point::is_row_of(&plan.source, table) => {
                Some(Direct::DeleteRow(without_row(&plan.source, table)))
            }
            Change::Delete(plan) => Some(Direct::of_delete(plan)),
            Change::Select(_) => None,
        }
    }

    fn of_insert(plan: &InsertPlan) -> Option<Direct> {
        if plan.view || plan.table.autoincrement {
            return None;
        }
        let values = match &plan.source {
            Some(source) => single_row(source),
            None => Some(Vec::new()),
        };
        let is_plain = |expr: &Expr| matches!(expr, Expr::Literal(_) | Expr::Parameter(_));
        match values {
            Some(values) if values.iter().all(is_plain) => {
                let update = plan.upserts.first().and_then(|upsert| upsert.update.as_ref());
                let patch = update.and_then(|update| Patch::of_upsert(&plan.table, update));
                Some(Direct::Insert(values, patch))
            }
            // Of many rows one that is in the way would undo the work on all before it.
            _ => (is_usual(plan.or) && plan.upserts.is_empty()).then_some(Direct::InsertAll),
        }
    }

    fn of_delete(plan: &DeletePlan) -> Direct {
        let columns = columns_of_keys(&plan.table);
        let mut source = Query::clone(&plan.source);
        let wanted = columns.iter().map(|column| match *column {
            column if column == plan.table.columns.len() => 0,
            column => column + 1,
        });
        source.outputs = wanted.clone().filter_map(|at| plan.source.outputs.get(at).cloned()).collect();
        source.columns = wanted.filter_map(|at| plan.source.columns.get(at).cloned()).collect();
        source.prune();
        Direct::DeleteAll { source: Arc::new(source), columns }
    }
}

/// A source of rows to change without the outputs that are the row itself, and without what only they need.
fn without_row(source: &Query, table: &Table) -> Arc<Query> {
    let mut source = Query::clone(source);
    let row = (table.columns.len() + 1).min(source.outputs.len());
    source.outputs.drain(..row);
    source.columns.drain(..row.min(source.columns.len()));
    source.prune();
    Arc::new(source)
}

/// Whether a conflict ends the statement.
fn is_usual(or: Option<ConflictAction>) -> bool {
    matches!(or, None | Some(ConflictAction::Abort | ConflictAction::Rollback | ConflictAction::Fail))
}

/// The expressions of a query that gives just one row, of no table.
fn single_row(query: &Query) -> Option<Vec<Expr>> {
    match &query.root {
        Node::OneRow => Some(query.outputs.clone()),
        Node::Values { rows, registers } => match rows.as_slice() {
            [row] => query
                .outputs
                .iter()
                .map(|output| match output {
                    Expr::Register(register) => {
                        let at = registers.iter().position(|known| known == register)?;
                        row.get(at).cloned()
                    }
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

/// The columns that the keys of a row and of its index entries are made of; the rowid counts as the one after the last.
fn columns_of_keys(table: &Table) -> Vec<usize> {
    let mut columns = Vec::new();
    let mut add = |key: &IndexKey| match key {
        IndexKey::Column(column) => columns.push(*column),
        IndexKey::Rowid => columns.push(table.columns.len()),
        IndexKey::Expr(_) => columns.extend(0..=table.columns.len()),
    };
    if !table.without_rowid {
        add(&IndexKey::Rowid);
    }
    table.primary_key.iter().for_each(|part| add(&part.key));
    for index in &table.indexes {
        index.columns.iter().for_each(|part| add(&part.key));
        if index.filter.is_some() {
            add(&IndexKey::Expr(Arc::new(Expr::Literal(Value::Null))));
        }
    }
    columns.sort_unstable();
    columns.dedup();
    if table.without_rowid {
        columns.retain(|column| *column != table.columns.len());
    }
    columns
}

impl<S: Storage> Machine<'_, S> {
    /// Tries the direct way; false where the statement has to take the general one, and nothing has changed.
    pub(crate) fn run_direct(
        &mut self,
        change: &Change,
        direct: &Direct,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let several = match (direct, change.table()) {
            (Direct::InsertAll | Direct::UpdateAll | Direct::DeleteAll { .. }, _) => true,
            (Direct::UpdateRow(_, Some(patch)), _) => patch.moves_entries,
            (_, Some(table)) => !table.indexes.is_empty(),
            (_, None) => false,
        };
        // A single write that fails leaves nothing to undo.
        let mark = if several { Some(self.storage.savepoint()?) } else { None };
        let before = self.counters;
        let changed = self.change_rows(change, direct, scratch);
        if let Some(mark) = mark {
            if !matches!(changed, Ok(Some(_))) {
                self.storage.rollback_to(mark)?;
            }
            self.storage.release(mark)?;
        }
        match changed {
            Ok(Some(changed)) => {
                self.counters.changes = changed;
                self.counters.total_changes += changed;
                Ok(true)
            }
            Ok(None) => {
                self.counters = before;
                Ok(false)
            }
            // Whatever can't be computed, the general way finds out at the right row.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.counters = before;
                Ok(false)
            }
            Err(error) => {
                self.counters = before;
                Err(error)
            }
        }
    }

    /// Changes the rows and returns how many; `None` to step back.
    fn change_rows(
        &mut self,
        change: &Change,
        direct: &Direct,
        scratch: &mut Scratch,
    ) -> Result<Option<i64>> {
        let count = |done| match done {
            Done::Written => Some(1),
            Done::Nothing => Some(0),
            Done::StepBack => None,
        };
        match (change, direct) {
            (Change::Insert(plan), Direct::Insert(values, patch)) => {
                let done = self.insert_values(plan, values, patch.as_ref(), scratch)?;
                Ok(count(done))
            }
            (Change::Insert(plan), Direct::InsertAll) => self.insert_all(plan, scratch),
            (Change::Update(plan), Direct::UpdateRow(source, patch)) => {
                let done = self.update_row(plan, source, patch.as_ref(), scratch)?;
                Ok(count(done))
            }
            (Change::Update(plan), Direct::UpdateAll) => self.update_all(plan, scratch),
            (Change::Delete(plan), Direct::DeleteRow(source)) => {
                let done = self.delete_one(&plan.table, source, scratch)?;
                Ok(count(done))
            }
            (Change::Delete(plan), Direct::DeleteAll { source, columns }) => {
                self.delete_all(&plan.table, source, columns, scratch)
            }
            _ => Ok(None),
        }
    }
}
