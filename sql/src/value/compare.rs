//! Collations and the total order of values: NULL, then numbers, then text, then blobs.

use std::cmp::Ordering;

use super::ValueRef;

/// How text compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Collation {
    /// Byte by byte.
    #[default]
    Binary,
    /// Byte by byte with ASCII upper case folded to lower.
    NoCase,
    /// Byte by byte without trailing spaces.
    RTrim,
}

impl Collation {
    /// The collation of this name, in any case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Collation> {
        [Collation::Binary, Collation::NoCase, Collation::RTrim]
            .into_iter()
            .find(|collation| collation.name().eq_ignore_ascii_case(name))
    }

    /// Its name, in upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Collation::Binary => "BINARY",
            Collation::NoCase => "NOCASE",
            Collation::RTrim => "RTRIM",
        }
    }

    /// Compares two texts.
    #[must_use]
    #[inline]
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Collation::Binary => a.as_bytes().cmp(b.as_bytes()),
            Collation::NoCase => {
                let (a, b) = (a.bytes(), b.bytes());
                a.map(|byte| byte.to_ascii_lowercase()).cmp(b.map(|byte| byte.to_ascii_lowercase()))
            }
            Collation::RTrim => a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes()),
        }
    }
}

/// Compares an integer with a float exactly, without rounding either.
#[must_use]
#[inline]
pub fn compare_integer_real(integer: i64, real: f64) -> Ordering {
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    let truncated = real as i64;
    integer.cmp(&truncated).then_with(|| (truncated as f64).partial_cmp(&real).unwrap_or(Ordering::Equal))
}

/// The total order of values: NULL < numbers (integers and reals by their exact value) < text (by `collation`)
/// < blobs (by their bytes).
#[must_use]
#[inline]
pub fn compare(a: ValueRef<'_>, b: ValueRef<'_>, collation: Collation) -> Ordering {
    match (a, b) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Text(a), ValueRef::Text(b)) => collation.compare(a, b),
        (ValueRef::Real(a), ValueRef::Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (ValueRef::Integer(a), ValueRef::Real(b)) => compare_integer_real(a, b),
        (ValueRef::Real(a), ValueRef::Integer(b)) => compare_integer_real(b, a).reverse(),
        (ValueRef::Blob(a), ValueRef::Blob(b)) => a.cmp(b),
        _ => class(a).cmp(&class(b)),
    }
}

/// Whether two values compare equal. NULL equals NULL here, as IS and DISTINCT want it.
#[must_use]
pub fn equal(a: ValueRef<'_>, b: ValueRef<'_>, collation: Collation) -> bool {
    compare(a, b, collation) == Ordering::Equal
}

#[inline]
fn class(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 1,
        ValueRef::Text(_) => 2,
        ValueRef::Blob(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_in_order() {
        let values = [
            ValueRef::Null,
            ValueRef::Real(-1e300),
            ValueRef::Integer(5),
            ValueRef::Text(""),
            ValueRef::Blob(b""),
        ];
        assert!(values.is_sorted_by(|a, b| compare(*a, *b, Collation::Binary) == Ordering::Less));
    }

    #[test]
    fn integers_and_reals_interleave_exactly() {
        let compare = |integer, real| compare_integer_real(integer, real);
        assert_eq!(compare(9_007_199_254_740_993, 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(compare(i64::MAX, 9_223_372_036_854_775_808.0), Ordering::Less);
        assert_eq!(compare(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
        assert_eq!(compare(-1, -1.5), Ordering::Greater);
        assert_eq!(compare(1, 1.5), Ordering::Less);
        assert_eq!(compare(0, f64::NEG_INFINITY), Ordering::Greater);
    }

    #[test]
    fn collations_fold_what_they_say() {
        assert_eq!(Collation::NoCase.compare("aBc", "AbC"), Ordering::Equal);
        assert_eq!(Collation::NoCase.compare("Ä", "ä"), "Ä".cmp("ä"));
        assert_eq!(Collation::NoCase.compare("_", "a"), Ordering::Less);
        assert_eq!(Collation::RTrim.compare("a  ", "a"), Ordering::Equal);
        assert_eq!(Collation::RTrim.compare(" a", "a"), Ordering::Less);
        assert_eq!(Collation::by_name("nocase"), Some(Collation::NoCase));
        assert_eq!(Collation::by_name("x"), None);
    }
}
