//! What SQL asks of whoever keeps the bytes: one transaction's view of an ordered map, now and in the past.
//!
//! Keys are complete: the number of their table or index stands in front (an ordered `u32`), so the
//! catalog, the tables and the indexes are ranges of one map. A cursor is plain state that is handed back at every
//! call, so that a statement under way owns nothing of the storage, and a write between two steps can't be missed.

use std::ops::ControlFlow;

use dosql_base::codec::prefix_successor;
use dosql_base::{Result, Timestamp};

use crate::catalog::schema::{SpaceId, Table};

/// Which version of the map a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// The transaction's own view: its snapshot with its own writes on top.
    Live,
    /// Everything committed at or before this Timestamp, and nothing of the transaction's own.
    Past(Timestamp),
    /// What another branch holds, by a number of the storage's own; the same for the whole transaction.
    Branch(u32),
}

/// Where a scan of a plan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadPoint {
    /// Known when the statement is bound.
    Known(Point),
    /// One of the moments that the statement asks for, by its number: known when it runs.
    Asked(u32),
}

/// A half-open range of complete keys: `start <= key < end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that belongs to it.
    pub start: Vec<u8>,
    /// The first key past it.
    pub end: Vec<u8>,
}

/// Which way a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the smallest key up.
    Forward,
    /// From the greatest key down.
    Backward,
}

/// What entries are lent to: key and value; it breaks when it has seen enough.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'v;

/// A version of an entry: what `key` held from `start` until `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'v> {
    /// The complete key.
    pub key: &'v [u8],
    /// The commit that wrote it.
    pub start: Timestamp,
    /// The commit that displaced it; [`Timestamp::MAX`] while it is current.
    pub end: Timestamp,
    /// What it held.
    pub value: &'v [u8],
}

/// A walk through versions: keys ascending, within a key from the newest version to the oldest.
pub trait Versions: Send {
    /// The next version; `None` past the last. [`dosql_base::ErrorKind::WouldBlock`]: call again.
    fn next(&mut self) -> Result<Option<Version<'_>>>;
}

/// What the storage can tell about itself as rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateTable {
    /// The tags: name, lsn, time.
    Tags,
    /// Who holds the horizon: kind, name, lsn, time.
    Pins,
    /// The branches: name, parent, fork, created, head, protected, expires, current.
    Branches,
    /// The feed slots: name, confirmed lsn, its time, lag in bytes and in seconds, state.
    Feeds,
    /// What lies in the segment store: name, branch, contents, level, bytes, rows, tombstones, first and last lsn.
    Segments,
    /// What is where: place, objects, bytes, rows.
    Storage,
}

/// Stands for the catalog as a transaction sees it; see [`Storage::catalog_stamp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogStamp {
    /// Which commit changed it last.
    pub committed: u64,
    /// The transaction's own changes: 0 for none, else a number that stands for them alone.
    pub own: u64,
    /// As `own`, of the connection's temporary objects.
    pub temporary: u64,
}

/// One transaction as SQL sees it. A read may answer [`dosql_base::ErrorKind::WouldBlock`]: nothing has changed then, and the
/// same call may be made again.
pub trait Storage {
    /// The position of a scan. Holds no borrow of the storage.
    type Cursor: Send;

    /// Starts a scan of `range`; reads nothing yet.
    fn open_cursor(&self, point: Point, range: KeyRange, direction: Direction) -> Result<Self::Cursor>;

