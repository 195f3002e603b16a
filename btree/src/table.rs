//! The page table: which images of which pages are in memory.
//!
//! An image is immutable once it is here. A slot holds the newest image of a page and those before it that a snapshot
//! pins; each image carries the version that published it in its page header. Clean pages stand in the ring of their
//! shard and are evicted by second chance (CLOCK): a page is admitted without the reference bit, so that a scan that
//! reads each page once drives out its own pages first. Dirty pages stand in no ring.

use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use dosql_base::sync::{Mutex, RwLock};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::MAX_PAGE_SIZE;
use crate::page::format::{PageHeader, seal};

/// The bytes of a page, shared.
pub(crate) type Image = Arc<[u8]>;

const SHARDS: usize = if cfg!(loom) { 2 } else { 64 };
/// How many spare buffers are kept for reuse at least, and which part of the budget.
const POOL: (usize, usize) = (64, 32);
/// How many ring entries one eviction looks at in a shard.
const SWEEP: usize = 32;

/// The version that published an image.
#[inline]
pub(crate) fn version_of(image: &[u8]) -> Timestamp {
    Timestamp::from_micros(PageHeader::of(image).version.get())
}

/// What a lookup found.
pub(crate) enum Found {
    /// The image as of the version asked for.
    Image(Image),
    /// Only images newer than that: the page did not exist then.
    TooNew,
    /// Nothing: it is in the store.
    Absent,
}

#[derive(Default)]
struct Slot {
    newest: Option<Image>,
    older: SmallVec<[Image; 1]>,
    referenced: AtomicBool,
    in_ring: bool,
}

#[derive(Default)]
struct Shard {
    slots: HashMap<u64, Slot, FixedState>,
    ring: Vec<u64>,
    hand: usize,
}

/// See the module's description.
pub(crate) struct Table {
    shards: Box<[RwLock<Shard>]>,
    budget: usize,
    resident: AtomicUsize,
    pinned: AtomicUsize,
    evictions: AtomicU64,
    next_shard: AtomicUsize,
    pool: Mutex<Vec<Image>>,
}

impl Table {
    /// A table that holds about `budget` images.
    pub(crate) fn new(budget: usize) -> Self {
        Table {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            budget,
            resident: AtomicUsize::new(0),
            pinned: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
            pool: Mutex::default(),
        }
    }

    #[inline]
    fn shard(&self, id: u64) -> &RwLock<Shard> {
        &self.shards[id as usize % SHARDS]
    }

