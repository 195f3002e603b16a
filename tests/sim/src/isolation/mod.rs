//! `dosql-sim isolation`: whether transactions are as isolated as they say.
//!
//! ```text
//! anomalies   the scripts of Hermitage, and a table of what each kind of transaction prevents
//! checker     the cycle checker
//! lists       what its transactions append to and read, over key and value and over SQL
//! session     a client that does random transactions
//! drive       clients interleaved from a seed, or in threads
//! histories   histories in one life of a database and across crashes
//! rules       sums, unique names, stocks and foreign keys, kept by every transaction alone
//! keepers     clients that keep a rule together
//! ```

#[path = "../../../anomalies/mod.rs"]
#[allow(dead_code, reason = "the tests of the database use more of it")]
pub mod anomalies;
pub mod checker;
mod drive;
mod histories;
mod keepers;
mod lists;
mod report;
mod rules;
mod session;

use std::time::Instant;

use anomalies::{Anomaly, Interface, Kind};
use dosql::{Database, Durability, Result};

use drive::Crew;
use histories::{Place, Plan};
use keepers::Way;
use lists::Layout;
pub use report::{Line, Report};
use session::Mix;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub seed: u64,
    /// Transactions in all, about.
    pub transactions: usize,
    /// Clients in threads of their own, where there are threads.
    pub threads: u32,
    /// Only what runs in one thread: the same in every run of a seed.
    pub deterministic: bool,
}

impl Config {
    /// What CI runs.
    #[must_use]
    pub fn full(seed: u64) -> Self {
        Config { seed, transactions: 600_000, threads: 6, deterministic: false }
    }

    /// Enough to notice a check that is missing.
    #[must_use]
    pub fn brief(seed: u64) -> Self {
        Config { seed, transactions: 6_000, threads: 4, deterministic: true }
    }
}

/// Runs every scenario, and shows each to `done` when it is.
#[must_use]
pub fn run(config: &Config, done: &mut dyn FnMut(&Line)) -> Report {
    let mut report = Report { lines: vec![scripts()] };
    run_scenarios(config, &mut |line| {
        done(&line);
        report.lines.push(line);
    });
    report
}

fn run_scenarios(config: &Config, done: &mut dyn FnMut(Line)) {
    let plans = plans(config);
    let ways = [Way::Interleaved, Way::Threads, Way::Crashes];
    let ways = ways.into_iter().filter(|&way| way != Way::Threads || !config.deterministic);
    let rules = rules::RULES.iter().flat_map(|rule| ways.clone().map(move |way| (rule, way)));
    let rules: Vec<_> = rules.collect();
    let each = config.transactions / (plans.len() + rules.len());
    for (at, mut plan) in plans.into_iter().enumerate() {
        plan.transactions = each;
        plan.seed = config.seed.wrapping_mul(1_000).wrapping_add(at as u64);
        done(histories::run(&plan));
    }
    for (rule, way) in rules {
        done(keepers::keep(rule, u64::from(config.threads), way, each, config.seed));
    }
}

/// Every layout under every model that it can have; then places, durabilities and crashes by turns.
fn plans(config: &Config) -> Vec<Plan> {
    let layouts = [Layout::KvValue, Layout::KvRows, Layout::SqlValue, Layout::SqlRows];
    let mut crews: Vec<(Layout, Mix)> = layouts.map(|layout| (layout, Mix::Serializable)).to_vec();
    crews.extend([Layout::KvValue, Layout::KvRows].map(|layout| (layout, Mix::Snapshot)));
    let ways = [
        (false, Place::Memory, Durability::Sync),
        (false, Place::Crashes, Durability::Sync),
        (false, Place::Crashes, Durability::None),
        (false, Place::Crashes, Durability::Interval(200)),
        (true, Place::Memory, Durability::None),
        (true, Place::Files, Durability::Sync),
        (true, Place::Crashes, Durability::Sync),
    ];
    let mut plans = Vec::new();
    for (layout, mix) in crews {
        for (at, (threads, place, durability)) in ways.into_iter().enumerate() {
            if threads && config.deterministic {
                continue;
            }
            let sessions = if threads { config.threads } else { 5 };
            let crew = Crew { layout, mix, sessions, threads };
            // Without history long readers pin what they read.
            let keeps_history = (at + plans.len()) % 3 > 0;
            plans.push(Plan { crew, place, durability, keeps_history, transactions: 0, seed: 0 });
        }
    }
    plans
}

