//! The changes themselves: an iterator that waits, and a stream that does not.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};

use super::change::{Change, Event, Position};
use super::decode::Decoder;
use super::filter::{Filter, Wanted};
use super::raw::{Batch, Commit, Commits};
use super::schema::Schemas;
use super::snapshot::Snapshot;
use crate::engine::Handle;

/// Changes of a database, in the order of its commits, each when it is durable.
///
/// As an [`Iterator`] it waits for the next one; [`Changes::try_next`] and [`Changes::next_within`] don't, or not for ever; as a
/// [`futures_core::Stream`] it wakes whoever polls it, under any executor. It ends after an error: `Closed` when the database is
/// closed, code `AsOfExpired` where it fell behind what history keeps. It holds nothing of the database back but the handle.
pub struct Changes {
    engine: Handle,
    decoder: Decoder,
    snapshot: Option<Reading>,
    commits: Commits,
    /// Commits that were read, to be told one by one.
    read: std::vec::IntoIter<Commit>,
    ready: VecDeque<Ready>,
    position: Position,
    watermarks: Option<Duration>,
    ended: bool,
}

/// A change to hand out, and in a snapshot the key of which the next is to come.
struct Ready {
    change: Change,
    resume: Option<Vec<u8>>,
}

/// A snapshot under way.
struct Reading {
    rows: Snapshot,
    /// How many changes of it were made.
    count: u64,
    /// The last one, until it is known whether it is the last of all.
    held: Option<Ready>,
}

impl Changes {
    pub(crate) fn open(
        engine: Handle,
        wanted: Wanted,
        watermarks: Option<Duration>,
        mut position: Position,
    ) -> Result<Changes> {
        if position.timestamp == Timestamp::ZERO {
            position = Position { timestamp: engine.view().timestamp, snapshot: Some(Vec::new()) };
        }
        check_begin(&engine, position.timestamp)?;
        let schemas = Schemas::at(&engine, position.timestamp)?;
        let filter = Filter::new(wanted, &schemas.now)?;
        let decoder = Decoder::new(&engine, schemas, filter);
        let commits = Commits::after(position.timestamp);
        let mut changes = Changes {
            engine,
            decoder,
            snapshot: None,
            commits,
            read: Vec::new().into_iter(),
            ready: VecDeque::new(),
            position,
            watermarks,
            ended: false,
        };
        if let Some(from) = changes.position.snapshot.clone() {
            changes.begin_snapshot(from);
        }
        Ok(changes)
    }

    /// Where the log was read up to, if it is read.
    pub(crate) fn log_position(&self) -> Option<u64> {
        self.commits.log_position()
    }

    /// Begins with what there is: the schema, unless it was told already, then the rows.
    fn begin_snapshot(&mut self, from: Vec<u8>) {
        let at = self.position.timestamp;
        let whole = from.is_empty();
        let rows = Snapshot::new(at, (!whole).then_some(from));
        let mut reading = Reading { rows, count: 0, held: None };
        if whole {
            for change in self.decoder.schema_now() {
                self.put(&mut reading, Event::Schema(change), Vec::new());
            }
        }
        self.snapshot = Some(reading);
    }

    /// Hands the change held back on, and holds this one.
    fn put(&mut self, reading: &mut Reading, event: Event, resume: Vec<u8>) {
        let change = self.decoder.change(reading.rows.at, reading.count, false, event.of_snapshot());
        reading.count += 1;
        self.ready.extend(reading.held.replace(Ready { change, resume: Some(resume) }));
    }

    /// Where to come back to: everything up to here was handed out. Within a commit it is still the one before, so that who comes back
    /// gets that commit whole.
    #[must_use]
    pub fn reached(&self) -> &Position {
        &self.position
    }

    /// The next change, if there is one now.
    pub fn try_next(&mut self) -> Result<Option<Change>> {
        if self.ended {
            return Ok(None);
        }
        let next = self.advance();
        self.ended = next.is_err();
        next
    }

    fn advance(&mut self) -> Result<Option<Change>> {
        while self.ready.is_empty() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let Some(Ready { change, resume }) = self.ready.pop_front() else { return Ok(None) };
        match resume {
            Some(key) if !change.last => self.position.snapshot = Some(key),
            _ if change.last || weakened("commit-confirmed-in-part") => {
                self.position = change.timestamp.into()
            }
            _ => {}
        }
        if self.ready.is_empty() && self.snapshot.is_none() && self.read.len() == 0 {
            self.position = self.commits.complete().into();
        }
        Ok(Some(change))
    }

