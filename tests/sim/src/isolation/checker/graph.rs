//! Who depends on whom.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Key, Transaction};
use super::observed::Observed;

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It had ended when the other began.
    RealTime,
    /// It came first in the same session.
    Session,
    /// The other appended to a list next after it.
    Ww(Key),
    /// The other read what it wrote.
    Wr(Key),
    /// The other overwrote what it read.
    Rw(Key),
}

impl Why {
    pub(super) fn is_rw(self) -> bool {
        matches!(self, Why::Rw(_))
    }
}

/// An edge to a transaction.
pub(super) type Edge = (usize, Why);

/// Edges from every transaction.
pub(super) struct Graph {
    pub(super) from: Vec<Vec<Edge>>,
}

impl Graph {
    pub(super) fn of(history: &[Transaction], observed: &Observed) -> Self {
        let mut graph = Graph { from: vec![Vec::new(); history.len()] };
        graph.add_versions(observed);
        graph.add_reads(observed);
        graph.add_time(history, observed);
        for edges in &mut graph.from {
            edges.sort_unstable();
            edges.dedup();
        }
        graph
    }

    pub(super) fn edges(&self) -> usize {
        self.from.iter().map(Vec::len).sum()
    }

    fn add(&mut self, from: usize, to: usize, why: Why) {
        if from != to {
            self.from[from].push((to, why));
        }
    }

    fn add_versions(&mut self, observed: &Observed) {
        for (&key, list) in &observed.lists {
            for pair in list.windows(2) {
                if let (Some(first), Some(second)) = (observed.writer(pair[0]), observed.writer(pair[1])) {
                    self.add(first, second, Why::Ww(key));
                }
            }
        }
    }

    fn add_reads(&mut self, observed: &Observed) {
        for (reader, effects) in observed.effects.iter().enumerate() {
            for (&key, list) in &effects.read {
                if let Some(writer) = list.last().and_then(|&element| observed.writer(element)) {
                    self.add(writer, reader, Why::Wr(key));
                }
                // Its own append may come next; then what comes after that follows by ww.
                let next = observed.lists[&key].get(list.len());
                if let Some(writer) = next.and_then(|&element| observed.writer(element)) {
                    self.add(reader, writer, Why::Rw(key));
                }
            }
        }
    }

    /// Time, without the edges that follow from others: who ended before another began whom that other one already follows is
    /// left out.
    fn add_time(&mut self, history: &[Transaction], observed: &Observed) {
        let mut events = Vec::new();
        for (at, transaction) in history.iter().enumerate() {
            if observed.happened[at] && !transaction.past {
                events.push((transaction.began, true, at));
                events.push((transaction.ended, false, at));
            }
        }
        events.sort_unstable();
        // Those that have ended, and are not followed by another that has.
        let mut frontier: BTreeSet<usize> = BTreeSet::new();
        let mut last_of_session = BTreeMap::new();
        for (_, begins, at) in events {
            if begins {
                for &before in &frontier {
                    self.add(before, at, Why::RealTime);
                }
                if let Some(before) = last_of_session.insert(history[at].session, at) {
                    self.add(before, at, Why::Session);
                }
            } else {
                frontier.retain(|&before| history[before].ended > history[at].began);
                frontier.insert(at);
            }
        }
    }
}

/// The strongly connected components of more than one node (Tarjan 1972, without recursion: histories are long).
pub(super) fn components(nodes: usize, next: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut found = Vec::new();
    let (mut index, mut low) = (vec![NEW; nodes], vec![0; nodes]);
    let (mut on_stack, mut stack) = (vec![false; nodes], Vec::new());
    let mut count = 0;
    let mut calls: Vec<(usize, Vec<usize>)> = Vec::new();
    for start in 0..nodes {
        if index[start] != NEW {
            continue;
        }
        let mut entering = Some(start);
        loop {
            if let Some(node) = entering.take() {
                (index[node], low[node]) = (count, count);
                count += 1;
                on_stack[node] = true;
                stack.push(node);
                calls.push((node, next(node)));
            }
            let Some((node, rest)) = calls.last_mut() else { break };
            let node = *node;
            if let Some(child) = rest.pop() {
                if index[child] == NEW {
                    entering = Some(child);
                } else if on_stack[child] {
                    low[node] = low[node].min(index[child]);
                }
                continue;
            }
            calls.pop();
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index[node] {
                let from = stack
                    .iter()
                    .rposition(|&other| other == node)
                    .expect("a node is on the stack until its component is found");
                let component = stack.split_off(from);
                component.iter().for_each(|&member| on_stack[member] = false);
                if component.len() > 1 {
                    found.push(component);
                }
            }
        }
    }
    found
}
