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
    /// What it sees: everything up to here.
    at: Timestamp,
    /// The scan goes on at this key, or past it where that was lent already.
    resume: Vec<u8>,
    inclusive: bool,
    source: Source,
    place: Place,
    done: bool,
    /// Which view of its reader the source reads; see [`crate::readers`].
    generation: u32,
}

/// Where the stored entries come from.
enum Source {
    /// The tree as it is in the view.
    Tree(Box<Cursor>),
    /// The tree and history, as they were before it.
    Past(Box<PastCursor>),
}

/// Where the source stands.
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

impl Source {
    fn new(view: &View, at: Timestamp, range: &KeyRange, direction: Direction) -> Self {
        if at < view.timestamp {
            Source::Past(Box::new(view.past(at, range, direction)))
        } else {
            Source::Tree(Box::new(view.pages.cursor(view.root)))
        }
    }

    /// To the first entry at or past `key`; false where there is none.
    fn seek(&mut self, key: &[u8], direction: Direction) -> Result<bool> {
        match (self, direction) {
            (Source::Tree(tree), Direction::Forward) => tree.seek(key),
            (Source::Tree(tree), Direction::Backward) => tree.seek_for_prev(key),
            (Source::Past(past), _) => {
                past.seek(key)?;
                Ok(past.key().is_some())
            }
        }
    }

    fn step(&mut self, direction: Direction) -> Result<bool> {
        match (self, direction) {
            (Source::Tree(tree), Direction::Forward) => tree.next(),
            (Source::Tree(tree), Direction::Backward) => tree.prev(),
            (Source::Past(past), _) => {
                past.advance()?;
                Ok(past.key().is_some())
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Source::Tree(tree) => tree.key(),
            Source::Past(past) => past.key().unwrap_or_default(),
        }
    }

    fn value(&self) -> Result<&[u8]> {
        match self {
            Source::Tree(tree) => tree.value(),
            Source::Past(past) => past.value(),
        }
    }

    fn is_tombstone(&self) -> bool {
        matches!(self, Source::Tree(tree) if tree.is_tombstone())
    }
}

impl Scan {
    /// A scan of `range` in `view`, or as of `at` where that is earlier. Reads nothing yet.
    pub(crate) fn new(
        view: &View,
        at: Timestamp,
        range: KeyRange,
        direction: Direction,
        generation: u32,
    ) -> Self {
        let at = at.min(view.timestamp);
        let source = Source::new(view, at, &range, direction);
        let (resume, inclusive) = match direction {
            Direction::Forward => (range.start.clone(), true),
            Direction::Backward => (range.end.clone(), false),
        };
        let done = range.start >= range.end;
        Scan { range, direction, at, resume, inclusive, source, place: Place::Unset, done, generation }
    }

    /// Goes on with another view, which contains what it sees.
    pub(crate) fn rebase(&mut self, view: &View, generation: u32) {
        if self.generation == generation {
            return;
        }
        self.generation = generation;
        self.source = Source::new(view, self.at, &self.range, self.direction);
        self.place = Place::Unset;
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
        if self.place != Place::End {
            self.place = Place::Unset;
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
        match self.lend_entries(own, &mut counted) {
            Ok(done) => self.done = done,
            // What was lent was lent: the caller takes it, and meets the error at the next call.
            Err(error) if lent > 0 && error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.done)
    }

    fn lend_entries(&mut self, own: Option<&Writes>, lend: &mut Lend<'_>) -> Result<bool> {
        let own = own.map(Writes::changes).filter(|changes| self.any_left(changes));
        self.find_place()?;
        if self.place == Place::End && own.is_none() {
            return Ok(true);
        }
        let leaves = own.is_none() && self.direction == Direction::Forward;
        match &mut self.source {
            Source::Tree(_) if leaves => self.lend_leaves(lend),
            _ => self.lend_merged(own.unwrap_or(&Changes::new()), lend),
        }
    }

    fn any_left(&self, changes: &Changes) -> bool {
        let (start, end) = self.bounds();
        !empty(start, end) && changes.range::<[u8], _>((start, end)).next().is_some()
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

    /// Puts the source on the next entry to lend.
    fn find_place(&mut self) -> Result<()> {
        let found = match self.place {
            Place::Next | Place::End => return Ok(()),
            Place::Lent => {
                // An error loses the place, not the key to resume at.
                self.place = Place::Unset;
                self.source.step(self.direction)?
            }
            Place::Unset => {
                let found = self.source.seek(&self.resume, self.direction)?;
                let lent = found && !self.inclusive && self.source.key() == self.resume.as_slice();
                if lent { self.source.step(self.direction)? } else { found }
            }
        };
        self.place = settle(&mut self.source, &self.range, self.direction, found)?;
        Ok(())
    }

    /// Forward without own writes: the tree runs the loop inside its leaves.
    fn lend_leaves(&mut self, lend: &mut Lend<'_>) -> Result<bool> {
        let Source::Tree(tree) = &mut self.source else {
            return Ok(true);
        };
        let (resume, inclusive, end) = (&mut self.resume, &mut self.inclusive, self.range.end.as_slice());
        self.place = Place::Unset;
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
                    note(resume, inclusive, item.key);
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
        self.place = stopped;
        Ok(stopped == Place::End)
    }

    /// The stored entries and own writes, merged; own writes win.
    fn lend_merged(&mut self, changes: &Changes, lend: &mut Lend<'_>) -> Result<bool> {
        let (start, end) = self.bounds();
        let mut own = Own::new(changes, start, end, self.direction);
        let (source, place) = (&mut self.source, &mut self.place);
        let (resume, inclusive) = (&mut self.resume, &mut self.inclusive);
        loop {
            let order = match (*place == Place::Next, own.peek()) {
                (false, None) => return Ok(true),
                (true, None) => Ordering::Less,
                (false, Some(_)) => Ordering::Greater,
                (true, Some((key, _))) => match self.direction {
                    Direction::Forward => source.key().cmp(key),
                    Direction::Backward => key.cmp(source.key()),
                },
            };
            let mut verdict = ControlFlow::Continue(());
            if order == Ordering::Less {
                verdict = lend(source.key(), source.value()?)?;
                note(resume, inclusive, source.key());
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
                let found = source.step(self.direction)?;
                *place = settle(source, &self.range, self.direction, found)?;
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

/// From an entry that was found, on to one that is a row and in the range.
fn settle(source: &mut Source, range: &KeyRange, direction: Direction, mut found: bool) -> Result<Place> {
    while found && source.is_tombstone() {
        found = source.step(direction)?;
    }
    let inside = found
        && match direction {
            Direction::Forward => source.key() < range.end.as_slice(),
            Direction::Backward => source.key() >= range.start.as_slice(),
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
