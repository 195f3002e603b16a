//! Pages made apart from the writer: while commits go on, and seen by nobody until the writer adopts them.
//!
//! They are written to the store as they are made, where it takes pages ahead of a batch, so that they take no more memory than a few.
//! Nothing that is durable refers to them before they are adopted: to a recovery their numbers are free.

use std::sync::Arc;

use dosql_base::Result;

use super::{PageMaker, PageWriter, Private};
use crate::frame::Draft;
use crate::page::format::{PageHeader, seal};
use crate::{PageId, Pages};

/// How many page numbers are taken at a time, so that the writer's turn is not asked for at every page.
const IDS: usize = 32;
/// How many pages are written ahead at a time.
const AHEAD: usize = 16;

/// Trees that are built beside the writer, for a checkpoint to come. Dropping it forgets them.
pub struct Apart {
    pages: Arc<Pages>,
    epoch: u64,
    drafts: Vec<Draft>,
    /// Pages that the store has.
    written: Vec<u64>,
    /// The store takes pages in batches only.
    in_memory: bool,
    /// Taken, and not used yet.
    spare: Vec<u64>,
}

impl Pages {
    /// A place to build trees in while commits go on; see [`PageWriter::adopt`].
    #[must_use]
    pub fn apart(self: &Arc<Self>) -> Apart {
        let epoch = self.writer().state.epoch;
        let (drafts, written, spare) = (Vec::new(), Vec::new(), Vec::new());
        Apart { pages: Arc::clone(self), epoch, drafts, written, in_memory: false, spare }
    }
}

impl Apart {
    fn give_back(&mut self) {
        let unused = self.drafts.drain(..).map(|page| PageHeader::of(&page).id.get());
        let unused = unused.chain(self.written.drain(..)).chain(self.spare.drain(..));
        self.pages.released.lock().extend(unused);
    }

    /// Writes what is in memory to the store, if that takes it.
    fn write_ahead(&mut self) -> Result<()> {
        let version = self.pages.published().as_micros();
        for page in &mut self.drafts {
            PageHeader::of_mut(page).version.set(version);
            seal(page);
        }
        self.drafts.sort_unstable_by_key(|page| PageHeader::of(page).id.get());
        let put = |page: &Draft| PageHeader::of(page).id.get();
        let puts: Vec<(PageId, &[u8])> =
            self.drafts.iter().map(|page| (PageId::new(put(page)), &page[..])).collect();
        self.in_memory = !self.pages.store.write_ahead(&puts)?;
        if !self.in_memory {
            self.written.extend(self.drafts.drain(..).map(|page| put(&page)));
        }
        Ok(())
    }
}

impl PageMaker for Apart {
    fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn make(&mut self, fill: impl FnOnce(u64, &mut [u8])) -> Result<u64> {
        if self.spare.is_empty() {
            let mut writer = self.pages.writer();
            for _ in 0..IDS {
                self.spare.push(writer.state.alloc.take_apart()?);
            }
            self.spare.reverse();
        }
        let id = self.spare.pop().expect("ids were taken just now");
        let mut page = self.pages.table.buffer();
        fill(id, &mut page);
        self.drafts.push(page);
        if self.drafts.len() >= AHEAD && !self.in_memory {
            self.write_ahead()?;
        }
        Ok(id)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl PageWriter<'_> {
    /// Takes in the pages that were made apart: they are published with this commit, and the next checkpoint writes them, be it the one
    /// that their numbers name or a later one.
    pub fn adopt(&mut self, mut apart: Apart) {
        let state = &mut *self.state;
        for id in apart.written.drain(..) {
            state.alloc.adopt(id);
            state.taken.push(id);
        }
        for page in apart.drafts.drain(..) {
            let id = PageHeader::of(&page).id.get();
            state.alloc.adopt(id);
            state.taken.push(id);
            state.private.insert(id, Private { page, born: true });
        }
    }
}
