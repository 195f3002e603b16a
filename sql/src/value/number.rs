//! Numbers in text: scanning the longest numeric prefix as SQLite does, and writing the shortest text that
//! reads back as the same number.

use std::fmt::Write as _;

use super::Value;

/// What stands at the start of a text, read as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scan {
    /// The number: INTEGER where the prefix has neither point nor exponent and fits 64 bits, else REAL.
    pub number: Number,
    /// Whether nothing but white space surrounds it. False for text without any number (which reads as 0).
    pub whole: bool,
    /// Whether there is at least one digit.
    pub any: bool,
}

/// An INTEGER or a REAL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A 64-bit integer.
    Integer(i64),
    /// A float, never NaN; infinite where the text exceeds the range.
    Real(f64),
}

impl Number {
    /// As a float.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Real(value) => value,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(value) => Value::Integer(value),
            Number::Real(value) => Value::Real(value),
        }
    }
}

/// SQLite's white space: space, and tab to carriage return.
#[must_use]
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

fn skip_while(bytes: &[u8], mut at: usize, matches: impl Fn(u8) -> bool) -> usize {
    while bytes.get(at).is_some_and(|&byte| matches(byte)) {
        at += 1;
    }
    at
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Reads the longest numeric prefix of `bytes`: white space, a sign, digits, a point, digits, an exponent.
#[must_use]
pub fn scan(bytes: &[u8]) -> Scan {
    let start = skip_while(bytes, 0, is_space);
    let digits = start + usize::from(matches!(bytes.get(start), Some(b'+' | b'-')));
    let mut end = skip_while(bytes, digits, is_digit);
    let mut any = end > digits;
    let mut real = false;
    if bytes.get(end) == Some(&b'.') {
        let fraction = skip_while(bytes, end + 1, is_digit);
        if any || fraction > end + 1 {
            any = true;
            real = true;
            end = fraction;
        }
    }
    if !any {
        return Scan { number: Number::Integer(0), whole: false, any: false };
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = skip_while(bytes, signed, is_digit);
        if exponent > signed {
            real = true;
            end = exponent;
        }
    }
    let whole = skip_while(bytes, end, is_space) == bytes.len();
    let body = std::str::from_utf8(&bytes[start..end]).unwrap_or("0");
    let integer = if real { None } else { body.parse::<i64>().ok() };
    let number = match integer {
        Some(value) => Number::Integer(value),
        None => Number::Real(body.parse::<f64>().unwrap_or(0.0)),
    };
    Scan { number, whole, any }
}

/// The integer that `bytes` start with, saturated to 64 bits; 0 where there is none. Stops at a point or an
/// exponent, as CAST AS INTEGER does.
#[must_use]
pub fn integer_prefix(bytes: &[u8]) -> i64 {
    let start = skip_while(bytes, 0, is_space);
    let negative = bytes.get(start) == Some(&b'-');
    let mut at = start + usize::from(matches!(bytes.get(start), Some(b'+' | b'-')));
    let mut value = 0i64;
    while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let digit = if negative { -digit } else { digit };
        value = value.saturating_mul(10).saturating_add(digit);
        at += 1;
    }
    value
}

/// The integer that a float stands for: truncated, saturated to 64 bits.
#[must_use]
pub fn truncate(value: f64) -> i64 {
    value as i64
}

/// The integer that equals `value`, where there is one strictly inside the range of 64 bits: what NUMERIC and
/// INTEGER affinity turn a real into.
#[must_use]
pub fn exact_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    (integer as f64 == value && integer > i64::MIN && integer < i64::MAX).then_some(integer)
}

