//! The stores that a command works on.

use std::path::Path;
use std::sync::Arc;

use dosql::stores::{DirectorySegmentStore, SegmentStore};
use dosql::{Database, Error, Options, Result, Storage};

/// How databases are opened.
pub(crate) struct Opening {
    /// Where segments lie, if not in the database's directory.
    pub(crate) segments: Option<String>,
    pub(crate) hot_budget: u64,
}

impl Opening {
    pub(crate) fn options(&self) -> Options {
        Options { hot_budget: self.hot_budget, ..Options::default() }
    }

    /// Opens the database at `path`, which is made where nothing is there, if `create` says so.
    pub(crate) fn open(&self, path: &str, create: bool) -> Result<Database> {
        if path == ":memory:" {
            return Database::open(Storage::memory(), self.options());
        }
        if !create && !Path::new(path).exists() {
            return Err(Error::invalid(format!("there is no database at {path}")));
        }
        Database::open(self.storage(path, None)?, self.options())
    }

    /// The stores of the database at `path`; `known` are segments that were opened already, by their address.
    pub(crate) fn storage(
        &self,
        path: &str,
        known: Option<(&str, &Arc<dyn SegmentStore>)>,
    ) -> Result<Storage> {
        let storage = Storage::directory_with(path, &self.options())?;
        match (&self.segments, known) {
            (None, _) => Ok(storage),
            (Some(address), Some((known, segments))) if address == known => {
                Ok(storage.with_segments(Arc::clone(segments)))
            }
            (Some(address), _) => Ok(storage.with_segments(segments(address)?)),
        }
    }
}

/// The segment store at an address: a directory, or a URL where that is built in.
pub(crate) fn segments(address: &str) -> Result<Arc<dyn SegmentStore>> {
    if address.contains("://") {
        return by_url(address);
    }
    if !Path::new(address).is_dir() {
        return Err(Error::invalid(format!("there is no directory {address}")));
    }
    Ok(Arc::new(DirectorySegmentStore::open(address)?))
}

#[cfg(feature = "object-store")]
fn by_url(address: &str) -> Result<Arc<dyn SegmentStore>> {
    dosql::object::segments_at(address, dosql::object::ObjectOptions::new(dosql::system_env()))
}

#[cfg(not(feature = "object-store"))]
fn by_url(address: &str) -> Result<Arc<dyn SegmentStore>> {
    Err(Error::unsupported(format!(
        "{address} needs a dosql that was built with object stores: cargo install dosql-cli --features object-store"
    )))
}
