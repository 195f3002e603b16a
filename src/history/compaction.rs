//! Which history runs to merge: a pure function of their sizes and ages.
//!
//! Runs are ordered by the ends of their versions and only neighbours are merged, so that stays true. Sizes are kept
//! roughly geometric, oldest the largest: a version is rewritten about once for each doubling of what came after it.

use crate::manifest::Run;

/// What to do with the runs of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Runs, as a range of places, to be written as one.
    pub(crate) merge: std::ops::Range<usize>,
}

/// Chooses neighbours to merge: those in pages, which are the newest, when together they have come to `drain` bytes and so are to leave the
/// pages. Else, when there are more than `most` runs: the newest ones, reaching back as long as the next older
/// is not more than twice as large as all the newer together, and at least two.
pub(crate) fn pick(runs: &[Run], most: usize, drain: Option<u64>) -> Option<Plan> {
    let in_pages = runs.iter().rev().take_while(|run| run.segments().is_empty());
    let (count, bytes) =
        in_pages.fold((0, 0u64), |(count, bytes), run| (count + 1, bytes.saturating_add(run.bytes)));
    if count > 0 && drain.is_some_and(|least| bytes >= least) {
        return Some(Plan { merge: runs.len() - count..runs.len() });
    }
    if runs.len() <= most.max(1) {
        return None;
    }
    let mut start = runs.len() - 2;
    let mut newer: u64 = runs[start..].iter().map(|run| run.bytes).sum();
    while start > 0 && runs[start - 1].bytes <= newer.saturating_mul(2) {
        start -= 1;
        newer = newer.saturating_add(runs[start].bytes);
    }
    Some(Plan { merge: start..runs.len() })
}

#[cfg(test)]
mod tests {
    use dosql_base::Timestamp;

    use super::*;
    use std::sync::Arc;

    use crate::manifest::Place;
    use dosql_btree::Root;

    fn runs(sizes: &[u64]) -> Vec<Run> {
        let run = |(number, &bytes): (usize, &u64)| Run {
            number: number as u64,
            place: Place::Tree(Root::EMPTY),
            first_start: Timestamp::ZERO,
            last_end: Timestamp::from_micros(number as u64 * 10),
            entries: 1,
            bytes,
        };
        sizes.iter().enumerate().map(run).collect()
    }

    #[test]
    fn few_runs_are_left_alone() {
        assert_eq!(pick(&runs(&[5, 5]), 2, None), None);
        assert_eq!(pick(&[], 0, None), None);
    }

    #[test]
    fn the_newest_runs_are_merged_and_large_old_ones_spared() {
        assert_eq!(pick(&runs(&[1000, 3, 2, 2, 1]), 4, None), Some(Plan { merge: 1..5 }));
        assert_eq!(pick(&runs(&[1000, 500, 250]), 2, None), Some(Plan { merge: 0..3 }));
        assert_eq!(pick(&runs(&[1000, 1, 1]), 2, Some(5000)), Some(Plan { merge: 1..3 }));
    }

    #[test]
    fn what_lies_in_pages_leaves_them_when_it_has_grown() {
        assert_eq!(pick(&runs(&[3, 2]), 8, Some(6)), None);
        assert_eq!(pick(&runs(&[3, 2, 1]), 8, Some(6)), Some(Plan { merge: 0..3 }));
        let mut some = runs(&[900, 3, 4]);
        some[0].place = Place::Segments(Arc::from([]));
        assert_eq!(pick(&some, 8, Some(7)), Some(Plan { merge: 0..3 }), "no segment, no place of its own");
    }

    #[test]
    fn a_long_life_keeps_few_runs_and_rewrites_little() {
        let (mut sizes, mut written, total) = (Vec::new(), 0u64, 4096u64);
        for _ in 0..total {
            sizes.push(1);
            if let Some(plan) = pick(&runs(&sizes), 8, None) {
                let merged: u64 = sizes.drain(plan.merge.clone()).sum();
                sizes.insert(plan.merge.start, merged);
                written += merged;
            }
            assert!(sizes.len() <= 8);
        }
        assert!(written < total * 16, "{written}");
    }
}
