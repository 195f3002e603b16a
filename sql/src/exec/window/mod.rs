//! Window functions: all rows are read, sorted by partition and order, and each call is computed partition by partition
//! over the sorted rows. Rows come out in that order.

mod frame;
mod functions;

use dosql_base::Result;

use super::batch::{Batch, Rows};
use super::column::{Column, ColumnBuilder};
use super::context::{Charge, ExecContext, Frame};
use super::operator::{Build, Operator, take_input};
use super::sort::put_sort_key;
use super::vector;
use crate::plan::{Expr, Register, SortKey, Window};
use crate::storage::Storage;
use crate::value::{Affinity, Collation};

pub(super) use frame::{Bounds, Offsets};

/// Window functions.
pub(crate) struct WindowOp<S: Storage> {
    pub(crate) input: Operator<S>,
    /// What is read above, then, in registers of our own, what the calls read.
    rows: Rows,
    kept: Vec<Register>,
    /// The first register of our own.
    own: u32,
    keys: Keys,
    pending: Option<Batch>,
    results: Option<Vec<(Register, Column)>>,
    len: usize,
    given: usize,
    charge: Charge,
}

/// The sort keys of rows: their partition's, then their order's.
#[derive(Debug, Default)]
pub(super) struct Keys {
    buffer: Vec<u8>,
    /// Where the partition's key ends and where all ends, for each row.
    ends: Vec<(usize, usize)>,
}

impl Keys {
    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1].1 }
    }

    fn whole(&self, row: usize) -> &[u8] {
        &self.buffer[self.start(row)..self.ends[row].1]
    }

    fn partition(&self, row: usize) -> &[u8] {
        &self.buffer[self.start(row)..self.ends[row].0]
    }

    pub(super) fn order(&self, row: usize) -> &[u8] {
        &self.buffer[self.ends[row].0..self.ends[row].1]
    }

    fn sorted(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..self.ends.len() as u32).collect();
        rows.sort_by(|&a, &b| self.whole(a as usize).cmp(self.whole(b as usize)));
        rows
    }

    fn gather(&self, rows: &[u32]) -> Keys {
        let mut keys = Keys::default();
        for &row in rows {
            let row = row as usize;
            keys.buffer.extend_from_slice(self.partition(row));
            let middle = keys.buffer.len();
            keys.buffer.extend_from_slice(self.order(row));
            keys.ends.push((middle, keys.buffer.len()));
        }
        keys
    }
}

/// One partition of the sorted rows.
pub(super) struct Partition<'a> {
    pub(super) start: usize,
    pub(super) len: usize,
    /// For each row of the partition the number of its group of peers.
    pub(super) group: Vec<u32>,
    /// Where each group starts, and where the last one ends.
    pub(super) starts: Vec<usize>,
    pub(super) keys: &'a Keys,
}

impl Partition<'_> {
    /// The peers of a row.
    pub(super) fn peers(&self, row: usize) -> (usize, usize) {
        let group = self.group[row] as usize;
        (self.starts[group], self.starts[group + 1])
    }
}

/// What a call reads, sorted.
pub(super) struct CallColumns {
    pub(super) arguments: Vec<Column>,
    pub(super) filter: Option<Column>,
}

/// What a call reads, in the order of its columns.
fn call_exprs(window: &Window) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = Vec::new();
    for call in &window.calls {
        exprs.extend(&call.arguments);
        exprs.extend(&call.filter);
    }
    exprs.extend(window.order_by.first().map(|key| &key.expr));
    exprs
}

impl<S: Storage> WindowOp<S> {
    pub(crate) fn build(window: &Window, build: &Build<'_>) -> WindowOp<S> {
        let kept = build.needed.filter(window.input.registers_filled());
        let mut needed = build.needed.clone();
        needed.add_all(window.partition_by.iter().map(|(expr, _)| expr));
        needed.add_all(window.order_by.iter().map(|key| &key.expr));
        needed.add_all(call_exprs(window));
        let own = build.width as u32;
        let mut registers = kept.clone();
        registers.extend((0..call_exprs(window).len() as u32).map(|number| Register(own + number)));
        WindowOp {
            input: Operator::build(&window.input, &build.with(&needed)),
            rows: Rows::new(registers),
            kept,
            own,
            keys: Keys::default(),
            pending: None,
            results: None,
            len: 0,
            given: 0,
            charge: Charge::default(),
        }
    }

    pub(crate) fn next(
        &mut self,
        window: &Window,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if self.results.is_none() {
            self.load(window, frame, cx)?;
            self.results = Some(self.compute(window, frame, cx)?);
        }
        let Some(results) = &self.results else { return Ok(None) };
        let end = self.len.min(self.given + want);
        if self.given >= end {
            return Ok(None);
        }
        let rows: Vec<u32> = (self.given as u32..end as u32).collect();
        let all = self.rows.batch(0);
        let mut batch = all.gather_registers(&self.kept, &rows);
        for (register, column) in results {
            batch.set(*register, column.gather(&rows));
        }
        self.given = end;
        Ok(Some(batch))
    }

