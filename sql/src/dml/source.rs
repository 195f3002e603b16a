//! The first half of a change: runs its source to the end and keeps the rows, so that what it writes can't disturb what
//! it reads; then hands out one row after the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::{Error, Result};

use super::machine::{ChangeTask, Machine, Task};
use super::op::{Kind, RowOp};
use super::plan::{Change, Input, InsertPlan, Joined, Row, SetTarget, UpdatePlan};
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::codec::encode_key;
use crate::exec::{Batch, QueryRun, StatementState};
use crate::parse::ast::ConflictAction;
use crate::plan::{Expr, Query};
use crate::storage::Storage;
use crate::value::{Collation, Value, ValueRef, to_integer};

/// A change under way: its gathered rows.
pub(crate) struct RowsTask {
    change: Change,
    rows: std::vec::IntoIter<Vec<Value>>,
    or: Option<ConflictAction>,
    outer: Arc<Vec<Value>>,
    depth: u32,
    /// The data may have changed since the rows were gathered.
    stale: bool,
}

impl<S: Storage> Machine<'_, S> {
    /// All rows of a query.
    pub(crate) fn gather(&mut self, query: &Arc<Query>, outer: &[Value]) -> Result<Vec<Vec<Value>>> {
        let width = query.outputs.len();
        let limit = self.around.limits.memory;
        let mut rows = Vec::new();
        let mut bytes = 0usize;
        self.each_batch(query, outer, |_, batch| {
            for row in 0..batch.len() {
                let values: Vec<Value> =
                    (0..width).map(|column| batch.value(row, column).to_value()).collect();
                bytes += size_of::<Value>() * width + values.iter().map(Value::heap_size).sum::<usize>();
                rows.push(values);
            }
            if bytes > limit { Err(too_many(limit)) } else { Ok(()) }
        })?;
        Ok(rows)
    }

    /// Runs a query and shows its rows to `take`, a batch at a time.
    pub(crate) fn each_batch(
        &mut self,
        query: &Arc<Query>,
        outer: &[Value],
        mut take: impl FnMut(&mut Self, &Batch) -> Result<()>,
    ) -> Result<()> {
        let mut run = QueryRun::new(Arc::clone(query), outer.to_vec());
        let mut state = StatementState::new();
        while self.with_context(&mut state, |context| Ok(run.next(context)?.is_some()))? {
            take(self, run.results())?;
        }
        Ok(())
    }

    pub(super) fn start_change(&mut self, task: ChangeTask) -> Result<()> {
        Self::check_depth(task.depth)?;
        let ChangeTask { change, outer, or, depth } = task;
        let rows = match &change {
            Change::Select(query) => {
                self.gather(query, &outer)?;
                return Ok(());
            }
            Change::Insert(plan) => match &plan.source {
                Some(source) => self.gather(source, &outer)?,
                None => vec![Vec::new()],
            },
            Change::Update(plan) => {
                let mut rows = self.gather(&plan.source, &outer)?;
                if let Some(joined) = &plan.joined {
                    self.join_rows(&plan.table, joined, &outer, &mut rows)?;
                }
                rows
            }
            Change::Delete(plan) => self.gather(&plan.source, &outer)?,
        };
        let or = or.or(match &change {
            Change::Insert(plan) => plan.or,
            Change::Update(plan) => plan.or,
            Change::Delete(_) | Change::Select(_) => None,
        });
        self.changed.push(0);
        let rows = rows.into_iter();
        self.tasks.push(Task::Rows(Box::new(RowsTask { change, rows, or, outer, depth, stale: false })));
        Ok(())
    }

    pub(super) fn next_row(&mut self, mut task: Box<RowsTask>) -> Result<()> {
        let Some(row) = task.rows.next() else {
            self.counters.changes = self.changed.pop().unwrap_or_default();
            self.counters.total_changes += self.counters.changes;
            return Ok(());
        };
        let mut op = match &task.change {
            Change::Insert(plan) => {
                let (new, rowid_given) = self.inserted_row(plan, &row)?;
                let mut op = RowOp::new(Kind::Insert, &plan.table);
                op.new = new;
                op.rowid_given = rowid_given;
                op.view = plan.view;
                op.insert = (!plan.upserts.is_empty()).then(|| (Arc::clone(plan), Arc::clone(&task.outer)));
                op
            }
            Change::Update(plan) => {
                let (old, sets) = updated_row(plan, row);
                let mut op = RowOp::new(Kind::Update, &plan.table);
                layout::put_row_id(&mut op.old_id, &plan.table, &old, rowid_of(&plan.table, &old));
                op.old = old;
                op.sets = sets;
                op.view = plan.view;
                op
            }
            Change::Delete(plan) => {
                let mut op = RowOp::new(Kind::Delete, &plan.table);
                op.old = stored_row(&plan.table, row).0;
                layout::put_row_id(&mut op.old_id, &plan.table, &op.old, rowid_of(&plan.table, &op.old));
                op.view = plan.view;
                op
            }
            Change::Select(_) => return Ok(()),
        };
        op.or = task.or;
        op.returning = if task.depth == 0 { task.change.returning().cloned() } else { None };
        op.counted = true;
        op.depth = task.depth;
        op.level = self.changed.len();
        op.refetch = task.stale && !op.view;
        // Whatever this row sets off may change rows that were gathered.
        task.stale = task.stale || self.may_disturb(&op.table, op.or);
        self.tasks.push(Task::Rows(task));
        self.advance(Box::new(op))
    }

    /// Leaves one of the rows that change the same row of the table: the last, or the first of a limited number.
    fn join_rows(
        &mut self,
        table: &Table,
        joined: &Joined,
        outer: &[Value],
        rows: &mut Vec<Vec<Value>>,
    ) -> Result<()> {
        let mut seen = BTreeSet::new();
        if joined.limit.is_none() && joined.offset.is_none() {
            // Each row of a view goes to its triggers.
            if table.made_up {
                return Ok(());
            }
            rows.reverse();
            rows.retain(|row| seen.insert(row_key(table, row)));
            rows.reverse();
            return Ok(());
        }
        rows.retain(|row| seen.insert(row_key(table, row)));
        let mut number = |expr: &Option<Expr>| match expr {
            Some(expr) => Ok(to_integer(self.evaluate(expr, &[], outer)?.as_ref())),
            None => Ok(0),
        };
        let (limit, offset) = (number(&joined.limit)?, number(&joined.offset)?);
        let skipped = usize::try_from(offset).unwrap_or(0).min(rows.len());
        rows.drain(..skipped);
        if let Ok(limit) = usize::try_from(limit) {
            rows.truncate(limit);
        }
        Ok(())
    }

    /// Whether changing one row of a table can change others.
    fn may_disturb(&self, table: &Table, or: Option<ConflictAction>) -> bool {
        let replaces = |conflict: Option<ConflictAction>| conflict == Some(ConflictAction::Replace);
        replaces(or)
            || replaces(table.primary_key_conflict)
            || table.indexes.iter().any(|index| replaces(index.conflict))
            || !self.programs.of(table).is_empty()
            || (self.settings.foreign_keys && self.catalog.has_children(&table.name))
    }

    /// The row to insert, its missing columns filled with their defaults, and whether its rowid is given.
    fn inserted_row(&mut self, plan: &InsertPlan, source: &[Value]) -> Result<(Row, bool)> {
        let table = &plan.table;
        let mut row = Vec::with_capacity(table.columns.len() + 1);
        for (column, input) in table.columns.iter().zip(&plan.inputs) {
            row.push(match (input, &column.default) {
                (Input::Source(n), _) => source.get(*n).cloned().unwrap_or_default(),
                (Input::Default, Some(default)) => {
                    let expr = Arc::clone(&default.expr);
                    self.evaluate(&expr, &[], &[])?
                }
                (Input::Default | Input::Generated, _) => Value::Null,
            });
        }
        let rowid = plan.rowid.and_then(|n| source.get(n)).cloned().unwrap_or_default();
        let given = !rowid.is_null();
        row.push(rowid);
        Ok((row, given))
    }
}

