//! Reads a segment out of a store: opened with one ranged read, a version found with at most three (filter, index, data),
//! none of them where they are cached.
//!
//! Any read may answer `WouldBlock`. Nothing has changed then: fetch what the store wants and call again.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::SegmentStore;
use crate::block::Block;
use crate::block_cursor::BlockCursor;
use crate::bloom::Filter;
use crate::cache::{Access, BlockCache, Part};
use crate::cursor::SegmentCursor;
use crate::footer::{FOOTER_BYTES, Footer};
use crate::frame::{self, FrameKind, Handle};
use crate::hash::hash64;
use crate::index::{BlockInfo, PartitionInfo};
use crate::properties::SegmentProperties;
use crate::version::{Kind, Stamp};

/// How a segment is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// How much of the object's end is read to open it (default 64 KiB): enough for the whole tail of most segments.
    pub tail_bytes: u64,
    /// Where unpacked blocks are kept; `None` for 1 MiB of the reader's own.
    pub cache: Option<Arc<BlockCache>>,
    /// How much a cursor that goes straight on reads at once at most, in bytes (default 1 MiB, 0: block by block). It begins with one
    /// block and doubles. Each cursor holds up to so much besides the cache, and a store that fetches ahead three times that.
    pub readahead: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { tail_bytes: 64 << 10, cache: None, readahead: 1 << 20 }
    }
}

/// An open segment.
#[derive(Debug)]
pub struct SegmentReader {
    source: Source,
    top: Arc<Block>,
    properties: SegmentProperties,
    readahead: u64,
}

/// Where the bytes come from.
pub(crate) struct Source {
    store: Arc<dyn SegmentStore>,
    name: String,
    size: u64,
    id: u64,
    cache: Arc<BlockCache>,
    /// The end of the object as far as it was read at opening or is kept elsewhere, from the first byte that is no data block.
    tail: Arc<[u8]>,
    tail_start: u64,
}

/// A version found by key. It holds on to its block.
#[derive(Clone, Debug)]
pub struct Found {
    /// The commit that made it.
    pub start: Timestamp,
    /// The commit that ended it; [`Timestamp::MAX`] while it is current.
    pub end: Timestamp,
    /// What it is.
    pub kind: Kind,
    block: Arc<Block>,
    value: (usize, usize),
}

impl Found {
    /// Its value; empty for a tombstone.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.block.value(self.value)
    }
}

impl SegmentReader {
    /// Opens the object `name`, which is `size` bytes long (the manifest says so). Fails with
    /// [`dosql_base::ErrorKind::Corrupt`] where it is not a whole segment, with [`dosql_base::ErrorKind::Unsupported`] where
    /// it has a newer format.
    pub fn open(
        store: Arc<dyn SegmentStore>,
        name: &str,
        size: u64,
        options: ReadOptions,
    ) -> Result<Arc<Self>> {
        Self::open_with(store, name, size, None, options)
    }

    /// As [`SegmentReader::open`], with the end of the object as it was kept elsewhere ([`crate::Segment::tail`], or any longer or
    /// shorter end that has the top index in it): nothing of the object is read to open it, and of what that end holds nothing later. With the whole
    /// tail a look-up reads one data block, of a key that is not there none (the filter errs once in some hundreds).
    pub fn open_with(
        store: Arc<dyn SegmentStore>,
        name: &str,
        size: u64,
        tail: Option<Arc<[u8]>>,
        options: ReadOptions,
    ) -> Result<Arc<Self>> {
        let in_segment = |error| annotate(error, name);
        Self::open_inner(store, name, size, tail, options).map(Arc::new).map_err(in_segment)
    }

    fn open_inner(
        store: Arc<dyn SegmentStore>,
        name: &str,
        size: u64,
        tail: Option<Arc<[u8]>>,
        options: ReadOptions,
    ) -> Result<Self> {
        let cache = options.cache.unwrap_or_else(|| Arc::new(BlockCache::new(1 << 20)));
        let name = name.to_string();
        let mut source = Source { store, name, size, id: 0, cache, tail: Arc::default(), tail_start: size };
        source.tail = match tail {
            Some(tail) => tail,
            None => {
                let length = options.tail_bytes.max(FOOTER_BYTES as u64).min(size);
                source.read(size - length, length)?.into()
            }
        };
        let footer = footer_of(&source.tail, size)?;
        source.id = footer.id;
        // What is longer than the object was refused with its footer.
        source.tail_start = size.saturating_sub(source.tail.len() as u64);
        source.drop_data_blocks(footer.tail);
        let top = Arc::new(Block::parse(source.frame(footer.top, FrameKind::Top)?)?);
        let properties = source.frame(footer.properties, FrameKind::Properties)?;
        let properties = SegmentProperties::decode(&properties, footer.id, size)?;
        Ok(SegmentReader { source, top, properties, readahead: options.readahead })
    }

