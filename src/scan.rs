//! The cursor of a transaction: a range of the map, in either direction, the transaction's own writes merged in.
//!
//! It is plain state: between two calls it remembers the last key that it lent and where the tree's cursor stands, and borrows
//! nothing, so that what the transaction writes meanwhile is seen.

use std::cmp::Ordering;
use std::collections::btree_map;
use std::ops::{Bound, ControlFlow};

use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_btree::Cursor;
use dosql_sql::{Direction, KeyRange};

use crate::history::past::PastCursor;
use crate::view::View;
use crate::writes::{Change, Changes, Writes};

/// Who gets the entries of a scan, and may stop it.
pub(crate) type Lend<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// A scan under way.
pub struct Scan {
    range: KeyRange,
    direction: Direction,
    /// The scan goes on at this key, or past it where that was lent already.
    resume: Vec<u8>,
    inclusive: bool,
    source: Source,
    done: bool,
}

enum Source {
    Live { tree: Box<Cursor>, place: Place },
    Past { cursor: Box<PastCursor>, placed: bool },
}

/// Where the tree's cursor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere: it has to be put where the scan resumes.
    Unset,
    /// On the next entry to lend, in the range.
    Next,
    /// On an entry that was lent.
    Lent,
    /// Past the last entry in the range.
    End,
}

impl Scan {
    /// A scan of `range` in `view`, or as of `at` where that is earlier. Reads nothing yet.
    pub(crate) fn new(view: &View, at: Timestamp, range: KeyRange, direction: Direction) -> Self {
        let source = if at < view.timestamp {
            Source::Past { cursor: Box::new(view.past(at, &range, direction)), placed: false }
        } else {
            Source::Live { tree: Box::new(view.pages.cursor(view.root)), place: Place::Unset }
        };
        let (resume, inclusive) = match direction {
            Direction::Forward => (range.start.clone(), true),
            Direction::Backward => (range.end.clone(), false),
        };
        let done = range.start >= range.end;
        Scan { range, direction, resume, inclusive, source, done }
    }

