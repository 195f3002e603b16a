//! SQL values to JSONB: arguments of functions, and the elements of aggregates.

use dosql_base::{Error, Result};

use super::jsonb::{self, Kind};
use super::{malformed, parse, result};
use crate::func::Context;
use crate::value::{self, Value, ValueRef, number};

/// Appends the argument at `index` of the call as an element: JSON as what it is, other text as a string. Fails on
/// blobs that are no JSONB.
pub(super) fn put_value(
    context: &Context<'_>,
    index: usize,
    value: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    match value {
        ValueRef::Null => jsonb::put(out, Kind::Null, b""),
        ValueRef::Integer(integer) => {
            jsonb::put(out, Kind::Int, itoa::Buffer::new().format(integer).as_bytes())
        }
        ValueRef::Real(real) => {
            let mut text = String::new();
            if real.is_infinite() {
                text.push_str(if real < 0.0 { "-9.0e+999" } else { "9.0e+999" });
            } else {
                number::write_real(real, &mut text);
            }
            jsonb::put(out, Kind::Float, text.as_bytes());
        }
        ValueRef::Text(text) if context.json.is_json(index, text) => {
            let parsed = parse::parse(text).map_err(|_| malformed())?;
            out.extend_from_slice(&parsed.blob);
        }
        ValueRef::Text(text) => jsonb::put(out, Kind::TextRaw, text.as_bytes()),
        ValueRef::Blob(bytes) if jsonb::is_valid(bytes) => out.extend_from_slice(bytes),
        ValueRef::Blob(_) => return Err(Error::invalid("JSON cannot hold BLOB values")),
    }
    context.check_length(out.len())
}

pub(super) fn array(context: &Context<'_>, args: &[ValueRef<'_>], binary: bool) -> Result<Value> {
    let mut out = Vec::new();
    let head = jsonb::open(&mut out, Kind::Array);
    for (index, value) in args.iter().enumerate() {
        put_value(context, index, *value, &mut out)?;
    }
    jsonb::close(&mut out, head);
    Ok(result(out, binary))
}

pub(super) fn object(context: &Context<'_>, args: &[ValueRef<'_>], binary: bool) -> Result<Value> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::invalid("json_object() requires an even number of arguments"));
    }
    let mut out = Vec::new();
    let head = jsonb::open(&mut out, Kind::Object);
    for (i, pair) in args.chunks(2).enumerate() {
        let [ValueRef::Text(label), value] = *pair else {
            return Err(Error::invalid("json_object() labels must be TEXT"));
        };
        jsonb::put(&mut out, Kind::TextRaw, label.as_bytes());
        put_value(context, 2 * i + 1, value, &mut out)?;
    }
    jsonb::close(&mut out, head);
    Ok(result(out, binary))
}

/// Appends a row to the payload of `json_group_array`.
pub(crate) fn append_array(context: &Context<'_>, payload: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    put_value(context, 0, value, payload)
}

/// Appends a row to the payload of `json_group_object`; a NULL label appends nothing.
pub(crate) fn append_entry(
    context: &Context<'_>,
    payload: &mut Vec<u8>,
    label: ValueRef<'_>,
    value: ValueRef<'_>,
) -> Result<()> {
    if label.is_null() {
        return Ok(());
    }
    jsonb::put(payload, Kind::TextRaw, value::text_of(label).as_bytes());
    put_value(context, 1, value, payload)
}

/// The array of this payload.
pub(crate) fn finish_array(payload: &[u8], binary: bool) -> Value {
    finish(Kind::Array, payload, binary)
}

/// The object of this payload.
pub(crate) fn finish_object(payload: &[u8], binary: bool) -> Value {
    finish(Kind::Object, payload, binary)
}

fn finish(kind: Kind, payload: &[u8], binary: bool) -> Value {
    let mut out = Vec::with_capacity(payload.len() + 9);
    jsonb::put(&mut out, kind, payload);
    result(out, binary)
}
