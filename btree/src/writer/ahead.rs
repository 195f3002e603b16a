//! Asking for the memory of leaves that the next changes will come to: each is waited for several times as long as it is worked on.
//!
//! ```text
//! changes to come    8             5               2                        0
//!                    where it is   its first lines   its deltas, the entry    changed
//! ```

use dosql_base::Timestamp;

use super::PageWriter;
use crate::page::format::{INNER, LEAF};
use crate::page::node::Node;
use crate::table::Found;

/// How many changes ahead [`PageWriter::look_ahead`] is to be called with a key.
pub(crate) const AHEAD: usize = 8;
/// So many changes after its place, a leaf itself is asked for.
const THEN_LEAF: usize = 3;
/// And so many after its place, what will be changed in it.
const THEN_ENTRY: usize = 6;
/// As much of a key as is remembered.
const KEPT: usize = 48;

/// A change to come: which leaf its key belongs to, 0 where that is not known.
#[derive(Clone, Copy)]
struct Coming {
    leaf: u64,
    key: [u8; KEPT],
    len: usize,
}

/// Changes to come, in a ring.
pub(super) struct Ahead {
    coming: [Coming; AHEAD],
    next: usize,
    /// The leaf worked on when it was last looked ahead.
    from: u64,
}

impl Default for Ahead {
    fn default() -> Self {
        Ahead { coming: [Coming { leaf: 0, key: [0; KEPT], len: 0 }; AHEAD], next: 0, from: 0 }
    }
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
        let (now, len) = (ahead.next, key.len().min(KEPT));
        ahead.next = (now + 1) % AHEAD;
        ahead.coming[now].leaf = leaf;
        ahead.coming[now].key[..len].copy_from_slice(&key[..len]);
        ahead.coming[now].len = len;
        let before = |changes: usize| (now + AHEAD - changes) % AHEAD;
        self.pages.table.ask_for(leaf, self.state.ahead.coming[before(THEN_LEAF)].leaf);
        self.ask_for_entry(before(THEN_ENTRY));
    }

    /// Asks for what will be changed in a leaf.
    fn ask_for_entry(&self, at: usize) {
        let coming = &self.state.ahead.coming[at];
        if coming.leaf == 0 || self.state.private.contains_key(&coming.leaf) {
            return;
        }
        let Found::Image(leaf) = self.pages.table.lookup(coming.leaf, Timestamp::MAX, false) else { return };
        if let Some(deltas) = leaf.deltas() {
            deltas.ask_for();
        }
        let Some(node) = Node::try_new(&leaf).filter(|node| node.header.page.kind == LEAF) else { return };
        if let Some(tail) = coming.key[..coming.len].get(node.prefix_len()..) {
            node.ask_for_entry(tail);
        }
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
