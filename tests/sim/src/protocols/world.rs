//! A scenario's world: a simulated disk, a clock, the open database and the model beside it.

use std::sync::Arc;

use dosql::{Code, Database, Durability, Error, ErrorKind, ManualClock, Options, Result, Timestamp};
use dosql_wal::{Calls, CrashDirectory, DiskFault, Surviving};

use super::disk::{Watch, storage};
use super::lived::{Lived, State};
use super::published;
use super::scenario::Scenario;
use super::told::leads_on;

const FIRST_MOMENT: u64 = 1_000_000;

/// See the module's description.
pub(crate) struct World {
    pub(crate) scenario: &'static Scenario,
    pub(crate) lived: Lived,
    disk: CrashDirectory,
    /// Calls made on the disks before this one.
    spent: u64,
    /// The machine stops at the call of this number.
    stop_at: Option<u64>,
    trouble: Option<(u64, Trouble)>,
    clock: Arc<ManualClock>,
    /// Of the randomness.
    seed: u64,
    database: Option<Database>,
    watch: Watching,
    /// History before this was deleted, or may have been.
    let_go: Timestamp,
}

/// What goes wrong at one call of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) fault: DiskFault,
    /// And at all calls after it.
    pub(crate) sticky: bool,
}

/// The changes of one commit: new values, or `None` for a delete.
pub(crate) type Edits = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl World {
    /// A new machine with an empty disk.
    pub(crate) fn new(scenario: &'static Scenario) -> Self {
        Self::at(scenario, CrashDirectory::new(), Lived::new(), FIRST_MOMENT)
    }

    /// As `new`; the database is another one.
    pub(crate) fn of_another_kind(scenario: &'static Scenario) -> Self {
        Self::new(scenario).another()
    }

    /// A database that is made from now on is another one.
    pub(crate) fn another(self) -> Self {
        World { seed: 4, ..self }
    }

    /// The same life on what a crash left: the database is not open yet.
    pub(crate) fn on(&self, left: CrashDirectory) -> Self {
        World {
            seed: self.seed,
            let_go: self.let_go,
            ..Self::at(self.scenario, left, self.lived.clone(), self.now())
        }
    }

    fn at(scenario: &'static Scenario, disk: CrashDirectory, lived: Lived, now: u64) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(now)));
        World {
            scenario,
            lived,
            disk,
            spent: 0,
            stop_at: None,
            trouble: None,
            clock,
            seed: 3,
            database: None,
            watch: Watching::default(),
            let_go: Timestamp::ZERO,
        }
    }

    // ---- the machine

    pub(crate) fn disk(&self) -> &CrashDirectory {
        &self.disk
    }

    /// Calls that changed or synced something, on every disk of this life.
    pub(crate) fn calls(&self) -> u64 {
        self.spent + self.disk.operations()
    }

    /// The machine is to stop at this call.
    pub(crate) fn stop_at(&mut self, call: u64) {
        self.stop_at = Some(call);
        self.arrange();
    }

    /// This call is to fail.
    pub(crate) fn trouble_at(&mut self, call: u64, trouble: Trouble) {
        self.trouble = Some((call, trouble));
        self.arrange();
    }

    /// What is to come, on this disk.
    fn arrange(&self) {
        if let Some(call) = self.stop_at {
            self.disk.crash_at(call.saturating_sub(self.spent));
        }
        if let Some((call, trouble)) = self.trouble {
            let Trouble { fault, sticky } = trouble;
            match call.checked_sub(self.spent) {
                Some(after) => self.disk.inject(Calls::Changes, after, sticky, fault),
                None if sticky => self.disk.inject(Calls::Changes, 0, sticky, fault),
                None => {}
            }
        }
    }

    /// Goes on with another disk.
    fn exchange(&mut self, disk: CrashDirectory) {
        self.spent += self.disk.operations();
        self.disk = disk;
        self.arrange();
    }

    /// Whatever was to go wrong has gone wrong.
    pub(crate) fn heal(&mut self) {
        self.trouble = None;
        self.disk.heal();
    }

    /// Whether it has stopped.
    pub(crate) fn stopped(&self) -> bool {
        self.stop_at.is_some_and(|call| self.calls() > call)
    }

    /// A machine that has stopped can't even look.
    fn check_running(&self) -> Result<()> {
        if self.stopped() {
            return Err(Error::new(ErrorKind::Io, Code::IoErr, "the simulated machine has stopped"));
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock_now().as_micros()
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        dosql::Clock::now(&*self.clock)
    }

    pub(crate) fn advance(&self, micros: u64) {
        self.clock.advance(micros);
    }

    /// The clock steps back.
    pub(crate) fn step_back(&self, micros: u64) {
        self.clock.set(Timestamp::from_micros(self.now() - micros));
    }

    /// The power fails and comes back; of what was not synced `surviving` is left. The last act of the machine is to write what the log
    /// holds in memory, as far as `calls` more calls and a part of another do that. The database is open again afterwards.
    pub(crate) fn power_cut(&mut self, calls: u64, surviving: Surviving) -> Result<()> {
        self.last_calls(calls)?;
        self.exchange(self.disk.survivor(surviving));
        self.open()
    }

    /// The process dies and starts again: what it has written stays with the system, synced or not.
    pub(crate) fn process_dies(&mut self) -> Result<()> {
        self.last_calls(0)?;
        self.exchange(self.disk.killed());
        self.open()
    }

    /// Lets the database go; so many of the calls that it makes then take effect, and the next in part.
    fn last_calls(&mut self, calls: u64) -> Result<()> {
        self.check_running()?;
        if !self.stop_at.is_some_and(|stop| stop <= self.calls() + calls) {
            self.disk.crash_at(self.disk.operations() + calls);
        }
        self.leave();
        self.check_running()
    }

    // ---- the database

    pub(crate) fn options(&self) -> Options {
        self.scenario.settings.options(Arc::clone(&self.clock), self.seed)
    }

    /// Opens the database, which must be as some commit left it.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.check_running()?;
        let options = self.options();
        let database = Database::open(storage(&self.disk, options.page_size, &self.watch.0)?, options)?;
        let found = (self.scenario.observe)(&database, None)?;
        self.check_running()?;
        self.watch.0.begin(&database);
        let head = database.branches().iter().map(|branch| branch.head).max().unwrap_or_default();
        self.lived.made = true;
        self.database = Some(database);
        if let Err(mistake) = self.lived.found(&found) {
            self.lived.mistake(mistake);
            return Ok(());
        }
        if self.lived.commits.len() > 1
            && let Some(last) = self.lived.commits.last_mut()
        {
            last.at.get_or_insert(head);
        }
        Ok(())
    }

    /// Gives the handle up without closing it.
    pub(crate) fn leave(&mut self) {
        self.watch.0.end();
        self.database = None;
    }

    pub(crate) fn reopen(&mut self) -> Result<()> {
        self.leave();
        self.open()
    }

    /// Closes it: whatever was committed is durable then.
    pub(crate) fn close(&mut self) -> Result<()> {
        let closed = self.database().close();
        self.leave();
        closed?;
        self.lived.all_durable();
        Ok(())
    }

    pub(crate) fn database(&self) -> Database {
        self.database.clone().expect("the database is open")
    }

    pub(crate) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.database().checkpoint()?;
        self.lived.all_durable();
        Ok(())
    }

    pub(crate) fn maintain(&mut self, budget: usize) -> Result<()> {
        self.database().maintain(budget)?;
        self.lived.all_durable();
        Ok(())
    }

    pub(crate) fn publish(&mut self) -> Result<()> {
        self.database().publish()?;
        self.lived.all_durable();
        Ok(())
    }

    pub(crate) fn compact(&mut self) -> Result<u64> {
        let given_back = self.database().compact()?;
        self.lived.all_durable();
        Ok(given_back)
    }

    /// Runs `commit`, which is to bring the database to `state`, and notes how that went.
    pub(crate) fn commit(
        &mut self,
        durability: Durability,
        state: State,
        commit: impl FnOnce(&Database) -> Result<Timestamp>,
    ) -> Result<()> {
        let database = self.database();
        self.lived.attempt(state);
        let result = commit(&database);
        self.notice();
        match result {
            Ok(at) => {
                self.watch.0.promise(at);
                self.lived.committed(at, durability);
                Ok(())
            }
            Err(error) => {
                if !database.is_poisoned() {
                    self.lived.refused();
                }
                Err(error)
            }
        }
    }

    /// Writes `edits` to the keyspace.
    pub(crate) fn write_with(&mut self, durability: Durability, edits: &Edits) -> Result<()> {
        self.write_as(durability, self.edited(edits), edits)
    }

    /// As `write_with`, where that brings the database to `state`.
    pub(crate) fn write_as(&mut self, durability: Durability, state: State, edits: &Edits) -> Result<()> {
        self.commit(durability, state, |database| {
            let space = database.keyspace(SPACE)?;
            let mut tx = database.begin_write()?;
            tx.set_durability(durability);
            for (key, value) in edits {
                match value {
                    Some(value) => tx.put(&space, key, value)?,
                    None => tx.delete(&space, key)?,
                }
            }
            tx.commit()
        })
    }

    /// Lets the history before `before` go.
    pub(crate) fn delete_history(&mut self, before: Timestamp) -> Result<()> {
        // Where it fails it may have come so far.
        self.let_go = before;
        self.database().delete_history(Some(before))?;
        self.lived.all_durable();
        Ok(())
    }

    /// Any moment of the past may be refused; what is read must be right.
    pub(crate) fn may_refuse(&mut self) {
        self.let_go = Timestamp::MAX;
    }

    /// Names the last commit; that is a commit too, which changes no row.
    pub(crate) fn tag(&mut self, name: &str) -> Result<()> {
        self.change_tags(|database| database.create_tag(name, None))
    }

    /// Takes a name away, which is a commit as well.
    pub(crate) fn drop_tag(&mut self, name: &str) -> Result<()> {
        self.change_tags(|database| database.drop_tag(name))
    }

    fn change_tags(&mut self, change: impl FnOnce(&Database) -> Result<()>) -> Result<()> {
        let state = (*self.lived.state()).clone();
        self.commit(Durability::Sync, state, |database| {
            change(database)?;
            Ok(database.last_commit())
        })
    }

    /// As `write_with`, acknowledged when it is durable.
    pub(crate) fn write(&mut self, edits: &Edits) -> Result<()> {
        self.write_with(Durability::Sync, edits)
    }

    /// The state that `edits` make of the present one.
    pub(crate) fn edited(&self, edits: &Edits) -> State {
        let mut state = (*self.lived.state()).clone();
        for (key, value) in edits {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        state
    }

    /// Takes over what the watch has seen.
    pub(crate) fn notice(&mut self) {
        if let Some(mistake) = self.watch.0.mistake() {
            self.lived.mistake(mistake);
        }
    }

    /// Notes a mistake unless `right`.
    pub(crate) fn expect(&mut self, right: bool, what: &str) {
        if !right {
            self.lived.mistake(what.to_owned());
        }
    }

    // ---- the judge

    /// Every version that must be readable is, and is right; what may be gone is right or refused; all pages are accounted for.
    pub(crate) fn examine(&mut self) -> Result<()> {
        let database = self.database();
        let now = database.now();
        let kept = match self.scenario.settings.retention {
            0 => database.last_commit(),
            retention => Timestamp::from_micros(now.as_micros().saturating_sub(retention)),
        };
        let kept = kept.max(self.let_go);
        let mut told = !self.scenario.told || self.scenario.settings.retention == 0;
        for place in 1..self.lived.commits.len() {
            let Some(at) = self.lived.commits[place].at else { continue };
            if self.compare(&database, at, place, kept)? && !told {
                // Of the oldest that can be read, the feed tells all that came since.
                self.compare_feed(&database, at, kept);
                told = true;
            }
            let before = Timestamp::from_micros(at.as_micros() - 1);
            let earlier = self.lived.commits[place - 1].at;
            if earlier.is_some_and(|earlier| before > earlier) {
                self.compare(&database, before, place - 1, kept)?;
            }
        }
        // What a tag stands for is there, however old.
        for tag in database.tags() {
            let place =
                self.lived.commits.iter().rposition(|commit| commit.at.is_some_and(|at| at <= tag.at));
            if let Some(place) = place {
                self.compare(&database, tag.at, place, Timestamp::ZERO)?;
            }
        }
        if self.scenario.told && self.scenario.settings.hot_budget > 0 {
            let mistakes = published::judge(self, &database)?;
            self.lived.mistakes.extend(mistakes);
        }
        let report = database.verify()?;
        if !report.is_sound() {
            self.lived.mistake(format!("verify: {}", report.problems.join("; ")));
        }
        Ok(())
    }

    /// Whether it can be read.
    fn compare(&mut self, database: &Database, at: Timestamp, place: usize, kept: Timestamp) -> Result<bool> {
        let last = self.lived.commits.len() - 1;
        match (self.scenario.observe)(database, Some(at)) {
            Ok(found) if found == *self.lived.commits[place].state => return Ok(true),
            Ok(_) => self.lived.mistake(format!("as of {at} it is not what commit {place} of {last} left")),
            Err(error) if error.code() == Code::AsOfExpired && at < kept => {}
            Err(error) => self.lived.mistake(format!("as of {at}, commit {place} of {last}: {error}")),
        }
        Ok(false)
    }

    fn compare_feed(&mut self, database: &Database, at: Timestamp, kept: Timestamp) {
        match leads_on(database, at) {
            Ok(None) => {}
            Ok(Some(mistake)) => self.lived.mistake(mistake),
            Err(error) if error.code() == Code::AsOfExpired && at < kept => {}
            Err(error) => self.lived.mistake(format!("the feed after {at}: {error}")),
        }
    }

    /// Life goes on: commits, a checkpoint, and nothing of that is lost by the next power cut.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        let database = self.database();
        let after = database.keyspace("after")?;
        for round in ["1", "2"] {
            let mut tx = database.begin_write()?;
            tx.set_durability(Durability::Sync);
            tx.put(&after, "round", round)?;
            let at = tx.commit()?;
            self.watch.0.promise(at);
            if round == "1" {
                database.checkpoint()?;
            }
        }
        drop(database);
        let mut next = self.on(self.disk.survivor(Surviving::Nothing));
        self.leave();
        next.open()?;
        let database = next.database();
        let found = database.read()?.get(&database.keyspace("after")?, "round")?;
        if found.as_deref() != Some(b"2".as_slice()) {
            next.lived.mistake(format!("what was committed after the restart is lost: {found:?}"));
        }
        self.lived.mistakes.append(&mut next.lived.mistakes);
        Ok(())
    }
}

/// The watch over the disk. It holds the database, which holds the disk: it has to be ended for any of them to go.
#[derive(Default)]
struct Watching(Arc<Watch>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The keyspace that scenarios over keys write to.
pub(crate) const SPACE: &str = "space";

/// All rows of the keyspace, now or as of a moment.
pub(crate) fn keys(database: &Database, at: Option<Timestamp>) -> Result<State> {
    let space = database.keyspace(SPACE)?;
    let read = match at {
        None => database.read()?,
        Some(at) => database.read_at(at)?,
    };
    let mut state = State::new();
    for entry in read.iter(&space)? {
        let (key, value): (Vec<u8>, Vec<u8>) = entry?;
        state.insert(key, value);
    }
    Ok(state)
}

/// Whether an engine that met a fault may answer so.
pub(crate) fn is_fair(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed | ErrorKind::NoSpace)
}
