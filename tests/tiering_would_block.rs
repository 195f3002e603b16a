//! Segments that have to be fetched: what is read is the same, SQL included, whoever waits, and there is an end to it.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dosql::stores::{BlockingSegmentStore, Wanted};
use dosql::{
    AsyncDatabase, Database, Env, ErrorKind, Fetch, Maintenance, ManualClock, Options, Result, SeededEntropy,
    Storage, Value,
};

/// Runs a future to its end; it never has to wait for anybody else.
fn run<T>(future: impl Future<Output = T>) -> T {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    for _ in 0..1_000_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("it never comes")
}

/// Waits a turn, then fetches. Not `Send`: nothing asks for that.
struct Bucket(Arc<BlockingSegmentStore>, #[allow(dead_code, reason = "only its being here counts")] Rc<()>);

impl Fetch for Bucket {
    async fn fetch(&self, wanted: Vec<Wanted>) -> Result<()> {
        assert!(!wanted.is_empty());
        let mut waited = false;
        std::future::poll_fn(|_| {
            let ready = std::mem::replace(&mut waited, true);
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.0.fetch(&wanted);
        Ok(())
    }
}

fn options(cache: usize) -> Options {
    let clock = Arc::new(ManualClock::at(common::at(1_000_000)));
    Options {
        page_size: 4096,
        cache_bytes: cache,
        maintenance: Maintenance::Caller,
        hot_budget: 16 << 10,
        segment_bytes: 64 << 10,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(1)))),
        ..Options::default()
    }
}

const SCRIPT: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, name TEXT);
    CREATE INDEX by_k ON t (k);
    CREATE TABLE log (at INTEGER PRIMARY KEY, what TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO t SELECT i, i * 7919 % 1000, printf('%012x%012x%012x', i * i * 15485863 % 998244353, i * 2654435761, i * 31337 % 65537) FROM n;
    CREATE TRIGGER changed AFTER UPDATE ON t BEGIN INSERT INTO log (what) VALUES (new.name); END;";

const QUERIES: [&str; 8] = [
    "SELECT count(*), sum(k), min(name), max(name) FROM t",
    "SELECT * FROM t WHERE id = 1500",
    "SELECT id FROM t WHERE k = 77 ORDER BY id",
    "SELECT k % 10, count(*), max(id) FROM t GROUP BY 1 ORDER BY 1",
    "SELECT a.id, b.id FROM t a JOIN t b ON b.k = a.k AND b.id > a.id WHERE a.id < 40 ORDER BY 1, 2",
    "SELECT id FROM t ORDER BY id DESC LIMIT 5 OFFSET 100",
    "SELECT count(*) FROM t WHERE name LIKE '%aa2%' AND id BETWEEN 500 AND 2500",
    "SELECT (SELECT max(name) FROM t WHERE k = o.k) FROM t o WHERE id % 500 = 0 ORDER BY 1",
];

const CHANGES: [&str; 5] = [
    "UPDATE t SET name = name || '!' WHERE id % 400 = 3",
    "DELETE FROM t WHERE k BETWEEN 10 AND 30",
    "INSERT INTO t VALUES (5, 1, 'taken') ON CONFLICT (id) DO UPDATE SET name = excluded.name, k = t.k + 1",
    "INSERT OR REPLACE INTO t SELECT id, k + 1, 'again' FROM t WHERE id < 20",
    "INSERT INTO t SELECT id + 10000, k, name FROM t WHERE k = 500",
];

/// What a plain database answers.
fn plain() -> Database {
    let storage = Storage::memory_with(&options(4 << 20));
    let db = Database::open(storage, Options { hot_budget: 0, ..options(4 << 20) }).unwrap();
    db.connect().unwrap().execute_batch(SCRIPT).unwrap();
    db
}

fn rows(db: &Database, sql: &str) -> Vec<Vec<Value>> {
    let connection = db.connect().unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query(()).unwrap();
    let mut all = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        all.push(row.values());
    }
    all
}

/// The same rows, all of them in segments that are far away; with room for so many bytes near.
fn far(cache: usize, room: u64) -> (Arc<BlockingSegmentStore>, Storage) {
    let inner = Storage::memory_with(&options(cache));
    let db = Database::open(inner.share(), options(4 << 20)).unwrap();
    db.connect().unwrap().execute_batch(SCRIPT).unwrap();
    db.checkpoint().unwrap();
    while !db.maintain(1usize << 20).unwrap().done {}
    assert!(db.segments().len() > 3, "{:?}", db.storage());
    db.close().unwrap();
    let store = Arc::new(BlockingSegmentStore::new(inner.segments, 4096, room));
    let storage = Storage::new(inner.pages, inner.log, store.clone());
    (store, storage)
}

#[test]
fn queries_and_changes_over_far_segments_come_to_the_same() {
    let plain = plain();
    let (store, storage) = far(1 << 20, 1 << 20);
    let bucket = Bucket(store.clone(), Rc::new(()));
    let db = run(AsyncDatabase::open(storage, options(1 << 20), bucket)).unwrap();
    for round in 0..=CHANGES.len() {
        for sql in QUERIES {
            store.evict_all();
            assert_eq!(run(db.query(sql, ())).unwrap(), rows(&plain, sql), "{sql}, round {round}");
        }
        if let Some(change) = CHANGES.get(round) {
            store.evict_all();
            let changed = run(db.execute(change, ())).unwrap();
            assert_eq!(changed, plain.connect().unwrap().execute(change, ()).unwrap(), "{change}");
            run(db.maintain((1usize << 20).into())).unwrap();
        }
    }
    assert_eq!(
        run(db.query("SELECT what FROM log ORDER BY at", ())).unwrap(),
        rows(&plain, "SELECT what FROM log ORDER BY at")
    );
    assert!(store.blocked() > 50, "{} reads had to wait", store.blocked());
    assert!(run(db.with(Database::verify)).unwrap().is_sound());
}

#[test]
fn a_scan_of_more_than_the_cache_holds_goes_on_and_comes_to_an_end() {
    let plain = plain();
    let (store, storage) = far(128 << 10, 48 << 10);
    let db =
        run(AsyncDatabase::open(storage, options(128 << 10), Bucket(store.clone(), Rc::new(())))).unwrap();
    let sql = "SELECT id, name FROM t ORDER BY id";
    assert_eq!(run(db.query(sql, ())).unwrap(), rows(&plain, sql));
    let backward = "SELECT id, name FROM t ORDER BY id DESC";
    assert_eq!(run(db.query(backward, ())).unwrap(), rows(&plain, backward));
    // Each of the blocks once or so, not once for every row.
    assert!(store.fetches() < 1_000, "{}", store.fetches());
}

#[test]
fn what_never_fits_is_a_limit_and_not_a_wait_without_end() {
    let (store, storage) = far(64 << 10, 4096);
    let db = run(AsyncDatabase::open(storage, options(64 << 10), Bucket(store, Rc::new(())))).unwrap();
    let error = run(db.query(QUERIES[4], ())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[test]
fn a_caller_who_fetches_himself_asks_again() {
    let (store, storage) = far(1 << 20, 1 << 20);
    let db = Database::open(storage, options(1 << 20)).unwrap();
    let connection = db.connect().unwrap();
    let mut waited = 0;
    let count: i64 = loop {
        match connection.query_row("SELECT sum(length(name)) FROM t WHERE id > 100", (), |row| row.get(0)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                waited += 1;
                store.fetch(&db.wanted());
            }
            answer => break answer.unwrap(),
        }
    };
    assert!(count > 0 && waited > 1, "{waited}");
}
