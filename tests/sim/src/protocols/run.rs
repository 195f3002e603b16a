//! The command: all scenarios over all calls, on several threads, and the figures.

use std::sync::atomic::{AtomicUsize, Ordering};

use lexopt::Parser;
use lexopt::prelude::*;
use parking_lot::Mutex;

use super::probes::PROBES;
use super::scenario::Scenario;
use super::scenarios;
use super::sweep::{Depth, Figures, rehearse, sweep_call};

/// Violations that are told in full.
const MOST_TOLD: usize = 20;

struct Arguments {
    scenario: Option<String>,
    depth: Depth,
    threads: usize,
}

impl Arguments {
    fn parse(mut parser: Parser) -> Result<Arguments, lexopt::Error> {
        let depth = Depth { seeds: 6, again: 3, again_seeds: 1, hasty: false };
        let mut arguments = Arguments { scenario: None, depth, threads: 2 };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("scenario") => arguments.scenario = Some(parser.value()?.string()?),
                Long("seeds") => arguments.depth.seeds = parser.value()?.parse()?,
                Long("again") => arguments.depth.again = parser.value()?.parse()?,
                Long("threads") => arguments.threads = parser.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(arguments)
    }
}

/// One call of one scenario to sweep.
struct Job {
    scenario: usize,
    call: u64,
}

pub(crate) fn command(parser: Parser) -> Result<bool, lexopt::Error> {
    let arguments = Arguments::parse(parser)?;
    if arguments.scenario.is_none() {
        // A panic is told as a violation; where one scenario is looked at, its place is of interest too.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let wanted = |name: &str| arguments.scenario.as_ref().is_none_or(|wanted| wanted == name);
    let scenarios: Vec<_> = scenarios::all().into_iter().filter(|scenario| wanted(scenario.name)).collect();
    let probes: Vec<_> = PROBES.iter().filter(|probe| wanted(probe.name)).collect();
    let mut lines: Vec<(&str, Figures)> = Vec::new();
    lines.extend(probes.iter().map(|probe| (probe.name, probe.sweep(arguments.depth))));
    lines.extend(scenarios.iter().map(|scenario| scenario.name).zip(sweep_all(&scenarios, &arguments)));
    Ok(report(lines))
}

fn sweep_all(scenarios: &[&'static Scenario], arguments: &Arguments) -> Vec<Figures> {
    let figures: Vec<Figures> = scenarios.iter().map(|scenario| rehearse(scenario)).collect();
    let mut jobs = Vec::new();
    for (scenario, figures) in figures.iter().enumerate() {
        jobs.extend((0..figures.calls).map(|call| Job { scenario, call }));
    }
    let figures = Mutex::new(figures);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let swept = sweep_call(scenarios[job.scenario], job.call, arguments.depth);
                    figures.lock()[job.scenario].add(swept);
                }
            });
        }
    });
    figures.into_inner()
}

fn report(lines: Vec<(&str, Figures)>) -> bool {
    let mut total = Figures::default();
    let some = !lines.is_empty();
    println!(
        "{:<20}{:>8}{:>14}{:>14}{:>12}",
        "scenario", "calls", "crash states", "other states", "violations"
    );
    let line = |name: &str, calls: u64, figures: &Figures| {
        let violations = figures.violations.len();
        println!(
            "{name:<20}{calls:>8}{:>14}{:>14}{violations:>12}",
            figures.crash_states, figures.fault_states
        );
    };
    let mut calls = 0;
    for (name, figures) in lines {
        line(name, figures.calls, &figures);
        calls += figures.calls;
        total.add(figures);
    }
    line("total", calls, &total);
    for violation in total.violations.iter().take(MOST_TOLD) {
        println!("{violation}");
    }
    some && total.violations.is_empty()
}
