//! The ten anomalies of Hermitage (Martin Kleppmann, github.com/ept/hermitage): short scripts of two or three transactions that
//! show whether a database lets through what its isolation level promises to prevent.
//!
//! ```text
//! scripts   who does what in which order, and by what one knows the anomaly
//! play      runs a script: a transaction that must wait goes on as soon as it can
//! client    a transaction over key and value, or over SQL
//! ```
//!
//! Everything happens in one thread, in the order of the script: an outcome is the same in every run.

mod client;
mod play;
mod scripts;

pub use play::play;
pub use scripts::SCRIPTS;

use dosql::{Database, Result};

/// How a transaction of a script begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the writer's turn: `db.write`, `BEGIN IMMEDIATE`.
    Write,
    /// `BEGIN`: a writer from its first write on.
    Deferred,
    /// Optimistic and serializable: `BEGIN CONCURRENT`.
    Serializable,
    /// Optimistic under snapshot isolation; SQL does not offer it.
    Snapshot,
}

/// The kinds that are serializable.
pub const SERIALIZABLE: [Kind; 3] = [Kind::Write, Kind::Deferred, Kind::Serializable];

/// What a script talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    Kv,
    Sql,
}

/// The anomalies, by their names in the literature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Two transactions' writes interleave.
    G0,
    /// A read of what is then rolled back.
    G1a,
    /// A read of what is then overwritten by its own writer.
    G1b,
    /// Two transactions that each read what the other wrote.
    G1c,
    /// A transaction seen whole at first, in part later.
    Otv,
    /// Two reads by a predicate that differ.
    Pmp,
    /// An update overwritten by one that did not see it.
    P4,
    /// A read of some rows before and of others after another's commit.
    GSingle,
    /// Two transactions that each miss what the other wrote, row by row.
    G2Item,
    /// The same by predicates.
    G2,
}

impl Anomaly {
    pub const ALL: [Anomaly; 10] = [
        Anomaly::G0,
        Anomaly::G1a,
        Anomaly::G1b,
        Anomaly::G1c,
        Anomaly::Otv,
        Anomaly::Pmp,
        Anomaly::P4,
        Anomaly::GSingle,
        Anomaly::G2Item,
        Anomaly::G2,
    ];

    /// Its name, and what it is in a few words.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Anomaly::G0 => ("G0", "write cycles"),
            Anomaly::G1a => ("G1a", "aborted reads"),
            Anomaly::G1b => ("G1b", "intermediate reads"),
            Anomaly::G1c => ("G1c", "circular information flow"),
            Anomaly::Otv => ("OTV", "observed transaction vanishes"),
            Anomaly::Pmp => ("PMP", "predicate-many-preceders"),
            Anomaly::P4 => ("P4", "lost update"),
            Anomaly::GSingle => ("G-single", "read skew"),
            Anomaly::G2Item => ("G2-item", "write skew"),
            Anomaly::G2 => ("G2", "write skew by predicates"),
        }
    }
}

/// Whether any script of `anomaly` shows it, every transaction being of `kind`.
pub fn is_possible(
    anomaly: Anomaly,
    interface: Interface,
    kind: Kind,
    db: &dyn Fn() -> Database,
) -> Result<bool> {
    let mut possible = false;
    for script in SCRIPTS.iter().filter(|script| script.anomaly == anomaly) {
        possible |= (script.shows)(&play(script, interface, &[kind; 3], &db())?);
    }
    Ok(possible)
}
