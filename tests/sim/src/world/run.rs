//! What each operation does, in the engine and in the model.

use dosql::{Code, Database, ErrorKind, Timestamp};

use super::client::{Ended, Step, kv, replay};
use super::{Lived, World, Zombie, check};
use crate::model::{Answer, AsOf, State, Statement};
use crate::plan::{Ask, Begin, End, Operation};

impl World {
    /// Does one operation, and what follows from it.
    pub(super) fn run(&mut self, operation: &Operation) -> Lived {
        let client = |client: usize| client % super::CLIENTS;
        match operation {
            Operation::Begin { client: c, begin } => self.begin(client(*c), *begin)?,
            Operation::Ask { client: c, ask } => self.ask(client(*c), ask)?,
            Operation::Savepoint { client: c } => self.savepoint(client(*c), None)?,
            Operation::RollbackTo { client: c, which } => {
                self.savepoint(client(*c), Some((*which, false)))?
            }
            Operation::Release { client: c, which } => self.savepoint(client(*c), Some((*which, true)))?,
            Operation::Commit { client: c } => self.commit(client(*c))?,
            Operation::Rollback { client: c } => {
                let rolled_back = self.clients[client(*c)].rollback();
                self.allow(rolled_back, "ROLLBACK")?;
            }
            Operation::Snapshot => self.snapshot()?,
            Operation::ReadSnapshot { which, give_up } => self.read_snapshot(*which, *give_up)?,
            Operation::ReadPast { which, off_by, ask } => self.read_past(*which, *off_by, ask)?,
            Operation::Tag { number } => self.tag(*number, true)?,
            Operation::DropTag { number } => self.tag(*number, false)?,
            Operation::Feed { number } => self.feed(*number, true)?,
            Operation::DropFeed { number } => self.feed(*number, false)?,
            Operation::Follow { number, count } => self.follow(*number, *count)?,
            Operation::DeleteHistory { which } => self.delete_history(*which)?,
            Operation::Restore { which } => self.restore(*which)?,
            Operation::Branch { asks, merge } => self.branch(asks, *merge)?,
            Operation::Checkpoint => {
                let done = self.db()?.checkpoint();
                if self.allow(done, "a checkpoint")?.is_some() {
                    self.history.settle();
                }
            }
            Operation::Maintain { budget } => {
                let done = self.db()?.maintain(*budget);
                self.cut_in_doubt |= done.is_err();
                if self.allow(done, "maintenance")?.is_some() {
                    self.history.settle();
                }
            }
            Operation::Compact => {
                let done = self.db()?.compact();
                // What one that was cut short left is given back by the next.
                self.cut_in_doubt = done.is_err();
                if self.allow(done, "giving space back")?.is_some() {
                    self.history.settle();
                }
            }
            Operation::Verify => self.verify()?,
            Operation::Reopen { close, settings } => self.reopen(*close, *settings)?,
            Operation::End(end) => self.end(end)?,
            Operation::EndSoon { after, end } => {
                let disk = &self.machine.disk;
                disk.crash_at(disk.operations() + after);
                self.end = Some(end.clone());
            }
            Operation::ZombieAsk { ask } => self.zombie_ask(ask)?,
            Operation::Clock { micros } => self.machine.move_clock(*micros),
            Operation::Fault { calls, after, sticky, fault, end } => {
                self.machine.disk.inject(*calls, *after, *sticky, *fault);
                self.end.get_or_insert_with(|| end.clone());
            }
            Operation::FillDisk { left, end } => {
                self.machine.disk.limit_space(self.machine.disk.space() + left);
                self.trouble = true;
                self.end.get_or_insert_with(|| end.clone());
            }
            Operation::Heal => {
                self.machine.disk.heal();
                self.trouble = false;
            }
        }
        self.note_horizon();
        self.end_if_due()
    }

