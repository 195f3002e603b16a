//! Estimates of ranges: exact when small, near when large.

use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_btree::{MemoryPageStore, Pages, PagesOptions, Root};

#[test]
fn an_estimate_is_exact_on_a_leaf_and_near_across_many() {
    let store = Arc::new(MemoryPageStore::new(4096));
    let (pages, _) = Pages::open(store, PagesOptions::default()).unwrap();
    let (mut root, version) = (Root::EMPTY, Timestamp::from_micros(1));
    let mut writer = pages.writer();
    writer.begin(version);
    // In an order that fills leaves unevenly.
    for n in 0..40_000u32 {
        let key = (n.wrapping_mul(7_919) % 40_000).to_be_bytes();
        writer.set(&mut root, &key, version, b"some value or other").unwrap();
    }
    writer.publish(version).unwrap();
    drop(writer);
    let snapshot = pages.latest();
    let estimate =
        |start: u32, end: u32| snapshot.estimate(root, &start.to_be_bytes(), &end.to_be_bytes()).unwrap();
    assert_eq!(estimate(0, 5), 5);
    assert_eq!(estimate(7, 7), 0);
    assert_eq!(snapshot.estimate(root, b"", &[0xFF]).unwrap(), 40_000);
    assert_eq!(snapshot.estimate(Root::EMPTY, b"", &[0xFF]).unwrap(), 0);
    for (start, end) in [(0, 1_000), (500, 1_500), (10_000, 30_000), (100, 39_900), (39_000, 40_000)] {
        let (found, true_count) = (estimate(start, end), u64::from(end - start));
        assert!(found * 2 >= true_count && found <= true_count * 2, "{start}..{end}: {found}");
    }
}
