//! A database, and its twin that has the same rows and works under other conditions: a tiny cache, small pages, batches of one row.

use dosql::{Connection, Database, Limits, Options, Storage};

use crate::compare::Rows;
use crate::pair::{Failure, answer};
use crate::with_hint;

/// A database and its twin.
pub struct Databases {
    storage: Storage,
    database: Option<Database>,
    connection: Option<Connection>,
    pub twin: Database,
    pub twin_connection: Connection,
}

const OPENS: &str = "a database in memory opens";

fn tiny() -> Options {
    Options {
        cache_bytes: 64 << 10,
        dirty_bytes: 64 << 10,
        page_size: 4 << 10,
        limits: Limits { batch_rows: 1, ..Limits::default() },
        ..Options::default()
    }
}

impl Default for Databases {
    fn default() -> Self {
        Databases::new()
    }
}

impl Databases {
    pub fn new() -> Databases {
        let storage = Storage::memory();
        let database = Database::open(storage.share(), Options::default()).expect(OPENS);
        let connection = database.connect().expect(OPENS);
        let twin = Database::open(Storage::memory_with(&tiny()), tiny()).expect(OPENS);
        let twin_connection = twin.connect().expect(OPENS);
        Databases { storage, database: Some(database), connection: Some(connection), twin, twin_connection }
    }

    pub fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is open between checks")
    }

    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("it is open between checks")
    }

    pub fn reopen(&mut self) {
        self.connection = None;
        self.database = None;
        let database = Database::open(self.storage.share(), Options::default()).expect(OPENS);
        self.connection = Some(database.connect().expect(OPENS));
        self.database = Some(database);
    }

    /// Runs a statement in both.
    pub fn run(&self, sql: &str) {
        let sql = with_hint(sql, "");
        let _ = answer(self.connection(), &sql);
        let _ = answer(&self.twin_connection, &sql);
    }

    pub fn rows(&self, sql: &str) -> Result<Rows, Failure> {
        answer(self.connection(), &with_hint(sql, "")).map(|answer| answer.rows)
    }
}
