//! Every call of the stores fails once, or from then on: nothing acknowledged is lost, nothing half done is seen, and the
//! database says what it needs.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;

use common::faults::{Faults, storage};
use dosql::{Database, ErrorKind, Options, Result, Storage, Timestamp};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    // So little memory that pages are read again and again, and each fault meets a read sooner or later.
    Options { page_size: 4096, cache_bytes: 16 << 10, ..Options::default() }
}

fn stores() -> Storage {
    Storage::memory_with(&options())
}

fn state(db: &Database) -> Result<State> {
    let space = db.keyspace("space")?;
    db.read()?.iter(&space)?.collect()
}

/// The changes of commit `n`.
fn changes(n: u32) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut changes = Vec::new();
    for key in 0..20u32 {
        changes.push(((key * 37 % 200 + n).to_be_bytes().to_vec(), Some(vec![n as u8; 60])));
    }
    changes.push((b"large".to_vec(), Some(vec![n as u8; 6_000])));
    changes.push(((n / 2).to_be_bytes().to_vec(), None));
    changes
}

/// What commits happened, as a model has it.
#[derive(Clone, Default)]
struct Model {
    now: State,
    before_last: State,
    commits: Vec<(Timestamp, State)>,
}

/// Commits and checkpoints until something fails, or to the end. The model has what was acknowledged; the error is that of the
/// first failure, with the state as of the commit that failed, if it was one.
fn work(db: &Database, model: &mut Model) -> (Result<()>, State) {
    let mut attempt = model.now.clone();
    let mut run = || -> Result<()> {
        let space = db.keyspace("space")?;
        for n in 0..12u32 {
            attempt = model.now.clone();
            for (key, value) in changes(n) {
                match value {
                    Some(value) => attempt.insert(key, value),
                    None => attempt.remove(&key),
                };
            }
            let mut tx = db.begin_write()?;
            for (key, value) in changes(n) {
                match value {
                    Some(value) => tx.put(&space, key, value)?,
                    None => tx.delete(&space, key)?,
                }
            }
            let at = tx.commit()?;
            model.before_last = std::mem::replace(&mut model.now, attempt.clone());
            model.commits.push((at, attempt.clone()));
            if n % 5 == 4 {
                db.checkpoint()?;
            }
        }
        Ok(())
    };
    let result = run();
    (result, attempt)
}

/// After a fault: what is stored is what was acknowledged, or that and the commit that failed.
fn check_reopened(stores: &Storage, model: &Model, attempt: &State, place: &str) {
    let db = Database::open(stores.share(), options()).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let found = state(&db).unwrap();
    assert!(found == model.now || found == *attempt, "{place}: neither old nor new");
    for (at, then) in &model.commits {
        let space = db.keyspace("space").unwrap();
        let read: State = db.read_at(*at).unwrap().iter(&space).unwrap().collect::<Result<_>>().unwrap();
        assert!(read == *then, "{place}: as of {at}");
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{place}: {:?}", report.problems);
    // And it goes on.
    db.write(|tx| tx.put(&db.keyspace("space")?, "after", "1")).unwrap();
    db.checkpoint().unwrap();
}

#[test]
fn a_fault_at_any_call_loses_nothing_acknowledged() {
    for sticky in [false, true] {
        let mut at = 0;
        loop {
            let (stores, faults) = (stores(), Faults::none());
            let db = Database::open(storage(&stores, &faults), options()).unwrap();
            let mut model = Model::default();
            faults.fail(at, sticky);
            let (result, attempt) = work(&db, &mut model);
            let (place, reached) = (format!("call {at}, sticky {sticky}"), faults.reached());
            faults.heal();
            if let Err(error) = result {
                assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed), "{place}: {error:?}");
                check_handle(&db, &model, &attempt, &place);
            }
            drop(db);
            check_reopened(&stores, &model, &attempt, &place);
            if !reached {
                break;
            }
            at += 1;
        }
        assert!(at > 40, "{at}");
    }
}

/// The handle after a fault: closed for good, or as if the failed call had never been made.
fn check_handle(db: &Database, model: &Model, attempt: &State, place: &str) {
    match state(db) {
        Ok(found) => {
            assert!(!db.is_poisoned(), "{place}");
            assert!(found == model.now || found == *attempt, "{place}: the handle shows something else");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Closed, "{place}: {error:?}");
            assert!(error.to_string().contains("reopen"), "{place}: {error}");
            assert!(db.is_poisoned(), "{place}");
            assert_eq!(db.begin_write().unwrap_err().kind(), ErrorKind::Closed, "{place}");
        }
    }
}

#[test]
fn a_fault_while_opening_leaves_what_is_there() {
    let original = stores();
    let db = Database::open(storage(&original, &Faults::none()), options()).unwrap();
    let mut model = Model::default();
    work(&db, &mut model).0.unwrap();
    drop(db);
    for at in 0.. {
        let faults = Faults::none();
        faults.fail(at, false);
        let opened = Database::open(storage(&original, &faults), options());
        let reached = faults.reached();
        if let Err(error) = &opened {
            assert_eq!(error.kind(), ErrorKind::Io, "call {at}: {error:?}");
        }
        drop(opened);
        let now = model.now.clone();
        let db = Database::open(storage(&original, &Faults::none()), options()).unwrap();
        assert!(state(&db).unwrap() == now, "call {at}");
        if !reached {
            assert!(at > 4, "{at}");
            break;
        }
    }
}

#[test]
fn making_a_database_can_fail_at_any_call_and_be_tried_again() {
    for at in 0.. {
        let (stores, faults) = (stores(), Faults::none());
        faults.fail(at, false);
        let failed = Database::open(storage(&stores, &faults), options()).is_err();
        let reached = faults.reached();
        faults.heal();
        let db = Database::open(storage(&stores, &faults), options()).unwrap();
        assert!(state(&db).unwrap().is_empty());
        if !reached {
            assert!(!failed && at > 2);
            break;
        }
    }
}

#[test]
fn a_full_device_refuses_the_commit_and_takes_it_when_there_is_room() {
    let (mut at, mut retried) = (0, 0);
    loop {
        let (stores, faults) = (stores(), Faults::full());
        let db = Database::open(storage(&stores, &faults), options()).unwrap();
        let space = db.keyspace("space").unwrap();
        db.write(|tx| tx.put(&space, "k", "0")).unwrap();
        faults.fail(at, true);
        let mut tx = db.begin_write().unwrap();
        tx.put(&space, "k", vec![1; 3 << 20]).unwrap();
        let result = tx.commit();
        let reached = faults.reached();
        faults.heal();
        match result {
            Ok(_) => {}
            Err(error) if !db.is_poisoned() => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "call {at}: {error:?}");
                tx.commit().unwrap();
                retried += 1;
                assert_eq!(db.read().unwrap().get(&space, "k").unwrap().unwrap().len(), 3 << 20);
            }
            Err(_) => {
                drop(tx);
                drop(db);
                let db = Database::open(storage(&stores, &faults), options()).unwrap();
                let value = db.read().unwrap().get(&space, "k").unwrap().unwrap();
                assert!(value.len() == 1 || value.len() == 3 << 20, "call {at}");
            }
        }
        if !reached {
            break;
        }
        at += 1;
    }
    assert!(retried > 0);
}
