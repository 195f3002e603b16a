//! A cursor goes both ways over one tree at one snapshot.
//!
//! It holds the image of its leaf, and those of the pages above it once it has moved to another leaf: most that are put
//! somewhere end in the leaf where they began. A move first finds the whole new way, reading pages as
//! needed, and only then gives up the old one: so an error leaves it where it stood.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use dosql_base::{Error, Result, Timestamp};
use smallvec::SmallVec;

use crate::page::format::PageHeader;
use crate::page::leaf::{Kind, OverflowRef};
use crate::page::node::{KeyBuffer, Node};
use crate::table::Image;
use crate::writer::node_of_level;
use crate::{Item, PageSnapshot, Root};

/// One page on the way, and the slot that the way takes in it.
#[derive(Clone)]
struct Step {
    image: Image,
    slot: usize,
}

type Steps = SmallVec<[Step; 6]>;

/// A scan lets so many entries come near before it shows them: they lie in the leaf in no order.
const AHEAD: usize = 4;

/// Which child or entry to take on the way down.
#[derive(Clone, Copy)]
enum Aim<'k> {
    /// The first.
    First,
    /// The last.
    Last,
    /// Towards a key: the slot of the first entry at or after it.
    Key(&'k [u8]),
}

impl Aim<'_> {
    #[inline]
    fn child(self, node: &Node<'_>) -> usize {
        match self {
            Aim::First => 0,
            Aim::Last => node.count().saturating_sub(1),
            Aim::Key(key) => node.child_index(key),
        }
    }

    #[inline]
    fn entry(self, node: &Node<'_>) -> usize {
        match self {
            Aim::First => 0,
            Aim::Last => node.count().saturating_sub(1),
            Aim::Key(key) => node.search_inside(key).unwrap_or_else(|slot| slot),
        }
    }
}

/// Which way a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Towards higher keys.
    Up,
    /// Towards lower keys.
    Down,
}

/// Why [`Cursor::visit`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The visitor said so.
    Broke,
    /// There is nothing further before the bound.
    Bound,
}

/// Goes over a tree in key order, both ways. Owns what it needs, so it may outlive the snapshot it came from. After an
/// error (`WouldBlock` too) it stands where it stood, and the same call may be made again.
pub struct Cursor {
    snapshot: PageSnapshot,
    root: Root,
    /// Root to leaf, or the leaf alone; empty while it is not positioned.
    steps: Steps,
    key: KeyBuffer,
    version: Timestamp,
    kind: Kind,
    /// Where the bytes of the entry lie in the leaf.
    start: usize,
    len: usize,
    long: OnceCell<Vec<u8>>,
    /// A visit has shown the entry, but could not read the page after it.
    passed: bool,
}

impl Cursor {
    pub(crate) fn new(snapshot: PageSnapshot, root: Root) -> Self {
        Cursor {
            snapshot,
            root,
            steps: Steps::new(),
            key: KeyBuffer::new(),
            version: Timestamp::ZERO,
            kind: Kind::Inline,
            start: 0,
            len: 0,
            long: OnceCell::new(),
            passed: false,
        }
    }

    /// Goes on to another tree of the same version; not positioned then.
    pub fn reset(&mut self, root: Root) {
        self.root = root;
        self.unset();
    }

    /// The snapshot that it reads.
    #[must_use]
    pub fn snapshot(&self) -> &PageSnapshot {
        &self.snapshot
    }

    fn unset(&mut self) {
        self.steps.clear();
        self.key.clear();
        self.passed = false;
    }

    /// The way from page `id` of `level` down to a leaf.
    fn descend(&self, way: &mut Steps, id: u64, epoch: u64, level: u8, aim: Aim<'_>) -> Result<()> {
        let (mut id, mut epoch) = (id, epoch);
        for level in (0..=level).rev() {
            let image = match level {
                0 => self.snapshot.image(id, epoch, false)?,
                _ => self.snapshot.inner_page(self.root, id, epoch)?.into_image(),
            };
            let node = node_of_level(&image, level)?;
            let slot = if level > 0 { aim.child(&node) } else { aim.entry(&node) };
            if level > 0 {
                (id, epoch) = node.child(slot);
            }
            way.push(Step { image, slot });
        }
        Ok(())
    }

    /// The leaf that `aim` leads to.
    fn leaf(&self, aim: Aim<'_>) -> Result<Step> {
        let (mut id, mut epoch) = (self.root.page.get(), self.root.epoch);
        for level in (1..self.root.height).rev() {
            let page = self.snapshot.inner_page(self.root, id, epoch)?;
            let node = node_of_level(&page, level)?;
            (id, epoch) = node.child(aim.child(&node));
        }
        // Where a seek ends is looked for again rather than what a scan comes by.
        let image = self.snapshot.image(id, epoch, matches!(aim, Aim::Key(_)))?;
        let slot = aim.entry(&node_of_level(&image, 0)?);
        Ok(Step { image, slot })
    }

