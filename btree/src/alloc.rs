//! Page ids: which are free, and when a freed one may be used again.
//!
//! ```text
//! freed in memory -> waiting (a snapshot can read it) -> freed -> leaving -> resting -> free
//!                                                          |         |          |         |
//!                                                 batch n frees it   |          |   used by batch n + 2
//!                                                          batch n is durable   |
//!                                                                    batch n + 1 is durable
//! ```
//!
//! So neither the last nor the last but one durable state ever loses a page. An id that no batch has written yet is
//! free as soon as no snapshot can read it.
//!
//! The free list on disk: varint count and ascending deltas of the ids that are free once its batch is durable, then the same
//! for those that are free after the next batch.

use std::collections::BTreeMap;

use dosql_base::codec::{Reader, put_varint, varint_len};
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result};

use crate::PageId;

/// See the module's description.
#[derive(Clone, Default)]
pub(crate) struct Allocator {
    /// The lowest id never used.
    pub(crate) next: u64,
    /// Descending, so that the lowest is taken first.
    free: Vec<u64>,
    resting: Vec<u64>,
    /// What the batch that is being written frees.
    leaving: Vec<u64>,
    freed: Vec<u64>,
    /// Freed ids that a snapshot can still read; whether a checkpoint has written them.
    waiting: BTreeMap<u64, bool>,
}

impl Allocator {
    /// Nothing is used yet.
    pub(crate) fn new() -> Self {
        Allocator { next: 1, ..Allocator::default() }
    }

