//! A scan of the past: the tree's rows that are old enough, merged with the superseded versions that were current then.
//! Each key comes once, in either direction.

use std::cmp::Ordering;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{Cursor, PageSnapshot, Root};
use dosql_sql::{Direction, KeyRange};

use super::History;
use super::cursor::{MemtableCursor, RunCursor, Versions};
use super::key;

/// Versions of one key that are stepped over before the cursor seeks past the rest.
const STEPS: usize = 8;

/// The merge. Positioned by [`PastCursor::seek`]; then [`PastCursor::current`] and [`PastCursor::advance`].
pub(crate) struct PastCursor {
    direction: Direction,
    tree: TreeSource,
    runs: Vec<VersionSource<RunCursor>>,
    memtables: Vec<VersionSource<MemtableCursor>>,
    /// Which source holds the next entry.
    place: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Tree,
    Run(usize),
    Memtable(usize),
}

impl PastCursor {
    pub(crate) fn new(
        pages: &PageSnapshot,
        root: Root,
        history: &History,
        at: Timestamp,
        range: &KeyRange,
        direction: Direction,
    ) -> Self {
        let bounds = EncodedRange::new(range);
        let run = |cursor: RunCursor| VersionSource::new(cursor, at, bounds.clone(), direction);
        let memtable = |cursor: MemtableCursor| VersionSource::new(cursor, at, bounds.clone(), direction);
        PastCursor {
            direction,
            tree: TreeSource { cursor: pages.cursor(root), at, range: range.clone(), direction, here: false },
            runs: history.runs_at(at).map(|it| run(RunCursor::new(it, pages))).collect(),
            memtables: history.memtables().map(|it| memtable(MemtableCursor::new(Arc::clone(it)))).collect(),
            place: None,
        }
    }

    /// To the first entry of the range in the cursor's direction at or past `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.tree.seek(key)?;
        for run in &mut self.runs {
            run.seek(key)?;
        }
        for memtable in &mut self.memtables {
            memtable.seek(key)?;
        }
        self.choose();
        Ok(())
    }

    fn key_of(&self, place: Place) -> Option<&[u8]> {
        match place {
            Place::Tree => self.tree.key(),
            Place::Run(n) => self.runs.get(n)?.key(),
            Place::Memtable(n) => self.memtables.get(n)?.key(),
        }
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let (runs, memtables) = (self.runs.len(), self.memtables.len());
        let versions = (0..runs).map(Place::Run).chain((0..memtables).map(Place::Memtable));
        std::iter::once(Place::Tree).chain(versions)
    }

    fn choose(&mut self) {
        let sooner = match self.direction {
            Direction::Forward => Ordering::Less,
            Direction::Backward => Ordering::Greater,
        };
        let mut best: Option<(Place, &[u8])> = None;
        for place in self.places() {
            if let Some(key) = self.key_of(place)
                && best.is_none_or(|(_, other)| key.cmp(other) == sooner)
            {
                best = Some((place, key));
            }
        }
        self.place = best.map(|(place, _)| place);
    }

    /// The key that it stands on; `None` past the last.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key_of(self.place?)
    }

    /// The value that it stands on; empty past the last.
    pub(crate) fn value(&self) -> Result<&[u8]> {
        match self.place {
            None => Ok(&[]),
            Some(Place::Tree) => self.tree.cursor.value(),
            Some(Place::Run(n)) => self.runs[n].versions.value(),
            Some(Place::Memtable(n)) => self.memtables[n].versions.value(),
        }
    }

    /// Whether the key that it stands on was deleted; main's are not there at all.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self.place {
            None => false,
            Some(Place::Tree) => self.tree.cursor.is_tombstone(),
            Some(Place::Run(n)) => self.runs[n].versions.is_tombstone(),
            Some(Place::Memtable(n)) => self.memtables[n].versions.is_tombstone(),
        }
    }

    /// On to the next entry. The same key may stand in the tree and, displaced since the scan began, in a memtable: both move
    /// on.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(place) = self.place else {
            return Ok(());
        };
        for n in 0..self.memtables.len() {
            let key = self.memtables[n].key();
            if key.is_some() && place != Place::Memtable(n) && self.key() == key {
                self.memtables[n].advance()?;
            }
        }
        match place {
            Place::Tree => self.tree.advance()?,
            Place::Run(n) => self.runs[n].advance()?,
            Place::Memtable(n) => self.memtables[n].advance()?,
        }
        self.choose();
        Ok(())
    }
}

/// The rows of the tree that were already current at `at`.
struct TreeSource {
    cursor: Cursor,
    at: Timestamp,
    range: KeyRange,
    direction: Direction,
    here: bool,
}

impl TreeSource {
    fn key(&self) -> Option<&[u8]> {
        self.here.then(|| self.cursor.key())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let found = match self.direction {
            Direction::Forward => self.cursor.seek(key)?,
            Direction::Backward => self.cursor.seek_for_prev(key)?,
        };
        self.settle(found)
    }

    fn advance(&mut self) -> Result<()> {
        let found = self.step()?;
        self.settle(found)
    }

