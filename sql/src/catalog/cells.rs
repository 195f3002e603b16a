//! A row by column position, whoever owns its values.

use std::borrow::Cow;

use crate::value::{Value, ValueRef};

/// The values of a row: its columns by position, and behind them its rowid where it has one. NULL beyond the end.
pub trait Cells {
    /// The value of a column.
    fn cell(&self, column: usize) -> ValueRef<'_>;

    /// All values, for what has to own them: an expression over the row.
    fn values(&self) -> Cow<'_, [Value]>;

    /// All values side by side, where they are lent.
    fn lent(&self) -> Option<&[ValueRef<'_>]> {
        None
    }
}

impl Cells for [Value] {
    #[inline]
    fn cell(&self, column: usize) -> ValueRef<'_> {
        self.get(column).map_or(ValueRef::Null, Value::as_ref)
    }

    fn values(&self) -> Cow<'_, [Value]> {
        Cow::Borrowed(self)
    }
}

impl Cells for Vec<Value> {
    #[inline]
    fn cell(&self, column: usize) -> ValueRef<'_> {
        self.as_slice().cell(column)
    }

    fn values(&self) -> Cow<'_, [Value]> {
        Cow::Borrowed(self)
    }
}

impl Cells for [ValueRef<'_>] {
    #[inline]
    fn cell(&self, column: usize) -> ValueRef<'_> {
        self.get(column).copied().unwrap_or_default()
    }

    fn values(&self) -> Cow<'_, [Value]> {
        self.iter().map(|value| value.to_value()).collect()
    }

    #[inline]
    fn lent(&self) -> Option<&[ValueRef<'_>]> {
        Some(self)
    }
}
