//! The cold tier: what lies in the segment store, and how it gets there and back.
//!
//! ```text
//! tree of current rows --cold leaves--> live segments       (flush)     what is current, and was not changed for longest
//! runs of history      --merges-------> history segments    (crate::history::merging)
//! segments             --merges-------> fewer, larger ones  (compact)
//! ```
//!
//! A segment is an immutable object with a name that is never used again. It is in the store before a row of the system tree names it,
//! and goes only when no durable row and no reader does ([`objects`]). Its filters and indexes stay near, as a tree of pages, so that a
//! look-up reads one block of the object, or none.
//!
//! The rows of live segments lie beneath the tree of their branch as those of a parent branch do: where the tree says nothing, they
//! answer, and a deletion leaves a tombstone in the tree. Writing over them does not read them.

pub(crate) mod budget;
pub(crate) mod compact;
mod erase;
pub(crate) mod flush;
mod held;
pub(crate) mod image;
pub(crate) mod live;
pub(crate) mod metered;
pub(crate) mod objects;
pub(crate) mod pace;
pub(crate) mod publish;
pub(crate) mod published;
pub(crate) mod report;
pub(crate) mod segment;
pub(crate) mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use dosql_base::{Env, Result};
use dosql_btree::PageSnapshot;
use dosql_lsm::{BlockCache, ReadOptions, SegmentReader, SegmentStore, WriteOptions};

use crate::options::Options;
use metered::{Metered, SegmentStats};
use segment::Segment;

/// The part of the memory for pages that blocks of segments get where a database has a hot budget: one in so many.
const BLOCKS_SHARE: usize = 4;
/// The part of it that is kept free for the segment that is being written, and the longest that one may become. Rows that move take half as
/// much as the pages they come from, or little more.
const WRITING_SHARE: usize = 8;
const SEGMENT_SHARE: usize = 6;
/// A segment is not cut short below this many bytes for want of memory.
const SHORT_SEGMENT: usize = 256 << 10;
/// Parts the numbers of one opening of a database from those of the next: an odd number, the golden ratio of 2^64.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// A scan has windows of a part of the memory for blocks under way, up to four, and none that is longer than this in bytes.
const WINDOW_SHARE: usize = 8;
const LONGEST_WINDOW: usize = 1 << 20;
/// Bytes of blocks that are kept where there is none.
const FEW_BLOCKS: usize = 1 << 20;

/// The segments of a database: where they are, and what of them is in memory.
pub(crate) struct Tier {
    pub(crate) store: Arc<Metered>,
    pub(crate) blocks: Arc<BlockCache>,
    open: Mutex<Open>,
    /// What the names of its objects begin with.
    prefix: String,
    /// The generation of the log: part of the names that are made from now on.
    generation: AtomicU32,
    /// Objects that were stored for something that came to nothing.
    abandoned: Mutex<Vec<String>>,
    /// Bytes of segments that are being written or are on their way into the store.
    writing: AtomicUsize,
    /// The length of the last segment that was stored.
    typical: AtomicUsize,
    env: Env,
}

/// Segments that are open, with their filters and indexes in memory.
#[derive(Default)]
struct Open {
    readers: BTreeMap<u64, (Arc<SegmentReader>, u64, usize)>,
    bytes: usize,
    uses: u64,
}

/// What the names of all objects of a database begin with.
pub(crate) fn prefix_of(database: &[u8; 16]) -> String {
    database.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "-"
}

/// How the memory for pages is divided between pages and blocks of segments; what is left is for the segment that is being written.
pub(crate) fn divide(options: &Options) -> (usize, usize) {
    let cache_bytes = options.cache_bytes;
    if options.hot_budget == 0 {
        return (cache_bytes, FEW_BLOCKS.min(cache_bytes / 16));
    }
    let (blocks, writing) =
        (cache_bytes / BLOCKS_SHARE, segment_bytes(options).min(cache_bytes / WRITING_SHARE));
    (cache_bytes - blocks - writing, blocks)
}

/// The length of segments, in bytes: no longer than memory allows, as a segment is whole in memory until it is stored.
pub(crate) fn segment_bytes(options: &Options) -> usize {
    let most = match options.hot_budget {
        0 => usize::MAX,
        _ => (options.cache_bytes / SEGMENT_SHARE).max(SHORT_SEGMENT),
    };
    options.segment_bytes.min(most)
}

