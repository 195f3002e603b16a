//! Temporary tables: a transaction's storage with a map of the connection's own beside it. Keys of temporary spaces
//! ([`crate::catalog::temp`]) go there, all others to the transaction.
//!
//! The owner of the connection keeps the [`TemporaryStore`], puts a clone of it (they share the rows) beside each transaction that
//! it begins, and calls [`TemporaryStore::commit`] or [`TemporaryStore::rollback`] when one that writes ends. Savepoints are
//! those of the one transaction that writes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dosql_base::codec::prefix_successor;
use dosql_base::{Error, Result, Timestamp};

use crate::catalog::schema::{SpaceId, Table};
use crate::catalog::temp::{is_temporary_catalog_key, is_temporary_key};
use crate::storage::{CatalogStamp, Direction, KeyRange, Point, StateTable, Storage, Versions, Visitor};
use crate::value::Value;

/// The temporary rows of one connection. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct TemporaryStore(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What each write of the transaction replaced.
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The savepoints that are set, and the length of `undo` then.
    marks: Vec<(u64, usize)>,
    /// Rises with every change of the temporary catalog.
    catalog_changes: u64,
}

impl TemporaryStore {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what the transaction has written.
    pub fn commit(&self) {
        let mut rows = self.lock();
        rows.undo.clear();
        rows.marks.clear();
    }

