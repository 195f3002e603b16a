//! What a start has read of the log and not applied yet: changes of many commits, to be applied in the order of their keys, page by page.
//! Beside that a second thread, where there may be one, reads the pages that they will need.
//!
//! ```text
//! log -> filling -> sorted, waiting (a few) -> applied
//!                         | helper: reads the leaves of the keys, ahead of what is applied
//! ```
//!
//! Changes of different keys don't depend on each other; those of one key keep their order. What does depend on changes before it (the
//! schema, rows of branches) is for the caller to apply when nothing waits.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use dosql_base::Timestamp;
use dosql_base::sync::atomic::{AtomicUsize, Ordering};
use dosql_btree::{PageSnapshot, ReadAhead, Root};

/// Changes that are sorted together, at most; and bytes of keys and values.
const MOST: usize = 4096;
const MOST_BYTES: usize = 1 << 20;
/// What waits together is to need no more than this part of the pages that memory has room for.
const PART: usize = 16;
/// Batches that wait where there is a helper to make use of them.
const WAITING: usize = 3;
/// How far the helper begins ahead of what is applied.
const LEAD: usize = 32;

/// A change of a key.
struct Queued {
    branch: u32,
    at: Timestamp,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

/// Changes of some commits.
#[derive(Default)]
pub(crate) struct Batch {
    /// How many changes were queued before its first.
    before: usize,
    changes: Vec<Queued>,
    bytes: Vec<u8>,
}

/// A change as it is to be applied.
pub(crate) struct Replayable<'a> {
    pub(crate) branch: u32,
    pub(crate) at: Timestamp,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

impl Batch {
    fn add(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn key(&self, change: &Queued) -> &[u8] {
        self.bytes.get(change.key.clone()).unwrap_or_default()
    }

    /// The changes, branch by branch and in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Replayable<'_>> {
        self.changes.iter().map(|change| Replayable {
            branch: change.branch,
            at: change.at,
            key: self.key(change),
            value: change.value.clone().map(|value| self.bytes.get(value).unwrap_or_default()),
        })
    }

    fn sort(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by(|a, b| a.branch.cmp(&b.branch).then_with(|| self.key(a).cmp(self.key(b))));
        self.changes = changes;
    }
}

/// See the module's description.
pub(crate) struct Queue {
    filling: Batch,
    waiting: VecDeque<Arc<Batch>>,
    /// Changes that were queued and sorted.
    sorted: usize,
    most: usize,
    helper: Option<Helper>,
}

impl Queue {
    /// For trees as `pages` has them, of which memory has room for so many pages. `threads`: there may be a helper.
    pub(crate) fn new(pages: PageSnapshot, roots: BTreeMap<u32, Root>, room: usize, threads: bool) -> Queue {
        let helper = if threads { Some(Helper::Idle(pages, roots)) } else { None };
        let most = (room / PART).clamp(1, MOST);
        Queue { filling: Batch::default(), waiting: VecDeque::new(), sorted: 0, most, helper }
    }

    /// Queues a change.
    pub(crate) fn push(&mut self, branch: u32, at: Timestamp, key: &[u8], value: Option<&[u8]>) {
        let key = self.filling.add(key);
        let value = value.map(|value| self.filling.add(value));
        self.filling.changes.push(Queued { branch, at, key, value });
    }

    /// A batch to apply, where there are enough.
    pub(crate) fn next_full(&mut self) -> Option<Arc<Batch>> {
        if self.filling.changes.len() < self.most && self.filling.bytes.len() < MOST_BYTES {
            return None;
        }
        self.end_batch();
        let most = if self.helper.is_some() { WAITING } else { 0 };
        if self.waiting.len() > most { self.waiting.pop_front() } else { None }
    }

    /// A batch to apply, where there is anything.
    pub(crate) fn next(&mut self) -> Option<Arc<Batch>> {
        self.end_batch();
        self.waiting.pop_front()
    }

    fn end_batch(&mut self) {
        if self.filling.changes.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.filling);
        batch.before = self.sorted;
        self.sorted += batch.changes.len();
        batch.sort();
        let batch = Arc::new(batch);
        self.waiting.push_back(Arc::clone(&batch));
        // A log that is applied at one go is not worth a thread.
        if self.waiting.len() > 1
            && let Some(helper) = self.helper.take()
        {
            self.helper = helper.begun();
            self.waiting.iter().for_each(|batch| self.tell(batch));
        } else {
            self.tell(&batch);
        }
    }

    /// Has the helper read what a batch needs.
    fn tell(&self, batch: &Arc<Batch>) {
        if let Some(Helper::AtWork(Reader { batches: Some(batches), .. })) = &self.helper {
            // Where it has ended, the pages are read when they are needed.
            let _ = batches.send(Arc::clone(batch));
        }
    }

    /// Tells how far a batch was applied.
    pub(crate) fn applied(&self, batch: &Batch, changes: usize) {
        if let Some(Helper::AtWork(reader)) = &self.helper {
            reader.applied.store(batch.before + changes, Ordering::Relaxed);
        }
    }
}

/// Who reads pages ahead.
enum Helper {
    /// Not there before it is worth it.
    Idle(PageSnapshot, BTreeMap<u32, Root>),
    AtWork(Reader),
}

impl Helper {
    fn begun(self) -> Option<Helper> {
        let Helper::Idle(pages, roots) = self else { return Some(self) };
        let (batches, received) = channel();
        let applied = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&applied);
        let work = move || read_ahead(&received, ReadAhead::new(pages), &roots, &seen);
        let thread = Builder::new().name("dosql-recover".to_owned()).spawn(work).ok()?;
        Some(Helper::AtWork(Reader { batches: Some(batches), applied, thread: Some(thread) }))
    }
}

/// The thread, at work.
struct Reader {
    batches: Option<Sender<Arc<Batch>>>,
    /// How many changes were applied.
    applied: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // What it has not read is not wanted any more.
        self.applied.store(usize::MAX, Ordering::Relaxed);
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the leaves of all keys that come, but for those that are applied already.
fn read_ahead(
    batches: &Receiver<Arc<Batch>>,
    mut pages: ReadAhead,
    roots: &BTreeMap<u32, Root>,
    applied: &AtomicUsize,
) {
    while let Ok(batch) = batches.recv() {
        let mut at = 0;
        while let Some(change) = batch.changes.get(at) {
            let done = applied.load(Ordering::Relaxed);
            if done > batch.before + at {
                at = done.saturating_sub(batch.before).saturating_add(LEAD);
                continue;
            }
            // Who applies the change meets the same failure, and says so.
            if let Some(root) = roots.get(&change.branch)
                && pages.leaf_of(*root, batch.key(change)).is_err()
            {
                return;
            }
            at += 1;
        }
    }
}
