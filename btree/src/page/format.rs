//! The structures that pages are made of, little-endian, as they lie on disk.
//!
//! ```text
//! PageHeader  0 kind u8 | 1 format u8 | 2 flags u16 | 4 crc32 u32 | 8 id u64 | 16 epoch u64 | 24 version u64
//! NodeHeader 32 count u16 | 34 prefix_len u16 | 36 heap_start u32 | 40 garbage u16 | 42 level u8 | 43 zero u8
//!            44 low_off u16 | 46 low_len u16 | 48 high_off u16 | 50 high_len u16 | 52 zero u32 | 56 base u64
//! hints      64 sixteen u32
//! slots     128 count times: head u32 (big-endian) | offset u16 | tail_len u16
//! ChainHeader 32 next u64 | 40 index u32 | 44 len u32 | 48 payload
//! ```
//!
//! - `crc32` covers the page without its own four bytes, seeded with the two halves of the id, xored.
//! - `epoch` is the number of the checkpoint that wrote the page; whoever points at a page names its epoch too, so
//!   that an older image of the right page is told apart from the right one.
//! - `version` is the Timestamp of the newest commit that changed the page.
//! - A *fence* is a bound of the keys that belong here: low inclusive, high exclusive (flag `NO_HIGH`: unbounded). The
//!   first `prefix_len` bytes of the low fence begin every key here and are cut from them; what remains is the *tail*.
//!   A slot holds the first four bytes of the tail (zero-filled) as its *head*; its entry at `offset` begins with the
//!   rest of the tail.
//! - *Hints* are the heads of 16 evenly spaced slots; zero where there are at most 32 slots.

use std::ops::Range;

use zerocopy::byteorder::big_endian;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version of the page format.
pub(crate) const FORMAT: u8 = 1;
/// A node with entries.
pub(crate) const LEAF: u8 = 1;
/// A node with children.
pub(crate) const INNER: u8 = 2;
/// A piece of a long value.
pub(crate) const OVERFLOW: u8 = 3;
/// A piece of the free list.
pub(crate) const FREE_LIST: u8 = 4;
/// Flag of a node without upper bound.
pub(crate) const NO_HIGH: u16 = 1;

/// How many hints a node has.
pub(crate) const HINTS: usize = 16;
/// Where the slots of a node begin.
pub(crate) const SLOTS_AT: usize = 128;
/// The length of a slot.
pub(crate) const SLOT: usize = 8;
/// Where the payload of an overflow or free-list page begins.
pub(crate) const CHAIN_AT: usize = 48;

/// What every page begins with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct PageHeader {
    pub(crate) kind: u8,
    pub(crate) format: u8,
    pub(crate) flags: U16,
    pub(crate) crc: U32,
    pub(crate) id: U64,
    pub(crate) epoch: U64,
    pub(crate) version: U64,
}

/// What every leaf and inner page begins with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct NodeHeader {
    pub(crate) page: PageHeader,
    pub(crate) count: U16,
    pub(crate) prefix_len: U16,
    pub(crate) heap_start: U32,
    pub(crate) garbage: U16,
    pub(crate) level: u8,
    pub(crate) zero: u8,
    pub(crate) low_off: U16,
    pub(crate) low_len: U16,
    pub(crate) high_off: U16,
    pub(crate) high_len: U16,
    pub(crate) zero_too: U32,
    pub(crate) base: U64,
    pub(crate) hints: [U32; HINTS],
}

/// One slot of a node.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) head: big_endian::U32,
    pub(crate) offset: U16,
    pub(crate) tail_len: U16,
}

/// What overflow and free-list pages begin with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ChainHeader {
    pub(crate) page: PageHeader,
    pub(crate) next: U64,
    pub(crate) index: U32,
    pub(crate) len: U32,
}

const _: () = assert!(size_of::<PageHeader>() == 32);
const _: () = assert!(size_of::<NodeHeader>() == SLOTS_AT);
const _: () = assert!(size_of::<Slot>() == SLOT);
const _: () = assert!(size_of::<ChainHeader>() == CHAIN_AT);

impl PageHeader {
    /// A header for a new page; checksum and version come later.
    pub(crate) fn new(kind: u8, id: u64, epoch: u64) -> Self {
        PageHeader {
            kind,
            format: FORMAT,
            flags: U16::ZERO,
            crc: U32::ZERO,
            id: U64::new(id),
            epoch: U64::new(epoch),
            version: U64::ZERO,
        }
    }

    /// The header of a page.
    pub(crate) fn of(page: &[u8]) -> &PageHeader {
        PageHeader::ref_from_prefix(page).expect("a page is longer than its header").0
    }

    /// The header of a page, to change it.
    pub(crate) fn of_mut(page: &mut [u8]) -> &mut PageHeader {
        PageHeader::mut_from_prefix(page).expect("a page is longer than its header").0
    }
}

/// The checksum of a page that is to be found at `id`.
fn page_checksum(page: &[u8], id: u64) -> u32 {
    let mut sum = dosql_base::Checksum::new(id as u32 ^ (id >> 32) as u32);
    sum.update(&page[..4]);
    sum.update(&page[8..]);
    sum.finish()
}

