//! Commits that bring rows faster than these move into the segment store are slowed down, and never stopped. Counted, not timed.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};

use dosql::stores::SegmentStore;
use dosql::{Database, Durability, Error, Maintenance, Options, Result, Storage};

const BUDGET: u64 = 256 << 10;

fn options() -> Options {
    Options {
        page_size: 4096,
        maintenance: Maintenance::Background,
        durability: Durability::None,
        hot_budget: BUDGET,
        segment_bytes: 64 << 10,
        ..Options::default()
    }
}

/// What becomes of an upload.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    /// It waits.
    Closed,
    Fails,
    Open,
}

/// A store whose uploads wait, or fail.
struct Gated {
    inner: Arc<dyn SegmentStore>,
    gate: Mutex<Gate>,
    changed: Condvar,
}

impl Gated {
    fn set(&self, gate: Gate) {
        *self.gate.lock().unwrap() = gate;
        self.changed.notify_all();
    }
}

impl SegmentStore for Gated {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut gate = self.gate.lock().unwrap();
        while *gate == Gate::Closed {
            gate = self.changed.wait(gate).unwrap();
        }
        if *gate == Gate::Fails {
            return Err(Error::conflict("not today"));
        }
        self.inner.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.inner.read(name, range)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.inner.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix)
    }
}

fn hot(db: &Database) -> u64 {
    db.storage().unwrap().iter().find(|part| part.place == "hot").unwrap().bytes
}

#[test]
fn commits_are_slowed_down_while_nothing_moves_and_never_stopped() {
    let storage = Storage::memory_with(&options());
    let gate = Mutex::new(Gate::Closed);
    let gated = Arc::new(Gated { inner: storage.segments.clone(), gate, changed: Condvar::new() });
    let db = Database::open(storage.with_segments(gated.clone()), options()).unwrap();
    let space = db.keyspace("rows").unwrap();
    let mut next = 0u32;
    let mut commit = |db: &Database| {
        db.write(|tx| (0..20).try_for_each(|i| tx.put(&space, (next + i).to_be_bytes(), [7; 100]))).unwrap();
        next += 20;
    };
    while hot(&db) < BUDGET * 7 / 8 {
        commit(&db);
    }
    assert_eq!(db.stats().held_back.count, 0, "within the budget nobody waits");
    while hot(&db) < BUDGET * 2 {
        commit(&db);
    }
    let closed = db.stats().held_back;
    assert!(closed.count > 50, "{closed:?}");
    assert!(closed.longest <= 5_000, "{closed:?}: each commit waits 5 ms at most");
    gated.set(Gate::Fails);
    for _ in 0..100 {
        commit(&db);
    }
    gated.set(Gate::Open);
    while !db.maintain(1usize << 20).unwrap().done {}
    assert!(hot(&db) <= BUDGET, "{}", hot(&db));
    let settled = db.stats().held_back.count;
    while hot(&db) < BUDGET * 7 / 8 {
        commit(&db);
    }
    assert!(db.stats().held_back.count <= settled + 20, "once there is room nobody waits");
    let rows = db.read().unwrap().iter(&space).unwrap().count();
    assert_eq!(rows, next as usize);
    assert!(db.verify().unwrap().is_sound());
    db.close().unwrap();
}
