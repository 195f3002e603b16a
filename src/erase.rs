//! Erasing rows for good: from the tree, from history, from the log and from what is left of them in free places.
//!
//! ```text
//! the statement   finds the rows that match now or ever did, and deletes those that are there, in a commit
//! segments        live ones that may hold them are written anew without them
//! tidy            unused space of the pages that they may have been on is cleared, in the table's range and its indexes'
//! checkpoint      every history run is written anew without their versions
//! checkpoint x 2  now neither durable state has the old pages
//! scrub           free pages, and the log before the checkpoint, are overwritten
//! ```
//!
//! Transactions that were open before go on seeing what they saw, and keep those pages from being cleared until they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};
use dosql_sql::KeyRange;
use dosql_sql::catalog::layout::{index_row_id, row_id, space_range};
use dosql_sql::catalog::schema::{Index, SpaceId};

use crate::engine::Engine;
use crate::history::kept::Deletion;
use crate::long_keys::KeyForm;
use crate::manifest::MAIN_BRANCH;

/// Pages that are looked at while commits wait.
const AT_ONCE: usize = 1024;

/// The rows to erase.
pub(crate) struct Erasure {
    pub(crate) form: KeyForm,
    pub(crate) table: SpaceId,
    /// The ids of the rows.
    pub(crate) row_ids: BTreeSet<Vec<u8>>,
    /// All indexes that the table has or had; `None` where nobody knows any more how its entries are made: all go.
    pub(crate) indexes: Indexes,
    /// What ended up to here goes: the commit that deleted the rows.
    pub(crate) upto: Timestamp,
}

/// Indexes by their numbers; `None` where it is not known how the entries are made.
pub(crate) type Indexes = BTreeMap<SpaceId, Option<Arc<Index>>>;

/// What becomes of a version.
pub(crate) enum Fate {
    Stays,
    Goes,
    /// A bucket of long keys, of which some go.
    Becomes(Vec<u8>),
}

impl Erasure {
    /// What becomes of what is stored under `stored` as `value` until `end`.
    pub(crate) fn fate(&self, stored: &[u8], value: &[u8], end: Timestamp) -> Result<Fate> {
        let form = self.form;
        if end > self.upto || !self.concerns(stored) || weakened("erased-versions-kept") {
            return Ok(Fate::Stays);
        }
        if !form.is_long(stored) {
            return Ok(if self.erases(stored)? { Fate::Goes } else { Fate::Stays });
        }
        let (mut bucket, mut left, mut changed) = (value.to_vec(), 0, false);
        for (key, _) in form.entries(stored, value)? {
            if self.erases(&key)? {
                changed = true;
                bucket = form.changed(&bucket, &key, None)?.unwrap_or_default();
            } else {
                left += 1;
            }
        }
        Ok(match (changed, left) {
            (false, _) => Fate::Stays,
            (true, 0) => Fate::Goes,
            (true, _) => Fate::Becomes(bucket),
        })
    }

    fn concerns(&self, key: &[u8]) -> bool {
        let space = crate::retention::space_of(key);
        space == self.table || self.indexes.contains_key(&space)
    }

    /// Whether a whole key is that of an erased row or of an index entry of one.
    fn erases(&self, key: &[u8]) -> Result<bool> {
        let space = crate::retention::space_of(key);
        let id = match self.indexes.get(&space) {
            _ if space == self.table => row_id(space, key)?,
            Some(Some(index)) => index_row_id(index, key)?,
            Some(None) => return Ok(true),
            None => return Ok(false),
        };
        Ok(self.row_ids.contains(id))
    }

    fn ranges(&self) -> Vec<KeyRange> {
        std::iter::once(&self.table).chain(self.indexes.keys()).map(|space| space_range(*space)).collect()
    }
}

impl Engine {
    /// Fails where rows can't be erased.
    pub(crate) fn check_erasable(&self, branch: u32) -> Result<()> {
        self.check_writable()?;
        if branch != MAIN_BRANCH || self.committer.lock().branches.len() > 1 {
            let message = "rows can't be erased while there are branches, which may hold them too; merge or drop those first";
            return Err(Error::unsupported(message));
        }
        Ok(())
    }

    /// Erases the versions of rows that a commit has deleted; durable when it returns. The format knows no older reader of what that leaves.
    pub(crate) fn erase(&self, erasure: Erasure) -> Result<()> {
        self.upgrade_format()?;
        let ranges = erasure.ranges();
        // A merge has written pages that are not free, and may hold the rows.
        let _no_merge = self.merging.lock();
        if let Some(merged) = self.merged.lock().take() {
            merged.forget(&self.tier);
        }
        self.erase_live(&erasure, &ranges)?;
        let deletion = Deletion::OfRows(Arc::new(erasure));
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        // From here on the log before is not theirs any more.
        self.subscribers.lose_all();
        for range in &ranges {
            let mut from = Some(range.start.clone());
            while let Some(key) = from {
                from = self.tidy(&key, &range.end)?;
            }
        }
        self.delete(&deletion)?;
        // What these free the next but one may use.
        self.force_checkpoint()?;
        self.force_checkpoint()?;
        let (free, unused) = self.pages.writer().free_pages_now();
        let before = self.committer.lock().log_start;
        if weakened("erased-pages-left") {
            return Ok(());
        }
        self.delete_unneeded()?;
        self.pages.store().scrub(&free, unused).map_err(|error| self.poison(error))?;
        self.log.scrub(before).map_err(|error| self.poison(error))
    }

    /// Clears the unused space of some pages of the tree of current rows; returns the key to go on from.
    fn tidy(&self, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let committer = &mut *self.committer.lock();
        let mut tip = self.main.tip.lock();
        let version = committer.last.next();
        let mut writer = self.pages.writer();
        writer.begin(version);
        let mut root = tip.root;
        let next = writer.tidy(&mut root, from, to, AT_ONCE)?;
        writer.publish(version).map_err(|error| self.poison(error))?;
        drop(writer);
        (committer.last, tip.root) = (version, root);
        let timestamp = tip.latest.timestamp;
        self.publish_view(committer, MAIN_BRANCH, &mut tip, timestamp);
        Ok(next)
    }
}
