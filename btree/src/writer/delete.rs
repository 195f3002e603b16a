//! Deletes, and merging pages that they leave nearly empty.

use dosql_base::{Error, ErrorKind, Result};

use super::PageWriter;
use super::delta::{Wanted, is_underfull};
use super::split::join;
use crate::page::format::SLOTS_AT;
use crate::page::node::Node;
use crate::page::node_mut::Shape;
use crate::table::version_of;
use crate::{Displaced, PageId, Root, Was};

impl PageWriter<'_> {
    /// Removes the entry of `key`; returns it. After `WouldBlock` nothing has changed; after another error roll back.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn delete(&mut self, root: &mut Root, key: &[u8]) -> Result<Option<Displaced>> {
        let mut displaced = Vec::new();
        Ok(self.delete_keeping(root, key, &mut displaced)?.map(|was| was.with(displaced)))
    }

    /// As [`PageWriter::delete`]; the value of the entry is appended to `displaced`.
    ///
    /// # Errors
    /// As [`PageWriter::delete`].
    pub fn delete_keeping(
        &mut self,
        root: &mut Root,
        key: &[u8],
        displaced: &mut Vec<u8>,
    ) -> Result<Option<Was>> {
        self.take_out(root, key, Some(displaced))
    }

    /// As [`PageWriter::delete`] where nobody needs the value; returns whether there was one.
    ///
    /// # Errors
    /// As [`PageWriter::delete`].
    pub fn remove(&mut self, root: &mut Root, key: &[u8]) -> Result<bool> {
        Ok(self.take_out(root, key, None)?.is_some())
    }

    fn take_out(
        &mut self,
        root: &mut Root,
        key: &[u8],
        mut displaced: Option<&mut Vec<u8>>,
    ) -> Result<Option<Was>> {
        self.state.inserted = false;
        if root.page.is_none() {
            return Ok(None);
        }
        self.locate(root, key, 0)?;
        if let Some(was) = self.change_by_delta(key, Wanted::Nothing, displaced.as_deref_mut()) {
            root.entries = root.entries.saturating_sub(u64::from(was.is_some()));
            return Ok(was);
        }
        // Overflow pages are read before anything changes; what a delta says has none.
        let read = match self.delta_of(key) {
            Some(None) => return Ok(None),
            Some(Some(_)) => None,
            None => {
                let Ok(slot) = self.node_at(self.last())?.search(key) else { return Ok(None) };
                Some((slot, self.found(slot, displaced.as_deref_mut())?))
            }
        };
        let image = self.state.path.last().and_then(|step| step.image.as_ref());
        // Deltas that are put in place may move it.
        let stays = image.is_none_or(|image| image.deltas().is_none());
        self.touch(root)?;
        let d = self.last();
        let (slot, found) = match read {
            Some((slot, found)) if stays => (slot, found),
            read => {
                let Ok(slot) = self.node_at(d)?.search(key) else { return Ok(None) };
                (slot, read.map_or_else(|| self.found(slot, displaced), |(_, found)| Ok(found))?)
            }
        };
        self.private_at(d)?.remove(slot);
        root.entries = root.entries.saturating_sub(1);
        for (id, since) in found.chain {
            self.retire(id, found.chain_epoch, since);
        }
        self.shrink(root)?;
        Ok(Some(found.was))
    }

    /// Merges the last page of the path with a neighbour where it is nearly empty, then its parent, and so on.
    fn shrink(&mut self, root: &mut Root) -> Result<()> {
        let mut d = self.last();
        while d > 0 {
            let node = self.node_at(d)?;
            if !is_underfull(node, 0) || !self.merge(d)? {
                return Ok(());
            }
            self.state.path_root = 0;
            self.state.path.truncate(d);
            d -= 1;
        }
        self.lower_root(root)
    }

    /// Drops root pages that only lead on to one child, and the root of an empty tree.
    fn lower_root(&mut self, root: &mut Root) -> Result<()> {
        loop {
            let (id, epoch) = (root.page.get(), root.epoch);
            let page = self.page(id, epoch, true)?;
            let node = Node::new(&page);
            let next = match (node.is_leaf(), node.count()) {
                (true, 0) => Root::EMPTY,
                (false, 1) => {
                    let (page, epoch) = node.child(0);
                    Root { page: PageId::new(page), epoch, height: root.height - 1, ..*root }
                }
                _ => return Ok(()),
            };
            let since = version_of(&page);
            drop(page);
            self.state.forget_path();
            self.retire(id, epoch, since);
            *root = next;
            if root.page.is_none() {
                return Ok(());
            }
        }
    }

    /// Merges the page at step `d` with a neighbour under the same parent. False where none has room for it.
    fn merge(&mut self, d: usize) -> Result<bool> {
        let slot = self.state.path[d - 1].slot;
        let children = self.node_at(d - 1)?.count();
        for other in
            [Some(slot + 1).filter(|&next| next < children), slot.checked_sub(1)].into_iter().flatten()
        {
            let (id, epoch) = self.node_at(d - 1)?.child(other);
            if self.merge_with(d, other, (id, epoch))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Merges the page at step `d` with its neighbour in slot `other` of the parent, where both fit one page well.
    fn merge_with(&mut self, d: usize, other: usize, (id, epoch): (u64, u64)) -> Result<bool> {
        let slot = self.state.path[d - 1].slot;
        let (own_id, current) = (self.state.path[d].id, self.state.epoch);
        let own = self.node_at(d)?;
        let page = match self.page(id, epoch, true) {
            Ok(page) => page,
            // Merging saves space; it is not worth waiting for.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let neighbour = super::path::node_of_level(&page, own.header.level)?;
        let tiny = own.count() <= 1 || neighbour.count() <= 1;
        let together = own.used() + neighbour.used() - SLOTS_AT;
        let most = self.pages.page_size / 4 * if tiny { 4 } else { 3 };
        if together > most {
            return Ok(false);
        }
        let (left, right) = if other > slot { (own, neighbour) } else { (neighbour, own) };
        if left.high() != Some(right.low()) {
            let what = "two neighbouring pages do not meet at a fence; restore from a backup";
            return Err(Error::corrupt(what, format!("page {id}")));
        }
        let shape = Shape {
            id: own_id,
            epoch: current,
            level: own.header.level,
            base: left.header.base.get(),
            low: left.low(),
            high: right.high(),
        };
        let mut joined = self.pages.table.buffer();
        if !join(&mut joined, shape, left, right) {
            return Ok(false);
        }
        // The page at step `d` was touched in this epoch, so it can take the place of both.
        let since = version_of(&page);
        drop(page);
        self.replace_private(own_id, joined)?;
        self.retire(id, epoch, since);
        let mut parent = self.private_at(d - 1)?;
        if other > slot {
            parent.remove(other);
        } else {
            // The first child has no key, so the left slot stays and takes over the page on its right.
            parent.set_child(other, own_id, current);
            parent.remove(slot);
        }
        Ok(true)
    }
}
