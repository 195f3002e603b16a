//! A page store in memory: for tests, and for databases that need not outlive the process.

use std::collections::BTreeMap;

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use super::{Batch, Caps, PageId, PageStore, StoreStats};

/// Pages in a map. Nothing survives it.
pub struct MemoryPageStore {
    page_size: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    pages: BTreeMap<PageId, Box<[u8]>>,
    meta: Option<Vec<u8>>,
    stats: StoreStats,
}

impl MemoryPageStore {
    /// An empty store of pages of `page_size` bytes.
    #[must_use]
    pub fn new(page_size: usize) -> Self {
        MemoryPageStore { page_size, inner: Mutex::default() }
    }
}

impl PageStore for MemoryPageStore {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.stats.page_reads += 1;
        match inner.pages.get(&id) {
            Some(page) if page.len() == buf.len() => {
                buf.copy_from_slice(page);
                Ok(())
            }
            Some(_) => Err(Error::invalid("a page is read into a buffer of another size")),
            None => Err(Error::corrupt("the store has no such page", id.to_string())),
        }
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        batch.check(self.page_size, self.caps())?;
        let mut inner = self.inner.lock();
        for &(id, bytes) in batch.puts {
            match inner.pages.get_mut(&id) {
                Some(page) => page.copy_from_slice(bytes),
                None => drop(inner.pages.insert(id, bytes.into())),
            }
        }
        for id in batch.frees {
            inner.pages.remove(id);
        }
        inner.meta = Some(batch.meta.to_vec());
        inner.stats.page_writes += batch.puts.len() as u64;
        inner.stats.commits += 1;
        inner.stats.bytes = (inner.pages.len() * self.page_size + batch.meta.len()) as u64;
        Ok(())
    }

    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        let mut inner = self.inner.lock();
        for &(id, bytes) in puts {
            inner.pages.insert(id, bytes.into());
        }
        inner.stats.page_writes += puts.len() as u64;
        Ok(true)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.inner.lock().meta.clone())
    }

    fn stats(&self) -> StoreStats {
        self.inner.lock().stats
    }

    fn caps(&self) -> Caps {
        Caps { max_meta: 64 << 10, durable: false, may_block: false }
    }
}
