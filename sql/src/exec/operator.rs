//! The tree of operators: one for each [`Node`] of the plan, which stays with the plan and is shown to its operator at
//! every call.
//!
//! `next` hands up a batch of one to about `want` rows; `None` is the end. It may fail with `WouldBlock` and be called again: an
//! operator keeps a batch that it has taken from its input until what it does with it has succeeded. `rewind` starts it
//! anew, with whatever the enclosing loop has bound meanwhile.

use dosql_base::{Error, Result};

use super::aggregate::AggregateOp;
use super::batch::Batch;
use super::compound::CompoundOp;
use super::context::{Charge, ExecContext, Frame};
use super::distinct::DistinctOp;
use super::join::JoinOp;
use super::limit::LimitOp;
use super::nested::NestedOp;
use super::recursive::{RecursiveOp, WorkingOp};
use super::registers::{RegisterSet, is_independent};
use super::rowwise::{ComputeOp, FilterOp, ValuesOp};
use super::scan::ScanOp;
use super::sort::SortOp;
use super::table_function::TableFunctionOp;
use super::versions::VersionsOp;
use super::window::WindowOp;
use crate::plan::Node;
use crate::storage::Storage;

/// What an operator is built for.
pub(crate) struct Build<'a> {
    /// The registers that are read above it.
    pub(crate) needed: &'a RegisterSet,
    /// How many registers the query has.
    pub(crate) width: usize,
    /// Whether it stands on the right of a loop, to be rewound again and again.
    pub(crate) in_loop: bool,
}

impl<'a> Build<'a> {
    /// The same for an input, of which more is read.
    pub(crate) fn with<'b>(&self, needed: &'b RegisterSet) -> Build<'b> {
        Build { needed, width: self.width, in_loop: self.in_loop }
    }
}

/// An operator and its state.
pub(crate) enum Operator<S: Storage> {
    OneRow { given: bool },
    Nothing,
    Scan(Box<ScanOp<S>>),
    Values(ValuesOp),
    Versions(Box<VersionsOp>),
    TableFunction(Box<TableFunctionOp>),
    Nested(Box<NestedOp<S>>),
    Filter(Box<FilterOp<S>>),
    Compute(Box<ComputeOp<S>>),
    Join(Box<JoinOp<S>>),
    Aggregate(Box<AggregateOp<S>>),
    Window(Box<WindowOp<S>>),
    Sort(Box<SortOp<S>>),
    Limit(Box<LimitOp<S>>),
    Distinct(Box<DistinctOp<S>>),
    Compound(Box<CompoundOp<S>>),
    Recursive(Box<RecursiveOp<S>>),
    Working(WorkingOp),
    Kept(Box<KeptOp<S>>),
}

impl<S: Storage> Operator<S> {
    /// The operators of a tree.
    pub(crate) fn build(node: &Node, build: &Build<'_>) -> Operator<S> {
        let cheap = matches!(
            node,
            Node::OneRow | Node::Nothing | Node::Scan(_) | Node::Values { .. } | Node::WorkingTable { .. }
        );
        if build.in_loop && !cheap && is_independent(node) {
            let once = Build { needed: build.needed, width: build.width, in_loop: false };
            return Operator::Kept(Box::new(KeptOp::new(Operator::build_anew(node, &once))));
        }
        Operator::build_anew(node, build)
    }

