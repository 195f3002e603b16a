//! Which runs may hold versions of a key, without a look at their pages: so that a read of the past begins where it is likely to end.
//!
//! Filters are in memory only. A run gets its own when it is written; what was written before the database was opened has none, and
//! is asked last, as ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_lsm::{Filter, hash64};

use crate::manifest::Run;

/// A run of more keys than this gets no filter: making one takes eight bytes a key for a moment, keeping it a bit more than one.
const MOST_KEYS: usize = 1 << 20;
const BITS_PER_KEY: u32 = 10;

/// Filters of runs by their numbers.
#[derive(Clone, Default)]
pub(crate) struct Filters(Arc<BTreeMap<u64, Arc<Filter>>>);

impl Filters {
    /// Those of these runs, with what was made for some of them.
    pub(crate) fn of(&self, runs: &[Run], made: impl IntoIterator<Item = (u64, Arc<Filter>)>) -> Filters {
        let known = self.0.iter().map(|(number, filter)| (*number, Arc::clone(filter))).chain(made);
        let runs = |number: &u64| runs.iter().any(|run| run.number == *number);
        Filters(Arc::new(known.filter(|(number, _)| runs(number)).collect()))
    }

    /// Whether one of these runs is likely to hold a version of `key` that was current at `at`.
    pub(crate) fn are_likely(&self, runs: &[Run], key: &[u8], at: Timestamp) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let hash = hash64(key);
        let mut asked = runs.iter().filter(|run| run.spans(at));
        asked.any(|run| self.0.get(&run.number).is_some_and(|filter| filter.may_contain(hash)))
    }

    /// Whether a run surely holds nothing of `key`.
    pub(crate) fn exclude(&self, run: &Run, key: &[u8]) -> bool {
        self.0.get(&run.number).is_some_and(|filter| !filter.may_contain(hash64(key)))
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.values().map(|filter| filter.bytes()).sum()
    }
}

/// The keys of a run that is being written.
#[derive(Default)]
pub(crate) struct Keys {
    hashes: Vec<u64>,
    last: Vec<u8>,
    too_many: bool,
}

impl Keys {
    /// Takes the key of the next version along.
    pub(crate) fn add(&mut self, key: &[u8]) {
        if self.too_many || (key == self.last.as_slice() && !self.hashes.is_empty()) {
            return;
        }
        if self.hashes.len() >= MOST_KEYS {
            (self.hashes, self.too_many) = (Vec::new(), true);
            return;
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.hashes.push(hash64(key));
    }

    /// The filter of all, unless there were too many.
    pub(crate) fn filter(self) -> Option<Arc<Filter>> {
        (!self.too_many).then(|| Arc::new(Filter::of(&self.hashes, BITS_PER_KEY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_knows_each_key_of_its_run_and_goes_with_it() {
        let mut keys = Keys::default();
        for n in 0..1000u32 {
            keys.add(&n.to_be_bytes());
            keys.add(&n.to_be_bytes());
        }
        assert_eq!(keys.hashes.len(), 1000);
        let at = Timestamp::from_micros;
        let run = Run {
            number: 3,
            place: crate::manifest::Place::Tree(dosql_btree::Root::EMPTY),
            first_start: at(5),
            last_end: at(9),
            entries: 1000,
            bytes: 0,
        };
        let filters =
            Filters::default().of(std::slice::from_ref(&run), keys.filter().map(|filter| (3, filter)));
        assert!((0..1000u32).all(|n| filters.are_likely(
            std::slice::from_ref(&run),
            &n.to_be_bytes(),
            at(5)
        )));
        assert!(
            !filters.are_likely(std::slice::from_ref(&run), &7u32.to_be_bytes(), at(9)),
            "all of it had ended by then"
        );
        assert!(!filters.are_likely(std::slice::from_ref(&run), &7u32.to_be_bytes(), at(4)));
        let wrong = (1000..11_000u32)
            .filter(|n| filters.are_likely(std::slice::from_ref(&run), &n.to_be_bytes(), at(6)))
            .count();
        assert!(wrong < 300, "{wrong} of 10000");
        assert!((1000..1100u32).any(|n| filters.exclude(&run, &n.to_be_bytes())));
        assert!(filters.of(&[], None).0.is_empty());
    }
}
