//! What a function may know besides its arguments.

use dosql_base::{Env, Error, Result, Timestamp};

use super::JsonResult;

/// The surroundings of a function call. One per statement; `json` is set before each call of a function that
/// takes JSON.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Randomness (and a clock, which functions don't read: see `now`).
    pub env: &'a Env,
    /// The statement's moment: every `now` in it is the same.
    pub now: Timestamp,
    /// What `changes()` says.
    pub changes: i64,
    /// What `total_changes()` says.
    pub total_changes: i64,
    /// What `last_insert_rowid()` says.
    pub last_insert_rowid: i64,
    /// The greatest length in bytes of a text or blob that a function may make.
    pub max_length: usize,
    /// Which arguments are JSON rather than text.
    pub json: JsonArgs,
}

impl<'a> Context<'a> {
    /// SQLite's default for the length of a text or blob.
    pub const MAX_LENGTH: usize = 1_000_000_000;

    /// A context whose moment is `now` and whose counters are zero.
    #[must_use]
    pub fn new(env: &'a Env, now: Timestamp) -> Self {
        Context {
            env,
            now,
            changes: 0,
            total_changes: 0,
            last_insert_rowid: 0,
            max_length: Self::MAX_LENGTH,
            json: JsonArgs::default(),
        }
    }

    /// Fails where a text or blob of `len` bytes would be too big.
    pub fn check_length(&self, len: usize) -> Result<()> {
        if len <= self.max_length {
            return Ok(());
        }
        Err(too_big())
    }
}

/// The error of a text or blob that exceeds [`Context::max_length`].
pub(crate) fn too_big() -> Error {
    Error::new(dosql_base::ErrorKind::Limit, dosql_base::Code::TooBig, "string or blob too big")
}

/// Which arguments of a call come from functions that return JSON: SQLite's "subtype", known to the binder. An
/// argument so marked is embedded as JSON by `json_array` and its kin; an unmarked text is quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonArgs {
    always: u128,
    containers: u128,
}

impl JsonArgs {
    /// Notes what the argument at `index` (from 0) is, from `Function::json` of the function that makes it.
    /// Arguments after the 128th stay text.
    pub fn set(&mut self, index: usize, result: JsonResult) {
        let bit = u32::try_from(index).ok().and_then(|index| 1u128.checked_shl(index)).unwrap_or(0);
        self.always &= !bit;
        self.containers &= !bit;
        match result {
            JsonResult::No => {}
            JsonResult::Always => self.always |= bit,
            JsonResult::Containers => self.containers |= bit,
        }
    }

    /// Whether the argument at `index`, whose text is `text`, is JSON.
    #[must_use]
    pub fn is_json(&self, index: usize, text: &str) -> bool {
        let bit = u32::try_from(index).ok().and_then(|index| 1u128.checked_shl(index)).unwrap_or(0);
        self.always & bit != 0 || (self.containers & bit != 0 && text.starts_with(['{', '[']))
    }
}
