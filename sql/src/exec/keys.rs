//! A table from keys to dense numbers, 0, 1, 2 .. in the order of their first appearance: groups, join keys, distinct
//! rows, IN sets.
//!
//! A key of one integer column is kept as the integer; any other as its order-preserving bytes, which are equal exactly
//! where the values compare equal under their collations, and which sort as the values do.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::column::{Column, NO_ROW};
use crate::codec::encode_key;
use crate::value::{Collation, ValueRef};

/// A column of a key and how its text compares.
pub(crate) type KeyColumn<'a> = (&'a Column, Collation);

/// The table.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    /// Numbers of keys, found by their hash.
    table: HashTable<u32>,
    keys: Keys,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Keys {
    Ints(Vec<i64>),
    Bytes { buffer: Vec<u8>, ends: Vec<usize> },
}

impl Default for Keys {
    fn default() -> Self {
        Keys::Ints(Vec::new())
    }
}

const HASHER: FixedState = FixedState::with_seed(0x5EED);

fn hash_int(key: i64) -> u64 {
    HASHER.hash_one(key)
}

fn hash_bytes(key: &[u8]) -> u64 {
    HASHER.hash_one(key)
}

fn bytes_at<'a>(buffer: &'a [u8], ends: &[usize], id: usize) -> &'a [u8] {
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &buffer[start..ends[id]]
}

impl Keys {
    fn hash(&self, id: u32) -> u64 {
        match self {
            Keys::Ints(keys) => hash_int(keys[id as usize]),
            Keys::Bytes { buffer, ends } => hash_bytes(bytes_at(buffer, ends, id as usize)),
        }
    }
}

impl KeyTable {
    /// How many keys it holds.
    pub(crate) fn len(&self) -> usize {
        match &self.keys {
            Keys::Ints(keys) => keys.len(),
            Keys::Bytes { ends, .. } => ends.len(),
        }
    }

