//! Segments as they lie in a store, damaged, mostly with their checksums mended so that the damage is read.

use std::sync::{Arc, OnceLock};

use dosql::stores::{MemorySegmentStore, SegmentStore};
use dosql_base::{Checksum, Timestamp, checksum};
use dosql_lsm::{
    Compaction, CompactionOptions, Contents, Kind, MergeCursor, ReadOptions, SegmentReader, SegmentWriter,
    Versions, WriteOptions,
};

use crate::input::Input;

const ID: u64 = 7;
const FOOTER: usize = 64;
const HEADER: usize = 12;

/// A sound segment of some versions of some keys: its bytes, and where its tail begins.
fn image() -> &'static (Vec<u8>, usize) {
    static SEGMENT: OnceLock<(Vec<u8>, usize)> = OnceLock::new();
    SEGMENT.get_or_init(|| {
        // Not compressed, so that its frames can be found.
        let options =
            WriteOptions { block_bytes: 300, partition_blocks: 5, compress: false, ..WriteOptions::new(ID) };
        let mut writer = SegmentWriter::new(options);
        for key in 0..120u32 {
            let at = |micros: u32| Timestamp::from_micros(u64::from(1_000 + micros));
            let name = format!("key {key:04}");
            writer
                .add(name.as_bytes(), at(20), at(90), Kind::Put, name.repeat(3).as_bytes())
                .expect("in order");
            writer.add(name.as_bytes(), at(10), at(20), Kind::Tombstone, b"").expect("in order");
        }
        let segment = writer.finish().expect("a segment");
        let tail = segment.bytes.len() - segment.tail().len();
        (segment.bytes.to_vec(), tail)
    })
}

/// Offset and end of each frame of the sound segment: docs/FORMAT.md.
fn frames() -> &'static [(usize, usize)] {
    static FRAMES: OnceLock<Vec<(usize, usize)>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let bytes = &image().0;
        let mut frames = Vec::new();
        let mut at = 0;
        while at < bytes.len() - FOOTER {
            let length = u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]);
            let end = at + HEADER + length as usize;
            frames.push((at, end));
            at = end;
        }
        frames
    })
}

/// Gives every frame and the footer the checksum of what it holds now.
fn mend(bytes: &mut [u8]) {
    for &(at, end) in frames() {
        let mixed = ID ^ at as u64;
        let sum = checksum((mixed ^ (mixed >> 32)) as u32, &bytes[at + 4..end]);
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    let footer = bytes.len() - FOOTER;
    let mut sum = Checksum::new(0);
    sum.update(&bytes[footer..footer + 52]);
    sum.update(&bytes[footer + 56..]);
    let sum = sum.finish().to_le_bytes();
    bytes[footer + 52..footer + 56].copy_from_slice(&sum);
}

/// Applies the edits that an input asks for.
fn damaged(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = image().0.clone();
    for _ in 0..1 + input.byte() % 4 {
        let from_end = input.byte() % 2 == 0;
        let at = if from_end {
            bytes.len() - 1 - usize::from(input.byte())
        } else {
            input.u32() as usize % bytes.len()
        };
        bytes[at] = input.byte();
    }
    if input.byte() % 4 != 0 {
        mend(&mut bytes);
    }
    bytes
}

/// Reads a segment from end to end and back, alone and merged with itself, and writes it anew.
fn read(reader: &Arc<SegmentReader>, key: &[u8]) {
    let mut cursor = reader.cursor();
    let mut more = cursor.first();
    while let Ok(true) = more {
        more = cursor.next();
    }
    let mut more = cursor.last();
    while let Ok(true) = more {
        more = cursor.prev();
    }
    let at = Timestamp::from_micros(1_015);
    let _ = reader.get(key, at);
    for versions in [Versions::All, Versions::NewestAt(at)] {
        let mut cursor = MergeCursor::new(vec![reader.clone(), reader.clone()], versions);
        let mut more = cursor.first();
        while let Ok(true) = more {
            more = cursor.next();
        }
        let mut more = cursor.last();
        while let Ok(true) = more {
            more = cursor.prev();
        }
        let _ = cursor.seek(key, at).and_then(|_| cursor.prev()).and_then(|_| cursor.seek_before(key));
    }
    for contents in [Contents::Live, Contents::History] {
        let options = CompactionOptions { segment_bytes: 2_000, ..CompactionOptions::new(contents, true) };
        let mut compaction = Compaction::new(vec![reader.clone()], options);
        let mut id = 0;
        let keep = |_: &[u8], start: Timestamp, _: Timestamp| start < at;
        let step = compaction.step(u64::MAX, &keep, &mut || {
            id += 1;
            id
        });
        let _ = step.map(|_| compaction.take_outputs());
    }
}

/// Reads a damaged segment.
pub fn whole(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = damaged(&mut input);
    let store = Arc::new(MemorySegmentStore::new());
    store.put("segment", &bytes).expect("a new name");
    let size = bytes.len() as u64;
    if let Ok(reader) = SegmentReader::open(store, "segment", size, ReadOptions::default()) {
        read(&reader, input.rest());
    }
}

/// Reads a sound segment by a damaged tail, or one of another length.
pub fn tail(data: &[u8]) {
    let mut input = Input::new(data);
    let (sound, start) = image();
    let bytes = damaged(&mut input);
    let from = match input.byte() % 4 {
        0 => input.u32() as usize % bytes.len(),
        _ => *start,
    };
    let size = sound.len() as u64 + if input.byte() % 8 == 0 { u64::from(input.byte()) } else { 0 };
    let store = Arc::new(MemorySegmentStore::new());
    store.put("segment", sound).expect("a new name");
    let tail = Some(Arc::from(&bytes[from..]));
    if let Ok(reader) = SegmentReader::open_with(store, "segment", size, tail, ReadOptions::default()) {
        read(&reader, input.rest());
    }
}
