//! The storage that SQL sees: a cursor that is stepped, skipped ahead and written around at every step lends what a map says.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use dosql::{Begin, Code, Database, Isolation, Options, Storage as Stores, Timestamp, Transaction};
use dosql_sql::{Direction, KeyRange, Point, Storage};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(n: u32) -> Vec<u8> {
    [b"\x05".as_slice(), &n.to_be_bytes()[2..]].concat()
}

/// What is left of `range` past (or at, where `inclusive`) `position`, in the cursor's direction.
fn left(
    map: &Map,
    range: &KeyRange,
    direction: Direction,
    position: &[u8],
    inclusive: bool,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bound = |key| if inclusive { Bound::Included(key) } else { Bound::Excluded(key) };
    let inside = |(key, _): &(&Vec<u8>, &Vec<u8>)| **key >= range.start && **key < range.end;
    let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    match direction {
        Direction::Forward => {
            map.range::<[u8], _>((bound(position), Bound::Unbounded)).filter(inside).map(own).collect()
        }
        Direction::Backward => {
            map.range::<[u8], _>((Bound::Unbounded, bound(position))).rev().filter(inside).map(own).collect()
        }
    }
}

/// Steps one cursor to its end, writing in between where `writes`.
fn step_through(tx: &mut Transaction, map: &mut Map, rng: &mut fastrand::Rng, writes: bool) {
    let direction = if rng.bool() { Direction::Forward } else { Direction::Backward };
    let (a, b) = (rng.u32(..400), rng.u32(..400));
    let range = KeyRange { start: key(a.min(b)), end: key(a.max(b)) };
    let mut cursor = tx.open_cursor(Point::Live, range.clone(), direction).unwrap();
    let (mut position, mut inclusive) = match direction {
        Direction::Forward => (range.start.clone(), true),
        Direction::Backward => (range.end.clone(), false),
    };
    loop {
        let limit = rng.usize(1..6);
        let stop = rng.usize(1..8);
        let expected = left(map, &range, direction, &position, inclusive);
        let mut lent = Vec::new();
        let done = tx
            .visit(&mut cursor, limit, &mut |key, value| {
                lent.push((key.to_vec(), value.to_vec()));
                Ok(if lent.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .unwrap();
        let wanted = &expected[..expected.len().min(limit).min(stop)];
        assert_eq!(lent, wanted, "{direction:?} from {position:?}");
        if let Some((last, _)) = lent.last() {
            (position, inclusive) = (last.clone(), false);
        }
        if done {
            assert_eq!(wanted.len(), expected.len());
            return;
        }
        for _ in 0..if writes { rng.usize(..3) } else { 0 } {
            let at = key(rng.u32(..400));
            if rng.bool() {
                let value = rng.u32(..).to_be_bytes().to_vec();
                tx.raw_put(&at, &value).unwrap();
                map.insert(at, value);
            } else {
                tx.raw_delete(&at).unwrap();
                map.remove(&at);
            }
        }
        if rng.u8(..5) == 0 {
            let to = key(rng.u32(..400));
            tx.seek(&mut cursor, &to).unwrap();
            let ahead = match direction {
                Direction::Forward => to > position,
                Direction::Backward => to < position,
            };
            if ahead {
                (position, inclusive) = (to, true);
            }
        }
    }
}

fn database() -> (Database, Map) {
    let options = Options { page_size: 4096, pinned_bytes: 0, ..Options::default() };
    let db = Database::open(Stores::memory_with(&options), options).unwrap();
    let map: Map = (0..400).step_by(2).map(|n| (key(n), vec![n as u8; 30])).collect();
    let mut tx = db.begin(Begin::Write).unwrap();
    map.iter().for_each(|(key, value)| tx.raw_put(key, value).unwrap());
    tx.commit().unwrap();
    (db, map)
}

#[test]
fn a_cursor_sees_what_was_written_between_its_steps() {
    let (db, mut map) = database();
    let mut rng = fastrand::Rng::with_seed(11);
    for round in 0..60 {
        let mut tx = db.begin(Begin::Write).unwrap();
        for _ in 0..6 {
            step_through(&mut tx, &mut map, &mut rng, round % 3 > 0);
        }
        tx.commit().unwrap();
    }
}

#[test]
fn a_cursor_over_an_old_snapshot_sees_it_with_own_writes_on_top() {
    let (db, map) = database();
    let mut rng = fastrand::Rng::with_seed(12);
    let mut now = map.clone();
    for _ in 0..30 {
        // The transaction's snapshot is soon read through history: others write, and no old page may be kept.
        let (mut tx, mut seen) = (db.begin(Begin::Concurrent(Isolation::Snapshot)).unwrap(), now.clone());
        for _ in 0..4 {
            let mut other = db.begin(Begin::Write).unwrap();
            for _ in 0..20 {
                let (at, value) = (key(rng.u32(..400)), rng.u64(..).to_be_bytes().to_vec());
                other.raw_put(&at, &value).unwrap();
                now.insert(at, value);
            }
            other.commit().unwrap();
            step_through(&mut tx, &mut seen, &mut rng, true);
        }
        tx.rollback();
        db.checkpoint().unwrap();
    }
}

#[test]
fn a_point_of_the_past_shows_nothing_of_the_transactions_own() {
    let (db, map) = database();
    let then = db.last_commit();
    let mut tx = db.begin(Begin::Write).unwrap();
    tx.raw_put(&key(1), b"own").unwrap();
    tx.raw_delete(&key(2)).unwrap();
    let point = tx.resolve_point(then).unwrap();
    assert_eq!(point, Point::Past(then));
    assert_eq!(Storage::get(&tx, point, &key(1), <[u8]>::to_vec).unwrap(), None);
    assert_eq!(Storage::get(&tx, point, &key(2), <[u8]>::to_vec).unwrap().as_ref(), map.get(&key(2)));
    assert_eq!(Storage::get(&tx, Point::Live, &key(2), <[u8]>::to_vec).unwrap(), None);
    let range = KeyRange { start: key(0), end: key(400) };
    let mut cursor = tx.open_cursor(point, range.clone(), Direction::Forward).unwrap();
    let mut found = Map::new();
    let done = tx.visit(&mut cursor, usize::MAX, &mut |key, value| {
        found.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    });
    assert!(done.unwrap() && found == map);
    let future = tx.resolve_point(Timestamp::from_micros(db.now().as_micros() + dosql::DAY)).unwrap_err();
    assert_eq!(future.code(), Code::AsOfFuture);
    let near = tx.estimate(&range).unwrap();
    assert!((100..400).contains(&near), "{near}");
}
