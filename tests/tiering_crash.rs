//! The machine stops at every write, sync and change of a name while rows and history move into segments and segments are merged: what was
//! acknowledged is there afterwards, at every moment, and what was stored in vain is found and deleted.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::crash::{CrashSegments, storage_with};
use dosql::{Database, Env, ManualClock, Options, Result, SeededEntropy, Timestamp};
use dosql_wal::{CrashDirectory, Surviving};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(seed: u64) -> Options {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    Options {
        page_size: 4096,
        log_limit: 256 << 10,
        hot_budget: 16 << 10,
        segment_bytes: 16 << 10,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(seed)))),
        limits: dosql::Limits { history_runs: 2, ..Default::default() },
        ..Options::default()
    }
}

fn open(directory: &CrashDirectory, seed: u64) -> Result<Database> {
    let options = options(seed);
    let segments = Arc::new(CrashSegments(directory.clone()));
    Database::open(storage_with(directory, options.page_size, segments, 0)?, options)
}

/// Every state that was committed, in order, and how many of them were acknowledged.
#[derive(Default)]
struct Lived {
    states: Vec<(Timestamp, State)>,
    acknowledged: usize,
}

fn live(directory: &CrashDirectory) -> Lived {
    let mut lived = Lived::default();
    if let Err(error) = try_to_live(directory, &mut lived) {
        assert!(error.to_string().contains("stopped") || error.to_string().contains("reopen"), "{error:?}");
    }
    lived
}

fn try_to_live(directory: &CrashDirectory, lived: &mut Lived) -> Result<()> {
    let db = open(directory, 3)?;
    let space = db.keyspace("space")?;
    let mut state = State::new();
    for n in 0..10u32 {
        let mut tx = db.begin_write()?;
        for key in 0..25 {
            // Ever new keys, some old ones anew, and some that go.
            let (key, len) = ((n * 17 + key) % 180, 150 + (key as usize * 97) % 300);
            let value: Vec<u8> = (0..len).map(|at| (at as u32 * key + n) as u8).collect();
            tx.put(&space, key.to_be_bytes(), &value)?;
            state.insert(key.to_be_bytes().to_vec(), value);
        }
        for gone in [n * 11 % 180, n * 29 % 180] {
            tx.delete(&space, gone.to_be_bytes())?;
            state.remove(gone.to_be_bytes().as_slice());
        }
        lived.states.push((Timestamp::MAX, state.clone()));
        let at = tx.commit()?;
        lived.states.last_mut().unwrap().0 = at;
        lived.acknowledged = lived.states.len();
        if n % 3 == 2 {
            db.checkpoint()?;
            while !db.maintain(8usize << 10)?.done {}
        }
    }
    db.close()?;
    Ok(())
}

fn state(db: &Database) -> State {
    let space = db.keyspace("space").unwrap();
    db.read().unwrap().iter(&space).unwrap().collect::<Result<_>>().unwrap()
}

fn check(left: &CrashDirectory, lived: &Lived, place: &str) {
    let db = open(left, 5).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let found = state(&db);
    let whole =
        |&count: &usize| count.checked_sub(1).map_or(found.is_empty(), |last| lived.states[last].1 == found);
    let count = (lived.acknowledged..=lived.states.len()).rev().find(whole);
    let count =
        count.unwrap_or_else(|| panic!("{place}: {} acknowledged, something else found", lived.acknowledged));
    let space = db.keyspace("space").unwrap();
    for (at, then) in lived.states[..count].iter().filter(|(at, _)| *at < Timestamp::MAX) {
        let read: State = db.read_at(*at).unwrap().iter(&space).unwrap().collect::<Result<_>>().unwrap();
        assert!(read == *then, "{place}: as of {at}");
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{place}: {:?}", report.problems);
    db.collect_orphans().unwrap();
    db.write(|tx| tx.put(&space, "after", "1")).unwrap();
    while !db.maintain(1usize << 20).unwrap().done {}
    db.checkpoint().unwrap();
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{place}, later: {:?}", report.problems);
    drop(db);
    let db = open(left, 7).unwrap_or_else(|error| panic!("{place}, once more: {error:?}"));
    assert!(db.orphans().unwrap().len() <= db.segments().len(), "{place}: objects are left");
    let mut expected = found;
    expected.insert(b"after".to_vec(), b"1".to_vec());
    assert!(state(&db) == expected, "{place}, once more");
}

#[test]
fn a_crash_at_any_step_of_moving_and_merging_loses_nothing() {
    let whole = CrashDirectory::new();
    let lived = live(&whole);
    assert_eq!(lived.acknowledged, 10);
    {
        let db = open(&whole, 5).unwrap();
        let storage = db.storage().unwrap();
        let places: Vec<&str> = storage.iter().map(|part| part.place.as_str()).collect();
        assert!(places.contains(&"cold history"), "{storage:?}");
        assert!(
            storage.iter().any(|part| part.place.starts_with("live ") && part.place != "live 0"),
            "nothing was merged: {storage:?}"
        );
    }
    let operations = whole.operations();
    assert!(operations > 150, "{operations}");
    for operation in 0..operations {
        let directory = CrashDirectory::new();
        directory.crash_at(operation);
        let lived = live(&directory);
        for surviving in [Surviving::Nothing, Surviving::Everything, Surviving::Some(operation)] {
            check(
                &directory.survivor(surviving),
                &lived,
                &format!("operation {operation} of {operations}, {surviving:?}"),
            );
        }
    }
}
