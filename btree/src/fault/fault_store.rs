//! A page store that fails when it is told to.

use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::{Batch, Caps, PageId, PageStore, StoreStats};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A read fails with `Io`.
    ReadError,
    /// A read answers `WouldBlock`.
    WouldBlock,
    /// A read fills half of the page, the rest is zeros.
    ReadShort,
    /// A read flips the lowest bit of this byte of the page.
    ReadFlip(usize),
    /// A commit fails with `NoSpace` and changes nothing.
    NoSpace,
    /// A commit writes this many of its pages, but not its meta, and fails with `Io`.
    Torn(usize),
    /// A commit succeeds, but the caller is told `Io`.
    AnswerLost,
    /// A commit answers success and does nothing.
    WritesLost,
    /// This call and all after it fail with `Closed`; the commit, if it is one, does nothing.
    Crash,
}

impl Fault {
    fn concerns_reads(self) -> bool {
        matches!(
            self,
            Fault::ReadError | Fault::WouldBlock | Fault::ReadShort | Fault::ReadFlip(_) | Fault::Crash
        )
    }

    fn concerns_commits(self) -> bool {
        !self.concerns_reads() || self == Fault::Crash
    }
}

struct Plan {
    fault: Fault,
    /// How many calls that the fault concerns still succeed.
    after: u64,
    sticky: bool,
}

/// Passes everything on to another store, but for the faults it is told to make.
pub struct FaultPageStore {
    inner: Arc<dyn PageStore>,
    plan: Mutex<Option<Plan>>,
}

impl FaultPageStore {
    /// A store that does not fail yet.
    #[must_use]
    pub fn new(inner: Arc<dyn PageStore>) -> Self {
        FaultPageStore { inner, plan: Mutex::new(None) }
    }

    /// Lets the call fail that follows `after` calls which the fault concerns (reads or commits); `sticky`: all later
    /// ones too.
    pub fn fail(&self, fault: Fault, after: u64, sticky: bool) {
        *self.plan.lock() = Some(Plan { fault, after, sticky: sticky || fault == Fault::Crash });
    }

    /// Stops failing.
    pub fn heal(&self) {
        *self.plan.lock() = None;
    }

    /// Whether the planned fault has not happened yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.plan.lock().as_ref().is_some_and(|plan| plan.after > 0)
    }

    /// The fault that is due for a call.
    fn due(&self, read: bool) -> Option<Fault> {
        let mut slot = self.plan.lock();
        let plan = slot.as_mut()?;
        let concerned = if read { plan.fault.concerns_reads() } else { plan.fault.concerns_commits() };
        if !concerned {
            return None;
        }
        if plan.after > 0 {
            plan.after -= 1;
            return None;
        }
        let fault = plan.fault;
        if !plan.sticky {
            *slot = None;
        }
        Some(fault)
    }
}

fn io(what: &str) -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, what)
}

impl PageStore for FaultPageStore {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        let fault = self.due(true);
        match fault {
            Some(Fault::ReadError) => return Err(io("an injected read error")),
            Some(Fault::WouldBlock) => return Err(Error::would_block("an injected wait")),
            Some(Fault::Crash) => return Err(Error::closed("an injected crash")),
            _ => self.inner.read(id, buf)?,
        }
        match fault {
            Some(Fault::ReadShort) => {
                let half = buf.len() / 2;
                buf[half..].fill(0);
            }
            Some(Fault::ReadFlip(at)) => {
                if let Some(byte) = buf.get_mut(at) {
                    *byte ^= 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        match self.due(false) {
            Some(Fault::NoSpace) => {
                Err(Error::new(ErrorKind::NoSpace, Code::Full, "an injected full device"))
            }
            Some(Fault::Crash) => Err(Error::closed("an injected crash")),
            Some(Fault::WritesLost) => Ok(()),
            Some(Fault::AnswerLost) => {
                self.inner.commit(batch)?;
                Err(io("an injected lost answer"))
            }
            Some(Fault::Torn(pages)) => {
                if let Some(meta) = self.inner.meta()? {
                    let puts = &batch.puts[..pages.min(batch.puts.len())];
                    self.inner.commit(Batch { puts, frees: &[], meta: &meta })?;
                }
                Err(io("an injected torn batch"))
            }
            _ => self.inner.commit(batch),
        }
    }

    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        match self.due(false) {
            None => self.inner.write_ahead(puts),
            Some(Fault::NoSpace) => {
                Err(Error::new(ErrorKind::NoSpace, Code::Full, "an injected full device"))
            }
            Some(Fault::Crash) => Err(Error::closed("an injected crash")),
            Some(_) => Err(io("an injected failure to write ahead")),
        }
    }

    fn shrink(&self, last: PageId) -> Result<()> {
        match self.due(false) {
            None => self.inner.shrink(last),
            Some(_) => Err(io("an injected failure to shrink")),
        }
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.inner.meta()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn caps(&self) -> Caps {
        Caps { may_block: true, ..self.inner.caps() }
    }
}
