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

use dosql_base::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;
use crate::helper::Helper;

/// Which part of the log's limit is made ahead at most.
const PART: u64 = 8;

/// The thread that makes room, if there is one.
#[derive(Default)]
pub(crate) struct LogRoom {
    helper: Helper,
    /// After a failure the next attempt waits until the log has reached this position.
    retry_at: AtomicU64,
}

impl Engine {
    /// Sees to it that there is room in the log for commits to come, where there are threads to make it.
    pub(crate) fn make_room_ahead(self: &Arc<Self>) {
        let (left, end) = self.log.room_left();
        let wanted = end.get().min(self.options.log_limit / PART);
        if self.background && left < wanted && end.get() >= self.room.retry_at.load(Ordering::Relaxed) {
            let work = move |engine: &Engine| {
                if engine.log.reserve(usize::try_from(wanted).unwrap_or(usize::MAX)).is_err() {
                    // The commit that needs the room will say so.
                    let later = engine.log.end().0.get().saturating_add(wanted);
                    engine.room.retry_at.store(later, Ordering::Relaxed);
                }
            };
            self.room.helper.start("dosql-log", self, |engine| &engine.room.helper, work);
        }
    }
}

impl LogRoom {
    /// See [`Helper::join`].
    pub(crate) fn join(&self) {
        self.helper.join();
    }
}
