//! Long random lives, judged by a map of versions: what is read, at any moment, is what the map says.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dosql::{Begin, Database, Durability, Env, Keyspace, Limits, Options, ReadTransaction};
use dosql::{SeededEntropy, Storage, Timestamp, Transaction};

type Bytes = Vec<u8>;
type State = BTreeMap<Bytes, Bytes>;

/// Every version of every key, in the words of a map.
#[derive(Default)]
struct Model {
    versions: BTreeMap<Bytes, BTreeMap<Timestamp, Option<Bytes>>>,
    commits: Vec<Timestamp>,
}

impl Model {
    fn state_at(&self, at: Timestamp) -> State {
        let current = |versions: &BTreeMap<Timestamp, Option<Bytes>>| {
            versions.range(..=at).next_back().and_then(|(_, value)| value.clone())
        };
        self.versions.iter().filter_map(|(key, all)| Some((key.clone(), current(all)?))).collect()
    }

    fn commit(&mut self, at: Timestamp, changes: BTreeMap<Bytes, Option<Bytes>>) {
        for (key, value) in changes {
            self.versions.entry(key).or_default().insert(at, value);
        }
        self.commits.push(at);
    }
}

/// How a life is led.
struct Life {
    rng: fastrand::Rng,
    keys: u32,
    /// One in so many values takes several pages.
    large: u32,
}

impl Life {
    fn key(&mut self) -> Bytes {
        let n = self.rng.u32(..self.keys);
        // Some keys are the beginning of others, and some hold zero bytes.
        match n % 4 {
            0 => vec![0; (n / 4 % 20) as usize],
            1 => format!("key/{}", n / 40).into_bytes(),
            2 => [b"k\0".as_slice(), &n.to_be_bytes()].concat(),
            _ => format!("key/{:03}/{}", n / 40, "x".repeat((n % 30) as usize)).into_bytes(),
        }
    }

    fn value(&mut self) -> Bytes {
        let len = match self.rng.u32(..) % self.large {
            0 => self.rng.usize(5_000..30_000),
            1 => 0,
            _ => self.rng.usize(1..40),
        };
        let byte = self.rng.u8(..);
        vec![byte; len]
    }

