//! Feed slots: named places in the feed of main, kept in the database, for readers that come and go.
//!
//! A slot is a row of the system tree, made, moved and dropped as tags are. It remembers up to where its reader has confirmed; what changed since
//! stays in history for it, within its caps, and in nothing else: neither the log nor the tree of current rows is held back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::value::{Text, Value};

use super::change::{Change, Position};
use super::filter::Wanted;
use super::raw::check_history;
use super::slot_row::{SlotRow, carry_on};
use super::stream::Changes;
use super::subscribers::KEPT;
use crate::database::Database;
use crate::engine::{Engine, Handle};
use crate::limits::MAX_FEEDS;
use crate::manifest::{MAIN_BRANCH, SystemChange};
use crate::options::DAY;
use crate::pins::state_row;
use crate::tags::check_name;
use crate::view::View;

/// What a slot is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFeed {
    /// Where it begins.
    pub from: FeedStart,
    /// The tables that it shows, each with the columns that it shows of it, or all; everything where there is none.
    pub tables: Vec<(String, Option<Vec<String>>)>,
    /// Bytes of log that its reader may be behind.
    pub max_lag_bytes: u64,
    /// How long ago, in microseconds, the last confirmed change may be.
    pub max_age: u64,
}

impl Default for NewFeed {
    fn default() -> Self {
        NewFeed { from: FeedStart::Current, tables: Vec::new(), max_lag_bytes: 1 << 30, max_age: 7 * DAY }
    }
}

/// Where a slot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStart {
    /// After the last commit.
    Current,
    /// After this commit.
    After(Timestamp),
    /// With the rows as they are now, then the changes since.
    Snapshot,
}

/// What there is to know of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedInfo {
    /// Its name, as it was given. Names that differ only in the case of ASCII letters are the same.
    pub name: String,
    /// Up to here its reader has confirmed.
    pub confirmed: Timestamp,
    /// Bytes of log that came since, about.
    pub lag_bytes: u64,
    /// Microseconds since then, or since it was last said that there was nothing new to confirm.
    pub lag: u64,
    /// Whether it can be resumed.
    pub state: FeedState,
}

/// Whether a slot can be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// It can, and is not far behind.
    Active,
    /// It can, and has used up half of a cap, or has to be filled from history.
    Lagging,
    /// It was behind by more than a cap: what came since is not kept for it.
    Lost,
}

impl FeedState {
    /// `active`, `lagging` or `lost`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FeedState::Active => "active",
            FeedState::Lagging => "lagging",
            FeedState::Lost => "lost",
        }
    }
}

impl Engine {
    /// From when on versions are kept for the slots that are within their caps; `None` where there are none.
    pub(crate) fn kept_for_slots(&self, view: &View) -> Option<Timestamp> {
        let slots = Arc::clone(&self.slots.read());
        if slots.is_empty() || view.branch != MAIN_BRANCH || weakened("slot-keeps-nothing") {
            return None;
        }
        let kept = slots.iter().filter(|slot| self.state_of(slot, view).state != FeedState::Lost);
        kept.map(|slot| slot.confirmed.timestamp).min()
    }

    /// How a slot stands.
    fn state_of(&self, slot: &SlotRow, view: &View) -> FeedInfo {
        let (confirmed, known) = (slot.confirmed.timestamp, slot.known());
        let behind = view.timestamp > known;
        let lag = self.env.now().as_micros().saturating_sub(known.as_micros());
        let lag_bytes = self.log.end().0.get().saturating_sub(slot.log);
        let (lag, lag_bytes) = if behind { (lag, lag_bytes) } else { (0, 0) };
        let gone = known < view.floor && behind;
        let over = lag > slot.max_age || lag_bytes > slot.max_lag_bytes;
        let near = lag > slot.max_age / 2 || lag_bytes > (slot.max_lag_bytes / 2).min(KEPT);
        let state = match () {
            () if (over || gone) && !weakened("slot-never-lost") => FeedState::Lost,
            () if near => FeedState::Lagging,
            () => FeedState::Active,
        };
        FeedInfo { name: slot.name.clone(), confirmed, lag_bytes, lag, state }
    }

    pub(crate) fn feeds(&self) -> Vec<FeedInfo> {
        let (slots, view) = (Arc::clone(&self.slots.read()), self.main.view());
        slots.iter().map(|slot| self.state_of(slot, &view)).collect()
    }

