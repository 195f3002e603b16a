//! Who makes the checkpoints that fall due, and when.
//!
//! ```text
//! backlog, as a part of the limits     in the background                 by the caller
//! half                                 a thread begins a checkpoint      -
//! three quarters                       commits wait a little             -
//! all                                  commits wait for it to end        the commit that gets there makes one
//! ```
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
}

impl Engine {
    /// How much has gathered for a checkpoint, in thousandths of what may; `None` where that can't be told without waiting.
    fn pressure(&self) -> Option<u64> {
        let committer = self.committer.try_lock()?;
        let held = self.pages.dirty_bytes().saturating_add(committer.history.memory()) as u64;
        let logged = self.log.end().0.get().saturating_sub(committer.log_start.get());
        drop(committer);
        let part = |what: u64, limit: u64| what.saturating_mul(FULL) / limit.max(1);
        Some(part(held, self.options.dirty_bytes as u64).max(part(logged, self.options.log_limit)))
    }

    /// Whether as much has gathered as may.
    pub(crate) fn checkpoint_is_due(&self) -> bool {
        self.pressure().is_some_and(|pressure| pressure >= FULL)
    }

    /// Sees to the checkpoint that may be due. Called after every commit, with no lock held.
    ///
    /// The commit stands whatever becomes of the checkpoint: a failure that matters closes the database, and the next call says
    /// so.
    pub(crate) fn after_commit(self: &Arc<Self>) {
        self.make_room_ahead();
        let Some(pressure) = self.pressure() else { return };
        if self.background && pressure >= FULL / 2 {
            self.worker.start(self);
            if pressure < FULL {
                let over = pressure.saturating_sub(FULL * 3 / 4) as u32;
                self.worker.pause(LONGEST_PAUSE * over / (FULL / 4) as u32);
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
    fn start(&self, engine: &Arc<Engine>) {
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
        let shared = Arc::clone(engine);
        let started = Builder::new().name("dosql-checkpoint".to_owned()).spawn(move || {
            let made = shared.checkpoint();
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
