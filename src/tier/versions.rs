//! The versions in segments that follow one another in the order of their keys, as history has them.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::PageSnapshot;
use dosql_lsm::{Entry, Kind, SegmentCursor};

use super::segment::Segment;
use crate::history::cursor::Versions;
use crate::history::key::{self, Place};

/// A position in them. The keys of a segment are below those of the next.
pub(crate) struct SegmentVersions {
    segments: Arc<[Arc<Segment>]>,
    pages: PageSnapshot,
    /// The segment that it is in.
    at: usize,
    cursor: Option<SegmentCursor>,
    /// The one that a scan enters next, which has its first blocks under way.
    next: Option<(usize, SegmentCursor)>,
    /// The history key that it stands on.
    encoded: Vec<u8>,
    scratch: Vec<u8>,
}

impl SegmentVersions {
    pub(crate) fn new(segments: Arc<[Arc<Segment>]>, pages: PageSnapshot) -> Self {
        SegmentVersions {
            segments,
            pages,
            at: 0,
            cursor: None,
            next: None,
            encoded: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The version that it stands on.
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        self.cursor.as_ref()?.entry()
    }

    /// Moves within a segment. Where that fails, the position stays as it was.
    fn enter(&mut self, at: usize, go: impl FnOnce(&mut SegmentCursor) -> Result<bool>) -> Result<bool> {
        if let Some(cursor) = self.cursor.as_mut().filter(|_| self.at == at) {
            return go(cursor);
        }
        let Some(segment) = self.segments.get(at) else {
            self.cursor = None;
            return Ok(false);
        };
        let mut cursor = match &self.next {
            Some((expected, cursor)) if *expected == at => cursor.clone(),
            _ => segment.open(&self.pages)?.cursor(),
        };
        let found = go(&mut cursor)?;
        (self.cursor, self.at, self.next) = (Some(cursor), at, None);
        Ok(found)
    }

    /// Once a scan has asked for all that is left of its segment, asks for the first blocks of the one that it comes to.
    fn look_ahead(&mut self, at: Option<usize>) {
        let Some(cursor) = self.cursor.as_ref().filter(|cursor| cursor.has_asked_for_all()) else { return };
        let known = |next: &(usize, SegmentCursor)| Some(next.0) == at;
        let Some(at) = at.filter(|at| *at < self.segments.len() && !self.next.as_ref().is_some_and(known))
        else {
            return;
        };
        // What is wrong with it shows when the scan gets there.
        if let Ok(reader) = self.segments[at].open(&self.pages) {
            self.next = Some((at, SegmentCursor::following(reader, cursor)));
        }
    }

    /// To the first version at or after that of `key` as of `at`.
    pub(crate) fn seek_version(&mut self, key: &[u8], at: Timestamp) -> Result<bool> {
        let place = self.segments.partition_point(|segment| segment.max_key.as_slice() < key);
        // Should the versions of a key be parted, the next segment goes on with those that are older.
        Ok(self.enter(place, |cursor| cursor.seek(key, at))?
            || (place < self.segments.len() && self.enter(place + 1, |cursor| cursor.seek(key, at))?))
    }

    /// To the last version of the last key below `key`.
    pub(crate) fn seek_below(&mut self, key: &[u8]) -> Result<bool> {
        let place = self.segments.partition_point(|segment| segment.min_key.as_slice() < key);
        let Some(place) = place.checked_sub(1) else {
            self.cursor = None;
            return Ok(false);
        };
        self.enter(place, |cursor| cursor.seek_before(key))
    }

    pub(crate) fn step(&mut self) -> Result<bool> {
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        if cursor.next()? {
            self.look_ahead(Some(self.at + 1));
            return Ok(true);
        }
        self.enter(self.at + 1, SegmentCursor::first)
    }

    pub(crate) fn step_back(&mut self) -> Result<bool> {
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let before = self.at.checked_sub(1);
        if cursor.prev()? {
            self.look_ahead(before);
            return Ok(true);
        }
        let Some(before) = before else {
            self.cursor = None;
            return Ok(false);
        };
        self.enter(before, SegmentCursor::last)
    }

    /// Notes the history key of where it stands.
    fn settle(&mut self, found: bool) -> bool {
        match self.cursor.as_ref().and_then(SegmentCursor::entry).filter(|_| found) {
            Some(entry) => {
                key::encode(&mut self.encoded, entry.key, entry.start);
                true
            }
            None => false,
        }
    }
}

impl Versions for SegmentVersions {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        let mut key = std::mem::take(&mut self.scratch);
        let found = match key::place(encoded, &mut key)? {
            Place::First => self.seek_version(&[], Timestamp::MAX),
            Place::Before => self.seek_version(&key, Timestamp::MAX),
            Place::At(start) => self.seek_version(&key, start),
            Place::After => {
                key.push(0);
                self.seek_version(&key, Timestamp::MAX)
            }
        };
        self.scratch = key;
        let found = found?;
        Ok(self.settle(found))
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        let mut key = std::mem::take(&mut self.scratch);
        let place = key::place(encoded, &mut key)?;
        let found = match place {
            Place::First => Ok(false),
            Place::Before => self.seek_below(&key),
            Place::At(start) => match self.seek_version(&key, start) {
                Ok(true) if self.entry().is_some_and(|it| it.key == key && it.start == start) => Ok(true),
                Ok(true) => self.step_back(),
                Ok(false) => {
                    key.push(0);
                    self.seek_below(&key)
                }
                Err(error) => Err(error),
            },
            Place::After => {
                key.push(0);
                self.seek_below(&key)
            }
        };
        self.scratch = key;
        let found = found?;
        Ok(self.settle(found))
    }

    fn next(&mut self) -> Result<bool> {
        let found = self.step()?;
        Ok(self.settle(found))
    }

    fn prev(&mut self) -> Result<bool> {
        let found = self.step_back()?;
        Ok(self.settle(found))
    }

    fn key(&self) -> &[u8] {
        &self.encoded
    }

    fn end(&self) -> Timestamp {
        self.entry().map_or(Timestamp::ZERO, |entry| entry.end)
    }

    fn value(&self) -> Result<&[u8]> {
        Ok(self.entry().map_or(&[], |entry| entry.value))
    }

    fn is_tombstone(&self) -> bool {
        self.entry().is_some_and(|entry| entry.kind == Kind::Tombstone)
    }
}
