//! The rows of the catalog, of tables and of indexes, byte for byte, as docs/FORMAT.md describes them. Where this fails, the format
//! has changed and needs a version.

use dosql_base::ErrorKind;
use dosql_sql::catalog::layout::{put_part, put_rowid_key, put_space};
use dosql_sql::catalog::schema::{IndexColumn, IndexKey, Place};
use dosql_sql::catalog::store::{self, CATALOG_SPACE, Counters, Object, ObjectKind, UserNumbers};
use dosql_sql::codec::{RowReader, ShapeTable, encode_row, encode_rowid, encode_shaped_row};
use dosql_sql::testkit::MemoryStorage;
use dosql_sql::value::{Collation, ValueRef};
use dosql_sql::{Point, Storage};

fn stored(storage: &MemoryStorage, key: &[u8]) -> Vec<u8> {
    storage.get(Point::Live, key, <[u8]>::to_vec).unwrap().expect("a row is there")
}

#[test]
fn the_rows_of_the_catalog_are_these_bytes() {
    let mut storage = MemoryStorage::new();
    let counters = Counters { next_space: 300, next_sequence: 2, version: 5 };
    store::write_counters(&mut storage, CATALOG_SPACE, &counters).unwrap();
    assert_eq!(stored(&storage, &[1, 0]), [1, 0xAC, 2, 2, 5]);
    let numbers = UserNumbers { user_version: 0x0102, application_id: -2 };
    store::write_numbers(&mut storage, &numbers).unwrap();
    assert_eq!(stored(&storage, &[1, 1]), [1, 2, 1, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]);
    let object = Object {
        sequence: 300,
        kind: ObjectKind::Table,
        name: "T".into(),
        table: "T".into(),
        space: 16,
        sql: "SQL".into(),
        fields: 2,
        places: vec![Place::Rowid, Place::Virtual, Place::Key(1), Place::Row(1)],
    };
    store::put_object(&mut storage, CATALOG_SPACE, &object).unwrap();
    assert_eq!(stored(&storage, &[1, 2, 0xF0, 60]), b"\x01\x01\x01T\x01T\x10\x03SQL\x02\x04\x00\x01\x04\x05");
    assert_eq!(store::read_objects(&storage, Point::Live, CATALOG_SPACE).unwrap(), [object]);
}

#[test]
fn a_catalog_row_of_a_newer_format_is_unsupported() {
    let mut storage = MemoryStorage::new();
    for key in [&[1, 0][..], &[1, 1], &[1, 2, 1]] {
        storage.put(key, &[2, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    }
    let kinds = [
        store::read_counters(&storage, Point::Live, CATALOG_SPACE).unwrap_err().kind(),
        store::read_numbers(&storage, Point::Live).unwrap_err().kind(),
        store::read_objects(&storage, Point::Live, CATALOG_SPACE).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 3]);
}

#[test]
fn the_keys_of_tables_and_indexes_are_these_bytes() {
    let mut key = Vec::new();
    put_rowid_key(&mut key, 16, 300);
    assert_eq!(key, [16, 0x82, 1, 44]);
    // An index on (a DESC, b COLLATE NOCASE): its number, the parts, the rowid.
    let part = |collation, descending| IndexColumn { key: IndexKey::Column(0), collation, descending };
    let mut entry = Vec::new();
    put_space(&mut entry, 240);
    put_part(&mut entry, &part(Collation::Binary, true), ValueRef::Integer(1));
    put_part(&mut entry, &part(Collation::NoCase, false), ValueRef::Text("Ab"));
    encode_rowid(&mut entry, 7);
    assert_eq!(entry, [0xF0, 0, !0x15, !1, !0, 0x30, b'a', b'b', 0, 0, 0x81, 7]);
}

#[test]
fn every_width_of_column_and_of_end_is_stored_as_described() {
    let row = |values: &[ValueRef<'_>]| {
        let mut out = Vec::new();
        encode_row(values, &mut out).unwrap();
        out
    };
    use ValueRef::{Integer, Null, Real};
    let fixed = [Integer(-1), Integer(-129), Integer(40_000), Integer(1 << 40), Real(1.5), Integer(0), Null];
    let expected = [
        // shape 0, seven columns with ends of one byte; tags 3 4, 5 6, 7 1, 0
        &[0, 7 << 2, 0x43, 0x65, 0x17, 0x00][..],
        &[0xFF],
        &[0x7F, 0xFF],
        &[0x40, 0x9C, 0, 0],
        &[0, 0, 0, 0, 0, 1, 0, 0],
        &1.5f64.to_bits().to_le_bytes(),
    ];
    assert_eq!(row(&fixed), expected.concat());
    let long = "x".repeat(300);
    let two = row(&[ValueRef::Text(&long), ValueRef::Blob(b"y")]);
    assert_eq!(two[..5], [0, 2 << 2 | 1, 0x98, 44, 1]);
    let longer = "x".repeat(70_000);
    let four = row(&[ValueRef::Text(&longer), ValueRef::Blob(b"y")]);
    assert_eq!(four[..7], [0, 2 << 2 | 2, 0x98, 0x70, 0x11, 1, 0]);
    // The last end is the row's: one long value alone needs none.
    assert_eq!(row(&[ValueRef::Text(&longer)])[..4], [0, 1 << 2, 0x08, b'x']);
}

#[test]
fn a_shape_table_is_these_bytes_and_a_newer_one_is_unsupported() {
    let mut shapes = ShapeTable::new();
    let mut out = Vec::new();
    // 0 and 1 get a byte in a shape, since other rows of it will differ.
    encode_shaped_row(&mut shapes, &[ValueRef::Integer(1), ValueRef::Text("a")], &mut out).unwrap();
    encode_shaped_row(&mut shapes, &[ValueRef::Null], &mut out).unwrap();
    assert_eq!(out, [1, 1, b'a', 2]);
    let bytes = shapes.to_bytes();
    assert_eq!(bytes, [1, 2, 2 << 2, 0x83, 1 << 2, 0x00]);
    assert_eq!(ShapeTable::from_bytes(&bytes).unwrap(), shapes);
    let read = RowReader::with_shapes(&shapes, &[1, 5, b'z']).unwrap();
    assert_eq!(read.column(0).unwrap(), Some(ValueRef::Integer(5)));
    let error = ShapeTable::from_bytes(&[2, 0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
