//! What every engine under test can do: the one interface that the workloads are written against.

use std::error::Error;
use std::path::Path;

/// The outcome of anything that may fail; a benchmark stops at the first failure and prints it.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A key and its new value, or `None` to remove it.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// What a commit has to survive when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    Sync,
    /// Nothing: whenever the engine gets round to it.
    Lazy,
}

/// What an engine is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of memory for pages, changed ones included where the engine counts them.
    pub memory_bytes: usize,
    /// Bytes of write-ahead log between checkpoints, where the engine has such a setting; `None` leaves what it is shipped with.
    pub log_bytes: Option<usize>,
}

/// The way of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Lowest key first.
    Up,
    /// Highest key first.
    Down,
}

/// An ordered map of bytes with transactions.
pub trait Engine: Sized + Send + Sync {
    /// What the tables call it.
    const NAME: &'static str;

    /// Whether its memory can be bounded: what is mapped from files is the operating system's.
    const BOUNDED: bool = true;

    /// A consistent view.
    type Reader<'e>: Reader
    where
        Self: 'e;

    /// Opens or creates the database in `directory`, which exists.
    fn open(directory: &Path, settings: Settings) -> Result<Self>;

    /// Makes all `changes` in one transaction.
    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()>;

    /// A view of the present.
    fn reader(&self) -> Result<Self::Reader<'_>>;

    /// Adds one to the little-endian u64 at `key`, as a lazy transaction that reads and writes: optimistic where the engine can,
    /// else exclusive. Retries until it succeeds.
    fn increment(&self, key: &[u8]) -> Result<()>;

    /// Makes every commit so far durable.
    fn sync(&self) -> Result<()>;

    /// Closes in an orderly way.
    fn close(self) -> Result<()>;
}

/// A consistent view of an engine.
pub trait Reader {
    /// Hands the value of `key` to `found`; whether there was one.
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool>;

    /// Hands up to `limit` entries from `from` (or from the end of the map) on to `entry`; how many there were.
    fn scan(
        &mut self,
        from: Option<&[u8]>,
        way: Way,
        limit: usize,
        entry: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize>;
}

/// The counter in a value of [`Engine::increment`], plus one.
pub fn incremented(old: Option<&[u8]>) -> [u8; 8] {
    let old = old.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    (old + 1).to_le_bytes()
}
