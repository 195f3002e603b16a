//! A record: one commit, as bytes.
//!
//! ```text
//! header, 52 bytes, little-endian
//!   0  4  checksum    CRC-32 of bytes 4..52; the `previous` of the next record
//!   4  4  previous    the previous record's checksum: the chain
//!   8  8  position    where this record begins in the log
//!  16  8  durable     the log was known durable up to here when this was written
//!  24  8  timestamp   the commit's Timestamp, 0 for a mark
//!  32  4  length      of the body
//!  36  4  body_sum    CRC-32 of the body
//!  40  4  branch      the branch committed to
//!  44  4  generation  number of the opening of the log that wrote it, never falling
//!  48  1  kind        1 commit, 2 mark (no body; only says what is durable)
//!  49  1  reserved    0
//!  50  2  flags       free for the caller
//! body: entries, one after the other
//!   varint  shared    bytes of the key that are the previous key's
//!   varint  rest * 4 + op       op: 0 put, 1 delete, 2 note
//!   rest    bytes     the key's remaining bytes; the note itself
//!   put only: varint length of the value, the value
//! ```
//!
//! The checksums are split so that the body's is computed outside the commit lock, and so that a header alone can be
//! believed: what it says about durability holds even where its body was torn.

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp, checksum};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::LogPosition;

/// The length of a record's header in bytes.
pub const RECORD_HEADER_BYTES: usize = 52;

/// The longest body of one record in bytes (1 GiB): the changes of one transaction, encoded.
pub const MAX_BODY_BYTES: usize = 1 << 30;

pub(crate) const KIND_COMMIT: u8 = 1;
pub(crate) const KIND_MARK: u8 = 2;

const OP_PUT: u64 = 0;
const OP_DELETE: u64 = 1;
const OP_NOTE: u64 = 2;

/// The header as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) checksum: U32,
    pub(crate) previous: U32,
    pub(crate) position: U64,
    pub(crate) durable: U64,
    pub(crate) timestamp: U64,
    pub(crate) length: U32,
    pub(crate) body_sum: U32,
    pub(crate) branch: U32,
    pub(crate) generation: U32,
    pub(crate) kind: u8,
    pub(crate) reserved: u8,
    pub(crate) flags: U16,
}

const _: () = assert!(size_of::<Header>() == RECORD_HEADER_BYTES);

impl Header {
    /// The checksum that belongs into the header.
    pub(crate) fn sum(&self) -> u32 {
        checksum(0, &self.as_bytes()[4..])
    }

    /// The header at the start of `bytes`, if it is one that was written at `position`.
    pub(crate) fn parse(bytes: &[u8], position: u64) -> Option<Header> {
        let (header, _) = Header::read_from_prefix(bytes).ok()?;
        let sound = header.position.get() == position
            && header.durable.get() <= position
            && header.generation.get() > 0
            && header.length.get() as usize <= MAX_BODY_BYTES
            && (header.checksum.get() == header.sum() || weakened("record-header-unchecked"));
        sound.then_some(header)
    }
}

/// One commit read back from the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it begins.
    pub start: LogPosition,
    /// Where it ends, and the next begins.
    pub end: LogPosition,
    /// The checksum that the next record chains to.
    pub chain: u32,
    /// The commit's Timestamp.
    pub timestamp: Timestamp,
    /// The branch committed to.
    pub branch: u32,
    /// What the caller set with [`RecordBuilder::set_flags`].
    pub flags: u16,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn new(header: &Header, end: LogPosition, body: &'a [u8]) -> Self {
        Record {
            start: LogPosition::new(header.position.get()),
            end,
            chain: header.checksum.get(),
            timestamp: Timestamp::from_micros(header.timestamp.get()),
            branch: header.branch.get(),
            flags: header.flags.get(),
            body,
        }
    }

    /// The changes, keys ascending.
    #[must_use]
    pub fn changes(&self) -> Changes<'a> {
        Changes { start: self.start, ..Changes::of(self.body) }
    }

    /// The encoded changes: their size is the record's, without its header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// One change of a commit. A key is lent until the next one is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key has this value now.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Something about the commit that is not a row (a schema change), in the caller's own encoding.
    Note(
        /// What it says.
        &'a [u8],
    ),
}

/// Reads the changes of a record, one after the other.
#[derive(Debug)]
pub struct Changes<'a> {
    reader: Reader<'a>,
    key: Vec<u8>,
    start: LogPosition,
}

impl<'a> Changes<'a> {
    /// The changes that [`Record::body`] encodes.
    #[must_use]
    pub fn of(body: &'a [u8]) -> Self {
        Changes { reader: Reader::new(body, "log record"), key: Vec::new(), start: LogPosition::ZERO }
    }

    /// The next change, or `None` after the last. Fails with [`dosql_base::ErrorKind::Corrupt`] where the body is not
    /// what a [`RecordBuilder`] writes. Not an `Iterator`, since the key is rebuilt in place and lent.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Change<'_>>> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let place = self.start;
        let bad = |what: &str| Error::corrupt(format!("log record {what}"), format!("log position {place}"));
        let shared = usize::try_from(self.reader.varint()?).map_err(|_| bad("shares too much"))?;
        let rest = self.reader.varint()?;
        let len = usize::try_from(rest >> 2).map_err(|_| bad("holds a key that is too long"))?;
        let bytes = self.reader.take(len)?;
        if rest & 3 == OP_NOTE {
            return if shared == 0 {
                Ok(Some(Change::Note(bytes)))
            } else {
                Err(bad("has a note with a prefix"))
            };
        }
        if shared > self.key.len() {
            return Err(bad("shares more of a key than there is"));
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(bytes);
        match rest & 3 {
            OP_PUT => Ok(Some(Change::Put { value: self.reader.bytes()?, key: &self.key })),
            OP_DELETE => Ok(Some(Change::Delete { key: &self.key })),
            _ => Err(bad("holds a change of an unknown kind")),
        }
    }
}

