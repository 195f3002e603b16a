//! A log store that fails where it is told to: for tests of what stands on a log.

use std::sync::Arc;

use dosql_base::{Entropy, Error, Result, SeededEntropy};
use parking_lot::Mutex;

use crate::{LogCaps, LogPosition, LogStats, LogStore};

const SECTOR: u64 = 512;

/// A method of [`LogStore`] to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogCall {
    Append,
    Sync,
    Read,
    Reserve,
    Truncate,
    Trim,
}

/// What goes wrong at a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails with this error and has no effect.
    Fail(Error),
    /// An append writes this many bytes and fails.
    Torn(usize, Error),
    /// A read hands over a single byte.
    Short,
    /// The machine stops: this call and all after it fail until [`FaultLogStore::restart`].
    Crash,
}

/// What a crash keeps of that which was appended and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// The first so many bytes.
    Prefix(usize),
    /// A subset of its 512-byte sectors that this seed picks; the others read as zeros.
    Sectors(u64),
}

/// A store around another that holds back what is not synced, fails on request and can crash.
pub struct FaultLogStore {
    inner: Arc<dyn LogStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plans: Vec<Plan>,
    calls: Vec<LogCall>,
    crashed: bool,
    unsynced: Option<Unsynced>,
}

struct Plan {
    call: LogCall,
    /// Further calls that still succeed.
    after: u64,
    sticky: bool,
    fault: Fault,
}

/// Appended bytes that the inner store has not seen.
struct Unsynced {
    start: u64,
    bytes: Vec<u8>,
}

impl Unsynced {
    fn end(&self) -> LogPosition {
        LogPosition::new(self.start + self.bytes.len() as u64)
    }
}

impl FaultLogStore {
    /// A store that does what `inner` does until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn LogStore>) -> Self {
        FaultLogStore { inner, state: Mutex::new(State::default()) }
    }

    /// The `nth` call of this kind from now on (0 is the next) goes wrong; with `sticky` all after it do too.
    pub fn inject(&self, call: LogCall, nth: u64, sticky: bool, fault: Fault) {
        self.state.lock().plans.push(Plan { call, after: nth, sticky, fault });
    }

    /// Forgets all plans: the device has recovered.
    pub fn heal(&self) {
        self.state.lock().plans.clear();
    }

    /// How many calls of this kind were made.
    #[must_use]
    pub fn calls(&self, call: LogCall) -> u64 {
        self.state.lock().calls.iter().filter(|&&made| made == call).count() as u64
    }

    /// The machine stops now: every call fails until [`FaultLogStore::restart`].
    pub fn crash(&self) {
        self.state.lock().crashed = true;
    }

    /// The machine comes up again; `keep` says what is left of that which was not synced.
    pub fn restart(&self, keep: Keep) -> Result<()> {
        let mut state = self.state.lock();
        state.crashed = false;
        state.plans.clear();
        let Some(Unsynced { start, mut bytes }) = state.unsynced.take() else {
            return Ok(());
        };
        match keep {
            Keep::Nothing => bytes.clear(),
            Keep::Everything => {}
            Keep::Prefix(len) => bytes.truncate(len),
            Keep::Sectors(seed) => lose_sectors(start, &mut bytes, seed),
        }
        let end = self.inner.append(&bytes)?;
        self.inner.sync(end)
    }

    /// Counts the call and applies the plan that is due.
    fn enter(&self, call: LogCall) -> Result<Option<Fault>> {
        let mut state = self.state.lock();
        if state.crashed {
            return Err(stopped());
        }
        state.calls.push(call);
        let mut due = None;
        for plan in state.plans.iter_mut().filter(|plan| plan.call == call) {
            if plan.after > 0 {
                plan.after -= 1;
            } else if due.is_none() {
                due = Some(plan.fault.clone());
                plan.after = if plan.sticky { 0 } else { u64::MAX };
            }
        }
        match due {
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::Crash) => {
                state.crashed = true;
                Err(stopped())
            }
            other => Ok(other),
        }
    }
}

