//! SELECT: names, result columns, groups, windows, order, limit; and the operators that they become.
//!
//! ```text
//! FROM + WHERE ─▶ [Aggregate ─▶ HAVING] ─▶ [Window ..] ─▶ [Distinct] ─▶ [Sort] ─▶ [Limit]      outputs: expressions over that
//! ```

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::call::operands;
use super::compound::Tail;
use super::cte::CteScope;
use super::order::{OrderKey, OrderSource};
use super::scope::{Alias, Clause, Output, Scope, ScopeId};
use super::typed::Bound;
use crate::func::{AggKind, Function, lookup};
use crate::parse::ast::{
    Ast, CompoundOp, ExprId, ExprKind, List, NameId, ResultColumn, SelectBody, SelectCore, SelectId,
};
use crate::plan::choose::{FromBlock, plan_from};
use crate::plan::{Aggregate, Expr, GroupKey, Node, OutputColumn, Query, Register, SortKey, Window};
use crate::value::{Collation, Text, Value};

/// How many columns a result may have.
const MAX_COLUMNS: usize = 2000;

/// The rows of a SELECT, bound into the query around it.
pub(crate) struct Rows {
    pub(crate) tree: Tree,
    pub(crate) outputs: Vec<Output>,
}

/// What makes the rows.
pub(crate) enum Tree {
    /// A FROM and a WHERE and nothing else, not planned yet: it may become part of the FROM around it.
    Block(FromBlock),
    Node(Node),
}

impl Tree {
    pub(crate) fn into_node(self) -> Node {
        match self {
            Tree::Block(block) => plan_from(block).node,
            Tree::Node(node) => node,
        }
    }
}

/// A SELECT whose clauses are bound.
pub(crate) struct Parts {
    pub(crate) scope: ScopeId,
    pub(crate) block: FromBlock,
    pub(crate) distinct: bool,
    pub(crate) outputs: Vec<Output>,
    pub(crate) keys: Vec<GroupKey>,
    pub(crate) aggregated: bool,
    pub(crate) having: Vec<Expr>,
    pub(crate) order: Vec<OrderKey>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

impl<'a> Binder<'a> {
    /// The statement's own query.
    pub(crate) fn top_query(&mut self, site: &Site<'a>, select: SelectId) -> Result<Query> {
        let rows = self.select_rows(site, select)?;
        let (registers, arguments) = self.top_extent();
        Ok(self.query(rows, registers, arguments))
    }

    /// A query of these rows.
    pub(crate) fn query(&self, rows: Rows, registers: u32, arguments: u32) -> Query {
        let columns = rows.outputs.iter().map(output_column).collect();
        let mut query = Query {
            root: rows.tree.into_node(),
            outputs: rows.outputs.into_iter().map(|output| output.bound.expr).collect(),
            columns,
            registers,
            arguments,
            parameters: u32::try_from(self.cx.ast.parameters.len()).unwrap_or(u32::MAX),
        };
        query.prune();
        query
    }

    /// The rows of a SELECT.
    pub(crate) fn select_rows(&mut self, site: &Site<'a>, id: SelectId) -> Result<Rows> {
        self.nested(|binder| {
            binder.count_source()?;
            let source = site.source.clone();
            let ast = source.ast();
            let select = &ast[id];
            let mut site = site.clone();
            binder.open_with(&mut site, select.with)?;
            let tail = Tail { order_by: select.order_by, limit: select.limit, offset: select.offset };
            match ast.list(select.cores) {
                [core] => binder.core_rows(&site, core, &tail),
                cores => binder.compound_rows(&site, cores, &tail),
            }
        })
    }

    /// Makes the CTEs of a WITH visible at `site`.
    pub(crate) fn open_with(&mut self, site: &mut Site<'a>, with: crate::parse::ast::With) -> Result<()> {
        if !with.ctes.is_empty() {
            let scope = CteScope::new(site, with)?;
            self.ctes.push(scope);
            site.ctes = Some(self.ctes.len() - 1);
        }
        Ok(())
    }

