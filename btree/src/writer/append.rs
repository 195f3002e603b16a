//! Ascending entries that all come between two keys of the tree, or after its last: pages are filled from left to right, without a search, an
//! insert and a split for each.
//!
//! ```text
//! leaf, at whose end the last entry was inserted | entries to come, all below its high fence
//! the same entries, and as many more as fit | new leaf, full | .. | new leaf, up to the old high fence
//! ```
//!
//! Where it was inserted between others, the leaf is split behind it first.

use dosql_base::{Result, Timestamp};
use zerocopy::byteorder::little_endian::U64;

use super::path::lost;
use super::{PageWriter, Private};
use crate::Root;
use crate::frame::Draft;
use crate::page::format::{PageHeader, SLOT, SLOTS_AT};
use crate::page::leaf::{Kind, Prelude};
use crate::page::node::{Node, common_prefix, separator};
use crate::page::node_mut::{NodeMut, Shape};

/// Fewer entries go the ordinary way.
const FEWEST: usize = 32;
/// How far ahead the key lies by which it is judged what all keys of a page share.
const FAR: usize = 256;

/// Entries as they come: key and value.
type Entries<'a> = [(&'a [u8], &'a [u8])];

/// What pages are made of.
struct Run<'a> {
    entries: &'a Entries<'a>,
    /// What each of them takes of a page at most, its slot included.
    sizes: &'a [usize],
    version: Timestamp,
    base: u64,
    /// The high fence of the last page.
    high: Option<&'a [u8]>,
}

/// A page whose number is to be filled in, and the fence between it and the next.
struct Made {
    page: Draft,
    high: Option<Vec<u8>>,
}

