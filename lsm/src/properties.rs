//! What a segment holds, in its own words.
//!
//! ```text
//! varints: keys, blocks, bytes before compression, then entries, tombstones, min start, max start - min start,
//! 0 or max end - min start; then the first key and the last key, each with its length in front
//! ```

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::{Result, Timestamp};

use crate::index::Span;

/// What a segment holds: what a manifest row says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentProperties {
    /// The number given to the writer, mixed into every checksum.
    pub id: u64,
    /// The length of the object in bytes.
    pub bytes: u64,
    /// The length of all data blocks before compression.
    pub raw_bytes: u64,
    /// Versions, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Data blocks.
    pub blocks: u64,
    /// The first key.
    pub min_key: Vec<u8>,
    /// The last key.
    pub max_key: Vec<u8>,
    /// The earliest start of a version.
    pub min_start: Timestamp,
    /// The latest start of a version.
    pub max_start: Timestamp,
    /// The latest end of a version; [`Timestamp::MAX`] where one is current.
    pub max_end: Timestamp,
}

impl SegmentProperties {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.keys);
        put_varint(&mut out, self.blocks);
        put_varint(&mut out, self.raw_bytes);
        let span = Span {
            entries: self.entries,
            tombstones: self.tombstones,
            min_start: self.min_start,
            max_start: self.max_start,
            max_end: self.max_end,
        };
        span.encode(&mut out);
        put_bytes(&mut out, &self.min_key);
        put_bytes(&mut out, &self.max_key);
        out
    }

    /// Decodes the properties of segment `id`, an object of `bytes` bytes.
    pub(crate) fn decode(stored: &[u8], id: u64, bytes: u64) -> Result<SegmentProperties> {
        let mut reader = Reader::new(stored, "segment properties");
        let (keys, blocks, raw_bytes) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let span = Span::decode(&mut reader)?;
        let (min_key, max_key) = (reader.bytes()?.to_vec(), reader.bytes()?.to_vec());
        reader.finish()?;
        Ok(SegmentProperties {
            id,
            bytes,
            raw_bytes,
            entries: span.entries,
            tombstones: span.tombstones,
            keys,
            blocks,
            min_key,
            max_key,
            min_start: span.min_start,
            max_start: span.max_start,
            max_end: span.max_end,
        })
    }
}
