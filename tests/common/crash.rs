//! A whole database in a simulated directory that can crash at any write or sync, of any of its files.

use std::io;
use std::sync::Arc;

use dosql::stores::{FileLogStore, FilePageStore, MemorySegmentStore};
use dosql::{Result, Storage};
use dosql_wal::{CrashDirectory, Directory, RawFile};

/// The stores of the database in `directory`.
pub fn storage(directory: &CrashDirectory, page_size: usize) -> Result<Storage> {
    let exists = directory.list()?.iter().any(|name| name == "pages");
    let file = if exists { directory.open("pages")? } else { directory.create("pages")? };
    directory.sync()?;
    let pages = FilePageStore::with_file(Box::new(PagesFile(file)), page_size, "pages")?;
    let log = FileLogStore::open_in(Arc::new(directory.clone()), 0)?;
    Ok(Storage::new(Arc::new(pages), Arc::new(log), Arc::new(MemorySegmentStore::new())))
}

/// A file of the simulated directory, as the page store wants one.
struct PagesFile(Arc<dyn RawFile>);

fn os<T>(result: Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::other(error.to_string()))
}

impl dosql_btree::RawFile for PagesFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        os(self.0.read_at(offset, buf))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        os(self.0.write_at(offset, bytes)).map(|()| bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        os(self.0.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        os(self.0.size())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match len.checked_sub(os(self.0.size())?) {
            None => Err(io::Error::other("the page file is never cut")),
            Some(0) => Ok(()),
            Some(_) => os(self.0.write_at(len - 1, &[0])),
        }
    }
}
