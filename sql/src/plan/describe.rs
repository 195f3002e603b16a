//! A plan as compact text, for tests and for people: one line an operator, inputs indented below it. The form may change.

use std::fmt::{self, Write};

use super::{
    Access, AggregateCall, ColumnSource, CompareOp, Expr, JoinKind, JoinMethod, KeyBounds, KeyTerm, LikeKind,
    Node, Query, Register, Scan, SortKey, Subquery, WindowFunction,
};
use crate::value::Collation;

impl Query {
    /// The plan as text: the result columns, then the operators.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", list(&self.outputs));
        node(&mut out, &self.root, 1);
        out
    }
}

/// Shows what [`Query::describe`] shows of it.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&expr(self))
    }
}

fn list(exprs: &[Expr]) -> String {
    exprs.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn reg(register: Register) -> String {
    format!("r{}", register.0)
}

fn collated(collation: Collation) -> String {
    if collation == Collation::Binary {
        String::new()
    } else {
        format!(" {}", collation.name().to_lowercase())
    }
}

fn keys(keys: &[SortKey]) -> String {
    let key = |key: &SortKey| {
        let direction = if key.descending { " desc" } else { "" };
        let nulls = match (key.nulls_first, key.descending) {
            (true, true) => " nulls first",
            (false, false) => " nulls last",
            _ => "",
        };
        format!("{}{}{direction}{nulls}", expr(&key.expr), collated(key.collation))
    };
    keys.iter().map(key).collect::<Vec<_>>().join(", ")
}

fn subquery(query: &Subquery) -> String {
    let text = query.query.describe();
    let text = text.trim_end().lines().map(str::trim).collect::<Vec<_>>().join(" < ");
    if query.arguments.is_empty() {
        format!("[{text}]")
    } else {
        format!("({})[{text}]", list(&query.arguments))
    }
}

fn not(not: bool) -> &'static str {
    if not { "not " } else { "" }
}

fn expr(e: &Expr) -> String {
    match e {
        Expr::Literal(value) => value.to_string(),
        Expr::Parameter(index) => format!("?{}", index + 1),
        Expr::Register(register) => reg(*register),
        Expr::Outer(index) => format!("o{index}"),
        Expr::CurrentTime(time) => format!("{time:?}").to_lowercase(),
        Expr::Affinity { affinity, operand } => {
            format!("{}({})", affinity.name().to_lowercase(), expr(operand))
        }
        Expr::Cast { to, operand } => format!("cast({} as {})", expr(operand), to.name().to_lowercase()),
        Expr::Negate(operand) => format!("-({})", expr(operand)),
        Expr::BitNot(operand) => format!("~({})", expr(operand)),
        Expr::Not(operand) => format!("not({})", expr(operand)),
        Expr::And(left, right) => format!("({} and {})", expr(left), expr(right)),
        Expr::Or(left, right) => format!("({} or {})", expr(left), expr(right)),
        Expr::Arithmetic { op, left, right } => format!("({} {} {})", expr(left), op.symbol(), expr(right)),
        Expr::Compare { op, rule, left, right } => {
            let side = |affinity: Option<crate::value::Affinity>, e: &Expr| match affinity {
                Some(affinity) => format!("{}:{}", affinity.name().to_lowercase(), expr(e)),
                None => expr(e),
            };
            let (left, right) = (side(rule.left, left), side(rule.right, right));
            format!("{left} {}{} {right}", op.symbol().to_lowercase(), collated(rule.collation))
        }
        Expr::CompareRows { op, left, right, .. } => {
            format!("({}) {} ({})", list(left), CompareOp::symbol(*op), list(right))
        }
        Expr::IsNull { not: n, operand } => format!("{} is {}null", expr(operand), not(*n)),
        Expr::Between { not: n, operand, low, high, .. } => {
            format!("{} {}between {} and {}", expr(operand), not(*n), expr(low), expr(high))
        }
        Expr::InList { not: n, operand, list: members, .. } => {
            format!("{} {}in ({})", expr(operand), not(*n), list(members))
        }
        Expr::InQuery { not: n, operands, query, .. } => {
            format!("({}) {}in {}", list(operands), not(*n), subquery(query))
        }
        Expr::Exists { not: n, query } => format!("{}exists {}", not(*n), subquery(query)),
        Expr::Scalar { query, column } => format!("scalar.{column} {}", subquery(query)),
        Expr::Case { operand, whens, otherwise } => {
            let mut out = "case".to_owned();
            if let Some(operand) = operand {
                let _ = write!(out, " {}", expr(operand));
            }
            for (when, _, then) in whens {
                let _ = write!(out, " when {} then {}", expr(when), expr(then));
            }
            if let Some(otherwise) = otherwise {
                let _ = write!(out, " else {}", expr(otherwise));
            }
            out + " end"
        }
        Expr::Like { kind, not: n, operand, pattern, .. } => {
            let op = if *kind == LikeKind::Glob { "glob" } else { "like" };
            format!("{} {}{op} {}", expr(operand), not(*n), expr(pattern))
        }
        Expr::Function { function, arguments, collation, .. } => {
            format!("{}({}{})", function.name, list(arguments), collated(*collation))
        }
        Expr::Raise { action, .. } => format!("raise({action:?})").to_lowercase(),
    }
}

