//! Writes a segment: versions in order in, the bytes of an object out.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::block::BlockBuilder;
use crate::bloom;
use crate::footer::{FOOTER_BYTES, Footer};
use crate::frame::{FrameKind, Handle, put};
use crate::hash::hash64;
use crate::index::{BlockInfo, PartitionInfo, Span, separator};
use crate::properties::SegmentProperties;
use crate::version::{Kind, Stamp};

/// The largest key and value together, in bytes (256 MiB).
pub const MAX_ENTRY_BYTES: usize = 256 << 20;

/// How a segment is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The segment's number, unique within the database. Mixed into checksums, so that another segment's bytes are noticed.
    pub id: u64,
    /// The size at which a data block is cut, before compression (default 16 KiB).
    pub block_bytes: usize,
    /// Data blocks that share an index partition and a filter (default 64).
    pub partition_blocks: u32,
    /// Bits of filter a key; 0 for no filter (default 12: fewer than one in a hundred look-ups of an absent key read a block).
    pub bits_per_key: u32,
    /// Whether data blocks that shrink by an eighth or more are stored compressed (default yes).
    pub compress: bool,
    /// How long the segment is likely to be, in bytes (default 0: not known). Room for so many is taken at once: a buffer that grows is in
    /// memory twice whenever it moves.
    pub expected_bytes: usize,
}

impl WriteOptions {
    /// The defaults, for segment `id`.
    #[must_use]
    pub fn new(id: u64) -> Self {
        WriteOptions {
            id,
            block_bytes: 16 << 10,
            partition_blocks: 64,
            bits_per_key: 12,
            compress: true,
            expected_bytes: 0,
        }
    }
}

/// A finished segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The object to put into a store, which may hold on to it while it is on its way.
    pub bytes: Arc<Vec<u8>>,
    /// What it holds.
    pub properties: SegmentProperties,
    /// The greatest end of a version that is not current; [`Timestamp::ZERO`] where all are.
    pub last_end: Timestamp,
    tail: usize,
}

impl Segment {
    /// The end of the object from its first byte that is no data block: filters, indexes, properties and footer, some 2 % of
    /// the whole. Who keeps it near hands it to [`crate::SegmentReader::open_with`]; a look-up then reads one data block of
    /// the object, or nothing.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.bytes[self.tail..]
    }
}

/// Writes one segment. Versions come in order: keys ascending, of each key the newest first, their lifetimes apart.
#[derive(Debug)]
pub struct SegmentWriter {
    options: WriteOptions,
    out: Vec<u8>,
    data: BlockBuilder,
    span: Span,
    hashes: Vec<u64>,
    last_start: Timestamp,
    last_end: Timestamp,
    pending: Option<Pending>,
    partition: BlockBuilder,
    partition_hashes: Vec<u64>,
    partitions: Vec<Partition>,
    total: Span,
    keys: u64,
    blocks: u64,
    raw_bytes: u64,
    min_key: Vec<u8>,
    last_key: Vec<u8>,
    head: Vec<u8>,
}

/// A data block that is written, but whose index key is open until the next key is known.
#[derive(Debug)]
struct Pending {
    last_key: Vec<u8>,
    info: BlockInfo,
    hashes: Vec<u64>,
}

#[derive(Debug)]
struct Partition {
    last_key: Vec<u8>,
    index: Vec<u8>,
    filter: Option<Vec<u8>>,
}

impl SegmentWriter {
    /// A writer of an empty segment.
    #[must_use]
    pub fn new(options: WriteOptions) -> Self {
        SegmentWriter {
            options,
            out: Vec::with_capacity(options.expected_bytes),
            data: BlockBuilder::default(),
            span: Span::EMPTY,
            hashes: Vec::new(),
            last_start: Timestamp::MAX,
            last_end: Timestamp::ZERO,
            pending: None,
            partition: BlockBuilder::default(),
            partition_hashes: Vec::new(),
            partitions: Vec::new(),
            total: Span::EMPTY,
            keys: 0,
            blocks: 0,
            raw_bytes: 0,
            min_key: Vec::new(),
            last_key: Vec::new(),
            head: Vec::new(),
        }
    }

    /// Adds the version of `key` that lived from `start` until `end` ([`Timestamp::MAX`]: it is current). Fails with
    /// [`dosql_base::ErrorKind::InvalidInput`] where the order is not kept, lifetimes overlap or are empty, or a tombstone has
    /// a value; with [`dosql_base::ErrorKind::Limit`] beyond [`MAX_ENTRY_BYTES`]. The writer stays usable.
    pub fn add(
        &mut self,
        key: &[u8],
        start: Timestamp,
        end: Timestamp,
        kind: Kind,
        value: &[u8],
    ) -> Result<()> {
        let stamp = Stamp { start, end, kind };
        let new_key = self.check(key, &stamp, value)?;
        if self.data.entries() > 0 && self.data.len() >= self.options.block_bytes {
            self.cut_block()?;
        }
        if let Some(pending) = self.pending.take() {
            self.index_block(pending, Some(key))?;
        }
        if self.data.entries() == 0 {
            self.data.set_base(start.as_micros());
        }
        let hash = hash64(key);
        self.head.clear();
        stamp.encode(self.data.base(), &mut self.head);
        self.data.add(key, &self.head, value, Some(hash));
        self.span.add(&stamp);
        self.total.add(&stamp);
        if new_key {
            self.hashes.push(hash);
            self.keys += 1;
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
        }
        if self.total.entries == 1 {
            self.min_key = key.to_vec();
        }
        self.last_start = start;
        if end < Timestamp::MAX {
            self.last_end = self.last_end.max(end);
        }
        Ok(())
    }

