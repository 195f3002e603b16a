//! WITH: CTEs that are merged, shared or recursive.
//!
//! A CTE that is used once is bound where it is used, like a SELECT in a FROM. One that is used more often (or MATERIALIZED) is a
//! query of its own, whose rows all uses share. A recursive one is a [`Node::Recursive`] that feeds on its own rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::compound::Tail;
use super::scope::{Columns, ListedColumn, Output};
use super::select::{Rows, Tree};
use super::source::{Made, Naming, PendingSource, distinct_names, listed_output, rename};
use super::typed::Bound;
use crate::parse::ast::{
    Ast, CompoundOp, Cte, ExprKind, FromItem, FromSource, InSet, List, Pool, SelectBody, SelectCore, With,
};
use crate::plan::{Expr, Node, Query, Recursive, Register, Subquery};
use crate::value::Text;

/// The CTEs of one WITH.
pub(crate) struct CteScope<'a> {
    parent: Option<usize>,
    /// Where the WITH stands.
    site: Site<'a>,
    entries: Vec<Entry>,
    /// Which entry has a name, in small letters.
    by_name: BTreeMap<String, usize>,
}

struct Entry {
    name: Text,
    cte: Cte,
    /// How often the statement names it, or anything of its name.
    uses: usize,
    state: State,
}

enum State {
    Idle,
    /// Its SELECT is being bound: naming it now is a circle.
    Binding,
    /// Its recursive members are being bound.
    Recursing {
        id: u32,
        frame: usize,
        columns: Arc<[ListedColumn]>,
    },
    /// A query of its own. The arguments are in the terms of the query that the WITH belongs to.
    Shared {
        query: Arc<Query>,
        id: u32,
        arguments: Vec<Expr>,
        columns: Arc<[ListedColumn]>,
    },
}

impl<'a> CteScope<'a> {
    pub(crate) fn new(site: &Site<'a>, with: With) -> Result<CteScope<'a>> {
        let ast = site.source.ast();
        let (mut entries, mut by_name) = (Vec::new(), BTreeMap::new());
        for cte in ast.list(with.ctes) {
            let name = Text::new(ast.text(cte.name));
            if by_name.insert(name.to_ascii_lowercase(), entries.len()).is_some() {
                let message = format!("duplicate WITH table name: {name}");
                return Err(site.source.error(ast[cte.name].span, message));
            }
            entries.push(Entry { name, cte: cte.clone(), uses: 0, state: State::Idle });
        }
        let mut scope = CteScope { parent: site.ctes, site: site.clone(), entries, by_name };
        scope.count_uses(ast);
        Ok(scope)
    }

    /// Counts how often the text names each, outside of its own SELECT.
    fn count_uses(&mut self, ast: &Ast) {
        let items = Pool::<FromItem>::pool(ast).iter().filter_map(|item| match &item.source {
            FromSource::Table { name, .. } => Some((*name, item.span)),
            _ => None,
        });
        let sets = Pool::<crate::parse::ast::Expr>::pool(ast).iter().filter_map(|expr| match &expr.kind {
            ExprKind::In { set: InSet::Table { name, .. }, .. } => Some((*name, expr.span)),
            _ => None,
        });
        for (name, span) in items.chain(sets).filter(|(name, _)| name.schema.is_none()) {
            if let Some(entry) = self.entry(ast.text(name.name)) {
                let own = ast[self.entries[entry].cte.select].span;
                let outside = span.start < own.start || span.end > own.end;
                self.entries[entry].uses += usize::from(outside);
            }
        }
    }

    fn entry(&self, name: &str) -> Option<usize> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }
}

fn names(ast: &Ast, item: &FromItem, name: &str) -> bool {
    match &item.source {
        FromSource::Table { name: table, .. } => {
            table.schema.is_none() && ast.text(table.name).eq_ignore_ascii_case(name)
        }
        _ => false,
    }
}

/// How often a FROM names the table itself, parenthesised joins included, subqueries not.
fn times_named(ast: &Ast, from: List<FromItem>, name: &str) -> usize {
    let times = |item: &FromItem| match &item.source {
        FromSource::Join(list) => times_named(ast, *list, name),
        _ => usize::from(names(ast, item, name)),
    };
    ast.list(from).iter().map(times).sum()
}

fn is_recursive(ast: &Ast, core: &SelectCore, name: &str) -> bool {
    matches!(&core.body, SelectBody::Query { from, .. } if times_named(ast, *from, name) > 0)
}

