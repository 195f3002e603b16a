//! Segments and the store that they lie in: damage is seen, blocks are not taken for each other, no name is used twice.

use std::sync::Arc;

use dosql::{ErrorKind, Result, Timestamp};
use dosql_lsm::{
    Kind, MemorySegmentStore, ReadOptions, SegmentReader, SegmentStore, SegmentWriter, WriteOptions,
    put_idempotent,
};

use super::Tally;

const ENTRIES: u32 = 24;
const FOOTER: usize = 64;

fn key(n: u32) -> Vec<u8> {
    format!("key {n:04}").into_bytes()
}

/// A segment of this number whose values all say `tag`; segments of the same shape differ in nothing else.
fn segment(id: u64, tag: char) -> Result<Vec<u8>> {
    let options =
        WriteOptions { block_bytes: 200, partition_blocks: 2, compress: false, ..WriteOptions::new(id) };
    let mut writer = SegmentWriter::new(options);
    for n in 0..ENTRIES {
        let value = format!("value {n:04} of {tag}");
        writer.add(&key(n), Timestamp::from_micros(1), Timestamp::MAX, Kind::Put, value.as_bytes())?;
    }
    Ok(writer.finish()?.bytes.to_vec())
}

/// What is wrong with what is read from a segment with these bytes, which was written with `tag`.
fn judge(bytes: &[u8], tag: char) -> Vec<String> {
    let read = || -> Result<Vec<String>> {
        let store = Arc::new(MemorySegmentStore::new());
        store.put("segment", bytes)?;
        let reader = SegmentReader::open(store, "segment", bytes.len() as u64, ReadOptions::default())?;
        let mut cursor = reader.cursor();
        let mut more = cursor.first()?;
        let mut mistakes = Vec::new();
        for n in 0..ENTRIES {
            let value = format!("value {n:04} of {tag}");
            let right =
                cursor.entry().is_some_and(|entry| entry.key == key(n) && entry.value == value.as_bytes());
            if !more || !right {
                mistakes.push(format!("entry {n} is not what was written"));
                break;
            }
            if reader
                .get(&key(n), Timestamp::from_micros(5))?
                .is_none_or(|found| found.value() != value.as_bytes())
            {
                mistakes.push(format!("key {n} is not what was written"));
            }
            more = cursor.next()?;
        }
        Ok(mistakes)
    };
    match read() {
        Ok(mistakes) => mistakes,
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => Vec::new(),
        Err(error) => vec![format!("damage is called {error:?}")],
    }
}

/// Every byte flipped, and every stretch of bytes replaced by that of a segment of the same shape.
pub(super) fn segments(tally: &mut Tally) {
    let (Ok(bytes), Ok(other)) = (segment(7, 'a'), segment(8, 'b')) else { return };
    for at in 0..bytes.len() {
        let flipped = || {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            judge(&damaged, 'a')
        };
        if !tally.case(|| format!("byte {at}"), flipped) {
            return;
        }
    }
    // The blocks of both lie at the same places: each prefix and each suffix of one is put into the other.
    // The footer says whose it is.
    for at in 0..bytes.len().min(other.len()) - FOOTER {
        let mixed = || judge(&[&other[..at], &bytes[at..]].concat(), 'a');
        if !tally.case(|| format!("another segment's bytes up to {at}"), mixed) {
            return;
        }
    }
}

/// A name that is taken stays with the object that has it.
pub(super) fn names(tally: &mut Tally) {
    let store = MemorySegmentStore::new();
    let judge = || {
        let mut mistakes = Vec::new();
        let mut expect = |right: bool, what: &str| {
            if !right {
                mistakes.push(what.to_owned());
            }
        };
        expect(store.put("name", b"first").is_ok(), "a free name was refused");
        let again = store.put("name", b"other");
        expect(again.is_err_and(|error| error.kind() == ErrorKind::Conflict), "a taken name was given away");
        expect(store.read("name", 0..5).is_ok_and(|bytes| bytes == b"first"), "an object was overwritten");
        expect(put_idempotent(&store, "name", b"first").is_ok(), "a retry of the same was refused");
        let different = put_idempotent(&store, "name", b"other");
        expect(
            different.is_err_and(|error| error.kind() == ErrorKind::Conflict),
            "a taken name counted as written",
        );
        mistakes
    };
    tally.case(|| "a taken name".to_owned(), judge);
}
