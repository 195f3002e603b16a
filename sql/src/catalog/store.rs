//! The catalog's own rows: one for each schema object, and two with counters. They are versioned by the storage like any
//! other row, so the catalog of the past is read as the present one is.
//!
//! ```text
//! key      space 1 | 00                             the schema's counters
//!          space 1 | 01                             the user's numbers
//!          space 1 | 02 | ordered u32 sequence      an object, in the order of creation
//!
//! counters format 1 | varint next space | varint next sequence | varint schema version
//! numbers  format 1 | i32 user_version | i32 application_id                     (little-endian)
//! object   format 1 | kind | name | table | varint space | sql | varint fields | varint columns | a varint a column
//!          kind     1 table, 2 index, 3 view, 4 trigger; name, table, sql: varint length, UTF-8
//!          column   0 rowid, 1 virtual, 2 + 2n part n of the key, 3 + 2n field n of the row
//! ```

use std::ops::ControlFlow;

use dosql_base::codec::{Reader, get_ordered_u32, put_bytes, put_ordered_u32, put_varint};
use dosql_base::{Error, Result};

use super::layout::prefix_range;
use super::schema::{Place, SpaceId};
use crate::storage::{Direction, Point, Storage};
use crate::value::Text;

/// Where the catalog itself is.
pub const CATALOG_SPACE: SpaceId = 1;
/// The first space that a table or an index gets.
const FIRST_SPACE: SpaceId = 16;
/// Spaces of the database's own tables and indexes lie below this; the numbers above are the owner's of the map.
pub const END_OF_SPACES: SpaceId = 1 << 31;
const FORMAT: u8 = 1;

/// Whether a complete key belongs to the catalog. Of all keys that SQL writes none comes before these.
#[must_use]
#[inline]
pub fn is_catalog_key(key: &[u8]) -> bool {
    key.first() == Some(&(CATALOG_SPACE as u8))
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ObjectKind {
    Table = 1,
    Index = 2,
    View = 3,
    Trigger = 4,
}

impl ObjectKind {
    /// What `sqlite_schema.type` says.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Table => "table",
            ObjectKind::Index => "index",
            ObjectKind::View => "view",
            ObjectKind::Trigger => "trigger",
        }
    }

    fn from_byte(byte: u8) -> Option<ObjectKind> {
        Some(match byte {
            1 => ObjectKind::Table,
            2 => ObjectKind::Index,
            3 => ObjectKind::View,
            4 => ObjectKind::Trigger,
            _ => return None,
        })
    }
}

/// A schema object as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Rises with creation; its key.
    pub sequence: u32,
    /// What it is.
    pub kind: ObjectKind,
    /// As written.
    pub name: Text,
    /// The table it belongs to, as that is written; a table's and a view's own name.
    pub table: Text,
    /// Where its rows or entries are; 0 for views and triggers.
    pub space: SpaceId,
    /// The verbatim CREATE statement; empty for the index of a constraint.
    pub sql: Text,
    /// How many fields its rows have had (tables).
    pub fields: usize,
    /// Where each column is (tables).
    pub places: Vec<Place>,
}

/// The schema's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// The space that the next table or index gets.
    pub next_space: SpaceId,
    /// The sequence that the next object gets.
    pub next_sequence: u32,
    /// Rises with every change of the schema.
    pub version: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters { next_space: FIRST_SPACE, next_sequence: 1, version: 0 }
    }
}

/// Numbers that the user keeps in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserNumbers {
    /// PRAGMA user_version.
    pub user_version: i32,
    /// PRAGMA application_id.
    pub application_id: i32,
}

fn key(catalog: SpaceId, parts: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(8);
    put_ordered_u32(&mut key, catalog);
    key.extend_from_slice(parts);
    key
}

fn object_key(catalog: SpaceId, sequence: u32) -> Vec<u8> {
    let mut key = key(catalog, &[2]);
    put_ordered_u32(&mut key, sequence);
    key
}

