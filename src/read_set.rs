//! What an optimistic transaction has read: keys, and half-open ranges of keys.

use std::collections::BTreeSet;
use std::ops::Bound;

use dosql_base::mutant::weakened;

use crate::changes::Changes;

/// Keys above which the set gives up precision and becomes one range over all of them.
const MAX_POINTS: usize = 1 << 16;
/// Ranges above which overlapping ones are joined.
const JOIN_AT: usize = 1 << 10;

/// The reads to check at commit. Imprecision only ever adds keys: it may cause a needless conflict, never miss one.
#[derive(Default)]
pub(crate) struct ReadSet {
    points: BTreeSet<Box<[u8]>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The smallest key above `key`: the end of a range that includes it.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

impl ReadSet {
    /// Notes a read of `key`, whether it was found or not.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        if self.points.contains(key) {
            return;
        }
        if self.points.len() >= MAX_POINTS {
            let points = std::mem::take(&mut self.points);
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                self.add_range(first, &after(last));
            }
        }
        self.points.insert(Box::from(key));
    }

    /// Notes a read of everything in `start <= key < end`.
    pub(crate) fn add_range(&mut self, start: &[u8], end: &[u8]) {
        if start >= end {
            return;
        }
        // A scan reports its range piece by piece, in either direction.
        if let Some((low, high)) = self.ranges.last_mut()
            && start <= high.as_slice()
            && end >= low.as_slice()
        {
            if start < low.as_slice() {
                *low = start.to_vec();
            }
            if end > high.as_slice() {
                *high = end.to_vec();
            }
            return;
        }
        self.ranges.push((start.to_vec(), end.to_vec()));
        if self.ranges.len().is_multiple_of(JOIN_AT) {
            self.join();
        }
    }

    fn join(&mut self) {
        self.ranges.sort_unstable();
        let mut joined: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (start, end) in self.ranges.drain(..) {
            match joined.last_mut() {
                Some((_, high)) if start <= *high => {
                    if end > *high {
                        *high = end;
                    }
                }
                _ => joined.push((start, end)),
            }
        }
        self.ranges = joined;
    }

    /// Whether any of `changes` is something that was read.
    pub(crate) fn meets(&self, changes: &Changes) -> bool {
        let point_met = if self.points.len() <= changes.len() {
            self.points.iter().any(|key| changes.contains_key(key))
        } else {
            changes.keys().any(|key| self.points.contains(key))
        };
        if weakened("read-conflict-ignored") {
            return false;
        }
        let ranges = if weakened("phantom-ignored") { &[] } else { self.ranges.as_slice() };
        point_met
            || ranges.iter().any(|(start, end)| {
                changes.range(Bound::Included(start), Bound::Excluded(end)).next().is_some()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(keys: &[&str]) -> Changes {
        let mut changes = Changes::default();
        for key in keys {
            changes.insert(key.as_bytes(), None, false);
        }
        changes
    }

    #[test]
    fn a_change_inside_a_range_or_at_a_key_meets_the_reads() {
        let mut reads = ReadSet::default();
        reads.add_key(b"k");
        reads.add_range(b"b", b"d");
        assert!(reads.meets(&changes(&["k"])));
        assert!(reads.meets(&changes(&["a", "c", "z"])));
        assert!(!reads.meets(&changes(&["a", "d", "j"])));
    }

    #[test]
    fn many_ranges_and_keys_are_joined_without_losing_one() {
        let mut reads = ReadSet::default();
        for n in 0..5_000u32 {
            let key = (n * 2).to_be_bytes();
            reads.add_range(&key, &after(&key));
        }
        for n in 0..(MAX_POINTS as u32 + 10) {
            reads.add_key(&(1_000_000 + n).to_be_bytes());
        }
        assert!(reads.points.len() < 20);
        for n in [0, 4_998, 9_998, 1_000_000, 1_000_000 + MAX_POINTS as u32 + 9] {
            let mut one = Changes::default();
            one.insert(&n.to_be_bytes(), None, false);
            assert!(reads.meets(&one), "{n}");
        }
        let mut other = Changes::default();
        other.insert(&4_999u32.to_be_bytes(), None, false);
        assert!(!reads.meets(&other));
    }
}
