//! A version of a row, and how a data block's entry holds it.
//!
//! ```text
//! key of the entry    the row's key
//! value of the entry  u8 tag: 1 tombstone, 2 still current; varint start - base of the block (zigzag);
//!                     varint end - start, unless current; the value
//! ```
//!
//! Entries of one key come newest first, so order is key ascending, then start descending.

use dosql_base::codec::{get_varint, put_varint};
use dosql_base::{Error, Result, Timestamp};

const TOMBSTONE: u8 = 1;
const CURRENT: u8 = 2;

/// Whether a version is a row or the absence of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The row has a value.
    Put,
    /// The row is gone. Kept where something older below might still show it.
    Tombstone,
}

/// A version, lent by a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The row's key.
    pub key: &'a [u8],
    /// The commit that made it.
    pub start: Timestamp,
    /// The commit that ended it; [`Timestamp::MAX`] while it is current.
    pub end: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Its value; empty for a tombstone.
    pub value: &'a [u8],
}

/// An entry's stamps, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) kind: Kind,
}

impl Stamp {
    pub(crate) fn encode(&self, base: u64, out: &mut Vec<u8>) {
        let current = self.end == Timestamp::MAX;
        let tombstone = self.kind == Kind::Tombstone;
        out.push(if tombstone { TOMBSTONE } else { 0 } | if current { CURRENT } else { 0 });
        let (start, end) = (self.start.as_micros(), self.end.as_micros());
        let distance = start.wrapping_sub(base) as i64;
        put_varint(out, ((distance << 1) ^ (distance >> 63)) as u64);
        if !current {
            put_varint(out, end.wrapping_sub(start));
        }
    }

    /// The stamp at the start of an entry's value, and its length.
    pub(crate) fn decode(bytes: &[u8], base: u64) -> Result<(Stamp, usize)> {
        let bad = || Error::corrupt("a segment's entry has a broken stamp", "data block");
        let (&tag, rest) = bytes.split_first().ok_or_else(bad)?;
        let (distance, start_len) = get_varint(rest).ok_or_else(bad)?;
        let distance = (distance >> 1) ^ (distance & 1).wrapping_neg();
        let start = base.wrapping_add(distance);
        let (end, end_len) = if tag & CURRENT != 0 {
            (u64::MAX, 0)
        } else {
            let (life, len) = get_varint(&rest[start_len..]).ok_or_else(bad)?;
            (start.checked_add(life).ok_or_else(bad)?, len)
        };
        if tag & !(TOMBSTONE | CURRENT) != 0 {
            return Err(Error::unsupported("a segment's entry is of a kind that this version does not know"));
        }
        let kind = if tag & TOMBSTONE != 0 { Kind::Tombstone } else { Kind::Put };
        let stamp = Stamp { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end), kind };
        Ok((stamp, 1 + start_len + end_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_come_back_from_any_base() {
        let numbers = [0, 1, 5, 1 << 40, u64::MAX - 1];
        for base in numbers {
            for start in numbers {
                for end in [start + 1, u64::MAX] {
                    for kind in [Kind::Put, Kind::Tombstone] {
                        let (start, end) = (Timestamp::from_micros(start), Timestamp::from_micros(end));
                        let stamp = Stamp { start, end, kind };
                        let mut bytes = Vec::new();
                        stamp.encode(base, &mut bytes);
                        assert_eq!(Stamp::decode(&bytes, base).unwrap(), (stamp, bytes.len()));
                        assert!(Stamp::decode(&bytes[..bytes.len() - 1], base).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn a_stamp_is_these_bytes() {
        let at = Timestamp::from_micros;
        let mut bytes = Vec::new();
        Stamp { start: at(98), end: at(400), kind: Kind::Tombstone }.encode(100, &mut bytes);
        Stamp { start: at(101), end: Timestamp::MAX, kind: Kind::Put }.encode(100, &mut bytes);
        assert_eq!(bytes, [1, 3, 0xAE, 2, 2, 2]);
    }
}
