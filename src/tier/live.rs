//! The live segments of a branch: rows that are current but for what the tree says, and hidden ones that somebody may still ask for.
//!
//! ```text
//! level 0      what was moved out of the tree, each time on its own; a greater number is newer
//! level 1..    merged; within a level the keys of the segments are apart
//! ```
//!
//! Of a key the newest version is the one in the lowest level and in that under the greatest number. What is found there holds as of a
//! moment unless the tree or history of the branch says something else about that moment.

use std::ops::Bound;
use std::sync::Arc;

use dosql_base::codec::Reader;
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};
use dosql_btree::PageSnapshot;
use dosql_lsm::{Kind, Placed, SegmentSet};
use dosql_sql::KeyRange;

use super::Tier;
use super::segment::Segment;
use super::versions::SegmentVersions;
use crate::bytes::Bytes;

/// See the module's description. Immutable: a change makes another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    segments: SegmentSet<LiveSegment>,
    /// Ranges of which rows are on their way: deletions there leave tombstones already.
    moving: Vec<KeyRange>,
}

/// A live segment and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LiveSegment {
    pub(crate) number: u64,
    pub(crate) level: u8,
    pub(crate) segment: Arc<Segment>,
}

impl Placed for LiveSegment {
    fn number(&self) -> u64 {
        self.number
    }

    fn level(&self) -> u32 {
        u32::from(self.level)
    }

    fn min_key(&self) -> &[u8] {
        &self.segment.min_key
    }

    fn max_key(&self) -> &[u8] {
        &self.segment.max_key
    }

    fn min_start(&self) -> Timestamp {
        self.segment.min_start
    }

    fn max_end(&self) -> Timestamp {
        self.segment.max_end
    }
}

impl LiveSegment {
    /// Segments at a level, with numbers in their order.
    pub(crate) fn numbered(
        segments: &[Arc<Segment>],
        level: u8,
        numbers: impl Iterator<Item = u64>,
    ) -> Vec<LiveSegment> {
        let placed = |(segment, number): (&Arc<Segment>, u64)| {
            let segment = Arc::clone(segment);
            LiveSegment { number, level, segment }
        };
        segments.iter().zip(numbers).map(placed).collect()
    }

    pub(crate) fn prefix(branch: u32) -> Vec<u8> {
        let mut key = vec![b'l'];
        key.extend_from_slice(&branch.to_be_bytes());
        key
    }

    pub(crate) fn key(branch: u32, number: u64) -> Vec<u8> {
        let mut key = LiveSegment::prefix(branch);
        key.extend_from_slice(&number.to_be_bytes());
        key
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.level];
        self.segment.encode(&mut out);
        out
    }

    /// From the row's key (past its prefix) and value.
    pub(crate) fn decode(number: &[u8], bytes: &[u8], tier: &Arc<Tier>) -> Result<LiveSegment> {
        let wrong = |_| Error::corrupt("the key of a live segment is not well formed", "system tree");
        let number = u64::from_be_bytes(number.try_into().map_err(wrong)?);
        let mut reader = Reader::new(bytes, "the row of a live segment");
        let level = reader.u8()?;
        let segment = Arc::new(Segment::decode(&mut reader, tier)?);
        reader.finish()?;
        Ok(LiveSegment { number, level, segment })
    }
}

impl Live {
    pub(crate) fn new(segments: impl IntoIterator<Item = LiveSegment>, moving: Vec<KeyRange>) -> Live {
        Live { segments: SegmentSet::new(segments), moving }
    }

    /// The same, with rows of these ranges on their way too.
    pub(crate) fn with_moving(&self, moving: Vec<KeyRange>) -> Live {
        Live { segments: self.segments.clone(), moving }
    }

    /// The same with one of the segments replaced, which has its number.
    pub(crate) fn with_moved(&self, moved: &LiveSegment) -> Live {
        let replaced = |it: &LiveSegment| if it.number == moved.number { moved.clone() } else { it.clone() };
        Live::new(self.segments().map(replaced), self.moving.clone())
    }

