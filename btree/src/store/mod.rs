//! The store of numbered pages that the map stands on: what an implementation must provide.

pub(crate) mod file;
pub(crate) mod memory;
#[cfg(not(target_family = "wasm"))]
mod punch;
pub(crate) mod raw;
mod slot;
#[cfg(not(target_family = "wasm"))]
mod write_back;

use std::fmt;

use dosql_base::{Error, Result};

/// The number of a page. 0 stands for "no page"; others fit 48 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageId(u64);

impl PageId {
    /// No page.
    pub const NONE: PageId = PageId(0);
    /// The highest number a page can have.
    pub const MAX: PageId = PageId((1 << 48) - 1);

    /// The page of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        PageId(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it stands for no page.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// One atomic change of a [`PageStore`].
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Pages to write, each `page_size` bytes long; ascending by id, no id twice.
    pub puts: &'a [(PageId, &'a [u8])],
    /// Pages that nothing refers to once this batch is durable. An id freed by one batch is put again by the
    /// batch after the next at the earliest.
    pub frees: &'a [PageId],
    /// Replaces the meta blob; at most [`Caps::max_meta`] bytes.
    pub meta: &'a [u8],
}

/// What a [`PageStore`] has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes that the store takes up where it lies.
    pub bytes: u64,
    /// Pages read since it was opened.
    pub page_reads: u64,
    /// Pages written since it was opened.
    pub page_writes: u64,
    /// Batches committed since it was opened.
    pub commits: u64,
    /// Times it waited for the device to make writes durable, since it was opened.
    pub syncs: u64,
}

/// What a [`PageStore`] can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The longest meta blob, in bytes.
    pub max_meta: usize,
    /// Whether a commit survives the loss of the process.
    pub durable: bool,
    /// Whether `read` may answer `WouldBlock`.
    pub may_block: bool,
}

/// Numbered pages with an atomic batch. Implementations pass [`conformance::run`](crate::conformance::run).
pub trait PageStore: Send + Sync {
    /// The length of every page in bytes: a power of two, 4 to 64 KiB.
    fn page_size(&self) -> usize;

    /// Reads page `id` into `buf`, which is `page_size` bytes long.
    ///
    /// # Errors
    /// `Corrupt` where the store has no such page, `WouldBlock` where it has to be fetched first, `Io`.
    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()>;

    /// Where page `id` lies, for those who are told that it is damaged: its number, unless a store knows more.
    fn place(&self, id: PageId) -> String {
        id.to_string()
    }

    /// Carries out `batch`: all of it or, across a crash, nothing; durable when it returns.
    ///
    /// # Errors
    /// After an error the last committed state still stands, or the store answers `Closed` from then on.
    fn commit(&self, batch: Batch<'_>) -> Result<()>;

    /// Writes pages that the last committed state does not contain, ahead of the batch after which they are read for good: until then they
    /// need not survive a crash. They can be read at once. Ascending by id, no id twice. `false` where pages are taken in batches only.
    ///
    /// # Errors
    /// As [`PageStore::commit`], though an error here takes nothing away: the pages may hold anything afterwards.
    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        let _ = puts;
        Ok(false)
    }

    /// No page above `last` belongs to the last committed state, and none will be read: the store may give their space back. It
    /// then need not keep the state before, on which others build no more. Crash-safe; does nothing unless implemented.
    ///
    /// # Errors
    /// As [`PageStore::commit`].
    fn shrink(&self, last: PageId) -> Result<()> {
        let _ = last;
        Ok(())
    }

    /// None of the pages of `free`, which ascend, belongs to either of the last two committed states: the store may give their space back until
    /// they are written again. What is read of them meanwhile is arbitrary. Does nothing unless implemented.
    ///
    /// # Errors
    /// `Io`. Nothing that is read is changed.
    fn discard(&self, free: &[PageId]) -> Result<()> {
        let _ = free;
        Ok(())
    }

    /// Overwrites the pages of `free`, and all from `unused` on, with zeros, so that what they held can't be read any more; durable when it
    /// returns. None of them belongs to either of the last two committed states. Does nothing unless implemented.
    ///
    /// # Errors
    /// `Io`. Nothing that is read is changed.
    fn scrub(&self, free: &[PageId], unused: PageId) -> Result<()> {
        let _ = (free, unused);
        Ok(())
    }

    /// The meta blob of the last commit; `None` where there never was one.
    ///
    /// # Errors
    /// Whatever keeps the store from reading it.
    fn meta(&self) -> Result<Option<Vec<u8>>>;

    /// What it has done and holds.
    fn stats(&self) -> StoreStats;

    /// What it can do.
    fn caps(&self) -> Caps;
}

impl Batch<'_> {
    /// Refuses a batch that no store can carry out. For implementations.
    ///
    /// # Errors
    /// `InvalidInput`, `Limit`.
    pub fn check(&self, page_size: usize, caps: Caps) -> Result<()> {
        if self.meta.len() > caps.max_meta {
            return Err(Error::limit(format!(
                "a meta blob of {} bytes exceeds the {} that the store takes",
                self.meta.len(),
                caps.max_meta
            )));
        }
        let id_is_sound = |id: PageId| !id.is_none() && id <= PageId::MAX;
        let ascending = self.puts.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let sound = self.puts.iter().all(|&(id, bytes)| id_is_sound(id) && bytes.len() == page_size)
            && self.frees.iter().all(|&id| id_is_sound(id));
        if !ascending || !sound {
            return Err(Error::invalid("a batch needs whole pages in ascending order of possible ids"));
        }
        Ok(())
    }
}
