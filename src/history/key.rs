//! The keys of history: order by key, and within a key from the newest version to the oldest.
//!
//! ```text
//! key with each 00 byte written as 00 FF | 00 00 | inverted start, 8 bytes big-endian
//! ```
//!
//! The escape makes the order of these bytes the order of `(key, start descending)` even where one key is the beginning of
//! another: 00 00 sorts below 00 FF and below every other byte.

use dosql_base::{Error, Result, Timestamp};

const INVERTED: usize = 8;

/// Room for a history key; most need no more.
pub(crate) type Buffer = smallvec::SmallVec<[u8; 64]>;

fn put_escaped(out: &mut impl Extend<u8>, key: &[u8]) {
    for piece in key.split_inclusive(|&byte| byte == 0) {
        out.extend(piece.iter().copied());
        if piece.ends_with(&[0]) {
            out.extend([0xFF]);
        }
    }
    out.extend([0]);
}

/// Replaces `out` by the history key of the version of `key` that began at `start`.
pub(crate) fn encode(out: &mut Vec<u8>, key: &[u8], start: Timestamp) {
    out.clear();
    append(out, key, start);
}

/// Appends the history key of the version of `key` that began at `start` to `out`.
pub(crate) fn append(out: &mut impl Extend<u8>, key: &[u8], start: Timestamp) {
    put_escaped(out, key);
    out.extend([0]);
    out.extend((!start.as_micros()).to_be_bytes());
}

/// What the history keys of all versions of a key begin with, of one of them.
pub(crate) fn of_all(encoded: &[u8]) -> &[u8] {
    &encoded[..encoded.len().saturating_sub(INVERTED)]
}

/// Replaces `out` by a bound below every version of `key` and above every version of smaller keys.
pub(crate) fn encode_before(out: &mut Vec<u8>, key: &[u8]) {
    out.clear();
    put_escaped(out, key);
    out.push(0);
}

/// Replaces `out` by a bound above every version of `key` and below every version of greater keys.
pub(crate) fn encode_after(out: &mut Vec<u8>, key: &[u8]) {
    out.clear();
    put_escaped(out, key);
    out.push(1);
}

/// Reads what [`encode`] wrote: `key` is replaced by the key, the start is returned.
pub(crate) fn decode(encoded: &[u8], key: &mut Vec<u8>) -> Result<Timestamp> {
    match place(encoded, key)? {
        Place::At(start) => Ok(start),
        Place::First | Place::Before | Place::After => Err(malformed()),
    }
}

/// Where a history key, or a bound for some, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before all.
    First,
    /// Before all versions of the key.
    Before,
    /// At the version that began then.
    At(Timestamp),
    /// After all versions of the key.
    After,
}

/// Reads what [`encode`], [`encode_before`] or [`encode_after`] wrote, or nothing: `key` is replaced by the key.
pub(crate) fn place(encoded: &[u8], key: &mut Vec<u8>) -> Result<Place> {
    key.clear();
    if encoded.is_empty() {
        return Ok(Place::First);
    }
    let mut rest = encoded;
    let after = loop {
        let zero = memchr(rest).ok_or_else(malformed)?;
        key.extend_from_slice(&rest[..zero]);
        let marker = rest.get(zero + 1).ok_or_else(malformed)?;
        rest = &rest[zero + 2..];
        match marker {
            0xFF => key.push(0),
            0 => break false,
            1 => break true,
            _ => return Err(malformed()),
        }
    };
    if rest.is_empty() {
        return Ok(if after { Place::After } else { Place::Before });
    }
    let inverted: [u8; INVERTED] = rest.try_into().map_err(|_| malformed())?;
    if after {
        Err(malformed())
    } else {
        Ok(Place::At(Timestamp::from_micros(!u64::from_be_bytes(inverted))))
    }
}

fn malformed() -> Error {
    Error::corrupt("a history key is not well formed", "history run")
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keys_order_by_key_then_newest_first() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"\0\x01", b"\0\xFF", b"a", b"a\0", b"ab", b"a\xFF\xF9\xFF"];
        let starts = [u64::MAX - 1, 1_700_000_000_000_000, 2, 1, 0];
        let mut all = Vec::new();
        for key in keys {
            for start in starts {
                all.push((key.to_vec(), start));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let encoded: Vec<Vec<u8>> = all
            .iter()
            .map(|(key, start)| {
                let mut out = Vec::new();
                encode(&mut out, key, Timestamp::from_micros(*start));
                let mut back = Vec::new();
                assert_eq!(decode(&out, &mut back).unwrap(), Timestamp::from_micros(*start));
                assert_eq!(&back, key);
                out
            })
            .collect();
        assert!(encoded.is_sorted());
        for (at, (key, _)) in all.iter().enumerate() {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            encode_before(&mut before, key);
            encode_after(&mut after, key);
            for (other, (other_key, _)) in all.iter().enumerate() {
                if other_key == key {
                    assert!(before < encoded[other] && encoded[other] < after, "{at}");
                } else if other_key < key {
                    assert!(encoded[other] < before);
                } else {
                    assert!(encoded[other] > after);
                }
            }
        }
    }

    #[test]
    fn a_history_key_is_these_bytes() {
        let mut out = Vec::new();
        encode(&mut out, b"a\0b", Timestamp::from_micros(0x0102));
        assert_eq!(out, b"a\0\xFFb\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFE\xFD");
    }

    #[test]
    fn a_bound_says_on_which_side_of_its_key_it_stands() {
        let (mut out, mut key) = (Vec::new(), Vec::new());
        encode_before(&mut out, b"a\0");
        assert_eq!((place(&out, &mut key).unwrap(), key.as_slice()), (Place::Before, &b"a\0"[..]));
        encode_after(&mut out, b"a\0");
        assert_eq!((place(&out, &mut key).unwrap(), key.as_slice()), (Place::After, &b"a\0"[..]));
        assert_eq!(place(&[], &mut key).unwrap(), Place::First);
    }

    #[test]
    fn a_malformed_history_key_is_corrupt() {
        let mut key = Vec::new();
        for bytes in [
            &b""[..],
            b"abc",
            b"a\0",
            b"a\0\x07",
            b"a\0\0",
            b"a\0\x001234567",
            b"a\0\x00123456789",
            b"a\0\x0112345678",
        ] {
            assert!(decode(bytes, &mut key).is_err(), "{bytes:?}");
        }
    }
}
