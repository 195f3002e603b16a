//! Keys order as values do, and rows come back as they were, whatever the bytes.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use dosql_sql::codec::{
    RowReader, ShapeTable, decode_key, decode_rowid, encode_key, encode_row, encode_rowid, encode_shaped_row,
    patch_row, skip_key,
};
use dosql_sql::value::{Collation, Value, ValueRef, compare};

fn random_value(random: &mut fastrand::Rng) -> Value {
    match random.u8(..14) {
        0 => Value::Null,
        1 => Value::Integer(random.i64(-3..4)),
        2 => Value::Integer(random.i64(..) >> random.u8(..64)),
        3 => Value::Real(random.i64(-3..4) as f64 + [0.0, 0.5, 0.25][random.usize(..3)]),
        4 => Value::real(f64::from_bits(random.u64(..))),
        5 => {
            let edge = 1i64 << (50 + random.u8(..14));
            Value::Integer(edge.wrapping_add(random.i64(-3..4)))
        }
        6 => Value::Real((1u64 << (50 + random.u8(..14))) as f64 * [1.0, -1.0][random.usize(..2)]),
        7 => Value::Real([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -5e-324][random.usize(..6)]),
        8 | 9 => Value::from(random_bytes(random)),
        _ => {
            let letters = ["a", "A", "b", "B", " ", "\0", "ä", "Ä", "_", "\u{ff}", "\u{1}"];
            let len = random.usize(..6);
            Value::from((0..len).map(|_| letters[random.usize(..letters.len())]).collect::<String>())
        }
    }
}

fn random_bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let bytes = [0, 1, 0x7f, 0xfe, 0xff];
    (0..random.usize(..5)).map(|_| bytes[random.usize(..bytes.len())]).collect()
}

fn key(value: ValueRef<'_>, collation: Collation, desc: bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(&mut out, value, collation, desc);
    out
}

#[test]
fn keys_order_as_values_do() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..100_000 {
        let (a, b) = (random_value(&mut random), random_value(&mut random));
        for collation in [Collation::Binary, Collation::NoCase, Collation::RTrim] {
            let order = compare(a.as_ref(), b.as_ref(), collation);
            let ascending = key(a.as_ref(), collation, false).cmp(&key(b.as_ref(), collation, false));
            let descending = key(a.as_ref(), collation, true).cmp(&key(b.as_ref(), collation, true));
            assert_eq!((ascending, descending), (order, order.reverse()), "{a} {b} {collation:?}");
        }
    }
}

#[test]
fn no_key_starts_another_so_columns_stand_side_by_side() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..50_000 {
        let (a, b) = (random_value(&mut random), random_value(&mut random));
        for desc in [false, true] {
            let (a_key, b_key) =
                (key(a.as_ref(), Collation::Binary, desc), key(b.as_ref(), Collation::Binary, desc));
            if compare(a.as_ref(), b.as_ref(), Collation::Binary) != Ordering::Equal {
                assert!(!a_key.starts_with(&b_key), "{a} {b}");
            }
            assert_eq!(skip_key(&[a_key.clone(), b_key].concat(), desc).unwrap(), a_key.len());
        }
    }
}

#[test]
fn a_key_decodes_to_an_equal_value() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..50_000 {
        let value = random_value(&mut random);
        for desc in [false, true] {
            let bytes = key(value.as_ref(), Collation::Binary, desc);
            let (decoded, len) = decode_key(&bytes, desc).unwrap();
            assert_eq!(len, bytes.len());
            assert_eq!(
                compare(decoded.as_ref(), value.as_ref(), Collation::Binary),
                Ordering::Equal,
                "{value}"
            );
            if !matches!(value, Value::Real(_)) {
                assert_eq!(decoded, value);
            }
            assert!(decode_key(&bytes[..bytes.len() - 1], desc).is_err());
        }
    }
}

#[test]
fn corrupt_keys_are_errors() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..random.usize(..20)).map(|_| random.u8(..)).collect();
        for desc in [false, true] {
            if let Ok((_, len)) = decode_key(&bytes, desc) {
                assert!(len <= bytes.len());
            }
        }
        let _ = decode_rowid(&bytes);
    }
}

