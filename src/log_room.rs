//! Room in the log, made ahead of the commits that will need it, so that none of them waits for a file to be made.
//!
//! ```text
//! room left, against all that was ever logged (at most an eighth of the log's limit)
//! more        commits take of it
//! less        a thread makes as much, and ends
//! none        the commit that needs it makes it
//! ```
//!
//! So a database that is written little keeps a small log.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::engine::Engine;

/// Which part of the log's limit is made ahead at most.
const PART: u64 = 8;

/// The thread that makes room, if there is one.
#[derive(Default)]
pub(crate) struct LogRoom {
    working: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// After a failure the next attempt waits until the log has reached this position.
    retry_at: AtomicU64,
}

impl Engine {
    /// Sees to it that there is room in the log for commits to come, where there are threads to make it.
    pub(crate) fn make_room_ahead(self: &Arc<Self>) {
        let (left, end) = self.log.room_left();
        let wanted = end.get().min(self.options.log_limit / PART);
        if self.background && left < wanted && end.get() >= self.room.retry_at.load(Ordering::Relaxed) {
            self.room.start(self, wanted);
        }
    }
}

impl LogRoom {
    fn start(&self, engine: &Arc<Engine>, wanted: u64) {
        if self.working.load(Ordering::Acquire) {
            return;
        }
        let mut thread = self.thread.lock();
        if engine.closed.load(Ordering::Acquire) || self.working.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(before) = thread.take() {
            // It no longer works: it has ended, or is about to.
            let _ = before.join();
        }
        let shared = Arc::clone(engine);
        let started = Builder::new().name("dosql-log".to_owned()).spawn(move || {
            if shared.log.reserve(usize::try_from(wanted).unwrap_or(usize::MAX)).is_err() {
                // The commit that needs the room will say so.
                let later = shared.log.end().0.get().saturating_add(wanted);
                shared.room.retry_at.store(later, Ordering::Relaxed);
            }
            shared.room.working.store(false, Ordering::Release);
        });
        match started {
            Ok(handle) => *thread = Some(handle),
            Err(_) => self.working.store(false, Ordering::Release),
        }
    }

    /// Waits until the thread is gone, and with it its hold on the engine. After the engine was closed there is no other.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
