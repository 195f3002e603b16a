//! Asking for the memory of leaves that the next changes will come to: each is waited for several times as long as it is worked on.

use super::PageWriter;
use crate::page::format::INNER;
use crate::page::node::Node;

/// How many changes go by between asking where a leaf is and asking for the leaf.
const BETWEEN: usize = 4;
/// How many changes ahead [`PageWriter::look_ahead`] is to be called with a key.
pub(crate) const AHEAD: usize = 2 * BETWEEN;

/// Leaves whose places were asked for.
#[derive(Default)]
pub(super) struct Ahead {
    leaves: [u64; BETWEEN],
    next: usize,
    /// The leaf worked on when it was last looked ahead.
    from: u64,
}

impl PageWriter<'_> {
    /// How many changes ahead it is worth to look.
    pub const AHEAD: usize = AHEAD;

    /// Tells the key that will be changed after [`PageWriter::AHEAD`] others; keys come in ascending order. Costs next to nothing where they come
    /// to the leaf that was worked on last.
    #[inline]
    pub fn look_ahead(&mut self, key: &[u8]) {
        let Some(leaf) = self.state.path.last().map(|step| step.id) else { return };
        if leaf != self.state.ahead.from {
            self.state.ahead.from = leaf;
            self.ask_for_leaf(key);
        }
    }

    fn ask_for_leaf(&mut self, key: &[u8]) {
        let leaf = self.leaf_ahead(key).unwrap_or(0);
        let ahead = &mut self.state.ahead;
        ahead.next = (ahead.next + 1) % BETWEEN;
        let asked = std::mem::replace(&mut ahead.leaves[ahead.next], leaf);
        self.pages.table.ask_for(leaf, asked);
    }

    /// The leaf that `key` belongs to, where all pages that lead there are in memory.
    fn leaf_ahead(&self, key: &[u8]) -> Option<u64> {
        let leaf = self.last();
        let covers = |d: &usize| self.node_at(*d).is_ok_and(|node| node.covers(key));
        let from = (0..leaf).rev().find(covers)?;
        let node = self.node_at(from).ok()?;
        let mut id = node.child(node.child_index(key)).0;
        for _ in from + 1..leaf {
            id = match self.state.private.get(&id) {
                Some(private) => child_of(&private.page, key)?,
                None => child_of(&self.pages.table.newest(id)?, key)?,
            };
        }
        Some(id)
    }
}

/// Where an inner page sends `key`.
fn child_of(page: &[u8], key: &[u8]) -> Option<u64> {
    let node = Node::try_new(page).filter(|node| node.header.page.kind == INNER)?;
    Some(node.child(node.child_index(key)).0)
}
