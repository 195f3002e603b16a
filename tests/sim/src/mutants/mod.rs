//! The test of the tests: each switch that weakens the engine is turned on in turn, and a protocol must notice.
//!
//! `dosql-sim mutants [--only NAME] [--threads N]` prints a line a switch and ends with `n of n caught`.

mod list;

use std::sync::atomic::{AtomicUsize, Ordering};

use dosql_base::mutant::{weaken, weakness_was_reached};
use lexopt::Parser;
use lexopt::prelude::*;
use parking_lot::Mutex;

use crate::protocols::{Depth, Figures, PROBES, all_scenarios, rehearse, sweep_call};
use list::{MUTANTS, Mutant};

/// A violation is told up to so many characters.
const TOLD: usize = 110;

/// Less of each protocol than the protocols' own command does: a weakness shows early, and the first violation will do.
const DEPTH: Depth = Depth { seeds: 2, again: 2, again_seeds: 1, hasty: true };

pub(crate) fn command(mut parser: Parser) -> Result<bool, lexopt::Error> {
    let (mut only, mut threads) = (None, 2usize);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("only") => only = Some(parser.value()?.string()?),
            Long("threads") => threads = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let chosen: Vec<&Mutant> =
        MUTANTS.iter().filter(|mutant| only.as_ref().is_none_or(|only| only == mutant.name)).collect();
    let verdicts = Mutex::new(vec![None; chosen.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = chosen.get(place) else { return };
                    verdicts.lock()[place] = Some(hunt(mutant));
                }
            });
        }
    });
    let verdicts: Vec<Verdict> = verdicts.into_inner().into_iter().flatten().collect();
    Ok(report(&chosen, &verdicts))
}

/// What became of a switch.
#[derive(Clone)]
enum Verdict {
    Caught {
        protocol: &'static str,
        violation: String,
    },
    Survived,
    /// No place asked for it: its name is wrong, or its protocols do not come by.
    NeverAsked,
}

/// Runs the protocols that must notice the switch until one does.
fn hunt(mutant: &Mutant) -> Verdict {
    weaken(Some(mutant.name));
    let mut reached = false;
    for &protocol in mutant.noticed_by {
        let violation = first_violation(protocol);
        reached |= weakness_was_reached();
        if let Some(violation) = violation {
            weaken(None);
            return Verdict::Caught { protocol, violation };
        }
    }
    weaken(None);
    if reached { Verdict::Survived } else { Verdict::NeverAsked }
}

fn first_violation(protocol: &str) -> Option<String> {
    let first = |figures: Figures| figures.violations.into_iter().next();
    if let Some(probe) = PROBES.iter().find(|probe| probe.name == protocol) {
        return first(probe.sweep(DEPTH));
    }
    let scenario = all_scenarios().into_iter().find(|scenario| scenario.name == protocol)?;
    let figures = rehearse(scenario);
    let calls = figures.calls;
    first(figures).or_else(|| (0..calls).find_map(|call| first(sweep_call(scenario, call, DEPTH))))
}

fn report(mutants: &[&Mutant], verdicts: &[Verdict]) -> bool {
    let mut caught = 0;
    for (mutant, verdict) in mutants.iter().zip(verdicts) {
        let said = match verdict {
            Verdict::Caught { protocol, violation } => {
                caught += 1;
                format!("caught by {protocol}: {}", violation.chars().take(TOLD).collect::<String>())
            }
            Verdict::Survived => format!("SURVIVED ({}: {})", mutant.place, mutant.weakens),
            Verdict::NeverAsked => format!("NEVER ASKED FOR ({})", mutant.place),
        };
        println!("{:<30}{said}", mutant.name);
    }
    println!("{caught} of {} caught", mutants.len());
    caught == mutants.len() && caught > 0
}