    /// The rows of one SELECT or VALUES with what follows it.
    pub(crate) fn core_rows(&mut self, site: &Site<'a>, core: &SelectCore, tail: &Tail) -> Result<Rows> {
        if let SelectBody::Values(rows) = &core.body
            && rows.len() > 1
            && computes_over_rows(site.source.ast(), *rows)
        {
            // Every row is a SELECT of its own then.
            let row = |at: usize| SelectCore {
                compound: (at > 0).then_some(CompoundOp::UnionAll),
                body: SelectBody::Values(List::new(rows.start as usize + at, 1)),
                span: core.span,
            };
            let cores: Vec<SelectCore> = (0..rows.len()).map(row).collect();
            return self.compound_rows(site, &cores, tail);
        }
        let parts = self.core_parts(site, core, tail)?;
        self.assemble(parts)
    }

    fn core_parts(&mut self, site: &Site<'a>, core: &SelectCore, tail: &Tail) -> Result<Parts> {
        let scope = self.add_scope(Scope::new(site.scope, site.frame, Vec::new()));
        let inner = Site { scope: Some(scope), ..site.clone() };
        let mut parts = Parts {
            scope,
            block: FromBlock::default(),
            distinct: false,
            outputs: Vec::new(),
            keys: Vec::new(),
            aggregated: false,
            having: Vec::new(),
            order: Vec::new(),
            limit: None,
            offset: None,
        };
        match &core.body {
            SelectBody::Values(rows) => {
                (parts.block, parts.outputs) =
                    self.in_clause(&inner, Clause::Result, |b| b.values(&inner, *rows))?;
                parts.aggregated = !self.scopes[scope.0].aggregates.is_empty();
                parts.order = self.order_terms(&inner, tail.order_by, &parts.outputs)?;
            }
            SelectBody::Query { .. } => self.query_parts(&inner, core, tail, &mut parts)?,
        }
        (parts.limit, parts.offset) = self.limits(site, tail)?;
        Ok(parts)
    }

    fn query_parts(
        &mut self,
        site: &Site<'a>,
        core: &SelectCore,
        tail: &Tail,
        parts: &mut Parts,
    ) -> Result<()> {
        let SelectBody::Query { distinct, columns, from, filter, group_by, having, windows } =
            core.body.clone()
        else {
            return Ok(());
        };
        let scope = parts.scope;
        if !windows.is_empty() {
            self.scope(scope).window_definitions = Some((site.source.clone(), windows));
        }
        let pending = self.from_items(site, from, false)?;
        let (outputs, aliases) = self.in_clause(site, Clause::Result, |b| b.result_columns(site, columns))?;
        parts.distinct = distinct;
        let state = self.scope(scope);
        parts.aggregated = !group_by.is_empty() || !state.aggregates.is_empty();
        state.may_aggregate = parts.aggregated;
        state.aliases = aliases;
        if let Some(having) = having {
            if !parts.aggregated {
                let span = site.source.ast()[having].span;
                return Err(site.source.error(span, "HAVING clause on a non-aggregate query"));
            }
            parts.having = self.in_clause(site, Clause::Having, |b| b.predicate(site, having))?;
        }
        let filter = filter.map(|filter| self.predicate(site, filter)).transpose()?.unwrap_or_default();
        parts.order =
            self.in_clause(site, Clause::Result, |b| b.order_terms(site, tail.order_by, &outputs))?;
        parts.keys = self.in_clause(site, Clause::GroupBy, |b| b.group_terms(site, group_by, &outputs))?;
        parts.block = self.from_block(site, pending, filter)?;
        self.scope(scope).result = outputs.iter().map(|output| output.bound.expr.clone()).collect();
        parts.outputs = outputs;
        Ok(())
    }

    /// LIMIT and OFFSET: they see no columns.
    pub(crate) fn limits(&mut self, site: &Site<'a>, tail: &Tail) -> Result<(Option<Expr>, Option<Expr>)> {
        let site = Site { scope: None, ..site.clone() };
        let limit = tail.limit.map(|limit| self.expr(&site, limit)).transpose()?;
        let offset = tail.offset.map(|offset| self.expr(&site, offset)).transpose()?;
        Ok((limit.map(|limit| limit.expr), offset.map(|offset| offset.expr)))
    }

