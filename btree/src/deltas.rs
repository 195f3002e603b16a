//! Deltas: what commits changed in a leaf since its image was made, beside the image rather than in a copy of it.
//!
//! ```text
//! frame ──> image, immutable
//!    └────> block   count | slots: published, head, end, tail_len | heap: rest of key, prelude, bytes
//!                              each as in a leaf; the newest last
//! ```
//!
//! A commit that changes an entry or two of a leaf writes as many bytes as it changes; a copy of the leaf would be fifty times as much.
//! The block is written by the one writer, and only grows. Each delta bears the version that publishes it, so a reader passes over
//! those that are too new for it: what an image and its deltas say at a version never changes. When the block is full, the leaf is
//! copied with its deltas in place; a checkpoint puts them in place before it writes, so that only dirty pages have any.
//!
//! What deltas bring in is sure to fit: a delta is refused where the leaf has no room for all of them as entries.

#![allow(unsafe_code, reason = "a heap that one thread appends to while others read what was published")]

use std::cell::UnsafeCell;
use std::ops::Range;

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::frame::Image;
use crate::page::leaf::{self, LeafValue};
use crate::page::node::{KeyBuffer, Node, head_of, rest_len};
use crate::page::node_mut::NodeMut;
use crate::page::prefetch::prefetch;

/// Deltas in a block.
const MOST: usize = 8;
/// Bytes of all their entries in it.
pub(crate) const HEAP: usize = 1112;
/// Lines that come before they are asked for: what is not heap.
const FIRST_LINES: usize = 3;
/// In a place: the entry is removed.
const GONE: u64 = 1 << 15;
/// In a place: what tells keys apart, but for the rest.
const KEY: u64 = !(0xFFFF_0000 | GONE);
/// The version of a delta whose commit was rolled back.
const WITHDRAWN: u64 = u64::MAX;

/// The deltas of one leaf.
#[repr(C, align(64))]
pub(crate) struct Deltas {
    /// How many there are; it rises when one is whole.
    count: AtomicU32,
    /// Bytes that the leaf needs at most to take all of them in.
    needed: AtomicU32,
    /// Bytes that removals free in it.
    freed: AtomicU32,
    /// Somebody is appending: there is one writer, and this keeps it so.
    appending: AtomicBool,
    /// The leaf with so many deltas in place, for the next who wants all of it.
    merged: Mutex<(u32, Option<Image>)>,
    slots: [Slot; MOST],
    heap: UnsafeCell<[u8; HEAP]>,
}

const _: () = assert!(cfg!(loom) || size_of::<Deltas>() == 1280);

/// Where a delta is.
struct Slot {
    /// The version of the commit that publishes it.
    published: AtomicU64,
    /// Head, 32 bits | where its entry ends in the heap, 16 | [`GONE`] | length of the tail, 15. The entry begins where the one before ends.
    place: AtomicU64,
}

// SAFETY: the heap is written where no delta lies yet, by one thread at a time (`appending`); what is read of it was whole when its count
// was released.
unsafe impl Sync for Deltas {}
// SAFETY: nothing of it belongs to a thread.
unsafe impl Send for Deltas {}

/// What a delta says about its key.
#[derive(Clone, Copy)]
pub(crate) enum Delta<'a> {
    /// It has this entry, whose payload lies there in the heap.
    Entry(LeafValue<'a>, usize),
    /// It has none.
    Gone,
}

