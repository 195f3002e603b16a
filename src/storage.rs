//! Where a database lives: a page store, a log store and a segment store, chosen together.
//!
//! ```text
//! app.dosql/pages       the page store: two meta slots, then pages
//!           log-*       the log store: preallocated segments, recycled
//!           segments/   the segment store: immutable objects
//!           LOCK        locked by the process that has the database open
//! ```

use std::fmt;
use std::sync::Arc;

#[cfg(not(target_family = "wasm"))]
use dosql_base::Result;
use dosql_btree::{MemoryPageStore, PageStore};
use dosql_lsm::{MemorySegmentStore, SegmentStore};
use dosql_wal::{LogStore, MemoryLogStore};

use crate::options::Options;

/// What keeps others out for as long as it lives.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, never looked at")] Box<dyn Send + Sync>);

impl Lock {
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn new(held: impl Send + Sync + 'static) -> Self {
        Lock(Box::new(held))
    }
}

/// The stores that a database is kept in. See [`crate::Database::open`].
pub struct Storage {
    /// The trees.
    pub pages: Arc<dyn PageStore>,
    /// The commits since the last checkpoint.
    pub log: Arc<dyn LogStore>,
    /// Immutable objects: cold rows and history.
    pub segments: Arc<dyn SegmentStore>,
    pub(crate) lock: Option<Lock>,
}

impl Storage {
    /// Any stores. Whoever makes them sees to it that nobody else uses them at the same time.
    #[must_use]
    pub fn new(pages: Arc<dyn PageStore>, log: Arc<dyn LogStore>, segments: Arc<dyn SegmentStore>) -> Self {
        Storage { pages, log, segments, lock: None }
    }

    /// Memory, with pages of the default size: gone with the last handle.
    #[must_use]
    pub fn memory() -> Self {
        Self::memory_with(&Options::default())
    }

    /// Memory, with pages of [`Options::page_size`].
    #[must_use]
    pub fn memory_with(options: &Options) -> Self {
        let pages = Arc::new(MemoryPageStore::new(options.page_size));
        Self::new(pages, Arc::new(MemoryLogStore::new()), Arc::new(MemorySegmentStore::new()))
    }

    /// The same, with segments elsewhere: in a bucket, say. A database whose segments lie there is always opened so.
    #[must_use]
    pub fn with_segments(self, segments: Arc<dyn SegmentStore>) -> Self {
        Storage { segments, ..self }
    }

    /// The same stores once more, to open the database again after it was closed.
    #[must_use]
    pub fn share(&self) -> Self {
        Self::new(Arc::clone(&self.pages), Arc::clone(&self.log), Arc::clone(&self.segments))
    }

    /// The database in the directory at `path`, which is created where nothing is there.
    ///
    /// Fails with `Busy` where a process has it open, with code `NotADb` where the directory holds something else.
    #[cfg(not(target_family = "wasm"))]
    pub fn directory(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::directory_with(path, &Options::default())
    }

    /// As [`Storage::directory`]; a new database gets pages of [`Options::page_size`].
    #[cfg(not(target_family = "wasm"))]
    pub fn directory_with(path: impl AsRef<std::path::Path>, options: &Options) -> Result<Self> {
        crate::directory::open(path.as_ref(), options)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}
