//! Comparisons, BETWEEN, IN, LIKE.

use dosql_base::Result;

use super::binder::{Binder, Site};
use super::fold::fold;
use super::order::without_collate;
use super::typed::{Bound, comparison, list_comparison, plain_rule, settle};
use crate::parse::ast::{BinaryOp, ExprId, ExprKind, InSet, LikeOp, Span};
use crate::plan::{CompareOp, Expr, LikeKind, Subquery};
use crate::value::{Collation, Value};

/// How many rows of `(a, b) IN ((1, 2), ..)` are compared one by one.
const MAX_COMPARED_ROWS: usize = 100;

fn compare_op(op: BinaryOp) -> CompareOp {
    match op {
        BinaryOp::NotEqual => CompareOp::NotEqual,
        BinaryOp::Less => CompareOp::Less,
        BinaryOp::LessEqual => CompareOp::LessEqual,
        BinaryOp::Greater => CompareOp::Greater,
        BinaryOp::GreaterEqual => CompareOp::GreaterEqual,
        BinaryOp::Is => CompareOp::Is,
        BinaryOp::IsNot => CompareOp::IsNot,
        _ => CompareOp::Equal,
    }
}

fn negated(not: bool, expr: Expr) -> Expr {
    if not { fold(Expr::Not(Box::new(expr))) } else { expr }
}

/// `left op right` of two values.
pub(crate) fn compare_values(op: CompareOp, left: Bound, right: Bound) -> Bound {
    let mut rule = comparison(&left, &right);
    let nullable = (left.nullable || right.nullable) && !matches!(op, CompareOp::Is | CompareOp::IsNot);
    let (mut a, mut b) = (left.expr.clone(), right.expr.clone());
    settle(&mut a, &mut rule.left);
    settle(&mut b, &mut rule.right);
    let is_null = |expr: &Expr| matches!(expr, Expr::Literal(Value::Null));
    let expr = match op {
        CompareOp::Is | CompareOp::IsNot if is_null(&b) => {
            Expr::IsNull { not: op == CompareOp::IsNot, operand: Box::new(a) }
        }
        CompareOp::Is | CompareOp::IsNot if is_null(&a) => {
            Expr::IsNull { not: op == CompareOp::IsNot, operand: Box::new(b) }
        }
        _ => Expr::Compare { op, rule, left: Box::new(a), right: Box::new(b) },
    };
    Bound { nullable, ..Bound::plain(fold(expr)) }.collated_by([&left, &right])
}

/// `left op right` of two rows of one width.
fn compare_rows(op: CompareOp, left: Vec<Bound>, right: Vec<Bound>) -> Bound {
    let (each, not) = match op {
        CompareOp::Equal => (CompareOp::Equal, false),
        CompareOp::NotEqual => (CompareOp::Equal, true),
        CompareOp::Is => (CompareOp::Is, false),
        CompareOp::IsNot => (CompareOp::Is, true),
        _ => {
            let rules = left.iter().zip(&right).map(|(left, right)| comparison(left, right)).collect();
            return Bound::plain(Expr::CompareRows {
                op,
                rules,
                left: left.into_iter().map(|member| member.expr).collect(),
                right: right.into_iter().map(|member| member.expr).collect(),
            });
        }
    };
    let members = left.into_iter().zip(right).map(|(left, right)| compare_values(each, left, right).expr);
    let all = Expr::join_and(members.collect()).unwrap_or(Expr::Literal(Value::Integer(1)));
    Bound::plain(negated(not, all))
}

impl<'a> Binder<'a> {
    pub(crate) fn compare(
        &mut self,
        site: &Site<'a>,
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
        span: Span,
    ) -> Result<Bound> {
        let op = compare_op(op);
        let a = self.members(site, left)?;
        let b = self.members(site, right)?;
        if let CompareOp::Is | CompareOp::IsNot = op
            && let Some(truth) = self.truth_word(site, right, &b)
            && let [operand] = a.as_slice()
        {
            return Ok(is_truth(operand.expr.clone(), truth, op == CompareOp::IsNot));
        }
        self.compare_members(site, op, a, b, span)
    }

