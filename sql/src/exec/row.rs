//! The row evaluator: any expression over one row. Vector kernels fall back on it.

use std::sync::Arc;

use dosql_base::{Code, Error, Result};

use super::batch::Batch;
use super::compare;
use super::context::{ExecContext, Frame, Val};
use super::inset::InSet;
use super::subquery;
use crate::func::{self, Function, JsonArgs, Kind};
use crate::plan::{ArithmeticOp, CompareOp, Comparison, Expr, LikeKind, RaiseAction, Register};
use crate::storage::Storage;
use crate::value::{Collation, Value, ValueRef, arith, cast, text_of, to_boolean};

/// An IN list of at least so many members becomes a set.
const SET_FROM: usize = 9;

/// What an expression reads: a row of a batch, registers bound by enclosing loops, the query's arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'v> {
    pub(crate) batch: Option<(&'v Batch, usize)>,
    pub(crate) bound: &'v [Value],
    pub(crate) outer: &'v [Value],
}

impl<'v> Row<'v> {
    /// A row of a batch.
    pub(crate) fn of(batch: &'v Batch, row: usize, frame: &'v Frame) -> Row<'v> {
        Row { batch: Some((batch, row)), bound: &frame.bound, outer: &frame.outer }
    }

    /// No row but what enclosing loops have bound.
    pub(crate) fn bound(frame: &'v Frame) -> Row<'v> {
        Row { batch: None, bound: &frame.bound, outer: &frame.outer }
    }

    /// The value of a register.
    #[inline]
    pub(crate) fn get(&self, register: Register) -> ValueRef<'v> {
        if let Some((batch, row)) = self.batch
            && let Some(column) = batch.column(register)
        {
            return column.get(row);
        }
        self.bound.get(register.0 as usize).map_or(ValueRef::Null, Value::as_ref)
    }
}

/// Evaluates an expression over one row.
pub(crate) fn eval<'v, S: Storage>(
    expr: &'v Expr,
    row: &Row<'v>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Val<'v>> {
    Ok(match expr {
        Expr::Literal(value) => Val::Ref(value.as_ref()),
        Expr::Parameter(index) => Val::Own(cx.parameter(*index).clone()),
        Expr::Register(register) => Val::Ref(row.get(*register)),
        Expr::Outer(index) => Val::Ref(row.outer.get(*index as usize).map_or(ValueRef::Null, Value::as_ref)),
        Expr::CurrentTime(which) => Val::Own(super::clock::current(*which, cx)?),
        // Each in a function of its own: this one is on the stack for every level of an expression.
        Expr::Affinity { .. } | Expr::Cast { .. } | Expr::Negate(_) | Expr::BitNot(_) => {
            return converted(expr, row, cx);
        }
        Expr::Arithmetic { .. } => return chain(expr, row, cx),
        Expr::Case { .. } => return case(expr, row, cx),
        Expr::Scalar { query, column } => Val::Own(subquery::scalar(query, *column, row, cx)?),
        Expr::Function { function, arguments, collation, json } => {
            return call(function, arguments, *collation, *json, row, cx);
        }
        Expr::Raise { action, message } => return raise(*action, message.as_deref(), row, cx),
        _ => Val::truth(truth(expr, row, cx)?),
    })
}

/// An affinity, a CAST or a sign.
fn converted<'v, S: Storage>(expr: &'v Expr, row: &Row<'v>, cx: &mut ExecContext<'_, S>) -> Result<Val<'v>> {
    Ok(match expr {
        Expr::Affinity { affinity, operand } => {
            let value = eval(operand, row, cx)?;
            match affinity.convert(value.get()) {
                Some(converted) => Val::Own(converted),
                None => value,
            }
        }
        Expr::Cast { to, operand } => Val::Own(cast(eval(operand, row, cx)?.get(), *to)),
        Expr::Negate(operand) => Val::Own(arith::neg(eval(operand, row, cx)?.get())),
        Expr::BitNot(operand) => Val::Own(arith::bitnot(eval(operand, row, cx)?.get())),
        _ => Val::NULL,
    })
}

