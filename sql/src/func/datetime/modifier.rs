//! Modifiers: what comes after a time value and moves it.

use super::moment::{DAY, Moment, Time, UNIX_EPOCH};
use super::parse::{digits, time_and_zone};
use crate::value::number;

/// Applies one modifier; `first` says whether it comes right after the time value, where alone some make sense.
/// `None` where it is none.
pub(super) fn apply(moment: &mut Moment, text: &str, first: bool) -> Option<()> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "auto" if first => auto(moment),
        "ceiling" => {
            moment.shift(0);
            moment.overrun = 0;
            Some(())
        }
        "floor" => {
            moment.compute_julian();
            moment.shift(-moment.overrun * DAY);
            Some(())
        }
        "julianday" if first && moment.julian.is_some() && moment.raw.is_some() => {
            moment.raw = None;
            Some(())
        }
        "localtime" | "utc" => {
            moment.shift(0);
            Some(())
        }
        "unixepoch" if first => {
            let seconds = moment.raw?;
            set_unix(moment, seconds)
        }
        "subsec" | "subsecond" => {
            moment.subsecond = true;
            Some(())
        }
        _ => {
            if let Some(day) = lower.strip_prefix("weekday ") {
                weekday(moment, day)
            } else if let Some(unit) = lower.strip_prefix("start of ") {
                start_of(moment, unit)
            } else {
                shift(moment, lower.as_bytes())
            }
        }
    }
}

/// A number in the range of Julian days is one; else it is a Unix time.
fn auto(moment: &mut Moment) -> Option<()> {
    match moment.raw {
        Some(seconds) if moment.julian.is_none() => {
            if !(-210_866_760_000.0..=253_402_300_799.0).contains(&seconds) {
                return None;
            }
            set_unix(moment, seconds)
        }
        _ => {
            moment.raw = None;
            Some(())
        }
    }
}

fn set_unix(moment: &mut Moment, seconds: f64) -> Option<()> {
    let millis = seconds * 1000.0 + UNIX_EPOCH as f64;
    if !(0.0..464_269_060_800_000.0).contains(&millis) {
        return None;
    }
    moment.forget_fields();
    moment.julian = Some((millis + 0.5) as i64);
    moment.raw = None;
    Some(())
}

/// Moves forward to the next day of the week (Sunday is 0), staying where it is one already.
fn weekday(moment: &mut Moment, day: &str) -> Option<()> {
    let scan = number::scan(day.as_bytes());
    let wanted = scan.number.as_f64();
    if !scan.whole || !(0.0..7.0).contains(&wanted) || wanted.fract() != 0.0 {
        return None;
    }
    let julian = moment.compute_julian();
    let today = ((julian.saturating_add(DAY + DAY / 2)) / DAY) % 7;
    let ahead = (wanted as i64 - today).rem_euclid(7);
    moment.shift(ahead * DAY);
    Some(())
}

fn start_of(moment: &mut Moment, unit: &str) -> Option<()> {
    if moment.julian.is_none() && moment.date.is_none() && moment.time.is_none() {
        return None;
    }
    let mut date = moment.compute_date();
    match unit {
        "month" => date.day = 1,
        "year" => (date.month, date.day) = (1, 1),
        "day" => {}
        _ => return None,
    }
    moment.raw = None;
    moment.zone = 0;
    moment.time = Some(Time::default());
    moment.set_date(date);
    Some(())
}

/// `NNN days`, `±HH:MM:SS`, `±YYYY-MM-DD` and `±YYYY-MM-DD HH:MM:SS`.
fn shift(moment: &mut Moment, text: &[u8]) -> Option<()> {
    let first = *text.first().filter(|first| matches!(first, b'+' | b'-' | b'0'..=b'9'))?;
    let negative = first == b'-';
    let mut end = 1;
    while let Some(&byte) = text.get(end) {
        let year = byte == b'-' && (end == 5 || end == 6) && digits(text, 1, end - 1, 0, 14_712).is_some();
        if byte == b':' || number::is_space(byte) || year {
            break;
        }
        end += 1;
    }
    let scan = number::scan(&text[..end]);
    if !scan.whole {
        return None;
    }
    match text.get(end) {
        Some(b'-') if first == b'+' || negative => shift_date(moment, text, end, negative),
        Some(b'-') => None,
        Some(b':') => shift_time(moment, &text[usize::from(!first.is_ascii_digit())..], negative),
        _ => shift_units(moment, scan.number.as_f64(), &text[end..]),
    }
}

fn shift_date(moment: &mut Moment, text: &[u8], year_end: usize, negative: bool) -> Option<()> {
    let years = digits(text, 1, year_end - 1, 0, 14_712)?;
    let months = digits(text, year_end + 1, 2, 0, 11)?;
    let days = digits(text, year_end + 4, 2, 0, 30)?;
    if text.get(year_end + 3) != Some(&b'-') {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    let rest = &text[year_end + 6..];
    let time = match rest.first() {
        None => None,
        Some(byte) if number::is_space(*byte) => Some(&rest[1..]),
        Some(_) => return None,
    };
    let mut date = moment.compute_date();
    date.year += sign * years;
    date.month += sign * months;
    date.carry_months();
    moment.overrun = date.overrun();
    moment.set_date(date);
    moment.shift(sign * days * DAY);
    match time {
        Some(time) => shift_time(moment, time, negative),
        None => Some(()),
    }
}

fn shift_time(moment: &mut Moment, text: &[u8], negative: bool) -> Option<()> {
    let mut time = time_and_zone(text)?;
    // The date is the default one: only the time of day counts.
    let millis = (time.compute_julian() - DAY / 2).rem_euclid(DAY);
    moment.shift(if negative { -millis } else { millis });
    Some(())
}

/// The units: name, the most that may be added, and their length in seconds.
const UNITS: [(&[u8], f64, f64); 6] = [
    (b"second", 4.6427e14, 1.0),
    (b"minute", 7.7379e12, 60.0),
    (b"hour", 1.2897e11, 3600.0),
    (b"day", 5_373_485.0, 86_400.0),
    (b"month", 176_546.0, 2_592_000.0),
    (b"year", 14_713.0, 31_536_000.0),
];

fn shift_units(moment: &mut Moment, mut amount: f64, unit: &[u8]) -> Option<()> {
    let start = unit.iter().position(|byte| !number::is_space(*byte)).unwrap_or(unit.len());
    let unit = &unit[start..];
    let unit = unit.strip_suffix(b"s").unwrap_or(unit);
    let (name, most, seconds) = UNITS.iter().find(|(name, ..)| *name == unit)?;
    if !(-most..*most).contains(&amount) || amount == -most {
        return None;
    }
    let rounder = if amount < 0.0 { -0.5 } else { 0.5 };
    moment.compute_julian();
    moment.overrun = 0;
    if matches!(*name, b"month" | b"year") {
        let mut date = moment.compute_date();
        let whole = amount as i64;
        if *name == b"month" {
            date.month += whole;
            date.carry_months();
        } else {
            date.year += whole;
        }
        moment.overrun = date.overrun();
        moment.set_date(date);
        // A fraction of a month or year is of 30 or 365 days.
        amount -= whole as f64;
    }
    moment.shift((amount * 1000.0 * seconds + rounder) as i64);
    Some(())
}
