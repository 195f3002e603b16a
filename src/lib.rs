//! dosql: an embedded database. A page B-tree serves the present, a log makes commits durable, and what updates and deletes
//! displace goes to history, so that the past can be read as easily as the present.
//!
//! ```
//! use dosql::Database;
//!
//! let db = Database::open_memory()?;
//! let users = db.keyspace("users")?;
//! db.write(|tx| tx.put(&users, "ada", "1815"))?;
//! let then = db.last_commit();
//! db.write(|tx| tx.delete(&users, "ada"))?;
//!
//! assert!(db.read()?.get(&users, "ada")?.is_none());
//! assert_eq!(db.read_at(then)?.get(&users, "ada")?.as_deref(), Some(&b"1815"[..]));
//! # Ok::<(), dosql::Error>(())
//! ```
//!
//! ```text
//! Database ---- Transaction, ReadTransaction ---- Keyspace, Range, Bytes
//!    |                |
//!    |            View: page images of one commit + history
//!    |                |
//! engine: commit, checkpoint, recovery            one committer, any number of readers
//!    |                |              |
//! log store       page store     segment store
//! ```

mod arena;
mod async_database;
mod backup;
mod branch;
mod bytes;
mod changes;
mod checkpoint;
mod commit;
mod database;
#[cfg(not(target_family = "wasm"))]
mod directory;
mod engine;
mod erase;
pub mod feed;
mod helper;
mod history;
mod horizon;
mod keyspace;
mod known_end;
mod kv;
pub mod limits;
mod log_room;
mod long_keys;
mod maintenance;
mod manifest;
mod options;
mod pace;
mod page_memory;
mod pins;
mod read;
mod read_set;
mod readers;
mod rearrange;
mod recovery;
mod replay_queue;
mod retention;
mod runs;
mod scan;
mod shrink;
mod source;
pub mod space;
mod sql;
mod sql_storage;
pub mod stats;
mod storage;
#[cfg(not(target_family = "wasm"))]
mod system_env;
mod tags;
mod tier;
mod timed_log;
mod trace;
mod transaction;
mod turn;
mod verify;
mod view;
mod window;
mod writes;

/// What an implementation of the stores needs: the traits and their types.
pub mod stores {
    pub use dosql_btree::{
        Batch, Caps, FilePageStore, MemoryPageStore, PageId, PageStore, PagesStats, StoreStats,
    };
    #[cfg(not(target_family = "wasm"))]
    pub use dosql_lsm::DirectorySegmentStore;
    pub use dosql_lsm::{BlockingSegmentStore, MemorySegmentStore, SegmentStore, Wanted};
    pub use dosql_wal::{FileLogStore, LogCaps, LogPosition, LogStats, LogStore, MemoryLogStore};
}

pub use async_database::{AsyncDatabase, Fetch};
pub use branch::{BranchInfo, Merge, MergeConflict, MergeReport, NewBranch, OnConflict};
pub use bytes::Bytes;
pub use database::Database;
pub use dosql_base::{
    Clock, Code, Entropy, Env, Error, ErrorKind, ManualClock, Result, SeededEntropy, Timestamp,
};
/// Segments in S3, R2 and whatever else keeps objects.
#[cfg(all(feature = "object-store", not(target_family = "wasm")))]
pub use dosql_lsm::object;
pub use dosql_sql::parse::is_complete;
pub use dosql_sql::plan::OutputColumn;
pub use dosql_sql::value::{Blob, Text, Value, ValueRef, parse_instant};
pub use keyspace::Keyspace;
pub use kv::{Pair, Range};
pub use options::{DAY, Durability, Isolation, Limits, Maintenance, Options};
pub use read::ReadTransaction;
pub use scan::Scan;
pub use space::Space;
pub use sql::{
    Connection, FromSql, InterruptHandle, NamedParams, OptionalExtension, ParameterValues, Params, Row,
    RowIndex, Rows, SqlTransaction, Statement, ToSql,
};
pub use sql_storage::SqlCursor;
pub use stats::Stats;
pub use storage::Storage;
#[cfg(not(target_family = "wasm"))]
pub use system_env::system_env;
pub use tags::Tag;
pub use tier::budget::{Budget, Progress};
pub use tier::metered::SegmentStats;
pub use tier::publish::PublishedPoint;
pub use tier::report::{SegmentInfo, StoragePart};
pub use transaction::{Begin, Transaction};

/// SQL's values: what a column holds.
pub mod types {
    pub use dosql_sql::value::{Blob, Text, Value, ValueRef, quote, to_text};
}
pub use verify::Report;
