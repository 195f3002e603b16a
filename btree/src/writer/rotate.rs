//! Making room in a full leaf by moving entries to a neighbour that has some, rather than splitting it: fewer, fuller pages.
//!
//! ```text
//! parent   ..  | m |  ..          ..  | q |  ..
//!             /     \         ->     /     \
//!   a..l full        m..z        a..p       q..z      equally full
//! ```
//!
//! Keys that come in no order leave pages two thirds full by splits alone, and four fifths with this.

use dosql_base::{Error, Result};

use super::path::{Seen, lost};
use super::{PageWriter, Private};
use crate::frame::Draft;
use crate::page::format::{PageHeader, SLOT, SLOTS_AT};
use crate::page::node::{CHILD, Node, child_pointer, rest_len, separator};
use crate::page::node_mut::{NodeMut, Shape};
use crate::table::{Found, version_of};
use dosql_base::Timestamp;

/// Neighbours that are as full as this part of a page are left alone: room for few entries is not worth two pages' work.
const FULL: (usize, usize) = (3, 4);

/// Two neighbouring leaves, made anew.
struct Rotated {
    left: Draft,
    right: Draft,
    separator: Vec<u8>,
}

impl PageWriter<'_> {
    /// Moves entries between the leaf at the end of the path and a neighbour under the same parent, so that both have room for an entry of
    /// `need` bytes, its slot included. False where that is not so, or not worth it; then nothing has changed. Afterwards the path has to
    /// be found again.
    pub(super) fn rotate(&mut self, need: usize) -> Result<bool> {
        let d = self.last();
        if d == 0 {
            return Ok(false);
        }
        let slot = self.state.path[d - 1].slot;
        let children = self.node_at(d - 1)?.count();
        let right = Some(slot).filter(|slot| slot + 1 < children);
        for left_slot in [right, slot.checked_sub(1)].into_iter().flatten() {
            if self.rotate_at(d, left_slot, need)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As [`PageWriter::rotate`], of the children in `left_slot` of the parent and after it, of which one is the leaf at step `d`.
    fn rotate_at(&mut self, d: usize, left_slot: usize, need: usize) -> Result<bool> {
        let (own_slot, own_id) = (self.state.path[d - 1].slot, self.state.path[d].id);
        let is_left = own_slot == left_slot;
        let parent = self.node_at(d - 1)?;
        let (id, epoch) = parent.child(if is_left { left_slot + 1 } else { left_slot });
        let Some(page) = self.in_memory(id, epoch) else { return Ok(false) };
        let (own, neighbour) = (self.node_at(d)?, super::node_of_level(&page, 0)?);
        if neighbour.used() * FULL.1 > self.pages.page_size * FULL.0 {
            return Ok(false);
        }
        let (left, right) = if is_left { (own, neighbour) } else { (neighbour, own) };
        if left.high() != Some(right.low()) {
            let what = "two neighbouring pages do not meet at a fence; restore from a backup";
            return Err(Error::corrupt(what, format!("page {id}")));
        }
        let Some(rotated) = self.halve(left, right, need) else { return Ok(false) };
        let tail = rotated.separator.len().saturating_sub(parent.prefix_len());
        if rest_len(tail) + CHILD > parent.room() + parent.entry_size(left_slot + 1) {
            return Ok(false);
        }
        let since = version_of(&page);
        drop(page);
        let Rotated { left, right, separator } = rotated;
        let (own, other) = if is_left { (left, right) } else { (right, left) };
        let other_id = self.replace_neighbour(id, epoch, since, other)?;
        let mut own = own;
        PageHeader::of_mut(&mut own).id.set(own_id);
        self.replace_private(own_id, own)?;
        let (left_id, right_id) = if is_left { (own_id, other_id) } else { (other_id, own_id) };
        let current = self.state.epoch;
        let mut parent = self.private_at(d - 1)?;
        parent.set_child(left_slot, left_id, current);
        let prefix = parent.node().prefix_len();
        parent.remove(left_slot + 1);
        let fits =
            parent.insert(left_slot + 1, &separator[prefix..], [&child_pointer(right_id, current), &[]]);
        self.state.path_root = 0;
        if fits { Ok(true) } else { Err(lost(own_id)) }
    }

    /// A page as it is in this commit, where it need not be read for it.
    fn in_memory(&self, id: u64, epoch: u64) -> Option<Seen<'_>> {
        if let Some(private) = self.state.private.get(&id) {
            return Some(Seen::Private(&private.page));
        }
        match self.pages.table.lookup(id, Timestamp::MAX, true) {
            Found::Image(image) if PageHeader::of(&image).epoch.get() == epoch => {
                self.pages.with_deltas(image, Timestamp::MAX).ok().map(Seen::Shared)
            }
            _ => None,
        }
    }

    /// Two leaves of the entries of `left` and `right`, as many bytes in the one as in the other; `None` where one has no room for `need` bytes.
    /// Their numbers are to be filled in.
    fn halve(&self, left: Node<'_>, right: Node<'_>, need: usize) -> Option<Rotated> {
        let (first, count) = (left.count(), left.count() + right.count());
        if count < 2 {
            return None;
        }
        let size = |i: usize| SLOT + if i < first { left.entry_size(i) } else { right.entry_size(i - first) };
        let key = |i: usize| if i < first { left.key(i) } else { right.key(i - first) };
        let entries = |node: Node<'_>| node.used() - SLOTS_AT - node.fences();
        let total = entries(left) + entries(right);
        let mut before = 0;
        let middle = (0..count).find(|&i| {
            before += size(i);
            before * 2 >= total
        })?;
        let at = middle.clamp(1, count - 1);
        let separator = separator(&key(at - 1), &key(at)).to_vec();
        let epoch = self.state.epoch;
        let fill = |range: std::ops::Range<usize>, low: &[u8], high: Option<&[u8]>| -> Option<Draft> {
            let mut bytes = self.pages.table.buffer();
            let base = left.header.base.get();
            let mut node = NodeMut::init(&mut bytes, Shape { id: 0, epoch, level: 0, base, low, high });
            let mut scratch = Vec::new();
            let of_left = range.start.min(first)..range.end.min(first);
            let of_right = range.start.max(first) - first..range.end.max(first) - first;
            let fits = node.append(left, of_left, &mut scratch) && node.append(right, of_right, &mut scratch);
            (fits && node.node().room() >= need).then_some(bytes)
        };
        let new_left = fill(0..at, left.low(), Some(&separator))?;
        let new_right = fill(at..count, &separator, right.high())?;
        Some(Rotated { left: new_left, right: new_right, separator })
    }

    /// Puts `page` in the place of page `id` of `epoch`, whose newest image is of `since`; returns its number.
    fn replace_neighbour(&mut self, id: u64, epoch: u64, since: Timestamp, mut page: Draft) -> Result<u64> {
        let current = self.state.epoch;
        let number = if epoch == current { id } else { self.take_id()? };
        let header = PageHeader::of_mut(&mut page);
        header.id.set(number);
        header.version.set(since.as_micros());
        if epoch != current {
            self.retire(id, epoch, since);
        }
        match self.state.private.get_mut(&number) {
            Some(private) => private.page = page,
            None => {
                self.state.private.insert(number, Private { page, born: epoch != current });
            }
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dosql_base::Timestamp;

    use crate::{MemoryPageStore, Pages, PagesOptions, Root};

    #[test]
    fn keys_in_no_order_leave_pages_nearly_four_fifths_full() {
        let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
        let (mut root, mut random) = (Root::EMPTY, fastrand::Rng::with_seed(1));
        let at = Timestamp::from_micros;
        let mut bytes = 0;
        for version in 1..=100 {
            let mut writer = pages.writer();
            writer.begin(at(version));
            for _ in 0..200 {
                let mut key = [0; 16];
                random.fill(&mut key);
                let value = vec![version as u8; random.usize(50..150)];
                // Head and place in the slot, the rest of the key, lengths and version, the value.
                bytes += 8 + 12 + 4 + value.len();
                writer.set(&mut root, &key, at(version), &value).unwrap();
            }
            writer.publish(at(version)).unwrap();
            if version % 10 == 0 {
                writer.checkpoint(b"").unwrap();
                drop(writer);
                assert_eq!(pages.latest().check(root).unwrap().entries, 200 * version);
            }
        }
        let fill = bytes as f64 / (pages.stats().pages_used * 4096) as f64;
        assert!(fill > 0.75, "{fill:.2}");
    }
}
