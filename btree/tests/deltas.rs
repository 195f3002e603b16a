//! Small changes are noted beside the image of a leaf: what snapshots, checkpoints and rollbacks make of that.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_btree::{MemoryPageStore, PageSnapshot, PageStore, PageWriter, Pages, PagesOptions, Root};

const PAGE: usize = 8192;
/// Entries of the tree, which fill some leaves.
const KEYS: u32 = 400;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn key(n: u32) -> Vec<u8> {
    format!("key {n:05}").into_bytes()
}

/// A tree that was published as 1 and belongs to the checkpoint to come.
fn filled() -> (Arc<MemoryPageStore>, Arc<Pages>, Root) {
    let store = Arc::new(MemoryPageStore::new(PAGE));
    let (pages, _) = Pages::open(Arc::clone(&store) as Arc<dyn PageStore>, PagesOptions::default()).unwrap();
    let mut root = Root::EMPTY;
    commit(&pages, 1, |writer| (0..KEYS).for_each(|n| set(writer, &mut root, n, 1)));
    (store, pages, root)
}

fn commit(pages: &Arc<Pages>, version: u64, change: impl FnOnce(&mut PageWriter<'_>)) {
    let mut writer = pages.writer();
    writer.begin(at(version));
    change(&mut writer);
    writer.publish(at(version)).unwrap();
}

fn set(writer: &mut PageWriter<'_>, root: &mut Root, n: u32, version: u64) {
    writer
        .set(root, &key(n), at(version), format!("{n} as of {version}, {}", "x".repeat(80)).as_bytes())
        .unwrap();
}

/// The version of an entry, by a get, which must agree with a cursor, a search from the key on, and the value.
fn seen(snapshot: &PageSnapshot, root: Root, n: u32) -> Option<u64> {
    let entry = snapshot.get(root, &key(n)).unwrap();
    let mut cursor = snapshot.cursor(root);
    let there = cursor.seek(&key(n)).unwrap() && cursor.key() == key(n);
    assert_eq!(there, entry.is_some());
    let first = snapshot.first_from(root, &key(n), &key(n)).unwrap();
    assert_eq!(first.is_some(), entry.is_some());
    let (entry, first) = (entry?, first?);
    assert_eq!((cursor.version(), cursor.value().unwrap()), (entry.version(), entry.value()));
    assert_eq!((first.version(), first.value()), (entry.version(), entry.value()));
    assert!(entry.value().starts_with(format!("{n} as of {},", entry.version().as_micros()).as_bytes()));
    Some(entry.version().as_micros())
}

#[test]
fn a_few_changes_of_a_leaf_copy_nothing_and_more_copy_it_once() {
    let (_, pages, mut root) = filled();
    let before = pages.stats();
    for version in 2..10 {
        commit(&pages, version, |writer| set(writer, &mut root, 7, version));
    }
    let stats = pages.stats();
    assert_eq!((stats.copies, stats.deltas), (before.copies, before.deltas + 8));
    assert!(stats.resident_bytes > before.resident_bytes, "what is noted takes memory");
    commit(&pages, 10, |writer| set(writer, &mut root, 7, 10));
    assert_eq!(pages.stats().copies, before.copies + 1);
    commit(&pages, 11, |writer| set(writer, &mut root, 8, 11));
    assert_eq!(pages.stats().copies, before.copies + 1);
    let snapshot = pages.latest();
    assert_eq!([6, 7, 8].map(|n| seen(&snapshot, root, n)), [Some(1), Some(10), Some(11)]);
}

#[test]
fn every_snapshot_sees_what_was_noted_up_to_its_version() {
    let (_, pages, mut root) = filled();
    let mut snapshots = vec![(pages.latest(), root)];
    for version in 2..30 {
        commit(&pages, version, |writer| match version % 4 {
            0 => {
                writer.remove(&mut root, &key(7)).unwrap();
            }
            1 => drop(writer.put_tombstone(&mut root, &key(9), at(version)).unwrap()),
            _ => {
                set(writer, &mut root, 7, version);
                set(writer, &mut root, 9, version);
                set(writer, &mut root, KEYS + version as u32, version);
            }
        });
        snapshots.push((pages.latest(), root));
    }
    for (snapshot, root) in &snapshots {
        let now = snapshot.version().as_micros();
        let written = (1..=now).rev().find(|version| version % 4 != 1 || *version == 1).unwrap();
        assert_eq!(seen(snapshot, *root, 7), Some(written).filter(|version| version % 4 != 0), "at {now}");
        let nine = snapshot.get(*root, &key(9)).unwrap().unwrap();
        let written = (1..=now).rev().find(|version| version % 4 != 0).unwrap();
        assert_eq!(nine.version(), at(written));
        assert_eq!(nine.is_tombstone(), written % 4 == 1 && written > 1, "at {now}");
        let added = (2..=now).filter(|version| version % 4 > 1).count() as u64;
        let gone = u64::from(now >= 4 && written_seven_is_gone(now));
        assert_eq!(root.entries(), u64::from(KEYS) + added - gone);
        assert_eq!(snapshot.check(*root).unwrap().entries, root.entries());
    }
}

/// Whether the newest change of entry 7 up to `now` removed it.
fn written_seven_is_gone(now: u64) -> bool {
    (1..=now).rev().find(|version| version % 4 != 1).is_some_and(|version| version % 4 == 0)
}

#[test]
fn a_checkpoint_writes_what_was_noted_and_older_snapshots_see_what_they_saw() {
    for keep in [false, true] {
        let (store, pages, mut root) = filled();
        let old = keep.then(|| pages.latest());
        commit(&pages, 2, |writer| {
            set(writer, &mut root, 7, 2);
            writer.remove(&mut root, &key(8)).unwrap();
        });
        let new = pages.latest();
        let expected = [Some(2), None, Some(1)];
        pages.writer().checkpoint(&root.to_bytes()).unwrap();
        assert_eq!([7, 8, 9].map(|n| seen(&new, root, n)), expected);
        if let Some(old) = &old {
            assert_eq!([7, 8, 9].map(|n| seen(old, root, n)), [Some(1); 3], "with the old root's pages");
            assert!(pages.pinned_bytes() > 0);
        }
        drop(old);
        assert_eq!(pages.pinned_bytes(), 0);
        let (again, meta) = Pages::open(store as Arc<dyn PageStore>, PagesOptions::default()).unwrap();
        let root = Root::from_bytes(&meta).unwrap();
        assert_eq!([7, 8, 9].map(|n| seen(&again.latest(), root, n)), expected);
    }
}

#[test]
fn what_a_commit_noted_that_was_rolled_back_is_seen_by_nobody() {
    let (_, pages, mut root) = filled();
    let before = pages.latest();
    for _ in 0..20 {
        let mut writer = pages.writer();
        writer.begin(at(2));
        let mut root = root;
        set(&mut writer, &mut root, 7, 2);
        assert_eq!(writer.get(root, &key(7)).unwrap().unwrap().version(), at(2));
        writer.remove(&mut root, &key(8)).unwrap();
        assert!(writer.get(root, &key(8)).unwrap().is_none());
        drop(writer);
        assert_eq!([7, 8].map(|n| seen(&pages.latest(), root, n)), [Some(1); 2]);
    }
    // The same version again, with other changes.
    commit(&pages, 2, |writer| set(writer, &mut root, 9, 2));
    assert_eq!([7, 8, 9].map(|n| seen(&pages.latest(), root, n)), [Some(1), Some(1), Some(2)]);
    assert_eq!([7, 8, 9].map(|n| seen(&before, root, n)), [Some(1); 3]);
}

#[test]
fn what_was_noted_is_seen_from_the_version_on_that_published_it() {
    let (_, pages, mut root) = filled();
    commit(&pages, 5, |writer| set(writer, &mut root, 1, 5));
    let before = pages.latest();
    let mut writer = pages.writer();
    writer.begin(at(6));
    // An entry may be older than the commit that brings it.
    set(&mut writer, &mut root, 7, 3);
    writer.publish(at(8)).unwrap();
    drop(writer);
    assert_eq!(seen(&before, root, 7), Some(1));
    assert_eq!(seen(&pages.latest(), root, 7), Some(3));
}

#[test]
fn leaves_are_merged_and_given_back_though_removals_were_noted() {
    let (_, pages, mut root) = filled();
    let used = pages.stats().pages_used;
    for n in 0..KEYS {
        commit(&pages, 2 + u64::from(n), |writer| {
            writer.remove(&mut root, &key(n)).unwrap();
        });
        if n == KEYS * 3 / 4 {
            assert!(pages.stats().pages_used <= used / 2 + 1, "{} of {used}", pages.stats().pages_used);
        }
    }
    assert!(root.is_empty() && root.entries() == 0);
    assert_eq!(pages.stats().pages_used, 0);
}

#[test]
fn leaves_that_are_full_are_split_though_inserts_were_noted() {
    let (_, pages, mut root) = filled();
    let mut random = fastrand::Rng::with_seed(1);
    let mut keys: Vec<u32> = (KEYS..4 * KEYS).collect();
    random.shuffle(&mut keys);
    for (version, n) in (2..).zip(&keys) {
        commit(&pages, version, |writer| set(writer, &mut root, *n, version));
    }
    let snapshot = pages.latest();
    assert_eq!(snapshot.check(root).unwrap().entries, u64::from(4 * KEYS));
    for (version, n) in (2..).zip(&keys) {
        assert_eq!(seen(&snapshot, root, *n), Some(version));
    }
    assert!(pages.stats().deltas > u64::from(KEYS));
}

#[test]
fn a_run_that_comes_after_a_removal_of_what_was_inserted_last_is_not_taken_for_its_continuation() {
    let (_, pages, mut root) = filled();
    commit(&pages, 2, |writer| drop(writer.put(&mut root, b"a", at(2), b"before all").unwrap()));
    let names: Vec<String> = (0..40).map(|n| format!("b {n:02}")).collect();
    commit(&pages, 3, |writer| {
        assert!(writer.remove(&mut root, b"a").unwrap());
        for part in 0..2 {
            let run = names.iter().skip(part).map(|name| (name.as_bytes(), Some(&b"value"[..])));
            assert_eq!(writer.append(&mut root, at(3), run).unwrap(), 0);
        }
    });
    assert_eq!(root.entries(), u64::from(KEYS));
    assert_eq!(pages.latest().check(root).unwrap().entries, u64::from(KEYS));
}

#[test]
fn a_value_that_is_there_already_stays_of_its_version_wherever_it_is() {
    let (_, pages, mut root) = filled();
    let long = vec![1; 3 * PAGE];
    // In an image, beside one, in a page of this commit, in overflow pages.
    commit(&pages, 2, |writer| {
        set(writer, &mut root, 7, 2);
        writer.set(&mut root, b"long", at(2), &long).unwrap();
    });
    let before = pages.stats();
    commit(&pages, 3, |writer| {
        for (n, version) in [(6, 1), (7, 2)] {
            let mut there = Vec::new();
            let value = writer.get(root, &key(n)).unwrap().unwrap().value().to_vec();
            let was = writer.put_keeping(&mut root, &key(n), at(3), &value, &mut there).unwrap().unwrap();
            assert_eq!((was.version, was.tombstone, there), (at(version), false, value));
        }
    });
    let stats = pages.stats();
    assert_eq!(
        (stats.copies, stats.deltas, stats.dirty_bytes),
        (before.copies, before.deltas, before.dirty_bytes)
    );
    commit(&pages, 4, |writer| {
        (0..20).for_each(|n| set(writer, &mut root, n, 4));
        let value = writer.get(root, &key(7)).unwrap().unwrap().value().to_vec();
        let before = writer.put(&mut root, &key(7), at(4), &value).unwrap().unwrap();
        assert_eq!((before.version, &before.value[..]), (at(4), &value[..]));
        assert_eq!(writer.put(&mut root, b"long", at(4), &long).unwrap().unwrap().version, at(2));
        // Of a tombstone an empty value is no repetition.
        writer.put_tombstone(&mut root, b"gone", at(4)).unwrap();
        assert!(writer.put(&mut root, b"gone", at(4), b"").unwrap().unwrap().tombstone);
    });
    let snapshot = pages.latest();
    assert_eq!([6, 7, 20].map(|n| seen(&snapshot, root, n)), [Some(4), Some(4), Some(1)]);
    let long_one = snapshot.get(root, b"long").unwrap().unwrap();
    assert_eq!((long_one.version(), long_one.value()), (at(2), &long[..]));
    assert!(!snapshot.get(root, b"gone").unwrap().unwrap().is_tombstone());
    assert_eq!(snapshot.check(root).unwrap().entries, root.entries());
}

#[test]
fn what_a_commit_saw_of_a_neighbour_is_not_seen_after_it_is_rolled_back() {
    let (_, pages, mut root) = filled();
    let noted = |n: u32, version: u64| n % 20 == version as u32;
    // A note beside every leaf, which is published.
    commit(&pages, 2, |writer| (0..KEYS).filter(|&n| noted(n, 2)).for_each(|n| set(writer, &mut root, n, 2)));
    let before = root;
    let mut writer = pages.writer();
    writer.begin(at(3));
    // Another, then so many new keys in one leaf that room is looked for in its neighbours.
    (0..KEYS).filter(|&n| noted(n, 3)).for_each(|n| set(&mut writer, &mut root, n, 3));
    for n in 0..200u32 {
        let new = [&key(KEYS / 2)[..], &n.wrapping_mul(0x9E37_79B9).to_be_bytes()].concat();
        writer.set(&mut root, &new, at(3), &[7; 80]).unwrap();
    }
    writer.rollback();
    drop(writer);
    let snapshot = pages.latest();
    let mut cursor = snapshot.cursor(before);
    let mut more = cursor.seek_first().unwrap();
    for n in 0..KEYS {
        assert!(more && cursor.key() == key(n));
        assert_eq!(cursor.version(), at(if noted(n, 2) { 2 } else { 1 }), "entry {n}");
        more = cursor.next().unwrap();
    }
    assert!(!more);
    assert_eq!(snapshot.check(before).unwrap().entries, u64::from(KEYS));
}
