//! The newest history: what commits displaced since the last checkpoint, in memory, shared by the writer and by readers
//! of the past.
//!
//! ```text
//! sorted map   history key -> end, 8 bytes | value        see displaced.rs and crate::changes: an arena, and chunks of short entries
//! ```
//!
//! Most of what commits displace nobody asks for before the checkpoint does: it is added as it comes, and sorted in by whoever looks. Commits
//! sort it in small pieces, so that this is a merge.
//!
//! An entry never changes once it is in, so a reader may stop and go on at any time: what is added meanwhile ended after the
//! present that the reader started from, and concerns it only where the tree already answers the same.

use std::ops::Bound;

use dosql_base::Timestamp;
use dosql_base::sync::RwLock;
use dosql_base::sync::atomic::{AtomicUsize, Ordering};

use super::displaced::{Displaced, is_tombstone, split};
use super::key;
use crate::changes::Changes;

/// Superseded versions by history key. See [`super::key`].
#[derive(Default)]
pub(crate) struct Memtable {
    entries: RwLock<Changes>,
    /// How many of them are not sorted in. It rises before they can be looked for, and falls when they can be found.
    unsorted: AtomicUsize,
    bytes: AtomicUsize,
}

/// What an entry costs beyond its key and value.
const ENTRY_OVERHEAD: usize = 64;
/// So many entries that came one after the other are sorted among themselves: less than a millisecond's work.
const PIECE: usize = 1 << 12;

impl Memtable {
    /// Adds what one commit displaced.
    pub(crate) fn add(&self, displaced: &Displaced) {
        if displaced.is_empty() {
            return;
        }
        let mut bytes = 0;
        let mut entries = self.entries.write();
        for (key, stored) in displaced.iter() {
            bytes += key.len() + stored.len() + ENTRY_OVERHEAD;
            entries.append(key, Some(stored));
        }
        entries.sort_piece(PIECE);
        self.unsorted.store(entries.unsorted(), Ordering::Release);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Sees to it that everything added so far can be found.
    fn sort_in(&self) {
        if self.unsorted.load(Ordering::Acquire) > 0 {
            let mut entries = self.entries.write();
            entries.sort();
            self.unsorted.store(0, Ordering::Release);
        }
    }

    /// Lends the value of the version of a key that was current at `at`; `None` where the key was deleted then. `from` is the history key
    /// of a version that began at `at`.
    pub(crate) fn get<R>(
        &self,
        from: &key::Buffer,
        at: Timestamp,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Option<R> {
        self.sort_in();
        let entries = self.entries.read();
        let (found, stored) = entries.range(Bound::Included(from.as_slice()), Bound::Unbounded).next()?;
        if !found.starts_with(key::of_all(from)) {
            return None;
        }
        let stored = stored.unwrap_or_default();
        let (end, value) = split(stored);
        (end > at).then(|| read((!is_tombstone(stored)).then_some(value)))
    }

    /// Copies up to `limit` entries within the bounds, from the lowest up or from the highest down.
    pub(crate) fn copy(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        backward: bool,
        limit: usize,
        copied: &mut Displaced,
    ) {
        copied.clear();
        self.sort_in();
        let entries = self.entries.read();
        let mut range = entries.range(start, end);
        for _ in 0..limit {
            let entry = if backward { range.next_back() } else { range.next() };
            let Some((key, stored)) = entry else { break };
            copied.push_stored(key, stored.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn held(table: &Memtable, key: &[u8], at: Timestamp) -> Option<Vec<u8>> {
        let mut from = key::Buffer::new();
        key::append(&mut from, key, at);
        table.get(&from, at, |value| value.unwrap_or(b"-").to_vec())
    }

    #[test]
    fn versions_are_found_in_order_however_they_came_and_whenever_somebody_looked() {
        let table = Memtable::default();
        let mut random = fastrand::Rng::with_seed(3);
        let mut keys: Vec<[u8; 4]> = (0..40_000u32).map(u32::to_be_bytes).collect();
        random.shuffle(&mut keys);
        for (n, part) in keys.chunks(1_500).enumerate() {
            let mut displaced = Displaced::default();
            part.iter().for_each(|key| displaced.add(key, at(1), at(3), key));
            table.add(&displaced);
            if n % 7 == 0 {
                assert_eq!(held(&table, &part[0], at(2)), Some(part[0].to_vec()));
            }
        }
        let mut copied = Displaced::default();
        table.copy(Bound::Unbounded, Bound::Unbounded, false, usize::MAX, &mut copied);
        keys.sort_unstable();
        let found: Vec<&[u8]> = copied.iter().map(|(_, stored)| split(stored).1).collect();
        assert_eq!(found, keys.iter().map(<[u8; 4]>::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn the_version_that_was_current_is_found() {
        let table = Memtable::default();
        let mut displaced = Displaced::default();
        for (key, start, end, value) in
            [(&b"k"[..], 1, 3, "one"), (b"k", 5, 8, "two"), (b"k\0", 2, 9, "other")]
        {
            displaced.add(key, at(start), at(end), value.as_bytes());
        }
        table.add(&displaced);
        let value = |key: &[u8], time| held(&table, key, at(time));
        assert_eq!(value(b"k", 0), None);
        assert_eq!(value(b"k", 1), Some(b"one".to_vec()));
        assert_eq!(value(b"k", 2), Some(b"one".to_vec()));
        assert_eq!(value(b"k", 3), None);
        assert_eq!(value(b"k", 7), Some(b"two".to_vec()));
        assert_eq!(value(b"k", 8), None);
        assert_eq!(value(b"k\0", 8), Some(b"other".to_vec()));
    }
}
