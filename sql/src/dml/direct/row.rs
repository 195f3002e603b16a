//! Rows, whose values are lent by the statement's parameters or by the stored row; what is seen of one alone: whether it is good, and
//! its keys; and the memory for it.

use dosql_base::Result;
use smallvec::SmallVec;

use super::Done;
use super::patch::Patch;
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::schema::{Column, Table};
use crate::dml::constraints::check_strict;
use crate::dml::foreign_key::child_key;
use crate::dml::machine::Machine;
use crate::dml::source::rowid_of;
use crate::storage::{Point, Storage};
use crate::value::{Affinity, Value, ValueRef};

/// A row: its columns by position, then its rowid, NULL WITHOUT ROWID.
pub(super) type Lent<'v> = SmallVec<[ValueRef<'v>; 16]>;

/// Values that nobody lends, each with its column: defaults that were computed, and what affinities make of others.
pub(super) type Made = SmallVec<[(usize, Value); 2]>;

/// A row that is there.
#[derive(Clone, Copy)]
pub(super) struct Found<'v> {
    /// Its values.
    pub(super) row: &'v [ValueRef<'v>],
    /// Its bytes, where it is to be changed in its place: then `row` has no more than what was to be read.
    pub(super) to_patch: Option<&'v [u8]>,
}

/// Memory that is used again by the next statement.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) registers: Vec<Value>,
    /// The row's id, its key, and the bytes to store.
    pub(super) row_id: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// The bytes of the row that is there.
    old: Vec<u8>,
    pub(super) keys: Keys,
    /// Keys of index entries.
    pub(super) entries: Keys,
}

impl Scratch {
    /// Sets row id and key to those of `row`.
    #[inline]
    pub(super) fn set_row(&mut self, table: &Table, row: &[ValueRef<'_>]) {
        self.row_id.clear();
        layout::put_row_id(&mut self.row_id, table, row, rowid_of(table, row));
        self.set_key(table);
    }

    /// Sets the key to that of the row id.
    #[inline]
    pub(super) fn set_key(&mut self, table: &Table) {
        self.key.clear();
        layout::put_row_key(&mut self.key, table.space, &self.row_id);
    }
}

/// Keys, one after the other.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Ends the key whose bytes were appended.
    #[inline]
    pub(super) fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }
}

/// The rowid that a value given for one stands for; `None` where it is no integer.
#[inline]
pub(super) fn rowid_for(given: ValueRef<'_>) -> Option<ValueRef<'static>> {
    match given {
        ValueRef::Integer(rowid) => Some(ValueRef::Integer(rowid)),
        other => match Affinity::Integer.convert(other) {
            Some(Value::Integer(rowid)) => Some(ValueRef::Integer(rowid)),
            _ => None,
        },
    }
}

/// Zero has no sign once it is stored.
#[inline]
fn without_sign_of_zero(real: f64) -> f64 {
    if real == 0.0 { 0.0 } else { real }
}

/// A value as a column of this affinity stores it.
pub(super) fn settled(affinity: Affinity, value: Value) -> Value {
    match affinity.apply(value) {
        Value::Real(real) => Value::Real(without_sign_of_zero(real)),
        value => value,
    }
}

/// A value as its column stores it: what the affinity makes of it is put in `made`, for [`put_made`].
#[inline(always)]
pub(super) fn settle<'v>(
    column: &Column,
    position: usize,
    value: ValueRef<'v>,
    made: &mut Made,
) -> ValueRef<'v> {
    match value {
        value if !column.affinity.keeps(value) => {
            made.push((position, settled(column.affinity, value.to_value())));
            ValueRef::Null
        }
        ValueRef::Real(real) => ValueRef::Real(without_sign_of_zero(real)),
        value => value,
    }
}

/// Whether a column takes a value that is settled.
#[inline]
pub(super) fn is_good_in(table: &Table, column: &Column, value: ValueRef<'_>) -> bool {
    let is_missing = column.not_null.is_some() && value.is_null();
    let is_wrong = table.strict && check_strict(table, column, value).is_err();
    !is_missing && !is_wrong
}

/// Puts the values that were made in their places.
#[inline]
pub(super) fn put_made<'v>(row: &mut [ValueRef<'v>], made: &'v Made) {
    for (position, value) in made {
        row[*position] = value.as_ref();
    }
}

