//! A thread for work beside commits, that lives as long as there is some.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicBool, Ordering};

use crate::engine::Engine;

/// The thread, if there is one.
#[derive(Default)]
pub(crate) struct Helper {
    working: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Helper {
    /// Starts it, unless it is at work or the database is closed. `of` says which helper of the engine this is. Where there can be no
    /// thread, whoever needs what it would have done does it.
    pub(crate) fn start(
        &self,
        name: &str,
        engine: &Arc<Engine>,
        of: fn(&Engine) -> &Helper,
        work: impl FnOnce(&Engine) + Send + 'static,
    ) {
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
        let started = Builder::new().name(name.to_owned()).spawn(move || {
            work(&shared);
            of(&shared).working.store(false, Ordering::Release);
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
