//! Commits: how they become durable, one by one and together, and what a transaction keeps of what it did.

use dosql::{Database, Durability, ErrorKind, Result, Timestamp};

use super::{deletes, key, puts, value};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::{Edits, SPACE, World, keys};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("create", create),
    Scenario::keys("first-commit", first_commit),
    Scenario::keys("commits", commits),
    Scenario::keys("group", group),
    Scenario::keys("interval", interval),
    Scenario::keys("savepoints", savepoints),
    Scenario::keys("close", close),
    Scenario::keys("retry-when-full", retry_when_full),
    Scenario::keys("given-up-when-full", given_up_when_full),
    Scenario::keys("maintain", maintain),
    Scenario::keys("clock-back", clock_back),
    Scenario::keys("log-limit", log_limit).with(Settings { log_limit: 12 << 10, ..Settings::DEFAULT }),
];

fn create(world: &mut World) -> Result<()> {
    world.open()?;
    world.close()?;
    world.open()
}

fn first_commit(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, [1], 10))
}

fn commits(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..8 {
        let mut edits = puts(n, n..n + 4, 120);
        edits.extend(deletes([n - 1]));
        world.write(&edits)?;
        world.advance(u64::from(n % 3) * 10);
    }
    Ok(())
}

fn group(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..6 {
        world.write_with(Durability::None, &puts(n, n..n + 2, 200 * n as usize))?;
    }
    world.write(&puts(6, [0, 6], 300))?;
    for n in 7..10 {
        world.write_with(Durability::None, &puts(n, [n, 0], 150))?;
    }
    world.checkpoint()?;
    world.write_with(Durability::None, &puts(10, [3], 90))
}

/// What is older than the interval when the next commit comes is durable then.
fn interval(world: &mut World) -> Result<()> {
    const MICROS: u64 = 1_000;
    world.open()?;
    for n in 1..10 {
        world.advance(400);
        world.write_with(Durability::Interval(MICROS), &puts(n, [n, 0], 100))?;
        if n % 3 == 0 {
            world.lived.all_durable();
        }
    }
    Ok(())
}

fn savepoints(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..6, 50))?;
    for n in 2..5 {
        let kept: Edits = puts(n, [0, n], 60);
        let state = world.edited(&kept);
        world.commit(Durability::Sync, state, |database| {
            let space = database.keyspace(SPACE)?;
            let mut tx = database.begin_write()?;
            tx.put(&space, key(0), value(n, 60))?;
            let outer = tx.savepoint()?;
            tx.put(&space, key(1), value(n, 70))?;
            tx.delete(&space, key(2))?;
            let inner = tx.savepoint()?;
            tx.put(&space, key(30 + n), value(n, 2_000))?;
            tx.rollback_to(inner)?;
            tx.put(&space, key(40 + n), value(n, 9))?;
            tx.rollback_to(outer)?;
            tx.release(outer)?;
            tx.put(&space, key(n), value(n, 60))?;
            tx.commit()
        })?;
    }
    Ok(())
}

fn close(world: &mut World) -> Result<()> {
    world.open()?;
    world.write_with(Durability::None, &puts(1, 0..3, 100))?;
    world.write_with(Durability::None, &puts(2, 2..5, 100))?;
    world.close()?;
    world.open()?;
    world.write_with(Durability::None, &puts(3, 0..2, 100))?;
    world.reopen()?;
    world.write(&puts(4, [1], 100))?;
    world.close()
}

/// A commit that finds no room is tried again and then holds.
fn retry_when_full(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..5 {
        let edits = puts(n, n..n + 6, 900);
        let state = world.edited(&edits);
        world.commit(Durability::Sync, state, |database| {
            let space = database.keyspace(SPACE)?;
            let mut tx = database.begin_write()?;
            for (key, value) in &edits {
                tx.put(&space, key, value.as_deref().unwrap_or_default())?;
            }
            match tx.commit() {
                Err(error) if error.kind() == ErrorKind::NoSpace => tx.commit(),
                result => result,
            }
        })?;
        if n == 2 {
            world.checkpoint()?;
        }
    }
    Ok(())
}

/// A commit that fails midway has changed leaves, and looked at those beside them: readers see none of it.
fn given_up_when_full(world: &mut World) -> Result<()> {
    /// Every so many keys are there before, and every so many of these are changed: a few in each leaf.
    const THERE: u32 = 10;
    const CHANGED: usize = 12;
    const END: u32 = 1_500;
    let changed = |from: u32| (from * THERE..END).step_by(CHANGED * THERE as usize);
    world.open()?;
    world.write(&puts(1, (0..END).step_by(THERE as usize), 90))?;
    world.write(&puts(2, changed(0), 90))?;
    for n in 3..6 {
        let mut edits = puts(n, changed(n), 90);
        // As many new ones, in no order, as make a leaf ask its neighbours for room.
        let new = (0..60).map(|i| n * 200 + i * 37 % 120).filter(|new| new % THERE != 0);
        edits.extend(puts(n, new, 90));
        let (before, mut unseen) = (world.edited(&Edits::new()), true);
        world.commit(Durability::Sync, world.edited(&edits), |database| match write(database, &edits) {
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                unseen = keys(database, None)? == before;
                write(database, &edits)
            }
            result => result,
        })?;
        world.expect(unseen, "readers see what a failed commit did");
    }
    Ok(())
}

fn write(database: &Database, edits: &Edits) -> Result<Timestamp> {
    let space = database.keyspace(SPACE)?;
    let mut tx = database.begin_write()?;
    for (key, value) in edits {
        tx.put(&space, key, value.as_deref().unwrap_or_default())?;
    }
    tx.commit()
}

fn maintain(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..7 {
        world.write_with(Durability::None, &puts(n, n..n + 3, 400))?;
        // Either it makes a checkpoint, or it syncs the log only.
        if n % 2 == 0 {
            world.maintain(if n == 4 { 2_500 } else { 1 << 20 })?;
        }
    }
    Ok(())
}

/// A clock that steps back orders nothing.
fn clock_back(world: &mut World) -> Result<()> {
    world.open()?;
    world.advance(10_000);
    world.write(&puts(1, [1, 2], 40))?;
    world.step_back(9_000);
    world.write(&puts(2, [2, 3], 40))?;
    world.checkpoint()?;
    world.write(&puts(3, [3, 4], 40))?;
    world.step_back(900);
    world.reopen()?;
    world.write(&puts(4, [4, 5], 40))?;
    world.reopen()?;
    world.write(&puts(5, [1], 40))
}

/// Checkpoints that commits start by themselves.
fn log_limit(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..9 {
        world.write(&puts(n, n % 4..n % 4 + 5, 800))?;
    }
    Ok(())
}
