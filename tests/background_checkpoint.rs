//! Checkpoints in the background: commits and reads go on while the pages are written, and wait only where they outrun the device.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dosql::stores::{Batch, Caps, PageId, PageStore, StoreStats};
use dosql::{Database, Error, Maintenance, Options, Result, Storage};
use parking_lot::{Condvar, Mutex};

/// A page store whose batches wait at a gate, and may fail there.
struct Gated {
    inner: Arc<dyn PageStore>,
    open: Mutex<bool>,
    opened: Condvar,
    arrived: AtomicU64,
    fails: AtomicBool,
}

impl Gated {
    fn new(inner: Arc<dyn PageStore>) -> Arc<Self> {
        let fails = AtomicBool::new(false);
        Arc::new(Gated {
            inner,
            open: Mutex::new(true),
            opened: Condvar::new(),
            arrived: AtomicU64::new(0),
            fails,
        })
    }

    fn shut(&self) {
        *self.open.lock() = false;
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.opened.notify_all();
    }

    fn wait_for_batch(&self, number: u64) {
        while self.arrived.load(Ordering::Acquire) < number {
            std::thread::yield_now();
        }
    }
}

impl PageStore for Gated {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        self.inner.read(id, buf)
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
        drop(open);
        if self.fails.load(Ordering::Acquire) {
            return Err(Error::io("the device is gone", &std::io::Error::other("as planned")));
        }
        self.inner.commit(batch)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.inner.meta()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }
}

const LOG_LIMIT: u64 = 256 << 10;

fn options() -> Options {
    Options { maintenance: Maintenance::Background, log_limit: LOG_LIMIT, ..Options::default() }
}

/// A database whose page store has a gate, and its storage to open it again.
fn gated() -> (Database, Arc<Gated>, Storage) {
    let storage = Storage::memory();
    let gate = Gated::new(Arc::clone(&storage.pages));
    let through = Storage::new(gate.clone(), Arc::clone(&storage.log), Arc::clone(&storage.segments));
    let db = Database::open(through, options()).unwrap();
    (db, gate, storage)
}

/// A commit of about a kilobyte.
fn commit(db: &Database, n: u32) -> Result<()> {
    let space = db.keyspace("space")?;
    db.write(|tx| tx.put(&space, n.to_be_bytes(), vec![n as u8; 1000]))
}

/// Commits until a checkpoint is under way and stands at the gate; returns the number of commits.
fn commit_until_the_gate(db: &Database, gate: &Gated) -> u32 {
    let before = gate.arrived.load(Ordering::Acquire);
    let mut n = 0;
    while db.stats().log_backlog < LOG_LIMIT * 6 / 10 {
        commit(db, n).unwrap();
        n += 1;
    }
    gate.wait_for_batch(before + 1);
    n
}

#[test]
fn commits_reads_and_snapshots_go_on_while_the_pages_are_written() {
    let (db, gate, storage) = gated();
    let space = db.keyspace("space").unwrap();
    gate.shut();
    let n = commit_until_the_gate(&db, &gate);
    let then = db.last_commit();
    let snapshot = db.read().unwrap();
    for n in n..n + 20 {
        commit(&db, n).unwrap();
    }
    db.write(|tx| tx.put(&space, 3u32.to_be_bytes(), "new")).unwrap();
    assert_eq!(db.stats().checkpoints, 0);
    assert_eq!(snapshot.get(&space, 3u32.to_be_bytes()).unwrap().as_deref(), Some(&[3; 1000][..]));
    assert_eq!(
        db.read_at(then).unwrap().get(&space, 3u32.to_be_bytes()).unwrap().as_deref(),
        Some(&[3; 1000][..])
    );
    assert_eq!(db.read().unwrap().get(&space, 3u32.to_be_bytes()).unwrap().as_deref(), Some(&b"new"[..]));
    gate.open();
    drop((snapshot, db));
    let db = Database::open(storage, options()).unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count() as u32, n + 20);
    assert_eq!(db.read().unwrap().get(&space, 3u32.to_be_bytes()).unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(
        db.read_at(then).unwrap().get(&space, 3u32.to_be_bytes()).unwrap().as_deref(),
        Some(&[3; 1000][..])
    );
    assert!(db.stats().replayed < 120, "the checkpoint was taken: {} replayed", db.stats().replayed);
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn the_log_stays_within_its_limit_whatever_the_pace_of_commits() {
    let (db, _gate, _) = gated();
    for n in 0..4_000 {
        commit(&db, n).unwrap();
        let backlog = db.stats().log_backlog;
        assert!(backlog < LOG_LIMIT + 8_192, "{backlog} bytes of log at commit {n}");
    }
    assert!(db.stats().checkpoints > 8);
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_dropped_database_can_be_opened_again_at_once_though_a_checkpoint_was_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    for round in 0..20u32 {
        let db =
            Database::open(Storage::directory(&path).unwrap(), Options { log_limit: 64 << 10, ..options() });
        let db = db.unwrap_or_else(|error| panic!("round {round}: {error}"));
        for n in 0..70 {
            commit(&db, round * 100 + n).unwrap();
        }
    }
    let db = Database::open(Storage::directory(&path).unwrap(), options()).unwrap();
    let space = db.keyspace("space").unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count(), 20 * 70);
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_checkpoint_that_fails_in_the_background_closes_the_database_and_loses_nothing() {
    let (db, gate, storage) = gated();
    gate.shut();
    let n = commit_until_the_gate(&db, &gate);
    gate.fails.store(true, Ordering::Release);
    gate.open();
    while !db.is_poisoned() {
        std::thread::yield_now();
    }
    let error = commit(&db, n).unwrap_err();
    assert_eq!(error.kind(), dosql::ErrorKind::Closed);
    assert!(error.to_string().contains("the device is gone"), "{error}");
    drop(db);
    let db = Database::open(storage, options()).unwrap();
    let space = db.keyspace("space").unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count() as u32, n);
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_close_waits_for_the_checkpoint_under_way() {
    let (db, gate, storage) = gated();
    gate.shut();
    let n = commit_until_the_gate(&db, &gate);
    let closing = std::thread::spawn({
        let db = db.clone();
        move || db.close()
    });
    gate.open();
    closing.join().unwrap().unwrap();
    drop(db);
    let db = Database::open(storage, options()).unwrap();
    let space = db.keyspace("space").unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count() as u32, n);
    assert_eq!(db.stats().replayed, 0);
}
