//! Finding the way from a root to the page to work on, and making the pages on it private.

use std::ops::Deref;

use dosql_base::{Error, Result};

use super::{PageWriter, Private};
use crate::frame::Draft;
use crate::page::format::{INNER, LEAF, PageHeader};
use crate::page::node::Node;
use crate::page::node_mut::NodeMut;
use crate::table::{Image, version_of};
use crate::{PageId, Root};
use dosql_base::Timestamp;

/// One page on the way.
pub(super) struct Step {
    pub(super) id: u64,
    pub(super) epoch: u64,
    /// The child that the way goes on to.
    pub(super) slot: usize,
    /// The published image, to which deltas may belong; `None` where the page is private.
    pub(super) image: Option<Image>,
}

/// The node in an image that should be of `level`.
pub(crate) fn node_of_level(image: &[u8], level: u8) -> Result<Node<'_>> {
    let node = Node::try_new(image).filter(|node| {
        let kind = node.header.page.kind;
        (kind == crate::page::format::LEAF || kind == crate::page::format::INNER)
            && node.header.level == level
    });
    node.ok_or_else(|| {
        let id = PageHeader::of(image).id;
        Error::corrupt(
            "a page is not of the level that its parent says; restore from a backup",
            format!("page {id}"),
        )
    })
}

/// Only a store whose pages or free list were tampered with leads here: it uses one page for two things.
#[cold]
pub(super) fn lost(id: u64) -> Error {
    Error::corrupt("a page is used for two things at once; restore from a backup", format!("page {id}"))
}

/// A page as the writer finds it.
pub(super) enum Seen<'a> {
    /// Changed in this commit.
    Private(&'a [u8]),
    /// As published.
    Shared(Image),
}

impl Deref for Seen<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Seen::Private(page) => page,
            Seen::Shared(image) => image,
        }
    }
}

