//! Building a tree from entries in ascending key order, leaves left to right.
//!
//! Each level gathers entries until they no longer fit a page together with the separator to the next one; then it makes
//! the page and passes its low fence and id to the level above.

use dosql_base::{Error, Result, Timestamp};
use std::sync::Arc;

use super::overflow::write_overflow;
use super::{PageWriter, check_key, check_value};
use crate::page::format::{SLOT, SLOTS_AT};
use crate::page::leaf::{Kind, Prelude};
use crate::page::node::{child_pointer, common_prefix, rest_len, separator};
use crate::page::node_mut::{NodeMut, Shape};
use crate::{PageId, Pages, Root};

/// The entries of the next page of one level.
#[derive(Default)]
struct Level {
    /// The low fence of the next page.
    low: Vec<u8>,
    base: u64,
    /// Keys and payloads, one after the other.
    bytes: Vec<u8>,
    /// For each entry where its key and its payload end in `bytes`.
    ends: Vec<(usize, usize)>,
}

impl Level {
    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1].1 }
    }

    fn key(&self, i: usize) -> &[u8] {
        &self.bytes[self.start(i)..self.ends[i].0]
    }

    fn payload(&self, i: usize) -> &[u8] {
        &self.bytes[self.ends[i].0..self.ends[i].1]
    }

    /// Bytes of entry `i` in the heap of a page whose keys share so many bytes, at most.
    fn size(&self, i: usize, prefix: usize) -> usize {
        rest_len((self.ends[i].0 - self.start(i)).saturating_sub(prefix)) + self.payload(i).len()
    }

    fn push(&mut self, key: &[u8], parts: [&[u8]; 2]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(parts[0]);
        self.bytes.extend_from_slice(parts[1]);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// What a page of all entries would take if its keys shared what the low fence and the last key share: at most this
    /// much less than in truth, so that a page is tried before it is certainly too full.
    fn estimate(&self) -> usize {
        let count = self.ends.len();
        let shared = if count == 0 { 0 } else { common_prefix(&self.low, self.key(count - 1)) };
        let fences = 2 * self.low.len();
        (SLOTS_AT + fences + self.bytes.len() + SLOT * count).saturating_sub(count * (shared + 4))
    }

    /// Forgets the first `count` entries.
    fn drain(&mut self, count: usize) {
        let cut = self.start(count);
        self.bytes.drain(..cut);
        self.ends.drain(..count);
        for ends in &mut self.ends {
            ends.0 -= cut;
            ends.1 -= cut;
        }
    }
}

/// Where new pages are made: in the writer, or apart from it.
pub trait PageMaker {
    /// The page table that they belong to.
    fn pages(&self) -> &Arc<Pages>;

    /// The number of the checkpoint that will write them.
    fn epoch(&self) -> u64;

    /// Takes an id and a page of arbitrary bytes for it, which `fill` fills in.
    ///
    /// # Errors
    /// `Limit` where page numbers run out.
    fn make(&mut self, fill: impl FnOnce(u64, &mut [u8])) -> Result<u64>;

    /// A loader of a new tree, for entries that come in ascending key order.
    fn bulk(&mut self) -> BulkLoader<'_, Self>
    where
        Self: Sized,
    {
        BulkLoader { maker: self, levels: Vec::new(), last: Vec::new(), entries: 0 }
    }
}

impl PageMaker for PageWriter<'_> {
    fn pages(&self) -> &Arc<Pages> {
        self.pages
    }

    fn epoch(&self) -> u64 {
        self.state.epoch
    }

    fn make(&mut self, fill: impl FnOnce(u64, &mut [u8])) -> Result<u64> {
        self.create(fill)
    }
}

/// Builds a tree from entries in ascending key order; see [`PageMaker::bulk`].
pub struct BulkLoader<'m, M: PageMaker> {
    maker: &'m mut M,
    levels: Vec<Level>,
    last: Vec<u8>,
    entries: u64,
}

impl PageWriter<'_> {
    /// Builds a tree from entries in ascending key order, leaves left to right.
    ///
    /// # Errors
    /// What `sorted` answers; `InvalidInput` for a key that does not ascend; `Limit`. Roll back then.
    pub fn bulk_load<K, V, F>(&mut self, mut sorted: F) -> Result<Root>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
        F: FnMut() -> Result<Option<(K, Timestamp, V)>>,
    {
        let mut loader = self.bulk();
        while let Some((key, version, value)) = sorted()? {
            loader.push(key.as_ref(), version, value.as_ref())?;
        }
        loader.finish()
    }
}

