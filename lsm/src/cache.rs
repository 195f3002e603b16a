//! Blocks kept in memory after they were read, unpacked and checked.
//!
//! ```text
//!             put                       used since it came
//! [probation: a tenth of the bytes] ---------------------> [main]  the rest; what was used goes round again
//!      | not used                                            | not used
//!      v                                                     v
//!   forgotten, its key kept for a while: who comes back       forgotten
//!   within it goes straight to main
//! ```
//!
//! This is S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO Queues Are All You Need for Cache Eviction", 2023): one pass over
//! blocks that nobody asks for again only ever takes the tenth. A block that a scan reads does not count as used, however often,
//! and leaves no key behind, so that not even scans over and over flush what point reads use.
//!
//! The keys are spread over shards with a lock each; the budget is one number for all of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use crate::block::Block;
use crate::bloom::Filter;

const SHARDS: usize = 16;

/// How often a block counts as used at most: so many rounds it survives.
const MOST_USES: u8 = 3;

/// What holding an entry costs besides its part: the map's and the queues' share.
const ENTRY_BYTES: usize = 96;

/// A cache of unpacked blocks, shared by any number of readers and threads. Segments are told apart by their ids.
#[derive(Debug)]
pub struct BlockCache {
    budget: AtomicUsize,
    bytes: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

/// What a [`BlockCache`] has done so far, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Look-ups that found their block.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Blocks that went to make room.
    pub evictions: u64,
    /// Bytes held now: never above the budget.
    pub bytes: usize,
    /// Bytes that may be held.
    pub budget: usize,
}

/// What a block is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Somebody may well ask for it again.
    Point,
    /// It is one of many that are passed through.
    Scan,
}

/// What can be cached.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Block(Arc<Block>),
    Filter(Arc<Filter>),
}

/// Segment and offset.
type Key = (u64, u64);

#[derive(Debug, Default)]
struct Shard {
    held: HashMap<Key, Held, FixedState>,
    probation: VecDeque<Key>,
    main: VecDeque<Key>,
    /// Keys that left probation unused, the oldest in front.
    ghosts: VecDeque<Key>,
    ghost_set: HashSet<Key, FixedState>,
    probation_bytes: usize,
    main_bytes: usize,
}

#[derive(Debug)]
struct Held {
    part: Part,
    size: usize,
    uses: u8,
    in_main: bool,
    /// Only scans have asked for it.
    scanned: bool,
}

impl BlockCache {
    /// A cache that holds up to `budget` bytes; with 0 it holds nothing.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        BlockCache {
            budget: AtomicUsize::new(budget),
            bytes: AtomicUsize::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            shards: Default::default(),
        }
    }

    /// How many bytes it holds now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many bytes it may hold.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.budget.load(Ordering::Relaxed)
    }

    /// Changes how many bytes it may hold; what is too much goes before this returns.
    pub fn set_budget(&self, budget: usize) {
        self.budget.store(budget, Ordering::Relaxed);
        let mut shard = 0;
        while self.bytes() > self.budget() && self.evict(&mut shard) {}
    }

    /// Lets go of a segment that nobody will read again.
    pub fn forget(&self, segment: u64) {
        for shard in &self.shards {
            let freed = shard.lock().forget(segment);
            self.bytes.fetch_sub(freed, Ordering::Relaxed);
        }
    }

    /// Counters, and what it holds.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            bytes: self.bytes(),
            budget: self.budget(),
        }
    }

    pub(crate) fn get(&self, segment: u64, offset: u64, access: Access) -> Option<Part> {
        let key = (segment, offset);
        let part = self.shards[shard_of(key)].lock().get(key, access);
        let counter = if part.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        part
    }

    /// Whether a block is here; counts as no use.
    pub(crate) fn contains(&self, segment: u64, offset: u64) -> bool {
        let key = (segment, offset);
        self.shards[shard_of(key)].lock().held.contains_key(&key)
    }

    /// Keeps a part of `size` bytes, unless it alone exceeds the budget.
    pub(crate) fn put(&self, segment: u64, offset: u64, part: Part, size: usize, access: Access) {
        let (key, size) = ((segment, offset), size + ENTRY_BYTES);
        let index = shard_of(key);
        if !self.reserve(size, index) {
            return;
        }
        let freed = self.shards[index].lock().put(key, part, size, access);
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
    }

    /// Makes room for `size` bytes and takes it: the budget is never exceeded, not even for a moment.
    fn reserve(&self, size: usize, mut shard: usize) -> bool {
        loop {
            let budget = self.budget();
            if size > budget {
                return false;
            }
            let grown = |bytes: usize| bytes.checked_add(size).filter(|&bytes| bytes <= budget);
            if self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok() {
                return true;
            }
            if !self.evict(&mut shard) {
                return false;
            }
        }
    }

    /// Lets one block go, of `shard` or the first after it that holds one; false where none does.
    fn evict(&self, shard: &mut usize) -> bool {
        for _ in 0..SHARDS {
            let freed = self.shards[*shard].lock().evict();
            if freed > 0 {
                self.bytes.fetch_sub(freed, Ordering::Relaxed);
                self.evictions.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            *shard = (*shard + 1) % SHARDS;
        }
        false
    }
}

