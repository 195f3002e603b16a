//! The vector evaluator: an expression over all rows of a batch at once. The hot set has kernels for typed columns
//! ([`super::kernels`]); everything else goes through the row evaluator, row by row.
//!
//! AND and OR evaluate their right side only for the rows where the left does not decide, unless the right side can't
//! fail and costs little; so an expression fails for exactly the rows for which it would fail one by one.

use dosql_base::Result;

use super::batch::Batch;
use super::column::{Column, ColumnBuilder, FALSE, TRUE, Truth, UNKNOWN};
use super::context::{ExecContext, Frame};
use super::kernels;
use super::row::{self, Row, eval};
use super::subquery;
use crate::plan::{ArithmeticOp, CompareOp, Expr};
use crate::storage::Storage;
use crate::value::{Affinity, Value, ValueRef, to_boolean};

/// Batches below this size are evaluated row by row: a kernel costs more to start than it saves.
const VECTOR_FROM: usize = 4;

/// The value of an expression in every row of a batch.
pub(crate) fn column<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Column> {
    match expr {
        Expr::Literal(value) => return Ok(Column::Const(value.clone())),
        Expr::Parameter(index) => return Ok(Column::Const(cx.parameter(*index).clone())),
        Expr::Outer(index) => {
            return Ok(Column::Const(frame.outer.get(*index as usize).cloned().unwrap_or_default()));
        }
        Expr::Register(register) => {
            return Ok(match batch.column(*register) {
                Some(column) => column.clone(),
                None => Column::Const(frame.bound.get(register.0 as usize).cloned().unwrap_or_default()),
            });
        }
        _ => {}
    }
    if batch.len() < VECTOR_FROM {
        return by_row(expr, batch, frame, cx);
    }
    // Each in a function of its own: this one is on the stack for every level of an expression.
    match expr {
        Expr::Arithmetic { .. } => arithmetic(expr, batch, frame, cx),
        Expr::Affinity { .. } | Expr::Cast { .. } | Expr::Negate(_) => converted(expr, batch, frame, cx),
        Expr::Function { function, .. } if !row::is_lazy(function) => function_column(expr, batch, frame, cx),
        Expr::Not(_)
        | Expr::And(..)
        | Expr::Or(..)
        | Expr::Compare { .. }
        | Expr::IsNull { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { .. } => Ok(Column::of_truths(&truths(expr, batch, frame, cx)?)),
        _ => by_row(expr, batch, frame, cx),
    }
}

/// A chain of operators, from its innermost left operand on.
fn arithmetic<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Column> {
    let mut chain = Vec::new();
    let mut first = expr;
    while let Expr::Arithmetic { op, left, right } = first {
        chain.push((*op, &**right));
        first = left;
    }
    let mut result = column(first, batch, frame, cx)?;
    for (op, right) in chain.into_iter().rev() {
        let right = column(right, batch, frame, cx)?;
        result = match kernels::arithmetic(op, &result, &right) {
            Some(column) => column,
            None => arithmetic_by_row(op, &result, &right, batch.len(), cx)?,
        };
    }
    Ok(result)
}

fn arithmetic_by_row<S: Storage>(
    op: ArithmeticOp,
    left: &Column,
    right: &Column,
    len: usize,
    cx: &ExecContext<'_, S>,
) -> Result<Column> {
    let mut builder = ColumnBuilder::default();
    for row in 0..len {
        let value = row::arithmetic(op, left.get(row), right.get(row));
        if let Value::Text(text) = &value {
            cx.functions.check_length(text.len())?;
        }
        builder.push(value.as_ref());
    }
    Ok(builder.finish())
}

/// An affinity, a CAST or a minus sign.
fn converted<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Column> {
    let len = batch.len();
    match expr {
        Expr::Affinity { affinity, operand } => {
            Ok(apply_affinity(*affinity, column(operand, batch, frame, cx)?, len))
        }
        Expr::Cast { to, operand } => {
            let operand = column(operand, batch, frame, cx)?;
            match (to, &operand) {
                (Affinity::Integer, Column::Int(_))
                | (Affinity::Real, Column::Real(_))
                | (Affinity::Text, Column::Text(_)) => Ok(operand),
                _ => Ok(map(&operand, len, |value| crate::value::cast(value, *to))),
            }
        }
        Expr::Negate(operand) => Ok(map(&column(operand, batch, frame, cx)?, len, crate::value::arith::neg)),
        _ => by_row(expr, batch, frame, cx),
    }
}

fn function_column<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Column> {
    let Expr::Function { function, arguments, collation, json } = expr else { return Ok(Column::NULL) };
    let columns = columns(arguments.iter(), batch, frame, cx)?;
    let mut builder = ColumnBuilder::default();
    let mut values: smallvec::SmallVec<[ValueRef<'_>; 4]> = smallvec::SmallVec::new();
    for row in 0..batch.len() {
        values.clear();
        values.extend(columns.iter().map(|column| column.get(row)));
        let value = row::invoke(function, &values, *collation, *json, cx)?;
        builder.push(value.as_ref());
    }
    Ok(builder.finish())
}

fn by_row<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Column> {
    let one = batch.len() == 1;
    let mut builder = ColumnBuilder::default();
    for row in 0..batch.len() {
        let value = eval(expr, &Row::of(batch, row, frame), cx)?;
        if one {
            return Ok(Column::Const(value.into_value()));
        }
        builder.push(value.get());
    }
    Ok(builder.finish())
}

/// Applies a function without side effects to every value.
fn map(column: &Column, len: usize, f: impl Fn(ValueRef<'_>) -> Value) -> Column {
    if let Column::Const(value) = column {
        return Column::Const(f(value.as_ref()));
    }
    let mut builder = ColumnBuilder::default();
    for row in 0..len {
        builder.push(f(column.get(row)).as_ref());
    }
    builder.finish()
}

/// Applies an affinity to every value.
pub(crate) fn apply_affinity(affinity: Affinity, column: Column, len: usize) -> Column {
    match (affinity, &column) {
        (Affinity::Blob, _) | (Affinity::Text, Column::Text(_)) | (Affinity::Real, Column::Real(_)) => column,
        (Affinity::Integer | Affinity::Numeric, Column::Int(_)) => column,
        _ => map(&column, len, |value| affinity.convert(value).unwrap_or_else(|| value.to_value())),
    }
}

/// The truth of an expression in every row of a batch.
pub(crate) fn truths<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    let len = batch.len();
    if len < VECTOR_FROM {
        let truth = |row| Ok(of_option(row::truth(expr, &Row::of(batch, row, frame), cx)?));
        return (0..len).map(truth).collect();
    }
    match expr {
        Expr::Not(operand) => {
            let mut truths = truths(operand, batch, frame, cx)?;
            truths.iter_mut().for_each(|truth| *truth = kernels::NOT[usize::from(*truth)]);
            Ok(truths)
        }
        Expr::And(..) => chain(expr, FALSE, kernels::and, batch, frame, cx),
        Expr::Or(..) => chain(expr, TRUE, kernels::or, batch, frame, cx),
        Expr::Compare { op, rule, left, right } => {
            let left = column(left, batch, frame, cx)?;
            let right = column(right, batch, frame, cx)?;
            Ok(kernels::compare(*op, rule, &left, &right, len))
        }
        Expr::IsNull { .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { .. }
        | Expr::InQuery { .. }
        | Expr::Exists { .. }
        | Expr::CompareRows { .. } => predicate(expr, batch, frame, cx),
        _ => {
            let column = column(expr, batch, frame, cx)?;
            Ok((0..len).map(|row| of_option(to_boolean(column.get(row)))).collect())
        }
    }
}

/// A predicate of several operands.
fn predicate<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    let len = batch.len();
    match expr {
        Expr::IsNull { not, operand } => {
            let operand = column(operand, batch, frame, cx)?;
            Ok((0..len).map(|row| Truth::from(operand.get(row).is_null() != *not)).collect())
        }
        Expr::Between { not, operand, low, low_rule, high, high_rule } => {
            let operand = column(operand, batch, frame, cx)?;
            let low = column(low, batch, frame, cx)?;
            let high = column(high, batch, frame, cx)?;
            let mut above = kernels::compare(CompareOp::GreaterEqual, low_rule, &operand, &low, len);
            let below = kernels::compare(CompareOp::LessEqual, high_rule, &operand, &high, len);
            for (a, b) in above.iter_mut().zip(below) {
                *a = kernels::and(*a, b);
                if *not {
                    *a = kernels::NOT[usize::from(*a)];
                }
            }
            Ok(above)
        }
        Expr::InList { not, operand, rule, list } if !list.is_empty() => {
            match row::constant_set(expr, rule, list, &Row::bound(frame), cx)? {
                Some(set) => {
                    let operand = column(operand, batch, frame, cx)?;
                    let test =
                        |row| of_option(set.test_one(rule, operand.get(row)).map(|found| found != *not));
                    Ok((0..len).map(test).collect())
                }
                None => truths_by_row(expr, batch, frame, cx),
            }
        }
        Expr::Like { kind, not, operand, pattern, escape: None } => {
            let operand = column(operand, batch, frame, cx)?;
            let pattern = column(pattern, batch, frame, cx)?;
            kernels::like(*kind, *not, &operand, &pattern, len)
        }
        Expr::InQuery { not, operands, rules, query }
            if query.arguments.is_empty() && operands.len() == 1 =>
        {
            let operand = column(&operands[0], batch, frame, cx)?;
            let mut truths = subquery::contains_all(&operand, len, rules, query, &Row::bound(frame), cx)?;
            if *not {
                truths.iter_mut().for_each(|truth| *truth = kernels::NOT[usize::from(*truth)]);
            }
            Ok(truths)
        }
        _ => truths_by_row(expr, batch, frame, cx),
    }
}

fn of_option(truth: Option<bool>) -> Truth {
    truth.map_or(UNKNOWN, Truth::from)
}

fn truths_by_row<S: Storage>(
    expr: &Expr,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    (0..batch.len()).map(|row| Ok(of_option(row::truth(expr, &Row::of(batch, row, frame), cx)?))).collect()
}

/// A chain of AND or of OR, from its innermost left operand on.
fn chain<S: Storage>(
    expr: &Expr,
    decided: Truth,
    combine: fn(Truth, Truth) -> Truth,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    let mut rest = Vec::new();
    let mut first = expr;
    while let (Expr::And(left, right), FALSE) | (Expr::Or(left, right), TRUE) = (first, decided) {
        rest.push(&**right);
        first = left;
    }
    let mut result = truths(first, batch, frame, cx)?;
    for right in rest.into_iter().rev() {
        result = connect(result, right, decided, combine, batch, frame, cx)?;
    }
    Ok(result)
}

/// AND and OR: `decided` is the truth of the left side that makes the right side superfluous.
fn connect<S: Storage>(
    mut result: Vec<Truth>,
    right: &Expr,
    decided: Truth,
    combine: fn(Truth, Truth) -> Truth,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    let open = result.iter().filter(|truth| **truth != decided).count();
    if open == 0 {
        return Ok(result);
    }
    if open == batch.len() || (open * 4 > batch.len() && is_total(right)) {
        let right = truths(right, batch, frame, cx)?;
        for (a, b) in result.iter_mut().zip(right) {
            *a = combine(*a, b);
        }
        return Ok(result);
    }
    let rows: Vec<u32> = (0..batch.len() as u32).filter(|&row| result[row as usize] != decided).collect();
    let mut part = Batch::new(rows.len(), batch.width());
    for register in right.registers_read() {
        if let Some(column) = batch.column(register) {
            part.set(register, column.gather(&rows));
        }
    }
    let right = truths(right, &part, frame, cx)?;
    for (row, truth) in rows.iter().zip(right) {
        let at = *row as usize;
        result[at] = combine(result[at], truth);
    }
    Ok(result)
}

/// Whether an expression is cheap and can't fail, so that it may be evaluated where nobody needs it.
fn is_total(expr: &Expr) -> bool {
    !expr.any(|part| {
        !matches!(
            part,
            Expr::Literal(_)
                | Expr::Parameter(_)
                | Expr::Register(_)
                | Expr::Outer(_)
                | Expr::Compare { .. }
                | Expr::Between { .. }
                | Expr::IsNull { .. }
                | Expr::And(..)
                | Expr::Or(..)
                | Expr::Not(_)
                | Expr::Affinity { .. }
        )
    })
}

/// The values of several expressions.
pub(crate) fn columns<'e, S: Storage>(
    exprs: impl Iterator<Item = &'e Expr>,
    batch: &Batch,
    frame: &Frame,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Column>> {
    exprs.map(|expr| column(expr, batch, frame, cx)).collect()
}
