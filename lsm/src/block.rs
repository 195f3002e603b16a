//! A block of sorted entries: data, index partitions and the top index are all of this form.
//!
//! ```text
//! entries    varint shared with the previous key | varint rest of the key | varint length of the value | rest | value
//! restarts   u32 each: offset of every 16th entry, whose key is whole (shared is 0)
//! buckets    u8 each, data blocks only: the restart interval that holds all entries of the keys that hash there,
//!            254 several, 255 none
//! base u64 | entries u32 | restarts u32 | buckets u32        20 bytes
//! ```
//!
//! A point look-up goes from the bucket straight to its interval of 16; where keys collide, or for a range, the restarts
//! are searched by halves.

use dosql_base::codec::{get_varint, put_varint};
use dosql_base::{Error, Result};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Entries between two restarts.
pub(crate) const RESTART_INTERVAL: u32 = 16;

const SEVERAL: u8 = 254;
const NONE: u8 = 255;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Trailer {
    base: U64,
    entries: U32,
    restarts: U32,
    buckets: U32,
}

const TRAILER: usize = 20;
const _: () = assert!(size_of::<Trailer>() == TRAILER);

/// Builds one block after the other.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    /// The hash and restart interval of each entry.
    hashes: Vec<(u64, u32)>,
    last_key: Vec<u8>,
    entries: u32,
    base: u64,
}

impl BlockBuilder {
    /// Adds an entry whose value is `head` and `value` side by side. Keys must not descend. With a `hash` of the key the
    /// entry can be looked up by it; give it for all entries of a block or for none.
    pub(crate) fn add(&mut self, key: &[u8], head: &[u8], value: &[u8], hash: Option<u64>) {
        let shared = if self.entries.is_multiple_of(RESTART_INTERVAL) {
            self.restarts.push(self.bytes.len() as u32);
            0
        } else {
            self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count()
        };
        let rest = &key[shared..];
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, rest.len() as u64);
        put_varint(&mut self.bytes, (head.len() + value.len()) as u64);
        self.bytes.extend_from_slice(rest);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(rest);
        self.hashes.extend(hash.map(|hash| (hash, self.restarts.len() as u32 - 1)));
        self.entries += 1;
    }

    /// The number that the block's values are relative to.
    pub(crate) fn set_base(&mut self, base: u64) {
        self.base = base;
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// The length of the block so far, without its hash index.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.restarts.len() * 4 + TRAILER
    }

    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The finished block; the builder is empty after.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let buckets = self.buckets();
        let trailer = Trailer {
            base: self.base.into(),
            entries: self.entries.into(),
            restarts: (self.restarts.len() as u32).into(),
            buckets: (buckets.len() as u32).into(),
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        for restart in &self.restarts {
            bytes.extend_from_slice(&restart.to_le_bytes());
        }
        bytes.extend_from_slice(&buckets);
        bytes.extend_from_slice(trailer.as_bytes());
        self.restarts.clear();
        self.hashes.clear();
        self.last_key.clear();
        (self.entries, self.base) = (0, 0);
        bytes
    }

    fn buckets(&self) -> Vec<u8> {
        if self.hashes.is_empty() || self.restarts.len() >= usize::from(SEVERAL) {
            return Vec::new();
        }
        // Three quarters full at most, if all keys differ.
        let mut buckets = vec![NONE; self.hashes.len() * 4 / 3 + 1];
        for &(hash, restart) in &self.hashes {
            let bucket = bucket_of(hash, buckets.len());
            buckets[bucket] = match buckets[bucket] {
                NONE => restart as u8,
                held if u32::from(held) == restart => held,
                _ => SEVERAL,
            };
        }
        buckets
    }
}

fn bucket_of(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

/// Where a look-up by hash says to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// No entry has this key.
    Absent,
    /// All entries of the key are in this restart interval, if any are.
    Interval(u32),
    /// Search the restarts.
    Search,
}

/// A block read back. Its form is checked when it is read, its entries as they are read.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    entries_end: usize,
    restarts: u32,
    buckets: usize,
    base: u64,
}

/// One entry's place within its block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawEntry<'b> {
    pub(crate) shared: usize,
    pub(crate) rest: &'b [u8],
    /// Where the value is.
    pub(crate) value: (usize, usize),
}

fn bad(what: &str) -> Error {
    Error::corrupt(format!("a segment's block {what}"), "block contents")
}

impl Block {
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Block> {
        let (_, trailer) = Trailer::read_from_suffix(&bytes).map_err(|_| bad("is too short"))?;
        let (restarts, buckets) = (trailer.restarts.get(), trailer.buckets.get() as usize);
        let tail = u64::from(restarts) * 4 + buckets as u64 + TRAILER as u64;
        let entries_end = (bytes.len() as u64).checked_sub(tail).ok_or_else(|| bad("has a wrong form"))?;
        let block =
            Block { entries_end: entries_end as usize, restarts, buckets, base: trailer.base.get(), bytes };
        if restarts == 0
            || trailer.entries.get().div_ceil(RESTART_INTERVAL) != restarts
            || block.restart(0)? != 0
        {
            return Err(bad("has a wrong form"));
        }
        Ok(block)
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(crate) fn entries_end(&self) -> usize {
        self.entries_end
    }

    /// The bytes of memory that it takes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + size_of::<Block>()
    }

    /// The offset of the first entry of a restart interval.
    pub(crate) fn restart(&self, index: u32) -> Result<usize> {
        let at = self.entries_end + index as usize * 4;
        let offset =
            self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()).filter(|_| index < self.restarts);
        let offset = offset.map(|bytes| u32::from_le_bytes(*bytes) as usize);
        offset.filter(|&offset| offset < self.entries_end).ok_or_else(|| bad("has a restart outside of it"))
    }

    /// Where the entries of a key with this hash are.
    pub(crate) fn bucket(&self, hash: u64) -> Bucket {
        if self.buckets == 0 {
            return Bucket::Search;
        }
        let at = self.entries_end + self.restarts as usize * 4 + bucket_of(hash, self.buckets);
        match self.bytes.get(at) {
            Some(&NONE) => Bucket::Absent,
            Some(&interval) if u32::from(interval) < self.restarts => Bucket::Interval(interval.into()),
            _ => Bucket::Search,
        }
    }

    /// The entry at `offset`, and the offset of the next.
    pub(crate) fn entry(&self, offset: usize) -> Result<(RawEntry<'_>, usize)> {
        let mut at = offset;
        let mut number = || {
            let (value, len) = self.bytes.get(at..self.entries_end).and_then(get_varint)?;
            at += len;
            usize::try_from(value).ok()
        };
        let lengths = number().zip(number()).zip(number());
        let ((shared, rest), value) = lengths.ok_or_else(|| bad("has a broken entry"))?;
        let key_end = at.checked_add(rest).filter(|&end| end <= self.entries_end);
        let value_start = key_end.ok_or_else(|| bad("has a key that runs over its end"))?;
        let value_end = value_start.checked_add(value).filter(|&end| end <= self.entries_end);
        let value_end = value_end.ok_or_else(|| bad("has a value that runs over its end"))?;
        let rest = &self.bytes[at..value_start];
        Ok((RawEntry { shared, rest, value: (value_start, value_end) }, value_end))
    }

    /// The value at a place that [`Block::entry`] gave.
    pub(crate) fn value(&self, place: (usize, usize)) -> &[u8] {
        self.bytes.get(place.0..place.1).unwrap_or_default()
    }
}
