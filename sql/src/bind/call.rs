//! Functions and aggregates.

use dosql_base::{Error, Result};

use super::binder::{Binder, Site};
use super::scope::{Clause, Qualifier, ScopeId};
use super::typed::{Bound, plain_rule};
use crate::func::{AggKind, Function, JsonArgs, JsonResult, Kind, lookup};
use crate::parse::ast::{Ast, ExprId, ExprKind, FunctionCall, InSet, List, OrderTerm, Span};
use crate::plan::{AggregateCall, Expr, SortKey};
use crate::value::{Collation, Value};

impl<'a> Binder<'a> {
    /// Binds a call.
    pub(crate) fn call(&mut self, site: &Site<'a>, call: &FunctionCall, span: Span) -> Result<Bound> {
        let source = site.source.clone();
        let name = source.ast().text(call.name);
        let function = if call.star && !name.eq_ignore_ascii_case("count") {
            let known = lookup(name, 0).err().map(|error| error.message().to_owned());
            Err(Error::invalid(match known {
                Some(message) if message.starts_with("no such") => message,
                _ => format!("wrong number of arguments to function {name}()"),
            }))
        } else {
            lookup(name, call.arguments.len())
        };
        let function = function.map_err(|error| source.place(span, error))?;
        let refuse = |message: String| Err(source.error(span, message));
        match function.kind {
            Kind::Scalar { .. } => {
                if call.over.is_some() {
                    return refuse(format!("{name}() may not be used as a window function"));
                }
                if call.filter.is_some() {
                    return refuse(format!("FILTER may not be used with non-aggregate {name}()"));
                }
                if !call.order_by.is_empty() {
                    return refuse(format!("ORDER BY may not be used with non-aggregate {name}()"));
                }
                self.scalar_call(site, function, call, span)
            }
            Kind::Window(_) if call.over.is_none() => refuse(format!("misuse of window function {name}()")),
            Kind::Window(_) => self.window_call(site, function, call, span),
            Kind::Aggregate(_) if call.over.is_some() => self.window_call(site, function, call, span),
            Kind::Aggregate(kind) => self.aggregate_call(site, function, kind, call, span),
        }
    }

    fn scalar_call(
        &mut self,
        site: &Site<'a>,
        function: &'static Function,
        call: &FunctionCall,
        span: Span,
    ) -> Result<Bound> {
        let source = site.source.clone();
        let list = source.ast().list(call.arguments);
        let mut arguments = Vec::with_capacity(list.len());
        for argument in list {
            arguments.push(self.expr(site, *argument)?);
        }
        if function.name == "likelihood" {
            let fits = matches!(&arguments[1].expr, Expr::Literal(Value::Real(p)) if (0.0..=1.0).contains(p));
            if !fits {
                let message = "second argument to likelihood() must be a constant between 0.0 and 1.0";
                return Err(source.error(span, message));
            }
        }
        Ok(bind_function(function, arguments))
    }

    /// The function `name` of these arguments.
    pub(crate) fn scalar_function(&mut self, name: &str, arguments: Vec<Bound>) -> Result<Bound> {
        Ok(bind_function(lookup(name, arguments.len())?, arguments))
    }

    /// The arguments of an aggregate or window function.
    pub(crate) fn arguments(
        &mut self,
        site: &Site<'a>,
        list: List<ExprId>,
    ) -> Result<(Vec<Expr>, Collation, JsonArgs)> {
        let source = site.source.clone();
        let mut bound = Vec::new();
        for argument in source.ast().list(list) {
            bound.push(self.expr(site, *argument)?);
        }
        let (collation, json) = (shared_collation(&bound), json_arguments(&bound));
        Ok((bound.into_iter().map(|argument| argument.expr).collect(), collation, json))
    }

