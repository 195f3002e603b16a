//! The rows of `json_each` and `json_tree`.

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

/// The rows of `json_each(json, path)`, or of `json_tree` where `recursive`. No rows for NULL or for a path to nothing;
/// fails on malformed JSON or a bad path. Without a path pass `$`.
pub fn json_each(json: ValueRef<'_>, path: ValueRef<'_>, recursive: bool) -> Result<Vec<JsonRow>> {
    let Some(blob) = document(json)? else { return Ok(Vec::new()) };
    if path.is_null() {
        return Ok(Vec::new());
    }
    let text = value::text_of(path);
    let path = path::parse(&text)?;
    let Some(root) = path::lookup(&blob, &path.steps) else { return Ok(Vec::new()) };
    let mut rows = Rows { blob: &blob, rows: Vec::new() };
    if !recursive && root.kind.is_container() {
        rows.children(root, &text, None, false);
        return Ok(rows.rows);
    }
    let key = match path.steps.last() {
        None => Value::Null,
        Some(path::Step::Label(name)) => Value::text(name),
        Some(path::Step::Index(index)) => Value::Integer(i64::try_from(*index).unwrap_or(i64::MAX)),
        Some(path::Step::FromEnd(back)) => Value::Integer(-i64::try_from(*back).unwrap_or(i64::MAX)),
    };
    let container = if recursive && !path.steps.is_empty() { &text[..path.last] } else { &text };
    rows.push(root, root.start, key, None, text.to_string(), container.to_owned());
    if recursive {
        rows.tree(root, &text);
    }
    Ok(rows.rows)
}

struct Rows<'b> {
    blob: &'b [u8],
    rows: Vec<JsonRow>,
}

impl Rows<'_> {
    fn push(
        &mut self,
        element: Element,
        id: usize,
        key: Value,
        parent: Option<i64>,
        fullkey: String,
        path: String,
    ) {
        let value = render::to_sql(element, self.blob);
        let atom = if element.kind.is_container() { Value::Null } else { value.clone() };
        let kind = element.kind.name();
        self.rows.push(JsonRow { key, value, kind, atom, id: id as i64, parent, fullkey, path });
    }

    /// Every descendant, parents before children. Recurses no deeper than documents nest.
    fn tree(&mut self, container: Element, path: &str) {
        self.children(container, path, Some(container.start as i64), true);
    }

    fn children(&mut self, container: Element, path: &str, parent: Option<i64>, recursive: bool) {
        let blob = self.blob;
        let step = if container.kind == Kind::Object { 2 } else { 1 };
        let mut label: Option<Element> = None;
        for (i, child) in container.children(blob).enumerate() {
            if step == 2 && i % 2 == 0 {
                label = Some(child);
                continue;
            }
            let (key, fullkey, id) = match label {
                Some(label) => {
                    let name = unescaped(label, blob);
                    (
                        Value::text(&name),
                        format!("{path}{}", label_step(&name, label.text(blob))),
                        label.start,
                    )
                }
                None => (Value::Integer(i as i64), format!("{path}[{i}]"), child.start),
            };
            self.push(child, id, key, parent, fullkey.clone(), path.to_owned());
            if recursive && child.kind.is_container() {
                self.children(child, &fullkey, Some(id as i64), true);
            }
        }
    }
}

/// The step of a path to a label: quoted unless it is letters and digits alone.
fn label_step(name: &str, raw: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { format!(".{name}") } else { format!(".\"{raw}\"") }
}
