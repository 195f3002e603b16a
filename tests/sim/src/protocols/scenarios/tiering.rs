//! Rows and history on their way into segments, and what becomes of segments.

use dosql::{Durability, Result};

use super::{deletes, puts};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

const HOT: Settings = Settings { hot_budget: 8 << 10, history_runs: 2, ..Settings::DEFAULT };

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("move-rows", move_rows).with(HOT),
    Scenario::keys("write-over-moved", write_over_moved).with(Settings { hot_budget: 1, ..HOT }),
    Scenario::keys("move-history", move_history).with(Settings { hot_budget: 1, ..HOT }),
    Scenario::keys("move-unkept", write_over_moved).with(Settings { hot_budget: 1, retention: 0, ..HOT }),
    Scenario::keys("publish", publish).with(HOT),
];

/// More rows than may be hot, with commits in between.
fn move_rows(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..4 {
        world.write(&puts(n, n * 20..n * 20 + 25, 300))?;
        world.checkpoint()?;
        world.write_with(Durability::None, &puts(n + 10, [n * 3], 100))?;
        world.maintain(1 << 20)?;
    }
    world.reopen()?;
    world.write(&puts(20, 0..5, 100))
}

/// Rows that have moved are overwritten and deleted without being read, move again, and are merged.
fn write_over_moved(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..20, 200))?;
    world.maintain(0)?;
    world.checkpoint()?;
    for n in 2..5 {
        world.write(&puts(n, (0..20).filter(|k| k % n == 0), 150))?;
        world.write(&deletes([n, n * 3]))?;
        world.checkpoint()?;
        world.maintain(1 << 20)?;
    }
    world.reopen()?;
    world.write(&puts(9, [2, 3], 50))?;
    world.maintain(1 << 20)
}

/// So much is displaced that history moves too.
fn move_history(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..6 {
        world.write(&puts(n, 0..12, 500))?;
        world.checkpoint()?;
    }
    world.write(&deletes(3..6))?;
    world.maintain(1 << 20)?;
    world.reopen()?;
    world.write(&puts(9, 0..2, 100))
}

fn publish(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..30, 300))?;
    world.maintain(1 << 20)?;
    world.publish()?;
    for n in 2..5 {
        // Segments of the first point leave: it needs them all the same.
        world.write(&puts(n, 0..30, 300))?;
        world.maintain(1 << 20)?;
        world.checkpoint()?;
    }
    world.publish()?;
    world.reopen()?;
    world.write(&puts(5, [1], 100))?;
    world.checkpoint()
}
