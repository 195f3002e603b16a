//! What many look-ups read is asked for together.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_lsm::fault::FaultSegmentStore;
use dosql_lsm::{
    BlockCache, BlockingSegmentStore, Kind, MemorySegmentStore, ReadOptions, SegmentMeta, SegmentReader,
    SegmentSet, SegmentStore, SegmentWriter, WriteOptions,
};

const ROWS: u64 = 20_000;

fn key(i: u64) -> [u8; 8] {
    i.to_be_bytes()
}

/// Rows whose keys are multiples of `step`, all of one commit.
fn write(store: &dyn SegmentStore, id: u64, level: u32, step: u64) -> (SegmentMeta, Arc<[u8]>) {
    let mut writer = SegmentWriter::new(WriteOptions::new(id));
    let start = Timestamp::from_micros(100 * (7 - u64::from(level)));
    for i in (0..ROWS).step_by(step as usize) {
        let value = i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes().repeat(4);
        writer.add(&key(i), start, Timestamp::MAX, Kind::Put, &value).unwrap();
    }
    let segment = writer.finish().unwrap();
    store.put(&id.to_string(), &segment.bytes).unwrap();
    (SegmentMeta::new(&segment.properties, level, Timestamp::ZERO), segment.tail().into())
}

fn open(
    store: Arc<dyn SegmentStore>,
    (meta, tail): &(SegmentMeta, Arc<[u8]>),
    cache: &Arc<BlockCache>,
) -> Arc<SegmentReader> {
    let options = ReadOptions { cache: Some(cache.clone()), ..ReadOptions::default() };
    SegmentReader::open_with(store, &meta.id.to_string(), meta.bytes, Some(tail.clone()), options).unwrap()
}

fn wanted_keys() -> Vec<[u8; 8]> {
    (0..ROWS + 2_000).step_by(770).map(key).collect()
}

#[test]
fn look_ups_that_were_made_ready_read_nothing_more() {
    let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
    let cache = Arc::new(BlockCache::new(10 << 20));
    let segments = [write(&*store, 1, 6, 1), write(&*store, 2, 5, 3), write(&*store, 3, 0, 50)];
    let readers: Vec<_> = segments.iter().map(|segment| open(store.clone(), segment, &cache)).collect();
    let set = SegmentSet::new(segments.iter().map(|(meta, _)| meta.clone()));
    let mut reader =
        |meta: &SegmentMeta| -> Result<Arc<SegmentReader>> { Ok(readers[meta.id as usize - 1].clone()) };
    let keys = wanted_keys();
    let slices: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    set.load(&slices, Timestamp::MAX, &mut reader).unwrap();
    let before = store.reads();
    assert!(before > 10);
    let mut errors = 0;
    for (index, key) in slices.iter().enumerate() {
        let found = set.newest(key, Timestamp::MAX, &mut reader).unwrap();
        assert_eq!(found.is_some(), (index as u64) * 770 < ROWS);
        errors = store.reads() - before;
    }
    assert!(errors <= 1, "{errors} reads more: a filter may err");
    set.load(&slices, Timestamp::MAX, &mut reader).unwrap();
    readers[0].load(&[], Timestamp::MAX.previous()).unwrap();
    assert!(store.reads() - before <= errors + 1, "what is here is not read again");
}

#[test]
fn all_that_many_look_ups_miss_is_wanted_at_once() {
    let near = Arc::new(MemorySegmentStore::new());
    let segments = [write(&*near, 1, 6, 1), write(&*near, 2, 5, 3)];
    let far = Arc::new(BlockingSegmentStore::new(near, 1 << 10, 64 << 20));
    let cache = Arc::new(BlockCache::new(10 << 20));
    let readers: Vec<_> = segments.iter().map(|segment| open(far.clone(), segment, &cache)).collect();
    let set = SegmentSet::new(segments.iter().map(|(meta, _)| meta.clone()));
    let mut reader =
        |meta: &SegmentMeta| -> Result<Arc<SegmentReader>> { Ok(readers[meta.id as usize - 1].clone()) };
    let keys = wanted_keys();
    let slices: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let error = set.load(&slices, Timestamp::MAX, &mut reader).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(far.blocked(), 2, "once a segment");
    assert!(far.fetch_wanted() > 1 && far.fetches() > 20, "{} blocks", far.fetches());
    set.load(&slices, Timestamp::MAX, &mut reader).unwrap();
    let blocked = far.blocked();
    for key in &slices {
        set.newest(key, Timestamp::MAX, &mut reader)
            .map(|_| ())
            .or_else(|error| match error.kind() {
                ErrorKind::WouldBlock => Ok(()),
                _ => Err(error),
            })
            .unwrap();
    }
    assert!(far.blocked() - blocked <= 1, "a filter may err");
}
