//! Cold rows and history in the segment store: nobody can tell from what is read.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use dosql::stores::SegmentStore;
use dosql::{Database, Keyspace, Maintenance, NewBranch, Options, Result, Storage, Timestamp};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A database with a small hot budget, and what it should hold at each moment.
struct Subject {
    storage: Storage,
    options: Options,
    db: Database,
    space: Keyspace,
    states: Vec<(Timestamp, State)>,
    random: fastrand::Rng,
}

impl Subject {
    fn new(seed: u64) -> Subject {
        let options = Options {
            page_size: 4096,
            maintenance: Maintenance::Caller,
            hot_budget: 128 << 10,
            segment_bytes: 64 << 10,
            ..Options::default()
        };
        let storage = Storage::memory_with(&options);
        let db = Database::open(storage.share(), options.clone()).unwrap();
        let space = db.keyspace("space").unwrap();
        Subject { storage, options, db, space, states: Vec::new(), random: fastrand::Rng::with_seed(seed) }
    }

    fn state(&self) -> State {
        self.states.last().map(|(_, state)| state.clone()).unwrap_or_default()
    }

    /// Some commits of `keys` random keys out of `range`.
    fn live(&mut self, commits: usize, keys: usize, range: u32) {
        for _ in 0..commits {
            let mut state = self.state();
            let mut tx = self.db.begin_write().unwrap();
            for _ in 0..keys {
                let key = self.random.u32(..range).to_be_bytes();
                if self.random.u8(..5) == 0 {
                    tx.delete(&self.space, key).unwrap();
                    state.remove(&key[..]);
                } else {
                    let value = vec![self.random.u8(..); self.random.usize(20..200)];
                    tx.put(&self.space, key, &value).unwrap();
                    state.insert(key.to_vec(), value);
                }
            }
            tx.commit().unwrap();
            self.states.push((self.db.last_commit(), state));
        }
    }

    fn reopen(&mut self) {
        self.db = Database::open_memory().unwrap();
        self.db = Database::open(self.storage.share(), self.options.clone()).unwrap();
        self.space = self.db.keyspace("space").unwrap();
    }

    /// Compares what is read now, and as of some moments, forward, backward and by key.
    fn check(&mut self) {
        let sound = self.db.verify().unwrap();
        assert!(sound.is_sound(), "{:?}", sound.problems);
        let last = self.states.len() - 1;
        let some: Vec<usize> = (0..6).map(|_| self.random.usize(..=last)).chain([last]).collect();
        for n in some {
            let (at, state) = &self.states[n];
            let snapshot = self.db.read_at(*at).unwrap();
            let found: State = snapshot.iter(&self.space).unwrap().map(Result::unwrap).collect();
            assert_eq!(found.len(), state.len(), "as of {at}, {n} of {last}");
            assert!(&found == state, "as of {at}, {n} of {last}");
            let back: Vec<_> =
                snapshot.range_rev::<&[u8]>(&self.space, ..).unwrap().map(Result::unwrap).collect();
            assert!(back.into_iter().rev().eq(state.clone()), "backwards as of {at}");
            for _ in 0..200 {
                let key = self.random.u32(..4000).to_be_bytes();
                assert_eq!(
                    snapshot.get(&self.space, key).unwrap().as_deref(),
                    state.get(&key[..]).map(|it| &it[..])
                );
            }
        }
    }
}

#[test]
fn rows_that_were_moved_out_are_read_as_before_at_every_moment() {
    for seed in 0..4 {
        let mut subject = Subject::new(seed);
        for round in 0..12 {
            subject.live(6, 150, 4000);
            subject.db.checkpoint().unwrap();
            subject.check();
            if round % 4 == 3 {
                subject.reopen();
                subject.check();
            }
        }
        assert!(!subject.storage.segments.list("").unwrap().is_empty(), "nothing was moved");
    }
}

/// What is done once, in the middle of storing an object.
type Meanwhile = Mutex<Option<Box<dyn FnOnce() + Send>>>;

/// A store that lets something happen while an object is on its way.
struct Slow(Arc<dyn SegmentStore>, Arc<Meanwhile>);

impl SegmentStore for Slow {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        // One row or two move without anything happening.
        let meanwhile = if bytes.len() > 2_000 { self.1.lock().unwrap().take() } else { None };
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.0.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.0.read(name, range)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.0.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.0.list(prefix)
    }
}

/// A database with such a store, and rows that have not moved yet.
fn slow(rows: u32) -> (Database, Keyspace, Arc<Meanwhile>, Arc<dyn SegmentStore>) {
    let options = Options {
        page_size: 4096,
        maintenance: Maintenance::Caller,
        hot_budget: 8 << 10,
        segment_bytes: 1 << 20,
        ..Options::default()
    };
    let (memory, meanwhile) = (Storage::memory_with(&options), Arc::<Meanwhile>::default());
    let inner = Arc::clone(&memory.segments);
    let storage = memory.with_segments(Arc::new(Slow(Arc::clone(&inner), Arc::clone(&meanwhile))));
    let db = Database::open(storage, options).unwrap();
    let space = db.keyspace("space").unwrap();
    let fill = |tx: &mut dosql::Transaction| {
        (0..rows).try_for_each(|key| tx.put(&space, key.to_be_bytes(), vec![key as u8; 100]))
    };
    db.write(fill).unwrap();
    (db, space, meanwhile, inner)
}

