//! The rows of `json_each` and `json_tree`, made one at a time.

use dosql_base::Result;

use super::jsonb::{Element, Kind};
use super::text::unescaped;
use super::{document, path, render};
use crate::value::{self, Value, ValueRef};

/// One row of `json_each` or `json_tree`. The hidden columns `json` and `root` are the arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonRow {
    /// The label in an object, the index in an array, NULL of the root.
    pub key: Value,
    /// A scalar as an SQL value, an array or object as JSON text.
    pub value: Value,
    /// What `json_type()` says.
    pub kind: &'static str,
    /// The value of a scalar; NULL of an array or object.
    pub atom: Value,
    /// A number of its own within the document.
    pub id: i64,
    /// The id of the container, in `json_tree`.
    pub parent: Option<i64>,
    /// The path of the element.
    pub fullkey: String,
    /// The path of its container.
    pub path: String,
}

/// The rows of `json_each(json, path)`, or of `json_tree` where `recursive`, all at once; see [`JsonRows`].
pub fn json_each(json: ValueRef<'_>, path: ValueRef<'_>, recursive: bool) -> Result<Vec<JsonRow>> {
    Ok(JsonRows::new(json, path, recursive)?.collect())
}

/// Yields the rows of `json_each` or `json_tree`, containers before what they hold.
#[derive(Clone, Debug)]
pub struct JsonRows {
    blob: Vec<u8>,
    recursive: bool,
    /// The row of the root itself, where that is one.
    root: Option<Box<JsonRow>>,
    /// The containers that enclose the next row.
    open: Vec<Open>,
    /// The path of the innermost of them.
    path: String,
}

/// A container whose children are being yielded.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    next: usize,
    end: usize,
    index: i64,
    id: i64,
    /// The length of its path.
    path: usize,
}

impl JsonRows {
    /// The rows of `json` (text or JSONB) at `path` (`$` for all of it). No rows of NULL, or at a path to nothing. Fails
    /// on malformed JSON and bad paths.
    pub fn new(json: ValueRef<'_>, path: ValueRef<'_>, recursive: bool) -> Result<JsonRows> {
        let mut rows =
            JsonRows { blob: Vec::new(), recursive, root: None, open: Vec::new(), path: String::new() };
        let Some(blob) = document(json)? else { return Ok(rows) };
        if path.is_null() {
            return Ok(rows);
        }
        rows.blob = blob.into_owned();
        rows.path = value::text_of(path).into_owned();
        let text = rows.path.clone();
        let path = path::parse(&text)?;
        let Some((root, start)) = path::locate(&rows.blob, &path.steps)? else { return Ok(rows) };
        let id = start as i64;
        if recursive || !root.kind.is_container() {
            let key = match path.steps.last() {
                _ if !recursive => Value::Null,
                Some(path::Step::Label(name)) => Value::text(name),
                Some(path::Step::Index(index)) => Value::Integer(i64::try_from(*index).unwrap_or(i64::MAX)),
                // SQLite says 0 for every index from the end.
                Some(path::Step::FromEnd(_)) => Value::Integer(0),
                Some(path::Step::Bad { .. }) | None => Value::Null,
            };
            let container = if recursive && !path.steps.is_empty() { &text[..path.last] } else { &text };
            rows.root = Some(Box::new(rows.row(root, id, key, None, text.clone(), container.to_owned())));
        }
        rows.enter(root, id);
        Ok(rows)
    }

    fn enter(&mut self, element: Element, id: i64) {
        if element.kind.is_container() {
            let (kind, next, end) = (element.kind, element.body, element.end);
            self.open.push(Open { kind, next, end, index: 0, id, path: self.path.len() });
        }
    }

    fn row(
        &self,
        element: Element,
        id: i64,
        key: Value,
        parent: Option<i64>,
        fullkey: String,
        path: String,
    ) -> JsonRow {
        let value = render::to_sql(element, &self.blob);
        let atom = if element.kind.is_container() { Value::Null } else { value.clone() };
        JsonRow { key, value, kind: element.kind.name(), atom, id, parent, fullkey, path }
    }
}

impl Iterator for JsonRows {
    type Item = JsonRow;

    fn next(&mut self) -> Option<JsonRow> {
        if let Some(root) = self.root.take() {
            return Some(*root);
        }
        loop {
            let open = self.open.last_mut()?;
            self.path.truncate(open.path);
            let first = Element::at(&self.blob, open.next).filter(|first| first.end <= open.end);
            let Some(first) = first.filter(|_| open.next < open.end) else {
                self.open.pop();
                continue;
            };
            let (key, step, element) = if open.kind == Kind::Object {
                let name = unescaped(first, &self.blob);
                let step = label_step(&name, first.text(&self.blob));
                (Value::text(&name), step, Element::at(&self.blob, first.end)?)
            } else {
                (Value::Integer(open.index), format!("[{}]", open.index), first)
            };
            open.next = element.end;
            open.index += 1;
            let (id, parent) = (first.start as i64, self.recursive.then_some(open.id));
            let container = self.path.clone();
            self.path.push_str(&step);
            let row = self.row(element, id, key, parent, self.path.clone(), container);
            if self.recursive {
                self.enter(element, id);
            }
            return Some(row);
        }
    }
}

/// The step of a path to a label: quoted unless it is letters and digits alone.
fn label_step(name: &str, raw: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!(".{name}") } else { format!(".\"{raw}\"") }
}
