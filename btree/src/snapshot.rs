//! Reads of trees at a pinned version.
//!
//! What a snapshot sees never changes, so it may keep the inner pages that it comes by often: the root at once, others
//! once it has read enough for that to pay. A get then goes to the page table for its leaf alone.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use dosql_base::sync::atomic::{AtomicU32, Ordering};
use dosql_base::{Result, Timestamp};

use crate::chain_io;
use crate::deltas::Delta;
use crate::entry::Value;
use crate::page::format::{OVERFLOW, PageHeader};
use crate::page::leaf::{Kind, OverflowRef};
use crate::page::node::{KeyBuffer, Node};
use crate::table::Image;
use crate::writer::node_of_level;
use crate::{Cursor, Entry, Pages, Root};

/// A snapshot keeps an inner page for so many entries of the tree: some times what there are.
const ENTRIES_PER_KEPT: u64 = 2048;
/// At most this part of the cache is inner pages that a snapshot keeps.
const KEPT_PART: usize = 16;
/// After how many inner pages read it starts to keep them.
const KEEP_AFTER: u32 = 64;

/// A pinned version: every page stays readable as it was then until the last clone is dropped. Read only trees whose
/// [`Root`] belongs to that version. Cheap to clone.
#[derive(Clone)]
pub struct PageSnapshot {
    inner: Arc<Pinned>,
}

struct Pinned {
    pages: Arc<Pages>,
    version: Timestamp,
    root: OnceLock<Image>,
    inner_reads: AtomicU32,
    kept: OnceLock<Box<[OnceLock<Image>]>>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.pages.unpin(self.version);
    }
}

/// The leaf that [`PageSnapshot::get_near`] looked into last.
#[derive(Default)]
pub struct Near(Option<Image>);

/// An image that the snapshot keeps, or one of its own.
pub(crate) enum Lent<'a> {
    Kept(&'a Image),
    Own(Image),
}

impl Lent<'_> {
    /// An image of its own.
    pub(crate) fn into_image(self) -> Image {
        match self {
            Lent::Kept(image) => image.clone(),
            Lent::Own(image) => image,
        }
    }
}

impl Deref for Lent<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Lent::Kept(image) => image,
            Lent::Own(image) => image,
        }
    }
}

/// What the deltas of a leaf, as seen at `version`, say about `key`; `None` where they say nothing.
#[inline]
pub(crate) fn delta_entry(
    leaf: &Image,
    node: Node<'_>,
    key: &[u8],
    version: Timestamp,
) -> Option<Option<Entry>> {
    let deltas = leaf.deltas()?;
    let tail = key.get(node.prefix_len()..).unwrap_or_default();
    Some(match deltas.find(tail, version, node.header.base.get())? {
        Delta::Gone => None,
        Delta::Entry(found, at) => {
            let (start, len) = ((at + found.start) as u32, found.bytes.len() as u32);
            let value = Value::Delta { leaf: leaf.clone(), start, len };
            Some(Entry { version: found.version, tombstone: found.kind == Kind::Tombstone, value })
        }
    })
}

#[inline]
fn is(image: &[u8], id: u64, epoch: u64) -> bool {
    let header = PageHeader::of(image);
    header.id.get() == id && header.epoch.get() == epoch
}

impl PageSnapshot {
    /// A snapshot of `version`, which the caller has pinned.
    pub(crate) fn new(pages: Arc<Pages>, version: Timestamp) -> Self {
        let inner = Pinned {
            pages,
            version,
            root: OnceLock::new(),
            inner_reads: AtomicU32::new(0),
            kept: OnceLock::new(),
        };
        PageSnapshot { inner: Arc::new(inner) }
    }

    /// The pinned version.
    #[must_use]
    pub fn version(&self) -> Timestamp {
        self.inner.version
    }

    /// The page table it belongs to.
    #[must_use]
    pub fn pages(&self) -> &Arc<Pages> {
        &self.inner.pages
    }

    /// A page as of this version.
    #[inline]
    pub(crate) fn image(&self, id: u64, epoch: u64, touch: bool) -> Result<Image> {
        self.inner.pages.image(id, epoch, self.inner.version, touch)
    }

    /// As [`PageSnapshot::image`], where the caller looks at the deltas of a leaf itself.
    #[inline]
    pub(crate) fn image_and_deltas(&self, id: u64, epoch: u64) -> Result<Image> {
        self.inner.pages.image_and_deltas(id, epoch, self.inner.version, true)
    }

