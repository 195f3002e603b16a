//! A segment as the rows of the system tree have it, and the making of some.
//!
//! ```text
//! id u64 LE | varint length, name | bytes | raw bytes | entries | tombstones | varint length, least key | varint length, greatest key
//! | least start | greatest start | greatest end | greatest end of one that is not current | tail root 32
//! ```
//!
//! The tail is a tree with one entry, whose key is empty and whose value is the end of the object: its filters and indexes.

use std::sync::Arc;

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};
use dosql_btree::{PageMaker, PageSnapshot, Root};
use dosql_lsm::{Kind, SegmentReader, SegmentStore, SegmentWriter, put_idempotent, put_shared_idempotent};

use dosql_base::sync::atomic::Ordering;

use super::Tier;
use super::held::Held;

/// A segment of this database. Its object can't go as long as this is held.
#[derive(Debug)]
pub(crate) struct Segment {
    tier: Arc<Tier>,
    /// Shared by all copies: tells whether anybody holds the segment.
    held: Arc<()>,
    pub(crate) id: u64,
    /// The object.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// That of its blocks before compression.
    pub(crate) raw_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) tombstones: u64,
    pub(crate) min_key: Vec<u8>,
    pub(crate) max_key: Vec<u8>,
    pub(crate) min_start: Timestamp,
    pub(crate) max_start: Timestamp,
    pub(crate) max_end: Timestamp,
    /// The greatest end of a version that has one; zero where all are current.
    pub(crate) last_end: Timestamp,
    /// Its filters and indexes.
    pub(crate) tail: Root,
}

impl PartialEq for Segment {
    fn eq(&self, other: &Segment) -> bool {
        self.name == other.name && self.tail == other.tail
    }
}

impl Segment {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        put_bytes(out, self.name.as_bytes());
        for field in [self.bytes, self.raw_bytes, self.entries, self.tombstones] {
            put_varint(out, field);
        }
        put_bytes(out, &self.min_key);
        put_bytes(out, &self.max_key);
        for field in [self.min_start, self.max_start, self.max_end, self.last_end] {
            put_varint(out, field.as_micros());
        }
        out.extend_from_slice(&self.tail.to_bytes());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, tier: &Arc<Tier>) -> Result<Segment> {
        Ok(Segment {
            tier: Arc::clone(tier),
            held: Arc::default(),
            id: reader.u64()?,
            name: reader.str()?.to_owned(),
            bytes: reader.varint()?,
            raw_bytes: reader.varint()?,
            entries: reader.varint()?,
            tombstones: reader.varint()?,
            min_key: reader.bytes()?.to_vec(),
            max_key: reader.bytes()?.to_vec(),
            min_start: Timestamp::from_micros(reader.varint()?),
            max_start: Timestamp::from_micros(reader.varint()?),
            max_end: Timestamp::from_micros(reader.varint()?),
            last_end: Timestamp::from_micros(reader.varint()?),
            tail: Root::from_bytes(reader.take(Root::LEN)?)?,
        })
    }

    /// Reads it, with its tail as of `pages`.
    pub(crate) fn open(&self, pages: &PageSnapshot) -> Result<Arc<SegmentReader>> {
        self.tier.reader(self, pages)
    }

    pub(super) fn read_tail(&self, pages: &PageSnapshot) -> Result<Vec<u8>> {
        let entry = pages.get(self.tail, &[])?;
        let entry = entry.ok_or_else(|| {
            Error::corrupt("the filters and indexes of a segment are missing", self.name.as_str())
        })?;
        Ok(entry.value().to_vec())
    }

    /// Whether its keys reach from at or below `key` to at or above it.
    #[inline]
    pub(crate) fn spans(&self, key: &[u8]) -> bool {
        self.min_key.as_slice() <= key && key <= self.max_key.as_slice()
    }

    /// Whether it may have a key in the range.
    pub(crate) fn overlaps(&self, start: &[u8], end: &[u8]) -> bool {
        self.min_key.as_slice() < end && start <= self.max_key.as_slice()
    }

    /// Whether somebody else holds it, a reader's view for one.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.held) > 1
    }

    /// Stores a copy of it for another database, with its tail in pages of `maker`.
    pub(crate) fn copy<M: PageMaker>(
        &self,
        pages: &PageSnapshot,
        to: &Arc<Tier>,
        maker: &mut M,
    ) -> Result<Segment> {
        let bytes = self.tier.store.read(&self.name, 0..self.bytes)?;
        let name = to.name_of(to.new_id());
        put_idempotent(&*to.store, &name, &bytes)?;
        let copy = self.share(pages, maker)?;
        Ok(Segment { tier: Arc::clone(to), held: Arc::default(), name, ..copy })
    }

    /// The same with its tail in pages of `maker` too.
    pub(crate) fn share<M: PageMaker>(&self, pages: &PageSnapshot, maker: &mut M) -> Result<Segment> {
        let mut loader = maker.bulk();
        loader.push(&[], self.max_start, &self.read_tail(pages)?)?;
        let tail = loader.finish()?;
        Ok(self.with_tail(tail))
    }

    /// The same with its tail in another place.
    pub(crate) fn with_tail(&self, tail: Root) -> Segment {
        let Segment { id, bytes, raw_bytes, entries, tombstones, min_start, max_start, .. } = *self;
        Segment {
            tier: Arc::clone(&self.tier),
            held: Arc::clone(&self.held),
            name: self.name.clone(),
            min_key: self.min_key.clone(),
            max_key: self.max_key.clone(),
            id,
            bytes,
            raw_bytes,
            entries,
            tombstones,
            min_start,
            max_start,
            max_end: self.max_end,
            last_end: self.last_end,
            tail,
        }
    }
}

