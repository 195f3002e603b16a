//! Writing a run of history: versions of several sources, merged in the order of their keys, without those that are not kept.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{BulkLoader, PageMaker};
use dosql_lsm::Kind;

use dosql_lsm::Filter;

use super::cursor::Versions;
use super::filters::Keys;
use super::kept::Kept;
use super::key;
use crate::erase::Fate;
use crate::manifest::{Place, Run};
use crate::tier::Tier;
use crate::tier::segment::SegmentMaker;

/// Where a run is to lie.
#[derive(Clone, Copy)]
pub(crate) enum Into<'t> {
    Pages,
    /// In segments of about so many bytes.
    Segments(&'t Arc<Tier>, usize),
}

/// A run that is being written.
enum Sink<'m, M: PageMaker> {
    Pages(BulkLoader<'m, M>),
    Segments(SegmentMaker<'m, M>),
}

/// A version, as it goes into a run.
struct Written<'v> {
    encoded: &'v [u8],
    key: &'v [u8],
    start: Timestamp,
    end: Timestamp,
    /// `None` where the key was deleted.
    value: Option<&'v [u8]>,
}

impl<'m, M: PageMaker> Sink<'m, M> {
    fn new(maker: &'m mut M, into: Into<'_>) -> Self {
        match into {
            Into::Pages => Sink::Pages(maker.bulk()),
            Into::Segments(tier, target) => Sink::Segments(SegmentMaker::new(tier, maker, target)),
        }
    }

    fn push(&mut self, version: &Written<'_>) -> Result<()> {
        let Written { encoded, key, start, end, value } = *version;
        match (self, value) {
            (Sink::Pages(loader), Some(value)) => loader.push(encoded, end, value),
            (Sink::Pages(loader), None) => loader.push_tombstone(encoded, end),
            (Sink::Segments(maker), Some(value)) => maker.push(key, (start, end), Kind::Put, value),
            (Sink::Segments(maker), None) => maker.push(key, (start, end), Kind::Tombstone, &[]),
        }
    }

    fn finish(self) -> Result<Place> {
        Ok(match self {
            Sink::Pages(loader) => Place::Tree(loader.finish()?),
            Sink::Segments(maker) => Place::Segments(maker.finish()?.named().into()),
        })
    }
}

/// Writes the versions of `sources` that anybody may ask for as one run, with a filter of their keys; `None` if there are none.
pub(crate) fn write_run<M: PageMaker>(
    maker: &mut M,
    into: Into<'_>,
    sources: Vec<Box<dyn Versions + '_>>,
    kept: &Kept,
    number: u64,
) -> Result<Option<(Run, Option<Arc<Filter>>)>> {
    let mut open = Vec::with_capacity(sources.len());
    for mut source in sources {
        if source.seek(&[])? {
            open.push(source);
        }
    }
    let (mut first_start, mut last_end) = (Timestamp::MAX, Timestamp::ZERO);
    let (mut entries, mut bytes) = (0u64, 0u64);
    let mut sink = Sink::new(maker, into);
    let (mut key, mut keys) = (Vec::new(), Keys::default());
    while let Some(least) = least(&open) {
        let source = &mut open[least];
        let (start, end) = (key::decode(source.key(), &mut key)?, source.end());
        if let Some(fate) = fate(kept, &key, start, &**source)? {
            let value = match &fate {
                Fate::Becomes(bucket) => Some(bucket.as_slice()),
                _ if source.is_tombstone() => None,
                _ => Some(source.value()?),
            };
            keys.add(&key);
            sink.push(&Written { encoded: source.key(), key: &key, start, end, value })?;
            (first_start, last_end) = (first_start.min(start), last_end.max(end));
            entries += 1;
            bytes = bytes.saturating_add((source.key().len() + value.map_or(0, <[u8]>::len)) as u64);
        }
        if !source.next()? {
            drop(open.swap_remove(least));
        }
    }
    if entries == 0 {
        return Ok(None);
    }
    let place = sink.finish()?;
    // Segments have filters of their own.
    let filter = if let Place::Tree(_) = place { keys.filter() } else { None };
    Ok(Some((Run { number, place, first_start, last_end, entries, bytes }, filter)))
}

/// What becomes of a version that stays, as it is or changed.
fn fate(kept: &Kept, key: &[u8], start: Timestamp, source: &dyn Versions) -> Result<Option<Fate>> {
    if !kept.keeps(key, start, source.end()) {
        return Ok(None);
    }
    let fate = match &kept.erasure {
        Some(erasure) => erasure.fate(key, source.value()?, source.end())?,
        None => Fate::Stays,
    };
    // What hides something from then on stands in the tree.
    Ok((!matches!(fate, Fate::Goes | Fate::Hides)).then_some(fate))
}

fn least(sources: &[Box<dyn Versions + '_>]) -> Option<usize> {
    (0..sources.len()).min_by(|&a, &b| sources[a].key().cmp(sources[b].key()))
}
