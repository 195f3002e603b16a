//! A blocked Bloom filter: every key sets its bits within one line of 64 bytes, so that a look-up touches one cache line
//! (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007).
//!
//! ```text
//! 0  4  lines    number of lines, at least 1
//! 4  1  probes   bits a key sets, 1 to 16
//! 5  3  reserved 0
//! 8     lines of 64 bytes; bit b of a line is bit b % 8 of its byte b / 8
//! ```
//!
//! Of a key's hash the high half picks the line, `high * lines >> 32`. The low half picks the bits: its top nine bits,
//! then multiplied by 0x9E3779B9 for the next.

use dosql_base::{Error, Result};

const HEADER: usize = 8;
const LINE: usize = 64;

/// A filter with about `bits_per_key` bits for each of `hashes` (distinct keys).
pub(crate) fn build(hashes: &[u64], bits_per_key: u32) -> Vec<u8> {
    let bits = (hashes.len() as u64).saturating_mul(u64::from(bits_per_key));
    let lines = bits.div_ceil(LINE as u64 * 8).clamp(1, 1 << 24) as u32;
    // 0.69 of the bits a key is best for a plain filter, and close to it for a blocked one.
    let probes = (bits_per_key * 69 / 100).clamp(1, 16) as u8;
    let mut bytes = vec![0; HEADER + lines as usize * LINE];
    bytes[..4].copy_from_slice(&lines.to_le_bytes());
    bytes[4] = probes;
    for &hash in hashes {
        let line = line_of(hash, lines);
        for bit in bits_of(hash, probes) {
            bytes[line + bit / 8] |= 1 << (bit % 8);
        }
    }
    bytes
}

fn line_of(hash: u64, lines: u32) -> usize {
    let line = ((hash >> 32) * u64::from(lines)) >> 32;
    HEADER + line as usize * LINE
}

fn bits_of(hash: u64, probes: u8) -> impl Iterator<Item = usize> {
    let mut low = hash as u32;
    (0..probes).map(move |_| {
        let bit = low >> 23;
        low = low.wrapping_mul(0x9E37_79B9);
        bit as usize
    })
}

/// A filter: tells for certain of most keys that they are not among those that it was built from.
#[derive(Debug)]
pub struct Filter {
    bytes: Vec<u8>,
    lines: u32,
    probes: u8,
}

impl Filter {
    /// A filter of distinct keys by their hashes (see [`crate::hash64`]), with about `bits_per_key` bits for each: ten find all but
    /// one of a hundred of the others out.
    #[must_use]
    pub fn of(hashes: &[u64], bits_per_key: u32) -> Filter {
        let bytes = build(hashes, bits_per_key);
        let (lines, probes) = ((bytes.len() / LINE) as u32, bytes[4]);
        Filter { bytes, lines, probes }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Checks the filter's form, so that a look-up can't fail.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Filter> {
        let bad = || Error::corrupt("a segment's filter has a wrong form", "filter partition");
        let header = bytes.first_chunk::<HEADER>().ok_or_else(bad)?;
        let [a, b, c, d, probes, ..] = *header;
        let lines = u32::from_le_bytes([a, b, c, d]);
        let sound = lines > 0
            && (1..=16).contains(&probes)
            && bytes.len() as u64 == HEADER as u64 + u64::from(lines) * LINE as u64;
        if sound { Ok(Filter { bytes, lines, probes }) } else { Err(bad()) }
    }

    /// Whether a key of this hash may be among those that it was built from; false is certain.
    #[must_use]
    pub fn may_contain(&self, hash: u64) -> bool {
        let line = line_of(hash, self.lines);
        bits_of(hash, self.probes).all(|bit| self.bytes[line + bit / 8] & (1 << (bit % 8)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash64;

    #[test]
    fn every_key_is_found_and_few_others_are() {
        let hash = |i: u32| hash64(format!("key/{i}").as_bytes());
        let hashes: Vec<u64> = (0..20_000).map(hash).collect();
        let filter = Filter::parse(build(&hashes, 10)).unwrap();
        assert!(hashes.iter().all(|&hash| filter.may_contain(hash)));
        let wrong = (20_000..120_000).filter(|&i| filter.may_contain(hash(i))).count();
        assert!(wrong < 2_000, "{wrong} of 100000: at most 2 % at ten bits a key");
    }

    #[test]
    fn a_filter_is_these_bytes_and_another_form_is_corrupt() {
        let bytes = build(&[0x8000_0000_0080_0000], 10);
        assert_eq!(bytes.len(), 8 + 64);
        assert_eq!(bytes[..8], [1, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(bytes[8] & 2, 2, "the first probe is bit 1");
        for len in 0..bytes.len() {
            assert!(Filter::parse(bytes[..len].to_vec()).is_err(), "{len} bytes");
        }
        for (index, value) in [(0, 0), (0, 2), (3, 1), (4, 0), (4, 17)] {
            let mut wrong = bytes.clone();
            wrong[index] = value;
            assert!(Filter::parse(wrong).is_err(), "byte {index} = {value}");
        }
    }
}
