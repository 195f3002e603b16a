//! The right side anew for every left row. Where it is a scan, its lookups for all rows of a left batch go into the same
//! columns and its filter is tested for all of them at once; any other right side is rewound with the left row's registers
//! bound.

use dosql_base::{ErrorKind, Result};

use super::super::batch::{Batch, Rows};
use super::super::column::Column;
use super::super::context::{ExecContext, Frame};
use super::super::operator::Operator;
use super::super::point::{is_point, put_row_id};
use super::super::row::Row;
use super::super::scan::{ScanOp, Sink, is_quick};
use super::super::vector;
use super::{LeftBatch, Pairs, RightRows};
use crate::catalog::layout;
use crate::plan::{Access, Expr, Join, KeyTerm, Node, Register, Scan};
use crate::storage::Storage;

/// How far a loop has come.
pub(super) struct Looped {
    /// The left registers that the right side reads.
    bound: Vec<Register>,
    registers: Vec<Register>,
    /// The right side has been opened for the left row that is under way.
    open: bool,
    /// Candidates so far: their left rows, and their right rows in one of the two.
    left: Vec<u32>,
    rows: Rows,
    sink: Option<Sink>,
}

impl Looped {
    pub(super) fn new(bound: Vec<Register>, registers: Vec<Register>) -> Looped {
        let rows = Rows::new(registers.clone());
        Looped { bound, registers, open: false, left: Vec::new(), rows, sink: None }
    }

    /// What the scan on the right leaves of its filter for the pairs.
    pub(super) fn scan_filter<'j, S: Storage>(
        &self,
        join: &'j Join,
        right: &Operator<S>,
    ) -> Option<&'j Expr> {
        let (Node::Scan(scan), Operator::Scan(op)) = (&join.right, right) else { return None };
        scan.filter.as_ref().filter(|filter| is_point(scan) || !is_quick(filter, op.registers()))
    }

    /// The next pairs of a left batch.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn pairs<S: Storage>(
        &mut self,
        join: &Join,
        right: &mut Operator<S>,
        batch: &mut LeftBatch,
        first_only: bool,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Pairs> {
        let scan = matches!((&join.right, &*right), (Node::Scan(_), Operator::Scan(_)));
        if let (Node::Scan(scan), Operator::Scan(op)) = (&join.right, &mut *right)
            && is_point(scan)
        {
            self.look_up(scan, op, batch, frame, cx)?;
        }
        while batch.at < batch.rows.len() && self.left.len() < want {
            if scan {
                self.scan_row(join, right, batch, want, frame, cx)?;
            } else {
                self.run_row(join, right, batch, first_only, want, frame, cx)?;
            }
        }
        let rows = match (self.sink.take(), right) {
            (Some(sink), Operator::Scan(op)) => op.batch(sink),
            _ => {
                self.rows.seal();
                let rows = self.rows.batch(0);
                self.rows = Rows::new(self.registers.clone());
                rows
            }
        };
        let left = std::mem::take(&mut self.left);
        Ok(Pairs { left, right: RightRows::Own(rows), complete: batch.at })
    }

    /// Looks up the one row by its key that each left row can match.
    fn look_up<S: Storage>(
        &mut self,
        scan: &Scan,
        op: &mut ScanOp<S>,
        batch: &mut LeftBatch,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let Access::Primary(bounds) = &scan.access else { return Ok(()) };
        let mut parts = Vec::with_capacity(bounds.equal.len());
        for term in &bounds.equal {
            let KeyTerm::Equal(bound) = term else { return Ok(()) };
            let column = vector::column(&bound.expr, &batch.rows, frame, cx)?;
            parts.push(match bound.affinity {
                Some(affinity) => vector::apply_affinity(affinity, column, batch.rows.len()),
                None => column,
            });
        }
        let sink = self.sink.get_or_insert_with(|| Sink::new(op.registers().len()));
        let mut key = Vec::with_capacity(24);
        while batch.at < batch.rows.len() {
            if make_key(scan, &parts, batch.at, &mut key)
                && let Err(error) = op.lookup(scan, &key, sink, cx)
            {
                if error.kind() == ErrorKind::WouldBlock {
                    // Ask for the other rows too, so that they can be fetched together.
                    for row in batch.at + 1..batch.rows.len() {
                        if make_key(scan, &parts, row, &mut key) {
                            let _ = cx.storage.get(cx.point(scan.point), &key, |_| ());
                        }
                    }
                }
                return Err(error);
            }
            self.left.resize(sink.rows, batch.at as u32);
            batch.at += 1;
        }
        Ok(())
    }

    /// Looks up the left row that is under way.
    fn scan_row<S: Storage>(
        &mut self,
        join: &Join,
        right: &mut Operator<S>,
        batch: &mut LeftBatch,
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let (Node::Scan(scan), Operator::Scan(op)) = (&join.right, right) else { return Ok(()) };
        if !self.open {
            op.open(scan, &Row::of(&batch.rows, batch.at, frame), true, cx)?;
            self.open = true;
        }
        let sink = self.sink.get_or_insert_with(|| Sink::new(op.registers().len()));
        let room = want - self.left.len();
        let more = op.pull(scan, room, sink, cx)?;
        self.left.resize(sink.rows, batch.at as u32);
        if !more {
            self.open = false;
            batch.at += 1;
        }
        Ok(())
    }

    /// Runs the right side for the left row that is under way.
    #[allow(clippy::too_many_arguments)]
    fn run_row<S: Storage>(
        &mut self,
        join: &Join,
        right: &mut Operator<S>,
        batch: &mut LeftBatch,
        first_only: bool,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        if !self.open {
            for register in &self.bound {
                let value = batch.rows.column(*register).map(|column| column.get(batch.at).to_value());
                if let (Some(value), Some(slot)) = (value, frame.bound.get_mut(register.0 as usize)) {
                    *slot = value;
                }
            }
            right.rewind();
            self.open = true;
        }
        let ask = if first_only { 1 } else { want };
        let found: Option<Batch> = right.next(&join.right, ask, frame, cx)?;
        match found {
            Some(found) if first_only => {
                self.rows.append_rows(&found, &[0]);
                self.left.push(batch.at as u32);
            }
            Some(found) => {
                self.rows.append(&found);
                self.left.resize(self.left.len() + found.len(), batch.at as u32);
                return Ok(());
            }
            None => {}
        }
        self.open = false;
        batch.at += 1;
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.open = false;
        self.left.clear();
        self.rows = Rows::new(self.registers.clone());
        self.sink = None;
    }
}

/// Makes the key to look up for a left row; whether there can be one.
fn make_key(scan: &Scan, parts: &[Column], row: usize, key: &mut Vec<u8>) -> bool {
    key.clear();
    layout::put_space(key, scan.table.space);
    parts.iter().enumerate().all(|(part, column)| put_row_id(&scan.table, key, part, column.get(row)))
}