impl PageWriter<'_> {
    /// A page as it is in this commit.
    pub(super) fn page(&self, id: u64, epoch: u64, touch: bool) -> Result<Seen<'_>> {
        match self.state.private.get(&id) {
            Some(private) => Ok(Seen::Private(&private.page)),
            None => Ok(Seen::Shared(self.pages.image(id, epoch, Timestamp::MAX, touch)?)),
        }
    }

    /// The newest image of a page that is not private; deltas may belong to it.
    pub(super) fn shared(&self, id: u64, epoch: u64) -> Result<Image> {
        self.pages.image_and_deltas(id, epoch, Timestamp::MAX, true)
    }

    /// The bytes of step `d`.
    #[inline]
    pub(super) fn bytes_at(&self, d: usize) -> Result<&[u8]> {
        let step = &self.state.path[d];
        match &step.image {
            Some(image) => Ok(image),
            None => Ok(&self.state.private.get(&step.id).ok_or_else(|| lost(step.id))?.page),
        }
    }

    /// The node at step `d`.
    #[inline]
    pub(super) fn node_at(&self, d: usize) -> Result<Node<'_>> {
        let kind = |node: &Node<'_>| matches!(node.header.page.kind, LEAF | INNER);
        Node::try_new(self.bytes_at(d)?).filter(kind).ok_or_else(|| lost(self.state.path[d].id))
    }

    /// The number of the last step.
    #[inline]
    pub(super) fn last(&self) -> usize {
        self.state.path.len() - 1
    }

    /// Sets the path to the page of `level` that `key` belongs to. The tree must not be empty.
    pub(super) fn locate(&mut self, root: &Root, key: &[u8], level: u8) -> Result<()> {
        self.descend(root, key, level)?;
        self.check_covers(key)
    }

    /// As [`PageWriter::locate`], without looking whether the page is the right one: that is cheaper once it was copied.
    pub(super) fn descend(&mut self, root: &Root, key: &[u8], level: u8) -> Result<()> {
        let kept = if level == 0 { self.still_right(root, key) } else { 0 };
        if kept > 0 && kept == usize::from(root.height) {
            return Ok(());
        }
        self.state.path_root = 0;
        self.state.path.truncate(kept);
        let (mut id, mut epoch) = (root.page.get(), root.epoch);
        if kept > 0 {
            (id, epoch) = self.turn(kept - 1, key)?;
        }
        for at in (level..root.height - kept as u8).rev() {
            let image = match self.state.private.contains_key(&id) {
                true => None,
                false => Some(self.shared(id, epoch)?),
            };
            self.state.path.push(Step { id, epoch, slot: 0, image });
            let d = self.last();
            node_of_level(self.bytes_at(d)?, at)?;
            if at > level {
                (id, epoch) = self.turn(d, key)?;
            }
        }
        if level == 0 {
            self.state.path_root = root.page.get();
        }
        Ok(())
    }

    /// Lets step `d` lead towards `key`; returns the child.
    fn turn(&mut self, d: usize, key: &[u8]) -> Result<(u64, u64)> {
        let node = self.node_at(d)?;
        let slot = node.child_index(key);
        let child = node.child(slot);
        self.state.path[d].slot = slot;
        Ok(child)
    }

    /// How many steps of the path of the operation before lead to `key` too.
    fn still_right(&self, root: &Root, key: &[u8]) -> usize {
        if self.state.path_root != root.page.get() {
            return 0;
        }
        let covers = |d: &usize| self.node_at(*d).is_ok_and(|node| node.covers(key));
        (0..self.state.path.len()).rev().find(covers).map_or(0, |d| d + 1)
    }

    /// Fails unless `key` belongs to the last page of the path.
    pub(super) fn check_covers(&self, key: &[u8]) -> Result<()> {
        if self.node_at(self.last())?.covers(key) {
            return Ok(());
        }
        let id = self.state.path[self.last()].id;
        let what = "a parent sends a key to a page that it does not belong to; restore from a backup";
        Err(Error::corrupt(what, format!("page {id}")))
    }

    /// Makes the last page of the path private. Where that gives it a fresh id, its ancestors get one too.
    pub(super) fn touch(&mut self, root: &mut Root) -> Result<()> {
        let current = self.state.epoch;
        for d in 0..self.state.path.len() {
            let (id, epoch) = (self.state.path[d].id, self.state.path[d].epoch);
            if epoch == current {
                continue;
            }
            if self.state.path[d].image.is_none() {
                self.state.path[d].image = Some(self.shared(id, epoch)?);
            }
            let new = self.take_id()?;
            let image = self.state.path[d].image.take().ok_or_else(|| lost(id))?;
            let since = image.version();
            let mut copy = self.pages.taken(id, image)?;
            let header = PageHeader::of_mut(&mut copy);
            header.id.set(new);
            header.epoch.set(current);
            self.state.private.insert(new, Private { page: copy, born: true });
            self.retire(id, epoch, since);
            let step = &mut self.state.path[d];
            (step.id, step.epoch, step.image) = (new, current, None);
            if d == 0 {
                (root.page, root.epoch) = (PageId::new(new), current);
                self.state.path_root = if self.state.path_root == 0 { 0 } else { new };
            } else {
                let slot = self.state.path[d - 1].slot;
                self.private_at(d - 1)?.set_child(slot, new, current);
            }
        }
        self.private_at(self.last())?;
        Ok(())
    }

    /// The page at step `d`, to change. It must have been touched in this epoch.
    pub(super) fn private_at(&mut self, d: usize) -> Result<NodeMut<'_>> {
        let pages = self.pages;
        let state = &mut *self.state;
        let step = &mut state.path[d];
        debug_assert_eq!(step.epoch, state.epoch, "a page of an older epoch is never changed");
        if let Some(image) = step.image.take() {
            let copy = pages.copied(&image)?;
            state.private.insert(step.id, Private { page: copy, born: false });
        }
        self.private(self.state.path[d].id)
    }

    /// A private page, to change.
    fn private(&mut self, id: u64) -> Result<NodeMut<'_>> {
        let private = self.state.private.get_mut(&id).ok_or_else(|| lost(id))?;
        Ok(NodeMut::new(&mut private.page))
    }

    /// Replaces the bytes of a private page; the version of the image that it stands for stays.
    pub(super) fn replace_private(&mut self, id: u64, mut page: Draft) -> Result<()> {
        let private = self.state.private.get_mut(&id).ok_or_else(|| lost(id))?;
        PageHeader::of_mut(&mut page).version.set(version_of(&private.page).as_micros());
        private.page = page;
        Ok(())
    }
}
