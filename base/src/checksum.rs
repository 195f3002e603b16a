//! CRC-32 (IEEE 802.3, as in zlib), seeded so that the same bytes at another place have another checksum.

/// The checksum of `bytes`, started from `seed` (a page id, the previous record's checksum).
#[must_use]
pub fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// A checksum over several pieces.
#[derive(Clone, Debug)]
pub struct Checksum(crc32fast::Hasher);

impl Checksum {
    /// Starts from `seed`.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Checksum(crc32fast::Hasher::new_with_initial(seed))
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything added.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_sum_to_the_whole_and_the_seed_counts() {
        let mut pieces = Checksum::new(7);
        pieces.update(b"12345");
        pieces.update(b"6789");
        assert_eq!(pieces.finish(), checksum(7, b"123456789"));
        assert_eq!(checksum(0, b"123456789"), 0xCBF4_3926);
        assert_ne!(checksum(0, b"123456789"), checksum(1, b"123456789"));
    }
}
