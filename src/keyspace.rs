//! Keyspaces: named maps inside the one ordered map, each a range of keys with a number in front.
//!
//! ```text
//! 0 | 'k' | name   -> number, ordered u32     the catalog of keyspaces, in the map itself: versioned like everything
//! 0 | 'n'          -> the next free number
//! number | key     -> value                   numbers from 2^31 up; SQL's tables and indexes have those below
//! ```

use std::fmt;
use std::sync::{Arc, OnceLock};

use dosql_base::codec::{get_ordered_u32, ordered_u32};
use dosql_base::{Error, Result, Timestamp};
use dosql_sql::KeyRange;
use smallvec::SmallVec;

use crate::limits::{FIRST_KEYSPACE, check_name};

/// A complete key: the number of its map, then the caller's bytes.
pub(crate) type FullKey = SmallVec<[u8; 64]>;

/// The number of the catalog of keyspaces.
const CATALOG: u8 = 0;

/// A named map. Cheap to clone; belongs to the database that made it.
#[derive(Clone)]
pub struct Keyspace(Arc<Inner>);

/// What a row of the catalog said.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) number: u32,
    pub(crate) since: Timestamp,
    pub(crate) branch: u32,
}

struct Inner {
    name: String,
    /// Known once a committed transaction has made it, from which commit on, and on which branch: there it is never renumbered.
    number: OnceLock<Known>,
}

impl Keyspace {
    pub(crate) fn new(name: &str) -> Result<Self> {
        check_name(name)?;
        Ok(Keyspace(Arc::new(Inner { name: name.to_owned(), number: OnceLock::new() })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its number on a branch, if it is known, and a commit at which it was there.
    pub(crate) fn number(&self, branch: u32) -> Option<(u32, Timestamp)> {
        let known = self.0.number.get().filter(|known| known.branch == branch)?;
        Some((known.number, known.since))
    }

    /// Remembers what a catalog row says.
    pub(crate) fn remember(&self, known: Known) {
        let _ = self.0.number.set(known);
    }

    /// Where the catalog keeps its number.
    pub(crate) fn catalog_key(&self) -> Vec<u8> {
        let mut key = vec![CATALOG, b'k'];
        key.extend_from_slice(self.0.name.as_bytes());
        key
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyspace").field(&self.name()).finish()
    }
}

/// The keys under which the catalog keeps numbers.
pub(crate) fn catalog_range() -> KeyRange {
    KeyRange { start: vec![CATALOG, b'k'], end: vec![CATALOG, b'k' + 1] }
}

/// The name of the keyspace whose number the catalog keeps under `key`, if it keeps one there.
pub(crate) fn name_in_catalog(key: &[u8]) -> Option<&str> {
    let name = key.strip_prefix(&[CATALOG, b'k'])?;
    std::str::from_utf8(name).ok()
}

/// Where the catalog keeps the next free number.
pub(crate) const NEXT_NUMBER: &[u8] = &[CATALOG, b'n'];

/// `key` in the map of this number.
pub(crate) fn full_key(number: u32, key: &[u8]) -> FullKey {
    let (prefix, len) = ordered_u32(number);
    let mut full = FullKey::with_capacity(len + key.len());
    full.extend_from_slice(&prefix[..len]);
    full.extend_from_slice(key);
    full
}

/// The length of the number in front of every key of the map.
pub(crate) fn prefix_len(number: u32) -> usize {
    ordered_u32(number).1
}

pub(crate) fn encode_number(number: u32) -> Vec<u8> {
    full_key(number, &[]).to_vec()
}

pub(crate) fn decode_number(bytes: &[u8]) -> Result<u32> {
    match get_ordered_u32(bytes) {
        Some((number, len)) if len == bytes.len() && number >= FIRST_KEYSPACE => Ok(number),
        _ => Err(Error::corrupt("a row of the catalog of keyspaces is not well formed", "keyspace 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_keyspaces_lie_above_those_of_tables_and_apart() {
        let table = full_key(FIRST_KEYSPACE - 1, &[0xFF; 9]);
        let first = full_key(FIRST_KEYSPACE, b"");
        let next = full_key(FIRST_KEYSPACE + 1, b"");
        assert!(table < first && full_key(FIRST_KEYSPACE, &[0xFF; 9]) < next);
        assert_eq!(decode_number(&encode_number(FIRST_KEYSPACE + 7)).unwrap(), FIRST_KEYSPACE + 7);
        assert!(decode_number(&[5]).is_err() && decode_number(&[]).is_err());
    }

    #[test]
    fn the_catalog_of_keyspaces_keeps_its_bytes() {
        assert_eq!(Keyspace::new("users").unwrap().catalog_key(), b"\0kusers");
        assert_eq!(NEXT_NUMBER, b"\0n");
        assert_eq!(encode_number(FIRST_KEYSPACE + 1), [0xFB, 0x80, 0, 0, 1]);
        assert_eq!(full_key(FIRST_KEYSPACE, b"ada")[..], *b"\xFB\x80\0\0\0ada");
    }
}
