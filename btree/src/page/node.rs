//! Reading a leaf or inner page: slots, keys, search. See [`super::format`] for the layout.
//!
//! The functions expect a page that [`super::verify`] has accepted, or that this program has built.
//! In an inner page the slot of a child holds the low fence of that child; the first slot's tail is empty and stands for
//! the page's own low fence.

use std::cmp::Ordering;
use std::hint::select_unpredictable;
use std::ops::Range;

use smallvec::SmallVec;
use zerocopy::FromBytes;

use super::format::{HINTS, LEAF, NO_HIGH, NodeHeader, SLOT, SLOTS_AT, Slot, get_u48};
use super::leaf::{self, Kind, LeafValue, OverflowRef};
use super::prefetch::{LINE, prefetch};
use crate::cursor::Way;

/// The length of a child pointer in an inner page: page id and epoch, 48 bits each.
pub(crate) const CHILD: usize = 12;

/// A key, where it is short without an allocation.
pub(crate) type KeyBuffer = SmallVec<[u8; 96]>;

/// The rest of a key is copied as so many bytes where it is not longer.
const SHORT: usize = 32;
/// Lines of an entry that come near when its key is looked at.
const ENTRY_LINES: usize = 3;

/// A leaf or inner page, to read.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: &'a NodeHeader,
    pub(crate) slots: &'a [Slot],
}

/// The first four bytes of a tail as a number, zero-filled.
#[inline]
pub(crate) fn head_of(tail: &[u8]) -> u32 {
    if let Some(chunk) = tail.first_chunk::<4>() {
        return u32::from_be_bytes(*chunk);
    }
    let mut head = [0; 4];
    head[..tail.len()].copy_from_slice(tail);
    u32::from_be_bytes(head)
}

/// How much of a tail lies in the heap: all but its head.
#[inline]
pub(crate) fn rest_len(tail_len: usize) -> usize {
    tail_len.saturating_sub(4)
}

impl<'a> Node<'a> {
    /// The node in `bytes`; `None` where the count of slots is impossible.
    #[inline]
    pub(crate) fn try_new(bytes: &'a [u8]) -> Option<Node<'a>> {
        let (header, body) = NodeHeader::ref_from_prefix(bytes).ok()?;
        let (slots, _) = <[Slot]>::ref_from_prefix_with_elems(body, usize::from(header.count.get())).ok()?;
        Some(Node { bytes, header, slots })
    }

    /// The node in a verified page.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Node<'a> {
        Node::try_new(bytes).expect("a verified page has room for its slots")
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.header.page.kind == LEAF
    }

