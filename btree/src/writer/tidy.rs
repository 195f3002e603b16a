//! Clearing what is left of removed entries: the free space of pages in use, and pages that are free.
//!
//! An entry that is removed, or moved to another page by a split, leaves its bytes where they were, until something else is written
//! there. Who erased something clears the pages that it may have been on with [`PageWriter::tidy`], makes checkpoints until no durable
//! state has the old pages any more, and then clears those with [`PageWriter::free_pages_now`] and
//! [`PageStore::scrub`](crate::PageStore::scrub).

use dosql_base::Result;

use super::PageWriter;
use super::path::node_of_level;
use crate::page::node_mut::NodeMut;
use crate::{PageId, Root};

impl PageWriter<'_> {
    /// Clears the unused space of the pages that keys from `from` on, below `to`, lie on, and of those above them, until `most` pages were
    /// looked at; returns the key to go on from. Changes no entry and no version. After an error roll back.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`; `Limit` where page numbers run out.
    pub fn tidy(&mut self, root: &mut Root, from: &[u8], to: &[u8], most: usize) -> Result<Option<Vec<u8>>> {
        let (mut key, mut looked) = (from.to_vec(), 0);
        while !root.is_empty() && key.as_slice() < to {
            if looked >= most {
                return Ok(Some(key));
            }
            for level in (0..root.height).rev() {
                self.locate(root, &key, level)?;
                looked += 1;
                let last = self.last();
                let deltas =
                    self.state.path[last].image.as_ref().is_some_and(|image| image.deltas().is_some());
                let clean = !deltas && node_of_level(self.bytes_at(last)?, level)?.is_clean();
                if !clean {
                    self.touch(root)?;
                    self.private_at(last)?.clear();
                }
            }
            match self.node_at(self.last())?.high() {
                Some(high) => key = high.to_vec(),
                None => break,
            }
        }
        Ok(None)
    }

    /// The pages that are free and that no durable state has, ascending, and the lowest page that was never used.
    #[must_use]
    pub fn free_pages_now(&self) -> (Vec<PageId>, PageId) {
        let mut free: Vec<PageId> = self.state.alloc.free().iter().map(|&id| PageId::new(id)).collect();
        free.sort_unstable();
        (free, PageId::new(self.state.alloc.next))
    }
}

impl NodeMut<'_> {
    /// Moves the entries together where there are gaps, and clears the space between slots and heap.
    pub(crate) fn clear(&mut self) {
        if self.node().header.garbage.get() > 0 {
            self.compact();
        }
        let (from, to) = self.node().unused();
        self.bytes[from..to].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dosql_base::Timestamp;

    use crate::{MemoryPageStore, PageStore, Pages, PagesOptions, Root};

    #[test]
    fn nothing_is_left_of_removed_entries_on_pages_that_were_tidied() {
        let store: Arc<dyn PageStore> = Arc::new(MemoryPageStore::new(4096));
        let (pages, _) = Pages::open(store, PagesOptions::default()).unwrap();
        let mut root = Root::EMPTY;
        let at = Timestamp::from_micros;
        let key = |n: u32| n.to_be_bytes();
        let mut writer = pages.writer();
        writer.begin(at(1));
        for n in 0..2000 {
            writer.set(&mut root, &key(n), at(1), &[b'x'; 40]).unwrap();
        }
        for n in (0..2000).filter(|n| n % 3 == 0) {
            writer.set(&mut root, &key(n), at(1), b"SECRETSECRET").unwrap();
            writer.remove(&mut root, &key(n)).unwrap();
        }
        writer.publish(at(1)).unwrap();
        writer.begin(at(2));
        let mut from = Some(Vec::new());
        while let Some(key) = from {
            from = writer.tidy(&mut root, &key, &[0xFF], 16).unwrap();
        }
        writer.publish(at(2)).unwrap();
        drop(writer);
        let snapshot = pages.latest();
        let mut cursor = snapshot.cursor(root);
        let (mut found, mut rows) = (cursor.seek(&[]).unwrap(), 0);
        while found {
            rows += 1;
            found = cursor.next().unwrap();
        }
        assert_eq!(rows, 1333);
        assert!(snapshot.check(root).unwrap().entries == 1333);
        pages.writer().checkpoint(b"").unwrap();
        let mut page = vec![0; 4096];
        for id in 1..pages.stats().pages_used + 1 {
            if pages.store().read(crate::PageId::new(id), &mut page).is_ok() {
                assert!(!page.windows(6).any(|part| part == b"SECRET"), "page {id}");
            }
        }
    }
}
