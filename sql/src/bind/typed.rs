//! Expressions with what a comparison sees of them, and the rules of comparisons
//! (<https://www.sqlite.org/datatype3.html>, sections 4.2 and 7.1).

use std::sync::Arc;

use crate::func::{JsonArgs, JsonResult, lookup};
use crate::plan::{Comparison, Expr};
use crate::value::{Affinity, Collation, Text, Value};

/// A bound expression.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) expr: Expr,
    /// Of a column, a CAST or a subquery; other expressions have none.
    pub(crate) affinity: Option<Affinity>,
    /// Every value has had the affinity applied, so that a comparison need not.
    pub(crate) settled: bool,
    /// Of a column or of COLLATE.
    pub(crate) collation: Option<Collation>,
    /// The collation comes from COLLATE, perhaps inside an operand.
    pub(crate) explicit: bool,
    /// Whether it is JSON as an argument of a JSON function.
    pub(crate) json: JsonResult,
    /// Whether it can be NULL, as far as is known.
    pub(crate) nullable: bool,
    /// The column that it is.
    pub(crate) column: Option<Arc<Origin>>,
}

/// The column that an expression is.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The name that the column has in its table or subquery.
    pub(crate) name: Text,
    pub(crate) declared_type: Option<Text>,
    /// The table and the column.
    pub(crate) origin: Option<(Text, Text)>,
}

impl Bound {
    /// An expression without affinity or collation.
    pub(crate) fn plain(expr: Expr) -> Bound {
        let nullable = match &expr {
            Expr::Literal(value) => value.is_null(),
            Expr::IsNull { .. } | Expr::Exists { .. } | Expr::CurrentTime(_) => false,
            _ => true,
        };
        Bound {
            expr,
            affinity: None,
            settled: false,
            collation: None,
            explicit: false,
            json: JsonResult::No,
            nullable,
            column: None,
        }
    }

    pub(crate) fn literal(value: Value) -> Bound {
        Bound::plain(Expr::Literal(value))
    }

    /// Takes over the COLLATE of the first of `operands` that has one inside.
    pub(crate) fn collated_by<'b>(mut self, operands: impl IntoIterator<Item = &'b Bound>) -> Bound {
        if let Some(operand) = operands.into_iter().find(|operand| operand.explicit) {
            self.collation = operand.collation;
            self.explicit = true;
        }
        self
    }

    /// The column of a subquery whose first SELECT makes reals: integers of the others are read as reals too.
    pub(crate) fn as_real(mut self) -> Bound {
        if self.settled || self.affinity != Some(Affinity::Real) || !matches!(self.expr, Expr::Register(_)) {
            return self;
        }
        if let Ok(function) = lookup("typeof", 1) {
            let value = self.expr;
            let (arguments, json) = (vec![value.clone()], JsonArgs::default());
            let kind = Expr::Function { function, arguments, collation: Collation::Binary, json };
            let integer = Expr::Literal(Value::Text(Text::new_static("integer")));
            let real = Expr::Cast { to: Affinity::Real, operand: Box::new(value.clone()) };
            self.expr = Expr::Case {
                operand: Some(Box::new(kind)),
                whens: vec![(integer, plain_rule(Collation::Binary), real)],
                otherwise: Some(Box::new(value)),
            };
        }
        self
    }

    pub(crate) fn collation(&self) -> Collation {
        self.collation.unwrap_or_default()
    }

    /// Whether evaluating it again costs nothing.
    pub(crate) fn is_cheap(&self) -> bool {
        matches!(
            self.expr,
            Expr::Register(_) | Expr::Literal(_) | Expr::Parameter(_) | Expr::Outer(_) | Expr::CurrentTime(_)
        )
    }
}

/// The rule without conversions.
pub(crate) fn plain_rule(collation: Collation) -> Comparison {
    Comparison { left: None, right: None, collation }
}

/// The affinity that both sides of a comparison get.
fn compare_affinity(left: Option<Affinity>, right: Option<Affinity>) -> Option<Affinity> {
    let one = |affinity: Affinity| match affinity {
        Affinity::Blob => None,
        Affinity::Text => Some(Affinity::Text),
        _ => Some(Affinity::Numeric),
    };
    match (left, right) {
        (Some(left), Some(right)) => (left.is_numeric() || right.is_numeric()).then_some(Affinity::Numeric),
        (Some(affinity), None) | (None, Some(affinity)) => one(affinity),
        (None, None) => None,
    }
}

/// The conversion that a side needs to get `wanted`.
fn conversion(side: &Bound, wanted: Option<Affinity>) -> Option<Affinity> {
    let has = match (side.affinity, wanted) {
        (Some(own), Some(Affinity::Numeric)) => own.is_numeric(),
        (Some(Affinity::Text), Some(Affinity::Text)) => true,
        _ => false,
    };
    wanted.filter(|_| !(has && side.settled))
}

/// The collation of a comparison: COLLATE first, then a column's, the left side before the right.
pub(crate) fn compare_collation(left: &Bound, right: &Bound) -> Collation {
    if left.explicit {
        left.collation()
    } else if right.explicit {
        right.collation()
    } else {
        left.collation.or(right.collation).unwrap_or_default()
    }
}

/// How `left` and `right` compare.
pub(crate) fn comparison(left: &Bound, right: &Bound) -> Comparison {
    let affinity = compare_affinity(left.affinity, right.affinity);
    Comparison {
        left: conversion(left, affinity),
        right: conversion(right, affinity),
        collation: compare_collation(left, right),
    }
}

/// How the operand of `x IN (list)` compares with every member: the operand alone decides.
pub(crate) fn list_comparison(operand: &Bound) -> Comparison {
    let affinity = compare_affinity(operand.affinity, None);
    Comparison { left: conversion(operand, affinity), right: affinity, collation: operand.collation() }
}

/// Applies a conversion to a constant now rather than in every row.
pub(crate) fn settle(expr: &mut Expr, conversion: &mut Option<Affinity>) {
    if let (Expr::Literal(value), Some(affinity)) = (&mut *expr, *conversion) {
        *value = affinity.apply(std::mem::take(value));
        *conversion = None;
    }
}
