//! What was compared, and what was found.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of one run; those of several threads add up.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Databases that were made.
    pub databases: u64,
    /// Statements that dosql and SQLite both ran, and how many of them both refused.
    pub compared: u64,
    pub refused: u64,
    /// Rows that they gave.
    pub rows: u64,
    /// Pairs of queries that must give the same, by what they pair.
    pub pairs: BTreeMap<&'static str, u64>,
    /// Known differences met, by their reason.
    pub known: BTreeMap<&'static str, u64>,
    /// What must not be: the seed, a script that shows it, what was found.
    pub violations: Vec<String>,
}

impl Figures {
    /// Adds those of another part of the run.
    pub fn add(&mut self, other: Figures) {
        self.databases += other.databases;
        self.compared += other.compared;
        self.refused += other.refused;
        self.rows += other.rows;
        for (pair, count) in other.pairs {
            *self.pairs.entry(pair).or_default() += count;
        }
        for (reason, count) in other.known {
            *self.known.entry(reason).or_default() += count;
        }
        self.violations.extend(other.violations);
    }

    /// All pairs.
    pub fn all_pairs(&self) -> u64 {
        self.pairs.values().sum()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (pair, count) in &self.pairs {
            writeln!(f, "queries: {count:>9} pairs {pair}")?;
        }
        for (reason, count) in &self.known {
            writeln!(f, "queries: {count:>9} known differences: {reason}")?;
        }
        write!(
            f,
            "queries: {} databases, {} statements compared with SQLite ({} refused by both, {} rows), {} pairs of queries, {} \
             known differences, {} violations",
            self.databases,
            self.compared,
            self.refused,
            self.rows,
            self.all_pairs(),
            self.known.values().sum::<u64>(),
            self.violations.len()
        )
    }
}
