//! The newest history: what commits displaced since the last checkpoint, in memory, shared by the writer and by readers
//! of the past.
//!
//! An entry never changes once it is in, so a reader may stop and go on at any time: what is added meanwhile ended after the
//! present that the reader started from, and concerns it only where the tree already answers the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::sync::RwLock;
use dosql_base::sync::atomic::{AtomicUsize, Ordering};

use super::key;

/// A superseded version: it was current from its start, which is part of its key, until `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The Timestamp of the commit that displaced it.
    pub(crate) end: Timestamp,
    /// What the key held.
    pub(crate) value: Arc<[u8]>,
}

/// Superseded versions by history key. See [`super::key`].
#[derive(Default)]
pub(crate) struct Memtable {
    entries: RwLock<BTreeMap<Box<[u8]>, Version>>,
    bytes: AtomicUsize,
}

/// What an entry costs beyond its key and value.
const ENTRY_OVERHEAD: usize = 64;

impl Memtable {
    /// Adds what one commit displaced.
    pub(crate) fn add(&self, displaced: impl IntoIterator<Item = (Box<[u8]>, Version)>) {
        let mut bytes = 0;
        let mut entries = self.entries.write();
        for (key, version) in displaced {
            bytes += key.len() + version.value.len() + ENTRY_OVERHEAD;
            entries.insert(key, version);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.read().len()
    }

    /// The version of `key` that was current at `at`.
    pub(crate) fn get(&self, key: &[u8], at: Timestamp) -> Option<Version> {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        key::encode(&mut from, key, at);
        key::encode_after(&mut to, key);
        let entries = self.entries.read();
        let mut range = entries.range::<[u8], _>((Bound::Included(&from[..]), Bound::Excluded(&to[..])));
        let (_, newest) = range.next()?;
        (newest.end > at).then(|| newest.clone())
    }

    /// Up to `limit` entries within the bounds, from the lowest up or from the highest down.
    pub(crate) fn copy(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        backward: bool,
        limit: usize,
    ) -> Vec<(Box<[u8]>, Version)> {
        let entries = self.entries.read();
        if let (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) =
            (start, end)
            && low >= high
        {
            return Vec::new();
        }
        let mut range = entries.range::<[u8], _>((start, end));
        let mut copied = Vec::with_capacity(limit.min(64));
        while copied.len() < limit {
            let entry = if backward { range.next_back() } else { range.next() };
            let Some((key, version)) = entry else { break };
            copied.push((key.clone(), version.clone()));
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn entry(key: &[u8], start: u64, end: u64, value: &str) -> (Box<[u8]>, Version) {
        let mut encoded = Vec::new();
        key::encode(&mut encoded, key, at(start));
        (encoded.into(), Version { end: at(end), value: Arc::from(value.as_bytes()) })
    }

    #[test]
    fn the_version_that_was_current_is_found() {
        let table = Memtable::default();
        table.add([entry(b"k", 1, 3, "one"), entry(b"k", 5, 8, "two"), entry(b"k\0", 2, 9, "other")]);
        let value = |key: &[u8], time| table.get(key, at(time)).map(|version| version.value.to_vec());
        assert_eq!(value(b"k", 0), None);
        assert_eq!(value(b"k", 1), Some(b"one".to_vec()));
        assert_eq!(value(b"k", 2), Some(b"one".to_vec()));
        assert_eq!(value(b"k", 3), None);
        assert_eq!(value(b"k", 7), Some(b"two".to_vec()));
        assert_eq!(value(b"k", 8), None);
        assert_eq!(value(b"k\0", 8), Some(b"other".to_vec()));
    }
}
