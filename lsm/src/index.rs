//! What index entries say about the blocks below them.
//!
//! ```text
//! partition entry (key: at or above the last key of a data block, below the first of the next)
//!   varints: offset, length, entries, tombstones, min start, max start - min start, 0 or max end - min start
//! top entry (key: the same of a partition's last data block)
//!   varints: offset, length, offset and length of its filter (0, 0 for none)
//! ```
//!
//! The 0 stands for an end that has not come. Where versions of one key run on into the next block, the entry's key is that
//! very key, so that the first entry at or above a key is where its newest version is.

use dosql_base::codec::{Reader, put_varint};
use dosql_base::{Error, Result, Timestamp};

use crate::frame::Handle;
use crate::version::{Kind, Stamp};

/// What the index knows of a data block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockInfo {
    pub(crate) handle: Handle,
    pub(crate) span: Span,
}

/// What versions lie in a block or a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) entries: u64,
    pub(crate) tombstones: u64,
    pub(crate) min_start: Timestamp,
    pub(crate) max_start: Timestamp,
    pub(crate) max_end: Timestamp,
}

impl Span {
    pub(crate) const EMPTY: Span = Span {
        entries: 0,
        tombstones: 0,
        min_start: Timestamp::MAX,
        max_start: Timestamp::ZERO,
        max_end: Timestamp::ZERO,
    };

    pub(crate) fn add(&mut self, stamp: &Stamp) {
        self.entries += 1;
        self.tombstones += u64::from(stamp.kind == Kind::Tombstone);
        self.min_start = self.min_start.min(stamp.start);
        self.max_start = self.max_start.max(stamp.start);
        self.max_end = self.max_end.max(stamp.end);
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let min = self.min_start.as_micros();
        put_varint(out, self.entries);
        put_varint(out, self.tombstones);
        put_varint(out, min);
        put_varint(out, self.max_start.as_micros().saturating_sub(min));
        let current = self.max_end == Timestamp::MAX;
        put_varint(out, if current { 0 } else { self.max_end.as_micros().saturating_sub(min) });
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Span> {
        let (entries, tombstones) = (reader.varint()?, reader.varint()?);
        let min = reader.varint()?;
        let (max_start, life) = (min.checked_add(reader.varint()?), reader.varint()?);
        let max_end = if life == 0 { Some(u64::MAX) } else { min.checked_add(life) };
        let (max_start, max_end) = max_start.zip(max_end).ok_or_else(bad_handle)?;
        Ok(Span {
            entries,
            tombstones,
            min_start: Timestamp::from_micros(min),
            max_start: Timestamp::from_micros(max_start),
            max_end: Timestamp::from_micros(max_end),
        })
    }
}

fn bad_handle() -> Error {
    Error::corrupt("a segment's index points out of range", "index entry")
}

fn put_handle(out: &mut Vec<u8>, handle: Handle) {
    put_varint(out, handle.offset);
    put_varint(out, handle.length.into());
}

fn read_handle(reader: &mut Reader<'_>) -> Result<Handle> {
    let handle = Handle { offset: reader.varint()?, length: reader.varint_u32()? };
    handle.end().map(|_| handle).ok_or_else(bad_handle)
}

impl BlockInfo {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_handle(out, self.handle);
        self.span.encode(out);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<BlockInfo> {
        let mut reader = Reader::new(bytes, "index entry");
        let info = BlockInfo { handle: read_handle(&mut reader)?, span: Span::decode(&mut reader)? };
        reader.finish().map(|()| info)
    }
}

/// What the top index knows of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    pub(crate) index: Handle,
    pub(crate) filter: Handle,
}

impl PartitionInfo {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_handle(out, self.index);
        put_handle(out, self.filter);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<PartitionInfo> {
        let mut reader = Reader::new(bytes, "top index entry");
        let info = PartitionInfo { index: read_handle(&mut reader)?, filter: read_handle(&mut reader)? };
        reader.finish().map(|()| info)
    }
}

/// The shortest key at or above `last` and below `next`; `last` itself where the same key goes on.
pub(crate) fn separator<'k>(last: &'k [u8], next: &'k [u8], buffer: &'k mut Vec<u8>) -> &'k [u8] {
    let shared = last.iter().zip(next).take_while(|(a, b)| a == b).count();
    // Cutting `next` after the first byte that differs gives a key above `last`; it must stay below `next`.
    if shared + 1 < last.len() && shared + 1 < next.len() {
        buffer.clear();
        buffer.extend_from_slice(&next[..=shared]);
        return buffer;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_short_and_lies_between() {
        let cases: [(&[u8], &[u8], &[u8]); 6] = [
            (b"apple-pie", b"banana", b"b"),
            (b"table/0001/x", b"table/0002/y", b"table/0002"),
            (b"a", b"b", b"a"),
            (b"same", b"same", b"same"),
            (b"ab", b"abc", b"ab"),
            (b"abcd", b"ac", b"abcd"),
        ];
        for (last, next, expected) in cases {
            let mut buffer = Vec::new();
            let found = separator(last, next, &mut buffer);
            assert_eq!(found, expected);
            assert!(last <= found && (found < next || last == next));
        }
    }

    #[test]
    fn infos_come_back_and_are_these_bytes() {
        let mut span = Span::EMPTY;
        let at = Timestamp::from_micros;
        span.add(&Stamp { start: at(5), end: at(9), kind: Kind::Put });
        span.add(&Stamp { start: at(3), end: at(5), kind: Kind::Tombstone });
        let info = BlockInfo { handle: Handle { offset: 300, length: 40 }, span };
        let mut bytes = Vec::new();
        info.encode(&mut bytes);
        assert_eq!(bytes, [0xAC, 2, 40, 2, 1, 3, 2, 6]);
        assert_eq!(BlockInfo::decode(&bytes).unwrap(), info);
        let partition = PartitionInfo { index: info.handle, filter: Handle::default() };
        let mut bytes = Vec::new();
        partition.encode(&mut bytes);
        assert_eq!(bytes, [0xAC, 2, 40, 0, 0]);
        assert_eq!(PartitionInfo::decode(&bytes).unwrap(), partition);
    }
}
