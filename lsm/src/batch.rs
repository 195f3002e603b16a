//! Makes ready what many look-ups will read, with few requests: the blocks that are missing are asked for together, and a store that
//! makes its callers wait hears of all of them at once.

use std::collections::BTreeMap;
use std::ops::Range;

use dosql_base::{Error, ErrorKind, Result, Timestamp};

use crate::cache::Access;
use crate::frame::{FrameKind, Handle};
use crate::reader::{SegmentReader, annotate};
use crate::set::{Open, Placed, SegmentSet};

impl SegmentReader {
    /// Brings the blocks that look-ups of these keys at `at` will read into the cache, as far as it has room. Keys that the filter does not know cost
    /// nothing.
    pub fn load(&self, keys: &[&[u8]], at: Timestamp) -> Result<()> {
        self.load_inner(keys, at).map_err(|error| annotate(error, self.name()))
    }

    fn load_inner(&self, keys: &[&[u8]], at: Timestamp) -> Result<()> {
        let source = self.source();
        let mut missing: BTreeMap<u64, Handle> = BTreeMap::new();
        let mut waits = Waits(None);
        for key in keys {
            let found = waits.note(self.probe(key, at, |block| Ok(Some(block))))?.flatten();
            if let Some(block) = found.filter(|&block| !source.is_cached(block)) {
                missing.insert(block.offset, block);
            }
        }
        let blocks: Vec<Handle> = missing.into_values().collect();
        let ranges: Vec<Range<u64>> =
            blocks.iter().map(|block| block.offset..block.end().unwrap_or(u64::MAX)).collect();
        let frames = waits.note(source.read_ranges(&ranges))?.unwrap_or_default();
        for (block, frame) in blocks.iter().zip(&frames) {
            source.unpack(frame, *block, FrameKind::Data, Access::Point)?;
        }
        waits.0.map_or(Ok(()), Err)
    }
}

impl<S: Placed> SegmentSet<S> {
    /// Live rows: brings near what [`SegmentSet::newest`] will read for these keys, as far as filters tell: of each key the block of the first
    /// segment that may hold it.
    pub fn load(&self, keys: &[&[u8]], at: Timestamp, open: Open<'_, S>) -> Result<()> {
        let at = at.min(Timestamp::MAX.previous());
        let mut asked: BTreeMap<u64, (&S, Vec<&[u8]>)> = BTreeMap::new();
        let mut waits = Waits(None);
        for key in keys {
            for segment in self.holding(key).filter(|segment| segment.min_start() <= at) {
                let may = open(segment)?.probe(key, at, |_| Ok(Some(())));
                match waits.note(may)? {
                    Some(None) => {}
                    Some(Some(())) => {
                        asked.entry(segment.number()).or_insert_with(|| (segment, Vec::new())).1.push(key);
                        break;
                    }
                    None => break,
                }
            }
        }
        for (segment, keys) in asked.values() {
            let loaded = open(segment)?.load(keys, at);
            waits.note(loaded)?;
        }
        waits.0.map_or(Ok(()), Err)
    }
}

/// What has to be waited for, once all is asked for.
struct Waits(Option<Error>);

impl Waits {
    /// The result, unless it is that one has to wait.
    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.0 = Some(error);
                Ok(None)
            }
            result => result.map(Some),
        }
    }
}
