//! Which pages stay in memory when there is not room for all.

#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_btree::{MemoryPageStore, Pages, PagesOptions, Root};

const PAGE: usize = 4096;
/// So many pages fit.
const ROOM: usize = 4_096;
/// Four to a page.
const ENTRIES: u64 = 40_000;

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// A tree of 10 000 leaves, of which less than half fit in memory.
fn filled() -> (Arc<Pages>, Root) {
    let store = Arc::new(MemoryPageStore::new(PAGE));
    let (pages, _) = Pages::open(store, PagesOptions { cache_bytes: ROOM * PAGE }).unwrap();
    let (mut root, version) = (Root::EMPTY, Timestamp::from_micros(1));
    let mut writer = pages.writer();
    writer.begin(version);
    for n in 0..ENTRIES {
        writer.set(&mut root, &key(n), version, &[7; 900]).unwrap();
    }
    writer.publish(version).unwrap();
    writer.checkpoint(b"").unwrap();
    drop(writer);
    (pages, root)
}

#[test]
fn what_is_looked_up_again_and_again_comes_to_stay() {
    let (pages, root) = filled();
    let read = |leaves: std::ops::Range<u64>| {
        let before = pages.stats().misses;
        let snapshot = pages.latest();
        let count = leaves.end - leaves.start;
        for n in 0..count {
            let leaf = leaves.start + n * 7_919 % count;
            assert!(snapshot.get(root, &key(leaf * 4)).unwrap().is_some());
        }
        pages.stats().misses - before
    };
    for _ in 0..4 {
        read(0..3_900);
    }
    // The work moves on: after a few rounds its pages have taken the place of those.
    for _ in 0..4 {
        read(6_000..8_500);
    }
    assert_eq!(read(6_000..8_500), 0, "of 2 500 pages where there is room for {ROOM}");
}

#[test]
fn a_scan_leaves_what_is_looked_up_in_memory() {
    let (pages, root) = filled();
    let snapshot = pages.latest();
    for _ in 0..4 {
        for leaf in 0..2_500 {
            assert!(snapshot.get(root, &key(leaf * 4)).unwrap().is_some());
        }
    }
    let mut cursor = snapshot.cursor(root);
    let (mut found, mut count) = (cursor.seek_first().unwrap(), 0);
    while found {
        count += 1;
        found = cursor.next().unwrap();
    }
    assert_eq!(count, ENTRIES);
    let before = pages.stats().misses;
    for leaf in 0..2_500 {
        assert!(snapshot.get(root, &key(leaf * 4)).unwrap().is_some());
    }
    let missed = pages.stats().misses - before;
    assert!(missed < 500, "{missed} of 2 500 pages");
}
