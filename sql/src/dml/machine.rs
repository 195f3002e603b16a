//! Runs changes with all that follows from them: triggers, REPLACE's victims, foreign-key actions. What is still to do
//! stands on a stack of tasks, so that however deep triggers nest, the native stack stays flat.
//!
//! ```text
//! Change ──gathers──▶ Rows ──a row at a time──▶ Op ──before──▶ Program ──▶ Change ..
//!                                               │──check, write──▶ Op of a victim, Children of a foreign key
//!                                               └──after──▶ Program ..
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, Error, Result, Timestamp};

use super::foreign_key::{ChildrenTask, Suspect};
use super::op::RowOp;
use super::plan::{Change, Program};
use super::programs::Programs;
use super::source::RowsTask;
use crate::catalog::cells::Cells;
use crate::catalog::schema::{Catalog, Table};
use crate::exec::{ExecContext, Limits, StatementState, Val, arithmetic, evaluate};
use crate::func;
use crate::parse::ast::{ConflictAction, RaiseAction};
use crate::plan::{ArithmeticOp, Expr};
use crate::session::{Counters, Settings};
use crate::storage::Storage;
use crate::value::{Value, ValueRef, to_boolean};

/// How deep triggers and foreign-key actions may nest.
pub(crate) const MAX_DEPTH: u32 = 1000;

/// The surroundings of a statement's run.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Randomness.
    pub env: &'a Env,
    /// The statement's moment.
    pub now: Timestamp,
    /// The parameters' values.
    pub parameters: &'a [Value],
    /// Bounds of what it may use.
    pub limits: Limits,
    /// Set to end it.
    pub interrupt: &'a AtomicBool,
}

/// What an error leaves of the changes made so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undo {
    /// The statement's changes are undone.
    #[default]
    Statement,
    /// They stay: ON CONFLICT FAIL.
    Nothing,
    /// The whole transaction is undone: ON CONFLICT ROLLBACK.
    Transaction,
}

pub(crate) enum Task {
    Change(ChangeTask),
    Rows(Box<RowsTask>),
    Op(Box<RowOp>),
    Program(ProgramTask),
    Children(Box<ChildrenTask>),
}

pub(crate) struct ChangeTask {
    pub(crate) change: Change,
    pub(crate) outer: Arc<Vec<Value>>,
    pub(crate) or: Option<ConflictAction>,
    pub(crate) depth: u32,
}

/// A trigger's statements, one after the other.
pub(crate) struct ProgramTask {
    pub(crate) program: Arc<Program>,
    /// Its WHEN held, and its statements are under way.
    pub(crate) running: bool,
    pub(crate) next: usize,
    pub(crate) outer: Arc<Vec<Value>>,
    pub(crate) or: Option<ConflictAction>,
    pub(crate) depth: u32,
    /// What `changes()` and `last_insert_rowid()` say again afterwards.
    pub(crate) changes: i64,
    pub(crate) last_insert_rowid: i64,
}

pub(crate) struct Machine<'a, S: Storage> {
    pub(crate) storage: &'a mut S,
    pub(crate) around: Surroundings<'a>,
    pub(crate) catalog: &'a Catalog,
    pub(crate) settings: &'a Settings,
    pub(crate) programs: &'a Programs,
    pub(crate) counters: Counters,
    pub(crate) tasks: Vec<Task>,
    /// Rows changed by each statement under way, the outermost first.
    pub(crate) changed: Vec<i64>,
    /// Foreign keys to look at again when the statement ends, or when the transaction does.
    pub(crate) suspects: Vec<Suspect>,
    pub(crate) deferred: Vec<Suspect>,
    /// Rows of the outermost statement's RETURNING.
    pub(crate) returned: Vec<Vec<Value>>,
    pub(crate) undo: Undo,
    /// The greatest rowids of AUTOINCREMENT tables that the statement has inserted into.
    pub(crate) sequences: Vec<(Arc<Table>, i64)>,
    /// A table is being dropped: its rows go whatever foreign keys are wrongly defined.
    pub(crate) dropping: bool,
    raised: Option<RaiseAction>,
    scratch: Option<StatementState<S>>,
}

impl<'a, S: Storage> Machine<'a, S> {
    pub(crate) fn new(
        storage: &'a mut S,
        around: Surroundings<'a>,
        catalog: &'a Catalog,
        settings: &'a Settings,
        programs: &'a Programs,
        counters: Counters,
    ) -> Self {
        Machine {
            storage,
            around,
            catalog,
            settings,
            programs,
            counters,
            tasks: Vec::new(),
            changed: Vec::new(),
            suspects: Vec::new(),
            deferred: Vec::new(),
            returned: Vec::new(),
            undo: Undo::Statement,
            sequences: Vec::new(),
            dropping: false,
            raised: None,
            scratch: None,
        }
    }

    /// Runs a change to its end.
    pub(crate) fn run(&mut self, change: Change) -> Result<()> {
        self.tasks.push(Task::Change(ChangeTask { change, outer: Arc::default(), or: None, depth: 0 }));
        if let Err(error) = self.run_tasks() {
            // What ON CONFLICT FAIL keeps must not break a foreign key either.
            if self.undo == Undo::Nothing
                && let Err(error) = self.check_suspects()
            {
                self.undo = Undo::Statement;
                return Err(error);
            }
            self.leave_programs();
            return Err(error);
        }
        self.store_sequences()?;
        self.check_suspects().inspect_err(|_| self.counters.total_changes -= self.counters.changes)
    }

