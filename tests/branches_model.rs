//! Long random lives of branches, judged by a map of versions for each: what is read on any branch, at any moment, is what the
//! maps say.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::{Database, Durability, Env, Keyspace, Limits, Maintenance, ManualClock, NewBranch, Options};
use dosql::{ReadTransaction, SeededEntropy, Storage, Timestamp};

type Bytes = Vec<u8>;
type State = BTreeMap<Bytes, Bytes>;

/// A branch in the words of maps.
struct Line {
    name: String,
    fork: Option<(usize, Timestamp)>,
    versions: BTreeMap<Bytes, BTreeMap<Timestamp, Option<Bytes>>>,
    /// Moments that can be asked for, its own.
    moments: Vec<Timestamp>,
    dropped: bool,
}

/// All that ever were, dropped ones too.
struct Model(Vec<Line>);

impl Model {
    fn state_at(&self, line: usize, at: Timestamp) -> State {
        let this = &self.0[line];
        let mut state =
            this.fork.map_or_else(State::new, |(parent, fork)| self.state_at(parent, at.min(fork)));
        for (key, versions) in &this.versions {
            match versions.range(..=at).next_back() {
                Some((_, Some(value))) => drop(state.insert(key.clone(), value.clone())),
                Some((_, None)) => drop(state.remove(key)),
                None => {}
            }
        }
        state
    }

    /// A moment that can be read on a branch: its own, or one of those beneath before the fork.
    fn moment(&self, line: usize, rng: &mut fastrand::Rng) -> Option<Timestamp> {
        let (mut line, mut until) = (line, Timestamp::MAX);
        while let Some((parent, fork)) = self.0[line].fork.filter(|_| rng.u8(..3) == 0) {
            (line, until) = (parent, until.min(fork));
        }
        let moments = &self.0[line].moments;
        let count = moments.partition_point(|at| *at <= until);
        (count > 0).then(|| moments[rng.usize(..count)])
    }

    fn live(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|&line| !self.0[line].dropped).collect()
    }
}

fn options(seed: u64, retention: u64) -> Options {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    Options {
        page_size: 4096,
        cache_bytes: 256 << 10,
        durability: Durability::None,
        retention,
        // Of most lives all that can lie in segments does.
        hot_budget: u64::from(!seed.is_multiple_of(3)),
        segment_bytes: 4 << 10,
        maintenance: Maintenance::Caller,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(seed)))),
        limits: Limits { history_runs: 2, ..Limits::default() },
        ..Options::default()
    }
}

fn key(rng: &mut fastrand::Rng) -> Bytes {
    let n = rng.u32(..60);
    match n % 5 {
        0 => vec![0; (n / 5) as usize],
        1 => [b"k\0".as_slice(), &n.to_be_bytes()].concat(),
        // Stored under a hash, several in a group.
        2 => format!("{}{n}", "long".repeat(600)).into_bytes(),
        _ => format!("key/{n}").into_bytes(),
    }
}

fn check(read: &ReadTransaction, space: &Keyspace, expected: &State, rng: &mut fastrand::Rng, place: &str) {
    let forward: Vec<(Bytes, Bytes)> = read.iter(space).unwrap().map(Result::unwrap).collect();
    let wanted: Vec<(Bytes, Bytes)> = expected.clone().into_iter().collect();
    assert!(forward == wanted, "{place}: forward {} of {}", forward.len(), wanted.len());
    let (low, high) = (key(rng), key(rng));
    if low <= high {
        let mut backward: Vec<(Bytes, Bytes)> =
            read.range_rev(space, low.clone()..high.clone()).unwrap().map(Result::unwrap).collect();
        backward.reverse();
        let wanted: Vec<(Bytes, Bytes)> =
            expected.range(low..high).map(|(key, value)| (key.clone(), value.clone())).collect();
        assert!(backward == wanted, "{place}: backward");
    }
    for _ in 0..4 {
        let key = key(rng);
        let found = read.get(space, &key).unwrap();
        assert_eq!(found.as_deref(), expected.get(&key).map(Vec::as_slice), "{place}: {key:?}");
    }
    let keys: Vec<Bytes> = (0..6).map(|_| key(rng)).collect();
    let found = read.get_many(space, &keys).unwrap();
    for (key, found) in keys.iter().zip(found) {
        assert_eq!(found.as_deref(), expected.get(key).map(Vec::as_slice), "{place}: many, {key:?}");
    }
}