    /// All of the way from the root to a leaf and the place in it.
    fn whole_way(&self, leaf: &Step) -> Result<Steps> {
        let low = Node::new(&leaf.image).low();
        let mut way = Steps::new();
        let (mut id, mut epoch) = (self.root.page.get(), self.root.epoch);
        for level in (1..self.root.height).rev() {
            let image = self.snapshot.inner_page(self.root, id, epoch)?.into_image();
            let node = node_of_level(&image, level)?;
            let slot = node.child_index(low);
            (id, epoch) = node.child(slot);
            way.push(Step { image, slot });
        }
        if id != PageHeader::of(&leaf.image).id.get() {
            let what = "the pages above a leaf do not lead to it by its fence; restore from a backup";
            return Err(Error::corrupt(what, format!("page {id}")));
        }
        way.push(leaf.clone());
        Ok(way)
    }

    /// The way to the leaf after (or before) the one that `way` ends at; empty where there is none.
    fn neighbour(&self, way: &Steps, forward: bool) -> Result<Steps> {
        let whole;
        let way = match way.as_slice() {
            [leaf] if self.root.height > 1 => {
                whole = self.whole_way(leaf)?;
                &whole
            }
            _ => way,
        };
        for depth in (0..way.len().saturating_sub(1)).rev() {
            let node = Node::new(&way[depth].image);
            let slot = way[depth].slot;
            let next = match forward {
                true => Some(slot + 1).filter(|&next| next < node.count()),
                false => slot.checked_sub(1),
            };
            let Some(next) = next else { continue };
            let (id, epoch) = node.child(next);
            let mut found: Steps = way[..=depth].iter().cloned().collect();
            found[depth].slot = next;
            let level = (way.len() - depth - 2) as u8;
            self.descend(&mut found, id, epoch, level, if forward { Aim::First } else { Aim::Last })?;
            return Ok(found);
        }
        Ok(Steps::new())
    }

    /// Moves to the next leaf under the same parent, in place; false where there is none, or where it is empty.
    fn hop(&mut self, forward: bool) -> Result<bool> {
        if let [leaf] = self.steps.as_slice()
            && self.root.height > 1
        {
            self.steps = self.whole_way(leaf)?;
        }
        let [.., parent, leaf] = self.steps.as_mut_slice() else { return Ok(false) };
        let node = Node::new(&parent.image);
        let next = match forward {
            true => Some(parent.slot + 1).filter(|&next| next < node.count()),
            false => parent.slot.checked_sub(1),
        };
        let Some(next) = next else { return Ok(false) };
        let (id, epoch) = node.child(next);
        let image = self.snapshot.image(id, epoch, false)?;
        let Some(last) = node_of_level(&image, 0)?.count().checked_sub(1) else { return Ok(false) };
        parent.slot = next;
        *leaf = Step { image, slot: if forward { 0 } else { last } };
        self.load();
        Ok(true)
    }

    /// Takes `way`, or the way to the next leaf in the direction that has an entry.
    fn settle(&mut self, mut way: Steps, forward: bool) -> Result<bool> {
        while let Some(step) = way.last() {
            if step.slot < Node::new(&step.image).count() {
                self.steps = way;
                self.load();
                return Ok(true);
            }
            way = self.neighbour(&way, forward)?;
        }
        self.unset();
        Ok(false)
    }

    /// Reads the entry that the way ends at.
    #[inline]
    fn load(&mut self) {
        let Some(step) = self.steps.last() else { return };
        self.passed = false;
        let node = Node::new(&step.image);
        node.set_key(step.slot, &mut self.key);
        let value = node.leaf_value(step.slot);
        self.version = value.version;
        self.kind = value.kind;
        self.start = step.image.len() - node.payload(step.slot).len() + value.start;
        self.len = value.bytes.len();
        if self.long.get().is_some() {
            self.long = OnceCell::new();
        }
    }

    fn start(&mut self, aim: Aim<'_>, forward: bool) -> Result<bool> {
        if self.root.page.is_none() {
            self.unset();
            return Ok(false);
        }
        let way = Steps::from_iter([self.leaf(aim)?]);
        self.settle(way, forward)
    }

