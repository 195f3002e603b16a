//! What the key-value interface promises in a few lines each.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::{bytes, db, pairs};
use dosql::{Begin, Code, Database, ErrorKind, Isolation, Options, Storage};

#[test]
fn a_committed_value_is_read_back_and_an_uncommitted_one_is_not() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.put(&space, "a", "1").unwrap();
    assert_eq!(tx.get(&space, "a").unwrap().as_deref(), bytes("1"));
    assert!(db.read().unwrap().get(&space, "a").unwrap().is_none());
    tx.commit().unwrap();
    assert_eq!(db.read().unwrap().get(&space, "a").unwrap().as_deref(), bytes("1"));
    let mut tx = db.begin_write().unwrap();
    tx.put(&space, "a", "2").unwrap();
    drop(tx);
    assert_eq!(db.read().unwrap().get(&space, "a").unwrap().as_deref(), bytes("1"));
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "a", "1")).unwrap();
    let before = db.read().unwrap();
    db.write(|tx| {
        tx.put(&space, "a", "2")?;
        tx.put(&space, "b", "2")
    })
    .unwrap();
    db.checkpoint().unwrap();
    db.write(|tx| tx.delete(&space, "a")).unwrap();
    assert_eq!(pairs(before.iter(&space).unwrap()), [("a", "1")]);
    assert_eq!(pairs(db.read().unwrap().iter(&space).unwrap()), [("b", "2")]);
}

#[test]
fn keyspaces_keep_apart_and_are_created_by_their_first_write() {
    let db = db();
    let (one, two) = (db.keyspace("one").unwrap(), db.keyspace("two").unwrap());
    assert!(db.read().unwrap().get(&one, "k").unwrap().is_none());
    let mut rolled_back = db.begin_write().unwrap();
    rolled_back.put(&one, "k", "lost").unwrap();
    rolled_back.rollback();
    db.write(|tx| {
        tx.put(&two, "k", "2")?;
        tx.put(&one, "k", "1")
    })
    .unwrap();
    let read = db.read().unwrap();
    assert_eq!(read.get(&one, "k").unwrap().as_deref(), bytes("1"));
    assert_eq!(read.get(&two, "k").unwrap().as_deref(), bytes("2"));
    let again = db.keyspace("one").unwrap();
    assert_eq!(pairs(read.iter(&again).unwrap()), [("k", "1")]);
}

#[test]
fn scans_go_both_ways_and_merge_the_transactions_own_writes() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| ["a", "c", "e", "g"].iter().try_for_each(|key| tx.put(&space, key, "stored"))).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.put(&space, "b", "own").unwrap();
    tx.put(&space, "c", "own").unwrap();
    tx.delete(&space, "e").unwrap();
    tx.delete(&space, "x").unwrap();
    let all = [("a", "stored"), ("b", "own"), ("c", "own"), ("g", "stored")];
    assert_eq!(pairs(tx.iter(&space).unwrap()), all);
    let mut backward = pairs(tx.range_rev::<&str>(&space, ..).unwrap());
    backward.reverse();
    assert_eq!(backward, all);
    assert_eq!(pairs(tx.range(&space, "b".."g").unwrap()), all[1..3]);
    assert_eq!(pairs(tx.range(&space, "b"..="g").unwrap()), all[1..]);
    assert_eq!(pairs(tx.range_rev(&space, ..="b").unwrap()), [("b", "own"), ("a", "stored")]);
    assert_eq!(pairs(tx.prefix(&space, "c").unwrap()), all[2..3]);
    assert!(pairs(tx.range(&space, "g".."b").unwrap()).is_empty());
}

#[test]
fn the_past_is_read_as_it_was_before_and_after_a_checkpoint_and_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open_directory(dir.path().join("db")).unwrap();
    let space = db.keyspace("space").unwrap();
    let mut moments = vec![(db.last_commit(), None)];
    for n in 0..6 {
        if n == 4 {
            db.write(|tx| tx.delete(&space, "k")).unwrap();
            moments.push((db.last_commit(), None));
        } else {
            db.write(|tx| tx.put(&space, "k", n.to_string())).unwrap();
            moments.push((db.last_commit(), Some(n.to_string())));
        }
        if n % 2 == 0 {
            db.checkpoint().unwrap();
        }
    }
    let check = |db: &Database| {
        for (at, value) in &moments {
            let then = db.read_at(*at).unwrap();
            assert_eq!(then.snapshot(), *at);
            assert_eq!(then.get(&space, "k").unwrap().as_deref(), value.as_deref().map(str::as_bytes));
            let expected: Vec<(&str, &str)> = value.iter().map(|value| ("k", value.as_str())).collect();
            assert_eq!(pairs(then.iter(&space).unwrap()), expected);
            assert_eq!(pairs(then.range_rev::<&str>(&space, ..).unwrap()), expected);
        }
        let report = db.verify().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    };
    check(&db);
    drop(db);
    let db = Database::open_directory(dir.path().join("db")).unwrap();
    assert_eq!(db.last_commit(), moments.last().unwrap().0);
    check(&db);
    db.close().unwrap();
    let db = Database::open_directory(dir.path().join("db")).unwrap();
    check(&db);
}

