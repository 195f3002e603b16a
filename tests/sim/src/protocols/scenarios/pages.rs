//! Checkpoints: pages, overflow chains, the free list and the meta slots.

use dosql::{Durability, Result};

use super::{deletes, key, puts, value};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("checkpoint", checkpoint),
    Scenario::keys("many-checkpoints", many_checkpoints).with(Settings { retention: 0, ..Settings::DEFAULT }),
    Scenario::keys("overflow", overflow),
    Scenario::keys("bulk", bulk),
    Scenario::keys("delete-all", delete_all),
    Scenario::keys("compact", compact).with(Settings { retention: 0, ..Settings::DEFAULT }),
    Scenario::keys("small-cache", small_cache).with(Settings { cache_bytes: 16 << 10, ..Settings::DEFAULT }),
];

fn checkpoint(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..10, 100))?;
    world.checkpoint()?;
    world.write(&puts(2, 5..15, 100))?;
    world.write_with(Durability::None, &deletes(0..3))?;
    world.checkpoint()?;
    world.write(&puts(3, [1], 100))
}

/// Pages are freed and used again, checkpoint after checkpoint, across reopenings.
fn many_checkpoints(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..9 {
        world.write(&puts(n, (0..30).filter(|k| k % 4 == n % 4), 500))?;
        world.checkpoint()?;
        if n % 4 == 0 {
            world.reopen()?;
        }
    }
    Ok(())
}

fn overflow(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..6 {
        let len = [9_000, 1_000, 30_000, 4_100, 20][n as usize - 1];
        world.write(&vec![(key(1), Some(value(n, len))), (key(n + 10), Some(value(n, 5_000)))])?;
        if n % 2 == 0 {
            world.checkpoint()?;
        }
    }
    world.write(&deletes([1, 11, 13]))?;
    world.checkpoint()
}

fn bulk(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..250, 60))?;
    world.checkpoint()?;
    world.write(&puts(2, (0..250).step_by(3), 90))?;
    world.checkpoint()
}

fn delete_all(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..80, 120))?;
    world.checkpoint()?;
    world.write(&deletes(0..80))?;
    world.checkpoint()?;
    world.write(&puts(2, 0..40, 120))?;
    world.write(&deletes(0..40))?;
    world.checkpoint()?;
    world.write(&puts(3, [7], 10))
}

/// Pages move down, long values too, and the end of the file is given back; then it grows again.
fn compact(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..40, 2_500))?;
    world.checkpoint()?;
    world.write(&deletes((0..40).filter(|k| k % 13 != 12)))?;
    let given_back = world.compact()?;
    world.expect(given_back > 100 << 10, "no space was given back");
    world.write(&puts(2, [3, 12], 2_500))
}

/// Pages leave memory and are read again from the file.
fn small_cache(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..5 {
        world.write(&puts(n, (0..90).filter(|k| k % 5 == n), 300))?;
        world.checkpoint()?;
        world.write(&puts(n + 10, [n * 7], 40))?;
    }
    Ok(())
}
