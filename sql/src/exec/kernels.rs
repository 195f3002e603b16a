//! Loops over typed columns: comparison, arithmetic, three-valued logic, LIKE.

use std::cmp::Ordering;
use std::sync::Arc;

use dosql_base::Result;

use super::column::{Column, FALSE, Ints, Nulls, Reals, TRUE, Truth, UNKNOWN};
use super::{compare, row};
use crate::plan::{ArithmeticOp, CompareOp, Comparison, LikeKind};
use crate::value::{Affinity, Collation, Value};

/// NOT, by truth.
pub(crate) const NOT: [Truth; 3] = [TRUE, FALSE, UNKNOWN];

/// Three-valued AND.
pub(crate) fn and(a: Truth, b: Truth) -> Truth {
    if a == FALSE || b == FALSE { FALSE } else { a.max(b) }
}

/// Three-valued OR.
pub(crate) fn or(a: Truth, b: Truth) -> Truth {
    if a == TRUE || b == TRUE { TRUE } else { a.max(b) }
}

/// `left op right` for every row.
pub(crate) fn compare(
    op: CompareOp,
    rule: &Comparison,
    left: &Column,
    right: &Column,
    len: usize,
) -> Vec<Truth> {
    match (left, right) {
        (Column::Int(a), Column::Int(b)) if numeric(rule.left) && numeric(rule.right) => {
            with_nulls(op, &a.nulls, &b.nulls, len, by(op, |row| a.values[row].cmp(&b.values[row])))
        }
        (Column::Int(a), Column::Const(b)) if numeric(rule.left) => {
            let converted = rule.right.and_then(|affinity| affinity.convert(b.as_ref()));
            match converted.as_ref().unwrap_or(b) {
                Value::Integer(b) => ints_with(op, a, *b, len),
                Value::Real(b) => {
                    let order = |row: usize| crate::value::compare_integer_real(a.values[row], *b);
                    with_nulls(op, &a.nulls, &Nulls::default(), len, by(op, order))
                }
                _ => generic(op, rule, left, right, len),
            }
        }
        (Column::Const(_), Column::Int(_)) => {
            let mirrored = Comparison { left: rule.right, right: rule.left, collation: rule.collation };
            compare(op.mirrored(), &mirrored, right, left, len)
        }
        (Column::Real(a), Column::Real(b)) if numeric(rule.left) && numeric(rule.right) => {
            let order = |row: usize| a.values[row].partial_cmp(&b.values[row]).unwrap_or(Ordering::Equal);
            with_nulls(op, &a.nulls, &b.nulls, len, by(op, order))
        }
        (Column::Real(a), Column::Const(Value::Real(b))) if numeric(rule.left) && numeric(rule.right) => {
            let order = |row: usize| a.values[row].partial_cmp(b).unwrap_or(Ordering::Equal);
            with_nulls(op, &a.nulls, &Nulls::default(), len, by(op, order))
        }
        (Column::Real(a), Column::Const(Value::Integer(b))) if numeric(rule.left) && numeric(rule.right) => {
            let order = |row: usize| crate::value::compare_integer_real(*b, a.values[row]).reverse();
            with_nulls(op, &a.nulls, &Nulls::default(), len, by(op, order))
        }
        (Column::Text(a), Column::Const(Value::Text(b))) if textual(rule) => {
            let order = |row: usize| a.get(row).as_bytes().cmp(b.as_bytes());
            with_nulls(op, &a.nulls, &Nulls::default(), len, by(op, order))
        }
        (Column::Text(a), Column::Text(b)) if textual(rule) => {
            let order = |row: usize| a.get(row).as_bytes().cmp(b.get(row).as_bytes());
            with_nulls(op, &a.nulls, &b.nulls, len, by(op, order))
        }
        _ => generic(op, rule, left, right, len),
    }
}

fn numeric(affinity: Option<Affinity>) -> bool {
    affinity != Some(Affinity::Text)
}

fn textual(rule: &Comparison) -> bool {
    let keeps = |affinity: Option<Affinity>| matches!(affinity, None | Some(Affinity::Text | Affinity::Blob));
    rule.collation == Collation::Binary && keeps(rule.left) && keeps(rule.right)
}