    fn compare_members(
        &mut self,
        site: &Site<'a>,
        op: CompareOp,
        mut left: Vec<Bound>,
        mut right: Vec<Bound>,
        span: Span,
    ) -> Result<Bound> {
        if left.len() != right.len() {
            let subquery = |side: &[Bound]| matches!(side[0].expr, Expr::Scalar { .. });
            let message = if subquery(&right) && right.len() != 1 {
                format!("sub-select returns {} columns - expected {}", right.len(), left.len())
            } else if subquery(&left) && left.len() != 1 {
                format!("sub-select returns {} columns - expected {}", left.len(), right.len())
            } else {
                "row value misused".to_owned()
            };
            return Err(site.source.error(span, message));
        }
        match (left.pop(), right.pop()) {
            (Some(a), Some(b)) if left.is_empty() => Ok(compare_values(op, a, b)),
            (a, b) => {
                left.extend(a);
                right.extend(b);
                Ok(compare_rows(op, left, right))
            }
        }
    }

    /// Whether the right side of IS is the word TRUE or FALSE rather than a column of that name.
    fn truth_word(&self, site: &Site<'a>, id: ExprId, bound: &[Bound]) -> Option<bool> {
        let ast = site.source.ast();
        let is_word = matches!(ast[without_collate(ast, id)].kind, ExprKind::Column { table: None, .. });
        match bound {
            [Bound { expr: Expr::Literal(Value::Integer(truth)), .. }] if is_word => Some(*truth == 1),
            _ => None,
        }
    }

    pub(crate) fn between(
        &mut self,
        site: &Site<'a>,
        not: bool,
        [operand, low, high]: [ExprId; 3],
        span: Span,
    ) -> Result<Bound> {
        let operand = self.members(site, operand)?;
        let mut low = self.members(site, low)?;
        let mut high = self.members(site, high)?;
        if let ([value], [from], [to]) = (operand.as_slice(), low.as_mut_slice(), high.as_mut_slice()) {
            let (mut low_rule, mut high_rule) = (comparison(value, from), comparison(value, to));
            settle(&mut from.expr, &mut low_rule.right);
            settle(&mut to.expr, &mut high_rule.right);
            let expr = Expr::Between {
                not,
                operand: Box::new(value.expr.clone()),
                low: Box::new(from.expr.clone()),
                low_rule,
                high: Box::new(to.expr.clone()),
                high_rule,
            };
            return Ok(Bound::plain(expr));
        }
        let from = self.compare_members(site, CompareOp::GreaterEqual, operand.clone(), low, span)?;
        let to = self.compare_members(site, CompareOp::LessEqual, operand, high, span)?;
        Ok(Bound::plain(negated(not, Expr::And(Box::new(from.expr), Box::new(to.expr)))))
    }

    pub(crate) fn in_set(
        &mut self,
        site: &Site<'a>,
        not: bool,
        operand: ExprId,
        set: &InSet,
        span: Span,
    ) -> Result<Bound> {
        if matches!(set, InSet::List(list) if list.is_empty()) {
            // As SQLite has it: whatever stands before an empty list is not looked at.
            return Ok(Bound::literal(Value::Integer(i64::from(not))));
        }
        let operands = self.members(site, operand)?;
        let (query, columns) = match set {
            InSet::List(list) => {
                let source = site.source.clone();
                let list = source.ast().list(*list);
                let [operand] = operands.as_slice() else {
                    return self.row_in_list(site, not, &operands, list, span);
                };
                let members: Result<Vec<Bound>> =
                    list.iter().map(|member| self.expr(site, *member)).collect();
                return Ok(in_list(not, operand, members?));
            }
            InSet::Select(select) => self.subquery(site, *select)?,
            InSet::Table { name, arguments } => self.table_subquery(site, *name, *arguments)?,
        };
        if columns.len() != operands.len() {
            let message =
                format!("sub-select returns {} columns - expected {}", columns.len(), operands.len());
            return Err(site.source.error(span, message));
        }
        Ok(in_query(not, &operands, &columns, query))
    }

    /// `(a, b) IN ((1, 2), (3, 4))`: one comparison or the other, which an index may serve; for a long list of constants a
    /// set, as if it were `IN (VALUES ..)`.
    fn row_in_list(
        &mut self,
        site: &Site<'a>,
        not: bool,
        operands: &[Bound],
        list: &[ExprId],
        span: Span,
    ) -> Result<Bound> {
        let mut rows = Vec::with_capacity(list.len());
        for member in list {
            let row = self.members(site, *member)?;
            if row.len() != operands.len() {
                let terms = if row.len() == 1 { "term" } else { "terms" };
                let message =
                    format!("IN(...) element has {} {terms} - expected {}", row.len(), operands.len());
                return Err(site.source.error(span, message));
            }
            rows.push(row);
        }
        let fixed = |bound: &Bound| matches!(bound.expr, Expr::Literal(_) | Expr::Parameter(_));
        if rows.len() > MAX_COMPARED_ROWS && rows.iter().flatten().all(fixed) {
            let (query, columns) = self.values_query(site, rows)?;
            return Ok(in_query(not, operands, &columns, query));
        }
        let equal = rows.into_iter().map(|row| compare_rows(CompareOp::Equal, operands.to_vec(), row).expr);
        let any = any_of(equal.collect()).unwrap_or(Expr::Literal(Value::Integer(0)));
        Ok(Bound::plain(negated(not, any)))
    }

