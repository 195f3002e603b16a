//! Group commit: of those who wait for the log one syncs for all.

use std::sync::Arc;

use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::{Error, Result, Timestamp};
use dosql_wal::{Log, LogCaps, LogOptions, LogPosition, LogStats, LogStore, MemoryLogStore, RecordBuilder};
use loom::thread;

use crate::run::Model;

pub const MODELS: &[Model] = &[
    Model {
        name: "group-commit",
        run: whoever_returns_is_durable,
        twins: &[
            "log-durable-before-sync",
            "log-followers-not-woken",
            "log-lead-kept",
            "log-word-not-passed-on",
        ],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "failing-sync",
        run: a_failing_sync_tells_all,
        twins: &["failed-sync-forgiven"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "durable-position",
        run: what_is_durable_was_synced,
        twins: &["log-durable-relaxed"],
        most_preemptions: usize::MAX,
    },
];

/// A device that says how far it was synced, and fails its first sync where it is told to.
pub struct Device {
    inner: MemoryLogStore,
    pub synced: AtomicU64,
    fails: AtomicBool,
}

impl Device {
    pub fn new(fails: bool) -> Arc<Self> {
        let inner = MemoryLogStore::new();
        Arc::new(Device { inner, synced: AtomicU64::new(0), fails: AtomicBool::new(fails) })
    }
}

impl LogStore for Device {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.inner.append(bytes)
    }

    fn sync(&self, upto: LogPosition) -> Result<()> {
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(Error::invalid("the device failed, as planned"));
        }
        self.synced.store(upto.get(), Ordering::Relaxed);
        Ok(())
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

    fn stats(&self) -> LogStats {
        self.inner.stats()
    }

    fn caps(&self) -> LogCaps {
        self.inner.caps()
    }
}

/// A log, and the lock under which commits are appended.
struct Commits {
    device: Arc<Device>,
    log: Log,
    last: Mutex<u64>,
}

impl Commits {
    fn new(device: Arc<Device>) -> Arc<Self> {
        let store: Arc<dyn LogStore> = device.clone();
        let opened = Log::open(store, LogPosition::new(0), 0, LogOptions::default(), |_| Ok(()));
        let (log, _) = opened.expect("an empty log opens");
        Arc::new(Commits { device, log, last: Mutex::new(0) })
    }

    /// Appends a commit and waits until it is durable.
    fn commit(&self) -> Result<LogPosition> {
        let appended = {
            let mut last = self.last.lock();
            *last += 1;
            let mut record = RecordBuilder::new();
            record.begin(Timestamp::from_micros(*last), 0);
            record.put(b"key", b"value")?;
            record.finish();
            self.log.append(&record)?
        };
        self.log.sync(appended.end)?;
        Ok(appended.end)
    }
}

fn fresh(fails: bool) -> Arc<Commits> {
    let commits = Commits::new(Device::new(false));
    commits.device.fails.store(fails, Ordering::Relaxed);
    commits
}

fn whoever_returns_is_durable() {
    let commits = fresh(false);
    let commit = |commits: &Commits| {
        let end = commits.commit().expect("nothing fails");
        assert!(
            commits.device.synced.load(Ordering::Relaxed) >= end.get(),
            "acknowledged before it was durable"
        );
    };
    let threads = [0, 1].map(|_| {
        let commits = Arc::clone(&commits);
        thread::spawn(move || commit(&commits))
    });
    commit(&commits);
    threads.into_iter().for_each(|thread| thread.join().expect("a thread of the model ends"));
}

fn a_failing_sync_tells_all() {
    let commits = fresh(true);
    let other = Arc::clone(&commits);
    let thread = thread::spawn(move || other.commit());
    let own = commits.commit();
    let others = thread.join().expect("a thread of the model ends");
    assert!(own.is_err() && others.is_err(), "acknowledged although the device had failed");
}

fn what_is_durable_was_synced() {
    let commits = fresh(false);
    let other = Arc::clone(&commits);
    // The one who looks is not the one who runs first: loom would not go back to a look that others came after.
    let thread = thread::spawn(move || {
        let durable = other.log.durable();
        let synced = other.device.synced.load(Ordering::Relaxed);
        assert!(synced >= durable.get(), "called durable before it was synced");
    });
    commits.commit().expect("nothing fails");
    thread.join().expect("a thread of the model ends");
}
