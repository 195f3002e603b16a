//! A segment store that counts what is asked of it.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::Result;
use dosql_base::sync::atomic::{AtomicU64, Ordering};
use dosql_lsm::{SegmentStore, Wanted};

/// What was asked of the segment store since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// Objects stored, and their bytes.
    pub puts: u64,
    /// Bytes of them.
    pub put_bytes: u64,
    /// Requests for parts of objects; what lies close together is one.
    pub gets: u64,
    /// Bytes that they brought.
    pub get_bytes: u64,
    /// Requests to delete objects.
    pub deletes: u64,
    /// Requests for names.
    pub lists: u64,
}

impl SegmentStats {
    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.puts + self.gets + self.deletes + self.lists
    }
}

/// See the module's description.
pub(crate) struct Metered {
    inner: Arc<dyn SegmentStore>,
    counts: [AtomicU64; 6],
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn SegmentStore>) -> Arc<Metered> {
        Arc::new(Metered { inner, counts: Default::default() })
    }

    pub(crate) fn stats(&self) -> SegmentStats {
        let count = |at: usize| self.counts[at].load(Ordering::Relaxed);
        SegmentStats {
            puts: count(0),
            put_bytes: count(1),
            gets: count(2),
            get_bytes: count(3),
            deletes: count(4),
            lists: count(5),
        }
    }

    fn add(&self, at: usize, more: u64) {
        self.counts[at].fetch_add(more, Ordering::Relaxed);
    }
}

impl SegmentStore for Metered {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add(0, 1);
        self.inner.put(name, bytes)?;
        self.add(1, bytes.len() as u64);
        Ok(())
    }

    fn put_shared(&self, name: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
        self.add(0, 1);
        self.inner.put_shared(name, bytes)?;
        self.add(1, bytes.len() as u64);
        Ok(())
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.add(2, 1);
        let bytes = self.inner.read(name, range)?;
        self.add(3, bytes.len() as u64);
        Ok(bytes)
    }

    fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        self.add(
            2,
            dosql_lsm::coalesce(ranges, dosql_lsm::COALESCE_GAP, dosql_lsm::COALESCE_MAX).fetch.len() as u64,
        );
        let parts = self.inner.get_ranges(name, ranges)?;
        self.add(3, parts.iter().map(|part| part.len() as u64).sum());
        Ok(parts)
    }

    fn prefetch(&self, name: &str, range: Range<u64>) {
        self.inner.prefetch(name, range);
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.add(4, 1);
        self.inner.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.add(5, 1);
        self.inner.list(prefix)
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.inner.wanted()
    }
}
