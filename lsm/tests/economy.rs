//! How many reads of the store an answer costs.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{at, model, write};
use dosql_base::{ErrorKind, Timestamp};
use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};
use dosql_lsm::{
    BlockCache, BlockingSegmentStore, Kind, MemorySegmentStore, ReadOptions, Segment, SegmentCursor,
    SegmentReader, SegmentStore, SegmentWriter, WriteOptions,
};

const ROWS: u32 = 60_000;

fn key(i: u32) -> [u8; 4] {
    (i * 2).to_be_bytes()
}

/// Some 200 blocks that do not compress.
fn rows() -> Segment {
    let mut random = fastrand::Rng::with_seed(1);
    let mut writer = SegmentWriter::new(WriteOptions::new(8));
    for i in 0..ROWS {
        let value: [u8; 50] = std::array::from_fn(|_| random.u8(..));
        writer.add(&key(i), at(1), Timestamp::MAX, Kind::Put, &value).unwrap();
    }
    writer.finish().unwrap()
}

fn stored(segment: &Segment) -> Arc<FaultSegmentStore> {
    let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
    store.put("segment", &segment.bytes).unwrap();
    store
}

fn cold(readahead: u64) -> ReadOptions {
    ReadOptions { cache: Some(Arc::new(BlockCache::new(0))), readahead, ..ReadOptions::default() }
}

#[test]
fn with_the_tail_at_hand_opening_costs_nothing_a_row_one_read_and_an_absent_key_none() {
    let segment = rows();
    let store = stored(&segment);
    assert!(segment.tail().len() * 30 < segment.bytes.len(), "a tail of {} bytes", segment.tail().len());
    let tail: Arc<[u8]> = segment.tail().into();
    let size = segment.properties.bytes;
    let reader = SegmentReader::open_with(store.clone(), "segment", size, Some(tail), cold(0)).unwrap();
    assert_eq!(*reader.properties(), segment.properties);
    assert_eq!(store.reads(), 0, "opening reads nothing");
    for (count, i) in (0..ROWS).step_by(997).enumerate() {
        assert!(reader.get(&key(i), at(9)).unwrap().is_some());
        assert_eq!(store.reads(), count as u64 + 1, "one read a row");
    }
    let before = store.reads();
    for i in 0..ROWS {
        assert!(reader.get(&(i * 2 + 1).to_be_bytes(), at(9)).unwrap().is_none());
    }
    let wrong = store.reads() - before;
    assert!(wrong * 100 < u64::from(ROWS), "{wrong} of {ROWS} absent keys cost a read: under 1 % may");
}

