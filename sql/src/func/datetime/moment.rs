//! A moment in two forms, each derived from the other when it is wanted: milliseconds of the Julian day, and
//! calendar fields of the proleptic Gregorian calendar (Meeus, "Astronomical Algorithms", chapter 7).
//!
//! Calendar fields may be out of range after a modifier (month 14, February 31): turning them into a Julian day
//! and back brings them into range, and that is how '+1 month' of January 31 becomes March 3.

use dosql_base::Timestamp;

/// Milliseconds from the start of the Julian day count to the Unix epoch.
pub(super) const UNIX_EPOCH: i64 = 210_866_760_000_000;
pub(super) const DAY: i64 = 86_400_000;
/// The last millisecond of the year 9999.
const LAST: i64 = 464_269_060_799_999;

/// A moment under construction or done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    /// Milliseconds of the Julian day, where known.
    pub(super) julian: Option<i64>,
    /// Year, month and day, where known.
    pub(super) date: Option<Date>,
    /// Time of day, where known.
    pub(super) time: Option<Time>,
    /// Minutes east of UTC that `date` and `time` are given in.
    pub(super) zone: i32,
    /// A number that may yet be read as a Unix time or a Julian day.
    pub(super) raw: Option<f64>,
    /// Days by which the date ran over the end of its month.
    pub(super) overrun: i64,
    /// Whether fractions of a second are wanted in the result.
    pub(super) subsecond: bool,
    /// Whether some step left the calendar.
    pub(super) invalid: bool,
}

/// A calendar date; may be out of range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

/// A time of day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time {
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: f64,
}

impl Time {
    fn millis(self) -> i64 {
        self.hour * 3_600_000 + self.minute * 60_000 + (self.second * 1000.0 + 0.5) as i64
    }
}

impl Date {
    /// By how many days it runs over the end of its month.
    pub(super) fn overrun(self) -> i64 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let last = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (self.day - last).max(0)
    }

    /// Moves the month into 1 to 12, carrying years.
    pub(super) fn carry_months(&mut self) {
        self.year += (self.month - 1).div_euclid(12);
        self.month = (self.month - 1).rem_euclid(12) + 1;
    }
}

impl Moment {
    /// The moment of a Timestamp, to the millisecond.
    pub(super) fn at(now: Timestamp) -> Moment {
        let millis = (now.as_micros() / 1000) as i64;
        Moment { julian: Some(millis.saturating_add(UNIX_EPOCH)), ..Moment::default() }
    }

    /// A number: a Julian day, unless a modifier says otherwise.
    pub(super) fn of_number(number: f64) -> Moment {
        let julian = (0.0..5_373_484.5).contains(&number).then_some((number * DAY as f64 + 0.5) as i64);
        Moment { raw: Some(number), julian, ..Moment::default() }
    }

    /// The milliseconds of the Julian day, computed from the fields where they are not known. Marks the moment
    /// invalid where it has none.
    pub(super) fn compute_julian(&mut self) -> i64 {
        if let Some(julian) = self.julian {
            return julian;
        }
        let date = self.date.unwrap_or(Date { year: 2000, month: 1, day: 1 });
        if !(-4713..=9999).contains(&date.year) || self.raw.is_some() {
            return self.fail();
        }
        let (mut year, mut month) = (date.year, date.month);
        if month <= 2 {
            year -= 1;
            month += 12;
        }
        let century = (year + 4800) / 100;
        let leap = 38 - century + century / 4;
        let days = 36_525 * (year + 4716) / 100 + 306_001 * (month + 1) / 10_000 + date.day + leap;
        let mut julian = days * DAY - (1524 * DAY + DAY / 2);
        if let Some(time) = self.time {
            julian += time.millis() - i64::from(self.zone) * 60_000;
        }
        if self.time.is_some() && self.zone != 0 {
            self.date = None;
            self.time = None;
            self.zone = 0;
        }
        self.julian = Some(julian);
        julian
    }

    fn fail(&mut self) -> i64 {
        *self = Moment { invalid: true, julian: Some(0), ..Moment::default() };
        0
    }

    fn is_valid_julian(julian: i64) -> bool {
        (0..=LAST).contains(&julian)
    }

    /// The calendar date, computed where it is not known.
    pub(super) fn compute_date(&mut self) -> Date {
        if let Some(date) = self.date {
            return date;
        }
        let Some(julian) = self.julian else {
            let date = Date { year: 2000, month: 1, day: 1 };
            self.date = Some(date);
            return date;
        };
        if !Moment::is_valid_julian(julian) {
            self.fail();
        }
        let date = date_of(self.julian.unwrap_or(0));
        self.date = Some(date);
        date
    }

    /// The time of day, computed where it is not known.
    pub(super) fn compute_time(&mut self) -> Time {
        if let Some(time) = self.time {
            return time;
        }
        let julian = self.compute_julian();
        let millis = julian.wrapping_add(DAY / 2).rem_euclid(DAY);
        let minutes = millis / 60_000;
        let second = (millis % 60_000) as f64 / 1000.0;
        let time = Time { hour: minutes / 60, minute: minutes % 60, second };
        self.raw = None;
        self.time = Some(time);
        time
    }

    /// Makes the Julian day the only truth, moved by `millis`.
    pub(super) fn shift(&mut self, millis: i64) {
        let julian = self.compute_julian().saturating_add(millis);
        self.julian = Some(julian);
        self.forget_fields();
    }

    pub(super) fn forget_fields(&mut self) {
        self.date = None;
        self.time = None;
        self.zone = 0;
    }

    /// Replaces the date, keeping the time of day; the Julian day follows from them.
    pub(super) fn set_date(&mut self, date: Date) {
        self.compute_time();
        self.date = Some(date);
        self.julian = None;
    }

    /// The end of construction: `None` where the moment is outside the years 0 to 9999 (or -4713 for dates).
    pub(super) fn settle(&mut self) -> Option<()> {
        let julian = self.compute_julian();
        if self.invalid || !Moment::is_valid_julian(julian) {
            return None;
        }
        Some(())
    }

    pub(super) fn normalize_day(&mut self) {
        if self.date.is_some_and(|date| date.day > 28) {
            self.date = None;
        }
    }

    /// Of a settled moment: its Julian day with fraction.
    pub(super) fn julian_day(&self) -> f64 {
        self.julian.unwrap_or(0) as f64 / DAY as f64
    }

    /// Of a settled moment.
    pub(super) fn unix_millis(&self) -> i64 {
        self.julian.unwrap_or(0) - UNIX_EPOCH
    }

    /// Of a settled moment; seconds begun before the epoch count down.
    pub(super) fn unix_seconds(&self) -> i64 {
        self.julian.unwrap_or(0) / 1000 - UNIX_EPOCH / 1000
    }
}

/// The calendar date of a Julian day in milliseconds.
fn date_of(julian: i64) -> Date {
    let day = (julian + DAY / 2) / DAY;
    let alpha = ((day as f64 + 32_044.75) / 36_524.25) as i64 - 52;
    let a = day + 1 + alpha - ((alpha + 100) / 4) + 25;
    let b = a + 1524;
    let c = ((b as f64 - 122.1) / 365.25) as i64;
    let d = (36_525 * (c & 32_767)) / 100;
    let e = ((b - d) as f64 / 30.6001) as i64;
    let month = if e < 14 { e - 1 } else { e - 13 };
    Date {
        year: if month > 2 { c - 4716 } else { c - 4715 },
        month,
        day: b - d - (30.6001 * e as f64) as i64,
    }
}
