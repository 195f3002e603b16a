//! The codecs of keys and rows, and the functions that read text.

use std::cmp::Ordering;
use std::sync::Arc;

use dosql_base::{Env, ManualClock, SeededEntropy, Timestamp};
use dosql_sql::codec::{
    RowReader, ShapeTable, decode_key, encode_key, encode_row, encode_shaped_row, skip_key,
};
use dosql_sql::func::{Context, Kind, all, glob, like};
use dosql_sql::value::{Collation, Value, ValueRef, compare};

use crate::input::Input;

fn value(input: &mut Input<'_>) -> Value {
    match input.byte() % 6 {
        0 => Value::Null,
        1 => Value::Integer(i64::from(input.byte()) - 128),
        2 => Value::Integer(input.u64() as i64),
        3 => {
            let real = f64::from_bits(input.u64());
            if real.is_nan() { Value::Null } else { Value::Real(real) }
        }
        4 => Value::Text(String::from_utf8_lossy(input.bytes(64)).as_ref().into()),
        _ => Value::Blob(input.bytes(64).into()),
    }
}

/// Rows of any bytes are read or refused; rows of any values come back as they were.
pub fn row(data: &[u8]) {
    let mut input = Input::new(data);
    let values: Vec<Value> = (0..input.byte() % 20).map(|_| value(&mut input)).collect();
    let lent: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
    let mut shapes = ShapeTable::from_bytes(&[]).unwrap_or_default();
    let (mut plain, mut shaped) = (Vec::new(), Vec::new());
    encode_row(&lent, &mut plain).expect("few columns");
    encode_shaped_row(&mut shapes, &lent, &mut shaped).expect("few columns");
    let shapes = ShapeTable::from_bytes(&shapes.to_bytes()).expect("what was written");
    for reader in [RowReader::new(&plain), RowReader::with_shapes(&shapes, &shaped)] {
        let reader = reader.expect("what was written");
        for (index, value) in lent.iter().enumerate() {
            let found = reader.column(index).expect("what was written").unwrap_or(ValueRef::Null);
            assert_eq!(compare(found, *value, Collation::Binary), Ordering::Equal, "{found:?} {value:?}");
        }
    }
    let rest = input.rest();
    let table = ShapeTable::from_bytes(rest);
    for reader in [RowReader::new(rest), RowReader::with_shapes(&shapes, rest)].into_iter().flatten() {
        let _ = reader.columns().count();
    }
    if let Ok(table) = table
        && let Ok(reader) = RowReader::with_shapes(&table, &shaped)
    {
        let _ = reader.columns().count();
    }
}

/// Keys order as their values do, come back, and any bytes are read or refused.
pub fn key(data: &[u8]) {
    let mut input = Input::new(data);
    let collation = [Collation::Binary, Collation::NoCase, Collation::RTrim][usize::from(input.byte() % 3)];
    let desc = input.byte() % 2 == 1;
    let (a, b) = (value(&mut input), value(&mut input));
    let encoded = |value: &Value| {
        let mut key = Vec::new();
        encode_key(&mut key, value.as_ref(), collation, desc);
        key
    };
    let (x, y) = (encoded(&a), encoded(&b));
    let order = compare(a.as_ref(), b.as_ref(), collation);
    assert_eq!(x.cmp(&y), if desc { order.reverse() } else { order }, "{a:?} {b:?} {collation:?} {desc}");
    for (key, value) in [(&x, &a), (&y, &b)] {
        let (found, len) = decode_key(key, desc).expect("what was written");
        assert_eq!(len, key.len());
        assert_eq!(
            compare(found.as_ref(), value.as_ref(), collation),
            Ordering::Equal,
            "{found:?} {value:?}"
        );
        assert_eq!(skip_key(key, desc).expect("what was written"), len);
    }
    let rest = input.rest();
    let (decoded, skipped) = (decode_key(rest, desc), skip_key(rest, desc));
    if let (Ok((_, len)), Ok(skipped)) = (&decoded, &skipped) {
        assert_eq!(len, skipped);
    }
}

/// Any function of any arguments, and patterns.
pub fn function(data: &[u8]) {
    let mut input = Input::new(data);
    let functions: Vec<_> = all().collect();
    let function = functions[usize::from(input.byte()) % functions.len()];
    let many = usize::from(function.min_args) + usize::from(input.byte() % 4);
    let many = if function.max_args == 255 { many } else { many.min(usize::from(function.max_args)) };
    let values: Vec<Value> = (0..many).map(|_| value(&mut input)).collect();
    let lent: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
    if let Kind::Scalar { f, .. } = function.kind {
        let env = Env::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let mut context = Context::new(&env, Timestamp::from_micros(1_767_225_600_000_000));
        // Space for what functions may make is bounded here as it is for a statement.
        context.max_length = 1 << 20;
        let _ = f(&mut context, &lent, Collation::Binary);
    }
    let (pattern, text) =
        (String::from_utf8_lossy(input.bytes(40)), String::from_utf8_lossy(input.bytes(200)));
    let _ = (like(&pattern, &text, Some('\\')), glob(&pattern, &text));
}
