//! Keys of any length, many alike in their first bytes: they are found, ordered, versioned and indexed as short ones are.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::ops::Bound;

use dosql::{Database, Keyspace, Options, ReadTransaction, Storage, Timestamp, params};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    Options { page_size: 4096, cache_bytes: 64 << 10, ..Options::default() }
}

/// Keys around the length from which on they are stored under a hash, which is 316 bytes with the keyspace's number at this page
/// size; most share what they begin with.
fn key(rng: &mut fastrand::Rng) -> Vec<u8> {
    let byte = *rng.choice(&[0, b'a', b'b', 0xFF]).unwrap();
    let len = match rng.u8(0..10) {
        0 => rng.usize(0..40),
        1 => rng.usize(600..9_000),
        _ => rng.usize(296..330),
    };
    let mut key = vec![byte; len];
    for _ in 0..rng.usize(0..4) {
        let at = len.saturating_sub(rng.usize(0..24));
        if let Some(place) = key.get_mut(at) {
            *place = rng.u8(..);
        }
    }
    key
}

fn assert_same(read: &ReadTransaction, space: &Keyspace, state: &State, rng: &mut fastrand::Rng) {
    let found: Vec<_> = read.iter(space).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.len(), state.len());
    assert!(found.iter().map(|(key, value)| (key, value)).eq(state.iter()));
    let mut back: Vec<_> = read.range_rev::<&[u8]>(space, ..).unwrap().map(Result::unwrap).collect();
    back.reverse();
    assert!(back == found);
    for _ in 0..8 {
        let (a, b) = (key(rng), key(rng));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        if low == high {
            continue;
        }
        let bound =
            |key: Vec<u8>, included: bool| if included { Bound::Included(key) } else { Bound::Excluded(key) };
        let bounds = (bound(low.clone(), rng.bool()), bound(high, rng.bool()));
        let expected: Vec<_> =
            state.range(bounds.clone()).map(|(key, value)| (key.clone(), value.clone())).collect();
        let up: Vec<_> = read.range(space, bounds.clone()).unwrap().map(Result::unwrap).collect();
        assert!(up == expected);
        let mut down: Vec<_> = read.range_rev(space, bounds).unwrap().map(Result::unwrap).collect();
        down.reverse();
        assert!(down == expected);
        assert_eq!(read.get(space, &low).unwrap().as_deref(), state.get(&low).map(Vec::as_slice));
    }
}

#[test]
fn long_keys_agree_with_a_model_in_the_present_the_past_and_after_a_reopening() {
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let storage = Storage::memory_with(&options());
        let mut db = Database::open(storage.share(), options()).unwrap();
        let mut space = db.keyspace("space").unwrap();
        let mut states: Vec<(Timestamp, State)> = vec![(db.last_commit(), State::new())];
        for round in 0..40 {
            let mut state = states.last().unwrap().1.clone();
            let mut tx = db.begin_write().unwrap();
            for _ in 0..rng.usize(1..12) {
                let known = state.keys().nth(rng.usize(0..state.len().max(1))).cloned();
                let key = known.filter(|_| rng.bool()).unwrap_or_else(|| key(&mut rng));
                if rng.u8(0..4) == 0 {
                    tx.delete(&space, &key).unwrap();
                    state.remove(&key);
                } else {
                    let value = vec![round; rng.usize(0..300)];
                    tx.put(&space, &key, &value).unwrap();
                    state.insert(key, value);
                }
            }
            let merged: Vec<_> = tx.iter(&space).unwrap().map(Result::unwrap).collect();
            assert!(
                merged.iter().map(|(key, value)| (key, value)).eq(state.iter()),
                "own writes are merged in"
            );
            tx.commit().unwrap();
            drop(tx);
            states.push((db.last_commit(), state));
            match rng.u8(0..8) {
                0 => db.checkpoint().unwrap(),
                1 => {
                    drop(db);
                    db = Database::open(storage.share(), options()).unwrap();
                    space = db.keyspace("space").unwrap();
                }
                _ => {}
            }
            let (at, state) = rng.choice(&states[1..]).unwrap();
            assert_same(&db.read_at(*at).unwrap(), &space, state, &mut rng);
            assert_same(&db.read().unwrap(), &space, &states.last().unwrap().1, &mut rng);
        }
        assert!(db.verify().unwrap().is_sound());
    }
}

#[test]
fn keys_alike_in_more_bytes_than_are_kept_at_a_time_come_in_order_both_ways() {
    let db = Database::open(Storage::memory_with(&options()), options()).unwrap();
    let space = db.keyspace("space").unwrap();
    let key = |n: u32| [&[b'x'; 400][..], &n.to_be_bytes()].concat();
    let count = 300;
    for n in 0..count {
        // In no order, 9 MiB in all.
        let n = n * 7 % count;
        db.write(|tx| tx.put(&space, key(n), vec![n as u8; 30_000])).unwrap();
    }
    let read = db.read().unwrap();
    for (n, entry) in read.iter(&space).unwrap().enumerate() {
        assert!(entry.unwrap().0 == key(n as u32));
    }
    for (n, entry) in read.range_rev::<&[u8]>(&space, ..).unwrap().enumerate() {
        assert!(entry.unwrap().0 == key(count - 1 - n as u32));
    }
    assert_eq!(read.range(&space, key(100)..key(110)).unwrap().count(), 10);
}

