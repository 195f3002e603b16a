//! The checkpoint: every dirty page, the free list and the meta blob in one batch of the store.
//!
//! ```text
//! freeze (in turn)      what is dirty now belongs to this checkpoint; the next epoch begins
//! write  (no turn)      the batch of the store, while commits go on in pages of fresh ids; then its pages are clean
//! settle (in turn)      ids that the batch before freed are free
//! ```
//!
//! The meta blob, little-endian:
//!
//! ```text
//!  0 "dosqlpgs" | 8 format u32 | 12 page size u32 | 16 epoch u64 | 24 next page id u64 | 32 published version u64
//! 40 free list: first page u48 | epoch u48 | length u32 | 56 user meta length u32 | 60 crc32 of 0..60 and user meta | 64 user meta
//! ```
//!
//! The eight bytes "dosqlnew" alone stand in a store that is being filled.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::codec::Reader;
use dosql_base::mutant::weakened;
use dosql_base::{Checksum, Code, Error, ErrorKind, Result, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use zerocopy::byteorder::little_endian::U64;

use crate::alloc::Allocator;
use crate::chain_io;
use crate::page::chain::{self, Link};
use crate::page::format::{FREE_LIST, PageHeader, seal};
use crate::page::leaf::OverflowRef;
use crate::table::Image;
use crate::writer::WriterState;
use crate::{Batch, PageId, PageSnapshot, PageWriter, Pages};

const MAGIC: &[u8; 8] = b"dosqlpgs";
const FORMAT: u32 = 1;
/// The whole meta blob of a store that is being filled.
const UNFINISHED: &[u8; 8] = b"dosqlnew";
const USER_AT: usize = 64;

/// What the meta blob says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The number of the checkpoint.
    pub(crate) epoch: u64,
    pub(crate) next: u64,
    pub(crate) published: Timestamp,
    pub(crate) free_list: OverflowRef,
    pub(crate) user: Vec<u8>,
}

impl Default for Meta {
    /// Before the first checkpoint.
    fn default() -> Self {
        let free_list = OverflowRef { first: 0, epoch: 0, len: 0 };
        Meta { epoch: 0, next: 1, published: Timestamp::ZERO, free_list, user: Vec::new() }
    }
}

impl Meta {
    /// The meta blob of a store that is being filled: it is no database yet.
    pub(crate) fn unfinished() -> Vec<u8> {
        UNFINISHED.to_vec()
    }

    pub(crate) fn encode(&self, page_size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(USER_AT + self.user.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&(page_size as u32).to_le_bytes());
        for number in [self.epoch, self.next, self.published.as_micros()] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.free_list.to_bytes());
        out.extend_from_slice(&(self.user.len() as u32).to_le_bytes());
        let mut sum = Checksum::new(0);
        sum.update(&out);
        sum.update(&self.user);
        out.extend_from_slice(&sum.finish().to_le_bytes());
        out.extend_from_slice(&self.user);
        out
    }

    /// Reads a meta blob.
    ///
    /// # Errors
    /// `Corrupt`, with code `NotADb` where the store holds something else; `Unsupported` for a newer format.
    pub(crate) fn decode(bytes: &[u8], page_size: usize) -> Result<Meta> {
        if bytes == UNFINISHED {
            let message = "this is a copy of a database that was not finished; remove it and make another";
            return Err(Error::new(ErrorKind::InvalidInput, Code::NotADb, message).at("page store meta"));
        }
        let mut reader = Reader::new(bytes, "page store meta");
        if reader.take(8).ok() != Some(MAGIC) {
            let message = "the page store does not hold a dosql database";
            return Err(Error::new(ErrorKind::Corrupt, Code::NotADb, message).at("page store meta"));
        }
        let format = reader.u32()?;
        let stored_size = reader.u32()?;
        let (epoch, next, published) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let free_list = OverflowRef::from_bytes(reader.take(16)?);
        let len = reader.u32()? as usize;
        let crc = reader.u32()?;
        let user = reader.take(len)?;
        reader.finish()?;
        let mut sum = Checksum::new(0);
        sum.update(&bytes[..USER_AT - 4]);
        sum.update(user);
        if sum.finish() != crc {
            return Err(Error::corrupt("the checksum of the meta blob is wrong", "page store meta"));
        }
        if format > FORMAT {
            return Err(Error::unsupported(format!(
                "the database has page store format {format}, newer than {FORMAT}: use a newer dosql"
            )));
        }
        if stored_size as usize != page_size || next == 0 || next > PageId::MAX.get() + 1 || epoch >= 1 << 48
        {
            return Err(Error::corrupt("the meta blob holds impossible numbers", "page store meta"));
        }
        let free_list =
            free_list.ok_or_else(|| Error::corrupt("the meta blob is cut short", "page store meta"))?;
        let published = Timestamp::from_micros(published);
        Ok(Meta { epoch, next, published, free_list, user: user.to_vec() })
    }
}

