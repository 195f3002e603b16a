//! History: versions in memory and in runs, merged and expired, and reads of the past.

use dosql::{Durability, Result};

use super::{deletes, key, puts};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::{World, keys};

const SHORT: Settings = Settings { retention: 5_000, history_runs: 2, ..Settings::DEFAULT };

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("history-run", history_run),
    Scenario::keys("run-merge", run_merge).with(Settings { history_runs: 1, ..Settings::DEFAULT }),
    Scenario::keys("retention", retention).with(SHORT),
    Scenario::keys("no-retention", no_retention).with(Settings { retention: 0, ..Settings::DEFAULT }),
    Scenario::keys("as-of", as_of),
    Scenario::keys("tag", tag).with(SHORT),
    Scenario::keys("delete-history", delete_history).with(SHORT),
];

fn history_run(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..6, 80))?;
    world.advance(50);
    world.write(&puts(2, 0..3, 80))?;
    world.write(&deletes([4]))?;
    world.advance(50);
    world.checkpoint()?;
    world.write(&puts(3, 1..5, 80))?;
    world.advance(50);
    world.write(&deletes([1, 4]))?;
    world.checkpoint()?;
    world.write(&puts(4, [4], 80))
}

fn run_merge(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..7 {
        world.write(&puts(n, n % 3..n % 3 + 4, 150))?;
        world.advance(100);
        world.write(&deletes([n % 5]))?;
        world.checkpoint()?;
    }
    Ok(())
}

/// Versions that are older than the retention go, and their pages with them.
fn retention(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..9 {
        world.write(&puts(n, n % 3..n % 3 + 4, 400))?;
        world.advance(900);
        world.write(&deletes([n % 3 + 1]))?;
        world.advance(900);
        if n % 2 == 0 {
            world.checkpoint()?;
            world.examine()?;
        }
    }
    // What is gone stays gone, whatever the clock says later.
    world.write(&puts(20, [5], 40))?;
    world.step_back(4_000);
    world.examine()
}

fn no_retention(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..6 {
        world.write(&puts(n, n..n + 3, 100))?;
        world.advance(10);
        world.write_with(Durability::None, &deletes([n]))?;
        if n % 2 == 0 {
            world.checkpoint()?;
        }
    }
    world.examine()
}

/// What was current when a tag was made stays, past the retention, and goes with the tag.
fn tag(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..7 {
        world.write(&puts(n, n % 3..n % 3 + 4, 200))?;
        world.write(&deletes([n % 3 + 1]))?;
        if n % 2 == 1 {
            world.tag(&format!("tag{n}"))?;
        }
        world.advance(7_000);
        if n % 3 == 0 {
            world.checkpoint()?;
        }
    }
    world.advance(7_000);
    world.write(&puts(20, 0..6, 40))?;
    world.checkpoint()?;
    let kept = world.database().tags().len();
    world.expect(kept == 3, "a tag is gone");
    world.examine()?;
    let database = world.database();
    let tag = database.tags().swap_remove(0);
    world.drop_tag(&tag.name)?;
    world.advance(7_000);
    world.write(&puts(21, [0], 40))?;
    world.checkpoint()?;
    let gone = database.read_at(tag.at).is_err();
    world.expect(gone, "what a tag kept is read without it");
    world.examine()
}

/// History that was deleted is gone, but for what a tag keeps, whenever the power fails.
fn delete_history(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..5 {
        world.write(&puts(n, n % 3..n % 3 + 4, 200))?;
        world.advance(100);
        world.write(&deletes([n % 3 + 1]))?;
        if n == 2 {
            world.tag("kept")?;
            world.checkpoint()?;
        }
    }
    let database = world.database();
    let before = database.last_commit();
    world.advance(10);
    world.write(&puts(9, [1], 40))?;
    world.delete_history(before)?;
    let old = dosql::Timestamp::from_micros(before.as_micros() - 1);
    let gone = database.read_at(old).is_err();
    world.expect(gone, "deleted history is read");
    world.write(&puts(10, [2], 40))?;
    let tags = database.tags();
    let kept = tags.iter().all(|tag| keys(&database, Some(tag.at)).is_ok());
    world.expect(kept && tags.len() == 1, "what the tag keeps went with the rest");
    Ok(())
}

/// What was read as of a moment stays as it was read, whatever is committed later.
fn as_of(world: &mut World) -> Result<()> {
    world.open()?;
    for n in 1..6 {
        world.write(&puts(n, [0, n], 60))?;
        world.advance(200);
        let database = world.database();
        // The present moment, which no commit has taken yet: reading it must keep commits from taking it.
        let at = database.now();
        let then = keys(&database, Some(at))?;
        let reader = database.read_at(at)?;
        world.write(&puts(n + 10, [0], 60))?;
        if n % 2 == 0 {
            world.checkpoint()?;
        }
        let again = keys(&database, Some(at))?;
        world.expect(again == then, "the same moment gave other rows later");
        let held = reader.get(&database.keyspace("space")?, key(0))?;
        world
            .expect(held.as_deref() == then.get(&key(0)).map(Vec::as_slice), "a reader of the past moved on");
    }
    world.examine()
}
