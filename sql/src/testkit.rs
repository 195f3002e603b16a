//! A [`Storage`] in memory for tests, examples and benchmarks of this crate: a `BTreeMap` of the present, the versions that
//! commits have made, savepoints by an undo log, and a mode in which every entry blocks at its first access.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};

use crate::storage::{Direction, KeyRange, Point, Storage, Visitor};

type Bytes = Arc<[u8]>;

/// One map with versions; every writer sees and changes the same present, and [`MemoryStorage::commit`] makes a version of it.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    live: BTreeMap<Vec<u8>, Bytes>,
    /// For each key the values that commits gave it, oldest first; `None`: removed.
    versions: BTreeMap<Vec<u8>, Vec<(Timestamp, Option<Bytes>)>>,
    /// Keys changed since the last commit.
    changed: BTreeSet<Vec<u8>>,
    /// What each write since the first savepoint replaced.
    undo: Vec<(Vec<u8>, Option<Bytes>)>,
    /// The savepoints that are set: their mark and the length of `undo` then.
    marks: Vec<(u64, usize)>,
    next_mark: u64,
    last_commit: Timestamp,
    read_only: bool,
    /// Where every entry blocks once: those that have.
    fetched: Option<RefCell<BTreeSet<Vec<u8>>>>,
}

/// The position of a scan of a [`MemoryStorage`].
#[derive(Clone, Debug)]
pub struct MemoryCursor {
    point: Point,
    direction: Direction,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

impl MemoryStorage {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every entry answers [`ErrorKind::WouldBlock`] at its first access, and is there at the next.
    pub fn block_once(&mut self) {
        self.fetched = Some(RefCell::default());
    }

    /// Refuses writes from now on, or no more.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// Makes the present the version of `at`, which must be after all before. Forgets savepoints.
    pub fn commit(&mut self, at: Timestamp) -> Result<()> {
        if at <= self.last_commit {
            return Err(Error::invalid(format!("a commit at {at} after one at {}", self.last_commit)));
        }
        self.last_commit = at;
        for key in std::mem::take(&mut self.changed) {
            let value = self.live.get(&key).cloned();
            self.versions.entry(key).or_default().push((at, value));
        }
        self.marks.clear();
        self.undo.clear();
        Ok(())
    }

    /// Takes back everything since the last commit.
    pub fn rollback(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            let last = self.versions.get(&key).and_then(|versions| versions.last());
            match last.and_then(|(_, value)| value.clone()) {
                Some(value) => self.live.insert(key, value),
                None => self.live.remove(&key),
            };
        }
        self.marks.clear();
        self.undo.clear();
    }