/// Holds what `{:e}` writes for any float.
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// The fewest decimal digits that read back as the finite `value` (its sign left aside), and the power of ten
/// of the first: `[1, 5]` and -1 for 0.15. Returns the number of digits written to `digits`, 1 to 17.
pub(crate) fn shortest_digits(value: f64, digits: &mut [u8; 20]) -> (usize, i32) {
    let mut short = Short { bytes: [0; 32], len: 0 };
    let _ = write!(short, "{:e}", value.abs());
    let mut count = 0;
    let mut exponent = 0;
    for (i, &byte) in short.bytes[..short.len].iter().enumerate() {
        match byte {
            b'0'..=b'9' if count < digits.len() => {
                digits[count] = byte;
                count += 1;
            }
            b'e' => {
                let text = std::str::from_utf8(&short.bytes[i + 1..short.len]).unwrap_or("0");
                exponent = text.parse().unwrap_or(0);
                break;
            }
            _ => {}
        }
    }
    (count, exponent)
}

/// Appends a real in SQLite's form: a point always, an exponent (`1.0e+15`, `1.0e-05`) above 15 digits before
/// the point or below 0.0001, `Inf` and `-Inf`; with the fewest digits that read back as the same float.
pub fn write_real(value: f64, out: &mut String) {
    if value.is_nan() {
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    if value.is_infinite() {
        out.push_str("Inf");
        return;
    }
    let mut digits = [0u8; 20];
    let (count, exponent) = shortest_digits(value, &mut digits);
    let digits = std::str::from_utf8(&digits[..count]).unwrap_or("0");
    if !(-4..=14).contains(&exponent) {
        out.push_str(&digits[..1]);
        out.push('.');
        out.push_str(if count > 1 { &digits[1..] } else { "0" });
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        out.push_str(digits);
    } else {
        let point = exponent as usize + 1;
        if count <= point {
            out.push_str(digits);
            out.extend(std::iter::repeat_n('0', point - count));
            out.push_str(".0");
        } else {
            out.push_str(&digits[..point]);
            out.push('.');
            out.push_str(&digits[point..]);
        }
    }
}

/// Appends an integer.
pub fn write_integer(value: i64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        write_real(value, &mut out);
        out
    }

    #[test]
    fn reals_print_shortest_in_sqlite_form() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-05"),
            (123456789012345.0, "123456789012345.0"),
            (1e15, "1.0e+15"),
            (1.5e100, "1.5e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5.0e-324"),
            (f64::INFINITY, "Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn a_printed_real_reads_back_as_the_same_float() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let value = f64::from_bits(random.u64(..));
            if value.is_finite() {
                assert_eq!(scan(written(value).as_bytes()).number.as_f64(), value, "{value:e}");
            }
        }
    }

    #[test]
    fn the_longest_numeric_prefix_is_read() {
        let real = |value, whole| Scan { number: Number::Real(value), whole, any: true };
        let integer = |value, whole| Scan { number: Number::Integer(value), whole, any: true };
        assert_eq!(scan(b" 12 "), integer(12, true));
        assert_eq!(scan(b"12abc"), integer(12, false));
        assert_eq!(scan(b"-5."), real(-5.0, true));
        assert_eq!(scan(b".5"), real(0.5, true));
        assert_eq!(scan(b"1e3"), real(1000.0, true));
        assert_eq!(scan(b"1e"), integer(1, false));
        assert_eq!(scan(b"1e+x"), integer(1, false));
        assert_eq!(scan(b"9223372036854775808"), real(9223372036854775808.0, true));
        assert_eq!(scan(b"0x10"), integer(0, false));
        for nothing in [&b"abc"[..], b"", b"-", b".", b".e5", b"inf", b"nan"] {
            assert!(!scan(nothing).any && !scan(nothing).whole);
        }
    }

    #[test]
    fn an_integer_prefix_saturates() {
        assert_eq!(integer_prefix(b"  -12x"), -12);
        assert_eq!(integer_prefix(b"9223372036854775808"), i64::MAX);
        assert_eq!(integer_prefix(b"-9223372036854775809"), i64::MIN);
        assert_eq!(integer_prefix(b"1e3"), 1);
    }
}