impl<'a> Binder<'a> {
    /// The CTE of this name, innermost first.
    pub(crate) fn find_cte(&self, site: &Site<'a>, name: &str) -> Option<(usize, usize)> {
        let mut at = site.ctes;
        while let Some(scope) = at {
            if let Some(entry) = self.ctes[scope].entry(name) {
                return Some((scope, entry));
            }
            at = self.ctes[scope].parent;
        }
        None
    }

    /// A FROM item that names a CTE.
    pub(crate) fn cte_source(
        &mut self,
        site: &Site<'a>,
        scope: usize,
        entry: usize,
        naming: Naming,
    ) -> Result<PendingSource> {
        let state = &self.ctes[scope].entries[entry];
        let name = state.name.clone();
        let (uses, materialized) = (state.uses, state.cte.materialized);
        match &state.state {
            State::Binding => return Err(Error::invalid(format!("circular reference: {name}"))),
            State::Recursing { id, frame, columns } => {
                if *frame != site.frame {
                    return Err(Error::invalid(format!("multiple recursive references: {name}")));
                }
                let (id, columns) = (*id, Columns::Listed(columns.clone()));
                return Ok(self.made(site, Made::Working { id }, columns, name, naming));
            }
            State::Shared { .. } if self.ctes[scope].site.catalog == site.catalog => {
                return Ok(self.shared_source(site, scope, entry, naming));
            }
            State::Shared { .. } | State::Idle => {}
        }
        let mut definition = self.ctes[scope].site.clone();
        definition.ctes = Some(scope);
        // Asked for as of another moment than it was written at: that use is its own.
        let elsewhen = definition.catalog != site.catalog;
        definition.catalog = site.catalog;
        if elsewhen || (materialized != Some(true) && (uses <= 1 || materialized == Some(false))) {
            definition.frame = site.frame;
            let rows = self.cte_rows(&definition, scope, entry)?;
            let alias = naming.alias.or(Some(name));
            return Ok(self.derived(site, rows, Naming { alias, ..naming }));
        }
        let frame = self.open_frame(definition.frame);
        definition.frame = frame;
        let rows = self.cte_rows(&definition, scope, entry)?;
        let columns = rows.outputs.iter().map(listed_output).collect();
        let (registers, arguments) = self.close_frame(frame);
        let query = self.query(rows, registers, u32::try_from(arguments.len()).unwrap_or(u32::MAX));
        let id = self.next_id();
        let shared = State::Shared { query: Arc::new(query), id, arguments, columns };
        self.ctes[scope].entries[entry].state = shared;
        Ok(self.shared_source(site, scope, entry, naming))
    }

    fn shared_source(
        &mut self,
        site: &Site<'a>,
        scope: usize,
        entry: usize,
        naming: Naming,
    ) -> PendingSource {
        let from = self.ctes[scope].site.frame;
        let Entry { name, state, .. } = &self.ctes[scope].entries[entry];
        let State::Shared { query, id, arguments, columns } = state else {
            return PendingSource::Node(Node::Nothing, name.clone());
        };
        let (name, query, id) = (name.clone(), query.clone(), *id);
        let (arguments, columns) = (arguments.clone(), Columns::Listed(columns.clone()));
        let arguments: Vec<Expr> =
            arguments.into_iter().map(|argument| self.lift(argument, from, site.frame)).collect();
        // Rows that depend on the row around it are not the same at every use.
        let shared = arguments.is_empty().then_some(id);
        let id = if shared.is_some() { id } else { self.next_id() };
        let made = Made::Nested { query: Subquery { query, arguments, id }, shared };
        self.made(site, made, columns, name, naming)
    }

    /// The rows of a CTE, bound into the query of `site`.
    fn cte_rows(&mut self, site: &Site<'a>, scope: usize, entry: usize) -> Result<Rows> {
        let source = site.source.clone();
        let ast = source.ast();
        let Entry { name, cte, .. } = &self.ctes[scope].entries[entry];
        let (name, cte) = (name.clone(), cte.clone());
        let cores = ast.list(ast[cte.select].cores);
        let first_recursive = cores.iter().skip(1).position(|core| is_recursive(ast, core, &name));
        let state = std::mem::replace(&mut self.ctes[scope].entries[entry].state, State::Binding);
        let rows = match first_recursive {
            Some(at) => self.nested(|b| b.recursive_rows(site, (scope, entry), &cte, at + 1)),
            None => self.select_rows(site, cte.select),
        };
        self.ctes[scope].entries[entry].state = state;
        let mut rows = rows?;
        name_columns(ast, &cte, &name, &mut rows.outputs)?;
        Ok(rows)
    }

