//! ORDER BY and GROUP BY terms: a position, a result column's name, or an expression.

use dosql_base::Result;

use super::binder::{Binder, Site};
use super::scope::Output;
use super::typed::Bound;
use crate::parse::ast::{Ast, ExprId, ExprKind, List, OrderTerm, UnaryOp};
use crate::plan::{Expr, GroupKey};
use crate::value::{Collation, Value};

/// A bound ORDER BY term.
#[derive(Clone)]
pub(crate) struct OrderKey {
    pub(crate) source: OrderSource,
    pub(crate) collation: Collation,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// What a term sorts by.
#[derive(Clone)]
pub(crate) enum OrderSource {
    /// A result column.
    Output(usize),
    Expr(Expr),
}

/// 1st, 2nd, 3rd ..
pub(crate) fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, n) if n != 11 => "st",
        (2, n) if n != 12 => "nd",
        (3, n) if n != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// The term without COLLATE around it.
pub(crate) fn without_collate(ast: &Ast, mut id: ExprId) -> ExprId {
    while let ExprKind::Collate { operand, .. } = &ast[id].kind {
        id = *operand;
    }
    id
}

/// The position that a term is: an integer as written, signs included.
fn position(ast: &Ast, id: ExprId) -> Option<i64> {
    match &ast[id].kind {
        // As in SQLite, only what fits 32 bits; any other number is a constant like others.
        ExprKind::Literal(Value::Integer(number)) => i32::try_from(*number).ok().map(i64::from),
        ExprKind::Unary { op: UnaryOp::Negate, operand } => position(ast, *operand).map(i64::wrapping_neg),
        ExprKind::Unary { op: UnaryOp::Plus, operand } => position(ast, *operand),
        _ => None,
    }
}

impl<'a> Binder<'a> {
    /// The result column that a position means, if the term is one.
    pub(crate) fn by_position(
        &self,
        site: &Site<'a>,
        term: ExprId,
        (at, clause): (usize, &str),
        columns: usize,
    ) -> Result<Option<usize>> {
        let ast = site.source.ast();
        let Some(number) = position(ast, term) else { return Ok(None) };
        match usize::try_from(number) {
            Ok(number) if (1..=columns).contains(&number) => Ok(Some(number - 1)),
            _ => {
                let which = ordinal(at + 1);
                let message =
                    format!("{which} {clause} BY term out of range - should be between 1 and {columns}");
                Err(site.source.error(ast[term].span, message))
            }
        }
    }

    /// The terms of an ORDER BY.
    pub(crate) fn order_terms(
        &mut self,
        site: &Site<'a>,
        terms: List<OrderTerm>,
        outputs: &[Output],
    ) -> Result<Vec<OrderKey>> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut keys = Vec::with_capacity(terms.len());
        for (at, term) in ast.list(terms).iter().enumerate() {
            let inner = without_collate(ast, term.expr);
            let explicit = self.explicit_collation(site, term.expr)?;
            let mut output = self.by_position(site, inner, (at, "ORDER"), outputs.len())?;
            if output.is_none() {
                output = by_alias(ast, inner, outputs);
            }
            let (bound_source, bound): (OrderSource, Bound) = match output {
                Some(output) => (OrderSource::Output(output), outputs[output].bound.clone()),
                None => {
                    let bound = self.expr(site, inner)?;
                    let same = outputs
                        .iter()
                        .position(|o| o.bound.expr.same(&bound.expr) && !bound.expr.is_volatile());
                    let source =
                        same.map_or_else(|| OrderSource::Expr(bound.expr.clone()), OrderSource::Output);
                    (source, bound)
                }
            };
            keys.push(OrderKey {
                source: bound_source,
                collation: explicit.unwrap_or_else(|| bound.collation()),
                descending: term.descending,
                nulls_first: term.nulls_first.unwrap_or(!term.descending),
            });
        }
        Ok(keys)
    }

    /// The COLLATE around a term.
    pub(crate) fn explicit_collation(&self, site: &Site<'a>, term: ExprId) -> Result<Option<Collation>> {
        match &site.source.ast()[term].kind {
            ExprKind::Collate { collation, .. } => self.collation(site, *collation).map(Some),
            _ => Ok(None),
        }
    }

    /// The terms of a GROUP BY.
    pub(crate) fn group_terms(
        &mut self,
        site: &Site<'a>,
        terms: List<ExprId>,
        outputs: &[Output],
    ) -> Result<Vec<GroupKey>> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut keys: Vec<GroupKey> = Vec::with_capacity(terms.len());
        for (at, term) in ast.list(terms).iter().enumerate() {
            let inner = without_collate(ast, *term);
            let explicit = self.explicit_collation(site, *term)?;
            let bound = match self.by_position(site, inner, (at, "GROUP"), outputs.len())? {
                Some(output) => outputs[output].bound.clone(),
                None => self.expr(site, inner)?,
            };
            let aggregate = bound.expr.any(|expr| match expr {
                Expr::Register(register) => site.scope.is_some_and(|scope| {
                    self.scopes[scope.0].aggregates.iter().any(|a| a.output == *register)
                }),
                _ => false,
            });
            if aggregate {
                let message = "aggregate functions are not allowed in the GROUP BY clause";
                return Err(source.error(ast[*term].span, message));
            }
            let collation = explicit.unwrap_or_else(|| bound.collation());
            if keys.iter().any(|key| key.collation == collation && key.expr.same(&bound.expr)) {
                continue;
            }
            // A column stays in its register, so that what reads it need not know of the groups.
            let taken = |register| keys.iter().any(|key| key.output == register);
            let output = match bound.expr {
                Expr::Register(register) if !taken(register) => register,
                _ => self.register(site.frame),
            };
            keys.push(GroupKey { expr: bound.expr, collation, output });
        }
        Ok(keys)
    }
}

/// The result column that AS gives the name that a term is.
pub(crate) fn by_alias(ast: &Ast, term: ExprId, outputs: &[Output]) -> Option<usize> {
    let ExprKind::Column { schema: None, table: None, column } = &ast[term].kind else { return None };
    let name = ast.text(*column);
    outputs.iter().position(|output| output.alias && output.name.eq_ignore_ascii_case(name))
}
