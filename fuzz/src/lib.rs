//! Fuzz targets. Each is a function of bytes that must come back: no panic, no overflow, no endless loop, no memory without bound.
//! Errors are fine.
//!
//! ```text
//! input.rs      values taken from bytes
//! stored.rs     pages, log records and rows as they lie in the stores, damaged
//! keyspace.rs   transactions over keys and values, judged by a map
//! script.rs     SQL text: parsed, run, compared with SQLite
//! codec.rs      the codecs of keys and rows; functions that read text
//! mutate.rs     changes an input a little
//! smoke.rs (bin)  runs the targets on stable Rust: committed seeds, mutated
//! ```

pub mod codec;
pub mod input;
pub mod keyspace;
pub mod mutate;
pub mod script;
pub mod stored;

/// The random statements that the tests compare with SQLite.
pub use dosql_querygen as differential;

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name. `seeds/NAME` and `regressions/NAME` hold inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("keyspace", keyspace::target),
    ("pages", stored::pages),
    ("pages_sql", stored::pages_sql),
    ("log", stored::log),
    ("segment", stored::segment),
    ("row", codec::row),
    ("key", codec::key),
    ("function", codec::function),
    ("parse", script::parse),
    ("script", script::run),
    ("differential", script::differential),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
