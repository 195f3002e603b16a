//! Escapes in JSON texts: resolving them, and writing them.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::jsonb::{Element, Kind};

/// The text that an element of text stands for, its escapes resolved. Surrogates without a partner become U+FFFD.
pub(super) fn unescaped<'a>(element: Element, blob: &'a [u8]) -> Cow<'a, str> {
    let text = element.text(blob);
    match element.kind {
        Kind::TextJ | Kind::Text5 => Cow::Owned(unescape(text)),
        _ => Cow::Borrowed(text),
    }
}

/// Resolves the escapes of JSON and JSON5.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut chars = rest.chars();
        let Some(escape) = chars.next() else { break };
        rest = chars.as_str();
        match escape {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '0' => out.push('\0'),
            'u' => out.push(take_unicode(&mut rest)),
            'x' => out.push(take_hex(&mut rest, 2).and_then(char::from_u32).unwrap_or('\u{FFFD}')),
            // A line that goes on in the next.
            '\n' | '\u{2028}' | '\u{2029}' => {}
            '\r' => rest = rest.strip_prefix('\n').unwrap_or(rest),
            other => out.push(other),
        }
    }
    out.push_str(rest);
    out
}

fn take_hex(rest: &mut &str, digits: usize) -> Option<u32> {
    let code = rest.get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    *rest = &rest[digits..];
    u32::from_str_radix(code, 16).ok()
}

/// The four digits after `\u`, and those of the second half of a surrogate pair.
fn take_unicode(rest: &mut &str) -> char {
    let Some(first) = take_hex(rest, 4) else { return '\u{FFFD}' };
    if (0xD800..0xDC00).contains(&first)
        && let Some(mut after) = rest.strip_prefix("\\u")
        && let Some(second) = take_hex(&mut after, 4).filter(|second| (0xDC00..0xE000).contains(second))
    {
        *rest = after;
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return char::from_u32(code).unwrap_or('\u{FFFD}');
    }
    char::from_u32(first).unwrap_or('\u{FFFD}')
}

/// Whether every backslash starts an escape that is whole.
pub(super) fn are_escapes_sound(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'\\', &bytes[at..]) {
        at += next + 1;
        match escape_len(&bytes[at..]) {
            Some((len, _)) => at += len,
            None => return false,
        }
    }
    true
}

/// The length of the escape that `bytes` (after the backslash) start with, and whether only JSON5 has it.
pub(super) fn escape_len(bytes: &[u8]) -> Option<(usize, bool)> {
    let hex = |from: usize, to: usize| {
        bytes.get(from..to).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    match *bytes.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some((1, false)),
        b'u' if hex(1, 5) => Some((5, false)),
        b'\'' | b'v' | b'\n' => Some((1, true)),
        b'0' if !bytes.get(1).is_some_and(u8::is_ascii_digit) => Some((1, true)),
        b'\r' => Some((if bytes.get(1) == Some(&b'\n') { 2 } else { 1 }, true)),
        b'x' if hex(1, 3) => Some((3, true)),
        0xE2 if matches!(bytes.get(1..3), Some([0x80, 0xA8 | 0xA9])) => Some((3, true)),
        _ => None,
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.push_str(&rest[..at]);
        write_escaped(rest.as_bytes()[at], out);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn write_escaped(byte: u8, out: &mut String) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        0x08 => out.push_str("\\b"),
        0x0c => out.push_str("\\f"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        _ => {
            let _ = write!(out, "\\u{byte:04x}");
        }
    }
}

/// Appends a text of JSON5 as a string of JSON: escapes that JSON lacks are replaced, those that it has are kept.
pub(super) fn write_json5(text: &str, out: &mut String) {
    out.push('"');
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {}
            '"' | '\0'..='\x1f' => {
                write_escaped(c as u8, out);
                continue;
            }
            _ => {
                out.push(c);
                continue;
            }
        }
        match chars.next() {
            Some((_, '\'')) => out.push('\''),
            Some((_, 'v')) => out.push_str("\\u000b"),
            Some((_, '0')) => out.push_str("\\u0000"),
            Some((_, '\n' | '\u{2028}' | '\u{2029}')) => {}
            Some((_, '\r')) => {
                chars.next_if(|(_, next)| *next == '\n');
            }
            Some((_, 'x')) => {
                out.push_str("\\u00");
                out.push_str(text.get(at + 2..at + 4).unwrap_or("00"));
                chars.next();
                chars.next();
            }
            Some((_, other)) => {
                out.push('\\');
                out.push(other);
            }
            None => {}
        }
    }
    out.push('"');
}
