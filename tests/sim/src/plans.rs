//! The commands about plans: many seeds at once, one seed again, the same seed twice.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::plan::Plan;
use crate::shrink::shrink;
use crate::world::{Figures, Outcome, World};

/// Operations of a plan.
const STEPS: usize = 160;
/// A plan that takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);
/// Violations after which looking on is no use.
const ENOUGH: usize = 20;

/// What the command line asks.
struct Arguments {
    seeds: u64,
    from: u64,
    steps: usize,
    threads: usize,
    shrink: bool,
}

/// Whether nothing was violated.
type Found = std::result::Result<bool, lexopt::Error>;

fn parse(mut parser: lexopt::Parser) -> std::result::Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut parsed = Arguments { seeds: 100, from: 0, steps: STEPS, threads, shrink: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => parsed.seeds = parser.value()?.parse()?,
            Long("from" | "seed") => parsed.from = parser.value()?.parse()?,
            Long("steps" | "step") => parsed.steps = parser.value()?.parse()?,
            Long("threads") => parsed.threads = parser.value()?.parse()?,
            Long("shrink") => parsed.shrink = true,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(parsed)
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of a plan are told as violations, not printed where they happen.
fn keep_panics() {
    std::panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|text| *text = info.to_string())));
}

/// Lives a plan; a panic is a violation too.
pub fn live(plan: &Plan, verbose: bool) -> Outcome {
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| World::live(plan, verbose)));
    lived.unwrap_or_else(|_| {
        let text = PANIC.with_borrow(|text| text.clone());
        let violation = Some((plan.operations.len(), format!("panic: {text}")));
        Outcome { figures: Figures { plans: 1, ..Figures::default() }, trace: 0, bytes: 0, violation }
    })
}

/// `plans --seeds N --from S [--steps K] [--threads T]`
pub fn plans(arguments: lexopt::Parser) -> Found {
    let arguments = parse(arguments)?;
    keep_panics();
    let started = Instant::now();
    let violations = Mutex::new(Vec::new());
    let figures = over_seeds(&arguments, |plan| {
        let outcome = live(plan, false);
        if let Some((step, text)) = &outcome.violation {
            violations.lock().push((plan.seed, *step, text.clone()));
        }
        (outcome.figures, violations.lock().len() < ENOUGH)
    });
    let mut violations = violations.into_inner();
    violations.sort();
    for (seed, step, text) in &violations {
        println!("VIOLATION in plan {seed}, operation {step}: {text}");
        println!("  dosql-sim replay --seed {seed} --steps {} --shrink", arguments.steps);
    }
    print(&arguments, &figures, started.elapsed());
    println!("{} violations", violations.len());
    Ok(violations.is_empty())
}

fn print(arguments: &Arguments, figures: &Figures, time: Duration) {
    println!(
        "plans {} (seeds from {}), operations {}, statements {}, commits {}, conflicts {}",
        figures.plans,
        arguments.from,
        figures.operations,
        figures.statements,
        figures.commits,
        figures.conflicts
    );
    println!(
        "crashes {}, kills {}, faults {}, crash states checked {}, I/O calls {}, seconds {:.1}",
        figures.crashes,
        figures.kills,
        figures.faults,
        figures.states,
        figures.calls,
        time.as_secs_f64()
    );
}

/// Runs every seed's plan, one plan a thread, until `run` says that it is enough.
fn over_seeds(arguments: &Arguments, run: impl Fn(&Plan) -> (Figures, bool) + Sync) -> Figures {
    let (next, end) = (AtomicU64::new(arguments.from), arguments.from + arguments.seeds);
    let total = Mutex::new(Figures::default());
    let working: Vec<Mutex<Option<(u64, Instant)>>> =
        (0..arguments.threads.max(1)).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for place in &working {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    *place.lock() = Some((seed, Instant::now()));
                    let (figures, go_on) = run(&Plan::of(seed, arguments.steps));
                    total.lock().add(&figures);
                    if !go_on {
                        next.store(end, Ordering::Relaxed);
                    }
                }
                *place.lock() = None;
            });
        }
        while working.iter().any(|place| place.lock().is_some()) || next.load(Ordering::Relaxed) < end {
            std::thread::sleep(Duration::from_millis(20));
            for (seed, since) in working.iter().filter_map(|place| *place.lock()) {
                if since.elapsed() > HANGS {
                    println!("VIOLATION in plan {seed}: it hangs");
                    std::process::exit(1);
                }
            }
        }
    });
    total.into_inner()
}

/// `replay --seed S [--steps K] [--shrink]`
pub fn replay(arguments: lexopt::Parser) -> Found {
    let arguments = parse(arguments)?;
    keep_panics();
    let mut plan = Plan::of(arguments.from, arguments.steps);
    if arguments.shrink && live(&plan, false).violation.is_some() {
        plan = shrink(plan, |plan| live(plan, false).violation);
        println!("shrunk to {} operations", plan.operations.len());
    }
    println!("{:?}\n{:?}", plan.shape, plan.first);
    let outcome = live(&plan, true);
    match &outcome.violation {
        Some((step, text)) => println!("VIOLATION in operation {step}: {text}"),
        None => println!("trace {:016x}, bytes {:016x}, no violation", outcome.trace, outcome.bytes),
    }
    Ok(outcome.violation.is_none())
}

/// `determinism --seeds N [--from S]`
pub fn determinism(arguments: lexopt::Parser) -> Found {
    let arguments = parse(arguments)?;
    keep_panics();
    let differ = AtomicU64::new(0);
    let figures = over_seeds(&arguments, |plan| {
        let (first, second) = (live(plan, false), live(plan, false));
        if (first.trace, first.bytes) != (second.trace, second.bytes) {
            println!("VIOLATION: plan {} does not do the same twice", plan.seed);
            differ.fetch_add(1, Ordering::Relaxed);
        }
        (first.figures, true)
    });
    let differ = differ.into_inner();
    println!(
        "plans lived twice {}, I/O calls compared {}, plans that differ {differ}",
        figures.plans, figures.calls
    );
    Ok(differ == 0)
}
