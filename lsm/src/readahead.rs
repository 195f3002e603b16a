//! Reads more than the next block while a cursor goes straight on: one request for a window of blocks, twice as many as the
//! last time, up to a bound in bytes. Who jumps or turns begins anew with one block.

use std::sync::Arc;

use dosql_base::{ErrorKind, Result};

use crate::block_cursor::{BlockCursor, Direction};
use crate::cache::Access;
use crate::frame::{FrameKind, Handle};
use crate::index::BlockInfo;
use crate::reader::SegmentReader;

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
    /// The blocks from one to the other, whichever comes first.
    fn read(reader: &SegmentReader, from: Handle, to: Handle) -> Result<Window> {
        let (first, last) = if from.offset < to.offset { (from, to) } else { (to, from) };
        let length = last.offset - first.offset + u64::from(last.length);
        Ok(Window { start: first.offset, bytes: reader.source().read(first.offset, length)? })
    }

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
        let asked = same.asked.saturating_mul(2).max(1);
        let last = window_end(reader, top, partition, direction, asked)?;
        if last != handle {
            match Window::read(reader, handle, last) {
                Ok(window) => {
                    let frame = window.frame(handle).unwrap_or_default();
                    let block = source.unpack(frame, handle, FrameKind::Data, Access::Scan)?;
                    let ahead =
                        Readahead { window: Some(Arc::new(window)), asked, direction: Some(direction) };
                    return Ok((BlockCursor::new(block), ahead));
                }
                // The whole can't be had; perhaps this block can.
                Err(error) if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        let block = source.block(handle, FrameKind::Data, Access::Scan)?;
        let asked = if last == handle { asked } else { 1 };
        Ok((BlockCursor::new(block), Readahead { window: None, asked, direction: Some(direction) }))
    }
}

/// The last block of a window that begins with the one at `partition`: up to `blocks` of them that lie side by side, are not cached,
/// whose index is at hand, and that together are no longer than the reader's bound.
fn window_end(
    reader: &SegmentReader,
    top: &BlockCursor,
    partition: &BlockCursor,
    direction: Direction,
    blocks: u32,
) -> Result<Handle> {
    let (mut top, mut partition) = (top.clone(), partition.clone());
    let mut last = BlockInfo::decode(partition.value())?.handle;
    let mut total = u64::from(last.length);
    for _ in 1..blocks {
        if !direction.step(&mut partition)? {
            if !direction.step(&mut top)? {
                break;
            }
            let Some(next) = reader.partition_at_hand(&top)? else { break };
            partition = next;
            if !direction.enter(&mut partition)? {
                break;
            }
        }
        let next = BlockInfo::decode(partition.value())?.handle;
        let beside = match direction {
            Direction::Forward => last.end() == Some(next.offset),
            Direction::Backward => next.end() == Some(last.offset),
        };
        total = total.saturating_add(next.length.into());
        if !beside || total > reader.readahead() || reader.source().is_cached(next) {
            break;
        }
        last = next;
    }
    Ok(last)
}
