//! Clients that keep a rule together, interleaved from a seed, in threads or across crashes, and look whether it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dosql::{
    Connection, Database, Env, Error, ErrorKind, ManualClock, Options, Result, SeededEntropy, Storage,
    Timestamp,
};
use dosql_wal::{CrashDirectory, Surviving};
use fastrand::Rng;

use super::report::Line;
use super::rules::{Look, Rule};
use crate::crash;

/// How far a client is in its transaction.
enum State {
    Idle,
    Begun,
    Looked(Look),
    Acted,
}

struct Keeper<'r> {
    rule: &'r Rule,
    connection: Connection,
    rng: Rng,
    state: State,
    begin: &'static str,
    transactions: usize,
    committed: usize,
}

impl Keeper<'_> {
    fn new<'r>(rule: &'r Rule, db: &Database, seed: u64, patience: Duration) -> Result<Keeper<'r>> {
        let connection = db.connect()?;
        connection.busy_timeout(patience);
        let rng = Rng::with_seed(seed);
        Ok(Keeper { rule, connection, rng, state: State::Idle, begin: "", transactions: 0, committed: 0 })
    }

    /// The next step. The error is a rule that is broken, or what no client should ever see.
    fn step(&mut self) -> Result<()> {
        let result = self.go_on();
        let Err(error) = result else { return Ok(()) };
        match error.kind() {
            // It stays where it is and comes again.
            ErrorKind::Busy => Ok(()),
            ErrorKind::Conflict | ErrorKind::Constraint => {
                if self.connection.in_transaction() {
                    self.connection.execute_batch("ROLLBACK")?;
                }
                self.transactions += 1;
                self.state = State::Idle;
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn go_on(&mut self) -> Result<()> {
        self.state = match self.state {
            State::Idle if self.rng.u8(..8) == 0 => return self.judge(),
            State::Idle => {
                if self.begin.is_empty() {
                    self.begin = ["BEGIN", "BEGIN IMMEDIATE", "BEGIN CONCURRENT", "BEGIN CONCURRENT"]
                        [self.rng.usize(..4)];
                }
                self.connection.execute_batch(self.begin)?;
                self.begin = "";
                State::Begun
            }
            State::Begun => State::Looked((self.rule.look)(&self.connection, &mut self.rng)?),
            State::Looked(look) => {
                (self.rule.act)(&self.connection, look)?;
                State::Acted
            }
            State::Acted => {
                self.connection.execute("COMMIT", ())?;
                self.transactions += 1;
                self.committed += 1;
                State::Idle
            }
        };
        Ok(())
    }

    fn judge(&self) -> Result<()> {
        let broken: i64 = self.connection.query_row(self.rule.broken, (), |row| row.get(0))?;
        if broken == 0 { Ok(()) } else { Err(Error::invalid(format!("the rule is broken {broken} times"))) }
    }
}

/// How the clients of a rule run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Interleaved,
    Threads,
    /// Interleaved, and the machine stops every now and then.
    Crashes,
}

/// With `clock`, time stands still and the callers make the checkpoints; else there is a thread for them.
fn options(clock: bool) -> Options {
    let time = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000_000)));
    let env = Env::new(time, Arc::new(SeededEntropy::new(1)));
    let defaults = Options::default();
    Options {
        page_size: 4096,
        cache_bytes: 64 << 10,
        pinned_bytes: 16 << 10,
        env: clock.then_some(env),
        ..defaults
    }
}

/// Lets `clients` keep `rule` for about so many transactions.
pub fn keep(rule: &Rule, clients: u64, way: Way, transactions: usize, seed: u64) -> Line {
    let mut line = Line::new(format!("{}, {way:?}", rule.name));
    let result = match way {
        Way::Interleaved => in_memory(rule, way == Way::Interleaved)
            .and_then(|db| interleaved(rule, &db, clients, transactions, seed, &mut line)),
        Way::Threads => in_memory(rule, way == Way::Interleaved)
            .and_then(|db| in_threads(rule, &db, clients, transactions, seed, &mut line)),
        Way::Crashes => across_crashes(rule, clients, transactions, seed, &mut line),
    };
    line.refused = line.transactions - line.committed;
    line.violations.extend(result.err().map(|error| error.to_string()));
    line
}

fn in_memory(rule: &Rule, clock: bool) -> Result<Database> {
    let options = options(clock);
    let db = Database::open(Storage::memory_with(&options), options)?;
    db.connect()?.execute_batch(rule.schema)?;
    Ok(db)
}

fn in_directory(directory: &CrashDirectory) -> Result<Database> {
    let options = options(true);
    Database::open(crash::storage(directory, options.page_size)?, options)
}

/// The rule holds in whatever a crash leaves, and goes on to be kept.
fn across_crashes(rule: &Rule, clients: u64, transactions: usize, seed: u64, line: &mut Line) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let mut directory = CrashDirectory::new();
    in_directory(&directory)?.connect()?.execute_batch(rule.schema)?;
    while line.transactions < transactions {
        directory.crash_at(directory.operations() + rng.u64(4..200));
        let opened = in_directory(&directory);
        if let Ok(db) = &opened {
            Keeper::new(rule, db, 0, Duration::ZERO)?.judge()?;
            match interleaved(rule, db, clients, 100, rng.u64(..), line) {
                Err(error) if !matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        directory = directory.survivor(Surviving::Some(rng.u64(..)));
        line.crashes += 1;
        drop(opened);
    }
    let db = in_directory(&directory)?;
    Keeper::new(rule, &db, 0, Duration::ZERO)?.judge()
}

fn interleaved(
    rule: &Rule,
    db: &Database,
    clients: u64,
    transactions: usize,
    seed: u64,
    line: &mut Line,
) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let keepers = (0..clients).map(|client| Keeper::new(rule, db, seed ^ (client + 1), Duration::ZERO));
    let mut keepers = keepers.collect::<Result<Vec<_>>>()?;
    let mut result = Ok(());
    while result.is_ok() && keepers.iter().map(|keeper| keeper.transactions).sum::<usize>() < transactions {
        let at = rng.usize(..keepers.len());
        result = keepers[at].step();
        if rng.u16(..2_000) == 0 {
            db.checkpoint()?;
        }
    }
    line.transactions += keepers.iter().map(|keeper| keeper.transactions).sum::<usize>();
    line.committed += keepers.iter().map(|keeper| keeper.committed).sum::<usize>();
    result.and_then(|()| Keeper::new(rule, db, 0, Duration::ZERO)?.judge())
}

fn in_threads(
    rule: &Rule,
    db: &Database,
    clients: u64,
    transactions: usize,
    seed: u64,
    line: &mut Line,
) -> Result<()> {
    let (begun, committed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |client: u64| -> Result<()> {
        let mut keeper = Keeper::new(rule, db, seed ^ (client + 1), Duration::from_secs(60))?;
        while begun.fetch_add(1, Ordering::Relaxed) < transactions {
            let done = keeper.transactions;
            while keeper.transactions == done {
                keeper.step()?;
                std::thread::yield_now();
            }
        }
        committed.fetch_add(keeper.committed, Ordering::Relaxed);
        Ok(())
    };
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|client| scope.spawn(move || work(client))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|result| result.unwrap_or_else(|_| Err(Error::invalid("a client panicked")))).collect()
    });
    line.transactions = begun.load(Ordering::Relaxed).min(transactions);
    line.committed = committed.load(Ordering::Relaxed);
    results.into_iter().collect::<Result<()>>()?;
    Keeper::new(rule, db, 0, Duration::ZERO)?.judge()
}
