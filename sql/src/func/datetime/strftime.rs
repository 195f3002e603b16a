//! Writing settled moments.

use std::fmt::Write as _;

use dosql_base::Result;

use super::moment::{DAY, Date, Moment};
use crate::func::context::too_big;
use crate::func::printf;
use crate::value::ValueRef;

/// `YYYY-MM-DD`, with a sign before years below zero.
pub(super) fn date(moment: &Moment) -> String {
    let mut fields = *moment;
    let Date { year, month, day } = fields.compute_date();
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

/// `HH:MM:SS`, with milliseconds where they are wanted.
pub(super) fn time(moment: &Moment) -> String {
    let mut fields = *moment;
    let time = fields.compute_time();
    let (hour, minute) = (time.hour, time.minute);
    if moment.subsecond {
        let millis = (time.second * 1000.0 + 0.5) as i64;
        return format!("{hour:02}:{minute:02}:{:02}.{:03}", millis / 1000, millis % 1000);
    }
    format!("{hour:02}:{minute:02}:{:02}", time.second as i64)
}

/// Days since January 1 of the same year.
fn day_of_year(moment: &Moment) -> i64 {
    let mut first = *moment;
    let year = first.compute_date().year;
    first.set_date(Date { year, month: 1, day: 1 });
    let first = first.compute_julian();
    (moment.julian.unwrap_or(0) - first + DAY / 2) / DAY
}

fn days_after_monday(moment: &Moment) -> i64 {
    ((moment.julian.unwrap_or(0) + DAY / 2) / DAY) % 7
}

fn days_after_sunday(moment: &Moment) -> i64 {
    ((moment.julian.unwrap_or(0) + DAY + DAY / 2) / DAY) % 7
}

/// The Thursday of the same week, whose year is the ISO 8601 year.
fn thursday(moment: &Moment) -> Moment {
    let mut thursday = *moment;
    thursday.shift((3 - days_after_monday(moment)) * DAY);
    thursday
}

/// Writes `moment` as `template` says; `None` where it holds an unknown conversion. Fails where the result exceeds
/// `max_length` bytes.
pub(super) fn format(template: &str, moment: &Moment, max_length: usize) -> Result<Option<String>> {
    let mut out = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
        } else if chars.next().and_then(|conversion| convert(conversion, moment, &mut out)).is_none() {
            return Ok(None);
        }
        if out.len() > max_length {
            return Err(too_big());
        }
    }
    Ok(Some(out))
}

fn convert(conversion: char, moment: &Moment, out: &mut String) -> Option<()> {
    let mut fields = *moment;
    let Date { year, month, day } = fields.compute_date();
    let time = fields.compute_time();
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let written = match conversion {
        'd' => write!(out, "{day:02}"),
        'e' => write!(out, "{day:2}"),
        'f' => write!(out, "{:06.3}", second.min(59.999)),
        'F' => write!(out, "{year:04}-{month:02}-{day:02}"),
        'g' => write!(out, "{:02}", thursday(moment).compute_date().year % 100),
        'G' => write!(out, "{:04}", thursday(moment).compute_date().year),
        'H' => write!(out, "{hour:02}"),
        'k' => write!(out, "{hour:2}"),
        'I' => write!(out, "{hour12:02}"),
        'l' => write!(out, "{hour12:2}"),
        'j' => write!(out, "{:03}", day_of_year(moment) + 1),
        'J' => {
            out.push_str(&printf::format("%.16g", &[ValueRef::Real(moment.julian_day())], 64).ok()?);
            Ok(())
        }
        'm' => write!(out, "{month:02}"),
        'M' => write!(out, "{minute:02}"),
        'p' => write!(out, "{}", if hour >= 12 { "PM" } else { "AM" }),
        'P' => write!(out, "{}", if hour >= 12 { "pm" } else { "am" }),
        'R' => write!(out, "{hour:02}:{minute:02}"),
        's' if moment.subsecond => write!(out, "{:.3}", moment.unix_millis() as f64 / 1000.0),
        's' => write!(out, "{}", moment.unix_seconds()),
        'S' => write!(out, "{:02}", second as i64),
        'T' => write!(out, "{hour:02}:{minute:02}:{:02}", second as i64),
        'u' => write!(out, "{}", days_after_monday(moment) + 1),
        'w' => write!(out, "{}", days_after_sunday(moment)),
        'U' => write!(out, "{:02}", (day_of_year(moment) - days_after_sunday(moment) + 7) / 7),
        'V' => write!(out, "{:02}", day_of_year(&thursday(moment)) / 7 + 1),
        'W' => write!(out, "{:02}", (day_of_year(moment) - days_after_monday(moment) + 7) / 7),
        'Y' => write!(out, "{year:04}"),
        '%' => write!(out, "%"),
        _ => return None,
    };
    written.ok()
}

/// `±YYYY-MM-DD HH:MM:SS.SSS`: the modifier that leads from `from` to `to`.
pub(super) fn difference(to: &Moment, from: &Moment) -> String {
    let forward = to.julian >= from.julian;
    let (mut to, mut from) = (*to, *from);
    let step = if forward { 1 } else { -1 };
    let target = to.compute_date();
    let mut date = from.compute_date();
    let mut years = step * (target.year - date.year);
    let mut months = step * (target.month - date.month);
    if months < 0 {
        years -= 1;
        months += 12;
    }
    // Move the start to the year and month of the end, then back month by month while it has passed it.
    (date.year, date.month) = (target.year, target.month);
    from.set_date(date);
    let end = to.compute_julian();
    while step * (end - from.compute_julian()) < 0 {
        months -= 1;
        if months < 0 {
            months = 11;
            years -= 1;
        }
        date.month -= step;
        date.carry_months();
        from.set_date(date);
    }
    let millis = step * (end - from.compute_julian());
    let (days, rest) = (millis / DAY, millis % DAY);
    let (minutes, millis) = (rest / 60_000, rest % 60_000);
    format!(
        "{}{years:04}-{months:02}-{days:02} {:02}:{:02}:{:02}.{:03}",
        if forward { '+' } else { '-' },
        minutes / 60,
        minutes % 60,
        millis / 1000,
        millis % 1000
    )
}
