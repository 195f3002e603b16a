//! Where the rows of a table and the entries of an index lie, byte for byte. Readers and writers share this file.
//!
//! ```text
//! table        key    space | row id                   value  the row's fields (codec::row)
//! index        key    space | columns | row id         value  empty
//!
//! space        ordered u32 (base::codec::put_ordered_u32)
//! row id       the rowid (codec::key::encode_rowid), or in a WITHOUT ROWID table the parts of its primary key
//! columns      each part of the index (codec::key::encode_key: collation folded, inverted where DESC)
//! ```
//!
//! So a table's key is made from an index entry by putting the table's space in front of the entry's tail. A column is
//! where its [`Place`] says: in the rowid, in a part of the key, in a field of the row, or nowhere. Fields have numbers of
//! their own that are never used again: a dropped column leaves a field that nobody reads, and a row that ends before a
//! field was written before its column was added and reads as [`Column::absent`].

use dosql_base::codec::{get_ordered_u32, prefix_successor, put_ordered_u32};
use dosql_base::{Error, Result};

use super::cells::Cells;
use super::schema::{Column, Index, IndexColumn, IndexKey, Place, SpaceId, Table};
use crate::codec::{RowReader, decode_key, decode_rowid, encode_key, encode_row, encode_rowid, skip_key};
use crate::plan::ColumnSource;
use crate::storage::KeyRange;
use crate::value::{Affinity, Collation, Value, ValueRef};

/// Appends the number of a table or index.
#[inline]
pub fn put_space(out: &mut Vec<u8>, space: SpaceId) {
    put_ordered_u32(out, space);
}

/// All keys of a table or index.
#[must_use]
pub fn space_range(space: SpaceId) -> KeyRange {
    let mut start = Vec::with_capacity(5);
    put_space(&mut start, space);
    prefix_range(start)
}

/// All keys that start with `prefix`, which starts with a space.
#[must_use]
pub fn prefix_range(prefix: Vec<u8>) -> KeyRange {
    // The first byte of a space is at most 0xFB, so a successor always exists.
    let end = prefix_successor(&prefix).unwrap_or_else(|| vec![0xFF]);
    KeyRange { start: prefix, end }
}

/// The key of the row `rowid`.
pub fn put_rowid_key(out: &mut Vec<u8>, space: SpaceId, rowid: i64) {
    put_space(out, space);
    encode_rowid(out, rowid);
}

/// The key of the row of this row id (as an index entry ends with).
#[inline]
pub fn put_row_key(out: &mut Vec<u8>, space: SpaceId, row_id: &[u8]) {
    put_space(out, space);
    out.extend_from_slice(row_id);
}

/// Appends one part of an index key or of a primary key.
#[inline]
pub fn put_part(out: &mut Vec<u8>, part: &IndexColumn, value: ValueRef<'_>) {
    encode_key(out, value, part.collation, part.descending);
}

/// Appends the row id of a row: its rowid, or the primary key out of `values` (by column position).
#[inline]
pub fn put_row_id(out: &mut Vec<u8>, table: &Table, values: &(impl Cells + ?Sized), rowid: i64) {
    if !table.without_rowid {
        encode_rowid(out, rowid);
        return;
    }
    for part in &table.primary_key {
        if let IndexKey::Column(column) = part.key {
            put_part(out, part, values.cell(column));
        }
    }
}

#[inline]
fn strip_space(key: &[u8], space: SpaceId) -> Result<&[u8]> {
    match get_ordered_u32(key) {
        Some((found, len)) if found == space => Ok(&key[len..]),
        _ => {
            Err(Error::corrupt("a key does not start with the number of its table", format!("space {space}")))
        }
    }
}

/// The row id in the key of a table's row.
#[inline]
pub fn row_id(space: SpaceId, key: &[u8]) -> Result<&[u8]> {
    strip_space(key, space)
}

/// The row id at the end of an index entry's key.
#[inline]
pub fn index_row_id<'k>(index: &Index, key: &'k [u8]) -> Result<&'k [u8]> {
    let mut rest = strip_space(key, index.space)?;
    for part in &index.columns {
        rest = &rest[skip_key(rest, part.descending)?..];
    }
    Ok(rest)
}

/// The columns of an index entry's key, whose space is cut off already, and whether one of them is NULL.
///
/// # Errors
/// `Corrupt` where the key is none of the index.
pub fn index_columns<'k>(index: &Index, rest: &'k [u8]) -> Result<(&'k [u8], bool)> {
    let mut end = 0;
    let mut has_null = false;
    for part in &index.columns {
        let len = skip_key(&rest[end..], part.descending)?;
        has_null |= decode_key(&rest[end..end + len], part.descending)?.0.is_null();
        end += len;
    }
    Ok((&rest[..end], has_null))
}

