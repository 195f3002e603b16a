//! Operators from a chosen order, every predicate at the first place where it can be tested.

use std::sync::Arc;

use super::access::{Kind, Path, Range};
use super::graph::{Graph, Set, bit, filled};
use super::order::{Method, Order, hash_sides, placed};
use super::terms::{Shape, Term};
use super::{FromBlock, Planned, Source, TableSource, plan_from};
use crate::plan::{
    Access, ColumnSource, Comparison, Expr, HashKey, Join, JoinKind, JoinMethod, KeyBounds, Node, Register,
    Scan, VersionPart, VersionScan,
};

/// Joins in the chosen order.
pub(super) fn joins(graph: Graph, order: &Order, terms: &[Vec<Term>]) -> Planned {
    if graph.relations.is_empty() {
        let predicates = graph.conjuncts.into_iter().map(|conjunct| conjunct.expr).collect();
        let node = if graph.empty { Node::Nothing } else { filter(Node::OneRow, predicates) };
        return Planned { node, ordered: true };
    }
    let empty = graph.empty;
    let mut builder = Builder { done: vec![false; graph.conjuncts.len()], graph };
    let node = builder.run(order, terms);
    let ordered = order.ordered;
    if empty {
        return Planned {
            node: Node::Filter { input: Box::new(Node::Nothing), predicate: never() },
            ordered,
        };
    }
    Planned { node, ordered }
}

fn never() -> Expr {
    Expr::Literal(crate::value::Value::Integer(0))
}

fn filter(input: Node, predicates: Vec<Expr>) -> Node {
    match Expr::join_and(predicates) {
        Some(predicate) => Node::Filter { input: Box::new(input), predicate },
        None => input,
    }
}

fn pushed(mut node: Node, predicates: Vec<Expr>) -> Node {
    predicates.into_iter().for_each(|predicate| push(&mut node, predicate));
    node
}

/// Puts a predicate as far down as it may go without changing what the rows are.
fn push(mut node: &mut Node, predicate: Expr) {
    let read = predicate.registers_read();
    let passes = |node: &Node| match node {
        Node::Sort { limit: None, .. } => true,
        Node::Compute { columns, .. } => {
            !predicate.is_volatile() && !columns.iter().any(|(own, _)| read.binary_search(own).is_ok())
        }
        _ => false,
    };
    while passes(node) {
        let (Node::Sort { input, .. } | Node::Compute { input, .. }) = node else { return };
        node = input;
    }
    let input = std::mem::replace(node, Node::Nothing);
    *node = match input {
        Node::Filter { input, predicate: first } => {
            Node::Filter { input, predicate: Expr::And(Box::new(first), Box::new(predicate)) }
        }
        input => Node::Filter { input: Box::new(input), predicate },
    };
}

struct Builder {
    graph: Graph,
    /// Which conjuncts are placed.
    done: Vec<bool>,
}

impl Builder {
    fn run(&mut self, order: &Order, terms: &[Vec<Term>]) -> Node {
        // What reads no relation at all is tested once, before anything is read.
        let constant = self.take(|conjunct| conjunct.reads == 0 && conjunct.on.is_none());
        let mut node: Option<Node> = None;
        let mut left_registers = Vec::new();
        if !constant.is_empty() {
            node = Some(filter(Node::OneRow, constant));
        }
        for (at, step) in order.steps.iter().enumerate() {
            let set = placed(&order.steps[..at]);
            let terms = &terms[step.relation];
            let right_registers = self.graph.registers(step.relation);
            node = Some(match node.take() {
                None => {
                    let predicates = self.own_predicates(step.relation, step.path.as_ref(), true);
                    self.source(step.relation, step.path.as_ref(), terms, predicates)
                }
                Some(left) => {
                    let method = if step.method == Method::First { Method::Loop } else { step.method };
                    self.join(left, set, step.relation, method, step.path.as_ref(), terms, &left_registers)
                }
            });
            left_registers.extend(right_registers);
            // WHERE members that only an outer join just made testable.
            let now = set | bit(step.relation);
            let rest = self.take(|conjunct| conjunct.on.is_none() && conjunct.reads & !now == 0);
            node = node.map(|node| filter(node, rest));
        }
        node.expect("there is at least one relation")
    }

