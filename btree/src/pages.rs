//! The page table.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::{Limits, PageSnapshot, PageStore, PageWriter};

/// How to run a page table.
#[derive(Clone, Copy, Debug)]
pub struct PagesOptions {
    /// How many bytes of pages to hold in memory: clean, dirty and older images together. Dirty pages and images that
    /// a snapshot pins stay even beyond it.
    pub cache_bytes: usize,
}

impl Default for PagesOptions {
    fn default() -> Self {
        PagesOptions { cache_bytes: 64 << 20 }
    }
}

/// What a page table holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagesStats {
    /// Bytes of pages in memory.
    pub resident_bytes: usize,
    /// Of them, bytes of pages that the next checkpoint writes.
    pub dirty_bytes: usize,
    /// Of them, bytes of older images that snapshots pin.
    pub pinned_bytes: usize,
    /// Pages that trees use, the free list included.
    pub pages_used: u64,
    /// Pages that are free for use or soon will be.
    pub pages_free: u64,
    /// Reads that had to go to the store.
    pub misses: u64,
    /// Pages dropped from memory to keep the budget.
    pub evictions: u64,
    /// Checkpoints ever made of this store.
    pub checkpoints: u64,
    /// Live snapshots.
    pub snapshots: usize,
}

/// The page table: cache, versions, free list and checkpoint of one [`PageStore`].
pub struct Pages {
    store: Arc<dyn PageStore>,
}

impl Pages {
    /// Opens the pages of `store`; also the user meta of the last checkpoint, empty for a new store.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format, or what the store answers.
    pub fn open(store: Arc<dyn PageStore>, _options: PagesOptions) -> Result<(Arc<Pages>, Vec<u8>)> {
        Ok((Arc::new(Pages { store }), Vec::new()))
    }

    /// Pins the published version.
    #[must_use]
    pub fn latest(self: &Arc<Self>) -> PageSnapshot {
        PageSnapshot { pages: Arc::clone(self), version: Timestamp::ZERO }
    }

    /// Pins `version`, which must be the published version or one that a live snapshot pins.
    ///
    /// # Errors
    /// `InvalidInput` for any other version: its images may be gone.
    pub fn snapshot(self: &Arc<Self>, _version: Timestamp) -> Result<PageSnapshot> {
        Err(Error::unsupported("not built yet"))
    }

    /// The turn to write; waits for the one who has it. Unpublished changes are rolled back when it is dropped.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> PageWriter<'_> {
        PageWriter { pages: self }
    }

    /// The version published last (after opening: the one of the last checkpoint).
    #[must_use]
    pub fn published(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// Bytes of pages that the next checkpoint writes.
    #[must_use]
    pub fn dirty_bytes(&self) -> usize {
        0
    }

    /// What it holds and has done.
    #[must_use]
    pub fn stats(&self) -> PagesStats {
        PagesStats::default()
    }

    /// The length of a page in bytes.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.store.page_size()
    }

    /// The limits of keys and values.
    #[must_use]
    pub fn limits(&self) -> Limits {
        crate::limits(self.page_size())
    }
}
