//! Dates and times: a moment, read from text or a number, moved by modifiers, written in a format.
//!
//! ```text
//! moment.rs    a moment as milliseconds of the Julian day, as a calendar date, or both
//! parse.rs     reading time values
//! modifier.rs  '+1 month', 'start of day', 'weekday 0' ..
//! strftime.rs  writing
//! ```
//!
//! A time zone database does not exist here: `localtime` and `utc` take local time to be UTC.

mod modifier;
mod moment;
mod parse;
mod strftime;

use dosql_base::Result;
use moment::Moment;

use super::Context;
use super::registry::Function;
use crate::value::{self, Collation, Value, ValueRef};

type Args<'a, 'b> = &'a [ValueRef<'b>];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::scalar("current_date", 0, 0, date).per_statement(),
    Function::scalar("current_time", 0, 0, time).per_statement(),
    Function::scalar("current_timestamp", 0, 0, datetime).per_statement(),
    Function::scalar("date", 0, 255, date).per_statement(),
    Function::scalar("datetime", 0, 255, datetime).per_statement(),
    Function::scalar("julianday", 0, 255, julianday).per_statement(),
    Function::scalar("strftime", 0, 255, strftime_function).per_statement(),
    Function::scalar("time", 0, 255, time).per_statement(),
    Function::scalar("timediff", 2, 2, timediff).per_statement(),
    Function::scalar("unixepoch", 0, 255, unixepoch).per_statement(),
];

/// The moment that a time value and its modifiers mean; `None` (NULL to the caller) where they mean none.
fn moment_of(context: &Context<'_>, args: Args<'_, '_>) -> Option<Moment> {
    let Some((first, modifiers)) = args.split_first() else { return Some(Moment::at(context.now)) };
    let mut moment = match first {
        ValueRef::Integer(integer) => Moment::of_number(*integer as f64),
        ValueRef::Real(real) => Moment::of_number(*real),
        ValueRef::Null => return None,
        other => parse::time_value(&value::text_of(*other), context.now)?,
    };
    for (index, modifier) in modifiers.iter().enumerate() {
        if modifier.is_null() {
            return None;
        }
        modifier::apply(&mut moment, &value::text_of(*modifier), index == 0)?;
    }
    moment.settle()?;
    if modifiers.is_empty() {
        // 2023-02-31 is 2023-03-03.
        moment.normalize_day();
    }
    Some(moment)
}

fn date(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(moment_of(context, args).map(|moment| strftime::date(&moment)).into())
}

fn time(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(moment_of(context, args).map(|moment| strftime::time(&moment)).into())
}

fn datetime(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let text = moment_of(context, args)
        .map(|moment| format!("{} {}", strftime::date(&moment), strftime::time(&moment)));
    Ok(text.into())
}

fn julianday(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(moment_of(context, args).map(|moment| moment.julian_day()).into())
}

fn unixepoch(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    Ok(moment_of(context, args).map_or(Value::Null, |moment| {
        let millis = moment.unix_millis();
        if moment.subsecond {
            Value::Real(millis as f64 / 1000.0)
        } else {
            Value::Integer(moment.unix_seconds())
        }
    }))
}

fn strftime_function(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let Some((format, moment)) = args.split_first().filter(|(format, _)| !format.is_null()) else {
        return Ok(Value::Null);
    };
    let Some(moment) = moment_of(context, moment) else { return Ok(Value::Null) };
    match strftime::format(&value::text_of(*format), &moment, context.max_length)? {
        Some(text) => Ok(text.into()),
        None => Ok(Value::Null),
    }
}

/// The difference of two moments as a modifier that leads from the second to the first.
fn timediff(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let (Some(to), Some(from)) = (moment_of(context, &args[..1]), moment_of(context, &args[1..])) else {
        return Ok(Value::Null);
    };
    Ok(Value::text(strftime::difference(&to, &from)))
}