    // ------------------------------------------------------------ result columns

    fn result_columns(
        &mut self,
        site: &Site<'a>,
        columns: List<ResultColumn>,
    ) -> Result<(Vec<Output>, Vec<Alias>)> {
        let source = site.source.clone();
        let ast = source.ast();
        let (mut outputs, mut aliases) = (Vec::new(), Vec::new());
        for column in ast.list(columns) {
            match column {
                ResultColumn::Star => self.star(site, None, &mut outputs)?,
                ResultColumn::TableStar(table) => self.star(site, Some(*table), &mut outputs)?,
                ResultColumn::Expr { expr, alias } => {
                    let bound = self.expr(site, *expr)?;
                    if let Some(alias) = alias {
                        aliases.push(self.alias(site, ast.text(*alias), &bound));
                    }
                    let name = output_name(site, *expr, *alias, &bound);
                    outputs.push(Output { bound, name, alias: alias.is_some() });
                }
            }
            if outputs.len() > MAX_COLUMNS {
                return Err(Error::limit(format!("too many columns in result set: at most {MAX_COLUMNS}")));
            }
        }
        Ok((outputs, aliases))
    }

    /// RETURNING, or the result columns of a statement over given rows.
    pub(crate) fn returning(
        &mut self,
        site: &Site<'a>,
        columns: List<ResultColumn>,
    ) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
        let (outputs, _) = self.result_columns(site, columns)?;
        let columns = outputs.iter().map(output_column).collect();
        Ok((outputs.into_iter().map(|output| output.bound.expr).collect(), columns))
    }

    fn alias(&mut self, site: &Site<'a>, name: &str, bound: &Bound) -> Alias {
        let (mut has_aggregate, mut has_window) = (false, false);
        if let Some(scope) = site.scope {
            let scope = &self.scopes[scope.0];
            bound.expr.any(|expr| {
                if let Expr::Register(register) = expr {
                    has_aggregate |= scope.aggregates.iter().any(|call| call.output == *register);
                    has_window |= scope
                        .windows
                        .iter()
                        .flat_map(|group| &group.calls)
                        .any(|call| call.output == *register);
                }
                false
            });
        }
        Alias { name: Text::new(name), bound: bound.clone(), has_aggregate, has_window }
    }

    pub(crate) fn star(
        &mut self,
        site: &Site<'a>,
        table: Option<NameId>,
        outputs: &mut Vec<Output>,
    ) -> Result<()> {
        let source = site.source.clone();
        let ast = source.ast();
        let Some(scope) = site.scope else { return Err(Error::invalid("no tables specified")) };
        let items = self.scopes[scope.0].items.len();
        let wanted = table.map(|table| ast.text(table));
        let mut matched = false;
        for at in 0..items {
            let item = &self.scopes[scope.0].items[at];
            if wanted.map_or(item.qualified_only, |wanted| !item.is_named(wanted)) {
                continue;
            }
            matched = true;
            let columns = item.columns.clone();
            for column in 0..columns.len() {
                let name = columns.name(column);
                let state = &self.scopes[scope.0];
                if columns.is_hidden(column) || (wanted.is_none() && state.items[at].is_using(name)) {
                    continue;
                }
                let merged =
                    wanted.is_none() && state.items[at + 1..].iter().any(|later| later.is_using(name));
                let unqualified =
                    if merged { self.find_among(scope, 0..items, name).ok().flatten() } else { None };
                let bound = match unqualified {
                    Some(bound) => bound,
                    None => self.column(scope, at, column),
                };
                outputs.push(Output { bound, name: name.clone(), alias: false });
            }
        }
        match (matched, table) {
            (true, _) => Ok(()),
            (false, Some(table)) => {
                Err(source.error(ast[table].span, format!("no such table: {}", ast.text(table))))
            }
            (false, None) => Err(Error::invalid("no tables specified")),
        }
    }

