//! Temporary objects: tables, indexes, views and triggers of one connection. They are kept like all others, in spaces and
//! under catalog keys of their own, which the connection's storage keeps in memory and drops when it closes.

use super::schema::SpaceId;

/// Where the temporary objects' catalog is: the first of the temporary spaces.
pub const CATALOG: SpaceId = 0xFF00_0000;
/// Sequences of temporary objects start here, so that they follow all others.
pub const FIRST_SEQUENCE: u32 = 0x8000_0000;

/// Whether this space is a temporary table's or index's.
#[must_use]
pub fn is_temporary_space(space: SpaceId) -> bool {
    space >= CATALOG
}

/// Whether a complete key belongs to a temporary object.
#[must_use]
#[inline]
pub fn is_temporary_key(key: &[u8]) -> bool {
    // The ordered u32 of 0xFF000000 and above: four significant bytes, the first of them 0xFF.
    key.starts_with(&[0xFB, 0xFF])
}

/// Whether a complete key belongs to the catalog of temporary objects.
#[must_use]
#[inline]
pub(crate) fn is_temporary_catalog_key(key: &[u8]) -> bool {
    key.starts_with(&[0xFB, 0xFF, 0, 0, 0])
}

/// Whether the trigger of this sequence is temporary.
#[must_use]
pub fn is_temporary_sequence(sequence: u64) -> bool {
    sequence >= u64::from(FIRST_SEQUENCE)
}

/// Whether the object of this sequence is temporary.
#[must_use]
pub fn is_temporary(sequence: u32) -> bool {
    sequence >= FIRST_SEQUENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::layout::put_space;

    #[test]
    fn the_catalog_is_told_from_the_temporary_tables() {
        let key = |space| {
            let mut key = Vec::new();
            put_space(&mut key, space);
            key
        };
        assert!(is_temporary_catalog_key(&key(CATALOG)));
        assert!(!is_temporary_catalog_key(&key(CATALOG + 1)));
        assert!(is_temporary_key(&key(CATALOG)) && is_temporary_key(&key(CATALOG + 1)));
    }
}
