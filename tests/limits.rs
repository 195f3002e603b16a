//! Limits are refused at the edge, with an error that names them, and what is just below works.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::{db, db_with};
use dosql::limits::{MAX_KEY, MAX_NAME, MAX_VALUE};
use dosql::{Code, ErrorKind, Limits, Options};

#[test]
fn a_key_may_be_16_mib_and_with_its_value_64() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "first", "")).unwrap();
    let longest = MAX_KEY - 5;
    let key = vec![b'k'; longest];
    db.write(|tx| tx.put(&space, &key, "v")).unwrap();
    assert_eq!(db.read().unwrap().get(&space, &key).unwrap().as_deref(), common::bytes("v"));
    let refused = |key: &[u8], value: &[u8]| {
        let error = db.write(|tx| tx.put(&space, key, value)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::TooBig), "{error}");
    };
    refused(&vec![b'k'; longest + 1], b"v");
    let key = vec![b'k'; 5_000];
    refused(&key, &vec![7; MAX_VALUE - 5_000 - 4]);
    db.write(|tx| tx.put(&space, &key, vec![7; MAX_VALUE - 5_000 - 5])).unwrap();
}

#[test]
fn the_empty_key_and_the_empty_value_are_a_key_and_a_value() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "", "")).unwrap();
    let then = db.last_commit();
    db.write(|tx| tx.delete(&space, "")).unwrap();
    db.checkpoint().unwrap();
    assert_eq!(db.read_at(then).unwrap().get(&space, "").unwrap().as_deref(), common::bytes(""));
    assert!(db.read().unwrap().get(&space, "").unwrap().is_none());
}

#[test]
fn a_value_may_be_64_mib_and_no_more() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    let value = vec![7; MAX_VALUE];
    db.write(|tx| tx.put(&space, "k", &value)).unwrap();
    assert!(*db.read().unwrap().get(&space, "k").unwrap().unwrap() == *value);
    let error = db.write(|tx| tx.put(&space, "k", vec![7; MAX_VALUE + 1])).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::TooBig));
}

#[test]
fn a_transaction_is_bounded_in_bytes_and_can_still_commit_what_it_has() {
    let limits = Limits { transaction_bytes: 10_000, ..Limits::default() };
    let db = db_with(Options { limits, ..Options::default() });
    let space = db.keyspace("space").unwrap();
    db.write(|tx| {
        let put = (0u32..).take_while(|n| tx.put(&space, n.to_be_bytes(), [0; 91]).is_ok()).count();
        assert!((80..105).contains(&put), "{put}");
        tx.delete(&space, "x")
    })
    .unwrap();
    assert!(db.read().unwrap().iter(&space).unwrap().count() >= 80);
}

#[test]
fn the_name_of_a_keyspace_is_bounded() {
    let db = db();
    db.keyspace(&"n".repeat(MAX_NAME)).unwrap();
    assert_eq!(db.keyspace(&"n".repeat(MAX_NAME + 1)).unwrap_err().code(), Code::TooBig);
    assert_eq!(db.keyspace("").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_transaction_too_old_to_be_checked_conflicts() {
    let limits = Limits { conflict_window_bytes: 1_000, ..Limits::default() };
    let db = db_with(Options { limits, ..Options::default() });
    let space = db.keyspace("space").unwrap();
    let mut old = db.begin_concurrent().unwrap();
    old.put(&space, "old", "1").unwrap();
    for n in 0..10u32 {
        db.write(|tx| tx.put(&space, n.to_be_bytes(), [0; 200])).unwrap();
    }
    let error = old.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("older than the commits that are remembered"), "{error}");
    // It has ended without a trace, and the next one finds its place.
    assert!(old.is_finished() && !db.read().unwrap().contains(&space, "old").unwrap());
    db.write_concurrent(dosql::Isolation::Serializable, |tx| tx.put(&space, "old", "2")).unwrap();
}

#[test]
fn a_transaction_that_reads_more_than_is_remembered_may_conflict_needlessly_and_misses_no_conflict() {
    let limits = Limits { read_set_bytes: 4_000, ..Limits::default() };
    let db = db_with(Options { limits, ..Options::default() });
    let (space, other) = (db.keyspace("space").unwrap(), db.keyspace("other").unwrap());
    db.write(|tx| {
        tx.put(&other, "k", "")?;
        (0..1_000u32).try_for_each(|n| tx.put(&space, n.to_be_bytes(), ""))
    })
    .unwrap();
    // Reads every second key, `reads` in all; somebody changes key `changed`; then it commits.
    let commit_after = |reads: u32, changed: u32| {
        let mut tx = db.begin_concurrent().unwrap();
        for n in 0..reads {
            tx.get(&space, (n * 2).to_be_bytes()).unwrap();
        }
        tx.put(&other, "own", "").unwrap();
        db.write(|theirs| theirs.put(&space, changed.to_be_bytes(), "changed")).unwrap();
        tx.commit().map(|_| ()).map_err(|error| error.kind())
    };
    // Few reads: to the key.
    assert_eq!(commit_after(10, 3), Ok(()));
    assert_eq!(commit_after(10, 4), Err(ErrorKind::Conflict));
    // Many: every key that was read still counts, and what lies beyond them still does not.
    for n in [0, 2, 400, 996, 998] {
        assert_eq!(commit_after(500, n), Err(ErrorKind::Conflict), "{n}");
    }
    assert_eq!(commit_after(500, 100_000), Ok(()));
}