    fn aggregate_call(
        &mut self,
        site: &Site<'a>,
        function: &'static Function,
        kind: AggKind,
        call: &FunctionCall,
        span: Span,
    ) -> Result<Bound> {
        let source = site.source.clone();
        let ast = source.ast();
        let name = ast.text(call.name);
        if call.distinct && call.arguments.len() != 1 {
            return Err(source.error(span, "DISTINCT aggregates must have exactly one argument"));
        }
        let owner = self.aggregate_owner(site, ast, call);
        let misuse = |function: &str| source.error(span, format!("misuse of aggregate{function} {name}()"));
        let Some(owner) = owner else { return Err(misuse(" function")) };
        let scope = &self.scopes[owner.0];
        match scope.clause {
            Clause::GroupBy => {
                let message = "aggregate functions are not allowed in the GROUP BY clause";
                return Err(source.error(span, message));
            }
            Clause::Rows if !scope.aggregates.is_empty() => return Err(misuse(":")),
            Clause::Rows | Clause::Aggregate => return Err(misuse(" function")),
            _ if !scope.may_aggregate => return Err(misuse(":")),
            _ => {}
        }
        let frame = scope.frame;
        let inner = Site { scope: Some(owner), frame, ..site.clone() };
        let mut bound = self.in_clause(&inner, Clause::Aggregate, |binder| {
            let (arguments, collation, json) = binder.arguments(&inner, call.arguments)?;
            let filter = call.filter.map(|filter| binder.expr(&inner, filter)).transpose()?;
            let order_by = binder.sort_terms(&inner, call.order_by)?;
            Ok(AggregateCall {
                kind,
                arguments,
                distinct: call.distinct,
                filter: filter.map(|filter| filter.expr),
                order_by,
                collation,
                json,
                output: crate::plan::Register(0),
            })
        })?;
        let known = self.scopes[owner.0].aggregates.iter().find(|other| same_call(other, &bound));
        let output = match known.map(|known| known.output) {
            Some(output) => output,
            None => {
                bound.output = self.register(frame);
                let output = bound.output;
                self.scope(owner).aggregates.push(bound);
                output
            }
        };
        let expr = self.lift(Expr::Register(output), frame, site.frame);
        let mut result = Bound::plain(expr);
        result.json = function.json;
        result.nullable = kind != AggKind::Count;
        Ok(result)
    }

    /// The SELECT that an aggregate belongs to: the innermost one whose columns its arguments name, or that which it
    /// stands in where they name none.
    fn aggregate_owner(&mut self, site: &Site<'a>, ast: &Ast, call: &FunctionCall) -> Option<ScopeId> {
        let innermost = site.scope?;
        if self.scopes[innermost.0].parent.is_none() {
            return Some(innermost);
        }
        let mut owner = None;
        let mut pending: Vec<ExprId> = ast.list(call.arguments).to_vec();
        pending.extend(call.filter);
        while let Some(id) = pending.pop() {
            if let ExprKind::Column { schema, table, column } = &ast[id].kind {
                let schema = schema.map(|schema| ast.text(schema));
                let table = table.map(|table| Qualifier { schema, table: ast.text(table) });
                if let Ok(Some((scope, _))) = self.find(site, table, ast.text(*column)) {
                    owner = owner.max(Some(scope));
                }
            }
            operands(ast, id, &mut pending);
        }
        owner.or(Some(innermost))
    }

    /// ORDER BY inside a call or a window: every term is an expression.
    pub(crate) fn sort_terms(&mut self, site: &Site<'a>, terms: List<OrderTerm>) -> Result<Vec<SortKey>> {
        let source = site.source.clone();
        let mut keys = Vec::new();
        for term in source.ast().list(terms) {
            let bound = self.expr(site, term.expr)?;
            keys.push(sort_key(&bound, term));
        }
        Ok(keys)
    }
}

/// A key that sorts by `bound` as `term` says.
pub(crate) fn sort_key(bound: &Bound, term: &OrderTerm) -> SortKey {
    SortKey {
        expr: bound.expr.clone(),
        collation: bound.collation(),
        descending: term.descending,
        nulls_first: term.nulls_first.unwrap_or(!term.descending),
    }
}

fn same_call(a: &AggregateCall, b: &AggregateCall) -> bool {
    let same = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    let volatile = a.arguments.iter().chain(&a.filter).any(Expr::is_volatile);
    a.kind == b.kind
        && !volatile
        && a.distinct == b.distinct
        && a.collation == b.collation
        && a.json == b.json
        && same(&a.arguments, &b.arguments)
        && a.filter.is_some() == b.filter.is_some()
        && a.filter.iter().zip(&b.filter).all(|(a, b)| a.same(b))
        && a.order_by.len() == b.order_by.len()
        && a.order_by.iter().zip(&b.order_by).all(|(a, b)| a.same(b))
}

