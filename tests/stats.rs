//! Each figure of `Database::stats` is what happened.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::Arc;

use common::counted::{Counter, Counts, storage};
use common::{Clock, at};
use dosql::{Database, Durability, Env, ErrorKind, ManualClock, Options, SeededEntropy, Storage};

const PAGE: usize = 4096;

/// A database whose stores are counted, and whose device takes time by the clock.
fn db(options: Options) -> (Database, Arc<Counter>, Arc<Clock>) {
    let clock = Arc::new(Clock::at(at(1_000_000)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let options = Options { page_size: PAGE, env: Some(env), ..options };
    let counter = Counter::with_clock(&clock);
    let stores = storage(&Storage::memory_with(&options), &counter);
    (Database::open(stores, options).unwrap(), counter, clock)
}

/// Commits `keys` entries of 200 bytes.
fn fill(db: &Database, keys: u32) {
    let space = db.keyspace("space").unwrap();
    db.write(|tx| (0..keys).try_for_each(|key| tx.put(&space, key.to_be_bytes(), [7; 200]))).unwrap();
}

#[test]
fn hits_and_misses_of_the_cache_are_told_apart() {
    let options = Options { page_size: PAGE, ..Options::default() };
    let stores = Storage::memory_with(&options);
    let db = Database::open(stores.share(), options.clone()).unwrap();
    fill(&db, 2_000);
    db.close().unwrap();
    let db = Database::open(stores, options).unwrap();
    let space = db.keyspace("space").unwrap();
    let read = |keys: std::ops::Range<u32>| {
        let snapshot = db.read().unwrap();
        keys.into_iter().for_each(|key| assert!(snapshot.contains(&space, key.to_be_bytes()).unwrap()));
        db.stats().pages
    };
    let opened = db.stats();
    let first = read(1_000..1_001);
    assert!(first.misses > opened.pages.misses, "the first read fetches a leaf");
    let again = read(1_000..1_001);
    assert_eq!(again.misses, first.misses, "the next finds it in memory");
    assert!(again.hits > first.hits);
    let all = read(0..2_000);
    let leaves = all.misses - again.misses;
    assert!((100..200).contains(&leaves), "{leaves} leaves of about 18 entries");
    let once_more = read(0..2_000);
    assert_eq!(once_more.misses, all.misses);
    assert!(once_more.hits - all.hits >= 2_000, "each read looks its leaf up");
}

#[test]
fn reads_and_writes_of_pages_are_those_of_the_store() {
    let (db, counter, _) = db(Options { cache_bytes: 16 * PAGE, ..Options::default() });
    fill(&db, 2_000);
    db.checkpoint().unwrap();
    let space = db.keyspace("space").unwrap();
    assert_eq!(db.read().unwrap().iter(&space).unwrap().count(), 2_000);
    let (stats, counts) = (db.stats(), counter.counts());
    assert_eq!(stats.store.page_reads, counts.page_reads);
    assert_eq!(stats.store.page_writes, counts.pages_written);
    assert_eq!(stats.store.commits, counts.page_commits);
    assert!(counts.page_reads > 50, "a cache of 16 pages does not hold them all: {counts:?}");
    assert!(stats.pages.evictions > 50);
    assert_eq!(stats.page_size, PAGE);
}

#[test]
fn log_bytes_and_syncs_are_those_of_the_store() {
    let (db, counter, _) = db(Options::default());
    let before = (db.stats().log, counter.counts());
    for n in 0..10 {
        fill(&db, n + 1);
    }
    let Counts { appends, appended_bytes, log_syncs, .. } = counter.counts().since(before.1);
    let log = db.stats().log;
    assert_eq!(log.appended_bytes - before.0.appended_bytes, appended_bytes);
    assert_eq!((log.appends - before.0.appends, log.syncs - before.0.syncs), (appends, log_syncs));
    assert_eq!(log_syncs, 10);
    assert!(appended_bytes > 55 * 200);
}

#[test]
fn the_time_of_each_sync_of_the_log_is_in_the_histogram() {
    let (db, counter, _) = db(Options::default());
    let opened = db.stats().log_syncs.count;
    for micros in [100; 98].into_iter().chain([5_000, 70_000]) {
        counter.take(micros, 0);
        fill(&db, 1);
    }
    let syncs = db.stats().log_syncs;
    assert_eq!(syncs.count - opened, 100);
    assert_eq!((syncs.total, syncs.longest, syncs.last), (98 * 100 + 75_000, 70_000, 70_000));
    let near = |found: u64, exact: u64| (exact..=exact + exact / 8).contains(&found);
    assert!(near(syncs.percentile(50.0), 100), "{syncs:?}");
    assert!(near(syncs.percentile(99.0), 5_000), "{syncs:?}");
    assert_eq!(syncs.percentile(100.0), 70_000);
}

#[test]
fn checkpoints_are_counted_and_timed() {
    let (db, counter, _) = db(Options::default());
    for micros in [300, 2_000, 40] {
        counter.take(0, micros);
        fill(&db, 10);
        db.checkpoint().unwrap();
    }
    db.checkpoint().unwrap();
    let stats = db.stats();
    assert_eq!(stats.checkpoints, 3, "one without changes is none");
    let times = stats.checkpoint_times;
    assert_eq!((times.count, times.total, times.longest, times.last), (3, 2_340, 2_000, 40));
}

#[test]
fn commits_and_conflicts_are_counted() {
    let (db, ..) = db(Options::default());
    fill(&db, 1);
    let space = db.keyspace("space").unwrap();
    let mut late = db.begin_concurrent().unwrap();
    late.put(&space, "k", "late").unwrap();
    db.write(|tx| tx.put(&space, "k", "first")).unwrap();
    assert_eq!(late.commit().unwrap_err().kind(), ErrorKind::Conflict);
    let stats = db.stats();
    assert_eq!((stats.commits, stats.conflicts), (2, 1));
}

#[test]
fn memory_is_told_by_what_it_is_for() {
    let (db, ..) = db(Options { durability: Durability::None, ..Options::default() });
    let space = db.keyspace("space").unwrap();
    assert_eq!(db.stats().memory.dirty_pages, 0);
    fill(&db, 1_000);
    let filled = db.stats().memory;
    assert!(filled.dirty_pages > 50 * PAGE, "{filled:?}");
    assert!(filled.log_buffer > 200_000 || db.stats().log.appended_bytes > 200_000, "{filled:?}");
    db.checkpoint().unwrap();
    let clean = db.stats().memory;
    assert_eq!((clean.dirty_pages, clean.pinned_images, clean.log_buffer), (0, 0, 0));
    assert!(clean.clean_pages >= filled.dirty_pages, "{clean:?}");
    // A reader pins what is changed from now on; the first change after a checkpoint goes to pages of other numbers.
    let overwrite = |byte: u8| {
        db.write(|tx| (0..1_000u32).try_for_each(|key| tx.put(&space, key.to_be_bytes(), [byte; 200])))
            .unwrap();
    };
    overwrite(8);
    let same = db.stats().memory;
    let reader = db.read().unwrap();
    overwrite(9);
    let changed = db.stats().memory;
    assert!(changed.pinned_images >= 50 * PAGE, "{changed:?}");
    assert!(changed.history >= same.history + 200_000, "{changed:?}");
    drop(reader);
    let released = db.stats().memory;
    assert!(released.pinned_images < changed.pinned_images / 2, "{released:?}");
    assert!(released.spare_buffers > 0, "{released:?}");
    // What an optimistic transaction needs to be checked against is remembered.
    let mut tx = db.begin_concurrent().unwrap();
    tx.put(&space, "mine", [0; 10_000]).unwrap();
    assert_eq!(db.stats().memory.write_sets, prefix() + 4 + 10_000);
    db.write(|other| other.put(&space, "theirs", [0; 5_000])).unwrap();
    assert!(db.stats().memory.conflict_window >= 5_000);
    tx.rollback();
    drop(tx);
    db.write(|other| other.put(&space, "theirs", "")).unwrap();
    let ended = db.stats().memory;
    assert_eq!((ended.write_sets, ended.conflict_window), (0, 0));
    let parts = ended.clean_pages + ended.dirty_pages + ended.pinned_images + ended.spare_buffers;
    assert_eq!(ended.total(), parts + ended.history + ended.log_buffer);
    let pages = db.stats().pages;
    assert_eq!(pages.resident_bytes, ended.clean_pages + ended.dirty_pages + ended.pinned_images);
}

/// Bytes of the number in front of each key of a keyspace.
fn prefix() -> usize {
    5
}

#[test]
fn the_oldest_snapshot_its_age_and_how_many_there_are_are_told() {
    let (db, _, clock) = db(Options::default());
    let idle = db.stats();
    assert_eq!((idle.transactions, idle.oldest_snapshot, idle.oldest_snapshot_age), (0, None, 0));
    fill(&db, 1);
    let first = db.last_commit();
    let old = db.read().unwrap();
    clock.advance(10_000);
    fill(&db, 2);
    let young = db.begin_concurrent().unwrap();
    clock.advance(500);
    let stats = db.stats();
    assert_eq!((stats.transactions, stats.oldest_snapshot), (2, Some(first)));
    assert_eq!(stats.oldest_snapshot_age, clock.now().as_micros() - first.as_micros());
    drop(old);
    let stats = db.stats();
    assert_eq!((stats.transactions, stats.oldest_snapshot), (1, Some(young.snapshot())));
    assert!(stats.oldest_snapshot_age >= 500);
    drop(young);
    assert_eq!(db.stats().transactions, 0);
}

#[test]
fn a_clock_that_stands_still_or_steps_back_times_nothing() {
    let clock = Arc::new(ManualClock::at(at(1_000_000)));
    let env = Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
    let db = common::db_with(Options { env: Some(env), ..Options::default() });
    let reader = db.read().unwrap();
    clock.set(at(10));
    fill(&db, 1);
    db.checkpoint().unwrap();
    let stats = db.stats();
    assert_eq!((stats.log_syncs.total, stats.checkpoint_times.total), (0, 0));
    assert_eq!(stats.checkpoint_times.count, 1);
    assert!(stats.oldest_snapshot_age < 10, "{stats:?}");
    drop(reader);
}

#[test]
fn space_is_accounted_to_rows_history_free_places_and_those_who_pin_them() {
    let (db, ..) = db(Options::default());
    let all = |db: &Database| {
        let (space, pages) = (db.space().unwrap(), db.stats().pages);
        let sum = space.live + space.history + space.system + space.free + space.pinned;
        assert_eq!(sum, pages.pages_used + pages.pages_free, "{space:?}");
        space
    };
    fill(&db, 2_000);
    db.checkpoint().unwrap();
    let filled = all(&db);
    assert!(filled.live >= 100 && filled.history == 0 && filled.pinned == 0, "{filled:?}");
    assert!(filled.store_bytes >= filled.live * PAGE as u64);
    let reader = db.read().unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| (0..2_000u32).try_for_each(|key| tx.delete(&space, key.to_be_bytes()))).unwrap();
    db.checkpoint().unwrap();
    let deleted = all(&db);
    assert!(deleted.history >= 100 && deleted.live < 10, "{deleted:?}");
    assert!(deleted.pinned >= 100, "{deleted:?}");
    let whom = deleted.pinned_by.iter().find(|pinned| pinned.pages >= 100).unwrap();
    assert!(whom.version >= reader.snapshot() && whom.snapshots >= 1, "{whom:?}");
    drop(reader);
    let released = all(&db);
    assert_eq!(released.pinned, 0);
    assert!(released.free >= deleted.free + 100, "{released:?}");
}
