//! Recursive CTEs: a queue of rows, filled by the seed; each row that leaves it is given and run through the steps, whose
//! rows join the queue. Where the order of the queue is that of arrival and the steps only filter, compute and join, a
//! whole generation goes through the steps at a time, which gives the same rows in the same order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use dosql_base::{Error, Result};

use super::batch::Batch;
use super::column::{Column, ColumnBuilder};
use super::context::{Charge, ExecContext, Frame};
use super::distinct::new_rows;
use super::keys::{KeyColumn, KeyTable};
use super::limit::Window;
use super::operator::{Build, Operator, take_input};
use super::registers::RegisterSet;
use super::sort::put_sort_key;
use super::vector;
use crate::plan::{Expr, JoinKind, Node, Recursive, Register};
use crate::storage::Storage;
use crate::value::Value;

/// A recursive CTE.
pub(crate) struct RecursiveOp<S: Storage> {
    pub(crate) seed: Operator<S>,
    pub(crate) steps: Vec<Operator<S>>,
    /// Whether many rows may go through the steps together.
    together: bool,
    stage: Stage,
    queue: Queue,
    seen: KeyTable,
    pending: Option<Batch>,
    window: Option<Window>,
    charge: Charge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Seed,
    /// Rows leave the queue next.
    Queue,
    /// This step runs over the rows that have left.
    Step(usize),
    Done,
}

/// A row under its sort key, numbered so that equal keys keep their order of arrival.
type Queued = (Vec<u8>, u64, Vec<HeapValue>);

/// Rows that wait. In the order of arrival they are columns; under an ORDER BY, rows in a heap.
#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    heap: BinaryHeap<Reverse<Queued>>,
    sequence: u64,
    rows: usize,
    bytes: usize,
}

/// A value in the heap; never compared, since the sequence before it differs.
#[derive(Clone, Debug)]
struct HeapValue(Value);

impl PartialEq for HeapValue {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for HeapValue {}

impl PartialOrd for HeapValue {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeapValue {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Queue {
    fn push(&mut self, recursive: &Recursive, batch: Batch) {
        self.rows += batch.len();
        self.bytes += batch.memory();
        if recursive.order_by.is_empty() {
            self.batches.push_back(batch);
            return;
        }
        for row in 0..batch.len() {
            let mut key = Vec::new();
            for (column, sort) in &recursive.order_by {
                put_sort_key(&mut key, sort, batch.value(row, *column));
            }
            let width = recursive.columns.len();
            let values = (0..width).map(|column| HeapValue(batch.value(row, column).to_value())).collect();
            self.heap.push(Reverse((key, self.sequence, values)));
            self.sequence += 1;
        }
    }

    /// The next rows, at most so many.
    fn pop(&mut self, most: usize) -> Option<Batch> {
        let batch = if let Some(Reverse((_, _, values))) = self.heap.pop() {
            let mut batch = Batch::new(1, values.len());
            for (column, HeapValue(value)) in values.into_iter().enumerate() {
                batch.set(Register(column as u32), Column::Const(value));
            }
            batch
        } else {
            let batch = self.batches.pop_front()?;
            if batch.len() > most {
                self.batches.push_front(batch.slice(most, batch.len()));
                batch.slice(0, most)
            } else {
                self.bytes = self.bytes.saturating_sub(batch.memory());
                batch
            }
        };
        self.rows -= batch.len();
        Some(batch)
    }
}

impl<S: Storage> RecursiveOp<S> {
    pub(crate) fn build(recursive: &Recursive, build: &Build<'_>) -> RecursiveOp<S> {
        let side = |(node, outputs): &(Node, Vec<Expr>), in_loop: bool| {
            let mut needed = RegisterSet::default();
            needed.add_all(outputs);
            Operator::build(node, &Build { needed: &needed, width: build.width, in_loop })
        };
        RecursiveOp {
            seed: side(&recursive.seed, build.in_loop),
            steps: recursive.steps.iter().map(|step| side(step, true)).collect(),
            together: recursive.order_by.is_empty()
                && matches!(recursive.steps.as_slice(), [(node, _)] if keeps_order(node)),
            stage: Stage::Seed,
            queue: Queue::default(),
            seen: KeyTable::default(),
            pending: None,
            window: None,
            charge: Charge::default(),
        }
    }

    pub(crate) fn next(
        &mut self,
        recursive: &Recursive,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if self.window.is_none() {
            let window = Window::of(recursive.limit.as_ref(), recursive.offset.as_ref(), frame, cx)?;
            self.window = Some(window);
        }
        let mut results: Vec<ColumnBuilder> = Vec::new();
        let mut len = 0;
        loop {
            match self.stage {
                Stage::Done => break,
                Stage::Queue if len >= want => break,
                Stage::Queue => {
                    cx.check_interrupt()?;
                    let most = if self.together { want.max(cx.limits.batch_rows / 8) } else { 1 };
                    let Some(rows) = self.queue.pop(most) else {
                        self.stage = Stage::Done;
                        continue;
                    };
                    len += self.give(recursive, &rows, &mut results);
                    set_working(frame, recursive.id, rows);
                    if self.window.is_some_and(|window| window.give == 0) {
                        self.stage = Stage::Done;
                    } else {
                        self.start_step(0);
                    }
                }
                Stage::Seed | Stage::Step(_) => {
                    if let Err(error) = self.run(recursive, frame, cx) {
                        if len > 0 && error.kind() == dosql_base::ErrorKind::WouldBlock {
                            break;
                        }
                        return Err(error);
                    }
                }
            }
        }
        if len == 0 {
            return Ok(None);
        }
        let mut batch = Batch::new(len, 0);
        for ((register, _), builder) in recursive.columns.iter().zip(results) {
            batch.set(*register, builder.finish());
        }
        Ok(Some(batch))
    }