fn stopped() -> Error {
    Error::closed("the simulated machine has stopped; restart it")
}

fn lose_sectors(start: u64, bytes: &mut [u8], seed: u64) {
    let entropy = SeededEntropy::new(seed);
    let mut at = 0;
    while at < bytes.len() {
        let here = start + at as u64;
        let end = bytes.len().min(at + (SECTOR - here % SECTOR) as usize);
        let mut die = [0];
        entropy.fill(&mut die);
        if die[0] & 1 == 0 {
            bytes[at..end].fill(0);
        }
        at = end;
    }
}

impl LogStore for FaultLogStore {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        let fault = self.enter(LogCall::Append)?;
        let mut state = self.state.lock();
        let Some(unsynced) = &mut state.unsynced else {
            return Err(Error::invalid("the log must be recovered before it is appended to"));
        };
        if let Some(Fault::Torn(keep, error)) = fault {
            unsynced.bytes.extend_from_slice(bytes.get(..keep).unwrap_or(bytes));
            return Err(error);
        }
        unsynced.bytes.extend_from_slice(bytes);
        Ok(unsynced.end())
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        self.enter(LogCall::Sync)?;
        let mut state = self.state.lock();
        if let Some(unsynced) = &mut state.unsynced {
            if !unsynced.bytes.is_empty() {
                self.inner.append(&unsynced.bytes)?;
            }
            unsynced.start = unsynced.end().get();
            unsynced.bytes.clear();
        }
        self.inner.sync(upto)
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        let len = if let Some(Fault::Short) = self.enter(LogCall::Read)? { 1 } else { buffer.len() };
        let len = len.min(buffer.len());
        let state = self.state.lock();
        let Some(unsynced) = &state.unsynced else {
            return self.inner.read_from(from, &mut buffer[..len]);
        };
        if from.get() < unsynced.start {
            let stored = usize::try_from(unsynced.start - from.get()).unwrap_or(usize::MAX);
            return self.inner.read_from(from, &mut buffer[..len.min(stored)]);
        }
        let offset = usize::try_from(from.get() - unsynced.start).unwrap_or(usize::MAX);
        let held = unsynced.bytes.get(offset..).ok_or_else(|| {
            Error::corrupt(format!("the log ends at {}", unsynced.end()), format!("log position {from}"))
        })?;
        let len = len.min(held.len());
        buffer[..len].copy_from_slice(&held[..len]);
        Ok(len)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        self.enter(LogCall::Reserve)?;
        self.inner.reserve(upto)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.enter(LogCall::Truncate)?;
        let mut state = self.state.lock();
        if let Some(unsynced) = &mut state.unsynced
            && let Some(kept) = end.get().checked_sub(unsynced.start)
        {
            if end > unsynced.end() {
                let held = format!("the log ends at {}", unsynced.end());
                return Err(Error::corrupt(held, format!("log position {end}")));
            }
            self.inner.truncate(LogPosition::new(unsynced.start))?;
            unsynced.bytes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            return Ok(());
        }
        self.inner.truncate(end)?;
        state.unsynced = Some(Unsynced { start: end.get(), bytes: Vec::new() });
        Ok(())
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        self.enter(LogCall::Trim)?;
        let synced = self.state.lock().unsynced.as_ref().map_or(before, |held| LogPosition::new(held.start));
        self.inner.trim(before.min(synced))
    }

    fn stats(&self) -> LogStats {
        let mut stats = self.inner.stats();
        if let Some(unsynced) = &self.state.lock().unsynced {
            stats.end = unsynced.end();
            stats.appended_bytes += unsynced.bytes.len() as u64;
        }
        stats
    }

    fn caps(&self) -> LogCaps {
        LogCaps { needs_sync: true, ..self.inner.caps() }
    }
}
