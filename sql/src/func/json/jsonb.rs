//! JSON in SQLite's binary form (<https://sqlite.org/jsonb.html>): the one form that all JSON functions work on.
//!
//! ```text
//! element  head | size in 0, 1, 2, 4 or 8 bytes, big-endian | payload
//! head     low four bits: the kind; high four bits: the size of the payload, or 12..15: the width of the size
//! payload  numbers: their text; texts: their bytes between the quotes; arrays: elements; objects: label, value ..
//! ```

use crate::value::number;

/// The deepest nesting of arrays and objects that is read.
pub(super) const MAX_DEPTH: usize = 1000;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    /// Digits, perhaps with a minus.
    Int,
    /// A hexadecimal integer of JSON5.
    Int5,
    /// A number with a point or an exponent.
    Float,
    /// A float of JSON5: nothing before or behind the point.
    Float5,
    /// Text without escapes, and needing none.
    Text,
    /// Text with JSON escapes.
    TextJ,
    /// Text with JSON5 escapes.
    Text5,
    /// Text as it is, which needs escapes when written as JSON.
    TextRaw,
    Array,
    Object,
}

const KINDS: [Kind; 13] = [
    Kind::Null,
    Kind::True,
    Kind::False,
    Kind::Int,
    Kind::Int5,
    Kind::Float,
    Kind::Float5,
    Kind::Text,
    Kind::TextJ,
    Kind::Text5,
    Kind::TextRaw,
    Kind::Array,
    Kind::Object,
];

impl Kind {
    pub(super) fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::TextJ | Kind::Text5 | Kind::TextRaw)
    }

    pub(super) fn is_container(self) -> bool {
        matches!(self, Kind::Array | Kind::Object)
    }

    /// What `json_type()` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::True => "true",
            Kind::False => "false",
            Kind::Int | Kind::Int5 => "integer",
            Kind::Float | Kind::Float5 => "real",
            Kind::Text | Kind::TextJ | Kind::Text5 | Kind::TextRaw => "text",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// Where an element stands: its head, its payload and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) body: usize,
    pub(super) end: usize,
}

impl Element {
    /// The element at `start`; `None` where the bytes are none.
    pub(super) fn at(blob: &[u8], start: usize) -> Option<Element> {
        let head = *blob.get(start)?;
        let kind = *KINDS.get(usize::from(head & 15))?;
        let width = match head >> 4 {
            0..=11 => 0,
            12 => 1,
            13 => 2,
            14 => 4,
            _ => 8,
        };
        let body = start + 1 + width;
        let size = match width {
            0 => u64::from(head >> 4),
            _ => blob.get(start + 1..body)?.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)),
        };
        let end = body.checked_add(usize::try_from(size).ok()?)?;
        (end <= blob.len()).then_some(Element { kind, start, body, end })
    }

    pub(super) fn payload(self, blob: &[u8]) -> &[u8] {
        blob.get(self.body..self.end).unwrap_or_default()
    }

    pub(super) fn bytes(self, blob: &[u8]) -> &[u8] {
        blob.get(self.start..self.end).unwrap_or_default()
    }

    /// The payload of a number or text; valid blobs hold UTF-8 there.
    pub(super) fn text(self, blob: &[u8]) -> &str {
        std::str::from_utf8(self.payload(blob)).unwrap_or_default()
    }

    /// The elements in an array; labels and values in turn of an object.
    pub(super) fn children(self, blob: &[u8]) -> impl Iterator<Item = Element> + use<'_> {
        let mut at = if self.kind.is_container() { self.body } else { self.end };
        std::iter::from_fn(move || {
            if at >= self.end {
                return None;
            }
            let child = Element::at(blob, at).filter(|child| child.end <= self.end)?;
            at = child.end;
            Some(child)
        })
    }

    /// The labels and values of an object.
    pub(super) fn entries(self, blob: &[u8]) -> impl Iterator<Item = (Element, Element)> + use<'_> {
        let mut children = self.children(blob);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }
}

