//! Threads: what readers see is whole, what writers do is not lost.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{bytes, db, db_with};
use dosql::{Begin, Database, Durability, ErrorKind, Isolation, Keyspace, Options, Result, Transaction};

const ACCOUNTS: u64 = 20;
const EACH: u64 = 100;

fn number(value: Option<dosql::Bytes>) -> u64 {
    value.map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().unwrap()))
}

fn get(tx: &Transaction, space: &Keyspace, key: u64) -> Result<u64> {
    Ok(number(tx.get(space, key.to_be_bytes())?))
}

fn put(tx: &mut Transaction, space: &Keyspace, key: u64, value: u64) -> Result<()> {
    tx.put(space, key.to_be_bytes(), value.to_be_bytes())
}

fn bank(db: &Database) -> Keyspace {
    let space = db.keyspace("bank").unwrap();
    db.write(|tx| (0..ACCOUNTS).try_for_each(|account| put(tx, &space, account, EACH))).unwrap();
    space
}

fn transfer(tx: &mut Transaction, space: &Keyspace, from: u64, to: u64) -> Result<()> {
    let (a, b) = (get(tx, space, from)?, get(tx, space, to)?);
    if from == to || a == 0 {
        return Ok(());
    }
    put(tx, space, from, a - 1)?;
    put(tx, space, to, b + 1)
}

fn total(db: &Database, space: &Keyspace) -> u64 {
    let tx = db.read().unwrap();
    tx.iter(space).unwrap().map(|pair| u64::from_be_bytes(pair.unwrap().1.try_into().unwrap())).sum()
}

#[test]
fn readers_see_whole_commits_while_writers_and_checkpoints_go_on() {
    let db = db_with(Options { durability: Durability::None, ..Options::default() });
    let space = bank(&db);
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = db.last_commit();
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (db, space, stop, reads) = (&db, &space, &stop, &reads);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(total(db, space), ACCOUNTS * EACH);
                    let span = db.last_commit().as_micros() - start.as_micros();
                    let past = common::at(start.as_micros() + rng.u64(..=span));
                    let then = db.read_at(past).unwrap();
                    let sum = |(_, value): (Vec<u8>, Vec<u8>)| u64::from_be_bytes(value.try_into().unwrap());
                    let was: u64 = then.iter(space).unwrap().map(|pair| sum(pair.unwrap())).sum();
                    assert_eq!(was, ACCOUNTS * EACH, "as of {past}");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut rng = fastrand::Rng::with_seed(9);
        for n in 0..600 {
            let (from, to) = (rng.u64(..ACCOUNTS), rng.u64(..ACCOUNTS));
            if n % 3 == 0 {
                db.write_concurrent(Isolation::Serializable, |tx| transfer(tx, &space, from, to)).unwrap();
            } else {
                db.write(|tx| transfer(tx, &space, from, to)).unwrap();
            }
            if n % 50 == 0 {
                db.checkpoint().unwrap();
            }
        }
        while reads.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn no_update_is_lost_between_turn_takers_and_optimists() {
    let db = db();
    let space = db.keyspace("counter").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (db, space) = (&db, &space);
            scope.spawn(move || {
                for _ in 0..50 {
                    let add = |tx: &mut Transaction| {
                        let count = get(tx, space, 0)?;
                        put(tx, space, 0, count + 1)
                    };
                    match thread {
                        0 => db.write(add).unwrap(),
                        1 => db.write_concurrent(Isolation::Snapshot, add).unwrap(),
                        _ => db.write_concurrent(Isolation::Serializable, add).unwrap(),
                    }
                }
            });
        }
    });
    assert_eq!(number(db.read().unwrap().get(&space, 0u64.to_be_bytes()).unwrap()), 200);
    assert_eq!(db.stats().commits, 200);
}

#[test]
fn a_commit_that_returned_is_seen_by_everybody_who_begins_later() {
    let db = db();
    let space = db.keyspace("counter").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, space) = (&db, &space);
            scope.spawn(move || {
                for n in 1..100 {
                    db.write(|tx| put(tx, space, thread, n)).unwrap();
                    let seen = db.read().unwrap();
                    assert_eq!(number(seen.get(space, thread.to_be_bytes()).unwrap()), n);
                }
            });
        }
    });
}

