//! Rust values to SQL values and back. The traits have rusqlite's names and semantics, so that code moves over by
//! changing its imports.

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::value::{Value, ValueRef};

/// A Rust value that can be a parameter.
pub trait ToSql {
    /// As an SQL value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where SQL has no such value (an integer beyond 64 signed bits).
    fn to_sql(&self) -> Result<Value>;
}

/// A Rust value that a column can be read as.
pub trait FromSql: Sized {
    /// From an SQL value.
    ///
    /// # Errors
    /// [`Code::Mismatch`] where the value is of another type or out of range.
    fn from_sql(value: ValueRef<'_>) -> Result<Self>;
}

fn mismatch(value: ValueRef<'_>, wanted: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        Code::Mismatch,
        format!("the value is {}, which can't be read as {wanted}", value.type_name()),
    )
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl ToSql for $int {
            fn to_sql(&self) -> Result<Value> {
                i64::try_from(*self).map(Value::Integer).map_err(|_| {
                    Error::new(ErrorKind::InvalidInput, Code::Range, format!("{self} is beyond SQL's 64-bit integers"))
                })
            }
        }
        impl FromSql for $int {
            fn from_sql(value: ValueRef<'_>) -> Result<Self> {
                match value {
                    ValueRef::Integer(n) => <$int>::try_from(n).map_err(|_| {
                        Error::new(
                            ErrorKind::InvalidInput,
                            Code::Mismatch,
                            format!("{n} is out of range for {}", stringify!($int)),
                        )
                    }),
                    _ => Err(mismatch(value, stringify!($int))),
                }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl ToSql for f64 {
    fn to_sql(&self) -> Result<Value> {
        Ok(if self.is_nan() { Value::Null } else { Value::Real(*self) })
    }
}

/// As its number: what `AS OF LSN` takes.
impl ToSql for Timestamp {
    fn to_sql(&self) -> Result<Value> {
        self.as_micros().to_sql()
    }
}

impl ToSql for f32 {
    fn to_sql(&self) -> Result<Value> {
        f64::from(*self).to_sql()
    }
}

impl ToSql for bool {
    fn to_sql(&self) -> Result<Value> {
        Ok(Value::Integer(i64::from(*self)))
    }
}

impl ToSql for str {
    fn to_sql(&self) -> Result<Value> {
        Ok(Value::Text(self.into()))
    }
}

impl ToSql for String {
    fn to_sql(&self) -> Result<Value> {
        self.as_str().to_sql()
    }
}

impl ToSql for [u8] {
    fn to_sql(&self) -> Result<Value> {
        Ok(Value::Blob(self.into()))
    }
}

impl ToSql for Vec<u8> {
    fn to_sql(&self) -> Result<Value> {
        self.as_slice().to_sql()
    }
}

impl<const N: usize> ToSql for [u8; N] {
    fn to_sql(&self) -> Result<Value> {
        self.as_slice().to_sql()
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<Value> {
        Ok(self.clone())
    }
}

impl<T: ToSql> ToSql for Option<T> {
    fn to_sql(&self) -> Result<Value> {
        self.as_ref().map_or(Ok(Value::Null), ToSql::to_sql)
    }
}

impl<T: ToSql + ?Sized> ToSql for &T {
    fn to_sql(&self) -> Result<Value> {
        (**self).to_sql()
    }
}

impl<T: ToSql + ?Sized> ToSql for Box<T> {
    fn to_sql(&self) -> Result<Value> {
        (**self).to_sql()
    }
}

impl FromSql for f64 {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Real(x) => Ok(x),
            ValueRef::Integer(n) => Ok(n as f64),
            _ => Err(mismatch(value, "f64")),
        }
    }
}

impl FromSql for bool {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        i64::from_sql(value).map(|n| n != 0)
    }
}

impl FromSql for String {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Text(text) => Ok(text.to_owned()),
            _ => Err(mismatch(value, "String")),
        }
    }
}

impl FromSql for Vec<u8> {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
            _ => Err(mismatch(value, "Vec<u8>")),
        }
    }
}

impl FromSql for Value {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        Ok(value.to_value())
    }
}

impl<T: FromSql> FromSql for Option<T> {
    fn from_sql(value: ValueRef<'_>) -> Result<Self> {
        match value {
            ValueRef::Null => Ok(None),
            _ => T::from_sql(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_their_range_are_refused_both_ways() {
        assert!(u64::MAX.to_sql().is_err());
        assert!(u8::from_sql(ValueRef::Integer(256)).is_err());
        assert_eq!(u8::from_sql(ValueRef::Integer(255)).unwrap(), 255);
    }

    #[test]
    fn null_reads_as_none_and_as_nothing_else() {
        assert_eq!(Option::<i64>::from_sql(ValueRef::Null).unwrap(), None);
        assert!(i64::from_sql(ValueRef::Null).is_err());
    }
}