fn check_format(reader: &mut Reader<'_>, what: &str) -> Result<()> {
    match reader.u8()? {
        FORMAT => Ok(()),
        other => Err(Error::unsupported(format!(
            "{what} has format {other}; this version of dosql reads {FORMAT}"
        ))),
    }
}

/// The key of the counters of the catalog kept in space `catalog`.
pub(crate) fn counters_key(catalog: SpaceId) -> Vec<u8> {
    key(catalog, &[0])
}

/// Reads the counters of the catalog kept in space `catalog`.
pub fn read_counters<S: Storage>(storage: &S, point: Point, catalog: SpaceId) -> Result<Counters> {
    let found = storage.get(point, &counters_key(catalog), |bytes| {
        let mut reader = Reader::new(bytes, "the catalog's counters");
        check_format(&mut reader, "the catalog")?;
        let counters = Counters {
            next_space: reader.varint_u32()?,
            next_sequence: reader.varint_u32()?,
            version: reader.varint()?,
        };
        reader.finish()?;
        Ok(counters)
    })?;
    found.unwrap_or_else(|| Ok(Counters::default()))
}

/// Writes the counters.
pub fn write_counters<S: Storage>(storage: &mut S, catalog: SpaceId, counters: &Counters) -> Result<()> {
    let mut out = vec![FORMAT];
    put_varint(&mut out, u64::from(counters.next_space));
    put_varint(&mut out, u64::from(counters.next_sequence));
    put_varint(&mut out, counters.version);
    storage.put(&counters_key(catalog), &out)
}

/// Reads the user's numbers.
pub fn read_numbers<S: Storage>(storage: &S, point: Point) -> Result<UserNumbers> {
    let found = storage.get(point, &key(CATALOG_SPACE, &[1]), |bytes| {
        let mut reader = Reader::new(bytes, "the catalog's user numbers");
        check_format(&mut reader, "the catalog")?;
        let numbers =
            UserNumbers { user_version: reader.u32()? as i32, application_id: reader.u32()? as i32 };
        reader.finish()?;
        Ok(numbers)
    })?;
    found.unwrap_or_else(|| Ok(UserNumbers::default()))
}

/// Writes the user's numbers.
pub fn write_numbers<S: Storage>(storage: &mut S, numbers: &UserNumbers) -> Result<()> {
    let mut out = vec![FORMAT];
    out.extend_from_slice(&numbers.user_version.to_le_bytes());
    out.extend_from_slice(&numbers.application_id.to_le_bytes());
    storage.put(&key(CATALOG_SPACE, &[1]), &out)
}