    /// The ranges of which rows are on their way.
    pub(crate) fn moving(&self) -> &[KeyRange] {
        &self.moving
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &LiveSegment> {
        self.segments.segments()
    }

    /// Whether nothing lies here and nothing is about to.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.moving.is_empty()
    }

    /// Whether it may hold `key`, now or soon.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        let moving = |range: &KeyRange| range.start.as_slice() <= key && key < range.end.as_slice();
        let on_its_way = self.moving.iter().any(moving) && !weakened("deletion-on-the-way-forgotten");
        let there =
            self.segments.holding(key).next().is_some() && !weakened("deletion-of-cold-row-forgotten");
        on_its_way || there
    }

    /// The segments that may have keys in the range, in the order in which they are asked.
    pub(crate) fn overlapping<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a LiveSegment> {
        self.segments.overlapping(Bound::Included(&range.start), Bound::Excluded(&range.end))
    }

    /// Whether it holds nothing in the range.
    pub(crate) fn is_clear_of(&self, range: &KeyRange) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// What it says of a stored key as of `at`: nothing, that it was deleted (`Some(None)`), or what it held.
    pub(crate) fn get(
        &self,
        pages: &PageSnapshot,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Option<Option<Bytes>>> {
        let found = self.segments.newest(key, at, &mut |live| live.segment.open(pages))?;
        Ok(found.map(|it| (it.kind == Kind::Put).then(|| Bytes::shared(Arc::from(it.value())))))
    }

    /// Brings near what [`Live::get`] will read for these keys, with few requests.
    pub(crate) fn load(&self, pages: &PageSnapshot, keys: &[&[u8]], at: Timestamp) -> Result<()> {
        self.segments.load(keys, at, &mut |live| live.segment.open(pages))
    }

    /// All versions with keys in the range, as sorted sequences, in the order in which they are asked.
    pub(crate) fn sequences(&self, pages: &PageSnapshot, range: &KeyRange) -> Vec<SegmentVersions> {
        let here: Vec<&LiveSegment> = self.overlapping(range).collect();
        let apart = here.chunk_by(|a, b| a.level == b.level && a.level > 0);
        let segments = apart.map(|chunk| chunk.iter().map(|it| Arc::clone(&it.segment)).collect());
        segments.map(|segments| SegmentVersions::new(segments, pages.clone())).collect()
    }

    /// Shows the versions that began or ended after `since`: key, begin and end. Reads the segments that have any.
    pub(crate) fn changed_since(
        &self,
        pages: &PageSnapshot,
        since: Timestamp,
        show: &mut dyn FnMut(&[u8], Timestamp, Timestamp),
    ) -> Result<()> {
        let changed = |it: &&LiveSegment| it.segment.max_start > since || it.segment.last_end > since;
        for LiveSegment { segment, .. } in self.segments().filter(changed) {
            let mut cursor = segment.open(pages)?.cursor();
            let mut here = cursor.first()?;
            while here && let Some(entry) = cursor.entry() {
                if entry.start > since || (entry.end < Timestamp::MAX && entry.end > since) {
                    show(entry.key, entry.start, entry.end);
                }
                here = cursor.next()?;
            }
        }
        Ok(())
    }

    /// About how many rows it has in the range.
    pub(crate) fn estimate(&self, range: &KeyRange) -> u64 {
        let count = |it: &LiveSegment| {
            let segment = &it.segment;
            let whole = range.start <= segment.min_key && segment.max_key < range.end;
            if whole { segment.entries } else { segment.entries.div_ceil(2) }
        };
        self.overlapping(range).map(count).fold(0, u64::saturating_add)
    }

    /// Rows in it, hidden ones and deletions included.
    pub(crate) fn entries(&self) -> u64 {
        self.segments().map(|it| it.segment.entries).sum()
    }
}
