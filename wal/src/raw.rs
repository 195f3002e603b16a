//! The seam to the operating system: the few calls that the file store makes. A test puts a recorder of crashes here.

use std::sync::Arc;

use dosql_base::Result;

/// A directory, by the names of the files in it. A change of names is durable after [`Directory::sync`].
pub trait Directory: Send + Sync {
    /// The names of the files in it, in any order.
    fn list(&self) -> Result<Vec<String>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>>;

    /// Creates an empty file, or empties the one there.
    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>>;

    /// Gives a file another name, replacing what bore it. Open files stay open.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a name.
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes changes of names durable.
    fn sync(&self) -> Result<()>;
}

/// An open file.
pub trait RawFile: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> Result<u64>;

    /// Reads at `offset`; may read less than asked, 0 only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Writes all of `bytes` at `offset`, in one call to the system where it takes them at once.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes contents and length durable (fdatasync).
    fn sync_data(&self) -> Result<()>;

    /// Whether the device itself holds `bytes` at `offset`, after a sync: what it would give back, not what the system shows. `false`
    /// where that can't be found out.
    fn device_holds(&self, offset: u64, bytes: &[u8]) -> bool {
        let _ = (offset, bytes);
        false
    }
}
