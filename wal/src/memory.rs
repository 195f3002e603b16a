//! A log in memory: for tests and databases that live only as long as their process.

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::{LogCaps, LogPosition, LogStats, LogStore};

/// A log in memory. Sharing the `Arc` and opening a [`crate::Log`] on it again is a restart.
#[derive(Debug, Default)]
pub struct MemoryLogStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    start: u64,
    bytes: Vec<u8>,
    stats: LogStats,
}

impl MemoryLogStore {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        MemoryLogStore::default()
    }

    /// A log that holds `bytes` from position `start` on: a stored image to recover from.
    #[must_use]
    pub fn from_bytes(start: LogPosition, bytes: Vec<u8>) -> Self {
        MemoryLogStore { state: Mutex::new(State { start: start.get(), bytes, stats: LogStats::default() }) }
    }

    /// What is stored, from the oldest position on.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.state.lock().bytes.clone()
    }
}

impl State {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The index of `position` in `bytes`.
    fn index(&self, position: LogPosition) -> Result<usize> {
        let offset = position.get().checked_sub(self.start).and_then(|offset| usize::try_from(offset).ok());
        offset.filter(|&offset| offset <= self.bytes.len()).ok_or_else(|| {
            let held = format!("the log holds positions {} to {}", self.start, self.end());
            Error::corrupt(held, format!("log position {position}"))
        })
    }
}

impl LogStore for MemoryLogStore {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        let mut state = self.state.lock();
        state.bytes.extend_from_slice(bytes);
        state.stats.appends += 1;
        state.stats.appended_bytes += bytes.len() as u64;
        Ok(LogPosition::new(state.end()))
    }

    fn sync(&self, _upto: LogPosition) -> Result<()> {
        self.state.lock().stats.syncs += 1;
        Ok(())
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        let state = self.state.lock();
        let stored = &state.bytes[state.index(from)?..];
        let len = stored.len().min(buffer.len());
        buffer[..len].copy_from_slice(&stored[..len]);
        Ok(len)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        Ok(upto)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        let mut state = self.state.lock();
        let len = state.index(end)?;
        state.bytes.truncate(len);
        Ok(())
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        let mut state = self.state.lock();
        if before.get() > state.start {
            let len = state.index(before)?;
            state.bytes.drain(..len);
            state.start = before.get();
        }
        Ok(())
    }

    fn stats(&self) -> LogStats {
        let state = self.state.lock();
        let (start, end) = (LogPosition::new(state.start), LogPosition::new(state.end()));
        LogStats { start, end, allocated: state.bytes.capacity() as u64, ..state.stats }
    }

    fn caps(&self) -> LogCaps {
        LogCaps { needs_sync: false, persistent: false, keeps_room: false }
    }
}
