//! JSON functions. Text is read into JSONB, worked on there, and written back.
//!
//! ```text
//! parse.rs   text to JSONB, JSON5 included     render.rs  JSONB to text and SQL values
//! jsonb.rs   the binary form                   text.rs    escapes
//! path.rs    '$.a[0]'                          edit.rs    insert, replace, remove, merge
//! build.rs   SQL values to JSONB               each.rs    rows of json_each and json_tree
//! ```

mod build;
mod each;
mod edit;
mod jsonb;
mod parse;
mod path;
mod render;
mod text;

use std::borrow::Cow;

pub(super) use build::{append_array, append_entry, finish_array, finish_object};
use dosql_base::{Error, Result};
pub use each::{JsonRow, JsonRows, json_each};
use edit::Edit;
use jsonb::{Element, Kind};

use super::Context;
use super::registry::{Function, JsonResult, ScalarFn};
use crate::value::{self, Collation, Value, ValueRef};

type Args<'a, 'b> = &'a [ValueRef<'b>];

const fn text(name: &'static str, min: u8, max: u8, f: ScalarFn) -> Function {
    Function::scalar(name, min, max, f).json(JsonResult::Always)
}

pub(super) static FUNCTIONS: &[Function] = &[
    text("->", 2, 2, arrow),
    Function::scalar("->>", 2, 2, double_arrow),
    text("json", 1, 1, |_, args, _| convert(args, false)),
    text("json_array", 0, 255, |context, args, _| build::array(context, args, false)),
    Function::scalar("json_array_length", 1, 2, array_length),
    Function::scalar("json_error_position", 1, 1, error_position),
    Function::scalar("json_extract", 0, 255, |_, args, _| extract(args, false)).json(JsonResult::Containers),
    text("json_insert", 1, 255, |context, args, _| change(context, args, Edit::Insert, "json_insert", false)),
    text("json_object", 0, 255, |context, args, _| build::object(context, args, false)),
    text("json_patch", 2, 2, |_, args, _| patch(args, false)),
    text("json_pretty", 1, 2, pretty),
    text("json_quote", 1, 1, quote),
    text("json_remove", 1, 255, |_, args, _| remove(args, false)),
    text("json_replace", 1, 255, |context, args, _| {
        change(context, args, Edit::Replace, "json_replace", false)
    }),
    text("json_set", 1, 255, |context, args, _| change(context, args, Edit::Set, "json_set", false)),
    Function::scalar("json_type", 1, 2, json_type),
    Function::scalar("json_valid", 1, 2, valid),
    Function::scalar("jsonb", 1, 1, |_, args, _| convert(args, true)),
    Function::scalar("jsonb_array", 0, 255, |context, args, _| build::array(context, args, true)),
    Function::scalar("jsonb_extract", 0, 255, |_, args, _| extract(args, true)),
    Function::scalar("jsonb_insert", 1, 255, |context, args, _| {
        change(context, args, Edit::Insert, "jsonb_insert", true)
    }),
    Function::scalar("jsonb_object", 0, 255, |context, args, _| build::object(context, args, true)),
    Function::scalar("jsonb_patch", 2, 2, |_, args, _| patch(args, true)),
    Function::scalar("jsonb_remove", 1, 255, |_, args, _| remove(args, true)),
    Function::scalar("jsonb_replace", 1, 255, |context, args, _| {
        change(context, args, Edit::Replace, "jsonb_replace", true)
    }),
    Function::scalar("jsonb_set", 1, 255, |context, args, _| {
        change(context, args, Edit::Set, "jsonb_set", true)
    }),
];

fn malformed() -> Error {
    Error::invalid("malformed JSON")
}

