//! UNION, UNION ALL, INTERSECT, EXCEPT, and the ORDER BY over them.

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::cte::split_rows;
use super::mixed::Mixed;
use super::order::{by_alias, ordinal, without_collate};
use super::scope::{Clause, Output, ScopeId};
use super::select::{Rows, Tree};
use super::typed::Bound;
use crate::func::JsonResult;
use crate::parse::ast::{CompoundOp, ExprId, ExprKind, List, OrderTerm, SelectCore};
use crate::plan::{ArithmeticOp, Compound, CompoundKind, Expr, Node, SortKey};
use crate::value::{Affinity, Value};

/// How many SELECTs a compound may have.
const MAX_TERMS: usize = 500;

/// What follows the last SELECT.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tail {
    pub(crate) order_by: List<OrderTerm>,
    pub(crate) limit: Option<ExprId>,
    pub(crate) offset: Option<ExprId>,
}

fn kind_of(op: Option<CompoundOp>) -> CompoundKind {
    match op {
        Some(CompoundOp::Union) => CompoundKind::Union,
        Some(CompoundOp::Intersect) => CompoundKind::Intersect,
        Some(CompoundOp::Except) => CompoundKind::Except,
        Some(CompoundOp::UnionAll) | None => CompoundKind::UnionAll,
    }
}

/// Which kinds of values an expression may give.
#[derive(Clone, Copy, Default)]
struct Kinds {
    numbers: bool,
    text: bool,
}

impl Kinds {
    const ALL: Kinds = Kinds { numbers: true, text: true };

    fn of(bound: &Bound) -> Kinds {
        match bound.affinity {
            Some(Affinity::Blob) => Kinds::ALL,
            Some(Affinity::Text) => Kinds { numbers: false, text: true },
            Some(_) => Kinds { numbers: true, text: false },
            None => Kinds::of_expr(&bound.expr),
        }
    }

    /// Of an expression without affinity. Branches of a CASE are not looked into.
    fn of_expr(expr: &Expr) -> Kinds {
        match expr {
            Expr::Literal(Value::Null | Value::Blob(_)) => Kinds::default(),
            Expr::Literal(Value::Text(_)) | Expr::Arithmetic { op: ArithmeticOp::Concat, .. } => {
                Kinds { numbers: false, text: true }
            }
            Expr::Register(_)
            | Expr::Outer(_)
            | Expr::Parameter(_)
            | Expr::Function { .. }
            | Expr::Case { .. }
            | Expr::Scalar { .. } => Kinds::ALL,
            _ => Kinds { numbers: true, text: false },
        }
    }
}

/// The affinity of a column of a compound: that of its first SELECT, unless another may give values of the other kind.
fn shared_affinity(first: Option<Affinity>, other: &Bound) -> Option<Affinity> {
    let kinds = Kinds::of(other);
    let contradicted = match first {
        Some(Affinity::Text) => kinds.numbers,
        Some(affinity) => affinity.is_numeric() && kinds.text,
        None => false,
    };
    if contradicted { Some(Affinity::Blob) } else { first }
}

/// Both sides of a compound must be equally wide.
pub(crate) fn check_widths(op: Option<CompoundOp>, left: usize, right: usize) -> Result<()> {
    if left == right {
        return Ok(());
    }
    let op = match kind_of(op) {
        CompoundKind::UnionAll => "UNION ALL",
        CompoundKind::Union => "UNION",
        CompoundKind::Intersect => "INTERSECT",
        CompoundKind::Except => "EXCEPT",
    };
    Err(Error::invalid(format!(
        "SELECTs to the left and right of {op} do not have the same number of result columns"
    )))
}

impl<'a> Binder<'a> {
    pub(crate) fn compound_rows(
        &mut self,
        site: &Site<'a>,
        cores: &[SelectCore],
        tail: &Tail,
    ) -> Result<Rows> {
        if cores.len() > MAX_TERMS {
            return Err(Error::limit(format!("too many terms in compound SELECT: at most {MAX_TERMS}")));
        }
        let mut scopes = Vec::with_capacity(cores.len());
        let mut left: Option<Rows> = None;
        let mut names: Vec<Vec<Output>> = Vec::new();
        let mut mixed: Vec<Mixed> = Vec::new();
        for core in cores {
            // A SELECT makes its own scope before any other.
            scopes.push(ScopeId(self.scopes.len()));
            let right = self.core_rows(site, core, &Tail::default())?;
            if !tail.order_by.is_empty() {
                names.push(right.outputs.clone());
            }
            left = Some(match left {
                None => {
                    mixed.extend(right.outputs.iter().map(|output| Mixed::new(&output.bound)));
                    right
                }
                Some(left) => {
                    check_widths(core.compound, left.outputs.len(), right.outputs.len())?;
                    for (mixed, output) in mixed.iter_mut().zip(&right.outputs) {
                        mixed.add(&output.bound);
                    }
                    self.combine(site, kind_of(core.compound), left, right)
                }
            });
        }
        let Some(Rows { tree, mut outputs }) = left else {
            return Err(Error::invalid("a compound without SELECTs"));
        };
        for (mixed, output) in mixed.iter().zip(&mut outputs) {
            mixed.settle(output);
        }
        let mut node = tree.into_node();
        let keys = self.compound_order(site, tail, &scopes, &names, &outputs)?;
        let (limit, offset) = self.limits(site, tail)?;
        if !keys.is_empty() {
            let keys = keys.into_iter().map(|(_, key)| key).collect();
            let kept = limit.is_some().then(|| Box::new((limit.clone(), offset.clone())));
            node = Node::Sort { input: Box::new(node), keys, limit: kept };
        }
        if limit.is_some() || offset.is_some() {
            node = Node::Limit { input: Box::new(node), limit, offset };
        }
        Ok(Rows { tree: Tree::Node(node), outputs })
    }

