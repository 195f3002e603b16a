//! Branches: made, written beside main, merged and dropped.

use dosql::{Database, Durability, Error, Merge, NewBranch, Result, Timestamp};

use super::{deletes, puts};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::{Edits, SPACE, World, keys};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "branch", settings: MERGING, live: branch, observe },
    Scenario { name: "branch-kept", settings: FORGETTING, live: branch_kept, observe },
];

const MERGING: Settings = Settings { history_runs: 1, ..Settings::DEFAULT };
/// Nothing is kept but for branches.
const FORGETTING: Settings = Settings { retention: 0, ..MERGING };

/// The rows of the newest branch of a chain; those of main before there is one.
fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    for name in ["second", "first"] {
        match database.branch(name) {
            Ok(branch) => return keys(&branch, at),
            Err(error) if error.message().contains("no such branch") => {}
            Err(error) => return Err(error),
        }
    }
    keys(database, at)
}

fn branch_kept(world: &mut World) -> Result<()> {
    world.may_refuse();
    branch(world)
}

fn branch(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    world.write(&puts(2, 2..4, 60))?;
    fork(world, "main", "first")?;
    write_on(world, "first", &puts(3, 1..3, 60))?;
    aside(world, "main", &puts(4, 0..6, 200))?;
    write_on(world, "first", &deletes([0, 5]))?;
    world.checkpoint()?;
    aside(world, "main", &deletes([1, 2]))?;
    write_on(world, "first", &puts(5, [5, 7], 900))?;
    fork(world, "first", "second")?;
    aside(world, "first", &puts(6, 0..8, 60))?;
    write_on(world, "second", &deletes([7]))?;
    world.reopen()?;
    write_on(world, "second", &puts(7, [0, 7], 60))?;
    merge(world, "second", "first")?;
    aside(world, "first", &puts(8, [3], 60))?;
    world.database().drop_branch("first")?;
    world.checkpoint()?;
    write_on(world, "second", &puts(9, [3], 60))
}

/// Makes a branch, which changes no row that is looked at.
fn fork(world: &mut World, from: &str, name: &str) -> Result<()> {
    let state = (*world.lived.state()).clone();
    world.commit(Durability::Sync, state, |database| {
        Ok(database.branch(from)?.create_branch(name, &NewBranch::default())?.last_commit())
    })
}

fn edit(database: &Database, name: &str, edits: &Edits) -> Result<Timestamp> {
    let branch = database.branch(name)?;
    let space = branch.keyspace(SPACE)?;
    let mut tx = branch.begin_write()?;
    for (key, value) in edits {
        match value {
            Some(value) => tx.put(&space, key, value)?,
            None => tx.delete(&space, key)?,
        }
    }
    tx.commit()
}

fn write_on(world: &mut World, name: &str, edits: &Edits) -> Result<()> {
    let state = world.edited(edits);
    world.commit(Durability::Sync, state, |database| edit(database, name, edits))
}

/// Writes where nobody looks.
fn aside(world: &mut World, name: &str, edits: &Edits) -> Result<()> {
    let state = (*world.lived.state()).clone();
    world.commit(Durability::Sync, state, |database| edit(database, name, edits))
}

/// Merges the newest branch into another: that changes nothing on it.
fn merge(world: &mut World, from: &str, into: &str) -> Result<()> {
    let how = Merge { on_conflict: dosql::OnConflict::Theirs, ..Merge::default() };
    let state = (*world.lived.state()).clone();
    world.commit(Durability::Sync, state, |database| {
        let report = database.branch(into)?.merge(from, &how)?;
        report.commit.ok_or_else(|| Error::invalid("there was something to merge"))
    })
}