fn shard_of((segment, offset): Key) -> usize {
    let mixed = (segment.rotate_left(32) ^ offset).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 60) as usize % SHARDS
}

impl Shard {
    fn get(&mut self, key: Key, access: Access) -> Option<Part> {
        let held = self.held.get_mut(&key)?;
        if access == Access::Point {
            held.uses = (held.uses + 1).min(MOST_USES);
            held.scanned = false;
        }
        Some(held.part.clone())
    }

    /// Takes a part in; returns the bytes of the one that had its key.
    fn put(&mut self, key: Key, part: Part, size: usize, access: Access) -> usize {
        let scanned = access == Access::Scan;
        if let Some(held) = self.held.get_mut(&key) {
            let freed = std::mem::replace(&mut held.size, size);
            held.part = part;
            let queue = if held.in_main { &mut self.main_bytes } else { &mut self.probation_bytes };
            *queue = *queue + size - freed;
            return freed;
        }
        let in_main = !scanned && self.ghost_set.remove(&key);
        if in_main {
            self.main.push_back(key);
            self.main_bytes += size;
        } else {
            self.probation.push_back(key);
            self.probation_bytes += size;
        }
        self.held.insert(key, Held { part, size, uses: 0, in_main, scanned });
        0
    }

    /// Lets one part go; returns its bytes, 0 where there is none.
    fn evict(&mut self) -> usize {
        loop {
            let all = self.probation_bytes + self.main_bytes;
            let from_probation = self.main.is_empty() || self.probation_bytes * 10 > all;
            let queue = if from_probation { &mut self.probation } else { &mut self.main };
            let Some(key) = queue.pop_front() else { return 0 };
            let Some(held) = self.held.get_mut(&key) else { continue };
            let size = held.size;
            if held.uses > 0 {
                // It was used: out of probation, or another round.
                held.uses = if from_probation { 0 } else { held.uses - 1 };
                held.in_main = true;
                self.main.push_back(key);
                if from_probation {
                    self.probation_bytes -= size;
                    self.main_bytes += size;
                }
                continue;
            }
            let scanned = held.scanned;
            self.held.remove(&key);
            if from_probation {
                self.probation_bytes -= size;
                if !scanned {
                    self.remember(key);
                }
            } else {
                self.main_bytes -= size;
            }
            return size;
        }
    }

    /// Removes what belongs to a segment; returns its bytes.
    fn forget(&mut self, segment: u64) -> usize {
        let mut freed = 0;
        let (probation_bytes, main_bytes) = (&mut self.probation_bytes, &mut self.main_bytes);
        self.held.retain(|key, held| {
            let goes = key.0 == segment;
            if goes {
                freed += held.size;
                *if held.in_main { &mut *main_bytes } else { &mut *probation_bytes } -= held.size;
            }
            !goes
        });
        for queue in [&mut self.probation, &mut self.main] {
            queue.retain(|key| key.0 != segment);
        }
        freed
    }