    #[inline]
    pub(crate) fn prefix_len(&self) -> usize {
        usize::from(self.header.prefix_len.get())
    }

    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        let at = usize::from(self.header.low_off.get());
        &self.bytes[at..at + self.prefix_len()]
    }

    /// The low fence.
    pub(crate) fn low(&self) -> &'a [u8] {
        let at = usize::from(self.header.low_off.get());
        &self.bytes[at..at + usize::from(self.header.low_len.get())]
    }

    /// The high fence; `None` where there is no upper bound.
    pub(crate) fn high(&self) -> Option<&'a [u8]> {
        if self.header.page.flags.get() & NO_HIGH != 0 {
            return None;
        }
        let at = usize::from(self.header.high_off.get());
        Some(&self.bytes[at..at + usize::from(self.header.high_len.get())])
    }

    /// Whether `key` belongs between the fences.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.low() <= key && self.high().is_none_or(|high| key < high)
    }

    #[inline]
    fn slot_rest(&self, slot: &Slot) -> &'a [u8] {
        let at = usize::from(slot.offset.get());
        &self.bytes[at..at + rest_len(usize::from(slot.tail_len.get()))]
    }

    /// What tells keys with equal heads apart, in their order: the rest, then the length, which tells a short tail from zero bytes.
    pub(crate) fn tail_after_head(&self, i: usize) -> (&'a [u8], usize) {
        let slot = &self.slots[i];
        (self.slot_rest(slot), usize::from(slot.tail_len.get()))
    }

    /// What follows the key in entry `i`, to the end of the page.
    #[inline]
    pub(crate) fn payload(&self, i: usize) -> &'a [u8] {
        let slot = &self.slots[i];
        let at = usize::from(slot.offset.get()) + rest_len(usize::from(slot.tail_len.get()));
        &self.bytes[at..]
    }

    /// How many bytes of the heap entry `i` takes.
    pub(crate) fn entry_size(&self, i: usize) -> usize {
        let rest = rest_len(usize::from(self.slots[i].tail_len.get()));
        rest + if self.is_leaf() { self.leaf_value(i).size } else { CHILD }
    }

    /// Appends the tail of key `i` to `out`.
    #[inline]
    pub(crate) fn push_tail(&self, i: usize, out: &mut Vec<u8>) {
        let slot = &self.slots[i];
        let len = usize::from(slot.tail_len.get());
        let head = slot.head.to_bytes();
        if len >= 4 {
            out.extend_from_slice(&head);
            out.extend_from_slice(self.slot_rest(slot));
        } else {
            out.extend_from_slice(&head[..len]);
        }
    }

    /// The head of what is left of the tail of key `i` without its first `cut` bytes.
    pub(crate) fn cut_head(&self, i: usize, cut: usize) -> u32 {
        let slot = &self.slots[i];
        let len = usize::from(slot.tail_len.get());
        let (first, rest) = (slot.head.to_bytes(), self.slot_rest(slot));
        let byte = |at: usize| match at {
            at if at >= len => 0,
            0..4 => first[at],
            at => rest[at - 4],
        };
        u32::from_be_bytes([byte(cut), byte(cut + 1), byte(cut + 2), byte(cut + 3)])
    }

    /// Whether `key` belongs into this leaf, after the entry before slot `i` and before the one in it, and is neither of the two.
    #[inline]
    pub(crate) fn is_gap(&self, i: usize, key: &[u8]) -> bool {
        let Some(tail) = key.strip_prefix(self.prefix()) else { return false };
        let head = head_of(tail);
        let order = |slot: &Slot| slot.head.get().cmp(&head).then_with(|| self.compare_rest(slot, tail));
        let before = i.checked_sub(1).and_then(|before| self.slots.get(before));
        before.is_some_and(|slot| order(slot).is_lt())
            && match self.slots.get(i) {
                Some(slot) => order(slot).is_gt(),
                None => self.high().is_none_or(|high| key < high),
            }
    }

    /// Sets `out` to the whole of key `i`.
    pub(crate) fn key_into(&self, i: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.prefix());
        self.push_tail(i, out);
    }

    /// Writes the whole of key `i` to the start of `out`, which already begins with the prefix if it is that long and holds
    /// another key of this page; returns its length. What lies beyond is arbitrary.
    #[inline]
    pub(crate) fn write_key(&self, i: usize, out: &mut KeyBuffer) -> usize {
        let slot = &self.slots[i];
        let (prefix, tail) = (self.prefix_len(), usize::from(slot.tail_len.get()));
        let at = usize::from(slot.offset.get());
        let (rest, len) = (prefix + 4, rest_len(tail));
        if out.len() < rest + len.max(SHORT) {
            out.clear();
            out.extend_from_slice(self.prefix());
            out.resize(rest + len.max(SHORT), 0);
        }
        out[prefix..rest].copy_from_slice(&slot.head.to_bytes());
        match self.bytes.get(at..at + SHORT) {
            // So many bytes at once take fewer instructions than as many as there are.
            Some(short) if len <= SHORT => out[rest..rest + SHORT].copy_from_slice(short),
            _ => out[rest..rest + len].copy_from_slice(self.slot_rest(slot)),
        }
        prefix + tail
    }

    /// Sets `out` to the whole of key `i`.
    #[inline]
    pub(crate) fn set_key(&self, i: usize, out: &mut KeyBuffer) {
        out.clear();
        let len = self.write_key(i, out);
        out.truncate(len);
    }

    /// The whole of key `i`.
    pub(crate) fn key(&self, i: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix_len() + usize::from(self.slots[i].tail_len.get()));
        self.key_into(i, &mut key);
        key
    }

    /// The range of slots that the hints leave for `head`.
    #[inline]
    fn hinted(&self, head: u32) -> (usize, usize) {
        let count = self.count();
        if count <= 2 * HINTS {
            return (0, count);
        }
        let step = count / (HINTS + 1);
        let (mut below, mut upto) = (0u32, 0u32);
        for hint in &self.header.hints {
            let hint = hint.get();
            below += u32::from(hint < head);
            upto += u32::from(hint <= head);
        }
        let (below, upto) = (below as usize, upto as usize);
        (below * step, if upto < HINTS { (upto + 1) * step } else { count })
    }

    /// The first of the slots from `low` to `high` whose head is not below `head`.
    #[inline]
    fn first_with(&self, head: u32, low: usize, high: usize) -> usize {
        let slots = &self.slots[low..high];
        let (mut base, mut len) = (0, slots.len());
        prefetch(slots.as_ptr().cast(), len * SLOT / LINE);
        while len > 1 {
            let half = len / 2;
            // Which way it goes is a matter of chance: no branch.
            base = select_unpredictable(slots[base + half - 1].head.get() < head, base + half, base);
            len -= half;
        }
        low + base + usize::from(slots.get(base).is_some_and(|slot| slot.head.get() < head))
    }

    /// Where `key` is (`Ok`) or would be inserted (`Err`).
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let prefix = self.prefix();
        let Some(tail) = key.strip_prefix(prefix) else {
            return Err(if key < prefix { 0 } else { self.count() });
        };
        self.search_tail(tail)
    }

    /// The slots whose keys are not past `bound`: below it upwards, at or above it downwards. The fences tell for most pages.
    #[inline]
    pub(crate) fn inside(&self, way: Way, bound: Option<&[u8]>) -> Range<usize> {
        let Some(bound) = bound else { return 0..self.count() };
        let place = || self.search(bound).unwrap_or_else(|slot| slot);
        match way {
            Way::Up if self.high().is_some_and(|high| high <= bound) => 0..self.count(),
            Way::Up => 0..place(),
            Way::Down if self.low() >= bound => 0..self.count(),
            Way::Down => place()..self.count(),
        }
    }

    /// As [`Node::search`] for a key that the parent sent here: in a sound tree it begins with the prefix, so that the low
    /// fence need not be looked at.
    #[inline]
    pub(crate) fn search_inside(&self, key: &[u8]) -> Result<usize, usize> {
        self.search_tail(key.get(self.prefix_len()..).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn search_tail(&self, tail: &[u8]) -> Result<usize, usize> {
        let head = head_of(tail);
        let (low, mut high) = self.hinted(head);
        let mut low = self.first_with(head, low, high);
        // Mostly no other key has this head: the first that has it decides.
        let mut middle = low;
        while low < high {
            let slot = &self.slots[middle];
            if slot.head.get() != head {
                high = middle;
            } else {
                match self.compare_rest(slot, tail) {
                    Ordering::Less => low = middle + 1,
                    Ordering::Greater => high = middle,
                    Ordering::Equal => return Ok(middle),
                }
            }
            middle = low.midpoint(high);
        }
        Err(low)
    }

    /// Lets the entry come near where a key with this tail probably is.
    #[inline]
    pub(crate) fn ask_for_entry(&self, tail: &[u8]) {
        let head = head_of(tail);
        let (low, high) = self.hinted(head);
        if let Some(slot) = self.slots.get(self.first_with(head, low, high)) {
            self.prefetch(slot);
        }
    }

    /// Lets the entry of a slot come near: the rest of its key and the beginning of its value.
    #[inline]
    pub(crate) fn prefetch(&self, slot: &Slot) {
        let entry = &self.bytes[usize::from(slot.offset.get()).min(self.bytes.len())..];
        prefetch(entry.as_ptr(), ENTRY_LINES);
    }

    /// Compares beyond equal heads: the rest, then the length, which tells a short tail from zero bytes.
    #[inline]
    fn compare_rest(&self, slot: &Slot, tail: &[u8]) -> Ordering {
        self.prefetch(slot);
        let rest = tail.get(4..).unwrap_or_default();
        self.slot_rest(slot).cmp(rest).then_with(|| usize::from(slot.tail_len.get()).cmp(&tail.len()))
    }

    /// The slot of the child that `key` belongs to.
    #[inline]
    pub(crate) fn child_index(&self, key: &[u8]) -> usize {
        match self.search_inside(key) {
            Ok(i) => i,
            Err(i) => i.saturating_sub(1),
        }
    }

    /// The child in slot `i`: page id and epoch.
    #[inline]
    pub(crate) fn child(&self, i: usize) -> (u64, u64) {
        let pointer = self.payload(i);
        (get_u48(pointer), get_u48(&pointer[6..]))
    }

    /// The entry in slot `i` of a leaf.
    #[inline]
    pub(crate) fn leaf_value(&self, i: usize) -> LeafValue<'a> {
        leaf::decode(self.payload(i), self.header.base.get()).expect("a verified leaf holds whole entries")
    }

    /// The reference to overflow pages in slot `i` of a leaf, where the value is that long.
    pub(crate) fn overflow(&self, i: usize) -> Option<OverflowRef> {
        let value = self.leaf_value(i);
        (value.kind == Kind::Overflow).then(|| OverflowRef::from_bytes(value.bytes)).flatten()
    }

    /// Bytes between the slots and the heap.
    pub(crate) fn free(&self) -> usize {
        self.header.heap_start.get() as usize - (SLOTS_AT + SLOT * self.count())
    }

    /// Where the space between slots and heap begins and ends.
    pub(crate) fn unused(&self) -> (usize, usize) {
        (SLOTS_AT + SLOT * self.count(), self.header.heap_start.get() as usize)
    }

    /// Whether nothing is left of removed entries.
    pub(crate) fn is_clean(&self) -> bool {
        let (from, to) = self.unused();
        self.header.garbage.get() == 0 && self.bytes[from..to].iter().all(|&byte| byte == 0)
    }

    /// Bytes free after a compaction.
    pub(crate) fn room(&self) -> usize {
        self.free() + usize::from(self.header.garbage.get())
    }

    /// Bytes that the fences take.
    pub(crate) fn fences(&self) -> usize {
        usize::from(self.header.low_len.get()) + usize::from(self.header.high_len.get())
    }

    /// Bytes in use, headers included.
    pub(crate) fn used(&self) -> usize {
        self.bytes.len() - self.room()
    }

    /// The hints that the slots call for.
    pub(crate) fn hints(slots: &[Slot]) -> [u32; HINTS] {
        let mut hints = [0; HINTS];
        if slots.len() > 2 * HINTS {
            let step = slots.len() / (HINTS + 1);
            for (k, hint) in hints.iter_mut().enumerate() {
                *hint = slots[(k + 1) * step].head.get();
            }
        }
        hints
    }
}

/// The length of what two keys begin with in common.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// The shortest key that is above `left` and not above `right`; `left` < `right`.
pub(crate) fn separator<'k>(left: &[u8], right: &'k [u8]) -> &'k [u8] {
    &right[..(common_prefix(left, right) + 1).min(right.len())]
}

/// A child pointer as it lies in an inner page.
pub(crate) fn child_pointer(id: u64, epoch: u64) -> SmallVec<[u8; CHILD]> {
    let mut pointer = SmallVec::from_elem(0, CHILD);
    super::format::put_u48(&mut pointer, id);
    super::format::put_u48(&mut pointer[6..], epoch);
    pointer
}
