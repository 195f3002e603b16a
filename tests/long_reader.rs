//! A reader that stays long keeps seeing what it saw, and keeps nobody's memory.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::db_with;
use dosql::{Begin, Database, ErrorKind, Keyspace, Options, ReadTransaction};

const KEYS: u32 = 2_000;

fn fill(db: &Database, space: &Keyspace, round: u32) {
    db.write(|tx| {
        for key in 0..KEYS {
            if round > 0 && key % 7 == round % 7 {
                tx.delete(space, key.to_be_bytes())?;
            } else {
                tx.put(space, key.to_be_bytes(), (round * KEYS + key).to_be_bytes())?;
            }
        }
        Ok(())
    })
    .unwrap();
}

fn options(pinned_bytes: usize) -> Options {
    Options { pinned_bytes, ..Options::default() }
}

fn check(reader: &ReadTransaction, space: &Keyspace) {
    for key in (0..KEYS).step_by(97) {
        let value = reader.get(space, key.to_be_bytes()).unwrap();
        assert_eq!(value.as_deref(), Some(&key.to_be_bytes()[..]));
    }
    assert_eq!(reader.iter(space).unwrap().count(), KEYS as usize);
    assert_eq!(reader.range_rev::<&[u8]>(space, ..).unwrap().count(), KEYS as usize);
}

#[test]
fn a_reader_that_stays_turns_into_a_reader_of_the_past_and_pins_no_pages() {
    let pinned_after = |pinned_bytes| {
        let db = db_with(options(pinned_bytes));
        let space = db.keyspace("space").unwrap();
        fill(&db, &space, 0);
        let reader = db.read().unwrap();
        let idle = db.read().unwrap();
        let snapshot = reader.snapshot();
        for round in 1..20 {
            fill(&db, &space, round);
            if round % 5 == 0 {
                check(&reader, &space);
                db.checkpoint().unwrap();
            }
        }
        check(&reader, &space);
        check(&idle, &space);
        assert_eq!(reader.snapshot(), snapshot);
        db.write(|tx| tx.put(&space, "last", "1")).unwrap();
        db.stats().pages.pinned_bytes
    };
    let (kept, given_back) = (pinned_after(usize::MAX), pinned_after(1 << 10));
    assert!(given_back * 4 < kept, "{given_back} against {kept}");
}

#[test]
fn a_scan_under_way_goes_on_where_it_was() {
    let db = db_with(options(0));
    let space = db.keyspace("space").unwrap();
    fill(&db, &space, 0);
    let reader = db.read().unwrap();
    let mut forward = reader.iter(&space).unwrap();
    let mut backward = reader.range_rev::<&[u8]>(&space, ..).unwrap();
    for key in 0..KEYS {
        if key % 300 == 0 {
            fill(&db, &space, key / 100 + 1);
        }
        if key % 800 == 0 {
            db.checkpoint().unwrap();
        }
        let entry = |key: u32| (key.to_be_bytes().to_vec(), key.to_be_bytes().to_vec());
        assert_eq!(forward.next().unwrap().unwrap(), entry(key));
        assert_eq!(backward.next().unwrap().unwrap(), entry(KEYS - 1 - key));
    }
    assert!(forward.next().is_none() && backward.next().is_none());
}

#[test]
fn an_optimistic_transaction_keeps_its_snapshot_and_its_own_writes() {
    let db = db_with(options(0));
    let space = db.keyspace("space").unwrap();
    fill(&db, &space, 0);
    let mut tx = db.begin(Begin::Deferred).unwrap();
    assert_eq!(tx.get(&space, 5u32.to_be_bytes()).unwrap().as_deref(), Some(&5u32.to_be_bytes()[..]));
    fill(&db, &space, 1);
    tx.put(&space, 6u32.to_be_bytes(), "own").unwrap();
    tx.delete(&space, 7u32.to_be_bytes()).unwrap();
    fill(&db, &space, 2);
    let range = tx.range(&space, 4u32.to_be_bytes()..10u32.to_be_bytes()).unwrap();
    let found: Vec<Vec<u8>> = range.map(|pair| pair.unwrap().1).collect();
    let old = |key: u32| key.to_be_bytes().to_vec();
    assert_eq!(found, [old(4), old(5), b"own".to_vec(), old(8), old(9)]);
    assert_eq!(tx.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn without_history_a_reader_keeps_its_pages() {
    let db = db_with(Options { retention: 0, ..options(0) });
    let space = db.keyspace("space").unwrap();
    fill(&db, &space, 0);
    let reader = db.read().unwrap();
    for round in 1..5 {
        fill(&db, &space, round);
        db.checkpoint().unwrap();
    }
    check(&reader, &space);
}