#[test]
fn what_is_changed_while_rows_move_is_read_as_it_was_changed() {
    let (db, space, meanwhile, _) = slow(400);
    let before = db.last_commit();
    let (other, keys) = (db.clone(), space.clone());
    *meanwhile.lock().unwrap() = Some(Box::new(move || {
        let change = |tx: &mut dosql::Transaction| {
            for key in (0..400u32).step_by(3) {
                tx.delete(&keys, key.to_be_bytes())?;
            }
            (1..400u32).step_by(3).try_for_each(|key| tx.put(&keys, key.to_be_bytes(), b"changed"))
        };
        other.write(change).unwrap();
        other.checkpoint().unwrap();
    }));
    while !db.maintain(1usize << 20).unwrap().done {}
    assert!(meanwhile.lock().unwrap().is_none() && !db.segments().is_empty());
    for round in 0..3 {
        let (now, then) = (db.read().unwrap(), db.read_at(before).unwrap());
        assert_eq!(now.iter(&space).unwrap().count(), 266, "round {round}");
        assert_eq!(then.iter(&space).unwrap().count(), 400, "round {round}");
        for key in 0..400u32 {
            let whole = [key as u8; 100];
            let expected = [None, Some(&b"changed"[..]), Some(&whole[..])][key as usize % 3];
            assert_eq!(now.get(&space, key.to_be_bytes()).unwrap().as_deref(), expected, "round {round}");
            assert_eq!(then.get(&space, key.to_be_bytes()).unwrap().as_deref(), Some(&whole[..]));
        }
        assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
        db.checkpoint().unwrap();
        while !db.maintain(1usize << 20).unwrap().done {}
    }
}

#[test]
fn a_branch_that_is_dropped_while_its_rows_move_takes_nothing_with_it() {
    let (db, space, meanwhile, store) = slow(1);
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let fill = |tx: &mut dosql::Transaction| {
        let value =
            |key: u32| (0..25).flat_map(|n| (key * 7919 + n * n * 104_729).to_be_bytes()).collect::<Vec<_>>();
        (400..900u32).try_for_each(|key| tx.put(&space, key.to_be_bytes(), value(key)))
    };
    draft.write(fill).unwrap();
    drop(draft);
    let other = db.clone();
    *meanwhile.lock().unwrap() = Some(Box::new(move || {
        other.drop_branch("draft").unwrap();
        other.checkpoint().unwrap();
    }));
    while !db.maintain(1usize << 20).unwrap().done {}
    assert!(meanwhile.lock().unwrap().is_none(), "nothing moved");
    for _ in 0..3 {
        db.write(|tx| tx.put(&space, "more", "1")).unwrap();
        db.checkpoint().unwrap();
    }
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count(), 2);
    assert_eq!(store.list("").unwrap().len(), db.segments().len(), "what was stored in vain is gone");
}

#[test]
fn many_cold_keys_are_read_with_few_requests() {
    let mut subject = Subject::new(7);
    for first in (0..20_000u32).step_by(1000) {
        let put = |tx: &mut dosql::Transaction| {
            let rows = first..first + 1000;
            rows.into_iter().try_for_each(|key| tx.put(&subject.space, key.to_be_bytes(), [key as u8; 100]))
        };
        subject.db.write(put).unwrap();
    }
    subject.db.checkpoint().unwrap();
    while !subject.db.maintain(1usize << 20).unwrap().done {}
    subject.reopen();
    // All of them in a range that was moved out first.
    let keys: Vec<[u8; 4]> = (0..400u32).map(|key| (key * 5).to_be_bytes()).collect();
    let snapshot = subject.db.read().unwrap();
    let before = subject.db.stats().segments;
    let values = snapshot.get_many(&subject.space, &keys).unwrap();
    for (key, value) in keys.iter().zip(&values) {
        assert_eq!(value.as_deref(), Some(&[u32::from_be_bytes(*key) as u8; 100][..]));
    }
    let gets = subject.db.stats().segments.gets - before.gets;
    assert!(
        (1..20).contains(&gets),
        "{gets} requests for 400 keys in {} segments",
        subject.db.segments().len()
    );
}

#[test]
fn a_missing_object_is_named_with_its_keys_and_the_rest_stays_readable() {
    let options = Options {
        page_size: 4096,
        maintenance: Maintenance::Caller,
        hot_budget: 64 << 10,
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    let storage = Storage::memory_with(&options);
    let store = Arc::clone(&storage.segments);
    let db = Database::open(storage, options).unwrap();
    let sql = db.connect().unwrap();
    sql.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, v BLOB)", ()).unwrap();
    sql.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
         INSERT INTO readings SELECT i, randomblob(100) FROM n",
        (),
    )
    .unwrap();
    while !db.maintain(1usize << 20).unwrap().done {}
    let first = db.segments().into_iter().map(|it| it.name).find(|name| {
        store.delete(&[name]).unwrap();
        !db.verify().unwrap().problems.iter().all(|problem| !problem.contains("keys 0 to "))
    });
    let first = first.unwrap_or_else(|| panic!("{:?}", db.verify().unwrap().problems));
    let problems = db.verify().unwrap().problems;
    let told = format!("live segment {first} (table readings, keys 0 to ");
    assert!(problems.iter().any(|problem| problem.starts_with(&told)), "{problems:?}");
    let one = |id: i64| {
        sql.query_row("SELECT length(v) FROM readings WHERE id = ?1", [id], |row| row.get::<i64>(0))
    };
    let error = one(0).unwrap_err();
    assert!(error.kind() == dosql::ErrorKind::Corrupt && error.to_string().contains(&first), "{error}");
    assert_eq!(one(2999).unwrap(), 100);
}
