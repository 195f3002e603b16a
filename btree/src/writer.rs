//! The one writer.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};

use crate::{Displaced, Entry, Pages, Root};

/// The turn to write. Changes are private until [`PageWriter::publish`]; dropping it rolls back what is not published.
pub struct PageWriter<'a> {
    pub(crate) pages: &'a Arc<Pages>,
}

impl PageWriter<'_> {
    /// Starts a commit that will be published as `version`. What an unfinished one changed is rolled back.
    pub fn begin(&mut self, _version: Timestamp) {
        let _ = self.pages;
    }

    /// The entry of `key`, unpublished changes included.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn get(&mut self, _root: Root, _key: &[u8]) -> Result<Option<Entry>> {
        Err(Error::unsupported("not built yet"))
    }

    /// Sets `key` to `value`; returns what that displaced. After an error roll back.
    ///
    /// # Errors
    /// `Limit` for an oversized key or value; `WouldBlock`, `Corrupt`, `Io`.
    pub fn put(
        &mut self,
        _root: &mut Root,
        _key: &[u8],
        _version: Timestamp,
        _value: &[u8],
    ) -> Result<Option<Displaced>> {
        Err(Error::unsupported("not built yet"))
    }

    /// As [`PageWriter::put`] where nobody needs the displaced value; returns whether there was one.
    pub fn set(&mut self, _root: &mut Root, _key: &[u8], _version: Timestamp, _value: &[u8]) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// Sets `key` to a tombstone: an entry that says "deleted".
    pub fn put_tombstone(
        &mut self,
        _root: &mut Root,
        _key: &[u8],
        _version: Timestamp,
    ) -> Result<Option<Displaced>> {
        Err(Error::unsupported("not built yet"))
    }

    /// Removes the entry of `key`; returns it.
    pub fn delete(&mut self, _root: &mut Root, _key: &[u8]) -> Result<Option<Displaced>> {
        Err(Error::unsupported("not built yet"))
    }

    /// As [`PageWriter::delete`] where nobody needs the value; returns whether there was one.
    pub fn remove(&mut self, _root: &mut Root, _key: &[u8]) -> Result<bool> {
        Err(Error::unsupported("not built yet"))
    }

    /// Makes all changes since the last publish visible to snapshots of `version`, which becomes the published one.
    ///
    /// # Errors
    /// `InvalidInput` where `version` is not above the published one.
    pub fn publish(&mut self, _version: Timestamp) -> Result<()> {
        Err(Error::unsupported("not built yet"))
    }

    /// Discards every page change since the last publish. The caller goes back to the roots it had then.
    pub fn rollback(&mut self) {}

    /// A loader of a new tree, for entries that come in ascending key order.
    pub fn bulk(&mut self) -> BulkLoader<'_> {
        BulkLoader { pages: self.pages }
    }

    /// Builds a tree from entries in ascending key order, leaves left to right.
    ///
    /// # Errors
    /// What `sorted` answers; `InvalidInput` for a key that does not ascend; `Limit`.
    pub fn bulk_load<K, V, F>(&mut self, mut sorted: F) -> Result<Root>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
        F: FnMut() -> Result<Option<(K, Timestamp, V)>>,
    {
        let mut loader = self.bulk();
        while let Some((key, version, value)) = sorted()? {
            loader.push(key.as_ref(), version, value.as_ref())?;
        }
        loader.finish()
    }

    /// Frees every page of a tree.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`; roll back then.
    pub fn free_tree(&mut self, _root: Root) -> Result<()> {
        Err(Error::unsupported("not built yet"))
    }

    /// Writes every dirty page, the free list and `user_meta` in one batch of the store. Everything must be published.
    ///
    /// # Errors
    /// What the store answers: then all is still dirty in memory and readable, and the caller should close.
    pub fn checkpoint(&mut self, _user_meta: &[u8]) -> Result<()> {
        Err(Error::unsupported("not built yet"))
    }
}

/// Builds a tree from entries in ascending key order; see [`PageWriter::bulk`].
pub struct BulkLoader<'a> {
    pages: &'a Arc<Pages>,
}

impl BulkLoader<'_> {
    /// Appends an entry; its key must be above the one before.
    ///
    /// # Errors
    /// `InvalidInput`, `Limit`.
    pub fn push(&mut self, _key: &[u8], _version: Timestamp, _value: &[u8]) -> Result<()> {
        let _ = self.pages;
        Err(Error::unsupported("not built yet"))
    }

    /// Appends a tombstone.
    pub fn push_tombstone(&mut self, _key: &[u8], _version: Timestamp) -> Result<()> {
        Err(Error::unsupported("not built yet"))
    }

    /// The finished tree.
    pub fn finish(self) -> Result<Root> {
        Err(Error::unsupported("not built yet"))
    }
}
