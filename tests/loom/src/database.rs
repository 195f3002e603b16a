//! The whole engine: transactions against commits, against the watermark and against the end.

use std::sync::Arc;

use dosql::stores::MemoryPageStore;
use dosql::{
    Begin, Database, Durability, Env, ErrorKind, Keyspace, ManualClock, Options, SeededEntropy, Storage,
};
use dosql_base::Timestamp;
use dosql_base::sync::atomic::Ordering;
use dosql_lsm::MemorySegmentStore;
use loom::thread;

use crate::log::Device;
use crate::run::Model;

pub const MODELS: &[Model] = &[
    Model {
        name: "transaction-registration",
        run: what_a_transaction_is_checked_against_is_kept,
        twins: &["window-entered-late"],
        most_preemptions: 2,
    },
    Model {
        name: "reader-of-the-past",
        run: a_reader_that_is_moved_sees_the_same,
        twins: &["reader-moves-on"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "visible-commit",
        run: what_is_seen_is_durable,
        twins: &["visible-before-durable"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "seen-by-a-writer",
        run: what_a_writer_has_seen_is_seen_by_all_who_begin_later,
        twins: &["seen-by-a-writer-only"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "close",
        run: what_was_committed_before_the_end_is_there,
        twins: &["closed-unchecked"],
        most_preemptions: usize::MAX,
    },
];

fn options(durability: Durability) -> Options {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000)));
    Options {
        page_size: 4096,
        pinned_bytes: 0,
        durability,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(1)))),
        ..Options::default()
    }
}

fn storage(device: &Arc<Device>) -> Storage {
    let pages = Arc::new(MemoryPageStore::new(4096));
    Storage::new(pages, device.clone(), Arc::new(MemorySegmentStore::new()))
}

/// A database with one key.
fn database(device: &Arc<Device>, durability: Durability) -> (Database, Keyspace) {
    let db = Database::open(storage(device), options(durability)).expect("an empty storage opens");
    let made = db.keyspace("space").expect("a name");
    put(&db, &made, "key", "1");
    // Asked for again it knows its number, and reads no more to find it.
    let space = db.keyspace("space").expect("a name");
    (db, space)
}

fn put(db: &Database, space: &Keyspace, key: &str, value: &str) {
    db.write(|tx| tx.put(space, key, value)).expect("memory does not fail");
}

fn what_a_transaction_is_checked_against_is_kept() {
    let (db, space) = database(&Device::new(false), Durability::None);
    let (other, other_space) = (db.clone(), space.clone());
    let thread = thread::spawn(move || put(&other, &other_space, "other", "1"));
    let mut tx = db.begin_concurrent().expect("the database is open");
    tx.put(&space, "own", "1").expect("it fits");
    // Nobody else wrote what it read or wrote.
    tx.commit().expect("a conflict with nobody");
    thread.join().expect("a thread of the model ends");
}

fn a_reader_that_is_moved_sees_the_same() {
    /// As many changes of a leaf as are noted beside it: the next one copies it, so that its image before takes memory.
    const DELTAS: usize = 8;
    let (db, space) = database(&Device::new(false), Durability::None);
    for n in 0..DELTAS {
        put(&db, &space, "key", if n % 2 == 0 { "0" } else { "1" });
    }
    let (other, other_space) = (db.clone(), space.clone());
    let thread = thread::spawn(move || put(&other, &other_space, "key", "2"));
    let tx = db.begin(Begin::Read).expect("the database is open");
    let read = || tx.get(&space, "key").expect("memory does not fail").expect("the key is there").to_vec();
    let first = read();
    thread.join().expect("a thread of the model ends");
    assert_eq!(read(), first, "a snapshot changed");
}

fn what_is_seen_is_durable() {
    let device = Device::new(false);
    let (db, space) = database(&device, Durability::Sync);
    let (other, other_space) = (db.clone(), space.clone());
    let before = db.stats().log.end.get();
    let thread = thread::spawn(move || put(&other, &other_space, "key", "2"));
    let tx = db.begin(Begin::Read).expect("the database is open");
    let seen = tx.get(&space, "key").expect("memory does not fail").expect("the key is there").to_vec();
    if seen == b"2" {
        assert!(device.synced.load(Ordering::Relaxed) > before, "seen before it was durable");
    }
    thread.join().expect("a thread of the model ends");
}

fn what_a_writer_has_seen_is_seen_by_all_who_begin_later() {
    let (db, space) = database(&Device::new(false), Durability::None);
    let (other, other_space) = (db.clone(), space.clone());
    let thread = thread::spawn(move || put(&other, &other_space, "key", "2"));
    let read = |begin| {
        let mut tx = db.begin(begin).expect("the database is open");
        let seen = tx.get(&space, "key").expect("memory does not fail").expect("the key is there").to_vec();
        tx.commit().expect("nothing to commit");
        seen
    };
    // It has the turn, and so it sees the last commit, be it visible to readers or not.
    let by_a_writer = read(Begin::Write);
    let later = read(Begin::Read);
    assert!(by_a_writer == b"1" || later == b"2", "who began later sees less");
    thread.join().expect("a thread of the model ends");
}

fn what_was_committed_before_the_end_is_there() {
    let device = Device::new(false);
    let stores = storage(&device);
    let db = Database::open(stores.share(), options(Durability::None)).expect("an empty storage opens");
    let space = db.keyspace("space").expect("a name");
    let (other, other_space) = (db.clone(), space.clone());
    let thread = thread::spawn(move || other.write(|tx| tx.put(&other_space, "key", "1")));
    db.close().expect("memory does not fail");
    let committed = thread.join().expect("a thread of the model ends");
    drop(db);
    let db = Database::open(stores.share(), options(Durability::None)).expect("what was closed opens");
    let space = db.keyspace("space").expect("a name");
    let found =
        db.read().expect("the database is open").contains(&space, "key").expect("memory does not fail");
    match committed {
        Ok(()) => assert!(found, "a commit was lost at the end"),
        Err(error) => assert!(error.kind() == ErrorKind::Closed && !found, "{error}"),
    }
}
