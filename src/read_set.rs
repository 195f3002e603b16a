//! What an optimistic transaction has read: keys, and half-open ranges of keys.

use std::collections::BTreeSet;
use std::ops::Bound;

use dosql_base::mutant::weakened;

use crate::changes::Changes;

/// Ranges above which overlapping ones are joined.
const JOIN_AT: usize = 1 << 10;
/// What a key costs beside its bytes.
const OVERHEAD: usize = 32;
/// Above the first byte of every complete key.
const ABOVE_ALL: u8 = 0xFF;

/// The reads to check at commit, in bounded memory: where they take more, neighbours become one range. Imprecision only ever adds
/// keys: it may cause a needless conflict, never miss one.
pub(crate) struct ReadSet {
    points: BTreeSet<Box<[u8]>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    limit: usize,
}

/// The smallest key above `key`: the end of a range that includes it.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn cost((start, end): &(Vec<u8>, Vec<u8>)) -> usize {
    start.len() + end.len() + 2 * OVERHEAD
}

impl ReadSet {
    /// Nothing was read yet. It will take about `limit` bytes at most.
    pub(crate) fn new(limit: usize) -> Self {
        ReadSet { points: BTreeSet::new(), ranges: Vec::new(), bytes: 0, limit }
    }

    /// Notes a read of `key`, whether it was found or not.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        if self.points.contains(key) {
            return;
        }
        self.points.insert(Box::from(key));
        self.bytes += key.len() + OVERHEAD;
        self.keep_to_limit();
    }

    /// Notes a read of everything in `start <= key < end`.
    pub(crate) fn add_range(&mut self, start: &[u8], end: &[u8]) {
        if start >= end {
            return;
        }
        // A scan reports its range piece by piece, in either direction.
        if let Some(last) = self.ranges.last_mut()
            && start <= last.1.as_slice()
            && end >= last.0.as_slice()
        {
            self.bytes -= cost(last);
            if start < last.0.as_slice() {
                last.0 = start.to_vec();
            }
            if end > last.1.as_slice() {
                last.1 = end.to_vec();
            }
            self.bytes += cost(last);
        } else {
            let range = (start.to_vec(), end.to_vec());
            self.bytes += cost(&range);
            self.ranges.push(range);
            if self.ranges.len().is_multiple_of(JOIN_AT) {
                self.join();
            }
        }
        self.keep_to_limit();
    }

    /// Joins ranges that overlap or meet; they are in order afterwards.
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
        let points: usize = self.points.iter().map(|key| key.len() + OVERHEAD).sum();
        self.bytes = points + self.ranges.iter().map(cost).sum::<usize>();
    }

    /// Gives up precision where it takes more memory than it may: points become ranges, and then each two neighbours one.
    fn keep_to_limit(&mut self) {
        if self.bytes <= self.limit {
            return;
        }
        let points = std::mem::take(&mut self.points);
        self.ranges.extend(points.into_iter().map(|key| {
            let end = after(&key);
            (key.into_vec(), end)
        }));
        self.join();
        // To a half, so that this is not done at every read from now on.
        while self.bytes > self.limit / 2 && self.ranges.len() > 1 {
            self.ranges = self
                .ranges
                .chunks(2)
                .map(|pair| (pair[0].0.clone(), pair[pair.len() - 1].1.clone()))
                .collect();
            self.join();
        }
        if self.bytes > self.limit {
            self.ranges = vec![(Vec::new(), vec![ABOVE_ALL])];
            self.bytes = self.ranges.iter().map(cost).sum();
        }
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

    fn one(key: &[u8]) -> Changes {
        let mut one = Changes::default();
        one.insert(key, None, false);
        one
    }

    #[test]
    fn a_change_inside_a_range_or_at_a_key_meets_the_reads() {
        let mut reads = ReadSet::new(1 << 20);
        reads.add_key(b"k");
        reads.add_range(b"b", b"d");
        assert!(reads.meets(&changes(&["k"])));
        assert!(reads.meets(&changes(&["a", "c", "z"])));
        assert!(!reads.meets(&changes(&["a", "d", "j"])));
    }

    #[test]
    fn reads_within_the_limit_are_kept_to_the_key() {
        let mut reads = ReadSet::new(1 << 20);
        for n in 0..5_000u32 {
            let key = (n * 2).to_be_bytes();
            reads.add_range(&key, &after(&key));
            reads.add_key(&(1_000_000 + n * 2).to_be_bytes());
        }
        for n in [0, 4_998, 9_998, 1_000_000, 1_009_998] {
            assert!(reads.meets(&one(&u32::to_be_bytes(n))), "{n}");
            assert!(!reads.meets(&one(&u32::to_be_bytes(n + 1))), "{n}");
        }
    }

    #[test]
    fn reads_beyond_the_limit_become_ranges_and_none_is_lost() {
        let mut rng = fastrand::Rng::with_seed(7);
        for limit in [0, 100, 3_000, 64 << 10] {
            let mut reads = ReadSet::new(limit);
            let mut keys = Vec::new();
            for n in 0..3_000u32 {
                let mut key = rng.u32(..1 << 20).to_be_bytes().to_vec();
                key.resize(4 + n as usize % 40, 7);
                match n % 3 {
                    0 => reads.add_range(&key, &after(&key)),
                    _ => reads.add_key(&key),
                }
                assert!(reads.bytes <= limit.max(1 + 2 * OVERHEAD), "{} of {limit}", reads.bytes);
                keys.push(key);
            }
            let held = reads.points.iter().map(|key| key.len() + OVERHEAD).sum::<usize>();
            assert_eq!(reads.bytes, held + reads.ranges.iter().map(cost).sum::<usize>());
            for key in &keys {
                assert!(reads.meets(&one(key)), "limit {limit}: {key:?}");
            }
        }
    }

    #[test]
    fn one_key_longer_than_the_limit_stands_for_everything() {
        let mut reads = ReadSet::new(1_000);
        reads.add_key(&[9; 5_000]);
        assert!(reads.bytes < 100);
        assert!(reads.meets(&one(&[9; 5_000])) && reads.meets(&one(b"\xFBz")));
    }
}
