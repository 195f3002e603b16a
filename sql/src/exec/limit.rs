//! LIMIT and OFFSET.

use dosql_base::{Code, Error, ErrorKind, Result};

use super::batch::Batch;
use super::context::{ExecContext, Frame};
use super::operator::{Build, Operator};
use super::row::{Row, eval};
use crate::plan::{Expr, Node};
use crate::storage::Storage;
use crate::value::{Affinity, Value};

/// LIMIT and OFFSET: what is left of both.
pub(crate) struct LimitOp<S: Storage> {
    pub(crate) input: Operator<S>,
    left: Option<Window>,
}

/// Rows to skip, then rows to give.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) skip: u64,
    pub(crate) give: u64,
}

impl Window {
    /// Evaluates LIMIT and OFFSET; a negative limit is none, a negative offset zero.
    pub(crate) fn of<S: Storage>(
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Window> {
        let mut integer = |expr: Option<&Expr>| match expr {
            Some(expr) => whole_number(eval(expr, &Row::bound(frame), cx)?.into_value()).map(Some),
            None => Ok(None),
        };
        let limit = integer(limit)?;
        let offset = integer(offset)?;
        Ok(Window {
            skip: offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0),
            give: limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(u64::MAX),
        })
    }
}

fn whole_number(value: Value) -> Result<i64> {
    match Affinity::Integer.apply(value) {
        Value::Integer(integer) => Ok(integer),
        _ => Err(Error::new(ErrorKind::InvalidInput, Code::Mismatch, "datatype mismatch")),
    }
}

impl<S: Storage> LimitOp<S> {
    pub(crate) fn build(input: &Node, build: &Build<'_>) -> LimitOp<S> {
        LimitOp { input: Operator::build(input, build), left: None }
    }

    pub(crate) fn next(
        &mut self,
        input: &Node,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        let mut left = match self.left {
            Some(left) => left,
            None => Window::of(limit, offset, frame, cx)?,
        };
        self.left = Some(left);
        while left.give > 0 {
            let ask = left.skip.saturating_add(left.give.min(want as u64)).min(cx.limits.batch_rows as u64)
                as usize;
            let Some(batch) = self.input.next(input, ask, frame, cx)? else { return Ok(None) };
            let skipped = left.skip.min(batch.len() as u64);
            let given = left.give.min(batch.len() as u64 - skipped);
            left = Window { skip: left.skip - skipped, give: left.give - given };
            self.left = Some(left);
            if given > 0 {
                return Ok(Some(batch.slice(skipped as usize, (skipped + given) as usize)));
            }
        }
        Ok(None)
    }

    pub(crate) fn rewind(&mut self) {
        self.left = None;
        self.input.rewind();
    }
}
