//! The ordered map of dosql: fixed-size pages in a [`PageStore`], a page table that keeps immutable page
//! images by version, and B-trees over it.
//!
//! ```text
//! PageSnapshot (reads, Cursor)      PageWriter (put, delete, bulk load, publish, checkpoint)
//!            \                        /
//!             Pages: page table, cache, versions, free list
//!                        |
//!             PageStore: memory, file, anything with an atomic batch
//! ```
//!
//! One writer changes pages in private copies and publishes them under a version; readers pin a version and
//! find every page as it was. A checkpoint writes all dirty pages, the free list and the caller's meta in
//! one atomic batch.

mod alloc;
mod chain_io;
mod changed;
mod check;
mod checkpoint;
pub mod conformance;
mod cursor;
mod deltas;
mod entry;
mod estimate;
pub mod fault;
mod frame;
mod front;
mod page;
mod pages;
mod pins;
mod read_ahead;
mod root;
mod snapshot;
mod store;
mod table;
mod verified;
mod writer;

pub use changed::{ChangedLeaf, LeafAge};
pub use check::TreeCheck;
pub use checkpoint::Frozen;
pub use cursor::{Cursor, Stop, Way};
pub use entry::{Displaced, Entry, Item, Was};
pub use pages::{Pages, PagesOptions, PagesStats};
pub use pins::Pinned;
pub use read_ahead::ReadAhead;
pub use root::Root;
pub use snapshot::{Near, PageSnapshot};
pub use store::file::FilePageStore;
pub use store::memory::MemoryPageStore;
pub use store::raw::RawFile;
pub use store::{Batch, Caps, PageId, PageStore, StoreStats};
pub use writer::{Apart, BulkLoader, Found, Fresh, Misplaced, PageMaker, PageWriter, TreePages};

/// What a page size allows. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest key.
    pub max_key: usize,
    /// The longest value.
    pub max_value: usize,
    /// The longest value that stays in its leaf; longer ones take overflow pages.
    pub max_inline_value: usize,
}

/// The smallest page size, in bytes.
pub const MIN_PAGE_SIZE: usize = 4096;
/// The largest page size, in bytes.
pub const MAX_PAGE_SIZE: usize = 65536;

/// What pages of `page_size` bytes allow: keys so short that an inner page always holds four of them beside
/// its two fences, values of a quarter page inline and of 64 MiB in all.
#[must_use]
pub const fn limits(page_size: usize) -> Limits {
    Limits { max_key: page_size / 6 - 40, max_value: 64 << 20, max_inline_value: page_size / 4 }
}
