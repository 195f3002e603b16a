//! Segments whose keys lie apart, read as if they were one.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};

use crate::cursor::SegmentCursor;
use crate::reader::SegmentReader;
use crate::version::Entry;

/// A cursor over a run. A call that answers `WouldBlock` has left it where it was.
#[derive(Clone, Debug)]
pub(crate) struct RunCursor {
    /// Ascending, no key in two of them.
    segments: Arc<[Arc<SegmentReader>]>,
    index: usize,
    cursor: SegmentCursor,
}

/// Spreads segments over as few runs as it finds, each ascending and without overlap.
pub(crate) fn runs(mut segments: Vec<Arc<SegmentReader>>) -> Vec<RunCursor> {
    segments.sort_by(|a, b| {
        let (a, b) = (a.properties(), b.properties());
        a.min_key.cmp(&b.min_key).then(b.max_start.cmp(&a.max_start)).then(a.id.cmp(&b.id))
    });
    let mut runs: Vec<Vec<Arc<SegmentReader>>> = Vec::new();
    for segment in segments {
        let fits = |run: &&mut Vec<Arc<SegmentReader>>| {
            run.last().is_some_and(|last| last.properties().max_key < segment.properties().min_key)
        };
        match runs.iter_mut().find(fits) {
            Some(run) => run.push(segment),
            None => runs.push(vec![segment]),
        }
    }
    runs.into_iter().filter_map(RunCursor::new).collect()
}

impl RunCursor {
    fn new(segments: Vec<Arc<SegmentReader>>) -> Option<Self> {
        let cursor = segments.first()?.cursor();
        Some(RunCursor { segments: segments.into(), index: 0, cursor })
    }

    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        self.cursor.entry()
    }

    /// Whether no key has two versions in the segment that the cursor is in.
    pub(crate) fn is_single(&self) -> bool {
        let properties = self.segments[self.index].properties();
        properties.keys == properties.entries
    }

    pub(crate) fn first(&mut self) -> Result<bool> {
        self.enter(0, SegmentCursor::first)
    }

    pub(crate) fn last(&mut self) -> Result<bool> {
        self.enter(self.segments.len() - 1, SegmentCursor::last)
    }

    /// Moves to the first version at or after (`key`, `at`).
    pub(crate) fn seek(&mut self, key: &[u8], at: Timestamp) -> Result<bool> {
        let index = self.segments.partition_point(|segment| segment.properties().max_key.as_slice() < key);
        if index == self.segments.len() {
            return self.leave();
        }
        if self.enter(index, |cursor| cursor.seek(key, at))? {
            return Ok(true);
        }
        // The key is the segment's last, and all its versions began later.
        if index + 1 < self.segments.len() { self.enter(index + 1, SegmentCursor::first) } else { Ok(false) }
    }

    /// Moves to the last version of the last key below `key`.
    pub(crate) fn seek_before(&mut self, key: &[u8]) -> Result<bool> {
        let beyond = self.segments.partition_point(|segment| segment.properties().min_key.as_slice() < key);
        match beyond.checked_sub(1) {
            Some(index) => self.enter(index, |cursor| cursor.seek_before(key)),
            None => self.leave(),
        }
    }

    pub(crate) fn next(&mut self) -> Result<bool> {
        if self.cursor.next()? {
            return Ok(true);
        }
        if self.index + 1 < self.segments.len() {
            return self.enter(self.index + 1, SegmentCursor::first);
        }
        Ok(false)
    }

    pub(crate) fn prev(&mut self) -> Result<bool> {
        if self.cursor.prev()? {
            return Ok(true);
        }
        match self.index.checked_sub(1) {
            Some(index) => self.enter(index, SegmentCursor::last),
            None => Ok(false),
        }
    }

    /// Moves into a segment, or stays where it is if that fails.
    fn enter(&mut self, index: usize, go: impl FnOnce(&mut SegmentCursor) -> Result<bool>) -> Result<bool> {
        let mut cursor = if index == self.index { self.cursor.clone() } else { self.new_cursor(index) };
        let found = go(&mut cursor)?;
        (self.index, self.cursor) = (index, cursor);
        Ok(found)
    }

    /// A cursor over a segment; over one that lies next to this it goes on with the scan, if there is one.
    fn new_cursor(&self, index: usize) -> SegmentCursor {
        let segment = Arc::clone(&self.segments[index]);
        if index.abs_diff(self.index) == 1 {
            SegmentCursor::following(segment, &self.cursor)
        } else {
            segment.cursor()
        }
    }

    /// Moves to none.
    fn leave(&mut self) -> Result<bool> {
        self.cursor = self.segments[self.index].cursor();
        Ok(false)
    }
}
