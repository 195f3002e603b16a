//! Walks the versions of a segment, both ways.
//!
//! ```text
//! top index -> index partition -> data block       a cursor in each; a step beyond a block's edge moves the one above
//! ```

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::block_cursor::{BlockCursor, Direction};
use crate::readahead::Readahead;
use crate::reader::{SegmentReader, annotate, is_below, stamp_of};
use crate::version::{Entry, Stamp};

/// A place among the versions of a segment: keys ascending, of each key the newest first. A call that answers
/// `WouldBlock` has left the cursor where it was: fetch and call again.
#[derive(Clone, Debug)]
pub struct SegmentCursor {
    reader: Arc<SegmentReader>,
    place: Option<Place>,
    /// Of the scan that it goes on with.
    follows: Option<Readahead>,
    /// Of the scan that has come to its end.
    ended: Option<Readahead>,
}

#[derive(Clone, Debug)]
struct Place {
    top: BlockCursor,
    partition: BlockCursor,
    data: BlockCursor,
    stamp: Stamp,
    /// The length of the stamp in front of the value.
    head: usize,
    ahead: Readahead,
}

fn empty_block() -> Error {
    Error::corrupt("a block of a segment is empty, or its index is out of order", "index")
}

impl SegmentCursor {
    pub(crate) fn new(reader: Arc<SegmentReader>) -> Self {
        SegmentCursor { reader, place: None, follows: None, ended: None }
    }

    /// A cursor over this segment that goes on with the scan of `before`, which comes to the end of the segment that lies next to it: reads are as
    /// long as they were there, and the first of them is under way where the store can do that.
    #[must_use]
    pub fn following(reader: Arc<SegmentReader>, before: &SegmentCursor) -> Self {
        let ahead = before.place.as_ref().map(|place| &place.ahead).or(before.ended.as_ref());
        let follows = ahead.and_then(|ahead| Readahead::follow(&reader, ahead).ok());
        SegmentCursor { reader, place: None, follows, ended: None }
    }

