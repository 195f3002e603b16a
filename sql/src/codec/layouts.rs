//! Reading many rows of one table: rows that describe themselves mostly do so in the same few words, so where their columns
//! are is worked out once for each wording.
//!
//! The wordings are kept in a table of 4 places, or 256 where that is too small, found by a hash of the row's first
//! bytes; another wording of the same hash takes the place.

use dosql_base::Result;

use super::row::{EndWidth, RowReader, Slot, Tag, measure, tag_at};
use crate::value::ValueRef;

const FEW: usize = 4;
const MANY: usize = 256;
/// So many wordings that took another's place make the table grow.
const TOO_MANY: u32 = 8;
/// Longer heads are read anew for each row.
const MAX_HEAD: usize = 32;

/// The wordings that were met.
#[derive(Debug, Default)]
pub struct RowLayouts {
    places: Vec<Option<Box<Known>>>,
    replaced: u32,
}

/// How rows of one wording are laid out.
#[derive(Debug)]
struct Known {
    head: Vec<u8>,
    /// The first bytes of the head after the shape, as [`first_word`] reads them, and its length.
    word: u64,
    len: usize,
    slots: Vec<Slot>,
    /// From the body's start: where the ends start, and where the variable bytes do.
    ends: usize,
    bytes: usize,
    width: EndWidth,
    variable: usize,
}

/// A row to read columns from.
#[derive(Clone, Copy, Debug)]
pub struct LaidOutRow<'a>(Inner<'a>);

#[derive(Clone, Copy, Debug)]
enum Inner<'a> {
    Known { known: &'a Known, body: &'a [u8] },
    Other(RowReader<'a>),
}

impl RowLayouts {
    /// Ready to read the columns of a row. Fails with [`dosql_base::ErrorKind::Corrupt`] where it can't be one.
    #[inline(always)]
    pub fn read<'a>(&'a mut self, row: &'a [u8]) -> Result<LaidOutRow<'a>> {
        let Some(len) = head_len(row) else { return Ok(LaidOutRow(Inner::Other(RowReader::new(row)?))) };
        let word = first_word(row, len);
        let hash = (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize;
        if self.places.is_empty() || self.replaced > TOO_MANY {
            self.grow();
        }
        let place = hash & (self.places.len() - 1);
        let slot = &mut self.places[place];
        let same = |known: &Known| {
            known.word == word && known.len == len && (len <= 9 || known.head[9..] == row[9..len])
        };
        if !slot.as_ref().is_some_and(|known| same(known)) {
            self.replaced += u32::from(slot.is_some());
            *slot = Some(Box::new(Known::of(&row[..len], word)?));
        }
        let body = &row[len..];
        match slot {
            Some(known) if known.fits(body) => Ok(LaidOutRow(Inner::Known { known, body })),
            // Says what is wrong with it.
            _ => Ok(LaidOutRow(Inner::Other(RowReader::new(row)?))),
        }
    }
}

impl RowLayouts {
    #[cold]
    fn grow(&mut self) {
        if self.places.len() < MANY {
            let size = if self.places.is_empty() { FEW } else { MANY };
            self.places.clear();
            self.places.resize_with(size, || None);
        }
        self.replaced = 0;
    }
}

impl<'a> LaidOutRow<'a> {
    /// Ready to read the columns of a row on its own.
    pub fn of(row: &'a [u8]) -> Result<LaidOutRow<'a>> {
        Ok(LaidOutRow(Inner::Other(RowReader::new(row)?)))
    }
}

/// Up to eight bytes of the head, from the column count on.
#[inline]
fn first_word(row: &[u8], len: usize) -> u64 {
    let bytes = (len - 1).min(8);
    match row.get(1..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(eight) if bytes == 8 => u64::from_le_bytes(*eight),
        Some(eight) => u64::from_le_bytes(*eight) & ((1 << (8 * bytes)) - 1),
        None => {
            let mut word = [0; 8];
            word[..bytes].copy_from_slice(&row[1..1 + bytes]);
            u64::from_le_bytes(word)
        }
    }
}

/// The length of shape, column count and tags, for a row that describes itself in few words.
#[inline]
fn head_len(row: &[u8]) -> Option<usize> {
    let [0, count, ..] = row else { return None };
    if *count >= 0x80 {
        return None;
    }
    let len = 2 + usize::from(count >> 2).div_ceil(2);
    (len <= row.len() && len <= MAX_HEAD).then_some(len)
}

impl Known {
    fn of(head: &[u8], word: u64) -> Result<Known> {
        let (count, tags) = (head[1], &head[2..]);
        let columns = usize::from(count >> 2);
        let width =
            EndWidth::from_byte(count & 3).ok_or_else(|| super::row::corrupt("has ends of unknown width"))?;
        let mut slots = Vec::with_capacity(columns);
        for column in 0..columns {
            let (fixed, variable) = measure(tags, column)?;
            let tag = tag_at(tags, column)?;
            slots.push(Slot { tag, at: if tag.is_variable() { variable } else { fixed } as u32 });
        }
        let (ends, variable) = measure(tags, columns)?;
        let bytes = ends + variable.saturating_sub(1) * width.bytes();
        Ok(Known { head: head.to_vec(), word, len: head.len(), slots, ends, bytes, width, variable })
    }

