//! Comparing and rewriting expressions.

use std::mem::discriminant;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Expr, Register, Subquery};

impl Expr {
    /// Appends the registers that it reads, perhaps more than once.
    pub fn add_registers(&self, read: &mut Vec<Register>) {
        self.any(|expr| {
            if let Expr::Register(register) = expr {
                read.push(*register);
            }
            false
        });
    }

    /// Whether both were written alike over the same registers, so that they give the same value where neither is
    /// volatile. Nested queries are alike only where they are one and the same.
    #[must_use]
    pub fn same(&self, other: &Expr) -> bool {
        let mut pending = vec![(self, other)];
        while let Some((a, b)) = pending.pop() {
            if !same_head(a, b) {
                return false;
            }
            let (mut left, mut right) = (Vec::new(), Vec::new());
            for (expr, operands) in [(a, &mut left), (b, &mut right)] {
                let _ = expr.for_each_operand(&mut |operand| {
                    operands.push(operand);
                    ControlFlow::Continue(())
                });
            }
            if left.len() != right.len() {
                return false;
            }
            pending.extend(left.into_iter().zip(right));
        }
        true
    }

    /// Replaces the outermost expressions for which `by` has an answer.
    pub fn replace(&mut self, by: &mut dyn FnMut(&Expr) -> Option<Expr>) {
        match by(self) {
            Some(expr) => *self = expr,
            None => self.for_each_operand_mut(&mut |operand| operand.replace(by)),
        }
    }

    /// As [`Expr::for_each_operand`], to change them.
    pub fn for_each_operand_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        match self {
            Expr::Literal(_)
            | Expr::Parameter(_)
            | Expr::Register(_)
            | Expr::Outer(_)
            | Expr::CurrentTime(_) => {}
            Expr::Affinity { operand, .. }
            | Expr::Cast { operand, .. }
            | Expr::Negate(operand)
            | Expr::BitNot(operand)
            | Expr::Not(operand)
            | Expr::IsNull { operand, .. } => visit(operand),
            Expr::And(left, right)
            | Expr::Or(left, right)
            | Expr::Arithmetic { left, right, .. }
            | Expr::Compare { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Expr::CompareRows { left, right, .. } => left.iter_mut().chain(right).for_each(visit),
            Expr::Between { operand, low, high, .. } => {
                visit(operand);
                visit(low);
                visit(high);
            }
            Expr::InList { operand, list, .. } => {
                visit(operand);
                list.iter_mut().for_each(visit);
            }
            Expr::InQuery { operands, query, .. } => {
                operands.iter_mut().chain(&mut query.arguments).for_each(visit);
            }
            Expr::Exists { query, .. } | Expr::Scalar { query, .. } => {
                query.arguments.iter_mut().for_each(visit);
            }
            Expr::Case { operand, whens, otherwise } => {
                operand.iter_mut().for_each(|operand| visit(operand));
                for (when, _, then) in whens {
                    visit(when);
                    visit(then);
                }
                otherwise.iter_mut().for_each(|otherwise| visit(otherwise));
            }
            Expr::Like { operand, pattern, escape, .. } => {
                visit(operand);
                visit(pattern);
                escape.iter_mut().for_each(|escape| visit(escape));
            }
            Expr::Function { arguments, .. } => arguments.iter_mut().for_each(visit),
            Expr::Raise { message, .. } => message.iter_mut().for_each(|message| visit(message)),
        }
    }
}

/// Whether two expressions are alike apart from their operands.
fn same_head(a: &Expr, b: &Expr) -> bool {
    if discriminant(a) != discriminant(b) {
        return false;
    }
    match (a, b) {
        (Expr::Literal(a), Expr::Literal(b)) => a == b,
        (Expr::Parameter(a), Expr::Parameter(b)) | (Expr::Outer(a), Expr::Outer(b)) => a == b,
        (Expr::Register(a), Expr::Register(b)) => a == b,
        (Expr::CurrentTime(a), Expr::CurrentTime(b)) => a == b,
        (Expr::Affinity { affinity: a, .. }, Expr::Affinity { affinity: b, .. })
        | (Expr::Cast { to: a, .. }, Expr::Cast { to: b, .. }) => a == b,
        (Expr::IsNull { not: a, .. }, Expr::IsNull { not: b, .. }) => a == b,
        (Expr::Arithmetic { op: a, .. }, Expr::Arithmetic { op: b, .. }) => a == b,
        (Expr::Compare { op: a, rule: x, .. }, Expr::Compare { op: b, rule: y, .. }) => a == b && x == y,
        (Expr::CompareRows { op: a, rules: x, .. }, Expr::CompareRows { op: b, rules: y, .. }) => {
            a == b && x == y
        }
        (
            Expr::Between { not: a, low_rule: low_a, high_rule: high_a, .. },
            Expr::Between { not: b, low_rule: low_b, high_rule: high_b, .. },
        ) => a == b && low_a == low_b && high_a == high_b,
        (Expr::InList { not: a, rule: x, .. }, Expr::InList { not: b, rule: y, .. }) => a == b && x == y,
        (
            Expr::InQuery { not: a, rules: x, query: p, .. },
            Expr::InQuery { not: b, rules: y, query: q, .. },
        ) => a == b && x == y && same_query(p, q),
        (Expr::Exists { not: a, query: p }, Expr::Exists { not: b, query: q }) => a == b && same_query(p, q),
        (Expr::Scalar { query: p, column: a }, Expr::Scalar { query: q, column: b }) => {
            a == b && same_query(p, q)
        }
        (
            Expr::Case { operand: a, whens: x, otherwise: p },
            Expr::Case { operand: b, whens: y, otherwise: q },
        ) => {
            a.is_some() == b.is_some()
                && p.is_some() == q.is_some()
                && x.len() == y.len()
                && x.iter().zip(y).all(|(x, y)| x.1 == y.1)
        }
        (Expr::Like { kind: a, not: x, .. }, Expr::Like { kind: b, not: y, .. }) => a == b && x == y,
        (
            Expr::Function { function: a, collation: x, json: p, .. },
            Expr::Function { function: b, collation: y, json: q, .. },
        ) => std::ptr::eq(*a, *b) && x == y && p == q,
        (Expr::Raise { .. }, _) => false,
        _ => true,
    }
}

fn same_query(a: &Subquery, b: &Subquery) -> bool {
    Arc::ptr_eq(&a.query, &b.query)
}
