//! A statement under way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, ErrorKind, Result, Timestamp};

use super::check;
use super::pragma;
use super::prepare::{Plan, Prepared};
use super::state::{Counters, Session};
use crate::bind::BindContext;
use crate::catalog::schema::Catalog;
use crate::ddl::restore::Restore;
use crate::ddl::{self, Ddl};
use crate::dml::direct::Direct;
use crate::dml::machine::{Machine, Surroundings};
use crate::dml::plan::Change;
use crate::dml::{Programs, Undo};
use crate::exec::{Batch, ExecContext, QueryRun, StatementState};
use crate::func;
use crate::plan::Query;
use crate::storage::{Point, Storage};
use crate::value::Value;

/// What a finished statement did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that it changed.
    pub changes: i64,
    /// The rowid of the last row inserted on this connection.
    pub last_insert_rowid: i64,
    /// The schema is another now.
    pub schema_changed: bool,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step<'r> {
    /// Some rows.
    Rows(&'r Batch),
    /// The statement is done.
    Done(Outcome),
}

/// A statement under way. Borrows nothing between steps. May be run again after [`Run::restart`], which spares making anew what
/// executes it.
#[derive(Debug)]
pub struct Run<S: Storage> {
    prepared: Arc<Prepared>,
    parameters: Vec<Value>,
    now: Timestamp,
    /// The moments that the plan asks for, as they are this time.
    points: Vec<Point>,
    state: State,
    /// What executes the plan, where that is a query; kept from run to run.
    query: Option<Box<QueryRun<S>>>,
    statement: StatementState<S>,
    outcome: Outcome,
    batch: Batch,
    rollback: bool,
    /// The plan was made with the parameters' values.
    bound: bool,
}

#[derive(Debug)]
enum State {
    Start,
    /// The query gives rows.
    Query,
    /// Rows that are known.
    Rows(std::vec::IntoIter<Vec<Value>>),
    Done,
}

/// How many known rows are handed out at a time.
const BATCH: usize = 1024;

impl<S: Storage> Run<S> {
    /// Starts a statement with these parameters at this moment.
    #[must_use]
    pub fn new(prepared: Arc<Prepared>, parameters: Vec<Value>, now: Timestamp) -> Self {
        Run {
            prepared,
            parameters,
            now,
            points: Vec::new(),
            state: State::Start,
            query: None,
            statement: StatementState::new(),
            outcome: Outcome::default(),
            batch: Batch::default(),
            rollback: false,
            bound: false,
        }
    }

    /// Starts anew at this moment, with the parameters that [`Run::parameters_mut`] holds by then.
    pub fn restart(&mut self, now: Timestamp) {
        self.now = now;
        self.state = State::Start;
        self.outcome = Outcome::default();
        self.rollback = false;
        self.bound = false;
    }

    /// Gives these rows: what was done outside tells so.
    pub fn give(&mut self, rows: Vec<Vec<Value>>, outcome: Outcome) {
        self.state = State::Rows(rows.into_iter());
        self.outcome = outcome;
    }

    /// To be called when nobody wants further rows: gives back what it holds, but for what makes the next run cheap.
    pub fn rest(&mut self) {
        self.state = State::Done;
        self.batch = Batch::default();
        match &mut self.query {
            Some(query) if query.is_light() => query.reset(Vec::new()),
            _ => self.query = None,
        }
    }

    /// The parameters' values, to be set before the first step.
    pub fn parameters_mut(&mut self) -> &mut Vec<Value> {
        &mut self.parameters
    }

    /// The statement, as it was last prepared.
    #[must_use]
    pub fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The rows of the last [`Step::Rows`].
    #[must_use]
    pub fn batch(&self) -> &Batch {
        match (&self.state, &self.query) {
            (State::Query, Some(query)) => query.results(),
            _ => &self.batch,
        }
    }

    /// Whether the error that the last step ended with asks for the whole transaction to be rolled back (ON CONFLICT
    /// ROLLBACK, RAISE(ROLLBACK)).
    #[must_use]
    pub fn wants_rollback(&self) -> bool {
        self.rollback
    }

    /// Goes on until there are rows, or the end. [`ErrorKind::WouldBlock`]: nothing has changed, call it again.
    pub fn step(
        &mut self,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<Step<'_>> {
        if matches!(self.state, State::Start) {
            self.start(session, storage, env, interrupt)?;
        }
        match &mut self.state {
            State::Query => {
                let Some(run) = &mut self.query else { return Ok(Step::Done(self.outcome)) };
                let catalog = session.catalog.clone().unwrap_or_default();
                let mut context = ExecContext {
                    storage: &*storage,
                    functions: functions(env, self.now, &session.counters),
                    parameters: &self.parameters,
                    points: &self.points,
                    limits: session.settings.limits,
                    interrupt,
                    catalog: &catalog,
                    state: &mut self.statement,
                };
                if run.next(&mut context)?.is_some() {
                    return Ok(Step::Rows(self.batch()));
                }
                self.state = State::Done;
            }
            State::Rows(rows) => {
                let some: Vec<Vec<Value>> = rows.by_ref().take(BATCH).collect();
                if !some.is_empty() {
                    self.batch = Batch::from_rows(some);
                    return Ok(Step::Rows(&self.batch));
                }
                self.state = State::Done;
            }
            State::Start | State::Done => {}
        }
        Ok(Step::Done(self.outcome))
    }

