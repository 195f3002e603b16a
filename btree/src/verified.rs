//! What is known of pages that are not in memory: the checksums of those that were dropped from it.
//!
//! Reading a page takes two checks: its checksum, and its structure, which costs several times as much. A page that was in memory
//! had its structure checked when it was read, or was made here. So its checksum is remembered when it is dropped, and where it
//! is read again with the same checksum, right for its bytes, it is byte for byte what was checked before, as far as a checksum can
//! tell: that it is the page asked for, and undamaged, rests on no more.
//!
//! An array of checksums by the low bits of the page number, so that memory is bounded by that of the cache and not by the
//! file. Another page may have taken the entry, or the page may have been written anew: then the checksums differ, and the structure is checked.

use dosql_base::sync::atomic::{AtomicU32, Ordering};

/// So many pages are remembered for each that has room in memory.
const FOR_EACH: usize = if cfg!(loom) { 1 } else { 16 };

/// See the module's description.
pub(crate) struct Verified(Box<[AtomicU32]>);

impl Verified {
    /// Nothing is known, of pages of a cache with room for `budget`. Memory that is not touched before pages are dropped.
    pub(crate) fn new(budget: usize) -> Verified {
        let entries = (FOR_EACH * budget).next_power_of_two();
        Verified(nothing(entries))
    }

    /// There is none where there was no memory for any.
    fn entry(&self, id: u64) -> Option<&AtomicU32> {
        self.0.get(id as usize & self.0.len().wrapping_sub(1))
    }

    /// Page `id` is well formed where its checksum is `sum`.
    pub(crate) fn remember(&self, id: u64, sum: u32) {
        if let Some(entry) = self.entry(id) {
            entry.store(sum, Ordering::Relaxed);
        }
    }

    /// The checksum with which page `id`, or another, is well formed. None where it is 0, which may also mean that nothing is known.
    pub(crate) fn sum(&self, id: u64) -> Option<u32> {
        Some(self.entry(id)?.load(Ordering::Relaxed)).filter(|&sum| sum != 0)
    }
}

/// So many zeros.
#[cfg(not(loom))]
fn nothing(entries: usize) -> Box<[AtomicU32]> {
    use zerocopy::FromZeros;
    <[AtomicU32]>::new_box_zeroed_with_elems(entries).unwrap_or_default()
}

#[cfg(loom)]
fn nothing(entries: usize) -> Box<[AtomicU32]> {
    (0..entries).map(|_| AtomicU32::new(0)).collect()
}
