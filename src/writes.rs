//! A transaction's own writes: a sorted map of the newest change of each key, and an undo list for savepoints.

use std::ops::Bound;

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result};
use dosql_sql::KeyRange;

use crate::changes::{Change, Changes, Key, Stored};

/// The private map. While a mark is set every change remembers what it replaced.
#[derive(Default)]
pub(crate) struct Writes {
    changes: Changes,
    /// Bytes of keys and values of the changes and of the undo list.
    bytes: usize,
    /// Of them, those of the undo list: of changes that it replaced.
    undo_bytes: usize,
    undo: Vec<Undo>,
    marks: Vec<Mark>,
    next_mark: u64,
}

struct Undo {
    key: Key,
    /// What the map held before; `None` is "nothing".
    before: Option<Stored>,
}

struct Mark {
    id: u64,
    undo_len: usize,
}

/// What an estimate is worth: a transaction with more writes than this in a range has "many" there.
const MOST_COUNTED: usize = 4096;

impl Writes {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of keys and values held, those kept for savepoints included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Takes the changes out; what remains is empty, its marks gone.
    pub(crate) fn take(&mut self) -> Changes {
        std::mem::take(self).changes
    }

    /// What this transaction did to `key`, if anything.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Change<'_>> {
        self.changes.get(key)
    }

    /// How many keys in `range` were put; counting stops at [`MOST_COUNTED`], since this serves estimates.
    pub(crate) fn count_in(&self, range: &KeyRange) -> u64 {
        let changes = self.changes.range(Bound::Included(&range.start), Bound::Excluded(&range.end));
        changes.take(MOST_COUNTED).filter(|(_, change)| change.is_some()).count() as u64
    }

    pub(crate) fn set(&mut self, key: &[u8], change: Change<'_>) {
        let size = key.len() + change.map_or(0, <[u8]>::len);
        let remember = !self.marks.is_empty();
        self.bytes = self.bytes.saturating_add(size);
        let (kept, before) = self.changes.insert(key, change, remember);
        let replaced = before.map_or(0, |before| key.len() + before.len());
        if remember {
            self.undo_bytes = self.undo_bytes.saturating_add(replaced);
            self.undo.push(Undo { key: kept, before });
        } else {
            self.bytes = self.bytes.saturating_sub(replaced);
            self.changes.tidy();
        }
    }

    pub(crate) fn savepoint(&mut self) -> u64 {
        self.next_mark += 1;
        self.marks.push(Mark { id: self.next_mark, undo_len: self.undo.len() });
        self.next_mark
    }

    fn place(&self, mark: u64) -> Result<usize> {
        let place = self.marks.iter().rposition(|other| other.id == mark);
        place.ok_or_else(|| {
            Error::invalid(format!("savepoint {mark} is not set: it was released or rolled back over"))
        })
    }

    pub(crate) fn rollback_to(&mut self, mark: u64) -> Result<()> {
        let place = self.place(mark)?;
        let keep = self.marks[place].undo_len;
        self.marks.truncate(place + 1);
        if weakened("savepoint-not-rolled-back") {
            return Ok(());
        }
        for Undo { key, before } in self.undo.drain(keep..).rev() {
            if let Some(before) = before {
                self.undo_bytes = self.undo_bytes.saturating_sub(key.len() + before.len());
            }
            let undone = self.changes.restore(key, before);
            self.bytes = self.bytes.saturating_sub(key.len() + undone);
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, mark: u64) -> Result<()> {
        let place = self.place(mark)?;
        self.marks.truncate(place);
        if self.marks.is_empty() {
            self.undo.clear();
            self.bytes = self.bytes.saturating_sub(std::mem::take(&mut self.undo_bytes));
            self.changes.tidy();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Change<'_> {
        Some(text.as_bytes())
    }

    #[test]
    fn rolling_back_restores_what_each_nested_savepoint_saw() {
        let mut writes = Writes::default();
        writes.set(b"a", value("1"));
        let outer = writes.savepoint();
        writes.set(b"a", value("2"));
        let inner = writes.savepoint();
        writes.set(b"a", None);
        writes.set(b"b", value("3"));
        writes.rollback_to(inner).unwrap();
        assert_eq!(writes.get(b"a"), Some(value("2")));
        assert_eq!(writes.get(b"b"), None);
        writes.set(b"b", value("4"));
        writes.rollback_to(outer).unwrap();
        assert_eq!(writes.get(b"a"), Some(value("1")));
        assert_eq!(writes.get(b"b"), None);
        assert!(writes.rollback_to(inner).is_err());
        writes.rollback_to(outer).unwrap();
        writes.release(outer).unwrap();
        assert_eq!(writes.bytes(), 2);
    }

    #[test]
    fn the_size_counts_what_is_held() {
        let mut writes = Writes::default();
        writes.set(b"key", value("value"));
        writes.set(b"key", value("v"));
        assert_eq!(writes.bytes(), 4);
        let mark = writes.savepoint();
        writes.set(b"key", value("22"));
        assert_eq!(writes.bytes(), 9);
        writes.rollback_to(mark).unwrap();
        assert_eq!(writes.bytes(), 4);
        writes.set(b"key", None);
        let inner = writes.savepoint();
        writes.set(b"key", value("333"));
        writes.set(b"other", value("1"));
        assert_eq!(writes.bytes(), 4 + 3 + 6 + 6);
        writes.release(inner).unwrap();
        assert_eq!(writes.bytes(), 4 + 3 + 6 + 6);
        writes.release(mark).unwrap();
        assert_eq!(writes.bytes(), 6 + 6);
    }
}
