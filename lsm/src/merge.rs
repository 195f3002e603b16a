//! Many segments read as one sequence of versions, both ways.
//!
//! ```text
//! segments --> runs of segments whose keys lie apart, a cursor in each --> the least of them (forwards), the greatest (backwards)
//! ```
//!
//! A version that several segments hold is shown once.

use std::cmp::Ordering;
use std::sync::Arc;

use dosql_base::{Error, ErrorKind, Result, Timestamp};

use crate::block_cursor::Direction;
use crate::reader::SegmentReader;
use crate::run::{RunCursor, runs};
use crate::version::Entry;

/// Which versions a [`MergeCursor`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// All: keys ascending, of each key the newest first.
    All,
    /// Of each key the newest that had begun at this moment, tombstones included, whether or not it has ended since:
    /// `Timestamp::MAX` for the present.
    NewestAt(Timestamp),
}

/// A place in the merged sequence of any number of segments, of any overlap. A call that answers `WouldBlock` has asked for all
/// that it needs: fetch and make the same call again; until then the cursor is on no version.
#[derive(Clone, Debug)]
pub struct MergeCursor {
    inputs: Vec<Input>,
    versions: Versions,
    /// The input that the cursor is on.
    on: Option<usize>,
    /// The version that it is on, or was on before the call that had to wait.
    key: Vec<u8>,
    start: Timestamp,
    /// Whether `key` and `start` say where it is.
    placed: bool,
    /// Which side of the version the inputs that it is not on stand.
    direction: Direction,
    goal: Option<Goal>,
    target: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Input {
    cursor: RunCursor,
    /// Whether it stands where the goal wants it.
    ready: bool,
    /// Whether it has begun to move there.
    begun: bool,
}

/// Where a call wants the cursor. The key is in `target` (seeks) or `key` (steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Edge(Direction),
    At(Timestamp),
    Before,
    Step(Direction),
}

impl MergeCursor {
    /// A cursor over these segments, on none yet.
    #[must_use]
    pub fn new(segments: Vec<Arc<SegmentReader>>, versions: Versions) -> Self {
        let input = |cursor| Input { cursor, ready: false, begun: false };
        MergeCursor {
            inputs: runs(segments).into_iter().map(input).collect(),
            versions,
            on: None,
            key: Vec::new(),
            start: Timestamp::ZERO,
            placed: false,
            direction: Direction::Forward,
            goal: None,
            target: Vec::new(),
        }
    }

