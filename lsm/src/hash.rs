//! The hash of keys that is stored in filters and in-block indexes. Fixed for ever: it is part of the format.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A 64-bit hash of `bytes`: eight bytes at a time are xored in and multiplied, the rest zero-padded, the length mixed in
/// first, and the result finished as in SplitMix64. Not resistant to chosen keys; those cost time, never correctness.
#[must_use]
pub fn hash64(bytes: &[u8]) -> u64 {
    let mut hash = (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = step(hash, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = step(hash, u64::from_le_bytes(last));
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

fn step(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_hash_never_changes() {
        assert_eq!(hash64(b""), 0);
        assert_eq!(hash64(b"a"), 0xEDA3_EBE2_7E2E_DB64);
        assert_eq!(hash64(b"0123456789abcdef!"), 0xC082_6569_42C5_2EE3);
        assert_ne!(hash64(b"a"), hash64(b"a\0"));
    }
}
