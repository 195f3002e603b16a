//! How much a step of housekeeping may do, and what it did.

use std::time::Duration;

use dosql_base::Result;
use dosql_base::mutant::weakened;

use crate::engine::Engine;

/// How much housekeeping may do in one call. A number of bytes converts into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes to write, read or move, roughly: a single segment, and a single merge of some that overlap, is not cut short.
    pub bytes: u64,
    /// Requests to the segment store; `u64::MAX` for any number.
    pub requests: u64,
    /// How long it may take; `None` for any time. What has begun is ended.
    pub time: Option<Duration>,
}

impl From<usize> for Budget {
    fn from(bytes: usize) -> Budget {
        Budget { bytes: bytes as u64, requests: u64::MAX, time: None }
    }
}

/// What a call of housekeeping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of rows that were moved into the segment store or merged there.
    pub bytes: u64,
    /// Requests to the segment store.
    pub requests: u64,
    /// Objects that were deleted because nobody needs them any more.
    pub deleted: u64,
    /// Whether nothing is left that could be done now.
    pub done: bool,
}

impl Engine {
    /// Housekeeping within a budget: what commits left unsynced, a checkpoint, free space, merges of history, moves into the segment
    /// store, merges there, and objects that nobody needs.
    pub(crate) fn maintain(&self, budget: Budget) -> Result<Progress> {
        let mut progress = Progress::default();
        if self.options.read_only {
            return Ok(Progress { done: true, ..progress });
        }
        let (began, before) = (self.env.now(), self.tier.stats().requests());
        if !weakened("maintenance-without-sync") {
            self.settle()?;
        }
        let (logged, held) = self.backlog();
        if logged > budget.bytes || held as u64 > budget.bytes {
            self.checkpoint()?;
        }
        self.shrink_step(usize::try_from(budget.bytes).unwrap_or(usize::MAX))?;
        self.merge_history()?;
        loop {
            progress.requests = self.tier.stats().requests() - before;
            let elapsed = self.env.now().as_micros().saturating_sub(began.as_micros());
            let late = budget.time.is_some_and(|most| u128::from(elapsed) >= most.as_micros());
            let left = budget.bytes.saturating_sub(progress.bytes);
            if late || left == 0 || progress.requests >= budget.requests {
                break;
            }
            let moved = match self.flush_step(left.min(self.options.segment_bytes as u64))? {
                0 => self.compact_step(left)?,
                moved => moved,
            };
            if moved == 0 {
                self.collect_what_was_left()?;
                progress.done = true;
                break;
            }
            progress.bytes = progress.bytes.saturating_add(moved);
        }
        progress.deleted = self.delete_unneeded()? as u64;
        progress.requests = self.tier.stats().requests() - before;
        Ok(progress)
    }
}
