//! What was written is what is read, judged by a `BTreeMap`.
#![allow(clippy::unwrap_used)]

mod common;

use std::cmp::Reverse;
use std::sync::Arc;

use common::{Model, at, expected, is_entry, model, open, wait, write};
use dosql_base::{ErrorKind, Timestamp};
use dosql_lsm::fault::FaultSegmentStore;
use dosql_lsm::{
    BlockCache, Kind, MemorySegmentStore, ReadOptions, SegmentReader, SegmentStore, SegmentWriter,
    WriteOptions,
};

fn small_blocks(id: u64) -> WriteOptions {
    WriteOptions { block_bytes: 400, partition_blocks: 3, ..WriteOptions::new(id) }
}

fn variants() -> Vec<WriteOptions> {
    vec![
        WriteOptions::new(1),
        small_blocks(2),
        WriteOptions { bits_per_key: 0, ..small_blocks(3) },
        WriteOptions { compress: false, block_bytes: 1, partition_blocks: 1, ..WriteOptions::new(4) },
        WriteOptions { block_bytes: 1 << 20, ..WriteOptions::new(5) },
    ]
}

/// Points of interest around every version.
fn moments(model: &Model, key: &[u8]) -> Vec<u64> {
    let mut moments = vec![0, 1, u64::MAX - 1];
    for ((_, start), (end, ..)) in
        model.range((key.to_vec(), Reverse(u64::MAX))..).take_while(|(k, _)| k.0 == key)
    {
        moments.extend([start.0 - 1, start.0, start.0 + 1, end.saturating_sub(1), *end]);
    }
    moments
}

#[test]
fn every_version_is_found_at_every_moment_of_its_life_and_at_no_other() {
    let model = model(1, 300);
    for options in variants() {
        let reader = open(&write(&model, options).bytes).unwrap();
        let mut keys: Vec<&[u8]> = model.keys().map(|(key, _)| key.as_slice()).collect();
        keys.dedup();
        for key in keys {
            for t in moments(&model, key) {
                let found = reader.get(key, at(t)).unwrap();
                let wanted = expected(&model, key, t);
                assert_eq!(found.is_some(), wanted.is_some(), "{key:?} at {t}, {options:?}");
                if let Some((found, (start, (end, kind, value)))) = found.zip(wanted) {
                    assert_eq!((found.start, found.end, found.kind), (at(start), at(*end), *kind));
                    assert_eq!(found.value(), value);
                }
            }
            let absent = [key, b"\xff"].concat();
            assert!(reader.get(&absent, at(5_000)).unwrap().is_none());
        }
    }
}

#[test]
fn a_cursor_walks_all_versions_both_ways() {
    let model = model(2, 400);
    for options in variants() {
        let reader = open(&write(&model, options).bytes).unwrap();
        let mut cursor = reader.cursor();
        assert!(cursor.entry().is_none());
        let mut more = cursor.first().unwrap();
        for ((key, start), version) in &model {
            assert!(more && is_entry(cursor.entry().unwrap(), key, start.0, version));
            more = cursor.next().unwrap();
        }
        assert!(!more && cursor.entry().is_none() && !cursor.next().unwrap());
        let mut more = cursor.last().unwrap();
        for ((key, start), version) in model.iter().rev() {
            assert!(more && is_entry(cursor.entry().unwrap(), key, start.0, version));
            more = cursor.prev().unwrap();
        }
        assert!(!more && !cursor.prev().unwrap());
    }
}

#[test]
fn seeks_land_where_the_model_says_and_walk_on_from_there() {
    let model = model(3, 250);
    let mut random = fastrand::Rng::with_seed(7);
    let keys: Vec<&Vec<u8>> = model.keys().map(|(key, _)| key).collect();
    for options in variants() {
        let reader = open(&write(&model, options).bytes).unwrap();
        let mut cursor = reader.cursor();
        for round in 0..600 {
            let mut key = keys[random.usize(..keys.len())].clone();
            match round % 4 {
                0 => key.push(0),
                1 => drop(key.pop()),
                _ => {}
            }
            let t = [u64::MAX, random.u64(..1_200_000), 0][round % 3];
            let mut ahead = model.range((key.clone(), Reverse(t))..);
            assert_eq!(cursor.seek(&key, at(t)).unwrap(), ahead.clone().next().is_some());
            for _ in 0..20 {
                let Some(((key, start), version)) = ahead.next() else {
                    assert!(cursor.entry().is_none());
                    break;
                };
                assert!(is_entry(cursor.entry().unwrap(), key, start.0, version));
                cursor.next().unwrap();
            }
            let mut behind = model.range(..(key.clone(), Reverse(u64::MAX))).rev();
            cursor.seek_before(&key).unwrap();
            for _ in 0..20 {
                let Some(((key, start), version)) = behind.next() else {
                    assert!(cursor.entry().is_none());
                    break;
                };
                assert!(is_entry(cursor.entry().unwrap(), key, start.0, version));
                cursor.prev().unwrap();
            }
        }
    }
}

