//! The decimal digits of a float, rounded half away from zero at a place: what `printf()` and `round()` work with.

use std::fmt::Write as _;

/// Up to 20 significant digits of a finite float.
#[derive(Clone, Debug)]
pub(crate) struct Decimal {
    /// Whether the number is below zero.
    pub negative: bool,
    /// ASCII digits, without trailing zeros; at least one.
    pub digits: Vec<u8>,
    /// How many digits stand before the decimal point; zero or less below 0.1.
    pub point: i32,
}

/// Where to round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Round {
    /// After this many digits behind the decimal point.
    Places(i32),
    /// After this many significant digits, at least 1.
    Significant(i32),
}

impl Decimal {
    /// The digits of `value`, rounded at `round` and to no more than `most` (up to 20) significant digits.
    pub(crate) fn new(value: f64, round: Round, most: i32) -> Decimal {
        if value == 0.0 || !value.is_finite() {
            return Decimal { negative: false, digits: vec![b'0'], point: 1 };
        }
        // `{:.19e}` writes the first 20 digits of the exact value: d.ddde±x.
        let mut text = String::with_capacity(32);
        let _ = write!(text, "{:.19e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut decimal = Decimal {
            negative: value < 0.0,
            digits: mantissa.bytes().filter(u8::is_ascii_digit).collect(),
            point: exponent.parse::<i32>().unwrap_or(0) + 1,
        };
        decimal.round(round, most);
        while decimal.digits.len() > 1 && decimal.digits.last() == Some(&b'0') {
            decimal.digits.pop();
        }
        decimal
    }

    fn round(&mut self, round: Round, most: i32) {
        let keep = match round {
            Round::Significant(digits) => digits.max(1),
            Round::Places(places) => self.point.saturating_add(places),
        };
        if keep == 0 && self.digits[0] >= b'5' {
            // 0.6 to no places is 1.
            self.digits = vec![b'1'];
            self.point += 1;
            return;
        }
        let Ok(keep) = usize::try_from(keep.min(most)) else { return };
        if keep == 0 || keep >= self.digits.len() {
            return;
        }
        let up = self.digits[keep] >= b'5';
        self.digits.truncate(keep);
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
        self.digits.pop();
        self.point += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(value: f64, round: Round) -> (String, i32) {
        let decimal = Decimal::new(value, round, 20);
        (String::from_utf8(decimal.digits).unwrap(), decimal.point)
    }

    #[test]
    fn digits_round_half_away_from_zero() {
        assert_eq!(digits(0.125, Round::Places(2)), ("13".into(), 0));
        assert_eq!(digits(2.675, Round::Places(2)), ("267".into(), 1));
        assert_eq!(digits(9.99, Round::Places(1)), ("1".into(), 2));
        assert_eq!(digits(0.6, Round::Places(0)), ("1".into(), 1));
        assert_eq!(digits(123_456.0, Round::Significant(2)), ("12".into(), 6));
        assert_eq!(digits(0.0, Round::Places(3)), ("0".into(), 1));
    }
}
