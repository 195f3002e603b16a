//! `format()`, alias `printf()`: C's conversions with SQLite's additions: `,` groups thousands, `!` asks for more
//! digits or counts characters instead of bytes, `%q` `%Q` `%w` quote for SQL.

use std::borrow::Cow;

use dosql_base::Result;

use super::Context;
use super::context::too_big;
use super::registry::Function;
use super::text::quote_controls;
use crate::value::decimal::{Decimal, Round};
use crate::value::{self, Collation, Value, ValueRef};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::scalar("format", 0, 255, format_function),
    Function::scalar("printf", 0, 255, format_function),
];

fn format_function(context: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    match args.split_first() {
        Some((template, args)) => {
            let template = value::text_of(*template);
            Ok(try_format(&template, args, context.max_length)?.map_or(Value::Null, Value::from))
        }
        None => Ok(Value::Null),
    }
}

/// What stands between `%` and the conversion letter.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    left: bool,
    /// What stands before a number that is not negative.
    sign: &'static str,
    alternate: bool,
    bang: bool,
    zero: bool,
    comma: bool,
    width: usize,
    precision: Option<usize>,
}

/// The arguments, taken one by one; missing ones are NULL.
struct Args<'a, 'b> {
    rest: std::slice::Iter<'a, ValueRef<'b>>,
}

impl<'b> Args<'_, 'b> {
    fn next(&mut self) -> ValueRef<'b> {
        self.rest.next().copied().unwrap_or_default()
    }
}

/// Formats `args` by `template`; fails where the result exceeds `max_length` bytes. An unknown conversion ends the
/// output, as in SQLite.
pub(crate) fn format(template: &str, args: &[ValueRef<'_>], max_length: usize) -> Result<String> {
    Ok(try_format(template, args, max_length)?.unwrap_or_default())
}

/// As [`format`]; `None` where the template has neither text nor a conversion that is one.
fn try_format(template: &str, args: &[ValueRef<'_>], max_length: usize) -> Result<Option<String>> {
    let mut args = Args { rest: args.iter() };
    let mut out = String::new();
    let mut converted = false;
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.is_empty() {
            out.push('%');
            break;
        }
        let Some(spec) = parse_spec(&mut rest, &mut args) else { break };
        let mut chars = rest.chars();
        // A conversion without its letter is none.
        let Some(conversion) = chars.next() else { break };
        if spec.width.max(spec.precision.unwrap_or(0)) > max_length {
            return Err(too_big());
        }
        rest = chars.as_str();
        if !convert(conversion, &spec, &mut args, &mut out) {
            rest = "";
            break;
        }
        converted = true;
        if out.len() > max_length {
            return Err(too_big());
        }
    }
    out.push_str(rest);
    if out.len() > max_length {
        return Err(too_big());
    }
    Ok((converted || !out.is_empty()).then_some(out))
}

/// Reads flags, width, precision and the length letters. `None` never comes from well-formed templates.
fn parse_spec(rest: &mut &str, args: &mut Args<'_, '_>) -> Option<Spec> {
    let mut spec = Spec::default();
    loop {
        match rest.as_bytes().first() {
            Some(b'-') => spec.left = true,
            Some(b'+') => spec.sign = "+",
            Some(b' ') => spec.sign = " ",
            Some(b'#') => spec.alternate = true,
            Some(b'!') => spec.bang = true,
            Some(b'0') => spec.zero = true,
            Some(b',') => spec.comma = true,
            _ => break,
        }
        *rest = rest.get(1..)?;
    }
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        let width = value::to_integer(args.next()) as i32;
        spec.left |= width < 0;
        spec.width = width.checked_abs().unwrap_or(0) as usize;
    } else {
        spec.width = digits(rest).unwrap_or(0);
    }
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let precision = value::to_integer(args.next()) as i32;
            spec.precision = precision.checked_abs().map(|precision| precision as usize);
        } else {
            spec.precision = Some(digits(rest).unwrap_or(0));
        }
    }
    *rest = rest.trim_start_matches('l');
    Some(spec)
}

