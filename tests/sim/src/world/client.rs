//! A client: a connection, and maybe a transaction, in the engine and in the model side by side.

use std::time::Duration;

use dosql::{Connection, Database, ErrorKind, Isolation, Result, Timestamp, Transaction, Value};

use crate::model::{Answer, Commit, State, Statement, Text};
use crate::plan::{Begin, Mode};

/// See above.
#[derive(Default)]
pub struct Client {
    connection: Option<Connection>,
    pub open: Option<Open>,
}

/// An open transaction.
pub struct Open {
    pub begin: Begin,
    handle: Handle,
    /// The commit that it began after, the state then, and what it has made of it.
    pub since: Timestamp,
    pub base: State,
    pub state: State,
    /// Savepoints, outermost first: the engine's mark and the state then.
    marks: Vec<(u64, State)>,
    /// What was done and answered, to do it again when it commits.
    pub log: Vec<Step>,
}

enum Handle {
    Kv(Box<Transaction>),
    Sql,
}

/// A step of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    Ask(Statement, Answer),
    Savepoint,
    RollbackTo(usize),
    Release(usize),
}

impl Open {
    /// Whether others may find the writer's turn taken because of it.
    #[must_use]
    pub fn may_hold_turn(&self) -> bool {
        !matches!(self.begin, Begin::Kv(Mode::Concurrent(_)) | Begin::Sql(Mode::Concurrent(_)))
    }

    /// Whether it has held the writer's turn from its beginning.
    #[must_use]
    pub fn holds_turn(&self) -> bool {
        matches!(self.begin, Begin::Kv(Mode::Write) | Begin::Sql(Mode::Write))
    }

    /// Whether it commits only if what it read is still so.
    #[must_use]
    pub fn is_serializable(&self) -> bool {
        !matches!(self.begin, Begin::Kv(Mode::Concurrent(Isolation::Snapshot)))
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    /// Nothing was written.
    Nothing,
    At(Timestamp),
}

impl Client {
    /// The connection, made at first use.
    pub fn connection(&mut self, db: &Database) -> Result<&Connection> {
        if self.connection.is_none() {
            let connection = db.connect()?;
            connection.busy_timeout(Duration::ZERO);
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was made"))
    }

    pub fn begin(&mut self, db: &Database, begin: Begin, head: &Commit) -> Result<()> {
        let handle = match begin {
            Begin::Kv(mode) => {
                let mut transaction = db.begin(match mode {
                    Mode::Deferred => dosql::Begin::Deferred,
                    Mode::Write => dosql::Begin::WriteWithin(Duration::ZERO),
                    Mode::Concurrent(isolation) => dosql::Begin::Concurrent(isolation),
                })?;
                transaction.set_patience(Some(Duration::ZERO));
                Handle::Kv(Box::new(transaction))
            }
            Begin::Sql(mode) => {
                let how = match mode {
                    Mode::Deferred => "BEGIN",
                    Mode::Write => "BEGIN IMMEDIATE",
                    Mode::Concurrent(_) => "BEGIN CONCURRENT",
                };
                self.connection(db)?.execute(how, ())?;
                Handle::Sql
            }
        };
        let (since, base, state) = (head.at, head.state.clone(), head.state.clone());
        self.open = Some(Open { begin, handle, since, base, state, marks: Vec::new(), log: Vec::new() });
        Ok(())
    }

    /// Whether a statement would run in the open transaction.
    #[must_use]
    pub fn takes(&self, statement: &Statement) -> bool {
        self.open.as_ref().is_some_and(|open| matches!(open.handle, Handle::Kv(_)) == statement.is_kv())
    }

    /// Asks the engine; in the open transaction where [`Client::takes`] says so, else in one of its own.
    pub fn ask(&mut self, db: &Database, statement: &Statement) -> Result<Answer> {
        if let Some(text) = statement.text() {
            return run_sql(self.connection(db)?, statement, &text);
        }
        if let Some(Open { handle: Handle::Kv(transaction), .. }) = &mut self.open {
            return kv(db, transaction, statement);
        }
        if statement.is_query() {
            return kv(db, &mut db.begin(dosql::Begin::Read)?, statement);
        }
        let mut transaction = db.begin(dosql::Begin::WriteWithin(Duration::ZERO))?;
        let answer = kv(db, &mut transaction, statement)?;
        transaction.commit()?;
        Ok(answer)
    }

    /// Whether the transaction that is open here is still open in the engine.
    pub fn is_still_open(&self) -> bool {
        match self.open.as_ref().map(|open| &open.handle) {
            Some(Handle::Sql) => self.connection.as_ref().is_some_and(Connection::in_transaction),
            Some(Handle::Kv(transaction)) => !transaction.is_finished(),
            None => false,
        }
    }

    pub fn savepoint(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mark = match &mut open.handle {
            Handle::Kv(transaction) => transaction.savepoint()?,
            Handle::Sql => {
                let name = open.marks.len() as u64;
                if let Some(connection) = &self.connection {
                    connection.execute(&format!("SAVEPOINT s{name}"), ())?;
                }
                name
            }
        };
        open.marks.push((mark, open.state.clone()));
        open.log.push(Step::Savepoint);
        Ok(())
    }

    /// Rolls back to a savepoint, or releases it; `which` is looked up among those that are set.
    pub fn end_savepoint(&mut self, which: usize, release: bool) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| !open.marks.is_empty()) else { return Ok(()) };
        let place = which % open.marks.len();
        let mark = open.marks[place].0;
        match (&mut open.handle, release) {
            (Handle::Kv(transaction), true) => transaction.release(mark)?,
            (Handle::Kv(transaction), false) => transaction.rollback_to(mark)?,
            (Handle::Sql, _) => {
                let verb = if release { "RELEASE" } else { "ROLLBACK TO" };
                if let Some(connection) = &self.connection {
                    connection.execute(&format!("{verb} s{mark}"), ())?;
                }
            }
        }
        let step = if release { Step::Release(place) } else { Step::RollbackTo(place) };
        redo_marks(&mut open.state, &mut open.marks, &step);
        open.log.push(step);
        Ok(())
    }

