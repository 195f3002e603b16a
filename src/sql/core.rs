//! What a connection, its statements and their rows share: settings, the catalog, the open transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dosql_base::{Code, Env, Error, ErrorKind, Result, Timestamp};
use dosql_sql::parse::ast::{BeginMode, Parsed};
use dosql_sql::session::{Feed as FeedStatement, FeedStart as FeedStartStatement};
use dosql_sql::session::{Outcome, Prepared, Run, Session, Step, Transaction as TransactionStatement};
use dosql_sql::storage::Storage;
use dosql_sql::temporary::{TemporaryStore, WithTemporary};
use dosql_sql::value::Text;

use super::statement_cache::StatementCache;
use crate::database::Database;
use crate::feed::slot::no_such_feed;
use crate::feed::{FeedStart, NewFeed};
use crate::options::Isolation;
use crate::tags;
use crate::trace::{span, trace_span};
use crate::transaction::{Begin, Transaction};
use crate::turn::TurnGuard;

/// A transaction with the connection's temporary tables beside it.
type Beside = WithTemporary<Transaction>;
/// A statement under way.
pub(super) type SqlRun = Run<Beside>;

/// The shared part of a connection.
pub(super) struct Core {
    pub(super) database: Database,
    pub(super) env: Env,
    pub(super) session: Session,
    pub(super) open: Option<Open>,
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) cache: StatementCache,
    temporary: TemporaryStore,
    /// Turns of other branches, held as long as a merge goes on.
    pub(super) held: Vec<TurnGuard>,
}

/// A transaction that goes on from statement to statement.
pub(super) struct Open {
    pub(super) transaction: Beside,
    /// Names and marks, the outermost first.
    savepoints: Vec<(Text, u64)>,
    /// It began with SAVEPOINT rather than BEGIN: releasing the outermost commits.
    by_savepoint: bool,
}

impl Core {
    pub(super) fn new(database: Database) -> Core {
        let env = database.0.env.clone();
        let mut session = Session::new();
        let most = session.settings.limits.batch_rows;
        session.settings.limits.batch_rows = database.0.options.limits.batch_rows.clamp(1, most);
        Core {
            database,
            env,
            session,
            open: None,
            interrupt: Arc::default(),
            cache: StatementCache::default(),
            temporary: TemporaryStore::new(),
            held: Vec::new(),
        }
    }

    /// A transaction with the temporary tables beside it.
    fn beside(&self, transaction: Transaction) -> Beside {
        WithTemporary::new(transaction, self.temporary.clone())
    }

    /// Prepares one parsed statement of `sql` in the open transaction, or else against the present.
    pub(super) fn prepare(&mut self, sql: &Arc<str>, parsed: Parsed) -> Result<Arc<Prepared>> {
        span!("prepare", sql = &**sql);
        let now = self.database.now();
        let parsed = Arc::new(parsed);
        let prepared = match &self.open {
            Some(open) => self.session.prepare(&open.transaction, &self.env, now, sql, parsed, None)?,
            None => {
                let reader = self.beside(self.database.begin(Begin::Read)?);
                self.session.prepare(&reader, &self.env, now, sql, parsed, None)?
            }
        };
        Ok(Arc::new(prepared))
    }

    /// Starts a statement. One that writes, or is about the transaction, has done all of it when this returns; what it has to say
    /// is read with [`Core::step`]. Notes in `started`, which is empty before, what the first step came to, and the transaction that
    /// a query reads in, where that is not the open one.
    pub(super) fn start(&mut self, run: &mut SqlRun, started: &mut Started) -> Result<()> {
        self.interrupt.store(false, Ordering::Relaxed);
        if run.prepared().needs_binding() {
            self.bind_alone(run)?;
        }
        span!("execute", sql = run.prepared().sql());
        let readonly = run.prepared().is_readonly();
        if self.session.settings.query_only && !readonly {
            return Err(Error::new(
                ErrorKind::ReadOnly,
                Code::ReadOnly,
                "attempt to write a readonly database",
            ));
        }
        if run.prepared().transaction().is_some() {
            return self.start_apart(run, started);
        }
        run.restart(self.database.now());
        match &self.open {
            Some(open) if readonly => run.bind(&mut self.session, &open.transaction, &self.env)?,
            Some(_) => started.first = Some(self.step_open(run)?),
            None if readonly => {
                let reader = self.beside(self.database.begin(Begin::Read)?);
                run.bind(&mut self.session, &reader, &self.env)?;
                started.reader = Some(reader);
            }
            None => started.first = Some(self.autocommit(run)?),
        }
        Ok(())
    }

