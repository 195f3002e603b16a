//! What commits and checkpoints cost, in numbers that do not depend on the machine: allocations, page copies, bytes of log, calls of
//! the stores. Each is an upper bound, a twentieth above what was measured: what makes one smaller lowers it here.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::Arc;

use allocation_counter::measure;
use common::counted::{Counter, Counts, storage};
use dosql::{Database, Keyspace, Maintenance, Options, Storage};

const KEY: usize = 24;
const VALUE: usize = 150;
/// Entries that are there before.
const THERE: u64 = 20_000;

/// A database of 8 KiB pages with entries in it, all in memory and none of them dirty.
fn filled() -> (Database, Keyspace, Arc<Counter>) {
    let options = Options { maintenance: Maintenance::Caller, log_limit: 256 << 20, ..Options::default() };
    let counter = Counter::new();
    let db = Database::open(storage(&Storage::memory_with(&options), &counter), options).unwrap();
    let space = db.keyspace("space").unwrap();
    for part in 0..THERE / 1_000 {
        put(&db, &space, part * 1_000..(part + 1) * 1_000);
    }
    db.checkpoint().unwrap();
    (db, space, counter)
}

/// Scattered, and the same every time.
fn key(n: u64) -> [u8; KEY] {
    let mut key = [b'k'; KEY];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    key
}

/// The values of these keys become their first ones.
fn put(db: &Database, space: &Keyspace, keys: impl Iterator<Item = u64>) {
    put_nth(db, space, keys, 0);
}

/// The values of these keys become their `nth` ones.
fn put_nth(db: &Database, space: &Keyspace, mut keys: impl Iterator<Item = u64>, nth: u8) {
    db.write(|tx| keys.try_for_each(|n| tx.put(space, key(n), [n as u8 ^ nth; VALUE]))).unwrap();
}

/// Fails where `found` is more than `most`; says both.
fn at_most(what: &str, found: f64, most: f64) {
    println!("{what}: {found:.2}, at most {most}");
    assert!(found <= most, "{what}: {found:.2}, which is more than {most}");
}

/// Commits of one put each to keys that are there, after a first few that find every buffer in place.
fn single_puts(commits: u64) -> (u64, u64, Counts) {
    let (db, space, counter) = filled();
    (0..50).for_each(|n| put_nth(&db, &space, THERE / 2 + n..THERE / 2 + n + 1, 1));
    let (copies, counts) = (db.stats().pages.copies, counter.counts());
    let allocations = measure(|| (0..commits).for_each(|n| put_nth(&db, &space, n * 7..n * 7 + 1, 1)));
    (allocations.count_total, db.stats().pages.copies - copies, counter.counts().since(counts))
}

#[test]
fn a_commit_of_one_put_syncs_the_log_once_and_touches_nothing_else() {
    let (_, _, counts) = single_puts(200);
    let expected =
        Counts { appends: 200, log_syncs: 200, appended_bytes: counts.appended_bytes, ..Counts::default() };
    assert_eq!(counts, expected);
}

#[test]
fn a_commit_of_one_put_writes_few_bytes_more_than_its_key_and_value() {
    let (.., counts) = single_puts(200);
    let each = counts.appended_bytes as f64 / 200.0;
    at_most("bytes of log for a put", each, 1.05 * 235.0);
    assert!(each >= (KEY + VALUE) as f64);
}

#[test]
fn a_commit_of_one_put_copies_one_way_down_the_tree_at_most() {
    // The first change of a page after a checkpoint copies what is above it too.
    let (_, copies, _) = single_puts(200);
    at_most("pages copied for a put", copies as f64 / 200.0, 1.05);
}

#[test]
fn a_commit_of_one_put_copies_a_leaf_in_five() {
    let (db, space, _) = filled();
    // Every leaf is dirty.
    put_nth(&db, &space, 0..THERE, 1);
    let before = db.stats().pages;
    for n in 0..5_000 {
        put_nth(&db, &space, n * 3..n * 3 + 1, 2);
    }
    let stats = db.stats().pages;
    at_most("pages copied for a put", (stats.copies - before.copies) as f64 / 5_000.0, 1.05 * 0.21);
    assert_eq!(stats.copies - before.copies + stats.deltas - before.deltas, 5_000);
}

