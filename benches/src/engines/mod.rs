//! The engines, each behind the same interface.

pub mod dosql;
pub mod fjall;
pub mod heed;
pub mod redb;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
pub mod sled;
pub mod sqlite;

/// Bytes of write-ahead log that the engines which ask may keep between checkpoints.
pub const LOG_BYTES: usize = 64 << 20;
