//! Parameters of a statement: by position, by number, by name.

use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_sql::value::{Text, Value};

use super::ToSql;

/// Where the values of a statement's parameters are gathered.
#[derive(Debug)]
pub struct ParameterValues<'a> {
    names: &'a [Option<Text>],
    /// Those beyond its end are NULL.
    values: Vec<Value>,
}

impl<'a> ParameterValues<'a> {
    /// All NULL, in the memory of `values`.
    pub(crate) fn new(names: &'a [Option<Text>], mut values: Vec<Value>) -> Self {
        values.clear();
        ParameterValues { names, values }
    }

    pub(crate) fn into_values(mut self) -> Vec<Value> {
        self.fill();
        self.values
    }

    /// Makes the NULLs at the end values like others.
    fn fill(&mut self) {
        if self.values.len() < self.names.len() {
            self.values.resize(self.names.len(), Value::Null);
        }
    }

    /// Sets all parameters by position.
    ///
    /// # Errors
    /// [`Code::Range`] unless there are as many values as parameters.
    pub fn set_all<'v>(&mut self, values: impl ExactSizeIterator<Item = &'v dyn ToSql>) -> Result<()> {
        if values.len() != self.names.len() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Code::Range,
                format!(
                    "the statement has {} parameters and {} values were given",
                    self.names.len(),
                    values.len()
                ),
            ));
        }
        self.values.clear();
        self.values.reserve(self.names.len());
        for value in values {
            self.values.push(value.to_sql()?);
        }
        Ok(())
    }

    /// Sets the parameter `name`, which is written with its sign (`:a`, `@a`, `$a`) or without.
    ///
    /// # Errors
    /// [`Code::Range`] where the statement has no such parameter.
    pub fn set_named(&mut self, name: &str, value: &dyn ToSql) -> Result<()> {
        let is_it = |known: &str| known == name || known.strip_prefix([':', '@', '$']) == Some(name);
        let found = self.names.iter().position(|known| known.as_deref().is_some_and(is_it));
        let Some(index) = found else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Code::Range,
                format!("the statement has no parameter called {name}"),
            ));
        };
        self.fill();
        self.values[index] = value.to_sql()?;
        Ok(())
    }
}

/// Values for the parameters of a statement: `()`, arrays, slices, tuples, [`params!`](crate::params),
/// [`named_params!`](crate::named_params).
pub trait Params {
    /// Sets them.
    ///
    /// # Errors
    /// [`Code::Range`] where their number or names do not fit the statement.
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()>;
}

impl Params for () {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        values.set_all(std::iter::empty())
    }
}

impl<T: ToSql, const N: usize> Params for [T; N] {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        self.as_slice().bind(values)
    }
}

impl<T: ToSql> Params for &[T] {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        values.set_all(self.iter().map(|value| value as &dyn ToSql))
    }
}

impl<T: ToSql, const N: usize> Params for &[T; N] {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        self.as_slice().bind(values)
    }
}

impl<T: ToSql> Params for Vec<T> {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        self.as_slice().bind(values)
    }
}

/// What [`named_params!`](crate::named_params) makes.
#[derive(Clone, Copy)]
pub struct NamedParams<'a>(#[doc(hidden)] pub &'a [(&'a str, &'a dyn ToSql)]);

impl Params for NamedParams<'_> {
    fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
        self.0.iter().try_for_each(|(name, value)| values.set_named(name, *value))
    }
}

macro_rules! tuples {
    ($(($($name:ident . $index:tt),+))*) => {$(
        impl<$($name: ToSql),+> Params for ($($name,)+) {
            fn bind(self, values: &mut ParameterValues<'_>) -> Result<()> {
                values.set_all([$(&self.$index as &dyn ToSql),+].into_iter())
            }
        }
    )*};
}
tuples! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
    (A.0, B.1, C.2, D.3, E.4, F.5)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9, K.10)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9, K.10, L.11)
}

/// Values for a statement's parameters, of any types: `params![1, "x", None::<i64>]`.
#[macro_export]
macro_rules! params {
    () => { () };
    ($($value:expr),+ $(,)?) => { &[$(&$value as &dyn $crate::ToSql),+] };
}

/// Values for a statement's named parameters: `named_params! { ":id": 1, ":name": "x" }`. Those not named are NULL.
#[macro_export]
macro_rules! named_params {
    ($($name:literal : $value:expr),* $(,)?) => {
        $crate::NamedParams(&[$(($name, &$value as &dyn $crate::ToSql)),*])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_and_too_few_values_are_refused() {
        let names = [None, Some(":a".into())];
        let mut values = ParameterValues::new(&names, Vec::new());
        assert_eq!((1,).bind(&mut values).unwrap_err().code(), Code::Range);
        assert_eq!((1, 2, 3).bind(&mut values).unwrap_err().code(), Code::Range);
        (1, "x").bind(&mut values).unwrap();
    }

    #[test]
    fn names_are_found_with_and_without_their_sign() {
        let names = [Some(":a".into()), Some("$b".into())];
        let mut values = ParameterValues::new(&names, Vec::new());
        values.set_named(":a", &1).unwrap();
        values.set_named("b", &2).unwrap();
        assert!(values.set_named(":b", &2).is_err());
        assert_eq!(format!("{:?}", values.into_values()), "[Integer(1), Integer(2)]");
    }
}