    /// The rows of `dosql_feeds`: name, confirmed lsn, its time, lag in bytes, in seconds, state.
    pub(crate) fn feed_rows(&self) -> Vec<Vec<Value>> {
        let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let row = |feed: FeedInfo| {
            let mut row = state_row(&[&feed.name], feed.confirmed);
            row.extend([number(feed.lag_bytes), Value::real(feed.lag as f64 / 1e6)]);
            row.push(Value::Text(Text::new(feed.state.name())));
            row
        };
        self.feeds().into_iter().map(row).collect()
    }

    fn slot(&self, name: &str) -> Result<SlotRow> {
        let slots = Arc::clone(&self.slots.read());
        slots.iter().find(|slot| slot.is_named(name)).cloned().ok_or_else(|| no_such_feed(name))
    }

    /// Changes a slot's row, durably. It may say that it knows all where nothing was committed to main after `seen`.
    fn put_slot(&self, name: &str, row: Option<SlotRow>, fresh: bool, seen: Timestamp) -> Result<bool> {
        self.upgrade_format()?;
        let committed = {
            let mut committer = self.committer();
            let slots = Arc::clone(&self.slots.read());
            let there = slots.iter().any(|slot| slot.is_named(name));
            if there == fresh {
                return Ok(false);
            }
            if fresh && slots.len() >= MAX_FEEDS {
                return Err(Error::limit(format!("there are {MAX_FEEDS} feeds already; drop some")));
            }
            let before = self.main.latest().timestamp;
            let all_seen = before <= seen;
            let row = row.map(|row| SlotRow { caught_up: row.caught_up && all_seen, ..row });
            let change = SystemChange { key: SlotRow::key(name), value: row.map(|row| row.encode()) };
            let committed = self.commit_system(&mut committer, &self.main, &[change])?;
            let mut now = self.slots.write();
            *now = carry_on(&slots, &now, before, committed.timestamp);
            committed
        };
        if !weakened("slot-confirmed-too-early") {
            self.acknowledge(&self.main, &committed, self.options.durability)?;
        }
        Ok(true)
    }
}

pub(crate) fn no_such_feed(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Code::Error, format!("no such feed: {name}"))
}

impl Database {
    /// Makes a feed slot of this name on main: a place in the feed that is kept in the database. See [`Slot`].
    ///
    /// Fails for a name that is taken or no name (as those of tags), for tables and columns that are not there, with code
    /// `AsOfExpired` for a beginning that history does not reach, and on other branches.
    pub fn create_feed(&self, name: &str, new: &NewFeed) -> Result<()> {
        if self.make_feed(name, new)? {
            Ok(())
        } else {
            Err(Error::invalid(format!("there is already a feed {name}")))
        }
    }

    pub(crate) fn make_feed(&self, name: &str, new: &NewFeed) -> Result<bool> {
        let engine = &self.0;
        engine.check_writable()?;
        check_name("feed", name)?;
        check_history(engine)?;
        if engine.branch().number != MAIN_BRANCH {
            return Err(Error::unsupported("feeds are made on main; this handle is of another branch"));
        }
        engine.upgrade_format()?;
        // A checkpoint under way has decided what to drop.
        let one = engine.checkpointing.lock();
        engine.reserve(&engine.main, engine.view().floor)?;
        let latest = engine.view();
        // Where nothing was committed for longer than is kept, history does not say any more what the last commit left; it does from here on.
        let now = latest.timestamp.max(latest.floor);
        let (timestamp, snapshot) = match new.from {
            FeedStart::Current => (now, None),
            FeedStart::After(at) => (at, None),
            FeedStart::Snapshot => (now, Some(Vec::new())),
        };
        if timestamp > now || timestamp < latest.timestamp {
            let view = engine.view_at(engine.branch(), timestamp)?;
            engine.check_horizon_of_most(&view, timestamp)?;
        }
        // Whether the tables and columns are there.
        let begin = timestamp.min(latest.timestamp).into();
        drop(Changes::open(engine.clone(), Wanted::of_tables(&new.tables), None, begin)?);
        let confirmed = Position { timestamp, snapshot };
        let row = SlotRow {
            name: name.to_owned(),
            confirmed,
            log: engine.log.end().0.get(),
            max_lag_bytes: new.max_lag_bytes,
            max_age: new.max_age,
            tables: new.tables.clone(),
            caught_up: timestamp >= latest.timestamp && new.from != FeedStart::Snapshot,
            written: Timestamp::ZERO,
        };
        let made = engine.put_slot(name, Some(row), true, latest.timestamp);
        drop(one);
        made
    }

    /// Drops a feed slot; what it alone kept may go.
    ///
    /// Fails where there is none of that name.
    pub fn drop_feed(&self, name: &str) -> Result<()> {
        if self.unmake_feed(name)? { Ok(()) } else { Err(no_such_feed(name)) }
    }