/// The rowid that a row id is.
#[inline]
pub fn rowid_of(row_id: &[u8]) -> Result<i64> {
    match decode_rowid(row_id)? {
        (rowid, len) if len == row_id.len() => Ok(rowid),
        _ => Err(Error::corrupt("a key goes on after its rowid", "row key")),
    }
}

/// Whether a key gives back exactly the value of a column of this affinity. Text that a collation folds does not come
/// back, nor does the difference between 1 and 1.0 in a column that keeps both.
#[must_use]
pub fn exact_in_key(affinity: Affinity, collation: Collation) -> bool {
    collation == Collation::Binary && affinity != Affinity::Blob
}

/// Reads a part of a key that is exact ([`exact_in_key`]) and its length.
pub fn read_part(bytes: &[u8], part: &IndexColumn, affinity: Affinity) -> Result<(Value, usize)> {
    let (value, len) = decode_key(bytes, part.descending)?;
    Ok(match value {
        // A whole real has the key of an integer; a REAL column holds no integers.
        Value::Integer(integer) if affinity == Affinity::Real => (Value::Real(integer as f64), len),
        value => (value, len),
    })
}

/// Where a covering index has a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexPlace {
    /// The n-th part of the index's columns.
    Part(usize),
    /// The rowid at the end.
    Rowid,
    /// The n-th part of the primary key at the end.
    RowIdPart(usize),
}

/// Where an entry of `index` has what a scan wants of the row, exactly; `None` where only the row has it.
#[must_use]
pub fn index_place(table: &Table, index: &Index, wanted: ColumnSource) -> Option<IndexPlace> {
    let position = match wanted {
        ColumnSource::Rowid => return (!table.without_rowid).then_some(IndexPlace::Rowid),
        ColumnSource::Period(_) => return None,
        ColumnSource::Column(position) => position,
    };
    let column = table.columns.get(position)?;
    match column.place {
        Place::Rowid => return Some(IndexPlace::Rowid),
        Place::Key(part) => return Some(IndexPlace::RowIdPart(part)),
        Place::Row(_) | Place::Virtual => {}
    }
    let holds = |part: &IndexColumn| {
        matches!(part.key, IndexKey::Column(column) if column == position)
            && exact_in_key(column.affinity, part.collation)
    };
    index.columns.iter().position(holds).map(IndexPlace::Part)
}

/// Appends the fields of a row from its `values` (by column position). Fields at the end that are NULL, and read as NULL
/// where absent, are left out.
#[inline]
pub fn put_row(out: &mut Vec<u8>, table: &Table, values: &(impl Cells + ?Sized)) -> Result<()> {
    if let (Some(from), Some(values)) = (table.fields_from, values.lent()) {
        return encode_row(used_fields(table, from, values), out);
    }
    let mut fields = smallvec::SmallVec::<[ValueRef<'_>; 16]>::new();
    let mut used = 0;
    for (position, column) in table.columns.iter().enumerate() {
        let Place::Row(field) = column.place else { continue };
        let value = values.cell(position);
        // Fields stand in the order of their columns, but for gaps that dropped columns leave.
        if field != fields.len() {
            fields.resize(fields.len().max(field + 1), ValueRef::Null);
            fields[field] = value;
        } else {
            fields.push(value);
        }
        if !value.is_null() || !column.absent.is_null() {
            used = used.max(field + 1);
        }
    }
    encode_row(&fields[..used], out)
}

/// The column of the first field of rows of these columns, where it and those behind it are the fields, in their order.
pub(crate) fn fields_from(columns: &[Column]) -> Option<usize> {
    let from = columns.iter().position(|column| matches!(column.place, Place::Row(_)))?;
    let is_next = |(number, column): (usize, &Column)| column.place == Place::Row(number);
    columns[from..].iter().enumerate().all(is_next).then_some(from)
}

/// The fields of a row, which begin at column `from`, without those at the end that are not written down.
#[inline]
fn used_fields<'r, 'v>(table: &Table, from: usize, values: &'r [ValueRef<'v>]) -> &'r [ValueRef<'v>] {
    let mut fields = values.get(from..table.columns.len()).unwrap_or_default();
    while let [rest @ .., ValueRef::Null] = fields
        && table.columns[from + rest.len()].absent.is_null()
    {
        fields = rest;
    }
    fields
}

/// The value of a field of a row, or what an absent one reads as.
#[inline]
pub fn field<'a>(row: &RowReader<'a>, column: &'a Column, field: usize) -> Result<ValueRef<'a>> {
    Ok(row.column(field)?.unwrap_or_else(|| column.absent.as_ref()))
}

