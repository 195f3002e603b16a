//! Keys: byte strings that `memcmp` orders as SQL orders the values in them. Each value delimits itself, so a key of
//! several columns is one after the other. A descending column has all its bytes inverted.
//!
//! ```text
//! NULL      05
//! number    class, magnitude, fraction           (all but the class inverted below zero)
//!             class     08       below -2^63, and -Inf: then the magnitude is an f64
//!                       09..11   negative, 8..0 bytes of magnitude
//!                       14..1C   zero or positive, 0..8 bytes of magnitude
//!                       1D       from 2^63 up, and Inf: then the magnitude is an f64
//!             magnitude the integer part, big-endian, without leading zero bytes
//!             fraction  00, or the 8 bytes of the f64 bits of the fraction, big-endian, plus 2^56
//! text      30, bytes folded by the collation, 00 as 00 FF, ended by 00 00
//! blob      40, bytes, 00 as 00 FF, ended by 00 00
//! ```
//!
//! An integer and a real that are equal have the same bytes, so numbers interleave exactly. What a key does not
//! keep: whether a whole number was INTEGER or REAL (it decodes as INTEGER inside 64 bits), -0.0 (decodes as 0),
//! and what NOCASE and RTRIM fold away. Other reals, BINARY text and blobs come back as they were.
//!
//! A rowid is `7F - n` (negative) or `80 + n`, then the n low bytes of its two's complement, big-endian; the bytes
//! left out are all the sign.

use dosql_base::{Error, Result};
use memchr::memchr;

use crate::value::{Collation, Text, Value, ValueRef};

const NULL: u8 = 0x05;
const NEGATIVE_HUGE: u8 = 0x08;
/// The class of a negative number without magnitude bytes; one less per byte.
const NEGATIVE: u8 = 0x11;
/// The class of a number from zero up without magnitude bytes; one more per byte.
const POSITIVE: u8 = 0x14;
const POSITIVE_HUGE: u8 = 0x1D;
const TEXT: u8 = 0x30;
const BLOB: u8 = 0x40;
/// The first float beyond the integers.
const HUGE: f64 = 9_223_372_036_854_775_808.0;
/// Added to the bits of a fraction so that its first byte is never the 00 of a number without one.
const FRACTION_BIAS: u64 = 1 << 56;

/// Appends a value so that byte order is the order of [`crate::value::compare`], reversed where `desc`.
pub fn encode_key(out: &mut Vec<u8>, value: ValueRef<'_>, collation: Collation, desc: bool) {
    let start = out.len();
    match value {
        ValueRef::Null => out.push(NULL),
        ValueRef::Integer(integer) => put_number(out, integer < 0, integer.unsigned_abs(), 0.0),
        ValueRef::Real(real) => put_real(out, real),
        ValueRef::Text(text) => {
            out.push(TEXT);
            put_text(out, text, collation);
        }
        ValueRef::Blob(bytes) => {
            out.push(BLOB);
            put_escaped(out, bytes);
        }
    }
    if desc {
        invert(&mut out[start..]);
    }
}

fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

fn put_real(out: &mut Vec<u8>, real: f64) {
    let size = real.abs();
    if real.is_nan() {
        out.push(NULL);
    } else if size >= HUGE && real != -HUGE {
        out.push(if real < 0.0 { NEGATIVE_HUGE } else { POSITIVE_HUGE });
        let start = out.len();
        out.extend_from_slice(&size.to_bits().to_be_bytes());
        if real < 0.0 {
            invert(&mut out[start..]);
        }
    } else {
        put_number(out, real < 0.0, size as u64, size.fract());
    }
}

/// Appends a number of this sign, integer part and fraction (0 <= fraction < 1).
fn put_number(out: &mut Vec<u8>, negative: bool, magnitude: u64, fraction: f64) {
    let skip = magnitude.leading_zeros() as usize / 8;
    let len = (8 - skip) as u8;
    out.push(if negative { NEGATIVE - len } else { POSITIVE + len });
    let start = out.len();
    out.extend_from_slice(&magnitude.to_be_bytes()[skip..]);
    if fraction > 0.0 {
        out.extend_from_slice(&(fraction.to_bits() + FRACTION_BIAS).to_be_bytes());
    } else {
        out.push(0);
    }
    if negative {
        invert(&mut out[start..]);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str, collation: Collation) {
    match collation {
        Collation::Binary => put_escaped(out, text.as_bytes()),
        Collation::RTrim => put_escaped(out, text.trim_end_matches(' ').as_bytes()),
        Collation::NoCase => {
            let start = out.len();
            put_escaped(out, text.as_bytes());
            out[start..].make_ascii_lowercase();
        }
    }
}

fn put_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    while let Some(zero) = memchr(0, bytes) {
        out.extend_from_slice(&bytes[..zero]);
        out.extend_from_slice(&[0, 0xFF]);
        bytes = &bytes[zero + 1..];
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0, 0]);
}

fn bad_key(what: &str) -> Error {
    Error::corrupt(format!("a key {what}"), "key column")
}

