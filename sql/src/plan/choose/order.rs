//! The order in which relations are joined: all orders for a few, the cheapest next one for many.

use std::collections::BTreeMap;

use super::access::{self, Path};
use super::graph::{Conjunct, Graph, Set, bit};
use super::terms::{self, Term};
use super::{Source, graph};
use crate::plan::{CompareOp, Expr, JoinKind, Node};

/// Up to so many relations all orders are tried.
const EXHAUSTIVE: usize = 8;
/// Rows of a source of which nothing is known.
const NODE_ROWS: f64 = 1_000.0;
/// The cost of putting a row into a hash table, and of looking one up.
const BUILD: f64 = 3.0;
const PROBE: f64 = 2.0;

/// How a relation joins what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// It is the first.
    First,
    /// It runs anew for every row before it.
    Loop,
    Hash,
    Cross,
}

/// A relation in its place.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) relation: usize,
    pub(super) method: Method,
    /// For a table.
    pub(super) path: Option<Path>,
}

/// The joins from first to last.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) steps: Vec<Step>,
    /// The rows come in the wanted order.
    pub(super) ordered: bool,
    rows: f64,
    cost: f64,
}

/// What is known of the relations before any order is.
struct Known<'a> {
    graph: &'a Graph,
    terms: Vec<Vec<Term>>,
    /// The cheapest path to each when it comes after others of which it reads nothing.
    alone: Vec<Option<Path>>,
}

/// An order with one relation more, its steps not yet copied.
struct Extended {
    step: Step,
    ordered: bool,
    rows: f64,
    cost: f64,
}

impl Extended {
    fn build(self, before: &Order) -> Order {
        let mut steps = Vec::with_capacity(before.steps.len() + 1);
        steps.extend_from_slice(&before.steps);
        steps.push(self.step);
        Order { steps, ordered: self.ordered, rows: self.rows, cost: self.cost }
    }
}

/// Finds a cheap order. Also returns the terms of every relation, which its paths refer to.
pub(super) fn choose(graph: &Graph) -> (Order, Vec<Vec<Term>>) {
    let terms: Vec<Vec<Term>> =
        (0..graph.relations.len()).map(|index| terms::of_relation(graph, index)).collect();
    let alone =
        terms.iter().enumerate().map(|(index, terms)| access::best(graph, index, terms, 0, None)).collect();
    let known = Known { graph, terms, alone };
    let start = Order { steps: Vec::new(), ordered: false, rows: 1.0, cost: 0.0 };
    let few = graph.relations.len() <= EXHAUSTIVE;
    let order = if few { exhaustive(&known, start) } else { greedy(&known, start) };
    (order, known.terms)
}

/// Selinger et al., "Access path selection in a relational database management system", 1979: the best way to every set
/// of relations, from smaller sets to larger.
fn exhaustive(known: &Known<'_>, start: Order) -> Order {
    let graph = known.graph;
    let mut best: BTreeMap<Set, Order> = BTreeMap::from([(0, start)]);
    for _ in 0..graph.relations.len() {
        let mut larger: BTreeMap<Set, Order> = BTreeMap::new();
        for (&set, order) in &best {
            for relation in candidates(graph, set) {
                let next = extend(known, order, set, relation);
                let set = set | bit(relation);
                let price = total(graph, next.cost, next.rows, next.ordered);
                let better = |other: &Order| price < total(graph, other.cost, other.rows, other.ordered);
                if larger.get(&set).is_none_or(better) {
                    larger.insert(set, next.build(order));
                }
            }
        }
        best = larger;
    }
    best.into_values()
        .next()
        .expect("some relation can always come next: what must precede it stands before it")
}

fn greedy(known: &Known<'_>, start: Order) -> Order {
    let mut order = start;
    let mut set = 0;
    for _ in 0..known.graph.relations.len() {
        let nexts = candidates(known.graph, set).map(|relation| extend(known, &order, set, relation));
        // The fewest rows first, then the least cost: a small intermediate result makes all that follows cheap.
        let next = nexts
            .min_by(|a, b| {
                (a.rows, a.cost).partial_cmp(&(b.rows, b.cost)).unwrap_or(std::cmp::Ordering::Equal)
            })
            .expect("some relation can always come next: what must precede it stands before it");
        set |= bit(next.step.relation);
        order.steps.push(next.step);
        (order.ordered, order.rows, order.cost) = (next.ordered, next.rows, next.cost);
    }
    order
}

/// The cost with a sort at the end, where the order is wanted and not there.
fn total(graph: &Graph, cost: f64, rows: f64, ordered: bool) -> f64 {
    let sort = !graph.wanted_order.is_empty() && !ordered;
    cost + if sort { rows * rows.max(2.0).log2() * 0.3 } else { 0.0 }
}

fn candidates(graph: &Graph, set: Set) -> impl Iterator<Item = usize> + '_ {
    (0..graph.relations.len()).filter(move |&index| set & bit(index) == 0 && graph.after[index] & !set == 0)
}

