//! Reading a chain of pages: a long value or the free list.

use std::ops::Deref;

use dosql_base::{Error, Result};

use crate::page::chain;
use crate::page::leaf::OverflowRef;

/// Shows every page of the chain at `at` and its payload to `visit`, in order. The chain must be exactly as long as the
/// reference says, so that one that runs in circles ends.
pub(crate) fn walk<P: Deref<Target = [u8]>>(
    at: OverflowRef,
    kind: u8,
    page_size: usize,
    mut fetch: impl FnMut(u64, u64) -> Result<P>,
    mut visit: impl FnMut(u64, &[u8], &[u8]),
) -> Result<()> {
    let mut left = at.len as usize;
    let pages = chain::pages_for(left, page_size);
    let mut id = at.first;
    for index in 0..pages {
        let page = fetch(id, at.epoch)?;
        let expected = left.min(chain::capacity(page_size));
        let last = index + 1 == pages;
        let (header, payload) = chain::parts(&page)
            .filter(|(header, payload)| {
                header.page.kind == kind
                    && header.index.get() as usize == index
                    && payload.len() == expected
                    && (header.next.get() == 0) == last
            })
            .ok_or_else(|| {
                Error::corrupt("a chain of pages is broken; restore from a backup", format!("page {id}"))
            })?;
        visit(id, &page, payload);
        left -= expected;
        id = header.next.get();
    }
    Ok(())
}

/// The bytes of the chain at `at`.
pub(crate) fn read<P: Deref<Target = [u8]>>(
    at: OverflowRef,
    kind: u8,
    page_size: usize,
    fetch: impl FnMut(u64, u64) -> Result<P>,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    walk(at, kind, page_size, fetch, |_, _, payload| bytes.extend_from_slice(payload))?;
    Ok(bytes)
}
