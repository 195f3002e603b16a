//! The live segments of a branch: rows that are current but for what the tree says, and hidden ones that somebody may still ask for.
//!
//! ```text
//! level 0      what was moved out of the tree, each time on its own; a greater number is newer
//! level 1..    merged; within a level the keys of the segments are apart
//! ```
//!
//! Of a key the newest version is the one in the lowest level and in that under the greatest number. What is found there holds as of a
//! moment unless the tree or history of the branch says something else about that moment.

use std::sync::Arc;

use dosql_base::codec::Reader;
use dosql_base::{Error, Result, Timestamp};
use dosql_btree::PageSnapshot;
use dosql_lsm::Kind;
use dosql_sql::KeyRange;

use super::Tier;
use super::segment::Segment;
use super::versions::SegmentVersions;
use crate::bytes::Bytes;

/// See the module's description. Immutable: a change makes another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// In the order in which they are asked: levels upwards, in level 0 the greatest number first, in others by key.
    segments: Vec<LiveSegment>,
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

impl LiveSegment {
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
    pub(crate) fn new(mut segments: Vec<LiveSegment>, moving: Vec<KeyRange>) -> Live {
        segments.sort_by(|a, b| {
            a.level.cmp(&b.level).then_with(|| match a.level {
                0 => b.number.cmp(&a.number),
                _ => a.segment.min_key.cmp(&b.segment.min_key),
            })
        });
        Live { segments, moving }
    }

    /// The same, with rows of these ranges on their way too.
    pub(crate) fn with_moving(&self, moving: Vec<KeyRange>) -> Live {
        Live { segments: self.segments.clone(), moving }
    }

    /// The same with one of the segments replaced, which has its number.
    pub(crate) fn with_moved(&self, moved: LiveSegment) -> Live {
        let mut live = self.clone();
        if let Some(place) = live.segments.iter_mut().find(|it| it.number == moved.number) {
            *place = moved;
        }
        live
    }

    /// The ranges of which rows are on their way.
    pub(crate) fn moving(&self) -> &[KeyRange] {
        &self.moving
    }

    pub(crate) fn segments(&self) -> &[LiveSegment] {
        &self.segments
    }

    /// Whether nothing lies here and nothing is about to.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.moving.is_empty()
    }

    /// Whether it may hold `key`, now or soon.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        let moving = |range: &KeyRange| range.start.as_slice() <= key && key < range.end.as_slice();
        self.moving.iter().any(moving) || self.segments.iter().any(|it| it.segment.spans(key))
    }

    /// Whether it holds nothing in the range.
    pub(crate) fn is_clear_of(&self, range: &KeyRange) -> bool {
        !self.segments.iter().any(|it| it.segment.overlaps(&range.start, &range.end))
    }

    /// What it says of a stored key as of `at`: nothing, that it was deleted (`Some(None)`), or what it held.
    pub(crate) fn get(
        &self,
        pages: &PageSnapshot,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Option<Option<Bytes>>> {
        let at = at.min(Timestamp::MAX.previous());
        for LiveSegment { segment, .. } in &self.segments {
            if !segment.spans(key) || segment.min_start > at {
                continue;
            }
            if let Some(found) = segment.open(pages)?.get(key, at)? {
                let held = || Bytes::shared(Arc::from(found.value()));
                return Ok(Some((found.kind == Kind::Put).then(held)));
            }
        }
        Ok(None)
    }

    /// All versions with keys in the range, as sorted sequences, in the order in which they are asked.
    pub(crate) fn sequences(&self, pages: &PageSnapshot, range: &KeyRange) -> Vec<SegmentVersions> {
        let here: Vec<&LiveSegment> =
            self.segments.iter().filter(|it| it.segment.overlaps(&range.start, &range.end)).collect();
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
        for LiveSegment { segment, .. } in self.segments.iter().filter(changed) {
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
            if !segment.overlaps(&range.start, &range.end) {
                return 0;
            }
            let whole = range.start <= segment.min_key && segment.max_key < range.end;
            if whole { segment.entries } else { segment.entries.div_ceil(2) }
        };
        self.segments.iter().map(count).fold(0, u64::saturating_add)
    }

    /// Rows in it, hidden ones and deletions included.
    pub(crate) fn entries(&self) -> u64 {
        self.segments.iter().map(|it| it.segment.entries).sum()
    }
}
