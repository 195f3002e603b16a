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
    pub(super) terms: Vec<Vec<Term>>,
    rows: f64,
    cost: f64,
}

/// Finds a cheap order.
pub(super) fn choose(graph: &Graph) -> Order {
    let terms: Vec<Vec<Term>> =
        (0..graph.relations.len()).map(|index| terms::of_relation(graph, index)).collect();
    let start = Order { steps: Vec::new(), ordered: false, terms, rows: 1.0, cost: 0.0 };
    if graph.relations.len() <= EXHAUSTIVE { exhaustive(graph, start) } else { greedy(graph, start) }
}

/// Selinger et al., "Access path selection in a relational database management system", 1979: the best way to every set
/// of relations, from smaller sets to larger.
fn exhaustive(graph: &Graph, start: Order) -> Order {
    let mut best: BTreeMap<Set, Order> = BTreeMap::from([(0, start)]);
    for _ in 0..graph.relations.len() {
        let mut larger: BTreeMap<Set, Order> = BTreeMap::new();
        for (&set, order) in &best {
            for relation in candidates(graph, set) {
                let next = extend(graph, order, set, relation);
                let set = set | bit(relation);
                if larger.get(&set).is_none_or(|known| total(graph, &next) < total(graph, known)) {
                    larger.insert(set, next);
                }
            }
        }
        best = larger;
    }
    best.into_values()
        .next()
        .expect("some relation can always come next: what must precede it stands before it")
}

fn greedy(graph: &Graph, start: Order) -> Order {
    let mut order = start;
    let mut set = 0;
    for _ in 0..graph.relations.len() {
        let nexts = candidates(graph, set).map(|relation| extend(graph, &order, set, relation));
        // The fewest rows first, then the least cost: a small intermediate result makes all that follows cheap.
        order = nexts
            .min_by(|a, b| {
                (a.rows, a.cost).partial_cmp(&(b.rows, b.cost)).unwrap_or(std::cmp::Ordering::Equal)
            })
            .expect("some relation can always come next: what must precede it stands before it");
        set = order.steps.iter().fold(0, |set, step| set | bit(step.relation));
    }
    order
}

/// The cost with a sort at the end, where the order is wanted and not there.
fn total(graph: &Graph, order: &Order) -> f64 {
    let sort = !graph.wanted_order.is_empty() && !order.ordered;
    order.cost + if sort { order.rows * order.rows.max(2.0).log2() * 0.3 } else { 0.0 }
}

fn candidates(graph: &Graph, set: Set) -> impl Iterator<Item = usize> + '_ {
    (0..graph.relations.len()).filter(move |&index| set & bit(index) == 0 && graph.after[index] & !set == 0)
}

/// Joins `relation` to what stands.
fn extend(graph: &Graph, order: &Order, set: Set, relation: usize) -> Order {
    let terms = &order.terms[relation];
    let first = set == 0;
    let wanted = first.then_some(graph.wanted_order.as_slice());
    let alone = access::best(graph, relation, terms, 0, wanted);
    let (method, path, run_rows, cost) = if first {
        let (rows, cost) = size(graph, relation, alone.as_ref());
        (Method::First, alone, rows, cost)
    } else {
        join(graph, order.rows, set, relation, terms, alone)
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
    let mut steps = order.steps.clone();
    steps.push(Step { relation, method, path });
    Order { steps, ordered, terms: order.terms.clone(), rows: rows.max(0.1), cost: order.cost + cost }
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
fn join(
    graph: &Graph,
    left: f64,
    set: Set,
    relation: usize,
    terms: &[Term],
    alone: Option<Path>,
) -> (Method, Option<Path>, f64, f64) {
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
    (method, alone, rows, scan_cost)
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
    let Expr::Compare { op: CompareOp::Equal, left, right, .. } = &conjunct.expr else {
        return None;
    };
    if conjunct.expr.is_volatile() {
        return None;
    }
    let (l, r) = (graph.reads(left), graph.reads(right));
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