    /// Commits the open transaction in the engine.
    pub fn commit(&mut self, db: &Database) -> Result<Ended> {
        match self.open.as_mut().map(|open| &mut open.handle) {
            Some(Handle::Kv(transaction)) => {
                let wrote = transaction.has_writes();
                let at = transaction.commit()?;
                Ok(if wrote { Ended::At(at) } else { Ended::Nothing })
            }
            Some(Handle::Sql) => {
                let before = db.last_commit();
                self.connection(db)?.execute("COMMIT", ())?;
                let after = db.last_commit();
                Ok(if after > before { Ended::At(after) } else { Ended::Nothing })
            }
            None => Ok(Ended::Nothing),
        }
    }

    pub fn rollback(&mut self) -> Result<()> {
        match self.open.take().map(|open| open.handle) {
            Some(Handle::Kv(mut transaction)) => transaction.rollback(),
            Some(Handle::Sql) => {
                let connection = self.connection.as_ref().filter(|connection| connection.in_transaction());
                if let Some(connection) = connection {
                    connection.execute("ROLLBACK", ())?;
                }
            }
            None => {}
        }
        Ok(())
    }
}

/// Does the steps of a transaction again in another state. Says which was answered otherwise, if one was.
pub fn replay(log: &[Step], state: &mut State) -> std::result::Result<(), String> {
    let mut marks = Vec::new();
    for step in log {
        match step {
            Step::Ask(statement, answer) => {
                let now = state.apply(statement);
                if now != *answer {
                    return Err(format!("{statement:?} was answered {answer:?}, and would be {now:?}"));
                }
            }
            other => redo_marks(state, &mut marks, other),
        }
    }
    Ok(())
}

/// What savepoints do to a state.
fn redo_marks(state: &mut State, marks: &mut Vec<(u64, State)>, step: &Step) {
    match step {
        Step::Savepoint => marks.push((marks.len() as u64, state.clone())),
        Step::RollbackTo(place) => {
            state.clone_from(&marks[*place].1);
            marks.truncate(place + 1);
        }
        Step::Release(place) => marks.truncate(*place),
        Step::Ask(..) => {}
    }
}

/// A statement of the key-value API.
pub fn kv(db: &Database, transaction: &mut Transaction, statement: &Statement) -> Result<Answer> {
    match statement {
        Statement::Put { space, key, value } => {
            transaction.put(&db.keyspace(space)?, key, value).map(|()| Answer::Done)
        }
        Statement::Delete { space, key } => {
            transaction.delete(&db.keyspace(space)?, key).map(|()| Answer::Done)
        }
        Statement::Get { space, key } => {
            let value = transaction.get(&db.keyspace(space)?, key)?;
            Ok(Answer::Value(value.map(|value| value.to_vec())))
        }
        Statement::Range { space, bounds, backward } => {
            let space = db.keyspace(space)?;
            let range = match backward {
                false => transaction.range(&space, bounds.clone())?,
                true => transaction.range_rev(&space, bounds.clone())?,
            };
            range.collect::<Result<Vec<_>>>().map(Answer::Pairs)
        }
        _ => Ok(Answer::Missing),
    }
}

fn run_sql(connection: &Connection, statement: &Statement, text: &Text) -> Result<Answer> {
    if statement.is_query() {
        return query(connection, text).map(Answer::Rows);
    }
    let counts = matches!(
        statement,
        Statement::Insert { .. }
            | Statement::Update { .. }
            | Statement::Move { .. }
            | Statement::Remove { .. }
    );
    match connection.execute(&text.sql, text.parameters.as_slice()) {
        Ok(changed) => Ok(if counts { Answer::Changed(changed) } else { Answer::Done }),
        Err(error) if error.kind() == ErrorKind::Constraint => Ok(Answer::Constraint),
        Err(error) => Err(error),
    }
}

/// All rows of a query.
pub fn query(connection: &Connection, text: &Text) -> Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare_cached(&text.sql)?;
    let mut rows = statement.query(text.parameters.as_slice())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.values());
    }
    Ok(found)
}
