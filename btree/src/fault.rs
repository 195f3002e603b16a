//! Stores that fail on purpose, for tests: [`FaultPageStore`] around any page store, [`CrashFile`] under the file store.

mod crash_file;
mod fault_store;

pub use crash_file::CrashFile;
pub use fault_store::{Fault, FaultPageStore};
