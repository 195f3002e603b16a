//! `dosql-sim corruption [--patterns N] [--every N] [--database NAME]`: small databases, every byte of them (or every Nth) damaged
//! under up to four patterns, every length cut, sectors zeroed, pages swapped and stale, files extended and missing, objects under each other's names. What comes back is every row and
//! every past version, or a clear error.
//!
//! ```text
//! golden database --> damage.rs: all that can happen to its files --> sweep.rs: judge each copy --> one line of figures
//! ```

pub mod damage;
mod database;
mod objects;
mod segment;
mod sweep;

use crate::golden::Golden;
use objects::Objects;
use segment::SegmentSubject;
use sweep::{Subject, Tally};

/// What is asked for.
struct Ask {
    patterns: usize,
    every: usize,
    database: Option<String>,
}

impl Ask {
    fn parse(mut parser: lexopt::Parser) -> Result<Ask, lexopt::Error> {
        use lexopt::prelude::*;
        let mut ask = Ask { patterns: damage::PATTERNS.len(), every: 1, database: None };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("patterns") => ask.patterns = parser.value()?.parse()?,
                Long("every") => ask.every = parser.value()?.parse::<usize>()?.max(1),
                Long("database") => ask.database = Some(parser.value()?.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(ask)
    }
}

/// Runs the sweep over the databases asked for; tells whether nothing was violated.
pub fn command(arguments: lexopt::Parser) -> Result<bool, lexopt::Error> {
    let ask = Ask::parse(arguments)?;
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    subjects.extend(Golden::all().into_iter().map(|golden| Box::new(golden) as Box<dyn Subject>));
    subjects.push(Box::new(Objects::new()));
    subjects.push(Box::new(SegmentSubject::new()));
    subjects.retain(|subject| ask.database.as_deref().is_none_or(|name| name == subject.name()));
    if subjects.is_empty() {
        return Err("there is no such database: log, checkpointed, crashed, cold, objects or segment".into());
    }
    let mut total = Tally::default();
    for subject in &subjects {
        let density = damage::Density { patterns: ask.patterns, every: ask.every };
        let (unit, object) = (|file: &str| subject.unit(file), |file: &str| subject.is_object(file));
        let mut damages = damage::all(subject.files(), subject.before(), density, unit, object);
        damages.retain(|damage| subject.suffers(damage));
        let tally = sweep::sweep(&**subject, &damages);
        let bytes: usize = subject.files().iter().map(|(_, bytes)| bytes.len()).sum();
        print(subject.name(), bytes, &tally);
        total.add(&tally);
    }
    print("total", 0, &total);
    Ok(total.violations() == 0)
}

fn print(name: &str, bytes: usize, tally: &Tally) {
    tally.told.iter().for_each(|told| println!("VIOLATION {told}"));
    let bytes = if bytes > 0 { format!("{bytes} bytes, ") } else { String::new() };
    println!(
        "corruption {name}: {bytes}{} cases: {} right, {} refused, {} wrong, {} panics, {} hangs, {} greedy; slowest {:.1} ms, \
         most memory {:.1} MiB; {:.1} s",
        tally.cases,
        tally.right,
        tally.refused,
        tally.wrong,
        tally.panics,
        tally.hangs,
        tally.greedy,
        tally.slowest.as_secs_f64() * 1e3,
        tally.memory as f64 / f64::from(1 << 20),
        tally.took.as_secs_f64(),
    );
}
