//! Nested queries in FROM: views and subqueries that were not merged, CTEs. A CTE with several readers runs once, and each
//! reads the rows that it has made so far.

use std::sync::Arc;

use dosql_base::Result;

use super::batch::Batch;
use super::column::Column;
use super::context::{Charge, ExecContext, Frame};
use super::row::Row;
use super::run::QueryRun;
use super::subquery;
use crate::plan::{Query, Register, Subquery};
use crate::storage::Storage;
use crate::value::Value;

/// A nested query in FROM.
pub(crate) struct NestedOp<S: Storage> {
    reader: Reader<S>,
    started: bool,
}

enum Reader<S: Storage> {
    Own(Box<QueryRun<S>>),
    /// Reads the rows that the statement keeps under this number and these arguments, from batch `at` on.
    Shared {
        id: u32,
        arguments: Vec<Value>,
        at: usize,
    },
}

impl<S: Storage> NestedOp<S> {
    pub(crate) fn build(query: &Subquery, shared: Option<u32>) -> NestedOp<S> {
        let reader = match shared {
            Some(id) => Reader::Shared { id, arguments: Vec::new(), at: 0 },
            None => Reader::Own(Box::new(QueryRun::new(query.query.clone(), Vec::new()))),
        };
        NestedOp { reader, started: false }
    }

    pub(crate) fn next(
        &mut self,
        query: &Subquery,
        columns: &[(usize, Register)],
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if !self.started {
            let values = subquery::arguments(&query.arguments, &Row::bound(frame), cx)?;
            match &mut self.reader {
                Reader::Own(run) => run.reset(values),
                Reader::Shared { arguments, at, .. } => {
                    *arguments = values;
                    *at = 0;
                }
            }
            self.started = true;
        }
        match &mut self.reader {
            Reader::Own(run) => subquery::nested(cx, |cx| {
                Ok(run.next_up_to(want, cx)?.map(|rows| to_registers(rows, columns)))
            }),
            Reader::Shared { id, arguments, at } => {
                let rows = shared_batch(*id, query, arguments, *at, cx)?;
                *at += usize::from(rows.is_some());
                Ok(rows.map(|rows| to_registers(&rows, columns)))
            }
        }
    }

    pub(crate) fn rewind(&mut self) {
        self.started = false;
    }
}

/// Output columns as registers.
pub(crate) fn to_registers(rows: &Batch, columns: &[(usize, Register)]) -> Batch {
    let mut batch = Batch::new(rows.len(), 0);
    for (output, register) in columns {
        let column = rows.column(Register(*output as u32)).cloned();
        batch.set(*register, column.unwrap_or(Column::NULL));
    }
    batch
}

/// The rows of a CTE with several readers, as far as somebody has asked for them.
pub(crate) struct SharedRows<S: Storage> {
    query: Arc<Query>,
    arguments: Vec<Value>,
    /// Absent while it runs: no reader asks from inside.
    run: Option<Box<QueryRun<S>>>,
    batches: Vec<Batch>,
    bytes: usize,
    charge: Charge,
}

/// Batch `at` of a shared query; `None` beyond its end.
fn shared_batch<S: Storage>(
    id: u32,
    query: &Subquery,
    arguments: &[Value],
    at: usize,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<Batch>> {
    let is = |known: u32, rows: &SharedRows<S>| {
        known == id && Arc::ptr_eq(&rows.query, &query.query) && rows.arguments == arguments
    };
    let known = cx.state.shared.iter().position(|(known, rows)| is(*known, rows));
    let index = match known {
        Some(index) => index,
        None => {
            // Other arguments of the same CTE belong to a row that is past.
            cx.state.shared.retain(|(known, rows)| *known != id || rows.run.is_none());
            let run = Some(Box::new(QueryRun::new(query.query.clone(), arguments.to_vec())));
            let rows = SharedRows {
                query: query.query.clone(),
                arguments: arguments.to_vec(),
                run,
                batches: Vec::new(),
                bytes: 0,
                charge: Charge::default(),
            };
            cx.state.shared.push((id, rows));
            cx.state.shared.len() - 1
        }
    };
    let shared = &mut cx.state.shared[index].1;
    if let Some(batch) = shared.batches.get(at) {
        return Ok(Some(batch.clone()));
    }
    let Some(mut run) = shared.run.take() else { return Ok(None) };
    let next = subquery::nested(cx, |cx| Ok(run.next_up_to(cx.limits.batch_rows, cx)?.cloned()));
    // The list may have changed while the query ran.
    let Some((_, shared)) = cx.state.shared.iter_mut().find(|(known, rows)| is(*known, rows)) else {
        return next;
    };
    shared.run = Some(run);
    let next = next?;
    let Some(batch) = &next else { return Ok(None) };
    shared.bytes += batch.memory();
    shared.batches.push(batch.clone());
    let bytes = shared.bytes;
    let mut charge = std::mem::take(&mut shared.charge);
    let charged = charge.set(bytes, cx);
    if let Some((_, shared)) = cx.state.shared.iter_mut().find(|(known, rows)| is(*known, rows)) {
        shared.charge = charge;
    }
    charged?;
    Ok(next)
}
