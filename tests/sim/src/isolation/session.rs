//! One client that does random transactions, step by step, and remembers what it did and saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use dosql::{Database, Error, ErrorKind, Timestamp};
use fastrand::Rng;

use super::checker::history::{Key, Op, Outcome, Transaction};
use super::lists::{Lists, Start};

/// Lists that transactions use at a time.
const LISTS: u64 = 6;
/// Elements of a list after which, about, it is left alone and another one used.
const LENGTH: u64 = 12;

/// What all clients of a database share.
pub struct Shared {
    pub db: Database,
    /// Orders beginnings and ends, as a clock on the wall would.
    pub clock: AtomicU64,
    pub elements: AtomicU32,
    /// Readers of the past ask for this moment or a later one; there are none where no history is kept.
    pub past_from: Option<Timestamp>,
}

impl Shared {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// The first of the lists in use.
    fn first_list(&self) -> Key {
        u64::from(self.elements.load(Ordering::SeqCst)) / LENGTH
    }

    /// One more than the last list that any transaction can have used.
    pub fn end_of_lists(&self) -> Key {
        self.first_list() + LISTS
    }
}

/// Which transactions a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Every kind that is serializable.
    Serializable,
    /// Snapshot isolation among others.
    Snapshot,
}

/// A transaction and, where its commit tells it, when that was.
pub struct Record {
    pub transaction: Transaction,
    pub at: Option<Timestamp>,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    On,
    /// It must wait for another transaction to end.
    Waits,
    Ended,
}

/// See the module's description.
pub struct Session {
    number: u32,
    rng: Rng,
    mix: Mix,
    lists: Box<dyn Lists>,
    shared: Arc<Shared>,
    open: Option<Transaction>,
    /// What it would begin with, having been told to wait.
    start: Option<Start>,
    steps_left: usize,
    savepoints: usize,
    writes: bool,
    pub records: Vec<Record>,
    pub refused: usize,
}

impl Session {
    pub fn new(number: u32, seed: u64, mix: Mix, lists: Box<dyn Lists>, shared: &Arc<Shared>) -> Self {
        Session {
            number,
            rng: Rng::with_seed(seed),
            mix,
            lists,
            shared: Arc::clone(shared),
            open: None,
            start: None,
            steps_left: 0,
            savepoints: 0,
            writes: false,
            records: Vec::new(),
            refused: 0,
        }
    }

    /// Begins a transaction, does one of its steps, or ends it. Fails where the database did what it never should, or has closed;
    /// the transaction under way is noted then too.
    pub fn step(&mut self) -> Result<Stepped, Error> {
        let result = match &self.open {
            None => self.begin(),
            Some(_) if self.steps_left == 0 => return self.end(),
            Some(_) => self.work(),
        };
        match result {
            Ok(()) => Ok(Stepped::On),
            Err(error) if error.kind() == ErrorKind::Busy => Ok(Stepped::Waits),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(self.refuse()),
            Err(error) => {
                self.lists.rollback();
                self.note(Outcome::Aborted, None);
                Err(error)
            }
        }
    }

    /// Whether it is between two transactions.
    pub fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// Lets the transaction under way come to its end soon.
    pub fn hurry(&mut self) {
        self.steps_left = 0;
    }

    fn begin(&mut self) -> Result<(), Error> {
        let start = self.start.unwrap_or_else(|| self.choose());
        self.start = Some(start);
        let began = self.shared.tick();
        self.lists.begin(start)?;
        self.start = None;
        self.writes = !matches!(start, Start::Read | Start::Past(_));
        let long = !self.writes && self.rng.u8(..12) == 0;
        self.steps_left = if long { self.rng.usize(20..60) } else { self.rng.usize(1..6) };
        self.savepoints = 0;
        let past = matches!(start, Start::Past(_));
        let (session, outcome, ops) = (self.number, Outcome::Aborted, Vec::new());
        self.open = Some(Transaction { session, began, ended: u64::MAX, past, outcome, ops });
        Ok(())
    }

