//! The commit log of dosql: one record a commit, in an endless sequence of bytes that rises for ever.
//!
//! ```text
//!            RecordBuilder          encodes one commit: sorted keys, prefixes cut
//!                 |
//!   Log  append --+--> buffer --flush--> LogStore::append      one write for all that is buffered
//!        sync    group commit: one leader ----> LogStore::sync one fdatasync for all who wait
//!        open    recovery: follows the chain, drops a torn tail, refuses a hole
//!                 |
//!   LogStore   MemoryLogStore | FileLogStore over a Directory | anything that passes `conformance`
//! ```
//!
//! A [`Log`] knows records, a [`LogStore`] only bytes at positions. Neither knows what the keys mean.

pub mod conformance;
mod crash;
#[cfg(not(target_family = "wasm"))]
mod disk;
pub mod fault;
mod file;
mod group;
mod log;
mod memory;
mod position;
mod raw;
mod record;
mod recovery;
mod segment;
mod store;
mod window;

pub use crash::{Calls, CrashDirectory, CrashFile, DiskFault, Surviving, Trace};
#[cfg(not(target_family = "wasm"))]
pub use disk::DiskDirectory;
pub use file::{DEFAULT_SEGMENT_BYTES, FileLogStore, MIN_SEGMENT_BYTES};
pub use log::{Appended, Log, LogOptions};
pub use memory::MemoryLogStore;
pub use position::LogPosition;
pub use raw::{Directory, RawFile};
pub use record::{Change, Changes, MAX_BODY_BYTES, RECORD_HEADER_BYTES, Record, RecordBuilder};
pub use recovery::Recovered;
pub use segment::SEGMENT_HEADER_BYTES;
pub use store::{LogCaps, LogStats, LogStore};
