//! Published points: the segment store alone is enough to read a database elsewhere, and to rebuild it.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::stores::{MemoryLogStore, MemoryPageStore, SegmentStore};
use dosql::{Database, Env, ErrorKind, Maintenance, ManualClock, NewBranch, Options, SeededEntropy, Storage};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(seed: u64) -> Options {
    let clock = Arc::new(ManualClock::at(common::at(1_000_000)));
    Options {
        page_size: 4096,
        maintenance: Maintenance::Caller,
        hot_budget: 32 << 10,
        segment_bytes: 32 << 10,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(seed)))),
        ..Options::default()
    }
}

fn fill(db: &Database, from: u32, rows: u32) {
    let space = db.keyspace("space").unwrap();
    for part in (from..from + rows).collect::<Vec<_>>().chunks(100) {
        let put = |tx: &mut dosql::Transaction| {
            part.iter().try_for_each(|key| tx.put(&space, key.to_be_bytes(), vec![*key as u8; 200]))
        };
        db.write(put).unwrap();
    }
    db.write(|tx| tx.delete(&space, (from + 3).to_be_bytes())).unwrap();
    db.checkpoint().unwrap();
    while !db.maintain(1usize << 20).unwrap().done {}
}

fn state(db: &Database) -> State {
    let space = db.keyspace("space").unwrap();
    db.read().unwrap().iter(&space).unwrap().map(Result::unwrap).collect()
}

/// New pages and log on the same segments.
fn beside(segments: &Arc<dyn SegmentStore>) -> Storage {
    Storage::new(Arc::new(MemoryPageStore::new(4096)), Arc::new(MemoryLogStore::new()), Arc::clone(segments))
}

#[test]
fn a_published_point_is_read_from_the_segment_store_alone() {
    let storage = Storage::memory_with(&options(1));
    let segments = Arc::clone(&storage.segments);
    let db = Database::open(storage, options(1)).unwrap();
    fill(&db, 0, 800);
    db.create_branch("draft", &NewBranch::default()).unwrap();
    fill(&db.branch("draft").unwrap(), 5000, 50);
    let (first, draft) = (state(&db), state(&db.branch("draft").unwrap()));
    let at = db.publish().unwrap();
    fill(&db, 400, 800);
    let second = state(&db);
    let later = db.publish().unwrap();
    fill(&db, 2000, 100);
    let points = Database::published(&segments, None).unwrap();
    assert_eq!(
        points.iter().map(|point| (point.number, point.at)).collect::<Vec<_>>(),
        [(1, at), (2, later)]
    );
    let attach = |at| Database::attach(Arc::clone(&segments), None, at, options(2)).unwrap();
    let now = attach(None);
    assert!(state(&now) == second && now.verify().unwrap().is_sound());
    let then = attach(Some(at));
    assert!(state(&then) == first && state(&then.branch("draft").unwrap()) == draft);
    let space = now.keyspace("space").unwrap();
    let past: State = now.read_at(at).unwrap().iter(&space).unwrap().map(Result::unwrap).collect();
    assert!(past == first, "history is published too");
    assert_eq!(now.write(|tx| tx.put(&space, "k", "v")).unwrap_err().kind(), ErrorKind::ReadOnly);
    let early = Database::attach(Arc::clone(&segments), None, Some(common::at(1)), options(2));
    assert_eq!(early.unwrap_err().kind(), ErrorKind::InvalidInput);
    drop((now, then));
    assert!(state(&db).len() > second.len());
}

