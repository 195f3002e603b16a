//! Reading time values: `YYYY-MM-DD HH:MM:SS.SSS+HH:MM` in its parts, `now`, and numbers.

use dosql_base::Timestamp;

use super::moment::{Date, Moment, Time};
use crate::value::number;

/// Reads a time value; `None` where it is none.
pub(super) fn time_value(text: &str, now: Timestamp) -> Option<Moment> {
    let bytes = text.as_bytes();
    if let Some(moment) = date_and_time(bytes).or_else(|| time_and_zone(bytes)) {
        return Some(moment);
    }
    if text.eq_ignore_ascii_case("now") {
        return Some(Moment::at(now));
    }
    let scan = number::scan(bytes);
    if scan.whole {
        return Some(Moment::of_number(scan.number.as_f64()));
    }
    let subsecond = text.eq_ignore_ascii_case("subsec") || text.eq_ignore_ascii_case("subsecond");
    subsecond.then(|| Moment { subsecond: true, ..Moment::at(now) })
}

/// Exactly `len` digits at `at`, as a number between `least` and `most`.
pub(super) fn digits(bytes: &[u8], at: usize, len: usize, least: i64, most: i64) -> Option<i64> {
    let mut number = 0;
    for &byte in bytes.get(at..at + len)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    (least..=most).contains(&number).then_some(number)
}

fn has(bytes: &[u8], at: usize, byte: u8) -> bool {
    bytes.get(at) == Some(&byte)
}

fn date_and_time(bytes: &[u8]) -> Option<Moment> {
    let negative = has(bytes, 0, b'-');
    let bytes = &bytes[usize::from(negative)..];
    let year = digits(bytes, 0, 4, 0, 9999)?;
    let month = digits(bytes, 5, 2, 1, 12)?;
    let day = digits(bytes, 8, 2, 1, 31)?;
    if !has(bytes, 4, b'-') || !has(bytes, 7, b'-') {
        return None;
    }
    let mut rest = &bytes[10..];
    while rest.first().is_some_and(|first| number::is_space(*first) || *first == b'T') {
        rest = &rest[1..];
    }
    let mut moment = if rest.is_empty() { Moment::default() } else { time_and_zone(rest)? };
    let date = Date { year: if negative { -year } else { year }, month, day };
    moment.overrun = date.overrun();
    moment.date = Some(date);
    if moment.zone != 0 {
        moment.compute_julian();
    }
    Some(moment)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.SSS`, and a time zone.
pub(super) fn time_and_zone(bytes: &[u8]) -> Option<Moment> {
    let (time, len) = time_of_day(bytes)?;
    let zone = zone(&bytes[len..])?;
    Some(Moment { time: Some(time), zone, ..Moment::default() })
}

/// A time of day and the bytes that it takes.
fn time_of_day(bytes: &[u8]) -> Option<(Time, usize)> {
    let hour = digits(bytes, 0, 2, 0, 24)?;
    let minute = digits(bytes, 3, 2, 0, 59)?;
    if !has(bytes, 2, b':') {
        return None;
    }
    if !has(bytes, 5, b':') {
        return Some((Time { hour, minute, second: 0.0 }, 5));
    }
    let whole = digits(bytes, 6, 2, 0, 59)?;
    let mut len = 8;
    let mut fraction = 0.0;
    if has(bytes, 8, b'.') && bytes.get(9).is_some_and(u8::is_ascii_digit) {
        let mut scale = 1.0;
        len = 9;
        while let Some(digit) = bytes.get(len).filter(|byte| byte.is_ascii_digit()) {
            fraction = fraction * 10.0 + f64::from(digit - b'0');
            scale *= 10.0;
            len += 1;
        }
        // Below a millisecond nothing may round up into the next second.
        fraction = (fraction / scale).min(0.999);
    }
    Some((Time { hour, minute, second: whole as f64 + fraction }, len))
}

/// Minutes east of UTC: nothing, `Z`, `+HH:MM` or `-HH:MM`, between white space. `None` where something else stands
/// there.
fn zone(bytes: &[u8]) -> Option<i32> {
    let rest = bytes.trim_ascii();
    match rest.first() {
        None => Some(0),
        Some(b'Z' | b'z') if rest.len() == 1 => Some(0),
        Some(sign @ (b'+' | b'-')) if rest.len() == 6 && rest[3] == b':' => {
            let minutes = digits(rest, 1, 2, 0, 14)? * 60 + digits(rest, 4, 2, 0, 59)?;
            Some((if *sign == b'-' { -minutes } else { minutes }) as i32)
        }
        _ => None,
    }
}
