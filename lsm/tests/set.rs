//! Which segments are asked for a key or a range, and what they answer.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use common::{Model, at, expected, model, write};
use dosql_base::{Result, Timestamp};
use dosql_lsm::fault::FaultSegmentStore;
use dosql_lsm::{
    BlockCache, Kind, MemorySegmentStore, ReadOptions, SegmentMeta, SegmentReader, SegmentSet, SegmentStore,
    WriteOptions,
};

struct Open {
    store: Arc<FaultSegmentStore>,
    tails: BTreeMap<u64, Arc<[u8]>>,
    asked: RefCell<Vec<u64>>,
}

impl Open {
    fn new() -> Self {
        let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
        Open { store, tails: BTreeMap::new(), asked: RefCell::default() }
    }

    fn add(&mut self, id: u64, level: u32, rows: &Model) -> SegmentMeta {
        let segment =
            write(rows, WriteOptions { block_bytes: 400, partition_blocks: 3, ..WriteOptions::new(id) });
        self.store.put(&id.to_string(), &segment.bytes).unwrap();
        self.tails.insert(id, segment.tail().into());
        SegmentMeta::new(&segment.properties, level, Timestamp::ZERO)
    }

    fn open(&self, meta: &SegmentMeta) -> Result<Arc<SegmentReader>> {
        self.asked.borrow_mut().push(meta.id);
        let cache = Some(Arc::new(BlockCache::new(0)));
        let options = ReadOptions { cache, ..ReadOptions::default() };
        let tail = Some(self.tails[&meta.id].clone());
        SegmentReader::open_with(self.store.clone(), &meta.id.to_string(), meta.bytes, tail, options)
    }
}

fn rows(keys: std::ops::Range<u64>, step: usize, start: u64, kind: Kind) -> Model {
    let value = if kind == Kind::Put { start.to_be_bytes().to_vec() } else { Vec::new() };
    keys.step_by(step)
        .map(|key| ((key.to_be_bytes().to_vec(), std::cmp::Reverse(start)), (u64::MAX, kind, value.clone())))
        .collect()
}

#[test]
fn a_live_row_is_found_where_it_is_newest_with_one_read() {
    let mut open = Open::new();
    let set = SegmentSet::new([
        open.add(1, 6, &rows(0..1_000, 1, 10, Kind::Put)),
        open.add(2, 6, &rows(1_000..2_000, 1, 11, Kind::Put)),
        open.add(3, 5, &rows(500..1_500, 5, 20, Kind::Put)),
        open.add(4, 0, &rows(0..2_000, 50, 30, Kind::Tombstone)),
        open.add(5, 0, &rows(0..2_000, 100, 40, Kind::Put)),
    ]);
    for key in 0..2_000u64 {
        for (t, expected) in
            [(u64::MAX, newest(key, 40)), (35, newest(key, 30)), (15, newest(key, 11)), (9, None)]
        {
            let before = open.store.reads();
            let found = set.newest(&key.to_be_bytes(), at(t), &mut |meta| open.open(meta)).unwrap();
            assert_eq!(found.map(|found| found.start.as_micros()), expected, "{key} at {t}");
            let reads = open.store.reads() - before;
            // A filter errs now and then.
            assert!(reads <= 2 && (expected.is_none() || reads >= 1), "{reads} reads for {key} at {t}");
        }
    }
    assert!(set.newest(&2_000u64.to_be_bytes(), at(50), &mut |meta| open.open(meta)).unwrap().is_none());
    open.asked.borrow_mut().clear();
    set.newest(&700u64.to_be_bytes(), at(50), &mut |meta| open.open(meta)).unwrap();
    assert_eq!(*open.asked.borrow(), [5], "the newest first, and no further than needed");
}

fn newest(key: u64, until: u64) -> Option<u64> {
    let starts = [
        (40, key.is_multiple_of(100)),
        (30, key.is_multiple_of(50)),
        (20, (500..1_500).contains(&key) && key.is_multiple_of(5)),
    ];
    let bottom = if key < 1_000 { 10 } else { 11 };
    starts.into_iter().find(|&(start, held)| held && start <= until).map(|(start, _)| start).or(Some(bottom))
}

#[test]
fn a_displaced_version_is_found_at_every_moment_of_its_life() {
    let all = model(31, 200);
    let mut open = Open::new();
    let mut parts = vec![Model::new(); 4];
    for (index, (place, version)) in all.iter().enumerate() {
        parts[index * 7 % 4].insert(place.clone(), version.clone());
    }
    let set = SegmentSet::new(
        parts.iter().enumerate().map(|(id, part)| open.add(id as u64, 0, part)).collect::<Vec<_>>(),
    );
    for ((key, start), (end, ..)) in &all {
        for t in [start.0 - 1, start.0, end.saturating_sub(1), *end] {
            let t = t.min(u64::MAX - 1);
            let found = set.living(key, at(t), &mut |meta| open.open(meta)).unwrap();
            let wanted = expected(&all, key, t);
            assert_eq!(found.map(|found| found.start), wanted.map(|(start, _)| at(start)), "{key:?} at {t}");
        }
    }
}

#[test]
fn of_two_that_claim_a_moment_the_one_that_began_last_is_right() {
    let version =
        |start, end| Model::from([((b"k".to_vec(), std::cmp::Reverse(start)), (end, Kind::Put, vec![1]))]);
    let mut open = Open::new();
    let set = SegmentSet::new([open.add(1, 0, &version(100, 200)), open.add(2, 0, &version(50, 200))]);
    let found = |t| {
        set.living(b"k", at(t), &mut |meta| open.open(meta)).unwrap().map(|found| found.start.as_micros())
    };
    assert_eq!((found(150), found(75), found(200), found(49)), (Some(100), Some(50), None, None));
}

#[test]
fn a_range_asks_the_segments_that_overlap_it() {
    let mut open = Open::new();
    let set = SegmentSet::new([
        open.add(1, 6, &rows(0..100, 1, 1, Kind::Put)),
        open.add(2, 6, &rows(100..200, 1, 1, Kind::Put)),
        open.add(3, 6, &rows(200..300, 1, 1, Kind::Put)),
        open.add(4, 0, &rows(150..160, 1, 2, Kind::Put)),
    ]);
    let ids = |from: Bound<u64>, to: Bound<u64>| {
        let (from, to) = (from.map(u64::to_be_bytes), to.map(u64::to_be_bytes));
        let bytes = |bound: &Bound<[u8; 8]>| bound.as_ref().map(|key| key.to_vec());
        let (from, to) = (bytes(&from), bytes(&to));
        let found = set.overlapping(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        found.map(|meta| meta.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Bound::Unbounded, Bound::Unbounded), [4, 1, 2, 3]);
    assert_eq!(ids(Bound::Included(99), Bound::Excluded(100)), [1]);
    assert_eq!(ids(Bound::Excluded(99), Bound::Included(100)), [2]);
    assert_eq!(ids(Bound::Included(155), Bound::Included(210)), [4, 2, 3]);
    assert_eq!(ids(Bound::Excluded(299), Bound::Unbounded), [0u64; 0]);
    assert_eq!(set.holding(&155u64.to_be_bytes()).map(|meta| meta.id).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(set.segments().count(), 4);
    assert!(!set.is_empty() && SegmentSet::<SegmentMeta>::default().is_empty());
    assert!(SegmentSet::default().newest(b"k", at(1), &mut |meta| open.open(meta)).unwrap().is_none());
}