    fn fits(&self, body: &[u8]) -> bool {
        if self.variable == 0 { body.len() == self.bytes } else { body.len() >= self.bytes }
    }
}

impl<'a> LaidOutRow<'a> {
    /// The column at `index` (from 0); `None` where the row ends before it. Fails on corrupt bytes.
    #[inline(always)]
    pub fn column(&self, index: usize) -> Result<Option<ValueRef<'a>>> {
        let (known, body) = match self.0 {
            Inner::Known { known, body } => (known, body),
            Inner::Other(reader) => return reader.column(index),
        };
        let Some(slot) = known.slots.get(index) else { return Ok(None) };
        let at = slot.at as usize;
        Ok(Some(match slot.tag {
            Tag::Null => ValueRef::Null,
            Tag::Zero => ValueRef::Integer(0),
            Tag::One => ValueRef::Integer(1),
            Tag::Int1 => ValueRef::Integer(i64::from(i8::from_le_bytes(fixed(body, at)?))),
            Tag::Int2 => ValueRef::Integer(i64::from(i16::from_le_bytes(fixed(body, at)?))),
            Tag::Int4 => ValueRef::Integer(i64::from(i32::from_le_bytes(fixed(body, at)?))),
            Tag::Int8 => ValueRef::Integer(i64::from_le_bytes(fixed(body, at)?)),
            Tag::Real => ValueRef::real(f64::from_le_bytes(fixed(body, at)?)),
            Tag::Blob => ValueRef::Blob(known.variable(body, at)?),
            Tag::Text => {
                let text = std::str::from_utf8(known.variable(body, at)?);
                ValueRef::Text(text.map_err(|_| super::row::corrupt("holds text that is not UTF-8"))?)
            }
        }))
    }
}

#[inline]
fn fixed<const N: usize>(body: &[u8], at: usize) -> Result<[u8; N]> {
    match body.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(*bytes),
        None => Err(super::row::corrupt("ends inside a column")),
    }
}

impl Known {
    #[inline]
    fn variable<'a>(&self, body: &'a [u8], number: usize) -> Result<&'a [u8]> {
        let bytes = body.get(self.bytes..).unwrap_or_default();
        let start = if number == 0 { 0 } else { self.end(body, number - 1)? };
        let end = if number + 1 == self.variable { bytes.len() } else { self.end(body, number)? };
        bytes.get(start..end).ok_or_else(|| super::row::corrupt("has a column that ends beyond it"))
    }

    #[inline]
    fn end(&self, body: &[u8], number: usize) -> Result<usize> {
        let at = self.ends + number * self.width.bytes();
        Ok(match self.width {
            EndWidth::One => usize::from(u8::from_le_bytes(fixed(body, at)?)),
            EndWidth::Two => usize::from(u16::from_le_bytes(fixed(body, at)?)),
            EndWidth::Four => u32::from_le_bytes(fixed(body, at)?) as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode_row;
    use super::*;

    #[test]
    fn a_row_reads_the_same_whoever_remembers_its_layout() {
        let texts = ["", "a", "some longer text"];
        let reals = [0.5, -1e300];
        let mut layouts = RowLayouts::default();
        let mut number = 0i64;
        for columns in 0..40usize {
            for round in 0..8 {
                let values: Vec<ValueRef<'_>> = (0..columns)
                    .map(|_| {
                        number = number
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let pick = (number >> 33) as usize;
                        match (pick + round) % 6 {
                            0 => ValueRef::Null,
                            1 => ValueRef::Integer(number >> (pick % 64)),
                            2 => ValueRef::Integer(pick as i64 % 3),
                            3 => ValueRef::Real(reals[pick % 2]),
                            4 => ValueRef::Text(texts[pick % 3]),
                            _ => ValueRef::Blob(texts[pick % 3].as_bytes()),
                        }
                    })
                    .collect();
                let mut bytes = Vec::new();
                encode_row(&values, &mut bytes).unwrap();
                for _ in 0..2 {
                    let row = layouts.read(&bytes).unwrap();
                    for (index, value) in values.iter().enumerate() {
                        assert_eq!(row.column(index).unwrap(), Some(*value));
                    }
                    assert_eq!(row.column(columns).unwrap(), None);
                }
                for len in 0..bytes.len() {
                    // A cut row is an error or has fewer bytes in its last column; it never panics.
                    if let Ok(row) = layouts.read(&bytes[..len]) {
                        (0..columns).for_each(|index| drop(row.column(index)));
                    }
                }
            }
        }
    }
}
