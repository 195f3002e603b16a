//! Changing a leaf or inner page. Space in the heap is taken from its low end; what removals leave behind is garbage
//! until a compaction.

use std::ops::Range;

use dosql_base::Timestamp;
use zerocopy::byteorder::big_endian;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::format::{HINTS, INNER, LEAF, NO_HIGH, NodeHeader, PageHeader, SLOT, SLOTS_AT, Slot};
use super::leaf::{Kind, Prelude};
use super::node::{CHILD, Node, child_pointer, common_prefix, head_of, rest_len};

/// A leaf or inner page, to change.
pub(crate) struct NodeMut<'a> {
    pub(crate) bytes: &'a mut [u8],
}

/// What a new node is to be.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) id: u64,
    pub(crate) epoch: u64,
    pub(crate) level: u8,
    pub(crate) base: u64,
    pub(crate) low: &'a [u8],
    pub(crate) high: Option<&'a [u8]>,
}

/// What follows the key of an entry.
pub(crate) trait Payload {
    fn len(&self) -> usize;

    /// Writes it into as many bytes.
    fn write(&self, to: &mut [u8]);
}

impl Payload for &[u8] {
    #[inline]
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline]
    fn write(&self, to: &mut [u8]) {
        to.copy_from_slice(self);
    }
}

/// The payload of an entry of a leaf that is not put together yet.
struct NewValue<'v> {
    prelude: Prelude,
    value: &'v [u8],
}

impl Payload for NewValue<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.prelude.as_slice().len() + self.value.len()
    }

    #[inline]
    fn write(&self, to: &mut [u8]) {
        let (prelude, value) = to.split_at_mut(self.prelude.as_slice().len());
        prelude.copy_from_slice(self.prelude.as_slice());
        value.copy_from_slice(self.value);
    }
}

impl<'a> NodeMut<'a> {
    /// The node in a verified page.
    pub(crate) fn new(bytes: &'a mut [u8]) -> NodeMut<'a> {
        NodeMut { bytes }
    }

    /// Makes an empty node of `bytes`; its gap stays as they were.
    pub(crate) fn init(bytes: &'a mut [u8], shape: Shape<'_>) -> NodeMut<'a> {
        let size = bytes.len();
        let high = shape.high.unwrap_or_default();
        let low_off = size - shape.low.len();
        let high_off = low_off - high.len();
        bytes[low_off..].copy_from_slice(shape.low);
        bytes[high_off..low_off].copy_from_slice(high);
        let mut page = PageHeader::new(if shape.level == 0 { LEAF } else { INNER }, shape.id, shape.epoch);
        page.flags = U16::new(if shape.high.is_none() { NO_HIGH } else { 0 });
        let prefix = shape.high.map_or(0, |high| common_prefix(shape.low, high));
        // An empty fence lies nowhere: offset 0 keeps it within 16 bits in a page of 64 KiB.
        let offset = |at: usize, len: usize| U16::new(if len == 0 { 0 } else { at as u16 });
        let header = NodeHeader {
            page,
            count: U16::ZERO,
            prefix_len: U16::new(prefix as u16),
            heap_start: U32::new(high_off as u32),
            garbage: U16::ZERO,
            level: shape.level,
            zero: 0,
            low_off: offset(low_off, shape.low.len()),
            low_len: U16::new(shape.low.len() as u16),
            high_off: offset(high_off, high.len()),
            high_len: U16::new(high.len() as u16),
            zero_too: U32::ZERO,
            base: U64::new(shape.base),
            hints: [U32::ZERO; HINTS],
        };
        let mut node = NodeMut { bytes };
        *node.header() = header;
        node
    }