/// Reads a whole row: the values by column position (NULL for virtual columns) and the rowid (0 WITHOUT ROWID).
pub fn read_row(table: &Table, row_id: &[u8], row: &[u8]) -> Result<(Vec<Value>, i64)> {
    read_row_beside(table, row_id, row, &[])
}

/// As [`read_row`]. Text and blobs that stand in the same column of `other` too, another version of the row, are shared with it.
pub fn read_row_beside(
    table: &Table,
    row_id: &[u8],
    row: &[u8],
    other: &[Value],
) -> Result<(Vec<Value>, i64)> {
    let reader = RowReader::new(row)?;
    let rowid = if table.without_rowid { 0 } else { rowid_of(row_id)? };
    let key = if table.without_rowid { read_primary_key(table, row_id)? } else { Vec::new() };
    let fields: smallvec::SmallVec<[ValueRef<'_>; 16]> = reader.columns().collect::<Result<_>>()?;
    let mut values = Vec::with_capacity(table.columns.len() + 1);
    for (position, column) in table.columns.iter().enumerate() {
        values.push(match column.place {
            Place::Rowid => Value::Integer(rowid),
            Place::Key(part) => key.get(part).cloned().unwrap_or_default(),
            Place::Row(number) => {
                let value = fields.get(number).copied().unwrap_or_else(|| column.absent.as_ref());
                let long = matches!(value, ValueRef::Text(_) | ValueRef::Blob(_));
                let shared = other.get(position).filter(|other| long && other.as_ref() == value);
                shared.cloned().unwrap_or_else(|| value.to_value())
            }
            Place::Virtual => Value::Null,
        });
    }
    Ok((values, rowid))
}

/// As [`read_row`], with the values lent by the row's bytes and by `key`, what [`read_primary_key`] gives of a WITHOUT ROWID table.
/// Appends them, and the rowid (NULL WITHOUT ROWID) behind them.
pub fn lend_row<'v>(
    table: &'v Table,
    row_id: &[u8],
    key: &'v [Value],
    row: &'v [u8],
    values: &mut smallvec::SmallVec<[ValueRef<'v>; 16]>,
) -> Result<()> {
    let rowid = if table.without_rowid { ValueRef::Null } else { ValueRef::Integer(rowid_of(row_id)?) };
    let mut fields = smallvec::SmallVec::<[ValueRef<'v>; 16]>::new();
    for field in RowReader::new(row)?.columns() {
        fields.push(field?);
    }
    for column in &table.columns {
        values.push(match column.place {
            Place::Rowid => rowid,
            Place::Key(part) => key.cell(part),
            Place::Row(number) => fields.get(number).copied().unwrap_or_else(|| column.absent.as_ref()),
            Place::Virtual => ValueRef::Null,
        });
    }
    values.push(rowid);
    Ok(())
}

/// NULLs to copy many at a time.
const NULLS: [ValueRef<'static>; 16] = [ValueRef::Null; 16];

/// As [`lend_row`], of these columns of a table with rowids; the others are NULL. `values` is empty before.
pub fn lend_columns<'v>(
    table: &'v Table,
    row_id: &[u8],
    row: &'v [u8],
    columns: &[usize],
    values: &mut smallvec::SmallVec<[ValueRef<'v>; 16]>,
) -> Result<()> {
    let rowid = ValueRef::Integer(rowid_of(row_id)?);
    let reader = RowReader::new(row)?;
    let mut missing = table.columns.len();
    while missing > 0 {
        let some = missing.min(NULLS.len());
        values.extend_from_slice(&NULLS[..some]);
        missing -= some;
    }
    values.push(rowid);
    for &position in columns {
        let Some(column) = table.columns.get(position) else { continue };
        values[position] = match column.place {
            Place::Rowid => rowid,
            Place::Row(number) => field(&reader, column, number)?,
            Place::Key(_) | Place::Virtual => ValueRef::Null,
        };
    }
    Ok(())
}

/// Reads the parts of a WITHOUT ROWID table's key.
pub fn read_primary_key(table: &Table, row_id: &[u8]) -> Result<Vec<Value>> {
    let mut rest = row_id;
    let mut parts = Vec::with_capacity(table.primary_key.len());
    for part in &table.primary_key {
        let affinity = match part.key {
            IndexKey::Column(column) => table.columns.get(column).map_or(Affinity::Blob, |c| c.affinity),
            IndexKey::Rowid | IndexKey::Expr(_) => Affinity::Blob,
        };
        let (value, len) = read_part(rest, part, affinity)?;
        parts.push(value);
        rest = &rest[len..];
    }
    if !rest.is_empty() {
        return Err(Error::corrupt("a key goes on after its primary key", format!("table {}", table.name)));
    }
    Ok(parts)
}
