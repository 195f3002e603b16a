//! Commits as the map has them: keys, and the values before and after. Where they come from changes as a subscriber falls behind and
//! catches up:
//!
//! ```text
//!            snapshot (once, where 0 was asked for)
//!                |
//!   +--> log (log_tail.rs) <--------------------+   commits since the last checkpoint, and what is kept before it
//!   |            | lost its place               |
//!   +--------- history (past.rs) ---------------+   versions between two moments, put back in their order
//! ```

use dosql_base::{Error, Result, Timestamp};

use super::log_tail::LogTail;
use super::past::Pass;
use crate::bytes::Bytes;
use crate::engine::Handle;

/// What one commit did to one key. The two values differ.
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) before: Option<Bytes>,
    pub(crate) after: Option<Bytes>,
}

/// One commit.
pub(crate) struct Commit {
    pub(crate) timestamp: Timestamp,
    /// Keys ascending.
    pub(crate) entries: Vec<Entry>,
}

/// Commits that were read, and up to where nothing is missing.
pub(crate) struct Batch {
    pub(crate) commits: Vec<Commit>,
    /// All commits up to here are in this batch or in those before.
    pub(crate) complete: Timestamp,
    /// History was needed from here on.
    pub(crate) from: Timestamp,
}

/// The commits after a moment, in order.
pub(crate) struct Commits {
    /// All up to here were read.
    after: Timestamp,
    tail: Option<LogTail>,
    /// Where the log has not got it any more.
    past: Option<Pass>,
}

impl Commits {
    pub(crate) fn after(after: Timestamp) -> Self {
        Commits { after, tail: None, past: None }
    }

    /// Where the log was read up to, if it is read.
    pub(crate) fn log_position(&self) -> Option<u64> {
        self.tail.as_ref().map(LogTail::position)
    }

    /// All commits up to here were read.
    pub(crate) fn complete(&self) -> Timestamp {
        self.after
    }

    /// The next commits that readers see; `None` where there are none yet.
    pub(crate) fn next(&mut self, engine: &Handle) -> Result<Option<Batch>> {
        loop {
            engine.check_usable()?;
            let visible = engine.view().timestamp;
            if visible <= self.after {
                return Ok(None);
            }
            if self.tail.is_none() && self.past.is_none() {
                self.tail = LogTail::open(engine, self.after);
            }
            let batch = match (&mut self.past, &mut self.tail) {
                (Some(past), _) => past.next(engine, self.after)?,
                (None, Some(tail)) => tail.read(engine, self.after)?,
                (None, None) => {
                    self.past = Some(Pass::after(engine, self.after)?);
                    continue;
                }
            };
            let Some(batch) = batch else {
                (self.past, self.tail) = (None, None);
                continue;
            };
            if batch.complete <= self.after {
                // Readers see it, but the device has not got it yet: it is told when nothing can undo it.
                engine.settle()?;
                continue;
            }
            self.after = batch.complete;
            return Ok(Some(batch));
        }
    }
}

/// Refuses to tell the changes of a database that keeps no old values.
pub(crate) fn check_history(engine: &Handle) -> Result<()> {
    if engine.options.retention > 0 {
        return Ok(());
    }
    Err(Error::unsupported(
        "the changes can't be told of a database that keeps no history: open it with a retention above 0",
    ))
}