/// A chain of operators, from its innermost left operand on.
fn chain<'v, S: Storage>(expr: &'v Expr, row: &Row<'v>, cx: &mut ExecContext<'_, S>) -> Result<Val<'v>> {
    let mut rest: smallvec::SmallVec<[(ArithmeticOp, &Expr); 4]> = smallvec::SmallVec::new();
    let mut first = expr;
    while let Expr::Arithmetic { op, left, right } = first {
        rest.push((*op, right));
        first = left;
    }
    let mut result = eval(first, row, cx)?;
    for (op, right) in rest.into_iter().rev() {
        let right = eval(right, row, cx)?;
        let value = arithmetic(op, result.get(), right.get());
        if op == ArithmeticOp::Concat {
            check_length(&value, cx)?;
        }
        result = Val::Own(value);
    }
    Ok(result)
}

/// The truth of an expression over one row; `None` is NULL.
pub(crate) fn truth<S: Storage>(
    expr: &Expr,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<bool>> {
    Ok(match expr {
        Expr::Not(operand) => truth(operand, row, cx)?.map(|truth| !truth),
        Expr::And(..) => connected(expr, false, row, cx)?,
        Expr::Or(..) => connected(expr, true, row, cx)?,
        Expr::Compare { op, rule, left, right } => {
            let left = eval(left, row, cx)?;
            let right = eval(right, row, cx)?;
            compare::test(*op, rule, left.get(), right.get())
        }
        Expr::IsNull { not, operand } => Some(eval(operand, row, cx)?.get().is_null() != *not),
        Expr::InList { not, operand, rule, list } => {
            negate(in_list(expr, operand, rule, list, row, cx)?, *not)
        }
        Expr::InQuery { not, operands, rules, query } => {
            negate(subquery::contains(operands, rules, query, row, cx)?, *not)
        }
        Expr::Exists { not, query } => Some(subquery::exists(query, row, cx)? != *not),
        Expr::CompareRows { .. } | Expr::Between { .. } | Expr::Like { .. } => predicate(expr, row, cx)?,
        _ => to_boolean(eval(expr, row, cx)?.get()),
    })
}

/// A chain of AND (`decisive` is false) or of OR (true), from its innermost left operand on, until one decides.
fn connected<S: Storage>(
    expr: &Expr,
    decisive: bool,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<bool>> {
    let mut rest: smallvec::SmallVec<[&Expr; 8]> = smallvec::SmallVec::new();
    let mut first = expr;
    while let (Expr::And(left, right), false) | (Expr::Or(left, right), true) = (first, decisive) {
        rest.push(right);
        first = left;
    }
    let mut result = truth(first, row, cx)?;
    for right in rest.into_iter().rev() {
        if result == Some(decisive) {
            break;
        }
        result = match truth(right, row, cx)? {
            Some(right) if right == decisive => Some(decisive),
            Some(_) => result,
            None => None,
        };
    }
    Ok(result)
}

/// A predicate of several operands.
fn predicate<S: Storage>(expr: &Expr, row: &Row<'_>, cx: &mut ExecContext<'_, S>) -> Result<Option<bool>> {
    Ok(match expr {
        Expr::CompareRows { op, rules, left, right } => {
            let pairs = rules.iter().zip(left.iter().zip(right)).map(|(rule, (a, b))| {
                let a = eval(a, row, cx)?;
                let b = eval(b, row, cx)?;
                let (a, b) = (a.get(), b.get());
                let ordering = (!a.is_null() && !b.is_null()).then(|| compare::order(rule, a, b));
                Ok::<_, Error>((ordering, a.is_null() && b.is_null()))
            });
            compare::test_rows(*op, pairs)?
        }
        Expr::Between { not, operand, low, low_rule, high, high_rule } => {
            let value = eval(operand, row, cx)?;
            let low = eval(low, row, cx)?;
            let above = compare::test(CompareOp::GreaterEqual, low_rule, value.get(), low.get());
            let high = eval(high, row, cx)?;
            let below = compare::test(CompareOp::LessEqual, high_rule, value.get(), high.get());
            negate(and(above, below), *not)
        }
        Expr::Like { kind, not, operand, pattern, escape } => {
            let value = eval(operand, row, cx)?;
            let pattern = eval(pattern, row, cx)?;
            let escape = match escape {
                Some(escape) => Some(eval(escape, row, cx)?),
                None => None,
            };
            let escape = escape.as_ref().map(Val::get);
            negate(like(*kind, value.get(), pattern.get(), escape)?, *not)
        }
        _ => None,
    })
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn negate(truth: Option<bool>, not: bool) -> Option<bool> {
    truth.map(|truth| truth != not)
}

/// `a op b` for every operator but those of truth.
pub(crate) fn arithmetic(op: ArithmeticOp, a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    match op {
        ArithmeticOp::Add => arith::add(a, b),
        ArithmeticOp::Subtract => arith::sub(a, b),
        ArithmeticOp::Multiply => arith::mul(a, b),
        ArithmeticOp::Divide => arith::div(a, b),
        ArithmeticOp::Remainder => arith::rem(a, b),
        ArithmeticOp::BitAnd => arith::bitand(a, b),
        ArithmeticOp::BitOr => arith::bitor(a, b),
        ArithmeticOp::ShiftLeft => arith::shl(a, b),
        ArithmeticOp::ShiftRight => arith::shr(a, b),
        ArithmeticOp::Concat => arith::concat(a, b),
    }
}

fn check_length<S: Storage>(value: &Value, cx: &ExecContext<'_, S>) -> Result<()> {
    match value {
        Value::Text(text) => cx.functions.check_length(text.len()),
        _ => Ok(()),
    }
}

/// LIKE and GLOB; `None` is NULL.
pub(crate) fn like(
    kind: LikeKind,
    value: ValueRef<'_>,
    pattern: ValueRef<'_>,
    escape: Option<ValueRef<'_>>,
) -> Result<Option<bool>> {
    if value.is_null() || pattern.is_null() || escape.is_some_and(ValueRef::is_null) {
        return Ok(None);
    }
    let escape = match escape {
        None => None,
        Some(escape) => {
            let text = text_of(escape);
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Some(only),
                _ => return Err(Error::invalid("ESCAPE expression must be a single character")),
            }
        }
    };
    let (pattern, text) = (text_of(pattern), text_of(value));
    if pattern.len() > 50_000 {
        return Err(Error::limit("LIKE or GLOB pattern too complex"));
    }
    Ok(Some(match kind {
        LikeKind::Glob => func::glob(&pattern, &text),
        LikeKind::Like => func::like(&pattern, &text, escape),
        LikeKind::CaseSensitive => func::like_case_sensitive(&pattern, &text, escape),
    }))
}

fn in_list<S: Storage>(
    whole: &Expr,
    operand: &Expr,
    rule: &Comparison,
    list: &[Expr],
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<bool>> {
    if list.len() >= SET_FROM
        && let Some(set) = constant_set(whole, rule, list, row, cx)?
    {
        return Ok(set.test_one(rule, eval(operand, row, cx)?.get()));
    }
    if list.is_empty() {
        return Ok(Some(false));
    }
    let value = eval(operand, row, cx)?;
    if value.get().is_null() {
        return Ok(None);
    }
    let mut unknown = false;
    for member in list {
        let member = eval(member, row, cx)?;
        match compare::test(CompareOp::Equal, rule, value.get(), member.get()) {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { None } else { Some(false) })
}

/// The members of an IN list as a set, where all are constants: made once a statement.
pub(crate) fn constant_set<S: Storage>(
    whole: &Expr,
    rule: &Comparison,
    list: &[Expr],
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<Arc<InSet>>> {
    let address = std::ptr::from_ref(whole) as usize;
    if let Some((_, set)) = cx.state.lists.iter().find(|(known, _)| *known == address) {
        return Ok(Some(Arc::clone(set)));
    }
    if !list.iter().all(Expr::is_fixed) {
        return Ok(None);
    }
    let mut set = InSet::new();
    for member in list {
        set.insert(std::slice::from_ref(rule), &[eval(member, row, cx)?.get()]);
    }
    let set = Arc::new(set);
    cx.state.lists.push((address, Arc::clone(&set)));
    Ok(Some(set))
}

fn case<'v, S: Storage>(expr: &'v Expr, row: &Row<'v>, cx: &mut ExecContext<'_, S>) -> Result<Val<'v>> {
    let Expr::Case { operand, whens, otherwise } = expr else { return Ok(Val::NULL) };
    let operand = match operand {
        Some(operand) => Some(eval(operand, row, cx)?),
        None => None,
    };
    for (when, rule, then) in whens {
        let met = match &operand {
            Some(value) => {
                let when = eval(when, row, cx)?;
                compare::test(CompareOp::Equal, rule, value.get(), when.get())
            }
            None => truth(when, row, cx)?,
        };
        if met == Some(true) {
            return eval(then, row, cx);
        }
    }
    match otherwise {
        Some(otherwise) => eval(otherwise, row, cx),
        None => Ok(Val::NULL),
    }
}

/// Whether a function evaluates only the arguments that it needs.
pub(crate) fn is_lazy(function: &Function) -> bool {
    matches!(function.name, "coalesce" | "ifnull" | "iif" | "if")
}

fn call<'v, S: Storage>(
    function: &'static Function,
    arguments: &'v [Expr],
    collation: Collation,
    json: JsonArgs,
    row: &Row<'v>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Val<'v>> {
    if is_lazy(function) {
        return lazy_call(function, arguments, row, cx);
    }
    let mut values: smallvec::SmallVec<[Val<'v>; 4]> = smallvec::SmallVec::new();
    for argument in arguments {
        values.push(eval(argument, row, cx)?);
    }
    let refs: smallvec::SmallVec<[ValueRef<'_>; 4]> = values.iter().map(Val::get).collect();
    Ok(Val::Own(invoke(function, &refs, collation, json, cx)?))
}

/// Calls a function with its arguments evaluated.
pub(crate) fn invoke<S: Storage>(
    function: &'static Function,
    values: &[ValueRef<'_>],
    collation: Collation,
    json: JsonArgs,
    cx: &mut ExecContext<'_, S>,
) -> Result<Value> {
    let Kind::Scalar { f, .. } = function.kind else {
        return Err(Error::invalid(format!("misuse of aggregate: {}()", function.name)));
    };
    cx.functions.json = json;
    f(&mut cx.functions, values, collation)
}

fn lazy_call<'v, S: Storage>(
    function: &'static Function,
    arguments: &'v [Expr],
    row: &Row<'v>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Val<'v>> {
    if matches!(function.name, "coalesce" | "ifnull") {
        for argument in arguments {
            let value = eval(argument, row, cx)?;
            if !value.get().is_null() {
                return Ok(value);
            }
        }
        return Ok(Val::NULL);
    }
    // iif(condition, value, condition, value, .., otherwise)
    let mut rest = arguments;
    while let [condition, value, more @ ..] = rest {
        if truth(condition, row, cx)? == Some(true) {
            return eval(value, row, cx);
        }
        rest = more;
    }
    match rest {
        [otherwise] => eval(otherwise, row, cx),
        _ => Ok(Val::NULL),
    }
}

fn raise<'v, S: Storage>(
    action: RaiseAction,
    message: Option<&Expr>,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Val<'v>> {
    let message = match message {
        Some(message) => text_of(eval(message, row, cx)?.get()).into_owned(),
        None => String::new(),
    };
    cx.state.raised = Some(action);
    Err(Error::constraint(Code::ConstraintTrigger, message))
}
