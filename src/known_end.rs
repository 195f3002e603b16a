//! Where a map ends in a transaction's view, so that keys above it are known to be absent without a look at the tree: what an
//! ascending load asks for every row.

use dosql_base::Result;
use dosql_base::codec::{get_ordered_u32, prefix_successor};
use dosql_btree::{PageSnapshot, Root};

/// The end of the map that was asked about last.
#[derive(Default)]
pub(crate) struct KnownEnd {
    /// The number that the map's keys begin with.
    map: Vec<u8>,
    /// No stored key of the map lies above this one; `None`: not known yet.
    last: Option<Vec<u8>>,
    /// Keys that were looked for in vain before the end was looked up.
    misses: u32,
}

/// So many misses are worth looking for the end.
const LOOK_AFTER: u32 = 2;

/// The number that a complete key begins with.
fn map_of(key: &[u8]) -> &[u8] {
    &key[..get_ordered_u32(key).map_or(0, |(_, len)| len)]
}

impl KnownEnd {
    /// Whether `key` surely lies above all stored keys of its map.
    pub(crate) fn is_below(&self, key: &[u8]) -> bool {
        self.last.as_deref().is_some_and(|last| key > last) && key.starts_with(&self.map)
    }

    /// Notes that `key` is not stored; looks the end up where that seems worth it.
    pub(crate) fn missed(&mut self, key: &[u8], pages: &PageSnapshot, root: Root) -> Result<()> {
        let map = map_of(key);
        if self.map != map {
            *self = KnownEnd { map: map.to_vec(), ..KnownEnd::default() };
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses == LOOK_AFTER {
            self.look(pages, root)?;
        }
        Ok(())
    }

    /// The last stored key of a map, looked up where it is not known; the map's number itself where it has none.
    pub(crate) fn of(&mut self, map: &[u8], pages: &PageSnapshot, root: Root) -> Result<&[u8]> {
        if self.map != map || self.last.is_none() {
            *self = KnownEnd { map: map.to_vec(), ..KnownEnd::default() };
            self.look(pages, root)?;
        }
        Ok(self.last.as_deref().unwrap_or_default())
    }

    fn look(&mut self, pages: &PageSnapshot, root: Root) -> Result<()> {
        let mut cursor = pages.cursor(root);
        let end = prefix_successor(&self.map).unwrap_or_else(|| vec![0xFF]);
        let found = cursor.seek_for_prev(&end)? && cursor.key() >= self.map.as_slice();
        self.last = Some(if found { cursor.key().to_vec() } else { self.map.clone() });
        Ok(())
    }
}
