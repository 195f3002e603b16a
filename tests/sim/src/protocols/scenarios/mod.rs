//! The scenarios, by what they exercise.

mod branches;
mod commits;
mod conflicts;
mod erase;
mod history;
mod log;
mod merging;
mod pages;
mod retention;
mod slots;
mod tables;
mod tiering;

use super::scenario::Scenario;
use super::world::Edits;

/// All of them.
pub(crate) fn all() -> Vec<&'static Scenario> {
    [
        commits::SCENARIOS,
        log::SCENARIOS,
        pages::SCENARIOS,
        history::SCENARIOS,
        retention::SCENARIOS,
        erase::SCENARIOS,
        branches::SCENARIOS,
        merging::SCENARIOS,
        conflicts::SCENARIOS,
        slots::SCENARIOS,
        tables::SCENARIOS,
        tiering::SCENARIOS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A key of a few bytes.
fn key(n: u32) -> Vec<u8> {
    format!("key {n:03}").into_bytes()
}

/// A value that tells who wrote it.
fn value(n: u32, len: usize) -> Vec<u8> {
    let mut value = format!("value {n} ").into_bytes();
    value.resize(len.max(value.len()), b'a' + (n % 26) as u8);
    value
}

/// The keys of these numbers get values of commit `n`.
pub(super) fn puts(n: u32, keys: impl IntoIterator<Item = u32>, len: usize) -> Edits {
    keys.into_iter().map(|k| (key(k), Some(value(n, len)))).collect()
}

/// The keys of these numbers are deleted.
pub(super) fn deletes(keys: impl IntoIterator<Item = u32>) -> Edits {
    keys.into_iter().map(|k| (key(k), None)).collect()
}
