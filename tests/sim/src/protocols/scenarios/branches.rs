//! Branches: made, written beside main, merged and dropped.

use dosql::{Database, Durability, Error, Merge, NewBranch, Result, Timestamp};

use super::{deletes, puts};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::told::leads_on;
use crate::protocols::world::{Edits, SPACE, World, keys};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "branch", settings: MERGING, live: branch, observe, told: false },
    Scenario { name: "branch-kept", settings: FORGETTING, live: branch_kept, observe, told: false },
    Scenario { name: "branch-told", settings: MERGING, live: branch, observe: observe_told, told: false },
    Scenario { name: "branch-cold", settings: COLD, live: branch_cold, observe: observe_told, told: false },
    Scenario {
        name: "branch-deep",
        settings: MERGING,
        live: branch_deep,
        observe: observe_deep,
        told: false,
    },
    Scenario { name: "merge-stored", settings: MERGING, live: merge_stored, observe: keys, told: false },
];

const MERGING: Settings = Settings { history_runs: 1, ..Settings::DEFAULT };
/// All rows move into segments.
const COLD: Settings = Settings { hot_budget: 1, ..MERGING };
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

/// As [`observe`]; and the feed of each branch tells all that came since it began.
fn observe_told(database: &Database, at: Option<Timestamp>) -> Result<State> {
    let mut state = observe(database, at)?;
    if at.is_some() {
        return Ok(state);
    }
    for known in database.branches() {
        let Some(fork) = known.fork else { continue };
        if let Some(mistake) = leads_on(&database.branch(&known.name)?, fork)? {
            state.insert(b"~told".to_vec(), mistake.into_bytes());
        }
    }
    Ok(state)
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

/// Rows of main and of branches over it move, are overwritten and deleted where they lie beneath, and move again.
fn branch_cold(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..8, 60))?;
    world.maintain(1 << 20)?;
    fork(world, "main", "first")?;
    write_on(world, "first", &puts(2, 1..4, 60))?;
    write_on(world, "first", &deletes([0, 2]))?;
    world.maintain(1 << 20)?;
    world.checkpoint()?;
    aside(world, "main", &deletes([1, 4]))?;
    aside(world, "main", &puts(3, [5, 9], 60))?;
    write_on(world, "first", &puts(4, [0, 5], 60))?;
    world.maintain(1 << 20)?;
    world.reopen()?;
    fork(world, "first", "second")?;
    write_on(world, "second", &deletes([3, 6]))?;
    world.maintain(1 << 20)?;
    merge(world, "second", "first")?;
    world.checkpoint()?;
    write_on(world, "second", &puts(5, [3], 60))?;
    world.maintain(1 << 20)
}

const CHAIN: [&str; 5] = ["main", "d1", "d2", "d3", "d4"];

/// As [`observe`], of a longer chain, after so many reads that its layers are put together.
fn observe_deep(database: &Database, at: Option<Timestamp>) -> Result<State> {
    for name in CHAIN.into_iter().rev() {
        match database.branch(name) {
            Ok(branch) => {
                let space = branch.keyspace(SPACE)?;
                for _ in 0..20 {
                    branch.read()?.get(&space, "not there")?;
                }
                return keys(&branch, at);
            }
            Err(error) if error.message().contains("no such branch") => {}
            Err(error) => return Err(error),
        }
    }
    keys(database, at)
}

/// Each branch changes and deletes a little of what lies beneath, which is too much to be put together with them.
fn branch_deep(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..8, 60))?;
    world.write(&puts(1, 20..52, 3000))?;
    for (n, pair) in CHAIN.windows(2).enumerate() {
        let n = n as u32;
        fork(world, pair[0], pair[1])?;
        write_on(world, pair[1], &puts(2 + n, [n, 10 + n], 60))?;
        write_on(world, pair[1], &deletes([7 - n]))?;
        aside(world, pair[0], &puts(20 + n, 0..8, 60))?;
        if n == 1 {
            world.checkpoint()?;
        }
    }
    world.reopen()?;
    write_on(world, "d4", &puts(9, [3, 7], 60))?;
    world.checkpoint()?;
    write_on(world, "d4", &deletes([12]))
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

/// Conflicts wait in the database, across a restart and beside other commits, until each is resolved. The branch has another name by then.
fn merge_stored(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..6, 60))?;
    fork(world, "main", "first")?;
    aside(world, "first", &puts(2, 1..4, 60))?;
    world.database().rename_branch("first", "draft")?;
    world.write(&puts(3, 2..6, 60))?;
    let same = (*world.lived.state()).clone();
    world.commit(Durability::Sync, same, |database| {
        let how = Merge { on_conflict: dosql::OnConflict::Store, ..Merge::default() };
        let report = database.merge("draft", &how)?;
        if report.conflicts.len() != 2 {
            return Err(Error::invalid("two keys were changed on both sides"));
        }
        Ok(database.last_commit())
    })?;
    world.reopen()?;
    world.write(&puts(4, [9], 60))?;
    let same = (*world.lived.state()).clone();
    world.commit(Durability::Sync, same, |database| {
        let first = "\"key\" = (SELECT min(\"key\") FROM dosql_conflicts)";
        let sql = format!("UPDATE dosql_conflicts SET resolution = iif({first}, 'theirs', 'ours')");
        database.connect()?.execute(&sql, ())?;
        Ok(database.last_commit())
    })?;
    world.checkpoint()?;
    // What one side alone changed comes along.
    let merged = world.edited(&puts(2, 1..3, 60));
    world.commit(Durability::Sync, merged, |database| {
        let report = database.continue_merge("draft")?;
        report.commit.ok_or_else(|| Error::invalid("there was something to merge"))
    })?;
    world.database().drop_branch("draft")?;
    world.write(&puts(5, [3], 60))
}
