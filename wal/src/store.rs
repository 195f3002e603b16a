//! The seam below the log: bytes at rising positions, in files, in memory or in rows.

use dosql_base::Result;

use crate::LogPosition;

/// Where the log's bytes live. An implementation must pass [`crate::conformance`].
///
/// The life of a store: it is opened, read from the checkpoint's position, told with [`LogStore::truncate`] where the
/// log ends, and from then on appended to by one caller at a time while others sync, read and trim.
pub trait LogStore: Send + Sync {
    /// Writes `bytes` after everything appended so far and returns the position of their END. Not durable until
    /// [`LogStore::sync`]. After an error nobody knows how much was written: the log is poisoned and reopened.
    fn append(&self, bytes: &[u8]) -> Result<LogPosition>;

    /// Makes everything before `upto` durable. An error is never followed by a retry: the store refuses with
    /// [`dosql_base::ErrorKind::Closed`] from then on, since the system may have dropped what it failed to write.
    fn sync(&self, upto: LogPosition) -> Result<()>;

    /// Reads bytes as stored, from `from` on, into `buffer`. It may fill less of it; 0 is the end of what could ever
    /// have been written, which may lie beyond what was (preallocated space holds zeros or bytes of the past). Fails with
    /// [`dosql_base::ErrorKind::Corrupt`] where the position is not in the store: trimmed, beyond the end, or in a hole.
    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize>;

    /// Makes room, so that appends up to `upto` can't run out of space, and returns how far the room reaches (at least
    /// `upto`). [`dosql_base::ErrorKind::NoSpace`] leaves the store as it was, and usable; another failure need not.
    fn reserve(&self, upto: LogPosition) -> Result<LogPosition>;

    /// The log ends at `end`: the next append goes there, and the next sync covers everything before it. Bytes beyond
    /// may stay stored; the log tells them apart. Called once, after recovery and before the first append.
    fn truncate(&self, end: LogPosition) -> Result<()>;

    /// Space before `before` may be recycled. Nothing at or after it changes.
    fn trim(&self, before: LogPosition) -> Result<()>;

    /// Whether what is durable, after a sync, holds `bytes` from `from` on, whatever reads show. `false` where that can't be found
    /// out.
    fn device_holds(&self, from: LogPosition, bytes: &[u8]) -> bool {
        let _ = (from, bytes);
        false
    }

    /// Lets other threads run for a moment, who may append what the sync to come makes durable too. Nothing where there are none, or a
    /// sync costs nothing.
    fn pause(&self) {}

    /// Overwrites what is stored before `before`, which was trimmed, so that it can't be read any more; durable when it returns. Does
    /// nothing unless implemented.
    fn scrub(&self, before: LogPosition) -> Result<()> {
        let _ = before;
        Ok(())
    }

    /// Gives back what is kept only to be used again. Nothing that could be read changes.
    fn shrink(&self) -> Result<()> {
        Ok(())
    }

    /// What the store holds and has done.
    fn stats(&self) -> LogStats;

    /// What the store can do.
    fn caps(&self) -> LogCaps;
}

/// What a store holds and has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// The oldest position that can still be read.
    pub start: LogPosition,
    /// Where the next append goes (the end of room before [`LogStore::truncate`]).
    pub end: LogPosition,
    /// Bytes of storage taken, with headers, room and spares.
    pub allocated: u64,
    /// Calls of `append`.
    pub appends: u64,
    /// Bytes appended.
    pub appended_bytes: u64,
    /// Syncs that reached the device.
    pub syncs: u64,
}

/// What a store can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCaps {
    /// Whether an append is durable only after `sync` (false where the platform holds back the answer itself).
    pub needs_sync: bool,
    /// Whether its bytes outlive the process.
    pub persistent: bool,
    /// Whether the room that [`LogStore::reserve`] made outlives a crash: where it is gone, somebody took it away.
    pub keeps_room: bool,
}