fn generic(op: CompareOp, rule: &Comparison, left: &Column, right: &Column, len: usize) -> Vec<Truth> {
    let test = |row| compare::test(op, rule, left.get(row), right.get(row)).map_or(UNKNOWN, Truth::from);
    (0..len).map(test).collect()
}

/// One loop an operator, so that each can run without a branch in it.
fn ints_with(op: CompareOp, a: &Ints, b: i64, len: usize) -> Vec<Truth> {
    let values = &a.values[..len];
    let all = |test: fn(i64, i64) -> bool| -> Vec<Truth> {
        values.iter().map(|&a| Truth::from(test(a, b))).collect()
    };
    let mut truths = match op {
        CompareOp::Equal | CompareOp::Is => all(|a, b| a == b),
        CompareOp::NotEqual | CompareOp::IsNot => all(|a, b| a != b),
        CompareOp::Less => all(|a, b| a < b),
        CompareOp::LessEqual => all(|a, b| a <= b),
        CompareOp::Greater => all(|a, b| a > b),
        CompareOp::GreaterEqual => all(|a, b| a >= b),
    };
    mend_nulls(op, &a.nulls, &Nulls::default(), &mut truths);
    truths
}

fn by(op: CompareOp, order: impl Fn(usize) -> Ordering) -> impl Fn(usize) -> bool {
    move |row| compare::holds(op, order(row))
}

fn with_nulls(op: CompareOp, a: &Nulls, b: &Nulls, len: usize, test: impl Fn(usize) -> bool) -> Vec<Truth> {
    let mut truths: Vec<Truth> = (0..len).map(|row| Truth::from(test(row))).collect();
    mend_nulls(op, a, b, &mut truths);
    truths
}

/// Puts right the rows where a side is NULL.
fn mend_nulls(op: CompareOp, a: &Nulls, b: &Nulls, truths: &mut [Truth]) {
    if a.none() && b.none() {
        return;
    }
    for (row, truth) in truths.iter_mut().enumerate() {
        *truth = match (a.is_null(row), b.is_null(row), op) {
            (false, false, _) => *truth,
            (a, b, CompareOp::Is) => Truth::from(a == b),
            (a, b, CompareOp::IsNot) => Truth::from(a != b),
            _ => UNKNOWN,
        };
    }
}

/// `left op right` for every row, where both are numbers of one type (or a constant); `None` where they are not, or where an
/// integer overflows.
pub(crate) fn arithmetic(op: ArithmeticOp, left: &Column, right: &Column) -> Option<Column> {
    match (left, right) {
        (Column::Int(a), Column::Int(b)) => {
            let f = checked(op)?;
            let values: Option<Vec<i64>> = a.values.iter().zip(&b.values).map(|(a, b)| f(*a, *b)).collect();
            ints(values?, merge(&a.nulls, &b.nulls))
        }
        (Column::Int(a), Column::Const(Value::Integer(b))) => {
            let f = checked(op)?;
            let values: Option<Vec<i64>> = a.values.iter().map(|a| f(*a, *b)).collect();
            ints(values?, a.nulls.clone())
        }
        (Column::Const(Value::Integer(a)), Column::Int(b)) => {
            let f = checked(op)?;
            let values: Option<Vec<i64>> = b.values.iter().map(|b| f(*a, *b)).collect();
            ints(values?, b.nulls.clone())
        }
        (Column::Const(Value::Null), _) | (_, Column::Const(Value::Null)) => Some(Column::NULL),
        _ => {
            let f = of_reals(op)?;
            let (a, a_nulls) = as_reals(left)?;
            let (b, b_nulls) = as_reals(right)?;
            let values: Vec<f64> = match (&a, &b) {
                (Numbers::One(_), Numbers::One(_)) => return None,
                (Numbers::Many(a), Numbers::Many(b)) => {
                    a.iter().zip(b.iter()).map(|(a, b)| f(*a, *b)).collect()
                }
                (Numbers::Many(a), Numbers::One(b)) => a.iter().map(|a| f(*a, *b)).collect(),
                (Numbers::One(a), Numbers::Many(b)) => b.iter().map(|b| f(*a, *b)).collect(),
            };
            // Infinity minus infinity is NULL, which a column of reals does not say.
            if values.iter().any(|value| value.is_nan()) {
                return None;
            }
            let nulls = merge(&a_nulls, &b_nulls);
            Some(Column::Real(Arc::new(Reals { values, nulls })))
        }
    }
}

