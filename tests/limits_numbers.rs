//! The ends of the numbers: of time, of keyspaces. What is refused there leaves the database usable.

mod common;

use common::{at, db, db_with_clock};
use dosql::{ErrorKind, Timestamp};

#[test]
fn no_commit_is_stamped_with_the_end_of_time() {
    let (db, clock) = db_with_clock(1_000);
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    clock.set(Timestamp::MAX);
    let error = db.write(|tx| tx.put(&space, "k", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    clock.set(at(2_000));
    db.write(|tx| tx.put(&space, "k", "3")).unwrap();
    assert_eq!(db.last_commit(), at(2_000));
    assert_eq!(db.read().unwrap().get(&space, "k").unwrap().as_deref(), common::bytes("3"));
}

#[test]
fn the_last_number_of_a_keyspace_is_refused_and_others_go_on() {
    let db = db();
    let before = db.keyspace("before").unwrap();
    db.write(|tx| tx.put(&before, "k", "v")).unwrap();
    // The row that says which number is next, as docs/FORMAT.md has it.
    db.write(|tx| tx.raw_put(b"\0n", b"\xFB\xFF\0\0\0")).unwrap();
    let after = db.keyspace("after").unwrap();
    let error = db.write(|tx| tx.put(&after, "k", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    db.write(|tx| tx.put(&before, "k", "w")).unwrap();
    assert_eq!(db.read().unwrap().get(&before, "k").unwrap().as_deref(), common::bytes("w"));
    assert!(db.read().unwrap().get(&after, "k").unwrap().is_none());
}