#[test]
fn what_is_there_already_is_put_without_changing_a_page() {
    let (db, space, _) = filled();
    let long = vec![7; 100_000];
    let changes = || {
        let stats = db.stats().pages;
        (stats.copies + stats.deltas, stats.dirty_bytes)
    };
    let before = changes();
    put(&db, &space, 0..THERE);
    assert_eq!(changes(), before, "since the checkpoint");
    put_nth(&db, &space, 0..100, 1);
    db.write(|tx| tx.put(&space, [1], &long)).unwrap();
    let (before, at) = (changes(), db.last_commit());
    put_nth(&db, &space, 0..100, 1);
    assert_eq!(changes(), before, "since a commit");
    db.write(|tx| tx.put(&space, [1], &long)).unwrap();
    assert!(changes().0 <= before.0 + 1 && db.last_commit() > at, "a long value is not written anew");
    assert_eq!(db.read().unwrap().get(&space, [1]).unwrap().as_deref(), Some(&long[..]));
}

#[test]
fn a_commit_of_one_put_allocates_little() {
    let (allocations, ..) = single_puts(200);
    at_most("allocations for a commit of one put", allocations as f64 / 200.0, 1.05 * 11.2);
}

#[test]
fn a_put_among_a_thousand_allocates_less_than_one_by_itself() {
    let (db, space, counter) = filled();
    put(&db, &space, 0..1_000);
    let (copies, before) = (db.stats().pages.copies, counter.counts());
    let allocations = measure(|| put(&db, &space, 1_000..2_000)).count_total;
    at_most("allocations for a put among 1 000", allocations as f64 / 1_000.0, 2.0);
    let counts = counter.counts().since(before);
    at_most("bytes of log for a put among 1 000", counts.appended_bytes as f64 / 1_000.0, 1.05 * 177.4);
    at_most(
        "pages copied for a put among 1 000",
        (db.stats().pages.copies - copies) as f64 / 1_000.0,
        1.05 * 0.58,
    );
    assert!(counts.appends <= 2 && counts.log_syncs == 1 && counts.page_commits == 0, "{counts:?}");
}

#[test]
fn a_checkpoint_is_one_batch_of_what_changed() {
    let (db, space, counter) = filled();
    put(&db, &space, [5].into_iter());
    let before = counter.counts();
    db.checkpoint().unwrap();
    let counts = counter.counts().since(before);
    // A leaf and what is above it, a run of history, the system tree, the free list.
    assert!(counts.pages_written <= 7, "{counts:?}");
    assert_eq!((counts.page_commits, counts.appends, counts.page_reads), (1, 0, 0), "{counts:?}");
    assert!(counts.log_syncs <= 1, "{counts:?}");
    let before = counter.counts();
    db.checkpoint().unwrap();
    assert_eq!(counter.counts().since(before), Counts::default(), "nothing has changed");
}

#[test]
fn the_first_changes_after_a_checkpoint_copy_no_leaf() {
    let (db, space, _) = filled();
    db.checkpoint().unwrap();
    let copies = db.stats().pages.copies;
    put(&db, &space, (0..500).map(|n| n * 40));
    at_most("pages copied for 500 puts after a checkpoint", (db.stats().pages.copies - copies) as f64, 8.0);
}

#[test]
fn a_replay_copies_no_leaf_and_reads_each_once() {
    let options = Options { maintenance: Maintenance::Caller, log_limit: 256 << 20, ..Options::default() };
    let storage = Storage::memory_with(&options);
    let db = Database::open(storage.share(), options.clone()).unwrap();
    let space = db.keyspace("space").unwrap();
    put(&db, &space, 0..THERE);
    db.checkpoint().unwrap();
    for part in 0..20 {
        put(&db, &space, (0..250).map(|n| (n * 80 + part * 7) % THERE));
    }
    let used = db.stats().pages.pages_used;
    drop(db);
    let db = Database::open(storage, options).unwrap();
    let stats = db.stats();
    assert_eq!(stats.replayed, 20);
    at_most("pages copied by a replay", stats.pages.copies as f64, 8.0);
    assert!(stats.pages.misses <= used, "{} reads of {used} pages", stats.pages.misses);
}

#[test]
fn a_sorted_load_copies_a_page_or_two_a_commit_and_fills_its_pages() {
    let (db, space, _) = filled();
    let before = db.stats().pages;
    let key = |n: u64| [&[0xFF; 8][..], &n.to_be_bytes()].concat();
    for part in 0..10u64 {
        let entries = part * 1_000..(part + 1) * 1_000;
        db.write(|tx| entries.into_iter().try_for_each(|n| tx.put(&space, key(n), [7; VALUE]))).unwrap();
    }
    let after = db.stats().pages;
    at_most("pages copied for a commit of a sorted load", (after.copies - before.copies) as f64 / 10.0, 2.0);
    let bytes = (after.pages_used - before.pages_used) as f64 * 8192.0 / 10_000.0;
    at_most("bytes of pages for a sorted entry", bytes, 1.05 * (8 + 6 + VALUE) as f64);
}
