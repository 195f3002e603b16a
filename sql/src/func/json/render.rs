//! JSONB to text and to SQL values.

use super::jsonb::{Element, Kind};
use super::text::{unescaped, write_json5, write_string};
use crate::value::{Value, number};

/// Appends an element as JSON text without white space.
pub(super) fn write(element: Element, blob: &[u8], out: &mut String) {
    match element.kind {
        Kind::Array => {
            out.push('[');
            for (i, child) in element.children(blob).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(child, blob, out);
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            for (i, (label, value)) in element.entries(blob).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_scalar(label, blob, out);
                out.push(':');
                write(value, blob, out);
            }
            out.push('}');
        }
        _ => write_scalar(element, blob, out),
    }
}

fn write_scalar(element: Element, blob: &[u8], out: &mut String) {
    let text = element.text(blob);
    match element.kind {
        Kind::True => out.push_str("true"),
        Kind::False => out.push_str("false"),
        Kind::Int | Kind::Float => out.push_str(text),
        Kind::Int5 => write_hexadecimal(text, out),
        Kind::Float5 => write_float5(text, out),
        Kind::Text | Kind::TextJ => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Kind::Text5 => write_json5(text, out),
        Kind::TextRaw => write_string(text, out),
        Kind::Null | Kind::Array | Kind::Object => out.push_str("null"),
    }
}

/// The sign and the value of a hexadecimal integer; `None` beyond 64 bits.
fn hexadecimal(text: &str) -> (bool, Option<u64>) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    (negative, digits.get(2..).and_then(|digits| u64::from_str_radix(digits, 16).ok()))
}

fn write_hexadecimal(text: &str, out: &mut String) {
    let (negative, value) = hexadecimal(text);
    if negative {
        out.push('-');
    }
    match value {
        Some(value) => out.push_str(itoa::Buffer::new().format(value)),
        None => out.push_str("9.0e999"),
    }
}

/// Puts the zeros in that JSON wants around the point.
fn write_float5(text: &str, out: &mut String) {
    let rest = text.strip_prefix('-');
    if rest.is_some() {
        out.push('-');
    }
    let rest = rest.unwrap_or(text);
    let (whole, after) = rest.split_once('.').unwrap_or((rest, "0"));
    out.push_str(if whole.is_empty() { "0" } else { whole });
    out.push('.');
    if !after.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('0');
    }
    out.push_str(after);
}

/// Appends an element on several lines, each level indented by `indent`.
pub(super) fn write_pretty(element: Element, blob: &[u8], indent: &str, level: usize, out: &mut String) {
    let (start, end) = match element.kind {
        Kind::Array => ('[', ']'),
        Kind::Object => ('{', '}'),
        _ => return write_scalar(element, blob, out),
    };
    out.push(start);
    let step = if element.kind == Kind::Object { 2 } else { 1 };
    let mut empty = true;
    for (i, child) in element.children(blob).enumerate() {
        if i % step == 0 {
            out.push_str(if empty { "\n" } else { ",\n" });
            empty = false;
            out.extend(std::iter::repeat_n(indent, level + 1));
        }
        if step == 2 && i % 2 == 0 {
            write_scalar(child, blob, out);
            out.push_str(": ");
        } else {
            write_pretty(child, blob, indent, level + 1, out);
        }
    }
    if !empty {
        out.push('\n');
        out.extend(std::iter::repeat_n(indent, level));
    }
    out.push(end);
}

/// An element as JSON text.
pub(super) fn to_text(element: Element, blob: &[u8]) -> String {
    let mut out = String::new();
    write(element, blob, &mut out);
    out
}

/// An element as an SQL value: arrays and objects as their text, truth as 1 and 0.
pub(super) fn to_sql(element: Element, blob: &[u8]) -> Value {
    match element.kind {
        Kind::Null => Value::Null,
        Kind::True => Value::Integer(1),
        Kind::False => Value::Integer(0),
        Kind::Int => number::scan(element.payload(blob)).number.into(),
        Kind::Float | Kind::Float5 => Value::real(number::scan(element.payload(blob)).number.as_f64()),
        Kind::Int5 => {
            let (negative, value) = hexadecimal(element.text(blob));
            match value.map(|value| {
                if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
            }) {
                Some(Some(value)) => Value::Integer(value),
                _ => {
                    let size = value.map_or(f64::INFINITY, |value| value as f64);
                    Value::Real(if negative { -size } else { size })
                }
            }
        }
        Kind::Text | Kind::TextJ | Kind::Text5 | Kind::TextRaw => Value::text(unescaped(element, blob)),
        Kind::Array | Kind::Object => to_text(element, blob).into(),
    }
}
