//! The newer meta slot is damaged, and the database goes back to the checkpoint before: the objects that it names are there.

use dosql::{ErrorKind, Result};
use dosql_wal::{CrashDirectory, Directory};

use super::Tally;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::scenarios::{deletes, puts};
use crate::protocols::world::World;

const PAGE: usize = 4096;
/// Moves and merges, one after the other.
const ROUNDS: u32 = 6;

static COLD: Scenario = Scenario::keys("older", |_| Ok(())).with(Settings {
    hot_budget: 1,
    history_runs: 1,
    ..Settings::DEFAULT
});

pub(super) fn older_slot(tally: &mut Tally) {
    let mut world = World::new(&COLD);
    let mut opened = 0;
    let lived = world.open().and_then(|()| {
        for round in 1..=ROUNDS {
            live(&mut world, round)?;
            for slot in 0..2 {
                let judge = || damaged(&world, slot, &mut opened);
                if !tally.case(|| format!("round {round}, slot {slot}"), judge) {
                    break;
                }
            }
        }
        Ok(())
    });
    let lived = lived.err().map(|error| format!("{error:?}"));
    let never = (opened == 0).then(|| "it never goes back".to_owned());
    tally.case(|| "the life".to_owned(), || lived.into_iter().chain(never).collect());
}

fn live(world: &mut World, round: u32) -> Result<()> {
    world.write(&puts(round, (0..20).filter(|key| key % round == 0), 150))?;
    world.write(&deletes([round]))?;
    world.checkpoint()?;
    world.maintain(1 << 20)?;
    world.checkpoint()
}

/// What is wrong after the loss of a slot. `opened` counts how often the database did without it.
fn damaged(world: &World, slot: usize, opened: &mut u32) -> Vec<String> {
    let disk = CrashDirectory::new();
    let names = world.disk().list().unwrap_or_default();
    for (name, mut bytes) in
        names.into_iter().filter_map(|it| Some((it.clone(), world.disk().contents(&it)?)))
    {
        if name == "pages" {
            bytes[slot * PAGE + 100] ^= 1;
        }
        disk.put(&name, bytes);
    }
    let mut other = world.on(disk);
    let result = other.open().and_then(|()| other.examine());
    let objects = |text: &str| text.contains("segment");
    match result {
        Ok(()) => *opened += 1,
        // The log since then may be gone, which is said.
        Err(error) if error.kind() == ErrorKind::Corrupt && !objects(error.message()) => {}
        Err(error) => other.lived.mistake(format!("{error:?}")),
    }
    other.leave();
    std::mem::take(&mut other.lived.mistakes)
}
