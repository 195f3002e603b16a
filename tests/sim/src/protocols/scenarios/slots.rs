//! Feed slots: made, confirmed, lost and dropped, and what their readers get that come again.

use dosql::feed::{Event, FeedStart, FeedState, NewFeed, Position, Slot};
use dosql::{Code, DAY, Database, Durability, Error, ErrorKind, Result, Timestamp};

use super::{deletes, puts};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::told::{Told, follow};
use crate::protocols::world::{Edits, World, keys};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { live: slot, ..of("slot", FORGETTING) },
    Scenario { live: slot, ..of("slot-cold", Settings { hot_budget: 1, ..FORGETTING }) },
    Scenario { live: slot_snapshot, ..of("slot-snapshot", FORGETTING) },
    Scenario { live: slot_lost, ..of("slot-lost", FORGETTING) },
];

/// Little is kept but for the slot.
const FORGETTING: Settings = Settings { retention: 1, history_runs: 1, ..Settings::DEFAULT };

const fn of(name: &'static str, settings: Settings) -> Scenario {
    Scenario { observe, told: false, ..Scenario::keys(name, slot).with(settings) }
}

const NAME: &str = "lake";
/// More than anybody may be behind who has this.
const SMALL: NewFeed =
    NewFeed { from: FeedStart::Current, tables: Vec::new(), max_lag_bytes: 16 << 10, max_age: DAY };

/// The keys, and by way of the slot once more: what was confirmed with what is told after it makes what there is. How the slot stands
/// is a key of its own.
fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    if at.is_some() {
        let message = "a slot is what it is now";
        return Err(Error::new(ErrorKind::InvalidInput, Code::AsOfExpired, message));
    }
    let mut state = keys(database, None)?;
    let known = database.feeds().into_iter().find(|feed| feed.name == NAME);
    let Some(known) = known else { return Ok(state) };
    let stands = match database.feed_slot(NAME) {
        Err(error) if error.code() == Code::FeedLost && known.state == FeedState::Lost => "lost".to_owned(),
        Err(error) => return Err(error),
        Ok(mut slot) => {
            let mut rows = keys(database, Some(known.confirmed))?;
            let begin = rows.len();
            let told = follow(slot.changes(), &mut rows)?;
            stands(begin, told, rows == state)
        }
    };
    state.insert(b"~slot".to_vec(), stands.into_bytes());
    Ok(state)
}

fn stands(keys: usize, told: Told, leads: bool) -> String {
    match told.mistake {
        Some(mistake) => mistake,
        None if !leads => "the feed does not lead to what there is".to_owned(),
        None if told.read == 0 => format!("{keys} keys"),
        None => format!("{keys} keys, {} to be read", told.read),
    }
}

fn slot(world: &mut World) -> Result<()> {
    world.may_refuse();
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    make(world, "6 keys", &NewFeed::default())?;
    world.write(&puts(2, 2..9, 60))?;
    world.checkpoint()?;
    world.write(&deletes([0, 5]))?;
    world.advance(10);
    world.maintain(1 << 20)?;
    confirm(world, "7 keys", usize::MAX)?;
    world.write(&puts(3, [5, 7, 11], 900))?;
    world.reopen()?;
    // Part of a commit is as good as nothing of it.
    confirm(world, "7 keys", 2)?;
    world.advance(10);
    world.checkpoint()?;
    world.write(&deletes([7]))?;
    confirm(world, "8 keys", usize::MAX)?;
    world.maintain(1 << 20)?;
    world.write(&puts(4, 0..3, 60))?;
    world.advance(10);
    world.checkpoint()?;
    discard(world)?;
    world.checkpoint()?;
    world.write(&puts(5, 0..3, 60))
}

/// A snapshot that is read in parts, while what it shows changes.
fn slot_snapshot(world: &mut World) -> Result<()> {
    world.may_refuse();
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    make(world, "6 keys, 6 to be read", &NewFeed { from: FeedStart::Snapshot, ..NewFeed::default() })?;
    world.write(&puts(2, [1, 4, 8], 60))?;
    confirm(world, "6 keys, 4 to be read", 2)?;
    world.advance(10);
    world.checkpoint()?;
    world.write(&deletes([0, 5]))?;
    world.reopen()?;
    confirm(world, "6 keys, 1 to be read", 3)?;
    world.advance(10);
    world.checkpoint()?;
    world.write(&puts(3, [5], 60))?;
    confirm(world, "6 keys", usize::MAX)?;
    world.write(&deletes([4]))
}

/// Its reader does not come for too long: that is said, and another begins anew.
fn slot_lost(world: &mut World) -> Result<()> {
    world.may_refuse();
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    make(world, "6 keys", &SMALL)?;
    world.write(&puts(2, 2..9, 60))?;
    world.advance(10);
    world.checkpoint()?;
    note(world, "lost", &puts(3, 0..9, 4_000))?;
    let late = world.database().feed_slot(NAME);
    world.expect(late.is_err_and(|error| error.code() == Code::FeedLost), "a lost slot is resumed");
    world.advance(10);
    world.checkpoint()?;
    world.write(&deletes([1]))?;
    discard(world)?;
    make(world, "8 keys, 8 to be read", &NewFeed { from: FeedStart::Snapshot, ..SMALL })?;
    world.write(&deletes([2]))?;
    confirm(world, "7 keys", usize::MAX)
}

fn make(world: &mut World, stands: &str, new: &NewFeed) -> Result<()> {
    step(world, Some(stands), |database| database.create_feed(NAME, new))
}

fn discard(world: &mut World) -> Result<()> {
    step(world, None, |database| database.drop_feed(NAME))
}

/// Reads so many changes, or all, and confirms them.
fn confirm(world: &mut World, stands: &str, count: usize) -> Result<()> {
    let before = world.lived.state().get(b"~slot".as_slice()).cloned();
    let confirm = |database: &Database| {
        let mut slot = database.feed_slot(NAME)?;
        let reached = read(&mut slot, count)?;
        slot.ack(reached)
    };
    if before.as_deref() == Some(stands.as_bytes()) {
        // Nothing that it could confirm: no commit comes of it.
        return confirm(&world.database());
    }
    step(world, Some(stands), confirm)
}

/// Where the slot has got to after so many changes of entries.
fn read(slot: &mut Slot, count: usize) -> Result<Position> {
    let mut left = count;
    while left > 0
        && let Some(change) = slot.try_next()?
    {
        left -= usize::from(matches!(change.event, Event::Entry(_)));
    }
    Ok(slot.reached().clone())
}

/// Writes, whereupon the slot stands like this.
fn note(world: &mut World, stands: &str, edits: &Edits) -> Result<()> {
    let mut state = world.edited(edits);
    state.insert(b"~slot".to_vec(), stands.as_bytes().to_vec());
    world.write_as(Durability::Sync, state, edits)
}

/// Changes the slot, and nothing of the keys.
fn step(world: &mut World, stands: Option<&str>, change: impl FnOnce(&Database) -> Result<()>) -> Result<()> {
    let mut state = (*world.lived.state()).clone();
    match stands {
        Some(stands) => state.insert(b"~slot".to_vec(), stands.as_bytes().to_vec()),
        None => state.remove(b"~slot".as_slice()),
    };
    world.commit(Durability::Sync, state, |database| {
        change(database)?;
        Ok(database.last_commit())
    })
}