#[test]
fn the_future_and_what_is_before_the_retained_history_are_refused() {
    let (db, clock) = common::db_with_clock(1_000_000);
    let space = db.keyspace("space").unwrap();
    let created = db.last_commit();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    let future = db.read_at(db.now().next()).unwrap_err();
    assert_eq!(future.code(), Code::AsOfFuture);
    let before = db.read_at(common::at(created.as_micros() - 1)).unwrap_err();
    assert_eq!(before.code(), Code::AsOfExpired);
    let first = db.last_commit();
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    assert!(db.read_at(first).is_ok());
    clock.advance(dosql::DAY * 8);
    assert_eq!(db.read_at(first).unwrap_err().code(), Code::AsOfExpired);
    assert!(db.read_at(db.last_commit()).is_ok());
}

#[test]
fn no_commit_takes_a_time_that_was_read_as_the_past() {
    let (db, clock) = common::db_with_clock(1_000_000);
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    clock.advance(500);
    let asked = clock.now();
    let then = db.read_at(asked).unwrap();
    assert_eq!(then.get(&space, "k").unwrap().as_deref(), bytes("1"));
    clock.set(common::at(1_000_000));
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    assert!(db.last_commit() > asked);
    assert_eq!(db.read_at(asked).unwrap().get(&space, "k").unwrap().as_deref(), bytes("1"));
}

#[test]
fn a_transaction_that_wrote_nothing_takes_no_timestamp() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    let (last, commits) = (db.last_commit(), db.stats().commits);
    db.write(|tx| tx.get(&space, "k").map(|_| ())).unwrap();
    assert_eq!((db.last_commit(), db.stats().commits), (last, commits));
}

#[test]
fn an_optimistic_transaction_conflicts_on_what_it_read_or_wrote() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| ["a", "b", "c"].iter().try_for_each(|key| tx.put(&space, key, "0"))).unwrap();
    let run = |isolation, read: &dyn Fn(&dosql::Transaction), write: &str, other: &str| {
        let mut tx = db.begin(Begin::Concurrent(isolation)).unwrap();
        read(&tx);
        tx.put(&space, write, "mine").unwrap();
        db.write(|tx| tx.put(&space, other, "theirs")).unwrap();
        tx.commit().map_err(|error| error.kind())
    };
    let point = |tx: &dosql::Transaction| drop(tx.get(&space, "a").unwrap());
    let range = |tx: &dosql::Transaction| drop(pairs(tx.range(&space, "a".."b").unwrap()));
    let nothing = |_: &dosql::Transaction| {};
    let conflict = Err(ErrorKind::Conflict);
    assert_eq!(run(Isolation::Serializable, &point, "b", "a").map(drop), conflict);
    assert_eq!(run(Isolation::Serializable, &range, "b", "aa").map(drop), conflict);
    assert_eq!(run(Isolation::Serializable, &nothing, "b", "b").map(drop), conflict);
    assert!(run(Isolation::Serializable, &point, "b", "c").is_ok());
    assert!(run(Isolation::Serializable, &range, "b", "bb").is_ok());
    assert!(run(Isolation::Snapshot, &point, "b", "a").is_ok());
    assert_eq!(run(Isolation::Snapshot, &point, "b", "b").map(drop), conflict);
    assert_eq!(db.stats().conflicts, 4);
}

#[test]
fn a_deferred_transaction_becomes_a_writer_or_is_checked() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "0")).unwrap();
    let mut fresh = db.begin(Begin::Deferred).unwrap();
    fresh.get(&space, "k").unwrap();
    fresh.put(&space, "k", "1").unwrap();
    assert!(fresh.holds_turn());
    assert_eq!(db.try_write(|_| Ok(())).unwrap_err().kind(), ErrorKind::Busy);
    fresh.commit().unwrap();
    let mut stale = db.begin(Begin::Deferred).unwrap();
    stale.get(&space, "k").unwrap();
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    stale.put(&space, "other", "3").unwrap();
    assert!(!stale.holds_turn());
    assert_eq!(stale.commit().unwrap_err().kind(), ErrorKind::Conflict);
    let mut unrelated = db.begin(Begin::Deferred).unwrap();
    unrelated.get(&space, "k").unwrap();
    db.write(|tx| tx.put(&space, "elsewhere", "2")).unwrap();
    unrelated.put(&space, "other", "3").unwrap();
    unrelated.commit().unwrap();
}