/// Where nothing lies in a node: between its slots and its heap. Nowhere in other pages.
pub(crate) fn gap(page: &[u8]) -> Range<usize> {
    let nowhere = page.len()..page.len();
    if !matches!(PageHeader::of(page).kind, LEAF | INNER) {
        return nowhere;
    }
    let Ok((node, _)) = NodeHeader::ref_from_prefix(page) else { return nowhere };
    let (from, to) = (SLOTS_AT + SLOT * usize::from(node.count.get()), node.heap_start.get() as usize);
    if from <= to && to <= page.len() { from..to } else { nowhere }
}

/// Writes the checksum into a page that is otherwise complete, and zeros where nothing lies: what other pages have left there in memory
/// is no part of it.
pub(crate) fn seal(page: &mut [u8]) {
    let gap = gap(page);
    page[gap].fill(0);
    let sum = page_checksum(page, PageHeader::of(page).id.get());
    PageHeader::of_mut(page).crc = U32::new(sum);
}

/// Whether the checksum of a page found at `id` is right.
pub(crate) fn is_sealed(page: &[u8], id: u64) -> bool {
    page_checksum(page, id) == PageHeader::of(page).crc.get()
}

/// Reads a 48-bit number.
pub(crate) fn get_u48(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..6].copy_from_slice(&bytes[..6]);
    u64::from_le_bytes(wide)
}

/// Writes a 48-bit number.
pub(crate) fn put_u48(bytes: &mut [u8], value: u64) {
    bytes[..6].copy_from_slice(&value.to_le_bytes()[..6]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_header_keeps_its_bytes() {
        let mut header = PageHeader::new(LEAF, 0x0102_0304_0506, 7);
        header.flags = U16::new(0x0A0B);
        header.crc = U32::new(0x1112_1314);
        header.version = U64::new(0x21);
        let golden = [
            1, 1, 0x0B, 0x0A, 0x14, 0x13, 0x12, 0x11, 6, 5, 4, 3, 2, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0x21,
            0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(header.as_bytes(), golden);
    }

    #[test]
    fn node_slot_and_chain_headers_keep_their_bytes() {
        let node = NodeHeader {
            page: PageHeader::new(INNER, 1, 1),
            count: U16::new(0x0201),
            prefix_len: U16::new(0x0403),
            heap_start: U32::new(0x0807_0605),
            garbage: U16::new(0x0A09),
            level: 0x0B,
            zero: 0,
            low_off: U16::new(0x0D0C),
            low_len: U16::new(0x0F0E),
            high_off: U16::new(0x1110),
            high_len: U16::new(0x1312),
            zero_too: U32::ZERO,
            base: U64::new(0x14),
            hints: [U32::new(0x1615); HINTS],
        };
        let golden = [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 12, 13, 14, 15, 16, 17, 18, 19, 0, 0, 0, 0, 20, 0, 0, 0, 0,
            0, 0, 0, 0x15, 0x16, 0, 0,
        ];
        assert_eq!(node.as_bytes()[32..68], golden);
        let slot = Slot {
            head: big_endian::U32::new(0x6162_6364),
            offset: U16::new(0x0102),
            tail_len: U16::new(0x0304),
        };
        assert_eq!(slot.as_bytes(), [b'a', b'b', b'c', b'd', 2, 1, 4, 3]);
        let chain = ChainHeader {
            page: PageHeader::new(OVERFLOW, 1, 1),
            next: U64::new(2),
            index: U32::new(3),
            len: U32::new(4),
        };
        assert_eq!(chain.as_bytes()[32..], [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
    }

    #[test]
    fn a_page_at_another_place_or_with_a_changed_byte_is_not_sealed() {
        let mut page = vec![0u8; 4096];
        PageHeader::of_mut(&mut page).id = U64::new(9);
        seal(&mut page);
        assert!(is_sealed(&page, 9));
        assert!(!is_sealed(&page, 10));
        for at in [0, 3, 4, 8, 31, 2000, 4095] {
            page[at] ^= 1;
            assert!(!is_sealed(&page, 9), "byte {at}");
            page[at] ^= 1;
        }
    }
    #[test]
    fn what_a_page_held_before_does_not_reach_the_store_in_the_gap_of_the_next() {
        use crate::page::node_mut::{NodeMut, Shape};
        let mut page = vec![0xAAu8; 4096];
        let shape = Shape { id: 9, epoch: 1, level: 0, base: 0, low: b"low", high: None };
        let mut node = NodeMut::init(&mut page, shape);
        for i in 0..5u8 {
            assert!(node.insert(usize::from(i), &[b'm', i], [b"some payload", b""]));
        }
        let gap = gap(&page);
        assert_eq!(gap.start, SLOTS_AT + 5 * SLOT);
        assert!(page[gap.clone()].iter().all(|byte| *byte == 0xAA));
        seal(&mut page);
        assert!(page[gap].iter().all(|byte| *byte == 0) && is_sealed(&page, 9));
        assert!(!page.contains(&0xAA));
        let count = crate::page::node::Node::new(&page).count();
        assert_eq!(count, 5);
        assert!(super::gap(&[0; 4096]).is_empty() && super::gap(&[LEAF; 4096]).is_empty());
    }
}