#[test]
fn a_tail_that_was_lost_is_read_again_from_the_object() {
    let segment = rows();
    let store = stored(&segment);
    let size = segment.properties.bytes;
    assert_eq!(SegmentReader::read_tail(&*store, "segment", size).unwrap(), segment.tail());
    assert_eq!(store.reads(), 2);
    let error = SegmentReader::read_tail(&*store, "segment", size - 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn part_of_a_tail_serves_and_another_segments_tail_does_not() {
    let segment = rows();
    let store = stored(&segment);
    let size = segment.properties.bytes;
    let open = |tail: &[u8]| {
        SegmentReader::open_with(store.clone(), "segment", size, Some(tail.into()), ReadOptions::default())
    };
    for length in [8_000, segment.tail().len() + 5_000, segment.bytes.len()] {
        let reader = open(&segment.bytes[segment.bytes.len() - length..]).unwrap();
        assert!(reader.get(&key(77), at(9)).unwrap().is_some());
        assert!(reader.memory() < segment.tail().len() + 5_000, "{}", reader.memory());
    }
    let other = write(&model(1, 50), WriteOptions::new(9));
    for tail in [other.tail(), &[], &[segment.bytes.as_slice(), b"x"].concat(), &segment.tail()[..100]] {
        assert_eq!(open(tail).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_look_up_after_all_lives_in_a_block_have_ended_reads_nothing() {
    let mut writer = SegmentWriter::new(WriteOptions::new(1));
    for i in 0..9_000 {
        writer.add(&key(i), at(1), at(if i < 8_000 { 5 } else { 50 }), Kind::Put, &[0; 40]).unwrap();
    }
    let segment = writer.finish().unwrap();
    let store = stored(&segment);
    let tail: Arc<[u8]> = segment.tail().into();
    let size = segment.properties.bytes;
    let reader = SegmentReader::open_with(store.clone(), "segment", size, Some(tail), cold(0)).unwrap();
    assert!(reader.get(&key(100), at(5)).unwrap().is_none());
    assert_eq!(store.reads(), 0);
    assert!(reader.get(&key(8_500), at(49)).unwrap().is_some());
}

/// Reads that a scan costs, forwards and backwards.
fn scan_costs(readahead: u64) -> [u64; 2] {
    let segment = rows();
    [true, false].map(|forward| {
        let store = stored(&segment);
        let tail: Arc<[u8]> = segment.tail().into();
        let options = cold(readahead);
        let reader =
            SegmentReader::open_with(store.clone(), "segment", segment.properties.bytes, Some(tail), options);
        let mut cursor = reader.unwrap().cursor();
        let mut more = if forward { cursor.first() } else { cursor.last() }.unwrap();
        let mut seen = 0;
        while more {
            let expected = if forward { seen } else { ROWS - 1 - seen };
            assert_eq!(cursor.entry().unwrap().key, key(expected));
            seen += 1;
            more = if forward { cursor.next() } else { cursor.prev() }.unwrap();
        }
        assert_eq!(seen, ROWS);
        store.reads()
    })
}

#[test]
fn a_scan_reads_twice_as_much_each_time_up_to_its_bound() {
    let blocks = rows().properties.blocks;
    assert!(blocks > 200, "{blocks}");
    assert_eq!(scan_costs(0), [blocks; 2], "block by block");
    // 1, 2, 4, 8 ... blocks.
    let doublings = u64::from(blocks.ilog2()) + 2;
    for cost in scan_costs(64 << 20) {
        assert!(cost <= doublings, "{cost} reads for {blocks} blocks");
    }
    for cost in scan_costs(16 * 17_000) {
        assert!(cost <= 6 + blocks.div_ceil(15), "{cost} reads for {blocks} blocks, 16 at a time");
        assert!(cost >= blocks / 16, "and no more at once than the bound");
    }
}

#[test]
fn a_seek_reads_one_block_and_a_turn_begins_anew() {
    let segment = rows();
    let store = stored(&segment);
    let tail: Arc<[u8]> = segment.tail().into();
    let size = segment.properties.bytes;
    let reader = SegmentReader::open_with(store.clone(), "segment", size, Some(tail), cold(1 << 20)).unwrap();
    let mut cursor = reader.cursor();
    let mut expected = 0;
    for i in (0..ROWS).step_by(1_999) {
        assert!(cursor.seek(&key(i), Timestamp::MAX).unwrap());
        for _ in 0..3 {
            cursor.next().unwrap();
            cursor.prev().unwrap();
        }
        expected += 1;
        assert!(store.reads() <= expected + 3, "{} reads for {expected} seeks", store.reads());
    }
}

#[test]
fn a_scan_goes_on_in_the_next_segment_with_windows_as_long_as_before() {
    let segment = rows();
    let open = |store: &Arc<FaultSegmentStore>| {
        let (size, tail) = (segment.properties.bytes, Some(segment.tail().into()));
        SegmentReader::open_with(store.clone(), "segment", size, tail, cold(256 << 10)).unwrap()
    };
    let costs = [true, false].map(|follows| {
        let (first, next) = (open(&stored(&segment)), stored(&segment));
        let mut cursor = first.cursor();
        assert!(cursor.first().unwrap() && !cursor.has_asked_for_all());
        while cursor.next().unwrap() {}
        let reader = open(&next);
        let mut cursor = if follows { SegmentCursor::following(reader, &cursor) } else { reader.cursor() };
        let mut seen = u32::from(cursor.first().unwrap());
        while cursor.next().unwrap() {
            assert_eq!(cursor.entry().unwrap().key, key(seen));
            seen += 1;
        }
        assert_eq!(seen, ROWS);
        next.reads()
    });
    let windows = (segment.bytes.len() as u64).div_ceil(256 << 10);
    assert!(costs[0] <= windows + 1, "{costs:?} reads, {windows} windows");
    assert!(costs[1] >= windows + 3, "who begins anew begins with one block: {costs:?}");
}

#[test]
fn a_damaged_block_ahead_spoils_none_before_it() {
    let segment = rows();
    let store = stored(&segment);
    let size = segment.properties.bytes;
    let tail: Arc<[u8]> = segment.tail().into();
    let reader = SegmentReader::open_with(store.clone(), "segment", size, Some(tail), cold(1 << 20)).unwrap();
    let mut cursor = reader.cursor();
    cursor.first().unwrap();
    // The window comes short, then the block alone whole.
    store.inject(SegmentCall::Read, 0, false, SegmentFault::Short(1));
    for _ in 0..1_000 {
        assert!(cursor.next().unwrap());
    }
}

#[test]
fn a_scan_over_a_store_with_room_for_few_blocks_gets_through() {
    let segment = rows();
    let near = Arc::new(MemorySegmentStore::new());
    near.put("segment", &segment.bytes).unwrap();
    let size = segment.properties.bytes;
    for room in [64 << 10, 1 << 20, 64 << 20] {
        let far = Arc::new(BlockingSegmentStore::new(near.clone(), 4 << 10, room));
        let tail: Arc<[u8]> = segment.tail().into();
        let reader =
            SegmentReader::open_with(far.clone(), "segment", size, Some(tail), cold(8 << 20)).unwrap();
        let mut cursor = reader.cursor();
        let mut seen = 0;
        let mut waited = 0;
        loop {
            match if seen == 0 { cursor.first() } else { cursor.next() } {
                Ok(true) => seen += 1,
                Ok(false) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    assert!(far.fetch_wanted() > 0, "who would block says what it wants");
                    waited += 1;
                    assert!(waited < 400, "room for {room} bytes");
                }
            }
        }
        assert_eq!(seen, ROWS);
        let blocks = segment.bytes.len() as u64 / (4 << 10) + 1;
        assert!(far.fetches() < blocks * 2, "{} blocks fetched of {blocks}", far.fetches());
    }
}
