//! FROM: items in their scope, joins, USING and NATURAL, and what of it becomes one block for the planner.

use std::ops::Range;

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::predicate::compare_values;
use super::scope::{Item, ScopeId};
use super::source::{Made, PendingSource};
use crate::parse::ast::{self, ExprId, FromItem, JoinConstraint, List};
use crate::plan::choose::{FromBlock, IndexHint, Relation, Source, TableSource, plan_from};
use crate::plan::{Access, CompareOp, Expr, JoinKind, Node, Register, VersionPart, VersionScan};
use crate::storage::{Point, ReadPoint};
use crate::value::{Text, Value};

/// How many tables a FROM may join.
const MAX_JOINED: usize = 64;

/// A FROM item whose columns are not all known yet: they are those that the rest of the SELECT uses.
pub(crate) struct Pending {
    pub(crate) source: PendingSource,
    pub(crate) join: JoinKind,
    pub(crate) keep_order: bool,
    /// USING and NATURAL.
    pub(crate) on: Vec<Expr>,
    /// ON as written.
    pub(crate) on_written: Option<ExprId>,
}

impl Pending {
    pub(crate) fn first(source: PendingSource) -> Pending {
        Pending { source, join: JoinKind::Inner, keep_order: false, on: Vec::new(), on_written: None }
    }
}

fn plan_kind(kind: ast::JoinKind) -> JoinKind {
    match kind {
        ast::JoinKind::Inner | ast::JoinKind::Cross => JoinKind::Inner,
        ast::JoinKind::Left => JoinKind::Left,
        ast::JoinKind::Right => JoinKind::Right,
        ast::JoinKind::Full => JoinKind::Full,
    }
}

