//! Histories for the cycle checker: of a database that lives on, and of one that crashes again and again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use dosql::{
    Database, Durability, Env, Error, ErrorKind, Limits, Maintenance, ManualClock, Options, SeededEntropy,
    Storage, Timestamp,
};
use dosql_wal::{CrashDirectory, Surviving};
use fastrand::Rng;

use super::checker::history::{Element, Op, Outcome, Transaction};
use super::checker::{Kind, Model, check};
use super::drive::{Crew, drive, shared};
use super::lists::{client, prepare};
use super::report::Line;
use super::session::{Mix, Record, Session, read_all};
use crate::crash;

/// Where the database is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Memory,
    Files,
    /// Simulated files, and a crash after a few transactions each time.
    Crashes,
}

/// One history to make and check.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub crew: Crew,
    pub place: Place,
    pub durability: Durability,
    pub keeps_history: bool,
    pub transactions: usize,
    pub seed: u64,
}

/// Small everywhere, so that pages are evicted, checkpoints come, and long readers are turned into readers of the past.
fn options(plan: &Plan, env: Option<Env>) -> Options {
    let defaults = Options::default();
    Options {
        page_size: 4096,
        cache_bytes: 64 << 10,
        dirty_bytes: 128 << 10,
        pinned_bytes: 16 << 10,
        log_limit: 256 << 10,
        retention: if plan.keeps_history { defaults.retention } else { 0 },
        durability: plan.durability,
        maintenance: if plan.crew.threads { Maintenance::Background } else { Maintenance::Caller },
        env,
        // With little room to remember commits, a transaction that is older than they are must be refused.
        limits: Limits {
            conflict_window_bytes: if plan.seed.is_multiple_of(3) {
                512
            } else {
                defaults.limits.conflict_window_bytes
            },
            ..defaults.limits
        },
        ..defaults
    }
}

fn model(crew: Crew) -> Model {
    match crew.mix {
        Mix::Serializable => Model::Serializable,
        Mix::Snapshot => Model::Snapshot,
    }
}

/// Makes the history of `plan` and says what is wrong with it.
pub fn run(plan: &Plan) -> Line {
    let mut line = Line::new(format!(
        "{:?} {:?} {} {:?} {:?}{}",
        plan.crew.layout,
        plan.crew.mix,
        if plan.crew.threads { "threads" } else { "interleaved" },
        plan.place,
        plan.durability,
        if plan.keeps_history { "" } else { " no history" },
    ));
    let result = match plan.place {
        Place::Crashes => across_crashes(plan, &mut line),
        Place::Memory | Place::Files => in_one_life(plan, &mut line),
    };
    if let Err(error) = result {
        line.violations.push(format!("an unexpected error: {error}"));
    }
    line
}

/// A directory of the file system that is gone at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left lies in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn in_one_life(plan: &Plan, line: &mut Line) -> Result<(), Error> {
    // Threads run by the real clock, a seed by its own.
    let time = (!plan.crew.threads).then(|| Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000_000))));
    let env = time.clone().map(|time| Env::new(time, Arc::new(SeededEntropy::new(plan.seed))));
    let options = options(plan, env);
    let path = std::env::temp_dir().join(format!("dosql-isolation-{}-{}", std::process::id(), plan.seed));
    let scratch = Scratch(path);
    let storage = match plan.place {
        Place::Files => Storage::directory_with(&scratch.0, &options)?,
        _ => Storage::memory_with(&options),
    };
    let db = Database::open(storage, options)?;
    prepare(&db, plan.crew.layout)?;
    let shared = shared(&db, plan.keeps_history, 0, 1);
    let (sessions, result) = drive(plan.crew, &shared, plan.transactions, plan.seed, time.as_deref());
    result?;
    let mut records = gather(sessions, line);
    records.push(read_all(&shared, client(&db, plan.crew.layout, None)?.as_mut())?);
    judge(records, model(plan.crew), true, line);
    let report = db.verify()?;
    line.violations.extend(report.problems.iter().map(|problem| format!("verify: {problem}")));
    Ok(())
}

fn gather(sessions: Vec<Session>, line: &mut Line) -> Vec<Record> {
    let mut records = Vec::new();
    for session in sessions {
        line.refused += session.refused;
        records.extend(session.records);
    }
    line.transactions += records.len();
    line.committed +=
        records.iter().filter(|record| record.transaction.outcome == Outcome::Committed).count();
    records
}

fn judge(records: Vec<Record>, model: Model, complete: bool, line: &mut Line) {
    let history: Vec<Transaction> = records.into_iter().map(|record| record.transaction).collect();
    let verdict = check(&history, complete);
    line.edges += verdict.edges;
    line.write_skews += verdict.count().get(&Kind::G2Item).copied().unwrap_or(0);
    line.violations.extend(verdict.violations(model).map(ToString::to_string));
}

/// The time between two crashes.
struct Life {
    /// What was there when it began.
    found: Record,
    records: Vec<Record>,
}