/// `deep`: branches mostly fork off the last one.
fn live(seed: u64, retention: u64, steps: u32, deep: bool) {
    let storage = Storage::memory_with(&options(seed, retention));
    let mut db = Database::open(storage.share(), options(seed, retention)).unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "", "")).unwrap();
    let begun = db.last_commit();
    let versions = [(Vec::new(), [(begun, Some(Vec::new()))].into())].into();
    let main = Line { name: "main".to_owned(), fork: None, versions, moments: vec![begun], dropped: false };
    let mut model = Model(vec![main]);
    for step in 0..steps {
        let live = model.live();
        let line = if deep && rng.bool() { live[live.len() - 1] } else { live[rng.usize(..live.len())] };
        let name = model.0[line].name.clone();
        let branch = db.branch(&name).unwrap();
        let place = format!("seed {seed}, step {step}, {name}");
        match rng.u8(..20) {
            0..=8 => {
                let mut changes = BTreeMap::new();
                let mut tx = branch.begin_write().unwrap();
                for _ in 0..rng.usize(1..8) {
                    let key = key(&mut rng);
                    let value = (rng.u8(..3) > 0).then(|| vec![rng.u8(..); rng.usize(..60)]);
                    match &value {
                        Some(value) => tx.put(&space, &key, value).unwrap(),
                        None => tx.delete(&space, &key).unwrap(),
                    }
                    changes.insert(key, value);
                }
                let at = tx.commit().unwrap();
                for (key, value) in changes {
                    model.0[line].versions.entry(key).or_default().insert(at, value);
                }
                model.0[line].moments.push(at);
            }
            9..=10 if live.len() < if deep { 50 } else { 12 } => {
                let at = if retention > 0 && rng.bool() { model.moment(line, &mut rng) } else { None };
                let new = format!("b{step}");
                match db.create_branch(&new, &NewBranch { from: Some(name), at, ..NewBranch::default() }) {
                    Ok(_) => {
                        let mut fork = (line, at.unwrap_or(branch.last_commit()));
                        while let Some((parent, begun)) = model.0[fork.0].fork.filter(|it| fork.1 <= it.1) {
                            fork = (parent, fork.1.min(begun));
                        }
                        let made = db.branch(&new).unwrap().last_commit();
                        let moments = vec![made];
                        let (versions, fork) = (BTreeMap::new(), Some(fork));
                        model.0.push(Line { name: new, fork, versions, moments, dropped: false });
                    }
                    Err(error) => assert_eq!(error.kind(), dosql::ErrorKind::Limit, "{place}: {error}"),
                }
            }
            11 if line > 0 => {
                db.drop_branch(&name).unwrap();
                model.0[line].dropped = true;
            }
            12..=13 if retention > 0 => {
                if let Some(at) = model.moment(line, &mut rng) {
                    let read = branch.read_at(at).unwrap();
                    check(&read, &space, &model.state_at(line, at), &mut rng, &format!("{place} as of {at}"));
                }
            }
            14 => db.checkpoint().unwrap(),
            15 => assert!(db.maintain(16usize << 10).is_ok()),
            16 if step % 4 == 0 => {
                let report = db.verify().unwrap();
                assert!(report.is_sound(), "{place}: {:?}", report.problems);
            }
            17 if step % 3 == 0 => {
                if rng.bool() {
                    db.close().unwrap();
                }
                drop((branch, db));
                db = Database::open(storage.share(), options(seed, retention)).unwrap();
            }
            _ => {
                let expected = model.state_at(line, Timestamp::MAX);
                check(&branch.read().unwrap(), &space, &expected, &mut rng, &place);
            }
        }
    }
    for line in model.live() {
        let branch = db.branch(&model.0[line].name).unwrap();
        let expected = model.state_at(line, Timestamp::MAX);
        check(
            &branch.read().unwrap(),
            &space,
            &expected,
            &mut rng,
            &format!("seed {seed}, {line} at the end"),
        );
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "seed {seed}: {:?}", report.problems);
}

#[test]
fn branches_with_history_are_what_the_model_says() {
    for seed in 0..40 {
        live(seed, dosql::DAY, 400, false);
    }
}

#[test]
fn branches_without_retention_are_what_the_model_says() {
    for seed in 100..130 {
        live(seed, 0, 400, false);
    }
}

#[test]
fn branches_in_long_chains_are_what_the_model_says() {
    for seed in 200..215 {
        live(seed, if seed % 3 == 0 { 0 } else { dosql::DAY }, 600, true);
    }
}
