//! Who makes the checkpoints that fall due, and when.
//!
//! ```text
//! backlog, as a part of the limits     in the background                 by the caller
//! half to seven eighths                a thread begins a checkpoint      -
//! more than is in pace                 commits wait a little             -
//! all                                  commits wait for it to end        the commit that gets there makes one
//! ```
//!
//! [`crate::pace`] says when exactly, and [`crate::tier::pace`] how commits wait for rows that are to move into the segment store.
//!
//! A thread lives for one checkpoint only, and one for a merge of history: a database that is not written has none.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::sync::{Condvar, Mutex};

use crate::engine::Engine;
use crate::pace::{FULL, UnderWay, begin_after, gives_way, must_end};
use crate::tier::pace::Gauge;

/// As many bytes of log take as long to replay as a page takes to be read and checked, about.
const PAGE_IN_LOG: u64 = 256;

/// A checkpoint of less takes as long as one of so much, about.
const LEAST_KIB: u64 = 4 << 10;
/// What the first checkpoint is taken to need for a KiB, in nanoseconds: about 300 MiB a second.
const FIRST_SLOWNESS: u64 = 3_000;

/// How long somebody gives way before he looks again.
const LONGEST_WAY: Duration = Duration::from_millis(20);

/// What has gathered for a checkpoint.
#[derive(Clone, Copy)]
struct Backlog {
    /// In thousandths of what may.
    pressure: u64,
    /// Bytes of log.
    logged: u64,
    /// Bytes of changed pages and of history, which are what a checkpoint writes.
    held: u64,
}

/// The thread that makes a checkpoint, if there is one.
#[derive(Default)]
pub(crate) struct Worker {
    working: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The thread that merges runs of history and moves rows into the segment store, if there is one.
    merger: Mutex<Option<JoinHandle<()>>>,
    /// How far it is behind.
    pub(crate) gauge: Box<Gauge>,
    /// The database is being closed.
    leaving: AtomicBool,
    /// Taken to wait for `ended`, which is told whenever a checkpoint ends.
    waiting: Mutex<()>,
    ended: Condvar,
    /// After a failure the next attempt waits until the log has reached this position.
    retry_at: AtomicU64,
    /// The pressure at which the checkpoint under way, or the last, began, and when that was, in microseconds.
    begun: AtomicU64,
    begun_at: AtomicU64,
    /// How long it is expected to last, in microseconds, by the one before and how much there is to write.
    expected: AtomicU64,
    /// The pressure that gathered while the last was made, and how long that took, in nanoseconds for a KiB; 0 before the first.
    grown: AtomicU64,
    slowness: AtomicU64,
}

impl Engine {
    /// What has gathered for a checkpoint; `None` where that can't be told without waiting.
    fn gathered(&self) -> Option<Backlog> {
        let committer = self.committer.try_lock()?;
        let held = self.pages.dirty_bytes().saturating_add(committer.history_memory()) as u64;
        let logged = self.log.end().0.get().saturating_sub(committer.log_start.get());
        drop(committer);
        let pages = (self.pages.dirty_bytes() / self.pages.page_size()) as u64;
        let replay = logged.saturating_add(pages * PAGE_IN_LOG);
        let part = |what: u64, limit: u64| what.saturating_mul(FULL) / limit.max(1);
        let pressure = part(held, self.options.dirty_bytes as u64).max(part(replay, self.options.log_limit));
        Some(Backlog { pressure, logged, held })
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
        self.make_memory_ahead();
        self.hold_back();
        let Some(backlog) = self.gathered() else { return };
        let pressure = backlog.pressure;
        if self.background && pressure >= begin_after(self.worker.grown.load(Ordering::Relaxed)) {
            self.worker.start(self, &backlog);
            let may_go_on = self.worker.is_working() && !must_end(pressure);
            if pressure < FULL || may_go_on {
                let under_way = self.worker.under_way(self.env.now().as_micros());
                self.worker.pause(under_way.pause(pressure));
                return;
            }
            self.worker.wait();
        }
        if pressure >= FULL && self.checkpoint_is_due() {
            let _ = self.checkpoint();
            self.merge_in_time();
        }
    }

