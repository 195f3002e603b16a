//! The page table: which images of which pages are in memory.
//!
//! ```text
//! front   page number -> where its newest image probably is      no lock; may be out of date
//! shards  page number -> its newest image, older ones            a lock each; what is true
//! frames  the images' memory, counted
//! ```
//!
//! An image is immutable once it is here. A slot holds the newest image of a page and those before it that a snapshot
//! pins; each image carries the version that published it. A reader looks at the front, and goes to the shard only where that
//! does not show the page at a version that it may see. Clean pages stand in the ring of their
//! shard and are evicted by second chance (CLOCK): a page is admitted without the reference bit, behind the hand where a key was looked
//! up in it, in front of it where a scan goes by, so that a scan that reads each page once drives out its own pages first. Dirty pages stand in no ring.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::RwLock;
use dosql_base::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use dosql_base::{Error, Result, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::deltas::Deltas;
pub(crate) use crate::frame::Image;
use crate::frame::{Draft, Frames};
use crate::front::Front;
use crate::page::format::{PageHeader, gap, seal};
use crate::page::node_mut::NodeMut;
use crate::verified::Verified;

const SHARDS: usize = if cfg!(loom) { 2 } else { 64 };
/// How many ring entries one eviction looks at in a shard.
const SWEEP: usize = 32;
/// How many evictions ahead the memory is asked for that one looks at.
const AHEAD: usize = 4;

/// The version in the header of a page.
#[inline]
pub(crate) fn version_of(image: &[u8]) -> Timestamp {
    Timestamp::from_micros(PageHeader::of(image).version.get())
}

#[cold]
fn overfull(page: &[u8]) -> Error {
    Error::corrupt(
        "a page has no room for what was changed in it; reopen",
        format!("page {}", PageHeader::of(page).id),
    )
}

/// From the version that published an image to the one that published the next.
pub(crate) type Stretch = Range<Timestamp>;

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
    front: Front,
    shards: Box<[RwLock<Shard>]>,
    budget: usize,
    resident: AtomicUsize,
    pinned: AtomicUsize,
    evictions: AtomicU64,
    next_shard: AtomicUsize,
    /// The page at the hand of each shard when it was last looked at.
    at_hand: [AtomicU64; SHARDS],
    /// Of the pages that were dropped.
    verified: Verified,
    frames: Arc<Frames>,
}

impl Table {
    /// A table that holds about `budget` images of `page_size` bytes.
    pub(crate) fn new(budget: usize, page_size: usize) -> Self {
        let frames = Frames::new(page_size);
        Table {
            front: Front::new(budget, SHARDS, Arc::clone(&frames)),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            budget,
            resident: AtomicUsize::new(0),
            pinned: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
            at_hand: std::array::from_fn(|_| AtomicU64::new(0)),
            verified: Verified::new(budget),
            frames,
        }
    }

    #[inline]
    fn shard(&self, id: u64) -> &RwLock<Shard> {
        &self.shards[id as usize % SHARDS]
    }

