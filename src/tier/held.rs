//! Counts a segment that is being written as memory of the tier.

use std::sync::Arc;

use dosql_base::sync::atomic::Ordering;

use super::Tier;

/// What is counted is kept up to date in steps of so many bytes.
const STEP: usize = 16 << 10;

/// Bytes that one who writes segments holds. They are gone with it.
pub(super) struct Held {
    tier: Arc<Tier>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(tier: &Arc<Tier>) -> Held {
        Held { tier: Arc::clone(tier), bytes: 0 }
    }

    /// It has grown to so many bytes.
    #[inline]
    pub(super) fn grown(&mut self, bytes: usize) {
        if bytes >= self.bytes + STEP {
            self.set(bytes);
        }
    }

    pub(super) fn set(&mut self, bytes: usize) {
        self.tier.writing.fetch_add(bytes, Ordering::Relaxed);
        self.tier.writing.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}
