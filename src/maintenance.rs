//! Who makes the checkpoints that fall due, and when.
//!
//! ```text
//! backlog, as a part of the limits     in the background                 by the caller
//! half to seven eighths                a thread begins a checkpoint      -
//! half of what was left then           commits wait a little             -
//! all                                  commits wait for it to end        the commit that gets there makes one
//! ```
//!
//! A checkpoint writes a page once, however often it was changed before: the later it begins, the less is written. So it begins as
//! late as leaves room for what commits gather while it is made, judged by the one before it.
//!
//! A thread lives for one checkpoint only: a database that is not written has none.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::sync::{Condvar, Mutex};

use crate::engine::Engine;

/// The most that one commit waits while a checkpoint is under way and there is still room.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// The backlog is counted in thousandths of its limit.
const FULL: u64 = 1000;
/// Where the first checkpoint in the background begins, and any that follows one that was hardly in time.
const EARLIEST: u64 = FULL / 2;
const LATEST: u64 = FULL * 7 / 8;

/// Where the next checkpoint begins, when so much gathered while the one before was made (0: there was none): room for half as much
/// again is left.
fn begin_after(grown: u64) -> u64 {
    if grown == 0 {
        return EARLIEST;
    }
    FULL.saturating_sub(grown.saturating_mul(3) / 2).clamp(EARLIEST, LATEST)
}

/// How long a commit waits at `pressure` for a checkpoint that began at `begun`: not at all while more than half of the room that there was
/// then is left, and ever longer from there on.
fn pause_at(pressure: u64, begun: u64) -> Duration {
    let half = (FULL.saturating_sub(begun) / 2).max(1);
    let over = pressure.saturating_sub(FULL - half).min(half);
    LONGEST_PAUSE * over as u32 / half as u32
}

/// What has gathered for a checkpoint.
struct Backlog {
    /// In thousandths of what may.
    pressure: u64,
    /// Bytes of log.
    logged: u64,
}

/// The thread that makes a checkpoint, if there is one.
#[derive(Default)]
pub(crate) struct Worker {
    working: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Taken to wait for `ended`, which is told whenever a checkpoint ends.
    waiting: Mutex<()>,
    ended: Condvar,
    /// After a failure the next attempt waits until the log has reached this position.
    retry_at: AtomicU64,
    /// The pressure at which the checkpoint under way, or the last, began.
    begun: AtomicU64,
    /// The pressure that gathered while the last was made; 0 before the first.
    grown: AtomicU64,
}

impl Engine {
    /// What has gathered for a checkpoint; `None` where that can't be told without waiting.
    fn gathered(&self) -> Option<Backlog> {
        let committer = self.committer.try_lock()?;
        let held = self.pages.dirty_bytes().saturating_add(committer.history_memory()) as u64;
        let logged = self.log.end().0.get().saturating_sub(committer.log_start.get());
        drop(committer);
        let part = |what: u64, limit: u64| what.saturating_mul(FULL) / limit.max(1);
        let pressure = part(held, self.options.dirty_bytes as u64).max(part(logged, self.options.log_limit));
        Some(Backlog { pressure, logged })
    }

    /// Whether as much has gathered as may.
    pub(crate) fn checkpoint_is_due(&self) -> bool {
        self.gathered().is_some_and(|backlog| backlog.pressure >= FULL)
    }

    /// Sees to the checkpoint that may be due. Called after every commit, with no lock held.
    ///
    /// The commit stands whatever becomes of the checkpoint: a failure that matters closes the database, and the next call says
    /// so.
    pub(crate) fn after_commit(self: &Arc<Self>) {
        self.make_room_ahead();
        let Some(backlog) = self.gathered() else { return };
        let pressure = backlog.pressure;
        if self.background && pressure >= begin_after(self.worker.grown.load(Ordering::Relaxed)) {
            self.worker.start(self, &backlog);
            if pressure < FULL {
                self.worker.pause(pause_at(pressure, self.worker.begun.load(Ordering::Relaxed)));
                return;
            }
            self.worker.wait();
        }
        if pressure >= FULL && self.checkpoint_is_due() {
            let _ = self.checkpoint();
        }
    }
}

impl Worker {
    /// Starts a thread for one checkpoint, unless there is one.
    fn start(&self, engine: &Arc<Engine>, backlog: &Backlog) {
        let too_soon = engine.log.end().0.get() < self.retry_at.load(Ordering::Relaxed);
        if too_soon || self.working.load(Ordering::Acquire) {
            return;
        }
        let mut thread = self.thread.lock();
        if self.working.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(before) = thread.take() {
            // It no longer works: it has ended, or is about to.
            let _ = before.join();
        }
        self.begun.store(backlog.pressure, Ordering::Relaxed);
        let (shared, before) = (Arc::clone(engine), engine.log.end().0.get());
        let (pressure, logged) = (backlog.pressure, backlog.logged);
        let started = Builder::new().name("dosql-checkpoint".to_owned()).spawn(move || {
            let made = shared.checkpoint();
            // Changed pages are taken to gather as the log does, for the checkpoint itself turns them into clean ones.
            let appended = shared.log.end().0.get().saturating_sub(before);
            let grown = pressure.saturating_mul(appended) / logged.max(1);
            shared.worker.grown.store(grown.max(1), Ordering::Relaxed);
            shared.worker.end(&shared, made.is_ok());
        });
        match started {
            Ok(handle) => *thread = Some(handle),
            // Commits go on, and the one that reaches the limit makes the checkpoint.
            Err(_) => self.end(engine, false),
        }
    }

    fn end(&self, engine: &Engine, made: bool) {
        let pause = if made { 0 } else { engine.options.log_limit / 8 };
        self.retry_at.store(engine.log.end().0.get().saturating_add(pause), Ordering::Relaxed);
        let _waiting = self.waiting.lock();
        self.working.store(false, Ordering::Release);
        self.ended.notify_all();
    }

    /// Waits until no checkpoint is under way in the background.
    fn wait(&self) {
        let mut waiting = self.waiting.lock();
        while self.working.load(Ordering::Acquire) {
            self.ended.wait(&mut waiting);
        }
    }

    /// Waits for the checkpoint under way, but not longer than `most`.
    fn pause(&self, most: Duration) {
        if most.is_zero() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if self.working.load(Ordering::Acquire) {
            self.ended.wait_for(&mut waiting, most);
        }
    }

    /// Waits until the thread is gone, and with it its hold on the engine.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_begins_as_late_as_the_one_before_allows() {
        assert_eq!(begin_after(0), EARLIEST);
        assert_eq!(begin_after(1), LATEST);
        assert_eq!(begin_after(200), 700);
        assert_eq!(begin_after(FULL), EARLIEST);
        assert_eq!(begin_after(u64::MAX), EARLIEST);
    }

    #[test]
    fn commits_wait_the_longer_the_less_room_is_left() {
        assert_eq!(pause_at(EARLIEST, EARLIEST), Duration::ZERO);
        assert_eq!(pause_at(FULL * 3 / 4, EARLIEST), Duration::ZERO);
        assert_eq!(pause_at(FULL * 7 / 8, EARLIEST), LONGEST_PAUSE / 2);
        assert_eq!(pause_at(LATEST, LATEST), Duration::ZERO);
        assert_eq!(pause_at(FULL, LATEST), LONGEST_PAUSE);
        assert_eq!(pause_at(2 * FULL, 3 * FULL), LONGEST_PAUSE);
    }
}
