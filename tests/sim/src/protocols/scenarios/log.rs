//! The log: records over several segments, segments that are recycled, tails that are torn, recoveries.

use dosql::{Durability, Result};
use dosql_wal::Surviving;

use super::{deletes, puts};
use crate::protocols::scenario::Scenario;
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("large-commit", large_commit),
    Scenario::keys("log-recycle", log_recycle),
    Scenario::keys("log-shrinks", log_shrinks),
    Scenario::keys("reopen", reopen),
    Scenario::keys("process-dies", process_dies),
    Scenario::keys("torn-tail", torn_tail),
    Scenario::keys("torn-tail-again", torn_tail_again),
    Scenario::keys("torn-tail-first", torn_tail_first),
];

/// One commit over several segments of the log.
fn large_commit(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..2, 50))?;
    world.write(&puts(2, 0..12, 900))?;
    world.write(&puts(3, [3], 20))?;
    world.write(&puts(4, 2..20, 700))
}

fn log_recycle(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..9 {
        world.write(&puts(n, n..n + 3, 1_300))?;
        if n % 2 == 0 {
            world.checkpoint()?;
        }
    }
    Ok(())
}

/// More segments are trimmed at once than are kept for reuse.
fn log_shrinks(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..3 {
        world.write(&puts(n, 0..40, 900))?;
        world.checkpoint()?;
        world.write(&puts(n + 10, [1], 30))?;
    }
    Ok(())
}

fn reopen(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..5 {
        world.write(&puts(n, n..n + 3, 200))?;
        world.write_with(Durability::None, &puts(n + 10, [n, 20], 300))?;
        if n == 3 {
            world.checkpoint()?;
        }
        world.reopen()?;
    }
    Ok(())
}

/// What was written and not synced is found by the next process, which must then make it durable.
fn process_dies(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..4 {
        world.write(&puts(n, [n, 0], 100))?;
        world.write_with(Durability::None, &puts(n + 10, [n, 5], 1_500))?;
        world.process_dies()?;
    }
    world.checkpoint()?;
    world.write_with(Durability::None, &deletes([5]))?;
    world.process_dies()?;
    world.write(&puts(9, [9], 40))
}

/// The power fails with commits under way, and the same commits are made again over what it left.
fn torn_tail(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..3, 60))?;
    for round in 0..4 {
        for n in 2..6 {
            world.write_with(Durability::None, &puts(n + round, [n, n + 1], 700))?;
        }
        world.power_cut(u64::from(round), Surviving::Some(u64::from(round)))?;
    }
    world.write(&puts(20, [2], 30))
}

/// A record is lost that another followed; it is written again, the very same, and the one that followed must stay dropped.
fn torn_tail_again(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, [1], 30))?;
    for seed in 0..12 {
        repeat_lost(world, seed)?;
    }
    Ok(())
}

/// The same, where the lost record was the first after a checkpoint.
fn torn_tail_first(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, [1], 30))?;
    for seed in 0..12 {
        world.checkpoint()?;
        repeat_lost(world, seed)?;
    }
    Ok(())
}

fn repeat_lost(world: &mut World, seed: u64) -> Result<()> {
    let before = world.lived.commits.len();
    world.write_with(Durability::None, &puts(2, [2], 900))?;
    world.write_with(Durability::None, &puts(3, [3], 10))?;
    world.power_cut(1, Surviving::Some(seed))?;
    if world.lived.commits.len() == before {
        world.write_with(Durability::None, &puts(2, [2], 900))?;
        world.power_cut(1, Surviving::Everything)?;
    }
    world.write(&deletes([2, 3]))
}
