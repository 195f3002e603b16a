//! The locks and atomics that threads of a database meet at.
//!
//! They are parking_lot's and the standard library's. Compiled with `--cfg loom` they are loom's instead: then the models in
//! `tests/loom` take the same code through every order in which its threads can meet.

#[cfg(not(loom))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(loom))]
pub use std::sync::atomic;

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(loom)]
pub use model::{Condvar, Mutex, MutexGuard, RwLock, WaitTimeoutResult};
