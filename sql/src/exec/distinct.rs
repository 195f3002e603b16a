//! DISTINCT: the first row of each combination of its keys, as they come.

use dosql_base::Result;

use super::batch::Batch;
use super::column::Column;
use super::context::{Charge, ExecContext, Frame};
use super::keys::KeyTable;
use super::operator::{Build, Operator};
use crate::plan::{Node, Register};
use crate::storage::Storage;
use crate::value::Collation;

/// DISTINCT: the keys that were there.
pub(crate) struct DistinctOp<S: Storage> {
    pub(crate) input: Operator<S>,
    seen: KeyTable,
    ids: Vec<u32>,
    charge: Charge,
}

impl<S: Storage> DistinctOp<S> {
    pub(crate) fn build(input: &Node, keys: &[(Register, Collation)], build: &Build<'_>) -> DistinctOp<S> {
        let mut needed = build.needed.clone();
        keys.iter().for_each(|(register, _)| needed.insert(*register));
        DistinctOp {
            input: Operator::build(input, &build.with(&needed)),
            seen: KeyTable::default(),
            ids: Vec::new(),
            charge: Charge::default(),
        }
    }

    pub(crate) fn next(
        &mut self,
        input: &Node,
        keys: &[(Register, Collation)],
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        while let Some(batch) = self.input.next(input, want, frame, cx)? {
            let columns: Vec<(Column, Collation)> = keys
                .iter()
                .map(|(register, collation)| {
                    let bound =
                        || Column::Const(frame.bound.get(register.0 as usize).cloned().unwrap_or_default());
                    (batch.column(*register).cloned().unwrap_or_else(bound), *collation)
                })
                .collect();
            let new = self.add(&columns, batch.len());
            self.charge.set(self.seen.memory(), cx)?;
            if new.len() == batch.len() {
                return Ok(Some(batch));
            }
            if !new.is_empty() {
                return Ok(Some(batch.gather(&new)));
            }
        }
        Ok(None)
    }

    /// The rows whose key is new.
    fn add(&mut self, columns: &[(Column, Collation)], len: usize) -> Vec<u32> {
        let columns: Vec<_> = columns.iter().map(|(column, collation)| (column, *collation)).collect();
        new_rows(&mut self.seen, &columns, len, &mut self.ids)
    }

    pub(crate) fn rewind(&mut self) {
        self.seen.clear();
        self.charge.release();
        self.input.rewind();
    }
}

/// Adds the keys of `len` rows; the rows whose key was not there before.
pub(crate) fn new_rows(
    seen: &mut KeyTable,
    columns: &[(&Column, Collation)],
    len: usize,
    ids: &mut Vec<u32>,
) -> Vec<u32> {
    let mut next = seen.len() as u32;
    seen.insert_rows(columns, len, ids);
    let mut new = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        if *id == next {
            new.push(row as u32);
            next += 1;
        }
    }
    new
}
