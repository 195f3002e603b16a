//! Runs a script. A transaction that would have to wait (for the writer's turn) keeps its statements, and goes on with them as
//! soon as another has ended; one that conflicts is over.

use std::collections::VecDeque;

use dosql::{Database, Error, ErrorKind, Result};

use super::client::{Client, Rows, client, prepare};
use super::scripts::{Script, Step, Where};
use super::{Interface, Kind};

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The rows that each SELECT of each transaction gave.
    pub reads: [Vec<Rows>; 3],
    pub committed: [bool; 3],
    /// The rows after everything.
    pub last: Rows,
}

impl Run {
    /// Whether transaction `number` read this row.
    pub fn saw(&self, number: usize, row: (i64, i64)) -> bool {
        self.reads[number - 1].iter().flatten().any(|&read| read == row)
    }

    /// Whether the first two transactions committed.
    pub fn both_committed(&self) -> bool {
        self.committed[0] && self.committed[1]
    }
}

struct Player {
    client: Box<dyn Client>,
    kind: Kind,
    begun: bool,
    over: bool,
    /// What it has yet to do.
    waiting: VecDeque<Step>,
    /// The rows that it read last.
    read: Rows,
}

/// Plays `script` on an empty database; its transactions are of the kinds given.
pub fn play(script: &Script, interface: Interface, kinds: &[Kind; 3], db: &Database) -> Result<Run> {
    prepare(db, interface)?;
    let mut run = Run::default();
    let mut players = Vec::new();
    for &kind in kinds {
        players.push(Player::new(client(db, interface)?, kind));
    }
    for &(number, step) in script.steps {
        players[number - 1].waiting.push_back(step);
        let mut ended = players[number - 1].go_on(number - 1, &mut run)?;
        // Each end may let another go on.
        while ended {
            ended = false;
            for (at, player) in players.iter_mut().enumerate() {
                ended |= player.go_on(at, &mut run)?;
            }
        }
    }
    if let Some(stuck) = players.iter().position(|player| !player.waiting.is_empty()) {
        return Err(Error::invalid(format!("transaction {} of {:?} never went on", stuck + 1, script.name)));
    }
    let mut reader = client(db, interface)?;
    reader.begin(Kind::Deferred)?;
    run.last = reader.select(Where::All)?;
    Ok(run)
}

impl Player {
    fn new(client: Box<dyn Client>, kind: Kind) -> Self {
        Player { client, kind, begun: false, over: false, waiting: VecDeque::new(), read: Rows::new() }
    }

    /// Takes the next steps until it is done or has to wait; tells whether its transaction ended.
    fn go_on(&mut self, at: usize, run: &mut Run) -> Result<bool> {
        let was_over = self.over;
        while let Some(&step) = self.waiting.front() {
            match self.take(step, at, run) {
                Err(error) if error.kind() == ErrorKind::Busy => break,
                Err(error) if error.kind() == ErrorKind::Conflict => self.over = true,
                result => result?,
            }
            self.waiting.pop_front();
        }
        Ok(self.over && !was_over)
    }

    fn take(&mut self, step: Step, at: usize, run: &mut Run) -> Result<()> {
        if self.over {
            return Ok(());
        }
        if !self.begun {
            self.client.begin(self.kind)?;
            self.begun = true;
        }
        match step {
            Step::Select(rows) => {
                let read = self.client.select(rows)?;
                self.read.clone_from(&read);
                run.reads[at].push(read);
            }
            Step::Set(id, value) => self.client.set(id, value)?,
            Step::Raise(id, more) => {
                let read = self.read.iter().find(|row| row.0 == id);
                self.client.set(id, read.map_or(0, |row| row.1) + more)?;
            }
            Step::AddToAll(more) => self.client.add_to_all(more)?,
            Step::Insert(id, value) => self.client.insert(id, value)?,
            Step::Delete(rows) => self.client.delete(rows)?,
            Step::Commit => {
                self.client.commit()?;
                (run.committed[at], self.over) = (true, true);
            }
            Step::Abort => {
                self.client.rollback()?;
                self.over = true;
            }
        }
        Ok(())
    }
}