    /// Whether `operand = when`, of rows.
    pub(crate) fn rows_equal(
        &mut self,
        operand: &[Bound],
        when: Vec<Bound>,
        site: &Site<'a>,
        span: Span,
    ) -> Result<Expr> {
        Ok(self.compare_members(site, CompareOp::Equal, operand.to_vec(), when, span)?.expr)
    }

    pub(crate) fn like(
        &mut self,
        site: &Site<'a>,
        op: LikeOp,
        not: bool,
        [operand, pattern]: [ExprId; 2],
        escape: Option<ExprId>,
        span: Span,
    ) -> Result<Bound> {
        let operand = self.expr(site, operand)?;
        let pattern = self.expr(site, pattern)?;
        let kind = match op {
            LikeOp::Like if self.cx.case_sensitive_like => LikeKind::CaseSensitive,
            LikeOp::Like => LikeKind::Like,
            LikeOp::Glob => LikeKind::Glob,
            LikeOp::Match | LikeOp::Regexp => {
                let name = if op == LikeOp::Match { "MATCH" } else { "REGEXP" };
                let bound = self
                    .scalar_function(name, vec![pattern, operand])
                    .map_err(|error| site.source.place(span, error))?;
                return Ok(Bound::plain(negated(not, bound.expr)));
            }
        };
        let escape = escape.map(|escape| self.expr(site, escape)).transpose()?;
        let nullable = operand.nullable || pattern.nullable || escape.is_some();
        let expr = Expr::Like {
            kind,
            not,
            operand: Box::new(operand.expr),
            pattern: Box::new(pattern.expr),
            escape: escape.map(|escape| Box::new(escape.expr)),
        };
        Ok(Bound { nullable, ..Bound::plain(expr) })
    }
}

/// `x IS [NOT] TRUE | FALSE`.
fn is_truth(operand: Expr, truth: bool, not: bool) -> Bound {
    let when = if truth { operand } else { Expr::Not(Box::new(operand)) };
    let answer = |yes: bool| Expr::Literal(Value::from(yes));
    let mut bound = Bound::plain(Expr::Case {
        operand: None,
        whens: vec![(when, plain_rule(Collation::Binary), answer(!not))],
        otherwise: Some(Box::new(answer(not))),
    });
    bound.nullable = false;
    bound
}

/// `operands IN (query)`.
fn in_query(not: bool, operands: &[Bound], columns: &[Bound], query: Subquery) -> Bound {
    let rules = operands.iter().zip(columns).map(|(operand, column)| comparison(operand, column)).collect();
    let operands = operands.iter().map(|operand| operand.expr.clone()).collect();
    Bound::plain(Expr::InQuery { not, operands, rules, query })
}

/// Joins members with OR, in a tree as low as can be.
fn any_of(mut members: Vec<Expr>) -> Option<Expr> {
    while members.len() > 1 {
        let mut joined = Vec::with_capacity(members.len().div_ceil(2));
        let mut pairs = members.into_iter();
        while let Some(left) = pairs.next() {
            joined.push(match pairs.next() {
                Some(right) => Expr::Or(Box::new(left), Box::new(right)),
                None => left,
            });
        }
        members = joined;
    }
    members.pop()
}

fn in_list(not: bool, operand: &Bound, members: Vec<Bound>) -> Bound {
    if members.is_empty() {
        return Bound::literal(Value::from(not));
    }
    let mut rule = list_comparison(operand);
    let mut list: Vec<Expr> = members.into_iter().map(|member| member.expr).collect();
    if list.iter().all(|member| matches!(member, Expr::Literal(_))) {
        for member in &mut list {
            let mut conversion = rule.right;
            settle(member, &mut conversion);
        }
        rule.right = None;
    }
    let operand_expr = Box::new(operand.expr.clone());
    let expr = match list.pop() {
        Some(only) if list.is_empty() => {
            let op = if not { CompareOp::NotEqual } else { CompareOp::Equal };
            fold(Expr::Compare { op, rule, left: operand_expr, right: Box::new(only) })
        }
        last => {
            list.extend(last);
            Expr::InList { not, operand: operand_expr, rule, list }
        }
    };
    Bound::plain(expr).collated_by([operand])
}