    /// Ends the process where the disk has stopped or a failure has closed the database.
    fn end_if_due(&mut self) -> Lived {
        let stopped = self.machine.disk.has_stopped();
        let poisoned = self.db.as_ref().is_some_and(Database::is_poisoned);
        if !stopped && !poisoned {
            return Ok(());
        }
        if poisoned && !stopped {
            self.poisoned_says_so()?;
        }
        let end = self.end.take().unwrap_or(End {
            surviving: None,
            again: Vec::new(),
            zombie: false,
            settings: self.settings,
        });
        self.end(&end)
    }

    /// A database that a failure has closed takes nothing more, and says what to do.
    fn poisoned_says_so(&mut self) -> Lived {
        self.say(|| "a failure has closed the database".to_string());
        if !self.trouble && self.machine.disk.faults() == 0 {
            return Err("the database is poisoned, and nothing had failed".to_string());
        }
        let db = self.db()?;
        let refused = [db.begin_write().err(), db.read().err(), db.checkpoint().err()];
        for error in refused {
            match error {
                Some(error) if error.kind() == ErrorKind::Closed && error.to_string().contains("reopen") => {}
                other => return Err(format!("a poisoned database answers {other:?}")),
            }
        }
        Ok(())
    }

    /// The value of a call that may fail only where a fault explains it.
    pub(super) fn allow<T>(&self, result: dosql::Result<T>, what: &str) -> Lived<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.is_explained(&error) => {
                self.say(|| format!("{what}: {error}"));
                Ok(None)
            }
            Err(error) => Err(format!("{what} failed for no reason: {error:?}")),
        }
    }

    fn begin(&mut self, client: usize, begin: Begin) -> Lived {
        if self.clients[client].open.is_some() {
            return Ok(());
        }
        let db = self.db()?;
        let taken = self.turn_may_be_taken(client);
        match self.clients[client].begin(&db, begin, self.history.head()) {
            Err(error) if error.kind() == ErrorKind::Busy && taken => Ok(()),
            result => self.allow(result, "BEGIN").map(|_| ()),
        }
    }

    fn ask(&mut self, client: usize, ask: &Ask) -> Lived {
        let inside =
            self.clients[client].open.as_ref().map_or(&self.history.head().state, |open| &open.state);
        let Some(mut statement) = ask.resolve(inside, &self.shape) else { return Ok(()) };
        if !self.clients[client].takes(&statement) && self.clients[client].open.is_some() {
            // It runs beside the transaction, so it has to make sense in the present.
            match ask.resolve(&self.history.head().state, &self.shape) {
                // A connection that is in a transaction runs SQL there.
                Some(other) if other.is_kv() == statement.is_kv() => statement = other,
                _ => return Ok(()),
            }
        }
        self.figures.statements += 1;
        self.say(|| format!("{statement:?}"));
        let db = self.db()?;
        let inside = self.clients[client].takes(&statement);
        let before = db.last_commit();
        let answer = self.clients[client].ask(&db, &statement);
        if inside {
            self.answered_inside(client, statement, answer)
        } else {
            self.answered(client, before, &statement, answer)
        }
    }

    /// The answer to a statement in a transaction.
    fn answered_inside(
        &mut self,
        client: usize,
        statement: Statement,
        answer: dosql::Result<Answer>,
    ) -> Lived {
        let answer = match answer {
            Err(error) => {
                self.allow::<()>(Err(error), &format!("{statement:?}"))?;
                if !self.clients[client].is_still_open() {
                    self.clients[client].open = None;
                }
                return Ok(());
            }
            Ok(answer) => answer,
        };
        let Some(open) = &mut self.clients[client].open else { return Ok(()) };
        let expected = open.state.apply(&statement);
        if answer != expected {
            return Err(unexpected(&statement, &answer, &expected));
        }
        open.log.push(Step::Ask(statement, answer));
        Ok(())
    }

    /// The answer to a statement in a transaction of its own.
    fn answered(
        &mut self,
        client: usize,
        before: Timestamp,
        statement: &Statement,
        answer: dosql::Result<Answer>,
    ) -> Lived {
        let mut state = self.history.head().state.clone();
        let expected = state.apply(statement);
        let answer = match answer {
            Err(error) if error.kind() == ErrorKind::Busy && self.turn_may_be_taken(usize::MAX) => {
                return Ok(());
            }
            Err(error) => {
                let db = self.db()?;
                if db.is_poisoned() && !statement.is_query() {
                    self.history.doubt(state);
                } else if db.last_commit() > before {
                    return Err(format!("{statement:?} failed and was committed: {error:?}"));
                }
                let _ = client;
                return self.allow::<()>(Err(error), &format!("{statement:?}")).map(|_| ());
            }
            Ok(answer) => answer,
        };
        if answer != expected {
            return Err(unexpected(statement, &answer, &expected));
        }
        let after = self.db()?.last_commit();
        if after == before {
            if state != self.history.head().state {
                return Err(format!("{statement:?} was answered {answer:?} and made no commit"));
            }
            return Ok(());
        }
        self.committed(after, state)
    }

    /// A commit was acknowledged.
    pub(super) fn committed(&mut self, at: Timestamp, state: State) -> Lived {
        self.figures.commits += 1;
        self.say(|| format!("commit {at}"));
        if at <= self.promised {
            return Err(format!("commit {at} lies in a past that was promised up to {}", self.promised));
        }
        self.history.commit(at, state)?;
        if self.settings.durability == dosql::Durability::Sync {
            self.history.settle();
        }
        Ok(())
    }

    fn savepoint(&mut self, client: usize, end: Option<(usize, bool)>) -> Lived {
        let client = &mut self.clients[client];
        let done = match end {
            None => client.savepoint(),
            Some((which, release)) => client.end_savepoint(which, release),
        };
        self.allow(done, "a savepoint").map(|_| ())
    }

    fn commit(&mut self, client: usize) -> Lived {
        let db = self.db()?;
        let taken = self.turn_may_be_taken(client);
        let Some(open) = &self.clients[client].open else { return Ok(()) };
        // What it would come to if it is committed now.
        let mut state = self.history.head().state.clone();
        let replayed = match (open.holds_turn(), open.is_serializable()) {
            (true, _) => {
                state.clone_from(&open.state);
                Ok(())
            }
            (false, true) => replay(&open.log, &mut state),
            (false, false) => first_committer_wins(&open.log, &open.base, &mut state),
        };
        let nobody_was_faster = open.since == self.history.head().at;
        match self.clients[client].commit(&db) {
            Ok(ended) => {
                self.clients[client].open = None;
                match ended {
                    Ended::Nothing => Ok(()),
                    Ended::At(at) => {
                        replayed.map_err(|why| format!("commit {at} is not serializable: {why}"))?;
                        self.committed(at, state)
                    }
                }
            }
            Err(error) => self.commit_failed(client, error, taken, nobody_was_faster, state),
        }
    }

    fn commit_failed(
        &mut self,
        client: usize,
        error: dosql::Error,
        taken: bool,
        nobody_was_faster: bool,
        state: State,
    ) -> Lived {
        self.say(|| format!("COMMIT: {error}"));
        if !self.clients[client].is_still_open() {
            self.clients[client].open = None;
        }
        match error.kind() {
            ErrorKind::Busy if taken => Ok(()),
            ErrorKind::Conflict if !nobody_was_faster || self.settings.window_bytes < 1 << 20 => {
                self.figures.conflicts += 1;
                Ok(())
            }
            _ => {
                if self.db()?.is_poisoned() {
                    self.history.doubt(state);
                }
                self.allow::<()>(Err(error), "COMMIT").map(|_| ())
            }
        }
    }

    fn snapshot(&mut self) -> Lived {
        if self.snapshots.len() >= 6 {
            self.snapshots.remove(0);
        }
        let read = self.db()?.read();
        if let Some(read) = self.allow(read, "a snapshot")? {
            if read.snapshot() < self.history.head().at {
                return Err(format!("a snapshot shows {}, not the last commit", read.snapshot()));
            }
            self.snapshots.push((read, self.history.head().state.clone()));
        }
        Ok(())
    }

    fn read_snapshot(&mut self, which: usize, give_up: bool) -> Lived {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let place = which % self.snapshots.len();
        let db = self.db()?;
        let (read, state) = &self.snapshots[place];
        let found = check::spaces(&db, read, state, self.shape.spaces);
        self.judge(found, "a kept snapshot")?;
        if give_up {
            self.snapshots.swap_remove(place);
        }
        Ok(())
    }

    /// A check that a fault may have kept from being made.
    pub(super) fn judge(&self, found: Result<(), check::Wrong>, what: &str) -> Lived {
        match found {
            Ok(()) => Ok(()),
            Err(check::Wrong::Data(text)) => Err(format!("{what}: {text}")),
            Err(check::Wrong::Engine(error)) => self.allow::<()>(Err(error), what).map(|_| ()),
        }
    }

    fn read_past(&mut self, which: usize, off_by: i64, ask: &Ask) -> Lived {
        let commits = self.history.commits();
        let Some(first) = commits.first().map(|commit| commit.at) else { return Ok(()) };
        let at = commits[which % commits.len()].at;
        let at = Timestamp::from_micros(at.as_micros().saturating_add_signed(off_by));
        let db = self.db()?;
        let future = at > db.now();
        let state = self.history.state_at(at).clone();
        let result = self.ask_past(&db, at, &state, ask);
        match result {
            Err(check::Wrong::Engine(error)) if future && error.code() == Code::AsOfFuture => Ok(()),
            Err(check::Wrong::Engine(error)) if check::expired(&error, at, &self.history) => Ok(()),
            Err(check::Wrong::Engine(error)) if error.code() == Code::AsOfExpired && at < first => Ok(()),
            // A branch may have come further than the clock.
            Ok(()) if future && at > self.beyond => Err(format!("the future {at} was read")),
            found => {
                if found.is_ok() {
                    self.promised = self.promised.max(at);
                }
                self.judge(found, &format!("as of {at}"))
            }
        }
    }

    fn ask_past(&self, db: &Database, at: Timestamp, state: &State, ask: &Ask) -> Result<(), check::Wrong> {
        match ask.resolve(state, &self.shape).filter(Statement::is_query) {
            Some(statement) if !statement.is_kv() => {
                let as_of = if ask.seed.is_multiple_of(2) { AsOf::Lsn(at) } else { AsOf::Timestamp(at) };
                let statement = without_index(statement);
                check::compare(&db.connect()?, state, &statement, Some(as_of))
            }
            Some(statement) => {
                let answer = kv(db, &mut db.begin(dosql::Begin::ReadAt(at))?, &statement)?;
                let expected = state.clone().apply(&statement);
                if answer == expected {
                    return Ok(());
                }
                Err(check::Wrong::Data(unexpected(&statement, &answer, &expected)))
            }
            None => check::spaces(db, &db.read_at(at)?, state, self.shape.spaces),
        }
    }

    fn delete_history(&mut self, which: usize) -> Lived {
        let commits = self.history.commits();
        if commits.is_empty() {
            return Ok(());
        }
        let before = commits[which % commits.len()].at;
        let done = self.db()?.delete_history(Some(before));
        match done {
            Err(error) if check::expired(&error, before, &self.history) => Ok(()),
            done => {
                // It may have come so far even where it failed.
                self.history.let_go(before);
                self.promised = self.promised.max(before);
                if self.allow(done, "DELETE HISTORY")?.is_some() {
                    self.history.settle();
                }
                Ok(())
            }
        }
    }

    /// RESTORE DATABASE, in a transaction of its own.
    fn restore(&mut self, which: usize) -> Lived {
        let commits = self.history.commits();
        if commits.is_empty() {
            return Ok(());
        }
        let then = &commits[which % commits.len()];
        let (at, past) = (then.at, then.state.clone());
        let state = State { spaces: self.history.head().state.spaces.clone(), ..past };
        let db = self.db()?;
        let connection = db.connect();
        let Some(connection) = self.allow(connection, "a connection")? else { return Ok(()) };
        connection.busy_timeout(std::time::Duration::ZERO);
        let before = self.db()?.last_commit();
        match connection.execute(&format!("RESTORE DATABASE TO LSN {at}"), ()) {
            Err(error) if error.kind() == ErrorKind::Busy && self.turn_may_be_taken(usize::MAX) => Ok(()),
            Err(error) if check::expired(&error, at, &self.history) => Ok(()),
            Err(error) => {
                let db = self.db()?;
                if db.is_poisoned() {
                    self.history.doubt(state);
                } else if db.last_commit() > before {
                    return Err(format!("a restore to {at} failed and was committed: {error:?}"));
                }
                self.allow::<()>(Err(error), "RESTORE").map(|_| ())
            }
            Ok(_) => {
                let after = self.db()?.last_commit();
                self.say(|| format!("restored to {at}"));
                self.promised = self.promised.max(at);
                self.committed(after, state)
            }
        }
    }

    fn verify(&mut self) -> Lived {
        let report = self.db()?.verify();
        match self.allow(report, "verify")? {
            Some(report) if !report.is_sound() => Err(format!("verify found {:?}", report.problems)),
            _ => Ok(()),
        }
    }

    /// Somebody who has lost the machine asks; nothing that he writes may be acknowledged as durable.
    fn zombie_ask(&mut self, ask: &Ask) -> Lived {
        let Some(Zombie { db, client, state, durable }) = &mut self.zombie else { return Ok(()) };
        let Some(statement) = ask.resolve(state, &self.shape) else { return Ok(()) };
        let answer = client.ask(db, &statement);
        let Ok(answer) = answer else { return Ok(()) };
        let mut after = state.clone();
        let expected = after.apply(&statement);
        if answer != expected {
            return Err(format!("the zombie: {}", unexpected(&statement, &answer, &expected)));
        }
        if after != *state && *durable {
            return Err(format!("the zombie wrote, and was told that it is durable: {statement:?}"));
        }
        *state = after;
        Ok(())
    }
}