    /// Reads on; false where there is nothing further yet.
    fn fill(&mut self) -> Result<bool> {
        if let Some(mut reading) = self.snapshot.take() {
            let more = self.read_rows(&mut reading)?;
            if more {
                self.snapshot = Some(reading);
            } else if let Some(mut last) = reading.held {
                last.change.last = true;
                self.ready.push_back(last);
            } else {
                self.position = reading.rows.at.into();
            }
            return Ok(true);
        }
        let Some(commit) = self.read.next() else { return self.read_commits() };
        let ready = &mut self.ready;
        self.decoder.commit(&commit, |change| ready.push_back(Ready { change, resume: None }))?;
        if self.ready.is_empty() {
            let last = self.read.len() == 0;
            self.position = if last { self.commits.complete() } else { commit.timestamp }.into();
        }
        Ok(true)
    }

    /// Reads the next commits, to be told; false where there are none yet.
    fn read_commits(&mut self) -> Result<bool> {
        let Some(Batch { commits, from, .. }) = self.commits.next(&self.engine)? else { return Ok(false) };
        // Only now, since what was read may have gone out of reach while it was.
        self.decoder.check_reach(from)?;
        if commits.is_empty() {
            self.position = self.commits.complete().into();
        }
        self.read = commits.into_iter();
        Ok(true)
    }

    /// Reads rows of the snapshot; false at its end.
    fn read_rows(&mut self, reading: &mut Reading) -> Result<bool> {
        let entries = reading.rows.next(&self.engine)?;
        self.decoder.check_reach(reading.rows.at)?;
        for entry in &entries {
            if let Some(event) = self.decoder.entry(entry, reading.rows.at)? {
                let resume = [&entry.key[..], &[0]].concat();
                self.put(reading, event, resume);
            }
        }
        Ok(!entries.is_empty())
    }

    /// The next change; `None` where there was none for as long as `patience`.
    pub fn next_within(&mut self, patience: Duration) -> Result<Option<Change>> {
        let env = self.engine.env.clone();
        let until = env.now().as_micros().saturating_add(patience.as_micros() as u64);
        loop {
            if let Some(change) = self.try_next()? {
                return Ok(Some(change));
            }
            let left = Duration::from_micros(until.saturating_sub(env.now().as_micros()));
            if self.ended || left.is_zero() || !self.wait(Some(left)) {
                // What came with the last moment is taken along.
                return self.try_next();
            }
        }
    }

    /// Waits until there may be something new; false where there was nothing for as long as `patience`.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let (engine, seen) = (&self.engine, self.commits.complete());
        engine.subscribers.wait(|| is_news(engine, seen), patience)
    }

    fn watermark(&self) -> Change {
        self.decoder.change(self.commits.complete(), 0, true, Event::Watermark)
    }
}

/// Refuses to tell what was before a branch began: that is its parent's to tell.
fn check_begin(engine: &Handle, after: Timestamp) -> Result<()> {
    let begins = engine.view().beneath.as_ref().map_or(Timestamp::ZERO, |beneath| beneath.begins());
    if after >= begins {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the branch {} begins at {begins}: ask for its changes from there on, or from 0 for all that it holds",
        engine.branch().name()
    )))
}

/// Whether there are commits after `seen`, or the end.
fn is_news(engine: &Handle, seen: Timestamp) -> bool {
    engine.check_usable().is_err() || engine.view().timestamp > seen
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.try_next() {
                Ok(None) if self.ended => return None,
                Ok(None) => {
                    let waited = self.wait(self.watermarks);
                    if !waited && self.watermarks.is_some() {
                        return Some(Ok(self.watermark()));
                    }
                }
                other => return other.transpose(),
            }
        }
    }
}

impl futures_core::Stream for Changes {
    type Item = Result<Change>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.try_next() {
                Ok(None) if this.ended => return Poll::Ready(None),
                Ok(None) => {
                    let seen = this.commits.complete();
                    let news = this.engine.subscribers.note(context.waker(), || is_news(&this.engine, seen));
                    if !news {
                        return Poll::Pending;
                    }
                }
                other => return Poll::Ready(other.transpose()),
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("position", &self.position).finish_non_exhaustive()
    }
}
