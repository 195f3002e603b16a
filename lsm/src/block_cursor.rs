//! A place in a block of sorted entries, moving both ways.

use std::sync::Arc;

use dosql_base::{Error, Result};

use crate::block::{Block, Bucket};

/// A place in a block: on an entry, or on none. Cheap to clone but for the key.
#[derive(Clone, Debug)]
pub(crate) struct BlockCursor {
    block: Arc<Block>,
    valid: bool,
    at: usize,
    next: usize,
    key: Vec<u8>,
    value: (usize, usize),
}

impl BlockCursor {
    /// A cursor on no entry.
    pub(crate) fn new(block: Arc<Block>) -> Self {
        BlockCursor { block, valid: false, at: 0, next: 0, key: Vec::new(), value: (0, 0) }
    }

    /// Whether an entry follows in the block.
    pub(crate) fn has_next(&self) -> bool {
        self.next < self.block.entries_end()
    }

    /// Whether an entry comes before this one in the block.
    pub(crate) fn has_previous(&self) -> bool {
        self.valid && self.at > 0
    }

    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// The entry's key. Of no meaning where the cursor is on none.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.block.value(self.value)
    }

    pub(crate) fn value_place(&self) -> (usize, usize) {
        self.value
    }

    /// Stands before the first entry of a restart interval.
    fn stand_before(&mut self, index: u32) -> Result<()> {
        self.next = self.block.restart(index)?;
        self.valid = false;
        self.key.clear();
        Ok(())
    }

    /// Moves to the first entry.
    pub(crate) fn first(&mut self) -> Result<bool> {
        self.stand_before(0)?;
        self.advance()
    }

    /// Moves to the last entry.
    pub(crate) fn last(&mut self) -> Result<bool> {
        self.stand_before(self.block.restarts() - 1)?;
        while self.has_next() {
            self.advance()?;
        }
        Ok(self.valid)
    }

    /// Moves to the next entry; false, and on none, after the last.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if !self.has_next() {
            self.valid = false;
            return Ok(false);
        }
        let (entry, next) = self.block.entry(self.next)?;
        if entry.shared > self.key.len() {
            return Err(Error::corrupt(
                "a segment's block shares more of a key than there is",
                "block contents",
            ));
        }
        self.key.truncate(entry.shared);
        self.key.extend_from_slice(entry.rest);
        (self.at, self.next, self.value, self.valid) = (self.next, next, entry.value, true);
        Ok(true)
    }

    /// Moves to the entry before; false, and on none, before the first.
    pub(crate) fn retreat(&mut self) -> Result<bool> {
        let target = self.at;
        if !self.has_previous() {
            self.valid = false;
            return Ok(false);
        }
        let restart = self.partition_restarts(|cursor, index| Ok(cursor.block.restart(index)? < target))?;
        self.stand_before(restart)?;
        while self.next < target {
            self.advance()?;
        }
        Ok(self.valid)
    }

    /// Moves to the first entry for which `below` is false; all for which it is true come before.
    pub(crate) fn seek(&mut self, mut below: impl FnMut(&BlockCursor) -> Result<bool>) -> Result<bool> {
        let restart = self.partition_restarts(|cursor, index| {
            cursor.stand_before(index)?;
            cursor.advance()?;
            below(cursor)
        })?;
        self.stand_before(restart)?;
        self.scan(below)
    }

    /// As [`BlockCursor::seek`], for a key of this hash that is looked for alone: may end on no entry where the key has none.
    pub(crate) fn seek_hashed(
        &mut self,
        hash: u64,
        below: impl FnMut(&BlockCursor) -> Result<bool>,
    ) -> Result<bool> {
        match self.block.bucket(hash) {
            Bucket::Search => self.seek(below),
            Bucket::Interval(index) => {
                self.stand_before(index)?;
                self.scan(below)
            }
            Bucket::Absent => {
                self.valid = false;
                Ok(false)
            }
        }
    }

    fn scan(&mut self, mut below: impl FnMut(&BlockCursor) -> Result<bool>) -> Result<bool> {
        while self.advance()? {
            if !below(self)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last restart for which `holds`, by halves; 0 where it holds for none.
    fn partition_restarts(
        &mut self,
        mut holds: impl FnMut(&mut BlockCursor, u32) -> Result<bool>,
    ) -> Result<u32> {
        let (mut low, mut high) = (0, self.block.restarts());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if holds(self, middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// Which way a cursor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

impl Direction {
    pub(crate) fn step(self, cursor: &mut BlockCursor) -> Result<bool> {
        match self {
            Direction::Forward => cursor.advance(),
            Direction::Backward => cursor.retreat(),
        }
    }

    /// Moves to the entry that a block is entered at.
    pub(crate) fn enter(self, cursor: &mut BlockCursor) -> Result<bool> {
        match self {
            Direction::Forward => cursor.first(),
            Direction::Backward => cursor.last(),
        }
    }

    pub(crate) fn stays_inside(self, cursor: &BlockCursor) -> bool {
        match self {
            Direction::Forward => cursor.has_next(),
            Direction::Backward => cursor.has_previous(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockBuilder;
    use crate::hash::hash64;

    fn keys() -> Vec<Vec<u8>> {
        (0..100u32).map(|i| format!("table/{:04}", i * 3).into_bytes()).collect()
    }

    fn block(keys: &[Vec<u8>]) -> Arc<Block> {
        let mut builder = BlockBuilder::default();
        for key in keys {
            builder.add(key, b"head", key, Some(hash64(key)));
        }
        Arc::new(Block::parse(builder.finish()).unwrap())
    }

    #[test]
    fn entries_come_back_forwards_and_backwards() {
        let keys = keys();
        let mut cursor = BlockCursor::new(block(&keys));
        let mut more = cursor.first().unwrap();
        let mut seen = Vec::new();
        while more {
            assert_eq!(cursor.value(), [b"head", cursor.key()].concat());
            seen.push(cursor.key().to_vec());
            more = cursor.advance().unwrap();
        }
        assert_eq!(seen, keys);
        let mut more = cursor.last().unwrap();
        while more {
            assert_eq!(cursor.key(), seen.pop().unwrap());
            more = cursor.retreat().unwrap();
        }
        assert!(seen.is_empty());
    }

    #[test]
    fn a_seek_finds_the_first_that_is_not_below() {
        let keys = keys();
        for count in [1, 2, 15, 16, 17, 33, 100] {
            let mut cursor = BlockCursor::new(block(&keys[..count]));
            for i in 0..310 {
                let target = format!("table/{i:04}").into_bytes();
                let expected = keys[..count].iter().find(|key| **key >= target);
                let below = |at: &BlockCursor| Ok(at.key() < target.as_slice());
                let found = cursor.seek(below).unwrap().then(|| cursor.key().to_vec());
                assert_eq!(found.as_ref(), expected);
                let hashed = cursor.seek_hashed(hash64(&target), below).unwrap() && cursor.key() == target;
                assert_eq!(hashed, keys[..count].contains(&target));
            }
        }
    }

    #[test]
    fn a_block_is_these_bytes() {
        let mut builder = BlockBuilder::default();
        builder.set_base(7);
        builder.add(b"ab", b"", b"1", None);
        builder.add(b"ac", b"2", b"3", None);
        let bytes = builder.finish();
        let expected =
            b"\x00\x02\x01ab1\x01\x01\x02c23\0\0\0\0\x07\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn damage_is_an_error_or_a_wrong_entry_but_never_a_panic() {
        let keys = keys();
        let mut builder = BlockBuilder::default();
        for key in &keys {
            builder.add(key, b"", b"value", Some(hash64(key)));
        }
        let bytes = builder.finish();
        for index in 0..bytes.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[index] = value;
                let Ok(block) = Block::parse(damaged) else { continue };
                let mut cursor = BlockCursor::new(Arc::new(block));
                let _ = cursor.first().and_then(|_| {
                    while cursor.advance()? {}
                    cursor.last()?;
                    while cursor.retreat()? {}
                    cursor.seek_hashed(hash64(&keys[9]), |at| Ok(at.key() < keys[9].as_slice()))
                });
            }
        }
        for len in 0..bytes.len() {
            let _ = Block::parse(bytes[..len].to_vec());
        }
    }
}