impl WriterState {
    /// Reads the free list of the last checkpoint.
    pub(crate) fn read_free_list(&mut self, pages: &Pages, meta: &Meta) -> Result<()> {
        let mut ids = Vec::new();
        let mut bytes = Vec::new();
        let fetch = |id, epoch| pages.read_page(id, epoch);
        chain_io::walk(meta.free_list, FREE_LIST, pages.page_size, fetch, |id, _, payload| {
            ids.push(id);
            bytes.extend_from_slice(payload);
        })?;
        if ids.is_empty() {
            self.alloc.next = meta.next;
        } else {
            self.alloc = Allocator::decode(&bytes, meta.next)?;
        }
        self.list_pages = ids;
        Ok(())
    }

    /// The pages of the free list as of the next batch; takes ids for them.
    fn build_free_list(&mut self, pages: &Pages, published: Timestamp) -> Result<(OverflowRef, Vec<Image>)> {
        let size = pages.page_size;
        let count = chain::pages_for(self.alloc.encoded_len(), size);
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.alloc.take()?);
        }
        // The list is at most as long as foreseen; padding keeps the number of pages.
        let mut bytes = self.alloc.encode();
        bytes.resize(bytes.len().max((count - 1) * chain::capacity(size) + 1), 0);
        let mut images = Vec::with_capacity(count);
        for (index, payload) in bytes.chunks(chain::capacity(size)).enumerate() {
            let mut page = pages.table.buffer();
            let next = ids.get(index + 1).copied().unwrap_or(0);
            let link = Link { kind: FREE_LIST, id: ids[index], epoch: self.epoch, index: index as u32, next };
            chain::fill(&mut page, link, payload);
            PageHeader::of_mut(&mut page).version = U64::new(published.as_micros());
            seal(&mut page);
            images.push(page.share());
        }
        let len = u32::try_from(bytes.len()).map_err(|_| Error::limit("the free list is over 4 GiB"))?;
        Ok((OverflowRef { first: ids[0], epoch: self.epoch, len }, images))
    }
}

/// A checkpoint that was begun: what it writes is decided and can't change any more, while commits go on. See
/// [`PageWriter::freeze`].
pub struct Frozen {
    /// Keeps the images of the pages that commits free meanwhile.
    snapshot: PageSnapshot,
    dirty: Arc<HashSet<u64, FixedState>>,
    /// The pages of the free list.
    list: Vec<Image>,
    frees: Vec<PageId>,
    /// The lowest page number that its state has never used.
    pub(crate) next: u64,
    /// Its number.
    epoch: u64,
    meta: Vec<u8>,
}

impl Frozen {
    /// The number of the checkpoint: pages that are changed from now on have a higher one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes the batch. Needs no turn: commits go on meanwhile.
    ///
    /// # Errors
    /// What the store answers. Nothing is lost in memory, but the checkpoint can't be tried again: the caller should close.
    pub fn write(&self) -> Result<()> {
        let pages = self.snapshot.pages();
        let mut images = self.list.clone();
        for &id in &*self.dirty {
            let image = pages.sealed(id)?;
            images.push(image.ok_or_else(|| {
                Error::corrupt("a dirty page is missing from the page table; reopen", format!("page {id}"))
            })?);
        }
        images.sort_unstable_by_key(|image| PageHeader::of(image).id.get());
        let puts: Vec<(PageId, &[u8])> =
            images.iter().map(|image| (PageId::new(PageHeader::of(image).id.get()), &image[..])).collect();
        pages.store.commit(Batch { puts: &puts, frees: &self.frees, meta: &self.meta })?;
        // Before the first page of this checkpoint can be evicted and read again.
        pages.gauges.checkpoints.fetch_add(1, Ordering::Release);
        for &id in &*self.dirty {
            pages.table.clean(id);
        }
        Ok(())
    }
}

