//! Columns of a batch: typed vectors where the rows agree, values where they don't.
//!
//! ```text
//! Const   one value for every row
//! Int     Vec<i64> + nulls          Real    Vec<f64> + nulls
//! Text    one buffer + ends + nulls
//! Any     Vec<Value>                what a builder turns to when a row disagrees
//! ```

use std::sync::Arc;

use crate::value::{Value, ValueRef};

/// The row number that [`Column::gather`] reads as NULL.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// Which rows are NULL; without any, no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Nulls(Vec<bool>);

impl Nulls {
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.0.get(row).copied().unwrap_or(false)
    }

    pub(crate) fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// The flags, one a row; empty where no row is NULL.
    pub(crate) fn flags(&self) -> &[bool] {
        &self.0
    }

    pub(crate) fn of(flags: Vec<bool>) -> Nulls {
        Nulls(flags)
    }

    /// Row `row`, the next one, is NULL or is not.
    fn push(&mut self, row: usize, null: bool) {
        if null && self.0.is_empty() {
            self.0.resize(row, false);
        }
        if null || !self.0.is_empty() {
            self.0.push(null);
        }
    }
}

/// Integers and NULLs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ints {
    /// 0 where NULL.
    pub(crate) values: Vec<i64>,
    pub(crate) nulls: Nulls,
}

/// Reals and NULLs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reals {
    /// 0.0 where NULL.
    pub(crate) values: Vec<f64>,
    pub(crate) nulls: Nulls,
}

/// Texts and NULLs in one buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts {
    pub(crate) buffer: String,
    /// Where each row's text ends; it starts where the one before ends.
    pub(crate) ends: Vec<u32>,
    pub(crate) nulls: Nulls,
}

impl Texts {
    pub(crate) fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.buffer[start..self.ends[row] as usize]
    }
}

/// A column of a batch. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Const(Value),
    Int(Arc<Ints>),
    Real(Arc<Reals>),
    Text(Arc<Texts>),
    Any(Arc<Vec<Value>>),
}

impl Column {
    pub(crate) const NULL: Column = Column::Const(Value::Null);

    /// The value of a row.
    pub(crate) fn get(&self, row: usize) -> ValueRef<'_> {
        match self {
            Column::Const(value) => value.as_ref(),
            Column::Int(ints) => {
                if ints.nulls.is_null(row) {
                    ValueRef::Null
                } else {
                    ValueRef::Integer(ints.values[row])
                }
            }
            Column::Real(reals) => {
                if reals.nulls.is_null(row) {
                    ValueRef::Null
                } else {
                    ValueRef::Real(reals.values[row])
                }
            }
            Column::Text(texts) => {
                if texts.nulls.is_null(row) {
                    ValueRef::Null
                } else {
                    ValueRef::Text(texts.get(row))
                }
            }
            Column::Any(values) => values[row].as_ref(),
        }
    }

    /// The rows of these numbers, in their order; [`NO_ROW`] gives NULL.
    pub(crate) fn gather(&self, rows: &[u32]) -> Column {
        let missing = rows.contains(&NO_ROW);
        match self {
            Column::Const(Value::Null) => Column::NULL,
            Column::Const(value) if !missing => Column::Const(value.clone()),
            Column::Int(ints) if !missing => {
                let values = rows.iter().map(|&row| ints.values[row as usize]).collect();
                Column::Int(Arc::new(Ints { values, nulls: gather_nulls(&ints.nulls, rows) }))
            }
            Column::Real(reals) if !missing => {
                let values = rows.iter().map(|&row| reals.values[row as usize]).collect();
                Column::Real(Arc::new(Reals { values, nulls: gather_nulls(&reals.nulls, rows) }))
            }
            Column::Any(values) if !missing => {
                Column::Any(Arc::new(rows.iter().map(|&row| values[row as usize].clone()).collect()))
            }
            _ => {
                let mut builder = ColumnBuilder::default();
                for &row in rows {
                    builder.push(if row == NO_ROW { ValueRef::Null } else { self.get(row as usize) });
                }
                builder.finish()
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Column::Const(value) => value.heap_size(),
            Column::Int(ints) => ints.values.len() * 8 + ints.nulls.0.len(),
            Column::Real(reals) => reals.values.len() * 8 + reals.nulls.0.len(),
            Column::Text(texts) => texts.buffer.len() + texts.ends.len() * 4 + texts.nulls.0.len(),
            Column::Any(values) => values.iter().map(|value| size_of::<Value>() + value.heap_size()).sum(),
        }
    }

    /// A column of 0, 1 and NULL.
    pub(crate) fn of_truths(truths: &[Truth]) -> Column {
        let values = truths.iter().map(|truth| i64::from(*truth == TRUE)).collect();
        let nulls = if truths.contains(&UNKNOWN) {
            Nulls(truths.iter().map(|truth| *truth == UNKNOWN).collect())
        } else {
            Nulls::default()
        };
        Column::Int(Arc::new(Ints { values, nulls }))
    }
}

