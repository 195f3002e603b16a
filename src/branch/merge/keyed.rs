//! Rows of tables that have a rowid and a primary key besides: the key tells which row is which. The rowid of one row may differ from
//! branch to branch, and one rowid be of different rows.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::Result;
use dosql_sql::Direction;
use dosql_sql::catalog::layout::{self, put_part, put_row_key, put_space};
use dosql_sql::catalog::schema::{Index, IndexKey, IndexOrigin, Table};
use dosql_sql::value::Value;

use crate::bytes::Bytes;
use crate::transaction::Transaction;

/// The index of a table's primary key, if that is neither its rowid nor what its rows are kept under.
pub(super) fn primary_index(table: &Table) -> Option<&Arc<Index>> {
    let primary = table.indexes.iter().find(|index| index.origin == IndexOrigin::PrimaryKey);
    primary.filter(|_| !table.without_rowid && table.rowid_alias.is_none())
}

/// The encoded key of a row, by which all branches know it; `None` where a part of it is NULL, for NULLs are equal to nothing.
pub(super) fn key_of(index: &Index, row: &[Value]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for part in &index.columns {
        let IndexKey::Column(column) = part.key else { return None };
        let value = row.get(column).filter(|value| **value != Value::Null)?;
        put_part(&mut key, part, value.as_ref());
    }
    Some(key)
}

/// The row id of the row with this key, and the row as it is stored.
pub(super) fn find(
    side: &Transaction,
    table: &Table,
    index: &Index,
    key: &[u8],
) -> Result<Option<(Vec<u8>, Bytes)>> {
    let mut prefix = Vec::new();
    put_space(&mut prefix, index.space);
    prefix.extend_from_slice(key);
    let mut scan = side.raw_scan(layout::prefix_range(prefix), Direction::Forward);
    let mut found = None;
    side.raw_visit(&mut scan, 1, &mut |entry, _| {
        found = Some(layout::index_row_id(index, entry)?.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    let Some(row_id) = found else { return Ok(None) };
    let mut row_key = Vec::new();
    put_row_key(&mut row_key, table.space, &row_id);
    Ok(side.raw_get(&row_key)?.map(|row| (row_id, row)))
}
