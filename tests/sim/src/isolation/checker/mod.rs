//! The cycle checker: decides from what clients saw whether a history of transactions is serializable, or holds to snapshot
//! isolation. The method is Elle's (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations",
//! VLDB 2020), the anomalies are Adya's.
//!
//! Transactions append numbers, each used once, to lists and read whole lists. A list that was read shows the order of its
//! versions, so that who depends on whom is known without looking into the database:
//!
//! ```text
//! history   what each transaction did and saw
//! observed  one pass over it: the order of each list's versions; reads that no order explains
//! graph     ww, wr, rw, session and real-time edges between transactions; strongly connected components
//! cycles    which anomaly a component is
//! ```
//!
//! Serializable: no cycle. Snapshot isolation: no cycle without two rw edges next to each other (Fekete and others, "Making
//! Snapshot Isolation Serializable", 2005).

mod cycles;
mod graph;
pub mod history;
mod observed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use history::Transaction;

/// What a history is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    Serializable,
    Snapshot,
}

/// What can be wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A read of what nobody wrote, or of the same twice.
    Garbage,
    /// A transaction that does not see its own writes, or the same twice.
    Internal,
    /// Two reads of a list of which neither is the beginning of the other.
    Incompatible,
    /// An acknowledged write that is not there at the end.
    Lost,
    /// Two transactions that read the same version of a list and both appended to it.
    LostUpdate,
    G0,
    G1a,
    G1b,
    G1c,
    GSingle,
    /// A cycle with several rw edges of which no two are next to each other.
    GNonadjacent,
    /// A cycle with rw edges next to each other: all that snapshot isolation lets through.
    G2Item,
}

impl Kind {
    /// Whether a history that holds to `model` may show it.
    #[must_use]
    pub fn is_allowed(self, model: Model) -> bool {
        self == Kind::G2Item && model == Model::Snapshot
    }
}

/// One thing found.
#[derive(Clone, Debug)]
pub struct Anomaly {
    pub kind: Kind,
    /// Who and what, for people.
    pub text: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// All that was found in a history.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub anomalies: Vec<Anomaly>,
    /// Edges between transactions that were looked at.
    pub edges: usize,
}

impl Verdict {
    /// What `model` forbids.
    pub fn violations(&self, model: Model) -> impl Iterator<Item = &Anomaly> {
        self.anomalies.iter().filter(move |anomaly| !anomaly.kind.is_allowed(model))
    }

    /// How often each kind was found.
    #[must_use]
    pub fn count(&self) -> BTreeMap<Kind, usize> {
        let mut count = BTreeMap::new();
        for anomaly in &self.anomalies {
            *count.entry(anomaly.kind).or_insert(0) += 1;
        }
        count
    }
}

/// Looks for every anomaly in `history`. With `complete`, its last reads are taken to show all that was committed.
#[must_use]
pub fn check(history: &[Transaction], complete: bool) -> Verdict {
    let mut anomalies = Vec::new();
    let observed = observed::Observed::of(history, complete, &mut anomalies);
    let graph = graph::Graph::of(history, &observed);
    cycles::find(history, &graph, &mut anomalies);
    Verdict { anomalies, edges: graph.edges() }
}