/// The JSONB of an argument that is a document: JSONB itself, or text; `None` for NULL.
fn document(value: ValueRef<'_>) -> Result<Option<Cow<'_, [u8]>>> {
    if value.is_null() {
        return Ok(None);
    }
    if let ValueRef::Blob(bytes) = value
        && jsonb::is_valid(bytes)
    {
        return Ok(Some(Cow::Borrowed(bytes)));
    }
    match parse::parse(&value::text_of(value)) {
        Ok(parsed) => Ok(Some(Cow::Owned(parsed.blob))),
        Err(_) => Err(malformed()),
    }
}

/// A document as the result of a function: text, or JSONB.
fn result(blob: Vec<u8>, binary: bool) -> Value {
    if binary {
        return Value::from(blob);
    }
    Element::at(&blob, 0).map_or(Value::Null, |root| render::to_text(root, &blob).into())
}

fn convert(args: Args<'_, '_>, binary: bool) -> Result<Value> {
    Ok(document(args[0])?.map_or(Value::Null, |blob| result(blob.into_owned(), binary)))
}

/// The element that a path argument leads to; `None` where there is none.
fn find(blob: &[u8], path: ValueRef<'_>) -> Result<Option<Element>> {
    let text = value::text_of(path);
    path::lookup(blob, &path::parse(&text)?.steps)
}

/// The element of an argument, or of the path in the argument after it.
fn addressed(args: Args<'_, '_>, blob: &[u8]) -> Result<Option<Element>> {
    match args.get(1) {
        None => Ok(Element::at(blob, 0)),
        Some(path) if path.is_null() => Ok(None),
        Some(path) => find(blob, *path),
    }
}

fn arrow(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    step_into(args, render_json)
}

fn double_arrow(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    step_into(args, render::to_sql)
}

fn render_json(element: Element, blob: &[u8]) -> Value {
    render::to_text(element, blob).into()
}

fn step_into(args: Args<'_, '_>, finish: fn(Element, &[u8]) -> Value) -> Result<Value> {
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    if args[1].is_null() {
        return Ok(Value::Null);
    }
    let text = value::text_of(args[1]);
    let found = path::lookup(&blob, &path::abbreviated(args[1], &text)?)?;
    Ok(found.map_or(Value::Null, |element| finish(element, &blob)))
}

/// One path gives an SQL value; several give an array.
fn extract(args: Args<'_, '_>, binary: bool) -> Result<Value> {
    let Some((first, paths)) = args.split_first() else { return Ok(Value::Null) };
    let Some(blob) = document(*first)? else { return Ok(Value::Null) };
    if paths.is_empty() {
        return Ok(Value::Null);
    }
    if let [path] = paths {
        if path.is_null() {
            return Ok(Value::Null);
        }
        return Ok(match find(&blob, *path)? {
            None => Value::Null,
            Some(element) if binary && element.kind.is_container() => Value::from(element.bytes(&blob)),
            Some(element) => render::to_sql(element, &blob),
        });
    }
    let mut out = Vec::new();
    let head = jsonb::open(&mut out, Kind::Array);
    for path in paths {
        // The paths before it have been looked at, those after it are not.
        if path.is_null() {
            return Ok(Value::Null);
        }
        match find(&blob, *path)? {
            Some(element) => out.extend_from_slice(element.bytes(&blob)),
            None => jsonb::put(&mut out, Kind::Null, b""),
        }
    }
    jsonb::close(&mut out, head);
    Ok(result(out, binary))
}

fn array_length(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    Ok(addressed(args, &blob)?.map_or(Value::Null, |element| {
        let is_array = element.kind == Kind::Array;
        Value::Integer(if is_array { element.children(&blob).count() as i64 } else { 0 })
    }))
}

fn json_type(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    Ok(addressed(args, &blob)?.map_or(Value::Null, |element| Value::text(element.kind.name())))
}

fn change(context: &Context<'_>, args: Args<'_, '_>, edit: Edit, name: &str, binary: bool) -> Result<Value> {
    if args.len().is_multiple_of(2) {
        return Err(Error::invalid(format!("{name}() needs an odd number of arguments")));
    }
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    let mut blob = blob.into_owned();
    for (i, pair) in args[1..].chunks(2).enumerate() {
        let [path, new] = *pair else { break };
        if path.is_null() {
            continue;
        }
        let text = value::text_of(path);
        let path = path::parse(&text)?;
        let mut element = Vec::new();
        build::put_value(context, 2 * i + 2, new, &mut element)?;
        if let Some(changed) = edit::edit(&blob, &path.steps, edit, &element)? {
            context.check_length(changed.len())?;
            blob = changed;
        }
    }
    Ok(result(blob, binary))
}

fn remove(args: Args<'_, '_>, binary: bool) -> Result<Value> {
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    let mut blob = blob.into_owned();
    for path in &args[1..] {
        if path.is_null() {
            return Ok(Value::Null);
        }
        let text = value::text_of(*path);
        let path = path::parse(&text)?;
        if path.steps.is_empty() {
            return Ok(Value::Null);
        }
        if let Some(changed) = edit::edit(&blob, &path.steps, Edit::Remove, &[])? {
            blob = changed;
        }
    }
    Ok(result(blob, binary))
}

fn patch(args: Args<'_, '_>, binary: bool) -> Result<Value> {
    // The patch of nothing is not looked at.
    let Some(target) = document(args[0])? else { return Ok(Value::Null) };
    let Some(patch) = document(args[1])? else { return Ok(Value::Null) };
    let (Some(root), Some(changes)) = (Element::at(&target, 0), Element::at(&patch, 0)) else {
        return Err(malformed());
    };
    let mut out = Vec::new();
    edit::merge(&mut out, Some((root, &target)), (changes, &patch));
    Ok(result(out, binary))
}

fn pretty(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let Some(blob) = document(args[0])? else { return Ok(Value::Null) };
    let indent = match args.get(1) {
        Some(indent) if !indent.is_null() => value::text_of(*indent),
        _ => Cow::Borrowed("    "),
    };
    let mut out = String::new();
    if let Some(root) = Element::at(&blob, 0) {
        render::write_pretty(root, &blob, &indent, 0, &mut out);
    }
    Ok(out.into())
}

/// A value as JSON.
fn quote(context: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let mut blob = Vec::new();
    build::put_value(context, 0, args[0], &mut blob)?;
    Ok(result(blob, false))
}

/// `json_valid(value [, flags])`: 1 JSON text, 2 JSON5 text, 4 what looks like JSONB, 8 sound JSONB.
fn valid(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    let flags = args.get(1).map_or(1, |flags| value::to_integer(*flags));
    if !(1..=15).contains(&flags) {
        return Err(Error::invalid("FLAGS parameter to json_valid() must be between 1 and 15"));
    }
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    if let ValueRef::Blob(bytes) = args[0]
        && jsonb::is_plausible(bytes)
    {
        return Ok(Value::from(flags & 4 != 0 || (flags & 8 != 0 && jsonb::is_valid(bytes))));
    }
    let accepted = match parse::parse(&value::text_of(args[0])) {
        Ok(parsed) if parsed.json5 => flags & 2 != 0,
        Ok(_) => flags & 3 != 0,
        Err(_) => false,
    };
    Ok(accepted.into())
}

/// 0 for JSON5, else the place of the first character that spoils it, from 1.
fn error_position(_: &mut Context<'_>, args: Args<'_, '_>, _: Collation) -> Result<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    if matches!(args[0], ValueRef::Blob(bytes) if jsonb::is_valid(bytes)) {
        return Ok(Value::Integer(0));
    }
    let text = value::text_of(args[0]);
    Ok(match parse::parse(&text) {
        Ok(_) => Value::Integer(0),
        Err(at) => {
            Value::Integer(text.char_indices().take_while(|(start, _)| *start < at).count() as i64 + 1)
        }
    })
}
