//! What a step of a query runs in: the storage, the statement's surroundings, its limits and what it remembers between steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};

use super::batch::Batch;
use super::nested::SharedRows;
use super::subquery::Slot;
use crate::catalog::schema::Catalog;
use crate::func;
use crate::plan::RaiseAction;
use crate::storage::{Point, ReadPoint, Storage};
use crate::value::{Value, ValueRef};

/// The surroundings of one step. Made anew for every step; what lasts is in [`StatementState`].
#[derive(Debug)]
pub struct ExecContext<'a, S: Storage> {
    /// The transaction that is read.
    pub storage: &'a S,
    /// The statement's moment, its counters, randomness.
    pub functions: func::Context<'a>,
    /// The parameters' values; those beyond the end are NULL.
    pub parameters: &'a [Value],
    /// The moments that the statement asks for.
    pub points: &'a [Point],
    /// Bounds of what the statement may use.
    pub limits: Limits,
    /// Set by somebody else to end the statement with [`ErrorKind::Interrupted`].
    pub interrupt: &'a AtomicBool,
    /// The live schema, for `sqlite_schema` and the `pragma_..` table functions.
    pub catalog: &'a Catalog,
    /// What the statement remembers between steps.
    pub state: &'a mut StatementState<S>,
}

/// Bounds of what one statement may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of rows that it keeps at a time (to sort, group, join).
    pub memory: usize,
    /// How deep queries may run within queries.
    pub depth: u32,
    /// Rows that operators hand on together, from 1 to [`Limits::MAX_BATCH_ROWS`]; what they answer does not depend on it.
    pub batch_rows: usize,
}

impl Limits {
    /// The most rows of a batch.
    pub const MAX_BATCH_ROWS: usize = 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 512 << 20, depth: 100, batch_rows: Limits::MAX_BATCH_ROWS }
    }
}

impl<S: Storage> ExecContext<'_, S> {
    /// Fails where the statement was interrupted.
    pub(crate) fn check_interrupt(&self) -> Result<()> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Interrupted, Code::Interrupt, "interrupted"));
        }
        Ok(())
    }

    /// Where a scan reads.
    #[inline]
    pub(crate) fn point(&self, point: ReadPoint) -> Point {
        match point {
            ReadPoint::Known(point) => point,
            // All are resolved before the statement runs; of one that is not, nothing is to be seen.
            ReadPoint::Asked(number) => {
                self.points.get(number as usize).copied().unwrap_or(Point::Past(Timestamp::ZERO))
            }
        }
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, index: u32) -> &Value {
        static NULL: Value = Value::Null;
        self.parameters.get(index as usize).unwrap_or(&NULL)
    }
}

/// What a statement remembers between its steps: the results of its subqueries, rows shared by several readers, and how
/// much memory is in use. One for each run of a statement; where the data change in between (a trigger's statement that
/// runs for the next row), [`StatementState::reset`] it.
pub struct StatementState<S: Storage> {
    /// By the number of the subquery; empty while it runs.
    pub(crate) slots: Vec<Option<Box<Slot<S>>>>,
    pub(crate) shared: Vec<(u32, SharedRows<S>)>,
    /// Sets of constants of IN lists, by the address of the expression in the plan.
    pub(crate) lists: Vec<(usize, Arc<super::inset::InSet>)>,
    /// What RAISE() asked for, when it has ended the statement by an error.
    pub raised: Option<RaiseAction>,
    pub(crate) depth: u32,
    memory: Arc<AtomicUsize>,
}

impl<S: Storage> std::fmt::Debug for StatementState<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatementState").field("raised", &self.raised).finish_non_exhaustive()
    }
}

impl<S: Storage> Default for StatementState<S> {
    fn default() -> Self {
        StatementState {
            slots: Vec::new(),
            shared: Vec::new(),
            lists: Vec::new(),
            raised: None,
            depth: 0,
            memory: Arc::default(),
        }
    }
}

impl<S: Storage> StatementState<S> {
    /// The state of a statement that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all results, for another run of the same statement.
    pub fn reset(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            slot.forget();
        }
        self.shared.clear();
        self.lists.clear();
        self.raised = None;
        self.depth = 0;
    }
}

/// The memory that one operator holds, counted in its statement's; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    pool: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl Charge {
    /// The operator holds `bytes` now. Fails where the statement's limit is exceeded.
    pub(crate) fn set<S: Storage>(&mut self, bytes: usize, cx: &ExecContext<'_, S>) -> Result<()> {
        let pool = self.pool.get_or_insert_with(|| Arc::clone(&cx.state.memory));
        let used = if bytes >= self.bytes {
            let more = bytes - self.bytes;
            pool.fetch_add(more, Ordering::Relaxed) + more
        } else {
            pool.fetch_sub(self.bytes - bytes, Ordering::Relaxed) - (self.bytes - bytes)
        };
        self.bytes = bytes;
        if used <= cx.limits.memory {
            return Ok(());
        }
        Err(Error::limit(format!(
            "the statement needs more than {} bytes of memory for its rows: ask for fewer rows, or add an index that spares it \
             sorting them, or raise the limit",
            cx.limits.memory
        )))
    }

    /// The operator holds nothing any more.
    pub(crate) fn release(&mut self) {
        if let Some(pool) = &self.pool {
            pool.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.bytes = 0;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}

/// Registers and arguments that expressions of one query read, besides the batch at hand.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// By register: those that an enclosing loop's left row has bound.
    pub(crate) bound: Vec<Value>,
    /// The query's arguments.
    pub(crate) outer: Vec<Value>,
    /// The rows that each recursive CTE is at, columns by position.
    pub(crate) working: Vec<(u32, Batch)>,
}

/// A value that an expression gave: lent by the row, or its own.
#[derive(Clone, Debug)]
pub(crate) enum Val<'v> {
    Ref(ValueRef<'v>),
    Own(Value),
}

impl Val<'_> {
    pub(crate) const NULL: Val<'static> = Val::Ref(ValueRef::Null);

    pub(crate) fn get(&self) -> ValueRef<'_> {
        match self {
            Val::Ref(value) => *value,
            Val::Own(value) => value.as_ref(),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Val::Ref(value) => value.to_value(),
            Val::Own(value) => value,
        }
    }

    pub(crate) fn truth(truth: Option<bool>) -> Val<'static> {
        Val::Ref(truth.map_or(ValueRef::Null, |truth| ValueRef::Integer(i64::from(truth))))
    }
}