    /// The version that the cursor is on; none before the first move, after one beyond either end, and while a call has to wait.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.inputs.get(self.on?)?.cursor.entry()
    }

    /// Moves to the first version. All moves return whether there is one.
    pub fn first(&mut self) -> Result<bool> {
        self.go(Goal::Edge(Direction::Forward))
    }

    /// Moves to the last version.
    pub fn last(&mut self) -> Result<bool> {
        self.go(Goal::Edge(Direction::Backward))
    }

    /// Moves to the first version at or after (`key`, `at`), as [`crate::SegmentCursor::seek`] does; `at` is of no meaning where only one
    /// version of a key is shown.
    pub fn seek(&mut self, key: &[u8], at: Timestamp) -> Result<bool> {
        self.aim(key);
        self.go(Goal::At(at))
    }

    /// Moves to the last version of the last key below `key`.
    pub fn seek_before(&mut self, key: &[u8]) -> Result<bool> {
        self.aim(key);
        self.go(Goal::Before)
    }

    /// Moves to the next version; beyond the last it is on none, and stays there.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<bool> {
        if self.placed { self.go(Goal::Step(Direction::Forward)) } else { Ok(false) }
    }

    /// Moves to the version before; before the first it is on none, and stays there.
    pub fn prev(&mut self) -> Result<bool> {
        if self.placed { self.go(Goal::Step(Direction::Backward)) } else { Ok(false) }
    }

    fn aim(&mut self, key: &[u8]) {
        if self.target != key {
            self.goal = None;
            self.target.clear();
            self.target.extend_from_slice(key);
        }
    }

    /// Brings every input to where the goal wants it, then takes the nearest. Goes on where the same call had to wait.
    fn go(&mut self, goal: Goal) -> Result<bool> {
        if self.goal != Some(goal) {
            self.goal = Some(goal);
            self.inputs.iter_mut().for_each(|input| (input.ready, input.begun) = (false, false));
        }
        self.on = None;
        let aim = Aim {
            goal,
            turned: goal != Goal::Step(self.direction),
            versions: self.versions,
            key: if matches!(goal, Goal::Step(_)) { &self.key } else { &self.target },
            start: self.start,
        };
        let mut waits = None;
        for input in self.inputs.iter_mut().filter(|input| !input.ready) {
            match aim.position(input) {
                Ok(()) => input.ready = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => waits = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = waits {
            return Err(error);
        }
        self.direction = goal.direction();
        self.goal = None;
        Ok(self.take_nearest())
    }

    fn take_nearest(&mut self) -> bool {
        let mut best: Option<(usize, Entry<'_>)> = None;
        for (index, input) in self.inputs.iter().enumerate() {
            let Some(entry) = input.cursor.entry() else { continue };
            let nearer = best.as_ref().is_none_or(|(_, best)| {
                let order = match self.versions {
                    // Of the same version the one that knows its end best.
                    Versions::All if (entry.key, entry.start) == (best.key, best.start) => {
                        return entry.end < best.end;
                    }
                    Versions::All => order(&entry, best.key, best.start),
                    // Of one key the newest, whichever way.
                    Versions::NewestAt(_) if entry.key == best.key => {
                        return entry.start > best.start;
                    }
                    Versions::NewestAt(_) => entry.key.cmp(best.key),
                };
                order == self.direction.nearer()
            });
            if nearer {
                best = Some((index, entry));
            }
        }
        self.placed = best.is_some();
        let Some((index, entry)) = best else { return false };
        self.key.clear();
        self.key.extend_from_slice(entry.key);
        self.start = entry.start;
        self.on = Some(index);
        true
    }
}

/// The order of versions: keys ascending, of each key the newest first.
fn order(entry: &Entry<'_>, key: &[u8], start: Timestamp) -> Ordering {
    entry.key.cmp(key).then(start.cmp(&entry.start))
}

impl Direction {
    fn nearer(self) -> Ordering {
        match self {
            Direction::Forward => Ordering::Less,
            Direction::Backward => Ordering::Greater,
        }
    }
}

impl Goal {
    fn direction(self) -> Direction {
        match self {
            Goal::Edge(direction) | Goal::Step(direction) => direction,
            Goal::At(_) => Direction::Forward,
            Goal::Before => Direction::Backward,
        }
    }
}

/// Where the inputs are to go. Each part of the way can be gone again from where it ended.
struct Aim<'a> {
    goal: Goal,
    /// The inputs stand on the other side of where the cursor is.
    turned: bool,
    versions: Versions,
    key: &'a [u8],
    start: Timestamp,
}

impl Aim<'_> {
    fn position(&self, input: &mut Input) -> Result<()> {
        if !input.begun {
            self.begin(&mut input.cursor)?;
            input.begun = true;
        }
        if let Goal::Step(direction) = self.goal {
            while input.cursor.entry().is_some_and(|entry| self.is_passed(&entry, direction)) {
                match direction {
                    Direction::Forward => input.cursor.next()?,
                    Direction::Backward => input.cursor.prev()?,
                };
            }
        }
        match self.versions {
            Versions::All => Ok(()),
            Versions::NewestAt(at) => newest(&mut input.cursor, at, self.goal.direction()),
        }
    }

    /// The part of the way that does not depend on where the input stands.
    fn begin(&self, cursor: &mut RunCursor) -> Result<()> {
        match self.goal {
            Goal::Edge(Direction::Forward) => cursor.first()?,
            Goal::Edge(Direction::Backward) => cursor.last()?,
            Goal::At(_) if self.versions != Versions::All => cursor.seek(self.key, Timestamp::MAX)?,
            Goal::At(at) => cursor.seek(self.key, at)?,
            Goal::Before => cursor.seek_before(self.key)?,
            Goal::Step(_) if !self.turned => true,
            Goal::Step(Direction::Forward) => cursor.seek(self.key, self.start)?,
            Goal::Step(Direction::Backward) => cursor.seek(self.key, self.start)? || cursor.last()?,
        };
        Ok(())
    }

    /// Whether a step in this direction leaves the version behind.
    fn is_passed(&self, entry: &Entry<'_>, direction: Direction) -> bool {
        let order = match self.versions {
            Versions::All => order(entry, self.key, self.start),
            Versions::NewestAt(_) => entry.key.cmp(self.key),
        };
        match direction {
            Direction::Forward => order != Ordering::Greater,
            Direction::Backward => order != Ordering::Less,
        }
    }
}

/// Moves on to the newest version that had begun at `at` of the next key that has one.
fn newest(cursor: &mut RunCursor, at: Timestamp, direction: Direction) -> Result<()> {
    while let Some(entry) = cursor.entry() {
        let begun = entry.start <= at;
        match direction {
            Direction::Forward if begun => return Ok(()),
            Direction::Forward => drop(cursor.next()?),
            Direction::Backward if begun && cursor.is_single() => return Ok(()),
            Direction::Backward => {
                // It stands on the oldest version of the key; the newest that counts comes before it.
                let key = entry.key.to_vec();
                let mut ahead = cursor.clone();
                let found = if begun { ahead.seek(&key, at)? } else { ahead.seek_before(&key)? };
                let sound = match ahead.entry() {
                    Some(entry) if begun => entry.key == key.as_slice(),
                    Some(entry) => entry.key < key.as_slice(),
                    None => !begun,
                };
                if !sound {
                    return Err(Error::corrupt("the keys of a segment are out of order", "data block"));
                }
                *cursor = ahead;
                if begun || !found {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