/// Two doctors are on call; each leaves if the other stays.
fn leave_on_call(isolation: Isolation) -> (Result<()>, u64) {
    let db = db();
    let space = db.keyspace("on call").unwrap();
    db.write(|tx| {
        put(tx, &space, 1, 1)?;
        put(tx, &space, 2, 1)
    })
    .unwrap();
    let leave = |doctor: u64| {
        let mut tx = db.begin(Begin::Concurrent(isolation)).unwrap();
        let on_call: u64 = [1, 2].iter().map(|&key| get(&tx, &space, key).unwrap()).sum();
        assert_eq!(on_call, 2);
        put(&mut tx, &space, doctor, 0).unwrap();
        tx
    };
    let (mut first, mut second) = (leave(1), leave(2));
    first.commit().unwrap();
    let result = second.commit().map(drop);
    (result, total(&db, &space))
}

#[test]
fn write_skew_is_refused_by_serializable_and_possible_under_snapshot_isolation() {
    let (refused, on_call) = leave_on_call(Isolation::Serializable);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(on_call, 1);
    let (allowed, on_call) = leave_on_call(Isolation::Snapshot);
    allowed.unwrap();
    assert_eq!(on_call, 0);
}

#[test]
fn a_phantom_is_a_conflict() {
    let db = db();
    let space = bank(&db);
    let mut tx = db.begin_concurrent().unwrap();
    let count = tx.iter(&space).unwrap().count() as u64;
    put(&mut tx, &space, 1_000, count).unwrap();
    db.write(|tx| put(tx, &space, 500, 0)).unwrap();
    assert_eq!(tx.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_phantom_in_front_of_a_backward_scan_is_a_conflict() {
    let db = db();
    let space = bank(&db);
    let attempt = |changed: u64| {
        let mut tx = db.begin_concurrent().unwrap();
        let bounds = 5u64.to_be_bytes()..15u64.to_be_bytes();
        assert_eq!(tx.range_rev(&space, bounds).unwrap().count(), 10);
        put(&mut tx, &space, 1_000 + changed, 1).unwrap();
        db.write(|tx| put(tx, &space, changed, 7)).unwrap();
        tx.commit().map_err(|error| error.kind())
    };
    assert_eq!(attempt(5).unwrap_err(), ErrorKind::Conflict);
    assert_eq!(attempt(14).unwrap_err(), ErrorKind::Conflict);
    assert!(attempt(4).is_ok());
    assert!(attempt(16).is_ok());
}

#[test]
fn a_scan_that_stopped_early_conflicts_only_with_what_it_saw() {
    let db = db();
    let space = bank(&db);
    let attempt = |changed: u64| {
        let mut tx = db.begin_concurrent().unwrap();
        let first = tx.iter(&space).unwrap().next().unwrap().unwrap();
        assert_eq!(first.0, 0u64.to_be_bytes());
        put(&mut tx, &space, 1_000 + changed, 1).unwrap();
        db.write(|tx| put(tx, &space, changed, 7)).unwrap();
        tx.commit().map_err(|error| error.kind())
    };
    assert!(attempt(ACCOUNTS - 1).is_ok());
    assert_eq!(attempt(0).unwrap_err(), ErrorKind::Conflict);
}

#[test]
fn a_panic_in_a_write_rolls_back_and_hands_the_turn_on() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        db.write(|tx| -> Result<()> {
            tx.put(&space, "k", "lost")?;
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    db.try_write(|tx| tx.put(&space, "other", "kept")).unwrap();
    let read = db.read().unwrap();
    assert!(read.get(&space, "k").unwrap().is_none());
    assert_eq!(read.get(&space, "other").unwrap().as_deref(), bytes("kept"));
}

#[test]
fn handles_may_be_shared_and_sent_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Database>();
    shared::<Keyspace>();
    sent::<Transaction>();
    sent::<dosql::ReadTransaction>();
    sent::<dosql::Scan>();
    sent::<dosql::Bytes>();
}

#[test]
fn a_concurrent_transaction_right_after_a_reopening_meets_no_conflict() {
    let storage = dosql::Storage::memory();
    let db = dosql::Database::open(storage.share(), dosql::Options::default()).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    db.close().unwrap();
    drop(db);
    let db = dosql::Database::open(storage, dosql::Options::default()).unwrap();
    let space = db.keyspace("space").unwrap();
    // The checkpoint of the close took a Timestamp of its own, after the last commit's.
    let mut tx = db.begin_concurrent().unwrap();
    assert!(tx.get(&space, "k").unwrap().is_some());
    tx.put(&space, "k", "2").unwrap();
    tx.commit().unwrap();
}
