//! A place in the endless log.

use std::fmt;

use dosql_base::{Error, Result};

/// A byte position in the log. It counts the bytes of records ever appended, so it rises for ever, across
/// segment files, recycling and restarts; nothing of the store's own (segment headers) is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition(u64);

impl LogPosition {
    /// Where the first record of a new log begins.
    pub const ZERO: LogPosition = LogPosition(0);

    /// From the number of bytes before it.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        LogPosition(bytes)
    }

    /// The number of bytes before it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `bytes` further on. Fails with [`dosql_base::ErrorKind::Limit`] past the end of the 64-bit log.
    pub fn advance(self, bytes: usize) -> Result<Self> {
        let end = self.0.checked_add(bytes as u64).map(LogPosition);
        end.ok_or_else(|| Error::limit("the log position would exceed 64 bits; start a new log"))
    }
}

impl fmt::Debug for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