    /// Keeps the key of what left, as many as there are entries.
    fn remember(&mut self, key: Key) {
        if self.ghost_set.insert(key) {
            self.ghosts.push_back(key);
        }
        while self.ghosts.len() > self.held.len().max(16)
            && let Some(oldest) = self.ghosts.pop_front()
        {
            self.ghost_set.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Part {
        Part::Filter(Arc::new(Filter::parse(crate::bloom::build(&[1], 10)).unwrap()))
    }

    const SIZE: usize = 1_000;
    const COST: usize = SIZE + ENTRY_BYTES;

    fn put(cache: &BlockCache, offset: u64, access: Access) {
        cache.put(1, offset, filter(), SIZE, access);
    }

    fn held(cache: &BlockCache, offsets: std::ops::Range<u64>) -> usize {
        offsets.filter(|&offset| cache.contains(1, offset)).count()
    }

    /// A cache with room for 1 000 blocks whose first 500 are in use.
    fn warm() -> BlockCache {
        let cache = BlockCache::new(1_000 * COST);
        for offset in 0..500 {
            put(&cache, offset, Access::Point);
            assert!(cache.get(1, offset, Access::Point).is_some());
        }
        cache
    }

    #[test]
    fn the_budget_is_kept_whatever_comes() {
        let cache = BlockCache::new(50_000);
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..20_000 {
            let access = if random.bool() { Access::Point } else { Access::Scan };
            let (segment, offset) = (random.u64(..3), random.u64(..200));
            if cache.get(segment, offset, access).is_none() {
                cache.put(segment, offset, filter(), random.usize(..60_000), access);
            }
            if round % 1_000 == 999 {
                cache.set_budget(random.usize(..100_000));
            }
            assert!(cache.bytes() <= cache.budget());
        }
        let held: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock();
                assert_eq!(shard.held.len(), shard.probation.len() + shard.main.len());
                assert!(shard.ghosts.len() <= shard.held.len().max(16));
                shard.held.values().map(|held| held.size).sum::<usize>()
            })
            .sum();
        assert_eq!(held, cache.bytes(), "what is counted is what is held");
        cache.set_budget(0);
        assert_eq!(cache.bytes(), 0);
        put(&cache, 1, Access::Point);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn what_is_larger_than_the_budget_stays_out_and_takes_nothing_with_it() {
        let cache = BlockCache::new(3 * COST);
        put(&cache, 0, Access::Point);
        cache.put(1, 1, filter(), 3 * COST, Access::Point);
        assert!(cache.contains(1, 0) && !cache.contains(1, 1));
        cache.put(1, 2, filter(), 3 * COST - ENTRY_BYTES, Access::Point);
        assert!(!cache.contains(1, 0) && cache.contains(1, 2), "what just fits takes the place of all");
        put(&cache, 2, Access::Point);
        assert_eq!(cache.bytes(), COST, "the same key twice counts once");
    }

    #[test]
    fn scans_over_and_over_leave_what_is_in_use() {
        let cache = warm();
        for _ in 0..3 {
            for offset in 10_000..30_000 {
                if cache.get(1, offset, Access::Scan).is_none() {
                    put(&cache, offset, Access::Scan);
                }
            }
        }
        assert_eq!(held(&cache, 0..500), 500);
        assert!(held(&cache, 10_000..30_000) > 50, "a scan may use what nobody else does");
    }

    #[test]
    fn blocks_asked_for_once_leave_what_is_in_use_and_those_that_come_back_stay() {
        let cache = warm();
        (10_000..30_000).for_each(|offset| put(&cache, offset, Access::Point));
        assert!(held(&cache, 0..500) >= 450, "{}", held(&cache, 0..500));
        // A working set that moves on takes the room over.
        for _ in 0..8 {
            for offset in 50_000..50_400 {
                if cache.get(1, offset, Access::Point).is_none() {
                    put(&cache, offset, Access::Point);
                }
            }
            (60_000..60_500).for_each(|offset| put(&cache, offset, Access::Point));
        }
        assert!(held(&cache, 50_000..50_400) >= 390, "{}", held(&cache, 50_000..50_400));
    }

    #[test]
    fn a_segment_that_is_gone_leaves_its_room() {
        let cache = warm();
        for offset in 0..50 {
            cache.put(2, offset, filter(), SIZE, Access::Scan);
        }
        assert_eq!(cache.bytes(), 550 * COST);
        cache.forget(1);
        assert_eq!((cache.bytes(), held(&cache, 0..500)), (50 * COST, 0));
        cache.forget(2);
        assert_eq!(cache.bytes(), 0);
        (0..2_000).for_each(|offset| put(&cache, offset, Access::Point));
        assert!(cache.bytes() <= cache.budget() && cache.bytes() > cache.budget() / 2);
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let cache = BlockCache::new(10 * COST);
        assert!(cache.get(1, 0, Access::Point).is_none());
        put(&cache, 0, Access::Point);
        assert!(cache.get(1, 0, Access::Scan).is_some());
        assert!(cache.get(2, 0, Access::Point).is_none());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.evictions), (1, 2, 0));
        assert_eq!((stats.bytes, stats.budget), (COST, 10 * COST));
    }
}
