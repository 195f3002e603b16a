//! Expressions.

use dosql_base::Result;

use super::binder::{Binder, Site};
use super::fold::fold;
use super::scope::Clause;
use super::typed::{Bound, comparison, plain_rule, settle};
use crate::func::JsonResult;
use crate::parse::ast::{BinaryOp, ExprId, ExprKind, List, NameId, Span, UnaryOp, WhenClause};
use crate::plan::{ArithmeticOp, Expr, RaiseAction};
use crate::value::{Affinity, Collation, Value};

/// What a binary operator does with two values.
enum Operator {
    And,
    Or,
    Arithmetic(ArithmeticOp),
    Function(&'static str),
}

/// An operator whose left operand may be a long chain of its like; comparisons are not.
fn chain_operator(op: BinaryOp) -> Option<Operator> {
    Some(match op {
        BinaryOp::And => Operator::And,
        BinaryOp::Or => Operator::Or,
        BinaryOp::BitAnd => Operator::Arithmetic(ArithmeticOp::BitAnd),
        BinaryOp::BitOr => Operator::Arithmetic(ArithmeticOp::BitOr),
        BinaryOp::ShiftLeft => Operator::Arithmetic(ArithmeticOp::ShiftLeft),
        BinaryOp::ShiftRight => Operator::Arithmetic(ArithmeticOp::ShiftRight),
        BinaryOp::Add => Operator::Arithmetic(ArithmeticOp::Add),
        BinaryOp::Subtract => Operator::Arithmetic(ArithmeticOp::Subtract),
        BinaryOp::Multiply => Operator::Arithmetic(ArithmeticOp::Multiply),
        BinaryOp::Divide => Operator::Arithmetic(ArithmeticOp::Divide),
        BinaryOp::Remainder => Operator::Arithmetic(ArithmeticOp::Remainder),
        BinaryOp::Concat => Operator::Arithmetic(ArithmeticOp::Concat),
        BinaryOp::JsonExtract => Operator::Function("->"),
        BinaryOp::JsonExtractText => Operator::Function("->>"),
        _ => return None,
    })
}

impl<'a> Binder<'a> {
    /// Binds an expression of one value.
    pub(crate) fn expr(&mut self, site: &Site<'a>, id: ExprId) -> Result<Bound> {
        self.enter_expression()?;
        let bound = self.expr_of_kind(site, id);
        self.leave_expression();
        bound
    }

    fn expr_of_kind(&mut self, site: &Site<'a>, id: ExprId) -> Result<Bound> {
        let source = site.source.clone();
        let node = &source.ast()[id];
        let span = node.span;
        match &node.kind {
            ExprKind::Literal(value) => Ok(Bound::literal(value.clone())),
            ExprKind::CurrentTime(time) => Ok(Bound::plain(Expr::CurrentTime(*time))),
            ExprKind::Parameter(index) => Ok(Bound::plain(Expr::Parameter(*index))),
            ExprKind::Column { schema, table, column } => self.name(site, *schema, *table, *column),
            ExprKind::Unary { op, operand } => self.unary(site, *op, *operand),
            ExprKind::Binary { op, .. } if chain_operator(*op).is_some() => self.chain(site, id),
            ExprKind::Binary { op, left, right } => self.compare(site, *op, *left, *right, span),
            ExprKind::Like { op, not, operand, pattern, escape } => {
                self.like(site, *op, *not, [*operand, *pattern], *escape, span)
            }
            ExprKind::IsNull { not, operand } => self.is_null(site, *not, *operand),
            ExprKind::Between { not, operand, low, high } => {
                self.between(site, *not, [*operand, *low, *high], span)
            }
            ExprKind::In { not, operand, set } => self.in_set(site, *not, *operand, set, span),
            ExprKind::Exists { not, select } => self.exists(site, *not, *select),
            ExprKind::Subquery(select) => self.scalar_subquery(site, *select, span),
            ExprKind::Case { operand, whens, otherwise } => self.case(site, *operand, *whens, *otherwise),
            ExprKind::Cast { operand, type_name } => self.cast(site, *operand, *type_name),
            ExprKind::Collate { operand, collation } => self.collate(site, *operand, *collation),
            ExprKind::Function(call) => self.call(site, call, span),
            ExprKind::Row(_) => Err(source.error(span, "row value misused")),
            ExprKind::Raise { action, message } => self.raise(site, *action, *message, span),
        }
    }

    fn unary(&mut self, site: &Site<'a>, op: UnaryOp, operand: ExprId) -> Result<Bound> {
        let bound = self.expr(site, operand)?;
        let operand = Box::new(bound.expr.clone());
        let expr = match op {
            UnaryOp::Plus => {
                return Ok(Bound { affinity: None, settled: false, column: None, ..bound });
            }
            UnaryOp::Negate => Expr::Negate(operand),
            UnaryOp::BitNot => Expr::BitNot(operand),
            UnaryOp::Not => Expr::Not(operand),
        };
        let nullable = bound.nullable;
        Ok(Bound { nullable, ..Bound::plain(fold(expr)) }.collated_by([&bound]))
    }