/// What a transaction under snapshot isolation comes to: its writes on top of the present, if nobody else wrote the same keys.
fn first_committer_wins(log: &[Step], base: &State, head: &mut State) -> Result<(), String> {
    let before = head.clone();
    let mut own = base.clone();
    replay(log, &mut own)?;
    for (name, space) in &own.spaces {
        let old = base.spaces.get(name).cloned().unwrap_or_default();
        let now = before.spaces.get(name).cloned().unwrap_or_default();
        let mut merged = now.as_ref().clone();
        let keys = space.keys().chain(old.keys());
        for key in keys.filter(|key| space.get(*key) != old.get(*key)) {
            if now.get(key) != old.get(key) {
                return Err(format!("{name} {key:?} was changed by others too"));
            }
            match space.get(key) {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        head.spaces.insert(name.clone(), std::sync::Arc::new(merged));
    }
    Ok(())
}

/// Indexes of the past may be named otherwise.
fn without_index(statement: Statement) -> Statement {
    match statement {
        Statement::Select { table, filter, backward, .. } => {
            Statement::Select { table, filter, how: crate::model::How::AsPlanned, backward }
        }
        other => other,
    }
}

fn unexpected(statement: &Statement, answer: &Answer, expected: &Answer) -> String {
    let detail = match (answer, expected) {
        (Answer::Rows(found), Answer::Rows(expected)) => check::difference(found, expected),
        (Answer::Pairs(found), Answer::Pairs(expected)) => check::difference(found, expected),
        _ => format!("answered {answer:?}, expected {expected:?}"),
    };
    let asked: String = format!("{statement:?}").chars().take(600).collect();
    format!("{asked}: {detail}")
}