    /// How many images it holds, about.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// Images in memory, and as many more as the deltas take.
    pub(crate) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed) + self.frames.of_deltas()
    }

    /// Images in memory that only snapshots need.
    pub(crate) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }

    /// See [`Frames::hurry`].
    pub(crate) fn hurry(&self, on: bool) {
        self.frames.hurry(on);
    }

    /// See [`Frames::runs_short`].
    pub(crate) fn runs_short(&self) -> bool {
        self.frames.runs_short(self.budget)
    }

    /// See [`Frames::make_ahead`].
    pub(crate) fn make_ahead(&self) {
        self.frames.make_ahead();
    }

    /// Buffers kept for reuse.
    pub(crate) fn spare(&self) -> usize {
        self.frames.spare()
    }

    /// Pages evicted so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// The image of page `id` as of `version`. `touch`: remember that it was used (a scan does not).
    #[inline]
    pub(crate) fn lookup(&self, id: u64, version: Timestamp, touch: bool) -> Found {
        match self.front.image(id, version) {
            Some(image) => {
                if touch {
                    image.touch();
                }
                Found::Image(image)
            }
            None => self.lookup_slot(id, version, touch),
        }
    }

    /// The newest image of page `id`, where it is in memory.
    pub(crate) fn newest(&self, id: u64) -> Option<Image> {
        match self.lookup(id, Timestamp::MAX, false) {
            Found::Image(image) => Some(image),
            Found::TooNew | Found::Absent => None,
        }
    }

    /// Asks for the memory that says where page `entry` is, and for page `page`; 0 asks for nothing.
    #[inline]
    pub(crate) fn ask_for(&self, entry: u64, page: u64) {
        if entry != 0 {
            self.front.ask_for_entry(entry);
        }
        if page != 0 {
            self.front.ask_for_page(page);
        }
    }

    /// What is true of page `id` as of `version`.
    #[cold]
    fn lookup_slot(&self, id: u64, version: Timestamp, touch: bool) -> Found {
        let shard = self.shard(id).read();
        let Some(slot) = shard.slots.get(&id) else { return Found::Absent };
        if let Some(newest) = &slot.newest
            && newest.version() <= version
        {
            if touch {
                newest.touch();
            }
            self.front.show(id, newest);
            return Found::Image(newest.clone());
        }
        match slot.older.iter().rev().find(|image| image.version() <= version) {
            Some(image) => Found::Image(image.clone()),
            None if slot.newest.is_some() => Found::TooNew,
            None => Found::Absent,
        }
    }

    /// Takes in an image that was read from the store, unless another reader was faster; returns the one to use. `touch`: as for
    /// [`Table::lookup`].
    pub(crate) fn admit(&self, id: u64, page: Draft, touch: bool) -> Image {
        let image = {
            let mut shard = self.shard(id).write();
            let shard = &mut *shard;
            let slot = shard.slots.entry(id).or_default();
            if let Some(newest) = &slot.newest {
                return newest.clone();
            }
            let image = page.share();
            self.front.show(id, &image);
            slot.newest = Some(image.clone());
            if !slot.in_ring {
                slot.in_ring = true;
                shard.ring.push(id);
                if !touch {
                    shard.to_hand();
                }
            }
            image
        };
        self.resident.fetch_add(1, Ordering::Relaxed);
        self.evict();
        image
    }

    /// Makes `page` the newest image of page `id`, which is dirty. The one that it supersedes is kept as an older image; returns its
    /// version.
    pub(crate) fn install(&self, id: u64, page: Draft) -> Option<Timestamp> {
        let superseded = {
            let mut shard = self.shard(id).write();
            let slot = shard.slots.entry(id).or_default();
            let image = page.share();
            if !weakened("front-out-of-date") {
                self.front.show(id, &image);
            }
            let superseded = slot.newest.replace(image);
            let version = superseded.as_ref().map(Image::version);
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
            let Some(at) = slot.older.iter().position(|image| image.version() == version) else { return };
            let image = slot.older.remove(at);
            if slot.older.is_empty() && slot.newest.is_none() {
                shard.slots.remove(&id);
            }
            image
        };
        self.resident.fetch_sub(1, Ordering::Relaxed);
        self.pinned.fetch_sub(1, Ordering::Relaxed);
        drop(dropped);
    }

    /// Drops the newest image of page `id`, which nobody can reach any more.
    pub(crate) fn drop_newest(&self, id: u64) {
        let dropped = {
            let mut shard = self.shard(id).write();
            let Some(slot) = shard.slots.get_mut(&id) else { return };
            slot.in_ring = false;
            let Some(image) = slot.newest.take() else { return };
            self.front.hide(id, &image);
            if slot.older.is_empty() {
                shard.slots.remove(&id);
            }
            image
        };
        self.resident.fetch_sub(1, Ordering::Relaxed);
        drop(dropped);
    }

    /// Takes the memory of `image`, which must be one of page `id`, with what is in it, where the store holds the same and nobody else uses
    /// it: that is an eviction, and whoever wants the page after all reads it from the store. Gives the image back where it can't.
    pub(crate) fn take_clean(&self, id: u64, image: Image) -> Result<Draft, Image> {
        let mut shard = self.shard(id).write();
        let clean = shard.slots.get_mut(&id).filter(|slot| slot.in_ring && slot.older.is_empty());
        let Some(newest) =
            clean.and_then(|slot| slot.newest.take_if(|newest| newest.place() == image.place()))
        else {
            return Err(image);
        };
        self.front.hide(id, &newest);
        drop(image);
        match newest.unshare() {
            Ok(page) => {
                // Its entry in the ring goes when the hand comes by.
                shard.slots.remove(&id);
                drop(shard);
                self.resident.fetch_sub(1, Ordering::Relaxed);
                Ok(page)
            }
            Err(newest) => {
                self.front.show(id, &newest);
                if let Some(slot) = shard.slots.get_mut(&id) {
                    slot.newest = Some(newest.clone());
                }
                Err(newest)
            }
        }
    }

    /// The newest image of page `id` with its deltas and its checksum in place; `None` where there is none. Where `pinned` says that a
    /// snapshot sees the page without some of its deltas, it is kept as an older image too, of the version that comes second.
    pub(crate) fn sealed(
        &self,
        id: u64,
        pinned: impl Fn(Stretch) -> bool,
    ) -> Result<Option<(Image, Option<Stretch>)>> {
        let mut shard = self.shard(id).write();
        let Some(slot) = shard.slots.get_mut(&id) else { return Ok(None) };
        let Some(image) = slot.newest.take() else { return Ok(None) };
        let until = image.deltas().and_then(Deltas::newest);
        let superseded = until.map(|until| image.version()..until).filter(|stretch| pinned(stretch.clone()));
        let older = superseded.is_some().then(|| image.clone());
        let mut page = match image.unshare() {
            Ok(mut page) => {
                let fits = page.take_in_deltas(Timestamp::MAX);
                if !fits {
                    return Err(overfull(&page));
                }
                page
            }
            Err(image) => self.copy(&image, Timestamp::MAX)?,
        };
        if let Some(until) = until {
            PageHeader::of_mut(&mut page).version.set(until.as_micros());
        }
        seal(&mut page);
        let sealed = page.share();
        self.front.show(id, &sealed);
        slot.newest = Some(sealed.clone());
        slot.older.extend(older);
        if superseded.is_some() {
            self.resident.fetch_add(1, Ordering::Relaxed);
            self.pinned.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some((sealed, superseded)))
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

    /// A buffer to write a page into; its bytes are arbitrary.
    pub(crate) fn buffer(&self) -> Draft {
        self.frames.take()
    }

    /// A copy of a page with its deltas as seen at `version` in place, to change. What lies in the gap of a node is arbitrary in it.
    pub(crate) fn copy(&self, image: &Image, version: Timestamp) -> Result<Draft> {
        let mut copy = self.frames.take();
        let gap = gap(image);
        copy[..gap.start].copy_from_slice(&image[..gap.start]);
        copy[gap.end..].copy_from_slice(&image[gap.end..]);
        match image.deltas() {
            Some(deltas) if !deltas.bring_into(&mut NodeMut::new(&mut copy), version) => Err(overfull(image)),
            _ => Ok(copy),
        }
    }

    /// The checksum with which page `id`, as it is in the store, is known to be well formed.
    pub(crate) fn known(&self, id: u64) -> Option<u32> {
        self.verified.sum(id)
    }

    /// The image with its deltas as seen at `version` in place. Left for others where a reader asks: what the writer sees, of
    /// [`Timestamp::MAX`], may yet be withdrawn.
    pub(crate) fn with_deltas(&self, image: Image, version: Timestamp) -> Result<Image> {
        let Some(deltas) = image.deltas().filter(|deltas| deltas.any(version)) else { return Ok(image) };
        if let Some(merged) = deltas.merged(version) {
            return Ok(merged);
        }
        let is_published = version < Timestamp::MAX || weakened("unpublished-leaf-left");
        let may_leave = is_published && self.resident() < self.budget;
        let all = deltas.all_seen(version).filter(|_| may_leave);
        let merged = self.copy(&image, version)?.share();
        if let Some(count) = all {
            self.frames.leave_merged(deltas, count, merged.clone());
        }
        Ok(merged)
    }

    /// Evicts clean pages until the budget is kept or none is left to evict.
    pub(crate) fn evict(&self) {
        let mut fruitless = 0;
        while self.resident() > self.budget && fruitless < SHARDS {
            let at = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            // What lies at a hand was not used for long: it would come slowly.
            self.front.ask_for_header(self.at_hand[(at + AHEAD) % SHARDS].load(Ordering::Relaxed));
            let evicted = self.shards[at].try_write().and_then(|mut shard| {
                let evicted = shard.evict_one(&self.front);
                self.at_hand[at].store(shard.at_hand(), Ordering::Relaxed);
                evicted
            });
            let Some((id, image)) = evicted else {
                fruitless += 1;
                continue;
            };
            fruitless = 0;
            self.verified.remember(id, PageHeader::of(&image).crc.get());
            self.resident.fetch_sub(1, Ordering::Relaxed);
            self.evictions.fetch_add(1, Ordering::Relaxed);
            drop(image);
        }
    }
}