    fn recursive_rows(
        &mut self,
        site: &Site<'a>,
        (scope, entry): (usize, usize),
        cte: &Cte,
        split: usize,
    ) -> Result<Rows> {
        let source = site.source.clone();
        let ast = source.ast();
        let select = &ast[cte.select];
        let mut site = site.clone();
        self.open_with(&mut site, select.with)?;
        let (seeds, steps) = ast.list(select.cores).split_at(split);
        let name = self.ctes[scope].entries[entry].name.clone();
        check_steps(ast, steps, &name)?;
        let tail = Tail::default();
        let mut seed = match seeds {
            [core] => self.core_rows(&site, core, &tail)?,
            cores => self.compound_rows(&site, cores, &tail)?,
        };
        name_columns(ast, cte, &name, &mut seed.outputs)?;
        let mut outputs = seed.outputs.clone();
        let collations: Vec<_> = outputs.iter().map(|output| output.bound.collation()).collect();
        let registers: Vec<Register> = outputs.iter().map(|_| self.register(site.frame)).collect();
        for (output, register) in outputs.iter_mut().zip(&registers) {
            let expr = Expr::Register(*register);
            output.bound = Bound { expr, settled: false, nullable: true, ..output.bound.clone() };
        }
        let id = self.next_id();
        let columns = outputs.iter().map(listed_output).collect();
        self.ctes[scope].entries[entry].state = State::Recursing { id, frame: site.frame, columns };
        let mut bound_steps = Vec::with_capacity(steps.len());
        for core in steps {
            let rows = self.core_rows(&site, core, &tail)?;
            super::compound::check_widths(core.compound, outputs.len(), rows.outputs.len())?;
            refuse_aggregate(&rows.tree)?;
            bound_steps.push(split_rows(rows));
        }
        self.ctes[scope].entries[entry].state = State::Binding;
        let tail = Tail { order_by: select.order_by, limit: select.limit, offset: select.offset };
        let keys = self.recursive_order(&site, &tail, &outputs)?;
        let (limit, offset) = self.limits(&site, &tail)?;
        let node = Node::Recursive(Box::new(Recursive {
            id,
            seed: split_rows(seed),
            steps: bound_steps,
            distinct: steps.iter().any(|core| core.compound == Some(CompoundOp::Union)),
            order_by: keys,
            limit,
            offset,
            columns: registers.into_iter().zip(collations).collect(),
        }));
        Ok(Rows { tree: Tree::Node(node), outputs })
    }
}

/// The recursive members of a compound: each names the table once, and all are joined by the same UNION or UNION ALL.
fn check_steps(ast: &Ast, steps: &[SelectCore], name: &str) -> Result<()> {
    let op = steps.last().and_then(|core| core.compound);
    for core in steps {
        let SelectBody::Query { from, .. } = &core.body else {
            return Err(Error::invalid(format!("circular reference: {name}")));
        };
        let unions = matches!(op, Some(CompoundOp::Union | CompoundOp::UnionAll)) && core.compound == op;
        match times_named(ast, *from, name) {
            1 if unions => {}
            0 | 1 => return Err(Error::invalid(format!("circular reference: {name}"))),
            _ => return Err(Error::invalid(format!("multiple references to recursive table: {name}"))),
        }
    }
    Ok(())
}

/// Rows of the table come one by one to a recursive member: it can't look at all of them.
fn refuse_aggregate(tree: &Tree) -> Result<()> {
    let Tree::Node(at) = tree else { return Ok(()) };
    let mut at = at;
    loop {
        at = match at {
            Node::Aggregate(_) => return Err(Error::invalid("recursive aggregate queries not supported")),
            Node::Window(_) => {
                return Err(Error::invalid("cannot use window functions in recursive queries"));
            }
            Node::Filter { input, .. } | Node::Compute { input, .. } => input,
            _ => return Ok(()),
        }
    }
}

/// The operators and the columns of rows.
pub(crate) fn split_rows(rows: Rows) -> (Node, Vec<Expr>) {
    let columns = rows.outputs.into_iter().map(|output| output.bound.expr).collect();
    (rows.tree.into_node(), columns)
}

fn name_columns(ast: &Ast, cte: &Cte, name: &str, outputs: &mut [Output]) -> Result<()> {
    let names = ast.list(cte.columns);
    if !names.is_empty() && names.len() != outputs.len() {
        let (values, columns) = (outputs.len(), names.len());
        return Err(Error::invalid(format!("table {name} has {values} values for {columns} columns")));
    }
    rename(outputs, names.iter().map(|name| ast.text(*name)));
    distinct_names(outputs);
    Ok(())
}
