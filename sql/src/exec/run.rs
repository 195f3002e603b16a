//! A query that is under way.

use std::sync::Arc;

use dosql_base::Result;

use super::batch::Batch;
use super::context::{ExecContext, Frame};
use super::direct::Direct;
use super::operator::{Build, Operator};
use super::registers::RegisterSet;
use super::vector;
use crate::plan::{Expr, Node, Query, Register};
use crate::storage::Storage;
use crate::value::Value;

/// A query under way: its operators and all that they hold. Borrows nothing, so that it can wait anywhere between two
/// steps; may be run again after [`QueryRun::reset`], which spares building it anew.
pub struct QueryRun<S: Storage> {
    query: Arc<Query>,
    frame: Frame,
    way: Way<S>,
    /// Rows of the root whose outputs are still to be computed: the storage made us wait.
    pending: Option<Batch>,
    results: Batch,
    want: usize,
    done: bool,
}

/// How a query runs.
enum Way<S: Storage> {
    /// A lookup of one row by its key, without operators.
    Direct(Direct),
    /// Operators.
    Tree(Operator<S>),
}

impl<S: Storage> std::fmt::Debug for QueryRun<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryRun").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<S: Storage> QueryRun<S> {
    /// The first batch has at most so many rows; later ones grow.
    const FIRST_ROWS: usize = 16;

    /// Makes `query` ready to run with these arguments (what [`Expr::Outer`] reads).
    #[must_use]
    pub fn new(query: Arc<Query>, arguments: Vec<Value>) -> Self {
        let width = query.registers as usize;
        let way = match Direct::of(&query) {
            Some(direct) => Way::Direct(direct),
            None => {
                let mut needed = RegisterSet::default();
                needed.add_all(&query.outputs);
                Way::Tree(Operator::build(&query.root, &Build { needed: &needed, width, in_loop: false }))
            }
        };
        let frame = Frame { bound: vec![Value::Null; width], outer: arguments, working: Vec::new() };
        QueryRun {
            query,
            frame,
            way,
            pending: None,
            results: Batch::default(),
            want: Self::FIRST_ROWS,
            done: false,
        }
    }

    /// Starts anew with these arguments; the storage may have changed.
    pub fn reset(&mut self, arguments: Vec<Value>) {
        if let Way::Tree(root) = &mut self.way {
            root.forget();
        }
        self.frame.outer = arguments;
        self.results.clear(0, 0);
        self.pending = None;
        self.want = Self::FIRST_ROWS;
        self.done = false;
    }

    /// Whether it holds little once it is reset: it has no operators that keep rows.
    #[must_use]
    pub fn is_light(&self) -> bool {
        let mut light = true;
        self.query.root.walk(&mut |node| {
            light &= matches!(
                node,
                Node::OneRow
                    | Node::Nothing
                    | Node::Scan(_)
                    | Node::Values { .. }
                    | Node::Filter { .. }
                    | Node::Compute { .. }
                    | Node::Limit { .. }
            );
        });
        light
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Arc<Query> {
        &self.query
    }

    /// The next rows: at least one, with a column for each output; `None` at the end. Fails with
    /// [`dosql_base::ErrorKind::WouldBlock`] where the storage has to fetch something first: call again then.
    pub fn next(&mut self, cx: &mut ExecContext<'_, S>) -> Result<Option<&Batch>> {
        let want = self.want.min(cx.limits.batch_rows);
        let some = self.step(want, cx)?;
        self.want = (want * 8).min(cx.limits.batch_rows);
        Ok(if some { Some(&self.results) } else { None })
    }

    /// The rows of the last step.
    #[must_use]
    pub fn results(&self) -> &Batch {
        &self.results
    }

    /// As [`QueryRun::next`], for a reader that needs no more than `want` rows at a time.
    pub fn next_up_to(&mut self, want: usize, cx: &mut ExecContext<'_, S>) -> Result<Option<&Batch>> {
        let some = self.step(want.clamp(1, cx.limits.batch_rows), cx)?;
        Ok(if some { Some(&self.results) } else { None })
    }

    /// Makes the next results; whether there are any.
    fn step(&mut self, want: usize, cx: &mut ExecContext<'_, S>) -> Result<bool> {
        if self.done {
            return Ok(false);
        }
        let query = &*self.query;
        let root = match &mut self.way {
            Way::Direct(direct) => {
                let found = direct.run(query, &mut self.frame, &mut self.results, cx)?;
                self.done = true;
                return Ok(found);
            }
            Way::Tree(root) => root,
        };
        if self.pending.is_none() {
            self.pending = root.next(&query.root, want, &mut self.frame, cx)?;
        }
        let Some(batch) = &self.pending else {
            self.done = true;
            return Ok(false);
        };
        self.results.clear(batch.len(), query.outputs.len());
        for (at, output) in query.outputs.iter().enumerate() {
            let column = match output {
                Expr::Register(register) => batch.column(*register).cloned(),
                _ => None,
            };
            let column = match column {
                Some(column) => column,
                None => vector::column(output, batch, &self.frame, cx)?,
            };
            self.results.set(Register(at as u32), column);
        }
        self.pending = None;
        Ok(true)
    }
}
