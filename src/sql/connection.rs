//! A connection.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::parse;
use dosql_sql::parse::ast::{Ast, BeginMode};
use parking_lot::Mutex;

use super::core::Core;
use super::{Params, Row, Statement};
use crate::database::Database;
use crate::transaction::Transaction;
use crate::turn::TurnGuard;

/// A connection to a database: its settings, its transaction, its cached statements. Cheap to open. It can be moved to and
/// shared between threads; its statements take turns.
pub struct Connection {
    core: Arc<Mutex<Core>>,
}

/// Ends what a connection is running, from another thread.
#[derive(Clone, Debug)]
pub struct InterruptHandle(Arc<AtomicBool>);

impl InterruptHandle {
    /// Ends the statement that is running, if any, with [`ErrorKind::Interrupted`].
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Database {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the database is closed or poisoned.
    pub fn connect(&self) -> Result<Connection> {
        self.0.check_usable()?;
        Ok(Connection { core: Arc::new(Mutex::new(Core::new(self.clone()))) })
    }
}

impl Connection {
    /// Prepares a statement. It stays good when the schema changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with the offset of the mistake where the text is not exactly one good statement.
    pub fn prepare(&self, sql: &str) -> Result<Statement> {
        match self.prepare_next(sql, 0)? {
            None => {
                Err(Error::new(ErrorKind::InvalidInput, Code::Misuse, "there is no statement in the text"))
            }
            Some((statement, end)) => match parse::parse_next(sql, end, Ast::default())? {
                None => Ok(statement),
                Some(_) => Err(Error::new(
                    ErrorKind::InvalidInput,
                    Code::Misuse,
                    "the text holds more than one statement; run it with execute_batch, or prepare_next each",
                )
                .at_offset(end)),
            },
        }
    }

    /// Prepares a statement, or takes it from the connection's cache of 128.
    ///
    /// # Errors
    /// As [`Connection::prepare`].
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement> {
        if let Some(prepared) = self.core.lock().cache.get(sql) {
            return Ok(Statement::new(Arc::clone(&self.core), prepared, 0));
        }
        let statement = self.prepare(sql)?;
        self.core.lock().cache.insert(sql.into(), Arc::clone(statement.prepared()));
        Ok(statement)
    }

    /// Prepares the statement of a script that starts at byte `from` or after; also returns where the next one can start.
    /// `None` where nothing but blanks and comments is left.
    ///
    /// # Errors
    /// As [`Connection::prepare`]; offsets count from the start of the script.
    pub fn prepare_next(&self, sql: &str, from: usize) -> Result<Option<(Statement, usize)>> {
        // A statement keeps its own text only: a script may be long, and have many.
        let rest = sql.get(from..).unwrap_or_default();
        let next = parse::parse_next(rest, 0, Ast::default()).map_err(|error| error.offset_from(from))?;
        let Some((parsed, end)) = next else {
            return Ok(None);
        };
        let prepared = self.core.lock().prepare(&Arc::from(&rest[..end]), parsed);
        let prepared = prepared.map_err(|error| error.offset_from(from))?;
        Ok(Some((Statement::new(Arc::clone(&self.core), prepared, from), from + end)))
    }

    /// Runs one statement and returns the number of rows that it changed. Rows that it gives are dropped.
    ///
    /// # Errors
    /// As [`Connection::prepare`] and [`Statement::execute`].
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<u64> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Runs all statements of a script, up to the first that fails.
    ///
    /// # Errors
    /// The first statement's that fails; its offset counts from the start of the script.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        let mut from = 0;
        while let Some((mut statement, end)) = self.prepare_next(sql, from)? {
            let at = from + statement.start();
            statement.execute(()).map_err(|error| error.or_at_offset(at))?;
            from = end;
        }
        Ok(())
    }

    /// Runs a query and maps its first row.
    ///
    /// # Errors
    /// [`Code::Error`] with "Query returned no rows" where there is none (see
    /// [`OptionalExtension`](crate::OptionalExtension)); else as [`Connection::execute`].
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, map)
    }

    /// Runs `body` in a transaction that holds the writer's turn, and commits; an error of `body` rolls back and comes back.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where the turn is not to be had in time, [`ErrorKind::InvalidInput`] inside another transaction,
    /// `body`'s own, and those of COMMIT.
    pub fn transaction<T>(&self, body: impl FnOnce(&SqlTransaction<'_>) -> Result<T>) -> Result<T> {
        self.core.lock().begin(BeginMode::Immediate)?;
        let transaction = SqlTransaction { connection: self };
        let result = body(&transaction)?;
        self.core.lock().commit()?;
        Ok(result)
    }

    /// Goes on in a transaction that brings a merge in: triggers and foreign keys wait.
    pub(crate) fn begin_merge(&self, transaction: Transaction) -> Result<()> {
        self.core.lock().begin_merge(transaction)
    }

    /// Runs `body` with the open transaction.
    pub(crate) fn with_transaction<T>(&self, body: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.core.lock().with_transaction(body)
    }

    /// Keeps turns until the transaction ends.
    pub(crate) fn hold(&self, turns: impl Iterator<Item = TurnGuard>) {
        self.core.lock().held.extend(turns);
    }

    pub(crate) fn commit_merge(&self) -> Result<()> {
        self.core.lock().commit()
    }

    /// Takes the transaction back; from here on it is a connection as any.
    pub(crate) fn roll_back_merge(&self) -> Result<()> {
        let mut core = self.core.lock();
        core.end_merge();
        core.rollback()
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.core.lock().open.is_some()
    }

    /// Rows changed by the last INSERT, UPDATE or DELETE.
    #[must_use]
    pub fn changes(&self) -> u64 {
        u64::try_from(self.core.lock().session.counters.changes).unwrap_or(0)
    }

    /// Rows changed since the connection was opened.
    #[must_use]
    pub fn total_changes(&self) -> u64 {
        u64::try_from(self.core.lock().session.counters.total_changes).unwrap_or(0)
    }

    /// The rowid of the last row that this connection inserted; 0 before the first.
    #[must_use]
    pub fn last_insert_rowid(&self) -> i64 {
        self.core.lock().session.counters.last_insert_rowid
    }

    /// The Timestamp of the last commit that this connection can see: what `AS OF LSN` takes.
    #[must_use]
    pub fn last_commit(&self) -> Timestamp {
        let core = self.core.lock();
        core.open
            .as_ref()
            .map_or_else(|| core.database.last_commit(), |open| open.transaction.main.snapshot())
    }

    /// How long a statement waits for the writer's turn before it fails with [`ErrorKind::Busy`]; 5 seconds unless set.
    pub fn busy_timeout(&self, timeout: Duration) {
        self.core.lock().session.settings.busy_timeout = timeout;
    }

    /// A handle that ends what is running, for another thread.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle(Arc::clone(&self.core.lock().interrupt))
    }

    /// The database that it is connected to.
    #[must_use]
    pub fn database(&self) -> Database {
        self.core.lock().database.clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The open transaction of [`Connection::transaction`]. Everything a connection can do, inside it.
pub struct SqlTransaction<'c> {
    connection: &'c Connection,
}

impl Deref for SqlTransaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for SqlTransaction<'_> {
    fn drop(&mut self) {
        // Committed already, unless the body failed or panicked.
        let mut core = self.connection.core.lock();
        if core.open.is_some() {
            core.end();
        }
    }
}

impl fmt::Debug for SqlTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlTransaction").finish_non_exhaustive()
    }
}