    /// A page above the leaves as of this version.
    #[inline]
    pub(crate) fn inner_page(&self, root: Root, id: u64, epoch: u64) -> Result<Lent<'_>> {
        if let Some(image) = self.inner.root.get()
            && is(image, id, epoch)
        {
            return Ok(Lent::Kept(image));
        }
        let kept = self.inner.kept.get().map(|kept| &kept[id as usize & (kept.len() - 1)]);
        if let Some(image) = kept.and_then(OnceLock::get)
            && is(image, id, epoch)
        {
            return Ok(Lent::Kept(image));
        }
        let image = self.image(id, epoch, true)?;
        if let Some(kept) = kept {
            let _ = kept.set(image.clone());
        } else {
            let _ = self.inner.root.set(image.clone());
            if self.inner.inner_reads.fetch_add(1, Ordering::Relaxed) == KEEP_AFTER {
                let _ = self.inner.kept.set((0..self.room_for(root)).map(|_| OnceLock::new()).collect());
            }
        }
        Ok(Lent::Own(image))
    }

    /// How many inner pages are worth keeping; a power of two.
    fn room_for(&self, root: Root) -> usize {
        let most = (self.inner.pages.table.budget() / KEPT_PART).next_power_of_two();
        ((root.entries / ENTRIES_PER_KEPT) as usize).next_power_of_two().clamp(8, most.max(8))
    }

    /// The leaf that `key` belongs to, in a tree that is not empty; deltas may belong to it.
    #[inline]
    fn leaf(&self, root: Root, key: &[u8]) -> Result<Image> {
        let (mut id, mut epoch) = (root.page.get(), root.epoch);
        for level in (1..root.height).rev() {
            let page = self.inner_page(root, id, epoch)?;
            let node = node_of_level(&page, level)?;
            (id, epoch) = node.child(node.child_index(key));
        }
        self.image_and_deltas(id, epoch)
    }

    /// The entry of `key`, tombstones included.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn get(&self, root: Root, key: &[u8]) -> Result<Option<Entry>> {
        if root.page.is_none() {
            return Ok(None);
        }
        self.entry_in(self.leaf(root, key)?, key)
    }

    /// As [`PageSnapshot::get`], looking first into the leaf of the key before, and leaving this key's there: ascending keys that
    /// lie close together go down the tree once a leaf. One `near` serves one tree.
    ///
    /// # Errors
    /// As [`PageSnapshot::get`].
    pub fn get_near(&self, root: Root, key: &[u8], near: &mut Near) -> Result<Option<Entry>> {
        if root.page.is_none() {
            return Ok(None);
        }
        let leaf = match near.0.take().filter(|leaf| Node::new(leaf).covers(key)) {
            Some(leaf) => leaf,
            None => {
                let leaf = self.leaf(root, key)?;
                node_of_level(&leaf, 0)?;
                leaf
            }
        };
        near.0 = Some(leaf.clone());
        self.entry_in(leaf, key)
    }

    /// As [`PageSnapshot::leaf`], its deltas in place.
    fn leaf_with_deltas(&self, root: Root, key: &[u8]) -> Result<Image> {
        self.inner.pages.with_deltas(self.leaf(root, key)?, self.inner.version)
    }

    /// The first entry at or after `key`, tombstones included, if its key begins with `prefix`.
    ///
    /// # Errors
    /// As [`PageSnapshot::get`].
    pub fn first_from(&self, root: Root, key: &[u8], prefix: &[u8]) -> Result<Option<Entry>> {
        if root.page.is_none() {
            return Ok(None);
        }
        let (mut leaf, mut found) = (self.leaf_with_deltas(root, key)?, KeyBuffer::new());
        let mut slot = node_of_level(&leaf, 0)?.search_inside(key).unwrap_or_else(|slot| slot);
        loop {
            let node = Node::new(&leaf);
            if slot < node.count() {
                node.set_key(slot, &mut found);
                return if found.starts_with(prefix) {
                    self.entry_at(leaf, slot).map(Some)
                } else {
                    Ok(None)
                };
            }
            // The next leaf begins at the fence of this one.
            let next = node.high().filter(|high| *high < prefix || high.starts_with(prefix));
            let Some(next) = next.map(<[u8]>::to_vec) else { return Ok(None) };
            leaf = self.leaf_with_deltas(root, &next)?;
            slot = node_of_level(&leaf, 0)?.search_inside(&next).unwrap_or_else(|slot| slot);
        }
    }

    /// The entry of `key` in the leaf that it belongs to.
    #[inline]
    fn entry_in(&self, leaf: Image, key: &[u8]) -> Result<Option<Entry>> {
        let node = node_of_level(&leaf, 0)?;
        if let Some(found) = delta_entry(&leaf, node, key, self.inner.version) {
            return Ok(found);
        }
        let Ok(slot) = node.search_inside(key) else { return Ok(None) };
        self.entry_at(leaf, slot).map(Some)
    }

    #[inline]
    fn entry_at(&self, leaf: Image, slot: usize) -> Result<Entry> {
        let node = Node::new(&leaf);
        let found = node.leaf_value(slot);
        let (version, tombstone) = (found.version, found.kind == Kind::Tombstone);
        let value = match OverflowRef::from_bytes(found.bytes).filter(|_| found.kind == Kind::Overflow) {
            Some(reference) => Value::Owned(self.overflow(reference)?.into()),
            None => {
                let start = leaf.len() - node.payload(slot).len() + found.start;
                let len = found.bytes.len() as u32;
                Value::Leaf { leaf, start: start as u32, len }
            }
        };
        Ok(Entry { version, tombstone, value })
    }

    /// The bytes of a long value.
    pub(crate) fn overflow(&self, reference: OverflowRef) -> Result<Vec<u8>> {
        let fetch = |id, epoch| self.image(id, epoch, false);
        chain_io::read(reference, OVERFLOW, self.inner.pages.page_size, fetch)
    }

    /// A cursor over the tree, not positioned yet.
    #[must_use]
    pub fn cursor(&self, root: Root) -> Cursor {
        Cursor::new(self.clone(), root)
    }
}