impl<M: PageMaker> BulkLoader<'_, M> {
    /// Appends an entry; its key must be above the one before.
    ///
    /// # Errors
    /// `InvalidInput`, `Limit`.
    pub fn push(&mut self, key: &[u8], version: Timestamp, value: &[u8]) -> Result<()> {
        check_value(value, self.maker.pages().limits().max_value)?;
        if value.len() <= self.maker.pages().limits().max_inline_value {
            return self.append(key, version, Kind::Inline, value);
        }
        self.check(key)?;
        let reference = write_overflow(self.maker, value)?;
        self.append(key, version, Kind::Overflow, &reference.to_bytes())
    }

    /// Appends a tombstone.
    ///
    /// # Errors
    /// As [`BulkLoader::push`].
    pub fn push_tombstone(&mut self, key: &[u8], version: Timestamp) -> Result<()> {
        self.append(key, version, Kind::Tombstone, &[])
    }

    fn check(&self, key: &[u8]) -> Result<()> {
        check_key(key, self.maker.pages().limits().max_key)?;
        if self.entries > 0 && key <= self.last.as_slice() {
            return Err(Error::invalid("a bulk load needs its keys in ascending order, none twice"));
        }
        Ok(())
    }

    fn append(&mut self, key: &[u8], version: Timestamp, kind: Kind, bytes: &[u8]) -> Result<()> {
        self.check(key)?;
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.levels.is_empty() {
            self.levels.push(Level { base: version.as_micros(), ..Level::default() });
        }
        let prelude = Prelude::new(self.levels[0].base, version, kind, bytes.len());
        self.levels[0].push(key, [prelude.as_slice(), bytes]);
        self.entries += 1;
        self.flush_full(0)
    }

    /// Makes pages of `level` while it has more entries than one page takes.
    fn flush_full(&mut self, mut level: usize) -> Result<()> {
        while level < self.levels.len() {
            if self.levels[level].estimate() <= self.maker.pages().page_size {
                return Ok(());
            }
            self.flush(level, false)?;
            level += 1;
        }
        Ok(())
    }

    /// Makes a page of as many entries of `level` as fit; of all of them, without upper bound, if they fit and it is the
    /// `last` page.
    fn flush(&mut self, level: usize, last: bool) -> Result<()> {
        let count = self.levels[level].ends.len();
        let mut take = if last { count } else { count - 1 };
        let mut bytes = self.maker.pages().table.buffer();
        let epoch = self.maker.epoch();
        let high = loop {
            let from = &self.levels[level];
            let high = (take < count).then(|| match level {
                0 => separator(from.key(take - 1), from.key(take)).to_vec(),
                _ => from.key(take).to_vec(),
            });
            let shape = Shape {
                id: 0,
                epoch,
                level: level as u8,
                base: from.base,
                low: &from.low,
                high: high.as_deref(),
            };
            if build(&mut bytes, shape, from, take) {
                break high;
            }
            take -= 1;
            debug_assert!(take > 0, "one entry within the limits fits a page");
        };
        let id = self.maker.make(|id, page| {
            page.copy_from_slice(&bytes);
            crate::page::format::PageHeader::of_mut(page).id.set(id);
        })?;
        drop(bytes);
        let from = &mut self.levels[level];
        let low = std::mem::replace(&mut from.low, high.unwrap_or_default());
        from.drain(take);
        if self.levels.len() == level + 1 {
            self.levels.push(Level::default());
        }
        self.levels[level + 1].push(&low, [&child_pointer(id, epoch), &[]]);
        Ok(())
    }

    /// The finished tree.
    ///
    /// # Errors
    /// `Limit` where page numbers run out.
    pub fn finish(mut self) -> Result<Root> {
        if self.entries == 0 {
            return Ok(Root::EMPTY);
        }
        let mut level = 0;
        loop {
            while !self.levels[level].ends.is_empty() {
                self.flush(level, true)?;
                self.flush_full(level + 1)?;
            }
            let above = &self.levels[level + 1];
            if self.levels.len() == level + 2 && above.ends.len() == 1 {
                let pointer = above.payload(0);
                let page = crate::page::format::get_u48(pointer);
                let (page, epoch) = (PageId::new(page), self.maker.epoch());
                return Ok(Root { page, epoch, entries: self.entries, height: level as u8 + 1 });
            }
            level += 1;
        }
    }
}

/// Makes a page of the first `take` entries of a level; false where they do not fit.
fn build(bytes: &mut [u8], shape: Shape<'_>, from: &Level, take: usize) -> bool {
    let fences = shape.low.len() + shape.high.map_or(0, <[u8]>::len);
    let prefix = shape.high.map_or(0, |high| common_prefix(shape.low, high));
    // Looked at first: a page is tried again with fewer entries, and most of what is tried does not fit.
    let entries: usize = (0..take).map(|i| SLOT + from.size(i, prefix)).sum();
    if SLOTS_AT + fences + entries > bytes.len() {
        return false;
    }
    let inner = shape.level > 0;
    let mut node = NodeMut::init(bytes, shape);
    node.append_all((0..take).map(|i| {
        let tail = if inner && i == 0 { &[] } else { &from.key(i)[prefix..] };
        (tail, from.payload(i))
    }))
}