    /// Reads the whole tail of a segment, for who wants to keep it near ([`crate::Segment::tail`]) and has it no more: two ranged reads.
    pub fn read_tail(store: &dyn SegmentStore, name: &str, size: u64) -> Result<Vec<u8>> {
        let read = |from: u64| {
            let bytes = store.read(name, from..size)?;
            if bytes.len() as u64 == size - from { Ok(bytes) } else { Err(too_few(bytes.len(), from..size)) }
        };
        let tail = read(size.saturating_sub(FOOTER_BYTES as u64))
            .and_then(|footer| footer_of(&footer, size))
            .and_then(|footer| read(footer.tail));
        tail.map_err(|error| annotate(error, name))
    }

    /// Bytes of memory that it holds besides what the cache counts: the tail as far as it was handed over or read, and the top index.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.source.tail.len() + self.top.size() + size_of::<SegmentReader>()
    }

    /// What the segment holds.
    #[must_use]
    pub fn properties(&self) -> &SegmentProperties {
        &self.properties
    }

    /// The name of its object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The version of `key` that lived at `at`, if this segment has it: the one with `start <= at < end`. A current version
    /// lives until `Timestamp::MAX`, exclusive: `Timestamp::MAX.previous()` asks for it.
    pub fn get(&self, key: &[u8], at: Timestamp) -> Result<Option<Found>> {
        let hash = hash64(key);
        let found = self.probe(key, at, |block| self.get_in_block(block, key, hash, at));
        let found = found.map_err(|error| annotate(error, self.name()))?;
        Ok(found.flatten().filter(|found| at < found.end))
    }

    /// Visits the data blocks that may hold the version of `key` that lived at `at`, until a visit brings something.
    pub(crate) fn probe<T>(
        &self,
        key: &[u8],
        at: Timestamp,
        mut visit: impl FnMut(Handle) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if at < self.properties.min_start || at >= self.properties.max_end {
            return Ok(None);
        }
        let hash = hash64(key);
        let mut top = BlockCursor::new(self.top.clone());
        let mut more = top.seek(|cursor| Ok(cursor.key() < key))?;
        let mut first = true;
        while more {
            let info = PartitionInfo::decode(top.value())?;
            // Only of the first partition the filter says all: in the next ones the key merely goes on.
            if std::mem::take(&mut first)
                && info.filter.length > 0
                && !self.filter(info.filter)?.may_contain(hash)
            {
                return Ok(None);
            }
            let mut partition =
                BlockCursor::new(self.source.block(info.index, FrameKind::Index, Access::Point)?);
            let mut blocks = partition.seek(|cursor| Ok(cursor.key() < key))?;
            while blocks {
                let info = BlockInfo::decode(partition.value())?;
                // All versions from here on ended too early, too.
                if info.span.max_end <= at {
                    return Ok(None);
                }
                // A block of versions that all came later has none that lived then.
                if info.span.min_start <= at
                    && let Some(answer) = visit(info.handle)?
                {
                    return Ok(Some(answer));
                }
                if partition.key() != key {
                    return Ok(None);
                }
                blocks = partition.advance()?;
            }
            more = top.key() == key && top.advance()?;
        }
        Ok(None)
    }

    /// The newest version of `key` in a block that had begun at `at`: `Some(None)` where the next block has none either,
    /// `None` where it may.
    #[allow(clippy::option_option)]
    fn get_in_block(
        &self,
        block: Handle,
        key: &[u8],
        hash: u64,
        at: Timestamp,
    ) -> Result<Option<Option<Found>>> {
        let mut data = BlockCursor::new(self.source.block(block, FrameKind::Data, Access::Point)?);
        if !data.seek_hashed(hash, |cursor| is_below(cursor, key, at))? {
            return Ok(None);
        }
        if data.key() != key {
            return Ok(Some(None));
        }
        let (stamp, head) = stamp_of(&data)?;
        let (from, to) = data.value_place();
        let Stamp { start, end, kind } = stamp;
        Ok(Some(Some(Found { start, end, kind, block: data.block().clone(), value: (from + head, to) })))
    }

    /// A cursor over all versions, on none yet.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> SegmentCursor {
        SegmentCursor::new(self.clone())
    }

    pub(crate) fn top(&self) -> BlockCursor {
        BlockCursor::new(self.top.clone())
    }

    /// A cursor over the index partition that `top` stands on.
    pub(crate) fn partition(&self, top: &BlockCursor) -> Result<BlockCursor> {
        let info = PartitionInfo::decode(top.value())?;
        self.source.block(info.index, FrameKind::Index, Access::Point).map(BlockCursor::new)
    }

    /// As [`SegmentReader::partition`], where that needs no read.
    pub(crate) fn partition_at_hand(&self, top: &BlockCursor) -> Result<Option<BlockCursor>> {
        let handle = PartitionInfo::decode(top.value())?.index;
        let near = handle.offset >= self.source.tail_start || self.source.is_cached(handle);
        if near { self.partition(top).map(Some) } else { Ok(None) }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn readahead(&self) -> u64 {
        self.readahead
    }

    fn filter(&self, handle: Handle) -> Result<Arc<Filter>> {
        let source = &self.source;
        if let Some(Part::Filter(filter)) = source.cache.get(source.id, handle.offset, Access::Point) {
            return Ok(filter);
        }
        let bytes = source.frame(handle, FrameKind::Filter)?;
        let size = bytes.len();
        let filter = Arc::new(Filter::parse(bytes)?);
        source.cache.put(source.id, handle.offset, Part::Filter(filter.clone()), size, Access::Point);
        Ok(filter)
    }
}