fn digits(rest: &mut &str) -> Option<usize> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at(len);
    *rest = after;
    if number.is_empty() { None } else { Some(number.parse().unwrap_or(usize::MAX)) }
}

/// Appends one conversion; false where it is unknown.
fn convert(conversion: char, spec: &Spec, args: &mut Args<'_, '_>, out: &mut String) -> bool {
    match conversion {
        '%' => pad("%", spec, out),
        'd' | 'i' => {
            let number = value::to_integer(args.next());
            let sign = if number < 0 { "-" } else { spec.sign };
            integer(&number.unsigned_abs().to_string(), sign, spec, out);
        }
        'r' => {
            let number = value::to_integer(args.next());
            let size = number.unsigned_abs();
            let suffix = match (size % 100, size % 10) {
                (11..=13, _) => "th",
                (_, 1) => "st",
                (_, 2) => "nd",
                (_, 3) => "rd",
                _ => "th",
            };
            let sign = if number < 0 { "-" } else { spec.sign };
            integer(&format!("{size}{suffix}"), sign, &Spec { comma: false, ..*spec }, out);
        }
        'u' => integer(&(value::to_integer(args.next()) as u64).to_string(), "", spec, out),
        'x' | 'X' | 'p' | 'o' => {
            let number = value::to_integer(args.next()) as u64;
            let (digits, prefix) = match conversion {
                'x' => (format!("{number:x}"), "0x"),
                'o' => (format!("{number:o}"), "0"),
                _ => (format!("{number:X}"), "0X"),
            };
            let prefix = if spec.alternate && number != 0 { prefix } else { "" };
            integer(&digits, prefix, &Spec { comma: false, ..*spec }, out);
        }
        'f' | 'e' | 'E' | 'g' | 'G' => real(conversion, value::to_real(args.next()), spec, out),
        'c' => {
            // Nothing's first character is a NUL.
            let text = String::from(value::text_of(args.next()).chars().next().unwrap_or('\0'));
            pad(&text.repeat(spec.precision.unwrap_or(1).max(1)), &Spec { bang: true, ..*spec }, out);
        }
        's' | 'z' => pad(truncated(&value::text_of(args.next()), spec), spec, out),
        'q' | 'Q' | 'w' => pad(&quoted(conversion, args.next(), spec), spec, out),
        'n' => {}
        _ => return false,
    }
    true
}

/// Appends `text` in its field: `width` counts bytes, or characters under `!`.
fn pad(text: &str, spec: &Spec, out: &mut String) {
    let len = if spec.bang { text.chars().count() } else { text.len() };
    let fill = spec.width.saturating_sub(len);
    if spec.left {
        out.push_str(text);
    }
    out.extend(std::iter::repeat_n(' ', fill));
    if !spec.left {
        out.push_str(text);
    }
}

/// The first `precision` bytes (never splitting a character), or characters under `!`.
fn truncated<'t>(text: &'t str, spec: &Spec) -> &'t str {
    let Some(precision) = spec.precision else { return text };
    let end = if spec.bang {
        text.char_indices().nth(precision).map_or(text.len(), |(at, _)| at)
    } else {
        (0..=precision.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
    };
    &text[..end]
}

fn quoted(conversion: char, arg: ValueRef<'_>, spec: &Spec) -> String {
    if arg.is_null() {
        return String::from(truncated(if conversion == 'Q' { "NULL" } else { "(NULL)" }, spec));
    }
    let text = value::text_of(arg);
    let text: Cow<'_, str> = Cow::Borrowed(truncated(&text, spec));
    match conversion {
        'w' => text.replace('"', "\"\""),
        'q' => text.replace('\'', "''"),
        _ if spec.alternate => quote_controls(ValueRef::Text(&text)),
        _ => value::quote(ValueRef::Text(&text)),
    }
}

