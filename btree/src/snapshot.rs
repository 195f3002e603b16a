//! Reads of trees at a pinned version.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::{Cursor, Entry, Pages, Root};

/// A pinned version: every page stays readable as it was then until the last clone is dropped. Read only trees whose
/// [`Root`] belongs to that version.
#[derive(Clone)]
pub struct PageSnapshot {
    pub(crate) pages: Arc<Pages>,
    pub(crate) version: Timestamp,
}

/// What [`PageSnapshot::check`] found in a sound tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeCheck {
    /// Entries, tombstones included.
    pub entries: u64,
    /// Leaf pages.
    pub leaves: u64,
    /// Inner pages.
    pub inner: u64,
    /// Overflow pages.
    pub overflow: u64,
    /// Bytes that leaves use of their pages, headers included.
    pub leaf_bytes: u64,
}

impl PageSnapshot {
    /// The pinned version.
    #[must_use]
    pub fn version(&self) -> Timestamp {
        self.version
    }

    /// The page table it belongs to.
    #[must_use]
    pub fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    /// The entry of `key`, tombstones included.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn get(&self, _root: Root, _key: &[u8]) -> Result<Option<Entry>> {
        Err(Error::unsupported("not built yet"))
    }

    /// A cursor over the tree, not positioned yet.
    #[must_use]
    pub fn cursor(&self, root: Root) -> Cursor {
        Cursor { snapshot: self.clone(), root }
    }

    /// Walks the whole tree: order, fences, separators, counts, checksums, no page reached twice.
    ///
    /// # Errors
    /// `Corrupt` with what is wrong and where; `WouldBlock`, `Io`.
    pub fn check(&self, _root: Root) -> Result<TreeCheck> {
        Err(Error::unsupported("not built yet"))
    }
}
