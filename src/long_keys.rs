//! Keys that are too long for a page: the form in which keys are stored.
//!
//! ```text
//! shorter than `longest`   stored as it is
//! others                   stored under  first `longest - 8` bytes | hash of the whole key, 8 bytes big-endian
//!                          with the value  (varint length, rest of the key | varint length, value)*   ascending by rest
//! ```
//!
//! So a stored key tells by its length alone what it is: only long keys have `longest` bytes. Those whose hashes meet share a
//! bucket. Stored keys that share their first `longest - 8` bytes are a *group*: only within a group may the order of stored
//! keys differ from the order of the keys, and whoever scans puts it right (see [`crate::source`]).

use std::borrow::Cow;

use dosql_base::codec::{Reader, prefix_successor, put_bytes};
use dosql_base::{Error, Result};
use dosql_btree::Pages;
use dosql_sql::KeyRange;

/// Bytes of the hash in a stored key.
const HASH: usize = 8;
/// What history adds to a key beyond its escapes.
const HISTORY: usize = 10;

/// How the keys of a database are stored; the page size decides.
#[derive(Clone, Copy)]
pub(crate) struct KeyForm {
    longest: usize,
}

impl KeyForm {
    /// The form of keys in these pages: a stored key fits a page even where history escapes each of its bytes.
    pub(crate) fn of(pages: &Pages) -> Self {
        KeyForm { longest: (pages.limits().max_key - HISTORY) / 2 }
    }

    /// Bytes that the stored keys of a group share.
    fn shared(self) -> usize {
        self.longest - HASH
    }

    /// Whether `key` is stored under a hash.
    pub(crate) fn is_long(self, key: &[u8]) -> bool {
        key.len() >= self.longest
    }

    /// The group that a key, stored or not, belongs to, if it belongs to one.
    pub(crate) fn group(self, key: &[u8]) -> Option<&[u8]> {
        key.get(..self.shared())
    }

    /// The key under which `key` is stored.
    pub(crate) fn stored(self, key: &[u8]) -> Cow<'_, [u8]> {
        if !self.is_long(key) {
            return Cow::Borrowed(key);
        }
        let mut stored = key[..self.shared()].to_vec();
        stored.extend_from_slice(&hash(key).to_be_bytes());
        Cow::Owned(stored)
    }

    /// The range of stored keys that holds all keys of `range`: whole groups at its ends.
    pub(crate) fn stored_range(self, range: &KeyRange) -> KeyRange {
        let start = self.group(&range.start).unwrap_or(&range.start).to_vec();
        let end = match self.group(&range.end) {
            Some(group) => prefix_successor(group).unwrap_or_else(|| vec![0xFF; self.longest + 1]),
            None => range.end.clone(),
        };
        KeyRange { start, end }
    }

    /// What is stored under `stored`: a key and its value, or a bucket of them.
    pub(crate) fn entries<'e>(self, stored: &'e [u8], value: &'e [u8]) -> Result<Vec<Stored<'e>>> {
        if !self.is_long(stored) {
            return Ok(vec![(Cow::Borrowed(stored), value)]);
        }
        let bucket = bucket(value)?;
        let whole = |rest: &[u8]| [&stored[..self.shared()], rest].concat();
        Ok(bucket.into_iter().map(|(rest, value)| (Cow::Owned(whole(rest)), value)).collect())
    }

    /// The value of the long `key` in the bucket of its stored key.
    pub(crate) fn find<'b>(self, bytes: &'b [u8], key: &[u8]) -> Result<Option<&'b [u8]>> {
        let rest = &key[self.shared()..];
        Ok(bucket(bytes)?.into_iter().find(|entry| entry.0 == rest).map(|entry| entry.1))
    }

    /// The bucket after the long `key` was set or removed; `None` where nothing is left in it.
    pub(crate) fn changed(self, bytes: &[u8], key: &[u8], value: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let rest = &key[self.shared()..];
        let mut entries = bucket(bytes)?;
        entries.retain(|entry| entry.0 != rest);
        if let Some(value) = value {
            let place = entries.partition_point(|entry| entry.0 < rest);
            entries.insert(place, (rest, value));
        }
        let mut out = Vec::new();
        for (rest, value) in &entries {
            put_bytes(&mut out, rest);
            put_bytes(&mut out, value);
        }
        Ok((!entries.is_empty()).then_some(out))
    }
}

/// A key and its value.
pub(crate) type Stored<'e> = (Cow<'e, [u8]>, &'e [u8]);

/// The rests and values in a bucket.
fn bucket(bytes: &[u8]) -> Result<Vec<(&[u8], &[u8])>> {
    let mut reader = Reader::new(bytes, "a bucket of long keys");
    let mut entries: Vec<(&[u8], &[u8])> = Vec::new();
    while !reader.rest().is_empty() {
        let entry = (reader.bytes()?, reader.bytes()?);
        if entries.last().is_some_and(|last| last.0 >= entry.0) {
            return Err(Error::corrupt("a bucket of long keys is not in order", "a bucket of long keys"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// FNV-1a, 64 bits: stable, and collisions cost time only.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: KeyForm = KeyForm { longest: 20 };

    #[test]
    fn a_long_key_is_stored_under_these_bytes_and_a_short_one_as_it_is() {
        assert_eq!(*FORM.stored(&[7; 19]), [7; 19]);
        let key = b"0123456789abcdefghij";
        assert_eq!(*FORM.stored(key), *b"0123456789ab\x8E\x48\xF7\x49\xF8\x14\x98\xB1");
        assert_eq!(FORM.changed(&[], key, Some(b"v")).unwrap().unwrap(), b"\x08cdefghij\x01v");
    }

    #[test]
    fn keys_whose_hashes_meet_share_a_bucket() {
        let (a, b) = ([1; 30], [1; 40]);
        let one = FORM.changed(&[], &b, Some(b"b")).unwrap().unwrap();
        let two = FORM.changed(&one, &a, Some(b"a")).unwrap().unwrap();
        assert_eq!(FORM.find(&two, &a).unwrap(), Some(&b"a"[..]));
        assert_eq!(FORM.find(&two, &b).unwrap(), Some(&b"b"[..]));
        assert_eq!(FORM.find(&two, &[1; 31]).unwrap(), None);
        let stored = FORM.stored(&a);
        let keys = FORM.entries(&stored, &two).unwrap();
        assert_eq!(keys, [(a.to_vec().into(), &b"a"[..]), (b.to_vec().into(), &b"b"[..])]);
        let left = FORM.changed(&two, &a, None).unwrap().unwrap();
        assert_eq!(left, one);
        assert_eq!(FORM.changed(&left, &b, None).unwrap(), None);
    }

    #[test]
    fn a_malformed_bucket_is_corrupt() {
        for bytes in [&b"\x05abc"[..], b"\x01a", b"\x01b\x00\x01a\x00", b"\xFF"] {
            assert_eq!(bucket(bytes).unwrap_err().kind(), dosql_base::ErrorKind::Corrupt, "{bytes:?}");
        }
    }

    #[test]
    fn a_range_takes_in_the_whole_groups_at_its_ends() {
        let range = KeyRange { start: vec![5; 30], end: vec![6; 30] };
        let stored = FORM.stored_range(&range);
        assert_eq!(stored.start, [5; 12]);
        assert_eq!(stored.end, [&[6; 11][..], &[7]].concat());
        let short = KeyRange { start: vec![5], end: vec![6] };
        assert_eq!(FORM.stored_range(&short).end, [6]);
    }
}
