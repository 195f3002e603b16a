//! Column affinity: what a declared type does to a value that is stored in the column or compared with it.

use super::number::{self, Number};
use super::{Text, Value, ValueRef, write_text};

/// The affinity of a column or expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Affinity {
    /// Keeps every value as it is (also called NONE).
    #[default]
    Blob,
    /// Turns numbers into text.
    Text,
    /// Turns text that is a number into that number, and whole reals into integers.
    Numeric,
    /// As `Numeric` for what is stored; differs in CAST.
    Integer,
    /// As `Numeric`, and integers become reals.
    Real,
}

impl Affinity {
    /// The affinity of a declared column type, by SQLite's five rules; no type at all is `Blob`.
    #[must_use]
    pub fn of_declared_type(declared: &str) -> Affinity {
        let has = |part: &str| {
            declared.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        };
        if has("INT") {
            Affinity::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Affinity::Text
        } else if has("BLOB") || declared.trim().is_empty() {
            Affinity::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// Whether it turns text into numbers.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Affinity::Numeric | Affinity::Integer | Affinity::Real)
    }

    /// The name of the type that has this affinity.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Affinity::Blob => "BLOB",
            Affinity::Text => "TEXT",
            Affinity::Numeric => "NUM",
            Affinity::Integer => "INT",
            Affinity::Real => "REAL",
        }
    }

    /// The value as a column of this affinity stores it.
    #[must_use]
    pub fn apply(self, value: Value) -> Value {
        self.convert(value.as_ref()).unwrap_or(value)
    }

    /// Whether a column of this affinity surely stores the value as it is.
    #[must_use]
    #[inline]
    pub fn keeps(self, value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Null | ValueRef::Blob(_) => true,
            ValueRef::Integer(_) => {
                matches!(self, Affinity::Integer | Affinity::Numeric | Affinity::Blob)
            }
            ValueRef::Real(_) => matches!(self, Affinity::Real | Affinity::Blob),
            ValueRef::Text(_) => matches!(self, Affinity::Text | Affinity::Blob),
        }
    }

    /// As [`Affinity::apply`], of a borrowed value; `None` where the value stays as it is, which spares a copy.
    #[must_use]
    pub fn convert(self, value: ValueRef<'_>) -> Option<Value> {
        match (self, value) {
            (Affinity::Text, ValueRef::Integer(_) | ValueRef::Real(_)) => {
                let mut text = String::new();
                write_text(value, &mut text);
                Some(Value::Text(Text::from(text)))
            }
            (Affinity::Numeric | Affinity::Integer, ValueRef::Real(real)) => {
                number::exact_integer(real).map(Value::Integer)
            }
            (Affinity::Real, ValueRef::Integer(integer)) => Some(Value::Real(integer as f64)),
            (Affinity::Numeric | Affinity::Integer | Affinity::Real, ValueRef::Text(text)) => {
                let scan = number::scan(text.as_bytes());
                scan.whole.then(|| self.of_number(scan.number))
            }
            _ => None,
        }
    }

    /// As [`Affinity::convert`] for numbers only, without allocation: what a comparison needs on its numeric
    /// side. `Text` affinity is left to [`Affinity::convert`].
    #[must_use]
    pub fn apply_ref(self, value: ValueRef<'_>) -> ValueRef<'_> {
        if !self.is_numeric() {
            return value;
        }
        match self.convert(value) {
            Some(Value::Integer(integer)) => ValueRef::Integer(integer),
            Some(Value::Real(real)) => ValueRef::Real(real),
            _ => value,
        }
    }

    fn of_number(self, number: Number) -> Value {
        match number {
            Number::Integer(integer) if self == Affinity::Real => Value::Real(integer as f64),
            Number::Integer(integer) => Value::Integer(integer),
            Number::Real(real) if self == Affinity::Real => Value::Real(real),
            Number::Real(real) => number::exact_integer(real).map_or(Value::Real(real), Value::Integer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_has_the_affinity_that_sqlite_gives_it() {
        for (declared, affinity) in [
            ("INTEGER", Affinity::Integer),
            ("bigint unsigned", Affinity::Integer),
            ("CHARINT", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("VARCHAR(255)", Affinity::Text),
            ("clob", Affinity::Text),
            ("BLOB", Affinity::Blob),
            ("", Affinity::Blob),
            ("DOUBLE PRECISION", Affinity::Real),
            ("DECIMAL(10,5)", Affinity::Numeric),
            ("DATETIME", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::of_declared_type(declared), affinity, "{declared}");
        }
    }

    #[test]
    fn a_column_stores_what_its_affinity_makes_of_a_value() {
        let integer = |value: &str| Affinity::Integer.apply(Value::text(value));
        assert_eq!(integer("1"), Value::Integer(1));
        assert_eq!(integer("1e2"), Value::Integer(100));
        assert_eq!(integer("1.5"), Value::Real(1.5));
        assert_eq!(integer("abc"), Value::text("abc"));
        assert_eq!(Affinity::Numeric.apply(Value::Real(1.0)), Value::Integer(1));
        assert_eq!(Affinity::Numeric.apply(Value::Real(9.3e18)), Value::Real(9.3e18));
        assert_eq!(Affinity::Text.apply(Value::Real(1.0)), Value::text("1.0"));
        assert_eq!(Affinity::Real.apply(Value::Integer(1)), Value::Real(1.0));
        assert_eq!(Affinity::Blob.apply(Value::text("1")), Value::text("1"));
        let all = [Affinity::Blob, Affinity::Text, Affinity::Numeric, Affinity::Integer, Affinity::Real];
        let values = [
            Value::Null,
            Value::Integer(3),
            Value::Real(3.0),
            Value::Real(3.5),
            Value::text("3"),
            Value::text("x"),
        ];
        for (affinity, value) in all.iter().flat_map(|affinity| values.iter().map(move |v| (*affinity, v))) {
            assert!(!affinity.keeps(value.as_ref()) || affinity.convert(value.as_ref()).is_none());
        }
        assert_eq!(Affinity::Integer.apply(Value::from(vec![49u8])), Value::from(vec![49u8]));
    }
}
