//! Freeing whole trees.

use std::ops::Deref;

use dosql_base::{Result, Timestamp};

use super::PageWriter;
use super::path::node_of_level;
use crate::chain_io;
use crate::page::format::OVERFLOW;
use crate::table::version_of;
use crate::{PageSnapshot, Root};

/// The pages of a tree, to be freed at once: see [`PageSnapshot::pages_of`].
pub struct TreePages(Vec<TreePage>);

impl TreePages {
    /// How many pages they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

struct TreePage {
    id: u64,
    epoch: u64,
    since: Timestamp,
}

impl PageSnapshot {
    /// All pages of a tree that no commit changes any more, for [`PageWriter::free_pages`]: the walk needs no turn to write.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn pages_of(&self, root: Root) -> Result<TreePages> {
        walk(root, self.pages().page_size(), |id, epoch| self.image(id, epoch, false))
    }
}

impl PageWriter<'_> {
    /// Frees every page of a tree. After `WouldBlock` nothing has changed.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn free_tree(&mut self, root: Root) -> Result<()> {
        let pages = walk(root, self.pages.page_size, |id, epoch| self.page(id, epoch, false))?;
        self.free_pages(pages);
        Ok(())
    }

    /// Frees the pages of a tree.
    pub fn free_pages(&mut self, pages: TreePages) {
        self.state.forget_path();
        for page in pages.0 {
            self.retire(page.id, page.epoch, page.since);
        }
    }
}

fn walk<P: Deref<Target = [u8]>>(
    root: Root,
    page_size: usize,
    fetch: impl Fn(u64, u64) -> Result<P>,
) -> Result<TreePages> {
    let mut pages = Vec::new();
    let mut stack = Vec::new();
    if !root.page.is_none() {
        stack.push((root.page.get(), root.epoch, root.height - 1));
    }
    while let Some((id, epoch, level)) = stack.pop() {
        let page = fetch(id, epoch)?;
        pages.push(TreePage { id, epoch, since: version_of(&page) });
        let node = node_of_level(&page, level)?;
        for i in 0..node.count() {
            if level > 0 {
                let (child, epoch) = node.child(i);
                stack.push((child, epoch, level - 1));
            } else if let Some(reference) = node.overflow(i) {
                chain_io::walk(reference, OVERFLOW, page_size, &fetch, |id, page, _| {
                    pages.push(TreePage { id, epoch: reference.epoch, since: version_of(page) });
                })?;
            }
        }
    }
    Ok(TreePages(pages))
}
