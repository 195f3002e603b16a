//! Fuzz targets. Each is a function of bytes that must come back: no panic, no overflow, no endless loop, no memory without bound.
//! Errors are fine.
//!
//! ```text
//! input.rs      values taken from bytes
//! stored.rs     pages, meta slots and log records as they lie in the stores, damaged
//! cold.rs       databases with rows in segments, damaged where it is said what lies where
//! segment.rs    segments and tails of segments, damaged, alone and merged
//! keyspace.rs   transactions over keys and values, judged by a map
//! script.rs     SQL text: parsed, run, compared with SQLite
//! codec.rs      the codecs of keys and rows; functions that read text
//! functions.rs  functions, compared with SQLite
//! command.rs    CSV files and the pipe's requests
//! watch.rs      a watch over statements that may run for ever
//! dictionary.rs words that inputs are made of
//! mutate.rs     changes an input a little
//! smoke.rs (bin)  runs the targets on stable Rust: committed seeds, mutated
//! ```

pub mod codec;
pub mod cold;
pub mod command;
pub mod dictionary;
pub mod functions;
pub mod input;
pub mod keyspace;
pub mod mutate;
pub mod script;
pub mod segment;
pub mod stored;
pub mod watch;

/// A whole database on the simulated disk.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/common/crash.rs"]
mod crash;

/// The random statements that the tests compare with SQLite.
pub use dosql_querygen as differential;

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name. `seeds/NAME` and `regressions/NAME` hold inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("keyspace", keyspace::target),
    ("pages", stored::pages),
    ("pages_sql", stored::pages_sql),
    ("slots", stored::slots),
    ("log", stored::log),
    ("cold", cold::target),
    ("segment", segment::whole),
    ("tail", segment::tail),
    ("row", codec::row),
    ("key", codec::key),
    ("function", codec::function),
    ("functions", functions::target),
    ("parse", script::parse),
    ("script", script::run),
    ("differential", script::differential),
    ("csv", command::csv),
    ("pipe", command::pipe),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
