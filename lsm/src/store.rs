//! The seam below: immutable objects with unique names, written once, read by ranges.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Error, ErrorKind, Result};

/// The longest name of an object in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// Where segments live. An implementation must pass [`crate::conformance`]. No object is ever overwritten.
pub trait SegmentStore: Send + Sync {
    /// Stores an object. It is durable, and whole for every reader, when this returns. Fails with
    /// [`ErrorKind::Conflict`] where the name is taken, whatever bytes are there; [`put_idempotent`] tells a retry apart.
    /// After another failure it may or may not be there.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// [`SegmentStore::put`] of bytes that a store may hold on to while they are on their way, where it would have to copy them otherwise. All
    /// holds are gone when this returns.
    fn put_shared(&self, name: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
        self.put(name, bytes)
    }

    /// Exactly the bytes of this range. [`ErrorKind::WouldBlock`] says that they are not here yet and have been noted for
    /// [`SegmentStore::wanted`]; fetch those and ask again. Fails with [`ErrorKind::Corrupt`] where the object is missing or
    /// ends before the range does.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>>;

    /// The bytes of each of these ranges, in their order. A store that pays for every request joins those that lie close
    /// ([`crate::coalesce`]) and fetches the rest side by side; the default reads one after the other. Fails as
    /// [`SegmentStore::read`] does; with [`ErrorKind::WouldBlock`] all that is not here has been noted.
    fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        let mut parts = Vec::with_capacity(ranges.len());
        let mut blocked = None;
        for range in ranges {
            match self.read(name, range.clone()) {
                Ok(part) => parts.push(part),
                Err(error) if error.kind() == ErrorKind::WouldBlock => blocked = Some(error),
                Err(error) => return Err(error),
            }
        }
        blocked.map_or(Ok(parts), Err)
    }

    /// Says that this very range is likely to be read soon, so that a store may fetch it meanwhile. A hint, which most stores ignore; may be
    /// given more than once.
    fn prefetch(&self, name: &str, range: Range<u64>) {
        let _ = (name, range);
    }

    /// Removes objects; those that are not there count as removed.
    fn delete(&self, names: &[&str]) -> Result<()>;

    /// The names that start with `prefix`, in any order. A hint, never the truth: it may be stale.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// What reads have asked for and not got since the last call, without duplicates. Empty for a store that never blocks.
    fn wanted(&self) -> Vec<Wanted> {
        Vec::new()
    }
}

/// A range of an object that a read needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The object.
    pub name: String,
    /// The bytes of it.
    pub range: Range<u64>,
}

/// Fails with [`ErrorKind::InvalidInput`] unless `name` is one that every store takes: 1 to [`MAX_NAME_BYTES`] characters of
/// `a-z 0-9 . _ -`, the first one a letter or digit. No paths, and no two names that differ only in case.
pub fn validate_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let sound = name.len() <= MAX_NAME_BYTES
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'));
    if sound {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name:?} is no name for an object: use 1 to {MAX_NAME_BYTES} of a-z, 0-9, '.', '_', '-', and begin with a letter \
         or digit"
    )))
}

/// Stores an object whose name is unique to its contents; a retry after a lost answer succeeds. Fails with
/// [`ErrorKind::Conflict`] only where the name holds other bytes.
pub fn put_idempotent(store: &dyn SegmentStore, name: &str, bytes: &[u8]) -> Result<()> {
    settle(store, name, bytes, store.put(name, bytes))
}

/// [`put_idempotent`] by [`SegmentStore::put_shared`].
pub fn put_shared_idempotent(store: &dyn SegmentStore, name: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
    settle(store, name, bytes, store.put_shared(name, bytes))
}

/// What became of a put, where it may be that an earlier one of the same bytes took the name.
fn settle(store: &dyn SegmentStore, name: &str, bytes: &[u8], put: Result<()>) -> Result<()> {
    let conflict = match put {
        Err(error) if error.kind() == ErrorKind::Conflict && weakened("taken-name-ignored") => return Ok(()),
        Err(error) if error.kind() == ErrorKind::Conflict => error,
        result => return result,
    };
    let length = bytes.len() as u64;
    // A byte beyond the end: if it can be read, the object is a longer one.
    match store.read(name, 0..length + 1) {
        Ok(_) => return Err(conflict),
        Err(error) if error.kind() == ErrorKind::Corrupt => {}
        Err(error) => return Err(error),
    }
    match store.read(name, 0..length) {
        Ok(stored) if stored == bytes => Ok(()),
        Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
        _ => Err(conflict),
    }
}

pub(crate) fn taken(name: &str) -> Error {
    Error::conflict("an object of this name is stored already; objects are never overwritten").at(name)
}

pub(crate) fn missing(name: &str) -> Error {
    Error::corrupt("a segment is missing from storage; restore it from a backup", name)
}

/// The bytes of `range` within an object, or what is wrong with the range.
pub(crate) fn slice<'b>(name: &str, bytes: &'b [u8], range: &Range<u64>) -> Result<&'b [u8]> {
    let within = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    within.and_then(|(start, end)| bytes.get(start..end)).ok_or_else(|| too_short(name, range))
}

pub(crate) fn too_short(name: &str, range: &Range<u64>) -> Error {
    Error::corrupt("a segment is shorter than it was when it was written; restore it from a backup", {
        format!("{name}, bytes {} to {}", range.start, range.end)
    })
}
