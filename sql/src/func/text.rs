//! Functions of text and bytes.

use dosql_base::{Error, Result};
use memchr::memmem;

use super::Context;
use super::context::too_big;
use super::registry::Function;
use crate::value::{self, Collation, Text, Value, ValueRef};

type Args<'a, 'b> = &'a [ValueRef<'b>];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::scalar("char", 0, 255, char_of),
    Function::scalar("concat", 1, 255, concat),
    Function::scalar("concat_ws", 2, 255, concat_ws),
    Function::scalar("hex", 1, 1, hex),
    Function::scalar("instr", 2, 2, instr),
    Function::scalar("length", 1, 1, length),
    Function::scalar("lower", 1, 1, lower),
    Function::scalar("ltrim", 1, 2, ltrim),
    Function::scalar("octet_length", 1, 1, octet_length),
    Function::scalar("quote", 1, 1, quote),
    Function::scalar("replace", 3, 3, replace),
    Function::scalar("rtrim", 1, 2, rtrim),
    Function::scalar("soundex", 1, 1, soundex),
    Function::scalar("substr", 2, 3, substr),
    Function::scalar("substring", 2, 3, substr),
    Function::scalar("trim", 1, 2, trim),
    Function::scalar("unhex", 1, 2, unhex),
    Function::scalar("unicode", 1, 1, unicode),
    Function::scalar("unistr", 1, 1, unistr),
    Function::scalar("unistr_quote", 1, 1, unistr_quote),
    Function::scalar("upper", 1, 1, upper),
];

fn any_null(args: Args<'_, '_>) -> bool {
    args.iter().any(|value| value.is_null())
}

/// Characters before the first NUL, as in SQLite; bytes of a blob.
fn length(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(match args[0] {
        ValueRef::Null => Value::Null,
        ValueRef::Blob(bytes) => Value::Integer(bytes.len() as i64),
        other => {
            let text = value::text_of(other);
            let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
            let characters = text.as_bytes()[..end].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
            Value::Integer(characters as i64)
        }
    })
}

fn octet_length(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(match args[0] {
        ValueRef::Null => Value::Null,
        ValueRef::Blob(bytes) => Value::Integer(bytes.len() as i64),
        other => Value::Integer(value::text_of(other).len() as i64),
    })
}

fn lower(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(if any_null(args) { Value::Null } else { value::text_of(args[0]).to_ascii_lowercase().into() })
}

fn upper(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(if any_null(args) { Value::Null } else { value::text_of(args[0]).to_ascii_uppercase().into() })
}

fn trim(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(trimmed(args, true, true))
}

fn ltrim(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(trimmed(args, true, false))
}

fn rtrim(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(trimmed(args, false, true))
}

fn trimmed(args: Args<'_, '_>, left: bool, right: bool) -> Value {
    if any_null(args) {
        return Value::Null;
    }
    let text = value::text_of(args[0]);
    let set = args.get(1).map_or(" ".into(), |set| value::text_of(*set));
    let mut rest: &str = &text;
    if left {
        rest = rest.trim_start_matches(|c| set.contains(c));
    }
    if right {
        rest = rest.trim_end_matches(|c| set.contains(c));
    }
    Value::text(rest)
}

/// `substr(text, start [, length])`: positions count from 1, negative ones from the end; a negative length takes
/// what stands before the start. Characters of text, bytes of a blob.
fn substr(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let start = value::to_integer(args[1]);
    let len = args.get(2).map(|len| value::to_integer(*len));
    if let ValueRef::Blob(bytes) = args[0] {
        if bytes.is_empty() {
            // SQLite takes an empty blob for none at all here.
            return Ok(Value::Null);
        }
        let (from, count) = span(start, len, || bytes.len());
        let rest = bytes.get(from..).unwrap_or_default();
        return Ok(Value::from(&rest[..count.min(rest.len())]));
    }
    let text = value::text_of(args[0]);
    let (from, count) = span(start, len, || text.chars().count());
    let offset = |text: &str, characters: usize| {
        if text.is_ascii() {
            return characters.min(text.len());
        }
        text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
    };
    let rest = &text[offset(&text, from)..];
    Ok(Value::text(&rest[..offset(rest, count)]))
}

/// How much `substr` without a length takes: all of the longest text that there can be.
const NO_LENGTH: i128 = 1_000_000_000;

/// The first position (from 0) and the number of units that `substr` takes of something `total()` units long.
fn span(start: i64, len: Option<i64>, total: impl FnOnce() -> usize) -> (usize, usize) {
    let mut from = i128::from(start);
    let mut count = len.map_or(NO_LENGTH, |len| i128::from(len.unsigned_abs()));
    if from < 0 {
        from += total() as i128;
        if from < 0 {
            count = (count + from).max(0);
            from = 0;
        }
    } else if from > 0 {
        from -= 1;
    } else if count > 0 {
        count -= 1;
    }
    if len.is_some_and(|len| len < 0) {
        from -= count;
        if from < 0 {
            count = (count + from).max(0);
            from = 0;
        }
    }
    (usize::try_from(from).unwrap_or(usize::MAX), usize::try_from(count).unwrap_or(usize::MAX))
}