impl<'a> Binder<'a> {
    /// Puts the items of a FROM into the scope of `site`. `nullable`: a join around them leaves some rows without a match.
    pub(crate) fn from_items(
        &mut self,
        site: &Site<'a>,
        list: List<FromItem>,
        nullable: bool,
    ) -> Result<Vec<Pending>> {
        let source = site.source.clone();
        let items = source.ast().list(list);
        let Some(scope) = site.scope else { return Ok(Vec::new()) };
        let start = self.scopes[scope.0].items.len();
        let outer = |kind: ast::JoinKind| matches!(kind, ast::JoinKind::Right | ast::JoinKind::Full);
        let padded = items.iter().any(|item| outer(item.join.kind));
        let mut pending = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let kind = if at == 0 { ast::JoinKind::Inner } else { item.join.kind };
            let nullable = nullable
                || matches!(kind, ast::JoinKind::Left | ast::JoinKind::Full)
                || items[at + 1..].iter().any(|later| outer(later.join.kind));
            let first = self.scopes[scope.0].items.len();
            let made = self.from_source(site, item, nullable)?;
            let end = self.scopes[scope.0].items.len();
            if end > MAX_JOINED {
                let message = format!("at most {MAX_JOINED} tables in a join");
                return Err(source.place(item.span, Error::limit(message)));
            }
            let mut joined = Pending::first(made);
            joined.join = plan_kind(kind);
            joined.keep_order = kind == ast::JoinKind::Cross && !item.join.comma && at > 0;
            self.join_constraint(site, item, padded, &mut joined, start..first, first..end)?;
            pending.push(joined);
        }
        Ok(pending)
    }

    fn join_constraint(
        &mut self,
        site: &Site<'a>,
        item: &FromItem,
        padded: bool,
        joined: &mut Pending,
        left: Range<usize>,
        right: Range<usize>,
    ) -> Result<()> {
        let source = site.source.clone();
        let Some(scope) = site.scope else { return Ok(()) };
        let written = !matches!(item.constraint, JoinConstraint::None);
        if left.is_empty() {
            if written {
                return Err(source.error(item.span, "a JOIN clause is required before ON"));
            }
            return Ok(());
        }
        if item.join.natural {
            if written {
                return Err(source.error(item.span, "a NATURAL join may not have an ON or USING clause"));
            }
            let names = self.common_columns(scope, left.clone(), right.clone());
            joined.on = self.join_using(scope, &names, left, right, item.join.kind, padded)?;
            return Ok(());
        }
        match &item.constraint {
            JoinConstraint::None => {}
            JoinConstraint::On(expr) => joined.on_written = Some(*expr),
            JoinConstraint::Using(names) => {
                let ast = source.ast();
                let names: Vec<Text> =
                    ast.list(*names).iter().map(|name| Text::new(ast.text(*name))).collect();
                let on = self.join_using(scope, &names, left, right, item.join.kind, padded);
                joined.on = on.map_err(|error| source.place(item.span, error))?;
            }
        }
        Ok(())
    }

    /// The names that NATURAL joins by.
    fn common_columns(&self, scope: ScopeId, left: Range<usize>, right: Range<usize>) -> Vec<Text> {
        let items = &self.scopes[scope.0].items;
        let mut names: Vec<Text> = Vec::new();
        for item in &items[right] {
            for at in 0..item.columns.len() {
                let name = item.columns.name(at);
                let known = names.iter().any(|known| known.eq_ignore_ascii_case(name));
                if !known
                    && !item.columns.is_hidden(at)
                    && items[left.clone()].iter().any(|item| item.columns.find(name).is_some())
                {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// USING, with the leftmost column of the name on the left. Where a RIGHT or FULL JOIN pads rows (`padded`) with NULL that
    /// column can be NULL while another has the value: then the name has to stand for one alone, or for all of them.
    fn join_using(
        &mut self,
        scope: ScopeId,
        names: &[Text],
        left: Range<usize>,
        right: Range<usize>,
        kind: ast::JoinKind,
        padded: bool,
    ) -> Result<Vec<Expr>> {
        let mut on = Vec::with_capacity(names.len());
        for name in names {
            let has = |at: &usize| self.scopes[scope.0].items[*at].columns.find(name).is_some();
            let searched = match left.clone().find(has) {
                Some(first) if !padded => first..first + 1,
                _ => left.clone(),
            };
            let a = self.find_among(scope, searched, name)?;
            let b = self.find_among(scope, right.clone(), name)?;
            let (Some(a), Some(b)) = (a, b) else {
                return Err(Error::invalid(format!(
                    "cannot join using column {name} - column not present in both tables"
                )));
            };
            on.push(compare_values(CompareOp::Equal, a, b).expr);
            for item in &mut self.scopes[scope.0].items[right.clone()] {
                if item.columns.find(name).is_some() {
                    item.using.push(name.clone());
                    item.using_kind = kind;
                }
            }
        }
        Ok(on)
    }

    /// The block of these items, once everything that reads their columns is bound.
    pub(crate) fn from_block(
        &mut self,
        site: &Site<'a>,
        mut pending: Vec<Pending>,
        filter: Vec<Expr>,
    ) -> Result<FromBlock> {
        self.bind_on(site, &mut pending)?;
        let mut block = self.build_block(site, pending);
        check_on(&mut block)?;
        block.filter.extend(filter);
        Ok(block)
    }

    fn bind_on(&mut self, site: &Site<'a>, pending: &mut [Pending]) -> Result<()> {
        for joined in pending {
            if let Some(on) = joined.on_written {
                joined.on.extend(self.predicate(site, on)?);
            }
            if let PendingSource::Group(inner) = &mut joined.source {
                self.bind_on(site, inner)?;
            }
        }
        Ok(())
    }

    fn build_block(&mut self, site: &Site<'a>, pending: Vec<Pending>) -> FromBlock {
        let mut block = FromBlock::default();
        for (at, Pending { source, join, keep_order, on, .. }) in pending.into_iter().enumerate() {
            let source = match source {
                PendingSource::Made(made, item) => self.build_source(site, made, item),
                PendingSource::Node(node, name) => {
                    let registers = node.registers_filled();
                    Source::Node { node, registers, name }
                }
                PendingSource::Block(inner, name) => {
                    match merge(&mut block, inner, join, keep_order, at == 0) {
                        Ok(()) => {
                            add_on(&mut block, on);
                            continue;
                        }
                        Err(inner) if inner.relations.is_empty() => {
                            let node = plan_from(inner).node;
                            Source::Node { node, registers: Vec::new(), name }
                        }
                        Err(inner) => Source::Block(Box::new(inner)),
                    }
                }
                PendingSource::Group(inner) => {
                    let inner = self.build_block(site, inner);
                    match merge(&mut block, inner, join, keep_order, at == 0) {
                        Ok(()) => {
                            add_on(&mut block, on);
                            continue;
                        }
                        Err(inner) => Source::Block(Box::new(inner)),
                    }
                }
            };
            block.relations.push(Relation { source, join, keep_order, on });
        }
        block
    }

    fn build_source(&mut self, site: &Site<'a>, made: Made, item: usize) -> Source {
        let Some(scope) = site.scope else {
            return Source::Node { node: Node::OneRow, registers: Vec::new(), name: Text::default() };
        };
        let item: &Item = &self.scopes[scope.0].items[item];
        let name = item.name.clone().unwrap_or_default();
        let registers =
            |columns: &[(usize, Register)]| columns.iter().map(|(_, register)| *register).collect();
        match made {
            Made::Table { table, point, hint } => {
                let columns = item.used_columns();
                let rows = self.cx.catalog.rows(table.space);
                Source::Table(TableSource { table, alias: name, point, hint, columns, rows, versions: None })
            }
            Made::Function { function, arguments } => {
                let columns = item.used();
                let registers = registers(&columns);
                Source::Node { node: Node::TableFunction { function, arguments, columns }, registers, name }
            }
            Made::Versions { table, part: VersionPart::Versions { from, to } } => {
                let column = |(position, register): (usize, Register)| {
                    (VersionScan::source(&table, position), register)
                };
                let columns = item.used().into_iter().map(column).collect();
                Source::Table(TableSource {
                    alias: name,
                    point: ReadPoint::Known(Point::Live),
                    // What was so is in no index.
                    hint: IndexHint::None,
                    columns,
                    rows: self.cx.catalog.rows(table.space),
                    versions: Some((from, to)),
                    table,
                })
            }
            Made::Versions { table, part } => {
                let columns = item.used();
                let registers = registers(&columns);
                let node =
                    Node::Versions(Box::new(VersionScan { table, part, access: Access::Full, columns }));
                Source::Node { node, registers, name }
            }
            Made::Nested { query, shared } => {
                let columns = item.used();
                let registers = registers(&columns);
                Source::Node { node: Node::Nested { query, columns, shared }, registers, name }
            }
            Made::Known { rows } => {
                let columns = item.used();
                let registers: Vec<Register> = registers(&columns);
                // Behind its columns a row has its number.
                let cells = |(number, row): (i64, &[Value; 5])| {
                    let cell = |at: usize| row.get(at).cloned().unwrap_or(Value::Integer(number));
                    columns.iter().map(|(column, _)| Expr::Literal(cell(*column))).collect()
                };
                let rows = (1..).zip(&rows).map(cells).collect();
                Source::Node { node: Node::Values { rows, registers: registers.clone() }, registers, name }
            }
            Made::Working { id } => {
                let columns = item.used();
                let registers = registers(&columns);
                Source::Node { node: Node::WorkingTable { id, columns }, registers, name }
            }
        }
    }
}

/// Makes the relations of `inner` relations of `block`, where that means the same: an inner join of inner joins, a left join
/// of one table, or anything that comes first.
fn merge(
    block: &mut FromBlock,
    mut inner: FromBlock,
    join: JoinKind,
    keep_order: bool,
    is_first: bool,
) -> Result<(), FromBlock> {
    let all_inner = inner.relations.iter().all(|relation| relation.join == JoinKind::Inner);
    let fits = match join {
        _ if inner.relations.is_empty() => false,
        JoinKind::Inner => all_inner || (is_first && inner.filter.is_empty()),
        JoinKind::Left => inner.relations.len() == 1,
        _ => false,
    };
    if !fits {
        return Err(inner);
    }
    if let Some(first) = inner.relations.first_mut() {
        first.join = join;
        first.keep_order |= keep_order;
    }
    if let Some(last) = inner.relations.last_mut() {
        last.on.append(&mut inner.filter);
    }
    block.relations.append(&mut inner.relations);
    Ok(())
}

fn add_on(block: &mut FromBlock, on: Vec<Expr>) {
    if let Some(last) = block.relations.last_mut() {
        last.on.extend(on);
    }
}

/// An ON may name tables to its right only where all joins are such that it could stand in WHERE.
fn check_on(block: &mut FromBlock) -> Result<()> {
    if block.relations.len() < 2 {
        return Ok(());
    }
    let fills: Vec<Vec<Register>> =
        block.relations.iter().map(|relation| relation.source.registers_filled()).collect();
    for at in 0..block.relations.len() {
        let later_outer =
            block.relations[at..].iter().skip(1).any(|r| matches!(r.join, JoinKind::Right | JoinKind::Full));
        let relation = &mut block.relations[at];
        let mut kept = Vec::new();
        for predicate in std::mem::take(&mut relation.on) {
            let read = predicate.registers_read();
            let ahead = fills[at + 1..].iter().flatten().any(|register| read.binary_search(register).is_ok());
            if !ahead {
                kept.push(predicate);
            } else if relation.join == JoinKind::Inner && !later_outer {
                block.filter.push(predicate);
            } else {
                return Err(Error::invalid("ON clause references tables to its right"));
            }
        }
        relation.on = kept;
    }
    Ok(())
}
