//! Operators that look at a row at a time: VALUES, filters, computed columns.

use dosql_base::Result;

use super::batch::Batch;
use super::column::ColumnBuilder;
use super::context::{ExecContext, Frame};
use super::operator::{Build, Operator, take_input};
use super::row::{Row, eval};
use super::vector;
use crate::plan::{Expr, Node, Register};
use crate::storage::Storage;

/// VALUES: which row is next.
#[derive(Debug, Default)]
pub(crate) struct ValuesOp {
    at: usize,
}

impl ValuesOp {
    pub(crate) fn next<S: Storage>(
        &mut self,
        rows: &[Vec<Expr>],
        registers: &[Register],
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        let end = rows.len().min(self.at + want);
        if self.at >= end {
            return Ok(None);
        }
        cx.check_interrupt()?;
        let row = Row::bound(frame);
        let mut batch = Batch::new(end - self.at, 0);
        for (column, register) in registers.iter().enumerate() {
            let mut builder = ColumnBuilder::default();
            for exprs in &rows[self.at..end] {
                match exprs.get(column) {
                    Some(expr) => builder.push(eval(expr, &row, cx)?.get()),
                    None => builder.push(crate::value::ValueRef::Null),
                }
            }
            batch.set(*register, builder.finish());
        }
        self.at = end;
        Ok(Some(batch))
    }

    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }
}

/// WHERE and its like.
pub(crate) struct FilterOp<S: Storage> {
    pub(crate) input: Operator<S>,
    pending: Option<Batch>,
}

impl<S: Storage> FilterOp<S> {
    pub(crate) fn build(input: &Node, predicate: &Expr, build: &Build<'_>) -> FilterOp<S> {
        let mut needed = build.needed.clone();
        needed.add(predicate);
        FilterOp { input: Operator::build(input, &build.with(&needed)), pending: None }
    }

    pub(crate) fn next(
        &mut self,
        input: &Node,
        predicate: &Expr,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        let mut ask = want;
        while let Some(batch) = take_input(&mut self.pending, &mut self.input, input, ask, frame, cx)? {
            match vector::truths(predicate, &batch, frame, cx) {
                Ok(truths) => {
                    let kept = batch.keep(&truths);
                    if !kept.is_empty() {
                        return Ok(Some(kept));
                    }
                }
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
            ask = (ask * 4).min(cx.limits.batch_rows);
        }
        Ok(None)
    }

    pub(crate) fn rewind(&mut self) {
        self.pending = None;
        self.input.rewind();
    }
}

/// Computed columns.
pub(crate) struct ComputeOp<S: Storage> {
    pub(crate) input: Operator<S>,
    /// Which of the columns somebody reads.
    wanted: Vec<bool>,
    pending: Option<Batch>,
}

impl<S: Storage> ComputeOp<S> {
    pub(crate) fn build(input: &Node, columns: &[(Register, Expr)], build: &Build<'_>) -> ComputeOp<S> {
        let mut needed = build.needed.clone();
        let mut wanted = vec![false; columns.len()];
        for (at, (register, expr)) in columns.iter().enumerate().rev() {
            if needed.contains(*register) {
                wanted[at] = true;
                needed.add(expr);
            }
        }
        ComputeOp { input: Operator::build(input, &build.with(&needed)), wanted, pending: None }
    }

    pub(crate) fn next(
        &mut self,
        input: &Node,
        columns: &[(Register, Expr)],
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        let Some(mut batch) = take_input(&mut self.pending, &mut self.input, input, want, frame, cx)? else {
            return Ok(None);
        };
        for ((register, expr), _) in columns.iter().zip(&self.wanted).filter(|(_, wanted)| **wanted) {
            match vector::column(expr, &batch, frame, cx) {
                Ok(column) => batch.set(*register, column),
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
        }
        Ok(Some(batch))
    }

    pub(crate) fn rewind(&mut self) {
        self.pending = None;
        self.input.rewind();
    }
}