/// Reads all objects in the order of their creation.
pub fn read_objects<S: Storage>(storage: &S, point: Point, catalog: SpaceId) -> Result<Vec<Object>> {
    let prefix = key(catalog, &[2]);
    let skip = prefix.len();
    let mut cursor = storage.open_cursor(point, prefix_range(prefix), Direction::Forward)?;
    let mut objects = Vec::new();
    loop {
        let done = storage.visit(&mut cursor, usize::MAX, &mut |key, value| {
            let sequence = match key.get(skip..).and_then(get_ordered_u32) {
                Some((sequence, len)) if skip + len == key.len() => sequence,
                _ => return Err(Error::corrupt("the key of a catalog row is not a number", "catalog")),
            };
            objects.push(decode(sequence, value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        if done {
            return Ok(objects);
        }
    }
}

/// The sequence of the object whose row has this complete key; `None` for other keys.
#[must_use]
pub fn object_sequence(key: &[u8]) -> Option<u32> {
    let rest = key.strip_prefix(self::key(CATALOG_SPACE, &[2]).as_slice())?;
    get_ordered_u32(rest).map(|(sequence, _)| sequence)
}

/// Where the rows of objects are.
#[must_use]
pub fn objects_range() -> crate::storage::KeyRange {
    prefix_range(key(CATALOG_SPACE, &[2]))
}

/// Reads an object from its complete key and its value.
///
/// # Errors
/// `Corrupt` where they are none.
pub fn read_object(key: &[u8], value: &[u8]) -> Result<Object> {
    let skip = self::key(CATALOG_SPACE, &[2]).len();
    match key.get(skip..).and_then(get_ordered_u32) {
        Some((sequence, len)) if skip + len == key.len() => decode(sequence, value),
        _ => Err(Error::corrupt("the key of a catalog row is not a number", "catalog")),
    }
}

/// Writes an object under its sequence.
pub fn put_object<S: Storage>(storage: &mut S, catalog: SpaceId, object: &Object) -> Result<()> {
    storage.put(&object_key(catalog, object.sequence), &encode(object))
}

/// Removes an object.
pub fn delete_object<S: Storage>(storage: &mut S, catalog: SpaceId, sequence: u32) -> Result<()> {
    storage.delete(&object_key(catalog, sequence))
}

fn encode(object: &Object) -> Vec<u8> {
    let mut out = vec![FORMAT, object.kind as u8];
    put_bytes(&mut out, object.name.as_bytes());
    put_bytes(&mut out, object.table.as_bytes());
    put_varint(&mut out, u64::from(object.space));
    put_bytes(&mut out, object.sql.as_bytes());
    put_varint(&mut out, object.fields as u64);
    put_varint(&mut out, object.places.len() as u64);
    for place in &object.places {
        put_varint(
            &mut out,
            match *place {
                Place::Rowid => 0,
                Place::Virtual => 1,
                Place::Key(part) => 2 + 2 * part as u64,
                Place::Row(field) => 3 + 2 * field as u64,
            },
        );
    }
    out
}

fn decode(sequence: u32, bytes: &[u8]) -> Result<Object> {
    let mut reader = Reader::new(bytes, "a catalog row");
    check_format(&mut reader, "a catalog row")?;
    let kind = reader.u8()?;
    let kind = ObjectKind::from_byte(kind)
        .ok_or_else(|| Error::corrupt(format!("a catalog row is of unknown kind {kind}"), "catalog"))?;
    let name = Text::new(reader.str()?);
    let table = Text::new(reader.str()?);
    let space = reader.varint_u32()?;
    let sql = Text::new(reader.str()?);
    let fields = reader.varint_u32()? as usize;
    let columns = reader.varint_u32()? as usize;
    if columns > reader.rest().len() || fields > crate::codec::MAX_COLUMNS {
        return Err(Error::corrupt("a catalog row claims more columns than it has", "catalog"));
    }
    let mut places = Vec::with_capacity(columns);
    for _ in 0..columns {
        let number = reader.varint_u32()? as usize;
        places.push(match number {
            0 => Place::Rowid,
            1 => Place::Virtual,
            _ if number.is_multiple_of(2) => Place::Key((number - 2) / 2),
            _ => Place::Row((number - 3) / 2),
        });
        if matches!(places.last(), Some(Place::Row(field)) if *field >= fields) {
            return Err(Error::corrupt("a catalog row places a column beyond its fields", "catalog"));
        }
    }
    reader.finish()?;
    Ok(Object { sequence, kind, name, table, space, sql, fields, places })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_back_as_it_was_written() {
        let object = Object {
            sequence: 7,
            kind: ObjectKind::Table,
            name: "T".into(),
            table: "T".into(),
            space: 300,
            sql: "CREATE TABLE T(a INTEGER PRIMARY KEY, b, c)".into(),
            fields: 3,
            places: vec![Place::Rowid, Place::Row(0), Place::Row(2), Place::Virtual, Place::Key(1)],
        };
        let bytes = encode(&object);
        assert_eq!(decode(7, &bytes).unwrap(), object);
        for len in 0..bytes.len() {
            assert!(decode(7, &bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_field_beyond_the_row_is_corrupt() {
        let mut object = Object {
            sequence: 1,
            kind: ObjectKind::Table,
            name: "t".into(),
            table: "t".into(),
            space: 16,
            sql: "".into(),
            fields: 1,
            places: vec![Place::Row(0)],
        };
        assert!(decode(1, &encode(&object)).is_ok());
        object.places = vec![Place::Row(1)];
        assert!(decode(1, &encode(&object)).is_err());
    }
}
