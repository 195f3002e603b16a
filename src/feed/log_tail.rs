//! Reading commits from the log, as they become durable.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_wal::{Change, LogPosition, Record};

use super::raw::{Batch, Commit, Entry};
use super::subscribers::Place;
use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::view::View;

/// Bytes of records that are read at a time, or one record.
const READ_BYTES: usize = 256 << 10;

/// A place in the log.
pub(crate) struct LogTail {
    place: Arc<Place>,
    at: LogPosition,
    /// What the record there chains to.
    chain: u32,
}

impl LogTail {
    /// At the beginning of the log, where that goes back to `after`.
    pub(crate) fn open(engine: &Handle, after: Timestamp) -> Option<LogTail> {
        // While the committer is locked, the log before what it names is not given back.
        let committer = engine.committer();
        if after < engine.branch().tip.lock().log_head {
            return None;
        }
        let at = committer.log_start;
        Some(LogTail { place: engine.subscribers.place(at), at, chain: committer.log_chain })
    }

    /// Everything before it was read.
    pub(crate) fn position(&self) -> u64 {
        self.at.get()
    }

    /// The next commits after `after`; `None` where the log has gone on without this reader.
    pub(crate) fn read(&mut self, engine: &Handle, after: Timestamp) -> Result<Option<Batch>> {
        let view = engine.view();
        let mut batch = Batch { commits: Vec::new(), complete: after, from: after };
        let (mut at, mut chain, mut bytes) = (self.at, self.chain, 0);
        let read = engine.log.read(self.at, self.chain, |record| {
            let own = record.branch == view.branch;
            if own && record.timestamp > view.timestamp {
                return Ok(ControlFlow::Break(()));
            }
            (at, chain) = (record.end, record.chain);
            bytes += record.body().len();
            if own && record.timestamp > after {
                batch.commits.push(commit(&view, record)?);
                batch.complete = record.timestamp;
            }
            Ok(if bytes < READ_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        match read {
            // What was read meanwhile may have been overwritten.
            _ if self.place.is_lost() => return Ok(None),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        (self.at, self.chain) = (at, chain);
        self.place.advance(at);
        if let Some(first) = batch.commits.first() {
            batch.from = first.timestamp.previous();
            engine.check_horizon_of_most(&view, batch.from)?;
        }
        Ok(Some(batch))
    }
}

/// The commit of a record. `view` contains it.
fn commit(view: &View, record: &Record<'_>) -> Result<Commit> {
    let before = record.timestamp.previous();
    let mut entries = Vec::new();
    let mut changes = record.changes();
    while let Some(change) = changes.next()? {
        let (key, after) = match change {
            Change::Put { key, value } => (key, Some(value)),
            Change::Delete { key } => (key, None),
            Change::Note(_) => continue,
        };
        let before = view.get(key, before)?;
        // The same again is no change.
        if before.as_deref() != after {
            let after = after.map(|value| Bytes::shared(Arc::from(value)));
            entries.push(Entry { key: key.to_vec(), before, after });
        }
    }
    Ok(Commit { timestamp: record.timestamp, entries })
}