#[test]
fn a_lost_database_is_rebuilt_from_its_segments_and_its_former_owner_is_fenced_off() {
    let storage = Storage::memory_with(&options(1));
    let segments = Arc::clone(&storage.segments);
    let lost = Database::open(storage, options(1)).unwrap();
    fill(&lost, 0, 900);
    let expected = state(&lost);
    let at = lost.publish().unwrap();
    let target = beside(&segments);
    let point = Database::restore(Arc::clone(&segments), None, None, &target, options(3)).unwrap();
    assert_eq!((point.number, point.at), (1, at));
    let db = Database::open(target.share(), options(3)).unwrap();
    assert!(db.id() == lost.id() && state(&db) == expected);
    fill(&db, 3000, 600);
    let more = state(&db);
    db.publish().unwrap();
    // The former owner goes on for a while: it does no harm, and is told.
    fill(&lost, 300, 500);
    for _ in 0..3 {
        assert_eq!(lost.publish().unwrap_err().kind(), ErrorKind::Fenced);
    }
    assert_eq!(lost.collect_orphans().unwrap_err().kind(), ErrorKind::Fenced);
    drop(lost);
    drop(db);
    let db = Database::open(target, options(4)).unwrap();
    assert!(state(&db) == more && db.verify().unwrap().is_sound());
    // Into a store of its own it is another database.
    let elsewhere = Storage::memory_with(&options(5));
    Database::restore(segments, Some(db.id()), None, &elsewhere, options(5)).unwrap();
    let copy = Database::open(elsewhere, options(5)).unwrap();
    assert!(copy.id() != db.id() && state(&copy) == more && copy.verify().unwrap().is_sound());
}

#[test]
fn a_database_that_was_rebuilt_keeps_the_points_that_it_was_rebuilt_from() {
    let storage = Storage::memory_with(&options(1));
    let segments = Arc::clone(&storage.segments);
    let lost = Database::open(storage, options(1)).unwrap();
    fill(&lost, 0, 600);
    let first = (lost.publish().unwrap(), state(&lost));
    fill(&lost, 300, 600);
    let second = (lost.publish().unwrap(), state(&lost));
    drop(lost);
    let target = beside(&segments);
    Database::restore(Arc::clone(&segments), None, Some(first.0), &target, options(3)).unwrap();
    let db = Database::open(target, options(3)).unwrap();
    for _ in 0..3 {
        // All that it shares with them is written over, merged and let go.
        fill(&db, 0, 600);
        db.collect_orphans().unwrap();
    }
    for (at, expected) in [&first, &second] {
        let point = Database::attach(Arc::clone(&segments), None, Some(*at), options(4)).unwrap();
        assert!(state(&point) == *expected && point.verify().unwrap().is_sound());
    }
    db.publish().unwrap();
    assert_eq!(Database::published(&segments, None).unwrap().len(), 3);
}

#[test]
fn what_a_published_point_names_stays_until_a_later_one_lets_it_go() {
    let clock = Arc::new(ManualClock::at(common::at(1_000_000)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(9)));
    let options = Options { env: Some(env), retention: 1_000_000, ..options(1) };
    let storage = Storage::memory_with(&options);
    let segments = Arc::clone(&storage.segments);
    let db = Database::open(storage, options.clone()).unwrap();
    fill(&db, 0, 500);
    let first = state(&db);
    let at = db.publish().unwrap();
    for round in 0..4 {
        fill(&db, round * 100, 500);
        db.checkpoint().unwrap();
    }
    let then = Database::attach(Arc::clone(&segments), None, Some(at), options.clone()).unwrap();
    assert!(state(&then) == first);
    drop(then);
    clock.advance(10_000_000);
    fill(&db, 900, 300);
    db.publish().unwrap();
    let points = Database::published(&segments, None).unwrap();
    assert_eq!(points.iter().map(|point| point.number).collect::<Vec<_>>(), [2]);
    for _ in 0..4 {
        fill(&db, 0, 50);
    }
    let named = db.segments().len();
    let left = segments.list("").unwrap().len();
    assert!(left <= named + 8, "{left} objects, {named} segments");
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_store_that_fails_at_any_request_of_publishing_leaves_points_that_can_be_read() {
    use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};
    for nth in 0..40 {
        for call in [SegmentCall::Put, SegmentCall::Read] {
            let inner = Storage::memory_with(&options(1));
            let store = Arc::new(FaultSegmentStore::new(Arc::clone(&inner.segments)));
            let storage = Storage::new(inner.pages, inner.log, store.clone());
            let db = Database::open(storage, options(1)).unwrap();
            fill(&db, 0, 300);
            let expected = state(&db);
            store.inject(call, nth, false, SegmentFault::Before(dosql::Error::invalid("the store fails")));
            let first = db.publish();
            store.heal();
            if first.is_err() {
                db.publish().unwrap();
            }
            let read = Database::attach(inner.segments, None, None, options(2)).unwrap();
            assert!(state(&read) == expected, "{call:?} {nth}");
        }
    }
}
