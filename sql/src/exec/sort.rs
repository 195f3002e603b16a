//! ORDER BY: every row's keys become bytes that order as the keys do, and the rows are sorted by them, those with equal keys
//! in the order in which they came. With a limit, only the rows that can still be among the first are kept.

use dosql_base::Result;

use super::batch::{Batch, Rows};
use super::column::Column;
use super::context::{Charge, ExecContext, Frame};
use super::limit::Window;
use super::operator::{Build, Operator, take_input};
use super::vector;
use crate::codec::encode_key;
use crate::plan::{Expr, Node, SortKey};
use crate::storage::Storage;
use crate::value::ValueRef;

/// Byte strings in one buffer.
#[derive(Debug, Default)]
pub(crate) struct SortKeys {
    buffer: Vec<u8>,
    ends: Vec<usize>,
}

impl SortKeys {
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.buffer[start..self.ends[row]]
    }

    /// Adds the keys of `len` rows.
    pub(crate) fn add(&mut self, keys: &[SortKey], columns: &[Column], len: usize) {
        (0..len).for_each(|row| self.add_row(keys, columns, row));
    }

    fn add_row(&mut self, keys: &[SortKey], columns: &[Column], row: usize) {
        for (key, column) in keys.iter().zip(columns) {
            put_sort_key(&mut self.buffer, key, column.get(row));
        }
        self.ends.push(self.buffer.len());
    }

    pub(crate) fn memory(&self) -> usize {
        self.buffer.len() + self.ends.len() * 24
    }

    /// The rows in the order of their keys.
    pub(crate) fn order(&self) -> Vec<u32> {
        let prefix = |row: u32| {
            let key = self.get(row as usize);
            let mut head = [0; 8];
            let len = key.len().min(8);
            head[..len].copy_from_slice(&key[..len]);
            (u64::from_be_bytes(head), row)
        };
        let mut order: Vec<(u64, u32)> = (0..self.ends.len() as u32).map(prefix).collect();
        order.sort_unstable_by(|a, b| {
            let rest = || self.get(a.1 as usize).cmp(self.get(b.1 as usize)).then(a.1.cmp(&b.1));
            a.0.cmp(&b.0).then_with(rest)
        });
        order.into_iter().map(|(_, row)| row).collect()
    }

    /// Takes back all keys from `len` on.
    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.buffer.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Only these rows, in this order.
    fn gather(&self, rows: &[u32]) -> SortKeys {
        let mut kept = SortKeys::default();
        for &row in rows {
            kept.buffer.extend_from_slice(self.get(row as usize));
            kept.ends.push(kept.buffer.len());
        }
        kept
    }
}

/// Appends one key so that byte order is the order that it asks for.
pub(crate) fn put_sort_key(out: &mut Vec<u8>, key: &SortKey, value: ValueRef<'_>) {
    match value {
        // Below and above every byte that a value's key starts with.
        ValueRef::Null => out.push(if key.nulls_first { 0x00 } else { 0xFF }),
        value => encode_key(out, value, key.collation, key.descending),
    }
}

/// ORDER BY.
pub(crate) struct SortOp<S: Storage> {
    pub(crate) input: Operator<S>,
    rows: Rows,
    keys: SortKeys,
    pending: Option<Batch>,
    /// How many rows are wanted at most.
    top: Option<usize>,
    /// With a limit, once so many rows are there: the key of the last of them. Rows that are not before it are dropped.
    last: Option<Vec<u8>>,
    /// The rows in their order, when all are there.
    order: Option<Vec<u32>>,
    given: usize,
    charge: Charge,
}

impl<S: Storage> SortOp<S> {
    pub(crate) fn build(input: &Node, keys: &[SortKey], build: &Build<'_>) -> SortOp<S> {
        let rows = Rows::new(build.needed.filter(input.registers_filled()));
        let mut needed = build.needed.clone();
        needed.add_all(keys.iter().map(|key| &key.expr));
        SortOp {
            input: Operator::build(input, &build.with(&needed)),
            rows,
            keys: SortKeys::default(),
            pending: None,
            top: None,
            last: None,
            order: None,
            given: 0,
            charge: Charge::default(),
        }
    }

    pub(crate) fn next(
        &mut self,
        input: &Node,
        keys: &[SortKey],
        limit: Option<&(Option<Expr>, Option<Expr>)>,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if self.order.is_none() {
            self.load(input, keys, limit, frame, cx)?;
        }
        let Some(order) = &self.order else { return Ok(None) };
        let end = order.len().min(self.given + want);
        if self.given >= end {
            return Ok(None);
        }
        let mut batch = Batch::new(end - self.given, 0);
        self.rows.fill(&mut batch, &order[self.given..end]);
        self.given = end;
        Ok(Some(batch))
    }

    fn load(
        &mut self,
        input: &Node,
        keys: &[SortKey],
        limit: Option<&(Option<Expr>, Option<Expr>)>,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        if let (Some((limit, offset)), None) = (limit, self.top) {
            let window = Window::of(limit.as_ref(), offset.as_ref(), frame, cx)?;
            let top = window.give.saturating_add(window.skip);
            self.top = Some(usize::try_from(top).unwrap_or(usize::MAX));
        }
        while let Some(batch) =
            take_input(&mut self.pending, &mut self.input, input, cx.limits.batch_rows, frame, cx)?
        {
            match vector::columns(keys.iter().map(|key| &key.expr), &batch, frame, cx) {
                Ok(columns) => self.add(keys, &columns, &batch),
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
            if let Some(top) = self.top
                && self.rows.len() > top.saturating_mul(2).saturating_add(64)
            {
                self.keep_first(top);
            }
            self.charge.set(self.rows.memory() + self.keys.memory(), cx)?;
        }
        self.rows.seal();
        let mut order = self.keys.order();
        if let Some(top) = self.top {
            order.truncate(top);
        }
        self.keys = SortKeys::default();
        self.order = Some(order);
        Ok(())
    }

    /// Adds the rows of a batch that can still be among the first.
    fn add(&mut self, keys: &[SortKey], columns: &[Column], batch: &Batch) {
        let Some(last) = &self.last else {
            self.keys.add(keys, columns, batch.len());
            self.rows.append(batch);
            return;
        };
        let mut rows = Vec::new();
        for row in 0..batch.len() {
            self.keys.add_row(keys, columns, row);
            let added = self.keys.ends.len() - 1;
            if self.keys.get(added) < last.as_slice() {
                rows.push(row as u32);
            } else {
                self.keys.truncate(added);
            }
        }
        self.rows.append_rows(batch, &rows);
    }

    /// Drops the rows that can't be among the first `top`.
    fn keep_first(&mut self, top: usize) {
        let mut order = self.keys.order();
        order.truncate(top);
        self.keys = self.keys.gather(&order);
        self.last = order.len().checked_sub(1).map(|last| self.keys.get(last).to_vec());
        self.rows.keep(&order);
    }

    pub(crate) fn rewind(&mut self) {
        self.rows.clear();
        self.keys = SortKeys::default();
        self.pending = None;
        self.top = None;
        self.last = None;
        self.order = None;
        self.given = 0;
        self.charge.release();
        self.input.rewind();
    }
}
