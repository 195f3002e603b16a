//! Long values: chains of overflow pages.

use dosql_base::{Error, Result, Timestamp};

use super::{PageMaker, PageWriter};
use crate::chain_io;
use crate::page::chain::{self, Link};
use crate::page::format::OVERFLOW;
use crate::page::leaf::OverflowRef;
use crate::table::version_of;

/// Writes a value to new overflow pages.
pub(super) fn write_overflow(maker: &mut impl PageMaker, value: &[u8]) -> Result<OverflowRef> {
    let size = maker.pages().page_size;
    let epoch = maker.epoch();
    let len = u32::try_from(value.len()).map_err(|_| Error::limit("a value is over 4 GiB"))?;
    // From the last link to the first, so that each knows the next.
    let mut next = 0;
    for (index, payload) in value.chunks(chain::capacity(size)).enumerate().rev() {
        next = maker.make(|id, bytes| {
            chain::fill(bytes, Link { kind: OVERFLOW, id, epoch, index: index as u32, next }, payload);
        })?;
    }
    Ok(OverflowRef { first: next, epoch, len })
}

impl PageWriter<'_> {
    /// The pages of a long value, each with the version of its image; appends the value itself to `value` if given.
    pub(super) fn read_overflow(
        &self,
        reference: OverflowRef,
        mut value: Option<&mut Vec<u8>>,
    ) -> Result<Vec<(u64, Timestamp)>> {
        let mut pages = Vec::new();
        let fetch = |id, epoch| self.page(id, epoch, false);
        chain_io::walk(reference, OVERFLOW, self.pages.page_size, fetch, |id, page, payload| {
            pages.push((id, version_of(page)));
            if let Some(value) = &mut value {
                value.extend_from_slice(payload);
            }
        })?;
        Ok(pages)
    }
}
