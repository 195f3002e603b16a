//! The change of one row, step by step: BEFORE triggers, checks, the write with its foreign-key actions, AFTER triggers.

use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result};

use super::constraints::Verdict;
use super::machine::{Machine, ProgramTask, Task};
use super::plan::{Event, InsertPlan, Returning, Row, SetTarget, UpsertSet};
use super::source::rowid_of;
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::parse::ast::{ConflictAction, TriggerTime};
use crate::storage::{Point, Storage};
use crate::value::Value;

/// What happens to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Update,
    Delete,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    /// BEFORE triggers have run.
    Check,
    /// The row is written and what follows from its foreign keys is done.
    After,
    /// AFTER triggers have run.
    Done,
}

pub(crate) struct RowOp {
    pub(crate) table: Arc<Table>,
    pub(crate) kind: Kind,
    stage: Stage,
    /// The row there is (update, delete), and its row id.
    pub(crate) old: Row,
    pub(crate) old_id: Vec<u8>,
    /// The row there will be (insert, update).
    pub(crate) new: Row,
    pub(crate) sets: Vec<(SetTarget, Value)>,
    /// ON CONFLICT of the statement.
    pub(crate) or: Option<ConflictAction>,
    /// An INSERT's ON CONFLICT clauses, and the arguments they read.
    pub(crate) insert: Option<(Arc<InsertPlan>, Arc<Vec<Value>>)>,
    pub(crate) returning: Option<Arc<Returning>>,
    /// The row counts in `changes()`.
    pub(crate) counted: bool,
    /// An action of a foreign key: `total_changes()` counts it, `changes()` does not.
    pub(crate) by_foreign_key: bool,
    /// Triggers see it.
    pub(crate) fires: bool,
    pub(crate) view: bool,
    pub(crate) rowid_given: bool,
    /// `old` may be out of date.
    pub(crate) refetch: bool,
    pub(crate) depth: u32,
    /// Rows in its way were removed already.
    pub(crate) replaced: bool,
    /// How many statements were under way.
    pub(crate) level: usize,
}

impl RowOp {
    pub(crate) fn new(kind: Kind, table: &Arc<Table>) -> RowOp {
        RowOp {
            table: Arc::clone(table),
            kind,
            stage: Stage::Begin,
            old: Row::new(),
            old_id: Vec::new(),
            new: Row::new(),
            sets: Vec::new(),
            or: None,
            insert: None,
            returning: None,
            counted: false,
            by_foreign_key: false,
            fires: true,
            view: false,
            rowid_given: false,
            refetch: false,
            depth: 0,
            replaced: false,
            level: 0,
        }
    }

    /// The columns that an UPDATE sets.
    pub(crate) fn sets_column(&self, position: usize) -> bool {
        let alias = self.table.rowid_alias;
        self.sets.iter().any(|(target, _)| match target {
            SetTarget::Column(column) => *column == position,
            SetTarget::Rowid => alias == Some(position),
        })
    }
}

