//! The bounds that the formats set, checked at the edge where a key or a value comes in.

use dosql_base::{Code, Error, ErrorKind, Result};

use crate::history::key::encoded_len;

/// Bytes of a value.
pub const MAX_VALUE: usize = 64 << 20;
/// Bytes of a keyspace's name.
pub const MAX_NAME: usize = 255;
/// The first number of a keyspace; SQL's tables and indexes have the numbers below it.
pub const FIRST_KEYSPACE: u32 = 1 << 31;
/// The first number beyond those of keyspaces: from here on they belong to SQL's temporary tables and indexes.
pub const END_OF_KEYSPACES: u32 = dosql_sql::catalog::temp::CATALOG;

/// Refuses a complete key that the tree or the history can't hold. `longest` is the tree's own limit; a key that is kept in
/// history grows by ten bytes and by one for each zero byte in it.
pub(crate) fn check_key(key: &[u8], longest: usize) -> Result<()> {
    if key.len().saturating_mul(2).saturating_add(10) <= longest {
        return Ok(());
    }
    let needed = encoded_len(key);
    if needed <= longest {
        return Ok(());
    }
    Err(too_big(format!(
        "a key of {} bytes takes {needed} bytes in history, and {longest} is the limit at this page size; shorten it",
        key.len()
    )))
}

/// Refuses a value above [`MAX_VALUE`].
pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    let message = format!("a value of {} bytes is above the limit of {MAX_VALUE}; split it", value.len());
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