/// Reads a value that [`encode_key`] wrote, and its length. Lossy as the module says. Fails with
/// [`dosql_base::ErrorKind::Corrupt`] on bytes that it can't have written.
pub fn decode_key(bytes: &[u8], desc: bool) -> Result<(Value, usize)> {
    let len = skip_key(bytes, desc)?;
    let flipped: Vec<u8>;
    let mut value = &bytes[..len];
    if desc {
        flipped = value.iter().map(|byte| !byte).collect();
        value = &flipped;
    }
    let (class, body) = value.split_first().ok_or_else(|| bad_key("is empty"))?;
    let decoded = match *class {
        NULL => Value::Null,
        TEXT => {
            let text =
                String::from_utf8(unescape(body)).map_err(|_| bad_key("holds text that is not UTF-8"))?;
            Value::Text(Text::from(text))
        }
        BLOB => Value::from(unescape(body)),
        class => decode_number(class, body)?,
    };
    Ok((decoded, len))
}

fn decode_number(class: u8, body: &[u8]) -> Result<Value> {
    let negative = class <= NEGATIVE;
    let mut digits = [0u8; 16];
    let digits = digits.get_mut(..body.len()).ok_or_else(|| bad_key("holds a number that is too long"))?;
    digits.copy_from_slice(body);
    if negative {
        invert(digits);
    }
    let read = |bytes: &[u8]| bytes.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    if class == NEGATIVE_HUGE || class == POSITIVE_HUGE {
        let size = f64::from_bits(read(digits));
        return Ok(Value::real(if negative { -size } else { size }));
    }
    let len = usize::from(if negative { NEGATIVE - class } else { class - POSITIVE });
    let magnitude = read(&digits[..len]);
    let rest = &digits[len..];
    if rest.len() == 8 {
        let bits = read(rest).wrapping_sub(FRACTION_BIAS);
        let size = magnitude as f64 + f64::from_bits(bits);
        return Ok(Value::real(if negative { -size } else { size }));
    }
    let integer = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    integer.map(Value::Integer).ok_or_else(|| bad_key("holds an integer beyond 64 bits"))
}

/// The body of a text or blob without its escapes and its end.
fn unescape(body: &[u8]) -> Vec<u8> {
    let mut rest = body.strip_suffix(&[0, 0]).unwrap_or(body);
    let mut out = Vec::with_capacity(rest.len());
    while let Some(zero) = memchr(0, rest) {
        out.extend_from_slice(&rest[..=zero]);
        rest = rest.get(zero + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// The length of the value that `bytes` start with, without decoding it.
#[inline]
pub fn skip_key(bytes: &[u8], desc: bool) -> Result<usize> {
    let flip = if desc { 0xFF } else { 0 };
    let ends = || bad_key("ends too early");
    let class = *bytes.first().ok_or_else(ends)? ^ flip;
    let (magnitude, negative) = match class {
        NULL => return Ok(1),
        NEGATIVE_HUGE | POSITIVE_HUGE => return if bytes.len() >= 9 { Ok(9) } else { Err(ends()) },
        0x09..=NEGATIVE => (usize::from(NEGATIVE - class), true),
        POSITIVE..=0x1C => (usize::from(class - POSITIVE), false),
        TEXT | BLOB => {
            let mut at = 1;
            loop {
                at += memchr(flip, &bytes[at..]).ok_or_else(ends)?;
                match *bytes.get(at + 1).ok_or_else(ends)? ^ flip {
                    0 => return Ok(at + 2),
                    0xFF => at += 2,
                    _ => return Err(bad_key("holds a zero byte that is not escaped")),
                }
            }
        }
        _ => return Err(bad_key("starts with an unknown class")),
    };
    let flip = if negative { !flip } else { flip };
    let fraction = *bytes.get(1 + magnitude).ok_or_else(ends)? ^ flip;
    let len = 1 + magnitude + if fraction == 0 { 1 } else { 8 };
    if len <= bytes.len() { Ok(len) } else { Err(ends()) }
}

/// Appends a rowid: 1 to 9 bytes that order as the number does.
#[inline]
pub fn encode_rowid(out: &mut Vec<u8>, rowid: i64) {
    // The magnitude of a negative rowid is that of its complement, so that -1 takes one byte.
    let magnitude = (if rowid < 0 { !rowid } else { rowid }) as u64;
    let skip = magnitude.leading_zeros() as usize / 8;
    let len = (8 - skip) as u8;
    out.push(if rowid < 0 { 0x7F - len } else { 0x80 + len });
    out.extend_from_slice(&(rowid as u64).to_be_bytes()[skip..]);
}

/// Reads a rowid and its length.
#[inline]
pub fn decode_rowid(bytes: &[u8]) -> Result<(i64, usize)> {
    let first = *bytes.first().ok_or_else(|| bad_key("ends before its rowid"))?;
    let (len, fill) = match first {
        0x77..=0x7F => (usize::from(0x7F - first), u64::MAX),
        0x80..=0x88 => (usize::from(first - 0x80), 0),
        _ => return Err(bad_key("holds no rowid where one should be")),
    };
    let body = bytes.get(1..=len).ok_or_else(|| bad_key("ends inside its rowid"))?;
    let value = body.iter().fold(fill, |value, &byte| value << 8 | u64::from(byte));
    Ok((value as i64, len + 1))
}
