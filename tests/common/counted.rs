//! Stores that count what is asked of them, and whose device takes its time by a clock in the test's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dosql::stores::{Batch, Caps, LogCaps, LogPosition, LogStats, LogStore, PageId, PageStore, StoreStats};
use dosql::{Result, Storage};

use super::Clock;

/// What was asked of the stores.
#[derive(Default)]
pub struct Counter {
    page_reads: AtomicU64,
    page_commits: AtomicU64,
    pages_written: AtomicU64,
    pages_freed: AtomicU64,
    appends: AtomicU64,
    appended_bytes: AtomicU64,
    log_syncs: AtomicU64,
    /// Microseconds that a sync of the log takes.
    sync_takes: AtomicU64,
    /// Microseconds that a batch of the page store takes.
    commit_takes: AtomicU64,
    clock: Option<Arc<Clock>>,
}

/// As of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub page_reads: u64,
    pub page_commits: u64,
    pub pages_written: u64,
    pub pages_freed: u64,
    pub appends: u64,
    pub appended_bytes: u64,
    pub log_syncs: u64,
}

impl Counts {
    /// What came since `before`.
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            page_reads: self.page_reads - before.page_reads,
            page_commits: self.page_commits - before.page_commits,
            pages_written: self.pages_written - before.pages_written,
            pages_freed: self.pages_freed - before.pages_freed,
            appends: self.appends - before.appends,
            appended_bytes: self.appended_bytes - before.appended_bytes,
            log_syncs: self.log_syncs - before.log_syncs,
        }
    }
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Counter {
    /// A device that takes no time.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A device that takes time by `clock`.
    pub fn with_clock(clock: &Arc<Clock>) -> Arc<Self> {
        Arc::new(Counter { clock: Some(clock.clone()), ..Counter::default() })
    }

    /// From now on a sync of the log takes so many microseconds, and a batch of the page store so many.
    pub fn take(&self, sync: u64, commit: u64) {
        self.sync_takes.store(sync, Ordering::Relaxed);
        self.commit_takes.store(commit, Ordering::Relaxed);
    }

    /// What was asked so far.
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            page_reads: count(&self.page_reads),
            page_commits: count(&self.page_commits),
            pages_written: count(&self.pages_written),
            pages_freed: count(&self.pages_freed),
            appends: count(&self.appends),
            appended_bytes: count(&self.appended_bytes),
            log_syncs: count(&self.log_syncs),
        }
    }

    fn pass(&self, micros: &AtomicU64) {
        if let Some(clock) = &self.clock {
            clock.advance(micros.load(Ordering::Relaxed));
        }
    }
}

/// `stores`, counted by `counter`.
pub fn storage(stores: &Storage, counter: &Arc<Counter>) -> Storage {
    let pages = CountedPages { inner: stores.pages.clone(), counter: counter.clone() };
    let log = CountedLog { inner: stores.log.clone(), counter: counter.clone() };
    Storage::new(Arc::new(pages), Arc::new(log), stores.segments.clone())
}

struct CountedPages {
    inner: Arc<dyn PageStore>,
    counter: Arc<Counter>,
}

impl PageStore for CountedPages {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        add(&self.counter.page_reads, 1);
        self.inner.read(id, buf)
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        add(&self.counter.page_commits, 1);
        add(&self.counter.pages_written, batch.puts.len());
        add(&self.counter.pages_freed, batch.frees.len());
        self.counter.pass(&self.counter.commit_takes);
        self.inner.commit(batch)
    }

    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        let taken = self.inner.write_ahead(puts)?;
        add(&self.counter.pages_written, if taken { puts.len() } else { 0 });
        Ok(taken)
    }

    fn shrink(&self, last: PageId) -> Result<()> {
        self.inner.shrink(last)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.inner.meta()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }
}

struct CountedLog {
    inner: Arc<dyn LogStore>,
    counter: Arc<Counter>,
}

impl LogStore for CountedLog {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        add(&self.counter.appends, 1);
        add(&self.counter.appended_bytes, bytes.len());
        self.inner.append(bytes)
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        add(&self.counter.log_syncs, 1);
        self.counter.pass(&self.counter.sync_takes);
        self.inner.sync(upto)
    }

    fn pause(&self) {
        self.inner.pause();
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        self.inner.read_from(from, buffer)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        self.inner.reserve(upto)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.inner.truncate(end)
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        self.inner.trim(before)
    }

    fn device_holds(&self, from: LogPosition, bytes: &[u8]) -> bool {
        self.inner.device_holds(from, bytes)
    }

    fn stats(&self) -> LogStats {
        self.inner.stats()
    }

    fn caps(&self) -> LogCaps {
        self.inner.caps()
    }
}