/// The collation of the first argument that has one, COLLATE first.
fn shared_collation(arguments: &[Bound]) -> Collation {
    let explicit = arguments.iter().find(|argument| argument.explicit);
    let column = || arguments.iter().find(|argument| argument.collation.is_some());
    explicit.or_else(column).map_or(Collation::Binary, Bound::collation)
}

fn json_arguments(arguments: &[Bound]) -> JsonArgs {
    let mut json = JsonArgs::default();
    for (at, argument) in arguments.iter().enumerate() {
        json.set(at, argument.json);
    }
    json
}

fn bind_function(function: &'static Function, mut arguments: Vec<Bound>) -> Bound {
    match function.name {
        "iif" | "if" => return bind_iif(arguments),
        "likely" | "unlikely" | "likelihood" => {
            arguments.truncate(1);
            if let Some(operand) = arguments.pop() {
                return Bound { affinity: None, settled: false, column: None, ..operand };
            }
        }
        _ => {}
    }
    let json = match function.name {
        // What they return is one of their arguments.
        "coalesce" | "ifnull" if arguments.iter().all(|argument| argument.json == JsonResult::Always) => {
            JsonResult::Always
        }
        _ => function.json,
    };
    let collation = shared_collation(&arguments);
    let json_args = json_arguments(&arguments);
    let bound = Bound::plain(Expr::Literal(Value::Null)).collated_by(&arguments);
    let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
    let expr = Expr::Function { function, arguments, collation, json: json_args };
    Bound { expr, json, nullable: true, ..bound }
}

/// `iif(a, x, b, y, .., z)`: evaluates only the branch that it takes.
fn bind_iif(arguments: Vec<Bound>) -> Bound {
    let json = match arguments.get(1..) {
        Some(rest) if rest.iter().all(|argument| argument.json == JsonResult::Always) => JsonResult::Always,
        _ => JsonResult::No,
    };
    let mut rest = arguments.into_iter().map(|argument| argument.expr);
    let mut whens = Vec::new();
    let mut otherwise = None;
    while let Some(when) = rest.next() {
        match rest.next() {
            Some(then) => whens.push((when, plain_rule(Collation::Binary), then)),
            None => otherwise = Some(Box::new(when)),
        }
    }
    Bound { json, ..Bound::plain(Expr::Case { operand: None, whens, otherwise }) }
}

/// The direct operands of an expression, nested queries left out.
pub(crate) fn operands(ast: &Ast, id: ExprId, out: &mut Vec<ExprId>) {
    match &ast[id].kind {
        ExprKind::Literal(_)
        | ExprKind::CurrentTime(_)
        | ExprKind::Parameter(_)
        | ExprKind::Column { .. }
        | ExprKind::Exists { .. }
        | ExprKind::Subquery(_) => {}
        ExprKind::Unary { operand, .. }
        | ExprKind::IsNull { operand, .. }
        | ExprKind::Cast { operand, .. }
        | ExprKind::Collate { operand, .. } => out.push(*operand),
        ExprKind::Binary { left, right, .. } => out.extend([*left, *right]),
        ExprKind::Like { operand, pattern, escape, .. } => {
            out.extend([*operand, *pattern]);
            out.extend(*escape);
        }
        ExprKind::Between { operand, low, high, .. } => out.extend([*operand, *low, *high]),
        ExprKind::In { operand, set, .. } => {
            out.push(*operand);
            if let InSet::List(list) = set {
                out.extend(ast.list(*list));
            }
        }
        ExprKind::Case { operand, whens, otherwise } => {
            out.extend(*operand);
            out.extend(ast.list(*whens).iter().flat_map(|clause| [clause.when, clause.then]));
            out.extend(*otherwise);
        }
        ExprKind::Function(call) => {
            out.extend(ast.list(call.arguments));
            out.extend(call.filter);
        }
        ExprKind::Row(list) => out.extend(ast.list(*list)),
        ExprKind::Raise { message, .. } => out.extend(*message),
    }
}
