//! The entries of all rows of a table in one index, for an index that is built.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::{Error, Result};

use super::machine::Machine;
use crate::catalog::layout;
use crate::catalog::schema::{Index, IndexKey, Place, Table};
use crate::codec::RowReader;
use crate::storage::{Direction, Point, Storage};
use crate::value::ValueRef;

/// Keys of entries, one after the other, and their order.
#[derive(Debug, Default)]
pub(crate) struct Built {
    bytes: Vec<u8>,
    entries: Vec<BuiltEntry>,
}

#[derive(Clone, Copy, Debug)]
struct BuiltEntry {
    /// The first bytes after the space, big-endian: most entries differ there.
    head: u64,
    start: usize,
    len: u32,
    /// Where the columns end and the row id starts.
    columns: u32,
    has_null: bool,
}

impl Built {
    fn key(&self, entry: &BuiltEntry) -> &[u8] {
        &self.bytes[entry.start..entry.start + entry.len as usize]
    }

    fn columns(&self, entry: &BuiltEntry) -> &[u8] {
        &self.bytes[entry.start..entry.start + entry.columns as usize]
    }

    /// Ends the key whose bytes were appended from `start` on; its first `space` bytes are the index's number.
    fn end(&mut self, start: usize, space: usize, columns_end: usize, has_null: bool) {
        let key = &self.bytes[start..];
        let mut head = [0; 8];
        let shown = &key[space..(space + 8).min(key.len())];
        head[..shown.len()].copy_from_slice(shown);
        self.entries.push(BuiltEntry {
            head: u64::from_be_bytes(head),
            start,
            len: key.len() as u32,
            columns: (columns_end - start) as u32,
            has_null,
        });
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<BuiltEntry>()
    }

    /// Puts them in key order.
    pub(crate) fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |entry: &BuiltEntry| &bytes[entry.start..entry.start + entry.len as usize];
        self.entries.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| key(a).cmp(key(b))));
    }

    /// Whether two rows have the same columns, none of them NULL. They are sorted.
    pub(crate) fn has_twins(&self) -> bool {
        self.entries
            .windows(2)
            .any(|pair| !pair[0].has_null && self.columns(&pair[0]) == self.columns(&pair[1]))
    }

    /// The keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| self.key(entry))
    }
}

impl<S: Storage> Machine<'_, S> {
    /// The entries of all rows of a table in an index, in the order of the rows. Fails where they take more than `limit` bytes.
    pub(crate) fn all_entries(&mut self, table: &Arc<Table>, index: &Index, limit: usize) -> Result<Built> {
        let mut built = Built::default();
        let space = layout::space_range(index.space).start.len();
        let Some(parts) = stored_parts(table, index) else {
            for row_id in self.row_ids(table.space)? {
                let Some(row) = self.fetch(table, &row_id)? else { continue };
                let start = built.bytes.len();
                let written = self.write_entry(table, index, &row, &row_id, &mut built.bytes)?;
                if let Some((columns_end, has_null)) = written {
                    built.end(start, space, columns_end, has_null);
                }
                check_memory(&built, index, limit)?;
            }
            return Ok(built);
        };
        let range = layout::space_range(table.space);
        let mut cursor = self.storage.open_cursor(Point::Live, range, Direction::Forward)?;
        let mut take = |key: &[u8], row: &[u8]| {
            let row_id = layout::row_id(table.space, key)?;
            let (start, mut has_null) = (built.bytes.len(), false);
            layout::put_space(&mut built.bytes, index.space);
            let reader = RowReader::new(row)?;
            for (part, stored) in index.columns.iter().zip(&parts) {
                let value = match *stored {
                    Stored::Rowid => ValueRef::Integer(layout::rowid_of(row_id)?),
                    Stored::Field { field, column } => layout::field(&reader, &table.columns[column], field)?,
                };
                has_null |= value.is_null();
                layout::put_part(&mut built.bytes, part, value);
            }
            let columns_end = built.bytes.len();
            built.bytes.extend_from_slice(row_id);
            built.end(start, space, columns_end, has_null);
            check_memory(&built, index, limit)?;
            Ok(ControlFlow::Continue(()))
        };
        while !self.storage.visit(&mut cursor, usize::MAX, &mut take)? {}
        Ok(built)
    }
}

/// Where a part of an index key is in a stored row.
#[derive(Clone, Copy, Debug)]
enum Stored {
    Rowid,
    Field { field: usize, column: usize },
}

/// Where all parts of an index's keys are; `None` where something has to be computed, or is in another key.
fn stored_parts(table: &Table, index: &Index) -> Option<Vec<Stored>> {
    if index.filter.is_some() {
        return None;
    }
    let stored = |key: &IndexKey| match key {
        IndexKey::Rowid => Some(Stored::Rowid),
        IndexKey::Column(column) => match table.columns.get(*column)?.place {
            Place::Row(field) => Some(Stored::Field { field, column: *column }),
            Place::Rowid => Some(Stored::Rowid),
            Place::Key(_) | Place::Virtual => None,
        },
        IndexKey::Expr(_) => None,
    };
    index.columns.iter().map(|part| stored(&part.key)).collect()
}

fn check_memory(built: &Built, index: &Index, limit: usize) -> Result<()> {
    if built.memory() <= limit {
        return Ok(());
    }
    Err(Error::limit(format!("index {} needs more memory to build than is allowed", index.name)))
}