/// Encodes one commit at a time into a buffer that is kept: [`begin`](RecordBuilder::begin), changes with ascending
/// keys, [`finish`](RecordBuilder::finish), then [`crate::Log::append`].
#[derive(Debug, Default)]
pub struct RecordBuilder {
    timestamp: Timestamp,
    branch: u32,
    flags: u16,
    body: Vec<u8>,
    body_sum: u32,
    finished: bool,
    any_key: bool,
    last_key: Vec<u8>,
}

impl RecordBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        RecordBuilder::default()
    }

    /// Starts a commit, forgetting the one before. Large buffers of the past are given back.
    pub fn begin(&mut self, timestamp: Timestamp, branch: u32) {
        const KEEP: usize = 4 << 20;
        if self.body.capacity() > KEEP {
            self.body = Vec::new();
        }
        self.body.clear();
        self.last_key.clear();
        (self.timestamp, self.branch, self.flags) = (timestamp, branch, 0);
        (self.finished, self.any_key) = (false, false);
    }

    /// Sets the Timestamp, which may be known only after the changes were encoded.
    pub fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
    }

    /// Sets flags that mean something to the caller; readers get them back.
    pub fn set_flags(&mut self, flags: u16) {
        self.flags = flags;
    }

    /// Adds a key's new value. Fails with [`dosql_base::ErrorKind::InvalidInput`] unless `key` is above the one before,
    /// with [`dosql_base::ErrorKind::Limit`] where the body would exceed [`MAX_BODY_BYTES`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.entry(key, OP_PUT, value.len())?;
        put_bytes(&mut self.body, value);
        Ok(())
    }

    /// Adds the deletion of a key. Fails as [`RecordBuilder::put`] does.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.entry(key, OP_DELETE, 0)
    }

    /// Adds something about the commit that is not a row. Fails with [`dosql_base::ErrorKind::Limit`] where the body
    /// would exceed [`MAX_BODY_BYTES`].
    pub fn note(&mut self, bytes: &[u8]) -> Result<()> {
        self.room(bytes.len())?;
        put_varint(&mut self.body, 0);
        put_varint(&mut self.body, (bytes.len() as u64) << 2 | OP_NOTE);
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// Completes the commit: computes the body's checksum, which needs no lock.
    pub fn finish(&mut self) {
        self.body_sum = checksum(0, &self.body);
        self.finished = true;
    }

    /// Whether no change was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The length of the record in the log so far, with its header, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        RECORD_HEADER_BYTES + self.body.len()
    }

    fn room(&mut self, len: usize) -> Result<()> {
        const VARINTS: usize = 30;
        self.finished = false;
        let total = self.body.len().checked_add(len).and_then(|total| total.checked_add(VARINTS));
        match total {
            Some(total) if total <= MAX_BODY_BYTES => Ok(()),
            _ => Err(Error::limit(format!(
                "a transaction's changes exceed {MAX_BODY_BYTES} bytes; commit in smaller steps"
            ))),
        }
    }

    fn entry(&mut self, key: &[u8], op: u64, value_len: usize) -> Result<()> {
        self.room(key.len().saturating_add(value_len))?;
        if self.any_key && key <= self.last_key.as_slice() {
            return Err(Error::invalid("the keys of a log record must ascend"));
        }
        let shared = self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
        let rest = &key[shared..];
        put_varint(&mut self.body, shared as u64);
        put_varint(&mut self.body, (rest.len() as u64) << 2 | op);
        self.body.extend_from_slice(rest);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(rest);
        self.any_key = true;
        Ok(())
    }

    /// The header but for its place and checksum, and the body.
    pub(crate) fn parts(&self) -> Result<(Header, &[u8])> {
        if !self.finished {
            return Err(Error::invalid("a log record must be finished before it is appended"));
        }
        let header = Header {
            timestamp: self.timestamp.as_micros().into(),
            length: (self.body.len() as u32).into(),
            body_sum: self.body_sum.into(),
            branch: self.branch.into(),
            flags: self.flags.into(),
            ..Header::of_kind(KIND_COMMIT)
        };
        Ok((header, &self.body))
    }
}

impl Header {
    /// An empty header of this kind.
    pub(crate) fn of_kind(kind: u8) -> Header {
        Header { kind, body_sum: checksum(0, &[]).into(), ..Header::new_zeroed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_believed_only_where_it_was_written() {
        let mut header = Header {
            position: 64.into(),
            durable: 64.into(),
            generation: 1.into(),
            ..Header::of_kind(KIND_MARK)
        };
        header.checksum = header.sum().into();
        assert_eq!(Header::parse(header.as_bytes(), 64), Some(header));
        assert_eq!(Header::parse(header.as_bytes(), 65), None, "recycled space");
        header.durable = 65.into();
        header.checksum = header.sum().into();
        assert_eq!(Header::parse(header.as_bytes(), 64), None, "it can't know the future");
        assert_eq!(Header::parse(&[0; RECORD_HEADER_BYTES], 0), None, "preallocated space");
    }
}
