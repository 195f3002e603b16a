//! Segments with other bytes behind good checksums, as somebody might forge them: an error or other rows, never a panic and never without end.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::at;
use dosql_base::{Checksum, Result, Timestamp, checksum};
use dosql_lsm::{
    Compaction, CompactionOptions, Contents, Kind, MemorySegmentStore, MergeCursor, ReadOptions,
    SegmentReader, SegmentStore, SegmentWriter, Versions, WriteOptions,
};

const ID: u64 = 7;
const FOOTER: usize = 64;
/// No walk over the sound segment has as many steps.
const STEPS: usize = 5_000;

fn sound() -> Vec<u8> {
    // Not compressed, so that its frames can be found.
    let options =
        WriteOptions { block_bytes: 300, partition_blocks: 5, compress: false, ..WriteOptions::new(ID) };
    let mut writer = SegmentWriter::new(options);
    for key in 0..60u32 {
        let name = format!("key {key:04}");
        writer.add(name.as_bytes(), at(1_020), at(1_090), Kind::Put, name.repeat(3).as_bytes()).unwrap();
        writer.add(name.as_bytes(), at(1_010), at(1_020), Kind::Tombstone, b"").unwrap();
    }
    writer.finish().unwrap().bytes.to_vec()
}

/// Offset and end of each frame.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() - FOOTER {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        frames.push((at, at + 12 + length as usize));
        at += 12 + length as usize;
    }
    frames
}

fn mend(bytes: &mut [u8], frames: &[(usize, usize)]) {
    for &(at, end) in frames {
        let mixed = ID ^ at as u64;
        let sum = checksum((mixed ^ (mixed >> 32)) as u32, &bytes[at + 4..end]);
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    let footer = bytes.len() - FOOTER;
    let mut sum = Checksum::new(0);
    sum.update(&bytes[footer..footer + 52]);
    sum.update(&bytes[footer + 56..]);
    bytes[footer + 52..footer + 56].copy_from_slice(&sum.finish().to_le_bytes());
}

/// Moves until the end or an error.
fn walk(mut step: impl FnMut(bool) -> Result<bool>) {
    for steps in 0..STEPS {
        if !step(steps == 0).unwrap_or(false) {
            return;
        }
    }
    panic!("it goes on for ever");
}

fn read_all(reader: &Arc<SegmentReader>) {
    let mut cursor = reader.cursor();
    walk(|first| if first { cursor.first() } else { cursor.next() });
    walk(|first| if first { cursor.last() } else { cursor.prev() });
    for key in [&b"key 0031"[..], b"key 0000", b"", b"z"] {
        for t in [1_015, 1_020, 0, u64::MAX - 1] {
            let _ = reader.get(key, at(t));
        }
    }
    for versions in [Versions::All, Versions::NewestAt(at(1_015)), Versions::NewestAt(Timestamp::MAX)] {
        let mut cursor = MergeCursor::new(vec![reader.clone(), reader.clone()], versions);
        walk(|first| if first { cursor.first() } else { cursor.next() });
        walk(|first| if first { cursor.last() } else { cursor.prev() });
        let _ = cursor.seek(b"key 0031", at(1_015)).and_then(|_| cursor.prev());
        let _ = cursor.seek_before(b"key 0031").and_then(|_| cursor.next());
    }
    for contents in [Contents::Live, Contents::History] {
        let options = CompactionOptions { segment_bytes: 2_000, ..CompactionOptions::new(contents, true) };
        let mut compaction = Compaction::new(vec![reader.clone()], options);
        let _ = compaction.step(u64::MAX, &|_: &[u8], _, _| true, &mut || 1);
    }
}

#[test]
fn bytes_forged_behind_good_checksums_end_in_an_error_or_other_rows() {
    let sound = sound();
    let frames = frames(&sound);
    let mut random = fastrand::Rng::with_seed(1);
    let mut opened = 0;
    for _ in 0..3_000 {
        let mut forged = sound.clone();
        for _ in 0..random.usize(1..4) {
            // Mostly where the structure is.
            let index = match random.u32(..3) {
                0 => random.usize(..forged.len()),
                1 => forged.len() - 1 - random.usize(..300),
                _ => frames[random.usize(..frames.len())].1 - 1 - random.usize(..30),
            };
            forged[index] = random.u8(..);
        }
        mend(&mut forged, &frames);
        let store = Arc::new(MemorySegmentStore::new());
        store.put("segment", &forged).unwrap();
        let size = forged.len() as u64;
        let Ok(reader) = SegmentReader::open(store, "segment", size, ReadOptions::default()) else {
            continue;
        };
        opened += 1;
        read_all(&reader);
    }
    assert!(opened > 1_000, "{opened} of them opened");
}