    /// Undoes what the transaction has written.
    pub fn rollback(&self) {
        let mut rows = self.lock();
        rows.undo_to(0);
        rows.marks.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        // Nothing is ever left half changed, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn undo_to(&mut self, len: usize) {
        for (key, old) in self.undo.split_off(len).into_iter().rev() {
            self.catalog_changes += u64::from(is_temporary_catalog_key(&key));
            match old {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    fn mark_index(&self, mark: u64) -> Result<usize> {
        let found = self.marks.iter().rposition(|(known, _)| *known == mark);
        found.ok_or_else(|| Error::invalid(format!("there is no savepoint {mark}")))
    }

    fn replace(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.catalog_changes += u64::from(is_temporary_catalog_key(key));
        let old = match value {
            Some(value) => self.rows.insert(key.to_vec(), value.to_vec()),
            None => self.rows.remove(key),
        };
        self.undo.push((key.to_vec(), old));
    }

    fn visit(&self, cursor: &mut TemporaryCursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool> {
        if cursor.is_empty() {
            return Ok(true);
        }
        let bounds = (as_slice(&cursor.start), as_slice(&cursor.end));
        let mut rows = self.rows.range::<[u8], _>(bounds);
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..limit {
            let next = match cursor.direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            let Some((key, value)) = next else { return Ok(true) };
            let flow = entry(key, value)?;
            last = Some(key.clone());
            if flow.is_break() {
                break;
            }
        }
        if let Some(last) = last {
            match cursor.direction {
                Direction::Forward => cursor.start = Bound::Excluded(last),
                Direction::Backward => cursor.end = Bound::Excluded(last),
            }
        }
        Ok(false)
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// The position of a scan of temporary rows: what is still to come.
#[derive(Clone, Debug)]
pub struct TemporaryCursor {
    direction: Direction,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

impl TemporaryCursor {
    fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Excluded(start) | Bound::Included(start),
                Bound::Excluded(end) | Bound::Included(end),
            ) => start >= end,
            _ => false,
        }
    }
}

/// A transaction with the connection's temporary rows beside it.
#[derive(Debug)]
pub struct WithTemporary<S> {
    /// The transaction.
    pub main: S,
    /// The temporary rows.
    pub temporary: TemporaryStore,
}

impl<S> WithTemporary<S> {
    /// Puts them side by side.
    #[must_use]
    pub fn new(main: S, temporary: TemporaryStore) -> Self {
        WithTemporary { main, temporary }
    }
}

/// A position in either.
#[derive(Clone, Debug)]
pub enum EitherCursor<C> {
    /// In the transaction.
    Main(C),
    /// In the temporary rows.
    Temporary(TemporaryCursor),
}

impl<S: Storage> Storage for WithTemporary<S> {
    type Cursor = EitherCursor<S::Cursor>;

    fn open_cursor(&self, point: Point, range: KeyRange, direction: Direction) -> Result<Self::Cursor> {
        if is_temporary_key(&range.start) {
            let (start, end) = (Bound::Included(range.start), Bound::Excluded(range.end));
            return Ok(EitherCursor::Temporary(TemporaryCursor { direction, start, end }));
        }
        self.main.open_cursor(point, range, direction).map(EitherCursor::Main)
    }

    fn visit(&self, cursor: &mut Self::Cursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool> {
        match cursor {
            EitherCursor::Main(cursor) => self.main.visit(cursor, limit, entry),
            EitherCursor::Temporary(cursor) => self.temporary.lock().visit(cursor, limit, entry),
        }
    }

    fn seek(&self, cursor: &mut Self::Cursor, key: &[u8]) -> Result<()> {
        let cursor = match cursor {
            EitherCursor::Main(cursor) => return self.main.seek(cursor, key),
            EitherCursor::Temporary(cursor) => cursor,
        };
        let further = match (cursor.direction, as_slice(&cursor.start), as_slice(&cursor.end)) {
            (Direction::Forward, Bound::Included(start) | Bound::Excluded(start), _) => key > start,
            (Direction::Backward, _, Bound::Included(end) | Bound::Excluded(end)) => key < end,
            _ => true,
        };
        if further {
            match cursor.direction {
                Direction::Forward => cursor.start = Bound::Included(key.to_vec()),
                Direction::Backward => cursor.end = Bound::Included(key.to_vec()),
            }
        }
        Ok(())
    }

    fn get<R>(&self, point: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if is_temporary_key(key) {
            return Ok(self.temporary.lock().rows.get(key).map(|bytes| value(bytes)));
        }
        self.main.get(point, key, value)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if is_temporary_key(key) {
            self.temporary.lock().replace(key, Some(value));
            return Ok(());
        }
        self.main.put(key, value)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if is_temporary_key(key) {
            let mut rows = self.temporary.lock();
            let is_new = !rows.rows.contains_key(key);
            if is_new {
                rows.replace(key, Some(value));
            }
            return Ok(is_new);
        }
        self.main.insert(key, value)
    }

    fn last_key<R>(&self, space: &[u8], key: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if is_temporary_key(space) {
            let rows = self.temporary.lock();
            let end = prefix_successor(space).map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = rows.rows.range::<[u8], _>((Bound::Included(space), as_slice(&end)));
            return Ok(found.next_back().map(|(found, _)| key(found)));
        }
        self.main.last_key(space, key)
    }

    fn claim_rowid(&self, table: &Table, next: i64) -> Result<i64> {
        if table.temporary { Ok(next) } else { self.main.claim_rowid(table, next) }
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        if is_temporary_key(key) {
            self.temporary.lock().replace(key, None);
            return Ok(());
        }
        self.main.delete(key)
    }

    fn savepoint(&mut self) -> Result<u64> {
        let mark = self.main.savepoint()?;
        let mut rows = self.temporary.lock();
        let len = rows.undo.len();
        rows.marks.push((mark, len));
        Ok(mark)
    }

    fn rollback_to(&mut self, mark: u64) -> Result<()> {
        let mut rows = self.temporary.lock();
        let index = rows.mark_index(mark)?;
        self.main.rollback_to(mark)?;
        let len = rows.marks[index].1;
        rows.marks.truncate(index + 1);
        rows.undo_to(len);
        Ok(())
    }

    fn release(&mut self, mark: u64) -> Result<()> {
        let mut rows = self.temporary.lock();
        let index = rows.mark_index(mark)?;
        self.main.release(mark)?;
        rows.marks.truncate(index);
        Ok(())
    }

    fn estimate(&self, range: &KeyRange) -> Result<u64> {
        if is_temporary_key(&range.start) {
            let bounds = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
            return Ok(if range.start < range.end {
                self.temporary.lock().rows.range::<[u8], _>(bounds).count() as u64
            } else {
                0
            });
        }
        self.main.estimate(range)
    }

    fn catalog_stamp(&self) -> Option<CatalogStamp> {
        let stamp = self.main.catalog_stamp()?;
        Some(CatalogStamp { temporary: self.temporary.lock().catalog_changes, ..stamp })
    }

    fn resolve_point(&self, wanted: Timestamp) -> Result<Point> {
        self.main.resolve_point(wanted)
    }

    fn resolve_point_now(&self, wanted: Timestamp, now: Timestamp) -> Result<Point> {
        self.main.resolve_point_now(wanted, now)
    }

    fn resolve_branch(&self, name: &str) -> Result<Point> {
        self.main.resolve_branch(name)
    }

    fn horizon(&self) -> Timestamp {
        self.main.horizon()
    }

    fn horizon_of(&self, space: SpaceId) -> Timestamp {
        self.main.horizon_of(space)
    }

    fn check_reach(&self, point: Point, space: SpaceId, name: &str) -> Result<()> {
        self.main.check_reach(point, space, name)
    }

    fn tag(&self, name: &str) -> Result<Option<Timestamp>> {
        self.main.tag(name)
    }

    fn lifetime(&self, point: Point, key: &[u8]) -> Result<Option<(Timestamp, Timestamp)>> {
        if is_temporary_key(key) { Ok(None) } else { self.main.lifetime(point, key) }
    }

    fn versions(&self, range: &KeyRange, from: Timestamp, to: Timestamp) -> Result<Box<dyn Versions>> {
        self.main.versions(range, from, to)
    }

    fn changed_versions(
        &self,
        range: &KeyRange,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Box<dyn Versions>> {
        self.main.changed_versions(range, from, to)
    }

    fn state_rows(&self, table: StateTable) -> Result<Vec<Vec<Value>>> {
        self.main.state_rows(table)
    }
}
