//! Superseded versions, one after the other in a buffer: what a commit displaced, until it is in the memtable; and what a reader
//! has copied out of it.
//!
//! ```text
//! end, 8 bytes little-endian | value | history key      for each version
//!      the highest bit: the key was deleted
//! ```

use dosql_base::Timestamp;

use super::key;

/// The length of the end of a version in front of its value.
const END: usize = 8;
/// In the last byte of the end: no Timestamp reaches so far.
const TOMBSTONE: u8 = 0x80;

/// See the module's description.
#[derive(Default)]
pub(crate) struct Displaced {
    bytes: Vec<u8>,
    /// Where the value and the key of each version end.
    ends: Vec<(usize, usize)>,
}

/// The end and the value of a version, as they are kept together.
pub(crate) fn split(stored: &[u8]) -> (Timestamp, &[u8]) {
    match stored.split_first_chunk::<END>() {
        Some((end, value)) => {
            let mut end = *end;
            end[END - 1] &= !TOMBSTONE;
            (Timestamp::from_micros(u64::from_le_bytes(end)), value)
        }
        None => (Timestamp::ZERO, &[]),
    }
}

/// Whether a version, as it is kept, says that its key was deleted.
pub(crate) fn is_tombstone(stored: &[u8]) -> bool {
    stored.get(END - 1).is_some_and(|last| last & TOMBSTONE != 0)
}

impl Displaced {
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all. A buffer that has grown large is given back.
    pub(crate) fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        if self.bytes.capacity() > KEEP {
            *self = Displaced::default();
        }
        self.bytes.clear();
        self.ends.clear();
    }

    /// Begins a version that ended at `end`: its value is to be appended to what this returns. Then [`Displaced::keep`] or
    /// [`Displaced::drop_begun`].
    pub(crate) fn begin(&mut self, end: Timestamp) -> &mut Vec<u8> {
        self.bytes.extend_from_slice(&end.as_micros().to_le_bytes());
        &mut self.bytes
    }

    /// The value that was appended to the version begun last.
    pub(crate) fn begun(&self) -> &[u8] {
        self.bytes.get(self.begun_at() + END..).unwrap_or_default()
    }

    fn begun_at(&self) -> usize {
        self.ends.last().map_or(0, |ends| ends.1)
    }

    /// Completes the version that was begun: that of `key`, current from `start` on.
    pub(crate) fn keep(&mut self, key: &[u8], start: Timestamp) {
        let value = self.bytes.len();
        key::append(&mut self.bytes, key, start);
        self.ends.push((value, self.bytes.len()));
    }

    /// As [`Displaced::keep`]: the key was deleted.
    pub(crate) fn keep_tombstone(&mut self, key: &[u8], start: Timestamp) {
        let end = self.begun_at();
        self.bytes.truncate(end + END);
        if let Some(last) = self.bytes.get_mut(end + END - 1) {
            *last |= TOMBSTONE;
        }
        self.keep(key, start);
    }

    /// Takes the version that was begun back.
    pub(crate) fn drop_begun(&mut self) {
        self.bytes.truncate(self.begun_at());
    }

    /// Adds a version whole.
    #[cfg(test)]
    pub(crate) fn add(&mut self, key: &[u8], start: Timestamp, end: Timestamp, value: &[u8]) {
        self.begin(end).extend_from_slice(value);
        self.keep(key, start);
    }

    /// Adds a version by its history key, with its end and value as they are kept together.
    pub(crate) fn push_stored(&mut self, key: &[u8], stored: &[u8]) {
        self.bytes.extend_from_slice(stored);
        let value = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.ends.push((value, self.bytes.len()));
    }

    /// The history key of version `n`, and its end and value together; empty where there are fewer.
    pub(crate) fn get(&self, n: usize) -> (&[u8], &[u8]) {
        let Some(&(value, key)) = self.ends.get(n) else { return (&[], &[]) };
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before].1);
        (&self.bytes[value..key], &self.bytes[start..value])
    }

    /// All of them as they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).map(|n| self.get(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_was_begun_is_kept_whole_or_taken_back() {
        let at = Timestamp::from_micros;
        let mut displaced = Displaced::default();
        displaced.begin(at(3)).extend_from_slice(b"one");
        assert_eq!(displaced.begun(), b"one");
        displaced.keep(b"k", at(1));
        displaced.begin(at(4)).extend_from_slice(b"two");
        displaced.drop_begun();
        displaced.begin(at(5));
        assert_eq!(displaced.begun(), b"");
        displaced.keep(b"l", at(2));
        let mut key = Vec::new();
        key::encode(&mut key, b"k", at(1));
        assert_eq!(displaced.get(0).0, key);
        let found: Vec<_> = displaced.iter().map(|(_, stored)| split(stored)).collect();
        assert_eq!(found, [(at(3), &b"one"[..]), (at(5), b"")]);
        displaced.begin(at(6)).extend_from_slice(b"dropped");
        displaced.keep_tombstone(b"m", at(5));
        let deleted: Vec<_> =
            displaced.iter().map(|(_, stored)| (is_tombstone(stored), split(stored))).collect();
        assert_eq!(deleted[1..], [(false, (at(5), &b""[..])), (true, (at(6), b""))]);
        displaced.clear();
        assert!(displaced.is_empty());
        assert_eq!(displaced.get(0), (&b""[..], &b""[..]));
    }
}
