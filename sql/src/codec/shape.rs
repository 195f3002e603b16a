//! The layouts that rows of one table have had: append-only, stored with the table in the catalog.
//!
//! ```text
//! table   01 (version) | varint(shapes) | shape ..
//! shape   varint(columns << 2 | width of ends) | tags, two a byte, first low
//! ```

use dosql_base::codec::{Reader, put_varint};
use dosql_base::{Error, Result};

use super::row::{EndWidth, MAX_COLUMNS, Slot, Tag};
use crate::value::ValueRef;

const VERSION: u8 = 1;
/// Up to this many shapes a row gets one that fits it exactly; after that it rather takes a wider one.
const EXACT_SHAPES: usize = 16;
/// Bytes that a row may waste in a wider shape, once there are [`EXACT_SHAPES`].
const MAX_WASTE: usize = 8;

/// The layouts that a table's rows have had, numbered from 1. Only ever grows, to 254 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShapeTable {
    shapes: Vec<Shape>,
}

/// One layout: how each column is stored and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    slots: Vec<(Tag, u32)>,
    width: EndWidth,
    fixed: usize,
    variable: usize,
}

impl Shape {
    fn new(tags: impl IntoIterator<Item = Tag>, width: EndWidth) -> Shape {
        let (mut fixed, mut variable) = (0, 0);
        let mut slots = Vec::new();
        for tag in tags {
            slots.push((tag, if tag.is_variable() { variable } else { fixed } as u32));
            fixed += tag.width();
            variable += usize::from(tag.is_variable());
        }
        Shape { slots, width, fixed, variable }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn slot(&self, index: usize) -> Option<Slot> {
        self.slots.get(index).map(|&(tag, at)| Slot { tag, at })
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.slots.iter().map(|&(tag, _)| tag)
    }

    #[inline]
    pub(super) fn width(&self) -> EndWidth {
        self.width
    }

    #[inline]
    pub(super) fn fixed(&self) -> usize {
        self.fixed
    }

    #[inline]
    pub(super) fn variable(&self) -> usize {
        self.variable
    }

    /// How many bytes a row of these values wastes in this shape; `None` where it does not fit.
    fn waste(&self, values: &[ValueRef<'_>], width: EndWidth) -> Option<usize> {
        if self.slots.len() != values.len() || self.width < width {
            return None;
        }
        let ends = self.variable.saturating_sub(1);
        let mut waste = ends * (self.width.bytes() - width.bytes());
        for (&(tag, _), &value) in self.slots.iter().zip(values) {
            let tight = Tag::of(value);
            if tag != tight {
                // A wider integer holds a narrower one; 0 and 1 as tags hold nothing but themselves.
                let holds = tight.is_integer() && tag.is_integer() && tag.width() >= tight.width().max(1);
                if !holds {
                    return None;
                }
                waste += tag.width() - tight.width().max(1);
            }
        }
        Some(waste)
    }
}

impl ShapeTable {
    /// The greatest number of shapes; rows beyond them describe themselves.
    pub const MAX: usize = 254;

    /// A table without shapes.
    #[must_use]
    pub const fn new() -> ShapeTable {
        ShapeTable { shapes: Vec::new() }
    }

    /// How many shapes it holds.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, id: u8) -> Option<&Shape> {
        self.shapes.get(usize::from(id).checked_sub(1)?)
    }

    /// The number of the shape to store these values in, added where none fits well; `None` where the table is
    /// full.
    pub(super) fn choose(&mut self, values: &[ValueRef<'_>], width: EndWidth) -> Option<u8> {
        let mut best: Option<(usize, usize)> = None;
        for (index, shape) in self.shapes.iter().enumerate() {
            match shape.waste(values, width) {
                Some(0) => {
                    best = Some((0, index));
                    break;
                }
                Some(waste) if best.is_none_or(|(least, _)| waste < least) => best = Some((waste, index)),
                _ => {}
            }
        }
        let room = self.shapes.len() < ShapeTable::MAX;
        let allowed = if self.shapes.len() < EXACT_SHAPES { 0 } else { MAX_WASTE };
        let index = match best {
            Some((waste, index)) if waste <= allowed || !room => index,
            _ if room => {
                self.shapes.push(Shape::new(values.iter().map(|value| Shape::stored_tag(*value)), width));
                self.shapes.len() - 1
            }
            _ => return None,
        };
        u8::try_from(index + 1).ok()
    }

    /// The table as bytes, for the catalog.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.shapes.len() as u64);
        for shape in &self.shapes {
            put_varint(&mut out, (shape.slots.len() as u64) << 2 | shape.width as u64);
            for pair in shape.slots.chunks(2) {
                let tag = |i: usize| pair.get(i).map_or(0, |&(tag, _)| tag as u8);
                out.push(tag(0) | tag(1) << 4);
            }
        }
        out
    }

    /// Reads what [`ShapeTable::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<ShapeTable> {
        let mut reader = Reader::new(bytes, "shape table");
        let version = reader.u8()?;
        if version != VERSION {
            return Err(Error::unsupported(format!(
                "a shape table of version {version}: upgrade dosql to read it"
            )));
        }
        let bad = |what: &str| Error::corrupt(format!("a shape table {what}"), "catalog");
        let count = reader.varint_u32()? as usize;
        if count > ShapeTable::MAX {
            return Err(bad("claims too many shapes"));
        }
        let mut shapes = Vec::with_capacity(count);
        for _ in 0..count {
            let head = reader.varint_u32()?;
            let columns = (head >> 2) as usize;
            let width =
                EndWidth::from_byte((head & 3) as u8).ok_or_else(|| bad("has ends of unknown width"))?;
            if columns > MAX_COLUMNS {
                return Err(bad("claims too many columns"));
            }
            let bytes = reader.take(columns.div_ceil(2))?;
            let tags: Option<Vec<Tag>> = bytes
                .iter()
                .flat_map(|byte| [byte & 15, byte >> 4])
                .take(columns)
                .map(Tag::from_byte)
                .collect();
            shapes.push(Shape::new(tags.ok_or_else(|| bad("has a column of unknown type"))?, width));
        }
        reader.finish()?;
        Ok(ShapeTable { shapes })
    }
}

impl Shape {
    /// The tag that a new shape gets for a value: 0 and 1 take a byte, since other rows of the shape will differ.
    fn stored_tag(value: ValueRef<'_>) -> Tag {
        match Tag::of(value) {
            Tag::Zero | Tag::One => Tag::Int1,
            tag => tag,
        }
    }
}