    #[inline]
    pub(crate) fn node(&self) -> Node<'_> {
        Node::new(self.bytes)
    }

    #[inline]
    fn header(&mut self) -> &mut NodeHeader {
        NodeHeader::mut_from_prefix(self.bytes).expect("a page is longer than its header").0
    }

    #[inline]
    fn slots(&mut self, count: usize) -> &mut [Slot] {
        <[Slot]>::mut_from_prefix_with_elems(&mut self.bytes[SLOTS_AT..], count)
            .expect("a verified page has room for its slots")
            .0
    }

    /// Renews the hints where slots from `from` on have moved and there were `before` slots.
    fn renew_hints(&mut self, from: usize, before: usize) {
        let (count, few) = (self.node().count(), 2 * HINTS);
        let step = count / (HINTS + 1);
        // A hint stands for every so many slots: those before the change are still right where that number is the same.
        let same = if count > few { before > few && before / (HINTS + 1) == step } else { before <= few };
        if same && (count <= few || from > HINTS * step) {
            return;
        }
        let hints = Node::hints(self.node().slots);
        for (to, from) in self.header().hints.iter_mut().zip(hints) {
            *to = U32::new(from);
        }
    }

    /// Inserts an entry at slot `i`: the key without the page's prefix, then the parts of its payload. False (and
    /// nothing changed) where there is no room.
    #[must_use]
    pub(crate) fn insert(&mut self, i: usize, tail: &[u8], parts: [&[u8]; 2]) -> bool {
        let rest = tail.get(4..).unwrap_or_default();
        let size = rest.len() + parts[0].len() + parts[1].len();
        let node = self.node();
        let count = node.count();
        if size + SLOT > node.free() {
            if size + SLOT > node.room() {
                return false;
            }
            self.compact();
        }
        let header = self.header();
        let at = header.heap_start.get() as usize - size;
        header.heap_start = U32::new(at as u32);
        header.count = U16::new(count as u16 + 1);
        let slot = Slot {
            head: big_endian::U32::new(head_of(tail)),
            offset: U16::new(at as u16),
            tail_len: U16::new(tail.len() as u16),
        };
        let slots = self.slots(count + 1);
        slots.copy_within(i..count, i + 1);
        slots[i] = slot;
        self.bytes[at..at + rest.len()].copy_from_slice(rest);
        self.write_payload(at + rest.len(), parts);
        self.renew_hints(i, count);
        true
    }

    /// Appends an entry by its whole key.
    #[must_use]
    pub(crate) fn push(&mut self, key: &[u8], parts: [&[u8]; 2]) -> bool {
        let node = self.node();
        let (count, prefix) = (node.count(), node.prefix_len());
        self.insert(count, &key[prefix..], parts)
    }

    /// Appends entry `i` of another node. An inner node's first slot has no tail.
    #[must_use]
    pub(crate) fn push_from(&mut self, from: Node<'_>, i: usize, key: &mut Vec<u8>) -> bool {
        from.key_into(i, key);
        let payload = from.payload(i);
        let count = self.node().count();
        if !from.is_leaf() {
            let prefix = if count == 0 { key.len() } else { self.node().prefix_len() };
            return self.insert(count, &key[prefix..], [&payload[..CHILD], &[]]);
        }
        let value = from.leaf_value(i);
        let base = self.node().header.base.get();
        if base == from.header.base.get() {
            return self.push(key, [&payload[..value.size], &[]]);
        }
        let prelude = Prelude::new(base, value.version, value.kind, value.bytes.len());
        self.push(key, [prelude.as_slice(), value.bytes])
    }

    /// Appends entries of another node. False where they do not fit; then an unknown number of them was appended.
    #[must_use]
    pub(crate) fn append(&mut self, from: Node<'_>, range: Range<usize>, key: &mut Vec<u8>) -> bool {
        let (header, prefix) = (self.node().header, self.node().prefix_len());
        if from.is_leaf() && prefix >= from.prefix_len() && header.base.get() == from.header.base.get() {
            return self.append_cut(from, range, prefix - from.prefix_len());
        }
        range.into_iter().all(|i| self.push_from(from, i, key))
    }

    /// Appends entries of a leaf of the same base, whose tails lose their first `cut` bytes here. All of them, or none.
    fn append_cut(&mut self, from: Node<'_>, range: Range<usize>, cut: usize) -> bool {
        let count = self.node().count();
        let total = count + range.len();
        let mut at = self.node().header.heap_start.get() as usize;
        let slots_end = SLOTS_AT + SLOT * total;
        if slots_end > at {
            return false;
        }
        for (to, i) in (count..).zip(range) {
            let slot = from.slots[i];
            let tail_len = usize::from(slot.tail_len.get());
            let gone = rest_len(tail_len) - rest_len(tail_len - cut);
            let size = from.entry_size(i) - gone;
            if slots_end + size > at {
                return false;
            }
            at -= size;
            let start = usize::from(slot.offset.get()) + gone;
            self.bytes[at..at + size].copy_from_slice(&from.bytes[start..start + size]);
            let head = if cut == 0 { slot.head } else { big_endian::U32::new(from.cut_head(i, cut)) };
            let tail_len = U16::new((tail_len - cut) as u16);
            self.slots(total)[to] = Slot { head, offset: U16::new(at as u16), tail_len };
        }
        let header = self.header();
        header.heap_start = U32::new(at as u32);
        header.count = U16::new(total as u16);
        self.renew_hints(count, count);
        true
    }

    /// Appends new entries to a leaf, by their whole keys. False where they do not fit; then what the leaf holds is arbitrary.
    #[must_use]
    pub(crate) fn append_new(&mut self, entries: &[(&[u8], &[u8])], version: Timestamp) -> bool {
        let (header, prefix) = (self.node().header, self.node().prefix_len());
        let base = header.base.get();
        self.append_all(entries.iter().map(|(key, value)| {
            let prelude = Prelude::new(base, version, Kind::Inline, value.len());
            (&key[prefix..], NewValue { prelude, value })
        }))
    }

    /// Appends entries by their tails. False where they do not fit; then what the node holds is arbitrary.
    #[must_use]
    pub(crate) fn append_all<'k, P: Payload>(
        &mut self,
        entries: impl ExactSizeIterator<Item = (&'k [u8], P)>,
    ) -> bool {
        let (count, mut at) = (self.node().count(), self.node().header.heap_start.get() as usize);
        let total = count + entries.len();
        let slots_end = SLOTS_AT + SLOT * total;
        if slots_end > at {
            return false;
        }
        for (to, (tail, payload)) in (count..).zip(entries) {
            let rest = tail.get(4..).unwrap_or_default();
            let size = rest.len() + payload.len();
            if slots_end + size > at {
                return false;
            }
            at -= size;
            let slot = Slot {
                head: big_endian::U32::new(head_of(tail)),
                offset: U16::new(at as u16),
                tail_len: U16::new(tail.len() as u16),
            };
            slot.write_to_prefix(&mut self.bytes[SLOTS_AT + SLOT * to..]).expect("slots end before the heap");
            self.bytes[at..at + rest.len()].copy_from_slice(rest);
            payload.write(&mut self.bytes[at + rest.len()..at + size]);
        }
        let header = self.header();
        header.heap_start = U32::new(at as u32);
        header.count = U16::new(total as u16);
        self.renew_hints(count, count);
        true
    }

    /// Removes the entry in slot `i`.
    pub(crate) fn remove(&mut self, i: usize) {
        let node = self.node();
        let (count, size) = (node.count(), node.entry_size(i));
        let offset = node.slots[i].offset.get();
        self.slots(count).copy_within(i + 1.., i);
        let header = self.header();
        header.count = U16::new(count as u16 - 1);
        if header.heap_start.get() == u32::from(offset) {
            header.heap_start = U32::new(u32::from(offset) + size as u32);
        } else {
            header.garbage = U16::new(header.garbage.get() + size as u16);
        }
        self.renew_hints(i, count);
    }

    /// Replaces the payload of the entry in slot `i`. False (and nothing changed) where there is no room.
    #[must_use]
    pub(crate) fn replace(&mut self, i: usize, parts: [&[u8]; 2]) -> bool {
        let node = self.node();
        let old = node.entry_size(i);
        let slot = node.slots[i];
        let tail_len = usize::from(slot.tail_len.get());
        let rest = rest_len(tail_len);
        let new = rest + parts[0].len() + parts[1].len();
        if new > old {
            if new > node.room() + old {
                return false;
            }
            // Where the gap has room for all of it, no other entry has to move; what it leaves behind is garbage.
            if new + SLOT > node.free() && new - old <= node.free() {
                self.widen(i, rest, new - old);
                self.write_payload(usize::from(slot.offset.get()) + rest - (new - old), parts);
                return true;
            }
            let mut tail = Vec::with_capacity(tail_len);
            node.push_tail(i, &mut tail);
            self.remove(i);
            return self.insert(i, &tail, parts);
        }
        self.write_payload(usize::from(slot.offset.get()) + rest, parts);
        let header = self.header();
        header.garbage = U16::new(header.garbage.get() + (old - new) as u16);
        true
    }

    /// Writes the parts of a payload one after the other.
    fn write_payload(&mut self, mut at: usize, parts: [&[u8]; 2]) {
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }

    /// Makes the payload of entry `i` longer by `more` bytes of the gap, which lie in front of what it was: the `rest` of its key, and whatever
    /// lies before it in the heap, move down.
    fn widen(&mut self, i: usize, rest: usize, more: usize) {
        let node = self.node();
        let (count, start) = (node.count(), node.header.heap_start.get() as usize);
        let offset = node.slots[i].offset.get();
        self.bytes.copy_within(start..usize::from(offset) + rest, start - more);
        for slot in self.slots(count).iter_mut().filter(|slot| slot.offset.get() <= offset) {
            slot.offset = U16::new(slot.offset.get() - more as u16);
        }
        self.header().heap_start = U32::new((start - more) as u32);
    }

    /// Points slot `i` of an inner page at another child.
    pub(crate) fn set_child(&mut self, i: usize, id: u64, epoch: u64) {
        let replaced = self.replace(i, [&child_pointer(id, epoch), &[]]);
        debug_assert!(replaced, "a child pointer is as long as another");
    }

    /// Moves the entries together, so that all free space lies between slots and heap.
    pub(crate) fn compact(&mut self) {
        let old = self.bytes.to_vec();
        let node = Node::new(&old);
        let mut at = self.bytes.len() - node.fences();
        for i in 0..node.count() {
            let size = node.entry_size(i);
            let from = usize::from(node.slots[i].offset.get());
            at -= size;
            self.bytes[at..at + size].copy_from_slice(&old[from..from + size]);
            self.slots(i + 1)[i].offset = U16::new(at as u16);
        }
        let header = self.header();
        header.heap_start = U32::new(at as u32);
        header.garbage = U16::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::verify;

    const SIZE: usize = 1024;

    fn key(i: usize) -> Vec<u8> {
        format!("key{i:03}{}", "x".repeat(i % 7)).into_bytes()
    }

    /// A leaf with as many entries of `len` bytes as it has room for, and how many these are.
    fn full_leaf(bytes: &mut [u8], len: usize) -> usize {
        let shape = Shape { id: 1, epoch: 1, level: 0, base: 0, low: b"", high: None };
        let mut leaf = NodeMut::init(bytes, shape);
        (0..).take_while(|&i| leaf.push(&key(i), [&[0], &payload(i, len)[1..]])).count()
    }

    /// A payload with a value of `len` bytes.
    fn payload(i: usize, len: usize) -> Vec<u8> {
        [vec![0, (len << 2) as u8], vec![i as u8; len]].concat()
    }

    #[test]
    fn entries_of_a_full_leaf_grow_into_the_gap_as_far_as_it_reaches() {
        let mut bytes = vec![0; SIZE];
        let count = full_leaf(&mut bytes, 20);
        let mut leaf = NodeMut::new(&mut bytes);
        let gap = leaf.node().free();
        assert!((1..SLOT + 28).contains(&gap) && count > 20, "{gap} {count}");
        let mut lens = vec![20; count];
        // The one that lies highest, those in the middle, the one that lies lowest.
        for (grown, i) in [0, count / 2, count - 1, count / 3].into_iter().cycle().enumerate() {
            let longer = payload(i, lens[i] + 1);
            assert_eq!(leaf.node().free(), gap.saturating_sub(grown));
            if !leaf.replace(i, [&longer[..2], &longer[2..]]) {
                assert_eq!(grown, gap, "there was room");
                break;
            }
            lens[i] += 1;
            assert_eq!(leaf.node().header.garbage.get(), 0, "nothing was left behind");
            for (i, &len) in lens.iter().enumerate() {
                assert_eq!(leaf.node().payload(i)[..len + 2], payload(i, len), "entry {i}");
                assert_eq!(leaf.node().search(&key(i)).ok(), Some(i));
            }
        }
        verify::node(&bytes).unwrap();
    }

    #[test]
    fn entries_that_grow_beyond_the_gap_take_what_others_left_behind() {
        let mut bytes = vec![0; SIZE];
        let count = full_leaf(&mut bytes, 20);
        let mut leaf = NodeMut::new(&mut bytes);
        leaf.remove(3);
        let len = 20 + leaf.node().free() + 1;
        let longer = payload(5, len);
        assert!(leaf.replace(4, [&longer[..2], &longer[2..]]));
        assert_eq!((leaf.node().count(), leaf.node().header.garbage.get()), (count - 1, 0), "moved together");
        assert_eq!(leaf.node().payload(4)[..len + 2], longer);
        assert_eq!(leaf.node().search(&key(5)).ok(), Some(4));
    }
}
