//! One simulated life: a machine, a database on it, its clients, and the model that judges it.
//!
//! ```text
//! Plan --operation--> World --Statement--> Client ----> engine on Machine (disk, object store, clock)
//!                       |  \--Statement--> State         answers are compared
//!                       |--after every reopening--> check(): present, past, indexes, schema, space
//! ```
//!
//! Everything happens on one thread, one operation after the other: clients take turns as the plan says, so the same plan makes
//! the same calls.

mod branches;
mod check;
mod client;
mod ending;
mod feeds;
mod machine;
mod marks;
mod run;
mod segments;
#[cfg(test)]
mod tests;

use dosql::{Database, ErrorKind, ReadTransaction, Timestamp};
use fastrand::Rng;

use crate::model::{History, State};
use crate::plan::{End, Operation, Plan, Settings, Shape};
use client::Client;
use machine::Machine;

const CLIENTS: usize = 3;

/// What was done in a life, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub plans: u64,
    pub operations: u64,
    pub statements: u64,
    pub commits: u64,
    pub conflicts: u64,
    pub crashes: u64,
    pub kills: u64,
    pub faults: u64,
    /// States of the disk that were opened after a crash and checked whole.
    pub states: u64,
    pub calls: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Figures) {
        self.plans += other.plans;
        self.operations += other.operations;
        self.statements += other.statements;
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.crashes += other.crashes;
        self.kills += other.kills;
        self.faults += other.faults;
        self.states += other.states;
        self.calls += other.calls;
    }
}

/// What a life came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub figures: Figures,
    /// A hash of every call of the disk and of the object store, and of the bytes at the end.
    pub trace: u64,
    pub bytes: u64,
    /// The number of the operation that showed something wrong, and what.
    pub violation: Option<(usize, String)>,
}

/// See above.
pub struct World {
    shape: Shape,
    machine: Machine,
    settings: Settings,
    db: Option<Database>,
    clients: Vec<Client>,
    snapshots: Vec<(ReadTransaction, State)>,
    history: History,
    /// Every Timestamp up to here was promised to readers of the past.
    promised: Timestamp,
    zombie: Option<Zombie>,
    /// How the life of this process ends when the disk stops, or a failure closes the database.
    end: Option<End>,
    /// The disk is full, or soon will be: errors are no surprise.
    trouble: bool,
    /// Giving space back was cut short.
    cut_in_doubt: bool,
    /// How many branches were made, and how far they have come.
    branches: u32,
    beyond: Timestamp,
    rng: Rng,
    figures: Figures,
    /// Whether to say what happens.
    verbose: bool,
}

/// A process that has lost its machine, and does not know.
struct Zombie {
    db: Database,
    client: Client,
    state: State,
    durable: bool,
}

/// What goes wrong in a life ends it: the text says what.
type Lived<T = ()> = Result<T, String>;

impl World {
    /// Lives a plan.
    #[must_use]
    pub fn live(plan: &Plan, verbose: bool) -> Outcome {
        World::new(plan, verbose).go(&plan.operations)
    }

    fn new(plan: &Plan, verbose: bool) -> World {
        World {
            shape: plan.shape,
            machine: Machine::new(plan),
            settings: plan.first,
            db: None,
            clients: Vec::new(),
            snapshots: Vec::new(),
            history: History::new(),
            promised: Timestamp::ZERO,
            zombie: None,
            end: None,
            trouble: false,
            cut_in_doubt: false,
            branches: 0,
            beyond: Timestamp::ZERO,
            rng: Rng::with_seed(plan.seed),
            figures: Figures::default(),
            verbose,
        }
    }

    fn go(mut self, operations: &[Operation]) -> Outcome {
        let violation = self.live_through(operations).err();
        self.let_go();
        let (mut trace, objects) = (self.machine.disk.trace(), *self.machine.objects.lock());
        self.figures.plans = 1;
        self.figures.calls = trace.calls + objects.calls;
        trace.number(objects.hash);
        Outcome {
            figures: self.figures,
            trace: trace.hash,
            bytes: self.machine.disk.contents_hash(),
            violation,
        }
    }

    /// All operations, and the end. Says at which one something was wrong, and what.
    fn live_through(&mut self, operations: &[Operation]) -> Result<(), (usize, String)> {
        self.open().map_err(|text| (0, text))?;
        for (number, operation) in operations.iter().enumerate() {
            self.figures.operations += 1;
            if self.verbose {
                let text: String = format!("{operation:?}").chars().take(600).collect();
                println!("{number:4}  {text}");
            }
            self.run(operation).map_err(|text| (number, text))?;
        }
        self.last().map_err(|text| (operations.len(), text))
    }

    fn db(&self) -> Lived<Database> {
        self.db.clone().ok_or_else(|| "the database is not open".to_string())
    }

    /// Tells what happens, without the long rest of long values.
    fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            let text: String = what().chars().take(400).collect();
            println!("          {text}");
        }
    }

    /// Opens the database as it is, and checks it.
    fn open(&mut self) -> Lived {
        let mut opened = self.machine.open(&self.settings);
        if let Err(error) = &opened
            && self.is_explained(error)
        {
            // A fault of the disk while it was opened: the next try finds a sound disk.
            self.say(|| format!("opening failed: {error}"));
            self.machine.disk.heal();
            self.trouble = false;
            self.machine.disk = self.machine.disk.killed();
            opened = self.machine.open(&self.settings);
        }
        let db = opened.map_err(|error| format!("the database does not open: {error:?}"))?;
        self.history.reopened(db.last_commit())?;
        // Across a restart the promise needs a clock that does not stand still or step back.
        self.promised = Timestamp::ZERO;
        self.note_horizon();
        self.check(&db)?;
        self.clients = (0..CLIENTS).map(|_| Client::default()).collect();
        self.db = Some(db);
        Ok(())
    }

    fn check(&mut self, db: &Database) -> Lived {
        check::check(db, &self.history, self.shape.spaces, &mut self.rng)
    }

    /// The clock has moved, or a commit was made: history may reach less far.
    fn note_horizon(&mut self) {
        expire(&mut self.history, self.machine.now(), self.settings.retention);
    }

    /// Lets everything go that belongs to the process, in the order in which a process would.
    fn let_go(&mut self) {
        self.snapshots.clear();
        self.clients.clear();
        self.zombie = None;
        self.db = None;
    }

    /// Whether an error is one that the troubles of this life explain.
    fn is_explained(&self, error: &dosql::Error) -> bool {
        let of_disk = matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Closed);
        of_disk && (self.trouble || self.machine.disk.faults() > 0 || self.machine.disk.has_stopped())
    }

    /// Whether another client may have the writer's turn.
    fn turn_may_be_taken(&self, by_other_than: usize) -> bool {
        let others = self.clients.iter().enumerate().filter(|(place, _)| *place != by_other_than);
        others.filter_map(|(_, client)| client.open.as_ref()).any(client::Open::may_hold_turn)
    }
}

/// History reaches less far, in a database with this retention.
fn expire(history: &mut History, now: Timestamp, retention: u64) {
    match retention {
        0 => history.let_go(history.head().at),
        retention => history.expire(Timestamp::from_micros(now.as_micros().saturating_sub(retention))),
    }
}