impl PageWriter<'_> {
    /// Writes every dirty page, the free list and `user_meta` in one batch of the store. Everything must be published.
    ///
    /// # Errors
    /// As [`PageWriter::freeze`], or what the store answers: then all is still dirty in memory and readable, and the caller
    /// should close.
    pub fn checkpoint(&mut self, user_meta: &[u8]) -> Result<()> {
        let saved = self.state.alloc.clone();
        let list_pages = self.state.list_pages.clone();
        let frozen = self.freeze(user_meta)?;
        if let Err(error) = frozen.write() {
            // Nothing was committed in between, so all can be as it was.
            let state = &mut *self.state;
            (state.alloc, state.list_pages) = (saved, list_pages);
            state.dirty = state.frozen.take().map(|dirty| (*dirty).clone()).unwrap_or_default();
            state.epoch -= 1;
            return Err(error);
        }
        let held = self.settle(frozen);
        drop(held);
        self.pages.table.evict();
        Ok(())
    }

    /// Begins a checkpoint of what is published: every dirty page, the free list and `user_meta` will be in its batch. Then
    /// [`Frozen::write`], without the turn, and [`PageWriter::settle`]. Pages that commits change meanwhile get fresh ids, so the
    /// batch stays as it is. Costs no I/O.
    ///
    /// # Errors
    /// `InvalidInput` where something is not published or another checkpoint was begun and not settled; `Limit` where
    /// `user_meta` is longer than the store allows.
    pub fn freeze(&mut self, user_meta: &[u8]) -> Result<Frozen> {
        self.freeze_with(user_meta, false)
    }

    /// As [`PageWriter::freeze`]; the free page numbers above all others count as never used from then on. Once it is settled, the
    /// store may give back their space: [`PageStore::shrink`](crate::PageStore::shrink) with [`Frozen::last_page`].
    ///
    /// # Errors
    /// As [`PageWriter::freeze`].
    pub fn freeze_short(&mut self, user_meta: &[u8]) -> Result<Frozen> {
        self.freeze_with(user_meta, true)
    }

    fn freeze_with(&mut self, user_meta: &[u8], short: bool) -> Result<Frozen> {
        let pages = self.pages;
        let state = &mut *self.state;
        if !state.is_settled() {
            return Err(Error::invalid("publish or roll back the changes before a checkpoint"));
        }
        if state.frozen.is_some() {
            return Err(Error::invalid("settle the checkpoint that was begun before the next"));
        }
        let most = pages.store.caps().max_meta.saturating_sub(USER_AT);
        if user_meta.len() > most {
            return Err(Error::limit(format!("a meta blob of {} bytes exceeds {most}", user_meta.len())));
        }
        state.forget_path();
        state.collect_released(pages);
        let saved = state.alloc.clone();
        if short {
            state.alloc.drop_tail();
        }
        for &id in &state.list_pages {
            if !weakened("free-list-leaks") {
                state.alloc.free_with_next_batch(id);
            }
        }
        let snapshot = pages.latest();
        let (free_list, list) = match state.build_free_list(pages, snapshot.version()) {
            Ok(built) => built,
            Err(error) => {
                state.alloc = saved;
                return Err(error);
            }
        };
        let frees: Vec<PageId> = state.alloc.freed().iter().map(|&id| PageId::new(id)).collect();
        let meta = Meta {
            epoch: state.epoch,
            next: state.alloc.next,
            published: snapshot.version(),
            free_list,
            user: user_meta.to_vec(),
        };
        state.alloc.begin_batch();
        state.list_pages = list.iter().map(|image| PageHeader::of(image).id.get()).collect();
        let dirty = Arc::new(std::mem::take(&mut state.dirty));
        state.frozen = Some(Arc::clone(&dirty));
        state.epoch += 1;
        let (epoch, next) = (meta.epoch, meta.next);
        Ok(Frozen { snapshot, dirty, list, frees, next, epoch, meta: meta.encode(pages.page_size) })
    }

    /// Ends a checkpoint whose batch is durable: what the one before it freed may be used again. Drop what it returns without the
    /// turn: that gives back the images that commits superseded meanwhile.
    pub fn settle(&mut self, frozen: Frozen) -> PageSnapshot {
        let pages = self.pages;
        let state = &mut *self.state;
        state.frozen = None;
        state.alloc.committed();
        state.collect_released(pages);
        state.update_gauges(pages);
        frozen.snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_blob_round_trips_and_keeps_its_bytes() {
        let meta = Meta {
            epoch: 2,
            next: 3,
            published: Timestamp::from_micros(4),
            free_list: OverflowRef { first: 5, epoch: 2, len: 6 },
            user: b"user".to_vec(),
        };
        let bytes = meta.encode(8192);
        let mut golden = b"dosqlpgs\x01\0\0\0\0\x20\0\0\x02".to_vec();
        golden.resize(24, 0);
        golden.push(3);
        golden.resize(32, 0);
        golden.push(4);
        golden.resize(40, 0);
        golden.extend([5, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(bytes[..60], golden);
        assert_eq!(&bytes[64..], b"user");
        assert_eq!(Meta::decode(&bytes, 8192).unwrap(), meta);
        assert_eq!(Meta::decode(&bytes, 4096).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(Meta::decode(b"dosqlnew", 8192).unwrap_err().code(), Code::NotADb);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Meta::decode(&flipped, 8192).is_err(), "byte {at}");
        }
    }
}
