//! Segments from a model, and reading that waits.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_lsm::fault::FaultSegmentStore;
use dosql_lsm::{
    Entry, Kind, MemorySegmentStore, ReadOptions, Segment, SegmentReader, SegmentStore, SegmentWriter,
    WriteOptions,
};

/// A version: end (`u64::MAX`: current), kind and value.
pub type Version = (u64, Kind, Vec<u8>);

/// Versions by key, and by start, newest first.
pub type Model = BTreeMap<(Vec<u8>, std::cmp::Reverse<u64>), Version>;

pub fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A model with some keys of many versions, gaps between lifetimes, tombstones, and values of all sizes.
pub fn model(seed: u64, keys: u64) -> Model {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut model = Model::new();
    for i in 0..keys {
        let key = match i % 5 {
            0 => format!("t/{i:06}").into_bytes(),
            1 => [format!("t/{i:06}").as_bytes(), &[0; 3]].concat(),
            2 => i.to_be_bytes().to_vec(),
            _ => format!("index/{:03}/{i:06}/with a longer tail", i % 17).into_bytes(),
        };
        let versions = if random.u32(..40) == 0 { random.u64(50..200) } else { random.u64(1..4) };
        let mut start = random.u64(1_000..1_000_000);
        for v in 0..versions {
            let end = start + random.u64(1..5_000);
            let current = v + 1 == versions && random.bool();
            let kind = if random.u32(..9) == 0 { Kind::Tombstone } else { Kind::Put };
            let len = if random.u32(..300) == 0 { random.usize(..40_000) } else { random.usize(..60) };
            let value = if kind == Kind::Put { vec![random.u8(..4); len] } else { Vec::new() };
            let end_stored = if current { u64::MAX } else { end };
            model.insert((key.clone(), std::cmp::Reverse(start)), (end_stored, kind, value));
            start = end + random.u64(..2) * random.u64(..3_000);
        }
    }
    model
}

pub fn write(model: &Model, options: WriteOptions) -> Segment {
    let mut writer = SegmentWriter::new(options);
    for ((key, start), (end, kind, value)) in model {
        writer.add(key, at(start.0), at(*end), *kind, value).unwrap();
    }
    writer.finish().unwrap()
}

/// What the model says that lived at `t`.
pub fn expected<'m>(model: &'m Model, key: &[u8], t: u64) -> Option<(u64, &'m Version)> {
    let from = (key.to_vec(), std::cmp::Reverse(t));
    let ((found, start), version) = model.range(from..).next()?;
    (found == key && t < version.0).then_some((start.0, version))
}

pub fn open(bytes: &[u8]) -> Result<Arc<SegmentReader>> {
    let store = Arc::new(MemorySegmentStore::new());
    store.put("segment", bytes).unwrap();
    SegmentReader::open(store, "segment", bytes.len() as u64, ReadOptions::default())
}

pub fn is_entry(entry: Entry<'_>, key: &[u8], start: u64, version: &Version) -> bool {
    entry.key == key
        && entry.start == at(start)
        && entry.end == at(version.0)
        && entry.kind == version.1
        && entry.value == version.2
}

/// Calls `read` until it no longer has to wait for the far store.
pub fn wait<T>(store: &FaultSegmentStore, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let wanted = store.wanted();
                assert!(!wanted.is_empty());
                store.fetch(&wanted);
            }
            result => return result,
        }
    }
}