fn columns(columns: &[(usize, Register)]) -> String {
    columns.iter().map(|(at, register)| format!("{at}={}", reg(*register))).collect::<Vec<_>>().join(" ")
}

fn access(access: &Access) -> String {
    fn one(access: &Access) -> String {
        match access {
            Access::Full => String::new(),
            Access::Primary(b) => format!(" by key{}", bounds(b)),
            Access::Index { index, bounds: b, covering } => {
                let covering = if *covering { " covering" } else { "" };
                format!(" by {}{covering}{}", index.name, bounds(b))
            }
            Access::Union(members) => members.iter().map(one).collect::<Vec<_>>().join(" or"),
        }
    }
    one(access)
}

fn bounds(bounds: &KeyBounds) -> String {
    let mut out = String::new();
    for term in &bounds.equal {
        let _ = match term {
            KeyTerm::Equal(bound) => write!(out, " ={}", expr(&bound.expr)),
            KeyTerm::Is(bound) => write!(out, " is {}", expr(&bound.expr)),
            KeyTerm::In(members) => {
                let members: Vec<_> = members.iter().map(|bound| expr(&bound.expr)).collect();
                write!(out, " in ({})", members.join(", "))
            }
            KeyTerm::InQuery { query, .. } => write!(out, " in {}", subquery(query)),
        };
    }
    if let Some((bound, inclusive)) = &bounds.lower {
        let _ = write!(out, " >{}{}", if *inclusive { "=" } else { "" }, expr(&bound.expr));
    }
    if let Some((bound, inclusive)) = &bounds.upper {
        let _ = write!(out, " <{}{}", if *inclusive { "=" } else { "" }, expr(&bound.expr));
    }
    out
}

fn scan_line(scan: &Scan) -> String {
    let column = |(source, register): &(ColumnSource, Register)| {
        let name = match source {
            ColumnSource::Column(at) => {
                scan.table.columns.get(*at).map_or("?", |column| column.name.as_str())
            }
            ColumnSource::Rowid => "rowid",
            ColumnSource::Period(column) => column.name(),
        };
        format!("{name}={}", reg(*register))
    };
    let columns: Vec<String> = scan.columns.iter().map(column).collect();
    let mut out = format!("scan {}({}){}", scan.table.name, columns.join(" "), access(&scan.access));
    if scan.backward {
        out.push_str(" backward");
    }
    if let Some(filter) = &scan.filter {
        let _ = write!(out, " if {}", expr(filter));
    }
    out
}

fn call(call: &AggregateCall) -> String {
    let distinct = if call.distinct { "distinct " } else { "" };
    let kind = format!("{:?}", call.kind).to_lowercase();
    let mut out = format!("{}={kind}({distinct}{}", reg(call.output), list(&call.arguments));
    if !call.order_by.is_empty() {
        let _ = write!(out, " order by {}", keys(&call.order_by));
    }
    out.push(')');
    if let Some(filter) = &call.filter {
        let _ = write!(out, " if {}", expr(filter));
    }
    out
}

