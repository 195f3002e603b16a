//! A cursor goes both ways over one tree at one snapshot.

use std::ops::ControlFlow;

use dosql_base::{Error, Result, Timestamp};

use crate::{Item, PageSnapshot, Root};

/// Goes over a tree in key order, both ways. Owns what it needs, so it may outlive the snapshot it came from. After an
/// error (`WouldBlock` too) it stands where it stood, and the same call may be made again.
pub struct Cursor {
    pub(crate) snapshot: PageSnapshot,
    pub(crate) root: Root,
}

impl Cursor {
    /// To the first entry at or after `key`; false (and not positioned) where there is none.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`; so for every move.
    pub fn seek(&mut self, _key: &[u8]) -> Result<bool> {
        let _ = (&self.snapshot, self.root);
        Err(Error::unsupported("not built yet"))
    }

    /// To the last entry at or before `key`.
    pub fn seek_for_prev(&mut self, _key: &[u8]) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// To the first entry.
    pub fn seek_first(&mut self) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// To the last entry.
    pub fn seek_last(&mut self) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// To the next entry; false (and no longer positioned) at the end, or where it was not positioned.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// To the previous entry; false (and no longer positioned) at the start, or where it was not positioned.
    pub fn prev(&mut self) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// Whether it stands on an entry.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        false
    }

    /// The whole key of the entry; empty where it is not positioned.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &[]
    }

    /// The version of the entry.
    #[must_use]
    pub fn version(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// Whether the entry is a tombstone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        false
    }

    /// The value of the entry, lent from its leaf; one in overflow pages is assembled on first use.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io` while reading overflow pages.
    pub fn value(&self) -> Result<&[u8]> {
        Err(Error::unsupported("not built yet"))
    }

    /// Shows up to `limit` entries, from the current one on, to `visit`, and moves past those for which it answers
    /// `Continue`; on `Break` it stays on that entry. Returns how many it moved past.
    ///
    /// # Errors
    /// As for every move; what was visited before is moved past.
    pub fn visit<F>(&mut self, _limit: usize, _visit: F) -> Result<usize>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        Err(Error::unsupported("not built yet"))
    }
}
