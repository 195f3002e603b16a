//! About how many entries lie between two keys, at the cost of two descents.

use dosql_base::Result;

use crate::page::node::Node;
use crate::writer::node_of_level;
use crate::{PageSnapshot, Root};

/// One page on the way to a key.
struct Step {
    id: u64,
    slot: usize,
    count: usize,
}

impl PageSnapshot {
    /// About how many entries lie in `start <= key < end`: exact where both lie on one leaf, else from the places of the
    /// two ways among the children of each page, as if all subtrees of a level were equally full.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn estimate(&self, root: Root, start: &[u8], end: &[u8]) -> Result<u64> {
        if root.is_empty() || start >= end {
            return Ok(0);
        }
        let (low, high) = (self.steps(root, start)?, self.steps(root, end)?);
        if let (Some(low), Some(high)) = (low.last(), high.last())
            && low.id == high.id
        {
            return Ok(high.slot.saturating_sub(low.slot) as u64);
        }
        let share = place(&high) - place(&low);
        Ok(((share * root.entries() as f64).round() as u64).clamp(1, root.entries()))
    }

    fn steps(&self, root: Root, key: &[u8]) -> Result<Vec<Step>> {
        let mut steps = Vec::with_capacity(usize::from(root.height()));
        let (mut id, mut epoch) = (root.page().get(), root.epoch());
        for level in (0..root.height()).rev() {
            let image = self.image(id, epoch, true)?;
            let node: Node<'_> = node_of_level(&image, level)?;
            let slot = match level {
                0 => node.search(key).unwrap_or_else(|slot| slot),
                _ => node.child_index(key),
            };
            steps.push(Step { id, slot, count: node.count() });
            if level > 0 {
                (id, epoch) = node.child(slot);
            }
        }
        Ok(steps)
    }
}

/// Which share of the tree lies before the way.
fn place(steps: &[Step]) -> f64 {
    let (mut place, mut width) = (0.0, 1.0);
    for step in steps {
        let count = step.count.max(1) as f64;
        place += width * step.slot as f64 / count;
        width /= count;
    }
    place
}
