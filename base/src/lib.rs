//! The ground that every other crate of dosql stands on: the [`Timestamp`] that orders everything, the
//! [`Error`] that says what to do, byte codecs, checksums, and the [`Env`] through which time and
//! randomness come in. No I/O happens here.

mod checksum;
pub mod codec;
mod env;
mod error;
pub mod metrics;
pub mod mutant;
pub mod sync;
mod timestamp;

pub use checksum::{Checksum, checksum};
pub use env::{Clock, Entropy, Env, ManualClock, SeededEntropy};
pub use error::{Code, Error, ErrorKind, Result};
pub use timestamp::Timestamp;
