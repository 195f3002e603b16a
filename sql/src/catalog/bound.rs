//! Binding of the expressions that belong to the schema: CHECK, DEFAULT, generated columns, indexes. They see one row of
//! their table at most, no other table, and nothing that changes from one evaluation to the next where that would make
//! stored data wrong.

use std::sync::Arc;

use dosql_base::{Env, Error, ManualClock, Result, SeededEntropy, Timestamp};

use super::schema::{Catalog, Table};
use crate::bind::{BindContext, Catalogs, RowScope, bind_expression, bind_view_columns, is_rowid_name};
use crate::func::{self, Kind, Volatility};
use crate::parse::ast::{Ast, ExprId, ExprKind};
use crate::parse::walk;
use crate::plan::{Expr, OutputColumn};
use crate::storage::Point;

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Check,
    Default,
    Generated,
    IndexExpression,
    IndexFilter,
    Filter,
}

impl Purpose {
    fn plural(self) -> &'static str {
        match self {
            Purpose::Check => "CHECK constraints",
            Purpose::Default => "DEFAULT",
            Purpose::Generated => "generated columns",
            Purpose::IndexExpression => "index expressions",
            Purpose::IndexFilter => "partial index WHERE clauses",
            Purpose::Filter => "conditions on single rows",
        }
    }
}

/// An environment that stands still: nothing of it may reach the schema.
fn still() -> Env {
    Env::new(Arc::new(ManualClock::at(Timestamp::ZERO)), Arc::new(SeededEntropy::new(0)))
}

/// Binds an expression of the schema over the row of `table`, whose columns it reads as registers from 0.
pub(crate) fn bind_alone(
    ast: &Ast,
    sql: &str,
    expr: ExprId,
    table: Option<&Arc<Table>>,
    purpose: Purpose,
) -> Result<Expr> {
    check_allowed(ast, expr, purpose)?;
    if let Some(table) = table.filter(|_| purpose == Purpose::Generated) {
        check_rowid(ast, expr, table)?;
    }
    let rows: Vec<RowScope> =
        table.map(|table| RowScope { name: None, table: Arc::clone(table), base: 0 }).into_iter().collect();
    let (catalogs, env) = (LiveOnly(Arc::default()), still());
    bind_expression(&BindContext::new(&catalogs, ast, sql, &env, Timestamp::ZERO), expr, &rows, &[])
}

fn check_allowed(ast: &Ast, expr: ExprId, purpose: Purpose) -> Result<()> {
    let offset = ast[expr].span.start as usize;
    if walk::has_query(ast, expr) {
        return Err(
            Error::invalid(format!("subqueries prohibited in {}", purpose.plural())).at_offset(offset)
        );
    }
    if walk::any(ast, expr, |expr| matches!(expr.kind, ExprKind::Parameter(_))) {
        return Err(
            Error::invalid(format!("parameters prohibited in {}", purpose.plural())).at_offset(offset)
        );
    }
    let lasting = matches!(purpose, Purpose::Generated | Purpose::IndexExpression | Purpose::IndexFilter);
    let varies = |name: &str, arguments: usize| {
        let found = func::lookup(name, arguments);
        matches!(found, Ok(f) if matches!(f.kind, Kind::Scalar { volatility: Volatility::Volatile, .. }))
    };
    let bad = walk::any(ast, expr, |expr| match &expr.kind {
        ExprKind::Function(call) => lasting && varies(ast.text(call.name), call.arguments.len()),
        ExprKind::CurrentTime(_) => lasting,
        _ => false,
    });
    if bad {
        let text = format!("non-deterministic functions prohibited in {}", purpose.plural());
        return Err(Error::invalid(text).at_offset(offset));
    }
    Ok(())
}

/// Fails where the rowid stands for what is computed from the row before it has one.
fn check_rowid(ast: &Ast, expr: ExprId, table: &Table) -> Result<()> {
    let mut named = None;
    walk::any(ast, expr, |expr| {
        if let ExprKind::Column { column, .. } = &expr.kind {
            let name = &ast[*column];
            let own = table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name.text));
            if is_rowid_name(&name.text) && !own {
                named = Some((name.text.clone(), name.span.start as usize));
            }
        }
        named.is_some()
    });
    match named {
        Some((name, offset)) => Err(Error::invalid(format!("no such column: {name}")).at_offset(offset)),
        None => Ok(()),
    }
}

/// The column positions that an expression over a row reads.
pub(crate) fn registers_read(expr: &Expr) -> Vec<usize> {
    expr.registers_read().into_iter().map(|register| register.0 as usize).collect()
}

/// The live catalog only.
pub(crate) struct LiveOnly(pub(crate) Arc<Catalog>);

impl Catalogs for LiveOnly {
    fn live(&self) -> &Arc<Catalog> {
        &self.0
    }

    fn at(&self, _: Timestamp) -> Result<(Point, Arc<Catalog>)> {
        Err(Error::invalid("the schema reads no past"))
    }
}

/// The columns of a view.
pub(crate) fn view_columns(catalog: &Arc<Catalog>, view: &str) -> Result<Vec<OutputColumn>> {
    let (catalogs, env, ast) = (LiveOnly(Arc::clone(catalog)), still(), Ast::default());
    bind_view_columns(&BindContext::new(&catalogs, &ast, "", &env, Timestamp::ZERO), view)
}