    /// Starts a statement about transactions, tags, branches or feeds.
    fn start_apart(&mut self, run: &mut SqlRun, started: &mut Started) -> Result<()> {
        let prepared = Arc::clone(run.prepared());
        let changes = match prepared.transaction() {
            Some(TransactionStatement::Erase { table, condition }) => {
                let changes = self.erase(table, condition, run.parameters_mut().clone())?;
                self.note_changes(changes);
                changes
            }
            Some(TransactionStatement::Merge { from, into, on_conflict, dry_run: true }) => {
                let (rows, changes) = self.tried_merge(from, into, *on_conflict)?;
                run.give(rows, Outcome { changes, ..Outcome::default() });
                return Ok(());
            }
            Some(statement) => self.transact(statement)?,
            None => 0,
        };
        started.first = Some(Stepped::Done(Outcome { changes, ..Outcome::default() }));
        Ok(())
    }

    /// Finds out what a statement about transactions or tags is to do, where that depends on the moment or on parameters.
    fn bind_alone(&mut self, run: &mut SqlRun) -> Result<()> {
        run.restart(self.database.now());
        match &self.open {
            Some(open) => run.bind(&mut self.session, &open.transaction, &self.env),
            None => {
                let reader = self.beside(self.database.begin(Begin::Read)?);
                run.bind(&mut self.session, &reader, &self.env)
            }
        }
    }

    /// Runs a statement to its end; rows that it gives are dropped.
    pub(super) fn run(&mut self, run: &mut SqlRun) -> Result<Outcome> {
        let mut started = Started::default();
        self.start(run, &mut started)?;
        loop {
            if let Stepped::Done(outcome) = self.step(run, &mut started)? {
                return Ok(outcome);
            }
        }
    }

    /// Runs a statement that writes in a transaction of its own.
    fn autocommit(&mut self, run: &mut SqlRun) -> Result<Stepped> {
        let transaction =
            self.database.begin(Begin::WriteWithin(self.session.settings.busy_timeout)).map_err(locked)?;
        let mut transaction = self.beside(transaction);
        let result =
            run.step(&mut self.session, &mut transaction, &self.env, &self.interrupt).map(Stepped::from);
        // A statement that failed has undone what it wrote, but where it was told to keep that (ON CONFLICT FAIL).
        let result = match result {
            Err(error) if !transaction.main.has_writes() => {
                self.temporary.commit();
                Err(error)
            }
            result => self
                .session
                .check_deferred(&mut transaction, &self.env, self.database.now())
                .and_then(|()| transaction.main.commit())
                .inspect(|_| self.temporary.commit())
                .inspect_err(|_| {
                    self.temporary.rollback();
                    self.session.undo_statement();
                })
                .and(result),
        };
        if result.is_err() {
            self.session.forget_catalog();
        }
        self.session.end_transaction();
        result
    }

    /// A step in the open transaction.
    fn step_open(&mut self, run: &mut SqlRun) -> Result<Stepped> {
        let Some(open) = &mut self.open else {
            return Err(misuse("the transaction in which the statement began has ended"));
        };
        let result = run.step(&mut self.session, &mut open.transaction, &self.env, &self.interrupt);
        let result = result.map(Stepped::from);
        if result.is_err() && run.wants_rollback() {
            self.end();
        }
        result
    }

    /// Goes on with a statement: in the transaction that it reads in, the open one, or none where it has done its work.
    pub(super) fn step(&mut self, run: &mut SqlRun, started: &mut Started) -> Result<Stepped> {
        trace_span!("rows");
        if let Some(stepped) = started.first.take() {
            return Ok(stepped);
        }
        match &mut started.reader {
            Some(reader) => {
                let step = run.step(&mut self.session, reader, &self.env, &self.interrupt);
                step.map(Stepped::from)
            }
            None if self.open.is_some() => self.step_open(run),
            None => {
                // The statement's own transaction is committed; its rows are in memory and need none.
                let mut reader = self.beside(self.database.begin(Begin::Read)?);
                let step = run.step(&mut self.session, &mut reader, &self.env, &self.interrupt);
                step.map(Stepped::from)
            }
        }
    }

    /// What `changes()` says of a statement whose rows were changed elsewhere.
    fn note_changes(&mut self, changes: i64) {
        let counters = &mut self.session.counters;
        (counters.changes, counters.total_changes) = (changes, counters.total_changes + changes);
    }