    /// Lets the checkpoint under way end first where commits would soon have to wait for it: moving rows changes pages too, and whoever
    /// moves them has time. Called with neither the committer's turn nor the checkpoint's, by one who keeps others from moving rows or merging.
    pub(crate) fn give_way(&self) {
        let is_pressed = || self.gathered().is_none_or(|backlog| gives_way(backlog.pressure));
        while self.worker.is_working() && !self.worker.is_leaving() && is_pressed() {
            self.worker.pause(LONGEST_WAY);
        }
    }
}

impl Worker {
    /// Starts a thread for one checkpoint, unless there is one.
    fn start(&self, engine: &Arc<Engine>, backlog: &Backlog) {
        let too_soon = engine.log.end().0.get() < self.retry_at.load(Ordering::Relaxed);
        if too_soon || self.is_working() {
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
        let (shared, backlog) = (Arc::clone(engine), *backlog);
        let (end, now) = (engine.log.end().0.get(), engine.env.now().as_micros());
        self.begun.store(backlog.pressure, Ordering::Relaxed);
        self.begun_at.store(now, Ordering::Relaxed);
        let kib = (backlog.held >> 10).max(LEAST_KIB);
        let slowness = match self.slowness.load(Ordering::Relaxed) {
            0 => FIRST_SLOWNESS,
            known => known,
        };
        self.expected.store(slowness.saturating_mul(kib) / 1_000, Ordering::Relaxed);
        let started = Builder::new().name("dosql-checkpoint".to_owned()).spawn(move || {
            let made = shared.checkpoint();
            let lasted = shared.env.now().as_micros().saturating_sub(now);
            // Changed pages are taken to gather as the log does, for the checkpoint itself turns them into clean ones.
            let appended = shared.log.end().0.get().saturating_sub(end);
            let grown = backlog.pressure.saturating_mul(appended) / backlog.logged.max(1);
            shared.worker.grown.store(grown.max(1), Ordering::Relaxed);
            shared.worker.slowness.store((lasted.saturating_mul(1_000) / kib).max(1), Ordering::Relaxed);
            shared.worker.end(&shared, made.is_ok());
            shared.merge_in_time();
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

    /// Whether a checkpoint is under way in the background.
    fn is_working(&self) -> bool {
        self.working.load(Ordering::Acquire)
    }

    /// The checkpoint under way, as of `now` in microseconds.
    fn under_way(&self, now: u64) -> UnderWay {
        UnderWay {
            begun: self.begun.load(Ordering::Relaxed),
            elapsed: now.saturating_sub(self.begun_at.load(Ordering::Relaxed)),
            expected: self.expected.load(Ordering::Relaxed),
        }
    }

    /// Waits until no checkpoint is under way in the background.
    fn wait(&self) {
        let mut waiting = self.waiting.lock();
        while self.is_working() {
            self.ended.wait(&mut waiting);
        }
    }

    /// Waits for the checkpoint under way, but not longer than `most`.
    fn pause(&self, most: Duration) {
        if most.is_zero() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if self.is_working() {
            self.ended.wait_for(&mut waiting, most);
        }
    }

    /// Starts a thread for what is due of merges and of moves into the segment store, unless there is one.
    pub(crate) fn merge(&self, engine: &Arc<Engine>) {
        let mut merger = self.merger.lock();
        if self.is_leaving() || merger.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let shared = Arc::clone(engine);
        self.gauge.begin();
        let work = move || {
            // All stays as it is where this fails, and can be read as before.
            let part = if shared.merge_and_move().is_ok() { 64 } else { 8 };
            let pause = shared.options.hot_budget / part;
            shared.worker.gauge.end(shared.log.end().0.get().saturating_add(pause));
        };
        // Where there can be no thread, the runs stay as they are until there can.
        *merger = Builder::new().name("dosql-merge".to_owned()).spawn(work).ok();
        if merger.is_none() {
            self.gauge.end(engine.log.end().0.get().saturating_add(engine.options.hot_budget / 8));
        }
    }

    /// Whether what has not begun yet is in vain.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Gives up the merge under way, and lets none begin from now on.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        join(&self.merger);
    }

    /// Waits until the threads are gone, and with them their hold on the engine.
    pub(crate) fn join(&self) {
        self.leave();
        join(&self.thread);
        // The other may have started it before it heard.
        join(&self.merger);
    }
}

fn join(place: &Mutex<Option<JoinHandle<()>>>) {
    let thread = place.lock().take();
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}