#[test]
fn a_store_that_makes_one_wait_gives_the_same_answers() {
    let model = model(4, 120);
    let segment = write(&model, small_blocks(6));
    let near = Arc::new(MemorySegmentStore::new());
    near.put("segment", &segment.bytes).unwrap();
    let far = Arc::new(FaultSegmentStore::far(near));
    let options = ReadOptions {
        tail_bytes: 64,
        cache: Some(Arc::new(BlockCache::new(3_000))),
        ..ReadOptions::default()
    };
    let size = segment.properties.bytes;
    let reader = wait(&far, || SegmentReader::open(far.clone(), "segment", size, options.clone())).unwrap();
    let mut cursor = reader.cursor();
    let mut waited = wait(&far, || cursor.first()).unwrap();
    for ((key, start), version) in &model {
        assert!(waited && is_entry(cursor.entry().unwrap(), key, start.0, version));
        far.evict_all();
        waited = wait(&far, || cursor.next()).unwrap();
    }
    let mut waited = wait(&far, || cursor.last()).unwrap();
    for ((key, start), version) in model.iter().rev() {
        assert!(waited && is_entry(cursor.entry().unwrap(), key, start.0, version));
        far.evict_all();
        waited = wait(&far, || cursor.prev()).unwrap();
    }
    for ((key, start), _) in model.iter().step_by(3) {
        far.evict_all();
        let found = wait(&far, || reader.get(key, at(start.0))).unwrap();
        assert_eq!(found.unwrap().start, at(start.0));
    }
}

#[test]
fn a_cursor_that_would_block_stays_where_it_is() {
    let model = model(5, 60);
    let segment = write(&model, small_blocks(7));
    let near = Arc::new(MemorySegmentStore::new());
    near.put("segment", &segment.bytes).unwrap();
    let far = Arc::new(FaultSegmentStore::far(near));
    let options = ReadOptions { tail_bytes: 64, cache: Some(Arc::new(BlockCache::new(0))), readahead: 0 };
    let size = segment.properties.bytes;
    let reader = wait(&far, || SegmentReader::open(far.clone(), "segment", size, options.clone())).unwrap();
    let mut cursor = reader.cursor();
    wait(&far, || cursor.first()).unwrap();
    let mut blocked = 0;
    loop {
        far.evict_all();
        let before = cursor.entry().map(|entry| (entry.key.to_vec(), entry.start));
        match cursor.next() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert_eq!(cursor.entry().map(|entry| (entry.key.to_vec(), entry.start)), before);
                blocked += 1;
                wait(&far, || cursor.next()).unwrap();
            }
        }
    }
    assert!(blocked > 20, "{blocked}");
}

#[test]
fn a_point_read_of_an_open_segment_costs_one_read_and_an_absent_key_mostly_none() {
    let mut writer = SegmentWriter::new(WriteOptions::new(8));
    for i in 0..20_000u32 {
        writer.add(&i.to_be_bytes(), at(1), Timestamp::MAX, Kind::Put, &i.to_le_bytes()).unwrap();
    }
    let segment = writer.finish().unwrap();
    let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
    store.put("segment", &segment.bytes).unwrap();
    let size = segment.properties.bytes;
    let reader = SegmentReader::open(store.clone(), "segment", size, ReadOptions::default()).unwrap();
    assert_eq!(store.reads(), 1, "one ranged read opens it");
    assert!(reader.get(&7_777u32.to_be_bytes(), at(9)).unwrap().is_some());
    assert_eq!(store.reads(), 2);
    for i in 0..1_000u32 {
        let absent = [&i.to_be_bytes()[..], b"x"].concat();
        assert!(reader.get(&absent, at(9)).unwrap().is_none());
    }
    assert!(store.reads() < 60, "{} reads for a thousand absent keys", store.reads());
    let before = store.reads();
    assert!(reader.get(&7_777u32.to_be_bytes(), Timestamp::ZERO).unwrap().is_none());
    assert_eq!(store.reads(), before, "before the first version there is nothing to read");
}

