//! The cursor of a transaction: a range of the map, in either direction, the transaction's own writes merged in.
//!
//! It is plain state: between two calls it remembers the last key that it lent and where the tree's cursor stands, and borrows
//! nothing, so that what the transaction writes meanwhile is seen.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::{Bound, ControlFlow};

use dosql_base::codec::prefix_successor;
use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_btree::{Stop, Way};
use dosql_sql::{Direction, KeyRange};

use crate::changes::{self, Change, Changes};
use crate::keyspace::FullKey;
use crate::source::Source;
use crate::view::View;
use crate::writes::Writes;

/// Who gets the entries of a scan, and may stop it.
pub(crate) type Lend<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// The keys of a scan: from `start` on, before `end`.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) start: FullKey,
    pub(crate) end: FullKey,
}

impl From<KeyRange> for Bounds {
    fn from(range: KeyRange) -> Self {
        Bounds { start: FullKey::from_vec(range.start), end: FullKey::from_vec(range.end) }
    }
}

impl Bounds {
    pub(crate) fn to_range(&self) -> KeyRange {
        KeyRange { start: self.start.to_vec(), end: self.end.to_vec() }
    }
}

/// A scan under way.
pub struct Scan {
    range: Bounds,
    direction: Direction,
    /// What it sees: everything up to here.
    at: Timestamp,
    resume: Resume,
    source: Source,
    place: Place,
    done: bool,
    /// Which view of its reader the source reads; see [`crate::readers`].
    generation: u32,
}

/// Where the scan goes on, when the source does not stand there.
enum Resume {
    /// At the end of the range that it comes from.
    Start,
    /// At this key.
    At(Vec<u8>),
    /// Past this key, which was lent.
    Past(Vec<u8>),
}

/// How a run through the leaves ended.
enum Leaves {
    /// The source does not run through leaves now.
    None,
    /// It came to a group of long keys, at which the scan resumes.
    Group,
    /// It is to go on later, or (true) there is nothing further.
    Done(bool),
}

/// Where the source stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere: it has to be put where the scan resumes.
    Unset,
    /// On the next entry to lend, in the range.
    Next,
    /// On the entry that was lent last: the scan goes on past it.
    Lent,
    /// Past the last entry in the range.
    End,
}

impl Scan {
    /// A scan of `range` in `view`, or as of `at` where that is earlier. Reads nothing yet.
    pub(crate) fn new(
        view: &View,
        at: Timestamp,
        range: Bounds,
        direction: Direction,
        generation: u32,
    ) -> Self {
        let at = at.min(view.timestamp);
        let source = Source::new(view, at, &range, direction);
        let done = range.start >= range.end;
        Scan { range, direction, at, resume: Resume::Start, source, place: Place::Unset, done, generation }
    }

    /// Goes on with another view, which contains what it sees.
    pub(crate) fn rebase(&mut self, view: &View, generation: u32) {
        if self.generation == generation {
            return;
        }
        self.generation = generation;
        self.lose_place();
        self.source = Source::new(view, self.at, &self.range, self.direction);
    }

    /// The source is about to move, and may fail to: remembers where to go on.
    fn lose_place(&mut self) {
        if self.place == Place::Lent {
            note(&mut self.resume, self.source.key());
        }
        if self.place != Place::End {
            self.place = Place::Unset;
        }
    }

    /// The moment that it reads.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Where it goes on: the last key lent, or where it started or was sent to.
    pub(crate) fn position(&self) -> &[u8] {
        match (&self.resume, self.place) {
            (_, Place::Lent) => self.source.key(),
            (Resume::At(key) | Resume::Past(key), _) => key,
            (Resume::Start, _) => match self.direction {
                Direction::Forward => &self.range.start,
                Direction::Backward => &self.range.end,
            },
        }
    }

    /// Whether the entry at [`Scan::position`] is still to come.
    fn is_inclusive(&self) -> bool {
        self.place != Place::Lent
            && match self.resume {
                Resume::Start => self.direction == Direction::Forward,
                Resume::At(_) => true,
                Resume::Past(_) => false,
            }
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn range(&self) -> &Bounds {
        &self.range
    }

    /// Skips to `key`, if that lies ahead.
    pub(crate) fn skip_to(&mut self, key: &[u8]) {
        let ahead = match self.direction {
            Direction::Forward => key > self.position(),
            Direction::Backward => key < self.position(),
        };
        if !ahead {
            return;
        }
        self.resume = Resume::At(key.to_vec());
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
        let mut left = limit;
        match self.lend_entries(own, &mut left, lend) {
            Ok(done) => self.done = done,
            // What was lent was lent: the caller takes it, and meets the error at the next call.
            Err(error) if left < limit && error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.done)
    }

    fn lend_entries(&mut self, own: Option<&Writes>, left: &mut usize, lend: &mut Lend<'_>) -> Result<bool> {
        let own = own.map(Writes::changes).filter(|changes| self.any_left(changes));
        loop {
            self.find_place()?;
            if own.is_none() {
                if self.place == Place::End {
                    return Ok(true);
                }
                match self.lend_leaves(left, lend)? {
                    Leaves::Done(done) => return Ok(done),
                    Leaves::Group => continue,
                    Leaves::None => {}
                }
            }
            return self.lend_merged(own.unwrap_or(&Changes::default()), left, lend);
        }
    }

    fn any_left(&self, changes: &Changes) -> bool {
        let (start, end) = self.bounds();
        changes.range(start, end).next().is_some()
    }

    /// What is left of the range.
    fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let position = self.position();
        let resume = if self.is_inclusive() { Bound::Included(position) } else { Bound::Excluded(position) };
        match self.direction {
            Direction::Forward => (resume, Bound::Excluded(&*self.range.end)),
            Direction::Backward => (Bound::Included(&*self.range.start), resume),
        }
    }