fn ints(values: Vec<i64>, nulls: Nulls) -> Option<Column> {
    Some(Column::Int(Arc::new(Ints { values, nulls })))
}

fn checked(op: ArithmeticOp) -> Option<fn(i64, i64) -> Option<i64>> {
    Some(match op {
        ArithmeticOp::Add => i64::checked_add,
        ArithmeticOp::Subtract => i64::checked_sub,
        ArithmeticOp::Multiply => i64::checked_mul,
        ArithmeticOp::BitAnd => |a, b| Some(a & b),
        ArithmeticOp::BitOr => |a, b| Some(a | b),
        // Division by zero gives NULL, which the general path knows.
        ArithmeticOp::Divide => i64::checked_div,
        ArithmeticOp::Remainder => i64::checked_rem,
        _ => return None,
    })
}

fn of_reals(op: ArithmeticOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        ArithmeticOp::Add => |a, b| a + b,
        ArithmeticOp::Subtract => |a, b| a - b,
        ArithmeticOp::Multiply => |a, b| a * b,
        ArithmeticOp::Divide => |a, b| if b == 0.0 { f64::NAN } else { a / b },
        _ => return None,
    })
}

enum Numbers<'a> {
    One(f64),
    Many(std::borrow::Cow<'a, [f64]>),
}

impl<'a> Numbers<'a> {
    fn many(values: Vec<f64>) -> Numbers<'a> {
        Numbers::Many(std::borrow::Cow::Owned(values))
    }
}

/// A column of numbers as reals, where one side at least is real already.
fn as_reals(column: &Column) -> Option<(Numbers<'_>, Nulls)> {
    Some(match column {
        Column::Real(reals) => {
            (Numbers::Many(std::borrow::Cow::Borrowed(&reals.values)), reals.nulls.clone())
        }
        Column::Int(ints) => {
            (Numbers::many(ints.values.iter().map(|value| *value as f64).collect()), ints.nulls.clone())
        }
        Column::Const(Value::Real(value)) => (Numbers::One(*value), Nulls::default()),
        Column::Const(Value::Integer(value)) => (Numbers::One(*value as f64), Nulls::default()),
        _ => return None,
    })
}

fn merge(a: &Nulls, b: &Nulls) -> Nulls {
    match (a.none(), b.none()) {
        (_, true) => a.clone(),
        (true, _) => b.clone(),
        _ => Nulls::of(a.flags().iter().zip(b.flags()).map(|(a, b)| a | b).collect()),
    }
}

/// LIKE and GLOB for every row.
pub(crate) fn like(
    kind: LikeKind,
    not: bool,
    operand: &Column,
    pattern: &Column,
    len: usize,
) -> Result<Vec<Truth>> {
    if let (Column::Text(texts), Column::Const(Value::Text(pattern))) = (operand, pattern)
        && let Some(needle) = contained(kind == LikeKind::Glob, pattern)
    {
        let fold = kind == LikeKind::Like;
        let finder = Finder::new(needle, fold);
        let test = |row: usize| match texts.nulls.is_null(row) {
            true => UNKNOWN,
            false => Truth::from(finder.is_in(texts.get(row)) != not),
        };
        return Ok((0..len).map(test).collect());
    }
    let test = |row| -> Result<Truth> {
        let truth = row::like(kind, operand.get(row), pattern.get(row), None)?;
        Ok(truth.map_or(UNKNOWN, |truth| Truth::from(truth != not)))
    };
    (0..len).map(test).collect()
}