#[test]
fn properties_say_what_is_inside() {
    let model = model(6, 200);
    let segment = write(&model, small_blocks(9));
    let reader = open(&segment.bytes).unwrap();
    let properties = reader.properties();
    assert_eq!(*properties, segment.properties);
    assert_eq!(properties.bytes, segment.bytes.len() as u64);
    assert_eq!(properties.entries, model.len() as u64);
    let tombstones = model.values().filter(|version| version.1 == Kind::Tombstone).count();
    assert_eq!(properties.tombstones, tombstones as u64);
    let mut keys: Vec<&Vec<u8>> = model.keys().map(|(key, _)| key).collect();
    keys.dedup();
    assert_eq!(properties.keys, keys.len() as u64);
    assert_eq!((&properties.min_key, &properties.max_key), (keys[0], keys[keys.len() - 1]));
    let starts: Vec<u64> = model.keys().map(|(_, start)| start.0).collect();
    assert_eq!(properties.min_start, at(*starts.iter().min().unwrap()));
    assert_eq!(properties.max_start, at(*starts.iter().max().unwrap()));
    assert_eq!(properties.max_end, at(model.values().map(|version| version.0).max().unwrap()));
}

#[test]
fn versions_out_of_order_are_refused_and_the_writer_goes_on() {
    let mut writer = SegmentWriter::new(WriteOptions::new(1));
    let refuse =
        |result: dosql_base::Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    writer.add(b"b", at(10), at(20), Kind::Put, b"x").unwrap();
    refuse(writer.add(b"a", at(10), at(20), Kind::Put, b""));
    refuse(writer.add(b"b", at(10), at(20), Kind::Put, b""));
    refuse(writer.add(b"b", at(5), at(11), Kind::Put, b""));
    refuse(writer.add(b"b", at(21), at(30), Kind::Put, b""));
    refuse(writer.add(b"b", at(9), at(9), Kind::Put, b""));
    refuse(writer.add(b"c", at(9), at(8), Kind::Put, b""));
    refuse(writer.add(b"c", at(1), at(8), Kind::Tombstone, b"value"));
    writer.add(b"b", at(5), at(10), Kind::Tombstone, b"").unwrap();
    let segment = writer.finish().unwrap();
    assert_eq!(segment.properties.entries, 2);
    let empty = SegmentWriter::new(WriteOptions::new(1)).finish();
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_same_versions_make_the_same_bytes() {
    let model = model(8, 100);
    assert_eq!(write(&model, small_blocks(3)).bytes, write(&model, small_blocks(3)).bytes);
}

#[test]
fn the_estimate_is_close_enough_to_cut_segments_by() {
    let mut writer = SegmentWriter::new(WriteOptions { compress: false, ..WriteOptions::new(1) });
    for i in 0..30_000u32 {
        writer.add(&i.to_be_bytes(), at(1), Timestamp::MAX, Kind::Put, &[1; 50]).unwrap();
    }
    let estimate = writer.estimated_len() as f64;
    let real = writer.finish().unwrap().bytes.len() as f64;
    assert!((estimate / real - 1.0).abs() < 0.1, "{estimate} estimated, {real} real");
}

#[test]
fn a_segment_of_one_version_is_these_bytes() {
    let mut writer = SegmentWriter::new(WriteOptions { bits_per_key: 0, ..WriteOptions::new(1) });
    writer.add(b"key", at(100), at(105), Kind::Put, b"value").unwrap();
    let bytes = writer.finish().unwrap().bytes;
    let data = b"\x00\x03\x08key\x00\x00\x05value\0\0\0\0";
    assert_eq!(&bytes[12..12 + data.len()], data);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN.concat());
}

const GOLDEN: [&str; 5] = [
    // data
    "36f425c828000000000100000003086b657900000576616c756500000000ff0064000000000000000100000001000000\
     02000000",
    // index partition
    "8b43db9c25000000000300000003076b6579003401006400050000000000000000000000000100000001000000000000\
     00",
    // top index
    "4c431ddf22000000000400000003046b657934310000000000000000000000000000010000000100000000000000",
    // properties
    "e6f5ca5b10000000000500000101280100640005036b6579036b6579",
    // footer
    "340000000000000065000000000000002e0000001c0000000100000000000000ef000000000000000000000000000000\
     00000000cdd538c60100000064737153",
];