    fn build_anew(node: &Node, build: &Build<'_>) -> Operator<S> {
        match node {
            Node::OneRow => Operator::OneRow { given: false },
            Node::Nothing => Operator::Nothing,
            Node::Scan(scan) => Operator::Scan(Box::new(ScanOp::build(scan, build))),
            Node::Values { .. } => Operator::Values(ValuesOp::default()),
            Node::TableFunction { .. } => Operator::TableFunction(Box::default()),
            Node::Versions(_) => Operator::Versions(Box::default()),
            Node::Nested { query, shared, .. } => Operator::Nested(Box::new(NestedOp::build(query, *shared))),
            Node::Filter { input, predicate } => {
                Operator::Filter(Box::new(FilterOp::build(input, predicate, build)))
            }
            Node::Compute { input, columns } => {
                Operator::Compute(Box::new(ComputeOp::build(input, columns, build)))
            }
            Node::Join(join) => Operator::Join(Box::new(JoinOp::build(join, build))),
            Node::Aggregate(aggregate) => Operator::Aggregate(Box::new(AggregateOp::build(aggregate, build))),
            Node::Window(window) => Operator::Window(Box::new(WindowOp::build(window, build))),
            Node::Sort { input, keys, .. } => Operator::Sort(Box::new(SortOp::build(input, keys, build))),
            Node::Limit { input, .. } => Operator::Limit(Box::new(LimitOp::build(input, build))),
            Node::Distinct { input, keys } => {
                Operator::Distinct(Box::new(DistinctOp::build(input, keys, build)))
            }
            Node::Compound(compound) => Operator::Compound(Box::new(CompoundOp::build(compound, build))),
            Node::Recursive(recursive) => Operator::Recursive(Box::new(RecursiveOp::build(recursive, build))),
            Node::WorkingTable { .. } => Operator::Working(WorkingOp::default()),
        }
    }

    /// The next rows.
    pub(crate) fn next(
        &mut self,
        node: &Node,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        match (self, node) {
            (Operator::OneRow { given }, Node::OneRow) => {
                Ok((!std::mem::replace(given, true)).then(|| Batch::new(1, 0)))
            }
            (Operator::Nothing, Node::Nothing) => Ok(None),
            (Operator::Scan(op), Node::Scan(scan)) => op.next(scan, want, frame, cx),
            (Operator::Values(op), Node::Values { rows, registers }) => {
                op.next(rows, registers, want, frame, cx)
            }
            (Operator::Versions(op), Node::Versions(scan)) => op.next(scan, want, frame, cx),
            (Operator::TableFunction(op), Node::TableFunction { function, arguments, columns }) => {
                op.next(*function, arguments, columns, want, frame, cx)
            }
            (Operator::Nested(op), Node::Nested { query, columns, .. }) => {
                op.next(query, columns, want, frame, cx)
            }
            (Operator::Filter(op), Node::Filter { input, predicate }) => {
                op.next(input, predicate, want, frame, cx)
            }
            (Operator::Compute(op), Node::Compute { input, columns }) => {
                op.next(input, columns, want, frame, cx)
            }
            (Operator::Join(op), Node::Join(join)) => op.next(join, want, frame, cx),
            (Operator::Aggregate(op), Node::Aggregate(aggregate)) => op.next(aggregate, want, frame, cx),
            (Operator::Window(op), Node::Window(window)) => op.next(window, want, frame, cx),
            (Operator::Sort(op), Node::Sort { input, keys, limit }) => {
                op.next(input, keys, limit.as_deref(), want, frame, cx)
            }
            (Operator::Limit(op), Node::Limit { input, limit, offset }) => {
                op.next(input, limit.as_ref(), offset.as_ref(), want, frame, cx)
            }
            (Operator::Distinct(op), Node::Distinct { input, keys }) => op.next(input, keys, want, frame, cx),
            (Operator::Compound(op), Node::Compound(compound)) => op.next(compound, want, frame, cx),
            (Operator::Recursive(op), Node::Recursive(recursive)) => op.next(recursive, want, frame, cx),
            (Operator::Working(op), Node::WorkingTable { id, columns }) => op.next(*id, columns, frame),
            (Operator::Kept(op), node) => op.next(node, want, frame, cx),
            _ => Err(Error::invalid("the statement's operators are not those of its plan: prepare it again")),
        }
    }

