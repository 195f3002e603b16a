//! Rows: one byte names the layout, then come fixed-width columns, the ends of the variable ones, and their bytes.
//!
//! ```text
//! shape 0     00 | varint(columns << 2 | width) | tags, two a byte, first low | body
//! shape 1..   shape | body                          (the ShapeTable knows tags and width)
//! body        fixed columns back to back, little-endian | ends of all variable columns but the last | their bytes
//! width       of an end: 0 one byte, 1 two, 2 four; an end counts from the first variable byte
//! tags        0 NULL, 1 zero, 2 one, 3..6 integer of 1, 2, 4, 8 bytes, 7 real, 8 text, 9 blob
//! ```
//!
//! NULL, 0 and 1 take no bytes in the body. The last variable column ends where the row ends. A row may have fewer
//! columns than its table: those that were added later read as absent, so that their defaults apply.

use dosql_base::codec::{get_varint, put_varint};
use dosql_base::{Error, Result};

use super::shape::{Shape, ShapeTable};
use crate::value::ValueRef;

/// How a column is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Tag {
    Null,
    Zero,
    One,
    Int1,
    Int2,
    Int4,
    Int8,
    Real,
    Text,
    Blob,
}

impl Tag {
    const ALL: [Tag; 10] = [
        Tag::Null,
        Tag::Zero,
        Tag::One,
        Tag::Int1,
        Tag::Int2,
        Tag::Int4,
        Tag::Int8,
        Tag::Real,
        Tag::Text,
        Tag::Blob,
    ];

    pub(super) fn from_byte(byte: u8) -> Option<Tag> {
        Tag::ALL.get(usize::from(byte)).copied()
    }

    /// The tag that stores `value` in the fewest bytes.
    #[inline]
    pub(super) fn of(value: ValueRef<'_>) -> Tag {
        match value {
            ValueRef::Null => Tag::Null,
            ValueRef::Integer(0) => Tag::Zero,
            ValueRef::Integer(1) => Tag::One,
            ValueRef::Integer(integer) => {
                if i8::try_from(integer).is_ok() {
                    Tag::Int1
                } else if i16::try_from(integer).is_ok() {
                    Tag::Int2
                } else if i32::try_from(integer).is_ok() {
                    Tag::Int4
                } else {
                    Tag::Int8
                }
            }
            ValueRef::Real(_) => Tag::Real,
            ValueRef::Text(_) => Tag::Text,
            ValueRef::Blob(_) => Tag::Blob,
        }
    }

    /// Bytes among the fixed columns.
    #[inline]
    pub(super) const fn width(self) -> usize {
        match self {
            Tag::Null | Tag::Zero | Tag::One | Tag::Text | Tag::Blob => 0,
            Tag::Int1 => 1,
            Tag::Int2 => 2,
            Tag::Int4 => 4,
            Tag::Int8 | Tag::Real => 8,
        }
    }

    pub(super) const fn is_variable(self) -> bool {
        matches!(self, Tag::Text | Tag::Blob)
    }

    pub(super) fn is_integer(self) -> bool {
        matches!(self, Tag::Zero | Tag::One | Tag::Int1 | Tag::Int2 | Tag::Int4 | Tag::Int8)
    }
}

/// The width of the ends of variable columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum EndWidth {
    One,
    Two,
    Four,
}

impl EndWidth {
    pub(super) fn from_byte(byte: u8) -> Option<EndWidth> {
        [EndWidth::One, EndWidth::Two, EndWidth::Four].get(usize::from(byte)).copied()
    }

    pub(super) fn bytes(self) -> usize {
        1 << self as usize
    }

    /// The narrowest that holds `end`.
    fn of(end: usize) -> EndWidth {
        match end {
            0..=0xFF => EndWidth::One,
            0x100..=0xFFFF => EndWidth::Two,
            _ => EndWidth::Four,
        }
    }
}

/// The greatest number of columns in a row.
pub const MAX_COLUMNS: usize = 32_767;
/// The greatest number of variable bytes in a row.
pub const MAX_ROW_BYTES: usize = u32::MAX as usize / 2;

