//! Filling a store that holds nothing yet, page after page: trees of any size in bounded memory.
//!
//! ```text
//! batch 1 .. n   pages, with a meta blob that says that the store is not finished
//! last batch     the pages left, with the meta blob of a checkpoint: from then on, and not before, it is a database
//! ```

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};
use zerocopy::byteorder::little_endian::U64;

use super::PageMaker;
use crate::checkpoint::Meta;
use crate::frame::Draft;
use crate::page::format::{PageHeader, seal};
use crate::{Batch, PageId, PageStore, Pages, PagesOptions};

/// Bytes of pages that are held before they are written.
const HELD: usize = 4 << 20;
/// The number of the checkpoint that the pages belong to.
const EPOCH: u64 = 1;

/// A store that is being filled. Dropped before [`Fresh::finish`], it leaves a store that [`Pages::open`] refuses.
pub struct Fresh {
    pages: Arc<Pages>,
    version: Timestamp,
    next: u64,
    held: Vec<Draft>,
}

impl Fresh {
    /// Begins to fill `store` with trees as of `version`, and marks it as unfinished.
    ///
    /// # Errors
    /// `InvalidInput` where it holds something; or what the store answers.
    pub fn begin(store: Arc<dyn PageStore>, version: Timestamp) -> Result<Fresh> {
        if store.meta()?.is_some() {
            return Err(Error::invalid("the page store to be filled holds something; give an empty one"));
        }
        let (pages, _) = Pages::open(store, PagesOptions { cache_bytes: 0 })?;
        let mut fresh = Fresh { pages, version, next: 1, held: Vec::new() };
        fresh.write(&Meta::unfinished())?;
        Ok(fresh)
    }

    fn write(&mut self, meta: &[u8]) -> Result<()> {
        let id = |page: &Draft| PageId::new(PageHeader::of(page).id.get());
        let puts: Vec<(PageId, &[u8])> = self.held.iter().map(|page| (id(page), &page[..])).collect();
        self.pages.store.commit(Batch { puts: &puts, frees: &[], meta })?;
        self.held.clear();
        Ok(())
    }

    /// Ends it: the store holds a database whose meta blob ends in `user_meta`, as durable as the store makes it.
    ///
    /// # Errors
    /// What the store answers; the store is still unfinished then, or finished whole.
    pub fn finish(mut self, user_meta: &[u8]) -> Result<()> {
        let meta = Meta {
            epoch: EPOCH,
            next: self.next,
            published: self.version,
            user: user_meta.to_vec(),
            ..Meta::default()
        };
        self.write(&meta.encode(self.pages.page_size))
    }
}

impl PageMaker for Fresh {
    fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    fn epoch(&self) -> u64 {
        EPOCH
    }

    fn make(&mut self, fill: impl FnOnce(u64, &mut [u8])) -> Result<u64> {
        let id = self.next;
        self.next += 1;
        let mut page = self.pages.table.buffer();
        fill(id, &mut page);
        PageHeader::of_mut(&mut page).version = U64::new(self.version.as_micros());
        seal(&mut page);
        self.held.push(page);
        if self.held.len() * self.pages.page_size >= HELD {
            self.write(&Meta::unfinished())?;
        }
        Ok(id)
    }
}