fn across_crashes(plan: &Plan, line: &mut Line) -> Result<(), Error> {
    let mut rng = Rng::with_seed(plan.seed);
    let time = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000_000)));
    let mut directory = CrashDirectory::new();
    prepare(&open(plan, &directory, &time)?, plan.crew.layout)?;
    let (mut clock, mut elements) = (0, 1);
    let mut all: Vec<Record> = Vec::new();
    let mut life: Option<Life> = None;
    while line.transactions < plan.transactions {
        directory.crash_at(directory.operations() + rng.u64(4..300));
        let sync = plan.durability == Durability::Sync;
        // A crash in recovery leaves the life before as it was.
        let opened = open(plan, &directory, &time);
        if let Ok(db) = &opened {
            let shared = shared(db, plan.keeps_history, clock, elements);
            let found = read_all(&shared, client(db, plan.crew.layout, None)?.as_mut())?;
            if let Some(life) = life.take() {
                all.extend(bury(life, &found, sync, plan, line));
            }
            let seed = rng.u64(..);
            let (sessions, result) = drive(plan.crew, &shared, rng.usize(10..400), seed, Some(&time));
            let crashed = |error: &Error| matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed);
            if let Some(error) = result.err().filter(|error| !crashed(error)) {
                line.violations.push(format!("an unexpected error: {error}"));
            }
            life = Some(Life { found, records: gather(sessions, line) });
            let order = std::sync::atomic::Ordering::SeqCst;
            (clock, elements) = (shared.clock.load(order), shared.elements.load(order));
        }
        // The machine stops now at the latest: before the database is dropped, which would tidy up.
        let surviving = [Surviving::Nothing, Surviving::Everything, Surviving::Some(rng.u64(..))];
        directory = directory.survivor(surviving[rng.usize(..surviving.len())]);
        drop(opened);
        line.crashes += 1;
    }
    let db = open(plan, &directory, &time)?;
    let shared = shared(&db, plan.keeps_history, clock, elements);
    let found = read_all(&shared, client(&db, plan.crew.layout, None)?.as_mut())?;
    if let Some(life) = life.take() {
        all.extend(bury(life, &found, plan.durability == Durability::Sync, plan, line));
    }
    all.push(found);
    judge(all, model(plan.crew), true, line);
    let report = db.verify()?;
    line.violations.extend(report.problems.iter().map(|problem| format!("verify: {problem}")));
    Ok(())
}

fn open(plan: &Plan, directory: &CrashDirectory, time: &Arc<ManualClock>) -> Result<Database, Error> {
    let env = Env::new(time.clone(), Arc::new(SeededEntropy::new(plan.seed)));
    let options = options(plan, Some(env));
    Database::open(crash::storage(directory, options.page_size)?, options)
}

fn reads(transaction: &Transaction) -> impl Iterator<Item = Element> + '_ {
    let lists =
        transaction.ops.iter().filter_map(|op| if let Op::Read(_, list) = op { Some(list) } else { None });
    lists.flatten().copied()
}

fn appends(transaction: &Transaction) -> impl Iterator<Item = Element> + '_ {
    transaction
        .ops
        .iter()
        .filter_map(|op| if let Op::Append(_, element) = op { Some(*element) } else { None })
}

/// Settles what of a life outlasted its crash: `found` is what came back. The life is checked for itself, with all that was lost
/// in it; what is handed back is what the next lives build on.
fn bury(life: Life, found: &Record, sync: bool, plan: &Plan, line: &mut Line) -> Vec<Record> {
    let back: BTreeSet<Element> = reads(&found.transaction).collect();
    let mut survivors = Vec::new();
    let (mut last_kept, mut first_lost) = (Timestamp::ZERO, Timestamp::MAX);
    let mut own = vec![Record { transaction: as_writes(&life.found.transaction), at: None }];
    for record in life.records {
        own.push(Record { transaction: record.transaction.clone(), at: record.at });
        let mut record = record;
        let transaction = &mut record.transaction;
        let wrote = appends(transaction).next().is_some();
        let kept = appends(transaction).any(|element| back.contains(&element));
        let committed = transaction.outcome == Outcome::Committed;
        if let Some(at) = record.at.filter(|_| committed && wrote) {
            if kept { last_kept = last_kept.max(at) } else { first_lost = first_lost.min(at) }
        }
        match transaction.outcome {
            Outcome::Unknown => {
                transaction.outcome = if kept { Outcome::Committed } else { Outcome::Aborted };
                line.unanswered += 1;
            }
            // Whoever was not promised durability may lose it, and whoever read what was lost goes with it.
            Outcome::Committed if !sync => {
                let lost =
                    if wrote { !kept } else { reads(transaction).any(|element| !back.contains(&element)) };
                if lost {
                    transaction.outcome = Outcome::Aborted;
                    line.lost += 1;
                }
            }
            _ => {}
        }
        survivors.push(record);
    }
    if last_kept > first_lost {
        line.violations.push(format!("commit {first_lost} was lost and {last_kept}, after it, was not"));
    }
    judge(own, model(plan.crew), false, line);
    survivors.push(Record { transaction: life.found.transaction, at: None });
    survivors
}

/// What was found at the beginning of a life, as if one transaction had written it then.
fn as_writes(found: &Transaction) -> Transaction {
    let mut writer = found.clone();
    writer.ops.clear();
    for op in &found.ops {
        if let Op::Read(key, list) = op {
            writer.ops.extend(list.iter().map(|&element| Op::Append(*key, element)));
        }
    }
    writer
}