    // ------------------------------------------------------------ VALUES

    fn values(&mut self, site: &Site<'a>, rows: List<List<ExprId>>) -> Result<(FromBlock, Vec<Output>)> {
        let source = site.source.clone();
        let ast = source.ast();
        let mut bound_rows: Vec<Vec<Bound>> = Vec::new();
        for row in ast.list(rows) {
            let mut bound_row = Vec::with_capacity(row.len());
            for expr in ast.list(*row) {
                bound_row.push(self.expr(site, *expr)?);
            }
            if bound_rows.first().is_some_and(|first| first.len() != bound_row.len()) {
                return Err(Error::invalid("all VALUES must have the same number of terms"));
            }
            bound_rows.push(bound_row);
        }
        Ok(self.values_block(site, bound_rows))
    }

    /// VALUES of rows of one width.
    pub(crate) fn values_block(
        &mut self,
        site: &Site<'a>,
        mut bound_rows: Vec<Vec<Bound>>,
    ) -> (FromBlock, Vec<Output>) {
        let name = |at: usize| Text::from(format!("column{}", at + 1));
        if bound_rows.len() == 1 {
            let outputs = bound_rows.pop().unwrap_or_default().into_iter().enumerate();
            let outputs = outputs.map(|(at, bound)| Output { bound, name: name(at), alias: false }).collect();
            return (FromBlock::default(), outputs);
        }
        let mut outputs: Vec<Output> = Vec::new();
        for (at, first) in bound_rows.first().into_iter().flatten().enumerate() {
            let mut bound = first.clone();
            bound.expr = Expr::Register(Register(0));
            bound.settled = false;
            bound.nullable = bound_rows.iter().any(|row| row[at].nullable);
            bound.column = None;
            outputs.push(Output { bound, name: name(at), alias: false });
        }
        let registers: Vec<Register> = outputs.iter().map(|_| self.register(site.frame)).collect();
        for (output, register) in outputs.iter_mut().zip(&registers) {
            output.bound.expr = Expr::Register(*register);
        }
        let rows =
            bound_rows.into_iter().map(|row| row.into_iter().map(|bound| bound.expr).collect()).collect();
        let node = Node::Values { rows, registers: registers.clone() };
        (node_block(node, registers, Text::new_static("VALUES")), outputs)
    }

    // ------------------------------------------------------------ operators

    pub(crate) fn assemble(&mut self, mut parts: Parts) -> Result<Rows> {
        let frame = self.scopes[parts.scope.0].frame;
        let windows = std::mem::take(&mut self.scope(parts.scope).windows);
        let plain = !parts.aggregated && windows.is_empty();
        if plain
            && !parts.distinct
            && parts.order.is_empty()
            && parts.limit.is_none()
            && parts.offset.is_none()
        {
            return Ok(Rows { tree: Tree::Block(parts.block), outputs: parts.outputs });
        }
        let mut windows = windows;
        if parts.aggregated {
            replace_keys(&mut parts, &mut windows);
        }
        let order = self.place_order(frame, &mut parts);
        if plain {
            parts.block.wanted_order = order.keys.clone();
            if !parts.distinct {
                parts.block.limit = known_limit(&parts);
            }
        }
        let mut ordered = false;
        let mut node = if parts.aggregated {
            self.aggregate(&mut parts, &windows, &order)
        } else {
            let planned = plan_from(std::mem::take(&mut parts.block));
            ordered = planned.ordered && plain;
            planned.node
        };
        // The window that is named first is computed last, on rows in the order of the others: so its order is the
        // result's, and where it has none it sees theirs.
        for group in windows.into_iter().rev() {
            node = Node::Window(Box::new(Window {
                input: node,
                partition_by: group.partition_by,
                order_by: group.order_by,
                calls: group.calls,
            }));
        }
        if !order.computed.is_empty() {
            node = Node::Compute { input: Box::new(node), columns: order.computed };
        }
        if parts.distinct {
            let keys = parts.outputs.iter().filter_map(|output| match output.bound.expr {
                Expr::Register(register) => Some((register, output.bound.collation())),
                _ => None,
            });
            node = Node::Distinct { keys: keys.collect(), input: Box::new(node) };
        }
        let (limit, offset) = (parts.limit, parts.offset);
        if !order.keys.is_empty() && !ordered {
            let limit = limit.is_some().then(|| Box::new((limit.clone(), offset.clone())));
            node = Node::Sort { input: Box::new(node), keys: order.keys, limit };
        }
        if limit.is_some() || offset.is_some() {
            node = Node::Limit { input: Box::new(node), limit, offset };
        }
        Ok(Rows { tree: Tree::Node(node), outputs: parts.outputs })
    }

