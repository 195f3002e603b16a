//! Rows and index entries into the storage: the only place where a change writes.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::codec::ordered_u32;
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result};

use super::machine::{Machine, Task};
use super::op::{Kind, RowOp};
use super::plan::Row;
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::schema::{Index, IndexKey, SpaceId, Table};
use crate::storage::{Direction, Point, Storage};
use crate::value::Value;

/// A row's entry in one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    /// Where the columns end and the row id starts.
    pub(crate) columns_end: usize,
    /// A column is NULL, so that the entry is equal to no other.
    pub(crate) has_null: bool,
}

/// A row's entries, one for each of the table's indexes; `None` where a partial index leaves the row out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) row_id: Vec<u8>,
    pub(crate) entries: Vec<Option<Entry>>,
}

impl<S: Storage> Machine<'_, S> {
    /// The entries of a row in all indexes of its table.
    pub(crate) fn entries_of(&mut self, table: &Arc<Table>, row: &Row, row_id: Vec<u8>) -> Result<Entries> {
        let mut entries = Vec::with_capacity(table.indexes.len());
        for index in &table.indexes {
            entries.push(self.entry_of(table, index, row, &row_id)?);
        }
        Ok(Entries { row_id, entries })
    }

    /// The entry of a row in an index.
    pub(crate) fn entry_of(
        &mut self,
        table: &Table,
        index: &Index,
        row: &Row,
        row_id: &[u8],
    ) -> Result<Option<Entry>> {
        let mut key = Vec::with_capacity(32);
        let written = self.write_entry(table, index, row, row_id, &mut key)?;
        Ok(written.map(|(columns_end, has_null)| Entry { key, columns_end, has_null }))
    }

    /// Appends the key of a row's entry in an index; returns where its columns end and whether one of them is NULL. `None` where
    /// the index leaves the row out.
    pub(crate) fn write_entry(
        &mut self,
        table: &Table,
        index: &Index,
        row: &(impl Cells + ?Sized),
        row_id: &[u8],
        key: &mut Vec<u8>,
    ) -> Result<Option<(usize, bool)>> {
        if let Some(filter) = &index.filter
            && self.truth(filter, &row.values(), &[])? != Some(true)
        {
            return Ok(None);
        }
        layout::put_space(key, index.space);
        let mut has_null = false;
        for part in &index.columns {
            let computed;
            let value = match &part.key {
                IndexKey::Column(column) => row.cell(*column),
                IndexKey::Rowid => row.cell(table.columns.len()),
                IndexKey::Expr(expr) => {
                    computed = self.evaluate(expr, &row.values(), &[])?;
                    computed.as_ref()
                }
            };
            has_null |= value.is_null();
            layout::put_part(key, part, value);
        }
        let columns_end = key.len();
        key.extend_from_slice(row_id);
        Ok(Some((columns_end, has_null)))
    }

    /// The row id of an entry that starts with `prefix`, other than that of `own`.
    pub(crate) fn entry_with_prefix(
        &self,
        index: &Index,
        prefix: Vec<u8>,
        own: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let mut cursor =
            self.storage.open_cursor(Point::Live, layout::prefix_range(prefix), Direction::Forward)?;
        let mut found = None;
        loop {
            let done = self.storage.visit(&mut cursor, 2, &mut |key, _| {
                let row_id = layout::index_row_id(index, key)?;
                if row_id == own {
                    return Ok(ControlFlow::Continue(()));
                }
                found = Some(row_id.to_vec());
                Ok(ControlFlow::Break(()))
            })?;
            if done || found.is_some() {
                return Ok(found);
            }
        }
    }

    pub(super) fn insert_entries(&mut self, op: &RowOp, entries: &Entries) -> Result<()> {
        self.put_stored_row(&op.table, &op.new, &entries.row_id)?;
        if weakened("index-entry-missing") {
            return Ok(());
        }
        for entry in entries.entries.iter().flatten() {
            self.storage.put(&entry.key, &[])?;
        }
        Ok(())
    }

    pub(super) fn update_entries(&mut self, op: &RowOp, entries: &Entries) -> Result<()> {
        let before = self.entries_of(&op.table, &op.old, op.old_id.clone())?;
        if before.row_id != entries.row_id {
            self.delete_stored_row(&op.table, &before.row_id)?;
        }
        self.put_stored_row(&op.table, &op.new, &entries.row_id)?;
        for (old, new) in before.entries.iter().zip(&entries.entries) {
            if old == new {
                continue;
            }
            if let Some(old) = old
                && !weakened("index-entry-left")
            {
                self.storage.delete(&old.key)?;
            }
            if let Some(new) = new {
                self.storage.put(&new.key, &[])?;
            }
        }
        Ok(())
    }

    pub(super) fn delete_entries(&mut self, op: &RowOp) -> Result<()> {
        let before = self.entries_of(&op.table, &op.old, op.old_id.clone())?;
        self.delete_stored_row(&op.table, &before.row_id)?;
        for entry in before.entries.iter().flatten() {
            self.storage.delete(&entry.key)?;
        }
        Ok(())
    }

    pub(crate) fn put_stored_row(&mut self, table: &Table, row: &Row, row_id: &[u8]) -> Result<()> {
        let mut key = Vec::with_capacity(row_id.len() + 5);
        layout::put_row_key(&mut key, table.space, row_id);
        let mut value = Vec::with_capacity(64);
        layout::put_row(&mut value, table, row)?;
        self.storage.put(&key, &value)
    }

    fn delete_stored_row(&mut self, table: &Table, row_id: &[u8]) -> Result<()> {
        let mut key = Vec::with_capacity(row_id.len() + 5);
        layout::put_row_key(&mut key, table.space, row_id);
        self.storage.delete(&key)
    }

    /// Removes a row and its index entries; no trigger and no foreign key sees it.
    pub(crate) fn remove_row(&mut self, table: &Arc<Table>, row_id: &[u8]) -> Result<()> {
        let mut op = RowOp::new(Kind::Delete, table);
        op.old_id = row_id.to_vec();
        let Some(row) = self.fetch(table, row_id)? else { return Ok(()) };
        op.old = row;
        self.delete_entries(&op)
    }

    /// Deletes all rows with what foreign keys make of it; no trigger sees it.
    pub(crate) fn delete_all_rows(&mut self, table: &Arc<Table>) -> Result<()> {
        for row_id in self.row_ids(table.space)? {
            let mut op = RowOp::new(Kind::Delete, table);
            op.old_id = row_id;
            op.refetch = true;
            op.fires = false;
            self.tasks.push(Task::Op(Box::new(op)));
        }
        self.run_tasks()?;
        self.check_suspects()
    }

    /// The greatest rowid of a table.
    pub(crate) fn greatest_rowid(&self, space: SpaceId) -> Result<Option<i64>> {
        let (bytes, len) = ordered_u32(space);
        let found =
            self.storage.last_key(&bytes[..len], |key| layout::rowid_of(layout::row_id(space, key)?))?;
        found.transpose()
    }

    /// Whether there is such a key.
    pub(crate) fn has_key(&self, key: &[u8]) -> Result<bool> {
        Ok(self.storage.get(Point::Live, key, |_| ())?.is_some())
    }

    /// Whether there is anything in a space.
    pub(crate) fn any_entry(&self, space: SpaceId) -> Result<bool> {
        let mut cursor =
            self.storage.open_cursor(Point::Live, layout::space_range(space), Direction::Forward)?;
        let mut any = false;
        loop {
            let done = self.storage.visit(&mut cursor, 1, &mut |_, _| {
                any = true;
                Ok(ControlFlow::Break(()))
            })?;
            if done || any {
                return Ok(any);
            }
        }
    }

    /// All row ids of a table.
    pub(crate) fn row_ids(&self, space: SpaceId) -> Result<Vec<Vec<u8>>> {
        let mut cursor =
            self.storage.open_cursor(Point::Live, layout::space_range(space), Direction::Forward)?;
        let mut found = Vec::new();
        loop {
            let done = self.storage.visit(&mut cursor, usize::MAX, &mut |key, _| {
                found.push(layout::row_id(space, key)?.to_vec());
                Ok(ControlFlow::Continue(()))
            })?;
            if done {
                return Ok(found);
            }
        }
    }

    /// Removes everything in a space; returns how many entries there were.
    pub(crate) fn clear_space(&mut self, space: SpaceId) -> Result<i64> {
        const CHUNK: usize = 1024;
        let mut removed = 0;
        loop {
            let mut keys: Vec<Vec<u8>> = Vec::new();
            let range = layout::space_range(space);
            let mut cursor = self.storage.open_cursor(Point::Live, range, Direction::Forward)?;
            let done = self.storage.visit(&mut cursor, CHUNK, &mut |key, _| {
                keys.push(key.to_vec());
                Ok(ControlFlow::Continue(()))
            })?;
            for key in &keys {
                self.storage.delete(key)?;
            }
            removed += keys.len() as i64;
            if done {
                return Ok(removed);
            }
        }
    }

    fn sequence_table(&self, temporary: bool) -> Result<Arc<Table>> {
        let table = self.catalog.sequence_table(temporary);
        table
            .cloned()
            .ok_or_else(|| Error::corrupt("an AUTOINCREMENT table without sqlite_sequence", "catalog"))
    }

    /// The row of `sqlite_sequence` for a table: its row id and the rowid last used.
    fn sequence_row(&mut self, name: &str, temporary: bool) -> Result<Option<(Vec<u8>, Row)>> {
        let table = self.sequence_table(temporary)?;
        for row_id in self.row_ids(table.space)? {
            if let Some(row) = self.fetch(&table, &row_id)?
                && matches!(row.first(), Some(Value::Text(text)) if text == name)
            {
                return Ok(Some((row_id, row)));
            }
        }
        Ok(None)
    }

    /// The greatest rowid that an AUTOINCREMENT table has had.
    pub(crate) fn sequence_of(&mut self, table: &Table) -> Result<i64> {
        if let Some((_, used)) = self.sequences.iter().find(|(known, _)| known.space == table.space) {
            return Ok(*used);
        }
        Ok(match self.sequence_row(&table.name, table.temporary)?.as_ref().and_then(|(_, row)| row.get(1)) {
            Some(Value::Integer(used)) => *used,
            _ => 0,
        })
    }

    /// Notes that an AUTOINCREMENT table has had this rowid; kept until the statement is done.
    pub(crate) fn raise_sequence(&mut self, table: &Arc<Table>, rowid: i64) -> Result<()> {
        let used = self.sequence_of(table)?.max(rowid);
        match self.sequences.iter_mut().find(|(known, _)| known.space == table.space) {
            Some(known) => known.1 = used,
            None => self.sequences.push((Arc::clone(table), used)),
        }
        Ok(())
    }

    /// Writes the rowids that the statement has used into `sqlite_sequence`.
    pub(super) fn store_sequences(&mut self) -> Result<()> {
        for (owner, used) in std::mem::take(&mut self.sequences) {
            let table = self.sequence_table(owner.temporary)?;
            let (row_id, row) = match self.sequence_row(&owner.name, owner.temporary)? {
                Some((_, row)) if row.get(1) == Some(&Value::Integer(used)) => continue,
                Some((row_id, mut row)) => {
                    row[1] = Value::Integer(used);
                    (row_id, row)
                }
                None => {
                    let next = self.greatest_rowid(table.space)?.unwrap_or(0).saturating_add(1);
                    let row =
                        vec![Value::Text(owner.name.clone()), Value::Integer(used), Value::Integer(next)];
                    let mut row_id = Vec::new();
                    layout::put_row_id(&mut row_id, &table, &row, next);
                    (row_id, row)
                }
            };
            self.put_stored_row(&table, &row, &row_id)?;
        }
        Ok(())
    }
}
