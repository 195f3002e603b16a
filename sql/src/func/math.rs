//! Functions of numbers. An argument that is not a number (or text that is one) gives NULL, and so does a result
//! that is none.

use dosql_base::Result;

use super::Context;
use super::registry::Function;
use crate::value::decimal::{Decimal, Round};
use crate::value::number::{self, Number};
use crate::value::{self, Collation, Value, ValueRef};

type Args<'a, 'b> = &'a [ValueRef<'b>];

/// A function of one float, as a scalar function.
macro_rules! real {
    ($name:literal, $f:expr) => {
        Function::scalar($name, 1, 1, |_, args, _| Ok(map(args[0], $f)))
    };
}

/// A rounding function: integers stay as they are.
macro_rules! rounding {
    ($name:literal, $f:expr) => {
        Function::scalar($name, 1, 1, |_, args, _| Ok(rounded(args[0], $f)))
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    real!("acos", f64::acos),
    real!("acosh", f64::acosh),
    real!("asin", f64::asin),
    real!("asinh", f64::asinh),
    real!("atan", f64::atan),
    Function::scalar("atan2", 2, 2, |_, args, _| Ok(map2(args, f64::atan2))),
    real!("atanh", f64::atanh),
    rounding!("ceil", f64::ceil),
    rounding!("ceiling", f64::ceil),
    real!("cos", f64::cos),
    real!("cosh", f64::cosh),
    real!("degrees", |x| x * (180.0 / std::f64::consts::PI)),
    real!("exp", f64::exp),
    rounding!("floor", f64::floor),
    real!("ln", |x| positive(x).ln()),
    Function::scalar("log", 1, 2, log),
    real!("log10", |x| positive(x).log10()),
    real!("log2", |x| positive(x).log2()),
    Function::scalar("mod", 2, 2, |_, args, _| Ok(map2(args, |x, y| x % y))),
    Function::scalar("pi", 0, 0, |_, _, _| Ok(Value::Real(std::f64::consts::PI))),
    Function::scalar("pow", 2, 2, |_, args, _| Ok(map2(args, f64::powf))),
    Function::scalar("power", 2, 2, |_, args, _| Ok(map2(args, f64::powf))),
    real!("radians", |x| x * (std::f64::consts::PI / 180.0)),
    Function::scalar("round", 1, 2, round),
    Function::scalar("sign", 1, 1, sign),
    real!("sin", f64::sin),
    real!("sinh", f64::sinh),
    real!("sqrt", f64::sqrt),
    real!("tan", f64::tan),
    real!("tanh", f64::tanh),
    rounding!("trunc", f64::trunc),
];

/// The number that a value is; `None` for NULL, blobs and text that is not wholly a number.
fn number_of(value: ValueRef<'_>) -> Option<Number> {
    match value {
        ValueRef::Integer(integer) => Some(Number::Integer(integer)),
        ValueRef::Real(real) => Some(Number::Real(real)),
        ValueRef::Text(text) => {
            Some(number::scan(text.as_bytes())).filter(|scan| scan.whole).map(|scan| scan.number)
        }
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn map(value: ValueRef<'_>, f: impl Fn(f64) -> f64) -> Value {
    number_of(value).map_or(Value::Null, |number| Value::real(f(number.as_f64())))
}

fn map2(args: Args<'_, '_>, f: impl Fn(f64, f64) -> f64) -> Value {
    match (number_of(args[0]), number_of(args[1])) {
        (Some(x), Some(y)) => Value::real(f(x.as_f64(), y.as_f64())),
        _ => Value::Null,
    }
}

fn rounded(value: ValueRef<'_>, f: impl Fn(f64) -> f64) -> Value {
    match number_of(value) {
        None => Value::Null,
        Some(Number::Integer(integer)) => Value::Integer(integer),
        Some(Number::Real(real)) => Value::real(f(real)),
    }
}

/// Logarithms exist above zero only.
fn positive(x: f64) -> f64 {
    if x > 0.0 { x } else { f64::NAN }
}

/// `log(x)` to base 10, or `log(base, x)`.
fn log(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if args.len() == 1 {
        return Ok(map(args[0], |x| positive(x).log10()));
    }
    Ok(map2(args, |base, x| {
        let base = positive(base).ln();
        if base > 0.0 { positive(x).ln() / base } else { f64::NAN }
    }))
}

fn sign(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(number_of(args[0]).map_or(Value::Null, |number| {
        let x = number.as_f64();
        Value::Integer(i64::from(x > 0.0) - i64::from(x < 0.0))
    }))
}

/// `round(x [, places])`: half away from zero, always a real.
fn round(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    /// Above this a float has no fraction.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    if args.iter().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    let places = args.get(1).map_or(0, |places| value::to_integer(*places)).clamp(0, 30) as i32;
    let x = value::to_real(args[0]);
    if !(-WHOLE..=WHOLE).contains(&x) {
        return Ok(Value::real(x));
    }
    if places == 0 {
        return Ok(Value::Real((x + if x < 0.0 { -0.5 } else { 0.5 }).trunc() + 0.0));
    }
    let decimal = Decimal::new(x, Round::Places(places), 20);
    if decimal.point.saturating_add(places) < 0 {
        return Ok(Value::Real(0.0));
    }
    let kept = decimal.point.saturating_add(places).max(0) as usize;
    let mut text = String::from(if decimal.negative { "-0." } else { "0." });
    text.extend(decimal.digits.iter().take(kept).map(|digit| char::from(*digit)));
    text.push_str(&format!("0e{}", decimal.point));
    Ok(Value::real(text.parse::<f64>().unwrap_or(x) + 0.0))
}