    /// Bounds that may be empty or backwards.
    fn bounds(&mut self) -> (Bound<Bytes>, Bound<Bytes>) {
        let mut bound = |key: Bytes| match self.rng.u8(..3) {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let (start, end) = (bound(Bytes::new()), bound(Bytes::new()));
        (start.map(|_| self.key()), end.map(|_| self.key()))
    }
}

fn within(key: &[u8], bounds: &(Bound<Bytes>, Bound<Bytes>)) -> bool {
    let above = match &bounds.0 {
        Bound::Included(start) => key >= start.as_slice(),
        Bound::Excluded(start) => key > start.as_slice(),
        Bound::Unbounded => true,
    };
    let below = match &bounds.1 {
        Bound::Included(end) => key <= end.as_slice(),
        Bound::Excluded(end) => key < end.as_slice(),
        Bound::Unbounded => true,
    };
    above && below
}

fn check_transaction(tx: &Transaction, space: &Keyspace, expected: &State, life: &mut Life) {
    let collect = |range: dosql::Range<'_>| range.collect::<dosql::Result<Vec<_>>>().unwrap();
    let bounds = life.bounds();
    let inside = |key: &Bytes| within(key, &bounds);
    let wanted: Vec<(Bytes, Bytes)> = expected
        .iter()
        .filter(|(key, _)| inside(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(collect(tx.range(space, bounds.clone()).unwrap()), wanted);
    let mut backward = collect(tx.range_rev(space, bounds.clone()).unwrap());
    backward.reverse();
    assert_eq!(backward, wanted);
    for _ in 0..4 {
        let key = life.key();
        assert_eq!(tx.get(space, &key).unwrap().as_deref(), expected.get(&key).map(Vec::as_slice));
    }
}

fn check_read(tx: &ReadTransaction, space: &Keyspace, expected: &State, life: &mut Life) {
    let collect = |range: dosql::Range<'_>| range.collect::<dosql::Result<Vec<_>>>().unwrap();
    let all: Vec<(Bytes, Bytes)> = expected.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(collect(tx.iter(space).unwrap()), all, "at {}", tx.snapshot());
    let mut backward = collect(tx.range_rev::<Bytes>(space, ..).unwrap());
    backward.reverse();
    assert_eq!(backward, all, "backward at {}", tx.snapshot());
    let bounds = life.bounds();
    let wanted: Vec<_> = all.iter().filter(|(key, _)| within(key, &bounds)).cloned().collect();
    assert_eq!(collect(tx.range(space, bounds.clone()).unwrap()), wanted);
    for _ in 0..8 {
        let key = life.key();
        assert_eq!(tx.get(space, &key).unwrap().as_deref(), expected.get(&key).map(Vec::as_slice));
    }
}

/// One write transaction, savepoints and all; committed unless chance says otherwise.
fn write(db: &Database, space: &Keyspace, model: &mut Model, life: &mut Life) {
    let begin = if life.rng.bool() { Begin::Write } else { Begin::Deferred };
    let mut tx = db.begin(begin).unwrap();
    let mut state = model.state_at(tx.snapshot());
    let mut changes = BTreeMap::new();
    let mut marks = Vec::new();
    for _ in 0..life.rng.usize(1..40) {
        match life.rng.u8(..20) {
            0 => marks.push((tx.savepoint().unwrap(), state.clone(), changes.clone())),
            1 if !marks.is_empty() => {
                let keep = life.rng.usize(..marks.len());
                marks.truncate(keep + 1);
                let (mark, old_state, old_changes) = marks[keep].clone();
                tx.rollback_to(mark).unwrap();
                (state, changes) = (old_state, old_changes);
            }
            2 if !marks.is_empty() => {
                let from = life.rng.usize(..marks.len());
                tx.release(marks[from].0).unwrap();
                marks.truncate(from);
            }
            3 => check_transaction(&tx, space, &state, life),
            4..9 => {
                let key = life.key();
                tx.delete(space, &key).unwrap();
                state.remove(&key);
                changes.insert(key, None);
            }
            _ => {
                let (key, value) = (life.key(), life.value());
                tx.put(space, &key, &value).unwrap();
                state.insert(key.clone(), value.clone());
                changes.insert(key, Some(value));
            }
        }
    }
    check_transaction(&tx, space, &state, life);
    if life.rng.u8(..8) == 0 {
        tx.rollback();
    } else if tx.has_writes() {
        let at = tx.commit().unwrap();
        model.commit(at, changes);
    }
}

/// Leads a life of so many steps. `reopen` closes or drops the database as it likes and opens it again.
fn live(seed: u64, steps: usize, keys: u32, mut db: Database, reopen: &dyn Fn(Database, bool) -> Database) {
    let mut life = Life { rng: fastrand::Rng::with_seed(seed), keys, large: 60 };
    let mut model = Model::default();
    let space = db.keyspace("space").unwrap();
    let other = db.keyspace("other").unwrap();
    let mut snapshots: Vec<ReadTransaction> = Vec::new();
    for step in 0..steps {
        match life.rng.u8(..100) {
            0..60 => write(&db, &space, &mut model, &mut life),
            60..68 => snapshots.push(db.read().unwrap()),
            68..74 if !snapshots.is_empty() => {
                let snapshot = snapshots.swap_remove(life.rng.usize(..snapshots.len()));
                check_read(&snapshot, &space, &model.state_at(snapshot.snapshot()), &mut life);
            }
            74..88 if !model.commits.is_empty() => {
                let commit = model.commits[life.rng.usize(..model.commits.len())];
                let at = Timestamp::from_micros(commit.as_micros() + life.rng.u64(..3) - 1);
                let Ok(then) = db.read_at(at) else { continue };
                check_read(&then, &space, &model.state_at(at), &mut life);
                if life.rng.bool() {
                    snapshots.push(then);
                }
            }
            88..94 => db.checkpoint().unwrap(),
            94..96 => db.write(|tx| tx.put(&other, step.to_be_bytes(), b"other")).unwrap(),
            96..98 => {
                snapshots.clear();
                db = reopen(db, life.rng.bool());
            }
            _ => {
                let report = db.verify().unwrap();
                assert!(report.is_sound(), "seed {seed}, step {step}: {:?}", report.problems);
            }
        }
    }
    let (now, state) = (db.read().unwrap(), model.state_at(Timestamp::MAX));
    check_read(&now, &space, &state, &mut life);
    for at in &model.commits {
        check_read(&db.read_at(*at).unwrap(), &space, &model.state_at(*at), &mut life);
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "seed {seed}: {:?}", report.problems);
}

/// Options that make everything happen often.
fn hectic() -> Options {
    let clock = Arc::new(dosql::ManualClock::at(Timestamp::from_micros(1_000_000)));
    Options {
        dirty_bytes: 256 << 10,
        log_limit: 64 << 10,
        cache_bytes: 256 << 10,
        durability: Durability::Sync,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(7)))),
        page_size: 4096,
        limits: Limits { history_runs: 3, ..Limits::default() },
        ..Options::default()
    }
}

