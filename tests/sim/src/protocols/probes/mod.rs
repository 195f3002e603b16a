//! Protocols that no crash exercises: damage to what is stored, files that do not belong together, two openers, objects of the
//! segment store.

mod away;
mod damage;
mod merging;
mod moving;
mod older;
mod openers;
mod owners;
mod segments;
mod waiting;

use super::sweep::{Depth, Figures, guarded};

/// One of them. It notes what it finds in the figures.
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    run: fn(&mut Tally),
}

/// All of them.
pub(crate) const PROBES: &[Probe] = &[
    Probe { name: "damaged-pages", run: damage::pages },
    Probe { name: "damaged-meta", run: damage::meta },
    Probe { name: "damaged-log", run: damage::log },
    Probe { name: "strange-log", run: openers::strange_log },
    Probe { name: "orphaned-log", run: openers::orphaned_log },
    Probe { name: "two-openers", run: openers::two_openers },
    Probe { name: "segments", run: segments::segments },
    Probe { name: "segment-names", run: segments::names },
    Probe { name: "segment-merges", run: merging::merges },
    Probe { name: "moving", run: moving::moving },
    Probe { name: "store-away", run: away::store_away },
    Probe { name: "older-slot", run: older::older_slot },
    Probe { name: "two-owners", run: owners::two_owners },
    Probe { name: "checkpoint-waits", run: waiting::checkpoint_waits },
];

impl Probe {
    pub(crate) fn sweep(&self, depth: Depth) -> Figures {
        let mut tally = Tally { hasty: depth.hasty, cases: 0, mistakes: Vec::new() };
        let panicked = guarded(|| {
            (self.run)(&mut tally);
            Vec::new()
        });
        let violations = tally.mistakes.into_iter().chain(panicked);
        Figures {
            calls: 0,
            crash_states: 0,
            fault_states: tally.cases,
            violations: violations.map(|mistake| format!("{}: {mistake}", self.name)).collect(),
        }
    }
}

/// Counts the cases of a probe and collects what is wrong.
pub(crate) struct Tally {
    hasty: bool,
    cases: u64,
    mistakes: Vec<String>,
}

impl Tally {
    /// Judges one case: its mistakes, if it has any. False where the probe should end.
    fn case(&mut self, place: impl Fn() -> String, judge: impl FnOnce() -> Vec<String>) -> bool {
        self.cases += 1;
        let found = guarded(judge);
        self.mistakes.extend(found.into_iter().map(|mistake| format!("{}: {mistake}", place())));
        !self.hasty || self.mistakes.is_empty()
    }
}
