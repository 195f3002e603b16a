//! A segment store whose bytes are far away, for tests: a read answers `WouldBlock` until all it needs was fetched, and what was
//! fetched is forgotten again when room is needed.
//!
//! An object is a row of blocks of equal length. The store remembers which blocks are near, up to a number of them; the one
//! that was fetched first goes first, whether it is needed or not. Who needs more blocks at once than there is room for waits for ever
//! or says so: that is what this store is to show.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::store::{SegmentStore, Wanted, validate_name};

/// A store around another whose every block has to be fetched before it can be read.
pub struct BlockingSegmentStore {
    inner: Arc<dyn SegmentStore>,
    block_bytes: u64,
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    near: BTreeSet<(String, u64)>,
    order: VecDeque<(String, u64)>,
    wanted: Vec<Wanted>,
    fetches: u64,
    blocked: u64,
}

impl BlockingSegmentStore {
    /// A store of blocks of `block_bytes` (1 at least), of which up to `room` bytes are near at a time (one block at least).
    #[must_use]
    pub fn new(inner: Arc<dyn SegmentStore>, block_bytes: u64, room: u64) -> Self {
        let block_bytes = block_bytes.max(1);
        let room = usize::try_from(room / block_bytes).unwrap_or(usize::MAX).max(1);
        BlockingSegmentStore { inner, block_bytes, room, state: Mutex::new(State::default()) }
    }

    /// Brings these ranges near, block by block; what was fetched longest ago goes where there is no room.
    pub fn fetch(&self, wanted: &[Wanted]) {
        let mut state = self.state.lock();
        for Wanted { name, range } in wanted {
            for block in self.blocks(range) {
                let block = (name.clone(), block);
                if state.near.insert(block.clone()) {
                    state.order.push_back(block);
                    state.fetches += 1;
                }
            }
        }
        while state.order.len() > self.room
            && let Some(oldest) = state.order.pop_front()
        {
            state.near.remove(&oldest);
        }
    }

    /// Brings near all that is wanted; returns how many ranges that were.
    pub fn fetch_wanted(&self) -> usize {
        let wanted = self.wanted();
        self.fetch(&wanted);
        wanted.len()
    }

    /// Everything that was fetched is far again.
    pub fn evict_all(&self) {
        let mut state = self.state.lock();
        state.near.clear();
        state.order.clear();
    }

    /// How many blocks were fetched.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.state.lock().fetches
    }

    /// How many reads had to wait.
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.state.lock().blocked
    }

    /// The numbers of the blocks that a range touches.
    fn blocks(&self, range: &Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return 0..0;
        }
        range.start / self.block_bytes..range.end.div_ceil(self.block_bytes)
    }

    /// Refuses a read that needs more blocks than can be near at once.
    fn check_room(&self, name: &str, ranges: &[Range<u64>]) -> Result<()> {
        let room = self.room as u64;
        let too_long = |range: &Range<u64>| {
            let blocks = self.blocks(range);
            blocks.end - blocks.start > room
        };
        let fits = !ranges.iter().any(too_long)
            && ranges.iter().flat_map(|range| self.blocks(range)).collect::<BTreeSet<u64>>().len()
                <= self.room;
        if fits {
            return Ok(());
        }
        let room = room.saturating_mul(self.block_bytes);
        Err(Error::limit(format!("a read needs more than the {room} bytes that can be near at once"))
            .at(name))
    }

    /// Whether all of these ranges are near; notes those parts of them that are not.
    fn near(&self, name: &str, ranges: &[Range<u64>]) -> Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_room(name, ranges)?;
        let mut missing = false;
        for range in ranges {
            for block in self.blocks(range) {
                if state.near.contains(&(name.to_string(), block)) {
                    continue;
                }
                missing = true;
                let from = range.start.max(block * self.block_bytes);
                let to = range.end.min((block + 1).saturating_mul(self.block_bytes));
                note(&mut state.wanted, name, from..to);
            }
        }
        if missing {
            state.blocked += 1;
            return Err(Error::would_block("a part of a segment has to be fetched first").at(name));
        }
        Ok(())
    }
}

/// Adds a range to those that are wanted, to the last one where it goes on there.
fn note(wanted: &mut Vec<Wanted>, name: &str, range: Range<u64>) {
    if let Some(last) = wanted.last_mut().filter(|last| last.name == name && last.range.end == range.start) {
        last.range.end = range.end;
        return;
    }
    let wish = Wanted { name: name.to_string(), range };
    if !wanted.contains(&wish) {
        wanted.push(wish);
    }
}

impl SegmentStore for BlockingSegmentStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.inner.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        validate_name(name)?;
        // What can't be there is not waited for.
        if range.end >= 1 << 62 {
            return self.inner.read(name, range);
        }
        self.near(name, std::slice::from_ref(&range))?;
        self.inner.read(name, range)
    }

    fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        validate_name(name)?;
        self.near(name, ranges)?;
        self.inner.get_ranges(name, ranges)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.inner.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix)
    }

    fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = std::mem::take(&mut self.state.lock().wanted);
        wanted.extend(self.inner.wanted());
        wanted
    }
}