impl PageWriter<'_> {
    /// Sets keys that the tree does not hold, where the entry set last is new and comes right before them: as many of `changes`, which ascend, as
    /// are put between it and the next one of its leaf, or up to the end of the leaf's keys. Returns how many; 0 where it is not so, or not worth
    /// it.
    ///
    /// # Errors
    /// As [`PageWriter::put`].
    pub fn append<'k>(
        &mut self,
        root: &mut Root,
        version: Timestamp,
        changes: impl Iterator<Item = (&'k [u8], Option<&'k [u8]>)> + Clone,
    ) -> Result<usize> {
        if self.state.short_run > 0 {
            self.state.short_run -= 1;
            return Ok(0);
        }
        let here = self.state.inserted
            && self.state.path_root == root.page.get()
            && self.state.path.last().is_some_and(|step| step.id == self.state.last_insert.0);
        if !here || !self.leave_deltas(root, changes.clone().map(|(key, _)| key))? {
            return Ok(0);
        }
        let (leaf, slot) = self.state.last_insert;
        let node = self.node_at(self.last())?;
        let mut changes = changes.peekable();
        if changes.peek().is_none_or(|(key, _)| !node.is_gap(slot + 1, key)) {
            return Ok(0);
        }
        let next = (slot + 1 < node.count()).then(|| node.key(slot + 1));
        let limits = self.pages.limits();
        let fits = |key: &[u8], value: &[u8]| {
            key.len() <= limits.max_key
                && value.len() <= limits.max_inline_value
                && next.as_deref().or(node.high()).is_none_or(|end| key < end)
        };
        let entries: Vec<(&[u8], &[u8])> = changes
            .map_while(|(key, value)| value.filter(|value| fits(key, value)).map(|value| (key, value)))
            .collect();
        let count = entries.len();
        let Some(&(last, _)) = entries.last().filter(|_| count >= FEWEST) else {
            self.state.short_run = count;
            return Ok(0);
        };
        let mut leaf = leaf;
        if let Some(next) = next {
            let fence = separator(last, &next).to_vec();
            let Some(part) = self.part_at(root, slot + 1, &fence, entries[0].0)? else { return Ok(0) };
            leaf = part;
        }
        let node = self.node_at(self.last())?;
        let base = node.header.base.get();
        let size = |(key, value): &(&[u8], &[u8])| {
            let prelude = Prelude::new(base, version, Kind::Inline, value.len());
            SLOT + key.len() + prelude.as_slice().len() + value.len()
        };
        let sizes: Vec<usize> = entries.iter().map(size).collect();
        let run = Run { entries: &entries, sizes: &sizes, version, base, high: node.high() };
        let Some(made) = self.fill_pages(&run, node) else { return Ok(0) };
        self.take_in(root, leaf, made)?;
        root.entries += entries.len() as u64;
        Ok(entries.len())
    }

    /// Makes the leaf at the end of the path private where it is not, and more keys come to it than deltas are for. False where they are too few.
    fn leave_deltas<'k>(
        &mut self,
        root: &mut Root,
        mut keys: impl Iterator<Item = &'k [u8]>,
    ) -> Result<bool> {
        let last = self.last();
        if self.state.path[last].image.is_none() {
            return Ok(true);
        }
        let node = self.node_at(last)?;
        let Some(first) = keys.next().filter(|key| node.covers(key)) else { return Ok(false) };
        if !keys.nth(FEWEST - 2).is_some_and(|key| node.covers(key)) {
            return Ok(false);
        }
        self.touch(root)?;
        let slot = self.node_at(last)?.search(first).unwrap_or_else(|slot| slot);
        let before = slot.checked_sub(1);
        self.state.inserted = before.is_some();
        self.state.last_insert = (self.state.path[last].id, before.unwrap_or_default());
        Ok(before.is_some())
    }

    /// Splits the leaf at the end of the path before slot `at`, where both parts have room for the fence between them, and goes to where `key`
    /// belongs, which is the end of the first; returns its number.
    fn part_at(&mut self, root: &mut Root, at: usize, fence: &[u8], key: &[u8]) -> Result<Option<u64>> {
        let d = self.last();
        let node = self.node_at(d)?;
        let size = |i: usize| SLOT + node.entry_size(i);
        let (left, right): (usize, usize) = ((0..at).map(size).sum(), (at..node.count()).map(size).sum());
        let most = self.pages.page_size - SLOTS_AT - fence.len();
        if left + node.low().len() > most || right + node.high().map_or(0, <[u8]>::len) > most {
            return Ok(None);
        }
        let new = self.split_at(d, at, fence)?;
        self.add_separator(root, 1, fence, new)?;
        self.locate(root, key, 0)?;
        Ok(Some(self.state.path[self.last()].id))
    }

    /// The leaf anew with the first of the entries, and pages of all others.
    fn fill_pages(&self, run: &Run<'_>, leaf: Node<'_>) -> Option<Vec<Made>> {
        let (mut made, mut at): (Vec<Made>, usize) = (Vec::new(), 0);
        loop {
            let old = Some(leaf).filter(|_| made.is_empty());
            let low =
                made.last().map_or(leaf.low(), |before| before.high.as_deref().unwrap_or_default()).to_vec();
            let (page, high, count) = self.fill_page(run, at, &low, old)?;
            at += count;
            let last = high.is_none() || at == run.entries.len();
            made.push(Made { page, high });
            if last {
                return Some(made);
            }
        }
    }

    /// A page of as many entries from `at` on as fit behind those of `old`, its high fence where others follow, and how many those are.
    fn fill_page(
        &self,
        run: &Run<'_>,
        at: usize,
        low: &[u8],
        old: Option<Node<'_>>,
    ) -> Option<(Draft, Option<Vec<u8>>, usize)> {
        let rest = run.entries.get(at..)?;
        let taken = old.map_or(0, |old| old.used() - SLOTS_AT - old.fences());
        let room = (self.pages.page_size - SLOTS_AT - low.len()).checked_sub(taken)?;
        let shared = run.high.map_or(0, |high| common_prefix(low, high));
        if count_in(run, at, shared, room.saturating_sub(run.high.map_or(0, <[u8]>::len))) == rest.len() {
            let page = self.build(run, rest, low, run.high, old)?;
            return Some((page, None, rest.len()));
        }
        // Keys that lie further off share less: at least so much.
        let far = rest.get(FAR).or(rest.last())?.0;
        let longest = |count: usize| rest.get(count).map_or(0, |next| next.0.len());
        let fitting = |shared: usize| {
            let count = count_in(run, at, shared, room);
            let count = count_in(run, at, shared, room.saturating_sub(longest(count)));
            count.min(rest.len() - 1)
        };
        let sure = fitting(common_prefix(low, far));
        let more = fitting(common_prefix(low, rest.get(sure)?.0));
        for count in [more, sure] {
            let before = match count.checked_sub(1) {
                Some(last) => rest[last].0.to_vec(),
                None => old.map(|old| old.key(old.count() - 1))?,
            };
            let high = separator(&before, rest[count].0).to_vec();
            if let Some(page) = self.build(run, &rest[..count], low, Some(&high), old) {
                return Some((page, Some(high), count));
            }
        }
        None
    }

    fn build(
        &self,
        run: &Run<'_>,
        entries: &Entries<'_>,
        low: &[u8],
        high: Option<&[u8]>,
        old: Option<Node<'_>>,
    ) -> Option<Draft> {
        let mut page = self.pages.table.buffer();
        let shape = Shape { id: 0, epoch: self.state.epoch, level: 0, base: run.base, low, high };
        let mut node = NodeMut::init(&mut page, shape);
        let fits = old.is_none_or(|old| node.append(old, 0..old.count(), &mut Vec::new()))
            && node.append_new(entries, run.version);
        fits.then_some(page)
    }

    /// Puts the first page in the place of page `leaf`, and the others after it.
    fn take_in(&mut self, root: &mut Root, leaf: u64, made: Vec<Made>) -> Result<()> {
        let (mut fence, mut last) = (None, (leaf, 0));
        for (n, Made { mut page, high }) in made.into_iter().enumerate() {
            let count = Node::new(&page).count();
            if n == 0 {
                PageHeader::of_mut(&mut page).id.set(leaf);
                self.replace_private(leaf, page)?;
            } else {
                let id = self.take_id()?;
                PageHeader::of_mut(&mut page).id = U64::new(id);
                self.state.private.insert(id, Private { page, born: true });
                let fence: Vec<u8> = fence.take().ok_or_else(|| lost(id))?;
                self.state.path_root = 0;
                self.add_separator(root, 1, &fence, id)?;
                last.0 = id;
            }
            last.1 = count.saturating_sub(1);
            fence = high;
        }
        self.state.last_insert = last;
        self.state.path_root = 0;
        Ok(())
    }
}

