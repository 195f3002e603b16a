//! Space that is free is used again, and given back while the database is open.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;

use common::counted::{Counter, storage};
use common::faults::{self, Faults};
use dosql::{Database, ErrorKind, Maintenance, Options, Storage, Timestamp};

const PAGE: usize = 4096;
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    Options { page_size: PAGE, cache_bytes: 512 << 10, ..Options::default() }
}

fn value(key: u32, round: u8) -> Vec<u8> {
    // One in fifty takes pages of its own.
    if key.is_multiple_of(50) { vec![round; 9_000] } else { vec![round; 120] }
}

fn put(db: &Database, state: &mut State, keys: impl Iterator<Item = u32>, round: u8) {
    let space = db.keyspace("space").unwrap();
    db.write(|tx| {
        for key in keys {
            tx.put(&space, key.to_be_bytes(), value(key, round))?;
            state.insert(key.to_be_bytes().to_vec(), value(key, round));
        }
        Ok(())
    })
    .unwrap();
}

fn delete(db: &Database, state: &mut State, keys: impl Iterator<Item = u32>) {
    let space = db.keyspace("space").unwrap();
    db.write(|tx| {
        for key in keys {
            tx.delete(&space, key.to_be_bytes())?;
            state.remove(key.to_be_bytes().as_slice());
        }
        Ok(())
    })
    .unwrap();
}

fn found(db: &Database, at: Timestamp) -> State {
    let space = db.keyspace("space").unwrap();
    db.read_at(at).unwrap().iter(&space).unwrap().map(Result::unwrap).collect()
}

/// Much was written and most of it deleted again, here and there; the states at two moments.
fn thinned(db: &Database) -> [(Timestamp, State); 2] {
    let mut state = State::new();
    for part in 0..8 {
        put(db, &mut state, part * 500..(part + 1) * 500, 1);
        db.checkpoint().unwrap();
    }
    let full = (db.last_commit(), state.clone());
    delete(db, &mut state, (0..4_000).filter(|key| key % 10 != 5 && key % 1_000 != 0));
    [full, (db.last_commit(), state)]
}

fn pages_of_store(db: &Database) -> u64 {
    let pages = db.stats().pages;
    pages.pages_used + pages.pages_free
}