    /// Starts anew.
    pub(crate) fn rewind(&mut self) {
        match self {
            Operator::OneRow { given } => *given = false,
            Operator::Nothing => {}
            Operator::Scan(op) => op.rewind(),
            Operator::Values(op) => op.rewind(),
            Operator::TableFunction(op) => op.rewind(),
            Operator::Versions(op) => op.rewind(),
            Operator::Nested(op) => op.rewind(),
            Operator::Filter(op) => op.rewind(),
            Operator::Compute(op) => op.rewind(),
            Operator::Join(op) => op.rewind(),
            Operator::Aggregate(op) => op.rewind(),
            Operator::Window(op) => op.rewind(),
            Operator::Sort(op) => op.rewind(),
            Operator::Limit(op) => op.rewind(),
            Operator::Distinct(op) => op.rewind(),
            Operator::Compound(op) => op.rewind(),
            Operator::Recursive(op) => op.rewind(),
            Operator::Working(op) => op.rewind(),
            Operator::Kept(op) => op.at = 0,
        }
    }

    /// Starts anew where the data or the query's arguments may have changed: nothing is kept.
    pub(crate) fn forget(&mut self) {
        if let Operator::Kept(op) = self {
            op.forget();
            return;
        }
        self.rewind();
        if let Operator::Join(op) = self {
            op.forget();
        }
        self.for_each_input(&mut |input| input.forget());
    }

    fn for_each_input(&mut self, visit: &mut dyn FnMut(&mut Operator<S>)) {
        match self {
            Operator::Filter(op) => visit(&mut op.input),
            Operator::Compute(op) => visit(&mut op.input),
            Operator::Join(op) => {
                visit(&mut op.left);
                visit(&mut op.right);
            }
            Operator::Aggregate(op) => visit(&mut op.input),
            Operator::Window(op) => visit(&mut op.input),
            Operator::Sort(op) => visit(&mut op.input),
            Operator::Limit(op) => visit(&mut op.input),
            Operator::Distinct(op) => visit(&mut op.input),
            Operator::Compound(op) => {
                visit(&mut op.left);
                visit(&mut op.right);
            }
            Operator::Recursive(op) => {
                visit(&mut op.seed);
                op.steps.iter_mut().for_each(visit);
            }
            Operator::OneRow { .. }
            | Operator::Nothing
            | Operator::Scan(_)
            | Operator::Values(_)
            | Operator::TableFunction(_)
            | Operator::Versions(_)
            | Operator::Nested(_)
            | Operator::Working(_)
            | Operator::Kept(_) => {}
        }
    }
}

/// Keeps the rows of a tree that reads nothing of the loop around it, so that the loop runs it once.
pub(crate) struct KeptOp<S: Storage> {
    input: Operator<S>,
    batches: Vec<Batch>,
    complete: bool,
    at: usize,
    charge: Charge,
    bytes: usize,
}

impl<S: Storage> KeptOp<S> {
    fn new(input: Operator<S>) -> KeptOp<S> {
        KeptOp { input, batches: Vec::new(), complete: false, at: 0, charge: Charge::default(), bytes: 0 }
    }

    fn next(
        &mut self,
        node: &Node,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if self.at == self.batches.len() && !self.complete {
            match self.input.next(node, want, frame, cx)? {
                Some(batch) => {
                    self.bytes += batch.memory();
                    self.batches.push(batch);
                    self.charge.set(self.bytes, cx)?;
                }
                None => self.complete = true,
            }
        }
        let batch = self.batches.get(self.at).cloned();
        self.at += usize::from(batch.is_some());
        Ok(batch)
    }

    fn forget(&mut self) {
        self.batches.clear();
        self.complete = false;
        self.at = 0;
        self.bytes = 0;
        self.charge.release();
        self.input.forget();
    }
}

/// The batch that an operator works on: the one it kept when it last had to wait, else the next of its input.
pub(crate) fn take_input<S: Storage>(
    pending: &mut Option<Batch>,
    input: &mut Operator<S>,
    node: &Node,
    want: usize,
    frame: &mut Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<Batch>> {
    match pending.take() {
        Some(batch) => Ok(Some(batch)),
        None => input.next(node, want, frame, cx),
    }
}
