//! Functions of no family: choice between values, facts about the connection, randomness.

use std::cmp::Ordering;

use dosql_base::{Error, Result};

use super::registry::Function;
use super::{Context, pattern};
use crate::value::{self, Collation, Value, ValueRef, compare, equal};

/// The version of SQLite whose dialect and functions this follows.
const SQLITE_VERSION: &str = "3.50.4";
const SQLITE_SOURCE_ID: &str =
    "2025-07-30 19:33:53 4d8adfb30e03f9cf27f800a2c1ba3c48fb4ca1b08b0f5ed59a4d5ecbf45e20a3";

pub(super) static FUNCTIONS: &[Function] = &[
    Function::scalar("abs", 1, 1, abs),
    Function::scalar("changes", 0, 0, changes).volatile(),
    Function::scalar("coalesce", 2, 255, coalesce),
    Function::scalar("dosql_version", 0, 0, dosql_version),
    Function::scalar("glob", 2, 2, glob),
    Function::scalar("if", 2, 255, iif),
    Function::scalar("ifnull", 2, 2, coalesce),
    Function::scalar("iif", 2, 255, iif),
    Function::scalar("last_insert_rowid", 0, 0, last_insert_rowid).volatile(),
    Function::scalar("like", 2, 3, like),
    Function::scalar("likelihood", 2, 2, first),
    Function::scalar("likely", 1, 1, first),
    Function::scalar("max", 2, 255, max).collating(),
    Function::scalar("min", 2, 255, min).collating(),
    Function::scalar("nullif", 2, 2, nullif).collating(),
    Function::scalar("random", 0, 0, random).volatile(),
    Function::scalar("randomblob", 1, 1, randomblob).volatile(),
    Function::scalar("sqlite_compileoption_get", 1, 1, null),
    Function::scalar("sqlite_compileoption_used", 1, 1, compileoption_used),
    Function::scalar("sqlite_source_id", 0, 0, sqlite_source_id),
    Function::scalar("sqlite_version", 0, 0, sqlite_version),
    Function::scalar("total_changes", 0, 0, total_changes).volatile(),
    Function::scalar("typeof", 1, 1, type_of),
    Function::scalar("unlikely", 1, 1, first),
    Function::scalar("zeroblob", 1, 1, zeroblob),
];

fn abs(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(match args[0] {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => {
            Value::Integer(integer.checked_abs().ok_or_else(|| Error::invalid("integer overflow"))?)
        }
        other => Value::real(value::to_real(other).abs()),
    })
}

fn changes(context: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::Integer(context.changes))
}

fn total_changes(context: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::Integer(context.total_changes))
}

fn last_insert_rowid(context: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::Integer(context.last_insert_rowid))
}

fn coalesce(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(args.iter().find(|value| !value.is_null()).copied().unwrap_or_default().to_value())
}

/// `iif(condition, value, condition, value, .., otherwise)`
fn iif(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    for pair in args.chunks(2) {
        match *pair {
            [condition, then] if value::to_boolean(condition) == Some(true) => return Ok(then.to_value()),
            [otherwise] => return Ok(otherwise.to_value()),
            _ => {}
        }
    }
    Ok(Value::Null)
}

fn nullif(_: &mut Context<'_>, args: &[ValueRef<'_>], collation: Collation) -> Result<Value> {
    Ok(if equal(args[0], args[1], collation) { Value::Null } else { args[0].to_value() })
}

fn max(_: &mut Context<'_>, args: &[ValueRef<'_>], collation: Collation) -> Result<Value> {
    Ok(extreme(args, collation, Ordering::Greater))
}

fn min(_: &mut Context<'_>, args: &[ValueRef<'_>], collation: Collation) -> Result<Value> {
    Ok(extreme(args, collation, Ordering::Less))
}

fn extreme(args: &[ValueRef<'_>], collation: Collation, wanted: Ordering) -> Value {
    let mut best = args[0];
    for &value in args {
        if value.is_null() {
            return Value::Null;
        }
        let order = compare(value, best, collation);
        // Of equal values max() keeps the first and min() the last, which may differ in type.
        if order == wanted || (wanted == Ordering::Less && order == Ordering::Equal) {
            best = value;
        }
    }
    best.to_value()
}

fn first(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(args[0].to_value())
}

fn null(_: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::Null)
}

fn compileoption_used(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(if args[0].is_null() { Value::Null } else { Value::Integer(0) })
}

fn sqlite_version(_: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::text(SQLITE_VERSION))
}

fn sqlite_source_id(_: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::text(SQLITE_SOURCE_ID))
}

fn dosql_version(_: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::text(env!("CARGO_PKG_VERSION")))
}

fn type_of(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    Ok(Value::text(args[0].type_name()))
}

fn random(context: &mut Context<'_>, _: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    let random = context.env.random_u64() as i64;
    // abs(random()) must not overflow.
    Ok(Value::Integer(if random == i64::MIN { i64::MAX } else { random }))
}

fn randomblob(context: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    let len = length_argument(context, value::to_integer(args[0]).max(1))?;
    let mut bytes = vec![0; len];
    context.env.random(&mut bytes);
    Ok(Value::from(bytes))
}

fn zeroblob(context: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    let len = length_argument(context, value::to_integer(args[0]).max(0))?;
    Ok(Value::from(vec![0u8; len]))
}

fn length_argument(context: &Context<'_>, len: i64) -> Result<usize> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    context.check_length(len)?;
    Ok(len)
}

/// `like(pattern, text [, escape])`, which is `text LIKE pattern ESCAPE escape`.
fn like(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    check_pattern(&value::text_of(args[0]))?;
    let mut escape = None;
    if let Some(given) = args.get(2).filter(|given| !given.is_null()) {
        let given = value::text_of(*given);
        let mut chars = given.chars();
        escape = chars.next();
        if escape.is_none() || chars.next().is_some() {
            return Err(Error::invalid("ESCAPE expression must be a single character"));
        }
    }
    if args.iter().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    Ok(pattern::like(&value::text_of(args[0]), &value::text_of(args[1]), escape).into())
}

/// `glob(pattern, text)`, which is `text GLOB pattern`.
fn glob(_: &mut Context<'_>, args: &[ValueRef<'_>], _: Collation) -> Result<Value> {
    if args.iter().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    check_pattern(&value::text_of(args[0]))?;
    Ok(pattern::glob(&value::text_of(args[0]), &value::text_of(args[1])).into())
}

/// Patterns have a limit, since matching takes up to pattern times text steps.
fn check_pattern(pattern: &str) -> Result<()> {
    const MAX_PATTERN: usize = 50_000;
    if pattern.len() <= MAX_PATTERN {
        return Ok(());
    }
    Err(Error::limit("LIKE or GLOB pattern too complex"))
}