    /// Takes the conjuncts that `wanted` picks and that are not placed yet; those with nested queries last.
    fn take(&mut self, wanted: impl Fn(&super::graph::Conjunct) -> bool) -> Vec<Expr> {
        let mut taken = Vec::new();
        for (conjunct, done) in self.graph.conjuncts.iter().zip(&mut self.done) {
            if !*done && wanted(conjunct) {
                *done = true;
                taken.push(conjunct.expr.clone());
            }
        }
        taken.sort_by_key(Expr::has_subquery);
        taken
    }

    /// The predicates that a relation's own rows can be tested with, those left out that its path makes true.
    fn own_predicates(&mut self, relation: usize, path: Option<&Path>, inner: bool) -> Vec<Expr> {
        for &consumed in path.iter().flat_map(|path| &path.consumed) {
            self.done[consumed] = true;
        }
        let on = if inner { None } else { Some(relation) };
        self.take(|conjunct| conjunct.on == on && conjunct.reads == bit(relation))
    }

    fn source(
        &mut self,
        relation: usize,
        path: Option<&Path>,
        terms: &[Term],
        predicates: Vec<Expr>,
    ) -> Node {
        let source = &self.graph.relations[relation].source;
        match source {
            Source::Table(table) => match table.versions {
                None => scan(table, path, terms, Expr::join_and(predicates)),
                Some((from, to)) => {
                    filter(versions(table, path, terms, VersionPart::Versions { from, to }), predicates)
                }
            },
            Source::Node { node, .. } => pushed(node.clone(), predicates),
            Source::Block(block) => pushed(plan_from((**block).clone()).node, predicates),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn join(
        &mut self,
        left: Node,
        set: Set,
        relation: usize,
        method: Method,
        path: Option<&Path>,
        terms: &[Term],
        left_registers: &[Register],
    ) -> Node {
        let kind = self.graph.relations[relation].join;
        let kind = if set == 0 { JoinKind::Inner } else { kind };
        let inner = kind == JoinKind::Inner;
        let predicates = self.own_predicates(relation, path, inner);
        let method = match method {
            Method::Hash => JoinMethod::Hash(self.hash_keys(set, relation)),
            Method::Cross => JoinMethod::Cross,
            Method::Loop | Method::First => JoinMethod::Loop,
        };
        let right = self.source(relation, path, terms, predicates);
        let now = set | bit(relation);
        let condition = if inner {
            self.take(|conjunct| conjunct.on.is_none() && conjunct.reads & !now == 0)
        } else {
            self.take(|conjunct| conjunct.on == Some(relation))
        };
        Node::Join(Box::new(Join {
            kind,
            left,
            right,
            method,
            condition: Expr::join_and(condition),
            left_registers: left_registers.to_vec(),
            right_registers: self.graph.registers(relation),
        }))
    }

    fn hash_keys(&mut self, set: Set, relation: usize) -> Vec<HashKey> {
        let mut keys = Vec::new();
        for (index, conjunct) in self.graph.conjuncts.iter().enumerate() {
            if self.done[index] {
                continue;
            }
            if let Some(key) = hash_key(&self.graph, conjunct, set, relation) {
                self.done[index] = true;
                keys.push(key);
            }
        }
        keys
    }
}

fn hash_key(graph: &Graph, conjunct: &super::graph::Conjunct, set: Set, relation: usize) -> Option<HashKey> {
    let (left, right, mirrored) = hash_sides(graph, conjunct, set, relation)?;
    let Expr::Compare { rule, .. } = &conjunct.expr else {
        return None;
    };
    let rule = if mirrored {
        Comparison { left: rule.right, right: rule.left, collation: rule.collation }
    } else {
        *rule
    };
    Some(HashKey { left: left.clone(), right: right.clone(), rule })
}

fn versions(source: &TableSource, path: Option<&Path>, terms: &[Term], part: VersionPart) -> Node {
    let table = Arc::clone(&source.table);
    let access = path.map_or(Access::Full, |path| access(source, &path.kind, terms));
    let position =
        |(column, register): &(ColumnSource, Register)| (VersionScan::position(&table, *column), *register);
    let columns = source.columns.iter().map(position).collect();
    Node::Versions(Box::new(VersionScan { table, part, access, columns }))
}

fn scan(source: &TableSource, path: Option<&Path>, terms: &[Term], filter: Option<Expr>) -> Node {
    let access = path.map_or(Access::Full, |path| access(source, &path.kind, terms));
    Node::Scan(Scan {
        table: Arc::clone(&source.table),
        alias: source.alias.clone(),
        point: source.point,
        columns: source.columns.clone(),
        access,
        filter,
        backward: path.is_some_and(|path| path.backward),
    })
}

fn access(source: &TableSource, kind: &Kind, terms: &[Term]) -> Access {
    match kind {
        Kind::Full => Access::Full,
        Kind::Primary(range) => Access::Primary(bounds(range, terms)),
        Kind::Index { index, range, covering } => Access::Index {
            index: Arc::clone(&source.table.indexes[*index]),
            bounds: bounds(range, terms),
            covering: *covering,
        },
        Kind::Union(sides) => {
            Access::Union(sides.iter().map(|(kind, terms)| access(source, kind, terms)).collect())
        }
    }
}

fn bounds(range: &Range, terms: &[Term]) -> KeyBounds {
    let mut bounds = KeyBounds::default();
    for &term in &range.equal {
        if let Shape::Equal(term) = &terms[term].shape {
            bounds.equal.push(term.clone());
        }
    }
    if let Some(Shape::Lower(bound, inclusive)) = range.lower.map(|term| &terms[term].shape) {
        bounds.lower = Some((bound.clone(), *inclusive));
    }
    if let Some(Shape::Upper(bound, inclusive)) = range.upper.map(|term| &terms[term].shape) {
        bounds.upper = Some((bound.clone(), *inclusive));
    }
    bounds
}

/// A RIGHT or FULL JOIN at `at`: what stands before it is planned as one side, the relation as the other, and what follows
/// joins the result.
pub(super) fn outer_join(block: FromBlock, at: usize) -> Planned {
    let FromBlock { mut relations, filter, wanted_order, limit } = block;
    let mut rest = relations.split_off(at);
    let following = rest.split_off(1);
    let relation = rest.remove(0);
    let left_registers: Vec<Register> =
        relations.iter().flat_map(|relation| filled(&relation.source)).collect();
    let right_registers = filled(&relation.source);
    let kind = relation.join;
    let left = plan_from(FromBlock { relations, ..FromBlock::default() }).node;
    let alone =
        super::Relation { join: JoinKind::Inner, on: Vec::new(), keep_order: false, source: relation.source };
    let right = plan_from(FromBlock { relations: vec![alone], ..FromBlock::default() }).node;
    let (method, condition) = outer_method(relation.on, &left_registers, &right_registers);
    let registers = left_registers.iter().chain(&right_registers).copied().collect();
    let join = Join { kind, left, right, method, condition, left_registers, right_registers };
    let source = Source::Node { node: Node::Join(Box::new(join)), registers, name: "join".into() };
    let first = super::Relation { source, join: JoinKind::Inner, keep_order: false, on: Vec::new() };
    let relations = std::iter::once(first).chain(following).collect();
    plan_from(FromBlock { relations, filter, wanted_order, limit })
}

/// Equalities between the sides become hash keys, the rest the condition.
fn outer_method(on: Vec<Expr>, left: &[Register], right: &[Register]) -> (JoinMethod, Option<Expr>) {
    let mut members = Vec::new();
    on.into_iter().for_each(|expr| expr.split_and(&mut members));
    let reads_only = |expr: &Expr, side: &[Register]| {
        let read = expr.registers_read();
        !read.is_empty() && !expr.is_volatile() && read.iter().all(|register| side.contains(register))
    };
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for member in members {
        match member {
            Expr::Compare { op: crate::plan::CompareOp::Equal, rule, left: l, right: r }
                if reads_only(&l, left) && reads_only(&r, right) =>
            {
                keys.push(HashKey { left: *l, right: *r, rule });
            }
            Expr::Compare { op: crate::plan::CompareOp::Equal, rule, left: l, right: r }
                if reads_only(&l, right) && reads_only(&r, left) =>
            {
                let rule = Comparison { left: rule.right, right: rule.left, collation: rule.collation };
                keys.push(HashKey { left: *r, right: *l, rule });
            }
            other => rest.push(other),
        }
    }
    let method = if keys.is_empty() { JoinMethod::Cross } else { JoinMethod::Hash(keys) };
    (method, Expr::join_and(rest))
}
