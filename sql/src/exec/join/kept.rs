//! The right side read once: into a hash table by its keys, or as it is where every pair is tried.

use dosql_base::Result;

use super::super::batch::{Batch, Rows};
use super::super::column::{Column, NO_ROW};
use super::super::context::{Charge, ExecContext, Frame};
use super::super::keys::{KeyColumn, KeyTable};
use super::super::operator::Operator;
use super::super::vector;
use super::{LeftBatch, Pairs, RightRows};
use crate::plan::{HashKey, Join, JoinMethod, Register};
use crate::storage::Storage;
use crate::value::Collation;

/// The rows of the right side.
pub(super) struct Kept {
    rows: Rows,
    table: KeyTable,
    /// While loading: the key of each row. Then: the row after it with the same key.
    next: Vec<u32>,
    /// The first row of each key.
    first: Vec<u32>,
    loaded: bool,
    /// A right batch whose keys have to be evaluated again.
    pending: Option<Batch>,
    /// Which rows matched, for right and full joins.
    matches: Vec<bool>,
    /// The next candidate of the left row that is under way; `NO_ROW`: its first.
    chain: u32,
    /// How far the unmatched rows have been given.
    given: usize,
    charge: Charge,
}

impl Kept {
    pub(super) fn new(registers: Vec<Register>) -> Kept {
        Kept {
            rows: Rows::new(registers),
            table: KeyTable::default(),
            next: Vec::new(),
            first: Vec::new(),
            loaded: false,
            pending: None,
            matches: Vec::new(),
            chain: NO_ROW,
            given: 0,
            charge: Charge::default(),
        }
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// Reads the right side, unless that is done.
    pub(super) fn load<S: Storage>(
        &mut self,
        join: &Join,
        right: &mut Operator<S>,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        if self.loaded {
            return Ok(());
        }
        let keys: &[HashKey] = if let JoinMethod::Hash(keys) = &join.method { keys } else { &[] };
        let mut ids = Vec::new();
        loop {
            let batch = match self.pending.take() {
                Some(batch) => batch,
                None => match right.next(&join.right, cx.limits.batch_rows, frame, cx)? {
                    Some(batch) => batch,
                    None => break,
                },
            };
            if !keys.is_empty() {
                let columns = match key_columns(keys, false, &batch, frame, cx) {
                    Ok(columns) => columns,
                    Err(error) => {
                        self.pending = Some(batch);
                        return Err(error);
                    }
                };
                let columns: Vec<KeyColumn<'_>> = columns.iter().map(|(column, c)| (column, *c)).collect();
                self.table.insert_rows(&columns, batch.len(), &mut ids);
                self.next.extend_from_slice(&ids);
            }
            self.rows.append(&batch);
            self.charge.set(self.memory(), cx)?;
        }
        self.rows.seal();
        self.link(!keys.is_empty());
        self.matches = vec![false; self.rows.len()];
        self.loaded = true;
        Ok(())
    }

    /// Chains the rows of each key, first to last.
    fn link(&mut self, hashed: bool) {
        if !hashed {
            // All rows are one chain.
            self.first = vec![if self.rows.len() == 0 { NO_ROW } else { 0 }];
            self.next = (1..=self.rows.len() as u32).collect();
            if let Some(last) = self.next.last_mut() {
                *last = NO_ROW;
            }
            return;
        }
        self.first = vec![NO_ROW; self.table.len()];
        for row in (0..self.next.len()).rev() {
            let key = self.next[row] as usize;
            self.next[row] = std::mem::replace(&mut self.first[key], row as u32);
        }
    }

    fn memory(&self) -> usize {
        self.rows.memory() + self.table.memory() + self.next.len() * 9
    }

    /// The next pairs of a left batch.
    pub(super) fn pairs<S: Storage>(
        &mut self,
        join: &Join,
        batch: &mut LeftBatch,
        first_only: bool,
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Pairs> {
        let hashed = if let JoinMethod::Hash(keys) = &join.method { keys.as_slice() } else { &[] };
        if !hashed.is_empty() && batch.keys.is_empty() {
            let columns = key_columns(hashed, true, &batch.rows, frame, cx)?;
            let columns: Vec<KeyColumn<'_>> = columns.iter().map(|(column, c)| (column, *c)).collect();
            self.table.find_rows(&columns, batch.rows.len(), false, &mut batch.keys);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let want = want.max(batch.rows.len() - batch.at);
        while batch.at < batch.rows.len() && left.len() < want {
            let mut row = self.chain;
            if row == NO_ROW {
                let key = if hashed.is_empty() { 0 } else { batch.keys[batch.at] };
                row = if key == NO_ROW { NO_ROW } else { self.first[key as usize] };
            }
            while row != NO_ROW && left.len() < want {
                left.push(batch.at as u32);
                right.push(row);
                row = if first_only { NO_ROW } else { self.next[row as usize] };
            }
            self.chain = row;
            if row == NO_ROW {
                batch.at += 1;
            }
        }
        Ok(Pairs { left, right: RightRows::Kept(right), complete: batch.at })
    }

    pub(super) fn matched(&mut self, row: u32) {
        self.matches[row as usize] = true;
    }

    /// The next rows that never matched.
    pub(super) fn unmatched(&mut self, want: usize) -> Vec<u32> {
        let mut rows = Vec::new();
        while self.given < self.matches.len() && rows.len() < want {
            if !self.matches[self.given] {
                rows.push(self.given as u32);
            }
            self.given += 1;
        }
        rows
    }

    /// Starts anew with the same rows.
    pub(super) fn forget_matches(&mut self) {
        self.matches.fill(false);
        self.chain = NO_ROW;
        self.given = 0;
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.table.clear();
        self.next.clear();
        self.first.clear();
        self.matches.clear();
        self.pending = None;
        self.loaded = false;
        self.chain = NO_ROW;
        self.given = 0;
        self.charge.release();
    }
}

/// The keys of one side, made comparable.
fn key_columns<S: Storage>(
    keys: &[HashKey],
    left: bool,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<(Column, Collation)>> {
    keys.iter()
        .map(|key| {
            let (expr, affinity) =
                if left { (&key.left, key.rule.left) } else { (&key.right, key.rule.right) };
            let column = vector::column(expr, batch, frame, cx)?;
            let column = match affinity {
                Some(affinity) => vector::apply_affinity(affinity, column, batch.len()),
                None => column,
            };
            Ok((column, key.rule.collation))
        })
        .collect()
}
