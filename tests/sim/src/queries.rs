//! `queries`: random statements judged by SQLite, and queries asked in several ways that must give the same.
//!
//! ```text
//! threads take the next seed -> one database of it compared with SQLite, one asked in several ways -> figures, added up
//! ```
//!
//! A seed is a database of its own, so that a violation is replayed by its seed alone.

use std::sync::atomic::{AtomicU64, Ordering};

use dosql_querygen::Figures;
use dosql_querygen::differential::compare;
use dosql_querygen::metamorphic::vary;
use parking_lot::Mutex;

/// Statements over one database that are compared with SQLite, and queries that are asked in several ways.
const STATEMENTS: usize = 500;
const VARIED: usize = 64;

/// Violations after which no further seed is taken.
const ENOUGH: usize = 20;

struct Wish {
    /// Statements to compare with SQLite, at least.
    queries: u64,
    from: u64,
    /// Seeds to take, whatever they compare.
    seeds: Option<u64>,
    threads: u64,
}

/// Runs the command.
pub fn command(arguments: lexopt::Parser) -> Result<bool, lexopt::Error> {
    let wish = wish(arguments)?;
    // A panic of the engine is a violation, reported with its script.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (figures, sound) = run(&wish);
    std::panic::set_hook(hook);
    for violation in &figures.violations {
        println!("VIOLATION {violation}");
        if let Some(seed) = violation.strip_prefix("seed ").and_then(|rest| rest.split([':', '\n']).next()) {
            println!("replay: dosql-sim queries --from {seed} --seeds 1\n");
        }
    }
    println!("{figures}");
    Ok(sound && figures.violations.is_empty())
}

fn wish(mut arguments: lexopt::Parser) -> Result<Wish, lexopt::Error> {
    use lexopt::prelude::*;
    let mut wish = Wish { queries: 500_000, from: 1, seeds: None, threads: 2 };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("queries") => wish.queries = arguments.value()?.parse()?,
            Long("from") => wish.from = arguments.value()?.parse()?,
            Long("seeds") => wish.seeds = Some(arguments.value()?.parse()?),
            Long("threads") => wish.threads = arguments.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(wish)
}

/// The figures of all seeds, and whether every thread came to its end.
fn run(wish: &Wish) -> (Figures, bool) {
    let (next, compared) = (AtomicU64::new(wish.from), AtomicU64::new(0));
    let all = Mutex::new(Figures::default());
    let thread = || {
        loop {
            let enough = compared.load(Ordering::Relaxed) >= wish.queries;
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let stop = match wish.seeds {
                Some(seeds) => seed - wish.from >= seeds,
                None => enough || all.lock().violations.len() >= ENOUGH,
            };
            if stop {
                return;
            }
            let mut figures = Figures::default();
            compare(seed, STATEMENTS, &mut figures);
            vary(seed, VARIED, &mut figures);
            compared.fetch_add(figures.compared, Ordering::Relaxed);
            all.lock().add(figures);
        }
    };
    let sound = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..wish.threads.max(1)).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().map(|thread| thread.join()).fold(true, |sound, end| sound && end.is_ok())
    });
    (all.into_inner(), sound)
}