    /// Every entry of the present, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.live.iter().map(|(key, value)| (key.as_slice(), value.as_ref()))
    }

    fn at(versions: &[(Timestamp, Option<Bytes>)], at: Timestamp) -> Option<&[u8]> {
        let version = versions.iter().rev().find(|(start, _)| *start <= at)?;
        version.1.as_deref()
    }

    fn fetch(&self, key: &[u8]) -> Result<()> {
        match &self.fetched {
            Some(fetched) if fetched.borrow_mut().insert(key.to_vec()) => {
                Err(Error::would_block("an entry is not resident yet"))
            }
            _ => Ok(()),
        }
    }

    fn replace(&mut self, key: &[u8], value: Option<Bytes>) -> Result<()> {
        if self.read_only {
            return Err(Error::new(ErrorKind::ReadOnly, Code::ReadOnly, "the transaction only reads"));
        }
        let old = match value {
            Some(value) => self.live.insert(key.to_vec(), value),
            None => self.live.remove(key),
        };
        if !self.marks.is_empty() {
            self.undo.push((key.to_vec(), old));
        }
        if !self.changed.contains(key) {
            self.changed.insert(key.to_vec());
        }
        Ok(())
    }

    fn mark_index(&self, mark: u64) -> Result<usize> {
        let found = self.marks.iter().position(|(set, _)| *set == mark);
        found.ok_or_else(|| Error::invalid(format!("no savepoint {mark} is set")))
    }

    /// Lends entries off `iter` to `entry`; says where it stopped, `None` at the end.
    fn lend<'a>(
        &self,
        iter: impl Iterator<Item = (&'a Vec<u8>, &'a [u8])>,
        limit: usize,
        entry: &mut Visitor<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let mut lent = 0;
        let mut last = None;
        for (key, value) in iter {
            if lent == limit {
                return Ok(last);
            }
            self.fetch(key)?;
            lent += 1;
            let flow = entry(key, value)?;
            if lent == limit || flow.is_break() {
                last = Some(key.clone());
            }
            if flow.is_break() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

/// Where a cursor's entries lie.
type Bounds<'c> = (Bound<&'c [u8]>, Bound<&'c [u8]>);

impl MemoryCursor {
    fn bounds(&self) -> Option<Bounds<'_>> {
        let start = self.start.as_ref().map(Vec::as_slice);
        let end = self.end.as_ref().map(Vec::as_slice);
        let empty = match (start, end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Excluded(end) | Bound::Included(end),
            ) => start >= end,
            _ => false,
        };
        (!empty).then_some((start, end))
    }

    fn close(&mut self) {
        self.start = Bound::Excluded(Vec::new());
        self.end = Bound::Excluded(Vec::new());
    }

    fn move_past(&mut self, key: Vec<u8>) {
        match self.direction {
            Direction::Forward => self.start = Bound::Excluded(key),
            Direction::Backward => self.end = Bound::Excluded(key),
        }
    }
}

impl Storage for MemoryStorage {
    type Cursor = MemoryCursor;

    fn open_cursor(&self, point: Point, range: KeyRange, direction: Direction) -> Result<MemoryCursor> {
        Ok(MemoryCursor {
            point,
            direction,
            start: Bound::Included(range.start),
            end: Bound::Excluded(range.end),
        })
    }

