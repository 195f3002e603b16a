//! Clients that keep a rule together, interleaved from a seed or in threads, and look whether it holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dosql::{Connection, Database, Error, ErrorKind, Options, Result, Storage};
use fastrand::Rng;

use super::report::Line;
use super::rules::{Look, Rule};

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

fn open(rule: &Rule) -> Result<Database> {
    let options =
        Options { page_size: 4096, cache_bytes: 64 << 10, pinned_bytes: 16 << 10, ..Options::default() };
    let db = Database::open(Storage::memory_with(&options), options)?;
    db.connect()?.execute_batch(rule.schema)?;
    Ok(db)
}

/// Lets `clients` keep `rule` for about so many transactions.
pub fn keep(rule: &Rule, clients: u64, threads: bool, transactions: usize, seed: u64) -> Line {
    let mut line = Line::new(format!("{}, {}", rule.name, if threads { "threads" } else { "interleaved" }));
    let result = open(rule).and_then(|db| match threads {
        true => in_threads(rule, &db, clients, transactions, seed, &mut line),
        false => interleaved(rule, &db, clients, transactions, seed, &mut line),
    });
    line.refused = line.transactions - line.committed;
    line.violations.extend(result.err().map(|error| error.to_string()));
    line
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
    line.transactions = keepers.iter().map(|keeper| keeper.transactions).sum();
    line.committed = keepers.iter().map(|keeper| keeper.committed).sum();
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
