//! One SQL value, owned or borrowed.

use std::fmt;
use std::sync::Arc;

/// Owned text: inline up to 23 bytes, shared above.
pub type Text = smol_str::SmolStr;
/// An owned blob; clones share it.
pub type Blob = Arc<[u8]>;

/// A value that owns its bytes. A `Real` is never NaN: make it with [`Value::real`] where it could be.
///
/// Equality is identity of type and content (`Integer(1) != Real(1.0)`); SQL's order is [`super::compare`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// A 64-bit float, never NaN.
    Real(f64),
    /// UTF-8 text; may hold NUL.
    Text(Text),
    /// Bytes.
    Blob(Blob),
}

/// A value that borrows its bytes, from a page, a batch or a [`Value`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ValueRef<'a> {
    /// No value.
    #[default]
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// A 64-bit float, never NaN.
    Real(f64),
    /// UTF-8 text; may hold NUL.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl Value {
    /// A real, or NULL for NaN.
    #[must_use]
    pub fn real(value: f64) -> Value {
        if value.is_nan() { Value::Null } else { Value::Real(value) }
    }

    /// A text value.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(Text::new(text))
    }

    /// A blob value.
    #[must_use]
    pub fn blob(bytes: impl Into<Blob>) -> Value {
        Value::Blob(bytes.into())
    }

    /// Borrows it.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(text) => ValueRef::Text(text),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// Whether it is NULL.
    #[must_use]
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// As [`ValueRef::type_name`].
    #[must_use]
    #[inline]
    pub fn type_name(&self) -> &'static str {
        self.as_ref().type_name()
    }

    /// Bytes on the heap that belong to it, for memory limits.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match self {
            Value::Text(text) if text.is_heap_allocated() => text.len(),
            Value::Blob(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl<'a> ValueRef<'a> {
    /// A real, or NULL for NaN.
    #[must_use]
    pub fn real(value: f64) -> ValueRef<'a> {
        if value.is_nan() { ValueRef::Null } else { ValueRef::Real(value) }
    }

    /// Copies it into a value of its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Integer(value),
            ValueRef::Real(value) => Value::Real(value),
            ValueRef::Text(text) => Value::Text(Text::new(text)),
            ValueRef::Blob(bytes) => Value::Blob(bytes.into()),
        }
    }

    /// Whether it is NULL.
    #[must_use]
    #[inline]
    pub fn is_null(self) -> bool {
        matches!(self, ValueRef::Null)
    }

    /// What `typeof()` says: `null`, `integer`, `real`, `text` or `blob`.
    #[must_use]
    #[inline]
    pub fn type_name(self) -> &'static str {
        match self {
            ValueRef::Null => "null",
            ValueRef::Integer(_) => "integer",
            ValueRef::Real(_) => "real",
            ValueRef::Text(_) => "text",
            ValueRef::Blob(_) => "blob",
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::real(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Text::new(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Blob(bytes.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value::Blob(bytes.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_ref()
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        value.to_value()
    }
}

/// Shows the value as an SQL literal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::quote(self.as_ref()))
    }
}

/// Shows the value as an SQL literal.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::quote(*self))
    }
}
