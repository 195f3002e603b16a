//! Chains of pages that hold one long byte string: a value too long for a leaf, or the free list.
//!
//! All pages of a chain are written in one epoch. Each knows its index and the next page; the last has no next.

use zerocopy::FromBytes;
use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::{U32, U64};

use super::format::{CHAIN_AT, ChainHeader, PageHeader};

/// How many bytes one page of a chain holds.
pub(crate) fn capacity(page_size: usize) -> usize {
    page_size - CHAIN_AT
}

/// How many pages `len` bytes take.
pub(crate) fn pages_for(len: usize, page_size: usize) -> usize {
    len.div_ceil(capacity(page_size))
}

/// One link of a chain.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) kind: u8,
    pub(crate) id: u64,
    pub(crate) epoch: u64,
    pub(crate) index: u32,
    /// The next page, 0 in the last.
    pub(crate) next: u64,
}

/// Fills `page` with one link and its payload.
pub(crate) fn fill(page: &mut [u8], link: Link, payload: &[u8]) {
    let header = ChainHeader {
        page: PageHeader::new(link.kind, link.id, link.epoch),
        next: U64::new(link.next),
        index: U32::new(link.index),
        len: U32::new(payload.len() as u32),
    };
    page[..CHAIN_AT].copy_from_slice(header.as_bytes());
    page[CHAIN_AT..CHAIN_AT + payload.len()].copy_from_slice(payload);
    page[CHAIN_AT + payload.len()..].fill(0);
}

/// The header of a chain page and its payload; `None` where the length is impossible.
pub(crate) fn parts(page: &[u8]) -> Option<(&ChainHeader, &[u8])> {
    let (header, body) = ChainHeader::ref_from_prefix(page).ok()?;
    let payload = body.get(..header.len.get() as usize)?;
    Some((header, payload))
}
