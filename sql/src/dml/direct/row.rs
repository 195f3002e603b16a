//! What is seen of one row alone: whether it is good, and its keys; and the memory for it.

use std::sync::Arc;

use dosql_base::Result;

use crate::catalog::schema::Table;
use crate::dml::constraints::check_strict;
use crate::dml::foreign_key::child_key;
use crate::dml::machine::Machine;
use crate::dml::plan::Row;
use crate::exec::point;
use crate::plan::Query;
use crate::storage::Storage;
use crate::value::{Affinity, Value};

/// Memory that is used again by the next statement.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) row: Row,
    pub(super) registers: Vec<Value>,
    pub(super) row_id: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) keys: Keys,
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

impl<S: Storage> Machine<'_, S> {
    /// Looks up the row of the one key that a query asks for, and leaves its row id in `scratch`; `None` where there is none or
    /// the query does not want it. The registers are filled as the query fills them.
    pub(super) fn find_row(
        &mut self,
        table: &Arc<Table>,
        query: &Query,
        registers: &mut Vec<Value>,
        scratch: &mut Scratch,
    ) -> Result<Option<Row>> {
        let Some(found) = point::Point::of(query) else { return Ok(None) };
        registers.clear();
        registers.resize(query.registers as usize, Value::Null);
        scratch.row_id.clear();
        for (number, bound) in found.bounds().enumerate() {
            let value = self.evaluate(&bound.expr, registers, &[])?;
            let value = match bound.affinity {
                Some(affinity) => affinity.apply(value),
                None => value,
            };
            if !point::put_row_id(table, &mut scratch.row_id, number, value.as_ref()) {
                return Ok(None);
            }
        }
        let Some(row) = self.fetch(table, &scratch.row_id)? else { return Ok(None) };
        for (column, register) in found.columns() {
            if let (Some(slot), Some(value)) = (registers.get_mut(register.0 as usize), row.get(column)) {
                *slot = value.clone();
            }
        }
        for step in found.steps() {
            match step {
                point::Step::Filter(filter) => {
                    if self.truth(filter, registers, &[])? != Some(true) {
                        return Ok(None);
                    }
                }
                point::Step::Compute(register, expr) => {
                    let value = self.evaluate(expr, registers, &[])?;
                    if let Some(slot) = registers.get_mut(register.0 as usize) {
                        *slot = value;
                    }
                }
            }
        }
        Ok(Some(row))
    }

    /// Gives a row its final values; whether it fulfils all that can be seen of the row alone.
    pub(super) fn is_good(&mut self, table: &Arc<Table>, row: &mut Row) -> Result<bool> {
        if !table.without_rowid {
            let columns = table.columns.len();
            let rowid = Affinity::Integer.apply(std::mem::take(&mut row[columns]));
            if !matches!(rowid, Value::Integer(_)) {
                return Ok(false);
            }
            row[columns] = rowid;
        }
        self.settle_row(table, row, false)?;
        for (column, value) in table.columns.iter().zip(row.iter()) {
            if column.not_null.is_some() && value.is_null() {
                return Ok(false);
            }
            if table.strict && check_strict(table, column, value.as_ref()).is_err() {
                return Ok(false);
            }
        }
        if !self.settings.ignore_checks {
            for check in &table.checks {
                if self.truth(&check.expr, row, &[])? == Some(false) {
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
        row: &Row,
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
            if let Some(key) = child_key(table, foreign, &parent, row)
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
        table: &Arc<Table>,
        n: usize,
        row: &Row,
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
}
