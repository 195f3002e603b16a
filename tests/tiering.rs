//! Cold rows and history in the segment store: nobody can tell from what is read.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::collections::BTreeMap;

use dosql::{Database, Keyspace, Maintenance, Options, Storage, Timestamp};

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
