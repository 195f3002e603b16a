//! Reads more than the next block while a cursor goes straight on: one request for a window of blocks, twice as many as the
//! last time, up to a bound in bytes. Who jumps or turns begins anew with one block.
//!
//! ```text
//! done | window: being gone through | told | told | told | ...      what was told is under way, if the store can fetch while others work
//! ```
//!
//! One request carries a window and costs a round trip. With some under way besides the one that is waited for, a scan goes as fast as the
//! line does, or as what was read can be gone through.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result};

use crate::block_cursor::{BlockCursor, Direction};
use crate::cache::Access;
use crate::frame::{FrameKind, Handle};
use crate::index::BlockInfo;
use crate::reader::SegmentReader;

/// From so many blocks at once on, the store is told of the windows after the next one too.
const LONG_SCAN: u32 = 4;
/// Of so many of them.
const TOLD: usize = 3;

/// What a cursor has read ahead. Part of its place: a move that fails leaves it as it was, so that the same is asked for again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readahead {
    window: Option<Arc<Window>>,
    /// The blocks asked for last.
    asked: u32,
    direction: Option<Direction>,
    told: Told,
}

/// Windows that the store was told of and that were not read yet.
#[derive(Clone, Debug, Default)]
struct Told {
    /// In the order of the scan.
    ranges: VecDeque<Range<u64>>,
    /// Where the next one begins.
    next: Option<Arc<(BlockCursor, BlockCursor)>>,
    /// Nothing of the segment comes after them.
    all: bool,
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

impl Told {
    /// Takes out the window that begins with this block. Those before it are not waited for any more.
    fn take(&mut self, handle: Handle, direction: Direction) -> Option<Range<u64>> {
        let begins = |range: &Range<u64>| match direction {
            Direction::Forward => range.start == handle.offset,
            Direction::Backward => Some(range.end) == handle.end(),
        };
        let at = self.ranges.iter().position(begins)?;
        self.ranges.drain(..=at).next_back()
    }

    /// Tells the store of more, until enough is under way.
    fn fill(&mut self, reader: &SegmentReader, direction: Direction, asked: &mut u32) -> Result<()> {
        while self.ranges.len() < TOLD && !self.all {
            let Some(next) = self.next.take() else { return Ok(()) };
            let (top, partition) = (next.0.clone(), next.1.clone());
            let mut blocks = Blocks { reader, top, partition, direction };
            if reader.source().is_cached(blocks.handle()?) {
                // It will be found there; what comes after it is looked at when the scan is.
                return Ok(());
            }
            *asked = asked.saturating_mul(2);
            let extent = blocks.extent(*asked)?;
            reader.source().prefetch(extent.range());
            self.ranges.push_back(extent.range());
            self.go_on(extent.after, blocks);
        }
        Ok(())
    }

    fn go_on(&mut self, after: After, blocks: Blocks<'_>) {
        self.all = after == After::Nothing;
        self.next = (after == After::Block).then(|| Arc::new((blocks.top, blocks.partition)));
    }
}

impl Readahead {
    /// What follows the block at `partition` is not known to be wanted.
    pub(crate) fn begin(reader: &SegmentReader, partition: &BlockCursor) -> Result<(BlockCursor, Readahead)> {
        let handle = BlockInfo::decode(partition.value())?.handle;
        let block = reader.source().block(handle, FrameKind::Data, Access::Point)?;
        Ok((BlockCursor::new(block), Readahead { asked: 1, ..Readahead::default() }))
    }

    /// The habit without the bytes.
    pub(crate) fn without_window(self) -> Readahead {
        Readahead { window: None, ..self }
    }

    /// Whether all that is left of the segment in the direction of the scan is read or under way.
    pub(crate) fn has_asked_for_all(&self) -> bool {
        self.told.all
    }

    /// Goes on with the scan `before`, which comes to its end, in the next segment: tells the store of the first windows there.
    pub(crate) fn follow(reader: &SegmentReader, before: &Readahead) -> Result<Readahead> {
        let (asked, direction) = (before.asked, before.direction);
        let mut follows = Readahead { asked, direction, ..Readahead::default() };
        let Some(direction) = direction.filter(|_| asked >= LONG_SCAN) else { return Ok(follows) };
        // A window as long as the last of the scan.
        follows.asked = asked.div_ceil(2);
        let mut top = reader.top();
        if direction.enter(&mut top)?
            && let Some(mut partition) = reader.partition_at_hand(&top)?
            && direction.enter(&mut partition)?
        {
            follows.told.next = Some(Arc::new((top, partition)));
            follows.told.fill(reader, direction, &mut follows.asked)?;
        }
        Ok(follows)
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
        let mut same = Readahead {
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
        let range = same.next_window(reader, (top, partition), handle, direction)?;
        if range.end - range.start > handle.length.into() {
            match source.read(range.start, range.end - range.start) {
                Ok(bytes) => {
                    let window = Window { start: range.start, bytes };
                    let frame = window.frame(handle).unwrap_or_default();
                    let block = source.unpack(frame, handle, FrameKind::Data, Access::Scan)?;
                    return Ok((
                        BlockCursor::new(block),
                        Readahead { window: Some(Arc::new(window)), ..same },
                    ));
                }
                // The whole can't be had; perhaps this block can.
                Err(error) if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Corrupt) => {
                    (same.asked, same.told) = (1, Told::default());
                }
                Err(error) => return Err(error),
            }
        }
        let block = source.block(handle, FrameKind::Data, Access::Scan)?;
        Ok((BlockCursor::new(block), Readahead { window: None, ..same }))
    }

    /// The window to read for this block, and the ones after it that the store is told of meanwhile.
    fn next_window(
        &mut self,
        reader: &SegmentReader,
        (top, partition): (&BlockCursor, &BlockCursor),
        handle: Handle,
        direction: Direction,
    ) -> Result<Range<u64>> {
        let range = match self.told.take(handle, direction) {
            Some(range) => range,
            None => {
                self.told = Told::default();
                let mut blocks = Blocks { reader, top: top.clone(), partition: partition.clone(), direction };
                self.asked = self.asked.saturating_mul(2).max(1);
                let extent = blocks.extent(self.asked)?;
                self.told.go_on(extent.after, blocks);
                extent.range()
            }
        };
        if self.asked >= LONG_SCAN {
            self.told.fill(reader, direction, &mut self.asked)?;
        }
        Ok(range)
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
    after: After,
}

/// What comes after some blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Block,
    /// The end of the segment.
    Nothing,
    /// What the index says, which is not at hand.
    Unknown,
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

    /// Moves to the next block, if it is one.
    fn advance(&mut self) -> Result<After> {
        if self.direction.step(&mut self.partition)? {
            return Ok(After::Block);
        }
        if !self.direction.step(&mut self.top)? {
            return Ok(After::Nothing);
        }
        let Some(next) = self.reader.partition_at_hand(&self.top)? else { return Ok(After::Unknown) };
        self.partition = next;
        Ok(if self.direction.enter(&mut self.partition)? { After::Block } else { After::Unknown })
    }

    /// From here up to `count` blocks that lie side by side, are not cached, and together are no longer than the reader's bound. Moves to
    /// the block after them.
    fn extent(&mut self, count: u32) -> Result<Extent> {
        let first = self.handle()?;
        let mut extent = Extent { first, last: first, after: After::Block };
        let mut total = u64::from(first.length);
        for taken in 1.. {
            extent.after = self.advance()?;
            if extent.after != After::Block {
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
        Ok(extent)
    }
}
