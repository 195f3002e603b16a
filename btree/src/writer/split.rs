//! Splitting pages that are full, and telling their parents.
//!
//! A leaf is split with the entry to come in mind: in the middle, where nearby the separator is shortest; or, where keys
//! come in ascending order, just before the new entry, so that what was filled stays full.

use dosql_base::Result;

use super::path::lost;
use super::{PageWriter, Private};
use crate::page::format::{SLOT, SLOTS_AT};
use crate::page::node::{Node, child_pointer, rest_len, separator};
use crate::page::node_mut::{NodeMut, Shape};
use crate::{PageId, Root};

/// Where to split a leaf: entries `..at` stay, the others go right, the new entry goes right where its key is at or above
/// the separator.
struct Plan {
    at: usize,
    separator: Vec<u8>,
}

/// The entries of a leaf with the one to come among them.
struct Virtual<'a> {
    node: Node<'a>,
    key: &'a [u8],
    slot: usize,
    size: usize,
}

impl Virtual<'_> {
    fn count(&self) -> usize {
        self.node.count() + 1
    }

    fn key(&self, i: usize) -> Vec<u8> {
        if i == self.slot { self.key.to_vec() } else { self.node.key(if i < self.slot { i } else { i - 1 }) }
    }

    /// What entry `i` takes of a page, its slot included.
    fn size(&self, i: usize) -> usize {
        if i == self.slot {
            let tail = self.key.len() - self.node.prefix_len();
            return SLOT + rest_len(tail) + self.size;
        }
        SLOT + self.node.entry_size(if i < self.slot { i } else { i - 1 })
    }

    /// The split before virtual entry `i`, where the old entries fit on both sides with a longer fence.
    fn plan(&self, i: usize, left: usize, total: usize) -> Option<Plan> {
        let separator = separator(&self.key(i - 1), &self.key(i)).to_vec();
        let new = self.size(self.slot);
        let (left, right) = match self.slot < i {
            true => (left - new, total - left),
            false => (left, total - left - new),
        };
        let fixed = SLOTS_AT + separator.len();
        let high = self.node.high().map_or(0, <[u8]>::len);
        let page = self.node.bytes.len();
        let fits = fixed + self.node.low().len() + left <= page && fixed + high + right <= page;
        fits.then(|| Plan { at: if self.slot < i { i - 1 } else { i }, separator })
    }

    /// The split to make. `ascending`: the entry continues a run of ascending inserts.
    fn choose(&self, ascending: bool) -> Option<Plan> {
        if ascending && self.slot == self.node.count() && self.slot > 0 {
            // All that is there stays, and nothing but the new entry needs to be weighed.
            let (new, left) = (self.size(self.slot), self.node.used() - self.node.fences() - SLOTS_AT);
            if let Some(plan) = self.plan(self.slot, left, left + new) {
                return Some(plan);
            }
        }
        let sizes: Vec<usize> = (0..self.count()).map(|i| self.size(i)).collect();
        let total: usize = sizes.iter().sum();
        let left_of = |i: usize| sizes[..i].iter().sum::<usize>();
        if ascending && self.slot > 0 && left_of(self.slot) >= total / 2 {
            // The fence may need the room of the last entry.
            for i in [self.slot, self.slot - 1] {
                if i > 0
                    && let Some(plan) = self.plan(i, left_of(i), total)
                {
                    return Some(plan);
                }
            }
        }
        let mut left = 0;
        let middle = sizes.iter().position(|size| {
            left += size;
            left * 2 >= total
        });
        let middle = middle.unwrap_or(0).clamp(1, self.count() - 1);
        let near = (self.count() / 16).max(1);
        let shortest = (middle.saturating_sub(near).max(1)..=(middle + near).min(self.count() - 1))
            .filter_map(|i| self.plan(i, left_of(i), total))
            .min_by_key(|plan| (plan.separator.len(), plan.at.abs_diff(middle)));
        if shortest.is_some() {
            return shortest;
        }
        let mut others: Vec<usize> = (1..self.count()).collect();
        others.sort_by_key(|&i| left_of(i).abs_diff(total / 2));
        others.into_iter().find_map(|i| self.plan(i, left_of(i), total))
    }
}

