//! The sweep over one scenario: a crash and a fault at each of its calls, a judgement of everything that is left.
//!
//! ```text
//! live to call n --> crash --> images, one a damage mode --> reopen, judge, go on
//!                                       |
//!                                       +--> crash again at each call of the recovery --> images --> judge
//! live, call n fails, once or from then on --> the handle is judged --> restart of the process, power cut --> judge
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use dosql::{Code, Error};
use dosql_wal::{CrashDirectory, Surviving};

use super::scenario::Scenario;
use super::world::{World, is_fair};

/// How much of it to do.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    /// Seeds for the damage modes that have one, a crash.
    pub(crate) seeds: u64,
    /// Of the images of a crash, those on which the recovery is crashed too.
    pub(crate) again: u64,
    /// The same, a crash of the recovery.
    pub(crate) again_seeds: u64,
    /// End at the first violation.
    pub(crate) hasty: bool,
}

/// What a sweep did and found.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    pub(crate) crash_states: u64,
    pub(crate) fault_states: u64,
    pub(crate) violations: Vec<String>,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Figures) {
        self.calls = self.calls.max(other.calls);
        self.crash_states += other.crash_states;
        self.fault_states += other.fault_states;
        self.violations.extend(other.violations);
    }

    fn enough(&self, depth: Depth) -> bool {
        depth.hasty && !self.violations.is_empty()
    }
}

/// How many calls the scenario makes when nothing goes wrong, and what is wrong even so.
pub(crate) fn rehearse(scenario: &'static Scenario) -> Figures {
    let mut world = World::new(scenario);
    let lived = guarded(|| {
        if let Err(error) = (scenario.live)(&mut world) {
            world.lived.mistake(format!("without any fault: {error:?}"));
        }
        world.notice();
        std::mem::take(&mut world.lived.mistakes)
    });
    let mut figures = Figures { calls: world.calls(), ..Figures::default() };
    note(&mut figures, lived, scenario, "in peace");
    // A crash after the last call: what waits in memory is gone.
    for surviving in modes(figures.calls, 1) {
        let left = world.disk().survivor(surviving);
        figures.crash_states += 1;
        note(
            &mut figures,
            judge(world.on(left), false),
            scenario,
            &format!("crash at the end, {surviving:?}"),
        );
    }
    let examined = guarded(|| {
        if world.is_open()
            && let Err(error) = world.examine()
        {
            world.lived.mistake(format!("the examination failed: {error:?}"));
        }
        world.leave();
        std::mem::take(&mut world.lived.mistakes)
    });
    note(&mut figures, examined, scenario, "in peace");
    figures
}

/// Everything about one call.
pub(crate) fn sweep_call(scenario: &'static Scenario, call: u64, depth: Depth) -> Figures {
    let mut figures = Figures::default();
    crash_at(scenario, call, depth, &mut figures);
    if !figures.enough(depth) {
        super::faults::fault_at(scenario, call, depth, &mut figures);
    }
    figures
}

fn crash_at(scenario: &'static Scenario, call: u64, depth: Depth, figures: &mut Figures) {
    let mut world = World::new(scenario);
    world.stop_at(call);
    let lived = guarded(|| {
        let result = (scenario.live)(&mut world);
        world.notice();
        world.leave();
        blame(&mut world, result.err());
        std::mem::take(&mut world.lived.mistakes)
    });
    note(figures, lived, scenario, &format!("before the crash at call {call}"));
    for (number, surviving) in modes(call, depth.seeds).enumerate() {
        if figures.enough(depth) {
            return;
        }
        let left = world.disk().survivor(surviving);
        let place = format!("crash at call {call}, {surviving:?}");
        if (number as u64) < depth.again {
            crash_again(&world, &left, &place, depth, figures);
        }
        figures.crash_states += 1;
        note(figures, judge(world.on(left), false), scenario, &place);
    }
}

/// Crashes at each call of the recovery of `left`, and after the last.
fn crash_again(world: &World, left: &CrashDirectory, place: &str, depth: Depth, figures: &mut Figures) {
    for call in 0.. {
        if figures.enough(depth) {
            return;
        }
        let mut recovering = world.on(left.survivor(Surviving::Everything));
        recovering.stop_at(call);
        let opened = guarded(|| {
            // Whatever it answers, it is what it leaves that counts; but what it found, if it got so far, it must keep.
            let _ = recovering.open();
            recovering.leave();
            std::mem::take(&mut recovering.lived.mistakes)
        });
        let place = format!("{place}, again at call {call} of the recovery");
        note(figures, opened, world.scenario, &place);
        let stopped = recovering.stopped();
        for surviving in modes(call, depth.again_seeds) {
            let left = recovering.disk().survivor(surviving);
            figures.crash_states += 1;
            note(
                figures,
                judge(recovering.on(left), true),
                world.scenario,
                &format!("{place}, {surviving:?}"),
            );
        }
        if !stopped {
            return;
        }
    }
}

/// The damage modes: what is left of the unsynced.
fn modes(call: u64, seeds: u64) -> impl Iterator<Item = Surviving> {
    let seeded = (0..seeds).flat_map(move |n| {
        let seed = call.wrapping_mul(1_000_003) + n;
        [Surviving::Some(seed), Surviving::Garbage(seed), Surviving::Torn(seed), Surviving::Prefix(seed)]
    });
    seeded.chain([Surviving::Nothing, Surviving::Everything, Surviving::Last, Surviving::AllButFirst])
}

/// What is wrong with what was left: opens it, looks at everything and goes on. `brief`: only as far as it differs from the judgement of the
/// first crash.
pub(crate) fn judge(mut world: World, brief: bool) -> Vec<String> {
    guarded(|| {
        let mut steps = || {
            world.open()?;
            world.examine()?;
            if brief { Ok(()) } else { world.go_on() }
        };
        let result = steps();
        world.leave();
        if let Err(error) = result {
            // Garbage where a database was being made is no trace of one.
            if world.lived.made || error.code() != Code::NotADb {
                world.lived.mistake(format!("it does not open or go on: {error:?}"));
            }
        }
        std::mem::take(&mut world.lived.mistakes)
    })
}

/// An error of a life in which something was made to fail must be of a kind that says so.
pub(crate) fn blame(world: &mut World, error: Option<Error>) {
    if let Some(error) = error
        && !is_fair(&error)
    {
        world.lived.mistake(format!("a wrong answer to a fault: {error:?}"));
    }
}

/// A panic is a mistake like any other.
pub(crate) fn guarded(body: impl FnOnce() -> Vec<String>) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no text");
        vec![format!("panicked: {text}")]
    })
}

pub(crate) fn note(figures: &mut Figures, mistakes: Vec<String>, scenario: &Scenario, place: &str) {
    let tell = |mistake: String| format!("{}: {place}: {mistake}", scenario.name);
    figures.violations.extend(mistakes.into_iter().map(tell));
}