#[test]
fn a_long_life_in_memory_reads_as_the_model_says() {
    for seed in 0..6 {
        // Every other life has readers that turn into readers of the past at every commit.
        let pinned_bytes = if seed % 4 < 2 { 0 } else { usize::MAX };
        let options = Options { pinned_bytes, ..hectic() };
        let storage = Storage::memory_with(&options);
        let db = Database::open(storage.share(), options.clone()).unwrap();
        live(seed, 250, [30, 300][seed as usize % 2], db, &|db, close| {
            if close {
                db.close().unwrap();
            }
            drop(db);
            Database::open(storage.share(), options.clone()).unwrap()
        });
    }
}

#[test]
fn a_long_life_in_a_directory_reads_as_the_model_says() {
    for seed in 100..102 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let open = || Database::open(Storage::directory_with(&path, &hectic()).unwrap(), hectic()).unwrap();
        live(seed, 200, 200, open(), &|db, close| {
            if close {
                db.close().unwrap();
            }
            drop(db);
            open()
        });
    }
}

#[test]
fn history_that_expires_takes_nothing_with_it_that_is_still_retained() {
    let clock = Arc::new(dosql::ManualClock::at(Timestamp::from_micros(1_000_000)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(7)));
    let options = Options { retention: 10_000, env: Some(env), ..hectic() };
    let db = common::db_with(options);
    let space = db.keyspace("space").unwrap();
    let mut life = Life { rng: fastrand::Rng::with_seed(5), keys: 60, large: 60 };
    let mut model = Model::default();
    let mut expired = 0;
    for _ in 0..300 {
        clock.advance(life.rng.u64(..400));
        write(&db, &space, &mut model, &mut life);
        if life.rng.u8(..10) == 0 {
            db.checkpoint().unwrap();
        }
        let commit = model.commits[life.rng.usize(..model.commits.len())];
        let age = db.now().as_micros() - commit.as_micros();
        match db.read_at(commit) {
            Ok(then) => check_read(&then, &space, &model.state_at(commit), &mut life),
            Err(error) => {
                assert_eq!(error.code(), dosql::Code::AsOfExpired);
                assert!(age > 10_000, "{age}");
                expired += 1;
            }
        }
    }
    assert!(expired > 20, "{expired}");
    db.checkpoint().unwrap();
    assert!(db.stats().history_entries < model.versions.values().map(|all| all.len() as u64).sum());
    assert!(db.verify().unwrap().is_sound());
}
