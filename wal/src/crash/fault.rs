//! What goes wrong at a call, and at which.

use dosql_base::{Code, Error, ErrorKind, Result};

/// A call to the simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Size,
    List,
    Open,
    Write,
    Length,
    Sync,
    Create,
    Rename,
    Remove,
    SyncNames,
}

/// The calls that a fault may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Reads of bytes, lengths and names.
    Reads,
    /// Writes of bytes and lengths.
    Writes,
    /// Syncs of files and of the directory.
    Syncs,
    /// Files made, renamed and removed.
    Names,
    /// All but reads: what [`super::CrashDirectory::operations`] counts.
    Changes,
    /// Every call.
    All,
}

impl Calls {
    pub(super) fn includes(self, call: Call) -> bool {
        let kind = match call {
            Call::Read | Call::Size | Call::List | Call::Open => Calls::Reads,
            Call::Write | Call::Length => Calls::Writes,
            Call::Sync | Call::SyncNames => Calls::Syncs,
            Call::Create | Call::Rename | Call::Remove => Calls::Names,
        };
        self == kind || self == Calls::All || (self == Calls::Changes && kind != Calls::Reads)
    }
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It fails (`EIO`) and has no effect.
    Io,
    /// It fails (`EIO`), but half happened: of a write, the sectors that the seed picks; of a sync, those reach the disk and the
    /// others are given up as by [`DiskFault::Lost`]. Any other call fails and has no effect.
    Half(u64),
    /// It fails (`ENOSPC`) and has no effect.
    Full,
    /// A read or write of bytes handles only half of them, and says so. Any other call succeeds.
    Short,
    /// A sync fails, and the bytes that it should have written are given up: reads still show them, later syncs do not write
    /// them. That is what Linux does. Any other call fails and has no effect.
    Lost,
}

/// A fault to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) calls: Calls,
    /// Calls of these that still succeed.
    pub(super) after: u64,
    pub(super) sticky: bool,
    pub(super) fault: DiskFault,
}

/// Finds the fault that is due for a call, and counts the call.
pub(super) fn due(plans: &mut Vec<Plan>, call: Call) -> Option<DiskFault> {
    let mut due = None;
    plans.retain_mut(|plan| {
        if !plan.calls.includes(call) {
            return true;
        }
        if plan.after > 0 {
            plan.after -= 1;
            return true;
        }
        if due.is_some() {
            return true;
        }
        due = Some(plan.fault);
        plan.sticky
    });
    due
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Whole,
    /// The machine stops during it.
    Stops,
    Half(u64),
    Short,
    Lost,
}

impl Course {
    pub(super) fn of(fault: Option<DiskFault>, call: Call) -> Result<Course> {
        match fault {
            None => Ok(Course::Whole),
            Some(DiskFault::Full) => Err(full()),
            Some(DiskFault::Short) if matches!(call, Call::Read | Call::Write) => Ok(Course::Short),
            Some(DiskFault::Short) => Ok(Course::Whole),
            Some(DiskFault::Half(seed)) if matches!(call, Call::Write | Call::Sync) => Ok(Course::Half(seed)),
            Some(DiskFault::Lost) if call == Call::Sync => Ok(Course::Lost),
            Some(DiskFault::Io | DiskFault::Half(_) | DiskFault::Lost) => Err(failed()),
        }
    }

    /// The result of a call that took no effect, or took it all.
    pub(super) fn result(self) -> Result<()> {
        if self == Course::Stops { Err(stopped()) } else { Ok(()) }
    }
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the simulated machine has stopped")
}

pub(super) fn failed() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the simulated disk failed")
}

pub(super) fn full() -> Error {
    Error::new(ErrorKind::NoSpace, Code::Full, "the simulated disk is full")
}