impl<S: Storage> Machine<'_, S> {
    /// Takes the change of a row as far as it can go at once.
    pub(super) fn advance(&mut self, mut op: Box<RowOp>) -> Result<()> {
        match op.stage {
            Stage::Begin => {
                if !self.prepare_row(&mut op)? {
                    return Ok(());
                }
                op.stage = Stage::Check;
                let time = if op.view { TriggerTime::InsteadOf } else { TriggerTime::Before };
                let fired = self.programs_for(&op, time)?;
                if op.view {
                    op.stage = Stage::Done;
                    self.note_returned(&op)?;
                }
                if fired.is_empty() {
                    return if op.view { Ok(()) } else { self.check_and_write(op) };
                }
                op.refetch = true;
                self.fire(op, fired);
                Ok(())
            }
            Stage::Check => {
                if op.refetch && op.kind != Kind::Insert && !self.prepare_row(&mut op)? {
                    return Ok(());
                }
                self.check_and_write(op)
            }
            Stage::After => {
                op.stage = Stage::Done;
                let fired = self.programs_for(&op, TriggerTime::After)?;
                if !fired.is_empty() {
                    self.fire(op, fired);
                }
                Ok(())
            }
            Stage::Done => Ok(()),
        }
    }

    /// Makes the rows before and after the change; false where the row is gone.
    fn prepare_row(&mut self, op: &mut RowOp) -> Result<bool> {
        if op.kind == Kind::Insert {
            if !op.view {
                let mut new = std::mem::take(&mut op.new);
                self.settle_row(&op.table, &mut new, !op.rowid_given)?;
                op.new = new;
            }
            return Ok(true);
        }
        if op.refetch {
            match self.fetch(&op.table, &op.old_id)? {
                Some(row) => op.old = row,
                None => return Ok(false),
            }
        }
        if op.kind == Kind::Update {
            let columns = op.table.columns.len();
            let mut new = op.old.clone();
            for (target, value) in &op.sets {
                let position = match *target {
                    SetTarget::Column(position) if op.table.rowid_alias == Some(position) => columns,
                    SetTarget::Column(position) => position,
                    SetTarget::Rowid => columns,
                };
                if let Some(slot) = new.get_mut(position) {
                    *slot = value.clone();
                }
            }
            if let Some(alias) = op.table.rowid_alias
                && !op.view
            {
                new[alias] = new[columns].clone();
            }
            if !op.view {
                self.settle_row(&op.table, &mut new, false)?;
            }
            op.new = new;
        }
        Ok(true)
    }

    /// Reads a row, its virtual columns computed.
    pub(crate) fn fetch(&mut self, table: &Arc<Table>, row_id: &[u8]) -> Result<Option<Row>> {
        let mut key = Vec::with_capacity(row_id.len() + 5);
        layout::put_row_key(&mut key, table.space, row_id);
        let found = self.storage.get(Point::Live, &key, |value| layout::read_row(table, row_id, value))?;
        let Some(found) = found else { return Ok(None) };
        let (mut row, rowid) = found?;
        row.push(if table.without_rowid { Value::Null } else { Value::Integer(rowid) });
        self.compute_generated(table, &mut row, true)?;
        Ok(Some(row))
    }

    fn check_and_write(&mut self, mut op: Box<RowOp>) -> Result<()> {
        op.stage = Stage::Check;
        if op.kind == Kind::Delete {
            return self.delete_row(op);
        }
        match self.check_row(&mut op)? {
            Verdict::Write(entries) => {
                if op.kind == Kind::Insert {
                    self.insert_entries(&op, &entries)?;
                } else {
                    self.update_entries(&op, &entries)?;
                }
                self.written(op)
            }
            Verdict::Skip => Ok(()),
            Verdict::Replace(victims) => {
                let (table, depth, level) = (Arc::clone(&op.table), op.depth, op.level);
                op.replaced = true;
                self.tasks.push(Task::Op(op));
                for row_id in victims {
                    let mut victim = RowOp::new(Kind::Delete, &table);
                    victim.old_id = row_id;
                    victim.refetch = true;
                    victim.fires = self.settings.recursive_triggers;
                    victim.depth = depth;
                    victim.level = level;
                    self.tasks.push(Task::Op(Box::new(victim)));
                }
                Ok(())
            }
            Verdict::Upsert { clause, row_id } => self.upsert(&op, clause, row_id),
        }
    }

    fn delete_row(&mut self, mut op: Box<RowOp>) -> Result<()> {
        if op.refetch {
            match self.fetch(&op.table, &op.old_id)? {
                Some(row) => op.old = row,
                None => return Ok(()),
            }
        }
        self.delete_entries(&op)?;
        self.written(op)
    }

    /// Counts a written row, and goes on with its foreign keys and its AFTER triggers.
    fn written(&mut self, mut op: Box<RowOp>) -> Result<()> {
        if op.kind == Kind::Insert && !op.table.without_rowid {
            self.counters.last_insert_rowid = rowid_of(&op.table, &op.new);
        }
        if op.counted
            && let Some(changed) = self.changed.last_mut()
        {
            *changed += 1;
        }
        if op.by_foreign_key {
            self.counters.total_changes += 1;
        }
        self.note_returned(&op)?;
        op.stage = Stage::After;
        if !self.settings.foreign_keys {
            return self.advance(op);
        }
        self.check_child(&op)?;
        let actions = self.parent_actions(&op)?;
        if actions.is_empty() {
            return self.advance(op);
        }
        self.tasks.push(Task::Op(op));
        self.tasks.extend(actions);
        Ok(())
    }

    /// Evaluates RETURNING over the changed row.
    fn note_returned(&mut self, op: &RowOp) -> Result<()> {
        let Some(returning) = op.returning.clone() else { return Ok(()) };
        let row = if op.kind == Kind::Delete { &op.old } else { &op.new };
        let mut values = Vec::with_capacity(returning.exprs.len());
        for expr in &returning.exprs {
            values.push(self.evaluate(expr, row, &[])?);
        }
        self.returned.push(values);
        Ok(())
    }

    fn upsert(&mut self, op: &RowOp, clause: usize, row_id: Vec<u8>) -> Result<()> {
        let Some((plan, outer)) = op.insert.clone() else { return Ok(()) };
        let Some(UpsertSet { sets, filter }) = plan.upserts.get(clause).and_then(|c| c.update.as_ref())
        else {
            return Ok(());
        };
        let Some(old) = self.fetch(&op.table, &row_id)? else { return Ok(()) };
        let mut both = old.clone();
        both.extend(op.new.iter().cloned());
        if let Some(filter) = filter
            && self.truth(filter, &both, &outer)? != Some(true)
        {
            return Ok(());
        }
        let mut update = RowOp::new(Kind::Update, &op.table);
        for (target, expr) in sets {
            update.sets.push((*target, self.evaluate(expr, &both, &outer)?));
        }
        update.old = old;
        update.old_id = row_id;
        // Whatever the INSERT says, its UPDATE aborts on a conflict, and so do the triggers that it fires.
        update.or = Some(ConflictAction::Abort);
        update.returning = op.returning.clone();
        update.counted = op.counted;
        update.depth = op.depth;
        update.level = op.level;
        self.advance(Box::new(update))
    }

    /// The triggers that this change sets off now.
    fn programs_for(&mut self, op: &RowOp, time: TriggerTime) -> Result<Vec<ProgramTask>> {
        if !op.fires {
            return Ok(Vec::new());
        }
        let programs = self.programs;
        let candidates = programs.of(&op.table);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments = None;
        let mut fired = Vec::new();
        for candidate in candidates {
            let wanted = candidate.time == time
                && match (&candidate.event, op.kind) {
                    (Event::Insert, Kind::Insert) | (Event::Delete, Kind::Delete) => true,
                    (Event::Update(columns), Kind::Update) => {
                        columns.is_empty() || columns.iter().any(|column| op.sets_column(*column))
                    }
                    _ => false,
                };
            if !wanted || (!self.settings.recursive_triggers && self.is_running(&candidate.name)) {
                continue;
            }
            let program = candidate.program.clone()?;
            let outer = arguments.get_or_insert_with(|| Arc::new(trigger_arguments(op, time)));
            let outer = Arc::clone(outer);
            Self::check_depth(op.depth + 1)?;
            fired.push(ProgramTask {
                program,
                running: false,
                next: 0,
                outer,
                or: op.or,
                depth: op.depth + 1,
                changes: self.counters.changes,
                last_insert_rowid: self.counters.last_insert_rowid,
            });
        }
        Ok(fired)
    }

    /// Whether a trigger's program is under way: without recursive_triggers it does not fire again.
    fn is_running(&self, name: &str) -> bool {
        self.tasks
            .iter()
            .any(|task| matches!(task, Task::Program(task) if task.running && task.program.name == name))
    }

    /// Puts the change aside until the triggers have run.
    fn fire(&mut self, op: Box<RowOp>, fired: Vec<ProgramTask>) {
        self.tasks.push(Task::Op(op));
        self.tasks.extend(fired.into_iter().rev().map(Task::Program));
    }
}

/// OLD and NEW, one after the other; NULLs for the one that there is not.
fn trigger_arguments(op: &RowOp, time: TriggerTime) -> Vec<Value> {
    let width = op.table.columns.len() + 1;
    let mut arguments = op.old.clone();
    arguments.resize(width, Value::Null);
    arguments.extend(op.new.iter().cloned());
    arguments.resize(2 * width, Value::Null);
    if op.kind == Kind::Insert && time == TriggerTime::Before && !op.rowid_given && !op.table.without_rowid {
        // The rowid is not known yet; SQLite shows -1.
        arguments[2 * width - 1] = Value::Integer(-1);
        if let Some(alias) = op.table.rowid_alias {
            arguments[width + alias] = Value::Integer(-1);
        }
    }
    arguments
}

/// The error of a table whose rowids are used up.
pub(crate) fn full() -> Error {
    Error::new(ErrorKind::NoSpace, Code::Full, "database or disk is full")
}
