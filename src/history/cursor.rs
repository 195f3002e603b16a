//! One face for everything that holds superseded versions in the order of [`super::key`]: runs and the memtable.

use std::ops::Bound;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{Cursor, PageSnapshot};

use super::displaced::{Displaced, is_tombstone, split};
use super::memtable::Memtable;
use crate::manifest::{Place, Run};
use crate::tier::versions::SegmentVersions;

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
    /// Whether the key was deleted.
    fn is_tombstone(&self) -> bool;
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

    fn is_tombstone(&self) -> bool {
        Cursor::is_tombstone(self)
    }
}

/// A cursor over a run, wherever it lies.
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
pub(crate) enum RunCursor {
    Tree(Cursor),
    Segments(SegmentVersions),
}

impl RunCursor {
    pub(crate) fn new(run: &Run, pages: &PageSnapshot) -> RunCursor {
        match &run.place {
            Place::Tree(root) => RunCursor::Tree(pages.cursor(*root)),
            Place::Segments(segments) => {
                RunCursor::Segments(SegmentVersions::new(Arc::clone(segments), pages.clone()))
            }
        }
    }
}

/// One call, whatever the run is.
macro_rules! either {
    ($self:expr, $it:ident => $call:expr) => {
        match $self {
            RunCursor::Tree($it) => $call,
            RunCursor::Segments($it) => $call,
        }
    };
}

impl Versions for RunCursor {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        either!(self, it => Versions::seek(it, encoded))
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        either!(self, it => Versions::seek_for_prev(it, encoded))
    }

    fn next(&mut self) -> Result<bool> {
        either!(self, it => Versions::next(it))
    }

    fn prev(&mut self) -> Result<bool> {
        either!(self, it => Versions::prev(it))
    }

    fn key(&self) -> &[u8] {
        either!(self, it => Versions::key(it))
    }

    fn end(&self) -> Timestamp {
        either!(self, it => Versions::end(it))
    }

    fn value(&self) -> Result<&[u8]> {
        either!(self, it => Versions::value(it))
    }

    fn is_tombstone(&self) -> bool {
        either!(self, it => Versions::is_tombstone(it))
    }
}

/// The versions of another that had ended by some moment.
pub(crate) struct Until<V> {
    inner: V,
    last: Timestamp,
}

impl<V: Versions> Until<V> {
    pub(crate) fn new(inner: V, last: Timestamp) -> Self {
        Until { inner, last }
    }

    fn skip_forward(&mut self, mut found: bool) -> Result<bool> {
        while found && self.inner.end() > self.last {
            found = self.inner.next()?;
        }
        Ok(found)
    }

    fn skip_backward(&mut self, mut found: bool) -> Result<bool> {
        while found && self.inner.end() > self.last {
            found = self.inner.prev()?;
        }
        Ok(found)
    }
}

impl<V: Versions> Versions for Until<V> {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        let found = self.inner.seek(encoded)?;
        self.skip_forward(found)
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        let found = self.inner.seek_for_prev(encoded)?;
        self.skip_backward(found)
    }

    fn next(&mut self) -> Result<bool> {
        let found = self.inner.next()?;
        self.skip_forward(found)
    }

    fn prev(&mut self) -> Result<bool> {
        let found = self.inner.prev()?;
        self.skip_backward(found)
    }

    fn key(&self) -> &[u8] {
        self.inner.key()
    }

    fn end(&self) -> Timestamp {
        self.inner.end()
    }

    fn value(&self) -> Result<&[u8]> {
        self.inner.value()
    }

    fn is_tombstone(&self) -> bool {
        self.inner.is_tombstone()
    }
}

/// A cursor over the memtable. It copies the entries that it comes by, a few at a time, so that it holds no lock while its
/// owner works.
pub(crate) struct MemtableCursor {
    table: Arc<Memtable>,
    /// Entries in the direction of travel.
    copied: Displaced,
    /// The one of them that it stands on.
    at: usize,
    backward: bool,
    /// How many to copy next.
    batch: usize,
}

/// Entries copied at a time: so many, and twice as many each time that it goes on the same way, up to the most.
const BATCH: usize = 32;
const LARGEST_BATCH: usize = 512;

impl MemtableCursor {
    pub(crate) fn new(table: Arc<Memtable>) -> Self {
        MemtableCursor { table, copied: Displaced::default(), at: 0, backward: false, batch: BATCH }
    }

    fn fill(&mut self, from: Bound<&[u8]>, backward: bool, limit: usize) -> bool {
        let (start, end) = if backward { (Bound::Unbounded, from) } else { (from, Bound::Unbounded) };
        (self.backward, self.at) = (backward, 0);
        self.table.copy(start, end, backward, limit, &mut self.copied);
        !self.copied.is_empty()
    }

    fn step(&mut self, backward: bool) -> bool {
        if self.at >= self.copied.len() {
            return false;
        }
        if self.backward == backward && self.at + 1 < self.copied.len() {
            self.at += 1;
            return true;
        }
        if self.backward != backward {
            self.batch = BATCH;
        }
        let (current, batch) = (self.copied.get(self.at).0.to_vec(), self.batch);
        self.batch = (2 * batch).min(LARGEST_BATCH);
        self.fill(Bound::Excluded(&current), backward, batch)
    }
}

impl Versions for MemtableCursor {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        self.batch = BATCH;
        Ok(self.fill(Bound::Included(encoded), false, 2))
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        self.batch = BATCH;
        Ok(self.fill(Bound::Included(encoded), true, 2))
    }

    fn next(&mut self) -> Result<bool> {
        Ok(self.step(false))
    }

    fn prev(&mut self) -> Result<bool> {
        Ok(self.step(true))
    }

    fn key(&self) -> &[u8] {
        self.copied.get(self.at).0
    }

    fn end(&self) -> Timestamp {
        split(self.copied.get(self.at).1).0
    }

    fn value(&self) -> Result<&[u8]> {
        Ok(split(self.copied.get(self.at).1).1)
    }

    fn is_tombstone(&self) -> bool {
        is_tombstone(self.copied.get(self.at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_memtable_cursor_goes_both_ways_and_turns_around() {
        let table = Arc::new(Memtable::default());
        for n in 0..2000u64 {
            let mut displaced = Displaced::default();
            displaced.add(
                &n.to_be_bytes(),
                Timestamp::from_micros(1),
                Timestamp::from_micros(n + 2),
                &[n as u8],
            );
            table.add(&displaced);
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
        assert_eq!(cursor.value().unwrap(), [1999u64 as u8]);
        assert!(!cursor.next().unwrap());
        assert!(cursor.seek(&[]).unwrap());
        for n in 1..2000u64 {
            assert!(cursor.next().unwrap());
            assert_eq!(cursor.value().unwrap(), [n as u8]);
        }
        assert!(!cursor.next().unwrap());
    }
}
