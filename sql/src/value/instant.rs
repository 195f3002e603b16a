//! Moments as text: ISO-8601, in UTC, to the microsecond.

use dosql_base::Timestamp;

/// What stands for the end of what has not ended yet.
const OPEN_END: &str = "9999-12-31T23:59:59.999999Z";

/// A moment as `YYYY-MM-DDTHH:MM:SS.ffffffZ`; [`Timestamp::MAX`], and whatever lies beyond the year 9999, as the last such text.
#[must_use]
pub fn format_instant(at: Timestamp) -> String {
    const DAY: u64 = 86_400_000_000;
    let (days, rest) = (at.as_micros() / DAY, at.as_micros() % DAY);
    let Some((year, month, day)) = i64::try_from(days).ok().map(date_of).filter(|date| date.0 <= 9999) else {
        return OPEN_END.to_owned();
    };
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A moment as messages name it: its text, and its number in brackets.
#[must_use]
pub fn describe_instant(at: Timestamp) -> String {
    format!("{} (LSN {at})", format_instant(at))
}

/// Year, month and day of so many days since 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    // Years start in March, so that the leap day is the last; eras have 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The moment that ISO-8601 text names, in microseconds since the Unix epoch: `YYYY-MM-DD[(T| )HH:MM[:SS[.f..]]][Z|(+|-)HH:MM]`.
pub fn parse_instant(text: &str) -> Option<u64> {
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
        assert_eq!(parse_instant("1970-01-01"), Some(0));
        assert_eq!(parse_instant("2000-03-01 00:00:00"), Some(951_868_800_000_000));
        assert_eq!(parse_instant("2026-11-23T14:30:00.25Z"), Some(1_795_444_200_250_000));
        assert_eq!(parse_instant("2026-11-23 15:30:00.25+01:00"), Some(1_795_444_200_250_000));
        for wrong in ["", "2026", "2026-13-01", "2026-11-23 25:00", "2026-11-23x", "1960-01-01"] {
            assert_eq!(parse_instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_instant_as_text_reads_back_as_itself() {
        for micros in
            [0, 1, 951_868_799_999_999, 951_868_800_000_000, 1_795_444_200_250_001, 4_102_444_799_000_000]
        {
            let text = format_instant(Timestamp::from_micros(micros));
            assert_eq!(parse_instant(&text), Some(micros), "{text}");
        }
        assert_eq!(
            format_instant(Timestamp::from_micros(951_868_799_000_000)),
            "2000-02-29T23:59:59.000000Z"
        );
        assert_eq!(format_instant(Timestamp::MAX), OPEN_END);
    }
}