    /// Prepares the statement anew where the schema has changed or the plan depends on the parameters' values. The first step
    /// does so too; done before it, [`Run::prepared`] says what the rows will be.
    pub fn bind(&mut self, session: &mut Session, storage: &S, env: &Env) -> Result<()> {
        let unbound = self.prepared.needs_parameters && !self.bound;
        let stale = self.prepared.undone != session.undone
            || self.prepared.version != session.schema_version(storage)?;
        if unbound || stale || !self.resolve_points(storage, env) {
            let (sql, parsed) = (Arc::clone(&self.prepared.sql), Arc::clone(&self.prepared.parsed));
            let parameters = Some(self.parameters.as_slice());
            let prepared = session.prepare(storage, env, self.now, &sql, parsed, parameters)?;
            self.prepared = Arc::new(prepared);
            self.points.clear();
            self.points.extend(self.prepared.asked.iter().map(|asked| asked.point));
            self.query = None;
        } else if session.catalog.is_none() {
            session.catalog(storage)?;
        }
        self.bound = true;
        Ok(())
    }

    /// Finds out what the moments are that the plan asks for; whether it is a plan for them.
    fn resolve_points(&mut self, storage: &S, env: &Env) -> bool {
        if self.bound {
            return true;
        }
        self.points.clear();
        self.prepared.asked.iter().all(|asked| {
            let point = asked.resolve(storage, env, self.now, &self.parameters);
            self.points.extend(point);
            point.is_some()
        })
    }