    fn choose(&mut self) -> Start {
        match (self.rng.u8(..20), self.mix) {
            (0..3, _) => Start::Read,
            (3, _) => self.shared.past_from.map_or(Start::Read, |first| {
                let (first, last) = (first.as_micros(), self.shared.db.last_commit().as_micros());
                Start::Past(Timestamp::from_micros(self.rng.u64(first..=last.max(first))))
            }),
            (4..6, _) => Start::Write,
            (6..10, Mix::Serializable) => Start::Deferred,
            (_, Mix::Serializable) => Start::Serializable,
            (_, Mix::Snapshot) => Start::Snapshot,
        }
    }

    fn work(&mut self) -> Result<(), Error> {
        let first = self.shared.first_list();
        let key = first + self.rng.u64(..LISTS);
        match self.rng.u8(..20) {
            0 if self.writes => {
                self.lists.savepoint()?;
                self.savepoints += 1;
                self.push(Op::Savepoint);
            }
            1 if self.savepoints > 0 => {
                self.lists.rollback_to()?;
                self.savepoints -= 1;
                self.push(Op::RollbackTo);
            }
            2 if self.savepoints > 0 => {
                self.lists.release()?;
                self.savepoints -= 1;
                self.push(Op::Release);
            }
            3..11 if self.writes => {
                let element = self.shared.elements.fetch_add(1, Ordering::SeqCst);
                // Noted before: whatever comes of it, nobody may see it unless the transaction commits.
                self.push(Op::Append(key, element));
                if let Err(error) = self.lists.append(key, element) {
                    if error.kind() == ErrorKind::Busy {
                        self.open.as_mut().and_then(|open| open.ops.pop());
                    }
                    return Err(error);
                }
            }
            11..16 => self.read(key, key + 1)?,
            _ => {
                let end = key + 1 + self.rng.u64(..4);
                self.read(key, end.min(first + LISTS))?;
            }
        }
        self.steps_left -= 1;
        Ok(())
    }

    fn read(&mut self, from: Key, to: Key) -> Result<(), Error> {
        let backward = self.rng.bool();
        let mut found = self.lists.read(from, to, backward)?.into_iter().peekable();
        for key in from..to {
            let list = found.next_if(|found| found.0 == key).map_or(Vec::new(), |found| found.1);
            self.push(Op::Read(key, list));
        }
        match found.next() {
            None => Ok(()),
            Some((key, _)) => {
                Err(Error::invalid(format!("a read of lists {from}..{to} gave list {key}, or in disorder")))
            }
        }
    }

    fn push(&mut self, op: Op) {
        self.open.as_mut().expect("a transaction is open").ops.push(op);
    }

    fn end(&mut self) -> Result<Stepped, Error> {
        if self.rng.u8(..16) == 0 {
            return Ok(self.refuse());
        }
        match self.lists.commit() {
            Ok(at) => {
                self.note(Outcome::Committed, at);
                Ok(Stepped::Ended)
            }
            Err(error) if error.kind() == ErrorKind::Busy => Ok(Stepped::Waits),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(self.refuse()),
            Err(error) => {
                // It may have happened.
                self.note(Outcome::Unknown, None);
                Err(error)
            }
        }
    }

    fn refuse(&mut self) -> Stepped {
        self.lists.rollback();
        self.refused += 1;
        self.note(Outcome::Aborted, None);
        Stepped::Ended
    }

    fn note(&mut self, outcome: Outcome, at: Option<Timestamp>) {
        if let Some(mut transaction) = self.open.take() {
            transaction.outcome = outcome;
            transaction.ended = if outcome == Outcome::Unknown { u64::MAX } else { self.shared.tick() };
            self.records.push(Record { transaction, at });
        }
    }
}

/// Everything that is there, read in one transaction by a client of its own.
pub fn read_all(shared: &Shared, lists: &mut dyn Lists) -> Result<Record, Error> {
    let began = shared.tick();
    lists.begin(Start::Read)?;
    let found = lists.read(0, shared.end_of_lists(), false)?;
    lists.commit()?;
    let mut ops: Vec<Op> = Vec::new();
    let mut found = found.into_iter().peekable();
    for key in 0..shared.end_of_lists() {
        let list = found.next_if(|found| found.0 == key).map_or(Vec::new(), |found| found.1);
        ops.push(Op::Read(key, list));
    }
    let (past, outcome) = (false, Outcome::Committed);
    let transaction = Transaction { session: u32::MAX, began, ended: shared.tick(), past, outcome, ops };
    Ok(Record { transaction, at: None })
}