impl Shard {
    /// Takes the page at the hand out of the ring. The last one takes its place; it came last, so the hand moves past it.
    fn leave_ring(&mut self) {
        self.ring.swap_remove(self.hand);
        self.hand += 1;
    }

    /// Moves the page that came last to where the hand looks next.
    fn to_hand(&mut self) {
        if let Some(last) = self.ring.len().checked_sub(1) {
            self.hand %= self.ring.len();
            self.ring.swap(self.hand, last);
        }
    }

    /// The page at the hand, 0 where there is none.
    fn at_hand(&self) -> u64 {
        self.ring.get(self.hand).copied().unwrap_or(0)
    }

    /// Moves the hand to a clean page that was not used since the hand last passed and that nobody holds, and drops it.
    fn evict_one(&mut self, front: &Front) -> Option<(u64, Image)> {
        for _ in 0..SWEEP.min(2 * self.ring.len()) {
            if self.ring.is_empty() {
                return None;
            }
            self.hand %= self.ring.len();
            let id = self.ring[self.hand];
            let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.in_ring) else {
                self.leave_ring();
                continue;
            };
            let spared = |image: &Image| image.take_used() || image.is_held_elsewhere();
            if slot.newest.as_ref().is_some_and(spared) || !slot.older.is_empty() {
                self.hand += 1;
                continue;
            }
            self.leave_ring();
            let image = self.slots.remove(&id).and_then(|slot| slot.newest)?;
            front.hide(id, &image);
            return Some((id, image));
        }
        None
    }
}