    /// Does all that the statement does at once.
    fn start(
        &mut self,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<()> {
        self.bind(session, storage, env)?;
        let prepared = Arc::clone(&self.prepared);
        self.outcome.last_insert_rowid = session.counters.last_insert_rowid;
        match &prepared.plan {
            Plan::Query(query) => {
                self.statement.reset();
                match &mut self.query {
                    Some(run) => run.reset(Vec::new()),
                    None => self.query = Some(Box::new(QueryRun::new(Arc::clone(query), Vec::new()))),
                }
                self.state = State::Query;
            }
            Plan::Change(change, programs, direct) => {
                if let Some(direct) = direct
                    && self.change_directly(change, programs, direct, session, storage, env, interrupt)?
                {
                    self.state = State::Done;
                    return Ok(());
                }
                let rows = self.change(change, programs, session, storage, env, interrupt)?;
                self.state = State::Rows(rows.into_iter());
            }
            Plan::Schema(query) => {
                session.schema_changed = true;
                self.change_schema(query.as_ref(), session, storage, env, interrupt)?;
                self.state = State::Done;
            }
            Plan::Pragma(pragma) => {
                let catalog = session.catalog(storage)?;
                let rows = pragma::run(pragma, session, &catalog, storage, env, self.now, interrupt)?;
                self.state = State::Rows(rows.into_iter());
            }
            Plan::Restore(restore) => {
                session.schema_changed = true;
                self.restore(restore, session, storage, env, interrupt)?;
                self.state = State::Done;
            }
            Plan::Rows(rows) => self.state = State::Rows(rows.as_ref().clone().into_iter()),
            Plan::Transaction(_) | Plan::Nothing | Plan::Unbound => self.state = State::Done,
        }
        Ok(())
    }

    /// Tries the direct way of a change; whether that did it.
    #[allow(clippy::too_many_arguments)]
    fn change_directly(
        &mut self,
        change: &Change,
        programs: &Programs,
        direct: &Direct,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<bool> {
        // Most often the one that the statement was bound with.
        let catalog = match &session.catalog {
            Some(catalog) if catalog.version == self.prepared.version => Arc::clone(catalog),
            _ => session.catalog(storage)?,
        };
        let around = Surroundings {
            env,
            now: self.now,
            parameters: &self.parameters,
            limits: session.settings.limits,
            interrupt,
        };
        let mut machine =
            Machine::new(storage, around, &catalog, &session.settings, programs, session.counters);
        let result = machine.run_direct(change, direct, &mut session.scratch);
        let counters = machine.counters;
        drop(machine);
        match &result {
            Ok(true) => session.counters = counters,
            Err(error) if error.kind() != ErrorKind::WouldBlock => session.counters.changes = 0,
            Ok(false) | Err(_) => {}
        }
        self.outcome.changes = session.counters.changes;
        self.outcome.last_insert_rowid = session.counters.last_insert_rowid;
        result
    }

    fn change(
        &mut self,
        change: &Change,
        programs: &Programs,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<Vec<Vec<Value>>> {
        let catalog = session.catalog(storage)?;
        let mark = storage.savepoint()?;
        let around = Surroundings {
            env,
            now: self.now,
            parameters: &self.parameters,
            limits: session.settings.limits,
            interrupt,
        };
        let mut machine =
            Machine::new(storage, around, &catalog, &session.settings, programs, session.counters);
        let result = machine.run(change.clone());
        let (undo, counters) = (machine.undo, machine.counters);
        let (deferred, returned) =
            (std::mem::take(&mut machine.deferred), std::mem::take(&mut machine.returned));
        drop(machine);
        self.finish(storage, mark, &result, undo)?;
        match &result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // As in SQLite, a statement that was undone has changed nothing, but what its triggers have counted and the
            // rowid that it gave last are remembered.
            Err(_) if undo != Undo::Nothing => {
                session.counters = Counters { changes: 0, ..counters };
            }
            _ => {
                session.counters = counters;
                session.deferred.extend(deferred);
            }
        }
        self.outcome.changes = session.counters.changes;
        self.outcome.last_insert_rowid = session.counters.last_insert_rowid;
        result.map(|()| returned)
    }

    fn change_schema(
        &mut self,
        select: Option<&Arc<Query>>,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<()> {
        let prepared = Arc::clone(&self.prepared);
        let (settings, counters) = (session.settings.clone(), session.counters);
        let mark = storage.savepoint()?;
        let catalog = session.catalog(storage)?;
        let programs = Programs::default();
        let around = Surroundings {
            env,
            now: self.now,
            parameters: &self.parameters,
            limits: settings.limits,
            interrupt,
        };
        let catalogs = crate::catalog::bound::LiveOnly(Arc::clone(&catalog));
        let mut cx = BindContext::new(&catalogs, &prepared.parsed.ast, &prepared.sql, env, self.now);
        cx.parameters = Some(&self.parameters);
        cx.case_sensitive_like = settings.case_sensitive_like;
        let mut machine = Machine::new(storage, around, &catalog, &settings, &programs, counters);
        let result = Ddl { machine: &mut machine, cx: &cx, parsed: &prepared.parsed, select }.execute();
        let undo = machine.undo;
        session.deferred.append(&mut machine.deferred);
        drop(machine);
        // The new catalog must be readable before the statement counts as done.
        let result = result.and_then(|changed| {
            if changed {
                let catalog = Catalog::load(storage, Point::Live, Some(&catalog))?;
                session.catalog = Some(Arc::new(catalog));
            }
            Ok(changed)
        });
        self.finish(storage, mark, &result, undo)?;
        if result.is_err() {
            session.catalog = Some(catalog);
        }
        self.outcome.schema_changed = result?;
        Ok(())
    }

    fn restore(
        &mut self,
        restore: &Restore,
        session: &mut Session,
        storage: &mut S,
        env: &Env,
        interrupt: &AtomicBool,
    ) -> Result<()> {
        let mark = storage.savepoint()?;
        let live = session.catalog(storage)?;
        let settings = session.settings.clone();
        let around = Surroundings { env, now: self.now, parameters: &[], limits: settings.limits, interrupt };
        let result = ddl::restore::restore(storage, &live, restore).and_then(|changes| {
            let catalog = Arc::new(Catalog::load(storage, Point::Live, Some(&live))?);
            session.catalog = Some(Arc::clone(&catalog));
            if let Some(table) = restore.table.as_ref().filter(|_| settings.foreign_keys) {
                let programs = Programs::default();
                let mut machine =
                    Machine::new(storage, around, &catalog, &settings, &programs, session.counters);
                check::check_around(&mut machine, table)?;
            }
            Ok(changes)
        });
        self.finish(storage, mark, &result, Undo::Statement)?;
        if result.is_err() {
            session.catalog = Some(live);
        }
        let changes = result?;
        session.counters.changes = changes;
        session.counters.total_changes += changes;
        self.outcome.changes = changes;
        self.outcome.schema_changed = true;
        Ok(())
    }

    /// Keeps or undoes what a statement has written.
    fn finish<R>(&mut self, storage: &mut S, mark: u64, result: &Result<R>, undo: Undo) -> Result<()> {
        if let Err(error) = result {
            // A statement that has to wait starts over, whatever it was doing.
            let waits = error.kind() == ErrorKind::WouldBlock;
            if waits || undo != Undo::Nothing {
                storage.rollback_to(mark)?;
            }
            self.rollback = !waits && undo == Undo::Transaction;
        }
        storage.release(mark)
    }
}

fn functions<'e>(env: &'e Env, now: Timestamp, counters: &Counters) -> func::Context<'e> {
    let mut functions = func::Context::new(env, now);
    functions.changes = counters.changes;
    functions.total_changes = counters.total_changes;
    functions.last_insert_rowid = counters.last_insert_rowid;
    functions
}
