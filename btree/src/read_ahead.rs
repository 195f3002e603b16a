//! Bringing the leaves of keys into memory before the writer comes for them.

use dosql_base::Result;
use foldhash::fast::FixedState;
use hashbrown::HashSet;

use crate::writer::node_of_level;
use crate::{PageSnapshot, Root};

/// Reads leaves as of a snapshot, each once. Meant for a thread beside the one that writes: the first change of a page after a checkpoint takes
/// the memory of the clean page, so that a page is not wanted again from the store.
pub struct ReadAhead {
    snapshot: PageSnapshot,
    seen: HashSet<u64, FixedState>,
}

impl ReadAhead {
    /// Of trees as `snapshot` has them.
    #[must_use]
    pub fn new(snapshot: PageSnapshot) -> ReadAhead {
        ReadAhead { snapshot, seen: HashSet::default() }
    }

    /// Brings the leaf that `key` belongs to into memory, unless this has read it before.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn leaf_of(&mut self, root: Root, key: &[u8]) -> Result<()> {
        if root.page.is_none() {
            return Ok(());
        }
        let (mut id, mut epoch) = (root.page.get(), root.epoch);
        for level in (1..root.height).rev() {
            let page = self.snapshot.inner_page(root, id, epoch)?;
            let node = node_of_level(&page, level)?;
            (id, epoch) = node.child(node.child_index(key));
        }
        if self.seen.insert(id) {
            self.snapshot.image_and_deltas(id, epoch)?;
        }
        Ok(())
    }
}