    /// Gives every output and sort key that must be computed before sorting or telling duplicates a register.
    fn place_order(&mut self, frame: usize, parts: &mut Parts) -> Placed {
        let mut placed = Placed { keys: Vec::new(), computed: Vec::new() };
        let sorted_by = |at: usize| {
            parts.order.iter().any(|key| matches!(key.source, OrderSource::Output(output) if output == at))
        };
        let wanted: Vec<bool> = (0..parts.outputs.len()).map(|at| parts.distinct || sorted_by(at)).collect();
        for (output, wanted) in parts.outputs.iter_mut().zip(wanted) {
            let costly = !output.bound.is_cheap();
            let is_register = matches!(output.bound.expr, Expr::Register(_));
            if wanted && (costly || (parts.distinct && !is_register)) {
                let register = self.register(frame);
                let expr = std::mem::replace(&mut output.bound.expr, Expr::Register(register));
                placed.computed.push((register, expr));
            }
        }
        for key in &parts.order {
            let expr = match &key.source {
                OrderSource::Output(at) => parts.outputs[*at].bound.expr.clone(),
                OrderSource::Expr(expr) => expr.clone(),
            };
            placed.keys.push(SortKey {
                expr,
                collation: key.collation,
                descending: key.descending,
                nulls_first: key.nulls_first,
            });
        }
        placed
    }

    fn aggregate(
        &mut self,
        parts: &mut Parts,
        windows: &[super::window::WindowGroup],
        order: &Placed,
    ) -> Node {
        let calls = self.scopes[parts.scope.0].aggregates.clone();
        let mut read = Vec::new();
        for expr in parts.outputs.iter().map(|output| &output.bound.expr).chain(&parts.having) {
            expr.add_registers(&mut read);
        }
        for (_, expr) in &order.computed {
            expr.add_registers(&mut read);
        }
        order.keys.iter().for_each(|key| key.expr.add_registers(&mut read));
        for group in windows {
            group.partition_by.iter().for_each(|(expr, _)| expr.add_registers(&mut read));
            group.order_by.iter().for_each(|key| key.expr.add_registers(&mut read));
            for call in &group.calls {
                call.for_each_expr(&mut |expr| expr.add_registers(&mut read));
            }
        }
        read.sort_unstable();
        read.dedup();
        read.retain(|register| {
            !parts.keys.iter().any(|key| key.output == *register)
                && !calls.iter().any(|call| call.output == *register)
                && !order.computed.iter().any(|(computed, _)| computed == register)
                && !windows.iter().flat_map(|group| &group.calls).any(|call| call.output == *register)
        });
        let bare_from = calls.iter().rposition(|call| matches!(call.kind, AggKind::Min | AggKind::Max));
        parts.block.wanted_order = parts
            .keys
            .iter()
            .map(|key| SortKey {
                expr: key.expr.clone(),
                collation: key.collation,
                descending: false,
                nulls_first: true,
            })
            .collect();
        let planned = plan_from(std::mem::take(&mut parts.block));
        let node = Node::Aggregate(Box::new(Aggregate {
            input: planned.node,
            sorted: planned.ordered && !parts.keys.is_empty(),
            keys: std::mem::take(&mut parts.keys),
            calls,
            bare_from: bare_from.filter(|_| !read.is_empty()),
            bare: read.into_iter().map(|register| (register, Expr::Register(register))).collect(),
        }));
        match Expr::join_and(std::mem::take(&mut parts.having)) {
            Some(predicate) => Node::Filter { input: Box::new(node), predicate },
            None => node,
        }
    }
}