impl PageWriter<'_> {
    /// Splits the leaf at the end of the path for an entry of `size` bytes without its key, which would go to `slot`.
    pub(super) fn split_leaf(&mut self, root: &mut Root, key: &[u8], slot: usize, size: usize) -> Result<()> {
        let d = self.last();
        let node = self.node_at(d)?;
        let (last_leaf, last_slot) = self.state.last_insert;
        let run = last_leaf == self.state.path[d].id && last_slot + 1 == slot;
        let append = slot == node.count() && node.high().is_none();
        if !run && !append && self.rotate(SLOT + key.len() + size)? {
            return Ok(());
        }
        let node = self.node_at(d)?;
        let plan = Virtual { node, key, slot, size }.choose(run || append);
        let plan = plan.expect("entries within the limits can be split");
        let right = self.split_at(d, plan.at, &plan.separator)?;
        self.add_separator(root, 1, &plan.separator, right)
    }

    /// Moves the entries from `at` on of the page at step `d` to a new page, whose id it returns.
    pub(super) fn split_at(&mut self, d: usize, at: usize, separator: &[u8]) -> Result<u64> {
        let id = self.state.path[d].id;
        self.private_at(d)?;
        let right_id = self.take_id()?;
        let epoch = self.state.epoch;
        let mut scratch = std::mem::take(&mut self.state.key);
        let old = self.state.private.get(&id).ok_or_else(|| lost(id))?;
        let node = Node::new(&old.page);
        let (level, base) = (node.header.level, node.header.base.get());
        let (mut left, mut right) = (self.pages.table.buffer(), self.pages.table.buffer());
        let shape = Shape { id: right_id, epoch, level, base, low: separator, high: node.high() };
        fill(&mut right, shape, node, at..node.count(), &mut scratch);
        let shape = Shape { id, epoch, level, base, low: node.low(), high: Some(separator) };
        fill(&mut left, shape, node, 0..at, &mut scratch);
        self.state.key = scratch;
        self.state.private.insert(right_id, Private { page: right, born: true });
        self.replace_private(id, left)?;
        self.state.path_root = 0;
        Ok(right_id)
    }

    /// Adds a child to the page of `level` that covers `separator`, splitting pages and growing the tree as needed.
    pub(super) fn add_separator(
        &mut self,
        root: &mut Root,
        level: u8,
        separator: &[u8],
        child: u64,
    ) -> Result<()> {
        let epoch = self.state.epoch;
        if level == root.height {
            let (old, old_epoch) = (root.page.get(), root.epoch);
            let page = self.create(|id, bytes| {
                let mut node =
                    NodeMut::init(bytes, Shape { id, epoch, level, base: 0, low: &[], high: None });
                let fits = node.insert(0, &[], [&child_pointer(old, old_epoch), &[]])
                    && node.insert(1, separator, [&child_pointer(child, epoch), &[]]);
                debug_assert!(fits, "a page holds four of the longest keys");
            })?;
            root.page = PageId::new(page);
            root.epoch = epoch;
            root.height += 1;
            return Ok(());
        }
        loop {
            self.locate(root, separator, level)?;
            let d = self.last();
            let node = self.node_at(d)?;
            let slot = node.search(separator).unwrap_or_else(|slot| slot);
            let prefix = node.prefix_len();
            let pointer = child_pointer(child, epoch);
            if self.private_at(d)?.insert(slot, &separator[prefix..], [&pointer, &[]]) {
                return Ok(());
            }
            let at = inner_split(self.node_at(d)?, slot);
            let between = self.node_at(d)?.key(at);
            let right = self.split_at(d, at, &between)?;
            self.add_separator(root, level + 1, &between, right)?;
        }
    }
}

/// Where to split a full inner page when a child is to go to `slot`: at its end for an ascending load, else in the middle.
/// At least two children stay on either side.
fn inner_split(node: Node<'_>, slot: usize) -> usize {
    let count = node.count();
    let sizes: Vec<usize> = (0..count).map(|i| SLOT + node.entry_size(i)).collect();
    let total: usize = sizes.iter().sum();
    let page = node.bytes.len();
    let fits = |at: usize| {
        let fence = node.prefix_len() + usize::from(node.slots[at].tail_len.get());
        let left: usize = sizes[..at].iter().sum();
        let high = node.high().map_or(0, <[u8]>::len);
        SLOTS_AT + node.low().len() + fence + left <= page && SLOTS_AT + fence + high + total - left <= page
    };
    let late = count - count / 10 - 2;
    if slot == count && count >= 20 && fits(late) {
        return late;
    }
    let mut left = 0;
    let middle = sizes.iter().position(|size| {
        left += size;
        left * 2 >= total
    });
    let middle = middle.unwrap_or(0).clamp(2, count - 2);
    (2..=count - 2).filter(|&at| fits(at)).min_by_key(|at| at.abs_diff(middle)).unwrap_or(middle)
}

/// Makes a page of some entries of another, which fit.
fn fill(
    bytes: &mut [u8],
    shape: Shape<'_>,
    from: Node<'_>,
    range: std::ops::Range<usize>,
    key: &mut Vec<u8>,
) {
    let fits = NodeMut::init(bytes, shape).append(from, range, key);
    assert!(fits, "the split was chosen so that both sides fit");
}

/// Makes a page of all entries of two neighbours; false where they do not fit.
pub(super) fn join(bytes: &mut [u8], shape: Shape<'_>, left: Node<'_>, right: Node<'_>) -> bool {
    let mut node = NodeMut::init(bytes, shape);
    let mut key = Vec::new();
    if !node.append(left, 0..left.count(), &mut key) {
        return false;
    }
    if right.is_leaf() || right.count() == 0 {
        return node.append(right, 0..right.count(), &mut key);
    }
    // The first child of an inner page has no key of its own: it starts at the low fence.
    let (id, epoch) = right.child(0);
    node.push(right.low(), [&child_pointer(id, epoch), &[]]) && node.append(right, 1..right.count(), &mut key)
}
