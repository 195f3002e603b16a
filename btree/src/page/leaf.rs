//! The entries of a leaf, after the rest of their key:
//!
//! ```text
//! varint zigzag(version - base) | varint (len << 2 | kind) | len bytes
//! kind 0: the value   1: tombstone (len 0)   2: overflow (len 16): first page u48 | epoch u48 | value length u32
//! ```

use dosql_base::Timestamp;
use dosql_base::codec::get_varint;

use super::format::{get_u48, put_u48};

/// What the bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The value itself.
    Inline,
    /// Nothing: the key is deleted.
    Tombstone,
    /// A reference to overflow pages.
    Overflow,
}

/// The length of a reference to overflow pages.
pub(crate) const OVERFLOW_REF: usize = 16;

/// An entry of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeafValue<'a> {
    pub(crate) version: Timestamp,
    pub(crate) kind: Kind,
    /// The value, or the reference to it.
    pub(crate) bytes: &'a [u8],
    /// Where `bytes` begins, counted from the start of the payload.
    pub(crate) start: usize,
    /// How long the payload is.
    pub(crate) size: usize,
}

/// Where a long value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverflowRef {
    pub(crate) first: u64,
    pub(crate) epoch: u64,
    pub(crate) len: u32,
}

impl OverflowRef {
    pub(crate) fn to_bytes(self) -> [u8; OVERFLOW_REF] {
        let mut bytes = [0; OVERFLOW_REF];
        put_u48(&mut bytes, self.first);
        put_u48(&mut bytes[6..], self.epoch);
        bytes[12..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// Reads a reference; `None` where the bytes are too few.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<OverflowRef> {
        let len = u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?);
        Some(OverflowRef { first: get_u48(bytes), epoch: get_u48(&bytes[6..]), len })
    }
}

#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes {
        [a, ..] if *a < 0x80 => Some((u64::from(*a), 1)),
        [a, b, ..] if *b < 0x80 => Some((u64::from(*a & 0x7f) | u64::from(*b) << 7, 2)),
        _ => longer_varint(bytes),
    }
}

/// A varint of up to eight bytes from one load, as the Timestamps of a busy leaf are.
#[inline]
fn longer_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let Some(chunk) = bytes.first_chunk::<8>() else { return get_varint(bytes) };
    let word = u64::from_le_bytes(*chunk);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return get_varint(bytes);
    }
    let len = ends.trailing_zeros() as usize / 8 + 1;
    let word = word & (u64::MAX >> (64 - 8 * len));
    // Seven bits of each byte, drawn together: pairs, then fours, then all.
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    Some(((fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4, len))
}

/// Reads the entry at the start of `payload`; `None` where it is not one.
#[inline]
pub(crate) fn decode(payload: &[u8], base: u64) -> Option<LeafValue<'_>> {
    let (delta, first) = varint(payload)?;
    let (tag, second) = varint(&payload[first..])?;
    let delta = (delta >> 1) as i64 ^ -((delta & 1) as i64);
    let start = first + second;
    let len = usize::try_from(tag >> 2).ok()?;
    let bytes = payload[start..].get(..len)?;
    let kind = match tag & 3 {
        0 => Kind::Inline,
        1 if len == 0 => Kind::Tombstone,
        2 if len == OVERFLOW_REF => Kind::Overflow,
        _ => return None,
    };
    let version = Timestamp::from_micros(base.wrapping_add_signed(delta));
    Some(LeafValue { version, kind, bytes, start, size: start + len })
}

/// Two of the longest varints.
const PRELUDE: usize = 20;

/// What goes in front of the bytes of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Prelude {
    bytes: [u8; PRELUDE],
    len: usize,
}

impl Prelude {
    /// The prelude of an entry of `len` bytes.
    #[inline]
    pub(crate) fn new(base: u64, version: Timestamp, kind: Kind, len: usize) -> Prelude {
        let delta = version.as_micros().wrapping_sub(base) as i64;
        let tag = match kind {
            Kind::Inline => 0,
            Kind::Tombstone => 1,
            Kind::Overflow => 2,
        };
        let mut prelude = Prelude { bytes: [0; PRELUDE], len: 0 };
        prelude.push(((delta << 1) ^ (delta >> 63)) as u64);
        prelude.push((len as u64) << 2 | tag);
        prelude
    }

    #[inline]
    fn push(&mut self, value: u64) {
        if value >= 1 << 56 {
            return self.push_long(value);
        }
        // Sevens of bits, drawn apart: fours of them, pairs, then each in a byte of its own.
        let fours = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
        let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours & 0x0fff_c000_0fff_c000) << 2;
        let word = (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1;
        let len = 8 - (word | 1).leading_zeros() as usize / 8;
        // All but the last of them say that another follows.
        let follows = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
        if let Some(to) = self.bytes[self.len..].first_chunk_mut() {
            *to = (word | follows).to_le_bytes();
        }
        self.len += len;
    }

    #[cold]
    fn push_long(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes[self.len] = value as u8 | 0x80;
            self.len += 1;
            value >>= 7;
        }
        self.bytes[self.len] = value as u8;
        self.len += 1;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip_with_versions_on_either_side_of_the_base() {
        for (base, version) in [(100, 100), (100, 90), (0, u64::MAX), (u64::MAX, 0), (5, 1 << 50)] {
            let prelude = Prelude::new(base, Timestamp::from_micros(version), Kind::Inline, 3);
            let mut bytes = prelude.as_slice().to_vec();
            bytes.extend_from_slice(b"abcdef");
            let value = decode(&bytes, base).unwrap();
            assert_eq!((value.version.as_micros(), value.bytes), (version, &b"abc"[..]));
            assert_eq!(value.size, bytes.len() - 3);
        }
    }

    #[test]
    fn varints_of_every_length_read_as_they_were_written_whatever_follows() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1 << bits) - 1, u64::MAX >> bits] {
                let mut bytes = Vec::new();
                dosql_base::codec::put_varint(&mut bytes, value);
                let len = bytes.len();
                for follows in [0x00, 0x7F, 0x80, 0xFF] {
                    bytes.truncate(len);
                    assert_eq!(varint(&bytes), Some((value, len)));
                    bytes.resize(len + 9, follows);
                    assert_eq!(varint(&bytes), Some((value, len)));
                }
                assert_eq!(varint(&bytes[..len - 1]), None);
            }
        }
    }

    #[test]
    fn varints_of_every_length_are_written_in_as_few_bytes_as_anywhere() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1 << bits) - 1, u64::MAX >> bits, 0x5555_5555_5555_5555 >> bits] {
                let (mut bytes, mut prelude) = (Vec::new(), Prelude { bytes: [0; PRELUDE], len: 0 });
                dosql_base::codec::put_varint(&mut bytes, value);
                prelude.push(value);
                assert_eq!(prelude.as_slice(), bytes, "{value:#x}");
                prelude.push(value);
                assert_eq!(prelude.as_slice(), [&bytes[..], &bytes].concat(), "{value:#x}");
            }
        }
    }

    #[test]
    fn an_entry_keeps_its_bytes() {
        let prelude = Prelude::new(1000, Timestamp::from_micros(1100), Kind::Overflow, OVERFLOW_REF);
        assert_eq!(prelude.as_slice(), [0xC8, 0x01, 16 << 2 | 2]);
        let reference = OverflowRef { first: 0x0102, epoch: 0x0304, len: 0x0506_0708 };
        let golden = [2, 1, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 8, 7, 6, 5];
        assert_eq!(reference.to_bytes(), golden);
        assert_eq!(OverflowRef::from_bytes(&golden), Some(reference));
    }
}