/// What the layout of a row has to hold: the end of the last variable column that is written down (all but the
/// last), after a check of the limits.
fn end_width(values: &[ValueRef<'_>]) -> Result<EndWidth> {
    if values.len() > MAX_COLUMNS {
        return Err(Error::limit(format!("a row of {} columns: {MAX_COLUMNS} at most", values.len())));
    }
    let mut end = 0usize;
    let mut last = 0;
    for value in values {
        if let Some(bytes) = variable_bytes(*value) {
            last = bytes.len();
            end = end.saturating_add(last);
        }
    }
    if end > MAX_ROW_BYTES {
        return Err(Error::limit(format!("a row of {end} bytes of text and blobs: {MAX_ROW_BYTES} at most")));
    }
    Ok(EndWidth::of(end - last))
}

#[inline]
fn variable_bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(text) => Some(text.as_bytes()),
        ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

/// Appends a row that describes itself. Fails where it exceeds [`MAX_COLUMNS`] or [`MAX_ROW_BYTES`].
pub fn encode_row(values: &[ValueRef<'_>], out: &mut Vec<u8>) -> Result<()> {
    let width = end_width(values)?;
    out.push(0);
    put_varint(out, (values.len() as u64) << 2 | width as u64);
    // Room for the most that tags and fixed columns can take, and what was not taken given back: no call and no look at the room for
    // each of them.
    let (start, tag_bytes) = (out.len(), values.len().div_ceil(2));
    out.resize(start + tag_bytes + values.len() * 8, 0);
    let (tags, fixed) = out[start..].split_at_mut(tag_bytes);
    let (mut end, mut variable) = (0, 0);
    for (pair, tags) in values.chunks(2).zip(tags) {
        for (value, shift) in pair.iter().zip([0, 4]) {
            let tag = Tag::of(*value);
            *tags |= (tag as u8) << shift;
            if let Some(room) = fixed.get_mut(end..end + 8) {
                room.copy_from_slice(&fixed_bits(*value).to_le_bytes());
            }
            end += tag.width();
            variable += usize::from(tag.is_variable());
        }
    }
    out.truncate(start + tag_bytes + end);
    put_variable(values, variable, width, out);
    Ok(())
}

/// Puts `value` in the place of column `index` of a row that describes itself, where it takes just the room of what is there; false, and
/// nothing has changed, where it does not. Fails on corrupt bytes.
pub fn patch_row(row: &mut [u8], index: usize, value: ValueRef<'_>) -> Result<bool> {
    let tag = Tag::of(value);
    let Some((0, rest)) = row.split_first_mut() else { return Ok(false) };
    let (head, len) = get_varint(rest).ok_or_else(|| corrupt("ends inside its head"))?;
    let columns = usize::try_from(head >> 2).unwrap_or(usize::MAX);
    let short = || corrupt("ends inside its tags");
    let rest = rest.get_mut(len..).unwrap_or_default();
    let (tags, body) = rest.split_at_mut_checked(columns.div_ceil(2)).ok_or_else(short)?;
    if index >= columns {
        return Ok(false);
    }
    let old = tag_at(tags, index)?;
    // A NULL at the end of a row is not written down.
    if old.width() != tag.width() || old.is_variable() || tag.is_variable() || tag == Tag::Null {
        return Ok(false);
    }
    let (at, _) = measure(tags, index)?;
    let room = body.get_mut(at..at + tag.width()).ok_or_else(|| corrupt("ends inside a column"))?;
    room.copy_from_slice(&fixed_bits(value).to_le_bytes()[..tag.width()]);
    let shift = index % 2 * 4;
    tags[index / 2] = tags[index / 2] & !(15 << shift) | (tag as u8) << shift;
    Ok(true)
}

/// Appends a row in the shape of it that `shapes` holds, or takes up now, or else one that describes itself. Returns
/// whether the table has a new shape, which must then be stored before the row is read back.
pub fn encode_shaped_row(
    shapes: &mut ShapeTable,
    values: &[ValueRef<'_>],
    out: &mut Vec<u8>,
) -> Result<bool> {
    let width = end_width(values)?;
    let known = shapes.len();
    let chosen = shapes.choose(values, width);
    let Some((id, shape)) = chosen.and_then(|id| Some((id, shapes.get(id)?))) else {
        encode_row(values, out)?;
        return Ok(false);
    };
    out.push(id);
    let mut tags = shape.tags();
    // The shape has a tag per value: `choose` compares the counts.
    put_body(values, shape.width(), |value| tags.next().unwrap_or_else(|| Tag::of(value)), out);
    Ok(shapes.len() > known)
}

/// Appends fixed columns, ends and variable bytes; `tag_of` says how each value, in turn, is stored.
fn put_body<'a>(
    values: &[ValueRef<'a>],
    width: EndWidth,
    mut tag_of: impl FnMut(ValueRef<'a>) -> Tag,
    out: &mut Vec<u8>,
) {
    let mut variable = 0;
    for &value in values {
        let tag = tag_of(value);
        out.extend_from_slice(&fixed_bits(value).to_le_bytes()[..tag.width()]);
        variable += usize::from(tag.is_variable());
    }
    put_variable(values, variable, width, out);
}

/// The bytes of a value among the fixed columns, of which its tag says how many count.
#[inline]
fn fixed_bits(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Integer(integer) => integer as u64,
        ValueRef::Real(real) => real.to_bits(),
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => 0,
    }
}

/// Appends the ends and the bytes of the `variable` columns among `values`.
#[inline]
fn put_variable(values: &[ValueRef<'_>], variable: usize, width: EndWidth, out: &mut Vec<u8>) {
    let bytes_of = || values.iter().filter_map(|value| variable_bytes(*value));
    if variable > 1 {
        let mut end = 0;
        for bytes in bytes_of().take(variable - 1) {
            end += bytes.len();
            out.extend_from_slice(&(end as u32).to_le_bytes()[..width.bytes()]);
        }
    }
    if variable > 0 {
        bytes_of().for_each(|bytes| out.extend_from_slice(bytes));
    }
}

#[cold]
pub(super) fn corrupt(what: &str) -> Error {
    Error::corrupt(format!("a row {what}"), "row")
}

/// Reads columns out of the bytes of a row. In a known shape each column is found in constant time; in a row that
/// describes itself, after a look at the tags before it.
#[derive(Clone, Copy, Debug)]
pub struct RowReader<'a> {
    layout: Layout<'a>,
    /// From the first fixed column.
    body: &'a [u8],
    /// Where the ends start in the body, and where the variable bytes start.
    ends: usize,
    bytes: usize,
    width: EndWidth,
    variable: usize,
}

#[derive(Clone, Copy, Debug)]
enum Layout<'a> {
    Tags { tags: &'a [u8], columns: usize },
    Shape(&'a Shape),
}

/// Where a column is: its tag, and the offset in the body or the number of the variable column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) tag: Tag,
    pub(super) at: u32,
}

impl<'a> RowReader<'a> {
    /// Reads a row that describes itself. Fails with [`dosql_base::ErrorKind::Corrupt`] where it can't be one.
    #[inline]
    pub fn new(row: &'a [u8]) -> Result<RowReader<'a>> {
        match row.split_first() {
            Some((0, rest)) => RowReader::self_described(rest),
            Some((shape, _)) => Err(corrupt(&format!("has shape {shape}, and its table has no shapes"))),
            None => Err(corrupt("is empty")),
        }
    }

    /// Reads a row of a table with these shapes.
    #[inline]
    pub fn with_shapes(shapes: &'a ShapeTable, row: &'a [u8]) -> Result<RowReader<'a>> {
        match row.split_first() {
            Some((0, rest)) => RowReader::self_described(rest),
            Some((&id, body)) => {
                let shape = shapes
                    .get(id)
                    .ok_or_else(|| corrupt(&format!("has shape {id}, which its table does not know")))?;
                let (ends, variable) = (shape.fixed(), shape.variable());
                RowReader::of_body(Layout::Shape(shape), body, ends, variable, shape.width())
            }
            None => Err(corrupt("is empty")),
        }
    }

    fn self_described(rest: &'a [u8]) -> Result<RowReader<'a>> {
        let (head, len) = get_varint(rest).ok_or_else(|| corrupt("ends inside its head"))?;
        let columns = usize::try_from(head >> 2).unwrap_or(usize::MAX);
        if columns > MAX_COLUMNS {
            return Err(corrupt("claims too many columns"));
        }
        let width =
            EndWidth::from_byte((head & 3) as u8).ok_or_else(|| corrupt("has ends of unknown width"))?;
        let rest = rest.get(len..).unwrap_or_default();
        let (tags, body) =
            rest.split_at_checked(columns.div_ceil(2)).ok_or_else(|| corrupt("ends inside its tags"))?;
        let (fixed, variable) = measure(tags, columns)?;
        RowReader::of_body(Layout::Tags { tags, columns }, body, fixed, variable, width)
    }

    #[inline]
    fn of_body(
        layout: Layout<'a>,
        body: &'a [u8],
        ends: usize,
        variable: usize,
        width: EndWidth,
    ) -> Result<RowReader<'a>> {
        let bytes = ends + variable.saturating_sub(1) * width.bytes();
        let fits = if variable == 0 { body.len() == bytes } else { body.len() >= bytes };
        if !fits {
            return Err(corrupt("is not as long as its columns"));
        }
        Ok(RowReader { layout, body, ends, bytes, width, variable })
    }

    /// How many columns the row holds; the table may have more.
    #[must_use]
    #[inline]
    pub fn column_count(&self) -> usize {
        match self.layout {
            Layout::Tags { columns, .. } => columns,
            Layout::Shape(shape) => shape.len(),
        }
    }

    /// The column at `index` (from 0); `None` where the row ends before it. Fails on corrupt bytes.
    #[inline]
    pub fn column(&self, index: usize) -> Result<Option<ValueRef<'a>>> {
        let slot = match self.layout {
            Layout::Shape(shape) => match shape.slot(index) {
                Some(slot) => slot,
                None => return Ok(None),
            },
            Layout::Tags { tags, columns } => {
                if index >= columns {
                    return Ok(None);
                }
                let (fixed, variable) = measure(tags, index)?;
                let tag = tag_at(tags, index)?;
                Slot { tag, at: if tag.is_variable() { variable } else { fixed } as u32 }
            }
        };
        self.read(slot).map(Some)
    }

    /// Every column in turn, at constant cost a column in any layout.
    pub fn columns(&self) -> impl Iterator<Item = Result<ValueRef<'a>>> + use<'a> {
        let reader = *self;
        let (mut fixed, mut variable) = (0u32, 0u32);
        (0..reader.column_count()).map(move |index| {
            let tag = match reader.layout {
                Layout::Tags { tags, .. } => tag_at(tags, index)?,
                Layout::Shape(shape) => shape.slot(index).map_or(Tag::Null, |slot| slot.tag),
            };
            let at = if tag.is_variable() { &mut variable } else { &mut fixed };
            let slot = Slot { tag, at: *at };
            *at += if tag.is_variable() { 1 } else { tag.width() as u32 };
            reader.read(slot)
        })
    }

    #[inline(always)]
    fn read(&self, slot: Slot) -> Result<ValueRef<'a>> {
        let at = slot.at as usize;
        Ok(match slot.tag {
            Tag::Null => ValueRef::Null,
            Tag::Zero => ValueRef::Integer(0),
            Tag::One => ValueRef::Integer(1),
            Tag::Int1 => ValueRef::Integer(i64::from(i8::from_le_bytes(self.fixed(at)?))),
            Tag::Int2 => ValueRef::Integer(i64::from(i16::from_le_bytes(self.fixed(at)?))),
            Tag::Int4 => ValueRef::Integer(i64::from(i32::from_le_bytes(self.fixed(at)?))),
            Tag::Int8 => ValueRef::Integer(i64::from_le_bytes(self.fixed(at)?)),
            Tag::Real => ValueRef::real(f64::from_le_bytes(self.fixed(at)?)),
            Tag::Blob => ValueRef::Blob(self.variable(at)?),
            Tag::Text => {
                let text = std::str::from_utf8(self.variable(at)?);
                ValueRef::Text(text.map_err(|_| corrupt("holds text that is not UTF-8"))?)
            }
        })
    }

    #[inline]
    fn fixed<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.body.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| corrupt("ends inside a column"))
    }

    #[inline]
    fn variable(&self, number: usize) -> Result<&'a [u8]> {
        let bytes = self.body.get(self.bytes..).unwrap_or_default();
        let start = if number == 0 { 0 } else { self.end(number - 1)? };
        let end = if number + 1 == self.variable { bytes.len() } else { self.end(number)? };
        bytes.get(start..end).ok_or_else(|| corrupt("has a column that ends beyond it"))
    }

    #[inline]
    fn end(&self, number: usize) -> Result<usize> {
        let at = self.ends + number * self.width.bytes();
        Ok(match self.width {
            EndWidth::One => usize::from(u8::from_le_bytes(self.fixed(at)?)),
            EndWidth::Two => usize::from(u16::from_le_bytes(self.fixed(at)?)),
            EndWidth::Four => u32::from_le_bytes(self.fixed(at)?) as usize,
        })
    }
}