#[test]
fn savepoints_nest_and_roll_back() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| {
        tx.put(&space, "a", "1")?;
        let outer = tx.savepoint()?;
        tx.put(&space, "b", "2")?;
        let inner = tx.savepoint()?;
        tx.delete(&space, "a")?;
        tx.rollback_to(inner)?;
        tx.put(&space, "c", "3")?;
        tx.release(inner)?;
        assert_eq!(pairs(tx.iter(&space)?), [("a", "1"), ("b", "2"), ("c", "3")]);
        tx.rollback_to(outer)
    })
    .unwrap();
    assert_eq!(pairs(db.read().unwrap().iter(&space).unwrap()), [("a", "1")]);
}

#[test]
fn a_closed_database_and_a_read_only_one_say_so() {
    let options = Options::default();
    let storage = Storage::memory();
    let again = storage.share();
    let db = Database::open(storage, options.clone()).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    db.close().unwrap();
    assert_eq!(db.read().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(db.begin_write().unwrap_err().kind(), ErrorKind::Closed);
    let db = Database::open(again, Options { read_only: true, ..options }).unwrap();
    assert_eq!(db.begin_write().unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(db.read().unwrap().get(&space, "k").unwrap().as_deref(), bytes("1"));
}

#[test]
fn retention_zero_keeps_no_history() {
    let db = common::db_with(Options { retention: 0, ..Options::default() });
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    let first = db.last_commit();
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    db.checkpoint().unwrap();
    let stats = db.stats();
    assert_eq!((stats.history_entries, stats.history_memory), (0, 0));
    assert_eq!(db.read_at(first).unwrap_err().code(), Code::AsOfExpired);
}

#[test]
fn putting_the_same_value_again_makes_no_version() {
    let db = db();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    let first = db.last_commit();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    assert_eq!(db.stats().history_memory, 0);
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    db.checkpoint().unwrap();
    assert_eq!(db.stats().history_entries, 1);
    assert_eq!(db.read_at(first).unwrap().get(&space, "k").unwrap().as_deref(), bytes("1"));
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_keyspace_that_others_made_since_is_empty_to_a_transaction_that_makes_one_itself() {
    for write_before in [false, true] {
        let db = db();
        let mut tx = db.begin_concurrent().unwrap();
        let theirs = db.keyspace("theirs").unwrap();
        db.write(|other| other.put(&theirs, "k", "theirs")).unwrap();
        // A handle that knows the number, which is the next free one as far as the transaction sees.
        let theirs = db.keyspace("theirs").unwrap();
        let mine = db.keyspace("mine").unwrap();
        if write_before {
            tx.put(&theirs, "in theirs", "1").unwrap();
        }
        tx.put(&mine, "in mine", "1").unwrap();
        let keys = |space| pairs(tx.iter(space).unwrap()).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(&mine), ["in mine"]);
        assert_eq!(keys(&theirs), if write_before { vec!["in theirs"] } else { vec![] });
        assert_eq!(tx.commit().unwrap_err().kind(), dosql::ErrorKind::Conflict);
    }
}

#[test]
fn many_gets_at_once_answer_as_one_by_one_in_any_order() {
    let db = db();
    let (space, empty) = (db.keyspace("space").unwrap(), db.keyspace("empty").unwrap());
    let key = |i: u32| format!("key {:05}", i * 7919 % 10_000);
    db.write(|tx| (0..2000).try_for_each(|i| tx.put(&space, key(i), i.to_string()))).unwrap();
    let mut asked: Vec<String> = (0..3000).step_by(3).map(key).collect();
    // Long keys share a bucket under a hash.
    asked.extend(["x".repeat(5000), "x".repeat(5001)]);
    db.write(|tx| tx.put(&space, "x".repeat(5000), "long")).unwrap();
    let check = |tx: &dosql::Transaction, asked: &[String]| {
        let one_by_one: Vec<_> = asked.iter().map(|key| tx.get(&space, key).unwrap()).collect();
        assert_eq!(tx.get_many(&space, asked).unwrap(), one_by_one);
        assert!(one_by_one.iter().any(Option::is_some) && one_by_one.iter().any(Option::is_none));
    };
    let mut tx = db.begin(Begin::Concurrent(Isolation::Serializable)).unwrap();
    tx.put(&space, key(3), "own").unwrap();
    tx.delete(&space, key(6)).unwrap();
    check(&tx, &asked);
    asked.sort_unstable();
    check(&tx, &asked);
    asked.reverse();
    check(&tx, &asked);
    assert_eq!(tx.get_many(&empty, &asked).unwrap(), vec![None; asked.len()]);
    // What was read this way is checked at commit as any other read is.
    db.write(|tx| tx.put(&space, key(9), "changed")).unwrap();
    assert_eq!(tx.commit().unwrap_err().kind(), ErrorKind::Conflict);
}