/// The kinds of transactions that each interface offers.
const OFFERED: [(Interface, Kind, &str); 7] = [
    (Interface::Kv, Kind::Write, "KV write"),
    (Interface::Kv, Kind::Deferred, "KV deferred"),
    (Interface::Kv, Kind::Serializable, "KV concurrent"),
    (Interface::Kv, Kind::Snapshot, "KV snapshot"),
    (Interface::Sql, Kind::Write, "SQL IMMEDIATE"),
    (Interface::Sql, Kind::Deferred, "SQL DEFERRED"),
    (Interface::Sql, Kind::Serializable, "SQL CONCURRENT"),
];

/// Whether each of [`OFFERED`] lets `anomaly` through.
fn possible(anomaly: Anomaly) -> Result<Vec<bool>> {
    let open = || Database::open_memory().expect("memory can always be opened");
    OFFERED
        .iter()
        .map(|&(interface, kind, _)| anomalies::is_possible(anomaly, interface, kind, &open))
        .collect()
}

/// Whether the literature has `kind` let it through.
fn expected(anomaly: Anomaly, kind: Kind) -> bool {
    kind == Kind::Snapshot && matches!(anomaly, Anomaly::G2Item | Anomaly::G2)
}

/// The scripts, as a scenario.
fn scripts() -> Line {
    let mut line = Line::new("the scripts of Hermitage".to_owned());
    for anomaly in Anomaly::ALL {
        match possible(anomaly) {
            Err(error) => line.violations.push(format!("{anomaly:?}: {error}")),
            Ok(possible) => {
                for (&(_, kind, name), possible) in OFFERED.iter().zip(possible) {
                    if possible != expected(anomaly, kind) {
                        let found = if possible { "lets through" } else { "does not let through" };
                        line.violations.push(format!("{name} {found} {anomaly:?}"));
                    }
                }
            }
        }
    }
    line
}

fn print_table() {
    print!("{:<40}", "prevented (Hermitage)");
    OFFERED.iter().for_each(|(.., name)| print!(" {name:>14}"));
    println!();
    for anomaly in Anomaly::ALL {
        let (name, what) = anomaly.describe();
        print!("{:<40}", format!("{name}: {what}"));
        for possible in possible(anomaly).unwrap_or_default() {
            print!(" {:>14}", if possible { "possible" } else { "✓" });
        }
        println!();
    }
}

/// The command: `isolation [--seed N] [--transactions N] [--threads N] [--brief]`. Whether nothing was violated.
pub fn command(mut arguments: lexopt::Parser) -> std::result::Result<bool, lexopt::Error> {
    use lexopt::prelude::*;
    let mut config = Config::full(1);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seed") => config.seed = arguments.value()?.parse()?,
            Long("transactions") => config.transactions = arguments.value()?.parse()?,
            Long("threads") => config.threads = arguments.value()?.parse()?,
            Long("brief") => config = Config::brief(config.seed),
            _ => return Err(argument.unexpected()),
        }
    }
    let start = Instant::now();
    print_table();
    let report = run(&config, &mut |line| println!("{line}"));
    println!("{}", report.total());
    report.violations().take(50).for_each(|violation| println!("VIOLATED {violation}"));
    println!("seed {}, {:.1} s", config.seed, start.elapsed().as_secs_f64());
    Ok(report.violations().next().is_none())
}

#[cfg(test)]
mod tests {
    use dosql_base::mutant;

    use super::*;

    #[test]
    fn a_brief_run_finds_no_violation_and_is_the_same_every_time() {
        let report = run(&Config::brief(7), &mut |_| {});
        assert_eq!(report.violations().next(), None);
        assert!(report.total().write_skews > 0, "snapshot isolation lets write skew through");
        assert_eq!(format!("{report:?}"), format!("{:?}", run(&Config::brief(7), &mut |_| {})));
    }

    #[test]
    fn a_check_that_is_left_out_is_noticed() {
        for switch in ["write-conflict-ignored", "read-conflict-ignored", "phantom-ignored"] {
            mutant::weaken(Some(switch));
            let report = run(&Config::brief(1), &mut |_| {});
            mutant::weaken(None);
            let violations: Vec<String> = report.violations().collect();
            println!(
                "{switch}: {} violations, such as {}",
                violations.len(),
                violations.first().map_or("none", |v| v)
            );
            assert!(!violations.is_empty(), "{switch}");
        }
    }
}