fn gather_nulls(nulls: &Nulls, rows: &[u32]) -> Nulls {
    if nulls.none() {
        Nulls::default()
    } else {
        Nulls(rows.iter().map(|&row| nulls.is_null(row as usize)).collect())
    }
}

/// A truth value of three-valued logic, small enough to compute with in bulk.
pub(crate) type Truth = u8;
pub(crate) const FALSE: Truth = 0;
pub(crate) const TRUE: Truth = 1;
pub(crate) const UNKNOWN: Truth = 2;

/// Makes a [`Column`] row by row: typed as long as the rows agree.
#[derive(Clone, Debug)]
pub(crate) enum ColumnBuilder {
    /// So many NULLs so far.
    Nulls(usize),
    Int(Ints),
    Real(Reals),
    Text(Texts),
    /// The values, and how many bytes they hold elsewhere.
    Any(Vec<Value>, usize),
}

impl Default for ColumnBuilder {
    fn default() -> Self {
        ColumnBuilder::Nulls(0)
    }
}

impl ColumnBuilder {
    /// The value of a row.
    pub(crate) fn get(&self, row: usize) -> ValueRef<'_> {
        match self {
            ColumnBuilder::Nulls(_) => ValueRef::Null,
            ColumnBuilder::Int(ints) if ints.nulls.is_null(row) => ValueRef::Null,
            ColumnBuilder::Int(ints) => ValueRef::Integer(ints.values[row]),
            ColumnBuilder::Real(reals) if reals.nulls.is_null(row) => ValueRef::Null,
            ColumnBuilder::Real(reals) => ValueRef::Real(reals.values[row]),
            ColumnBuilder::Text(texts) if texts.nulls.is_null(row) => ValueRef::Null,
            ColumnBuilder::Text(texts) => ValueRef::Text(texts.get(row)),
            ColumnBuilder::Any(values, _) => values[row].as_ref(),
        }
    }

    /// Appends a row.
    #[inline]
    pub(crate) fn push(&mut self, value: ValueRef<'_>) {
        match (&mut *self, value) {
            (ColumnBuilder::Int(ints), ValueRef::Integer(integer)) => {
                ints.nulls.push(ints.values.len(), false);
                ints.values.push(integer);
            }
            (ColumnBuilder::Real(reals), ValueRef::Real(real)) => {
                reals.nulls.push(reals.values.len(), false);
                reals.values.push(real);
            }
            (ColumnBuilder::Text(texts), ValueRef::Text(text)) if fits(texts, text) => {
                texts.nulls.push(texts.ends.len(), false);
                texts.buffer.push_str(text);
                texts.ends.push(texts.buffer.len() as u32);
            }
            _ => self.push_other(value),
        }
    }

    fn push_other(&mut self, value: ValueRef<'_>) {
        match (&mut *self, value) {
            (ColumnBuilder::Nulls(len), ValueRef::Null) => *len += 1,
            (ColumnBuilder::Int(ints), ValueRef::Null) => {
                ints.nulls.push(ints.values.len(), true);
                ints.values.push(0);
            }
            (ColumnBuilder::Real(reals), ValueRef::Null) => {
                reals.nulls.push(reals.values.len(), true);
                reals.values.push(0.0);
            }
            (ColumnBuilder::Text(texts), ValueRef::Null) => {
                texts.nulls.push(texts.ends.len(), true);
                texts.ends.push(texts.buffer.len() as u32);
            }
            (ColumnBuilder::Any(values, heap), value) => {
                let value = value.to_value();
                *heap += value.heap_size();
                values.push(value);
            }
            (ColumnBuilder::Nulls(len), value) => {
                let len = *len;
                self.start(len, value);
            }
            _ => {
                self.degrade();
                self.push_other(value);
            }
        }
    }

    /// The first value after `len` NULLs decides the type.
    fn start(&mut self, len: usize, first: ValueRef<'_>) {
        let nulls = if len == 0 { Nulls::default() } else { Nulls(vec![true; len]) };
        *self = match first {
            ValueRef::Integer(_) => ColumnBuilder::Int(Ints { values: start_vec(len, 0), nulls }),
            ValueRef::Real(_) => ColumnBuilder::Real(Reals { values: start_vec(len, 0.0), nulls }),
            ValueRef::Text(text) if text.len() < u32::MAX as usize => {
                let buffer = String::with_capacity(text.len().clamp(8, 256) * 16);
                ColumnBuilder::Text(Texts { buffer, ends: start_vec(len, 0), nulls })
            }
            _ => ColumnBuilder::Any(vec![Value::Null; len], 0),
        };
        self.push(first);
    }

    fn degrade(&mut self) {
        let column = std::mem::take(self).finish();
        let len = column_len(&column);
        let values: Vec<Value> = (0..len).map(|row| column.get(row).to_value()).collect();
        let heap = heap_of(&values);
        *self = ColumnBuilder::Any(values, heap);
    }

    /// Appends `len` rows of a column.
    pub(crate) fn append(&mut self, column: &Column, len: usize) {
        match (&mut *self, column) {
            (ColumnBuilder::Nulls(rows), Column::Const(Value::Null)) => *rows += len,
            (ColumnBuilder::Int(mine), Column::Int(other)) if mine.nulls.none() && other.nulls.none() => {
                mine.values.extend_from_slice(&other.values[..len]);
            }
            (ColumnBuilder::Real(mine), Column::Real(other)) if mine.nulls.none() && other.nulls.none() => {
                mine.values.extend_from_slice(&other.values[..len]);
            }
            (ColumnBuilder::Any(mine, heap), Column::Any(other)) => {
                *heap += heap_of(&other[..len]);
                mine.extend_from_slice(&other[..len]);
            }
            _ => {
                for row in 0..len {
                    self.push(column.get(row));
                }
            }
        }
    }

    /// Takes back all rows from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            ColumnBuilder::Nulls(rows) => *rows = len.min(*rows),
            ColumnBuilder::Int(ints) => {
                ints.values.truncate(len);
                ints.nulls.0.truncate(len);
            }
            ColumnBuilder::Real(reals) => {
                reals.values.truncate(len);
                reals.nulls.0.truncate(len);
            }
            ColumnBuilder::Text(texts) => {
                texts.ends.truncate(len);
                texts.nulls.0.truncate(len);
                texts.buffer.truncate(texts.ends.last().map_or(0, |end| *end as usize));
            }
            ColumnBuilder::Any(values, heap) => {
                *heap -= heap_of(values.get(len..).unwrap_or_default());
                values.truncate(len);
            }
        }
    }

    /// Appends the rows of these numbers; [`NO_ROW`] gives NULL.
    pub(crate) fn append_rows(&mut self, column: &Column, rows: &[u32]) {
        for &row in rows {
            self.push(if row == NO_ROW { ValueRef::Null } else { column.get(row as usize) });
        }
    }

    pub(crate) fn finish(self) -> Column {
        match self {
            ColumnBuilder::Nulls(_) => Column::NULL,
            ColumnBuilder::Int(ints) => Column::Int(Arc::new(ints)),
            ColumnBuilder::Real(reals) => Column::Real(Arc::new(reals)),
            ColumnBuilder::Text(texts) => Column::Text(Arc::new(texts)),
            ColumnBuilder::Any(values, _) => Column::Any(Arc::new(values)),
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        match self {
            ColumnBuilder::Nulls(_) => 0,
            ColumnBuilder::Int(ints) => ints.values.len() * 8,
            ColumnBuilder::Real(reals) => reals.values.len() * 8,
            ColumnBuilder::Text(texts) => texts.buffer.len() + texts.ends.len() * 4,
            ColumnBuilder::Any(values, heap) => values.len() * size_of::<Value>() + heap,
        }
    }
}