    fn combine(&mut self, site: &Site<'a>, kind: CompoundKind, left: Rows, right: Rows) -> Rows {
        let mut outputs = Vec::with_capacity(left.outputs.len());
        let mut columns = Vec::with_capacity(left.outputs.len());
        for (at, (a, b)) in left.outputs.iter().zip(&right.outputs).enumerate() {
            // A chain of them fills the same registers at every link: their rows are as wide at its end as at its start.
            let register = match (&left.tree, &a.bound.expr) {
                (Tree::Node(Node::Compound(inner)), Expr::Register(register))
                    if inner.columns.get(at).is_some_and(|(filled, _)| filled == register) =>
                {
                    *register
                }
                _ => self.register(site.frame),
            };
            let collation = a.bound.collation.or(b.bound.collation);
            let settled = a.bound.settled && b.bound.settled && a.bound.affinity == b.bound.affinity;
            let both_json = a.bound.json == JsonResult::Always && b.bound.json == JsonResult::Always;
            columns.push((register, collation.unwrap_or_default()));
            outputs.push(Output {
                bound: Bound {
                    expr: Expr::Register(register),
                    affinity: shared_affinity(a.bound.affinity, &b.bound),
                    settled,
                    collation,
                    explicit: false,
                    json: if both_json { JsonResult::Always } else { JsonResult::No },
                    nullable: a.bound.nullable || b.bound.nullable,
                    ..a.bound.clone()
                },
                name: a.name.clone(),
                alias: a.alias,
            });
        }
        let compound = Compound { kind, left: split_rows(left), right: split_rows(right), columns };
        Rows { tree: Tree::Node(Node::Compound(Box::new(compound))), outputs }
    }

    /// ORDER BY over a compound: every term is a result column, by position, by name, or written as in one of the SELECTs.
    fn compound_order(
        &mut self,
        site: &Site<'a>,
        tail: &Tail,
        scopes: &[ScopeId],
        names: &[Vec<Output>],
        outputs: &[Output],
    ) -> Result<Vec<(usize, SortKey)>> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut keys = Vec::new();
        for (at, term) in ast.list(tail.order_by).iter().enumerate() {
            let inner = without_collate(ast, term.expr);
            let mut column = self.by_position(site, inner, (at, "ORDER"), outputs.len())?;
            for (scope, names) in scopes.iter().zip(names) {
                if column.is_none() {
                    column = by_alias(ast, inner, names);
                }
                if column.is_none() {
                    column = self.written_alike(site, *scope, inner);
                }
            }
            if column.is_none()
                && let ExprKind::Column { schema: None, table: None, column: name } = &ast[inner].kind
            {
                let name = ast.text(*name);
                column = outputs.iter().position(|output| output.name.eq_ignore_ascii_case(name));
            }
            let Some(column) = column else {
                let which = ordinal(at + 1);
                let message = format!("{which} ORDER BY term does not match any column in the result set");
                return Err(source.error(ast[term.expr].span, message));
            };
            let explicit = self.explicit_collation(site, term.expr)?;
            let bound = &outputs[column].bound;
            let key = SortKey {
                expr: bound.expr.clone(),
                collation: explicit.unwrap_or_else(|| bound.collation()),
                descending: term.descending,
                nulls_first: term.nulls_first.unwrap_or(!term.descending),
            };
            keys.push((column, key));
        }
        Ok(keys)
    }

    /// The result column of the SELECT with this scope that is the same expression.
    fn written_alike(&mut self, site: &Site<'a>, scope: ScopeId, term: ExprId) -> Option<usize> {
        let inner = Site { scope: Some(scope), ..site.clone() };
        let bound = self.in_clause(&inner, Clause::Result, |b| b.expr(&inner, term)).ok()?;
        self.scopes[scope.0].result.iter().position(|result| result.same(&bound.expr))
    }

    /// The ORDER BY of a recursive CTE, by column position.
    pub(crate) fn recursive_order(
        &mut self,
        site: &Site<'a>,
        tail: &Tail,
        outputs: &[Output],
    ) -> Result<Vec<(usize, SortKey)>> {
        let names: Vec<Output> =
            outputs.iter().map(|output| Output { alias: true, ..output.clone() }).collect();
        self.compound_order(site, tail, &[ScopeId(0)], &[names], outputs)
    }
}