/// The error of a statement whose rows do not fit its limit of memory.
pub(crate) fn too_many(limit: usize) -> Error {
    Error::limit(format!(
        "the statement changes more rows than fit {limit} bytes of memory: change fewer at a time"
    ))
}

/// The row that a source of an UPDATE or DELETE gives (rowid, columns, further values) with the rowid at its end, and
/// the further values.
fn stored_row(table: &Table, mut source: Vec<Value>) -> (Row, Vec<Value>) {
    let rest = source.split_off((table.columns.len() + 1).min(source.len()));
    if !source.is_empty() {
        source.rotate_left(1);
    }
    (source, rest)
}

fn updated_row(plan: &UpdatePlan, source: Vec<Value>) -> (Row, Vec<(SetTarget, Value)>) {
    let (old, values) = stored_row(&plan.table, source);
    let sets = plan.sets.iter().zip(values).filter_map(|(target, value)| Some(((*target)?, value))).collect();
    (old, sets)
}

/// What tells the rows of a table apart in the rows of a source.
fn row_key(table: &Table, row: &[Value]) -> Vec<u8> {
    let width = table.columns.len() + 1;
    let key: Vec<usize> = match (table.without_rowid, table.made_up) {
        // The rows of a view are told apart by all their columns.
        (_, true) => (1..width).collect(),
        (true, false) => crate::dml::parent::primary_key_columns(table).iter().map(|c| c + 1).collect(),
        (false, false) => vec![0],
    };
    let mut bytes = Vec::new();
    for column in key {
        let value = row.get(column).map_or(ValueRef::Null, Value::as_ref);
        encode_key(&mut bytes, value, Collation::Binary, false);
    }
    bytes
}

/// The rowid at the end of a row; 0 WITHOUT ROWID.
pub(crate) fn rowid_of(table: &Table, row: &(impl Cells + ?Sized)) -> i64 {
    match row.cell(table.columns.len()) {
        ValueRef::Integer(rowid) => rowid,
        _ => 0,
    }
}
