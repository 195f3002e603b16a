//! Feed slots: made, confirmed, and what their readers get that come again.

use dosql::feed::{Event, NewFeed};
use dosql::{Code, Database, Durability, Error, ErrorKind, Result, Timestamp};

use super::{deletes, puts};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::{World, keys};

pub(super) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "slot", settings: FORGETTING, live: slot, observe }];

/// Little is kept but for the slot.
const FORGETTING: Settings = Settings { retention: 1, history_runs: 1, ..Settings::DEFAULT };

const NAME: &str = "lake";

/// The keys, and by way of the slot once more: what was confirmed with what is told after it makes what there is. Where it has been
/// confirmed is a key of its own.
fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    if at.is_some() {
        let message = "a slot is what it is now";
        return Err(Error::new(ErrorKind::InvalidInput, Code::AsOfExpired, message));
    }
    let mut state = keys(database, None)?;
    let known = database.feeds().into_iter().find(|feed| feed.name == NAME);
    let Some(known) = known else { return Ok(state) };
    let mut told = keys(database, Some(known.confirmed))?;
    let mut confirmed = format!("{} keys", told.len());
    let mut slot = database.feed_slot(NAME)?;
    while let Some(change) = slot.try_next()? {
        if let Event::Entry(entry) = change.event {
            match entry.after {
                Some(value) => drop(told.insert(entry.key, value.to_vec())),
                None => drop(told.remove(&entry.key)),
            }
        }
    }
    if told != state {
        confirmed.push_str(", and the feed does not lead to what there is");
    }
    state.insert(b"~confirmed".to_vec(), confirmed.into_bytes());
    Ok(state)
}

fn slot(world: &mut World) -> Result<()> {
    world.may_refuse();
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    step(world, "6 keys", |database| database.create_feed(NAME, &NewFeed::default()).map(drop))?;
    world.write(&puts(2, 2..9, 60))?;
    world.checkpoint()?;
    world.write(&deletes([0, 5]))?;
    world.advance(10);
    world.checkpoint()?;
    acknowledge(world, "7 keys")?;
    world.write(&puts(3, [5, 7, 11], 900))?;
    world.reopen()?;
    world.advance(10);
    world.checkpoint()?;
    world.write(&deletes([7]))?;
    acknowledge(world, "8 keys")?;
    world.write(&puts(4, 0..3, 60))
}

/// Confirms all that there is.
fn acknowledge(world: &mut World, keys: &str) -> Result<()> {
    step(world, keys, |database| {
        let mut slot = database.feed_slot(NAME)?;
        while slot.try_next()?.is_some() {}
        let reached = slot.position().clone();
        slot.ack(reached)
    })
}

/// Changes the slot, and nothing of the keys.
fn step(world: &mut World, keys: &str, change: impl FnOnce(&Database) -> Result<()>) -> Result<()> {
    let mut state = (*world.lived.state()).clone();
    state.insert(b"~confirmed".to_vec(), keys.as_bytes().to_vec());
    world.commit(Durability::Sync, state, |database| {
        change(database)?;
        Ok(database.last_commit())
    })
}
