//! Operators on values. NULL in, NULL out; text and blobs count as the number that they start with; integers
//! that overflow become reals; division by zero is NULL.

use super::number::{self, Number};
use super::{Value, ValueRef, to_integer, write_text};

fn numeric(value: ValueRef<'_>) -> Option<Number> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(integer) => Some(Number::Integer(integer)),
        ValueRef::Real(real) => Some(Number::Real(real)),
        ValueRef::Text(text) => Some(number::scan(text.as_bytes()).number),
        ValueRef::Blob(bytes) => Some(number::scan(bytes).number),
    }
}

fn binary(
    a: ValueRef<'_>,
    b: ValueRef<'_>,
    integers: impl Fn(i64, i64) -> Option<i64>,
    reals: impl Fn(f64, f64) -> f64,
) -> Value {
    let (Some(a), Some(b)) = (numeric(a), numeric(b)) else { return Value::Null };
    if let (Number::Integer(a), Number::Integer(b)) = (a, b)
        && let Some(result) = integers(a, b)
    {
        return Value::Integer(result);
    }
    Value::real(reals(a.as_f64(), b.as_f64()))
}

/// `a + b`
#[must_use]
pub fn add(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    binary(a, b, i64::checked_add, |a, b| a + b)
}

/// `a - b`
#[must_use]
pub fn sub(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    binary(a, b, i64::checked_sub, |a, b| a - b)
}

/// `a * b`
#[must_use]
pub fn mul(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    binary(a, b, i64::checked_mul, |a, b| a * b)
}

/// `a / b`: integers divide towards zero.
#[must_use]
pub fn div(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    // Zero as the divisor falls through to the reals, where NaN stands for NULL.
    binary(a, b, i64::checked_div, |a, b| if b == 0.0 { f64::NAN } else { a / b })
}

/// `a % b`: both are truncated to integers; a REAL operand makes the result REAL.
#[must_use]
pub fn rem(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let (Some(left), Some(right)) = (numeric(a), numeric(b)) else { return Value::Null };
    if let (Number::Integer(a), Number::Integer(b)) = (left, right) {
        return remainder(a, b).map_or(Value::Null, Value::Integer);
    }
    remainder(to_integer(a), to_integer(b)).map_or(Value::Null, |result| Value::Real(result as f64))
}

fn remainder(a: i64, b: i64) -> Option<i64> {
    (b != 0).then(|| a.wrapping_rem(b))
}

/// `-a`
#[must_use]
pub fn neg(a: ValueRef<'_>) -> Value {
    sub(ValueRef::Integer(0), a)
}

fn bits(a: ValueRef<'_>, b: ValueRef<'_>, operator: impl Fn(i64, i64) -> i64) -> Value {
    if a.is_null() || b.is_null() {
        return Value::Null;
    }
    Value::Integer(operator(to_integer(a), to_integer(b)))
}

/// `a & b`
#[must_use]
pub fn bitand(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    bits(a, b, |a, b| a & b)
}

/// `a | b`
#[must_use]
pub fn bitor(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    bits(a, b, |a, b| a | b)
}

/// `~a`
#[must_use]
pub fn bitnot(a: ValueRef<'_>) -> Value {
    if a.is_null() { Value::Null } else { Value::Integer(!to_integer(a)) }
}

/// `a << b`; a negative `b` shifts right.
#[must_use]
pub fn shl(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    bits(a, b, shift_left)
}

/// `a >> b`, keeping the sign; a negative `b` shifts left.
#[must_use]
pub fn shr(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    bits(a, b, |a, b| shift_left(a, b.saturating_neg()))
}

fn shift_left(value: i64, by: i64) -> i64 {
    match by {
        0..=63 => value << by,
        64.. => 0,
        -63..=-1 => value >> -by,
        _ => value >> 63,
    }
}

/// `a || b`: always text.
#[must_use]
pub fn concat(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    if a.is_null() || b.is_null() {
        return Value::Null;
    }
    if let (ValueRef::Blob(a), ValueRef::Blob(b)) = (a, b) {
        let joined = [a, b].concat();
        return Value::from(String::from_utf8_lossy(&joined).into_owned());
    }
    let mut out = String::new();
    if let (ValueRef::Text(a), ValueRef::Text(b)) = (a, b) {
        out.reserve_exact(a.len() + b.len());
    }
    write_text(a, &mut out);
    write_text(b, &mut out);
    Value::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(value: i64) -> ValueRef<'static> {
        ValueRef::Integer(value)
    }

    #[test]
    fn integers_that_overflow_become_reals() {
        assert_eq!(add(integer(i64::MAX), integer(1)), Value::Real(9_223_372_036_854_775_808.0));
        assert_eq!(neg(integer(i64::MIN)), Value::Real(9_223_372_036_854_775_808.0));
        assert_eq!(div(integer(i64::MIN), integer(-1)), Value::Real(9_223_372_036_854_775_808.0));
        assert_eq!(rem(integer(i64::MIN), integer(-1)), Value::Integer(0));
    }

    #[test]
    fn division_truncates_and_zero_gives_null() {
        assert_eq!(div(integer(-7), integer(2)), Value::Integer(-3));
        assert_eq!(rem(integer(7), integer(-3)), Value::Integer(1));
        assert_eq!(div(integer(1), integer(0)), Value::Null);
        assert_eq!(div(ValueRef::Real(1.0), ValueRef::Real(0.0)), Value::Null);
        assert_eq!(rem(integer(1), integer(0)), Value::Null);
        assert_eq!(rem(ValueRef::Real(5.5), integer(2)), Value::Real(1.0));
    }

    #[test]
    fn text_counts_as_the_number_it_starts_with() {
        assert_eq!(add(ValueRef::Text("12abc"), integer(1)), Value::Integer(13));
        assert_eq!(add(ValueRef::Text("1.5x"), integer(1)), Value::Real(2.5));
        assert_eq!(add(ValueRef::Text("x"), ValueRef::Null), Value::Null);
        assert_eq!(neg(ValueRef::Text("abc")), Value::Integer(0));
    }

    #[test]
    fn shifts_go_either_way_and_saturate() {
        assert_eq!(shl(integer(1), integer(64)), Value::Integer(0));
        assert_eq!(shr(integer(-1), integer(1)), Value::Integer(-1));
        assert_eq!(shl(integer(8), integer(-2)), Value::Integer(2));
        assert_eq!(shr(integer(-5), integer(i64::MAX)), Value::Integer(-1));
        assert_eq!(shr(integer(1), integer(i64::MIN)), Value::Integer(0));
    }

    #[test]
    fn concatenation_is_text() {
        assert_eq!(concat(ValueRef::Blob(b"a"), ValueRef::Blob(b"b")), Value::text("ab"));
        assert_eq!(concat(integer(1), ValueRef::Real(2.0)), Value::text("12.0"));
        assert_eq!(concat(integer(1), ValueRef::Null), Value::Null);
    }
}
