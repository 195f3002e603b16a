//! Stores that fail at the call they are told to, around any others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dosql::stores::{Batch, Caps, LogCaps, LogPosition, LogStats, LogStore, PageId, PageStore, StoreStats};
use dosql::{Error, Result, Storage};

/// When the stores fail. Calls of both are counted together, from 0.
pub struct Faults {
    calls: AtomicU64,
    from: AtomicU64,
    until: AtomicU64,
    /// Whether the device is full rather than broken.
    full: bool,
}

impl Faults {
    /// Nothing fails yet.
    pub fn none() -> Arc<Self> {
        Self::new(false)
    }

    /// As `none`, but failures will be a full device.
    pub fn full() -> Arc<Self> {
        Self::new(true)
    }

    fn new(full: bool) -> Arc<Self> {
        let at = |at| AtomicU64::new(at);
        Arc::new(Faults { calls: at(0), from: at(u64::MAX), until: at(u64::MAX), full })
    }

    /// Call number `at`, counted from now, fails; with `sticky` all after it do too.
    pub fn fail(&self, at: u64, sticky: bool) {
        self.calls.store(0, Ordering::SeqCst);
        self.from.store(at, Ordering::SeqCst);
        self.until.store(if sticky { u64::MAX } else { at + 1 }, Ordering::SeqCst);
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.from.store(u64::MAX, Ordering::SeqCst);
    }

    /// Whether the call that was to fail has been made.
    pub fn reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.from.load(Ordering::SeqCst)
    }

    fn call(&self, what: &str) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if (self.from.load(Ordering::SeqCst)..self.until.load(Ordering::SeqCst)).contains(&call) {
            let kind = if self.full { std::io::ErrorKind::StorageFull } else { std::io::ErrorKind::Other };
            return Err(Error::io(format!("{what}, as planned"), &std::io::Error::from(kind)));
        }
        Ok(())
    }
}

/// `stores` behind `faults`.
pub fn storage(stores: &Storage, faults: &Arc<Faults>) -> Storage {
    let pages = FaultyPages { inner: stores.pages.clone(), faults: faults.clone() };
    let log = FaultyLog { inner: stores.log.clone(), faults: faults.clone() };
    Storage::new(Arc::new(pages), Arc::new(log), stores.segments.clone())
}

struct FaultyPages {
    inner: Arc<dyn PageStore>,
    faults: Arc<Faults>,
}

impl PageStore for FaultyPages {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        self.faults.call("page read")?;
        self.inner.read(id, buf)
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.faults.call("page commit")?;
        self.inner.commit(batch)
    }

    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        self.faults.call("page write ahead")?;
        self.inner.write_ahead(puts)
    }

    fn shrink(&self, last: PageId) -> Result<()> {
        self.faults.call("page shrink")?;
        self.inner.shrink(last)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.faults.call("page meta")?;
        self.inner.meta()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }
}

struct FaultyLog {
    inner: Arc<dyn LogStore>,
    faults: Arc<Faults>,
}

impl LogStore for FaultyLog {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.faults.call("log append")?;
        self.inner.append(bytes)
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        self.faults.call("log sync")?;
        self.inner.sync(upto)
    }

    fn pause(&self) {
        self.inner.pause();
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        self.faults.call("log read")?;
        self.inner.read_from(from, buffer)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        self.faults.call("log reserve")?;
        self.inner.reserve(upto)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.faults.call("log truncate")?;
        self.inner.truncate(end)
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        self.faults.call("log trim")?;
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