impl Segment {
    /// Stores a segment that was written under `id`, with its tail in pages of `maker`; nothing names it yet. What was stored in vain is
    /// deleted later.
    pub(crate) fn store<M: PageMaker>(
        tier: &Arc<Tier>,
        id: u64,
        written: &dosql_lsm::Segment,
        maker: &mut M,
    ) -> Result<Arc<Segment>> {
        let name = tier.name_of(id);
        let held = &written.properties;
        let put = match put_shared_idempotent(&*tier.store, &name, &written.bytes) {
            Err(_) if weakened("segment-not-stored") => Ok(()),
            put => put,
        };
        let stored = put.and_then(|()| {
            let mut loader = maker.bulk();
            loader.push(&[], held.max_start, written.tail())?;
            loader.finish()
        });
        let tail = match stored {
            Ok(tail) => tail,
            Err(error) => {
                // It may be there all the same.
                tier.abandon([name]);
                return Err(error);
            }
        };
        tier.typical.store(written.bytes.len(), Ordering::Relaxed);
        Ok(Arc::new(Segment {
            tier: Arc::clone(tier),
            held: Arc::default(),
            id,
            name,
            bytes: held.bytes,
            raw_bytes: held.raw_bytes,
            entries: held.entries,
            tombstones: held.tombstones,
            min_key: held.min_key.clone(),
            max_key: held.max_key.clone(),
            min_start: held.min_start,
            max_start: held.max_start,
            max_end: held.max_end,
            last_end: written.last_end,
            tail,
        }))
    }
}

/// Segments that are stored and that nothing names yet: they are deleted, unless they are [`Unnamed::named`].
pub(crate) struct Unnamed {
    tier: Arc<Tier>,
    segments: Vec<Arc<Segment>>,
}

impl Unnamed {
    pub(crate) fn new(tier: &Arc<Tier>) -> Unnamed {
        Unnamed { tier: Arc::clone(tier), segments: Vec::new() }
    }

    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        self.segments.push(segment);
    }

    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// From here on something names them.
    pub(crate) fn named(mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.segments)
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        self.tier.abandon(self.segments.iter().map(|segment| segment.name.clone()));
    }
}

/// Writes versions in order as segments that are cut at a size, never between the versions of a key. Each is stored, with its tail in
/// pages of `maker`, before the next begins.
pub(crate) struct SegmentMaker<'m, M: PageMaker> {
    maker: &'m mut M,
    /// Bytes at which a segment is cut.
    target: usize,
    current: Option<(u64, SegmentWriter)>,
    last_key: Vec<u8>,
    held: Held,
    made: Unnamed,
}

impl<'m, M: PageMaker> SegmentMaker<'m, M> {
    pub(crate) fn new(tier: &Arc<Tier>, maker: &'m mut M, target: usize) -> Self {
        let (held, made) = (Held::new(tier), Unnamed::new(tier));
        SegmentMaker { maker, target, current: None, last_key: Vec::new(), held, made }
    }

    /// Adds a version; see [`SegmentWriter::add`].
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        (start, end): (Timestamp, Timestamp),
        kind: Kind,
        value: &[u8],
    ) -> Result<()> {
        let full = self.current.as_ref().is_some_and(|(_, writer)| writer.estimated_len() >= self.target);
        if full && key != self.last_key.as_slice() {
            self.cut()?;
        }
        let tier = &self.made.tier;
        let (_, writer) = self.current.get_or_insert_with(|| {
            let id = tier.new_id();
            (id, SegmentWriter::new(tier.write_options(id)))
        });
        writer.add(key, start, end, kind, value)?;
        self.held.grown(writer.estimated_len());
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Ends the segment under way; the next version begins another.
    pub(crate) fn cut(&mut self) -> Result<()> {
        let Some((id, writer)) = self.current.take() else { return Ok(()) };
        let stored = Segment::store(&self.made.tier, id, &writer.finish()?, self.maker)?;
        self.made.push(stored);
        self.held.set(0);
        Ok(())
    }

    /// The segments, in the order of their keys.
    pub(crate) fn finish(mut self) -> Result<Unnamed> {
        self.cut()?;
        Ok(self.made)
    }
}