pub(super) fn tag_at(tags: &[u8], index: usize) -> Result<Tag> {
    let byte = tags.get(index / 2).copied().unwrap_or(0xFF);
    let tag = if index.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
    Tag::from_byte(tag).ok_or_else(|| corrupt("has a column of unknown type"))
}

/// For each byte of two tags: their fixed bytes and their variable columns; 0xFF where one is unknown.
static PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0xFF, 0]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (low, high) = (byte & 15, byte >> 4);
        if low < Tag::ALL.len() && high < Tag::ALL.len() {
            let (low, high) = (Tag::ALL[low], Tag::ALL[high]);
            let fixed = low.width() + high.width();
            pairs[byte] = [fixed as u8, low.is_variable() as u8 + high.is_variable() as u8];
        }
        byte += 1;
    }
    pairs
};

/// The bytes of fixed columns and the number of variable ones among the first `columns`.
pub(super) fn measure(tags: &[u8], columns: usize) -> Result<(usize, usize)> {
    let (mut fixed, mut variable, mut unknown) = (0, 0, false);
    for byte in tags.get(..columns / 2).unwrap_or_default() {
        let [pair_fixed, pair_variable] = PAIRS[usize::from(*byte)];
        unknown |= pair_fixed == 0xFF;
        fixed += usize::from(pair_fixed);
        variable += usize::from(pair_variable);
    }
    if unknown {
        return Err(corrupt("has a column of unknown type"));
    }
    if !columns.is_multiple_of(2) {
        let tag = tag_at(tags, columns - 1)?;
        fixed += tag.width();
        variable += usize::from(tag.is_variable());
    }
    Ok((fixed, variable))
}