    /// To the first entry at or after `key`; false (and not positioned) where there is none.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`; so for every move.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        if let Some(step) = self.steps.last_mut() {
            let node = Node::new(&step.image);
            if node.covers(key)
                && let slot = node.search(key).unwrap_or_else(|slot| slot)
                && slot < node.count()
            {
                step.slot = slot;
                self.load();
                return Ok(true);
            }
        }
        self.start(Aim::Key(key), true)
    }

    /// To the last entry at or before `key`; false (and not positioned) where there is none.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        if self.root.page.is_none() {
            self.unset();
            return Ok(false);
        }
        let mut way = Steps::from_iter([self.leaf(Aim::Key(key))?]);
        if let Some(step) = way.last_mut() {
            let node = Node::new(&step.image);
            match node.search(key) {
                Ok(_) => {}
                Err(0) => way = self.neighbour(&way, false)?,
                Err(slot) => step.slot = slot - 1,
            }
        }
        self.settle(way, false)
    }

    /// To the first entry.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn seek_first(&mut self) -> Result<bool> {
        self.start(Aim::First, true)
    }

    /// To the last entry.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn seek_last(&mut self) -> Result<bool> {
        self.start(Aim::Last, false)
    }

    /// To the next entry; false (and no longer positioned) at the end, or where it was not positioned.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<bool> {
        let Some(step) = self.steps.last_mut() else { return Ok(false) };
        if step.slot + 1 < Node::new(&step.image).count() {
            step.slot += 1;
            self.load();
            return Ok(true);
        }
        if self.hop(true)? {
            return Ok(true);
        }
        let way = self.neighbour(&self.steps, true)?;
        self.settle(way, true)
    }

    /// To the previous entry; false (and no longer positioned) at the start, or where it was not positioned.
    ///
    /// # Errors
    /// As [`Cursor::seek`].
    pub fn prev(&mut self) -> Result<bool> {
        let Some(step) = self.steps.last_mut() else { return Ok(false) };
        if step.slot > 0 {
            step.slot -= 1;
            self.load();
            return Ok(true);
        }
        if self.hop(false)? {
            return Ok(true);
        }
        let way = self.neighbour(&self.steps, false)?;
        self.settle(way, false)
    }

    /// Whether it stands on an entry.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The whole key of the entry; empty where it is not positioned.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The version of the entry.
    #[must_use]
    pub fn version(&self) -> Timestamp {
        self.version
    }

    /// Whether the entry is a tombstone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.is_valid() && self.kind == Kind::Tombstone
    }

    /// The value of the entry, lent from its leaf; one in overflow pages is assembled on first use. Empty where it is
    /// not positioned.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io` while reading overflow pages.
    pub fn value(&self) -> Result<&[u8]> {
        let Some(step) = self.steps.last() else { return Ok(&[]) };
        let bytes = &step.image[self.start..self.start + self.len];
        if self.kind != Kind::Overflow {
            return Ok(bytes);
        }
        if let Some(long) = self.long.get() {
            return Ok(long);
        }
        let long = match OverflowRef::from_bytes(bytes) {
            Some(reference) => self.snapshot.overflow(reference)?,
            None => Vec::new(),
        };
        Ok(self.long.get_or_init(|| long))
    }

    /// Shows the entries from the current one on to `visit`, until it answers `Break`, on whose entry the cursor stays, or the next
    /// one is past `bound`, where it stays too, or there is none. Upwards `bound` is the first key that is past it, downwards the
    /// last that is not.
    ///
    /// # Errors
    /// As for every move; [`Cursor::was_shown`] tells whether the cursor then stands on the last entry shown or on the next. Calling
    /// it again goes on behind what was shown.
    pub fn visit<F>(&mut self, way: Way, bound: Option<&[u8]>, mut visit: F) -> Result<Stop>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        if self.passed {
            self.advance(way)?;
        }
        while self.is_valid() {
            if let Some(stop) = self.visit_leaf(way, bound, &mut visit)? {
                return Ok(stop);
            }
            self.passed = true;
            self.advance(way)?;
        }
        Ok(Stop::Bound)
    }

    /// Whether a visit that failed has shown the current entry.
    #[must_use]
    pub fn was_shown(&self) -> bool {
        self.passed
    }

    fn advance(&mut self, way: Way) -> Result<bool> {
        match way {
            Way::Up => self.next(),
            Way::Down => self.prev(),
        }
    }

    /// Visits entries of the current leaf and stays on the last one shown, or on the first past the bound; `None` at the end of the
    /// leaf.
    fn visit_leaf<F>(&mut self, way: Way, bound: Option<&[u8]>, visit: &mut F) -> Result<Option<Stop>>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let Some(step) = self.steps.last() else { return Ok(Some(Stop::Bound)) };
        let image = step.image.clone();
        let node = Node::new(&image);
        let from = step.slot;
        let inside = node.inside(way, bound);
        let mut key = KeyBuffer::new();
        let mut slot = from;
        while inside.contains(&slot) {
            let ahead = if way == Way::Up { slot + AHEAD } else { slot.wrapping_sub(AHEAD) };
            if let Some(ahead) = node.slots.get(ahead) {
                node.prefetch(ahead);
            }
            let len = node.write_key(slot, &mut key);
            let value = node.leaf_value(slot);
            let long;
            let mut bytes = value.bytes;
            if value.kind == Kind::Overflow {
                self.place(slot);
                long = self.value()?;
                bytes = long;
            }
            let tombstone = value.kind == Kind::Tombstone;
            let item = Item { key: &key[..len], version: value.version, value: bytes, tombstone };
            if visit(item).is_break() {
                self.place(slot);
                return Ok(Some(Stop::Broke));
            }
            // Below the first slot it wraps around to where there is none.
            slot = if way == Way::Up { slot + 1 } else { slot.wrapping_sub(1) };
        }
        if slot < node.count() {
            self.place(slot);
            return Ok(Some(Stop::Bound));
        }
        let last = if way == Way::Up { node.count() - 1 } else { 0 };
        self.place(last);
        Ok(None)
    }

    fn place(&mut self, slot: usize) {
        if let Some(step) = self.steps.last_mut() {
            step.slot = slot;
        }
        self.load();
    }
}