#[test]
fn rowids_order_and_come_back() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut rowids: Vec<i64> = (0..10_000).map(|_| random.i64(..) >> random.u8(..64)).collect();
    rowids.extend([i64::MIN, i64::MAX, 0, -1, 1, 255, 256, -256, -257]);
    rowids.sort_unstable();
    let encoded: Vec<Vec<u8>> = rowids
        .iter()
        .map(|&rowid| {
            let mut out = Vec::new();
            encode_rowid(&mut out, rowid);
            assert_eq!(decode_rowid(&out).unwrap(), (rowid, out.len()));
            out
        })
        .collect();
    assert!(encoded.is_sorted());
    assert_eq!(encoded.iter().map(Vec::len).min(), Some(1));
}

fn random_row(random: &mut fastrand::Rng) -> Vec<Value> {
    let mut row: Vec<Value> = (0..random.usize(..9)).map(|_| random_value(random)).collect();
    if random.u8(..20) == 0 {
        row.push(Value::from(vec![7u8; 1 << random.u8(..18)]));
        row.push(Value::text("after"));
    }
    row
}

fn read_back(reader: &RowReader<'_>, row: &[Value]) {
    assert_eq!(reader.column_count(), row.len());
    for (index, value) in row.iter().enumerate() {
        assert_eq!(reader.column(index).unwrap(), Some(value.as_ref()));
    }
    assert_eq!(reader.column(row.len()).unwrap(), None);
    let all: Vec<_> = reader.columns().map(Result::unwrap).collect();
    assert_eq!(all, row.iter().map(Value::as_ref).collect::<Vec<_>>());
}

#[test]
fn rows_come_back_as_they_were() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut shapes = ShapeTable::new();
    let mut stored = Vec::new();
    for _ in 0..5_000 {
        let row = random_row(&mut random);
        let values: Vec<ValueRef<'_>> = row.iter().map(Value::as_ref).collect();
        let mut plain = Vec::new();
        encode_row(&values, &mut plain).unwrap();
        read_back(&RowReader::new(&plain).unwrap(), &row);
        let mut shaped = Vec::new();
        let before = shapes.len();
        assert_eq!(encode_shaped_row(&mut shapes, &values, &mut shaped).unwrap(), shapes.len() > before);
        stored.push((row, shaped));
    }
    let shapes = ShapeTable::from_bytes(&shapes.to_bytes()).unwrap();
    assert_eq!(shapes.len(), ShapeTable::MAX);
    for (row, bytes) in &stored {
        read_back(&RowReader::with_shapes(&shapes, bytes).unwrap(), row);
    }
}

#[test]
fn a_row_changed_in_its_place_is_the_row_written_anew() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut patched = 0;
    for _ in 0..50_000 {
        let (row, new) = (random_row(&mut random), random_value(&mut random));
        let mut values: Vec<ValueRef<'_>> = row.iter().map(Value::as_ref).collect();
        let mut bytes = Vec::new();
        encode_row(&values, &mut bytes).unwrap();
        let (before, index) = (bytes.clone(), random.usize(..=values.len()));
        let (mut broken, at) = (bytes.clone(), random.usize(..bytes.len()));
        if patch_row(&mut bytes, index, new.as_ref()).unwrap() {
            values[index] = new.as_ref();
            let mut anew = Vec::new();
            encode_row(&values, &mut anew).unwrap();
            assert_eq!(bytes, anew);
            patched += 1;
        } else {
            assert_eq!(bytes, before);
        }
        broken[at] ^= 1 << random.u8(..8);
        broken.truncate(random.usize(..=broken.len()));
        let _ = patch_row(&mut broken, index, new.as_ref());
    }
    assert!(patched > 1_000, "{patched}");
}

