//! Reads more than the next block while a cursor goes straight on: one request for a window of blocks, twice as many as the
//! last time, up to a bound in bytes. Who jumps or turns begins anew with one block.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result};

use crate::block_cursor::{BlockCursor, Direction};
use crate::cache::Access;
use crate::frame::{FrameKind, Handle};
use crate::index::BlockInfo;
use crate::reader::SegmentReader;

/// From so many blocks at once on, the store is told of the window after the next one too.
const LONG_SCAN: u32 = 4;

/// What a cursor has read ahead. Part of its place: a move that fails leaves it as it was, so that the same is asked for again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readahead {
    window: Option<Arc<Window>>,
    /// The blocks asked for last.
    asked: u32,
    direction: Option<Direction>,
}

/// Some blocks in a row, as they are stored.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn frame(&self, handle: Handle) -> Option<&[u8]> {
        let from = usize::try_from(handle.offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(handle.length as usize)?)
    }
}

impl Readahead {
    /// What follows the block at `partition` is not known to be wanted.
    pub(crate) fn begin(reader: &SegmentReader, partition: &BlockCursor) -> Result<(BlockCursor, Readahead)> {
        let handle = BlockInfo::decode(partition.value())?.handle;
        let block = reader.source().block(handle, FrameKind::Data, Access::Point)?;
        let ahead = Readahead { window: None, asked: 1, direction: None };
        Ok((BlockCursor::new(block), ahead))
    }

    /// The block at `partition`, which a step has led to, and what has been read ahead then.
    pub(crate) fn step(
        &self,
        reader: &SegmentReader,
        top: &BlockCursor,
        partition: &BlockCursor,
        direction: Direction,
    ) -> Result<(BlockCursor, Readahead)> {
        let source = reader.source();
        let handle = BlockInfo::decode(partition.value())?.handle;
        let straight = self.direction.is_none_or(|last| last == direction);
        let same = Readahead {
            direction: Some(direction),
            ..if straight { self.clone() } else { Readahead::default() }
        };
        if let Some(block) = source.cached_block(handle, Access::Scan) {
            return Ok((BlockCursor::new(block), same));
        }
        if let Some(frame) = self.window.as_ref().and_then(|window| window.frame(handle)) {
            let block = source.unpack(frame, handle, FrameKind::Data, Access::Scan)?;
            return Ok((BlockCursor::new(block), same));
        }
        let mut blocks = Blocks { reader, top: top.clone(), partition: partition.clone(), direction };
        let asked = same.asked.saturating_mul(2).max(1);
        let extent = blocks.extent(asked)?;
        if extent.last != handle {
            if asked >= LONG_SCAN && extent.more {
                // It is under way while this window is waited for and gone through.
                blocks.announce(asked.saturating_mul(2));
            }
            let range = extent.range();
            match source.read(range.start, range.end - range.start) {
                Ok(bytes) => {
                    let window = Window { start: range.start, bytes };
                    let frame = window.frame(handle).unwrap_or_default();
                    let block = source.unpack(frame, handle, FrameKind::Data, Access::Scan)?;
                    let window = Some(Arc::new(window));
                    return Ok((BlockCursor::new(block), Readahead { window, asked, ..same }));
                }
                // The whole can't be had; perhaps this block can.
                Err(error) if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        let block = source.block(handle, FrameKind::Data, Access::Scan)?;
        let asked = if extent.last == handle { asked } else { 1 };
        Ok((BlockCursor::new(block), Readahead { window: None, asked, ..same }))
    }
}

/// A place among the blocks of a segment.
struct Blocks<'a> {
    reader: &'a SegmentReader,
    top: BlockCursor,
    partition: BlockCursor,
    direction: Direction,
}

/// Blocks side by side, in the order of a scan.
struct Extent {
    first: Handle,
    last: Handle,
    /// Whether the block after them is known.
    more: bool,
}

impl Extent {
    fn range(&self) -> Range<u64> {
        let (low, high) = if self.first.offset < self.last.offset {
            (self.first, self.last)
        } else {
            (self.last, self.first)
        };
        low.offset..high.offset + u64::from(high.length)
    }
}

impl Blocks<'_> {
    fn handle(&self) -> Result<Handle> {
        Ok(BlockInfo::decode(self.partition.value())?.handle)
    }

    /// Moves to the next block; false where there is none, or its index is not at hand.
    fn advance(&mut self) -> Result<bool> {
        if self.direction.step(&mut self.partition)? {
            return Ok(true);
        }
        if !self.direction.step(&mut self.top)? {
            return Ok(false);
        }
        let Some(next) = self.reader.partition_at_hand(&self.top)? else { return Ok(false) };
        self.partition = next;
        self.direction.enter(&mut self.partition)
    }

    /// From here up to `count` blocks that lie side by side, are not cached, and together are no longer than the reader's bound. Moves to
    /// the block after them.
    fn extent(&mut self, count: u32) -> Result<Extent> {
        let first = self.handle()?;
        let mut extent = Extent { first, last: first, more: false };
        let mut total = u64::from(first.length);
        for taken in 1.. {
            if !self.advance()? {
                return Ok(extent);
            }
            let next = self.handle()?;
            let beside = match self.direction {
                Direction::Forward => extent.last.end() == Some(next.offset),
                Direction::Backward => next.end() == Some(extent.last.offset),
            };
            total = total.saturating_add(next.length.into());
            let long = taken >= count || total > self.reader.readahead();
            if long || !beside || self.reader.source().is_cached(next) {
                break;
            }
            extent.last = next;
        }
        extent.more = true;
        Ok(extent)
    }

    /// Tells the store which window will be read after this one. What is wrong with it shows when it is read.
    fn announce(&mut self, count: u32) {
        let cached = self.handle().is_ok_and(|handle| self.reader.source().is_cached(handle));
        if let Ok(extent) = self.extent(count)
            && !cached
        {
            self.reader.source().prefetch(extent.range());
        }
    }
}
