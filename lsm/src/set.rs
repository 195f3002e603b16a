//! Which segments to ask for a key or a range, and in which order: an immutable picture of one set of manifest rows.
//!
//! Of level 0 any segment may hold a key, the newest first; of each deeper level one, found by halves. A segment is opened when it is asked,
//! by whoever keeps readers open.

use std::ops::Bound;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};

use crate::pick::{BOTTOM_LEVEL, SegmentMeta};
use crate::reader::{Found, SegmentReader};

/// A segment and its place in a set: what a manifest row tells.
pub trait Placed {
    /// Its number: in level 0 the higher one holds the newer versions.
    fn number(&self) -> u64;
    /// Its level.
    fn level(&self) -> u32;
    /// The least key in it.
    fn min_key(&self) -> &[u8];
    /// The greatest.
    fn max_key(&self) -> &[u8];
    /// When the first version in it began.
    fn min_start(&self) -> Timestamp;
    /// When the last one ended.
    fn max_end(&self) -> Timestamp;
}

impl Placed for SegmentMeta {
    fn number(&self) -> u64 {
        self.id
    }

    fn level(&self) -> u32 {
        self.level
    }

    fn min_key(&self) -> &[u8] {
        &self.min_key
    }

    fn max_key(&self) -> &[u8] {
        &self.max_key
    }

    fn min_start(&self) -> Timestamp {
        self.min_start
    }

    fn max_end(&self) -> Timestamp {
        self.max_end
    }
}

/// Opens a segment of the set, or hands over a reader that is open.
pub type Open<'a, S> = &'a mut dyn FnMut(&S) -> Result<Arc<SegmentReader>>;

/// The segments of one set, as [`crate::pick`] keeps them. Cheap to ask, made anew when the manifest changes.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentSet<S = SegmentMeta> {
    /// By level: 0 by number, the newest first; the others by key.
    levels: Vec<Vec<S>>,
}

impl<S> Default for SegmentSet<S> {
    fn default() -> Self {
        SegmentSet { levels: Vec::new() }
    }
}

impl<S: Placed> SegmentSet<S> {
    /// The set of these segments.
    #[must_use]
    pub fn new(segments: impl IntoIterator<Item = S>) -> Self {
        let mut levels: Vec<Vec<S>> = Vec::new();
        levels.resize_with(BOTTOM_LEVEL as usize + 1, Vec::new);
        for segment in segments {
            levels[segment.level().min(BOTTOM_LEVEL) as usize].push(segment);
        }
        levels[0].sort_by_key(|segment| std::cmp::Reverse(segment.number()));
        for level in &mut levels[1..] {
            level.sort_by(|a, b| a.min_key().cmp(b.min_key()).then(a.max_key().cmp(b.max_key())));
        }
        SegmentSet { levels }
    }

    /// All segments, the shallowest level first.
    pub fn segments(&self) -> impl Iterator<Item = &S> {
        self.levels.iter().flatten()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(Vec::is_empty)
    }

    /// The segments whose keys span `key`: of live rows those with newer versions first.
    pub fn holding<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a S> {
        self.overlapping(Bound::Included(key), Bound::Included(key))
    }

    /// The segments whose keys span some of a range, the shallowest level first.
    pub fn overlapping<'a>(
        &'a self,
        from: Bound<&'a [u8]>,
        to: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = &'a S> {
        let ends_before = move |segment: &S| match from {
            Bound::Included(from) => segment.max_key() < from,
            Bound::Excluded(from) => segment.max_key() <= from,
            Bound::Unbounded => false,
        };
        let begins_after = move |segment: &S| match to {
            Bound::Included(to) => segment.min_key() > to,
            Bound::Excluded(to) => segment.min_key() >= to,
            Bound::Unbounded => false,
        };
        self.levels.iter().enumerate().flat_map(move |(level, segments)| {
            // Below level 0 last keys ascend as first keys do.
            let ordered = level > 0;
            let first = if ordered { segments.partition_point(ends_before) } else { 0 };
            let rest = segments.get(first..).unwrap_or_default().iter();
            rest.take_while(move |segment| !ordered || !begins_after(segment))
                .filter(move |segment| !ends_before(segment) && !begins_after(segment))
        })
    }

    /// Live rows: the newest version of `key` that had begun at `at` ([`Timestamp::MAX`]: at present), tombstones included. Asks one segment
    /// after the other until one has it; those whose filter does not know the key cost no read.
    pub fn newest(&self, key: &[u8], at: Timestamp, open: Open<'_, S>) -> Result<Option<Found>> {
        let at = at.min(Timestamp::MAX.previous());
        for segment in self.holding(key).filter(|segment| segment.min_start() <= at) {
            if let Some(found) = open(segment)?.get(key, at)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// History: the version of `key` that lived at `at`, tombstones included. Asks all segments whose time it is in: of several that claim the
    /// moment the one that began last is right.
    pub fn living(&self, key: &[u8], at: Timestamp, open: Open<'_, S>) -> Result<Option<Found>> {
        let mut best: Option<Found> = None;
        let then = |segment: &&S| segment.min_start() <= at && at < segment.max_end();
        for segment in self.holding(key).filter(then) {
            let found = open(segment)?.get(key, at)?;
            if found.as_ref().is_some_and(|found| best.as_ref().is_none_or(|best| found.start > best.start)) {
                best = found;
            }
        }
        Ok(best)
    }
}
