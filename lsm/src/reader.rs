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
use crate::cache::{BlockCache, Part};
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
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { tail_bytes: 64 << 10, cache: None }
    }
}

/// An open segment.
#[derive(Debug)]
pub struct SegmentReader {
    source: Source,
    top: Arc<Block>,
    properties: SegmentProperties,
}

/// Where the bytes come from.
struct Source {
    store: Arc<dyn SegmentStore>,
    name: String,
    size: u64,
    id: u64,
    cache: Arc<BlockCache>,
    /// The end of the object as far as it was read at opening, from the first byte that is no data block.
    tail: Vec<u8>,
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
        let in_segment = |error| annotate(error, name);
        Self::open_inner(store, name, size, options).map(Arc::new).map_err(in_segment)
    }

    fn open_inner(store: Arc<dyn SegmentStore>, name: &str, size: u64, options: ReadOptions) -> Result<Self> {
        let tail_len = options.tail_bytes.max(FOOTER_BYTES as u64).min(size);
        let cache = options.cache.unwrap_or_else(|| Arc::new(BlockCache::new(1 << 20)));
        let name = name.to_string();
        let mut source = Source { store, name, size, id: 0, cache, tail: Vec::new(), tail_start: size };
        source.tail = source.read(size - tail_len, tail_len)?;
        source.tail_start = size - tail_len;
        let footer = source.tail.last_chunk::<FOOTER_BYTES>();
        let footer =
            footer.ok_or_else(|| Error::corrupt("a segment is shorter than its footer", "footer"))?;
        let footer = Footer::decode(footer, size)?;
        source.id = footer.id;
        let surplus = footer.tail.saturating_sub(source.tail_start).min(source.tail.len() as u64);
        source.tail.drain(..surplus as usize);
        source.tail.shrink_to_fit();
        source.tail_start += surplus;
        let top = Arc::new(Block::parse(source.frame(footer.top, FrameKind::Top)?)?);
        let properties = source.frame(footer.properties, FrameKind::Properties)?;
        let properties = SegmentProperties::decode(&properties, footer.id, size)?;
        Ok(SegmentReader { source, top, properties })
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
        self.get_inner(key, at).map_err(|error| annotate(error, self.name()))
    }

    fn get_inner(&self, key: &[u8], at: Timestamp) -> Result<Option<Found>> {
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
            let mut partition = BlockCursor::new(self.source.block(info.index, FrameKind::Index)?);
            let mut blocks = partition.seek(|cursor| Ok(cursor.key() < key))?;
            while blocks {
                let info = BlockInfo::decode(partition.value())?;
                // A block of versions that all came later has none that lived then.
                if info.span.min_start <= at
                    && let Some(answer) = self.get_in_block(info.handle, key, hash, at)?
                {
                    return Ok(answer.filter(|found| at < found.end));
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
        let mut data = BlockCursor::new(self.source.block(block, FrameKind::Data)?);
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
        self.source.block(info.index, FrameKind::Index).map(BlockCursor::new)
    }

    /// A cursor over the data block that `partition` stands on.
    pub(crate) fn data(&self, partition: &BlockCursor) -> Result<BlockCursor> {
        let info = BlockInfo::decode(partition.value())?;
        self.source.block(info.handle, FrameKind::Data).map(BlockCursor::new)
    }

    fn filter(&self, handle: Handle) -> Result<Arc<Filter>> {
        let source = &self.source;
        if let Some(Part::Filter(filter)) = source.cache.get(source.id, handle.offset) {
            return Ok(filter);
        }
        let bytes = source.frame(handle, FrameKind::Filter)?;
        let size = bytes.len();
        let filter = Arc::new(Filter::parse(bytes)?);
        source.cache.put(source.id, handle.offset, Part::Filter(filter.clone()), size);
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

impl Source {
    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let bytes = self.store.read(&self.name, offset..offset + length)?;
        if bytes.len() as u64 != length {
            let what = format!("storage answered with {} bytes instead of {length}", bytes.len());
            return Err(Error::corrupt(what, format!("offset {offset}")));
        }
        Ok(bytes)
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
    fn block(&self, handle: Handle, kind: FrameKind) -> Result<Arc<Block>> {
        if let Some(Part::Block(block)) = self.cache.get(self.id, handle.offset) {
            return Ok(block);
        }
        let block = Arc::new(Block::parse(self.frame(handle, kind)?)?);
        self.cache.put(self.id, handle.offset, Part::Block(block.clone()), block.size());
        Ok(block)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}
