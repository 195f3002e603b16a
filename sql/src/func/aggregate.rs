//! Aggregates: one [`Accumulator`] per group (or window frame) is fed row by row and asked for its result.

use std::cmp::Ordering;

use dosql_base::{Error, Result};

use super::{Context, json};
use crate::value::{self, Collation, Value, ValueRef, compare, number};

/// The aggregate functions. DISTINCT, FILTER and ORDER BY inside the parentheses are the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggKind {
    /// Rows, or rows whose argument is not NULL.
    Count,
    /// The sum; NULL of no rows.
    Sum,
    /// The sum as a real; 0.0 of no rows.
    Total,
    /// The mean as a real; NULL of no rows.
    Avg,
    /// The least value by the collation.
    Min,
    /// The greatest value by the collation.
    Max,
    /// Texts joined by a separator (`,` unless given).
    GroupConcat,
    /// A JSON array of the values; as JSONB where `binary`.
    JsonGroupArray {
        /// Whether the result is JSONB.
        binary: bool,
    },
    /// A JSON object of labels and values; as JSONB where `binary`.
    JsonGroupObject {
        /// Whether the result is JSONB.
        binary: bool,
    },
}

/// The state of one aggregate over one group.
#[derive(Clone, Debug)]
pub struct Accumulator {
    kind: AggKind,
    collation: Collation,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Count(i64),
    Sum(Sum),
    Extreme {
        best: Option<Value>,
        took: bool,
    },
    Text(Option<String>),
    /// The payload of an array or object in JSONB.
    Json(Vec<u8>),
}

impl Accumulator {
    /// The state of no rows.
    #[must_use]
    pub fn new(kind: AggKind, collation: Collation) -> Accumulator {
        let state = match kind {
            AggKind::Count => State::Count(0),
            AggKind::Sum | AggKind::Total | AggKind::Avg => State::Sum(Sum::default()),
            AggKind::Min | AggKind::Max => State::Extreme { best: None, took: false },
            AggKind::GroupConcat => State::Text(None),
            AggKind::JsonGroupArray { .. } | AggKind::JsonGroupObject { .. } => State::Json(Vec::new()),
        };
        Accumulator { kind, collation, state }
    }

    /// Adds a row. Fails where the result would be too big.
    pub fn step(&mut self, context: &mut Context<'_>, args: &[ValueRef<'_>]) -> Result<()> {
        let first = args.first().copied();
        match &mut self.state {
            State::Count(rows) => *rows += i64::from(first.is_none_or(|value| !value.is_null())),
            State::Sum(sum) => sum.add(first.unwrap_or_default()),
            State::Extreme { best, took } => {
                let value = first.unwrap_or_default();
                let wanted = if self.kind == AggKind::Min { Ordering::Less } else { Ordering::Greater };
                *took = !value.is_null()
                    && best
                        .as_ref()
                        .is_none_or(|best| compare(value, best.as_ref(), self.collation) == wanted);
                if *took {
                    *best = Some(value.to_value());
                }
            }
            State::Text(text) => {
                let value = first.unwrap_or_default();
                if value.is_null() {
                    return Ok(());
                }
                match text {
                    None => *text = Some(value::text_of(value).into_owned()),
                    Some(text) => {
                        value::write_text(args.get(1).copied().unwrap_or(ValueRef::Text(",")), text);
                        value::write_text(value, text);
                        context.check_length(text.len())?;
                    }
                }
            }
            State::Json(payload) => {
                let value = first.unwrap_or_default();
                return match self.kind {
                    AggKind::JsonGroupObject { .. } => {
                        json::append_entry(context, payload, value, args.get(1).copied().unwrap_or_default())
                    }
                    _ => json::append_array(context, payload, value),
                };
            }
        }
        Ok(())
    }

    /// As [`Accumulator::step`] for each of many integers. Only of count, sum, total and avg: false where it is another.
    #[must_use]
    pub fn step_integers(&mut self, values: &[i64]) -> bool {
        match &mut self.state {
            State::Count(rows) => *rows += values.len() as i64,
            State::Sum(sum) => {
                sum.rows += values.len() as i64;
                values.iter().for_each(|value| sum.add_integer(*value));
            }
            _ => return false,
        }
        true
    }

    /// As [`Accumulator::step_integers`], for reals.
    #[must_use]
    pub fn step_reals(&mut self, values: &[f64]) -> bool {
        match &mut self.state {
            State::Count(rows) => *rows += values.len() as i64,
            State::Sum(sum) => values.iter().for_each(|value| sum.add(ValueRef::Real(*value))),
            _ => return false,
        }
        true
    }

    /// Whether [`Accumulator::inverse`] can take a row away again.
    #[must_use]
    pub fn can_invert(&self) -> bool {
        matches!(self.state, State::Count(_) | State::Sum(_))
    }

    /// Takes away a row that was added, for a window frame that moves on. Fails where
    /// [`Accumulator::can_invert`] is false: the frame has to be added anew.
    pub fn inverse(&mut self, _context: &mut Context<'_>, args: &[ValueRef<'_>]) -> Result<()> {
        let first = args.first().copied();
        match &mut self.state {
            State::Count(rows) => *rows -= i64::from(first.is_none_or(|value| !value.is_null())),
            State::Sum(sum) => sum.remove(first.unwrap_or_default()),
            _ => return Err(Error::unsupported("rows can't be taken away from this aggregate")),
        }
        Ok(())
    }

    /// Whether the last row became the least or greatest value: bare columns beside `min()` or `max()` come from
    /// that row.
    #[must_use]
    pub fn took_last(&self) -> bool {
        matches!(self.state, State::Extreme { took: true, .. })
    }

    /// The result so far. Fails with "integer overflow" where a sum of integers left 64 bits.
    pub fn finish(&self) -> Result<Value> {
        Ok(match &self.state {
            State::Count(rows) => Value::Integer(*rows),
            State::Sum(sum) => match self.kind {
                AggKind::Total => Value::real(sum.real()),
                AggKind::Avg if sum.rows == 0 => Value::Null,
                AggKind::Avg => Value::real(sum.real() / sum.rows as f64),
                _ => sum.value()?,
            },
            State::Extreme { best, .. } => best.clone().unwrap_or_default(),
            State::Text(text) => text.as_deref().map_or(Value::Null, Value::text),
            State::Json(payload) => match self.kind {
                AggKind::JsonGroupObject { binary } => json::finish_object(payload, binary),
                AggKind::JsonGroupArray { binary } => json::finish_array(payload, binary),
                _ => Value::Null,
            },
        })
    }

    /// Bytes on the heap, for memory limits.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.state {
            State::Extreme { best, .. } => best.as_ref().map_or(0, Value::heap_size),
            State::Text(text) => text.as_ref().map_or(0, String::capacity),
            State::Json(payload) => payload.capacity(),
            _ => 0,
        }
    }
}

