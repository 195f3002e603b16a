//! What the tests share.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;

use dosql::{Database, Env, ManualClock, Options, Range, SeededEntropy, Storage, Timestamp};

/// A moment.
pub fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A new database in memory.
pub fn db() -> Database {
    Database::open_memory().unwrap()
}

/// A new database in memory with these options.
pub fn db_with(options: Options) -> Database {
    Database::open(Storage::memory_with(&options), options).unwrap()
}

/// A new database in memory whose clock is in the test's hands.
pub fn db_with_clock(now: u64) -> (Database, Arc<Clock>) {
    let clock = Arc::new(Clock::at(at(now)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    (db_with(Options { env: Some(env), ..Options::default() }), clock)
}

/// These options with a clock that is in the test's hands.
pub fn with_clock(options: Options) -> (Options, Arc<Clock>) {
    let clock = Arc::new(Clock(ManualClock::at(at(1_000_000_000))));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    (Options { env: Some(env), ..options }, clock)
}

/// A clock that is set by hand.
pub struct Clock(ManualClock);

impl Clock {
    pub fn at(now: Timestamp) -> Self {
        Clock(ManualClock::at(now))
    }

    pub fn now(&self) -> Timestamp {
        dosql::Clock::now(&self.0)
    }

    pub fn set(&self, now: Timestamp) {
        self.0.set(now);
    }

    pub fn advance(&self, micros: u64) {
        self.0.advance(micros);
    }
}

impl dosql::Clock for Clock {
    fn now(&self) -> Timestamp {
        dosql::Clock::now(&self.0)
    }
}

/// What a read of this text should give.
pub fn bytes(text: &str) -> Option<&[u8]> {
    Some(text.as_bytes())
}

/// A scan's entries as text, leaked so that they compare with literals.
pub fn pairs(range: Range<'_>) -> Vec<(&'static str, &'static str)> {
    let text =
        |bytes: Vec<u8>| -> &'static str { Box::leak(String::from_utf8(bytes).unwrap().into_boxed_str()) };
    range.map(|pair| pair.map(|(key, value)| (text(key), text(value))).unwrap()).collect()
}

pub mod counted;
pub mod crash;
pub mod faults;
pub mod golden;

/// The rows of a query, the values of each as text with `|` between them, NULL as `NULL`.
pub fn cells(connection: &dosql::Connection, sql: &str) -> dosql::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(())?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |value: &dosql::Value| match value {
            dosql::Value::Null => "NULL".to_owned(),
            value => dosql::types::to_text(value.as_ref()).to_string(),
        };
        all.push(row.values().iter().map(text).collect::<Vec<_>>().join("|"));
    }
    Ok(all)
}

/// The first column of a query's rows.
pub fn texts(connection: &dosql::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map((), |row| row.get(0)).unwrap().collect::<dosql::Result<_>>().unwrap()
}

/// A database with a branch `draft`, and a connection to each of both.
pub fn branched(schema: &str) -> (Database, dosql::Connection, dosql::Connection) {
    let db = Database::open_memory().unwrap();
    let main = db.connect().unwrap();
    main.execute_batch(schema).unwrap();
    let draft = db.create_branch("draft", &dosql::NewBranch::default()).unwrap().connect().unwrap();
    (db, main, draft)
}
