//! Ranges of keys that were removed at once, without a tombstone a row: tables that were dropped.

use dosql_base::Timestamp;

use crate::pick::SegmentMeta;

/// All versions of these keys that had begun at a moment ended then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key that is not of them.
    pub to: Vec<u8>,
    /// The commit that removed them.
    pub at: Timestamp,
}

impl Gone {
    /// When the version of `key` that began at `start` ended by this, if it did.
    fn end_of(&self, key: &[u8], start: Timestamp) -> Option<Timestamp> {
        let ended = self.from.as_slice() <= key && key < self.to.as_slice() && start < self.at;
        ended.then_some(self.at)
    }

    /// Whether all of a segment ended by this.
    pub(crate) fn is_all_of(&self, segment: &SegmentMeta) -> bool {
        self.from <= segment.min_key && segment.max_key < self.to && segment.max_start < self.at
    }

    /// Whether some of a segment may have ended by this.
    pub(crate) fn is_some_of(&self, segment: &SegmentMeta) -> bool {
        self.from <= segment.max_key && segment.min_key < self.to && segment.min_start < self.at
    }
}

/// When the version of `key` that began at `start` ended by any of these.
pub(crate) fn end_of(gone: &[Gone], key: &[u8], start: Timestamp) -> Option<Timestamp> {
    gone.iter().filter_map(|gone| gone.end_of(key, start)).min()
}