    fn visit(&self, cursor: &mut MemoryCursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool> {
        let Some(bounds) = cursor.bounds() else { return Ok(true) };
        let stopped = match cursor.point {
            Point::Branch(_) => self.lend(std::iter::empty(), limit, entry)?,
            Point::Live => {
                let iter = self.live.range::<[u8], _>(bounds).map(|(key, value)| (key, value.as_ref()));
                match cursor.direction {
                    Direction::Forward => self.lend(iter, limit, entry)?,
                    Direction::Backward => self.lend(iter.rev(), limit, entry)?,
                }
            }
            Point::Past(at) => {
                let iter = self.versions.range::<[u8], _>(bounds);
                let iter = iter.filter_map(|(key, versions)| Some((key, Self::at(versions, at)?)));
                match cursor.direction {
                    Direction::Forward => self.lend(iter, limit, entry)?,
                    Direction::Backward => self.lend(iter.rev(), limit, entry)?,
                }
            }
        };
        let done = stopped.is_none();
        match stopped {
            Some(key) => cursor.move_past(key),
            None => cursor.close(),
        }
        Ok(done)
    }

    fn seek(&self, cursor: &mut MemoryCursor, key: &[u8]) -> Result<()> {
        let before = |bound: &Bound<Vec<u8>>, forward: bool| match bound {
            Bound::Included(at) | Bound::Excluded(at) => {
                if forward {
                    at.as_slice() < key
                } else {
                    at.as_slice() > key
                }
            }
            Bound::Unbounded => true,
        };
        match cursor.direction {
            Direction::Forward if before(&cursor.start, true) => cursor.start = Bound::Included(key.to_vec()),
            Direction::Backward if before(&cursor.end, false) => cursor.end = Bound::Included(key.to_vec()),
            _ => {}
        }
        Ok(())
    }

    fn get<R>(&self, point: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.fetch(key)?;
        let found = match point {
            Point::Branch(_) => None,
            Point::Live => self.live.get(key).map(AsRef::as_ref),
            Point::Past(at) => self.versions.get(key).and_then(|versions| Self::at(versions, at)),
        };
        Ok(found.map(value))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.replace(key, Some(value.into()))
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.replace(key, None)
    }

    fn savepoint(&mut self) -> Result<u64> {
        self.next_mark += 1;
        self.marks.push((self.next_mark, self.undo.len()));
        Ok(self.next_mark)
    }

    fn rollback_to(&mut self, mark: u64) -> Result<()> {
        let index = self.mark_index(mark)?;
        self.marks.truncate(index + 1);
        let len = self.marks[index].1;
        for (key, old) in self.undo.split_off(len).into_iter().rev() {
            match old {
                Some(value) => self.live.insert(key, value),
                None => self.live.remove(&key),
            };
        }
        Ok(())
    }

    fn release(&mut self, mark: u64) -> Result<()> {
        let index = self.mark_index(mark)?;
        self.marks.truncate(index);
        if self.marks.is_empty() {
            self.undo.clear();
        }
        Ok(())
    }

    fn estimate(&self, range: &KeyRange) -> Result<u64> {
        if range.start >= range.end {
            return Ok(0);
        }
        let bounds = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
        Ok(self.live.range::<[u8], _>(bounds).count() as u64)
    }

    fn resolve_point(&self, wanted: Timestamp) -> Result<Point> {
        if wanted > self.last_commit {
            let message = format!(
                "the version of {wanted} is in the future: the last commit was at {}",
                self.last_commit
            );
            return Err(Error::new(ErrorKind::InvalidInput, Code::AsOfFuture, message));
        }
        Ok(Point::Past(wanted))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn keys(storage: &MemoryStorage, point: Point, direction: Direction, limit: usize) -> Vec<String> {
        let range = KeyRange { start: b"a".to_vec(), end: b"z".to_vec() };
        let mut cursor = storage.open_cursor(point, range, direction).unwrap();
        let mut keys = Vec::new();
        loop {
            let mut some = Vec::new();
            let done = storage.visit(&mut cursor, limit, &mut |key, _| {
                some.push(String::from_utf8(key.to_vec()).unwrap());
                Ok(ControlFlow::Continue(()))
            });
            match done {
                Ok(done) => {
                    keys.append(&mut some);
                    if done {
                        return keys;
                    }
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    #[test]
    fn a_scan_gives_each_key_once_in_either_direction_now_and_then() {
        let mut storage = MemoryStorage::new();
        for key in ["a", "b", "c"] {
            storage.put(key.as_bytes(), b"1").unwrap();
        }
        storage.commit(Timestamp::from_micros(10)).unwrap();
        storage.delete(b"b").unwrap();
        storage.put(b"d", b"2").unwrap();
        storage.block_once();
        for limit in [1, 2, 100] {
            assert_eq!(keys(&storage, Point::Live, Direction::Forward, limit), ["a", "c", "d"]);
            assert_eq!(keys(&storage, Point::Live, Direction::Backward, limit), ["d", "c", "a"]);
            let past = Point::Past(Timestamp::from_micros(10));
            assert_eq!(keys(&storage, past, Direction::Forward, limit), ["a", "b", "c"]);
        }
    }

    #[test]
    fn a_savepoint_takes_back_what_came_after_it() {
        let mut storage = MemoryStorage::new();
        storage.put(b"a", b"1").unwrap();
        let outer = storage.savepoint().unwrap();
        storage.put(b"a", b"2").unwrap();
        let inner = storage.savepoint().unwrap();
        storage.delete(b"a").unwrap();
        storage.rollback_to(inner).unwrap();
        assert_eq!(storage.get(Point::Live, b"a", <[u8]>::to_vec).unwrap(), Some(b"2".to_vec()));
        storage.release(inner).unwrap();
        storage.rollback_to(outer).unwrap();
        assert_eq!(storage.get(Point::Live, b"a", <[u8]>::to_vec).unwrap(), Some(b"1".to_vec()));
    }
}
