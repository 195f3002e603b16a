//! Changing JSONB: one splice at the end of a path, and merging (RFC 7396).

use std::borrow::Cow;
use std::collections::BTreeMap;

use dosql_base::{Error, Result};

use super::jsonb::{self, Element, Kind, MAX_DEPTH};
use super::path::{Found, Step, bad_path, step};
use super::text::unescaped;

/// What to do at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Add where nothing is.
    Insert,
    /// Replace what is.
    Replace,
    /// Either.
    Set,
    /// Take away what is.
    Remove,
}

/// Edits `blob` at the end of a path; `None` where that changes nothing.
pub(super) fn edit(blob: &[u8], steps: &[Step<'_>], edit: Edit, value: &[u8]) -> Result<Option<Vec<u8>>> {
    if steps.len() > MAX_DEPTH {
        return Err(Error::limit(format!("a JSON path of more than {MAX_DEPTH} steps")));
    }
    let Some(root) = Element::at(blob, 0) else { return Ok(None) };
    let mut parents: Vec<Element> = Vec::new();
    let (mut element, mut from) = (root, root.start);
    for (i, next) in steps.iter().enumerate() {
        match step(element, blob, next)? {
            Found::Element { label, element: found } => {
                parents.push(element);
                element = found;
                from = label.unwrap_or(found.start);
            }
            Found::Addable if matches!(edit, Edit::Insert | Edit::Set) => {
                let Some(added) = entry(&steps[i..], value)? else { return Ok(None) };
                parents.push(element);
                return Ok(Some(splice(blob, &parents, element.end, element.end, &added)));
            }
            Found::Addable | Found::Nothing => return Ok(None),
        }
    }
    Ok(match edit {
        Edit::Insert => None,
        Edit::Replace | Edit::Set => Some(splice(blob, &parents, element.start, element.end, value)),
        Edit::Remove => Some(splice(blob, &parents, from, element.end, &[])),
    })
}

/// The bytes that add `value` under the first step of `steps`, with the containers that the others want; `None` where
/// an index other than the first would be needed.
fn entry(steps: &[Step<'_>], value: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut inner = value.to_vec();
    for (i, step) in steps.iter().enumerate().rev() {
        let mut outer = Vec::new();
        let kind = match step {
            Step::Label(name) => {
                put_label(&mut outer, name);
                Kind::Object
            }
            Step::Index(0) | Step::FromEnd(0) => Kind::Array,
            Step::Bad { path, .. } => return Err(bad_path(path)),
            _ if i == 0 => Kind::Array,
            _ => return Ok(None),
        };
        outer.extend_from_slice(&inner);
        if i == 0 {
            return Ok(Some(outer));
        }
        inner.clear();
        jsonb::put(&mut inner, kind, &outer);
    }
    Ok(Some(inner))
}

/// Appends a label, as text that needs no escapes where it can.
pub(super) fn put_label(out: &mut Vec<u8>, name: &str) {
    jsonb::put(out, Kind::TextRaw, name.as_bytes());
}

/// Replaces the bytes `from..to`, which lie inside the last of `parents`, and mends the sizes of all of those.
fn splice(blob: &[u8], parents: &[Element], from: usize, to: usize, by: &[u8]) -> Vec<u8> {
    // From the innermost out: how long each payload becomes, and what its head adds to the next.
    let mut growth = by.len() as i64 - (to - from) as i64;
    let mut sizes = Vec::with_capacity(parents.len());
    for parent in parents.iter().rev() {
        let size = usize::try_from((parent.end - parent.body) as i64 + growth).unwrap_or(0);
        sizes.push(size);
        growth += jsonb::head_len(size) as i64 - (parent.body - parent.start) as i64;
    }
    let mut out = Vec::with_capacity(blob.len() + by.len() + 16);
    let mut at = 0;
    for (parent, size) in parents.iter().zip(sizes.iter().rev()) {
        out.extend_from_slice(blob.get(at..parent.start).unwrap_or_default());
        jsonb::put_head(&mut out, parent.kind, *size);
        at = parent.body;
    }
    out.extend_from_slice(blob.get(at..from).unwrap_or_default());
    out.extend_from_slice(by);
    out.extend_from_slice(blob.get(to..).unwrap_or_default());
    out
}

/// Appends `target` with `patch` merged into it.
pub(super) fn merge(out: &mut Vec<u8>, target: Option<(Element, &[u8])>, patch: (Element, &[u8])) {
    let (changes, patch_blob) = patch;
    if changes.kind != Kind::Object {
        out.extend_from_slice(changes.bytes(patch_blob));
        return;
    }
    let head = jsonb::open(out, Kind::Object);
    let mut pending: BTreeMap<Cow<'_, str>, (Element, bool)> = BTreeMap::new();
    for (label, value) in changes.entries(patch_blob) {
        pending.insert(unescaped(label, patch_blob), (value, false));
    }
    if let Some((object, blob)) = target.filter(|(object, _)| object.kind == Kind::Object) {
        for (label, value) in object.entries(blob) {
            match pending.get_mut(&unescaped(label, blob)) {
                // Of a label that comes twice, the first alone is changed.
                Some((change, done)) if !*done => {
                    *done = true;
                    if change.kind != Kind::Null {
                        out.extend_from_slice(label.bytes(blob));
                        merge(out, Some((value, blob)), (*change, patch_blob));
                    }
                }
                _ => {
                    out.extend_from_slice(label.bytes(blob));
                    out.extend_from_slice(value.bytes(blob));
                }
            }
        }
    }
    for (label, _) in changes.entries(patch_blob) {
        if let Some((change, done)) = pending.get_mut(&unescaped(label, patch_blob))
            && !*done
        {
            *done = true;
            if change.kind != Kind::Null {
                out.extend_from_slice(label.bytes(patch_blob));
                merge(out, None, (*change, patch_blob));
            }
        }
    }
    jsonb::close(out, head);
}
