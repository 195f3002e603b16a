//! The rows of a query.

use std::fmt;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_sql::exec::Batch;
use dosql_sql::plan::OutputColumn;
use dosql_sql::session::Prepared;
use dosql_sql::value::{Value, ValueRef};
use parking_lot::Mutex;

use super::FromSql;
use super::core::{Core, SqlRun, Started, Stepped};

/// The rows of a running query, computed in batches as they are asked for.
pub struct Rows<'s> {
    core: &'s Arc<Mutex<Core>>,
    run: &'s mut SqlRun,
    started: Started,
    /// The rows of the current batch, and the next of them.
    len: usize,
    next: usize,
    done: bool,
}

impl<'s> Rows<'s> {
    pub(super) fn new(core: &'s Arc<Mutex<Core>>, run: &'s mut SqlRun, started: Started) -> Self {
        Rows { core, run, started, len: 0, next: 0, done: false }
    }

    /// The next row, `None` after the last. The row lends its values; it ends when the next is asked for.
    ///
    /// # Errors
    /// As the query's execution; after an error there are no further rows.
    #[allow(
        clippy::should_implement_trait,
        reason = "the row borrows from the rows, which an Iterator can't say"
    )]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        while self.next >= self.len {
            if self.done {
                return Ok(None);
            }
            match self.core.lock().step(self.run, &mut self.started) {
                Ok(Stepped::Rows(len)) => (self.len, self.next) = (len, 0),
                Ok(Stepped::Done(_)) => (self.len, self.next, self.done) = (0, 0, true),
                Err(error) => {
                    // What has to wait may be asked for again; anything else is the end.
                    self.done = error.kind() != ErrorKind::WouldBlock;
                    (self.len, self.next) = (0, 0);
                    return Err(error);
                }
            }
        }
        let row = self.next;
        self.next += 1;
        Ok(Some(Row { batch: self.run.batch(), row, prepared: self.run.prepared() }))
    }

    /// The columns of the rows.
    #[must_use]
    pub fn columns(&self) -> &[OutputColumn] {
        self.run.prepared().columns()
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.run.rest();
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("done", &self.done).finish_non_exhaustive()
    }
}

/// A row, lent.
pub struct Row<'r> {
    batch: &'r Batch,
    row: usize,
    prepared: &'r Arc<Prepared>,
}

impl<'r> Row<'r> {
    /// The value of a column, by position or name.
    ///
    /// # Errors
    /// [`Code::Range`] where there is no such column, [`Code::Mismatch`] where its value is not a `T`.
    pub fn get<T: FromSql>(&self, column: impl RowIndex) -> Result<T> {
        let index = column.index(self.prepared.columns())?;
        T::from_sql(self.batch.value(self.row, index)).map_err(|error| {
            let name = self.prepared.columns().get(index).map_or("?", |column| column.name.as_str());
            Error::new(error.kind(), error.code(), format!("column {name}: {}", error.message()))
        })
    }

    /// The value of a column, lent.
    ///
    /// # Errors
    /// [`Code::Range`] where there is no such column.
    pub fn get_ref(&self, column: impl RowIndex) -> Result<ValueRef<'r>> {
        let index = column.index(self.prepared.columns())?;
        Ok(self.batch.value(self.row, index))
    }

    /// All values, owned.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        (0..self.batch.width()).map(|column| self.batch.value(self.row, column).to_value()).collect()
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &'r [OutputColumn] {
        self.prepared.columns()
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

/// A position or a name of a column.
pub trait RowIndex {
    /// The position.
    ///
    /// # Errors
    /// [`Code::Range`] where there is no such column.
    fn index(&self, columns: &[OutputColumn]) -> Result<usize>;
}

impl RowIndex for usize {
    fn index(&self, columns: &[OutputColumn]) -> Result<usize> {
        if *self < columns.len() {
            return Ok(*self);
        }
        let message = format!("there is no column {self}: the row has {}", columns.len());
        Err(Error::new(ErrorKind::InvalidInput, Code::Range, message))
    }
}

impl RowIndex for &str {
    fn index(&self, columns: &[OutputColumn]) -> Result<usize> {
        columns.iter().position(|column| column.name.eq_ignore_ascii_case(self)).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, Code::Range, format!("there is no column called {self}"))
        })
    }
}
