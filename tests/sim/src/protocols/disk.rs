//! The simulated disk under a whole database, with an eye on each sync of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dosql::stores::FileLogStore;
use dosql::{Database, Result, Storage, Timestamp};
use dosql_wal::{CrashDirectory, Directory, RawFile};
use parking_lot::Mutex;

use crate::crash;

/// Looks at the database whenever its log is about to be synced: what readers see by then must have been acknowledged.
#[derive(Default)]
pub(crate) struct Watch {
    database: Mutex<Option<Database>>,
    /// The newest commit that readers may see.
    promised: AtomicU64,
    mistake: Mutex<Option<String>>,
}

impl Watch {
    pub(crate) fn begin(&self, database: &Database) {
        self.promise(database.last_commit());
        *self.database.lock() = Some(database.clone());
    }

    pub(crate) fn end(&self) {
        let watched = self.database.lock().take();
        drop(watched);
    }

    /// Commits up to here were acknowledged.
    pub(crate) fn promise(&self, at: Timestamp) {
        self.promised.fetch_max(at.as_micros(), Ordering::SeqCst);
    }

    pub(crate) fn mistake(&self) -> Option<String> {
        self.mistake.lock().take()
    }

    fn look(&self) {
        let Some(database) = self.database.lock().clone() else { return };
        let promised = Timestamp::from_micros(self.promised.load(Ordering::SeqCst));
        let visible = database.last_commit();
        if visible > promised {
            let what = format!("commit {visible} is visible, but only those up to {promised} are durable");
            self.mistake.lock().get_or_insert(what);
        }
    }
}

/// The stores of the database in `directory`, watched.
pub(crate) fn storage(directory: &CrashDirectory, page_size: usize, watch: &Arc<Watch>) -> Result<Storage> {
    let pages = crash::pages(directory, page_size)?;
    let watched = Watched { directory: directory.clone(), watch: Arc::clone(watch) };
    let log = FileLogStore::open_in(Arc::new(watched), 0)?;
    Ok(Storage::new(pages, Arc::new(log), Arc::new(crash::CrashSegments(directory.clone()))))
}

struct Watched {
    directory: CrashDirectory,
    watch: Arc<Watch>,
}

impl Watched {
    fn file(&self, file: Arc<dyn RawFile>, name: &str) -> Arc<dyn RawFile> {
        if !name.starts_with("log-") {
            return file;
        }
        Arc::new(WatchedFile { file, watch: Arc::clone(&self.watch) })
    }
}

impl Directory for Watched {
    fn list(&self) -> Result<Vec<String>> {
        self.directory.list()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        Ok(self.file(self.directory.open(name)?, name))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        Ok(self.file(self.directory.create(name)?, name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.directory.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.directory.remove(name)
    }

    fn sync(&self) -> Result<()> {
        self.directory.sync()
    }
}

struct WatchedFile {
    file: Arc<dyn RawFile>,
    watch: Arc<Watch>,
}

impl RawFile for WatchedFile {
    fn size(&self) -> Result<u64> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<()> {
        self.watch.look();
        self.file.sync_data()
    }

    fn device_holds(&self, offset: u64, bytes: &[u8]) -> bool {
        self.file.device_holds(offset, bytes)
    }
}