    /// BEGIN, COMMIT and their like, and statements about branches; returns how many rows a merge changed.
    fn transact(&mut self, statement: &TransactionStatement) -> Result<i64> {
        if let Some(changes) = self.about_branches(statement)? {
            if matches!(
                statement,
                TransactionStatement::Merge { .. } | TransactionStatement::ContinueMerge(_)
            ) {
                self.note_changes(changes);
            }
            return Ok(changes);
        }
        match statement {
            TransactionStatement::Begin(mode, None) => self.begin(*mode),
            TransactionStatement::Begin(_, Some(at)) => self.begin_at(*at),
            TransactionStatement::CreateTag { name, at, if_not_exists } => {
                self.refuse_inside("create a tag")?;
                let handle = &self.database.0;
                handle.create_tag(handle.branch(), name, *at, *if_not_exists).map(|_| ())
            }
            TransactionStatement::DropTag { name, if_exists } => {
                self.refuse_inside("drop a tag")?;
                let handle = &self.database.0;
                let dropped = handle.drop_tag(name)?;
                if dropped || *if_exists { Ok(()) } else { Err(tags::no_such_tag(name)) }
            }
            TransactionStatement::DeleteHistory { spaces, before } => {
                self.refuse_inside("delete history")?;
                match spaces {
                    None => self.database.delete_history(*before),
                    Some(spaces) => self.database.delete_history_of(spaces.clone(), *before),
                }
            }
            TransactionStatement::CreateFeed(feed) => {
                self.refuse_inside("create a feed")?;
                let made = self.database.make_feed(&feed.name, &new_feed(feed))?;
                let there = || Error::invalid(format!("there is already a feed {}", feed.name));
                if made || feed.if_not_exists { Ok(()) } else { Err(there()) }
            }
            TransactionStatement::DropFeed { name, if_exists } => {
                self.refuse_inside("drop a feed")?;
                let dropped = self.database.unmake_feed(name)?;
                if dropped || *if_exists { Ok(()) } else { Err(no_such_feed(name)) }
            }
            TransactionStatement::Erase { .. } => Err(misuse("ERASE is carried out apart")),
            TransactionStatement::Commit => self.commit(),
            TransactionStatement::Rollback => self.rollback(),
            TransactionStatement::Savepoint(name) => self.savepoint(name),
            TransactionStatement::Release(name) => self.release(name),
            TransactionStatement::RollbackTo(name) => self.rollback_to(name),
            _ => Ok(()),
        }
        .map(|()| 0)
    }