/// Whether the cursor's version comes before the newest of `key` that had begun at `at`.
pub(crate) fn is_below(cursor: &BlockCursor, key: &[u8], at: Timestamp) -> Result<bool> {
    match cursor.key().cmp(key) {
        std::cmp::Ordering::Less => Ok(true),
        std::cmp::Ordering::Greater => Ok(false),
        std::cmp::Ordering::Equal => Ok(stamp_of(cursor)?.0.start > at),
    }
}

/// The stamp of the cursor's version, and its length.
pub(crate) fn stamp_of(cursor: &BlockCursor) -> Result<(Stamp, usize)> {
    Stamp::decode(cursor.value(), cursor.block().base())
}

/// Says which segment is damaged.
pub(crate) fn annotate(error: Error, name: &str) -> Error {
    if error.kind() != dosql_base::ErrorKind::Corrupt {
        return error;
    }
    let place = match error.place() {
        Some(place) if place.starts_with(name) => place.to_string(),
        Some(place) => format!("{name}, {place}"),
        None => name.to_string(),
    };
    error.at(place)
}

fn footer_of(tail: &[u8], size: u64) -> Result<Footer> {
    let footer = tail.last_chunk::<FOOTER_BYTES>().filter(|_| tail.len() as u64 <= size);
    let footer = footer.ok_or_else(|| Error::corrupt("a segment is shorter than its footer", "footer"))?;
    Footer::decode(footer, size)
}

fn too_few(bytes: usize, wanted: std::ops::Range<u64>) -> Error {
    let what = format!("storage answered with {bytes} bytes instead of {}", wanted.end - wanted.start);
    Error::corrupt(what, format!("offset {}", wanted.start))
}

impl Source {
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let range = offset..offset + length;
        let bytes = self.store.read(&self.name, range.clone())?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(too_few(bytes.len(), range)) }
    }

    /// The bytes of these ranges.
    pub(crate) fn read_ranges(&self, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Vec<u8>>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let parts = self.store.get_ranges(&self.name, ranges)?;
        let wrong =
            ranges.iter().zip(&parts).find(|(range, part)| part.len() as u64 != range.end - range.start);
        match wrong {
            Some((range, part)) => Err(too_few(part.len(), range.clone())),
            None if parts.len() == ranges.len() => Ok(parts),
            None => Err(Error::corrupt("storage answered fewer ranges than it was asked for", "ranged read")),
        }
    }

    /// A range that will be read soon.
    pub(crate) fn prefetch(&self, range: std::ops::Range<u64>) {
        self.store.prefetch(&self.name, range);
    }

    /// Keeps nothing of the end that was read but what comes at `from` or after.
    fn drop_data_blocks(&mut self, from: u64) {
        let surplus = from.saturating_sub(self.tail_start).min(self.tail.len() as u64);
        if surplus > 0 {
            self.tail = self.tail[surplus as usize..].into();
            self.tail_start += surplus;
        }
    }

    /// The contents of a frame.
    fn frame(&self, handle: Handle, kind: FrameKind) -> Result<Vec<u8>> {
        let end = handle.end().filter(|&end| end <= self.size);
        let end = end.ok_or_else(|| Error::corrupt("a segment's index points beyond its end", "index"))?;
        if handle.offset >= self.tail_start {
            let from = (handle.offset - self.tail_start) as usize;
            let to = (end - self.tail_start) as usize;
            let stored = self.tail.get(from..to).unwrap_or_default();
            return frame::open(stored, self.id, handle.offset, kind);
        }
        frame::open(&self.read(handle.offset, handle.length.into())?, self.id, handle.offset, kind)
    }

    /// A block, from the cache if it is there.
    pub(crate) fn block(&self, handle: Handle, kind: FrameKind, access: Access) -> Result<Arc<Block>> {
        if let Some(block) = self.cached_block(handle, access) {
            return Ok(block);
        }
        self.keep(handle, self.frame(handle, kind)?, access)
    }

    /// A block out of its frame, which was read already.
    pub(crate) fn unpack(
        &self,
        frame: &[u8],
        handle: Handle,
        kind: FrameKind,
        access: Access,
    ) -> Result<Arc<Block>> {
        self.keep(handle, frame::open(frame, self.id, handle.offset, kind)?, access)
    }

    fn keep(&self, handle: Handle, contents: Vec<u8>, access: Access) -> Result<Arc<Block>> {
        let block = Arc::new(Block::parse(contents)?);
        self.cache.put(self.id, handle.offset, Part::Block(block.clone()), block.size(), access);
        Ok(block)
    }

    pub(crate) fn cached_block(&self, handle: Handle, access: Access) -> Option<Arc<Block>> {
        match self.cache.get(self.id, handle.offset, access) {
            Some(Part::Block(block)) => Some(block),
            _ => None,
        }
    }

    pub(crate) fn is_cached(&self, handle: Handle) -> bool {
        self.cache.contains(self.id, handle.offset)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}
