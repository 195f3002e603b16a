//! A transaction that only reads: a snapshot of the present or of the past.

use std::fmt;
use std::ops::RangeBounds;

use dosql_base::{Result, Timestamp};

use crate::bytes::Bytes;
use crate::keyspace::Keyspace;
use crate::kv::Range;
use crate::transaction::Transaction;

/// The database as of one moment. Blocks nobody and is blocked by nobody.
pub struct ReadTransaction(pub(crate) Transaction);

impl ReadTransaction {
    /// The last commit that it sees, or the moment of the past that it reads.
    #[must_use]
    pub fn snapshot(&self) -> Timestamp {
        self.0.snapshot()
    }

    /// The value of `key` in `keyspace`; `None` where it has none.
    pub fn get(&self, keyspace: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.0.get(keyspace, key)
    }

    /// The values of many keys in `keyspace`, in the order of `keys`; `None` for each that has none. Any order will do, and a key may
    /// come twice. Ascending keys cost least: those that lie close together are found by one way down the tree. All or nothing: an error
    /// (`WouldBlock` too) is that of the first key that fails.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Bytes>>> {
        self.0.get_many(keyspace, keys)
    }

    /// Whether `key` has a value in `keyspace`.
    pub fn contains(&self, keyspace: &Keyspace, key: impl AsRef<[u8]>) -> Result<bool> {
        self.0.contains(keyspace, key)
    }

    /// The entries of `keyspace` whose keys lie within `bounds`, lowest first.
    pub fn range<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        bounds: impl RangeBounds<K>,
    ) -> Result<Range<'_>> {
        self.0.range(keyspace, bounds)
    }

    /// The entries of `keyspace` whose keys lie within `bounds`, highest first.
    pub fn range_rev<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        bounds: impl RangeBounds<K>,
    ) -> Result<Range<'_>> {
        self.0.range_rev(keyspace, bounds)
    }

    /// All entries of `keyspace`, lowest key first.
    pub fn iter(&self, keyspace: &Keyspace) -> Result<Range<'_>> {
        self.0.iter(keyspace)
    }

    /// The entries of `keyspace` whose keys start with `prefix`, lowest first.
    pub fn prefix(&self, keyspace: &Keyspace, prefix: impl AsRef<[u8]>) -> Result<Range<'_>> {
        self.0.prefix(keyspace, prefix)
    }
}

impl fmt::Debug for ReadTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadTransaction").field(&self.snapshot()).finish()
    }
}