/// A change to append.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    /// The payload of an entry, in two parts. The leaf needs so many bytes more for it.
    Put { payload: [&'a [u8]; 2], needs: usize },
    /// No entry any more, which frees so many bytes of the leaf.
    Remove { frees: usize },
}

impl Slot {
    #[inline]
    fn place(&self) -> u64 {
        self.place.load(Ordering::Relaxed)
    }
}

/// Where an entry ends.
#[inline]
fn end_of(place: u64) -> usize {
    (place >> 16) as usize & 0xFFFF
}

#[inline]
fn tail_len_of(place: u64) -> usize {
    (place & (GONE - 1)) as usize
}

impl Deltas {
    /// None yet.
    pub(crate) fn new() -> Deltas {
        Deltas {
            count: AtomicU32::new(0),
            needed: AtomicU32::new(0),
            freed: AtomicU32::new(0),
            appending: AtomicBool::new(false),
            merged: Mutex::default(),
            slots: std::array::from_fn(|_| Slot { published: AtomicU64::new(0), place: AtomicU64::new(0) }),
            heap: UnsafeCell::new([0; HEAP]),
        }
    }

    /// None any more, for another leaf.
    pub(crate) fn reset(&mut self) {
        self.count.store(0, Ordering::Relaxed);
        self.needed.store(0, Ordering::Relaxed);
        self.freed.store(0, Ordering::Relaxed);
    }

    /// Bytes that its removals free in the leaf.
    pub(crate) fn freed(&self) -> usize {
        self.freed.load(Ordering::Relaxed) as usize
    }

    /// The leaf with all that is seen at `version` in place, where somebody left it and there is no more by now.
    pub(crate) fn merged(&self, version: Timestamp) -> Option<Image> {
        let all = self.all_seen(version)?;
        let merged = self.merged.lock();
        merged.1.as_ref().filter(|_| merged.0 == all).cloned()
    }

    /// Leaves the leaf with its first `count` deltas in place for others; returns what was left before.
    pub(crate) fn leave_merged(&self, count: u32, image: Option<Image>) -> Option<Image> {
        let mut merged = self.merged.lock();
        merged.0 = count;
        std::mem::replace(&mut merged.1, image)
    }

    /// How many there are, where all of them are seen at `version`.
    pub(crate) fn all_seen(&self, version: Timestamp) -> Option<u32> {
        let count = self.count();
        let hidden = |i: usize| !self.is_seen(i, version) && self.is_seen(i, Timestamp::MAX);
        (!(0..count).any(hidden)).then_some(count as u32)
    }

    /// How many are whole.
    #[inline]
    fn count(&self) -> usize {
        (self.count.load(Ordering::Acquire) as usize).min(MOST)
    }

    /// Where the entry of a whole delta lies in the heap.
    #[inline]
    fn range(&self, i: usize) -> Range<usize> {
        let start = i.checked_sub(1).map_or(0, |before| end_of(self.slots[before].place()));
        start..end_of(self.slots[i].place())
    }

    /// Part of the entry of a whole delta.
    #[inline]
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let (start, end) = (range.start.min(HEAP), range.end.min(HEAP));
        let heap: *const u8 = self.heap.get().cast();
        // SAFETY: the range lies in the heap. Who asks has found it by a count that was released when it had been written, and nothing is
        // written there again while the block is shared.
        unsafe { std::slice::from_raw_parts(heap.add(start), end.saturating_sub(start)) }
    }

    /// Whether a whole delta can be seen at `version`.
    #[inline]
    fn is_seen(&self, i: usize, version: Timestamp) -> bool {
        let published = self.slots[i].published.load(Ordering::Relaxed);
        published != WITHDRAWN && (published <= version.as_micros() || weakened("delta-too-new"))
    }

    /// What was said last, as seen at `version`, about the key with this tail, in a leaf with this base.
    #[inline]
    pub(crate) fn find(&self, tail: &[u8], version: Timestamp, base: u64) -> Option<Delta<'_>> {
        let wanted = u64::from(head_of(tail)) << 32 | tail.len() as u64;
        (0..self.count()).rev().find_map(|i| {
            let place = self.slots[i].place();
            if place & KEY != wanted || !self.is_seen(i, version) {
                return None;
            }
            let entry = self.range(i);
            let value = entry.start + rest_len(tail.len());
            if self.bytes(entry.start..value) != tail.get(4..).unwrap_or_default() {
                return None;
            }
            if place & GONE != 0 {
                return Some(Delta::Gone);
            }
            let entry = leaf::decode(self.bytes(value..entry.end), base).expect("a delta is a whole entry");
            Some(Delta::Entry(entry, value))
        })
    }

    /// Asks for the memory of its numbers and of the beginning of its heap.
    #[inline]
    pub(crate) fn ask_for(&self) {
        prefetch(std::ptr::from_ref(self).cast(), FIRST_LINES);
    }

    /// Whether a delta is seen at `version`.
    #[inline]
    pub(crate) fn any(&self, version: Timestamp) -> bool {
        (0..self.count()).any(|i| self.is_seen(i, version))
    }

    /// The version of the newest delta that was not withdrawn.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        let newest = (0..self.count()).rev().find(|&i| self.is_seen(i, Timestamp::MAX))?;
        Some(Timestamp::from_micros(self.slots[newest].published.load(Ordering::Relaxed)))
    }

    /// Appends a delta to those of `leaf`, to be published as `version`. False, and nothing has changed, where there is no room for it.
    #[must_use]
    pub(crate) fn append(&self, leaf: Node<'_>, tail: &[u8], change: Change<'_>, version: Timestamp) -> bool {
        let (parts, gone, needs, frees) = match change {
            Change::Put { payload, needs } => (payload, 0, needs, 0),
            Change::Remove { frees } => ([&[][..]; 2], GONE, 0, frees),
        };
        let rest = tail.get(4..).unwrap_or_default();
        let size = rest.len() + parts[0].len() + parts[1].len();
        let i = self.count();
        let start = i.checked_sub(1).map_or(0, |before| end_of(self.slots[before].place()));
        let needed = self.needed.load(Ordering::Relaxed) as usize + needs;
        let fits = i < MOST && start + size <= HEAP && needed <= leaf.room();
        if !fits || self.appending.swap(true, Ordering::Acquire) {
            return false;
        }
        let mut at = start;
        for part in [rest, parts[0], parts[1]] {
            let heap: *mut u8 = self.heap.get().cast();
            // SAFETY: the parts fit into the heap behind what is whole, where nobody looks, and nobody else writes.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), heap.add(at), part.len()) };
            at += part.len();
        }
        let place = u64::from(head_of(tail)) << 32 | (at as u64) << 16 | gone | tail.len() as u64;
        if weakened("delta-counted-early") {
            self.count.store(i as u32 + 1, Ordering::Release);
            self.slots[i].place.store(place, Ordering::Relaxed);
        }
        self.slots[i].published.store(version.as_micros(), Ordering::Relaxed);
        self.slots[i].place.store(place, Ordering::Relaxed);
        self.needed.store(needed as u32, Ordering::Relaxed);
        self.freed.fetch_add(frees as u32, Ordering::Relaxed);
        self.count.store(i as u32 + 1, Ordering::Release);
        self.appending.store(false, Ordering::Release);
        true
    }

    /// Changes the version that publishes what was to be published as `from`; `None` withdraws it.
    pub(crate) fn publish_as(&self, from: Timestamp, to: Option<Timestamp>) {
        if to.is_none() && weakened("deltas-not-withdrawn") {
            return;
        }
        for slot in &self.slots[..self.count()] {
            if slot.published.load(Ordering::Relaxed) == from.as_micros() {
                let to = to.map_or(WITHDRAWN, Timestamp::as_micros);
                slot.published.store(to, Ordering::Relaxed);
            }
        }
    }

    /// Brings what is seen at `version` into a copy of the leaf. False where it does not fit, which [`Deltas::append`] prevents.
    #[must_use]
    pub(crate) fn bring_into(&self, leaf: &mut NodeMut<'_>, version: Timestamp) -> bool {
        (0..self.count()).filter(|&i| self.is_seen(i, version)).all(|i| {
            let place = self.slots[i].place();
            let (len, entry) = (tail_len_of(place), self.range(i));
            let head = ((place >> 32) as u32).to_be_bytes();
            let value = entry.start + rest_len(len);
            let mut tail = KeyBuffer::from_slice(&head[..len.min(4)]);
            tail.extend_from_slice(self.bytes(entry.start..value));
            let parts = [self.bytes(value..entry.end), &[]];
            match leaf.node().search_tail(&tail) {
                Ok(slot) if place & GONE != 0 => leaf.remove(slot),
                Ok(slot) => return leaf.replace(slot, parts),
                Err(_) if place & GONE != 0 => {}
                Err(slot) => return leaf.insert(slot, &tail, parts),
            }
            true
        })
    }
}
