//! Paths into JSON: `$`, `.label`, `."label"`, `[N]`, `[#-N]`, and `[#]` for one past the end.

use std::borrow::Cow;

use dosql_base::{Error, Result};

use super::jsonb::{Element, Kind};
use super::text::{unescape, unescaped};
use crate::value::{self, ValueRef};

/// One step down.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'p> {
    /// To the value of a label.
    Label(Cow<'p, str>),
    /// To the element at an index from 0.
    Index(u64),
    /// To the element this far before the end; 0 is past the last one.
    FromEnd(u64),
    /// What is no step. Only a walk that gets there fails; `[` fails on arrays only, as in SQLite.
    Bad {
        /// The whole path.
        path: &'p str,
        /// Whether the step starts with a bracket.
        bracket: bool,
    },
}

/// A path that has been read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path<'p> {
    pub(super) steps: Vec<Step<'p>>,
    /// Where in the text the last step starts.
    pub(super) last: usize,
}

pub(super) fn bad_path(text: &str) -> Error {
    Error::invalid(format!("bad JSON path: {}", value::quote(ValueRef::Text(text))))
}

/// Reads a path. Fails with "bad JSON path" where it does not start with `$`; a step that is none fails when it is
/// walked.
pub(super) fn parse(text: &str) -> Result<Path<'_>> {
    let mut path = Path { steps: Vec::new(), last: text.len() };
    let mut rest = text.strip_prefix('$').ok_or_else(|| bad_path(text))?;
    while !rest.is_empty() {
        path.last = text.len() - rest.len();
        let step = if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            label(&mut rest)
        } else if let Some(after) = rest.strip_prefix('[') {
            rest = after;
            index(&mut rest)
        } else {
            None
        };
        let Some(step) = step else {
            path.steps.push(Step::Bad { path: text, bracket: text[path.last..].starts_with('[') });
            break;
        };
        path.steps.push(step);
    }
    Ok(path)
}

fn label<'p>(rest: &mut &'p str) -> Option<Step<'p>> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let mut end = 0;
        loop {
            match quoted.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let (name, after) = (quoted.get(..end)?, quoted.get(end + 1..)?);
        *rest = after;
        let name = if name.contains('\\') { Cow::Owned(unescape(name)) } else { Cow::Borrowed(name) };
        return Some(Step::Label(name));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    *rest = after;
    (!name.is_empty()).then_some(Step::Label(Cow::Borrowed(name)))
}

fn index<'p>(rest: &mut &'p str) -> Option<Step<'p>> {
    let (inside, after) = rest.split_once(']')?;
    *rest = after;
    let number = |digits: &str| {
        let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    match inside.strip_prefix('#') {
        Some("") => Some(Step::FromEnd(0)),
        Some(back) => back.strip_prefix('-').and_then(number).map(Step::FromEnd),
        None => number(inside).map(Step::Index),
    }
}

/// What one step leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// This element; of an object with the start of its label.
    Element { label: Option<usize>, element: Element },
    /// Nothing, but it could be added at the end of the container.
    Addable,
    /// Nothing.
    Nothing,
}

/// Takes one step from `from`. Fails on a step that is none.
pub(super) fn step(from: Element, blob: &[u8], step: &Step<'_>) -> Result<Found> {
    let index = match (step, from.kind) {
        (Step::Label(name), Kind::Object) => {
            let entry = from.entries(blob).find(|(label, _)| unescaped(*label, blob) == *name);
            return Ok(entry.map_or(Found::Addable, |(label, element)| Found::Element {
                label: Some(label.start),
                element,
            }));
        }
        (Step::Index(index), Kind::Array) => *index,
        (Step::FromEnd(back), Kind::Array) => {
            let len = from.children(blob).count() as u64;
            match len.checked_sub(*back) {
                Some(index) => index,
                None => return Ok(Found::Nothing),
            }
        }
        (Step::Bad { bracket: true, .. }, kind) if kind != Kind::Array => return Ok(Found::Nothing),
        (Step::Bad { path, .. }, _) => return Err(bad_path(path)),
        _ => return Ok(Found::Nothing),
    };
    let mut count = 0;
    for element in from.children(blob) {
        if count == index {
            return Ok(Found::Element { label: None, element });
        }
        count += 1;
    }
    Ok(if count == index { Found::Addable } else { Found::Nothing })
}

/// The element at the end of a path, and where it starts: in an object with its label.
pub(super) fn locate(blob: &[u8], steps: &[Step<'_>]) -> Result<Option<(Element, usize)>> {
    let Some(mut element) = Element::at(blob, 0) else { return Ok(None) };
    let mut start = 0;
    for next in steps {
        match step(element, blob, next)? {
            Found::Element { label, element: found } => {
                start = label.unwrap_or(found.start);
                element = found;
            }
            Found::Addable | Found::Nothing => return Ok(None),
        }
    }
    Ok(Some((element, start)))
}

/// The element at the end of a path.
pub(super) fn lookup(blob: &[u8], steps: &[Step<'_>]) -> Result<Option<Element>> {
    Ok(locate(blob, steps)?.map(|(element, _)| element))
}

/// The steps that the right side of `->` means: a whole path, an index (from the end where negative), or a label.
pub(super) fn abbreviated<'p>(operand: ValueRef<'_>, text: &'p str) -> Result<Vec<Step<'p>>> {
    if text.starts_with('$') {
        return Ok(parse(text)?.steps);
    }
    if text.is_empty() {
        return Err(bad_path(text));
    }
    if let ValueRef::Integer(at) = operand {
        return Ok(vec![if at < 0 {
            Step::FromEnd(at.unsigned_abs())
        } else {
            Step::Index(at.unsigned_abs())
        }]);
    }
    if let Some(mut inside) =
        text.strip_prefix('[').filter(|inside| inside.len() >= 2 && inside.ends_with(']'))
    {
        return Ok(vec![index(&mut inside).filter(|_| inside.is_empty()).ok_or_else(|| bad_path(text))?]);
    }
    Ok(vec![Step::Label(Cow::Borrowed(text))])
}