    /// After an error: what triggers have inserted is none of the statement's own rows, and those of the statement itself count
    /// as far as it came.
    fn leave_programs(&mut self) {
        let outermost = self.tasks.iter().find_map(|task| match task {
            Task::Program(task) => Some(task.last_insert_rowid),
            _ => None,
        });
        self.counters.last_insert_rowid = outermost.unwrap_or(self.counters.last_insert_rowid);
        if let (Some(changed), Undo::Nothing) = (self.changed.first(), self.undo) {
            self.counters.changes = *changed;
            self.counters.total_changes += changed;
        }
    }

    /// Runs until nothing is left to do.
    pub(crate) fn run_tasks(&mut self) -> Result<()> {
        while let Some(task) = self.tasks.pop() {
            let done = match task {
                Task::Change(task) => self.start_change(task),
                Task::Rows(task) => self.next_row(task),
                Task::Op(op) => self.advance(op),
                Task::Program(task) => self.next_statement(task),
                Task::Children(task) => self.next_child(task),
            };
            match (done, self.raised.take()) {
                (Ok(()), _) => {}
                (Err(_), Some(RaiseAction::Ignore)) => self.abandon(),
                (Err(error), Some(RaiseAction::Fail)) => {
                    self.undo = Undo::Nothing;
                    return Err(error);
                }
                (Err(error), Some(RaiseAction::Rollback)) => {
                    self.undo = Undo::Transaction;
                    return Err(error);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    /// RAISE(IGNORE): drops what is left of the trigger program and of the row that fired it.
    fn abandon(&mut self) {
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Op(op) => {
                    self.changed.truncate(op.level);
                    return;
                }
                Task::Program(task) => {
                    self.counters.changes = task.changes;
                    self.counters.last_insert_rowid = task.last_insert_rowid;
                }
                Task::Change(_) | Task::Rows(_) | Task::Children(_) => {}
            }
        }
    }

    fn next_statement(&mut self, mut task: ProgramTask) -> Result<()> {
        if !task.running {
            // Triggers before this one may have changed what WHEN looks at.
            if let Some(when) = &task.program.when
                && self.truth(when, &[], &task.outer)? != Some(true)
            {
                return Ok(());
            }
            task.running = true;
        }
        let Some(change) = task.program.body.get(task.next).cloned() else {
            self.counters.changes = task.changes;
            self.counters.last_insert_rowid = task.last_insert_rowid;
            return Ok(());
        };
        task.next += 1;
        let next = ChangeTask { change, outer: Arc::clone(&task.outer), or: task.or, depth: task.depth };
        self.tasks.push(Task::Program(task));
        self.tasks.push(Task::Change(next));
        Ok(())
    }

    /// Calls `run` with a context to execute queries in.
    pub(crate) fn with_context<R>(
        &mut self,
        state: &mut StatementState<S>,
        run: impl FnOnce(&mut ExecContext<'_, S>) -> Result<R>,
    ) -> Result<R> {
        let mut functions = func::Context::new(self.around.env, self.around.now);
        functions.changes = self.counters.changes;
        functions.total_changes = self.counters.total_changes;
        functions.last_insert_rowid = self.counters.last_insert_rowid;
        let mut context = ExecContext {
            storage: &*self.storage,
            functions,
            parameters: self.around.parameters,
            points: &[],
            limits: self.around.limits,
            interrupt: self.around.interrupt,
            catalog: self.catalog,
            state,
        };
        let result = run(&mut context);
        if result.is_err() {
            self.raised = state.raised.take();
        }
        result
    }

    /// Evaluates an expression over a row.
    pub(crate) fn evaluate(&mut self, expr: &Expr, row: &[Value], outer: &[Value]) -> Result<Value> {
        match expr {
            Expr::Literal(value) => return Ok(value.clone()),
            Expr::Register(register) => return Ok(row.get(register.0 as usize).cloned().unwrap_or_default()),
            Expr::Parameter(number) => {
                return Ok(self.around.parameters.get(*number as usize).cloned().unwrap_or_default());
            }
            _ => {
                if let Some(value) = plain(expr, |at| row.cell(at), self.around.parameters) {
                    return Ok(value.into_value());
                }
            }
        }
        let mut scratch = self.scratch.take().unwrap_or_default();
        scratch.reset();
        let result = self.with_context(&mut scratch, |context| evaluate(expr, row, outer, context));
        self.scratch = Some(scratch);
        result
    }

    /// The truth of an expression over a row; `None` is NULL.
    pub(crate) fn truth(&mut self, expr: &Expr, row: &[Value], outer: &[Value]) -> Result<Option<bool>> {
        Ok(to_boolean(self.evaluate(expr, row, outer)?.as_ref()))
    }

    /// Fails where triggers nest too deep.
    pub(crate) fn check_depth(depth: u32) -> Result<()> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(Error::limit("too many levels of trigger recursion"))
    }
}

/// The value of an expression that is a value at hand, or one operator over two of them; `None` for any other. Register n is what
/// `cell` gives for n.
pub(crate) fn plain<'v>(
    expr: &'v Expr,
    cell: impl Fn(usize) -> ValueRef<'v>,
    parameters: &'v [Value],
) -> Option<Val<'v>> {
    let operand = |expr: &'v Expr| match expr {
        Expr::Literal(value) => Some(value.as_ref()),
        Expr::Register(register) => Some(cell(register.0 as usize)),
        Expr::Parameter(number) => Some(parameters.cell(*number as usize)),
        _ => None,
    };
    match expr {
        // What it gives has a limit of length.
        Expr::Arithmetic { op: ArithmeticOp::Concat, .. } => None,
        Expr::Arithmetic { op, left, right } => {
            Some(Val::Own(arithmetic(*op, operand(left)?, operand(right)?)))
        }
        _ => operand(expr).map(Val::Ref),
    }
}
