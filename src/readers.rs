//! Who reads what: every transaction's view, so that one that grows too old can be given a newer one.
//!
//! A view pins the page images of its moment. When they take too much memory, the transactions that hold old views are turned
//! into readers of the past: each gets the newest view, sees the same rows in it through history, and pins nothing old any
//! more. One whose moment history no longer reaches keeps what it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use dosql_base::sync::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::Engine;
use crate::view::View;

/// What one transaction sees.
pub(crate) struct Sight {
    pub(crate) view: Arc<View>,
    /// Everything committed up to here, and nothing later. Never after the view.
    pub(crate) at: Timestamp,
    /// The earliest moment that was asked for besides: what is read as of it may be under way.
    pub(crate) oldest: Timestamp,
    /// Rises when the view is exchanged.
    pub(crate) generation: u32,
}

/// A transaction's sight, shared with the engine.
pub(crate) struct Reader {
    /// Locked for the time of one read of a page at most; nobody waits in it.
    sight: Mutex<Sight>,
    /// As [`Sight::at`], which never changes.
    at: Timestamp,
    /// Bytes of keys and values that the transaction holds to be written.
    writes: AtomicUsize,
}

impl Reader {
    pub(crate) fn sight(&self) -> MutexGuard<'_, Sight> {
        self.sight.lock()
    }

    /// Notes how many bytes the transaction holds to be written.
    pub(crate) fn note_writes(&self, bytes: usize) {
        self.writes.store(bytes, Ordering::Relaxed);
    }
}

/// What the transactions under way amount to.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) transactions: usize,
    /// The earliest moment that one of them reads.
    pub(crate) oldest: Option<Timestamp>,
    /// Bytes that they hold to be written.
    pub(crate) writes: usize,
}

/// All readers, in shards, so that many threads can begin transactions at once.
#[derive(Default)]
pub(crate) struct Readers {
    shards: [Mutex<Shard>; SHARDS],
}

/// One in a model: addresses differ from run to run, and with them the way through the locks.
const SHARDS: usize = if cfg!(loom) { 1 } else { 8 };

#[derive(Default)]
struct Shard {
    readers: Vec<Weak<Reader>>,
    /// Readers at which those that are gone are dropped from the list.
    sweep_at: usize,
}

impl Readers {
    /// A new reader of `view`, as of `at` where that is earlier.
    pub(crate) fn add(&self, view: Arc<View>, at: Timestamp) -> Arc<Reader> {
        const FIRST_SWEEP: usize = 64;
        let at = if weakened("reader-moves-on") { at } else { at.min(view.timestamp) };
        let sight = Mutex::new(Sight { view, at, oldest: at, generation: 0 });
        let reader = Arc::new(Reader { sight, at, writes: AtomicUsize::new(0) });
        // Addresses differ from thread to thread.
        let place = (Arc::as_ptr(&reader) as usize >> 7) % SHARDS;
        let mut shard = self.shards[place].lock();
        if shard.readers.len() >= shard.sweep_at {
            shard.readers.retain(|reader| reader.strong_count() > 0);
            shard.sweep_at = (shard.readers.len() * 2).max(FIRST_SWEEP);
        }
        shard.readers.push(Arc::downgrade(&reader));
        reader
    }

    /// What the transactions under way amount to; looks at each of them, and waits for none.
    pub(crate) fn open(&self) -> Open {
        let mut open = Open::default();
        for reader in self.all() {
            open.transactions += 1;
            open.oldest = Some(open.oldest.map_or(reader.at, |oldest| oldest.min(reader.at)));
            open.writes = open.writes.saturating_add(reader.writes.load(Ordering::Relaxed));
        }
        open
    }

    /// What each reads as of.
    pub(crate) fn snapshots(&self) -> Vec<Timestamp> {
        self.all().iter().map(|reader| reader.at).collect()
    }

    fn all(&self) -> Vec<Arc<Reader>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().readers.iter().filter_map(Weak::upgrade));
        }
        all
    }
}

impl Engine {
    /// Lets branches that nobody writes go of the images that they pin: they see the same in those of now. Now and then, since it looks at
    /// every branch.
    fn renew_idle_branches(&self) {
        const OFTEN: u64 = 64;
        if !self.counters.relieved.fetch_add(1, Ordering::Relaxed).is_multiple_of(OFTEN) {
            return;
        }
        self.renew_all();
    }

    /// Turns readers of old views into readers of the past where old images take more memory than they may.
    pub(crate) fn relieve(&self) {
        if self.pages.pinned_bytes() <= self.options.pinned_bytes {
            return;
        }
        self.renew_idle_branches();
        if self.options.retention == 0 || self.main.view().retention.has_unkept() {
            return;
        }
        let newest: BTreeMap<u32, Arc<View>> = {
            let committer = self.committer();
            committer.branches.iter().map(|(&number, branch)| (number, branch.view())).collect()
        };
        for reader in self.readers.all() {
            // One that is reading at this moment is passed over; there will be another occasion.
            let Some(mut sight) = reader.sight.try_lock() else { continue };
            let Some(newest) = newest.get(&sight.view.branch) else { continue };
            let old = sight.view.pages.version() < newest.pages.version()
                && sight.view.timestamp <= newest.timestamp;
            if !old || (sight.at < newest.timestamp && !self.reaches_whole(newest, sight.oldest)) {
                continue;
            }
            let replaced = std::mem::replace(&mut sight.view, Arc::clone(newest));
            sight.generation = sight.generation.wrapping_add(1);
            drop(sight);
            drop(replaced);
        }
    }
}