/// Appends digits with their sign or prefix: zeros up to the precision (or the width under `0`), then the commas.
fn integer(digits: &str, prefix: &str, spec: &Spec, out: &mut String) {
    let mut least = spec.precision.unwrap_or(0);
    if spec.zero {
        // Room is left for a sign, not for `0x`.
        let sign = usize::from(matches!(prefix, "-" | "+" | " "));
        least = least.max(spec.width.saturating_sub(sign));
    }
    let mut text = String::from(prefix);
    let zeros = least.saturating_sub(digits.len());
    let digits = ["0".repeat(zeros).as_str(), digits].concat();
    for (i, digit) in digits.chars().enumerate() {
        if spec.comma && i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    pad(&text, spec, out);
}

/// Appends a float by `f`, `e` or `g`.
fn real(conversion: char, number: f64, spec: &Spec, out: &mut String) {
    if number.is_infinite() && !spec.zero {
        let sign = if number < 0.0 { "-" } else { spec.sign };
        return pad(&format!("{sign}Inf"), spec, out);
    }
    let mut precision = spec.precision.unwrap_or(6).min(100_000_000) as i32;
    let general = matches!(conversion, 'g' | 'G');
    let most = if spec.bang { 20 } else { 16 };
    let mut decimal = match conversion {
        'f' => Decimal::new(number, Round::Places(precision), most),
        'e' | 'E' => Decimal::new(number, Round::Significant(precision + 1), most),
        _ => {
            precision = precision.max(1);
            Decimal::new(number, Round::Significant(precision), most)
        }
    };
    if number.is_infinite() {
        // What stands for infinity where only digits will do.
        decimal = Decimal { negative: number < 0.0, digits: vec![b'9'], point: 1000 };
    }
    let exponent = decimal.point - 1;
    let mut scientific = matches!(conversion, 'e' | 'E');
    if general {
        precision -= 1;
        scientific = exponent < -4 || exponent > precision;
        if !scientific {
            precision -= exponent;
        }
    }
    let mut text = String::from(if decimal.negative { "-" } else { spec.sign });
    let sign = text.len();
    write_digits(&decimal, if scientific { 0 } else { exponent }, precision, spec, &mut text);
    if if general { !spec.alternate } else { spec.bang } {
        strip_zeros(&mut text, spec.bang);
    }
    if scientific {
        let letter = if matches!(conversion, 'E' | 'G') { 'E' } else { 'e' };
        let direction = if exponent < 0 { '-' } else { '+' };
        text.push_str(&format!("{letter}{direction}{:02}", exponent.unsigned_abs()));
    }
    if spec.zero && !spec.left && text.len() < spec.width {
        text.insert_str(sign, &"0".repeat(spec.width - text.len()));
    }
    pad(&text, spec, out);
}

/// Appends the digits, the first of which is worth `10^exponent`, with `precision` places.
fn write_digits(decimal: &Decimal, exponent: i32, precision: i32, spec: &Spec, text: &mut String) {
    let mut digits = decimal.digits.iter().map(|digit| char::from(*digit)).chain(std::iter::repeat('0'));
    if exponent < 0 {
        text.push('0');
    }
    for place in (0..=exponent).rev() {
        text.extend(digits.next());
        if spec.comma && place % 3 == 0 && place > 1 {
            text.push(',');
        }
    }
    if precision > 0 || spec.alternate || spec.bang {
        text.push('.');
    }
    let zeros = (-1 - exponent).clamp(0, precision.max(0));
    text.extend(std::iter::repeat_n('0', zeros as usize));
    text.extend(digits.take((precision.max(0) - zeros) as usize));
}

/// Removes zeros at the end of the fraction, and the point if nothing is left of it (`!` keeps one zero).
fn strip_zeros(text: &mut String, keep_one: bool) {
    if !text.contains('.') {
        return;
    }
    text.truncate(text.trim_end_matches('0').len());
    if text.ends_with('.') {
        if keep_one {
            text.push('0');
        } else {
            text.pop();
        }
    }
}
