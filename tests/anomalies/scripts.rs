//! The scripts. A table of two rows to begin with: (1, 10) and (2, 20).

use super::Anomaly;
use super::client::Rows;
use super::play::Run;

/// Which rows a statement is about.
#[derive(Clone, Copy, Debug)]
pub enum Where {
    All,
    Id(i64),
    Value(i64),
    /// Those whose value is a multiple of it.
    MultipleOf(i64),
}

/// A statement of one transaction.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Select(Where),
    /// Sets the value of a row.
    Set(i64, i64),
    /// Sets the value of a row to what this transaction read there last, and so much more.
    Raise(i64, i64),
    /// Adds to every value.
    AddToAll(i64),
    Insert(i64, i64),
    Delete(Where),
    Commit,
    Abort,
}

/// One script: statements in order, each by transaction 1, 2 or 3, and by what one knows the anomaly.
pub struct Script {
    pub anomaly: Anomaly,
    pub name: &'static str,
    pub steps: &'static [(usize, Step)],
    pub shows: fn(&Run) -> bool,
}

use Step::{Abort, AddToAll, Commit, Delete, Insert, Raise, Select, Set};
use Where::{All, Id, MultipleOf, Value};

/// What the rows hold before, after the first and after the second writer of the script for OTV.
const OTV_STATES: [[(i64, i64); 2]; 3] = [[(1, 10), (2, 20)], [(1, 11), (2, 19)], [(1, 12), (2, 18)]];

pub const SCRIPTS: &[Script] = &[
    Script {
        anomaly: Anomaly::G0,
        name: "two writers of two rows",
        steps: &[
            (1, Set(1, 11)),
            (2, Set(1, 12)),
            (1, Set(2, 21)),
            (1, Commit),
            (2, Set(2, 22)),
            (2, Commit),
        ],
        shows: |run| run.last != [(1, 11), (2, 21)] && run.last != [(1, 12), (2, 22)],
    },
    Script {
        anomaly: Anomaly::G1a,
        name: "a read beside a rollback",
        steps: &[(1, Set(1, 101)), (2, Select(All)), (1, Abort), (2, Select(All)), (2, Commit)],
        shows: |run| run.saw(2, (1, 101)) || run.last.contains(&(1, 101)),
    },
    Script {
        anomaly: Anomaly::G1b,
        name: "a read between two writes",
        steps: &[
            (1, Set(1, 101)),
            (2, Select(All)),
            (1, Set(1, 11)),
            (1, Commit),
            (2, Select(All)),
            (2, Commit),
        ],
        shows: |run| run.saw(2, (1, 101)),
    },
    Script {
        anomaly: Anomaly::G1c,
        name: "each reads what the other wrote",
        steps: &[
            (1, Set(1, 11)),
            (2, Set(2, 22)),
            (1, Select(Id(2))),
            (2, Select(Id(1))),
            (1, Commit),
            (2, Commit),
        ],
        shows: |run| run.saw(1, (2, 22)) && run.saw(2, (1, 11)),
    },
    Script {
        anomaly: Anomaly::Otv,
        name: "a reader beside two writers",
        steps: &[
            (1, Set(1, 11)),
            (1, Set(2, 19)),
            (2, Set(1, 12)),
            (1, Commit),
            (3, Select(Id(1))),
            (2, Set(2, 18)),
            (3, Select(Id(2))),
            (2, Commit),
            (3, Select(Id(2))),
            (3, Select(Id(1))),
            (3, Commit),
        ],
        shows: |run| {
            !OTV_STATES.iter().any(|state| run.reads[2].iter().flatten().all(|row| state.contains(row)))
        },
    },
    Script {
        anomaly: Anomaly::Pmp,
        name: "an insert between two reads",
        steps: &[
            (1, Select(Value(30))),
            (2, Insert(3, 30)),
            (2, Commit),
            (1, Select(MultipleOf(3))),
            (1, Commit),
        ],
        shows: |run| run.saw(1, (3, 30)),
    },
    Script {
        anomaly: Anomaly::Pmp,
        name: "a delete by a predicate beside an update",
        steps: &[(1, AddToAll(10)), (2, Delete(Value(20))), (1, Commit), (2, Commit)],
        shows: |run| run.both_committed() && run.last != [(2, 30)] && run.last != [(1, 20)],
    },
    Script {
        anomaly: Anomaly::P4,
        name: "two raise the same row",
        steps: &[
            (1, Select(Id(1))),
            (2, Select(Id(1))),
            (1, Raise(1, 1)),
            (2, Raise(1, 5)),
            (1, Commit),
            (2, Commit),
        ],
        shows: |run| run.both_committed() && !run.last.contains(&(1, 16)),
    },
    Script {
        anomaly: Anomaly::GSingle,
        name: "a commit between two reads",
        steps: &[
            (1, Select(Id(1))),
            (2, Select(All)),
            (2, Set(1, 12)),
            (2, Set(2, 18)),
            (2, Commit),
            (1, Select(Id(2))),
            (1, Commit),
        ],
        shows: |run| run.saw(1, (1, 10)) && run.saw(1, (2, 18)),
    },
    Script {
        anomaly: Anomaly::GSingle,
        name: "a commit between two reads by predicates",
        steps: &[
            (1, Select(MultipleOf(5))),
            (2, Set(1, 12)),
            (2, Commit),
            (1, Select(MultipleOf(3))),
            (1, Commit),
        ],
        shows: |run| run.saw(1, (1, 10)) && run.saw(1, (1, 12)),
    },
    Script {
        anomaly: Anomaly::GSingle,
        name: "a commit between a read and a delete",
        steps: &[
            (1, Select(Id(1))),
            (2, Select(All)),
            (2, Set(1, 12)),
            (2, Set(2, 18)),
            (2, Commit),
            (1, Delete(Value(20))),
            (1, Commit),
        ],
        shows: |run| run.both_committed() && run.saw(1, (1, 10)) && run.saw(2, (2, 20)),
    },
    Script {
        anomaly: Anomaly::G2Item,
        name: "each reads both rows and writes another one",
        steps: &[
            (1, Select(Id(1))),
            (1, Select(Id(2))),
            (2, Select(Id(1))),
            (2, Select(Id(2))),
            (1, Set(1, 11)),
            (2, Set(2, 21)),
            (1, Commit),
            (2, Commit),
        ],
        shows: |run| run.both_committed() && run.saw(1, (2, 20)) && run.saw(2, (1, 10)),
    },
    Script {
        anomaly: Anomaly::G2,
        name: "each inserts what the other looked for",
        steps: &[
            (1, Select(MultipleOf(3))),
            (2, Select(MultipleOf(3))),
            (1, Insert(3, 30)),
            (2, Insert(4, 42)),
            (1, Commit),
            (2, Commit),
        ],
        shows: |run| run.both_committed() && run.reads[0] == [Rows::new()] && run.reads[1] == [Rows::new()],
    },
    Script {
        anomaly: Anomaly::G2,
        name: "a reader beside two writers",
        steps: &[
            (1, Select(All)),
            (2, Set(2, 25)),
            (2, Commit),
            (3, Select(All)),
            (3, Commit),
            (1, Set(1, 0)),
            (1, Commit),
        ],
        shows: |run| {
            run.committed == [true; 3] && run.saw(1, (2, 20)) && run.saw(3, (1, 10)) && run.saw(3, (2, 25))
        },
    },
];
