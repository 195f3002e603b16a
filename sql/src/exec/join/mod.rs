//! Joins. Every method makes candidate pairs of a left and a right row, in the order of the left rows; what of ON is not
//! in the method is then tested for all candidates at once; and what matched is handed up by the kind of the join.
//!
//! ```text
//! left batch ──▶ pairs (left row, right row) ──▶ condition ──▶ matches, and left rows without one
//!                  ▲ kept.rs: hash table or all rows of the right side, read once
//!                  ▲ looped.rs: the right side anew for every left row
//! ```

mod kept;
mod looped;

use dosql_base::Result;

use super::batch::Batch;
use super::column::{Column, NO_ROW, TRUE, Truth};
use super::context::{ExecContext, Frame};
use super::operator::{Build, Operator};
use super::registers::is_independent;
use super::vector;
use crate::plan::{Join, JoinKind, JoinMethod, Register};
use crate::storage::Storage;
use kept::Kept;
use looped::Looped;

/// A join.
pub(crate) struct JoinOp<S: Storage> {
    pub(crate) left: Operator<S>,
    pub(crate) right: Operator<S>,
    /// What is read above, or by the condition, of each side.
    left_registers: Vec<Register>,
    right_registers: Vec<Register>,
    method: Method,
    /// Whether the right side is the same at every rewind.
    right_stays: bool,
    batch: Option<LeftBatch>,
    /// Pairs whose condition has to be evaluated again.
    pairs: Option<Pairs>,
    left_done: bool,
}

enum Method {
    Kept(Box<Kept>),
    Looped(Looped),
}

/// A batch of left rows and how far the join has come with it.
struct LeftBatch {
    rows: Batch,
    /// The number of the key of each row, for a hash join.
    keys: Vec<u32>,
    /// Which rows have found a match.
    matched: Vec<bool>,
    /// The row whose candidates come next.
    at: usize,
    /// The first row for which it is not known yet whether it finds a match.
    settled: usize,
}

/// Candidates, in the order of their left rows.
struct Pairs {
    left: Vec<u32>,
    right: RightRows,
    /// Left rows before this one have no more candidates.
    complete: usize,
}

/// The right rows of candidates.
enum RightRows {
    /// Numbers of kept rows.
    Kept(Vec<u32>),
    /// Rows of their own.
    Own(Batch),
}

impl<S: Storage> JoinOp<S> {
    pub(crate) fn build(join: &Join, build: &Build<'_>) -> JoinOp<S> {
        let mut above = build.needed.clone();
        above.add_all(&join.condition);
        let looped = matches!(join.method, JoinMethod::Loop);
        if let (true, crate::plan::Node::Scan(scan)) = (looped, &join.right) {
            above.add_all(&scan.filter);
        }
        let left_filled = join.left.registers_filled();
        let right_filled = join.right.registers_filled();
        let left_registers = above.filter(left_filled);
        let right_registers = above.filter(right_filled);
        let mut left_needed = above.clone();
        let mut right_needed = above;
        if let JoinMethod::Hash(keys) = &join.method {
            left_needed.add_all(keys.iter().map(|key| &key.left));
            right_needed.add_all(keys.iter().map(|key| &key.right));
        }
        let method = if looped {
            let reads = join.right.registers_read();
            reads.iter().for_each(|register| left_needed.insert(*register));
            let bound = reads.into_iter().filter(|register| left_fills(join, *register)).collect();
            Method::Looped(Looped::new(bound, right_registers.clone()))
        } else {
            Method::Kept(Box::new(Kept::new(right_registers.clone())))
        };
        let right_build =
            Build { needed: &right_needed, width: build.width, in_loop: build.in_loop || looped };
        JoinOp {
            left: Operator::build(&join.left, &build.with(&left_needed)),
            right: Operator::build(&join.right, &right_build),
            left_registers,
            right_registers,
            method,
            right_stays: !looped && build.in_loop && is_independent(&join.right),
            batch: None,
            pairs: None,
            left_done: false,
        }
    }

    pub(crate) fn next(
        &mut self,
        join: &Join,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        loop {
            if let Some(pairs) = self.pairs.take() {
                match self.test(join, &pairs, frame, cx) {
                    Ok(truths) => {
                        let rows = self.emit(join.kind, &pairs, &truths);
                        if !rows.is_empty() {
                            return Ok(Some(rows));
                        }
                    }
                    Err(error) => {
                        self.pairs = Some(pairs);
                        return Err(error);
                    }
                }
            }
            if self.left_done {
                return Ok(self.unmatched_right(join.kind, want));
            }
            cx.check_interrupt()?;
            if !self.advance(join, want, frame, cx)? {
                self.left_done = true;
            }
        }
    }

    /// Makes the next pairs; whether there were left rows to make them of.
    fn advance(
        &mut self,
        join: &Join,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        if self.batch.as_ref().is_some_and(|batch| batch.at >= batch.rows.len()) {
            self.batch = None;
        }
        if self.batch.is_none() {
            match self.left.next(&join.left, want, frame, cx)? {
                Some(rows) => self.batch = Some(LeftBatch::new(rows)),
                None if matches!(join.kind, JoinKind::Right | JoinKind::Full) => {
                    if let Method::Kept(kept) = &mut self.method {
                        kept.load(join, &mut self.right, frame, cx)?;
                    }
                    return Ok(false);
                }
                None => return Ok(false),
            }
        }
        let Some(batch) = &mut self.batch else { return Ok(false) };
        let first_only = matches!(join.kind, JoinKind::Semi | JoinKind::Anti) && join.condition.is_none();
        self.pairs = Some(match &mut self.method {
            Method::Kept(kept) => {
                kept.load(join, &mut self.right, frame, cx)?;
                if kept.is_empty() && matches!(join.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right)
                {
                    self.batch = None;
                    return Ok(false);
                }
                kept.pairs(join, batch, first_only, want, frame, cx)?
            }
            Method::Looped(looped) => {
                looped.pairs(join, &mut self.right, batch, first_only, want, frame, cx)?
            }
        });
        Ok(true)
    }

