//! Pages made apart from the writer: while commits go on, and seen by nobody until the writer adopts them.

use std::sync::Arc;

use dosql_base::Result;

use super::{PageMaker, PageWriter, Private};
use crate::Pages;
use crate::frame::Draft;
use crate::page::format::PageHeader;

/// How many page numbers are taken at a time, so that the writer's turn is not asked for at every page.
const IDS: usize = 32;

/// Trees that are built beside the writer, for a checkpoint to come. Dropping it forgets them.
pub struct Apart {
    pages: Arc<Pages>,
    epoch: u64,
    drafts: Vec<Draft>,
    /// Taken, and not used yet.
    spare: Vec<u64>,
}

impl Pages {
    /// A place to build trees in while commits go on; see [`PageWriter::adopt`].
    #[must_use]
    pub fn apart(self: &Arc<Self>) -> Apart {
        let epoch = self.writer().state.epoch;
        Apart { pages: Arc::clone(self), epoch, drafts: Vec::new(), spare: Vec::new() }
    }
}

impl Apart {
    fn give_back(&mut self) {
        let unused = self.drafts.drain(..).map(|page| PageHeader::of(&page).id.get());
        self.pages.released.lock().extend(unused.chain(self.spare.drain(..)));
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
        for page in apart.drafts.drain(..) {
            let id = PageHeader::of(&page).id.get();
            state.alloc.adopt(id);
            state.taken.push(id);
            state.private.insert(id, Private { page, born: true });
        }
    }
}
