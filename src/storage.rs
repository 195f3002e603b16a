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

use dosql_base::Result;
use dosql_btree::{MemoryPageStore, PageStore};
use dosql_wal::{LogStore, MemoryLogStore};

use crate::options::Options;

/// What keeps others out for as long as it lives.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, never looked at")] Box<dyn Send + Sync>);

/// The stores that a database is kept in. See [`crate::Database::open`].
pub struct Storage {
    pub(crate) pages: Arc<dyn PageStore>,
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) lock: Option<Lock>,
}

impl Storage {
    /// Any stores. Whoever makes them sees to it that nobody else uses them at the same time.
    #[must_use]
    pub fn new(pages: Arc<dyn PageStore>, log: Arc<dyn LogStore>) -> Self {
        Storage { pages, log, lock: None }
    }

    /// The stores, to be shared: a memory database can be opened again from them once it is closed.
    #[must_use]
    pub fn parts(&self) -> (Arc<dyn PageStore>, Arc<dyn LogStore>) {
        (Arc::clone(&self.pages), Arc::clone(&self.log))
    }

    /// Memory, with pages of the default size: gone with the last handle.
    #[must_use]
    pub fn memory() -> Self {
        Self::memory_with(&Options::default())
    }

    /// Memory, with pages of [`Options::page_size`].
    #[must_use]
    pub fn memory_with(options: &Options) -> Self {
        Self::new(Arc::new(MemoryPageStore::new(options.page_size)), Arc::new(MemoryLogStore::new()))
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}
