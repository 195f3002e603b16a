//! Tests of a scan's filter that compare a column with a constant: done on the row's bytes, before anything is copied.

use dosql_base::Result;
use smallvec::SmallVec;

use super::super::compare;
use super::super::context::ExecContext;
use super::super::row::{Row, eval};
use super::fields::{Source, StoredRow};
use crate::plan::{CompareOp, Comparison, Expr, Register};
use crate::storage::Storage;
use crate::value::{Value, ValueRef};

/// A filter taken apart: what is tested early, and what is left.
#[derive(Debug, Default)]
pub(crate) struct Split<'e> {
    /// A column by its place among those that are scanned, and what is asked of it.
    pub(crate) quick: SmallVec<[(usize, Ask<'e>); 2]>,
    pub(crate) rest: SmallVec<[&'e Expr; 4]>,
}

/// What is asked of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'e> {
    Compare { op: CompareOp, rule: Comparison, with: &'e Expr },
    IsNull { not: bool },
}

/// A test with its constant evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) source: Source,
    kind: TestKind,
}

#[derive(Clone, Debug)]
enum TestKind {
    Compare { op: CompareOp, rule: Comparison, with: Value },
    IsNull { not: bool },
}

/// Takes a filter apart; `columns` are the registers that the scan fills.
pub(crate) fn split<'e>(filter: &'e Expr, columns: &[Register]) -> Split<'e> {
    let mut split = Split::default();
    let mut pending: SmallVec<[&Expr; 8]> = SmallVec::new();
    pending.push(filter);
    while let Some(expr) = pending.pop() {
        if let Expr::And(left, right) = expr {
            pending.push(right);
            pending.push(left);
            continue;
        }
        if !ask(expr, columns, &mut split.quick) {
            split.rest.push(expr);
        }
    }
    split
}

fn ask<'e>(expr: &'e Expr, columns: &[Register], quick: &mut SmallVec<[(usize, Ask<'e>); 2]>) -> bool {
    let place = |expr: &Expr| match expr {
        Expr::Register(register) => columns.iter().position(|column| column == register),
        _ => None,
    };
    // Whatever the scan does not fill is bound before it opens.
    let constant = |expr: &Expr| match expr {
        Expr::Literal(_) | Expr::Parameter(_) | Expr::Outer(_) => true,
        Expr::Register(register) => !columns.contains(register),
        _ => false,
    };
    match expr {
        Expr::Compare { op, rule, left, right } => {
            if let (Some(at), true) = (place(left), constant(right)) {
                quick.push((at, Ask::Compare { op: *op, rule: *rule, with: right }));
                return true;
            }
            if let (Some(at), true) = (place(right), constant(left)) {
                let rule = Comparison { left: rule.right, right: rule.left, collation: rule.collation };
                quick.push((at, Ask::Compare { op: op.mirrored(), rule, with: left }));
                return true;
            }
            false
        }
        Expr::Between { not: false, operand, low, low_rule, high, high_rule } => {
            let Some(at) = place(operand) else { return false };
            if !constant(low) || !constant(high) {
                return false;
            }
            quick.push((at, Ask::Compare { op: CompareOp::GreaterEqual, rule: *low_rule, with: low }));
            quick.push((at, Ask::Compare { op: CompareOp::LessEqual, rule: *high_rule, with: high }));
            true
        }
        Expr::IsNull { not, operand } => {
            let Some(at) = place(operand) else { return false };
            quick.push((at, Ask::IsNull { not: *not }));
            true
        }
        _ => false,
    }
}

impl Test {
    /// Evaluates the constant.
    pub(crate) fn new<S: Storage>(
        source: Source,
        ask: &Ask<'_>,
        row: &Row<'_>,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Test> {
        let kind = match *ask {
            Ask::IsNull { not } => TestKind::IsNull { not },
            Ask::Compare { op, rule, with } => {
                let with = eval(with, row, cx)?.into_value();
                let with = match rule.right {
                    Some(affinity) => affinity.apply(with),
                    None => with,
                };
                TestKind::Compare { op, rule: Comparison { right: None, ..rule }, with }
            }
        };
        Ok(Test { source, kind })
    }

    /// Whether a value passes.
    #[inline]
    pub(crate) fn passes(&self, value: ValueRef<'_>) -> bool {
        match &self.kind {
            TestKind::IsNull { not } => value.is_null() != *not,
            TestKind::Compare { op, rule, with } => match (value, with) {
                (ValueRef::Integer(a), Value::Integer(b))
                    if rule.left != Some(crate::value::Affinity::Text) =>
                {
                    compare::holds(*op, a.cmp(b))
                }
                _ => compare::test(*op, rule, value, with.as_ref()) == Some(true),
            },
        }
    }
}

/// Whether a row passes all tests.
#[inline]
pub(crate) fn all_pass(tests: &[Test], row: &StoredRow<'_>) -> Result<bool> {
    for test in tests {
        if !test.passes(row.get(test.source)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
