//! Damaged, cut, swapped and hostile segments: an error or the right rows, never wrong ones and never a panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Model, at, is_entry, model, open, write};
use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};
use dosql_lsm::{MemorySegmentStore, ReadOptions, SegmentReader, SegmentStore, WriteOptions};

fn options() -> WriteOptions {
    WriteOptions { block_bytes: 300, partition_blocks: 2, ..WriteOptions::new(77) }
}

/// Reads everything there is, by cursor and by key; panics where something is there but wrong.
fn read_all(reader: &Arc<SegmentReader>, model: &Model) -> Result<()> {
    let mut cursor = reader.cursor();
    let mut more = cursor.first()?;
    for ((key, start), version) in model {
        assert!(
            more && is_entry(cursor.entry().unwrap(), key, start.0, version),
            "a wrong version was shown"
        );
        more = cursor.next()?;
    }
    assert!(!more);
    for (key, start) in model.keys() {
        let found = reader.get(key, at(start.0))?.expect("a version is missing");
        assert_eq!(found.value(), model[&(key.clone(), *start)].2);
    }
    Ok(())
}

#[test]
fn a_flipped_bit_anywhere_is_corrupt() {
    let model = model(11, 40);
    let bytes = write(&model, options()).bytes;
    read_all(&open(&bytes).unwrap(), &model).unwrap();
    let footer = &bytes[bytes.len() - 64..];
    let number = |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().unwrap()) as usize;
    let filters = number(0)..number(8);
    let step = (bytes.len() / 4_000).max(1);
    for index in (0..bytes.len()).step_by(step).chain(bytes.len() - 400..bytes.len()) {
        let mut damaged = bytes.to_vec();
        damaged[index] ^= 1 << (index % 8);
        match open(&damaged).and_then(|reader| read_all(&reader, &model)) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {index}: {error}");
                assert!(error.place().unwrap().starts_with("segment"), "{error}");
            }
            // The filter of a partition in which a key merely goes on is never asked.
            Ok(()) => assert!(filters.contains(&index), "byte {index} of {} went unnoticed", bytes.len()),
        }
    }
}

#[test]
fn a_segment_cut_at_any_length_is_corrupt() {
    let bytes = write(&model(12, 30), options()).bytes;
    for len in 0..bytes.len() {
        assert_eq!(open(&bytes[..len]).unwrap_err().kind(), ErrorKind::Corrupt, "{len} bytes");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(open(&longer).unwrap_err().kind(), ErrorKind::Corrupt);
    let store = Arc::new(MemorySegmentStore::new());
    store.put("segment", &bytes).unwrap();
    let wrong_size = SegmentReader::open(store, "segment", bytes.len() as u64 - 1, ReadOptions::default());
    assert_eq!(wrong_size.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_block_of_another_segment_in_its_place_is_corrupt() {
    let model = model(13, 40);
    let ours = write(&model, options()).bytes;
    let theirs = write(&model, WriteOptions { id: 78, ..options() }).bytes;
    assert_eq!(ours.len(), theirs.len());
    let mut mixed = ours.to_vec();
    mixed[..600].copy_from_slice(&theirs[..600]);
    let outcome = open(&mixed).and_then(|reader| read_all(&reader, &model));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn noise_is_no_segment() {
    let mut random = fastrand::Rng::with_seed(3);
    for len in [0, 1, 63, 64, 65, 1_000, 100_000] {
        let noise: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        assert_eq!(open(&noise).unwrap_err().kind(), ErrorKind::Corrupt, "{len} bytes");
    }
}

#[test]
fn a_failing_short_or_wrong_read_is_an_error_each_time_and_harms_nothing() {
    let model = model(14, 40);
    let segment = write(&model, options());
    let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
    store.put("segment", &segment.bytes).unwrap();
    let size = segment.properties.bytes;
    let read = || {
        let options = ReadOptions { tail_bytes: 64, readahead: 0, ..ReadOptions::default() };
        let reader = SegmentReader::open(store.clone(), "segment", size, options)?;
        read_all(&reader, &model)
    };
    read().unwrap();
    let total = store.reads();
    assert!(total > 10);
    let io = Error::new(ErrorKind::Io, Code::IoErr, "the network is down");
    for nth in 0..total {
        let faults = [
            (SegmentFault::Before(io.clone()), ErrorKind::Io),
            (SegmentFault::Short(1), ErrorKind::Corrupt),
            (SegmentFault::Wrong(nth as usize * 13), ErrorKind::Corrupt),
        ];
        for (fault, kind) in faults {
            store.inject(SegmentCall::Read, nth, false, fault.clone());
            assert_eq!(read().unwrap_err().kind(), kind, "read {nth}, {fault:?}");
            store.heal();
        }
    }
    read().unwrap();
}

#[test]
fn a_missing_segment_is_corrupt_and_names_itself() {
    let store = Arc::new(MemorySegmentStore::new());
    let error = SegmentReader::open(store, "gone", 1_000, ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("gone"));
}
