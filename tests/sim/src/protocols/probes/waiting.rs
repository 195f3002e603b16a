//! A checkpoint that comes while a commit waits for the device: it must wait too, or readers see what a crash can still undo.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use dosql::{Result, Storage, Timestamp};
use dosql_base::mutant::{weaken, weakness};
use dosql_wal::{CrashDirectory, Directory, FileLogStore, RawFile};
use parking_lot::{Condvar, Mutex};

use super::Tally;
use crate::crash;
use crate::protocols::scenario::Scenario;
use crate::protocols::world::World;

static WAITING: Scenario = Scenario::keys("waiting", |world| world.open());

/// How long the checkpoint gets to do what it must not.
const PATIENCE: Duration = Duration::from_millis(300);

/// Lets syncs of the log through, or holds them up.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    /// A sync stands before it.
    waiting: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut closed = self.closed.lock();
        *self.waiting.lock() = *closed;
        while *closed {
            self.changed.wait(&mut closed);
        }
    }

    fn set(&self, closed: bool) {
        *self.closed.lock() = closed;
        self.changed.notify_all();
    }
}

struct Gated(CrashDirectory, Arc<Gate>);

impl Gated {
    fn file(&self, file: Arc<dyn RawFile>) -> Arc<dyn RawFile> {
        Arc::new(GatedFile(file, Arc::clone(&self.1)))
    }
}

impl Directory for Gated {
    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        self.0.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        self.0.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }
}

struct GatedFile(Arc<dyn RawFile>, Arc<Gate>);

impl RawFile for GatedFile {
    fn size(&self) -> Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<()> {
        self.1.pass();
        self.0.sync_data()
    }
}

pub(super) fn checkpoint_waits(tally: &mut Tally) {
    tally.case(
        || "a commit under way".to_owned(),
        || race().unwrap_or_else(|error| vec![format!("{error:?}")]),
    );
}

fn race() -> Result<Vec<String>> {
    let (disk, gate) = (CrashDirectory::new(), Arc::new(Gate::default()));
    let options = World::new(&WAITING).options();
    let pages = crash::pages(&disk, options.page_size)?;
    let log = FileLogStore::open_in(Arc::new(Gated(disk.clone(), Arc::clone(&gate))), 0)?;
    let segments = Arc::new(dosql::stores::MemorySegmentStore::new());
    let database = dosql::Database::open(Storage::new(pages, Arc::new(log), segments), options)?;
    let space = database.keyspace("space")?;
    let first = database.begin_write().and_then(|mut tx| {
        tx.put(&space, "key", "first")?;
        tx.commit()
    })?;
    let switch = weakness();
    let (done, told) = channel();
    let mut seen = Timestamp::ZERO;
    std::thread::scope(|scope| {
        gate.set(true);
        let committing = scope.spawn(|| {
            weaken(switch);
            database.write(|tx| tx.put(&space, "key", "second"))
        });
        while !*gate.waiting.lock() && !committing.is_finished() {
            std::thread::yield_now();
        }
        let checkpointing = scope.spawn(|| {
            weaken(switch);
            let result = database.checkpoint();
            let _ = done.send(());
            result
        });
        // A checkpoint that does not wait is done at once.
        if told.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            seen = database.last_commit();
        } else {
            seen = database.last_commit().max(first.next());
        }
        gate.set(false);
        let _ = (committing.join(), checkpointing.join());
    });
    Ok(if seen > first {
        vec!["a commit that waits for the device is visible".to_owned()]
    } else {
        Vec::new()
    })
}
