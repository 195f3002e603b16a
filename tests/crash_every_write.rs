//! The machine stops at every single write and sync of every file: what is acknowledged is there afterwards, what was under way
//! is there whole or not at all, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::crash::storage;
use dosql::{Database, Durability, Env, ManualClock, Options, Result, SeededEntropy, Timestamp};
use dosql_wal::{Calls, CrashDirectory, DiskFault, Surviving};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(durability: Durability) -> Options {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    Options {
        page_size: 4096,
        log_limit: 48 << 10,
        durability,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(3)))),
        limits: dosql::Limits { history_runs: 2, ..Default::default() },
        ..Options::default()
    }
}

fn open(directory: &CrashDirectory, durability: Durability) -> Result<Database> {
    let options = options(durability);
    Database::open(storage(directory, options.page_size)?, options)
}

/// Every state that was committed, in order, and how many of them were acknowledged as durable.
struct Lived {
    states: Vec<(Timestamp, State)>,
    acknowledged: usize,
}

/// Commits and checkpoints until the machine stops.
fn live(directory: &CrashDirectory, durability: Durability) -> Lived {
    let mut lived = Lived { states: Vec::new(), acknowledged: 0 };
    let result = try_to_live(directory, durability, &mut lived);
    if let Err(error) = result {
        assert!(error.to_string().contains("stopped") || error.to_string().contains("reopen"), "{error:?}");
    }
    lived
}

fn try_to_live(directory: &CrashDirectory, durability: Durability, lived: &mut Lived) -> Result<()> {
    let db = open(directory, durability)?;
    let space = db.keyspace("space")?;
    let mut state = State::new();
    for n in 0..16u32 {
        let mut tx = db.begin_write()?;
        for key in 0..8 {
            let (key, value) = ((n * 5 + key) % 23, vec![n as u8; 30 + (key as usize * 97) % 300]);
            tx.put(&space, key.to_be_bytes(), &value)?;
            state.insert(key.to_be_bytes().to_vec(), value);
        }
        if n % 6 == 2 {
            let large = vec![n as u8; 9_000];
            tx.put(&space, "large", &large)?;
            state.insert(b"large".to_vec(), large);
        }
        tx.delete(&space, (n % 23).to_be_bytes())?;
        state.remove((n % 23).to_be_bytes().as_slice());
        // It may be durable from here on, whatever the call says.
        lived.states.push((Timestamp::MAX, state.clone()));
        let at = tx.commit()?;
        lived.states.last_mut().unwrap().0 = at;
        if durability == Durability::Sync {
            lived.acknowledged = lived.states.len();
        }
        if n % 4 == 3 {
            db.checkpoint()?;
            lived.acknowledged = lived.states.len();
        }
    }
    db.close()?;
    lived.acknowledged = lived.states.len();
    Ok(())
}

fn state(db: &Database) -> State {
    let space = db.keyspace("space").unwrap();
    db.read().unwrap().iter(&space).unwrap().collect::<Result<_>>().unwrap()
}

/// The directory that the crash left holds the acknowledged states and at most those that were under way, whole; then life goes on.
fn check(left: &CrashDirectory, lived: &Lived, place: &str) {
    let db = open(left, Durability::Sync).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let found = state(&db);
    let at_most = lived.states.len();
    let count = (lived.acknowledged..=at_most)
        .rev()
        .find(|&count| count.checked_sub(1).map_or(found.is_empty(), |last| lived.states[last].1 == found));
    let Some(count) = count else {
        panic!("{place}: {} acknowledged, something else found", lived.acknowledged)
    };
    for (at, then) in lived.states[..count].iter().filter(|(at, _)| *at < Timestamp::MAX) {
        let space = db.keyspace("space").unwrap();
        let read: State = db.read_at(*at).unwrap().iter(&space).unwrap().collect::<Result<_>>().unwrap();
        assert!(read == *then, "{place}: as of {at}");
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{place}: {:?}", report.problems);
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "after", "1")).unwrap();
    db.checkpoint().unwrap();
    db.write(|tx| tx.put(&space, "after", "2")).unwrap();
    drop(db);
    let db = open(left, Durability::Sync).unwrap_or_else(|error| panic!("{place}, once more: {error:?}"));
    assert_eq!(db.read().unwrap().get(&space, "after").unwrap().as_deref(), common::bytes("2"), "{place}");
}

