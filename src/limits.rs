//! The bounds that the formats set, checked at the edge where a key or a value comes in.

use dosql_base::{Code, Error, ErrorKind, Result};

use crate::long_keys::KeyForm;

/// Bytes of a key, with the number of its map in front.
pub const MAX_KEY: usize = 16 << 20;
/// Bytes of a value; of a key and its value together, where the key is too long for a page.
pub const MAX_VALUE: usize = 64 << 20;
/// Bytes of a keyspace's name.
pub const MAX_NAME: usize = 255;
/// Bytes of a tag's name.
pub const MAX_TAG_NAME: usize = 128;
/// Tags of a database.
pub const MAX_TAGS: usize = 1_000;
/// Bytes of a branch's name.
pub const MAX_BRANCH_NAME: usize = 128;
/// Branches of a database, main too, and dropped ones that others need.
pub const MAX_BRANCHES: usize = 10_000;
/// Feed slots that a database may have.
pub const MAX_FEEDS: usize = 1_000;
/// Branches that may lie beneath one: how often a branch can be forked off a branch.
pub const MAX_BRANCH_DEPTH: usize = 256;
/// The first number of a keyspace; SQL's tables and indexes have the numbers below it.
pub const FIRST_KEYSPACE: u32 = 1 << 31;
/// The first number beyond those of keyspaces: from here on they belong to SQL's temporary tables and indexes.
pub const END_OF_KEYSPACES: u32 = dosql_sql::catalog::temp::CATALOG;

/// Refuses a complete key above [`MAX_KEY`].
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.len() <= MAX_KEY {
        return Ok(());
    }
    Err(too_big(format!("a key of {} bytes is above the limit of {MAX_KEY}; shorten it", key.len())))
}

/// Refuses a value above [`MAX_VALUE`], and one that a bucket can't hold with its long key.
pub(crate) fn check_value(key: &[u8], value: &[u8], form: KeyForm) -> Result<()> {
    if value.len() <= MAX_VALUE && !(form.is_long(key) && key.len() + value.len() > MAX_VALUE) {
        return Ok(());
    }
    let message = format!(
        "a value of {} bytes with a key of {} is above the limit of {MAX_VALUE}; split it",
        value.len(),
        key.len()
    );
    Err(too_big(message))
}

/// Refuses the name of a keyspace that is empty or above [`MAX_NAME`].
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("a keyspace needs a name that is not empty"));
    }
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(too_big(format!("the name of a keyspace has {} bytes, above the limit of {MAX_NAME}", name.len())))
}

/// An error about something that exceeds a limit of the format.
pub(crate) fn too_big(message: String) -> Error {
    Error::new(ErrorKind::Limit, Code::TooBig, message)
}
