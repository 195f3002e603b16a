//! A whole database in memory for tests: parser, binder, executor and catalog over a [`MemoryStorage`], with
//! transactions and savepoints as a connection has them.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, Error, ErrorKind, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::parse::ast::Ast;
use dosql_sql::parse::parse_next;
use dosql_sql::session::{Outcome, Prepared, Run, Session, Step, Transaction};
use dosql_sql::storage::Storage;
use dosql_sql::temporary::{TemporaryStore, WithTemporary};
use dosql_sql::testkit::MemoryStorage;
use dosql_sql::value::{Text, Value, text_of};

pub type Row = Vec<Value>;

/// What a statement gave.
#[derive(Debug, Default)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    pub outcome: Outcome,
}

pub struct Db {
    pub storage: WithTemporary<MemoryStorage>,
    pub session: Session,
    pub env: Env,
    pub clock: Arc<ManualClock>,
    /// The moment of the last commit.
    pub last: Timestamp,
    /// A transaction is open.
    open: bool,
    savepoints: Vec<(Text, u64, bool)>,
}

impl Default for Db {
    fn default() -> Self {
        Db::new()
    }
}

impl Db {
    pub fn new() -> Db {
        // 2026-01-01 00:00:00 UTC.
        let start = Timestamp::from_micros(1_767_225_600_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(7)));
        let storage = WithTemporary::new(MemoryStorage::new(), TemporaryStore::new());
        Db { storage, session: Session::new(), env, clock, last: start, open: false, savepoints: Vec::new() }
    }

    /// Runs all statements of a text; the answer is the last one's.
    pub fn try_run(&mut self, sql: &str) -> Result<Answer> {
        self.try_run_with(sql, &[])
    }

    pub fn try_run_with(&mut self, sql: &str, parameters: &[Value]) -> Result<Answer> {
        let text: Arc<str> = sql.into();
        let (mut at, mut answer) = (0, Answer::default());
        while let Some((parsed, next)) = parse_next(&text, at, Ast::default())? {
            at = next;
            let now = self.clock_now();
            let parsed = Arc::new(parsed);
            let prepared = loop {
                let known = Some(parameters);
                let result =
                    self.session.prepare(&self.storage, &self.env, now, &text, Arc::clone(&parsed), known);
                match result {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => break result?,
                }
            };
            answer = self.run_prepared(Arc::new(prepared), parameters.to_vec())?;
        }
        Ok(answer)
    }

    fn clock_now(&self) -> Timestamp {
        self.env.now()
    }

    pub fn run_prepared(&mut self, prepared: Arc<Prepared>, parameters: Vec<Value>) -> Result<Answer> {
        if let Some(transaction) = prepared.transaction().cloned() {
            self.transaction(&transaction)?;
            return Ok(Answer::default());
        }
        let mut run = Run::new(prepared, parameters, self.clock_now());
        let interrupt = AtomicBool::new(false);
        let mut answer = Answer::default();
        let result = loop {
            match run.step(&mut self.session, &mut self.storage, &self.env, &interrupt) {
                Ok(Step::Rows(batch)) => {
                    let width = batch.width();
                    for row in 0..batch.len() {
                        answer
                            .rows
                            .push((0..width).map(|column| batch.value(row, column).to_value()).collect());
                    }
                }
                Ok(Step::Done(outcome)) => break Ok(outcome),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => break Err(error),
            }
        };
        answer.columns = run.prepared().columns().iter().map(|column| column.name.to_string()).collect();
        if result.is_err() && run.wants_rollback() {
            self.rollback();
        }
        if !self.open {
            // What ON CONFLICT FAIL left is committed too.
            self.commit()?;
        }
        answer.outcome = result?;
        Ok(answer)
    }

    fn commit(&mut self) -> Result<()> {
        let now = self.clock_now();
        loop {
            match self.session.check_deferred(&mut self.storage, &self.env, now) {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    if !self.open {
                        self.session.undo_statement();
                        self.rollback();
                    }
                    return Err(error);
                }
            }
        }
        self.clock.advance(1000);
        self.last = Timestamp::after(self.last, self.clock_now());
        self.storage.main.commit(self.last)?;
        self.storage.temporary.commit();
        self.savepoints.clear();
        self.open = false;
        self.session.end_transaction();
        Ok(())
    }

    fn rollback(&mut self) {
        self.storage.main.rollback();
        self.storage.temporary.rollback();
        self.savepoints.clear();
        self.open = false;
        self.session.end_transaction();
        self.session.forget_catalog();
    }

    fn transaction(&mut self, transaction: &Transaction) -> Result<()> {
        let find = |savepoints: &[(Text, u64, bool)], name: &str| {
            savepoints
                .iter()
                .rposition(|(own, _, _)| own.eq_ignore_ascii_case(name))
                .ok_or_else(|| Error::invalid(format!("no such savepoint: {name}")))
        };
        match transaction {
            Transaction::Begin(..) if self.open => {
                return Err(Error::invalid("cannot start a transaction within a transaction"));
            }
            Transaction::Begin(..) => self.open = true,
            // The map of these tests has one moment.
            Transaction::CreateTag { .. }
            | Transaction::DropTag { .. }
            | Transaction::DeleteHistory { .. }
            | Transaction::CreateFeed(_)
            | Transaction::DropFeed { .. }
            | Transaction::Erase { .. } => {
                return Err(Error::unsupported("there is no past here"));
            }
            Transaction::CreateBranch { .. }
            | Transaction::DropBranch { .. }
            | Transaction::RenameBranch { .. }
            | Transaction::SetBranch { .. }
            | Transaction::UseBranch(_)
            | Transaction::Merge { .. }
            | Transaction::ContinueMerge(_)
            | Transaction::AbortMerge(_) => {
                return Err(Error::unsupported("there are no branches here"));
            }
            Transaction::Commit if !self.open => {
                return Err(Error::invalid("cannot commit - no transaction is active"));
            }
            Transaction::Commit => self.commit()?,
            Transaction::Rollback if !self.open => {
                return Err(Error::invalid("cannot rollback - no transaction is active"));
            }
            Transaction::Rollback => self.rollback(),
            Transaction::Savepoint(name) => {
                let outermost = !self.open;
                self.open = true;
                let mark = self.storage.savepoint()?;
                self.savepoints.push((name.clone(), mark, outermost));
            }
            Transaction::Release(name) => {
                let at = find(&self.savepoints, name)?;
                let (_, mark, outermost) = self.savepoints[at].clone();
                if outermost {
                    return self.commit();
                }
                self.storage.release(mark)?;
                self.savepoints.truncate(at);
            }
            Transaction::RollbackTo(name) => {
                let at = find(&self.savepoints, name)?;
                self.storage.rollback_to(self.savepoints[at].1)?;
                self.savepoints.truncate(at + 1);
                self.session.forget_catalog();
            }
        }
        Ok(())
    }

    /// Runs a text that must work.
    #[track_caller]
    pub fn run(&mut self, sql: &str) -> Answer {
        match self.try_run(sql) {
            Ok(answer) => answer,
            Err(error) => panic!("{error}\n  in {sql}"),
        }
    }

    /// The rows of a query as text: values with `|` between, NULL as `NULL`, blobs as `x'..'`.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        self.run(sql).rows.iter().map(|row| show_row(row)).collect()
    }

    /// The message of the error that a text ends with.
    #[track_caller]
    pub fn error(&mut self, sql: &str) -> String {
        match self.try_run(sql) {
            Ok(answer) => panic!("should fail, gave {:?}\n  {sql}", answer.rows),
            Err(error) => error.message().to_owned(),
        }
    }
}

pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Blob(_) => dosql_sql::value::quote(value.as_ref()),
        other => text_of(other.as_ref()).into_owned(),
    }
}

pub fn show_row(row: &[Value]) -> String {
    row.iter().map(show).collect::<Vec<_>>().join("|")
}
