//! The engines, each behind the same interface.

pub mod dosql;
pub mod fjall;
pub mod heed;
pub mod redb;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
pub mod sled;
pub mod sqlite;
