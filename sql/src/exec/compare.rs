//! Comparison under the rules that the binder found: affinities first, then the total order under a collation.

use std::cmp::Ordering;

use crate::plan::{CompareOp, Comparison};
use crate::value::{Affinity, ValueRef, compare};

/// Whether an ordering satisfies an operator.
#[inline]
pub(crate) fn holds(op: CompareOp, ordering: Ordering) -> bool {
    match op {
        CompareOp::Equal | CompareOp::Is => ordering.is_eq(),
        CompareOp::NotEqual | CompareOp::IsNot => ordering.is_ne(),
        CompareOp::Less => ordering.is_lt(),
        CompareOp::LessEqual => ordering.is_le(),
        CompareOp::Greater => ordering.is_gt(),
        CompareOp::GreaterEqual => ordering.is_ge(),
    }
}

/// Whether an affinity leaves a value as it is, for what a comparison can tell.
#[inline]
pub(crate) fn keeps(affinity: Option<Affinity>, value: ValueRef<'_>) -> bool {
    match affinity {
        None | Some(Affinity::Blob) => true,
        Some(Affinity::Text) => !matches!(value, ValueRef::Integer(_) | ValueRef::Real(_)),
        Some(_) => !matches!(value, ValueRef::Text(_)),
    }
}

/// Orders two values by a rule.
#[inline]
pub(crate) fn order(rule: &Comparison, a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    if keeps(rule.left, a) && keeps(rule.right, b) {
        return compare(a, b, rule.collation);
    }
    let left = rule.left.and_then(|affinity| affinity.convert(a));
    let right = rule.right.and_then(|affinity| affinity.convert(b));
    let (a, b) =
        (left.as_ref().map_or(a, |value| value.as_ref()), right.as_ref().map_or(b, |value| value.as_ref()));
    compare(a, b, rule.collation)
}

/// `a op b`; `None` is NULL.
#[inline]
pub(crate) fn test(op: CompareOp, rule: &Comparison, a: ValueRef<'_>, b: ValueRef<'_>) -> Option<bool> {
    if (a.is_null() || b.is_null()) && !matches!(op, CompareOp::Is | CompareOp::IsNot) {
        return None;
    }
    Some(holds(op, order(rule, a, b)))
}

/// `(a, ..) op (b, ..)`, pair by pair until they decide; the pairs come lazily, since a later one may fail to evaluate.
pub(crate) fn test_rows<E>(
    op: CompareOp,
    pairs: impl Iterator<Item = Result<(Option<Ordering>, bool), E>>,
) -> Result<Option<bool>, E> {
    let mut unknown = false;
    for pair in pairs {
        let (ordering, both_null) = pair?;
        match (op, ordering) {
            (CompareOp::Is | CompareOp::IsNot, None) if both_null => {}
            (CompareOp::Is, None) => return Ok(Some(false)),
            (CompareOp::IsNot, None) => return Ok(Some(true)),
            (CompareOp::Equal | CompareOp::NotEqual, None) => unknown = true,
            (_, None) => return Ok(None),
            (_, Some(Ordering::Equal)) => {}
            (_, Some(ordering)) => return Ok(Some(holds(op, ordering))),
        }
    }
    Ok(if unknown { None } else { Some(holds(op, Ordering::Equal)) })
}
