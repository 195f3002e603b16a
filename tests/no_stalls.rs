//! What a commit may have to wait for: with a device that keeps pace, the thread that commits neither writes pages, nor waits for
//! the device, nor makes room in the log. Counted, not timed.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use dosql::stores::{Batch, Caps, LogCaps, LogPosition, LogStats, LogStore, PageId, PageStore, StoreStats};
use dosql::{Database, Durability, Maintenance, Options, Result, Storage};

const LOG_LIMIT: u64 = 1 << 20;
/// Commits before they are counted: the first files of a log are made by the commits that need them.
const FIRST: u32 = 300;
const COMMITS: u32 = 6000;

/// Calls that the committing thread made itself.
struct Own {
    thread: ThreadId,
    page_batches: AtomicU64,
    syncs: AtomicU64,
    reserves: AtomicU64,
    /// How far the log has room.
    room: AtomicU64,
}

impl Own {
    fn count(&self, calls: &AtomicU64) {
        if thread::current().id() == self.thread {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> [u64; 3] {
        [&self.page_batches, &self.syncs, &self.reserves].map(|calls| calls.load(Ordering::Relaxed))
    }
}

struct Pages(Arc<dyn PageStore>, Arc<Own>);

impl PageStore for Pages {
    fn page_size(&self) -> usize {
        self.0.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        self.0.read(id, buf)
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.1.count(&self.1.page_batches);
        self.0.commit(batch)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.0.meta()
    }

    fn stats(&self) -> StoreStats {
        self.0.stats()
    }

    fn caps(&self) -> Caps {
        self.0.caps()
    }
}

struct Log(Arc<dyn LogStore>, Arc<Own>);

impl LogStore for Log {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.0.append(bytes)
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        self.1.count(&self.1.syncs);
        self.0.sync(upto)
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_from(from, buffer)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        // Who finds the room made already waits for nothing.
        if upto.get() > self.1.room.load(Ordering::Relaxed) {
            self.1.count(&self.1.reserves);
        }
        let room = self.0.reserve(upto)?;
        self.1.room.store(room.get(), Ordering::Relaxed);
        Ok(room)
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.0.truncate(end)
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        self.0.trim(before)
    }

    fn shrink(&self) -> Result<()> {
        self.0.shrink()
    }

    fn stats(&self) -> LogStats {
        self.0.stats()
    }

    fn caps(&self) -> LogCaps {
        self.0.caps()
    }
}

/// Waits as a device that keeps pace would have it: until no more than so much is left to do, or too long.
fn keep_pace(settled: impl Fn() -> bool) {
    for _ in 0..2_000_000 {
        if settled() {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn with_a_device_that_keeps_pace_no_commit_writes_pages_or_syncs_or_makes_room_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        maintenance: Maintenance::Background,
        durability: Durability::None,
        log_limit: LOG_LIMIT,
        ..Options::default()
    };
    let own = Arc::new(Own {
        thread: thread::current().id(),
        page_batches: AtomicU64::new(0),
        syncs: AtomicU64::new(0),
        reserves: AtomicU64::new(0),
        room: AtomicU64::new(0),
    });
    let mut storage = Storage::directory_with(directory.path().join("db"), &options).unwrap();
    storage.pages = Arc::new(Pages(storage.pages, Arc::clone(&own)));
    storage.log = Arc::new(Log(storage.log, Arc::clone(&own)));
    let db = Database::open(storage, options).unwrap();
    let space = db.keyspace("space").unwrap();
    let commit = |n: u32| db.write(|tx| tx.put(&space, (n % 1000).to_be_bytes(), [n as u8; 1000])).unwrap();
    // How much a commit logs, and how far the log was before.
    let backlog = || db.stats().log_backlog;
    (0..10).for_each(commit);
    let start = backlog();
    (10..20).for_each(commit);
    let size = (backlog() - start) / 10;
    let before_first = start - 10 * size;
    (20..FIRST).for_each(commit);
    let mut before = [0; 3];
    for n in FIRST..COMMITS {
        let end = before_first + u64::from(n) * size;
        keep_pace(|| {
            backlog() < LOG_LIMIT * 15 / 16 && own.room.load(Ordering::Relaxed) > end + LOG_LIMIT / 32
        });
        if n == FIRST {
            before = own.counts();
        }
        commit(n);
    }
    assert_eq!(own.counts(), before);
    assert!(db.stats().checkpoints > 5, "{}", db.stats().checkpoints);
}
