//! Asking for the memory of leaves that the next changes will come to: each is waited for several times as long as it is worked on.

use super::PageWriter;

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
        // Most keys come to a neighbour: those that don't are not worth another way down.
        let parent = self.last().checked_sub(1).and_then(|d| self.node_at(d).ok());
        let leaf =
            parent.filter(|node| node.covers(key)).map_or(0, |node| node.child(node.child_index(key)).0);
        let ahead = &mut self.state.ahead;
        ahead.next = (ahead.next + 1) % BETWEEN;
        let asked = std::mem::replace(&mut ahead.leaves[ahead.next], leaf);
        self.pages.table.ask_for(leaf, asked);
    }
}