fn heap_of(values: &[Value]) -> usize {
    values.iter().map(Value::heap_size).sum()
}

/// `len` times `fill`, with room for a small batch.
fn start_vec<T: Clone>(len: usize, fill: T) -> Vec<T> {
    let mut values = Vec::with_capacity(len + 16);
    values.resize(len, fill);
    values
}

fn fits(texts: &Texts, text: &str) -> bool {
    texts.buffer.len() + text.len() < u32::MAX as usize
}

/// How many rows it holds; a constant none.
fn column_len(column: &Column) -> usize {
    match column {
        Column::Const(_) => 0,
        Column::Int(ints) => ints.values.len(),
        Column::Real(reals) => reals.values.len(),
        Column::Text(texts) => texts.ends.len(),
        Column::Any(values) => values.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builder_keeps_every_value_whatever_types_come() {
        let values = [
            Value::Null,
            Value::Integer(1),
            Value::Null,
            Value::Integer(-7),
            Value::Real(1.5),
            Value::text("x"),
            Value::Null,
            Value::from(vec![1u8, 2]),
            Value::text("yy"),
        ];
        for start in 0..values.len() {
            for end in start..=values.len() {
                let mut builder = ColumnBuilder::default();
                values[start..end].iter().for_each(|value| builder.push(value.as_ref()));
                let column = builder.finish();
                for (row, value) in values[start..end].iter().enumerate() {
                    assert_eq!(column.get(row), value.as_ref());
                }
                let rows: Vec<u32> = (0..(end - start) as u32).rev().chain([NO_ROW]).collect();
                let gathered = column.gather(&rows);
                for (at, value) in values[start..end].iter().rev().enumerate() {
                    assert_eq!(gathered.get(at), value.as_ref());
                }
                assert!(gathered.get(end - start).is_null());
            }
        }
    }
}