/// What an operator does, in a line.
fn line(node: &Node) -> String {
    let computed = |columns: &[(Register, Expr)]| {
        columns
            .iter()
            .map(|(register, e)| format!("{}={}", reg(*register), expr(e)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let limits = |limit: &Option<Expr>, offset: &Option<Expr>| {
        let limit = limit.as_ref().map(|limit| format!(" limit {}", expr(limit))).unwrap_or_default();
        limit + &offset.as_ref().map(|offset| format!(" offset {}", expr(offset))).unwrap_or_default()
    };
    let collations = |columns: &[(Register, Collation)]| {
        columns.iter().map(|(r, c)| format!("{}{}", reg(*r), collated(*c))).collect::<Vec<_>>().join(", ")
    };
    match node {
        Node::OneRow => "one row".to_owned(),
        Node::Nothing => "nothing".to_owned(),
        Node::Scan(scan) => scan_line(scan),
        Node::Values { rows, registers } => {
            let rows: Vec<String> = rows.iter().map(|row| format!("({})", list(row))).collect();
            let registers: Vec<String> = registers.iter().map(|register| reg(*register)).collect();
            format!("values {} {}", registers.join(" "), rows.join(", "))
        }
        Node::TableFunction { function, arguments, columns: used } => {
            format!("{function:?}({}) {}", list(arguments), columns(used))
        }
        Node::Nested { query, columns: used, shared } => {
            let shared = shared.map(|_| "shared ").unwrap_or_default();
            format!("nested {shared}{} {}", columns(used), subquery(query))
        }
        Node::Filter { predicate, .. } => format!("filter {}", expr(predicate)),
        Node::Compute { columns, .. } => format!("compute {}", computed(columns)),
        Node::Join(join) => {
            let kind = if join.kind == JoinKind::Inner { String::new() } else { format!("{:?} ", join.kind) };
            let method = match &join.method {
                JoinMethod::Loop => "loop".to_owned(),
                JoinMethod::Cross => "cross".to_owned(),
                JoinMethod::Hash(keys) => {
                    let keys: Vec<String> =
                        keys.iter().map(|key| format!("{}={}", expr(&key.left), expr(&key.right))).collect();
                    format!("hash {}", keys.join(", "))
                }
            };
            let condition = join.condition.as_ref().map(|on| format!(" on {}", expr(on))).unwrap_or_default();
            format!("{}{method}{condition}", kind.to_lowercase())
        }
        Node::Aggregate(aggregate) => {
            let group = |key: &super::GroupKey| {
                format!("{}={}{}", reg(key.output), expr(&key.expr), collated(key.collation))
            };
            let mut parts: Vec<String> = aggregate.keys.iter().map(group).collect();
            parts.extend(aggregate.calls.iter().map(call));
            if !aggregate.bare.is_empty() {
                let from = aggregate.bare_from.map(|at| format!(" of call {at}")).unwrap_or_default();
                parts.push(format!("bare {}{from}", computed(&aggregate.bare)));
            }
            let sorted = if aggregate.sorted { "sorted " } else { "" };
            format!("{sorted}group {}", parts.join("; "))
        }
        Node::Window(window) => {
            let partition: Vec<Expr> = window.partition_by.iter().map(|(expr, _)| expr.clone()).collect();
            let call = |call: &super::WindowCall| {
                let name = match call.function {
                    WindowFunction::Aggregate(kind) => format!("{kind:?}"),
                    WindowFunction::Ranking(kind) => format!("{kind:?}"),
                };
                format!("{}={}({})", reg(call.output), name.to_lowercase(), list(&call.arguments))
            };
            let calls: Vec<String> = window.calls.iter().map(call).collect();
            format!(
                "window by ({}) order ({}) {}",
                list(&partition),
                keys(&window.order_by),
                calls.join(", ")
            )
        }
        Node::Sort { keys: by, limit, .. } => {
            let limit = limit.as_ref().map(|limit| limits(&limit.0, &limit.1)).unwrap_or_default();
            format!("sort {}{limit}", keys(by))
        }
        Node::Limit { limit, offset, .. } => limits(limit, offset).trim_start().to_owned(),
        Node::Distinct { keys, .. } => format!("distinct {}", collations(keys)),
        Node::Compound(compound) => {
            let (left, right) = (list(&compound.left.1), list(&compound.right.1));
            format!("{:?} {} of ({left}) ({right})", compound.kind, collations(&compound.columns))
                .to_lowercase()
        }
        Node::Recursive(recursive) => {
            let seed = list(&recursive.seed.1);
            let steps: Vec<String> =
                recursive.steps.iter().map(|(_, step)| format!("({})", list(step))).collect();
            let distinct = if recursive.distinct { " distinct" } else { "" };
            format!("recursive{distinct} {} of ({seed}) {}", collations(&recursive.columns), steps.join(" "))
        }
        Node::Versions(scan) => {
            let (access, columns) = (access(&scan.access), columns(&scan.columns));
            format!("versions {:?} of {}{access} {columns}", scan.part, scan.table.name)
        }
        Node::WorkingTable { columns: used, .. } => format!("working table {}", columns(used)),
    }
}

fn node(out: &mut String, root: &Node, depth: usize) {
    let mut pending = vec![(root, depth)];
    while let Some((at, depth)) = pending.pop() {
        let _ = writeln!(out, "{:width$}{}", "", line(at), width = depth * 2);
        let from = pending.len();
        at.for_each_input(&mut |input| pending.push((input, depth + 1)));
        pending[from..].reverse();
    }
}
