//! What reads and writes hand out: entries, items of a scan, displaced values.

use std::fmt;
use std::sync::Arc;

use dosql_base::Timestamp;

use crate::table::Image;

/// One entry found by a read. Holds its leaf, so that the value is lent without copying.
#[derive(Clone)]
pub struct Entry {
    pub(crate) version: Timestamp,
    pub(crate) tombstone: bool,
    pub(crate) value: Value,
}

/// Where the bytes of a value are.
#[derive(Clone)]
pub(crate) enum Value {
    /// In a leaf.
    Leaf { leaf: Image, start: u32, len: u32 },
    /// Among the deltas of a leaf.
    Delta { leaf: Image, start: u32, len: u32 },
    /// Assembled from overflow pages.
    Owned(Arc<[u8]>),
}

impl Entry {
    /// The version that wrote it.
    #[must_use]
    pub fn version(&self) -> Timestamp {
        self.version
    }

    /// Whether it says "deleted" (its value is empty then).
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.value {
            Value::Leaf { leaf, start, len } => &leaf[*start as usize..(*start + *len) as usize],
            Value::Delta { leaf, start, len } => leaf
                .deltas()
                .map_or(&[][..], |deltas| deltas.bytes(*start as usize..(*start + *len) as usize)),
            Value::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("version", &self.version)
            .field("tombstone", &self.tombstone)
            .field("value", &self.value())
            .finish()
    }
}

/// One entry of a scan, lent.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The whole key.
    pub key: &'a [u8],
    /// The version that wrote it.
    pub version: Timestamp,
    /// The value; empty for a tombstone.
    pub value: &'a [u8],
    /// Whether it says "deleted".
    pub tombstone: bool,
}

/// What a put or a delete displaced, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// The version that had written it.
    pub version: Timestamp,
    /// The value; empty for a tombstone.
    pub value: Arc<[u8]>,
    /// Whether it said "deleted".
    pub tombstone: bool,
}

/// What a put or a delete displaced, but for its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Was {
    /// The version that had written it.
    pub version: Timestamp,
    /// Whether it said "deleted".
    pub tombstone: bool,
}

impl Was {
    pub(crate) fn with(self, value: Vec<u8>) -> Displaced {
        Displaced { version: self.version, value: value.into(), tombstone: self.tombstone }
    }
}
