//! dosql and SQLite behind the interface of the SQL workloads.

use std::path::Path;

use dosql::{Database, Storage, ValueRef};
use rusqlite::types::{ToSqlOutput, ValueRef as SqliteRef};

use super::{Cell, SqlEngine, SqlStatement, fold};
use crate::engine::{Result, Settings};
use crate::engines::dosql::options;
use crate::engines::sqlite::connect;

fn fold_text(digest: u64, text: &[u8]) -> u64 {
    let head = text.first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
    fold(digest, head ^ text.len() as u64)
}

/// dosql's SQL, with the retention given, in microseconds.
pub struct DosqlSql<const RETENTION: u64> {
    database: Database,
    connection: dosql::Connection,
}

/// As shipped.
pub type Shipped = DosqlSql<{ 7 * dosql::DAY }>;
/// Without history.
pub type Forgetful = DosqlSql<0>;

impl<const RETENTION: u64> SqlEngine for DosqlSql<RETENTION> {
    const NAME: &'static str = if RETENTION == 0 { "dosql-r0" } else { "dosql" };
    type Statement<'c> = dosql::Statement;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let options = options(settings, RETENTION);
        let storage = Storage::directory_with(directory.join("sql.dosql"), &options)?;
        let database = Database::open(storage, options)?;
        let connection = database.connect()?;
        Ok(DosqlSql { database, connection })
    }

    fn batch(&self, sql: &str) -> Result<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn prepare(&self, sql: &str) -> Result<dosql::Statement> {
        Ok(self.connection.prepare(sql)?)
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.database.checkpoint()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.database.close()?)
    }
}

impl dosql::ToSql for Cell {
    fn to_sql(&self) -> dosql::Result<dosql::Value> {
        match self {
            Cell::Int(value) => dosql::ToSql::to_sql(value),
            Cell::Real(value) => dosql::ToSql::to_sql(value),
            Cell::Text(text) => dosql::ToSql::to_sql(text.as_str()),
        }
    }
}

impl SqlStatement for dosql::Statement {
    fn execute(&mut self, cells: &[Cell]) -> Result<u64> {
        Ok(dosql::Statement::execute(self, cells)?)
    }

    fn query(&mut self, cells: &[Cell]) -> Result<(u64, u64)> {
        let width = self.column_count();
        let mut rows = dosql::Statement::query(self, cells)?;
        let (mut count, mut digest) = (0, 0);
        while let Some(row) = rows.next()? {
            for column in 0..width {
                digest = match row.get_ref(column)? {
                    ValueRef::Null => fold(digest, 1),
                    ValueRef::Integer(value) => fold(digest, value as u64),
                    ValueRef::Real(value) => fold(digest, value.to_bits()),
                    ValueRef::Text(text) => fold_text(digest, text.as_bytes()),
                    ValueRef::Blob(bytes) => fold_text(digest, bytes),
                };
            }
            count += 1;
        }
        Ok((count, digest))
    }
}

/// SQLite.
pub struct SqliteSql(rusqlite::Connection);

impl SqlEngine for SqliteSql {
    const NAME: &'static str = "sqlite";
    type Statement<'c> = rusqlite::Statement<'c>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        Ok(SqliteSql(connect(&directory.join("sql.sqlite"), settings)?))
    }

    fn batch(&self, sql: &str) -> Result<()> {
        Ok(self.0.execute_batch(sql)?)
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::Statement<'_>> {
        Ok(self.0.prepare(sql)?)
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn close(self) -> Result<()> {
        self.0.close().map_err(|(_, error)| error.into())
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Int(value) => SqliteRef::Integer(*value),
            Cell::Real(value) => SqliteRef::Real(*value),
            Cell::Text(text) => SqliteRef::Text(text.as_bytes()),
        }))
    }
}

impl SqlStatement for rusqlite::Statement<'_> {
    fn execute(&mut self, cells: &[Cell]) -> Result<u64> {
        Ok(rusqlite::Statement::execute(self, rusqlite::params_from_iter(cells))? as u64)
    }

    fn query(&mut self, cells: &[Cell]) -> Result<(u64, u64)> {
        let width = self.column_count();
        let mut rows = rusqlite::Statement::query(self, rusqlite::params_from_iter(cells))?;
        let (mut count, mut digest) = (0, 0);
        while let Some(row) = rows.next()? {
            for column in 0..width {
                digest = match row.get_ref(column)? {
                    SqliteRef::Null => fold(digest, 1),
                    SqliteRef::Integer(value) => fold(digest, value as u64),
                    SqliteRef::Real(value) => fold(digest, value.to_bits()),
                    SqliteRef::Text(text) | SqliteRef::Blob(text) => fold_text(digest, text),
                };
            }
            count += 1;
        }
        Ok((count, digest))
    }
}