    fn step(&mut self) -> Result<bool> {
        match self.direction {
            Direction::Forward => self.cursor.next(),
            Direction::Backward => self.cursor.prev(),
        }
    }

    fn settle(&mut self, mut found: bool) -> Result<()> {
        self.here = false;
        while found {
            let key = self.cursor.key();
            let (low, high) = (key < self.range.start.as_slice(), key >= self.range.end.as_slice());
            match self.direction {
                Direction::Forward if high => return Ok(()),
                Direction::Backward if low => return Ok(()),
                _ => {}
            }
            if !low && !high && self.cursor.version() <= self.at {
                self.here = true;
                return Ok(());
            }
            found = self.step()?;
        }
        Ok(())
    }
}

/// A range of keys as a range of history keys.
#[derive(Clone)]
pub(super) struct EncodedRange {
    start: Vec<u8>,
    end: Vec<u8>,
}

impl EncodedRange {
    fn new(range: &KeyRange) -> Self {
        let (mut start, mut end) = (Vec::new(), Vec::new());
        key::encode_before(&mut start, &range.start);
        key::encode_before(&mut end, &range.end);
        EncodedRange { start, end }
    }
}

/// The versions of one run, or of the memtable, that were current at `at`: at most one a key.
pub(crate) struct VersionSource<V> {
    versions: V,
    at: Timestamp,
    range: EncodedRange,
    direction: Direction,
    /// The key that it stands on, where `here`.
    current: Vec<u8>,
    here: bool,
    scratch: Vec<u8>,
}

impl<V: Versions> VersionSource<V> {
    pub(super) fn new(versions: V, at: Timestamp, range: EncodedRange, direction: Direction) -> Self {
        VersionSource {
            versions,
            at,
            range,
            direction,
            current: Vec::new(),
            here: false,
            scratch: Vec::new(),
        }
    }

    /// Of the stored keys in a range.
    pub(crate) fn over(versions: V, at: Timestamp, range: &KeyRange, direction: Direction) -> Self {
        VersionSource::new(versions, at, EncodedRange::new(range), direction)
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.here.then_some(self.current.as_slice())
    }

    pub(crate) fn value(&self) -> Result<&[u8]> {
        self.versions.value()
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.versions.is_tombstone()
    }

    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.here = false;
        let found = match self.direction {
            Direction::Forward => {
                key::encode_before(&mut self.scratch, key);
                self.versions.seek(&self.scratch)?
            }
            Direction::Backward => {
                key::encode_after(&mut self.scratch, key);
                self.versions.seek_for_prev(&self.scratch)?
            }
        };
        self.settle(found)
    }

    pub(crate) fn advance(&mut self) -> Result<()> {
        self.here = false;
        let found = self.pass_key()?;
        self.settle(found)
    }

    /// Moves past every version of `current`, in the direction of travel.
    fn pass_key(&mut self) -> Result<bool> {
        key::encode_before(&mut self.scratch, &self.current);
        for _ in 0..STEPS {
            let found = match self.direction {
                Direction::Forward => self.versions.next()?,
                Direction::Backward => self.versions.prev()?,
            };
            if !found || !self.versions.key().starts_with(&self.scratch) {
                return Ok(found);
            }
        }
        match self.direction {
            Direction::Forward => {
                key::encode_after(&mut self.scratch, &self.current);
                self.versions.seek(&self.scratch)
            }
            Direction::Backward => self.versions.seek_for_prev(&self.scratch),
        }
    }

    /// From a version of a key not looked at yet, finds the first key that has one that was current.
    fn settle(&mut self, mut found: bool) -> Result<()> {
        while found {
            let encoded = self.versions.key();
            let (low, high) = (encoded < self.range.start.as_slice(), encoded >= self.range.end.as_slice());
            match self.direction {
                Direction::Forward if high => return Ok(()),
                Direction::Backward if low => return Ok(()),
                _ => {}
            }
            let start = key::decode(encoded, &mut self.current)?;
            if !low && !high && self.find_version(start)? {
                self.here = true;
                return Ok(());
            }
            found = self.pass_key()?;
        }
        Ok(())
    }

    /// Moves to the version of `current` that covers `at`, if there is one. Forward it stands on the newest version of the
    /// key, backward on the oldest; either may be the answer already.
    fn find_version(&mut self, start: Timestamp) -> Result<bool> {
        let covers = start <= self.at && self.versions.end() > self.at;
        let hopeless = match self.direction {
            Direction::Forward => self.versions.end() <= self.at,
            Direction::Backward => start > self.at,
        };
        if covers || hopeless {
            return Ok(covers);
        }
        key::encode(&mut self.scratch, &self.current, self.at);
        if !self.versions.seek(&self.scratch)? {
            // Nothing at or after: stand on the last version of the key again, so that it can be passed.
            key::encode_after(&mut self.scratch, &self.current);
            self.versions.seek_for_prev(&self.scratch)?;
            return Ok(false);
        }
        key::encode_before(&mut self.scratch, &self.current);
        if !self.versions.key().starts_with(&self.scratch) {
            self.versions.prev()?;
            return Ok(false);
        }
        Ok(self.versions.end() > self.at)
    }
}
