//! Many readers beside the one writer: every snapshot shows exactly one commit, whatever is evicted, checkpointed or freed.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dosql_base::Timestamp;
use dosql_btree::{MemoryPageStore, PageSnapshot, Pages, PagesOptions, Root, Stop, Way};
use parking_lot::Mutex;

const KEYS: u32 = 400;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// All entries are of the snapshot's version: the writer changes every key in every commit.
fn assert_one_commit(snapshot: &PageSnapshot, root: Root, rng: &mut fastrand::Rng) {
    let version = snapshot.version();
    let mut cursor = snapshot.cursor(root);
    cursor.seek_first().unwrap();
    let mut passed = 0;
    let stop = cursor.visit(Way::Up, None, |item| {
        passed += 1;
        assert_eq!(item.version, version);
        assert_eq!(item.value[..8], version.as_micros().to_le_bytes());
        ControlFlow::Continue(())
    });
    assert_eq!((stop.unwrap(), passed), (Stop::Bound, root.entries()));
    for _ in 0..20 {
        let key = rng.u32(0..KEYS).to_be_bytes();
        if let Some(entry) = snapshot.get(root, &key).unwrap() {
            assert_eq!(entry.version(), version);
        }
    }
}

#[test]
fn every_reader_sees_exactly_one_commit() {
    let options = PagesOptions { cache_bytes: 24 * 4096 };
    let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), options).unwrap();
    let current = Mutex::new((pages.latest(), Root::EMPTY));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (current, done) = (&current, &done);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let mut kept = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let (snapshot, root) = current.lock().clone();
                    assert_one_commit(&snapshot, root, &mut rng);
                    kept.push((snapshot, root));
                    if kept.len() > 5 {
                        let (snapshot, root) = kept.swap_remove(rng.usize(0..kept.len()));
                        assert_one_commit(&snapshot, root, &mut rng);
                        snapshot.check(root).unwrap();
                    }
                }
            });
        }
        let mut rng = fastrand::Rng::with_seed(9);
        let mut root = Root::EMPTY;
        for version in 1..=150 {
            let mut writer = pages.writer();
            writer.begin(at(version));
            let mut value = version.to_le_bytes().to_vec();
            value.resize(8 + rng.usize(0..150), 1);
            for key in 0..KEYS {
                if (u64::from(key) + version) % 7 == 0 {
                    writer.remove(&mut root, &key.to_be_bytes()).unwrap();
                } else {
                    writer.set(&mut root, &key.to_be_bytes(), at(version), &value).unwrap();
                }
            }
            writer.set(&mut root, b"long", at(version), &version.to_le_bytes().repeat(1000)).unwrap();
            writer.publish(at(version)).unwrap();
            *current.lock() = (pages.latest(), root);
            if version % 10 == 0 {
                writer.checkpoint(&root.to_bytes()).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(current);
    let stats = pages.stats();
    assert_eq!((stats.snapshots, stats.pinned_bytes), (0, 0), "{stats:?}");
}