    /// Lends up to `limit` further entries to `entry` (key, value) in order, until it breaks; an entry that it broke at
    /// counts as lent. `Ok(true)` when the range holds nothing further.
    fn visit(&self, cursor: &mut Self::Cursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool>;

    /// Skips forward (in the cursor's direction) to the first entry at or past `key`, without leaving the range.
    fn seek(&self, cursor: &mut Self::Cursor, key: &[u8]) -> Result<()>;

    /// Lends the value of `key`; `None` where there is none.
    fn get<R>(&self, point: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>
    where
        Self: Sized;

    /// Sets `key`. [`dosql_base::ErrorKind::ReadOnly`] in a transaction that only reads.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Sets `key` unless it is there; whether it was set.
    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool>
    where
        Self: Sized,
    {
        if self.get(Point::Live, key, |_| ())?.is_some() {
            return Ok(false);
        }
        self.put(key, value)?;
        Ok(true)
    }

    /// Lends the greatest key of the map of `space`, the number that its keys begin with; `None` where it is empty.
    fn last_key<R>(&self, space: &[u8], key: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>
    where
        Self: Sized,
    {
        last_by_scan(self, space, key)
    }

    /// The rowid of a new row of a table, where `next` is one more than the greatest there is: that, or a greater one where others add rows
    /// that are to be told from these.
    fn claim_rowid(&self, table: &Table, next: i64) -> Result<i64> {
        let _ = table;
        Ok(next)
    }

    /// Removes `key`, if it is there.
    fn delete(&mut self, key: &[u8]) -> Result<()>;

    /// Marks the transaction's writes so far. Marks nest; a later one is inside the earlier.
    fn savepoint(&mut self) -> Result<u64>;

    /// Undoes every write since `mark`, which stays set.
    fn rollback_to(&mut self, mark: u64) -> Result<()>;

    /// Forgets `mark` and those inside it; the writes stay.
    fn release(&mut self, mark: u64) -> Result<()>;

    /// About how many entries lie in `range`, for the planner: cheap, and within a factor of two or so for large ranges.
    fn estimate(&self, range: &KeyRange) -> Result<u64>;

    /// What stands for the catalog as [`Point::Live`] shows it: where that was the same at another time, in whichever
    /// transaction of one connection, the catalog was the same. `None` where it has to be read to know.
    fn catalog_stamp(&self) -> Option<CatalogStamp> {
        None
    }

    /// Turns what a statement asked for into a point that can be read: refuses the future, what is before the
    /// horizon, and bounds it by the transaction's snapshot.
    fn resolve_point(&self, wanted: Timestamp) -> Result<Point>;

    /// As [`Storage::resolve_point`], where the statement has read off the clock already that it is `now`.
    fn resolve_point_now(&self, wanted: Timestamp, now: Timestamp) -> Result<Point> {
        let _ = now;
        self.resolve_point(wanted)
    }

    /// Another branch as a point that can be read. Fails where there is no such branch.
    fn resolve_branch(&self, name: &str) -> Result<Point> {
        Err(dosql_base::Error::unsupported(format!("this storage has no branch {name}")))
    }

    /// The earliest moment from which on all versions are there.
    fn horizon(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// As [`Storage::horizon`], of one table.
    fn horizon_of(&self, space: SpaceId) -> Timestamp {
        let _ = space;
        self.horizon()
    }

    /// Refuses a point that [`Storage::resolve_point`] gave, for a table whose versions do not reach it. `name` is for the error.
    fn check_reach(&self, point: Point, space: SpaceId, name: &str) -> Result<()> {
        let _ = (point, space, name);
        Ok(())
    }

    /// The moment that a tag stands for; `None` where there is no such tag.
    fn tag(&self, name: &str) -> Result<Option<Timestamp>> {
        let _ = name;
        Ok(None)
    }

    /// From when until when what `key` holds at `point` was, or is, so: [`Timestamp::MAX`] for no end yet. `None` where it holds
    /// nothing, or what the transaction itself wrote.
    fn lifetime(&self, point: Point, key: &[u8]) -> Result<Option<(Timestamp, Timestamp)>> {
        let _ = (point, key);
        Ok(None)
    }

    /// The versions of the keys in `range` that began at or before `to` and ended after `from`, as far as the transaction's
    /// snapshot sees; nothing of its own. Both points come from [`Storage::resolve_point`].
    fn versions(&self, range: &KeyRange, from: Timestamp, to: Timestamp) -> Result<Box<dyn Versions>> {
        let _ = (range, from, to);
        Err(dosql_base::Error::unsupported("this storage does not list versions"))
    }

    /// As [`Storage::versions`], but that keys which have not changed after `from` may be left out: what is needed to tell what differs.
    fn changed_versions(
        &self,
        range: &KeyRange,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Box<dyn Versions>> {
        self.versions(range, from, to)
    }

    /// What it knows about itself.
    fn state_rows(&self, table: StateTable) -> Result<Vec<Vec<crate::value::Value>>> {
        let _ = table;
        Ok(Vec::new())
    }
}

/// What [`Storage::last_key`] does, by a scan.
///
/// # Errors
/// Those of the storage.
pub fn last_by_scan<S: Storage, R>(
    storage: &S,
    space: &[u8],
    key: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    let end = prefix_successor(space).unwrap_or_else(|| vec![0xFF]);
    let range = KeyRange { start: space.to_vec(), end };
    let mut cursor = storage.open_cursor(Point::Live, range, Direction::Backward)?;
    let (mut key, mut last) = (Some(key), None);
    loop {
        let done = storage.visit(&mut cursor, 1, &mut |found, _| {
            last = key.take().map(|key| key(found));
            Ok(ControlFlow::Break(()))
        })?;
        if done || last.is_some() {
            return Ok(last);
        }
    }
}