#[test]
fn rows_of_one_kind_share_a_few_shapes() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut shapes = ShapeTable::new();
    for _ in 0..10_000 {
        let text = "x".repeat(random.usize(..40));
        let integer = |random: &mut fastrand::Rng| ValueRef::Integer(random.i64(..) >> random.u8(..64));
        let row = [integer(&mut random), ValueRef::Text(&text), integer(&mut random), ValueRef::Text("y")];
        let mut out = Vec::new();
        encode_shaped_row(&mut shapes, &row, &mut out).unwrap();
        assert_ne!(out[0], 0);
    }
    assert!(shapes.len() <= 32, "{}", shapes.len());
}

#[test]
fn corrupt_rows_are_errors() {
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..20_000 {
        let row = random_row(&mut random);
        let values: Vec<ValueRef<'_>> = row.iter().map(Value::as_ref).collect();
        let mut bytes = Vec::new();
        encode_row(&values, &mut bytes).unwrap();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        bytes.truncate(random.usize(..=bytes.len()));
        if let Ok(reader) = RowReader::new(&bytes) {
            for index in 0..reader.column_count().min(100) {
                let _ = reader.column(index);
            }
            assert!(reader.columns().count() <= 32_767);
        }
        let _ = ShapeTable::from_bytes(&bytes);
    }
}

/// The bytes on disk are a promise: where this fails, the format has changed and needs a version.
#[test]
fn the_bytes_of_keys_and_rows_stay_as_they_are() {
    let keys: [(ValueRef<'_>, &[u8]); 12] = [
        (ValueRef::Null, &[0x05]),
        (ValueRef::Real(f64::NEG_INFINITY), &[0x08, 0x80, 0x0F, 255, 255, 255, 255, 255, 255]),
        (ValueRef::Integer(-256), &[0x0F, 0xFE, 0xFF, 0xFF]),
        (ValueRef::Real(-0.5), &[0x11, 0xBF, 0x1F, 255, 255, 255, 255, 255, 255][..]),
        (ValueRef::Integer(0), &[0x14, 0]),
        (ValueRef::Real(-0.0), &[0x14, 0]),
        (ValueRef::Integer(1), &[0x15, 1, 0]),
        (ValueRef::Real(1.5), &[0x15, 1, 0x40, 0xE0, 0, 0, 0, 0, 0, 0]),
        (ValueRef::Integer(i64::MAX), &[0x1C, 0x7F, 255, 255, 255, 255, 255, 255, 255, 0]),
        (ValueRef::Real(1e19), &[0x1D, 0x43, 0xE1, 0x58, 0xE4, 0x60, 0x91, 0x3D, 0]),
        (ValueRef::Text("a\0b"), &[0x30, b'a', 0, 0xFF, b'b', 0, 0]),
        (ValueRef::Blob(&[0xFF]), &[0x40, 0xFF, 0, 0]),
    ];
    for (value, bytes) in keys {
        assert_eq!(key(value, Collation::Binary, false), bytes, "{value}");
    }
    assert_eq!(key(ValueRef::Text("Ab "), Collation::NoCase, true), [0xCF, !b'a', !b'b', !b' ', 255, 255]);
    let rowid = |rowid| {
        let mut out = Vec::new();
        encode_rowid(&mut out, rowid);
        out
    };
    assert_eq!(
        (rowid(-1), rowid(0), rowid(300), rowid(-300)),
        (vec![0x7F], vec![0x80], vec![0x82, 1, 44], vec![0x7D, 0xFE, 0xD4])
    );
    let row = [
        ValueRef::Integer(300),
        ValueRef::Text("ab"),
        ValueRef::Null,
        ValueRef::Blob(&[7]),
        ValueRef::Integer(1),
    ];
    let mut plain = Vec::new();
    encode_row(&row, &mut plain).unwrap();
    assert_eq!(plain, [0, 20, 0x84, 0x90, 0x02, 44, 1, 2, b'a', b'b', 7]);
    let mut shapes = ShapeTable::new();
    let mut shaped = Vec::new();
    assert!(encode_shaped_row(&mut shapes, &row, &mut shaped).unwrap());
    assert_eq!(shaped, [1, 44, 1, 1, 2, b'a', b'b', 7]);
    assert_eq!(shapes.to_bytes(), [1, 1, 20, 0x84, 0x90, 0x03]);
}
