//! Objects as files of one directory.
//!
//! An object is written under a name that no object can have (`.3.tmp`), synced, linked to its own name, which fails
//! where that is taken, and the directory synced. So a file with an object's name is whole, whatever crash came between.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::store::{SegmentStore, missing, taken, too_short, validate_name};

/// How many files are kept open for reading.
const MAX_OPEN: usize = 64;

/// Objects as files of one directory. One process at a time may write there; the caller holds the lock for that.
#[derive(Debug)]
pub struct DirectorySegmentStore {
    path: PathBuf,
    /// Whether this process has synced the directory's own name.
    named: AtomicBool,
    next_temporary: AtomicU64,
    open: Mutex<BTreeMap<String, Arc<File>>>,
}

impl DirectorySegmentStore {
    /// The directory at `path`, made if it is missing (its parent must exist); its name is durable with the first object. Removes what an interrupted put left.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create directory", &path, &error)),
        }
        let store = DirectorySegmentStore {
            path,
            named: AtomicBool::new(false),
            next_temporary: AtomicU64::new(0),
            open: Mutex::new(BTreeMap::new()),
        };
        for name in store.names()?.iter().filter(|name| is_temporary(name)) {
            store.remove(name)?;
        }
        Ok(store)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(|error| failed("list", &self.path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &self.path, &error))?;
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, &error)),
            _ => Ok(()),
        }
    }

    fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives the written file its name, unless that is taken.
    fn publish(&self, temporary: &Path, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::hard_link(temporary, &path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(name)),
            // A file system without links. Nobody else writes here, and names are unique: look, then rename.
            Err(_) if path.try_exists().map_err(|error| failed("look for", &path, &error))? => {
                Err(taken(name))
            }
            Err(_) => fs::rename(temporary, &path).map_err(|error| failed("rename to", &path, &error)),
        }
    }

    fn file(&self, name: &str) -> Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(name) {
            return Ok(file.clone());
        }
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(name)),
            Err(error) => return Err(failed("open", &path, &error)),
        };
        if open.len() >= MAX_OPEN {
            open.pop_first();
        }
        open.insert(name.to_string(), file.clone());
        Ok(file)
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::io(format!("{what} {}", path.display()), error)
}

/// Makes the names in a directory durable. Windows has no such call, and needs none.
fn sync_directory(path: Option<&Path>) -> Result<()> {
    let path = path.unwrap_or(Path::new("."));
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed("sync", path, &error))
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

impl SegmentStore for DirectorySegmentStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        validate_name(name)?;
        if self.path.join(name).exists() {
            return Err(taken(name));
        }
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{number}.tmp");
        let path = self.path.join(&temporary);
        let written = Self::write_temporary(&path, bytes).map_err(|error| failed("write", &path, &error));
        let published = written.and_then(|()| self.publish(&path, name));
        let removed = self.remove(&temporary);
        published.and(removed)?;
        if !self.named.load(Ordering::Acquire) {
            sync_directory(self.path.parent().filter(|parent| !parent.as_os_str().is_empty()))?;
            self.named.store(true, Ordering::Release);
        }
        sync_directory(Some(&self.path))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        validate_name(name)?;
        let file = self.file(name)?;
        let describe = |error: &io::Error| failed("read", &self.path.join(name), error);
        let size = file.metadata().map_err(|error| describe(&error))?.len();
        if range.start > range.end || range.end > size {
            return Err(too_short(name, &range));
        }
        let len = usize::try_from(range.end - range.start).map_err(|_| too_short(name, &range))?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match read_at(&file, range.start + filled as u64, &mut bytes[filled..]) {
                Ok(0) => return Err(too_short(name, &range)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(describe(&error)),
            }
        }
        Ok(bytes)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| validate_name(name))?;
        for name in names {
            self.open.lock().remove(*name);
            self.remove(name)?;
        }
        sync_directory(Some(&self.path))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| name.starts_with(prefix) && validate_name(name).is_ok());
        Ok(names)
    }
}
