//! Finding what has changed since a checkpoint without reading what has not: whoever refers to a page names its epoch, and that of an inner
//! page is at least those of all below it.

use std::ops::ControlFlow;

use dosql_base::Result;

use crate::writer::node_of_level;
use crate::{PageSnapshot, Root};

/// Where a leaf begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLeaf {
    /// Its keys are at or above this.
    pub low: Vec<u8>,
    /// And below this, if there is an end.
    pub high: Option<Vec<u8>>,
}

/// A leaf, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafAge<'l> {
    /// Its keys are at or above this.
    pub low: &'l [u8],
    /// And below this, if there is an end.
    pub high: Option<&'l [u8]>,
    /// The number of the checkpoint that wrote it, or will.
    pub epoch: u64,
}

/// Who is shown leaves, and may stop that.
type ShowLeaf<'f> = dyn FnMut(LeafAge<'_>) -> ControlFlow<()> + 'f;

impl PageSnapshot {
    /// Shows the leaves with keys at or above `from`, in the order of their keys, until `show` breaks off. Reads the inner pages above them, and no leaf.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn leaf_ages(&self, root: Root, from: &[u8], show: &mut ShowLeaf<'_>) -> Result<()> {
        if root.is_empty() {
            return Ok(());
        }
        let place = (root.page.get(), root.epoch, root.height - 1);
        self.ages_below(root, place, from, (&[], None), show).map(|_| ())
    }

    /// As [`PageSnapshot::leaf_ages`], below a page with these bounds.
    fn ages_below(
        &self,
        root: Root,
        (id, epoch, level): (u64, u64, u8),
        from: &[u8],
        (low, high): (&[u8], Option<&[u8]>),
        show: &mut ShowLeaf<'_>,
    ) -> Result<ControlFlow<()>> {
        if level == 0 {
            return Ok(show(LeafAge { low, high, epoch }));
        }
        let page = self.inner_page(root, id, epoch)?;
        let node = node_of_level(&page, level)?;
        let first = if from > low { node.child_index(from) } else { 0 };
        for slot in first..node.count() {
            let (child, written) = node.child(slot);
            let least = if slot == 0 { low.to_vec() } else { node.key(slot) };
            let next = (slot + 1 < node.count()).then(|| node.key(slot + 1));
            let below = (least.as_slice(), next.as_deref().or(high));
            if self.ages_below(root, (child, written, level - 1), from, below, show)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The first leaf with keys at or above `from` that was written after the checkpoint of this number, or will be. Reads the inner pages on
    /// the way to it, and none whose leaves are all older.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn changed_leaf(&self, root: Root, epoch: u64, from: &[u8]) -> Result<Option<ChangedLeaf>> {
        if root.is_empty() {
            return Ok(None);
        }
        let place = (root.page.get(), root.epoch, root.height - 1);
        self.changed_below(root, place, epoch, from, ChangedLeaf { low: Vec::new(), high: None })
    }

    /// As [`PageSnapshot::changed_leaf`], below a page with these bounds. Goes no deeper than the tree is high.
    fn changed_below(
        &self,
        root: Root,
        (id, written, level): (u64, u64, u8),
        epoch: u64,
        from: &[u8],
        bounds: ChangedLeaf,
    ) -> Result<Option<ChangedLeaf>> {
        if written <= epoch {
            return Ok(None);
        }
        if level == 0 {
            return Ok(Some(bounds));
        }
        let page = self.inner_page(root, id, written)?;
        let node = node_of_level(&page, level)?;
        let first = if from > bounds.low.as_slice() { node.child_index(from) } else { 0 };
        for slot in first..node.count() {
            let (child, written) = node.child(slot);
            if written <= epoch {
                continue;
            }
            let low = if slot == 0 { bounds.low.clone() } else { node.key(slot) };
            let high = if slot + 1 < node.count() { Some(node.key(slot + 1)) } else { bounds.high.clone() };
            let below = ChangedLeaf { low, high };
            let found = self.changed_below(root, (child, written, level - 1), epoch, from, below)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