fn sweep(durability: Durability) {
    let whole = CrashDirectory::new();
    live(&whole, durability);
    let operations = whole.operations();
    assert!(operations > 40, "{operations}");
    for operation in 0..operations {
        let directory = CrashDirectory::new();
        directory.crash_at(operation);
        let lived = live(&directory, durability);
        let seeds = (0..2).map(|n| Surviving::Some(operation * 2 + n));
        for surviving in [Surviving::Nothing, Surviving::Everything].into_iter().chain(seeds) {
            let place = format!("{durability:?}, operation {operation}, {surviving:?}");
            let left = directory.survivor(surviving);
            if surviving == Surviving::Some(operation * 2) {
                crash_again(&left, operation, &lived, &place);
            }
            check(&left, &lived, &place);
        }
    }
}

/// Crashes during recovery, and looks at what that leaves.
fn crash_again(left: &CrashDirectory, operation: u64, lived: &Lived, place: &str) {
    let second = left.survivor(Surviving::Everything);
    second.crash_at(operation % 4);
    let opened = open(&second, Durability::Sync);
    drop(opened);
    let seed = Surviving::Some(operation);
    check(&second.survivor(seed), lived, &format!("{place}, then in recovery"));
}

#[test]
fn a_crash_at_any_write_loses_nothing_that_was_synced() {
    sweep(Durability::Sync);
}

#[test]
fn a_crash_without_syncs_leaves_a_prefix_of_the_commits() {
    sweep(Durability::None);
}

#[test]
fn a_disk_that_ignores_syncs_is_noticed_by_this_test() {
    let directory = CrashDirectory::new();
    directory.ignore_syncs();
    let lived = live(&directory, Durability::Sync);
    assert!(lived.acknowledged > 0);
    let left = directory.survivor(Surviving::Nothing);
    let lost =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&left, &lived, "a lying disk")));
    assert!(lost.is_err());
}

/// Puts one more key and commits; the state after it.
fn put_one(db: &Database, state: &mut State) -> Timestamp {
    let (key, space) = (state.len().to_be_bytes().to_vec(), db.keyspace("space").unwrap());
    db.write(|tx| tx.put(&space, &key, vec![7; 200])).unwrap();
    state.insert(key, vec![7; 200]);
    db.last_commit()
}

/// A checkpoint fails at its sync of number `lost`, and the system gives up what it should have written but goes on showing it. The
/// next process works from there; returns its directory, its database and what it acknowledged.
fn after_a_lost_sync(lost: u64) -> (CrashDirectory, Database, State) {
    let (directory, mut state) = (CrashDirectory::new(), State::new());
    let db = open(&directory, Durability::Sync).unwrap();
    for _ in 0..2 {
        for _ in 0..3 {
            put_one(&db, &mut state);
        }
        db.checkpoint().unwrap();
    }
    put_one(&db, &mut state);
    directory.inject(Calls::Syncs, lost, false, DiskFault::Lost);
    let _ = db.checkpoint();
    drop(db);
    let next = directory.killed();
    let db = open(&next, Durability::Sync).unwrap();
    put_one(&db, &mut state);
    (next, db, state)
}

#[test]
fn a_checkpoint_that_failed_to_sync_is_not_built_upon_before_it_is_durable() {
    for lost in 0..4 {
        for operation in 0.. {
            let (directory, db, expected) = after_a_lost_sync(lost);
            directory.crash_at(directory.operations() + operation);
            let whole = db.checkpoint().is_ok();
            drop(db);
            for seed in 0..12 {
                let surviving = if seed % 2 == 0 { Surviving::Garbage(seed) } else { Surviving::Torn(seed) };
                let place = format!("sync {lost} lost, then operation {operation}, {surviving:?}");
                let left = directory.survivor(surviving);
                let db = open(&left, Durability::Sync).unwrap_or_else(|error| panic!("{place}: {error:?}"));
                assert!(self::state(&db) == expected, "{place}");
                assert!(db.verify().unwrap().is_sound(), "{place}");
            }
            if whole {
                break;
            }
        }
    }
}