    /// Gives rows that have left the queue, within OFFSET and LIMIT; how many.
    fn give(&mut self, recursive: &Recursive, rows: &Batch, results: &mut Vec<ColumnBuilder>) -> usize {
        let Some(window) = &mut self.window else { return 0 };
        let skipped = window.skip.min(rows.len() as u64);
        let given = window.give.min(rows.len() as u64 - skipped);
        window.skip -= skipped;
        window.give -= given;
        results.resize(recursive.columns.len(), ColumnBuilder::default());
        for (column, builder) in results.iter_mut().enumerate() {
            for row in skipped..skipped + given {
                builder.push(rows.value(row as usize, column));
            }
        }
        given as usize
    }

    fn start_step(&mut self, step: usize) {
        match self.steps.get_mut(step) {
            Some(operator) => {
                operator.rewind();
                self.stage = Stage::Step(step);
            }
            None => self.stage = Stage::Queue,
        }
    }

    /// One batch of the seed or of a step goes into the queue.
    fn run(&mut self, recursive: &Recursive, frame: &mut Frame, cx: &mut ExecContext<'_, S>) -> Result<()> {
        let ((node, outputs), input) = match self.stage {
            Stage::Step(step) => match (recursive.steps.get(step), self.steps.get_mut(step)) {
                (Some(plan), Some(operator)) => (plan, operator),
                _ => return Err(Error::invalid("a recursive query has lost its steps: prepare it again")),
            },
            _ => (&recursive.seed, &mut self.seed),
        };
        let Some(batch) = take_input(&mut self.pending, input, node, cx.limits.batch_rows, frame, cx)? else {
            match self.stage {
                Stage::Step(step) => self.start_step(step + 1),
                _ => self.stage = Stage::Queue,
            }
            return Ok(());
        };
        let columns = match vector::columns(outputs.iter(), &batch, frame, cx) {
            Ok(columns) => columns,
            Err(error) => {
                self.pending = Some(batch);
                return Err(error);
            }
        };
        let mut rows = Batch::new(batch.len(), columns.len());
        for (column, values) in columns.iter().enumerate() {
            rows.set(Register(column as u32), values.clone());
        }
        if recursive.distinct {
            let keys: Vec<KeyColumn<'_>> = columns
                .iter()
                .zip(&recursive.columns)
                .map(|(column, (_, collation))| (column, *collation))
                .collect();
            let mut ids = Vec::new();
            let new = new_rows(&mut self.seen, &keys, rows.len(), &mut ids);
            rows = rows.gather(&new);
        }
        if !rows.is_empty() {
            self.queue.push(recursive, rows);
        }
        let memory =
            self.queue.bytes + self.queue.heap.len() * 64 * recursive.columns.len() + self.seen.memory();
        self.charge.set(memory, cx)
    }

    pub(crate) fn rewind(&mut self) {
        self.seed.rewind();
        self.stage = Stage::Seed;
        self.queue = Queue::default();
        self.seen.clear();
        self.pending = None;
        self.window = None;
        self.charge.release();
    }
}

/// Whether the rows that a step makes of several rows are those that it makes of each, one after the other.
fn keeps_order(node: &Node) -> bool {
    match node {
        Node::WorkingTable { .. } => true,
        Node::Filter { input, .. } | Node::Compute { input, .. } => keeps_order(input),
        Node::Join(join) => {
            let mut elsewhere = false;
            join.right.walk(&mut |node| elsewhere |= matches!(node, Node::WorkingTable { .. }));
            !elsewhere && !matches!(join.kind, JoinKind::Right | JoinKind::Full) && keeps_order(&join.left)
        }
        _ => false,
    }
}

fn set_working(frame: &mut Frame, id: u32, rows: Batch) {
    match frame.working.iter_mut().find(|(known, _)| *known == id) {
        Some((_, working)) => *working = rows,
        None => frame.working.push((id, rows)),
    }
}

/// The rows that a recursive CTE is at.
#[derive(Debug, Default)]
pub(crate) struct WorkingOp {
    given: bool,
}

impl WorkingOp {
    pub(crate) fn next(
        &mut self,
        id: u32,
        columns: &[(usize, Register)],
        frame: &Frame,
    ) -> Result<Option<Batch>> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        let rows = frame.working.iter().find(|(known, _)| *known == id);
        Ok(rows
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(_, rows)| super::nested::to_registers(rows, columns)))
    }

    pub(crate) fn rewind(&mut self) {
        self.given = false;
    }
}
