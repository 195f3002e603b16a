//! The window of recent commits that an optimistic transaction is checked against: backward validation (Kung and
//! Robinson, "On Optimistic Methods for Concurrency Control", 1981).

use std::collections::{BTreeMap, VecDeque};

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};

use crate::changes::Changes;
use crate::read_set::ReadSet;

/// What was committed lately, oldest first, and who may still ask.
#[derive(Default)]
pub(crate) struct Window {
    commits: VecDeque<Recent>,
    bytes: usize,
    /// Commits at or below this have been forgotten.
    forgotten: Timestamp,
    /// Snapshots of the optimistic transactions under way, and how many share each.
    active: BTreeMap<Timestamp, usize>,
}

struct Recent {
    at: Timestamp,
    bytes: usize,
    changes: Changes,
}

impl Window {
    /// Starts with nothing remembered up to `last`.
    pub(crate) fn new(last: Timestamp) -> Self {
        Window { forgotten: last, ..Window::default() }
    }

    /// An optimistic transaction with this snapshot begins.
    pub(crate) fn enter(&mut self, snapshot: Timestamp) {
        *self.active.entry(snapshot).or_insert(0) += 1;
    }

    /// An optimistic transaction ends, one way or the other.
    pub(crate) fn leave(&mut self, snapshot: Timestamp) {
        if let Some(count) = self.active.get_mut(&snapshot) {
            *count -= 1;
            if *count == 0 {
                self.active.remove(&snapshot);
            }
        }
    }

    /// Remembers a commit. `visible` is what a transaction that begins now would see, `budget` the bytes to keep.
    pub(crate) fn push(
        &mut self,
        at: Timestamp,
        bytes: usize,
        changes: Changes,
        visible: Timestamp,
        budget: usize,
    ) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.commits.push_back(Recent { at, bytes, changes });
        self.forget(visible, budget);
    }

    /// Drops what nobody can ask about any more, and the oldest while there are more than `budget` bytes.
    pub(crate) fn forget(&mut self, visible: Timestamp, budget: usize) {
        let needed = self.active.keys().next().map_or(visible, |&oldest| oldest.min(visible));
        while let Some(oldest) = self.commits.front() {
            if oldest.at > needed && self.bytes <= budget {
                break;
            }
            self.bytes -= oldest.bytes;
            self.forgotten = oldest.at;
            self.commits.pop_front();
        }
    }

    /// Bytes of remembered writes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks a transaction whose snapshot is `since` against every later commit. `reads` is `None` under snapshot isolation.
    pub(crate) fn check(&self, since: Timestamp, reads: Option<&ReadSet>, writes: &Changes) -> Result<()> {
        if since < self.forgotten && !weakened("old-snapshot-admitted") {
            return Err(Error::conflict(
                "the transaction is older than the commits that are remembered for checking; run it again",
            ));
        }
        let first = self.commits.partition_point(|recent| recent.at <= since);
        for recent in self.commits.range(first..) {
            if overlap(&recent.changes, writes) && !weakened("write-conflict-ignored") {
                return Err(Error::conflict(format!(
                    "a key that this transaction wrote was changed by commit {}; run it again",
                    recent.at
                )));
            }
            if reads.is_some_and(|reads| reads.meets(&recent.changes)) {
                return Err(Error::conflict(format!(
                    "something that this transaction read was changed by commit {}; run it again",
                    recent.at
                )));
            }
        }
        Ok(())
    }
}

fn overlap(a: &Changes, b: &Changes) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.keys().any(|key| many.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn changes(keys: &[&str]) -> Changes {
        let mut changes = Changes::default();
        for key in keys {
            changes.insert(key.as_bytes(), None, false);
        }
        changes
    }

    #[test]
    fn only_commits_after_the_snapshot_conflict() {
        let mut window = Window::new(at(1));
        window.enter(at(1));
        window.push(at(2), 1, changes(&["a"]), at(2), 100);
        window.push(at(3), 1, changes(&["b"]), at(3), 100);
        assert!(window.check(at(1), None, &changes(&["a"])).is_err());
        assert!(window.check(at(2), None, &changes(&["a"])).is_ok());
        let mut reads = ReadSet::new(1 << 20);
        reads.add_key(b"b");
        assert!(window.check(at(2), Some(&reads), &changes(&["z"])).is_err());
        assert!(window.check(at(2), None, &changes(&["z"])).is_ok());
        assert!(window.check(at(3), Some(&reads), &changes(&["z"])).is_ok());
    }

    #[test]
    fn a_transaction_older_than_the_window_is_refused() {
        let mut window = Window::new(at(1));
        window.enter(at(1));
        window.push(at(2), 60, changes(&["a"]), at(2), 100);
        window.push(at(3), 60, changes(&["b"]), at(3), 100);
        assert!(window.check(at(1), None, &changes(&["z"])).is_err());
        assert!(window.check(at(2), None, &changes(&["z"])).is_ok());
    }

    #[test]
    fn nothing_is_remembered_that_nobody_can_ask_about() {
        let mut window = Window::new(at(1));
        window.push(at(2), 1, changes(&["a"]), at(1), 100);
        assert_eq!(window.commits.len(), 1, "a snapshot at 1 may still begin");
        window.push(at(3), 1, changes(&["b"]), at(3), 100);
        assert!(window.commits.is_empty());
        window.enter(at(3));
        window.push(at(4), 1, changes(&["a"]), at(4), 100);
        assert_eq!(window.commits.len(), 1);
        window.leave(at(3));
        window.forget(at(4), 100);
        assert!(window.commits.is_empty());
    }
}
