//! UNION ALL, UNION, INTERSECT and EXCEPT. All but the first give their rows sorted, as SQLite's do.

use dosql_base::Result;

use super::batch::{Batch, Rows};
use super::column::{Column, NO_ROW};
use super::context::{Charge, ExecContext, Frame};
use super::keys::{KeyColumn, KeyTable};
use super::operator::{Build, Operator, take_input};
use super::registers::RegisterSet;
use super::vector;
use crate::plan::{Compound, CompoundKind, Expr, Node, Register};
use crate::storage::Storage;

/// A compound of two sides.
pub(crate) struct CompoundOp<S: Storage> {
    pub(crate) left: Operator<S>,
    pub(crate) right: Operator<S>,
    left_done: bool,
    right_done: bool,
    pending: Option<Batch>,
    seen: KeyTable,
    rows: Rows,
    /// For each key its row; `NO_ROW` where the right side decided against it, or has not been seen to have it.
    of_key: Vec<u32>,
    /// INTERSECT: which keys the right side has.
    in_both: Vec<bool>,
    order: Option<Vec<u32>>,
    given: usize,
    charge: Charge,
}

impl<S: Storage> CompoundOp<S> {
    pub(crate) fn build(compound: &Compound, build: &Build<'_>) -> CompoundOp<S> {
        let side = |(node, outputs): &(Node, Vec<Expr>)| {
            let mut needed = RegisterSet::default();
            needed.add_all(outputs);
            Operator::build(node, &build.with(&needed))
        };
        CompoundOp {
            left: side(&compound.left),
            right: side(&compound.right),
            left_done: false,
            right_done: false,
            pending: None,
            seen: KeyTable::default(),
            rows: Rows::new(compound.columns.iter().map(|(register, _)| *register).collect()),
            of_key: Vec::new(),
            in_both: Vec::new(),
            order: None,
            given: 0,
            charge: Charge::default(),
        }
    }

    pub(crate) fn next(
        &mut self,
        compound: &Compound,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if compound.kind == CompoundKind::UnionAll {
            return self.side(compound, want, frame, cx).map(|found| found.map(|(batch, _)| batch));
        }
        if self.order.is_none() {
            while let Some((batch, from_left)) = self.side(compound, cx.limits.batch_rows, frame, cx)? {
                self.take(compound, &batch, from_left);
                let memory = self.seen.memory() + self.rows.memory() + self.of_key.len() * 5;
                self.charge.set(memory, cx)?;
            }
            self.rows.seal();
            let wanted = |key: &u32| match compound.kind {
                CompoundKind::Intersect => self.in_both.get(*key as usize).copied().unwrap_or(false),
                _ => self.of_key[*key as usize] != NO_ROW,
            };
            let keys = self.seen.sorted().into_iter().filter(wanted);
            self.order = Some(keys.map(|key| self.of_key[key as usize]).collect());
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

    /// The next rows of the left side, then of the right, in the compound's registers; whether they are the left's.
    fn side(
        &mut self,
        compound: &Compound,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<(Batch, bool)>> {
        loop {
            let from_left = !self.left_done;
            let ((node, outputs), input) = if from_left {
                (&compound.left, &mut self.left)
            } else if !self.right_done {
                (&compound.right, &mut self.right)
            } else {
                return Ok(None);
            };
            let Some(batch) = take_input(&mut self.pending, input, node, want, frame, cx)? else {
                if from_left {
                    self.left_done = true
                } else {
                    self.right_done = true
                }
                continue;
            };
            match vector::columns(outputs.iter(), &batch, frame, cx) {
                Ok(columns) => {
                    let mut rows = Batch::new(batch.len(), 0);
                    for ((register, _), column) in compound.columns.iter().zip(columns) {
                        rows.set(*register, column);
                    }
                    return Ok(Some((rows, from_left)));
                }
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
        }
    }

    /// Takes in rows of a UNION, INTERSECT or EXCEPT. Of equal rows the last one stays.
    fn take(&mut self, compound: &Compound, batch: &Batch, from_left: bool) {
        let column = |register: Register| batch.column(register).unwrap_or(&Column::NULL);
        let columns: Vec<KeyColumn<'_>> =
            compound.columns.iter().map(|(register, collation)| (column(*register), *collation)).collect();
        let mut ids = Vec::new();
        if from_left || compound.kind == CompoundKind::Union {
            self.seen.insert_rows(&columns, batch.len(), &mut ids);
            self.of_key.resize(self.seen.len(), NO_ROW);
            let mut rows = Vec::new();
            for (row, id) in ids.iter().enumerate() {
                let kept = &mut self.of_key[*id as usize];
                let same = |kept: u32| {
                    let new = compound.columns.iter().map(|(register, _)| column(*register).get(row));
                    let kept = kept as usize;
                    kept < self.rows.len() && self.rows.is_row(kept, new)
                };
                if *kept == NO_ROW || !same(*kept) {
                    *kept = (self.rows.len() + rows.len()) as u32;
                    rows.push(row as u32);
                }
            }
            self.rows.append_rows(batch, &rows);
            return;
        }
        self.seen.find_rows(&columns, batch.len(), true, &mut ids);
        self.in_both.resize(self.of_key.len(), false);
        for id in ids.into_iter().filter(|id| *id != NO_ROW) {
            match compound.kind {
                CompoundKind::Except => self.of_key[id as usize] = NO_ROW,
                _ => self.in_both[id as usize] = true,
            }
        }
    }

    pub(crate) fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.left_done = false;
        self.right_done = false;
        self.pending = None;
        self.seen.clear();
        self.rows = Rows::new(self.rows.registers().to_vec());
        self.of_key.clear();
        self.in_both.clear();
        self.order = None;
        self.given = 0;
        self.charge.release();
    }
}
