//! A database whose segments have to be fetched by somebody who can wait: the same engine, asked again when what it wanted has come.
//!
//! ```text
//! ask --> WouldBlock, with what is wanted --> fetch, awaited --> ask again --> an answer
//! ```
//!
//! There is no runtime here and nothing need be `Send`: it works under any executor, and in a single-threaded Durable Object.

use std::future::Future;
use std::sync::Arc;

use dosql_base::{Error, ErrorKind, Result};
use dosql_lsm::{SegmentStore, Wanted};

use crate::database::Database;
use crate::options::Options;
use crate::sql::{Connection, Params, Row, Statement};
use crate::storage::Storage;
use dosql_sql::value::Value;

/// Brings parts of objects near, so that the segment store which answered that they are not can be asked again.
pub trait Fetch {
    /// Fetches all of these. An error ends the call that waits for them.
    fn fetch(&self, wanted: Vec<Wanted>) -> impl Future<Output = Result<()>>;
}

/// How often in a row the same may be wanted before there is no hope: it was let go again each time before all was there.
const PATIENCE: u32 = 8;

/// See the module's description. Dropping a future that waits leaves the database as it was before the call: what writes has not begun
/// to, or, where it ran in a transaction of the caller's, is undone with the statement.
pub struct AsyncDatabase<F> {
    database: Database,
    store: Arc<dyn SegmentStore>,
    fetch: F,
}

impl<F: Fetch> AsyncDatabase<F> {
    /// Opens a database; see [`Database::open`]. `fetch` brings near what the storage's segment store wants.
    pub async fn open(storage: Storage, options: Options, fetch: F) -> Result<Self> {
        let store = Arc::clone(&storage.segments);
        let opened = ask(&*store, &fetch, || Database::open(storage.share(), options.clone())).await?;
        Ok(AsyncDatabase { database: opened, store, fetch })
    }

    /// The database itself, for what needs no segment, or to be asked again by the caller.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Asks until the answer is something else than `WouldBlock`, and fetches what is wanted in between. Each time `ask` starts anew: it must not have
    /// done anything that counts before it fails. What it reads has to fit into the memory for segments all at once; a scan that is
    /// longer goes on from where it stands if it is kept outside of `ask`.
    ///
    /// Fails with `Limit` where the same is wanted over and over, as what was fetched before does not stay; else as `ask` or the fetch does.
    pub async fn with<R>(&self, mut ask_it: impl FnMut(&Database) -> Result<R>) -> Result<R> {
        ask(&*self.store, &self.fetch, || ask_it(&self.database)).await
    }

    /// Runs a query and hands its rows over one by one. A scan goes on from where it had to wait.
    ///
    /// Fails as [`Connection::prepare`] and [`AsyncDatabase::with`], or as `each` does, which ends it.
    pub async fn query_each(
        &self,
        sql: &str,
        params: impl Params + Clone,
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let connection = self.connection().await?;
        let mut statement = self.prepare(&connection, sql).await?;
        let mut waiting = Waiting::default();
        loop {
            let error = match statement.query(params.clone()) {
                Err(error) => error,
                Ok(mut rows) => loop {
                    match rows.next() {
                        Ok(Some(row)) => {
                            waiting = Waiting::default();
                            each(&row)?;
                        }
                        Ok(None) => return Ok(()),
                        Err(error) => waiting.fetch(error, &*self.store, &self.fetch).await?,
                    }
                },
            };
            waiting.fetch(error, &*self.store, &self.fetch).await?;
        }
    }

    /// Runs a query; all its rows.
    ///
    /// Fails as [`AsyncDatabase::query_each`].
    pub async fn query(&self, sql: &str, params: impl Params + Clone) -> Result<Vec<Vec<Value>>> {
        let mut all = Vec::new();
        self.query_each(sql, params, |row| {
            all.push(row.values());
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Runs a statement that changes something, in a transaction of its own; returns how many rows it changed. It is undone and run again where it
    /// has to wait.
    ///
    /// Fails as [`Connection::execute`] and [`AsyncDatabase::with`].
    pub async fn execute(&self, sql: &str, params: impl Params + Clone) -> Result<u64> {
        let connection = self.connection().await?;
        ask(&*self.store, &self.fetch, || connection.execute(sql, params.clone())).await
    }

    /// Does housekeeping; see [`Database::maintain`].
    ///
    /// Fails as that, and as [`AsyncDatabase::with`].
    pub async fn maintain(&self, budget: crate::Budget) -> Result<crate::Progress> {
        self.with(|database| database.maintain(budget)).await
    }

    async fn connection(&self) -> Result<Connection> {
        self.with(Database::connect).await
    }

    async fn prepare(&self, connection: &Connection, sql: &str) -> Result<Statement> {
        ask(&*self.store, &self.fetch, || connection.prepare(sql)).await
    }
}

impl<F> std::fmt::Debug for AsyncDatabase<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncDatabase").field("database", &self.database).finish_non_exhaustive()
    }
}

/// What one call has waited for so far.
#[derive(Default)]
struct Waiting {
    fetched: Vec<Wanted>,
    repeated: u32,
}

impl Waiting {
    /// Fetches what is wanted, if that is what the error is about.
    async fn fetch(&mut self, error: Error, store: &dyn SegmentStore, fetch: &impl Fetch) -> Result<()> {
        if error.kind() != ErrorKind::WouldBlock {
            return Err(error);
        }
        let wanted = store.wanted();
        let all_known = wanted.iter().all(|it| self.fetched.contains(it));
        self.repeated = if all_known { self.repeated + 1 } else { 0 };
        if self.repeated >= PATIENCE {
            let message = "what has to be near at once is more than there is room for; give the cache more memory, or ask for less";
            return Err(Error::limit(message));
        }
        self.fetched
            .extend(wanted.iter().filter(|it| !self.fetched.contains(it)).cloned().collect::<Vec<_>>());
        fetch.fetch(wanted).await
    }
}

async fn ask<R>(
    store: &dyn SegmentStore,
    fetch: &impl Fetch,
    mut ask: impl FnMut() -> Result<R>,
) -> Result<R> {
    let mut waiting = Waiting::default();
    loop {
        match ask() {
            Err(error) => waiting.fetch(error, store, fetch).await?,
            answer => return answer,
        }
    }
}
