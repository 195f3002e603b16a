//! The affinity of a compound SELECT's columns: that of the first SELECT whose column has one, unless a SELECT beside it can give
//! values that the affinity would convert; then the column is compared as it is.

use super::scope::Output;
use super::typed::Bound;
use crate::plan::{ArithmeticOp, Expr};
use crate::value::{Affinity, Value};

const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 4;

/// The affinity that a column has had so far, and what the SELECTs beside the one that gave it can yield.
pub(super) struct Mixed {
    affinity: Option<Affinity>,
    others: u8,
}

impl Mixed {
    /// A column of the first SELECT.
    pub(super) fn new(bound: &Bound) -> Mixed {
        let mut mixed = Mixed { affinity: None, others: 0 };
        mixed.add(bound);
        mixed
    }

    /// The same column of the next SELECT.
    pub(super) fn add(&mut self, bound: &Bound) {
        if self.affinity.is_none() && bound.affinity.is_some() {
            self.affinity = bound.affinity;
        } else {
            self.others |= yields(bound);
        }
    }

    /// Gives the compound's column its affinity.
    pub(super) fn settle(&self, output: &mut Output) {
        let converts = match self.affinity {
            Some(Affinity::Text) => self.others & NUMBER != 0,
            Some(affinity) if affinity.is_numeric() => self.others & TEXT != 0,
            _ => false,
        };
        let affinity = if converts { Some(Affinity::Blob) } else { self.affinity };
        output.bound.settled &= affinity == output.bound.affinity;
        output.bound.affinity = affinity;
    }
}

/// The types of values that an expression can have.
fn yields(bound: &Bound) -> u8 {
    match bound.affinity {
        Some(Affinity::Text) => TEXT | BLOB,
        Some(Affinity::Blob) => NUMBER | TEXT | BLOB,
        Some(_) => NUMBER | BLOB,
        None => yields_plain(&bound.expr),
    }
}

fn yields_plain(expr: &Expr) -> u8 {
    match expr {
        Expr::Literal(Value::Null) => 0,
        Expr::Literal(Value::Text(_)) => TEXT,
        Expr::Literal(Value::Blob(_)) => BLOB,
        Expr::Arithmetic { op: ArithmeticOp::Concat, .. } => TEXT | BLOB,
        Expr::Literal(_)
        | Expr::Arithmetic { .. }
        | Expr::Negate(_)
        | Expr::BitNot(_)
        | Expr::Not(_)
        | Expr::And(..)
        | Expr::Or(..)
        | Expr::Compare { .. }
        | Expr::CompareRows { .. }
        | Expr::IsNull { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::InQuery { .. }
        | Expr::Exists { .. } => NUMBER,
        Expr::Case { whens, otherwise, .. } => {
            // Not all the way down: what is deep inside may be anything.
            let arm = |expr: &Expr| if matches!(expr, Expr::Case { .. }) { 7 } else { yields_plain(expr) };
            let whens = whens.iter().fold(0, |all, (_, _, then)| all | arm(then));
            whens | otherwise.as_deref().map_or(0, arm)
        }
        _ => NUMBER | TEXT | BLOB,
    }
}