    /// Whether all that is left of the segment is read or under way, in the direction of the scan: time for [`SegmentCursor::following`].
    #[must_use]
    pub fn has_asked_for_all(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.ahead.has_asked_for_all())
    }

    /// The version that the cursor is on; none before the first move, and after one beyond either end.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        let place = self.place.as_ref()?;
        Some(Entry {
            key: place.data.key(),
            start: place.stamp.start,
            end: place.stamp.end,
            kind: place.stamp.kind,
            value: place.data.value().get(place.head..).unwrap_or_default(),
        })
    }

    /// Moves to the first version. All moves return whether there is one.
    pub fn first(&mut self) -> Result<bool> {
        let place = self.at_edge(Direction::Forward);
        self.settle(place)
    }

    /// Moves to the last version.
    pub fn last(&mut self) -> Result<bool> {
        let place = self.at_edge(Direction::Backward);
        self.settle(place)
    }

    /// Moves to the first version at or after (`key`, `at`): the newest of `key` that had begun at `at`, else what
    /// follows. `Timestamp::MAX` finds the first version of the first key at or above `key`.
    pub fn seek(&mut self, key: &[u8], at: Timestamp) -> Result<bool> {
        let place = self.seek_place(key, at);
        self.settle(place)
    }

    /// Moves to the last version of the last key below `key`.
    pub fn seek_before(&mut self, key: &[u8]) -> Result<bool> {
        let place = match self.seek_place(key, Timestamp::MAX) {
            Ok(Some(place)) => self.step(&place, Direction::Backward),
            Ok(None) => self.at_edge(Direction::Backward),
            Err(error) => Err(error),
        };
        self.settle(place)
    }

    /// Moves to the next version; beyond the last it is on none, and stays there.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<bool> {
        self.move_by(Direction::Forward)
    }

    /// Moves to the version before; before the first it is on none, and stays there.
    pub fn prev(&mut self) -> Result<bool> {
        self.move_by(Direction::Backward)
    }

    fn move_by(&mut self, direction: Direction) -> Result<bool> {
        let Some(place) = &mut self.place else {
            return Ok(false);
        };
        // Within the block nothing has to be fetched, nor copied.
        if direction.stays_inside(&place.data) {
            let moved = direction.step(&mut place.data).and_then(|_| stamp_of(&place.data));
            (place.stamp, place.head) = moved.map_err(|error| annotate(error, self.reader.name()))?;
            return Ok(true);
        }
        let place = place.clone();
        let next = self.step(&place, direction);
        if let Ok(None) = next {
            self.ended = Some(place.ahead.without_window());
        }
        self.settle(next)
    }

    /// Takes the place over, or leaves the cursor as it is.
    fn settle(&mut self, place: Result<Option<Place>>) -> Result<bool> {
        self.place = place.map_err(|error| annotate(error, self.reader.name()))?;
        Ok(self.place.is_some())
    }

    /// The first or the last place of the segment.
    fn at_edge(&self, direction: Direction) -> Result<Option<Place>> {
        let mut top = self.reader.top();
        if !direction.enter(&mut top)? {
            return Err(empty_block());
        }
        self.in_block(self.below(top, direction)?, direction, self.follows.as_ref()).map(Some)
    }

    /// The first or the last block below the partition that `top` stands on.
    fn below(&self, top: BlockCursor, direction: Direction) -> Result<(BlockCursor, BlockCursor)> {
        let mut partition = self.reader.partition(&top)?;
        if !direction.enter(&mut partition)? {
            return Err(empty_block());
        }
        Ok((top, partition))
    }

    /// The place that one enters the block at `partition` by.
    fn in_block(
        &self,
        (top, partition): (BlockCursor, BlockCursor),
        direction: Direction,
        ahead: Option<&Readahead>,
    ) -> Result<Place> {
        let (mut data, ahead) = match ahead {
            Some(ahead) => ahead.step(&self.reader, &top, &partition, direction)?,
            None => Readahead::begin(&self.reader, &partition)?,
        };
        if !direction.enter(&mut data)? {
            return Err(empty_block());
        }
        place_of(top, partition, data, ahead)
    }

    /// The place one further.
    fn step(&self, from: &Place, direction: Direction) -> Result<Option<Place>> {
        let (mut top, mut partition, mut data) =
            (from.top.clone(), from.partition.clone(), from.data.clone());
        if direction.step(&mut data)? {
            return place_of(top, partition, data, from.ahead.clone()).map(Some);
        }
        if direction.step(&mut partition)? {
            return self.in_block((top, partition), direction, Some(&from.ahead)).map(Some);
        }
        if direction.step(&mut top)? {
            let block = self.below(top, direction)?;
            return self.in_block(block, direction, Some(&from.ahead)).map(Some);
        }
        Ok(None)
    }

    fn seek_place(&self, key: &[u8], at: Timestamp) -> Result<Option<Place>> {
        let mut top = self.reader.top();
        if !top.seek(|cursor| Ok(cursor.key() < key))? {
            return Ok(None);
        }
        let mut partition = self.reader.partition(&top)?;
        if !partition.seek(|cursor| Ok(cursor.key() < key))? {
            return Err(empty_block());
        }
        loop {
            let (mut data, ahead) = Readahead::begin(&self.reader, &partition)?;
            if data.seek(|cursor| is_below(cursor, key, at))? {
                return place_of(top, partition, data, ahead).map(Some);
            }
            // The versions of the key that had begun by then lie further on.
            if partition.advance()? {
                continue;
            }
            if !top.advance()? {
                return Ok(None);
            }
            partition = self.reader.partition(&top)?;
            if !partition.first()? {
                return Err(empty_block());
            }
        }
    }
}

fn place_of(top: BlockCursor, partition: BlockCursor, data: BlockCursor, ahead: Readahead) -> Result<Place> {
    let (stamp, head) = stamp_of(&data)?;
    Ok(Place { top, partition, data, stamp, head, ahead })
}