    /// The truth of the condition for each pair.
    fn test(
        &mut self,
        join: &Join,
        pairs: &Pairs,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Vec<Truth>>> {
        let rest = match &self.method {
            Method::Looped(looped) => looped.scan_filter(join, &self.right),
            Method::Kept(_) => None,
        };
        if (join.condition.is_none() && rest.is_none()) || pairs.left.is_empty() {
            return Ok(None);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let mut both = batch.rows.gather_registers(&self.left_registers, &pairs.left);
        match (&pairs.right, &self.method) {
            (RightRows::Kept(rows), Method::Kept(kept)) => kept.rows().fill(&mut both, rows),
            (RightRows::Own(rows), _) => {
                rows.filled().for_each(|(register, column)| both.set(register, column.clone()))
            }
            _ => {}
        }
        let mut truths: Option<Vec<Truth>> = None;
        for expr in join.condition.iter().chain(rest) {
            let more = vector::truths(expr, &both, frame, cx)?;
            truths = Some(match truths {
                None => more,
                Some(before) => before.iter().zip(more).map(|(a, b)| super::kernels::and(*a, b)).collect(),
            });
        }
        Ok(truths)
    }

    /// The rows that the join gives for tested pairs.
    fn emit(&mut self, kind: JoinKind, pairs: &Pairs, truths: &Option<Vec<Truth>>) -> Batch {
        let Some(batch) = &mut self.batch else { return Batch::default() };
        let with_matches = !matches!(kind, JoinKind::Semi | JoinKind::Anti);
        let with_unmatched = matches!(kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti);
        let (mut left, mut right) =
            (Vec::with_capacity(pairs.left.len()), Vec::with_capacity(pairs.left.len()));
        let mut matched_right = match &mut self.method {
            Method::Kept(kept) if matches!(kind, JoinKind::Right | JoinKind::Full) => Some(kept),
            _ => None,
        };
        for (at, &row) in pairs.left.iter().enumerate() {
            if with_unmatched {
                batch.settle(row as usize, &mut left, &mut right);
            }
            if truths.as_ref().is_some_and(|truths| truths[at] != TRUE) {
                continue;
            }
            let first = !std::mem::replace(&mut batch.matched[row as usize], true);
            if with_matches || (first && kind == JoinKind::Semi) {
                left.push(row);
                right.push(at as u32);
            }
            if let (Some(kept), RightRows::Kept(rows)) = (&mut matched_right, &pairs.right) {
                kept.matched(rows[at]);
            }
        }
        if with_unmatched {
            batch.settle(pairs.complete, &mut left, &mut right);
        }
        if left.is_empty() {
            return Batch::default();
        }
        let mut rows = batch.rows.gather_registers(&self.left_registers, &left);
        if !with_matches {
            return rows;
        }
        match (&pairs.right, &self.method) {
            (RightRows::Kept(kept_rows), Method::Kept(kept)) => {
                for at in &mut right {
                    *at = kept_rows.get(*at as usize).copied().unwrap_or(NO_ROW);
                }
                kept.rows().fill(&mut rows, &right);
            }
            (RightRows::Own(own), _) => {
                for register in &self.right_registers {
                    let column = own.column(*register).map_or(Column::NULL, |column| column.gather(&right));
                    rows.set(*register, column);
                }
            }
            _ => {}
        }
        rows
    }

    /// The right rows of a right or full join that matched nothing.
    fn unmatched_right(&mut self, kind: JoinKind, want: usize) -> Option<Batch> {
        let (JoinKind::Right | JoinKind::Full, Method::Kept(kept)) = (kind, &mut self.method) else {
            return None;
        };
        let rows = kept.unmatched(want);
        if rows.is_empty() {
            return None;
        }
        let mut batch = Batch::new(rows.len(), 0);
        for register in &self.left_registers {
            batch.set(*register, Column::NULL);
        }
        kept.rows().fill(&mut batch, &rows);
        Some(batch)
    }

    pub(crate) fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.batch = None;
        self.pairs = None;
        self.left_done = false;
        let stays = self.right_stays;
        match &mut self.method {
            Method::Kept(kept) if stays => kept.forget_matches(),
            Method::Kept(kept) => kept.clear(),
            Method::Looped(looped) => looped.clear(),
        }
    }

    /// The right side may have changed.
    pub(crate) fn forget(&mut self) {
        if let Method::Kept(kept) = &mut self.method {
            kept.clear();
        }
    }
}

fn left_fills(join: &Join, register: Register) -> bool {
    join.left.registers_filled().binary_search(&register).is_ok()
}

impl LeftBatch {
    fn new(rows: Batch) -> LeftBatch {
        let matched = vec![false; rows.len()];
        LeftBatch { rows, keys: Vec::new(), matched, at: 0, settled: 0 }
    }

    /// Rows before `end` have no more candidates: those without a match are given with no right row.
    fn settle(&mut self, end: usize, left: &mut Vec<u32>, right: &mut Vec<u32>) {
        while self.settled < end {
            if !self.matched[self.settled] {
                left.push(self.settled as u32);
                right.push(NO_ROW);
            }
            self.settled += 1;
        }
    }
}
