//! Constants: computed when they are bound where that can't fail.

use std::cmp::Ordering;

use dosql_base::{Env, Result, Timestamp};

use crate::func::{Context, Kind, Volatility};
use crate::plan::{ArithmeticOp, CompareOp, Comparison, Expr};
use crate::value::{self, Affinity, Value, ValueRef, arith};

/// The expression, or its value where its operands are constants and it is no function.
pub(crate) fn fold(expr: Expr) -> Expr {
    match head(&expr) {
        Some(value) => Expr::Literal(value),
        None => expr,
    }
}

fn literal(expr: &Expr) -> Option<ValueRef<'_>> {
    match expr {
        Expr::Literal(value) => Some(value.as_ref()),
        _ => None,
    }
}

fn head(expr: &Expr) -> Option<Value> {
    Some(match expr {
        Expr::Negate(operand) => arith::neg(literal(operand)?),
        Expr::BitNot(operand) => arith::bitnot(literal(operand)?),
        Expr::Not(operand) => not(value::to_boolean(literal(operand)?)),
        Expr::IsNull { not, operand } => Value::from(literal(operand)?.is_null() != *not),
        Expr::Cast { to, operand } => value::cast(literal(operand)?, *to),
        Expr::Affinity { affinity, operand } => affinity.apply(literal(operand)?.to_value()),
        Expr::Arithmetic { op, left, right } => arithmetic(*op, literal(left)?, literal(right)?),
        Expr::Compare { op, rule, left, right } => compare(*op, *rule, literal(left)?, literal(right)?),
        Expr::And(left, right) => match (truth(left), truth(right)) {
            (Some(Some(false)), _) | (_, Some(Some(false))) => Value::Integer(0),
            (Some(Some(true)), Some(Some(true))) => Value::Integer(1),
            (Some(_), Some(_)) => Value::Null,
            _ => return None,
        },
        Expr::Or(left, right) => match (truth(left), truth(right)) {
            (Some(Some(true)), _) | (_, Some(Some(true))) => Value::Integer(1),
            (Some(Some(false)), Some(Some(false))) => Value::Integer(0),
            (Some(_), Some(_)) => Value::Null,
            _ => return None,
        },
        _ => return None,
    })
}

fn truth(expr: &Expr) -> Option<Option<bool>> {
    literal(expr).map(value::to_boolean)
}

fn not(truth: Option<bool>) -> Value {
    truth.map_or(Value::Null, |truth| Value::from(!truth))
}

fn arithmetic(op: ArithmeticOp, left: ValueRef<'_>, right: ValueRef<'_>) -> Value {
    match op {
        ArithmeticOp::Add => arith::add(left, right),
        ArithmeticOp::Subtract => arith::sub(left, right),
        ArithmeticOp::Multiply => arith::mul(left, right),
        ArithmeticOp::Divide => arith::div(left, right),
        ArithmeticOp::Remainder => arith::rem(left, right),
        ArithmeticOp::BitAnd => arith::bitand(left, right),
        ArithmeticOp::BitOr => arith::bitor(left, right),
        ArithmeticOp::ShiftLeft => arith::shl(left, right),
        ArithmeticOp::ShiftRight => arith::shr(left, right),
        ArithmeticOp::Concat => arith::concat(left, right),
    }
}

fn compare(op: CompareOp, rule: Comparison, left: ValueRef<'_>, right: ValueRef<'_>) -> Value {
    let convert = |affinity: Option<Affinity>, value: ValueRef<'_>| match affinity {
        Some(affinity) => affinity.apply(value.to_value()),
        None => value.to_value(),
    };
    let (left, right) = (convert(rule.left, left), convert(rule.right, right));
    let order = value::compare(left.as_ref(), right.as_ref(), rule.collation);
    let holds = match op {
        CompareOp::Is => return Value::from(order == Ordering::Equal),
        CompareOp::IsNot => return Value::from(order != Ordering::Equal),
        _ if left.is_null() || right.is_null() => return Value::Null,
        CompareOp::Equal => order == Ordering::Equal,
        CompareOp::NotEqual => order != Ordering::Equal,
        CompareOp::Less => order == Ordering::Less,
        CompareOp::LessEqual => order != Ordering::Greater,
        CompareOp::Greater => order == Ordering::Greater,
        CompareOp::GreaterEqual => order != Ordering::Less,
    };
    Value::from(holds)
}

/// What evaluating a constant needs, and learns.
pub(crate) struct Evaluation<'a> {
    pub(crate) parameters: Option<&'a [Value]>,
    pub(crate) env: &'a Env,
    pub(crate) now: Timestamp,
    /// The value depends on a parameter or on the time of day.
    pub(crate) depends: bool,
}

impl Evaluation<'_> {
    /// The value of a constant expression: `None` where it is not constant or its parameters are not known.
    pub(crate) fn value(&mut self, expr: &Expr) -> Result<Option<Value>> {
        match expr {
            Expr::Literal(value) => Ok(Some(value.clone())),
            Expr::Parameter(index) => {
                self.depends = true;
                let position = *index as usize;
                Ok(self.parameters.map(|values| values.get(position).cloned().unwrap_or_default()))
            }
            Expr::Function { function, arguments, collation, json } => {
                let Kind::Scalar { f, volatility } = function.kind else { return Ok(None) };
                self.depends |= volatility != Volatility::Deterministic;
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    let Some(value) = self.value(argument)? else { return Ok(None) };
                    values.push(value);
                }
                let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
                let mut context = Context::new(self.env, self.now);
                context.json = *json;
                f(&mut context, &values, *collation).map(Some)
            }
            Expr::CurrentTime(_) => {
                self.depends = true;
                let micros = i64::try_from(self.now.as_micros() / 1000).unwrap_or(i64::MAX);
                Ok(Some(Value::Integer(micros)))
            }
            other => self.operation(other),
        }
    }

    fn operation(&mut self, expr: &Expr) -> Result<Option<Value>> {
        let supported = matches!(
            expr,
            Expr::Negate(_)
                | Expr::BitNot(_)
                | Expr::Cast { .. }
                | Expr::Affinity { .. }
                | Expr::Arithmetic { .. }
        );
        if !supported {
            return Ok(None);
        }
        let mut folded = expr.clone();
        let mut failure = None;
        folded.for_each_operand_mut(&mut |operand| match self.value(operand) {
            Ok(Some(value)) => *operand = Expr::Literal(value),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        });
        failure.map_or_else(|| Ok(head(&folded)), Err)
    }
}