#[test]
fn a_file_that_most_was_deleted_from_shrinks_while_it_is_open() {
    for retention in [0, dosql::DAY] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dosql");
        let options = Options { retention, ..options() };
        let open =
            || Database::open(Storage::directory_with(&path, &options).unwrap(), options.clone()).unwrap();
        let len = || std::fs::metadata(path.join("pages")).unwrap().len();
        let db = open();
        let states = thinned(&db);
        db.checkpoint().unwrap();
        let before = len();
        let given_back = db.compact().unwrap();
        assert_eq!(given_back, before - len(), "retention {retention}");
        let pages = db.stats().pages;
        assert!(
            len() <= (pages.pages_used * 9 / 8 + 18) * PAGE as u64,
            "retention {retention}: {} {pages:?}",
            len()
        );
        if retention == 0 {
            assert!(len() < before / 3, "{before} to {}", len());
        } else {
            assert!(found(&db, states[0].0) == states[0].1);
        }
        assert!(found(&db, states[1].0) == states[1].1);
        assert!(db.verify().unwrap().is_sound());
        let small = len();
        drop(db);
        let db = open();
        assert!(found(&db, states[1].0) == states[1].1);
        assert!(db.verify().unwrap().is_sound());
        // It grows again where it must.
        let mut state = states[1].1.clone();
        put(&db, &mut state, 10_000..12_000, 2);
        db.checkpoint().unwrap();
        assert!(len() > small);
        assert!(found(&db, db.last_commit()) == state);
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn readers_keep_what_they_see_while_pages_move_and_the_end_is_given_back() {
    let options = Options { retention: 0, ..options() };
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let space = db.keyspace("space").unwrap();
    let mut state = State::new();
    for part in 0..8 {
        put(&db, &mut state, part * 500..(part + 1) * 500, 1);
        db.checkpoint().unwrap();
    }
    let reader = db.read().unwrap();
    let full = state.clone();
    delete(&db, &mut state, (0..4_000).filter(|key| key % 10 != 5));
    let before = pages_of_store(&db);
    db.compact().unwrap();
    let read: State = reader.iter(&space).unwrap().map(Result::unwrap).collect();
    assert!(read == full);
    assert!(found(&db, db.last_commit()) == state);
    let pinned = pages_of_store(&db);
    drop(reader);
    db.compact().unwrap();
    let after = pages_of_store(&db);
    assert!(after < before / 3, "{before}, with the reader {pinned}, without {after}");
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_step_writes_no_more_than_its_budget_and_steps_get_there() {
    let options = Options { retention: 0, ..options() };
    let counter = Counter::new();
    let db = Database::open(storage(&Storage::memory_with(&options), &counter), options).unwrap();
    let [_, (at, state)] = thinned(&db);
    db.checkpoint().unwrap();
    let before = pages_of_store(&db);
    const STEP: usize = 16 * PAGE;
    let mut steps = 0;
    while pages_of_store(&db) > before / 3 {
        let written = counter.counts().pages_written;
        db.maintain(STEP).unwrap();
        let written = counter.counts().pages_written - written;
        // The pages, what stands above them, the system tree and the free list.
        assert!(written <= 16 + 16, "step {steps}: {written} pages");
        assert!(found(&db, at) == state);
        steps += 1;
        assert!(steps < 200, "{} pages of {before} are left", pages_of_store(&db));
    }
    assert!(steps > 5, "{steps}");
    assert!(db.verify().unwrap().is_sound());
    // Where nothing is left to give back, a step costs nothing.
    while db.compact().unwrap() > 0 {}
    let quiet = counter.counts();
    (0..5).for_each(|_| assert!(db.maintain(usize::MAX >> 1).is_ok()));
    assert_eq!(counter.counts().since(quiet).page_commits, 0);
}

#[test]
fn overwriting_uses_freed_space_again() {
    let options = Options { retention: 0, ..options() };
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let mut state = State::new();
    let overwrite = |state: &mut State, round| {
        for part in 0..8 {
            put(&db, state, part * 250..(part + 1) * 250, round);
            db.checkpoint().unwrap();
        }
        pages_of_store(&db)
    };
    overwrite(&mut state, 0);
    let settled = overwrite(&mut state, 1);
    for round in 2..12 {
        assert!(overwrite(&mut state, round) <= settled + settled / 8, "round {round}");
    }
}

#[test]
fn a_fault_at_any_call_of_a_step_loses_nothing() {
    for sticky in [false, true] {
        let mut at = 0;
        loop {
            let options = Options { retention: 0, cache_bytes: 16 * PAGE, ..options() };
            let (stores, calls) = (Storage::memory_with(&options), Faults::none());
            let db = Database::open(faults::storage(&stores, &calls), options.clone()).unwrap();
            let mut state = State::new();
            put(&db, &mut state, 0..1_500, 1);
            db.checkpoint().unwrap();
            delete(&db, &mut state, (0..1_500).filter(|key| key % 10 != 5));
            calls.fail(at, sticky);
            let result = db.compact();
            let (place, reached) = (format!("call {at}, sticky {sticky}"), calls.reached());
            calls.heal();
            if let Err(error) = result {
                assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed), "{place}: {error:?}");
                if !db.is_poisoned() {
                    assert!(found(&db, db.last_commit()) == state, "{place}");
                    assert!(db.verify().unwrap().is_sound(), "{place}");
                }
            } else {
                assert!(!reached, "{place}: a fault went unnoticed");
            }
            drop(db);
            let db = Database::open(stores, options).unwrap();
            assert!(found(&db, db.last_commit()) == state, "{place}");
            assert!(db.verify().unwrap().is_sound(), "{place}");
            if !reached {
                break;
            }
            // Every call of the first steps, then some of the many.
            at += if at < 40 { 1 } else { 7 };
        }
        assert!(at > 10, "{at}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_close_gives_back_the_space_of_free_pages_and_the_database_is_whole_after_it() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    // Nobody else makes checkpoints, which decide what is free when.
    let (maintenance, most) = (Maintenance::Caller, 256 << 20);
    let options = Options {
        retention: 0,
        page_size: PAGE,
        maintenance,
        log_limit: most,
        dirty_bytes: most as usize,
        ..Options::default()
    };
    let open = || Database::open(Storage::directory_with(&path, &options).unwrap(), options.clone()).unwrap();
    let (db, mut state) = (open(), State::new());
    for round in 0..4 {
        put(&db, &mut state, 0..12_000, round);
        db.checkpoint().unwrap();
    }
    delete(&db, &mut state, (0..12_000).filter(|key| key % 1_000 < 700));
    db.checkpoint().unwrap();
    let used = db.stats().pages.pages_used * PAGE as u64;
    let taken = || std::fs::metadata(path.join("pages")).unwrap().blocks() * 512;
    let before = taken();
    db.close().unwrap();
    assert!(
        before > 2 * used && taken() < used + used / 3,
        "{before} before, {} after, {used} used",
        taken()
    );
    drop(db);
    let db = open();
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    assert_eq!(found(&db, db.now()), state);
    // What was given back is used again.
    put(&db, &mut state, 0..12_000, 9);
    db.close().unwrap();
    drop(db);
    let db = open();
    assert_eq!(found(&db, db.now()), state);
    assert!(db.verify().unwrap().is_sound());
}
