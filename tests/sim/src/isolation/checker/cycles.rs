//! Which anomaly a strongly connected component is: the worst of the cycles in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::graph::{Edge, Graph, Why, components};
use super::history::Transaction;
use super::{Anomaly, Kind};

/// Names one cycle of each component.
pub(super) fn find(history: &[Transaction], graph: &Graph, anomalies: &mut Vec<Anomaly>) {
    let next = |at: usize| graph.from[at].iter().map(|&(to, _)| to).collect();
    for component in components(graph.from.len(), next) {
        let inside = Component { graph, members: component.iter().copied().collect() };
        let (kind, cycle) = inside.classify();
        let mut text = String::new();
        for (at, why) in &cycle {
            text += &format!("T{at} (session {}) -{why:?}-> ", history[*at].session);
        }
        text += &cycle.first().map_or(String::new(), |(first, _)| format!("T{first}"));
        anomalies.push(Anomaly { kind, text });
    }
}

/// A cycle: each transaction, and why the next comes after it.
type Cycle = Vec<(usize, Why)>;

struct Component<'g> {
    graph: &'g Graph,
    members: BTreeSet<usize>,
}

impl Component<'_> {
    fn edges(&self, from: usize) -> impl Iterator<Item = Edge> + '_ {
        self.graph.from[from].iter().copied().filter(|(to, _)| self.members.contains(to))
    }

    fn classify(&self) -> (Kind, Cycle) {
        let only_writes = |why| !matches!(why, Why::Wr(_) | Why::Rw(_));
        if let Some(cycle) = self.cycle(only_writes) {
            return (Kind::G0, cycle);
        }
        if let Some(cycle) = self.cycle(|why| !why.is_rw()) {
            return (Kind::G1c, cycle);
        }
        if let Some(cycle) = self.single() {
            return (Kind::GSingle, cycle);
        }
        if let Some(cycle) = self.nonadjacent() {
            return (Kind::GNonadjacent, cycle);
        }
        (Kind::G2Item, self.cycle(|_| true).expect("every node of a component is on a cycle"))
    }

    /// A cycle of edges that `allows` lets pass.
    fn cycle(&self, allows: impl Fn(Why) -> bool + Copy) -> Option<Cycle> {
        let order: Vec<usize> = self.members.iter().copied().collect();
        let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(at, &node)| (node, at)).collect();
        let next = |at: usize| {
            self.edges(order[at]).filter(|edge| allows(edge.1)).map(|edge| place[&edge.0]).collect()
        };
        let start = order[*components(order.len(), next).first()?.iter().min()?];
        self.edges(start).filter(|edge| allows(edge.1)).find_map(|(to, why)| {
            let mut cycle = vec![(start, why)];
            cycle.extend(self.path(to, start, allows)?);
            Some(cycle)
        })
    }

    /// A cycle with one rw edge.
    fn single(&self) -> Option<Cycle> {
        for &reader in &self.members {
            for (writer, why) in self.edges(reader).filter(|edge| edge.1.is_rw()) {
                if let Some(path) = self.path(writer, reader, |why| !why.is_rw()) {
                    let mut cycle = vec![(reader, why)];
                    cycle.extend(path);
                    return Some(cycle);
                }
            }
        }
        None
    }

    /// The shortest path of such edges.
    fn path(&self, from: usize, to: usize, allows: impl Fn(Why) -> bool) -> Option<Cycle> {
        let mut came: BTreeMap<usize, (usize, Why)> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                let mut path = Vec::new();
                let mut back = to;
                while back != from {
                    let (before, why) = came[&back];
                    path.push((before, why));
                    back = before;
                }
                path.reverse();
                return Some(path);
            }
            for (next, why) in self.edges(at).filter(|edge| allows(edge.1)) {
                if next != from && !came.contains_key(&next) {
                    came.insert(next, (at, why));
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// A cycle without two rw edges next to each other: one in the graph whose nodes also say whether one came by rw.
    fn nonadjacent(&self) -> Option<Cycle> {
        let order: Vec<usize> = self.members.iter().copied().collect();
        let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(at, &node)| (node, at)).collect();
        let next = |state: usize| {
            let edges =
                self.edges(order[state / 2]).filter(|edge| state.is_multiple_of(2) || !edge.1.is_rw());
            edges.map(|(to, why)| place[&to] * 2 + usize::from(why.is_rw())).collect::<Vec<_>>()
        };
        let found = components(order.len() * 2, next).into_iter().next()?;
        let states: BTreeSet<usize> = found.into_iter().collect();
        // Walk inside the component until a state comes back: that is the cycle.
        let mut walk: Vec<usize> = vec![*states.iter().min()?];
        loop {
            let at = *walk.last()?;
            let to = next(at).into_iter().find(|to| states.contains(to))?;
            if let Some(begin) = walk.iter().position(|&state| state == to) {
                walk.push(to);
                let edges = walk[begin..].windows(2);
                return Some(
                    edges.map(|pair| (order[pair[0] / 2], self.why(&order, pair[0], pair[1]))).collect(),
                );
            }
            walk.push(to);
        }
    }

    fn why(&self, order: &[usize], from: usize, to: usize) -> Why {
        let by_rw = to % 2 == 1;
        let edge =
            self.edges(order[from / 2]).find(|edge| edge.0 == order[to / 2] && edge.1.is_rw() == by_rw);
        edge.expect("a step of the walk is an edge").1
    }
}