    /// Whether the version may follow; tells whether its key is a new one.
    fn check(&self, key: &[u8], stamp: &Stamp, value: &[u8]) -> Result<bool> {
        if key.len().saturating_add(value.len()) > MAX_ENTRY_BYTES {
            return Err(Error::limit(format!(
                "a key and its value exceed {MAX_ENTRY_BYTES} bytes in a segment"
            )));
        }
        if stamp.start >= stamp.end {
            return Err(Error::invalid("a version must end after it starts"));
        }
        if stamp.kind == Kind::Tombstone && !value.is_empty() {
            return Err(Error::invalid("a tombstone has no value"));
        }
        if self.total.entries == 0 || key > self.last_key.as_slice() {
            return Ok(true);
        }
        if key < self.last_key.as_slice() {
            return Err(Error::invalid("the keys of a segment must not descend"));
        }
        if stamp.end > self.last_start {
            return Err(Error::invalid(
                "versions of a key come newest first, and their lifetimes must not overlap",
            ));
        }
        Ok(false)
    }

    /// How long the segment would be if it were finished now, in bytes, roughly: to decide when to cut it.
    #[must_use]
    pub fn estimated_len(&self) -> usize {
        let filters = (self.keys * u64::from(self.options.bits_per_key) / 8) as usize;
        self.out.len() + self.data.len() + filters + self.blocks as usize * 40 + FOOTER_BYTES
    }

    /// How many versions were added.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.total.entries
    }

    fn cut_block(&mut self) -> Result<()> {
        let last_key = self.data.last_key().to_vec();
        let contents = self.data.finish();
        let handle = put(&mut self.out, self.options.id, FrameKind::Data, &contents, self.options.compress)?;
        let span = std::mem::replace(&mut self.span, Span::EMPTY);
        self.blocks += 1;
        self.raw_bytes += contents.len() as u64;
        let hashes = std::mem::take(&mut self.hashes);
        self.pending = Some(Pending { last_key, info: BlockInfo { handle, span }, hashes });
        Ok(())
    }

    /// Adds a written block to the index; `next` is the key after it, if there is one.
    fn index_block(&mut self, pending: Pending, next: Option<&[u8]>) -> Result<()> {
        let Pending { last_key, info, hashes } = pending;
        let mut buffer = Vec::new();
        let key = next.map_or(last_key.as_slice(), |next| separator(&last_key, next, &mut buffer));
        self.head.clear();
        info.encode(&mut self.head);
        self.partition.add(key, &self.head, &[], None);
        self.partition_hashes.extend_from_slice(&hashes);
        if next.is_none() || self.partition.entries() >= self.options.partition_blocks.max(1) {
            let last_key = self.partition.last_key().to_vec();
            let index = self.partition.finish();
            let hashes = std::mem::take(&mut self.partition_hashes);
            let bits = self.options.bits_per_key;
            let filter = (bits > 0).then(|| bloom::build(&hashes, bits));
            self.partitions.push(Partition { last_key, index, filter });
        }
        Ok(())
    }

    /// Writes the rest and hands over the segment. Fails with [`dosql_base::ErrorKind::InvalidInput`] where nothing was added.
    pub fn finish(mut self) -> Result<Segment> {
        if self.total.entries == 0 {
            return Err(Error::invalid("a segment holds at least one version"));
        }
        if self.data.entries() > 0 {
            self.cut_block()?;
        }
        if let Some(pending) = self.pending.take() {
            self.index_block(pending, None)?;
        }
        let id = self.options.id;
        let tail = self.out.len() as u64;
        let mut filters = Vec::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            filters.push(match &partition.filter {
                Some(filter) => put(&mut self.out, id, FrameKind::Filter, filter, false)?,
                None => Handle::default(),
            });
        }
        let mut top = BlockBuilder::default();
        for (partition, filter) in self.partitions.iter().zip(filters) {
            let index = put(&mut self.out, id, FrameKind::Index, &partition.index, false)?;
            let mut value = Vec::new();
            PartitionInfo { index, filter }.encode(&mut value);
            top.add(&partition.last_key, &value, &[], None);
        }
        let top = put(&mut self.out, id, FrameKind::Top, &top.finish(), false)?;
        let mut properties = self.properties();
        let stored = put(&mut self.out, id, FrameKind::Properties, &properties.encode(), false)?;
        properties.bytes = (self.out.len() + FOOTER_BYTES) as u64;
        let footer = Footer { tail, top, properties: stored, id, length: properties.bytes };
        self.out.extend_from_slice(&footer.encode());
        Ok(Segment { bytes: Arc::new(self.out), properties, last_end: self.last_end, tail: tail as usize })
    }

    fn properties(&mut self) -> SegmentProperties {
        SegmentProperties {
            id: self.options.id,
            bytes: 0,
            raw_bytes: self.raw_bytes,
            entries: self.total.entries,
            tombstones: self.total.tombstones,
            keys: self.keys,
            blocks: self.blocks,
            min_key: std::mem::take(&mut self.min_key),
            max_key: std::mem::take(&mut self.last_key),
            min_start: self.total.min_start,
            max_start: self.total.max_start,
            max_end: self.total.max_end,
        }
    }
}
