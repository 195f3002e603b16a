//! SQLite: a WITHOUT ROWID table as the map, in WAL mode.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// SQLite. One connection writes; readers take theirs from a pool.
pub struct Sqlite {
    file: PathBuf,
    settings: Settings,
    writer: Mutex<(Connection, Durability)>,
    idle: Mutex<Vec<Connection>>,
}

/// A connection to `file` with the settings of every run.
pub fn connect(file: &Path, settings: Settings) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "page_size", 4096)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if let Some(bytes) = settings.log_bytes {
        connection.pragma_update(None, "wal_autocheckpoint", (bytes / 4096) as i64)?;
    }
    connection.pragma_update(None, "cache_size", -((settings.memory_bytes >> 10) as i64))?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    Ok(connection)
}

fn set_mode(writer: &mut (Connection, Durability), durability: Durability) -> Result<()> {
    if writer.1 != durability {
        let mode = if durability == Durability::Sync { "FULL" } else { "OFF" };
        writer.0.pragma_update(None, "synchronous", mode)?;
        writer.1 = durability;
    }
    Ok(())
}

impl Engine for Sqlite {
    const NAME: &'static str = "sqlite";
    type Reader<'e> = SqliteReader<'e>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let file = directory.join("kv.sqlite");
        let connection = connect(&file, settings)?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
            [],
        )?;
        let writer = Mutex::new((connection, Durability::Sync));
        Ok(Sqlite { file, settings, writer, idle: Mutex::default() })
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let mut writer = self.writer.lock();
        set_mode(&mut writer, durability)?;
        let connection = &writer.0;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut put = connection.prepare_cached("INSERT OR REPLACE INTO kv VALUES (?1, ?2)")?;
            let mut remove = connection.prepare_cached("DELETE FROM kv WHERE k = ?1")?;
            for (key, value) in changes {
                match value {
                    Some(value) => put.execute(params![key, value])?,
                    None => remove.execute(params![key])?,
                };
            }
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn reader(&self) -> Result<SqliteReader<'_>> {
        let connection = match self.idle.lock().pop() {
            Some(connection) => connection,
            None => connect(&self.file, self.settings)?,
        };
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(SqliteReader { engine: self, connection: Some(connection) })
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        let mut writer = self.writer.lock();
        set_mode(&mut writer, Durability::Lazy)?;
        let connection = &writer.0;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut select = connection.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        let old: Option<Vec<u8>> = select.query_row(params![key], |row| row.get(0)).optional()?;
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO kv VALUES (?1, ?2)")?;
        put.execute(params![key, incremented(old.as_deref())])?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        // The next synchronous commit syncs the whole log; a checkpoint does it now.
        let mut writer = self.writer.lock();
        set_mode(&mut writer, Durability::Sync)?;
        Ok(writer.0.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    fn close(self) -> Result<()> {
        for connection in self.idle.into_inner() {
            connection.close().map_err(|(_, error)| error)?;
        }
        self.writer.into_inner().0.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

/// A read transaction on a connection of its own.
pub struct SqliteReader<'e> {
    engine: &'e Sqlite,
    connection: Option<Connection>,
}

impl SqliteReader<'_> {
    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(|| "the connection was given back".into())
    }
}

impl Reader for SqliteReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        let mut select = self.connection()?.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        let mut rows = select.query(params![key])?;
        let Some(row) = rows.next()? else {
            return Ok(false);
        };
        found(row.get_ref(0)?.as_blob()?);
        Ok(true)
    }

    fn scan(
        &mut self,
        from: Option<&[u8]>,
        way: Way,
        limit: usize,
        mut entry: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let sql = match (from, way) {
            (None, Way::Up) => "SELECT k, v FROM kv ORDER BY k LIMIT ?1",
            (None, Way::Down) => "SELECT k, v FROM kv ORDER BY k DESC LIMIT ?1",
            (Some(_), Way::Up) => "SELECT k, v FROM kv WHERE k >= ?2 ORDER BY k LIMIT ?1",
            (Some(_), Way::Down) => "SELECT k, v FROM kv WHERE k <= ?2 ORDER BY k DESC LIMIT ?1",
        };
        let mut select = self.connection()?.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = match from {
            None => select.query(params![limit])?,
            Some(from) => select.query(params![limit, from])?,
        };
        let mut count = 0;
        while let Some(row) = rows.next()? {
            entry(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            count += 1;
        }
        Ok(count)
    }
}

impl Drop for SqliteReader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let ended = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
            if ended.is_ok() {
                self.engine.idle.lock().push(connection);
            }
        }
    }
}