#[test]
fn two_transactions_conflict_on_the_same_long_key_only() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("space").unwrap();
    let key = |last: u8| [&[b'x'; 5_000][..], &[last]].concat();
    db.write(|tx| tx.put(&space, key(0), "")).unwrap();
    let (mut one, mut other, mut third) =
        (db.begin_concurrent().unwrap(), db.begin_concurrent().unwrap(), db.begin_concurrent().unwrap());
    one.put(&space, key(1), "one").unwrap();
    other.put(&space, key(2), "other").unwrap();
    third.put(&space, key(1), "third").unwrap();
    one.commit().unwrap();
    other.commit().unwrap();
    assert_eq!(third.commit().unwrap_err().kind(), dosql::ErrorKind::Conflict);
}

/// The rows of a query, as text, in dosql and in SQLite.
fn both(ours: &dosql::Connection, theirs: &rusqlite::Connection, sql: &str) -> [Vec<String>; 2] {
    let mut rows = Vec::new();
    let mut statement = ours.prepare(sql).unwrap();
    let mut found = statement.query(()).unwrap();
    while let Some(row) = found.next().unwrap() {
        rows.push(row.get::<String>(0).unwrap());
    }
    let mut statement = theirs.prepare(sql).unwrap();
    let expected =
        statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect();
    [rows, expected]
}

#[test]
fn indexes_over_long_values_answer_as_sqlite_does() {
    let db = Database::open_memory().unwrap();
    let (ours, theirs) = (db.connect().unwrap(), rusqlite::Connection::open_in_memory().unwrap());
    let schema =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b BLOB); CREATE INDEX b ON t (b DESC, a);
        CREATE TABLE w (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;";
    ours.execute_batch(schema).unwrap();
    theirs.execute_batch(schema).unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    for n in 0..120 {
        let a = "long ".repeat(rng.usize(0..600)) + &rng.u8(0..40).to_string();
        let b = vec![rng.u8(0..2); rng.usize(0..2_500)];
        let insert = "INSERT OR IGNORE INTO t VALUES (?1, ?2, ?3)";
        let counts = (
            ours.execute(insert, params![n, a.clone(), b.clone()]).unwrap(),
            theirs.execute(insert, (n, &a, &b)).unwrap(),
        );
        assert_eq!(counts.0 as usize, counts.1);
        let upsert = "INSERT INTO w VALUES (?1, ?2) ON CONFLICT DO UPDATE SET v = v || excluded.v";
        let k: String = a.chars().rev().collect();
        ours.execute(upsert, params![k.clone(), n.to_string()]).unwrap();
        theirs.execute(upsert, (&k, n.to_string())).unwrap();
        if n % 10 == 9 {
            let change = format!(
                "DELETE FROM t WHERE id % 7 = {}; UPDATE t SET a = a || 'x' WHERE id % 11 = 3",
                n % 7
            );
            ours.execute_batch(&change).unwrap();
            theirs.execute_batch(&change).unwrap();
        }
        if n == 60 {
            db.checkpoint().unwrap();
        }
    }
    for sql in [
        "SELECT a FROM t ORDER BY a",
        "SELECT a FROM t ORDER BY a DESC LIMIT 20 OFFSET 3",
        "SELECT a FROM t WHERE a > 'long long ' AND a < 'long long long long ' || hex(zeroblob(900)) ORDER BY a",
        "SELECT hex(b) FROM t ORDER BY b DESC, a",
        "SELECT hex(b) FROM t WHERE b >= zeroblob(1500) ORDER BY b, a",
        "SELECT v || k FROM w ORDER BY k",
        "SELECT v FROM w WHERE k >= (SELECT k FROM w ORDER BY length(k) DESC LIMIT 1) ORDER BY k DESC",
        "SELECT v FROM w WHERE k = (SELECT max(k) FROM w)",
        "SELECT count(*) || ' ' || count(DISTINCT a) FROM t",
    ] {
        let [found, expected] = both(&ours, &theirs, sql);
        assert!(found == expected, "{sql}: {} rows and {}", found.len(), expected.len());
    }
    let check: String = ours.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let twice = ours
        .execute("INSERT INTO t SELECT 1000, a, b FROM t ORDER BY length(a) DESC LIMIT 1", ())
        .unwrap_err();
    assert_eq!(twice.code().name(), "SQLITE_CONSTRAINT_UNIQUE");
}
