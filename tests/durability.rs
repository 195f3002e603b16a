//! When the device is waited for, and how few times.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::at;
use dosql::stores::{LogCaps, LogPosition, LogStats, LogStore};
use dosql::{Database, Durability, Env, ManualClock, Options, Result, SeededEntropy, Storage};

#[test]
fn an_interval_syncs_when_it_has_passed_and_not_before() {
    let clock = Arc::new(ManualClock::at(at(1_000_000)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let options = Options { durability: Durability::Interval(1_000), env: Some(env), ..Options::default() };
    let db = common::db_with(options);
    let space = db.keyspace("space").unwrap();
    let commit = || {
        db.write(|tx| tx.put(&space, "k", "v")).unwrap();
        db.stats().log.syncs
    };
    let start = db.stats().log.syncs;
    assert_eq!((commit(), commit()), (start, start));
    clock.advance(1_000);
    assert_eq!((commit(), commit()), (start + 1, start + 1));
    clock.advance(999);
    assert_eq!(commit(), start + 1);
    db.maintain(usize::MAX).unwrap();
    assert_eq!(db.stats().log.syncs, start + 2);
}

#[test]
fn a_sync_makes_lazy_commits_durable_by_one_sync_and_costs_nothing_where_there_are_none() {
    let options = Options { durability: Durability::None, ..Options::default() };
    let db = common::db_with(options);
    let space = db.keyspace("space").unwrap();
    let counts = || (db.stats().log.syncs, db.stats().checkpoints);
    let start = counts();
    (0..3u8).for_each(|n| db.write(|tx| tx.put(&space, [n], "v")).unwrap());
    assert_eq!(counts(), start);
    db.sync().unwrap();
    db.sync().unwrap();
    assert_eq!(counts(), (start.0 + 1, start.1));
}

#[test]
fn without_durability_no_commit_waits_and_a_close_keeps_everything() {
    let storage = Storage::memory();
    let options = Options { durability: Durability::None, ..Options::default() };
    let db = Database::open(storage.share(), options.clone()).unwrap();
    let space = db.keyspace("space").unwrap();
    let start = db.stats().log.syncs;
    for n in 0..100u32 {
        db.write(|tx| tx.put(&space, n.to_be_bytes(), "v")).unwrap();
        assert!(db.read().unwrap().contains(&space, n.to_be_bytes()).unwrap());
    }
    assert_eq!(db.stats().log.syncs, start);
    drop(db);
    let db = Database::open(storage, options).unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count(), 100);
}

/// A log store whose device takes its time.
struct SlowLog(Arc<dyn LogStore>);

impl LogStore for SlowLog {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.0.append(bytes)
    }

    #[allow(clippy::disallowed_methods, reason = "a slow device is what the test is about")]
    fn sync(&self, upto: LogPosition) -> Result<()> {
        std::thread::sleep(Duration::from_millis(3));
        self.0.sync(upto)
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_from(from, buffer)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        self.0.reserve(upto)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.0.truncate(end)
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        self.0.trim(before)
    }

    fn stats(&self) -> LogStats {
        self.0.stats()
    }

    fn caps(&self) -> LogCaps {
        self.0.caps()
    }
}

#[test]
fn one_sync_serves_all_who_wait() {
    let memory = Storage::memory();
    let log = Arc::new(SlowLog(memory.log.clone()));
    let storage = Storage::new(memory.pages.clone(), log, memory.segments.clone());
    let db = Database::open(storage, Options::default()).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "first", "v")).unwrap();
    let start = db.stats().log.syncs;
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (db, space) = (&db, &space);
            scope.spawn(move || {
                for n in 0..10u32 {
                    db.write(|tx| tx.put(space, (thread * 100 + n).to_be_bytes(), "v")).unwrap();
                }
            });
        }
    });
    let (commits, syncs) = (80, db.stats().log.syncs - start);
    assert!(syncs * 2 < commits, "{syncs} syncs for {commits} commits");
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count(), 81);
}
