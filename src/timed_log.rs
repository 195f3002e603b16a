//! A log store whose syncs are timed, by the clock of the environment: the log itself knows no time.

use std::sync::Arc;

use dosql_base::metrics::Histogram;
use dosql_base::{Env, Result};
use dosql_wal::{LogCaps, LogPosition, LogStats, LogStore};

use crate::trace::span;

/// See above. Everything is the inner store's.
pub(crate) struct TimedLog {
    inner: Arc<dyn LogStore>,
    env: Env,
    syncs: Arc<Histogram>,
}

impl TimedLog {
    pub(crate) fn new(inner: Arc<dyn LogStore>, env: Env, syncs: &Arc<Histogram>) -> Self {
        TimedLog { inner, env, syncs: Arc::clone(syncs) }
    }
}

impl LogStore for TimedLog {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.inner.append(bytes)
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        span!("log_sync");
        let started = self.env.now();
        self.inner.sync(upto)?;
        self.syncs.record(self.env.now().as_micros().saturating_sub(started.as_micros()));
        Ok(())
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

    fn scrub(&self, before: LogPosition) -> Result<()> {
        self.inner.scrub(before)
    }

    fn shrink(&self) -> Result<()> {
        self.inner.shrink()
    }

    fn stats(&self) -> LogStats {
        self.inner.stats()
    }

    fn caps(&self) -> LogCaps {
        self.inner.caps()
    }
}