    /// `a + b + c ..`: down the left side without recursion.
    fn chain(&mut self, site: &Site<'a>, id: ExprId) -> Result<Bound> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut pending = Vec::new();
        let mut at = id;
        while let ExprKind::Binary { op, left, right } = &ast[at].kind
            && let Some(operator) = chain_operator(*op)
        {
            pending.push((operator, *right));
            at = *left;
        }
        let mut result = self.expr(site, at)?;
        for (operator, right) in pending.into_iter().rev() {
            let right = self.expr(site, right)?;
            result = self.operate(operator, result, right)?;
        }
        Ok(result)
    }

    fn operate(&mut self, operator: Operator, left: Bound, right: Bound) -> Result<Bound> {
        let operands =
            |left: &Bound, right: &Bound| (Box::new(left.expr.clone()), Box::new(right.expr.clone()));
        let (a, b) = operands(&left, &right);
        let expr = match operator {
            Operator::And => Expr::And(a, b),
            Operator::Or => Expr::Or(a, b),
            Operator::Arithmetic(op) => Expr::Arithmetic { op, left: a, right: b },
            Operator::Function(name) => return self.scalar_function(name, vec![left, right]),
        };
        let nullable = left.nullable
            || right.nullable
            || matches!(&expr, Expr::Arithmetic { op: ArithmeticOp::Divide | ArithmeticOp::Remainder, .. });
        Ok(Bound { nullable, ..Bound::plain(fold(expr)) }.collated_by([&left, &right]))
    }

    fn is_null(&mut self, site: &Site<'a>, not: bool, operand: ExprId) -> Result<Bound> {
        let operand = self.expr(site, operand)?;
        Ok(Bound::plain(fold(Expr::IsNull { not, operand: Box::new(operand.expr) })))
    }

    fn case(
        &mut self,
        site: &Site<'a>,
        operand: Option<ExprId>,
        whens: List<WhenClause>,
        otherwise: Option<ExprId>,
    ) -> Result<Bound> {
        let operand = operand.map(|operand| self.expr(site, operand)).transpose()?;
        let source = site.source.clone();
        let mut bound_whens = Vec::new();
        let mut json = JsonResult::Always;
        for clause in source.ast().list(whens) {
            let mut when = self.expr(site, clause.when)?;
            let mut rule = plain_rule(Collation::Binary);
            if let Some(operand) = &operand {
                rule = comparison(operand, &when);
                settle(&mut when.expr, &mut rule.right);
            }
            let then = self.expr(site, clause.then)?;
            if then.json != JsonResult::Always {
                json = JsonResult::No;
            }
            bound_whens.push((when.expr, rule, then.expr));
        }
        let otherwise = otherwise.map(|otherwise| self.expr(site, otherwise)).transpose()?;
        if otherwise.as_ref().is_some_and(|otherwise| otherwise.json != JsonResult::Always) {
            json = JsonResult::No;
        }
        let mut bound = Bound::plain(Expr::Case {
            operand: operand.map(|operand| Box::new(operand.expr)),
            whens: bound_whens,
            otherwise: otherwise.map(|otherwise| Box::new(otherwise.expr)),
        });
        bound.json = json;
        Ok(bound)
    }

    fn cast(&mut self, site: &Site<'a>, operand: ExprId, type_name: NameId) -> Result<Bound> {
        let operand = self.expr(site, operand)?;
        let to = Affinity::of_declared_type(site.source.ast().text(type_name));
        let expr = fold(Expr::Cast { to, operand: Box::new(operand.expr) });
        Ok(Bound {
            affinity: Some(to),
            settled: true,
            collation: operand.collation,
            explicit: operand.explicit,
            nullable: operand.nullable,
            ..Bound::plain(expr)
        })
    }

    fn collate(&mut self, site: &Site<'a>, operand: ExprId, collation: NameId) -> Result<Bound> {
        let bound = self.expr(site, operand)?;
        let collation = self.collation(site, collation)?;
        Ok(Bound { collation: Some(collation), explicit: true, ..bound })
    }

    /// The collation of this name.
    pub(crate) fn collation(&self, site: &Site<'a>, name: NameId) -> Result<Collation> {
        let ast = site.source.ast();
        Collation::by_name(ast.text(name)).ok_or_else(|| {
            let message = format!("no such collation sequence: {}", ast.text(name));
            site.source.error(ast[name].span, message)
        })
    }

    fn raise(
        &mut self,
        site: &Site<'a>,
        action: RaiseAction,
        message: Option<ExprId>,
        span: Span,
    ) -> Result<Bound> {
        if !self.in_trigger() {
            return Err(site.source.error(span, "RAISE() may only be used within a trigger-program"));
        }
        let message = message.map(|message| self.expr(site, message)).transpose()?;
        Ok(Bound::plain(Expr::Raise { action, message: message.map(|message| Box::new(message.expr)) }))
    }

    /// Binds a predicate and takes it apart into the members of its AND; a member that is always true is left out.
    pub(crate) fn predicate(&mut self, site: &Site<'a>, id: ExprId) -> Result<Vec<Expr>> {
        let mut members = Vec::new();
        self.expr(site, id)?.expr.split_and(&mut members);
        members.retain(|member| !matches!(member, Expr::Literal(Value::Integer(1))));
        Ok(members)
    }

    /// Runs `bind` while the scope of `site` is in `clause`.
    pub(crate) fn in_clause<T>(
        &mut self,
        site: &Site<'a>,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let Some(scope) = site.scope else { return bind(self) };
        let before = std::mem::replace(&mut self.scope(scope).clause, clause);
        let result = bind(self);
        self.scope(scope).clause = before;
        result
    }
}
