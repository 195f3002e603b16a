//! Immutable segments of dosql, and the stores that hold them.
//!
//! A segment is one object: versions of rows in key order, newest first, that nobody ever changes. What was displaced
//! from the tree goes there (history), and what is cold (live segments). This crate writes and reads them; what goes
//! into which, and when, is decided above.
//!
//! ```text
//! SegmentWriter  --bytes-->  SegmentStore::put      MemorySegmentStore | DirectorySegmentStore | object storage
//! SegmentReader  <--ranges-- SegmentStore::read     may answer WouldBlock; `wanted` says what to fetch
//!   get(key, at)             at most one data block
//!   cursor()                 forwards and backwards
//!   load(keys, at)           what many look-ups will read, at once
//! MergeCursor                 many segments as one
//! SegmentSet                  which segments to ask for a key or a range
//! pick(segments, policy)      what to merge next: a pure function
//! Compaction                  carries it out, in steps
//! ```
//!
//! # Segment format, version 1
//!
//! ```text
//! [data block]*                 versions, 16 KiB before compression            frame kind 1
//! [filter partition]*           blocked Bloom filter of the partition's keys   frame kind 2
//! [index partition]*            last key of each data block -> where it is     frame kind 3
//! [top index]                   last key of each partition -> where it is      frame kind 4
//! [properties]                  what the segment holds                         frame kind 5
//! [footer, 64 bytes]            where the rest is
//! ```
//!
//! Everything from the filters to the end is contiguous, so that one ranged read of the tail opens a segment. Numbers are
//! little-endian. Each part says its own layout: `frame` (checksum and compression), `block` (sorted entries), `version`
//! (what a data entry holds), `index`, `bloom`, `properties`, `footer`.

mod batch;
mod block;
mod block_cursor;
mod blocking;
mod bloom;
mod cache;
mod compaction;
pub mod conformance;
mod cursor;
#[cfg(not(target_family = "wasm"))]
mod directory;
pub mod fault;
mod footer;
mod frame;
mod gone;
mod hash;
mod index;
mod memory;
mod merge;
mod near;
#[cfg(all(feature = "object-store", not(target_family = "wasm")))]
pub mod object;
mod pick;
mod properties;
mod ranges;
mod readahead;
mod reader;
mod run;
mod set;
mod store;
mod version;
mod writer;

pub use blocking::BlockingSegmentStore;
pub use bloom::Filter;
pub use cache::{BlockCache, CacheStats};
pub use compaction::{Boundary, Compaction, CompactionOptions, Output, Progress, Retain};
pub use cursor::SegmentCursor;
#[cfg(not(target_family = "wasm"))]
pub use directory::DirectorySegmentStore;
pub use frame::MAX_BLOCK_BYTES;
pub use gone::Gone;
pub use hash::hash64;
pub use memory::MemorySegmentStore;
pub use merge::{MergeCursor, Versions};
pub use near::NearBuffer;
pub use pick::{BOTTOM_LEVEL, Contents, Job, Policy, SegmentMeta, expired_share, pick};
pub use properties::SegmentProperties;
pub use ranges::{COALESCE_GAP, COALESCE_MAX, Coalesced, coalesce};
pub use reader::{Found, ReadOptions, SegmentReader};
pub use set::{Open, Placed, SegmentSet};
pub use store::{MAX_NAME_BYTES, SegmentStore, Wanted, put_idempotent, put_shared_idempotent, validate_name};
pub use version::{Entry, Kind};
pub use writer::{MAX_ENTRY_BYTES, Segment, SegmentWriter, WriteOptions};