    fn load(&mut self, window: &Window, frame: &mut Frame, cx: &mut ExecContext<'_, S>) -> Result<()> {
        let node = &window.input;
        while let Some(mut batch) =
            take_input(&mut self.pending, &mut self.input, node, cx.limits.batch_rows, frame, cx)?
        {
            let exprs = window.partition_by.iter().map(|(expr, _)| expr);
            let exprs = exprs.chain(window.order_by.iter().map(|key| &key.expr)).chain(call_exprs(window));
            let columns = match vector::columns(exprs, &batch, frame, cx) {
                Ok(columns) => columns,
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            };
            let (partition, rest) = columns.split_at(window.partition_by.len());
            let (order, own) = rest.split_at(window.order_by.len());
            self.add_keys(window, partition, order, batch.len());
            for (number, column) in own.iter().enumerate() {
                batch.set(Register(self.own + number as u32), column.clone());
            }
            self.rows.append(&batch);
            self.charge
                .set(self.rows.memory() * 2 + self.keys.buffer.len() + self.keys.ends.len() * 16, cx)?;
        }
        Ok(())
    }

    fn add_keys(&mut self, window: &Window, partition: &[Column], order: &[Column], len: usize) {
        let sort = |collation: Collation| SortKey {
            expr: Expr::Literal(crate::value::Value::Null),
            collation,
            descending: false,
            nulls_first: true,
        };
        let partition_keys: Vec<SortKey> =
            window.partition_by.iter().map(|(_, collation)| sort(*collation)).collect();
        for row in 0..len {
            for (key, column) in partition_keys.iter().zip(partition) {
                put_sort_key(&mut self.keys.buffer, key, column.get(row));
            }
            let middle = self.keys.buffer.len();
            for (key, column) in window.order_by.iter().zip(order) {
                put_sort_key(&mut self.keys.buffer, key, column.get(row));
            }
            self.keys.ends.push((middle, self.keys.buffer.len()));
        }
    }

    /// Sorts the rows and computes every call.
    fn compute(
        &mut self,
        window: &Window,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Vec<(Register, Column)>> {
        let offsets = window
            .calls
            .iter()
            .map(|call| Offsets::of(&call.frame, frame, cx))
            .collect::<Result<Vec<Offsets>>>()?;
        let order = self.keys.sorted();
        self.keys = self.keys.gather(&order);
        self.rows.keep(&order);
        self.rows.seal();
        self.len = self.rows.len();
        let all = self.rows.batch(0);
        let mut next = self.own;
        let mut own = || {
            let column = all.column(Register(next)).cloned().unwrap_or(Column::NULL);
            next += 1;
            column
        };
        let mut reads = Vec::with_capacity(window.calls.len());
        for call in &window.calls {
            let arguments = call.arguments.iter().map(|_| own()).collect();
            let filter = call.filter.as_ref().map(|_| own());
            reads.push(CallColumns { arguments, filter });
        }
        let order_value = window.order_by.first().map(|_| own());
        let mut results: Vec<ColumnBuilder> = vec![ColumnBuilder::default(); window.calls.len()];
        let mut start = 0;
        while start < self.len {
            cx.check_interrupt()?;
            let partition = self.partition(start);
            for (at, call) in window.calls.iter().enumerate() {
                let bounds = Bounds {
                    partition: &partition,
                    frame: &call.frame,
                    offsets: &offsets[at],
                    order: window.order_by.first().zip(order_value.as_ref()),
                };
                functions::compute(call, &bounds, &reads[at], &mut results[at], cx)?;
            }
            start += partition.len;
        }
        let outputs = window.calls.iter().map(|call| call.output);
        Ok(outputs.zip(results.into_iter().map(ColumnBuilder::finish)).collect())
    }

    /// The partition that starts at a row.
    fn partition(&self, start: usize) -> Partition<'_> {
        let keys = &self.keys;
        let same = |row: usize| keys.partition(row) == keys.partition(start);
        let mut end = start;
        let (mut group, mut starts) = (Vec::new(), Vec::new());
        while end < self.len && same(end) {
            if end == start || keys.order(end) != keys.order(end - 1) {
                starts.push(end - start);
            }
            group.push(starts.len() as u32 - 1);
            end += 1;
        }
        starts.push(end - start);
        Partition { start, len: end - start, group, starts, keys }
    }

    pub(crate) fn rewind(&mut self) {
        self.rows = Rows::new(self.rows.registers().to_vec());
        self.keys = Keys::default();
        self.pending = None;
        self.results = None;
        self.len = 0;
        self.given = 0;
        self.charge.release();
        self.input.rewind();
    }
}

/// Numbers of a column, for RANGE.
pub(super) fn is_number(column: &Column, row: usize) -> bool {
    let value = column.get(row);
    matches!(value, crate::value::ValueRef::Integer(_) | crate::value::ValueRef::Real(_))
        && Affinity::Numeric.convert(value).is_none_or(|value| !value.is_null())
}