    pub(crate) fn unmake_feed(&self, name: &str) -> Result<bool> {
        self.0.check_writable()?;
        self.0.put_slot(name, None, false, Timestamp::ZERO)
    }

    /// All feed slots, by name.
    #[must_use]
    pub fn feeds(&self) -> Vec<FeedInfo> {
        self.0.feeds()
    }

    /// Resumes a feed slot after what was confirmed last.
    ///
    /// # Errors
    /// Code `FeedLost` where its reader was behind by more than its caps allow: drop it and begin anew with a snapshot. As
    /// [`super::Feed::after`] else.
    pub fn feed_slot(&self, name: &str) -> Result<Slot> {
        let engine = self.0.on(Arc::clone(&self.0.main));
        check_history(&engine)?;
        let row = engine.slot(name)?;
        if engine.state_of(&row, &engine.view()).state == FeedState::Lost {
            return Err(lost(&row));
        }
        let changes = Changes::open(engine.clone(), row.wanted(), None, row.resume())?;
        Ok(Slot { engine, changes, name: row.name })
    }
}

fn lost(row: &SlotRow) -> Error {
    let message = format!(
        "feed {} was last confirmed at {}, behind by more than its caps allow, and what came since is not kept for it; drop it and make it \
         anew FROM SNAPSHOT",
        row.name, row.confirmed.timestamp
    );
    Error::new(ErrorKind::InvalidInput, Code::FeedLost, message)
}

/// A feed slot that is being read: [`Changes`], and [`Slot::ack`] to say how far they are done with. What was delivered and not confirmed
/// comes again after the next [`Database::feed_slot`].
pub struct Slot {
    engine: Handle,
    changes: Changes,
    name: String,
}

impl Slot {
    /// The changes, to wait for or to poll.
    pub fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// The next change, if there is one now.
    pub fn try_next(&mut self) -> Result<Option<Change>> {
        self.changes.try_next()
    }

    /// The next change; `None` where there was none for as long as `patience`.
    pub fn next_within(&mut self, patience: Duration) -> Result<Option<Change>> {
        self.changes.next_within(patience)
    }

    /// Where all that was handed out so far ends; see [`Changes::reached`].
    #[must_use]
    pub fn reached(&self) -> &Position {
        self.changes.reached()
    }

    /// Confirms everything up to `position`: a change's Timestamp, of a commit that was handed out whole, or what [`Slot::reached`] said. Durable
    /// when it returns. An earlier position than was confirmed changes nothing. To confirm the same again tells that the reader is alive: do so
    /// more often than a quarter of the slot's `max_age`.
    ///
    /// # Errors
    /// `InvalidInput` for what was not handed out yet; code `FeedLost` where the slot was lost meanwhile.
    pub fn ack(&mut self, position: impl Into<Position>) -> Result<()> {
        let position = position.into();
        self.engine.check_writable()?;
        let mut row = self.engine.slot(&self.name)?;
        let reached = self.changes.reached();
        if position.timestamp > reached.timestamp {
            let message = format!("{position} can't be confirmed: the feed was read up to {reached} only");
            return Err(Error::invalid(message));
        }
        let view = self.engine.view();
        // Who has nothing new to confirm is there all the same.
        let idle = self.engine.now().as_micros().saturating_sub(row.written.as_micros()) > row.max_age / 4;
        let nothing_new = match &row.confirmed.snapshot {
            Some(known) => {
                position.timestamp == row.confirmed.timestamp
                    && position.snapshot.as_ref().is_some_and(|key| key <= known)
            }
            None => position.timestamp <= row.known(),
        };
        let tells_so = idle && row.caught_up && view.timestamp <= row.written;
        if position.timestamp < row.confirmed.timestamp || nothing_new && !tells_so {
            return Ok(());
        }
        if self.engine.state_of(&row, &view).state == FeedState::Lost {
            return Err(lost(&row));
        }
        row.log = match self.changes.log_position() {
            Some(at) if position.timestamp >= reached.timestamp => at,
            _ if position.timestamp >= view.timestamp => self.engine.log.end().0.get(),
            _ => row.log,
        };
        let known = position.timestamp.max(row.known());
        row.caught_up = known >= view.timestamp && position.snapshot.is_none();
        row.confirmed = position;
        if self.engine.put_slot(&self.name, Some(row), false, view.timestamp)? {
            Ok(())
        } else {
            Err(no_such_feed(&self.name))
        }
    }
}

impl Iterator for Slot {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        self.changes.next()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).field("changes", &self.changes).finish()
    }
}
