//! Blocks kept in memory after they were read, unpacked and checked; the least recently used go first.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::block::Block;
use crate::bloom::Filter;

/// A cache of unpacked blocks, shared by any number of readers. Segments are told apart by their ids.
#[derive(Debug)]
pub struct BlockCache {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Key, Held>,
    /// Keys by the moment of their last use.
    order: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

/// Segment and offset.
type Key = (u64, u64);

#[derive(Debug)]
struct Held {
    part: Part,
    size: usize,
    used: u64,
}

/// What can be cached.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Block(Arc<Block>),
    Filter(Arc<Filter>),
}

impl BlockCache {
    /// A cache that holds up to `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        BlockCache { capacity, state: Mutex::new(State::default()) }
    }

    /// How many bytes it holds now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub(crate) fn get(&self, segment: u64, offset: u64) -> Option<Part> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.clock += 1;
        let held = state.held.get_mut(&(segment, offset))?;
        state.order.remove(&held.used);
        held.used = state.clock;
        state.order.insert(held.used, (segment, offset));
        Some(held.part.clone())
    }

    pub(crate) fn put(&self, segment: u64, offset: u64, part: Part, size: usize) {
        if size > self.capacity {
            return;
        }
        let mut state = self.state.lock();
        state.clock += 1;
        let (key, used) = ((segment, offset), state.clock);
        state.remove(key);
        state.held.insert(key, Held { part, size, used });
        state.order.insert(used, key);
        state.bytes += size;
        while state.bytes > self.capacity
            && let Some((_, oldest)) = state.order.first_key_value()
        {
            let oldest = *oldest;
            state.remove(oldest);
        }
    }
}

impl State {
    fn remove(&mut self, key: Key) {
        if let Some(held) = self.held.remove(&key) {
            self.order.remove(&held.used);
            self.bytes -= held.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Part {
        Part::Filter(Arc::new(Filter::parse(crate::bloom::build(&[1], 10)).unwrap()))
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_capacity_is_kept() {
        let cache = BlockCache::new(300);
        for offset in 0..3 {
            cache.put(1, offset, filter(), 100);
        }
        assert!(cache.get(1, 0).is_some());
        cache.put(2, 0, filter(), 100);
        assert_eq!(cache.bytes(), 300);
        let held: Vec<bool> =
            [(1, 0), (1, 1), (1, 2), (2, 0)].map(|(id, at)| cache.get(id, at).is_some()).to_vec();
        assert_eq!(held, [true, false, true, true]);
        cache.put(2, 0, filter(), 50);
        assert_eq!(cache.bytes(), 250, "the same key twice counts once");
        cache.put(3, 0, filter(), 301);
        assert_eq!(cache.bytes(), 250, "what is larger than the cache stays out");
    }
}
