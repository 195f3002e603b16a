//! What UPDATE and DELETE read before they change anything.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::from::Pending;
use super::scope::{Clause, Columns, Output, Scope};
use super::select::Parts;
use super::source::{Made, Naming};
use super::typed::Bound;
use crate::catalog::schema::Table;
use crate::parse::ast::{ExprId, FromItem, IndexedBy, List, NameId, OrderTerm, With};
use crate::plan::choose::IndexHint;
use crate::plan::{Expr, JoinKind, Query};
use crate::storage::{Point, ReadPoint};
use crate::value::{Text, Value};

/// What an UPDATE or DELETE reads.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The table; a view's stand-in where `view` is set.
    pub table: &'t Arc<Table>,
    /// The rows are those of the view of the table's name (INSTEAD OF triggers change it).
    pub view: bool,
    /// What the statement calls it.
    pub alias: Option<NameId>,
    /// Its WITH.
    pub with: With,
    /// INDEXED BY and NOT INDEXED.
    pub indexed: Option<IndexedBy>,
    /// UPDATE .. FROM.
    pub from: List<FromItem>,
    /// WHERE.
    pub filter: Option<ExprId>,
    /// ORDER BY, with LIMIT.
    pub order_by: List<OrderTerm>,
    /// LIMIT.
    pub limit: Option<ExprId>,
    /// OFFSET.
    pub offset: Option<ExprId>,
    /// What else is evaluated for every row: the values of SET.
    pub extra: &'t [Extra],
}

/// A value of SET.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    /// The value.
    pub expr: ExprId,
    /// To how many columns it is assigned: so many outputs it has.
    pub members: usize,
}

impl<'a> Binder<'a> {
    pub(crate) fn target(&mut self, site: &Site<'a>, target: &Target<'_>) -> Result<Query> {
        let mut site = site.clone();
        self.open_with(&mut site, target.with)?;
        let scope = self.add_scope(Scope::new(site.scope, site.frame, Vec::new()));
        let inner = Site { scope: Some(scope), ..site.clone() };
        let mut pending = vec![self.target_source(&inner, target)?];
        for mut joined in self.from_items(&inner, target.from, false)? {
            let items = &self.scopes[scope.0].items;
            let name = items[0].name.clone().unwrap_or_default();
            if items[1..].iter().any(|item| item.is_named(&name)) {
                let message = format!("target object/alias may not appear in FROM clause: {name}");
                return Err(Error::invalid(message));
            }
            if matches!(joined.join, JoinKind::Right | JoinKind::Full) {
                return Err(Error::unsupported("UPDATE .. FROM with a RIGHT or FULL JOIN"));
            }
            joined.keep_order = false;
            pending.push(joined);
        }
        let width = target.table.columns.len();
        let mut outputs = Vec::with_capacity(width + 1 + target.extra.len());
        let output = |bound: Bound| Output { bound, name: Text::default(), alias: false };
        outputs.push(output(if target.view || target.table.without_rowid {
            Bound::literal(Value::Null)
        } else {
            self.column(scope, 0, target.table.rowid_alias.unwrap_or(width))
        }));
        for column in 0..width {
            outputs.push(output(self.column(scope, 0, column)));
        }
        for extra in target.extra {
            outputs.extend(self.assigned(&inner, extra.expr, extra.members)?.into_iter().map(output));
        }
        let filter = target.filter.map(|filter| self.predicate(&inner, filter)).transpose()?;
        self.scope(scope).may_aggregate = false;
        let order =
            self.in_clause(&inner, Clause::Result, |b| b.order_terms(&inner, target.order_by, &[]))?;
        let block = self.from_block(&inner, pending, filter.unwrap_or_default())?;
        let tail = super::compound::Tail { limit: target.limit, offset: target.offset, ..Default::default() };
        let (limit, offset) = self.limits(&site, &tail)?;
        let rows = self.assemble(Parts {
            scope,
            block,
            distinct: false,
            outputs,
            keys: Vec::new(),
            aggregated: false,
            having: Vec::<Expr>::new(),
            order,
            limit,
            offset,
        })?;
        let (registers, arguments) = self.top_extent();
        Ok(self.query(rows, registers, arguments))
    }

    fn target_source(&mut self, site: &Site<'a>, target: &Target<'_>) -> Result<Pending> {
        let ast = site.source.ast();
        let alias = target.alias.map(|alias| Text::new(ast.text(alias)));
        if target.view {
            let alias = alias.or_else(|| Some(target.table.name.clone()));
            let source = self.view_source(site, &target.table.name, Naming { alias, nullable: false })?;
            return Ok(Pending::first(source));
        }
        let hint = match self.hint(site, target.table, target.indexed)? {
            IndexHint::Free => IndexHint::Changed,
            hint => hint,
        };
        let made = Made::Table { table: target.table.clone(), point: ReadPoint::Known(Point::Live), hint };
        let columns = Columns::Table(target.table.clone());
        let naming = Naming { alias, nullable: false };
        Ok(Pending::first(self.made(site, made, columns, target.table.name.clone(), naming)))
    }
}
