//! A segment object as a subject of a sweep: its own reader judges.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_lsm::{
    Kind, MemorySegmentStore, ReadOptions, SegmentReader, SegmentStore, SegmentWriter, WriteOptions,
};

use super::damage::{Damage, SECTOR};
use super::sweep::Subject;
use crate::golden::{Files, Verdict};

const NAME: &str = "segment";

/// Versions by key and by start, the newest first: end and value, `None` for a tombstone.
type Model = BTreeMap<(Vec<u8>, std::cmp::Reverse<u64>), (u64, Option<Vec<u8>>)>;

/// A segment of a few hundred versions, in many small blocks, with a value that is longer than a block.
pub struct SegmentSubject {
    files: Files,
    model: Model,
}

impl SegmentSubject {
    pub fn new() -> Self {
        let model = model();
        let options = WriteOptions { block_bytes: 700, partition_blocks: 4, ..WriteOptions::new(77) };
        let mut writer = SegmentWriter::new(options);
        for ((key, start), (end, value)) in &model {
            let kind = if value.is_some() { Kind::Put } else { Kind::Tombstone };
            let value = value.as_deref().unwrap_or_default();
            writer.add(key, at(start.0), at(*end), kind, value).expect("the model is in order");
        }
        let segment = writer.finish().expect("the model is within all limits");
        SegmentSubject { files: vec![(NAME.to_owned(), segment.bytes.to_vec())], model }
    }

    /// Reads all by cursor and by key; tells what is wrong.
    fn read(&self, files: &Files) -> Result<Option<String>> {
        let store = Arc::new(MemorySegmentStore::new());
        for (name, bytes) in files {
            store.put(name, bytes)?;
        }
        let size = self.files[0].1.len() as u64;
        let reader = SegmentReader::open(store, NAME, size, ReadOptions::default())?;
        let mut cursor = reader.cursor();
        let mut more = cursor.first()?;
        for ((key, start), (end, value)) in &self.model {
            let is_right = more
                && cursor.entry().is_some_and(|entry| {
                    let kind = if value.is_some() { Kind::Put } else { Kind::Tombstone };
                    let times = (entry.start, entry.end) == (at(start.0), at(*end));
                    let value = value.as_deref().unwrap_or_default();
                    times && (entry.key, entry.kind, entry.value) == (&key[..], kind, value)
                });
            if !is_right {
                return Ok(Some(format!("the cursor shows something else in place of {key:?}")));
            }
            more = cursor.next()?;
        }
        if more {
            return Ok(Some("the cursor shows more than there is".to_owned()));
        }
        for ((key, start), (_, value)) in &self.model {
            let found = reader.get(key, at(start.0))?;
            if found.as_ref().map(|found| found.value()) != Some(value.as_deref().unwrap_or_default()) {
                return Ok(Some(format!("a get of {key:?} is wrong")));
            }
        }
        Ok(None)
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn model() -> Model {
    let mut random = fastrand::Rng::with_seed(11);
    let mut model = Model::new();
    for number in 0..160u64 {
        let key = format!("index/{:02}/{number:06}/with a tail", number % 7).into_bytes();
        let mut start = random.u64(1_000..1_000_000);
        let versions = if number == 50 { 40 } else { random.u64(1..4) };
        for version in 0..versions {
            let end = start + random.u64(1..5_000);
            let current = version + 1 == versions && random.bool();
            let len = if number == 90 { 2_500 } else { random.usize(..50) };
            let value = (random.u32(..9) > 0).then(|| (0..len).map(|_| random.u8(..)).collect());
            let stored_end = if current { u64::MAX } else { end };
            model.insert((key.clone(), std::cmp::Reverse(start)), (stored_end, value));
            start = end;
        }
    }
    model
}

impl Subject for SegmentSubject {
    fn name(&self) -> &str {
        NAME
    }

    fn files(&self) -> &Files {
        &self.files
    }

    fn before(&self) -> &Files {
        const NONE: &Files = &Files::new();
        NONE
    }

    fn unit(&self, _file: &str) -> usize {
        SECTOR
    }

    fn judge(&self, files: &Files, _damage: &Damage) -> Verdict {
        match self.read(files) {
            Ok(None) => Verdict::Right,
            Ok(Some(wrong)) => Verdict::Wrong(wrong),
            Err(error) if error.kind() == ErrorKind::Corrupt => Verdict::Refused,
            Err(error) => Verdict::Wrong(format!("an error that does not say what is wrong: {error:?}")),
        }
    }
}
