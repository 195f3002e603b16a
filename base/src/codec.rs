//! Byte codecs: varints, an order-preserving prefix for key ranges, and a [`Reader`] that checks every bound.

use crate::{Error, Result};

/// Appends `value` as LEB128: seven bits a byte, least significant first, 1 to 10 bytes.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of `value` as a varint.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Reads a varint; `None` where `bytes` ends inside it or it exceeds 64 bits. Returns the value and its length.
#[must_use]
#[inline]
pub fn get_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Appends bytes with their length in front.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends `id` so that byte order is number order: below 240 one byte, below 2288 two, else 0xF8 to 0xFB and
/// the 1 to 4 significant bytes, big-endian.
#[inline]
pub fn put_ordered_u32(out: &mut Vec<u8>, id: u32) {
    let (bytes, len) = ordered_u32(id);
    out.extend_from_slice(&bytes[..len]);
}

/// What [`put_ordered_u32`] appends: the first so many of the bytes, which are 1 to 5.
#[must_use]
#[inline]
pub fn ordered_u32(id: u32) -> ([u8; 5], usize) {
    let mut out = [0; 5];
    match id {
        0..240 => {
            out[0] = id as u8;
            (out, 1)
        }
        240..2288 => {
            let rest = id - 240;
            out[0] = 240 + (rest >> 8) as u8;
            out[1] = rest as u8;
            (out, 2)
        }
        _ => {
            let skip = (id.leading_zeros() / 8) as usize;
            let len = 4 - skip;
            out[0] = 0xF8 + (len - 1) as u8;
            out[1..=len].copy_from_slice(&id.to_be_bytes()[skip..]);
            (out, len + 1)
        }
    }
}

/// Reads what [`put_ordered_u32`] wrote: the value and its length.
#[must_use]
#[inline]
pub fn get_ordered_u32(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    match first {
        0..240 => Some((u32::from(first), 1)),
        240..0xF8 => {
            let low = *bytes.get(1)?;
            Some((240 + (u32::from(first - 240) << 8) + u32::from(low), 2))
        }
        0xF8..=0xFB => {
            let len = (first - 0xF8) as usize + 1;
            let mut value = 0u32;
            for &byte in bytes.get(1..=len)? {
                value = value << 8 | u32::from(byte);
            }
            Some((value, len + 1))
        }
        _ => None,
    }
}

/// The smallest byte string above every string that starts with `prefix`; `None` where there is none (all 0xFF).
#[must_use]
pub fn prefix_successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}

/// Reads fields off a byte string; every bound is checked, and an overrun is [`crate::ErrorKind::Corrupt`] with the
/// `what` it was given.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are a `what` ("log record", "branch row").
    #[must_use]
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Reader { bytes, at: 0, what }
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn overrun(&self) -> Error {
        Error::corrupt(format!("{} ends too early", self.what), format!("byte {}", self.at))
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.overrun())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint.
    pub fn varint(&mut self) -> Result<u64> {
        let (value, len) = get_varint(self.rest()).ok_or_else(|| self.overrun())?;
        self.at += len;
        Ok(value)
    }

    /// A varint that must fit 32 bits.
    pub fn varint_u32(&mut self) -> Result<u32> {
        let at = self.at;
        u32::try_from(self.varint()?).map_err(|_| {
            Error::corrupt(format!("{} holds a number out of range", self.what), format!("byte {at}"))
        })
    }

    /// Bytes with their length in front.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = usize::try_from(self.varint()?).map_err(|_| self.overrun())?;
        self.take(len)
    }

    /// UTF-8 text with its length in front.
    pub fn str(&mut self) -> Result<&'a str> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| {
            Error::corrupt(format!("{} holds text that is not UTF-8", self.what), format!("byte {at}"))
        })
    }

    /// Fails unless everything has been read.
    pub fn finish(self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt(format!("{} has bytes left over", self.what), format!("byte {}", self.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_width() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                assert_eq!(get_varint(&out), Some((value, out.len())));
                assert_eq!(get_varint(&out[..out.len() - 1]), None);
            }
        }
        assert_eq!(get_varint(&[0xFF; 10]), None);
    }

    /// Every format stands on these: where this fails, all of them have changed.
    #[test]
    fn the_bytes_of_numbers_and_strings_stay_as_they_are() {
        let varint = |value| {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            out
        };
        assert_eq!((varint(0), varint(127), varint(128)), (vec![0], vec![0x7F], vec![0x80, 1]));
        assert_eq!(varint(300), [0xAC, 2]);
        assert_eq!(varint(u64::MAX), [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        let ordered = |id| {
            let mut out = Vec::new();
            put_ordered_u32(&mut out, id);
            out
        };
        assert_eq!((ordered(0), ordered(239)), (vec![0], vec![0xEF]));
        assert_eq!((ordered(240), ordered(2287)), (vec![0xF0, 0], vec![0xF7, 0xFF]));
        assert_eq!((ordered(2288), ordered(0x01_0000)), (vec![0xF9, 0x08, 0xF0], vec![0xFA, 1, 0, 0]));
        assert_eq!(ordered(1 << 31), [0xFB, 0x80, 0, 0, 0]);
        let mut out = Vec::new();
        put_bytes(&mut out, b"ab");
        assert_eq!(out, b"\x02ab");
    }

    #[test]
    fn ordered_numbers_sort_as_their_bytes_do() {
        let mut values: Vec<u32> = (0..32).flat_map(|s| [1 << s, (1 << s) - 1, u32::MAX >> s]).collect();
        values.extend([0, 239, 240, 2287, 2288]);
        values.sort_unstable();
        values.dedup();
        let encoded: Vec<Vec<u8>> = values
            .iter()
            .map(|&value| {
                let mut out = Vec::new();
                put_ordered_u32(&mut out, value);
                assert_eq!(get_ordered_u32(&out), Some((value, out.len())));
                out
            })
            .collect();
        assert!(encoded.is_sorted());
    }

    #[test]
    fn the_successor_of_a_prefix_is_above_all_it_starts() {
        assert_eq!(prefix_successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_successor(&[1, 0xFF, 0xFF]), Some(vec![2]));
        assert_eq!(prefix_successor(&[0xFF]), None);
    }

    #[test]
    fn a_reader_refuses_to_run_over_the_end() {
        let mut reader = Reader::new(&[5, 1, 2], "test");
        assert!(reader.bytes().is_err());
    }
}
