//! Points in the past: `FOR SYSTEM_TIME AS OF ..`.

use dosql_base::{Result, Timestamp};

use super::binder::{Binder, Site};
use super::fold::Evaluation;
use crate::parse::ast::{AsOf, AsOfUnit};
use crate::value::{self, Value};

/// The range in which an integer is taken for Unix milliseconds: 1973 to 5138. Seconds and microseconds of our time lie
/// outside.
const MILLISECONDS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

impl<'a> Binder<'a> {
    /// The index into [`Binder::catalogs`] of the catalog at a point.
    pub(crate) fn catalog_as_of(&mut self, site: &Site<'a>, as_of: AsOf) -> Result<usize> {
        let source = site.source.clone();
        let span = source.ast()[as_of.expr].span;
        let constant = Site { scope: None, ..site.clone() };
        let bound = self.expr(&constant, as_of.expr)?;
        let mut evaluation =
            Evaluation { parameters: self.cx.parameters, env: self.cx.env, now: self.cx.now, depends: false };
        let value = evaluation.value(&bound.expr).map_err(|error| source.place(span, error))?;
        if evaluation.depends {
            self.cx.needs_parameters.set(true);
        }
        let Some(value) = value else {
            if evaluation.depends && self.cx.parameters.is_none() {
                // Bound anew once the values are known; until then the live catalog stands in.
                return Ok(0);
            }
            return Err(source.error(span, "the point of AS OF must be a constant or a parameter"));
        };
        let point = match as_of.unit {
            AsOfUnit::Timestamp => timestamp(&value),
            AsOfUnit::Lsn => lsn(&value),
        };
        let point = point.map_err(|message| source.error(span, message))?;
        let (point, catalog) = self.cx.catalog.at(point).map_err(|error| source.place(span, error))?;
        let known = self.catalogs.iter().position(|(known, _)| *known == point);
        Ok(known.unwrap_or_else(|| {
            self.catalogs.push((point, catalog));
            self.catalogs.len() - 1
        }))
    }
}

fn lsn(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::Integer(number) => u64::try_from(*number)
            .map(Timestamp::from_micros)
            .map_err(|_| format!("AS OF LSN {number} is negative")),
        other => Err(format!("AS OF LSN takes the number of a commit, not {}", other.type_name())),
    }
}

fn timestamp(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::Integer(number) => milliseconds(*number),
        Value::Text(text) => match instant(text) {
            Some(micros) => Ok(Timestamp::from_micros(micros)),
            None => match value::to_integer(value.as_ref()) {
                number if *text == number.to_string() => milliseconds(number),
                _ => Err(format!(
                    "AS OF TIMESTAMP '{text}' is no date: write 'YYYY-MM-DD HH:MM:SS[.ffffff]', in UTC or with an offset"
                )),
            },
        },
        Value::Null => Err("AS OF TIMESTAMP is NULL".to_owned()),
        other => Err(format!(
            "AS OF TIMESTAMP takes Unix milliseconds or ISO-8601 text, not {}",
            other.type_name()
        )),
    }
}

fn milliseconds(number: i64) -> Result<Timestamp, String> {
    if !MILLISECONDS.contains(&number) {
        return Err(format!(
            "AS OF TIMESTAMP {number} is out of range: an integer is Unix milliseconds; for the number of a commit write AS OF \
             LSN {number}"
        ));
    }
    Ok(Timestamp::from_micros(number.unsigned_abs() * 1000))
}

/// Microseconds since the epoch of `YYYY-MM-DD[(T| )HH:MM[:SS[.f..]]][Z|(+|-)HH:MM]`.
fn instant(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let days = days_of(date)?;
    let mut rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest);
    let mut micros: i64 = 0;
    if let Some((hours, minutes)) = rest.get(..5).and_then(|clock| clock.split_once(':'))
        && hours.len() == 2
    {
        micros = (number(hours, 23)? * 60 + number(minutes, 59)?) * 60_000_000;
        rest = &rest[5..];
        if let Some(seconds) = rest.strip_prefix(':') {
            micros += number(seconds.get(..2)?, 59)? * 1_000_000;
            rest = &seconds[2..];
            if let Some(fraction) = rest.strip_prefix('.') {
                let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
                let mut scaled = fraction[..digits.min(6)].to_owned();
                while scaled.len() < 6 {
                    scaled.push('0');
                }
                micros += number(&scaled, 999_999)?;
                rest = &fraction[digits..];
            }
        }
    }
    let offset = offset_micros(rest.trim_start())?;
    let total = days.checked_mul(86_400_000_000)?.checked_add(micros)?.checked_sub(offset)?;
    u64::try_from(total).ok()
}

fn offset_micros(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = match text.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    Some(sign * (number(hours, 14)? * 60 + number(minutes, 59)?) * 60_000_000)
}

fn number(digits: &str, most: i64) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number <= most)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next()?, 9999)?, number(parts.next()?, 12)?, number(parts.next()?, 31)?);
    if month == 0 || day == 0 || parts.next().is_some() {
        return None;
    }
    // Years start in March, so that the leap day is the last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_text_is_an_instant() {
        assert_eq!(instant("1970-01-01"), Some(0));
        assert_eq!(instant("2000-03-01 00:00:00"), Some(951_868_800_000_000));
        assert_eq!(instant("2026-11-23T14:30:00.25Z"), Some(1_795_444_200_250_000));
        assert_eq!(instant("2026-11-23 15:30:00.25+01:00"), Some(1_795_444_200_250_000));
        for wrong in ["", "2026", "2026-13-01", "2026-11-23 25:00", "2026-11-23x", "1960-01-01"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_integer_is_milliseconds_and_nothing_else() {
        assert_eq!(timestamp(&Value::Integer(1_795_444_200_250)).unwrap().as_micros(), 1_795_444_200_250_000);
        assert!(timestamp(&Value::Integer(1_795_444_200)).unwrap_err().contains("milliseconds"));
        assert!(timestamp(&Value::Integer(1_795_444_200_250_000)).unwrap_err().contains("AS OF LSN"));
    }
}