    pub(super) fn begin(&mut self, mode: BeginMode) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::invalid("cannot start a transaction within a transaction"));
        }
        let begin = match mode {
            BeginMode::Deferred => Begin::Deferred,
            BeginMode::Immediate | BeginMode::Exclusive => {
                Begin::WriteWithin(self.session.settings.busy_timeout)
            }
            BeginMode::Concurrent => Begin::Concurrent(Isolation::Serializable),
            BeginMode::ReadOnly => Begin::Read,
        };
        self.open_with(begin, false)
    }

    /// Goes on in a transaction that brings a merge in.
    pub(super) fn begin_merge(&mut self, transaction: Transaction) -> Result<()> {
        self.refuse_inside("merge")?;
        (self.session.settings.triggers, self.session.settings.foreign_keys) = (false, false);
        self.go_on_in(transaction);
        Ok(())
    }

    /// Goes on in this transaction.
    pub(super) fn go_on_in(&mut self, transaction: Transaction) {
        let transaction = self.beside(transaction);
        self.session.begin_transaction();
        self.open = Some(Open { transaction, savepoints: Vec::new(), by_savepoint: false });
    }

    /// From here on it is as any connection.
    pub(super) fn end_merge(&mut self) {
        (self.session.settings.triggers, self.session.settings.foreign_keys) = (true, true);
        self.held.clear();
    }

    pub(super) fn with_transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        match &mut self.open {
            Some(open) => body(&mut open.transaction.main),
            None => Err(misuse("the transaction has ended; begin another")),
        }
    }

    /// BEGIN READ ONLY AS OF.
    fn begin_at(&mut self, at: Timestamp) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::invalid("cannot start a transaction within a transaction"));
        }
        self.open_with(Begin::ReadAt(at), false)
    }

    /// Fails inside a transaction: what is to be done is no part of one, and could not be undone with it.
    pub(super) fn refuse_inside(&self, what: &str) -> Result<()> {
        match self.open {
            Some(_) => Err(Error::invalid(format!("cannot {what} within a transaction"))),
            None => Ok(()),
        }
    }

    fn open_with(&mut self, begin: Begin, by_savepoint: bool) -> Result<()> {
        let mut transaction = self.database.begin(begin).map_err(locked)?;
        transaction.set_patience(Some(self.session.settings.busy_timeout));
        let transaction = self.beside(transaction);
        self.session.begin_transaction();
        self.open = Some(Open { transaction, savepoints: Vec::new(), by_savepoint });
        Ok(())
    }

    /// Commits the open transaction. Where a deferred foreign key is violated, or the turn or room was not to be had, it goes on and
    /// may be committed later; any other failure ends it.
    pub(super) fn commit(&mut self) -> Result<()> {
        let now = self.database.now();
        let Some(open) = &mut self.open else {
            return Err(Error::invalid("cannot commit - no transaction is active"));
        };
        self.session.check_deferred(&mut open.transaction, &self.env, now)?;
        let result = open.transaction.main.commit();
        if result.is_err() {
            if !open.transaction.main.is_finished() {
                return result.map(|_| ()).map_err(locked);
            }
            self.temporary.rollback();
            self.session.forget_catalog();
        } else {
            self.temporary.commit();
        }
        self.open = None;
        self.session.end_transaction();
        result.map(|_| ()).map_err(locked)
    }

    pub(super) fn rollback(&mut self) -> Result<()> {
        if self.open.is_none() {
            return Err(Error::invalid("cannot rollback - no transaction is active"));
        }
        self.end();
        Ok(())
    }

    /// Ends the open transaction without a trace.
    pub(super) fn end(&mut self) {
        self.open = None;
        self.temporary.rollback();
        self.session.forget_catalog();
        self.session.end_transaction();
    }

    fn savepoint(&mut self, name: &Text) -> Result<()> {
        if self.open.is_none() {
            self.open_with(Begin::Deferred, true)?;
        }
        if let Some(open) = &mut self.open {
            let mark = open.transaction.savepoint()?;
            open.savepoints.push((name.clone(), mark));
        }
        Ok(())
    }

    fn release(&mut self, name: &Text) -> Result<()> {
        let (open, at) = self.find_savepoint(name)?;
        if at == 0 && open.by_savepoint {
            return self.commit();
        }
        let (_, mark) = open.savepoints[at];
        open.transaction.release(mark)?;
        open.savepoints.truncate(at);
        Ok(())
    }

    fn rollback_to(&mut self, name: &Text) -> Result<()> {
        let (open, at) = self.find_savepoint(name)?;
        let (_, mark) = open.savepoints[at];
        open.transaction.rollback_to(mark)?;
        open.savepoints.truncate(at + 1);
        self.session.forget_catalog();
        Ok(())
    }

    /// The innermost savepoint of that name.
    fn find_savepoint(&mut self, name: &Text) -> Result<(&mut Open, usize)> {
        let missing = || Error::invalid(format!("no such savepoint: {name}"));
        let open = self.open.as_mut().ok_or_else(missing)?;
        let at = open.savepoints.iter().rposition(|(known, _)| known.eq_ignore_ascii_case(name));
        Ok((open, at.ok_or_else(missing)?))
    }
}

/// What CREATE FEED asks for.
fn new_feed(feed: &FeedStatement) -> NewFeed {
    let default = NewFeed::default();
    let names = |names: &Vec<Text>| names.iter().map(Text::to_string).collect();
    NewFeed {
        from: match feed.from {
            FeedStartStatement::Current => FeedStart::Current,
            FeedStartStatement::At(at) => FeedStart::After(at),
            FeedStartStatement::Snapshot => FeedStart::Snapshot,
        },
        tables: feed
            .tables
            .iter()
            .map(|(table, columns)| (table.to_string(), columns.as_ref().map(names)))
            .collect(),
        max_lag_bytes: feed.max_lag_bytes.unwrap_or(default.max_lag_bytes),
        max_age: feed.max_age.unwrap_or(default.max_age),
    }
}

/// Where a statement under way reads.
#[derive(Default)]
pub(super) struct Started {
    reader: Option<Beside>,
    /// What the first step came to, where it was taken already.
    first: Option<Stepped>,
}

/// What a step came to: a batch of so many rows, to be read from the run, or the end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stepped {
    Rows(usize),
    Done(Outcome),
}

impl From<Step<'_>> for Stepped {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::Rows(batch) => Stepped::Rows(batch.len()),
            Step::Done(outcome) => Stepped::Done(outcome),
        }
    }
}

/// SQLite's words for a turn that was not to be had.
fn locked(error: Error) -> Error {
    if error.kind() == ErrorKind::Busy {
        return Error::new(ErrorKind::Busy, Code::Busy, "database is locked");
    }
    error
}

pub(super) fn misuse(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Code::Misuse, message)
}