/// The text between the stars of a pattern that asks for nothing else.
fn contained(glob: bool, pattern: &str) -> Option<&str> {
    let star = if glob { '*' } else { '%' };
    let needle = pattern.strip_prefix(star)?.strip_suffix(star)?;
    let special = |c| if glob { matches!(c, '*' | '?' | '[') } else { matches!(c, '%' | '_') };
    (!needle.is_empty() && !needle.contains(special)).then_some(needle)
}

/// Finds a text in others; with `fold`, ASCII letters match in either case.
struct Finder<'p> {
    exact: memchr::memmem::Finder<'p>,
    folded: Option<Vec<u8>>,
}

impl<'p> Finder<'p> {
    fn new(needle: &'p str, fold: bool) -> Finder<'p> {
        let letters = needle.bytes().any(|byte| byte.is_ascii_alphabetic());
        let folded = (fold && letters).then(|| needle.to_ascii_lowercase().into_bytes());
        Finder { exact: memchr::memmem::Finder::new(needle), folded }
    }

    fn is_in(&self, text: &str) -> bool {
        let Some(needle) = &self.folded else { return self.exact.find(text.as_bytes()).is_some() };
        let first = needle[0];
        let upper = first.to_ascii_uppercase();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(found) = memchr::memchr2(first, upper, &bytes[at..]) {
            let start = at + found;
            match bytes.get(start..start + needle.len()) {
                Some(part) if part.eq_ignore_ascii_case(needle) => return true,
                Some(_) => at = start + 1,
                None => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::ColumnBuilder;
    use super::*;

    fn column(values: &[Value]) -> Column {
        let mut builder = ColumnBuilder::default();
        values.iter().for_each(|value| builder.push(value.as_ref()));
        builder.finish()
    }

    /// Values of every type, in columns that are typed and in one that is not.
    fn columns() -> Vec<Column> {
        let ints: Vec<Value> = vec![1.into(), Value::Null, i64::MAX.into(), 0.into(), (-3).into()];
        let reals: Vec<Value> = vec![1.0.into(), 2.5.into(), Value::Null, 0.0.into(), (-3.0).into()];
        let texts: Vec<Value> = vec!["a".into(), "1".into(), Value::Null, "B".into(), "b".into()];
        let mixed: Vec<Value> = vec![1.into(), "x".into(), 2.5.into(), Value::Null, vec![1u8].into()];
        let mut columns: Vec<Column> =
            [ints, reals, texts, mixed].iter().map(|values| column(values)).collect();
        columns.extend([Value::Null, 1.into(), 2.5.into(), "1".into()].map(Column::Const));
        columns
    }

    #[test]
    fn kernels_agree_with_the_row_evaluator() {
        use CompareOp::*;
        let affinities = [None, Some(Affinity::Numeric), Some(Affinity::Text)];
        for left in &columns() {
            for right in &columns() {
                for affinity in affinities {
                    let rule = Comparison { left: affinity, right: None, collation: Collation::Binary };
                    for op in [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, Is, IsNot] {
                        let truths = compare(op, &rule, left, right, 5);
                        assert_eq!(truths, generic(op, &rule, left, right, 5), "{left:?} {op:?} {right:?}");
                    }
                }
                use ArithmeticOp::*;
                for op in
                    [Add, Subtract, Multiply, Divide, Remainder, BitAnd, BitOr, ShiftLeft, ShiftRight, Concat]
                {
                    let Some(result) = arithmetic(op, left, right) else { continue };
                    for at in 0..5 {
                        let wanted = row::arithmetic(op, left.get(at), right.get(at));
                        assert_eq!(result.get(at), wanted.as_ref(), "{left:?} {op:?} {right:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_pattern_between_stars_is_found_as_like_finds_it() {
        for (pattern, text) in [("%bC%", "aBcd"), ("%bC%", "ab"), ("%x%", ""), ("%é%", "É"), ("%12%", "a12")]
        {
            let finder = Finder::new(contained(false, pattern).unwrap(), true);
            assert_eq!(finder.is_in(text), crate::func::like(pattern, text, None), "{pattern} {text}");
        }
        assert_eq!(contained(false, "%a_%"), None);
    }
}