/// A sum that is an exact integer until a real comes in or 64 bits overflow, and from then on a real with the
/// rounding errors kept apart (Neumaier, 1974: "improved Kahan-Babuska").
#[derive(Clone, Debug, Default)]
struct Sum {
    rows: i64,
    integer: i64,
    sum: f64,
    error: f64,
    approximate: bool,
    overflow: bool,
}

impl Sum {
    fn add(&mut self, value: ValueRef<'_>) {
        match number_of(value) {
            Value::Null => {}
            Value::Integer(integer) => {
                self.rows += 1;
                self.add_integer(integer);
            }
            other => {
                self.rows += 1;
                self.become_approximate();
                self.overflow = false;
                self.step(value::to_real(other.as_ref()));
            }
        }
    }

    fn remove(&mut self, value: ValueRef<'_>) {
        match number_of(value) {
            Value::Null => {}
            Value::Integer(integer) => {
                self.rows -= 1;
                match integer.checked_neg() {
                    Some(negative) => self.add_integer(negative),
                    None => {
                        self.add_integer(i64::MAX);
                        self.add_integer(1);
                    }
                }
            }
            other => {
                self.rows -= 1;
                self.become_approximate();
                self.step(-value::to_real(other.as_ref()));
            }
        }
    }

    fn add_integer(&mut self, integer: i64) {
        if !self.approximate {
            match self.integer.checked_add(integer) {
                Some(sum) => {
                    self.integer = sum;
                    return;
                }
                None => {
                    self.overflow = true;
                    self.become_approximate();
                }
            }
        }
        self.step_integer(integer);
    }

    fn become_approximate(&mut self) {
        if !self.approximate {
            self.approximate = true;
            self.step_integer(self.integer);
        }
    }

    /// Adds an integer in two parts where a float would not hold it whole.
    fn step_integer(&mut self, integer: i64) {
        const EXACT: u64 = 1 << 52;
        if integer.unsigned_abs() > EXACT {
            let small = integer % 16_384;
            self.step((integer - small) as f64);
            self.step(small as f64);
        } else {
            self.step(integer as f64);
        }
    }

    fn step(&mut self, value: f64) {
        let sum = self.sum + value;
        self.error +=
            if self.sum.abs() > value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn real(&self) -> f64 {
        if !self.approximate {
            self.integer as f64
        } else if self.error.is_finite() {
            self.sum + self.error
        } else {
            self.sum
        }
    }

    fn value(&self) -> Result<Value> {
        if self.rows == 0 {
            Ok(Value::Null)
        } else if !self.approximate {
            Ok(Value::Integer(self.integer))
        } else if self.overflow {
            Err(Error::invalid("integer overflow"))
        } else {
            Ok(Value::real(self.real()))
        }
    }
}

/// A value as a sum takes it: text that is a whole number is that number, other text and blobs are the real
/// that they start with.
fn number_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Text(text) => {
            let scan = number::scan(text.as_bytes());
            if scan.whole { scan.number.into() } else { Value::Real(scan.number.as_f64()) }
        }
        ValueRef::Blob(bytes) => Value::Real(number::scan(bytes).number.as_f64()),
        _ => value.to_value(),
    }
}