/// How many entries from `at` on fit `room` bytes, where each leaves out `shared` bytes of its key, and four that are its head.
fn count_in(run: &Run<'_>, at: usize, shared: usize, mut room: usize) -> usize {
    let entries = run.entries[at..].iter().zip(&run.sizes[at..]);
    let mut fits = |((key, _), size): (&(&[u8], &[u8]), &usize)| {
        let left = room.checked_sub(size - key.len().min(shared + 4));
        room = left.unwrap_or(room);
        left.is_some()
    };
    entries.take_while(|&(entry, size)| fits((entry, size))).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::{MemoryPageStore, Pages, PagesOptions};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn open() -> Arc<Pages> {
        Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap().0
    }

    /// Commits a sorted batch; returns how many of its entries were appended.
    fn commit(pages: &Arc<Pages>, root: &mut Root, version: u64, batch: &Model) -> usize {
        let version = Timestamp::from_micros(version);
        let mut writer = pages.writer();
        writer.begin(version);
        let mut rest = batch.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        let mut appended = 0;
        while let Some((key, value)) = rest.next() {
            writer.set(root, key, version, value.unwrap()).unwrap();
            let count = writer.append(root, version, rest.clone()).unwrap();
            if count > 0 {
                rest.nth(count - 1);
                appended += count;
            }
        }
        writer.publish(version).unwrap();
        appended
    }

    fn check(pages: &Arc<Pages>, root: Root, model: &Model) {
        let snapshot = pages.latest();
        assert_eq!(snapshot.check(root).unwrap().entries, model.len() as u64);
        let mut cursor = snapshot.cursor(root);
        let mut found = cursor.seek(&[]).unwrap();
        for (key, value) in model {
            assert!(found && cursor.key() == key && cursor.value().unwrap() == value);
            found = cursor.next().unwrap();
        }
        assert!(!found);
    }

    #[test]
    fn batches_come_out_as_they_went_in_wherever_they_belong() {
        for seed in 0..12u64 {
            let (pages, mut random) = (open(), fastrand::Rng::with_seed(seed));
            let (mut root, mut model, mut appended) = (Root::EMPTY, Model::new(), 0);
            for version in 1..=12 {
                // Clusters of keys that share long prefixes, some between others, some after them all; values of all lengths.
                let mut batch = Model::new();
                for _ in 0..random.usize(1..4) {
                    let bits = random.u32(4..30);
                    let start = random.u32(..1 << bits);
                    for n in 0..random.u32(..400) {
                        let mut key = b"shared".repeat(seed as usize % 3);
                        key.extend_from_slice(&(start + n).to_be_bytes());
                        key.extend_from_slice(&vec![b'x'; random.usize(..if n % 7 == 0 { 60 } else { 3 })]);
                        let most = if n % 40 == 0 { 3_000 } else { 90 };
                        batch.insert(key, vec![version as u8; random.usize(..most)]);
                    }
                }
                appended += commit(&pages, &mut root, version, &batch);
                model.extend(batch);
                check(&pages, root, &model);
                if version % 4 == 0 {
                    pages.writer().checkpoint(b"").unwrap();
                }
            }
            assert!(appended > 0, "seed {seed}");
        }
    }

    #[test]
    fn a_load_between_other_keys_fills_its_pages_too() {
        let (pages, mut root, mut model) = (open(), Root::EMPTY, Model::new());
        let edges: Model = (0..100u8).map(|n| (vec![n * 2, 9], vec![1; 50])).collect();
        commit(&pages, &mut root, 1, &edges);
        model.extend(edges);
        let before = pages.stats().pages_used;
        let mut appended = 0;
        for version in 0..20u64 {
            let entry = |n: u64| {
                let key = [&[77][..], &(version * 1_000 + n).to_be_bytes()].concat();
                (key, vec![7; 80])
            };
            let batch: Model = (0..1_000).map(entry).collect();
            appended += commit(&pages, &mut root, version + 2, &batch);
            model.extend(batch);
        }
        check(&pages, root, &model);
        assert_eq!(appended, 20_000 - 20);
        let bytes = 20_000 * (8 + 5 + 80);
        assert!((pages.stats().pages_used - before) * 4096 < bytes * 105 / 100);
    }

    #[test]
    fn a_load_in_order_fills_its_pages_without_copying_them() {
        let (pages, mut root, mut model) = (open(), Root::EMPTY, Model::new());
        let mut appended = 0;
        for version in 0..20u64 {
            let entry = |n: u64| ((version * 1_000 + n).to_be_bytes().to_vec(), vec![7; 80]);
            let batch: Model = (0..1_000).map(entry).collect();
            appended += commit(&pages, &mut root, version + 1, &batch);
            model.extend(batch);
        }
        check(&pages, root, &model);
        assert_eq!(appended, 20_000 - 20, "all but the first of each batch");
        let stats = pages.stats();
        // Of each entry a slot, the rest of its key, two lengths and a version, the value.
        let bytes = 20_000 * (8 + 4 + 80);
        assert!(stats.pages_used * 4096 < bytes * 105 / 100, "{} pages", stats.pages_used);
        assert!(stats.copies < 20 * 3, "{} copies", stats.copies);
    }
}
