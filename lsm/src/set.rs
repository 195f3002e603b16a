//! Which segments to ask for a key or a range, and in which order: an immutable picture of one set of manifest rows.
//!
//! Of level 0 any segment may hold a key, the newest first; of each deeper level one, found by halves. A segment is opened when it is asked,
//! by whoever keeps readers open.

use std::ops::Bound;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};

use crate::pick::{BOTTOM_LEVEL, SegmentMeta};
use crate::reader::{Found, SegmentReader};

/// Opens a segment of the set, or hands over a reader that is open.
pub type Open<'a> = &'a mut dyn FnMut(&SegmentMeta) -> Result<Arc<SegmentReader>>;

/// The segments of one set, as [`crate::pick`] keeps them. Cheap to ask, made anew when the manifest changes.
#[derive(Clone, Debug, Default)]
pub struct SegmentSet {
    /// By level: 0 by number, the newest first; the others by key.
    levels: Vec<Vec<SegmentMeta>>,
}

impl SegmentSet {
    /// The set of these segments.
    #[must_use]
    pub fn new(segments: impl IntoIterator<Item = SegmentMeta>) -> Self {
        let mut levels = vec![Vec::new(); BOTTOM_LEVEL as usize + 1];
        for segment in segments {
            levels[segment.level.min(BOTTOM_LEVEL) as usize].push(segment);
        }
        levels[0].sort_by_key(|segment| std::cmp::Reverse(segment.id));
        for level in &mut levels[1..] {
            level.sort_by(|a, b| a.min_key.cmp(&b.min_key).then(a.max_key.cmp(&b.max_key)));
        }
        SegmentSet { levels }
    }

    /// All segments, the shallowest level first.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentMeta> {
        self.levels.iter().flatten()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(Vec::is_empty)
    }

    /// The segments whose keys span `key`: of live rows those with newer versions first.
    pub fn holding<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a SegmentMeta> {
        self.overlapping(Bound::Included(key), Bound::Included(key))
    }

    /// The segments whose keys span some of a range, the shallowest level first.
    pub fn overlapping<'a>(
        &'a self,
        from: Bound<&'a [u8]>,
        to: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = &'a SegmentMeta> {
        let ends_before = move |segment: &SegmentMeta| match from {
            Bound::Included(from) => segment.max_key.as_slice() < from,
            Bound::Excluded(from) => segment.max_key.as_slice() <= from,
            Bound::Unbounded => false,
        };
        let begins_after = move |segment: &SegmentMeta| match to {
            Bound::Included(to) => segment.min_key.as_slice() > to,
            Bound::Excluded(to) => segment.min_key.as_slice() >= to,
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
    pub fn newest(&self, key: &[u8], at: Timestamp, open: Open<'_>) -> Result<Option<Found>> {
        let at = at.min(Timestamp::MAX.previous());
        for segment in self.holding(key).filter(|segment| segment.min_start <= at) {
            if let Some(found) = open(segment)?.get(key, at)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// History: the version of `key` that lived at `at`, tombstones included. Asks all segments whose time it is in: of several that claim the
    /// moment the one that began last is right.
    pub fn living(&self, key: &[u8], at: Timestamp, open: Open<'_>) -> Result<Option<Found>> {
        let mut best: Option<Found> = None;
        let then = |segment: &&SegmentMeta| segment.min_start <= at && at < segment.max_end;
        for segment in self.holding(key).filter(then) {
            let found = open(segment)?.get(key, at)?;
            if found.as_ref().is_some_and(|found| best.as_ref().is_none_or(|best| found.start > best.start)) {
                best = found;
            }
        }
        Ok(best)
    }
}
