//! Expressions.

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::call::operands;
use super::fold::fold;
use super::scope::Clause;
use super::typed::{Bound, comparison, plain_rule, settle};
use crate::func::{JsonResult, Kind, lookup};
use crate::parse::ast::{Ast, BinaryOp, ExprId, ExprKind, List, NameId, Span, UnaryOp, WhenClause};
use crate::plan::{ArithmeticOp, Expr, RaiseAction};
use crate::value::{Affinity, Collation, Value};

/// What an arithmetic operator is in a plan.
fn arithmetic_op(op: BinaryOp) -> Option<ArithmeticOp> {
    Some(match op {
        BinaryOp::BitAnd => ArithmeticOp::BitAnd,
        BinaryOp::BitOr => ArithmeticOp::BitOr,
        BinaryOp::ShiftLeft => ArithmeticOp::ShiftLeft,
        BinaryOp::ShiftRight => ArithmeticOp::ShiftRight,
        BinaryOp::Add => ArithmeticOp::Add,
        BinaryOp::Subtract => ArithmeticOp::Subtract,
        BinaryOp::Multiply => ArithmeticOp::Multiply,
        BinaryOp::Divide => ArithmeticOp::Divide,
        BinaryOp::Remainder => ArithmeticOp::Remainder,
        BinaryOp::Concat => ArithmeticOp::Concat,
        _ => return None,
    })
}

impl<'a> Binder<'a> {
    /// Binds an expression of one value. Operands are bound before what they are operands of, from a list rather than by
    /// recursion, and wait in [`Binder::ready`] until they are taken here.
    pub(crate) fn expr(&mut self, site: &Site<'a>, id: ExprId) -> Result<Bound> {
        // A subquery never waits: it is bound where it stands.
        let may_wait = !matches!(site.source.ast()[id].kind, ExprKind::Subquery(_));
        match may_wait.then(|| self.ready.take(id)).flatten() {
            Some(bound) => Ok(bound),
            None => self.bottom_up(site, id),
        }
    }

    fn bottom_up(&mut self, site: &Site<'a>, id: ExprId) -> Result<Bound> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut operands = Vec::new();
        operands_in_place(ast, id, &mut operands);
        if operands.is_empty() {
            return self.expr_of_kind(site, id);
        }
        let (base, next) = (self.ready.bound.len(), self.ready.next);
        // What is to be bound; where its operands wait, once they are bound.
        let mut pending = vec![(id, Some(base))];
        pending.extend(operands.drain(..).rev().map(|operand| (operand, None)));
        loop {
            let Some((at, operands_wait)) = pending.pop() else {
                return Err(Error::invalid("an expression without end"));
            };
            let waiting = self.ready.bound.len();
            if operands_wait.is_none() {
                operands_in_place(ast, at, &mut operands);
                if !operands.is_empty() {
                    pending.push((at, Some(waiting)));
                    pending.extend(operands.drain(..).rev().map(|operand| (operand, None)));
                    continue;
                }
            }
            let first = operands_wait.unwrap_or(waiting);
            self.ready.next = first;
            let bound = self.expr_of_kind(site, at);
            let done = pending.is_empty() || bound.is_err();
            self.ready.bound.truncate(if done { base } else { first });
            if done {
                self.ready.next = next;
                return bound;
            }
            self.ready.bound.push((at, Some(bound?)));
        }
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
            ExprKind::Binary { op, left, right } => self.binary(site, *op, *left, *right, span),
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
        if op == UnaryOp::Plus {
            // No index serves what is not a plain column: that is what people write it for.
            let expr = match bound.expr {
                column @ Expr::Register(_) => {
                    Expr::Affinity { affinity: Affinity::Blob, operand: Box::new(column) }
                }
                other => other,
            };
            return Ok(Bound { expr, affinity: None, settled: false, column: None, ..bound });
        }
        let nullable = bound.nullable;
        let shape = Bound::plain(Expr::Literal(Value::Null)).collated_by([&bound]);
        let operand = Box::new(bound.expr);
        let expr = match op {
            UnaryOp::Negate | UnaryOp::Plus => Expr::Negate(operand),
            UnaryOp::BitNot => Expr::BitNot(operand),
            UnaryOp::Not => Expr::Not(operand),
        };
        Ok(Bound { expr: fold(expr), nullable, ..shape })
    }

    fn binary(
        &mut self,
        site: &Site<'a>,
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
        span: Span,
    ) -> Result<Bound> {
        let arithmetic = arithmetic_op(op);
        let is_logic = matches!(op, BinaryOp::And | BinaryOp::Or);
        let json = match op {
            BinaryOp::JsonExtract => Some("->"),
            BinaryOp::JsonExtractText => Some("->>"),
            _ => None,
        };
        if arithmetic.is_none() && !is_logic && json.is_none() {
            return self.compare(site, op, left, right, span);
        }
        let (left, right) = (self.expr(site, left)?, self.expr(site, right)?);
        if let Some(name) = json {
            return self.scalar_function(name, vec![left, right]);
        }
        let division = matches!(op, BinaryOp::Divide | BinaryOp::Remainder);
        let nullable = left.nullable || right.nullable || division;
        let shape = Bound::plain(Expr::Literal(Value::Null)).collated_by([&left, &right]);
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        let expr = match (arithmetic, op) {
            (Some(op), _) => Expr::Arithmetic { op, left, right },
            (None, BinaryOp::And) => Expr::And(left, right),
            (None, _) => Expr::Or(left, right),
        };
        Ok(Bound { expr: fold(expr), nullable, ..shape })
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
        let operand_rows =
            operand.map(|operand| self.members(site, operand)).transpose()?.unwrap_or_default();
        let operand = if let [operand] = operand_rows.as_slice() { Some(operand.clone()) } else { None };
        let source = site.source.clone();
        let mut bound_whens = Vec::new();
        let mut json = JsonResult::Always;
        for clause in source.ast().list(whens) {
            let mut rule = plain_rule(Collation::Binary);
            let mut when = if operand_rows.len() > 1 {
                let (row, span) = (self.members(site, clause.when)?, source.ast()[clause.when].span);
                Bound::plain(self.rows_equal(&operand_rows, row, site, span)?)
            } else {
                self.expr(site, clause.when)?
            };
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
        let to = match site.source.ast().text(type_name) {
            // A column without type keeps what it gets; a cast to no type casts to a number.
            "" => Affinity::Numeric,
            declared => Affinity::of_declared_type(declared),
        };
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

/// The operands of an expression that are bound as it is: not those of aggregates and window functions, which see other rows,
/// nor rows and subqueries, which are no single values (the members of a row are).
fn operands_in_place(ast: &Ast, id: ExprId, out: &mut Vec<ExprId>) {
    if let ExprKind::Function(call) = &ast[id].kind {
        let known = lookup(ast.text(call.name), call.arguments.len());
        if call.over.is_some() || !known.is_ok_and(|function| matches!(function.kind, Kind::Scalar { .. })) {
            return;
        }
    }
    let mut direct = Vec::new();
    operands(ast, id, &mut direct);
    for operand in direct {
        value_operands(ast, operand, out);
    }
}

fn value_operands(ast: &Ast, operand: ExprId, out: &mut Vec<ExprId>) {
    match &ast[operand].kind {
        ExprKind::Row(list) => ast.list(*list).iter().for_each(|member| value_operands(ast, *member, out)),
        ExprKind::Subquery(_) => {}
        _ => out.push(operand),
    }
}
