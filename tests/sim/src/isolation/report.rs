//! What came of a run: one line a scenario, and all that was violated.

use std::fmt;

/// One scenario.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub name: String,
    /// Transactions that ended, one way or another.
    pub transactions: usize,
    pub committed: usize,
    /// Rolled back, by choice or for a conflict.
    pub refused: usize,
    /// Commits that a crash left without an answer.
    pub unanswered: usize,
    /// Acknowledged without a promise of durability, and gone after a crash.
    pub lost: usize,
    pub crashes: usize,
    /// Edges between transactions that were checked for cycles.
    pub edges: usize,
    /// Cycles of write skew, which snapshot isolation allows.
    pub write_skews: usize,
    pub violations: Vec<String>,
}

impl Line {
    pub fn new(name: String) -> Self {
        Line { name, ..Line::default() }
    }

    fn add(&mut self, other: &Line) {
        self.transactions += other.transactions;
        self.committed += other.committed;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.lost += other.lost;
        self.crashes += other.crashes;
        self.edges += other.edges;
        self.write_skews += other.write_skews;
        self.violations.extend_from_slice(&other.violations);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line {
            name,
            transactions,
            committed,
            refused,
            unanswered,
            lost,
            crashes,
            edges,
            write_skews,
            ..
        } = self;
        write!(f, "{name:<60} {transactions:>7} transactions {committed:>7} committed {refused:>6} refused")?;
        write!(f, " {crashes:>4} crashes {unanswered:>4} unanswered {lost:>4} lost")?;
        write!(f, " {edges:>8} edges {write_skews:>3} write skews {:>2} violations", self.violations.len())
    }
}

/// All scenarios of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub lines: Vec<Line>,
}

impl Report {
    /// The sum of all lines.
    #[must_use]
    pub fn total(&self) -> Line {
        let mut total = Line::new("total".to_owned());
        self.lines.iter().for_each(|line| total.add(line));
        total
    }

    /// What was violated, each with its scenario.
    pub fn violations(&self) -> impl Iterator<Item = String> + '_ {
        let of_line = |line: &'_ Line| {
            let name = line.name.clone();
            line.violations.clone().into_iter().map(move |violation| format!("{name}: {violation}"))
        };
        self.lines.iter().flat_map(of_line)
    }
}
