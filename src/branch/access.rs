//! Whether a branch may be used: it can be dropped, run out of its time, or be protected while others hold it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dosql_base::{Code, Env, Error, ErrorKind, Result, Timestamp};
use dosql_sql::value::describe_instant;

use crate::manifest::BranchRow;

/// See the module's description. Says what the row of the branch says, without a lock.
#[derive(Debug)]
pub(crate) struct Access {
    /// Whether anything but the usual is set.
    special: AtomicBool,
    dropped: AtomicBool,
    protected: AtomicBool,
    /// Zero for never.
    expires: AtomicU64,
}

impl Access {
    pub(crate) fn of(row: &BranchRow) -> Access {
        let access = Access {
            special: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            protected: AtomicBool::new(false),
            expires: AtomicU64::new(0),
        };
        access.set(row);
        access
    }

    pub(crate) fn set(&self, row: &BranchRow) {
        self.dropped.store(row.dropped, Ordering::Release);
        self.protected.store(row.protected, Ordering::Release);
        self.expires.store(row.expires.as_micros(), Ordering::Release);
        let special = row.dropped || row.protected || row.expires > Timestamp::ZERO;
        self.special.store(special, Ordering::Release);
    }

    /// Fails where the branch can't be read.
    #[inline]
    pub(crate) fn check_readable(&self, env: &Env, name: impl FnOnce() -> String) -> Result<()> {
        if !self.special.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.dropped.load(Ordering::Acquire) {
            return Err(no_such_branch(&name()));
        }
        let expires = self.expires.load(Ordering::Acquire);
        if expires > 0 && env.now().as_micros() >= expires {
            let at = describe_instant(Timestamp::from_micros(expires));
            return Err(Error::invalid(format!("the branch {} expired at {at}; make another", name())));
        }
        Ok(())
    }

    /// Fails where the branch can't be written, but by a merge.
    #[inline]
    pub(crate) fn check_writable(&self, env: &Env, name: impl Fn() -> String) -> Result<()> {
        self.check_readable(env, &name)?;
        if self.special.load(Ordering::Acquire) && self.protected.load(Ordering::Acquire) {
            let message = format!(
                "the branch {} is protected: only MERGE changes it; write to another branch and merge that",
                name()
            );
            return Err(Error::new(ErrorKind::ReadOnly, Code::ReadOnly, message));
        }
        Ok(())
    }

    /// Fails where the branch was dropped.
    pub(crate) fn check_there(&self, name: impl FnOnce() -> String) -> Result<()> {
        if self.dropped.load(Ordering::Acquire) { Err(no_such_branch(&name())) } else { Ok(()) }
    }
}

/// What is said of a branch that is not there.
pub(crate) fn no_such_branch(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Code::Error, format!("no such branch: {name}"))
}