    /// Forgets the keys.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.keys = Keys::default();
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let keys = match &self.keys {
            Keys::Ints(keys) => keys.len() * 8,
            Keys::Bytes { buffer, ends } => buffer.len() + ends.len() * 8,
        };
        keys + self.table.capacity() * 5
    }

    /// Finds the number of each of `len` rows' keys, adding those that are new, and puts them into `ids`.
    pub(crate) fn insert_rows(&mut self, columns: &[KeyColumn<'_>], len: usize, ids: &mut Vec<u32>) {
        ids.clear();
        ids.reserve(len);
        if let (Some(ints), true) = (only_ints(columns), matches!(self.keys, Keys::Ints(_))) {
            ids.extend(ints.iter().map(|&key| self.insert_int(key).0));
            return;
        }
        self.use_bytes();
        for row in 0..len {
            self.encode(columns, row);
            ids.push(self.insert_scratch().0);
        }
    }

    /// Finds the number of each of `len` rows' keys, [`NO_ROW`] where there is none, and puts them into `ids`. With
    /// `nulls`, a NULL finds NULLs; else a key with a NULL finds nothing.
    pub(crate) fn find_rows(
        &mut self,
        columns: &[KeyColumn<'_>],
        len: usize,
        nulls: bool,
        ids: &mut Vec<u32>,
    ) {
        ids.clear();
        ids.reserve(len);
        if let Keys::Ints(keys) = &self.keys {
            if keys.is_empty() {
                ids.resize(len, NO_ROW);
                return;
            }
            if let Some(ints) = only_ints(columns) {
                let table = &self.table;
                ids.extend(ints.iter().map(|&key| {
                    table.find(hash_int(key), |&id| keys[id as usize] == key).copied().unwrap_or(NO_ROW)
                }));
                return;
            }
            self.use_bytes();
        }
        for row in 0..len {
            if !nulls && columns.iter().any(|(column, _)| column.get(row).is_null()) {
                ids.push(NO_ROW);
                continue;
            }
            self.encode(columns, row);
            ids.push(self.find_scratch());
        }
    }

    /// Adds a key of single values; says its number and whether it is new.
    pub(crate) fn insert_values<'v>(
        &mut self,
        values: impl Iterator<Item = (ValueRef<'v>, Collation)>,
    ) -> (u32, bool) {
        self.use_bytes();
        self.scratch.clear();
        for (value, collation) in values {
            encode_key(&mut self.scratch, value, collation, false);
        }
        self.insert_scratch()
    }

    /// Adds a key of one value; says its number and whether it is new.
    pub(crate) fn insert_one(&mut self, value: ValueRef<'_>, collation: Collation) -> (u32, bool) {
        match (&self.keys, value) {
            (Keys::Ints(_), ValueRef::Integer(key)) => self.insert_int(key),
            _ => self.insert_values(std::iter::once((value, collation))),
        }
    }

    /// Whether it holds a key of several values.
    pub(crate) fn holds_row<'v>(&self, values: impl Iterator<Item = (ValueRef<'v>, Collation)>) -> bool {
        let Keys::Bytes { buffer, ends } = &self.keys else { return false };
        let mut key = Vec::with_capacity(64);
        for (value, collation) in values {
            encode_key(&mut key, value, collation, false);
        }
        self.table
            .find(hash_bytes(&key), |&id| bytes_at(buffer, ends, id as usize) == key.as_slice())
            .is_some()
    }

    /// Adds a key with a number in front (a group); says its number and whether it is new.
    pub(crate) fn insert_in_group(
        &mut self,
        group: u32,
        columns: &[KeyColumn<'_>],
        row: usize,
    ) -> (u32, bool) {
        self.use_bytes();
        self.scratch.clear();
        self.scratch.extend_from_slice(&group.to_be_bytes());
        for (column, collation) in columns {
            encode_key(&mut self.scratch, column.get(row), *collation, false);
        }
        self.insert_scratch()
    }

    /// Whether it holds a key of one value.
    pub(crate) fn holds(&self, value: ValueRef<'_>, collation: Collation) -> bool {
        match (&self.keys, value) {
            (Keys::Ints(keys), ValueRef::Integer(key)) => {
                self.table.find(hash_int(key), |&id| keys[id as usize] == key).is_some()
            }
            (Keys::Ints(keys), ValueRef::Real(real)) => {
                let key = real as i64;
                crate::value::compare_integer_real(key, real).is_eq()
                    && self.table.find(hash_int(key), |&id| keys[id as usize] == key).is_some()
            }
            (Keys::Ints(_), _) => false,
            (Keys::Bytes { buffer, ends }, _) => {
                let mut key = Vec::with_capacity(32);
                encode_key(&mut key, value, collation, false);
                self.table
                    .find(hash_bytes(&key), |&id| bytes_at(buffer, ends, id as usize) == key.as_slice())
                    .is_some()
            }
        }
    }

    /// The numbers of the keys in the order of the keys.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..self.len() as u32).collect();
        match &self.keys {
            Keys::Ints(keys) => ids.sort_unstable_by_key(|&id| keys[id as usize]),
            Keys::Bytes { buffer, ends } => {
                ids.sort_unstable_by(|&a, &b| {
                    bytes_at(buffer, ends, a as usize).cmp(bytes_at(buffer, ends, b as usize))
                });
            }
        }
        ids
    }

    fn insert_int(&mut self, key: i64) -> (u32, bool) {
        let KeyTable { table, keys, .. } = self;
        let Keys::Ints(keys) = keys else { return (NO_ROW, false) };
        let hash = hash_int(key);
        if let Some(&id) = table.find(hash, |&id| keys[id as usize] == key) {
            return (id, false);
        }
        let id = keys.len() as u32;
        keys.push(key);
        table.insert_unique(hash, id, |&id| hash_int(keys[id as usize]));
        (id, true)
    }

    fn encode(&mut self, columns: &[KeyColumn<'_>], row: usize) {
        self.scratch.clear();
        for (column, collation) in columns {
            encode_key(&mut self.scratch, column.get(row), *collation, false);
        }
    }

    fn find_scratch(&self) -> u32 {
        let Keys::Bytes { buffer, ends } = &self.keys else { return NO_ROW };
        let key = self.scratch.as_slice();
        self.table
            .find(hash_bytes(key), |&id| bytes_at(buffer, ends, id as usize) == key)
            .copied()
            .unwrap_or(NO_ROW)
    }

    fn insert_scratch(&mut self) -> (u32, bool) {
        let found = self.find_scratch();
        if found != NO_ROW {
            return (found, false);
        }
        let KeyTable { table, keys, scratch } = self;
        let id = match keys {
            Keys::Bytes { buffer, ends } => {
                buffer.extend_from_slice(scratch);
                ends.push(buffer.len());
                ends.len() as u32 - 1
            }
            Keys::Ints(_) => return (NO_ROW, false),
        };
        table.insert_unique(hash_bytes(scratch), id, |&id| keys.hash(id));
        (id, true)
    }

    /// Turns integers into bytes: a key came that is no integer.
    fn use_bytes(&mut self) {
        let Keys::Ints(ints) = &self.keys else { return };
        let (mut buffer, mut ends) = (Vec::with_capacity(ints.len() * 10), Vec::with_capacity(ints.len()));
        for &int in ints {
            encode_key(&mut buffer, ValueRef::Integer(int), Collation::Binary, false);
            ends.push(buffer.len());
        }
        self.keys = Keys::Bytes { buffer, ends };
        self.table.clear();
        let KeyTable { table, keys, .. } = self;
        for id in 0..ints_len(keys) {
            table.insert_unique(keys.hash(id), id, |&id| keys.hash(id));
        }
    }
}

fn ints_len(keys: &Keys) -> u32 {
    match keys {
        Keys::Ints(keys) => keys.len() as u32,
        Keys::Bytes { ends, .. } => ends.len() as u32,
    }
}

/// The integers of a key of one column without NULLs.
fn only_ints<'a>(columns: &[KeyColumn<'a>]) -> Option<&'a [i64]> {
    match columns {
        [(Column::Int(ints), _)] if ints.nulls.none() => Some(&ints.values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::ColumnBuilder;
    use super::*;
    use crate::value::Value;

    fn column(values: &[Value]) -> Column {
        let mut builder = ColumnBuilder::default();
        values.iter().for_each(|value| builder.push(value.as_ref()));
        builder.finish()
    }

    #[test]
    fn equal_values_have_one_number_even_after_the_table_turned_to_bytes() {
        let mut table = KeyTable::default();
        let mut ids = Vec::new();
        let ints = column(&[5.into(), 7.into(), 5.into(), (-1).into()]);
        table.insert_rows(&[(&ints, Collation::Binary)], 4, &mut ids);
        assert_eq!(ids, [0, 1, 0, 2]);
        let mixed = column(&[Value::Real(7.0), "a".into(), "A".into(), Value::Null, Value::Null]);
        table.insert_rows(&[(&mixed, Collation::NoCase)], 5, &mut ids);
        assert_eq!(ids, [1, 3, 3, 4, 4]);
        table.find_rows(&[(&mixed, Collation::NoCase)], 5, false, &mut ids);
        assert_eq!(ids, [1, 3, 3, NO_ROW, NO_ROW]);
        assert_eq!(table.sorted(), [4, 2, 0, 1, 3]);
        assert!(table.holds(ValueRef::Real(5.0), Collation::Binary));
        assert!(!table.holds(ValueRef::Real(5.5), Collation::Binary));
    }
}