    /// Puts the source on the next entry to lend.
    fn find_place(&mut self) -> Result<()> {
        let found = match self.place {
            Place::End => return Ok(()),
            Place::Next if !self.source.is_tombstone() => return Ok(()),
            Place::Next => {
                self.place = Place::Unset;
                true
            }
            Place::Lent => {
                self.lose_place();
                self.source.step()?
            }
            Place::Unset => {
                let inclusive = self.is_inclusive();
                let key = match &self.resume {
                    Resume::At(key) | Resume::Past(key) => key.as_slice(),
                    Resume::Start if self.direction == Direction::Forward => &self.range.start,
                    Resume::Start => &self.range.end,
                };
                let found = self.source.seek(key)?;
                let lent = found && !inclusive && self.source.key() == key;
                if lent { self.source.step()? } else { found }
            }
        };
        self.place = settle(&mut self.source, &self.range, self.direction, found)?;
        Ok(())
    }

    /// Without own writes the tree runs the loop inside its leaves.
    fn lend_leaves(&mut self, left: &mut usize, lend: &mut Lend<'_>) -> Result<Leaves> {
        let Some((tree, form)) = self.source.leaves() else { return Ok(Leaves::None) };
        let whole_groups = || form.stored_range(&self.range.to_range());
        let (way, bound) = match self.direction {
            Direction::Forward if form.group(&self.range.end).is_some() => {
                (Way::Up, Cow::Owned(whole_groups().end))
            }
            Direction::Forward => (Way::Up, Cow::Borrowed(&*self.range.end)),
            Direction::Backward => {
                (Way::Down, Cow::Borrowed(form.group(&self.range.start).unwrap_or(&self.range.start)))
            }
        };
        let (mut failed, mut group) = (None, None);
        let stop = tree.visit(way, Some(&bound), |item| {
            if let Some(shared) = form.group(item.key) {
                group = Some(shared.to_vec());
                return ControlFlow::Break(());
            }
            if item.tombstone {
                return ControlFlow::Continue(());
            }
            match lend(item.key, item.value) {
                Ok(verdict) => {
                    *left -= 1;
                    if *left == 0 { ControlFlow::Break(()) } else { verdict }
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(shared) = group {
            self.resume = match self.direction {
                Direction::Forward => Resume::At(shared),
                Direction::Backward => Resume::Past(prefix_successor(&shared).unwrap_or_default()),
            };
            self.place = Place::Unset;
            return Ok(Leaves::Group);
        }
        self.place = match &stop {
            Ok(Stop::Bound) => Place::End,
            Ok(Stop::Broke) if failed.is_none() => Place::Lent,
            Err(_) if tree.was_shown() => Place::Lent,
            _ => {
                // The entry where it stopped was not taken: it is the next.
                self.resume = Resume::At(tree.key().to_vec());
                Place::Next
            }
        };
        match failed {
            Some(error) => Err(error),
            None => Ok(Leaves::Done(stop? == Stop::Bound)),
        }
    }

    /// The stored entries and own writes, merged; own writes win.
    fn lend_merged(&mut self, changes: &Changes, left: &mut usize, lend: &mut Lend<'_>) -> Result<bool> {
        let (start, end) = self.bounds();
        let mut own = Own::new(changes, start, end, self.direction);
        let (source, place, resume) = (&mut self.source, &mut self.place, &mut self.resume);
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
                note(resume, source.key());
                *left -= 1;
            } else if let Some((key, change)) = own.next() {
                if let Some(value) = change {
                    verdict = lend(key, value)?;
                    *left -= 1;
                }
                note(resume, key);
            }
            let stop = verdict.is_break() || *left == 0;
            if order != Ordering::Greater {
                if stop {
                    *place = Place::Lent;
                    return Ok(false);
                }
                *place = Place::Unset;
                let found = source.step()?;
                *place = settle(source, &self.range, self.direction, found)?;
            } else if stop {
                return Ok(false);
            }
        }
    }
}

/// Remembers that `key` was lent.
fn note(resume: &mut Resume, key: &[u8]) {
    let mut past = match std::mem::replace(resume, Resume::Start) {
        Resume::At(bytes) | Resume::Past(bytes) => bytes,
        Resume::Start => Vec::new(),
    };
    past.clear();
    past.extend_from_slice(key);
    *resume = Resume::Past(past);
}

/// From an entry that was found, on to one that is a row and in the range.
fn settle(source: &mut Source, range: &Bounds, direction: Direction, mut found: bool) -> Result<Place> {
    while found && source.is_tombstone() {
        found = source.step()?;
    }
    let inside = found
        && match direction {
            Direction::Forward => source.key() < range.end.as_slice(),
            Direction::Backward => source.key() >= range.start.as_slice(),
        };
    Ok(if inside { Place::Next } else { Place::End })
}

/// Own writes in the direction of the scan, with a look ahead.
struct Own<'a> {
    range: changes::Range<'a>,
    direction: Direction,
    ahead: Option<(&'a [u8], Change<'a>)>,
}

impl<'a> Own<'a> {
    fn new(changes: &'a Changes, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Self {
        let mut own = Own { range: changes.range(start, end), direction, ahead: None };
        own.next();
        own
    }

    fn peek(&self) -> Option<(&'a [u8], Change<'a>)> {
        self.ahead
    }

    fn next(&mut self) -> Option<(&'a [u8], Change<'a>)> {
        let next = match self.direction {
            Direction::Forward => self.range.next(),
            Direction::Backward => self.range.next_back(),
        };
        std::mem::replace(&mut self.ahead, next)
    }
}
