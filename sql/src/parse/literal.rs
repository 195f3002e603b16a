//! Literals: from their text to their value.

use std::borrow::Cow;

use dosql_base::{Error, Result};

use crate::value::{Text, Value};

/// What a number of the text means.
pub(super) enum Number {
    Value(Value),
    /// 9223372036854775808, a real unless a minus stands in front.
    SmallestIntegerWithoutSign,
}

/// The digits of 2^63.
const SMALLEST: u64 = 1 << 63;

/// The value of a well-formed number: an integer, or a real where it has a point or an exponent or does not fit 64 bits.
///
/// # Errors
/// A hexadecimal number of more than 64 bits.
pub(super) fn number(text: &str) -> Result<Number> {
    let digits: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let bits = u64::from_str_radix(hex, 16);
        let bits = bits.map_err(|_| Error::invalid(format!("hex literal too big: {text}")))?;
        return Ok(Number::Value(Value::Integer(bits.cast_signed())));
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        match digits.parse::<u64>() {
            Ok(SMALLEST) => return Ok(Number::SmallestIntegerWithoutSign),
            Ok(value) if value < SMALLEST => return Ok(Number::Value(Value::Integer(value.cast_signed()))),
            _ => {}
        }
    }
    let real = digits.parse().map_err(|_| Error::invalid(format!("unrecognized token: \"{text}\"")))?;
    Ok(Number::Value(Value::real(real)))
}

/// The bytes of `x'..'`, whose digits the lexer has checked.
pub(super) fn blob(text: &str) -> Value {
    let digits = text.get(2..text.len().saturating_sub(1)).unwrap_or_default();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    let bytes: Vec<u8> =
        digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    Value::blob(bytes)
}

/// The text inside quotes: `'..'`, `".."`, `` `..` `` with doubled quotes made single, or `[..]`.
pub(super) fn unquote(text: &str) -> Text {
    let Some(inside) = text.get(1..text.len().saturating_sub(1)) else { return Text::default() };
    let (double, single) = match text.as_bytes()[0] {
        b'\'' => ("''", "'"),
        b'"' => ("\"\"", "\""),
        b'`' => ("``", "`"),
        _ => return Text::new(inside),
    };
    if memchr::memchr(single.as_bytes()[0], inside.as_bytes()).is_some() {
        Text::from(inside.replace(double, single))
    } else {
        Text::new(inside)
    }
}