    /// Images in memory.
    pub(crate) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Images in memory that only snapshots need.
    pub(crate) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }

    /// Buffers kept for reuse.
    pub(crate) fn spare(&self) -> usize {
        self.pool.lock().len()
    }

    /// Pages evicted so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// The image of page `id` as of `version`. `touch`: remember that it was used (a scan does not).
    #[inline]
    pub(crate) fn lookup(&self, id: u64, version: Timestamp, touch: bool) -> Found {
        let shard = self.shard(id).read();
        let Some(slot) = shard.slots.get(&id) else { return Found::Absent };
        if let Some(newest) = &slot.newest
            && version_of(newest) <= version
        {
            if touch && !slot.referenced.load(Ordering::Relaxed) {
                slot.referenced.store(true, Ordering::Relaxed);
            }
            return Found::Image(Arc::clone(newest));
        }
        match slot.older.iter().rev().find(|image| version_of(image) <= version) {
            Some(image) => Found::Image(Arc::clone(image)),
            None if slot.newest.is_some() => Found::TooNew,
            None => Found::Absent,
        }
    }

    /// Takes in an image that was read from the store, unless another reader was faster; returns the one to use.
    pub(crate) fn admit(&self, id: u64, image: Image) -> Image {
        {
            let mut shard = self.shard(id).write();
            let shard = &mut *shard;
            let slot = shard.slots.entry(id).or_default();
            if let Some(newest) = &slot.newest {
                return Arc::clone(newest);
            }
            slot.newest = Some(Arc::clone(&image));
            if !slot.in_ring {
                slot.in_ring = true;
                shard.ring.push(id);
            }
        }
        self.resident.fetch_add(1, Ordering::Relaxed);
        self.evict();
        image
    }

    /// Makes `image` the newest of page `id`, which is dirty. The one that it supersedes is kept as an older image; returns its
    /// version.
    pub(crate) fn install(&self, id: u64, image: Image) -> Option<Timestamp> {
        let superseded = {
            let mut shard = self.shard(id).write();
            let slot = shard.slots.entry(id).or_default();
            let superseded = slot.newest.replace(image);
            let version = superseded.as_deref().map(version_of);
            slot.older.extend(superseded);
            slot.in_ring = false;
            version
        };
        self.resident.fetch_add(1, Ordering::Relaxed);
        if superseded.is_some() {
            self.pinned.fetch_add(1, Ordering::Relaxed);
        }
        superseded
    }

    /// Drops the older image of page `id` that `version` published.
    pub(crate) fn drop_older(&self, id: u64, version: Timestamp) {
        let dropped = {
            let mut shard = self.shard(id).write();
            let Some(slot) = shard.slots.get_mut(&id) else { return };
            let Some(at) = slot.older.iter().position(|image| version_of(image) == version) else { return };
            let image = slot.older.remove(at);
            if slot.older.is_empty() && slot.newest.is_none() {
                shard.slots.remove(&id);
            }
            image
        };
        self.resident.fetch_sub(1, Ordering::Relaxed);
        self.pinned.fetch_sub(1, Ordering::Relaxed);
        self.recycle(dropped);
    }

    /// Drops the newest image of page `id`, which nobody can reach any more.
    pub(crate) fn drop_newest(&self, id: u64) {
        let dropped = {
            let mut shard = self.shard(id).write();
            let Some(slot) = shard.slots.get_mut(&id) else { return };
            slot.in_ring = false;
            let Some(image) = slot.newest.take() else { return };
            if slot.older.is_empty() {
                shard.slots.remove(&id);
            }
            image
        };
        self.resident.fetch_sub(1, Ordering::Relaxed);
        self.recycle(dropped);
    }

    /// The newest image of page `id` with its checksum in place; `None` where there is none.
    pub(crate) fn sealed(&self, id: u64) -> Option<Image> {
        let mut shard = self.shard(id).write();
        let newest = shard.slots.get_mut(&id)?.newest.as_mut()?;
        if let Some(bytes) = Arc::get_mut(newest) {
            seal(bytes);
        } else {
            let mut copy = Image::from(&newest[..]);
            seal(Arc::get_mut(&mut copy).expect("a new image is not shared"));
            *newest = copy;
        }
        Some(Arc::clone(newest))
    }

    /// Lets page `id` be evicted: its newest image is in the store.
    pub(crate) fn clean(&self, id: u64) {
        let mut shard = self.shard(id).write();
        let shard = &mut *shard;
        if let Some(slot) = shard.slots.get_mut(&id)
            && !slot.in_ring
        {
            slot.in_ring = true;
            shard.ring.push(id);
        }
    }

    /// A buffer to write a page into, not shared; its bytes are arbitrary.
    pub(crate) fn buffer(&self, page_size: usize) -> Image {
        static ZEROS: [u8; MAX_PAGE_SIZE] = [0; MAX_PAGE_SIZE];
        let spare = self.pool.lock().pop();
        spare.unwrap_or_else(|| Image::from(&ZEROS[..page_size]))
    }

    /// A copy of an image, not shared.
    pub(crate) fn copy(&self, image: &[u8]) -> Image {
        let spare = self.pool.lock().pop();
        let Some(mut spare) = spare else { return Image::from(image) };
        Arc::get_mut(&mut spare).expect("a pooled buffer is not shared").copy_from_slice(image);
        spare
    }

    /// Keeps the buffer of a dropped image for the next copy, where nobody else holds it.
    pub(crate) fn recycle(&self, mut image: Image) {
        if Arc::get_mut(&mut image).is_some() {
            let mut pool = self.pool.lock();
            if pool.len() < POOL.0.max(self.budget / POOL.1) {
                pool.push(image);
            }
        }
    }

    /// Evicts clean pages until the budget is kept or none is left to evict.
    pub(crate) fn evict(&self) {
        let mut fruitless = 0;
        while self.resident.load(Ordering::Relaxed) > self.budget && fruitless < SHARDS {
            let at = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let evicted = self.shards[at].try_write().and_then(|mut shard| shard.evict_one());
            let Some(image) = evicted else {
                fruitless += 1;
                continue;
            };
            fruitless = 0;
            self.resident.fetch_sub(1, Ordering::Relaxed);
            self.evictions.fetch_add(1, Ordering::Relaxed);
            self.recycle(image);
        }
    }
}

impl Shard {
    /// Moves the hand to a clean page that was not used since the hand last passed, and drops it.
    fn evict_one(&mut self) -> Option<Image> {
        for _ in 0..SWEEP.min(2 * self.ring.len()) {
            if self.ring.is_empty() {
                return None;
            }
            self.hand %= self.ring.len();
            let id = self.ring[self.hand];
            let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.in_ring) else {
                self.ring.swap_remove(self.hand);
                continue;
            };
            if slot.referenced.swap(false, Ordering::Relaxed) || !slot.older.is_empty() {
                self.hand += 1;
                continue;
            }
            self.ring.swap_remove(self.hand);
            return self.slots.remove(&id).and_then(|slot| slot.newest);
        }
        None
    }
}