    /// Where it goes on: the last key lent, or where it started or was sent to.
    pub(crate) fn position(&self) -> &[u8] {
        &self.resume
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Skips to `key`, if that lies ahead.
    pub(crate) fn skip_to(&mut self, key: &[u8]) {
        let ahead = match self.direction {
            Direction::Forward => key > self.resume.as_slice(),
            Direction::Backward => key < self.resume.as_slice(),
        };
        if !ahead {
            return;
        }
        self.resume.clear();
        self.resume.extend_from_slice(key);
        self.inclusive = true;
        match &mut self.source {
            Source::Live { place, .. } => {
                *place = if *place == Place::End { Place::End } else { Place::Unset }
            }
            Source::Past { placed, .. } => *placed = false,
        }
        self.done |= match self.direction {
            Direction::Forward => key >= self.range.end.as_slice(),
            Direction::Backward => key < self.range.start.as_slice(),
        };
    }

    /// Lends up to `limit` entries; true when there is nothing further. `own` are the writes to merge in. An error comes
    /// before anything was lent in this call, or from `lend`.
    pub(crate) fn visit(&mut self, own: Option<&Writes>, limit: usize, lend: &mut Lend<'_>) -> Result<bool> {
        if self.done || limit == 0 {
            return Ok(self.done);
        }
        let mut lent = 0usize;
        let mut counted = |key: &[u8], value: &[u8]| {
            let verdict = lend(key, value)?;
            lent += 1;
            Ok(if lent >= limit { ControlFlow::Break(()) } else { verdict })
        };
        let result = self.lend_from_source(own, &mut counted);
        match result {
            Ok(done) => self.done = done,
            // What was lent was lent: the caller takes it, and meets the error at the next call.
            Err(error) if lent > 0 && error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.done)
    }

    fn lend_from_source(&mut self, own: Option<&Writes>, lend: &mut Lend<'_>) -> Result<bool> {
        if matches!(self.source, Source::Past { .. }) {
            return self.lend_past(lend);
        }
        let own = own.map(Writes::changes).filter(|changes| self.first_own(changes).is_some());
        self.place_tree()?;
        match (own, self.direction) {
            (Some(changes), _) => self.lend_merged(changes, lend),
            (None, Direction::Forward) => self.lend_leaves(lend),
            (None, Direction::Backward) => self.lend_merged(&Changes::new(), lend),
        }
    }

    fn first_own<'c>(&self, changes: &'c Changes) -> Option<&'c [u8]> {
        let (start, end) = self.bounds();
        if empty(start, end) {
            return None;
        }
        changes.range::<[u8], _>((start, end)).next().map(|(key, _)| &**key)
    }

    /// What is left of the range.
    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let resume =
            if self.inclusive { Bound::Included(&*self.resume) } else { Bound::Excluded(&*self.resume) };
        match self.direction {
            Direction::Forward => (resume, Bound::Excluded(&*self.range.end)),
            Direction::Backward => (Bound::Included(&*self.range.start), resume),
        }
    }

    fn lend_past(&mut self, lend: &mut Lend<'_>) -> Result<bool> {
        let Source::Past { cursor, placed } = &mut self.source else {
            return Ok(true);
        };
        if !*placed {
            cursor.seek(&self.resume)?;
            *placed = true;
        }
        if !self.inclusive && cursor.key() == Some(self.resume.as_slice()) {
            cursor.advance()?;
        }
        while let Some(key) = cursor.key() {
            let verdict = lend(key, cursor.value()?)?;
            self.resume.clear();
            self.resume.extend_from_slice(key);
            self.inclusive = false;
            if verdict.is_break() {
                return Ok(false);
            }
            // The place is lost if this fails; the key to resume at is not.
            *placed = false;
            cursor.advance()?;
            *placed = true;
        }
        Ok(true)
    }

    /// Puts the tree's cursor on the next entry to lend.
    fn place_tree(&mut self) -> Result<()> {
        let Source::Live { tree, place } = &mut self.source else {
            return Ok(());
        };
        let found = match *place {
            Place::Next | Place::End => return Ok(()),
            Place::Lent => {
                *place = Place::Unset;
                step(tree, self.direction)?
            }
            Place::Unset => {
                let found = match self.direction {
                    Direction::Forward => tree.seek(&self.resume)?,
                    Direction::Backward => tree.seek_for_prev(&self.resume)?,
                };
                let lent = found && !self.inclusive && tree.key() == self.resume.as_slice();
                if lent { step(tree, self.direction)? } else { found }
            }
        };
        *place = settle(tree, &self.range, self.direction, found)?;
        Ok(())
    }

    /// Forward without own writes: the tree runs the loop inside its leaves.
    fn lend_leaves(&mut self, lend: &mut Lend<'_>) -> Result<bool> {
        let Source::Live { tree, place } = &mut self.source else {
            return Ok(true);
        };
        if *place == Place::End {
            return Ok(true);
        }
        let (resume, inclusive, end) = (&mut self.resume, &mut self.inclusive, self.range.end.as_slice());
        // An error below loses the place, not the key to resume at.
        *place = Place::Unset;
        let (mut failed, mut stopped) = (None, Place::End);
        tree.visit(usize::MAX, |item| {
            if item.key >= end {
                return ControlFlow::Break(());
            }
            if item.tombstone {
                return ControlFlow::Continue(());
            }
            match lend(item.key, item.value) {
                Ok(verdict) => {
                    resume.clear();
                    resume.extend_from_slice(item.key);
                    *inclusive = false;
                    if verdict.is_break() {
                        stopped = Place::Lent;
                    }
                    verdict
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        *place = stopped;
        Ok(stopped == Place::End)
    }

    /// The tree and own writes, merged; own writes win.
    fn lend_merged(&mut self, changes: &Changes, lend: &mut Lend<'_>) -> Result<bool> {
        let (start, end) = self.bounds();
        let mut own = Own::new(changes, start, end, self.direction);
        let Source::Live { tree, place } = &mut self.source else {
            return Ok(true);
        };
        let (resume, inclusive) = (&mut self.resume, &mut self.inclusive);
        loop {
            let order = match (*place == Place::Next, own.peek()) {
                (false, None) => return Ok(true),
                (true, None) => Ordering::Less,
                (false, Some(_)) => Ordering::Greater,
                (true, Some((key, _))) => match self.direction {
                    Direction::Forward => tree.key().cmp(key),
                    Direction::Backward => key.cmp(tree.key()),
                },
            };
            let mut verdict = ControlFlow::Continue(());
            if order == Ordering::Less {
                verdict = lend(tree.key(), tree.value()?)?;
                note(resume, inclusive, tree.key());
            } else if let Some((key, change)) = own.next() {
                if let Some(value) = change {
                    verdict = lend(key, value)?;
                }
                note(resume, inclusive, key);
            }
            if order != Ordering::Greater {
                if verdict.is_break() {
                    *place = Place::Lent;
                    return Ok(false);
                }
                *place = Place::Unset;
                let found = step(tree, self.direction)?;
                *place = settle(tree, &self.range, self.direction, found)?;
            } else if verdict.is_break() {
                return Ok(false);
            }
        }
    }
}

fn note(resume: &mut Vec<u8>, inclusive: &mut bool, key: &[u8]) {
    resume.clear();
    resume.extend_from_slice(key);
    *inclusive = false;
}

fn step(tree: &mut Cursor, direction: Direction) -> Result<bool> {
    match direction {
        Direction::Forward => tree.next(),
        Direction::Backward => tree.prev(),
    }
}

/// From an entry that was found, on to one that is a row and in the range.
fn settle(tree: &mut Cursor, range: &KeyRange, direction: Direction, mut found: bool) -> Result<Place> {
    while found && tree.is_tombstone() {
        found = step(tree, direction)?;
    }
    let inside = found
        && match direction {
            Direction::Forward => tree.key() < range.end.as_slice(),
            Direction::Backward => tree.key() >= range.start.as_slice(),
        };
    Ok(if inside { Place::Next } else { Place::End })
}

/// Whether no key can lie within the bounds (which the standard map would panic on).
fn empty(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Excluded(start), Bound::Included(end)) | (Bound::Included(start), Bound::Excluded(end)) => {
            start >= end
        }
        (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        _ => false,
    }
}

/// Own writes in the direction of the scan, with a look ahead.
struct Own<'a> {
    range: Option<btree_map::Range<'a, Box<[u8]>, Change>>,
    direction: Direction,
    ahead: Option<(&'a [u8], &'a Change)>,
}

impl<'a> Own<'a> {
    fn new(changes: &'a Changes, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Self {
        let range = (!empty(start, end)).then(|| changes.range::<[u8], _>((start, end)));
        let mut own = Own { range, direction, ahead: None };
        own.next();
        own
    }

    fn peek(&self) -> Option<(&'a [u8], &'a Change)> {
        self.ahead
    }

    fn next(&mut self) -> Option<(&'a [u8], &'a Change)> {
        let next = self.range.as_mut().and_then(|range| match self.direction {
            Direction::Forward => range.next(),
            Direction::Backward => range.next_back(),
        });
        std::mem::replace(&mut self.ahead, next.map(|(key, change)| (&**key, change)))
    }
}