/// Joins `relation` to what stands.
fn extend(known: &Known<'_>, order: &Order, set: Set, relation: usize) -> Extended {
    let graph = known.graph;
    let first = set == 0;
    let (method, path, run_rows, cost) = if first {
        let wanted = Some(graph.wanted_order.as_slice());
        let path = access::best(graph, relation, &known.terms[relation], 0, wanted);
        let (rows, cost) = size(graph, relation, path.as_ref());
        (Method::First, path, rows, cost)
    } else {
        join(known, order.rows, set, relation)
    };
    let mut rows = order.rows * run_rows;
    rows *= selectivity(graph, set, relation, path.as_ref(), method);
    if graph.relations[relation].join == JoinKind::Left && !first {
        rows = rows.max(order.rows);
    }
    let ordered = if first {
        !graph.wanted_order.is_empty() && path.as_ref().is_some_and(|path| path.ordered)
    } else {
        order.ordered
    };
    let step = Step { relation, method, path };
    Extended { step, ordered, rows: rows.max(0.1), cost: order.cost + cost }
}

/// The rows and the cost of one run of a relation on its own.
fn size(graph: &Graph, relation: usize, path: Option<&Path>) -> (f64, f64) {
    match (path, &graph.relations[relation].source) {
        (Some(path), _) => (path.rows, path.cost),
        (None, Source::Node { node: Node::Values { rows, .. }, .. }) => {
            (rows.len() as f64, rows.len() as f64)
        }
        (None, _) => (NODE_ROWS, NODE_ROWS),
    }
}

/// The cheapest method of joining `relation` to `left` rows: method, path, rows for each left row, cost.
fn join(known: &Known<'_>, left: f64, set: Set, relation: usize) -> (Method, Option<Path>, f64, f64) {
    let Known { graph, terms, alone } = known;
    let (terms, alone) = (&terms[relation], &alone[relation]);
    let (alone_rows, alone_cost) = size(graph, relation, alone.as_ref());
    if let Source::Node { node, .. } = &graph.relations[relation].source
        && graph.node_reads(node) & !bit(relation) != 0
    {
        return (Method::Loop, None, alone_rows.min(20.0), left * 20.0);
    }
    let hashable =
        graph.conjuncts.iter().any(|conjunct| hash_sides(graph, conjunct, set, relation).is_some());
    let (method, scan_cost) = if hashable {
        (Method::Hash, alone_cost + alone_rows * BUILD + left * PROBE)
    } else {
        (Method::Cross, alone_cost + left * alone_rows)
    };
    if let Some(path) = access::best(graph, relation, terms, set, None)
        && path.cost * left <= scan_cost
        && alone.as_ref().is_none_or(|alone| path.cost < alone.cost || left <= 1.0)
    {
        let (rows, cost) = (path.rows, path.cost * left);
        return (Method::Loop, Some(path), rows, cost);
    }
    let rows = if method == Method::Hash { alone_rows / f64::max(alone_rows, 1.0) } else { alone_rows };
    (method, alone.clone(), rows, scan_cost)
}

/// The two sides of an equality between what stands and `relation`.
pub(super) fn hash_sides<'a>(
    graph: &Graph,
    conjunct: &'a Conjunct,
    set: Set,
    relation: usize,
) -> Option<(&'a Expr, &'a Expr, bool)> {
    let outer = graph.relations[relation].join != JoinKind::Inner;
    if conjunct.on != outer.then_some(relation) {
        return None;
    }
    let (Some((l, r)), Expr::Compare { left, right, .. }) = (conjunct.sides, &conjunct.expr) else {
        return None;
    };
    let (own, standing) = (bit(relation), |reads: Set| reads != 0 && reads & !set == 0);
    if standing(l) && r == own {
        Some((left, right, false))
    } else if standing(r) && l == own {
        Some((right, left, true))
    } else {
        None
    }
}

/// The part of the rows that the conjuncts which become testable here, and which the path has not used, let through.
fn selectivity(graph: &Graph, set: Set, relation: usize, path: Option<&Path>, method: Method) -> f64 {
    let now = set | bit(relation);
    let mut part = 1.0;
    for (index, conjunct) in graph.conjuncts.iter().enumerate() {
        let here = conjunct.reads & bit(relation) != 0 && conjunct.reads & !now == 0;
        if !here || conjunct.on.is_some() || path.is_some_and(|path| path.consumed.contains(&index)) {
            continue;
        }
        if method == Method::Hash && hash_sides(graph, conjunct, set, relation).is_some() {
            continue;
        }
        part *= guess(&conjunct.expr);
    }
    f64::max(part, 1e-6)
}

/// The part of the rows for which a predicate is taken to hold.
fn guess(expr: &Expr) -> f64 {
    match expr {
        Expr::Compare { op: CompareOp::Equal | CompareOp::Is, .. } => 0.1,
        Expr::IsNull { not: false, .. } => 0.1,
        Expr::InList { not: false, list, .. } => (0.1 * list.len() as f64).min(0.5),
        Expr::Compare { op: CompareOp::NotEqual | CompareOp::IsNot, .. } | Expr::IsNull { not: true, .. } => {
            0.9
        }
        Expr::Compare { .. } => 0.33,
        Expr::Between { not: false, .. } => 0.15,
        Expr::Like { not: false, .. } => 0.2,
        Expr::Or(left, right) => (guess(left) + guess(right)).min(0.9),
        Expr::And(left, right) => guess(left) * guess(right),
        _ => 0.5,
    }
}

/// The relations that a sequence of steps has placed.
pub(super) fn placed(steps: &[Step]) -> Set {
    steps.iter().fold(0, |set, step| set | graph::bit(step.relation))
}
