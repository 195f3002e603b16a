//! Walking a whole tree to see that it is sound.

use dosql_base::{Error, Result};
use foldhash::fast::FixedState;
use hashbrown::HashSet;

use crate::chain_io;
use crate::page::format::{OVERFLOW, PageHeader};
use crate::page::node::Node;
use crate::page::verify;
use crate::writer::node_of_level;
use crate::{PageSnapshot, Root};

/// What [`PageSnapshot::check`] found in a sound tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeCheck {
    /// Entries, tombstones included.
    pub entries: u64,
    /// Leaf pages.
    pub leaves: u64,
    /// Inner pages.
    pub inner: u64,
    /// Overflow pages.
    pub overflow: u64,
    /// Bytes that leaves use of their pages, headers included.
    pub leaf_bytes: u64,
}

/// A page to visit: where its parent says that it is, and between which keys.
struct Visit {
    id: u64,
    epoch: u64,
    level: u8,
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

fn corrupt(id: u64, what: &str) -> Error {
    Error::corrupt(format!("{what}; restore from a backup"), format!("page {id}"))
}

impl PageSnapshot {
    /// Walks the whole tree: structure, order, fences, separators, epochs, counts, no page reached twice. Pages that are not
    /// in memory are read and their checksums verified.
    ///
    /// # Errors
    /// `Corrupt` with what is wrong and where; `WouldBlock`, `Io`.
    pub fn check(&self, root: Root) -> Result<TreeCheck> {
        let mut seen = HashSet::with_hasher(FixedState::default());
        self.check_into(root, &mut |id| seen.insert(id))
    }

    /// As [`PageSnapshot::check`], showing each page id to `visit`, which answers whether it is new: with one set for all trees
    /// of a store, it finds pages that two trees share.
    ///
    /// # Errors
    /// As [`PageSnapshot::check`].
    pub fn check_into(&self, root: Root, visit: &mut dyn FnMut(u64) -> bool) -> Result<TreeCheck> {
        let mut found = TreeCheck::default();
        let mut stack = Vec::new();
        if !root.page().is_none() {
            stack.push(Visit {
                id: root.page().get(),
                epoch: root.epoch(),
                level: root.height() - 1,
                low: Vec::new(),
                high: None,
            });
        }
        while let Some(page) = stack.pop() {
            if !visit(page.id) {
                return Err(corrupt(page.id, "a page is reached twice"));
            }
            let image = self.image(page.id, page.epoch, false)?;
            let node = node_of_level(&image, page.level)?;
            check_node(&node, &page)?;
            if page.level > 0 {
                found.inner += 1;
                push_children(&node, &page, &mut stack)?;
                continue;
            }
            found.leaves += 1;
            found.entries += node.count() as u64;
            found.leaf_bytes += node.used() as u64;
            found.overflow += self.check_overflow(&node, visit)?;
        }
        if found.entries != root.entries() {
            let what = format!("a tree has {} entries where its root says {}", found.entries, root.entries());
            return Err(corrupt(root.page().get(), &what));
        }
        Ok(found)
    }

    /// Walks the long values of a leaf; returns how many pages they take.
    fn check_overflow(&self, node: &Node<'_>, visit: &mut dyn FnMut(u64) -> bool) -> Result<u64> {
        let mut pages = 0;
        for reference in (0..node.count()).filter_map(|i| node.overflow(i)) {
            let mut twice = None;
            let fetch = |id, epoch| self.image(id, epoch, false);
            chain_io::walk(reference, OVERFLOW, self.pages().page_size(), fetch, |id, _, _| {
                pages += 1;
                if !visit(id) {
                    twice = Some(id);
                }
            })?;
            if let Some(id) = twice {
                return Err(corrupt(id, "a page is reached twice"));
            }
        }
        Ok(pages)
    }
}

fn check_node(node: &Node<'_>, page: &Visit) -> Result<()> {
    verify::node(node.bytes)
        .map_err(|what| corrupt(page.id, &format!("a page is not well formed: {what}")))?;
    if PageHeader::of(node.bytes).id.get() != page.id {
        return Err(corrupt(page.id, "a page lies where another belongs"));
    }
    if node.low() != page.low || node.high() != page.high.as_deref() {
        return Err(corrupt(page.id, "the fences of a page are not what its parent says"));
    }
    Ok(())
}

fn push_children(node: &Node<'_>, page: &Visit, stack: &mut Vec<Visit>) -> Result<()> {
    for i in (0..node.count()).rev() {
        let (id, epoch) = node.child(i);
        if epoch > page.epoch {
            return Err(corrupt(page.id, "a page is older than one below it"));
        }
        let low = if i == 0 { page.low.clone() } else { node.key(i) };
        let high = if i + 1 < node.count() { Some(node.key(i + 1)) } else { page.high.clone() };
        stack.push(Visit { id, epoch, level: page.level - 1, low, high });
    }
    Ok(())
}
