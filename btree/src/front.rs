//! The front of the page table: where the newest image of a page probably is, found without a lock.
//!
//! A direct-mapped array of places, by the low bits of the page number: pages lie side by side in their file, so that two of them
//! meet in one entry only where the file is twice as large as the cache. What it says may be out of date, for another page has taken the entry,
//! or the image's frame. So who looks asks the frame ([`Place::image`]), and goes to the page's shard where the answer is no.
//!
//! One thing must hold: once the version of an image is published, the entry of its page never leads to an older one of the same
//! page, since a reader could take that for what it wants. Entries change under the lock of the shard that all pages with the same
//! low bits belong to, and only to show what is the newest image then.

#![allow(unsafe_code, reason = "places lead to frames that the front keeps alive")]

use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::sync::atomic::{AtomicPtr, Ordering};

use crate::frame::{Frames, Image, Place};
use crate::page::prefetch::prefetch;

/// Lines of a frame that are asked for together: what stands in front of a page, header, hints and the slots of a leaf.
const PAGE_LINES: usize = 8;

/// See the module's description.
pub(crate) struct Front {
    places: Box<[AtomicPtr<()>]>,
    /// All places are of these.
    _frames: Arc<Frames>,
}

impl Front {
    /// Room for `budget` pages of `frames` to lie apart, and for all shards.
    pub(crate) fn new(budget: usize, shards: usize, frames: Arc<Frames>) -> Front {
        let entries = (2 * budget).next_power_of_two().max(shards);
        Front { places: nowhere(entries), _frames: frames }
    }

    #[inline]
    fn entry(&self, id: u64) -> &AtomicPtr<()> {
        &self.places[id as usize & (self.places.len() - 1)]
    }

    /// The newest image of page `id`, where the front shows it and `version` may see it.
    #[inline]
    pub(crate) fn image(&self, id: u64, version: Timestamp) -> Option<Image> {
        let place = Place::from_ptr(self.entry(id).load(Ordering::Acquire))?;
        // SAFETY: the place is of the frames that this holds.
        unsafe { place.image(id, version) }
    }

    /// Asks for the memory of the entry of page `id`.
    #[inline]
    pub(crate) fn ask_for_entry(&self, id: u64) {
        prefetch(std::ptr::from_ref(self.entry(id)).cast(), 1);
    }

    /// Asks for the memory of the header of the page that the entry of page `id` leads to, and of what stands in front of it.
    #[inline]
    pub(crate) fn ask_for_header(&self, id: u64) {
        prefetch(self.entry(id).load(Ordering::Relaxed).cast(), 2);
    }

    /// Asks for the memory of the page that the entry of page `id` leads to: its beginning, since few are copied.
    #[inline]
    pub(crate) fn ask_for_page(&self, id: u64) {
        prefetch(self.entry(id).load(Ordering::Relaxed).cast(), PAGE_LINES);
    }

    /// Shows the newest image of page `id`. The caller holds the lock of its shard.
    pub(crate) fn show(&self, id: u64, image: &Image) {
        self.entry(id).store(image.place().to_ptr(), Ordering::Release);
    }

    /// Shows `image` of page `id` no longer. The caller holds the lock of its shard.
    pub(crate) fn hide(&self, id: u64, image: &Image) {
        let entry = self.entry(id);
        if entry.load(Ordering::Relaxed) == image.place().to_ptr() {
            entry.store(std::ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

/// So many entries that lead nowhere: memory that is not touched before it is used.
#[cfg(not(loom))]
fn nowhere(entries: usize) -> Box<[AtomicPtr<()>]> {
    // SAFETY: a null pointer is zeros.
    unsafe { Box::new_zeroed_slice(entries).assume_init() }
}

#[cfg(loom)]
fn nowhere(entries: usize) -> Box<[AtomicPtr<()>]> {
    (0..entries).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect()
}
