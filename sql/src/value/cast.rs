//! CAST, and the coercions that operators and functions do: to integer, real, text, blob and truth.

use std::borrow::Cow;

use super::number::{self, Number};
use super::{Affinity, Blob, Text, Value, ValueRef, write_real};

/// `CAST(value AS type)`, `to` being the affinity of the type. NULL stays NULL. Bytes that are no UTF-8 become
/// U+FFFD in text.
#[must_use]
pub fn cast(value: ValueRef<'_>, to: Affinity) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    match to {
        Affinity::Integer => Value::Integer(to_integer(value)),
        Affinity::Real => Value::Real(to_real(value)),
        Affinity::Text => Value::Text(to_text(value)),
        Affinity::Blob => Value::Blob(to_blob(value)),
        Affinity::Numeric => match value {
            ValueRef::Text(text) => to_numeric(text.as_bytes()),
            ValueRef::Blob(bytes) => to_numeric(bytes),
            _ => value.to_value(),
        },
    }
}

/// The number that text starts with; a whole real becomes an integer.
fn to_numeric(bytes: &[u8]) -> Value {
    match number::scan(bytes).number {
        Number::Integer(integer) => Value::Integer(integer),
        Number::Real(real) => number::exact_integer(real).map_or(Value::Real(real), Value::Integer),
    }
}

/// As CAST AS INTEGER; NULL is 0.
#[must_use]
pub fn to_integer(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(integer) => integer,
        ValueRef::Real(real) => number::truncate(real),
        ValueRef::Text(text) => number::integer_prefix(text.as_bytes()),
        ValueRef::Blob(bytes) => number::integer_prefix(bytes),
    }
}

/// As CAST AS REAL; NULL is 0.0.
#[must_use]
pub fn to_real(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Null => 0.0,
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(real) => real,
        ValueRef::Text(text) => number::scan(text.as_bytes()).number.as_f64(),
        ValueRef::Blob(bytes) => number::scan(bytes).number.as_f64(),
    }
}

/// Appends the value as text; NULL appends nothing.
pub fn write_text(value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(integer) => number::write_integer(integer, out),
        ValueRef::Real(real) => write_real(real, out),
        ValueRef::Text(text) => out.push_str(text),
        ValueRef::Blob(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// The value as text, borrowed where it is text already; NULL is empty.
#[must_use]
pub fn text_of(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Null => Cow::Borrowed(""),
        ValueRef::Text(text) => Cow::Borrowed(text),
        ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
        _ => {
            let mut out = String::new();
            write_text(value, &mut out);
            Cow::Owned(out)
        }
    }
}

/// As CAST AS TEXT; NULL is empty.
#[must_use]
pub fn to_text(value: ValueRef<'_>) -> Text {
    match value {
        ValueRef::Integer(integer) => Text::new(itoa::Buffer::new().format(integer)),
        _ => Text::from(text_of(value)),
    }
}

/// As CAST AS BLOB; NULL is empty.
#[must_use]
pub fn to_blob(value: ValueRef<'_>) -> Blob {
    match value {
        ValueRef::Blob(bytes) => bytes.into(),
        _ => text_of(value).as_bytes().into(),
    }
}

/// The truth of a value: `None` for NULL, else whether it is a number other than zero. Text and blobs count by
/// the number that they start with.
#[must_use]
#[inline]
pub fn to_boolean(value: ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(integer) => Some(integer != 0),
        _ => Some(to_real(value) != 0.0),
    }
}

/// The value as an SQL literal, as `quote()` writes it.
#[must_use]
pub fn quote(value: ValueRef<'_>) -> String {
    let mut out = String::new();
    match value {
        ValueRef::Null => out.push_str("NULL"),
        ValueRef::Real(real) if real.is_infinite() => {
            out.push_str(if real < 0.0 { "-9.0e+999" } else { "9.0e+999" });
        }
        ValueRef::Text(text) => {
            // A literal can't hold a NUL: the text ends there, as in SQLite.
            let text = text.split('\0').next().unwrap_or_default();
            out.push('\'');
            for (i, part) in text.split('\'').enumerate() {
                if i > 0 {
                    out.push_str("''");
                }
                out.push_str(part);
            }
            out.push('\'');
        }
        ValueRef::Blob(bytes) => {
            out.push_str("X'");
            write_hex(bytes, &mut out);
            out.push('\'');
        }
        _ => write_text(value, &mut out),
    }
    out
}

/// Appends bytes as upper-case hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_take_the_prefix_that_makes_sense() {
        let to = |text: &str, affinity| cast(ValueRef::Text(text), affinity);
        assert_eq!(to("12abc", Affinity::Integer), Value::Integer(12));
        assert_eq!(to("abc", Affinity::Integer), Value::Integer(0));
        assert_eq!(to("1e3", Affinity::Integer), Value::Integer(1));
        assert_eq!(to("0x10", Affinity::Integer), Value::Integer(0));
        assert_eq!(to("1.0", Affinity::Numeric), Value::Integer(1));
        assert_eq!(to("1.5x", Affinity::Numeric), Value::Real(1.5));
        assert_eq!(to("1.5x", Affinity::Real), Value::Real(1.5));
        assert_eq!(cast(ValueRef::Real(1.0), Affinity::Numeric), Value::Real(1.0));
        assert_eq!(cast(ValueRef::Real(1e30), Affinity::Integer), Value::Integer(i64::MAX));
        assert_eq!(cast(ValueRef::Real(-3.9), Affinity::Integer), Value::Integer(-3));
        assert_eq!(cast(ValueRef::Blob(b"41"), Affinity::Integer), Value::Integer(41));
        assert_eq!(cast(ValueRef::Blob(&[0xff]), Affinity::Text), Value::text("\u{fffd}"));
        assert_eq!(cast(ValueRef::Integer(5), Affinity::Blob), Value::from(&b"5"[..]));
        assert_eq!(cast(ValueRef::Null, Affinity::Integer), Value::Null);
    }

    #[test]
    fn truth_is_a_number_other_than_zero() {
        assert_eq!(to_boolean(ValueRef::Null), None);
        assert_eq!(to_boolean(ValueRef::Real(0.5)), Some(true));
        assert_eq!(to_boolean(ValueRef::Text("a")), Some(false));
        assert_eq!(to_boolean(ValueRef::Text("1a")), Some(true));
        assert_eq!(to_boolean(ValueRef::Text("0.1")), Some(true));
    }

    #[test]
    fn quoted_values_are_literals_of_themselves() {
        assert_eq!(quote(ValueRef::Text("it's")), "'it''s'");
        assert_eq!(quote(ValueRef::Blob(&[0, 0xAB])), "X'00AB'");
        assert_eq!(quote(ValueRef::Real(f64::NEG_INFINITY)), "-9.0e+999");
        assert_eq!(quote(ValueRef::Null), "NULL");
    }
}
