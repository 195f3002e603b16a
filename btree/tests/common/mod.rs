//! What more than one test needs.

use dosql_base::Checksum;

/// Makes the checksum of a page right for its bytes.
pub(crate) fn reseal(page: &mut [u8]) {
    let id = u64::from_le_bytes(page[8..16].try_into().expect("a page is longer than its header"));
    let mut sum = Checksum::new(id as u32 ^ (id >> 32) as u32);
    sum.update(&page[..4]);
    sum.update(&page[8..]);
    page[4..8].copy_from_slice(&sum.finish().to_le_bytes());
}
