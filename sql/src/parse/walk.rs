//! Walks over the expressions of a tree without recursion.

use smallvec::SmallVec;

use super::ast::{Ast, Expr, ExprId, ExprKind, InSet, Over, SelectId};

/// What an expression is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// Expressions directly inside it, in the order of the text.
    pub(crate) exprs: SmallVec<[ExprId; 4]>,
    /// Queries directly inside it.
    pub(crate) selects: SmallVec<[SelectId; 1]>,
}

/// The parts of `expr`.
#[must_use]
pub(crate) fn parts(ast: &Ast, expr: &Expr) -> Parts {
    let mut parts = Parts::default();
    let exprs = &mut parts.exprs;
    match &expr.kind {
        ExprKind::Literal(_)
        | ExprKind::CurrentTime(_)
        | ExprKind::Parameter(_)
        | ExprKind::Column { .. } => {}
        ExprKind::Unary { operand, .. }
        | ExprKind::IsNull { operand, .. }
        | ExprKind::Cast { operand, .. }
        | ExprKind::Collate { operand, .. } => exprs.push(*operand),
        ExprKind::Binary { left, right, .. } => exprs.extend([*left, *right]),
        ExprKind::Like { operand, pattern, escape, .. } => {
            exprs.extend([*operand, *pattern]);
            exprs.extend(*escape);
        }
        ExprKind::Between { operand, low, high, .. } => exprs.extend([*operand, *low, *high]),
        ExprKind::In { operand, set, .. } => {
            exprs.push(*operand);
            match set {
                InSet::List(list) => exprs.extend_from_slice(ast.list(*list)),
                InSet::Select(select) => parts.selects.push(*select),
                InSet::Table { arguments, .. } => {
                    exprs.extend_from_slice(ast.list(arguments.unwrap_or_default()));
                }
            }
        }
        ExprKind::Exists { select, .. } | ExprKind::Subquery(select) => parts.selects.push(*select),
        ExprKind::Case { operand, whens, otherwise } => {
            exprs.extend(*operand);
            exprs.extend(ast.list(*whens).iter().flat_map(|case| [case.when, case.then]));
            exprs.extend(*otherwise);
        }
        ExprKind::Function(call) => {
            exprs.extend_from_slice(ast.list(call.arguments));
            exprs.extend(ast.list(call.order_by).iter().map(|term| term.expr));
            exprs.extend(call.filter);
            if let Some(Over::Definition(window)) = &call.over {
                exprs.extend_from_slice(ast.list(ast[*window].partition_by));
                exprs.extend(ast.list(ast[*window].order_by).iter().map(|term| term.expr));
            }
        }
        ExprKind::Row(members) => exprs.extend_from_slice(ast.list(*members)),
        ExprKind::Raise { message, .. } => exprs.extend(*message),
    }
    parts
}

/// Whether `found` holds for `root` or an expression inside it; queries inside are not entered.
pub(crate) fn any(ast: &Ast, root: ExprId, mut found: impl FnMut(&Expr) -> bool) -> bool {
    let mut open: SmallVec<[ExprId; 16]> = SmallVec::from_slice(&[root]);
    while let Some(id) = open.pop() {
        let expr = &ast[id];
        if found(expr) {
            return true;
        }
        open.extend(parts(ast, expr).exprs);
    }
    false
}

/// Whether a query stands anywhere in `root`.
#[must_use]
pub(crate) fn has_query(ast: &Ast, root: ExprId) -> bool {
    any(ast, root, |expr| {
        !parts(ast, expr).selects.is_empty()
            || matches!(expr.kind, ExprKind::In { set: InSet::Table { .. }, .. })
    })
}
