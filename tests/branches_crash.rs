//! The machine stops at every single write and sync while branches are made, written, merged by checkpoints and dropped: what is
//! acknowledged on any branch is there afterwards, and nothing but what was under way besides.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::crash::storage;
use dosql::{Database, Durability, Env, ManualClock, Merge, NewBranch, OnConflict, Options, Result};
use dosql::{SeededEntropy, Timestamp};
use dosql_wal::{CrashDirectory, Surviving};

type State = BTreeMap<Vec<u8>, Vec<u8>>;
/// The branches, and what each holds.
type World = BTreeMap<String, State>;

fn open(directory: &CrashDirectory) -> Result<Database> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let options = Options {
        page_size: 4096,
        log_limit: 48 << 10,
        durability: Durability::Sync,
        env: Some(Env::new(clock, Arc::new(SeededEntropy::new(3)))),
        limits: dosql::Limits { history_runs: 2, ..Default::default() },
        ..Options::default()
    };
    Database::open(storage(directory, options.page_size)?, options)
}

/// Every state of the world, in order, and how many of them were acknowledged.
#[derive(Default)]
struct Lived {
    worlds: Vec<World>,
    acknowledged: usize,
    /// What a life without a crash came to.
    script: Vec<World>,
}

impl Lived {
    /// Does something that leads to another world.
    fn step(&mut self, change: impl FnOnce(&mut World), act: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut world = self.worlds.last().cloned().unwrap_or_default();
        change(&mut world);
        self.worlds.push(world);
        act()?;
        self.acknowledged = self.worlds.len();
        Ok(())
    }
}

impl Lived {
    /// A merge: what it leads to is known from a life without a crash.
    fn merge(&mut self, db: &Database, from: &str) -> Result<()> {
        let known = self.script.get(self.worlds.len()).cloned();
        self.step(
            |after| *after = known.clone().unwrap_or_default(),
            || {
                let how = Merge { on_conflict: OnConflict::Theirs, ..Merge::default() };
                db.merge(from, &how).map(|_| ())
            },
        )?;
        if known.is_none() {
            *self.worlds.last_mut().unwrap() = world(db);
        }
        Ok(())
    }
}

fn live(directory: &CrashDirectory, lived: &mut Lived) -> Result<()> {
    let db = open(directory)?;
    let space = db.keyspace("space")?;
    let main = |world: &mut World| {
        world.entry("main".to_owned()).or_default();
    };
    lived.step(main, || Ok(()))?;
    let put = |lived: &mut Lived, name: &str, n: u32| {
        let key = [b"k".as_slice(), &(n % 7).to_be_bytes()].concat();
        let value = vec![n as u8; 40 + (n as usize * 97) % 400];
        let gone = [b"k".as_slice(), &((n + 3) % 7).to_be_bytes()].concat();
        let change = |world: &mut World| {
            let state = world.get_mut(name).unwrap();
            state.insert(key.clone(), value.clone());
            state.remove(&gone);
        };
        lived.step(change, || {
            db.branch(name)?.write(|tx| {
                tx.put(&space, &key, &value)?;
                tx.delete(&space, &gone)
            })
        })
    };
    for round in 0..3u32 {
        let (one, two) = (format!("one{round}"), format!("two{round}"));
        put(lived, "main", round)?;
        let fork = |from: &'static str, name: &str| {
            let name = name.to_owned();
            move |world: &mut World| drop(world.insert(name, world[from].clone()))
        };
        lived.step(fork("main", &one), || db.create_branch(&one, &NewBranch::default()).map(|_| ()))?;
        put(lived, &one, round + 10)?;
        put(lived, "main", round + 20)?;
        let from_one = {
            let (one, two) = (one.clone(), two.clone());
            move |world: &mut World| drop(world.insert(two, world[&one].clone()))
        };
        lived.step(from_one, || db.branch(&one)?.create_branch(&two, &NewBranch::default()).map(|_| ()))?;
        if round == 1 {
            db.checkpoint()?;
        }
        put(lived, &two, round + 30)?;
        let gone = one.clone();
        lived.step(move |world| drop(world.remove(&gone)), || db.drop_branch(&one))?;
        put(lived, &two, round + 40)?;
        db.checkpoint()?;
        lived.merge(&db, &two)?;
        put(lived, &two, round + 50)?;
        lived.merge(&db, &two)?;
        if round == 1 {
            let gone = two.clone();
            lived.step(move |world| drop(world.remove(&gone)), || db.drop_branch(&two))?;
            db.checkpoint()?;
        }
    }
    db.close()
}

fn world(db: &Database) -> World {
    let space = db.keyspace("space").unwrap();
    let state = |name: &str| {
        let branch = db.branch(name).unwrap();
        let read = branch.read().unwrap();
        read.iter(&space).unwrap().collect::<Result<_>>().unwrap()
    };
    db.branches().iter().map(|branch| (branch.name.clone(), state(&branch.name))).collect()
}

fn check(left: &CrashDirectory, lived: &Lived, place: &str) {
    let db = open(left).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let found = world(&db);
    let from = lived.acknowledged.saturating_sub(1);
    let known = lived.worlds[from.min(lived.worlds.len())..].contains(&found);
    assert!(
        known || lived.worlds.len() <= 1,
        "{place}: {} acknowledged, found {:?}",
        lived.acknowledged,
        found.keys()
    );
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{place}: {:?}", report.problems);
    let space = db.keyspace("space").unwrap();
    let after = db.create_branch("after", &NewBranch::default()).unwrap();
    after.write(|tx| tx.put(&space, "after", "1")).unwrap();
    db.checkpoint().unwrap();
    let before = world(&db);
    drop((db, after));
    let db = open(left).unwrap_or_else(|error| panic!("{place}, once more: {error:?}"));
    assert!(world(&db) == before, "{place}");
}

#[test]
fn a_crash_at_any_write_loses_no_branch_and_nothing_on_one() {
    let whole = CrashDirectory::new();
    let mut lived = Lived::default();
    live(&whole, &mut lived).unwrap();
    let script = lived.worlds;
    let operations = whole.operations();
    assert!(operations > 60, "{operations}");
    for operation in 0..operations {
        let directory = CrashDirectory::new();
        directory.crash_at(operation);
        let mut lived = Lived { script: script.clone(), ..Lived::default() };
        let error = live(&directory, &mut lived).err();
        if let Some(error) = error {
            assert!(
                error.to_string().contains("stopped") || error.to_string().contains("reopen"),
                "{error:?}"
            );
        }
        for surviving in [Surviving::Nothing, Surviving::Everything, Surviving::Some(operation)] {
            let place = format!("operation {operation}, {surviving:?}");
            check(&directory.survivor(surviving), &lived, &place);
        }
    }
}
