//! About how many entries lie between two keys, at the cost of two descents.

use dosql_base::Result;

use crate::page::node::Node;
use crate::writer::node_of_level;
use crate::{PageSnapshot, Root};

/// Children of a root that are weighed.
const WEIGHED: usize = 16;

/// One page on the way to a key.
struct Step {
    id: u64,
    slot: usize,
    count: usize,
}

impl PageSnapshot {
    /// About how many entries lie in `start <= key < end`: exact where both lie on one leaf, else from the places of the
    /// two ways among the children of each page, as if all subtrees of a level were equally full (but for those of a root with few
    /// children, which are weighed).
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
        let weights = self.weights(root)?;
        let share = place(&high, &weights) - place(&low, &weights);
        Ok(((share * root.entries() as f64).round() as u64).clamp(1, root.entries()))
    }

    /// Which share of the tree lies before each child of its root, and before its end, by the numbers of their own children; empty where
    /// there are too many of them to differ much together.
    fn weights(&self, root: Root) -> Result<Vec<f64>> {
        let image = self.image(root.page().get(), root.epoch(), true)?;
        let node: Node<'_> = node_of_level(&image, root.height() - 1)?;
        if root.height() < 3 || node.count() > WEIGHED {
            return Ok(Vec::new());
        }
        let (mut before, mut sum) = (vec![0.0], 0.0);
        for (id, epoch) in (0..node.count()).map(|slot| node.child(slot)) {
            let child = self.image(id, epoch, true)?;
            sum += node_of_level(&child, root.height() - 2)?.count() as f64;
            before.push(sum);
        }
        before.iter_mut().for_each(|share| *share /= sum.max(1.0));
        Ok(before)
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

/// Which share of the tree lies before the way, where `weights` say so of the root's children.
fn place(steps: &[Step], weights: &[f64]) -> f64 {
    let (mut place, mut width) = (0.0, 1.0);
    let mut steps = steps.iter();
    if let Some([before, after]) = steps.clone().next().and_then(|root| weights.get(root.slot..root.slot + 2))
    {
        (place, width) = (*before, after - before);
        steps.next();
    }
    for step in steps {
        let count = step.count.max(1) as f64;
        place += width * step.slot as f64 / count;
        width /= count;
    }
    place
}
