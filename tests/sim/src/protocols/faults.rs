//! A fault at one call of a scenario: the handle must say so or be as if the call had never been made, and what is stored must be what
//! was acknowledged.

use dosql::{ErrorKind, Result};
use dosql_wal::{DiskFault, Surviving};

use super::scenario::Scenario;
use super::sweep::{Depth, Figures, blame, guarded, judge, note};
use super::world::{Trouble, World};

/// Every kind of fault, once and from then on.
fn troubles(call: u64) -> impl Iterator<Item = Trouble> {
    let faults = [DiskFault::Io, DiskFault::Half(call), DiskFault::Full, DiskFault::Short, DiskFault::Lost];
    faults.into_iter().flat_map(|fault| [false, true].map(|sticky| Trouble { fault, sticky }))
}

/// Every kind of fault at this call.
pub(crate) fn fault_at(scenario: &'static Scenario, call: u64, depth: Depth, figures: &mut Figures) {
    for trouble in troubles(call) {
        if depth.hasty && !figures.violations.is_empty() {
            return;
        }
        let place = format!("{trouble:?} at call {call}");
        let mut world = World::new(scenario);
        world.trouble_at(call, trouble);
        let lived = guarded(|| {
            let result = (scenario.live)(&mut world);
            world.notice();
            world.heal();
            blame(&mut world, result.err());
            if let Err(error) = judge_handle(&mut world) {
                world.lived.mistake(format!("the handle after the fault: {error:?}"));
            }
            world.leave();
            std::mem::take(&mut world.lived.mistakes)
        });
        note(figures, lived, scenario, &place);
        for surviving in
            [Surviving::Nothing, Surviving::Everything, Surviving::Some(call), Surviving::Garbage(call)]
        {
            let left = world.disk().survivor(surviving);
            figures.fault_states += 1;
            note(figures, judge(world.on(left), true), scenario, &format!("{place}, then {surviving:?}"));
        }
        figures.fault_states += 2;
        let found = lost_after_restart(&world);
        note(figures, found, scenario, &format!("{place}, then a restart and a power cut"));
        let next = world.on(world.disk().killed());
        note(figures, judge(next, false), scenario, &format!("{place}, then a restart"));
    }
}

/// What the next process finds, and others may have seen through it, is durable: a power cut takes none of it.
fn lost_after_restart(world: &World) -> Vec<String> {
    let mut next = world.on(world.disk().killed());
    let mut mistakes = guarded(|| {
        if let Err(error) = next.open() {
            next.lived.mistake(format!("it does not open: {error:?}"));
        }
        std::mem::take(&mut next.lived.mistakes)
    });
    if next.is_open() {
        mistakes.extend(judge(next.on(next.disk().survivor(Surviving::Nothing)), true));
    }
    mistakes
}

/// The handle is closed for good, or shows what was committed and goes on.
fn judge_handle(world: &mut World) -> Result<()> {
    if !world.is_open() {
        return Ok(());
    }
    let database = world.database();
    if database.is_poisoned() {
        let refused = database.begin_write().is_err_and(|error| error.kind() == ErrorKind::Closed);
        world.expect(refused, "a failed database takes writes");
        return Ok(());
    }
    let found = (world.scenario.observe)(&database, None)?;
    let right = found == *world.lived.state();
    world.expect(right, "the handle shows something else than what was committed");
    let touched = database.write(|tx| tx.put(&database.keyspace("after")?, "touched", "1"));
    match touched {
        Err(error) if !database.is_poisoned() => Err(error),
        _ => Ok(()),
    }
}