impl<S: Storage> Machine<'_, S> {
    /// Calls `change` with the row whose row id and key are in `scratch`, or what `patch` reads of it; `None` where there is none.
    pub(super) fn with_row(
        &mut self,
        table: &Table,
        patch: Option<&Patch>,
        scratch: &mut Scratch,
        change: impl FnOnce(&mut Self, Found<'_>, &mut Scratch) -> Result<Done>,
    ) -> Result<Option<Done>> {
        let mut stored = std::mem::take(&mut scratch.old);
        stored.clear();
        let found = self.storage.get(Point::Live, &scratch.key, |row| stored.extend_from_slice(row));
        let done = match found {
            Ok(Some(())) => self.with_stored(table, patch, &stored, scratch, change).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        scratch.old = stored;
        done
    }

    /// Calls `change` with the row whose row id is in `scratch` and whose bytes are `stored`.
    pub(super) fn with_stored(
        &mut self,
        table: &Table,
        patch: Option<&Patch>,
        stored: &[u8],
        scratch: &mut Scratch,
        change: impl FnOnce(&mut Self, Found<'_>, &mut Scratch) -> Result<Done>,
    ) -> Result<Done> {
        if let Some(patch) = patch {
            let mut row = Lent::new();
            layout::lend_columns(table, &scratch.row_id, stored, &patch.columns, &mut row)?;
            return change(self, Found { row: &row, to_patch: Some(stored) }, scratch);
        }
        let key = match table.without_rowid {
            true => layout::read_primary_key(table, &scratch.row_id)?,
            false => Vec::new(),
        };
        let mut row = Lent::new();
        layout::lend_row(table, &scratch.row_id, &key, stored, &mut row)?;
        change(self, Found { row: &row, to_patch: None }, scratch)
    }

    /// Whether a row that is settled fulfils all that can be seen of it alone.
    pub(super) fn is_good(&mut self, table: &Table, row: &[ValueRef<'_>]) -> Result<bool> {
        for (column, value) in table.columns.iter().zip(row) {
            if !is_good_in(table, column, *value) {
                return Ok(false);
            }
        }
        if !self.settings.ignore_checks && !table.checks.is_empty() {
            let values = row.values();
            for check in &table.checks {
                if self.truth(&check.expr, &values, &[])? == Some(false) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether the parents are there that a row refers to by columns that are `set`.
    pub(super) fn has_parents(
        &mut self,
        table: &Table,
        row: &[ValueRef<'_>],
        set: impl Fn(usize) -> bool,
    ) -> Result<bool> {
        if !self.settings.foreign_keys {
            return Ok(true);
        }
        for foreign in &table.foreign_keys {
            if !foreign.columns.iter().any(|column| set(*column)) {
                continue;
            }
            let parent = self.parent_key(table, foreign)?;
            if let Some(key) = child_key(foreign, &parent, row)
                && !self.parent_exists(&parent, &key)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends the entry of a row in the n-th index, if it has one; false where `new` and it must be unique and is not.
    pub(super) fn put_entry(
        &mut self,
        table: &Table,
        n: usize,
        row: &[ValueRef<'_>],
        row_id: &[u8],
        new: bool,
        keys: &mut Keys,
    ) -> Result<bool> {
        let index = &table.indexes[n];
        let start = keys.bytes.len();
        let Some((columns_end, has_null)) = self.write_entry(table, index, row, row_id, &mut keys.bytes)?
        else {
            return Ok(true);
        };
        if new && index.unique && !has_null {
            let prefix = keys.bytes[start..columns_end].to_vec();
            if self.entry_with_prefix(index, prefix, &[])?.is_some() {
                return Ok(false);
            }
        }
        keys.end();
        Ok(true)
    }

    /// Appends the key of a row to `keys`, and those of its index entries to `entries`.
    pub(super) fn add_keys(
        &mut self,
        table: &Table,
        row: &[ValueRef<'_>],
        row_id: &mut Vec<u8>,
        keys: &mut Keys,
        entries: &mut Keys,
    ) -> Result<()> {
        row_id.clear();
        layout::put_row_id(row_id, table, row, rowid_of(table, row));
        layout::put_row_key(&mut keys.bytes, table.space, row_id);
        keys.end();
        for n in 0..table.indexes.len() {
            self.put_entry(table, n, row, row_id, false, entries)?;
        }
        Ok(())
    }
}
