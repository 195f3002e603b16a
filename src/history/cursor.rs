//! One face for everything that holds superseded versions in the order of [`super::key`]: runs and the memtable.

use std::ops::Bound;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::Cursor;

use super::memtable::{Memtable, Version};

/// A position among superseded versions. Moves answer whether there is a version to stand on.
pub(crate) trait Versions {
    /// To the first version at or after this history key.
    fn seek(&mut self, encoded: &[u8]) -> Result<bool>;
    /// To the last version at or before this history key.
    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool>;
    fn next(&mut self) -> Result<bool>;
    fn prev(&mut self) -> Result<bool>;
    /// The history key. Only where it stands on a version, as for the rest.
    fn key(&self) -> &[u8];
    fn end(&self) -> Timestamp;
    fn value(&self) -> Result<&[u8]>;
}

impl Versions for Cursor {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        Cursor::seek(self, encoded)
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        Cursor::seek_for_prev(self, encoded)
    }

    fn next(&mut self) -> Result<bool> {
        Cursor::next(self)
    }

    fn prev(&mut self) -> Result<bool> {
        Cursor::prev(self)
    }

    fn key(&self) -> &[u8] {
        Cursor::key(self)
    }

    fn end(&self) -> Timestamp {
        Cursor::version(self)
    }

    fn value(&self) -> Result<&[u8]> {
        Cursor::value(self)
    }
}

/// A cursor over the memtable. It copies the entries that it comes by, a few at a time, so that it holds no lock while its
/// owner works.
pub(crate) struct MemtableCursor {
    table: Arc<Memtable>,
    /// Entries from the current one on in the direction of travel, reversed: the current one is last.
    ahead: Vec<(Box<[u8]>, Version)>,
    backward: bool,
}

/// Entries copied at a time.
const BATCH: usize = 32;

impl MemtableCursor {
    pub(crate) fn new(table: Arc<Memtable>) -> Self {
        MemtableCursor { table, ahead: Vec::new(), backward: false }
    }

    fn fill(&mut self, from: Bound<&[u8]>, backward: bool, limit: usize) -> bool {
        let (start, end) = if backward { (Bound::Unbounded, from) } else { (from, Bound::Unbounded) };
        self.backward = backward;
        self.ahead = self.table.copy(start, end, backward, limit);
        self.ahead.reverse();
        !self.ahead.is_empty()
    }

    fn step(&mut self, backward: bool) -> bool {
        let Some((current, _)) = self.ahead.pop() else {
            return false;
        };
        if self.backward == backward && !self.ahead.is_empty() {
            return true;
        }
        self.fill(Bound::Excluded(&current), backward, BATCH)
    }
}

impl Versions for MemtableCursor {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        Ok(self.fill(Bound::Included(encoded), false, 2))
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        Ok(self.fill(Bound::Included(encoded), true, 2))
    }

    fn next(&mut self) -> Result<bool> {
        Ok(self.step(false))
    }

    fn prev(&mut self) -> Result<bool> {
        Ok(self.step(true))
    }

    fn key(&self) -> &[u8] {
        self.ahead.last().map_or(&[], |(key, _)| key)
    }

    fn end(&self) -> Timestamp {
        self.ahead.last().map_or(Timestamp::ZERO, |(_, version)| version.end)
    }

    fn value(&self) -> Result<&[u8]> {
        Ok(self.ahead.last().map_or(&[], |(_, version)| &version.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::key;

    #[test]
    fn a_memtable_cursor_goes_both_ways_and_turns_around() {
        let table = Arc::new(Memtable::default());
        for n in 0..100u64 {
            let mut encoded = Vec::new();
            key::encode(&mut encoded, &n.to_be_bytes(), Timestamp::from_micros(1));
            let version = Version { end: Timestamp::from_micros(n + 2), value: Arc::from([n as u8]) };
            table.add([(encoded.into_boxed_slice(), version)]);
        }
        let mut cursor = MemtableCursor::new(table);
        assert!(cursor.seek(&[]).unwrap());
        for n in 0..60u8 {
            assert_eq!(cursor.value().unwrap(), [n]);
            assert!(cursor.next().unwrap());
        }
        for n in (1..=60u8).rev() {
            assert_eq!(cursor.value().unwrap(), [n]);
            assert!(cursor.prev().unwrap());
        }
        assert_eq!(cursor.value().unwrap(), [0]);
        assert!(!cursor.prev().unwrap());
        assert!(cursor.seek_for_prev(&[0xFF]).unwrap());
        assert_eq!(cursor.value().unwrap(), [99]);
        assert!(!cursor.next().unwrap());
    }
}
