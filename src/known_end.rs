//! Where a map ends in a transaction's view, so that keys above it are known to be absent without a look at the tree: what an
//! ascending load asks for every row.

use std::ops::{Bound, ControlFlow};

use dosql_base::codec::{get_ordered_u32, prefix_successor};
use dosql_base::{Result, Timestamp};
use dosql_sql::storage::last_by_scan;
use dosql_sql::{Direction, KeyRange};

use crate::limits::check_value;
use crate::long_keys::KeyForm;
use crate::transaction::Transaction;

/// The end of the map that was asked about last. What a transaction sees of others never changes, so what was found once holds.
#[derive(Default)]
pub(crate) struct KnownEnd {
    /// The number that the map's keys begin with.
    map: Vec<u8>,
    /// No stored key of the map lies above this one; `None`: not known yet.
    last: Option<Vec<u8>>,
    /// Keys that were looked for in vain before the end was looked up.
    misses: u32,
}

/// So many misses make the end worth knowing.
const LOOK_AFTER: u32 = 2;

/// The number that a complete key begins with.
fn map_of(key: &[u8]) -> &[u8] {
    &key[..get_ordered_u32(key).map_or(0, |(_, len)| len)]
}

/// The first key past a map.
fn past(map: &[u8]) -> Vec<u8> {
    prefix_successor(map).unwrap_or_else(|| vec![0xFF])
}

impl KnownEnd {
    /// Whether `key` surely lies above all stored keys of its map.
    fn is_below(&self, key: &[u8]) -> bool {
        self.last.as_deref().is_some_and(|last| key > last) && key.starts_with(&self.map)
    }

    /// Whether it is the end of `map` that is known.
    fn is_of(&self, map: &[u8]) -> bool {
        self.last.is_some() && self.map == map
    }

    /// Notes that `key` is not stored; whether the end of its map should be looked up now.
    fn is_worth_knowing(&mut self, key: &[u8]) -> bool {
        let map = map_of(key);
        if self.map != map {
            *self = KnownEnd { map: map.to_vec(), ..KnownEnd::default() };
        }
        self.misses = self.misses.saturating_add(1);
        self.last.is_none() && self.misses == LOOK_AFTER
    }
}

impl Transaction {
    /// Sets a complete key unless it is there; whether it was set.
    pub(crate) fn raw_insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.before_write(key, value.len())?;
        check_value(key, value, KeyForm::of(&self.engine.pages))?;
        let there = match self.writes.get(key) {
            Some(change) => change.is_some(),
            None => self.is_stored(key)?,
        };
        if !there {
            self.writes.set(key, Some(value));
            self.reader.note_writes(self.writes.bytes());
        }
        Ok(!there)
    }

    /// Whether a complete key is stored, whatever the transaction has done to it.
    fn is_stored(&self, key: &[u8]) -> Result<bool> {
        if let Some(reads) = self.noted() {
            reads.borrow_mut().add_key(key);
        }
        if self.end.borrow().is_below(key) {
            return Ok(false);
        }
        let stored = {
            let sight = self.reader.sight();
            sight.view.get(key, sight.at)?.is_some()
        };
        if !stored && self.end.borrow_mut().is_worth_knowing(key) {
            self.find_end(map_of(key))?;
        }
        Ok(stored)
    }

    /// Looks up where a map ends in the transaction's view.
    fn find_end(&self, map: &[u8]) -> Result<()> {
        let range = KeyRange { start: map.to_vec(), end: past(map) };
        let mut scan = self.raw_scan_at(range, Direction::Backward, Timestamp::MAX);
        let mut last = None;
        loop {
            let done = self.raw_visit_past(&mut scan, 1, &mut |key, _| {
                last = Some(key.to_vec());
                Ok(ControlFlow::Break(()))
            })?;
            if done || last.is_some() {
                break;
            }
        }
        let last = Some(last.unwrap_or_else(|| map.to_vec()));
        *self.end.borrow_mut() = KnownEnd { map: map.to_vec(), last, misses: LOOK_AFTER };
        Ok(())
    }

    /// Lends the greatest key of the map whose keys begin with the number `map`; `None` where it is empty.
    pub(crate) fn raw_last<R>(&self, map: &[u8], key: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.check_open()?;
        // What is checked at commit has to note what it read: the scan does.
        if self.noted().is_none() && !self.writes.is_empty() {
            if !self.end.borrow().is_of(map) {
                self.find_end(map)?;
            }
            let (start, end) = (Bound::Included(map), past(map));
            let own = self.writes.changes().range(start, Bound::Excluded(&end)).next_back();
            // What was put above all that is stored is the last. A deleted key leaves the question open.
            if let Some((own, Some(_))) = own
                && self.end.borrow().is_below(own)
            {
                return Ok(Some(key(own)));
            }
        }
        last_by_scan(self, map, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Begin, Database, Options, Storage};

    #[test]
    fn the_last_key_and_new_keys_are_right_whatever_is_stored_put_and_deleted() {
        let mut random = fastrand::Rng::with_seed(7);
        let database = Database::open(Storage::memory(), Options::default()).unwrap();
        let mut model: std::collections::BTreeMap<Vec<u8>, ()> = std::collections::BTreeMap::new();
        for _ in 0..200 {
            let mut transaction = database.begin(Begin::Write).unwrap();
            for _ in 0..random.usize(..12) {
                // Two maps, so that the end that is known is not always the one that is asked for.
                let key = vec![random.u8(20..22), random.u8(..40)];
                match random.u8(..4) {
                    0 => {
                        transaction.raw_delete(&key).unwrap();
                        model.remove(&key);
                    }
                    1 => {
                        let map = &key[..1];
                        let last = transaction.raw_last(map, <[u8]>::to_vec).unwrap();
                        let want =
                            model.range(map.to_vec()..past(map)).next_back().map(|(key, ())| key.clone());
                        assert_eq!(last, want);
                    }
                    _ => {
                        let new = transaction.raw_insert(&key, b"value").unwrap();
                        assert_eq!(new, model.insert(key, ()).is_none());
                    }
                }
            }
            transaction.commit().unwrap();
        }
    }
}