/// Appends the head of an element with a payload of `size` bytes.
pub(super) fn put_head(out: &mut Vec<u8>, kind: Kind, size: usize) {
    let kind = kind as u8;
    if size <= 11 {
        out.push(kind | (size as u8) << 4);
    } else if let Ok(size) = u8::try_from(size) {
        out.extend_from_slice(&[kind | 0xC0, size]);
    } else if let Ok(size) = u16::try_from(size) {
        out.push(kind | 0xD0);
        out.extend_from_slice(&size.to_be_bytes());
    } else if let Ok(size) = u32::try_from(size) {
        out.push(kind | 0xE0);
        out.extend_from_slice(&size.to_be_bytes());
    } else {
        out.push(kind | 0xF0);
        out.extend_from_slice(&(size as u64).to_be_bytes());
    }
}

/// The length of the head of an element with a payload of `size` bytes.
pub(super) fn head_len(size: usize) -> usize {
    match size {
        0..=11 => 1,
        12..=0xFF => 2,
        0x100..=0xFFFF => 3,
        _ if u32::try_from(size).is_ok() => 5,
        _ => 9,
    }
}

/// Appends an element.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    put_head(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// Starts an array or object whose size is not known yet; [`close`] ends it.
pub(super) fn open(out: &mut Vec<u8>, kind: Kind) -> usize {
    out.push(kind as u8);
    out.len() - 1
}

/// Ends what [`open`] started at `head`: writes its size.
pub(super) fn close(out: &mut Vec<u8>, head: usize) {
    let size = out.len() - head - 1;
    let Some(kind) = out.get(head).and_then(|kind| KINDS.get(usize::from(kind & 15))) else { return };
    let mut bytes = Vec::with_capacity(9);
    put_head(&mut bytes, *kind, size);
    out.splice(head..=head, bytes);
}

/// Whether `blob` looks like an element: its head fits its length.
pub(super) fn is_plausible(blob: &[u8]) -> bool {
    Element::at(blob, 0).is_some_and(|root| {
        root.end == blob.len()
            && match root.kind {
                Kind::Null | Kind::True | Kind::False => blob.len() == 1,
                _ => true,
            }
    })
}

/// Whether `blob` is one element, sound to its last byte.
pub(super) fn is_valid(blob: &[u8]) -> bool {
    let Some(root) = Element::at(blob, 0).filter(|root| root.end == blob.len()) else { return false };
    // The ends of the containers that enclose the place reached, with the number of children so far.
    let mut open: Vec<(Kind, usize, usize)> = Vec::new();
    let mut element = root;
    loop {
        if !is_sound(element, blob) {
            return false;
        }
        let mut at = element.end;
        if element.kind.is_container() {
            if open.len() >= MAX_DEPTH {
                return false;
            }
            open.push((element.kind, element.end, 0));
            at = element.body;
        }
        while let Some(&(kind, end, children)) = open.last() {
            if at < end {
                break;
            }
            if at > end || (kind == Kind::Object && !children.is_multiple_of(2)) {
                return false;
            }
            open.pop();
        }
        let Some((kind, end, children)) = open.last_mut() else { return true };
        let Some(next) = Element::at(blob, at).filter(|next| next.end <= *end) else { return false };
        if *kind == Kind::Object && children.is_multiple_of(2) && !next.kind.is_text() {
            return false;
        }
        *children += 1;
        element = next;
    }
}

/// Whether the payload of one element (not its children) is what its kind wants.
fn is_sound(element: Element, blob: &[u8]) -> bool {
    let payload = element.payload(blob);
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    match element.kind {
        Kind::Null | Kind::True | Kind::False => payload.is_empty(),
        Kind::Int => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        Kind::Int5 => {
            digits.len() > 2
                && digits[0] == b'0'
                && matches!(digits[1], b'x' | b'X')
                && digits[2..].iter().all(u8::is_ascii_hexdigit)
        }
        Kind::Float | Kind::Float5 => {
            number::scan(payload).whole && !payload.iter().any(|byte| number::is_space(*byte))
        }
        Kind::Text => {
            std::str::from_utf8(payload).is_ok()
                && !payload.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
        }
        Kind::TextJ | Kind::Text5 => std::str::from_utf8(payload).is_ok_and(super::text::are_escapes_sound),
        Kind::TextRaw => std::str::from_utf8(payload).is_ok(),
        Kind::Array | Kind::Object => true,
    }
}
