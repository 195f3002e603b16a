//! Nested queries in expressions, and row values.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::scope::{Clause, Scope};
use super::select::Rows;
use super::typed::Bound;
use crate::parse::ast::{ExprId, ExprKind, List, QualifiedName, SelectId, Span};
use crate::plan::{Expr, Subquery};
use crate::value::Value;

impl<'a> Binder<'a> {
    /// Binds an expression that may be a row: its members, one for a plain value.
    pub(crate) fn members(&mut self, site: &Site<'a>, id: ExprId) -> Result<Vec<Bound>> {
        let source = site.source.clone();
        let ast = source.ast();
        match &ast[id].kind {
            ExprKind::Row(list) => {
                let mut members = Vec::new();
                for member in ast.list(*list) {
                    members.extend(self.members(site, *member)?);
                }
                Ok(members)
            }
            ExprKind::Subquery(select) => {
                let (query, columns) = self.subquery(site, *select)?;
                let width = columns.len();
                let scalar = |(at, column): (usize, Bound)| {
                    let column_number = u32::try_from(at).unwrap_or(u32::MAX);
                    // A COLLATE inside does not reach out of a subquery; in a row, its columns' collations do.
                    let expr = Expr::Scalar { query: query.clone(), column: column_number };
                    let collation = column.collation.filter(|_| width > 1);
                    Bound { expr, collation, explicit: false, nullable: true, column: None, ..column }
                };
                Ok(columns.into_iter().enumerate().map(scalar).collect())
            }
            _ => Ok(vec![self.expr(site, id)?]),
        }
    }

    /// What is assigned to `members` columns: a row, a subquery, or for one column any value.
    pub(crate) fn assigned(&mut self, site: &Site<'a>, id: ExprId, members: usize) -> Result<Vec<Bound>> {
        if members == 1 {
            return Ok(vec![self.expr(site, id)?]);
        }
        let bound = self.members(site, id)?;
        if bound.len() != members {
            let message = format!("{members} columns assigned {} values", bound.len());
            return Err(site.source.error(site.source.ast()[id].span, message));
        }
        Ok(bound)
    }

    pub(crate) fn scalar_subquery(&mut self, site: &Site<'a>, select: SelectId, span: Span) -> Result<Bound> {
        let (query, mut columns) = self.subquery(site, select)?;
        if columns.len() != 1 {
            let message = format!("sub-select returns {} columns - expected 1", columns.len());
            return Err(site.source.error(span, message));
        }
        let column = columns.pop().ok_or_else(|| Error::invalid("sub-select returns no columns"))?;
        // Its column's collation does not reach out of a subquery.
        Ok(Bound {
            expr: Expr::Scalar { query, column: 0 },
            collation: None,
            explicit: false,
            nullable: true,
            column: None,
            ..column
        })
    }

    pub(crate) fn exists(&mut self, site: &Site<'a>, not: bool, select: SelectId) -> Result<Bound> {
        let (mut query, _) = self.subquery(site, select)?;
        // Only whether there is a row matters.
        if let Some(inner) = Arc::get_mut(&mut query.query) {
            inner.outputs = vec![Expr::Literal(Value::Integer(1))];
            inner.columns.truncate(1);
            inner.prune();
        }
        Ok(Bound::plain(Expr::Exists { not, query }))
    }

    /// A SELECT as a query of its own, and what its columns are.
    pub(crate) fn subquery(&mut self, site: &Site<'a>, select: SelectId) -> Result<(Subquery, Vec<Bound>)> {
        self.own_query(site, |binder, inner| binder.select_rows(inner, select))
    }

    /// VALUES as a query of its own, of rows that are bound already and read nothing around them.
    pub(crate) fn values_query(
        &mut self,
        site: &Site<'a>,
        rows: Vec<Vec<Bound>>,
    ) -> Result<(Subquery, Vec<Bound>)> {
        self.own_query(site, |binder, inner| {
            let (block, outputs) = binder.values_block(inner, rows);
            Ok(Rows { tree: super::select::Tree::Block(block), outputs })
        })
    }

    /// `x IN table` and `x IN function(..)`: a query of all its columns.
    pub(crate) fn table_subquery(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        arguments: Option<List<ExprId>>,
    ) -> Result<(Subquery, Vec<Bound>)> {
        self.own_query(site, |binder, inner| {
            let scope = binder.add_scope(Scope::new(inner.scope, inner.frame, Vec::new()));
            let inner = Site { scope: Some(scope), ..inner.clone() };
            let pending = binder.named_source(&inner, name, arguments)?;
            let mut outputs = Vec::new();
            binder.in_clause(&inner, Clause::Result, |b| b.star(&inner, None, &mut outputs))?;
            let block = binder.from_block(&inner, vec![pending], Vec::new())?;
            Ok(Rows { tree: super::select::Tree::Block(block), outputs })
        })
    }

    fn own_query(
        &mut self,
        site: &Site<'a>,
        bind: impl FnOnce(&mut Self, &Site<'a>) -> Result<Rows>,
    ) -> Result<(Subquery, Vec<Bound>)> {
        let frame = self.open_frame(site.frame);
        let inner = Site { frame, ..site.clone() };
        let rows = bind(self, &inner)?;
        let columns = rows.outputs.iter().map(|output| output.bound.clone()).collect();
        let (registers, arguments) = self.close_frame(frame);
        let query = self.query(rows, registers, u32::try_from(arguments.len()).unwrap_or(u32::MAX));
        Ok((Subquery { query: Arc::new(query), arguments, id: self.next_id() }, columns))
    }
}
