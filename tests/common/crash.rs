//! A whole database on the simulated disk, which can crash at any write or sync, of any of its files.

use std::io;
use std::sync::Arc;

use dosql::stores::{FileLogStore, FilePageStore, MemorySegmentStore, PageStore, SegmentStore};
use dosql::{ErrorKind, Result, Storage};
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