/// Sort keys, and what must be computed first.
struct Placed {
    keys: Vec<SortKey>,
    computed: Vec<(Register, Expr)>,
}

/// Above the groups, an expression that the query is grouped by is read from the key.
fn replace_keys(parts: &mut Parts, windows: &mut [super::window::WindowGroup]) {
    let keys: Vec<GroupKey> = parts
        .keys
        .iter()
        .filter(|key| !matches!(key.expr, Expr::Register(_) | Expr::Literal(_)))
        .cloned()
        .collect();
    if keys.is_empty() {
        return;
    }
    let mut by =
        |expr: &Expr| keys.iter().find(|key| key.expr.same(expr)).map(|key| Expr::Register(key.output));
    parts.outputs.iter_mut().for_each(|output| output.bound.expr.replace(&mut by));
    parts.having.iter_mut().for_each(|expr| expr.replace(&mut by));
    for key in &mut parts.order {
        if let OrderSource::Expr(expr) = &mut key.source {
            expr.replace(&mut by);
        }
    }
    for group in windows {
        group.partition_by.iter_mut().for_each(|(expr, _)| expr.replace(&mut by));
        group.order_by.iter_mut().for_each(|key| key.expr.replace(&mut by));
        group.calls.iter_mut().for_each(|call| call.for_each_expr_mut(&mut |expr| expr.replace(&mut by)));
    }
}

/// Whether some value is a window function or an aggregate.
fn computes_over_rows(ast: &Ast, rows: List<List<ExprId>>) -> bool {
    let mut pending: Vec<ExprId> = ast.list(rows).iter().flat_map(|row| ast.list(*row)).copied().collect();
    while let Some(expr) = pending.pop() {
        if let ExprKind::Function(call) = &ast[expr].kind {
            let function = lookup(ast.text(call.name), call.arguments.len());
            if call.over.is_some() || function.is_ok_and(Function::is_aggregate) {
                return true;
            }
        }
        operands(ast, expr, &mut pending);
    }
    false
}

fn known_limit(parts: &Parts) -> Option<u64> {
    let number = |expr: &Option<Expr>| match expr {
        None => Some(0),
        Some(Expr::Literal(Value::Integer(number))) => u64::try_from(*number).ok(),
        Some(_) => None,
    };
    parts.limit.as_ref()?;
    number(&parts.limit)?.checked_add(number(&parts.offset)?)
}

/// A FROM of one thing that is no table.
pub(crate) fn node_block(node: Node, registers: Vec<Register>, name: Text) -> FromBlock {
    use crate::plan::choose::{Relation, Source};
    let source = Source::Node { node, registers, name };
    let relation = Relation { source, join: crate::plan::JoinKind::Inner, keep_order: false, on: Vec::new() };
    FromBlock { relations: vec![relation], ..FromBlock::default() }
}

fn output_name(site: &Site<'_>, expr: ExprId, alias: Option<NameId>, bound: &Bound) -> Text {
    let ast = site.source.ast();
    if let Some(alias) = alias {
        return Text::new(ast.text(alias));
    }
    match (&bound.column, &ast[expr].kind) {
        (Some(column), ExprKind::Column { .. }) => column.name.clone(),
        _ => Text::new(ast[expr].span.of(site.source.sql()).trim()),
    }
}

/// What a result column tells the caller.
pub(crate) fn output_column(output: &Output) -> OutputColumn {
    let column = output.bound.column.as_ref();
    OutputColumn {
        name: output.name.clone(),
        declared_type: column.and_then(|column| column.declared_type.clone()),
        affinity: output.bound.affinity.unwrap_or_default(),
        collation: output.bound.collation.unwrap_or(Collation::Binary),
        origin: column.and_then(|column| column.origin.clone()),
        nullable: output.bound.nullable,
    }
}
