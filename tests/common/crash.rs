//! A whole database on the simulated disk, which can crash at any write or sync, of any of its files.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use dosql::stores::{FileLogStore, FilePageStore, MemorySegmentStore, PageStore, SegmentStore};
use dosql::{Error, ErrorKind, Result, Storage};
use dosql_wal::{CrashDirectory, CrashFile, Directory, RawFile};

/// The stores of the database in `directory`; segments in memory.
pub fn storage(directory: &CrashDirectory, page_size: usize) -> Result<Storage> {
    storage_with(directory, page_size, Arc::new(MemorySegmentStore::new()), 0)
}

/// The stores of the database in `directory`, with these segments; log files of up to `log_segment` bytes.
pub fn storage_with(
    directory: &CrashDirectory,
    page_size: usize,
    segments: Arc<dyn SegmentStore>,
    log_segment: u64,
) -> Result<Storage> {
    let pages = pages(directory, page_size)?;
    let log = FileLogStore::open_in(Arc::new(directory.clone()), log_segment)?;
    Ok(Storage::new(pages, Arc::new(log), segments))
}

/// The pages of the database in `directory`, whose names are durable then.
pub fn pages(directory: &CrashDirectory, page_size: usize) -> Result<Arc<dyn PageStore>> {
    let exists = directory.list()?.iter().any(|name| name == "pages");
    let file = if exists { directory.open_file("pages")? } else { directory.create_file("pages")? };
    directory.sync()?;
    Ok(Arc::new(FilePageStore::with_file(Box::new(PagesFile(file)), page_size, "pages")?))
}

/// A file of the simulated disk, as the page store wants one.
struct PagesFile(CrashFile);

fn os<T>(result: Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        ErrorKind::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
        _ => io::Error::other(error.to_string()),
    })
}

impl dosql_btree::RawFile for PagesFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        os(self.0.read_at(offset, buf))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        os(self.0.write_some(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        os(self.0.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        os(self.0.size())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        os(self.0.set_len(len))
    }
}

/// Segments as files of the same disk: put, synced and named durably before a call returns, as a store of objects promises.
pub struct CrashSegments(pub CrashDirectory);

impl SegmentStore for CrashSegments {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        dosql_lsm::validate_name(name)?;
        if self.0.list()?.iter().any(|it| it == name) {
            return Err(Error::conflict("taken").at(name));
        }
        let making = format!("making-{name}");
        let file = self.0.create_file(&making)?;
        RawFile::write_at(&file, 0, bytes)?;
        file.sync_data()?;
        self.0.rename(&making, name)?;
        self.0.sync()
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        dosql_lsm::validate_name(name)?;
        if !self.0.list()?.iter().any(|it| it == name) {
            return Err(Error::corrupt("a segment is missing", name));
        }
        let file = self.0.open_file(name)?;
        if range.end > file.size()? {
            return Err(Error::corrupt("a segment is too short", name));
        }
        let (mut bytes, mut done) = (vec![0; (range.end - range.start) as usize], 0);
        while done < bytes.len() {
            match RawFile::read_at(&file, range.start + done as u64, &mut bytes[done..])? {
                0 => return Err(Error::corrupt("a segment is too short", name)),
                read => done += read,
            }
        }
        Ok(bytes)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| dosql_lsm::validate_name(name))?;
        let there = self.0.list()?;
        for name in names.iter().filter(|name| there.iter().any(|it| it == *name)) {
            self.0.remove(name)?;
        }
        self.0.sync()
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self
            .0
            .list()?
            .into_iter()
            .filter(|name| name.starts_with(prefix) && !name.starts_with("making-"))
            .collect())
    }
}