fn replace(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if any_null(&args[..2]) {
        return Ok(Value::Null);
    }
    let (text, from) = (value::text_of(args[0]), value::text_of(args[1]));
    if from.is_empty() {
        // Nothing to look for: what it would become does not matter, not even NULL.
        return Ok(Value::text(text));
    }
    if args[2].is_null() {
        return Ok(Value::Null);
    }
    let to = value::text_of(args[2]);
    let finder = memmem::Finder::new(from.as_bytes());
    // What would be too long is not begun.
    let found = finder.find_iter(text.as_bytes()).count();
    let length = (text.len() - found * from.len()).saturating_add(found.saturating_mul(to.len()));
    context.check_length(length)?;
    let mut out = String::with_capacity(length);
    let mut rest = 0;
    for at in finder.find_iter(text.as_bytes()) {
        out.push_str(&text[rest..at]);
        out.push_str(&to);
        rest = at + from.len();
    }
    out.push_str(&text[rest..]);
    Ok(out.into())
}

/// Where the second stands in the first, from 1; 0 where it does not. Bytes if both are blobs, else characters.
fn instr(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let found = if let (ValueRef::Blob(bytes), ValueRef::Blob(wanted)) = (args[0], args[1]) {
        memmem::find(bytes, wanted)
    } else {
        let text = value::text_of(args[0]);
        let at = memmem::find(text.as_bytes(), value::text_of(args[1]).as_bytes());
        at.map(|at| text[..at].chars().count())
    };
    Ok(Value::Integer(found.map_or(0, |at| at as i64 + 1)))
}

fn hex(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let mut out = String::new();
    let bytes = match args[0] {
        ValueRef::Blob(bytes) => bytes,
        other => {
            value::write_hex(value::text_of(other).as_bytes(), &mut out);
            return Ok(out.into());
        }
    };
    context.check_length(bytes.len().saturating_mul(2))?;
    value::write_hex(bytes, &mut out);
    Ok(out.into())
}

/// The bytes of pairs of hexadecimal digits, characters of the second argument being left out between pairs; NULL
/// where anything else stands in the text.
fn unhex(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let text = value::text_of(args[0]);
    let skipped = args.get(1).map_or("".into(), |set| value::text_of(*set));
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    while let Some(first) = chars.next() {
        match first.to_digit(16) {
            Some(high) => match chars.next().and_then(|second| second.to_digit(16)) {
                Some(low) => out.push((high << 4 | low) as u8),
                None => return Ok(Value::Null),
            },
            None if skipped.contains(first) => {}
            None => return Ok(Value::Null),
        }
    }
    Ok(out.into())
}

/// The characters with these code points; U+FFFD for what is none.
fn char_of(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let code = |value: &ValueRef<'_>| u32::try_from(value::to_integer(*value)).ok().and_then(char::from_u32);
    let text: String = args.iter().map(|value| code(value).unwrap_or('\u{FFFD}')).collect();
    Ok(text.into())
}

fn unicode(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let first = value::text_of(args[0]).chars().next();
    Ok(first
        .filter(|first| *first != '\0')
        .map_or(Value::Null, |first| Value::Integer(i64::from(u32::from(first)))))
}

/// Resolves `\XXXX`, `\uXXXX`, `\+XXXXXX`, `\UXXXXXXXX` and `\\`.
fn unistr(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let text = value::text_of(args[0]);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'\\') => {
                out.push('\\');
                rest = &rest[1..];
                continue;
            }
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            Some(b'+') => (1, 6),
            _ => (0, 4),
        };
        let code = rest
            .get(skip..skip + digits)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .ok_or_else(|| Error::invalid("invalid Unicode escape"))?;
        out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
        rest = &rest[skip + digits..];
    }
    out.push_str(rest);
    Ok(out.into())
}

fn quote(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(value::quote(args[0]).into())
}

fn unistr_quote(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(quote_controls(args[0]).into())
}

/// As [`value::quote`], but text with control characters becomes `unistr('..')` without any.
pub(super) fn quote_controls(value: ValueRef<'_>) -> String {
    let quoted = value::quote(value);
    if !matches!(value, ValueRef::Text(text) if text.bytes().any(|byte| byte < 0x20)) {
        return quoted;
    }
    let mut out = String::from("unistr(");
    for c in quoted.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push(')');
    out
}

fn concat(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    join(context, "", args)
}

fn concat_ws(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    join(context, &value::text_of(args[0]), &args[1..])
}

fn join(context: &Context<'_>, separator: &str, args: Args<'_, '_>) -> Result<Value> {
    let mut out = String::new();
    for (i, value) in args.iter().filter(|value| !value.is_null()).enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        value::write_text(*value, &mut out);
        if out.len() > context.max_length {
            return Err(too_big());
        }
    }
    Ok(out.into())
}

/// The Soundex code of a word: its first letter and three digits for the consonants after it; `?000` without letters.
fn soundex(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    const CODES: &[u8; 26] = b"01230120022455012623010202";
    let text = value::text_of(args[0]);
    let letters: Vec<u8> = text.bytes().skip_while(|byte| !byte.is_ascii_alphabetic()).collect();
    let code = |letter: u8| {
        letter.is_ascii_alphabetic().then(|| CODES[usize::from(letter.to_ascii_lowercase() - b'a')] - b'0')
    };
    let Some(&first) = letters.first() else { return Ok(Value::text("?000")) };
    let mut out = String::from(char::from(first.to_ascii_uppercase()));
    let mut previous = code(first).unwrap_or(0);
    for &letter in &letters[1..] {
        let digit = code(letter).unwrap_or(0);
        if digit > 0 && digit != previous {
            out.push(char::from(b'0' + digit));
        }
        previous = digit;
        if out.len() == 4 {
            break;
        }
    }
    while out.len() < 4 {
        out.push('0');
    }
    Ok(Value::Text(Text::from(out)))
}
