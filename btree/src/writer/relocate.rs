//! Moving pages to lower numbers, so that the end of the store becomes free and can be given back.
//!
//! ```text
//! find_above   (a snapshot, no turn)   leaf by leaf: where pages of numbers above the limit are
//! relocate     (in turn)               touches them: each takes the lowest free number, and so do those above it
//! freeze_short (in turn)               the next checkpoint forgets the free numbers at the end
//! shrink       (no turn)               when it is durable, the store gives the space back
//! ```
//!
//! A page that was touched since the last checkpoint stays where it is until the one after. Moving changes no row and no version.

use dosql_base::Result;

use super::PageWriter;
use super::path::node_of_level;
use crate::chain_io;
use crate::page::format::OVERFLOW;
use crate::{PageId, PageSnapshot, Root};

/// Where something lies too high.
#[derive(Clone, Debug)]
pub struct Misplaced {
    key: Vec<u8>,
    /// The lowest page on the way to the key that does.
    level: u8,
    /// Whether it is the key's long value.
    value: bool,
    /// How many pages moving it writes, at most.
    pub pages: usize,
}

/// What a look at a part of a tree found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In key order.
    pub misplaced: Vec<Misplaced>,
    /// How many pages were looked at.
    pub looked: usize,
    /// The key to go on from; `None` at the end of the tree.
    pub next: Option<Vec<u8>>,
}

impl PageSnapshot {
    /// Looks for pages of numbers above `limit`, from the leaf of `from` on, until `most` pages were looked at or would have to be
    /// written.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn find_above(&self, root: Root, limit: u64, from: &[u8], most: usize) -> Result<Found> {
        let mut found = Found { next: Some(from.to_vec()), ..Found::default() };
        if root.page.is_none() {
            found.next = None;
        }
        let mut cost = 0;
        while let Some(key) = found.next.take() {
            found.next = self.find_in_leaf(root, limit, key, &mut found.misplaced, &mut found.looked)?;
            cost = cost.max(found.misplaced.iter().map(|misplaced| misplaced.pages).sum());
            if found.looked.max(cost) >= most {
                break;
            }
        }
        Ok(found)
    }

    /// Looks at the way to `key` and at its leaf; returns where the next leaf begins.
    fn find_in_leaf(
        &self,
        root: Root,
        limit: u64,
        key: Vec<u8>,
        misplaced: &mut Vec<Misplaced>,
        looked: &mut usize,
    ) -> Result<Option<Vec<u8>>> {
        let (mut id, mut epoch) = (root.page.get(), root.epoch);
        let mut lowest = None;
        for level in (1..root.height).rev() {
            lowest = if id > limit { Some(level) } else { lowest };
            let page = self.inner_page(root, id, epoch)?;
            let node = node_of_level(&page, level)?;
            (id, epoch) = node.child(node.child_index(&key));
        }
        lowest = if id > limit { Some(0) } else { lowest };
        let leaf = self.image(id, epoch, false)?;
        *looked += 1;
        let node = node_of_level(&leaf, 0)?;
        let height = usize::from(root.height);
        for (at, reference) in (0..node.count()).filter_map(|at| Some((at, node.overflow(at)?))) {
            let (mut above, mut pages) = (false, 0);
            let fetch = |id, epoch| self.image(id, epoch, false);
            chain_io::walk(reference, OVERFLOW, self.pages().page_size(), fetch, |id, _, _| {
                above |= id > limit;
                pages += 1;
            })?;
            *looked += pages;
            if above {
                misplaced.push(Misplaced { key: node.key(at), level: 0, value: true, pages: pages + height });
            }
        }
        let next = node.high().map(<[u8]>::to_vec);
        if let Some(level) = lowest {
            misplaced.push(Misplaced { key, level, value: false, pages: height - usize::from(level) });
        }
        Ok(next)
    }
}

impl PageWriter<'_> {
    /// How many free numbers there are up to `limit`.
    #[must_use]
    pub fn room_below(&self, limit: u64) -> usize {
        self.state.alloc.free_up_to(limit)
    }

    /// Moves what [`PageSnapshot::find_above`] found, where it is still there, to the lowest free numbers. After `WouldBlock` the tree
    /// holds what it held; after another error roll back.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`; `Limit` where page numbers run out.
    pub fn relocate(&mut self, root: &mut Root, misplaced: &Misplaced) -> Result<()> {
        if misplaced.level >= root.height {
            return Ok(());
        }
        if !misplaced.value {
            self.locate(root, &misplaced.key, misplaced.level)?;
            return self.touch(root);
        }
        match self.get(*root, &misplaced.key)? {
            Some(entry) if !entry.is_tombstone() => {
                self.set(root, &misplaced.key, entry.version(), entry.value())?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl crate::Frozen {
    /// The highest page number that the state which this checkpoint writes has in use or free.
    #[must_use]
    pub fn last_page(&self) -> PageId {
        PageId::new(self.next - 1)
    }
}
