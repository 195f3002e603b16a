//! A prepared statement.

use std::fmt;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::plan::OutputColumn;
use dosql_sql::session::Prepared;
use dosql_sql::value::Text;
use parking_lot::Mutex;

use super::core::{Core, SqlRun, Started};
use super::params::ParameterValues;
use super::{Params, Row, Rows};

/// A prepared statement. Owned: it can be kept in a struct beside its connection, and outlive the handle it came from.
pub struct Statement {
    core: Arc<Mutex<Core>>,
    prepared: Arc<Prepared>,
    /// Where its text began in the script that it came from: offsets of errors count from the script's start.
    from: usize,
    /// What runs it, kept from run to run. (The mutex is never locked: it lets statements be shared between threads.)
    run: Option<Box<Mutex<SqlRun>>>,
}

/// What [`Statement::query_row`] says of a query without rows.
const NO_ROWS: &str = "Query returned no rows";

impl Statement {
    pub(super) fn new(core: Arc<Mutex<Core>>, prepared: Arc<Prepared>, from: usize) -> Self {
        Statement { core, prepared, from, run: None }
    }

    /// Where the statement itself starts in its text.
    pub(super) fn start(&self) -> usize {
        self.prepared.start()
    }

    pub(super) fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// Gets ready to run with these parameters.
    fn bind(&mut self, params: impl Params) -> Result<(&Arc<Mutex<Core>>, &mut SqlRun)> {
        let run = self.run.get_or_insert_with(|| {
            Box::new(Mutex::new(SqlRun::new(Arc::clone(&self.prepared), Vec::new(), Timestamp::ZERO)))
        });
        let run = run.get_mut();
        let mut values =
            ParameterValues::new(self.prepared.parameters(), std::mem::take(run.parameters_mut()));
        params.bind(&mut values)?;
        *run.parameters_mut() = values.into_values();
        Ok((&self.core, run))
    }

    /// Runs it to its end and returns the number of rows that it changed; 0 for what is no INSERT, UPDATE or DELETE.
    ///
    /// # Errors
    /// [`ErrorKind::Constraint`] where the data would break one: nothing was changed then. [`Code::Range`] where the parameters do
    /// not fit. [`ErrorKind::Busy`] and [`ErrorKind::Conflict`]: run the transaction again.
    pub fn execute(&mut self, params: impl Params) -> Result<u64> {
        let from = self.from;
        let (core, run) = self.bind(params)?;
        let result = core.lock().run(run).map_err(|error| error.offset_from(from));
        run.rest();
        result.map(|outcome| u64::try_from(outcome.changes).unwrap_or(0))
    }

    /// Runs it; the rows are computed as they are asked for. A statement that writes has written when this returns.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        let from = self.from;
        let (core, run) = self.bind(params)?;
        let mut started = Started::default();
        core.lock().start(run, &mut started).map_err(|error| error.offset_from(from))?;
        Ok(Rows::new(core, run, started))
    }

    /// Runs it and maps every row.
    ///
    /// # Errors
    /// As [`Statement::execute`]; the first error ends the iteration.
    pub fn query_map<T>(
        &mut self,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<impl Iterator<Item = Result<T>>> {
        let mut rows = self.query(params)?;
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = rows.next().and_then(|row| row.map(|row| map(&row)).transpose()).transpose();
            ended = !matches!(next, Some(Ok(_)));
            next
        }))
    }

    /// Runs it and maps the first row.
    ///
    /// # Errors
    /// [`Code::Error`] where there is none; else as [`Statement::execute`].
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(params)?;
        match rows.next()? {
            Some(row) => map(&row),
            None => Err(Error::invalid(NO_ROWS)),
        }
    }

    /// Whether it gives a row.
    ///
    /// # Errors
    /// As [`Statement::execute`].
    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// The columns of its rows: names, declared types, where they come from.
    #[must_use]
    pub fn columns(&self) -> &[OutputColumn] {
        self.prepared.columns()
    }

    /// How many columns its rows have; 0 where it gives none.
    #[must_use]
    pub fn column_count(&self) -> usize {
        self.prepared.columns().len()
    }

    /// The names of its columns.
    #[must_use]
    pub fn column_names(&self) -> Vec<&str> {
        self.prepared.columns().iter().map(|column| column.name.as_str()).collect()
    }

    /// Its parameters by number: the name with its sign, or none.
    #[must_use]
    pub fn parameter_names(&self) -> &[Option<Text>] {
        self.prepared.parameters()
    }

    /// Whether it surely writes nothing.
    #[must_use]
    pub fn readonly(&self) -> bool {
        self.prepared.is_readonly()
    }

    /// The text that it was prepared from.
    #[must_use]
    pub fn sql(&self) -> &str {
        self.prepared.sql()
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("sql", &self.sql()).finish_non_exhaustive()
    }
}

/// Turns "no rows" into `None`.
pub trait OptionalExtension<T> {
    /// `None` where the query returned no rows.
    ///
    /// # Errors
    /// All others.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error)
                if error.kind() == ErrorKind::InvalidInput
                    && error.code() == Code::Error
                    && error.message() == NO_ROWS =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