impl Tier {
    /// `budget` is in bytes: half of it for blocks, half for filters and indexes.
    pub(crate) fn new(
        store: Arc<dyn SegmentStore>,
        database: [u8; 16],
        budget: usize,
        env: Env,
    ) -> Arc<Tier> {
        let prefix = prefix_of(&database);
        let blocks = Arc::new(BlockCache::new(budget / 2));
        Arc::new(Tier {
            store: Metered::new(store),
            blocks,
            open: Mutex::default(),
            prefix,
            generation: AtomicU32::new(0),
            abandoned: Mutex::default(),
            writing: AtomicUsize::new(0),
            typical: AtomicUsize::new(0),
            env,
        })
    }

    /// A number that no segment has.
    pub(crate) fn new_id(&self) -> u64 {
        let mut random = [0; 8];
        self.env.random(&mut random);
        let generation = self.generation.load(Ordering::Relaxed);
        // Where randomness repeats itself from one opening to the next, as in tests, numbers do not.
        u64::from_le_bytes(random).wrapping_add(u64::from(generation).wrapping_mul(SPREAD))
    }

    /// The name of an object of this number that is made now.
    pub(crate) fn name_of(&self, id: u64) -> String {
        format!("{}{:08x}-{id:016x}", self.prefix, self.generation.load(Ordering::Relaxed))
    }

    /// What the names of all objects of this database begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Says what generation the log has, before anything is stored.
    pub(crate) fn set_generation(&self, generation: u32) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether an object of this database was stored before it was opened this time. What a later owner of the store has made was not.
    pub(crate) fn is_from_before(&self, name: &str) -> bool {
        let hex = name.strip_prefix(&self.prefix).and_then(|rest| rest.get(..8));
        let generation = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if weakened("later-owners-objects-collected") {
            return name.starts_with(&self.prefix);
        }
        generation.is_some_and(|it| it < self.generation.load(Ordering::Relaxed))
    }

    /// Notes objects that nobody will name, for the next time that objects are deleted.
    pub(crate) fn abandon(&self, names: impl IntoIterator<Item = String>) {
        self.abandoned.lock().extend(names);
    }

    pub(crate) fn take_abandoned(&self) -> Vec<String> {
        std::mem::take(&mut self.abandoned.lock())
    }

    /// What was asked of the segment store.
    pub(crate) fn stats(&self) -> SegmentStats {
        self.store.stats()
    }

    /// Bytes of blocks, filters and indexes in memory, and of segments that are being written.
    pub(crate) fn memory(&self) -> usize {
        self.blocks.bytes() + self.open.lock().bytes + self.writing.load(Ordering::Relaxed)
    }

    /// How a segment is written that has this number.
    fn write_options(&self, id: u64) -> WriteOptions {
        let typical = self.typical.load(Ordering::Relaxed);
        WriteOptions { expected_bytes: typical + typical / 16, ..WriteOptions::new(id) }
    }

    /// Opens a segment, whose tail is read from `pages` unless it is in memory.
    fn reader(&self, segment: &Segment, pages: &PageSnapshot) -> Result<Arc<SegmentReader>> {
        if let Some(reader) = self.open.lock().find(segment.id) {
            return Ok(reader);
        }
        let tail = segment.read_tail(pages)?;
        let bytes = tail.len();
        let readahead = (self.blocks.budget() / WINDOW_SHARE).min(LONGEST_WINDOW) as u64;
        let options =
            ReadOptions { cache: Some(Arc::clone(&self.blocks)), readahead, ..ReadOptions::default() };
        let store: Arc<dyn SegmentStore> = self.store.clone();
        let reader =
            SegmentReader::open_with(store, &segment.name, segment.bytes, Some(tail.into()), options)?;
        self.open.lock().add(segment.id, &reader, bytes, self.blocks.budget());
        Ok(reader)
    }

    /// Forgets what is in memory of a segment that is gone.
    pub(crate) fn forget(&self, id: u64) {
        let mut open = self.open.lock();
        if let Some((_, _, bytes)) = open.readers.remove(&id) {
            open.bytes -= bytes;
        }
    }
}

impl Open {
    fn find(&mut self, id: u64) -> Option<Arc<SegmentReader>> {
        self.uses += 1;
        let (reader, used, _) = self.readers.get_mut(&id)?;
        *used = self.uses;
        Some(Arc::clone(reader))
    }

    /// Adds one; those that were not used for longest make room.
    fn add(&mut self, id: u64, reader: &Arc<SegmentReader>, bytes: usize, budget: usize) {
        if self.readers.contains_key(&id) {
            return;
        }
        while self.bytes + bytes > budget {
            let oldest = self.readers.iter().min_by_key(|(_, (_, used, _))| *used).map(|(id, _)| *id);
            let Some((_, _, gone)) = oldest.and_then(|oldest| self.readers.remove(&oldest)) else { break };
            self.bytes -= gone;
        }
        self.bytes += bytes;
        self.readers.insert(id, (Arc::clone(reader), self.uses, bytes));
    }
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
