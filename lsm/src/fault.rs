//! A segment store that fails where it is told to, and one whose objects are far away: for tests of what stands on it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::store::{SegmentStore, Wanted, missing, validate_name};

/// A method of [`SegmentStore`] to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SegmentCall {
    Put,
    Read,
    Delete,
    List,
}

/// What goes wrong at a call.
#[derive(Clone, Debug)]
pub enum SegmentFault {
    /// It fails with this error and has no effect.
    Before(Error),
    /// It takes effect, and the answer is lost: it fails with this error.
    After(Error),
    /// A put or delete fails with this error and takes effect only after so many further calls: a request that lay somewhere on its
    /// way. Any other call fails.
    Late(u64, Error),
    /// A read hands over this many bytes too few.
    Short(usize),
    /// A read hands over bytes of which this one (modulo the length) is flipped.
    Wrong(usize),
    /// A list misses its last name and shows one that is not there.
    Stale,
    /// A read or list finds nothing, as if no object were there.
    Missing,
}

/// A store around another that fails on request, and can be far away: its reads answer `WouldBlock` until they are fetched.
pub struct FaultSegmentStore {
    inner: Arc<dyn SegmentStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plans: Vec<Plan>,
    reads: u64,
    faults: u64,
    far: bool,
    wanted: Vec<Wanted>,
    fetched: BTreeSet<(String, u64, u64)>,
    late: Vec<Late>,
}

/// A request under way.
struct Late {
    /// Calls that come before it.
    after: u64,
    request: Request,
}

enum Request {
    Put(String, Vec<u8>),
    Delete(Vec<String>),
}

struct Plan {
    call: SegmentCall,
    after: u64,
    sticky: bool,
    fault: SegmentFault,
}

impl FaultSegmentStore {
    /// A store that does what `inner` does until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn SegmentStore>) -> Self {
        FaultSegmentStore { inner, state: Mutex::new(State::default()) }
    }

    /// A store whose every range has to be fetched before it can be read.
    #[must_use]
    pub fn far(inner: Arc<dyn SegmentStore>) -> Self {
        FaultSegmentStore { inner, state: Mutex::new(State { far: true, ..State::default() }) }
    }

    /// The `nth` call of this kind from now on (0 is the next) goes wrong; with `sticky` all after it do too.
    pub fn inject(&self, call: SegmentCall, nth: u64, sticky: bool, fault: SegmentFault) {
        self.state.lock().plans.push(Plan { call, after: nth, sticky, fault });
    }

    /// Forgets all plans.
    pub fn heal(&self) {
        self.state.lock().plans.clear();
    }

    /// How many calls went wrong.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state.lock().faults
    }

    /// How many reads were answered with bytes.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    /// Brings these ranges near.
    pub fn fetch(&self, wanted: &[Wanted]) {
        let ranges = wanted.iter().map(|wanted| (wanted.name.clone(), wanted.range.start, wanted.range.end));
        self.state.lock().fetched.extend(ranges);
    }

    /// Everything that was fetched is far again.
    pub fn evict_all(&self) {
        self.state.lock().fetched.clear();
    }

    /// Everything that is under way arrives.
    pub fn land(&self) {
        let landing = std::mem::take(&mut self.state.lock().late);
        landing.into_iter().for_each(|late| self.arrive(late.request));
    }

    /// Another call comes: what it overtakes no longer arrives before it.
    fn land_due(&self) {
        let landing: Vec<Late> = {
            let late = &mut self.state.lock().late;
            let (landing, rest) = std::mem::take(late).into_iter().partition(|late| late.after == 0);
            *late = rest;
            late.iter_mut().for_each(|late| late.after -= 1);
            landing
        };
        landing.into_iter().for_each(|late| self.arrive(late.request));
    }

    fn arrive(&self, request: Request) {
        // Whoever asked has long been told that it failed. A name that was taken meanwhile stays with whoever was first.
        let _ = match request {
            Request::Put(name, bytes) => self.inner.put(&name, &bytes),
            Request::Delete(names) => {
                self.inner.delete(&names.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
    }

    /// Lets a request lie on its way.
    fn delay(&self, after: u64, request: Request, error: Error) -> Error {
        self.state.lock().late.push(Late { after, request });
        error
    }

    fn due(&self, call: SegmentCall) -> Result<Option<SegmentFault>> {
        self.land_due();
        let mut state = self.state.lock();
        let mut due = None;
        for plan in state.plans.iter_mut().filter(|plan| plan.call == call) {
            if plan.after > 0 {
                plan.after -= 1;
            } else if due.is_none() {
                due = Some(plan.fault.clone());
                plan.after = if plan.sticky { 0 } else { u64::MAX };
            }
        }
        state.faults += u64::from(due.is_some());
        match due {
            Some(SegmentFault::Before(error)) => Err(error),
            Some(SegmentFault::Late(_, error)) if matches!(call, SegmentCall::Read | SegmentCall::List) => {
                Err(error)
            }
            other => Ok(other),
        }
    }

    /// Whether a range is near; notes it where it is not.
    fn near(&self, name: &str, range: &Range<u64>) -> bool {
        let mut state = self.state.lock();
        if !state.far || state.fetched.contains(&(name.to_string(), range.start, range.end)) {
            return true;
        }
        let wanted = Wanted { name: name.to_string(), range: range.clone() };
        if !state.wanted.contains(&wanted) {
            state.wanted.push(wanted);
        }
        false
    }
}

fn after<T>(fault: Option<SegmentFault>, result: Result<T>) -> Result<T> {
    match fault {
        Some(SegmentFault::After(error)) => result.and(Err(error)),
        _ => result,
    }
}

impl SegmentStore for FaultSegmentStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        validate_name(name)?;
        match self.due(SegmentCall::Put)? {
            Some(SegmentFault::Late(calls, error)) => {
                Err(self.delay(calls, Request::Put(name.to_string(), bytes.to_vec()), error))
            }
            fault => after(fault, self.inner.put(name, bytes)),
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        validate_name(name)?;
        let fault = self.due(SegmentCall::Read)?;
        if !self.near(name, &range) {
            return Err(Error::would_block("a part of a segment has to be fetched first").at(name));
        }
        if let Some(SegmentFault::Missing) = fault {
            return Err(missing(name));
        }
        let mut bytes = self.inner.read(name, range)?;
        self.state.lock().reads += 1;
        match fault {
            Some(SegmentFault::Short(missing)) => bytes.truncate(bytes.len().saturating_sub(missing)),
            Some(SegmentFault::Wrong(index)) if !bytes.is_empty() => {
                let index = index % bytes.len();
                bytes[index] ^= 1;
            }
            fault => return after(fault, Ok(bytes)),
        }
        Ok(bytes)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| validate_name(name))?;
        match self.due(SegmentCall::Delete)? {
            Some(SegmentFault::Late(calls, error)) => {
                let names = names.iter().map(|name| (*name).to_string()).collect();
                Err(self.delay(calls, Request::Delete(names), error))
            }
            fault => after(fault, self.inner.delete(names)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let fault = self.due(SegmentCall::List)?;
        let mut names = self.inner.list(prefix)?;
        if let Some(SegmentFault::Missing) = fault {
            names.clear();
        }
        if let Some(SegmentFault::Stale) = fault {
            names.pop();
            names.push(format!("{prefix}deleted-long-ago"));
        }
        after(fault, Ok(names))
    }

    fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = std::mem::take(&mut self.state.lock().wanted);
        wanted.extend(self.inner.wanted());
        wanted
    }
}
