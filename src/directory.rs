//! A database in a directory, and the lock that keeps other processes out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_btree::{FilePageStore, PageStore};
use dosql_lsm::DirectorySegmentStore;
use dosql_wal::{DEFAULT_SEGMENT_BYTES, FileLogStore};

use crate::options::Options;
use crate::storage::{Lock, Storage};

const PAGES: &str = "pages";
const LOCK: &str = "LOCK";
const SEGMENTS: &str = "segments";
/// Stands in a directory whose database is not finished yet.
const UNFINISHED: &str = "UNFINISHED";
/// A log file is at most a quarter of the log limit, so that a checkpoint can recycle most of it, and never so large that making one
/// keeps the device busy for long.
const LOG_FILES: u64 = 4;

/// Opens the stores in the directory at `path`, which is made if it is missing.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Storage> {
    let exists = path.exists();
    if exists {
        check_contents(path)?;
    } else {
        fs::create_dir_all(path).map_err(|error| Error::io(format!("make {}", path.display()), &error))?;
    }
    open_stores(path, options)
}

fn open_stores(path: &Path, options: &Options) -> Result<Storage> {
    let lock = lock(path)?;
    let log = FileLogStore::open(path, (options.log_limit / LOG_FILES).min(DEFAULT_SEGMENT_BYTES))?;
    let pages = FilePageStore::open(path.join(PAGES), options.page_size)?;
    // Names are durable before there is a database by them. Whoever made its first checkpoint saw to that.
    if pages.meta()?.is_none() {
        sync_directory(parent(path))?;
        sync_directory(path)?;
    }
    let segments = DirectorySegmentStore::open(path.join(SEGMENTS))?;
    let mut storage = Storage::new(Arc::new(pages), Arc::new(log), Arc::new(segments));
    storage.lock = Some(lock);
    Ok(storage)
}

/// Makes a directory, in which nothing may be yet, for a database that counts as one when [`finish`] was called.
pub(crate) fn make_unfinished(path: &Path, options: &Options) -> Result<Storage> {
    fs::create_dir(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::invalid("something is there already; name a path where nothing is")
                .at(path.display().to_string())
        }
        _ => Error::io(format!("make {}", path.display()), &error),
    })?;
    let mark = path.join(UNFINISHED);
    File::create_new(&mark)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io(format!("make {}", mark.display()), &error))?;
    sync_directory(path)?;
    sync_directory(parent(path))?;
    open_stores(path, options)
}

/// The database that the directory holds is finished.
pub(crate) fn finish(path: &Path) -> Result<()> {
    sync_directory(path)?;
    let mark = path.join(UNFINISHED);
    fs::remove_file(&mark).map_err(|error| Error::io(format!("remove {}", mark.display()), &error))?;
    sync_directory(path)
}

/// A directory that holds anything else is somebody's, and not to be written into.
fn check_contents(path: &Path) -> Result<()> {
    let not_ours = |what: String| {
        Err(Error::new(ErrorKind::InvalidInput, Code::NotADb, what).at(path.display().to_string()))
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(_) if path.is_file() => {
            return not_ours("a database is a directory, and this is a file; name another path".to_owned());
        }
        Err(error) => return Err(Error::io(format!("list {}", path.display()), &error)),
    };
    if path.join(UNFINISHED).exists() {
        return not_ours(
            "this is a copy of a database that was not finished; remove it and make another".to_owned(),
        );
    }
    let (mut ours, mut other) = (false, None);
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(format!("list {}", path.display()), &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == PAGES || name == LOCK {
            ours = true;
        } else if name != SEGMENTS && !name.starts_with("log-") {
            other = Some(name);
        }
    }
    match other {
        Some(name) if !ours => {
            not_ours(format!("the directory holds '{name}' and no database; name another, or an empty one"))
        }
        _ => Ok(()),
    }
}

fn lock(path: &Path) -> Result<Lock> {
    let path = path.join(LOCK);
    let failed = |error: &std::io::Error| Error::io(format!("lock {}", path.display()), error);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file: File = options.map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::new((Held(file), lock_itself(parent(&path))?))),
        Err(TryLockError::WouldBlock) if weakened("lock-not-taken") => Ok(Lock::new(file)),
        Err(TryLockError::WouldBlock) => Err(busy(&path)),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Locks the directory itself too, where the system can: removing the lock file lets nobody in.
fn lock_itself(path: &Path) -> Result<Option<Held>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let Ok(directory) = File::open(path) else { return Ok(None) };
    match directory.try_lock() {
        Ok(()) => Ok(Some(Held(directory))),
        Err(TryLockError::WouldBlock) => Err(busy(path)),
        // Some file systems lock no directories. The lock file stands.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn busy(path: &Path) -> Error {
    let message = "the database is open elsewhere, in this process or another; close it there first";
    Error::new(ErrorKind::Busy, Code::Busy, message).at(path.display().to_string())
}

/// A file or a directory while it is locked.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would do, but that a child process that is just being started may still share the descriptor. Where it fails, it
        // is closed all the same.
        let _ = self.0.unlock();
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a directory durable.
fn sync_directory(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(path).and_then(|directory| directory.sync_all());
        synced.map_err(|error| Error::io(format!("sync {}", path.display()), &error))?;
    }
    Ok(())
}