    /// Takes a free id.
    pub(crate) fn take(&mut self) -> Result<u64> {
        if let Some(id) = self.free.pop() {
            return Ok(id);
        }
        if self.next > PageId::MAX.get() {
            return Err(Error::limit("the database has no page number left"));
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// The ids that may be taken now.
    pub(crate) fn free(&self) -> &[u64] {
        &self.free
    }

    /// How many free ids there are up to `limit`.
    pub(crate) fn free_up_to(&self, limit: u64) -> usize {
        self.free.iter().filter(|&&id| id <= limit).count()
    }

    /// Forgets the free ids above all that are not: they count as never used.
    pub(crate) fn drop_tail(&mut self) {
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        let tail = self.free.iter().zip((1..self.next).rev()).take_while(|&(&free, id)| free == id).count();
        self.free.drain(..tail);
        self.next -= tail as u64;
    }

    /// Gives an id back that nobody has seen.
    pub(crate) fn give_back(&mut self, id: u64) {
        self.free.push(id);
    }

    /// A page was freed; `durable`: a checkpoint has written it.
    pub(crate) fn wait(&mut self, id: u64, durable: bool) {
        self.waiting.insert(id, durable);
    }

    /// No snapshot can read a freed page any more.
    pub(crate) fn release(&mut self, id: u64) {
        match self.waiting.remove(&id) {
            Some(true) if !weakened("freed-page-reused-at-once") => self.freed.push(id),
            Some(_) => self.free.push(id),
            None => {}
        }
    }

    /// Takes an id for a page that is made apart from the writer: it counts as unused until it is adopted.
    pub(crate) fn take_apart(&mut self) -> Result<u64> {
        let id = self.take()?;
        self.waiting.insert(id, false);
        Ok(id)
    }

    /// A page that was made apart is in use from now on.
    pub(crate) fn adopt(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Frees the page of a free list that the next batch replaces.
    pub(crate) fn free_with_next_batch(&mut self, id: u64) {
        self.freed.push(id);
    }

    /// What the next batch frees, ascending.
    pub(crate) fn freed(&mut self) -> &[u64] {
        self.freed.sort();
        &self.freed
    }

    /// How long the free list as of the next batch is at most, where ids are taken from it before it is written.
    pub(crate) fn encoded_len(&mut self) -> usize {
        let len = |ids: &mut dyn Iterator<Item = u64>| {
            let (mut count, mut last, mut sum) = (0u64, 0u64, 0);
            for id in ids {
                sum += varint_len(id.abs_diff(last));
                (count, last) = (count + 1, id);
            }
            varint_len(count) + sum
        };
        // Each of the lists by itself takes no less than all of them merged.
        self.freed.sort();
        self.free.sort_by(|a, b| b.cmp(a));
        let lists = [&self.free, &self.resting, &self.freed];
        let lists: usize = lists.into_iter().map(|list| len(&mut list.iter().copied())).sum();
        lists + len(&mut self.waiting.keys().copied())
    }

    /// The next batch is about to be written: what is freed from now on belongs to the one after it.
    pub(crate) fn begin_batch(&mut self) {
        debug_assert!(self.leaving.is_empty(), "one batch is written at a time");
        self.freed.sort();
        self.leaving = std::mem::take(&mut self.freed);
    }

    /// The batch is durable.
    pub(crate) fn committed(&mut self) {
        self.free.append(&mut self.resting);
        self.free.sort_by(|a, b| b.cmp(a));
        self.resting = std::mem::take(&mut self.leaving);
        if weakened("freed-page-rests-too-short") {
            self.free.append(&mut self.resting);
        }
    }

    /// Ids that are not in use.
    pub(crate) fn unused(&self) -> u64 {
        let lists = [&self.free, &self.resting, &self.leaving, &self.freed];
        (lists.iter().map(|list| list.len()).sum::<usize>() + self.waiting.len()) as u64
    }

    /// The free list as of the next batch. Waiting ids count as freed: no snapshot outlives the process.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut list = |mut ids: Vec<u64>| {
            // They come in a few runs that are in order: this kind of sort only merges those.
            ids.sort();
            put_varint(&mut out, ids.len() as u64);
            let mut last = 0;
            for id in ids {
                put_varint(&mut out, id - last);
                last = id;
            }
        };
        list(self.free.iter().chain(&self.resting).copied().collect());
        list(self.freed.iter().chain(self.waiting.keys()).copied().collect());
        out
    }

    /// Reads what [`Allocator::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8], next: u64) -> Result<Allocator> {
        let mut reader = Reader::new(bytes, "free list");
        let mut list = || -> Result<Vec<u64>> {
            let count = reader.varint()?;
            let mut ids = Vec::new();
            let mut last = 0u64;
            for _ in 0..count {
                let delta = reader.varint()?;
                let id = last.checked_add(delta).filter(|&id| delta > 0 && id < next);
                last =
                    id.ok_or_else(|| Error::corrupt("the free list names impossible pages", "free list"))?;
                ids.push(last);
            }
            Ok(ids)
        };
        let mut free = list()?;
        let resting = list()?;
        if reader.rest().iter().any(|&byte| byte != 0) {
            return Err(Error::corrupt("the free list has bytes left over", "free list"));
        }
        free.reverse();
        Ok(Allocator { next, free, resting, ..Allocator::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_id_is_used_again_two_batches_later_and_a_fresh_one_at_once() {
        let mut allocator = Allocator::new();
        assert_eq!((allocator.take().unwrap(), allocator.take().unwrap()), (1, 2));
        allocator.wait(1, true);
        allocator.wait(2, false);
        allocator.release(1);
        allocator.release(2);
        assert_eq!(allocator.take().unwrap(), 2);
        allocator.begin_batch();
        allocator.committed();
        assert_eq!(allocator.take().unwrap(), 3);
        allocator.begin_batch();
        allocator.committed();
        assert_eq!(allocator.take().unwrap(), 1);
    }

    #[test]
    fn what_is_freed_while_a_batch_is_written_belongs_to_the_next() {
        let mut allocator = Allocator { next: 10, ..Allocator::default() };
        allocator.free_with_next_batch(1);
        allocator.begin_batch();
        allocator.free_with_next_batch(2);
        allocator.committed();
        assert_eq!((&allocator.resting[..], &allocator.freed[..]), (&[1][..], &[2][..]));
        assert_eq!(allocator.unused(), 2);
    }

    #[test]
    fn an_id_taken_apart_is_unused_until_it_is_adopted_and_free_again_where_it_never_is() {
        let mut allocator = Allocator::new();
        let (kept, dropped) = (allocator.take_apart().unwrap(), allocator.take_apart().unwrap());
        assert_eq!(allocator.unused(), 2);
        allocator.adopt(kept);
        allocator.release(dropped);
        assert_eq!(allocator.unused(), 1);
        assert_eq!(allocator.take().unwrap(), dropped);
    }

    #[test]
    fn free_ids_at_the_end_are_forgotten_and_others_kept() {
        let mut allocator = Allocator { next: 10, free: vec![3, 9, 8, 6], ..Allocator::default() };
        assert_eq!((allocator.free_up_to(8), allocator.free_up_to(5)), (3, 1));
        allocator.drop_tail();
        assert_eq!((allocator.next, &allocator.free[..]), (8, &[6, 3][..]));
        allocator.drop_tail();
        assert_eq!(allocator.next, 8);
        let mut all = Allocator { next: 3, free: vec![1, 2], ..Allocator::default() };
        all.drop_tail();
        assert_eq!((all.next, all.unused()), (1, 0));
    }

    #[test]
    fn the_last_page_number_is_taken_and_none_after_it() {
        let mut allocator = Allocator { next: PageId::MAX.get(), ..Allocator::default() };
        assert_eq!(allocator.take().unwrap(), PageId::MAX.get());
        assert_eq!(allocator.take().unwrap_err().kind(), dosql_base::ErrorKind::Limit);
        allocator.give_back(5);
        assert_eq!(allocator.take().unwrap(), 5);
    }

    #[test]
    fn the_free_list_is_never_longer_than_foreseen() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..200 {
            let most = 1 << random.u32(3..40);
            let mut ids: Vec<u64> = (0..random.usize(..300)).map(|_| random.u64(1..most)).collect();
            ids.sort_unstable();
            ids.dedup();
            let mut allocator = Allocator { next: most, ..Allocator::default() };
            for id in ids {
                match random.u8(..4) {
                    0 => allocator.free.push(id),
                    1 => allocator.resting.push(id),
                    2 => allocator.freed.push(id),
                    _ => allocator.wait(id, true),
                }
            }
            random.shuffle(&mut allocator.free);
            random.shuffle(&mut allocator.freed);
            let foreseen = allocator.encoded_len();
            for _ in 0..random.usize(..4).min(allocator.free.len()) {
                allocator.take().unwrap();
            }
            assert!(allocator.encode().len() <= foreseen);
        }
    }

    #[test]
    fn the_free_list_round_trips_and_keeps_its_bytes() {
        let mut allocator = Allocator { next: 500, free: vec![300, 7], ..Allocator::default() };
        allocator.resting = vec![9];
        allocator.freed = vec![20];
        allocator.waiting.insert(10, true);
        let bytes = allocator.encode();
        assert_eq!(bytes, [3, 7, 2, 0xA3, 0x02, 2, 10, 10]);
        let read = Allocator::decode(&bytes, 500).unwrap();
        assert_eq!((read.free, read.resting), (vec![300, 9, 7], vec![10, 20]));
        assert!(Allocator::decode(&bytes, 300).is_err());
    }
}
