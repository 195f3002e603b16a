//! Erasing rows for good: from the tree, from history, from the log and from what is left of them in free places.
//!
//! ```text
//! the statement   finds the rows that match now or ever did, and deletes those that are there, in a commit
//! published       points that may show them are taken back
//! segments        live ones that may hold them are written anew without them
//! tidy            unused space of the pages that they may have been on is cleared, in the table's range and its indexes'
//! checkpoint      every history run is written anew without their versions
//! checkpoint x 2  now neither durable state has the old pages
//! scrub           free pages, and the log before the checkpoint, are overwritten
//! ```
//!
//! All of it is done on each branch, with the rows that match on it, and those that do where it forks off. Where a branch has changed a
//! row that stays on the branch that it forks off, it says "deleted" of it from its beginning on ([`Cover`]): without that, the other's would
//! show there instead.
//!
//! Transactions that were open before go on seeing what they saw, and keep those pages from being cleared until they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Result, Timestamp};
use dosql_sql::KeyRange;
use dosql_sql::catalog::layout::{index_row_id, row_id, space_range};
use dosql_sql::catalog::schema::{Index, SpaceId};

use crate::branch::Branch;
use crate::branch::layers::Beneath;
use crate::engine::Engine;
use crate::history::kept::Deletion;
use crate::long_keys::KeyForm;

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
    /// What lies beneath the branch, if anything does.
    pub(crate) cover: Option<Cover>,
}

/// What shows on a branch where it says nothing.
pub(crate) struct Cover {
    beneath: Arc<Beneath>,
    /// What is erased of the branches beneath.
    erased: BTreeMap<u32, Arc<Erasure>>,
}

impl Cover {
    /// The first moment of the branch above.
    pub(crate) fn begins(&self) -> Timestamp {
        self.beneath.begins().next()
    }

    /// Whether something shows under a stored key when all is erased. Of long keys it is enough that others of their group do.
    fn shows(&self, stored: &[u8], is_long: bool) -> Result<bool> {
        for layer in &self.beneath.layers {
            let erased = self.erased.get(&layer.branch).filter(|_| !is_long);
            if erased.is_some_and(|erased| erased.concerns(stored))
                && erased.map_or(Ok(false), |it| it.erases(stored))?
            {
                continue;
            }
            if let Some(found) = layer.get(stored, Timestamp::MAX)? {
                return Ok(found.is_some());
            }
        }
        Ok(false)
    }
}

/// Indexes by their numbers; `None` where it is not known how the entries are made.
pub(crate) type Indexes = BTreeMap<SpaceId, Option<Arc<Index>>>;

/// What becomes of a version.
pub(crate) enum Fate {
    Stays,
    Goes,
    /// A bucket of long keys, of which some go.
    Becomes(Vec<u8>),
    /// It goes, and has to say that there is nothing.
    Hides,
}

impl Erasure {
    /// What becomes of what is stored under `stored` as `value` until `end`.
    pub(crate) fn fate(&self, stored: &[u8], value: &[u8], end: Timestamp) -> Result<Fate> {
        let form = self.form;
        if end > self.upto || !self.concerns(stored) || weakened("erased-versions-kept") {
            return Ok(Fate::Stays);
        }
        if !form.is_long(stored) {
            return if self.erases(stored)? { self.gone(stored, false) } else { Ok(Fate::Stays) };
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
            (true, 0) => return self.gone(stored, true),
            (true, _) => Fate::Becomes(bucket),
        })
    }

    /// What becomes of what is erased.
    fn gone(&self, stored: &[u8], is_long: bool) -> Result<Fate> {
        let shows = self.cover.as_ref().map_or(Ok(false), |cover| cover.shows(stored, is_long))?;
        Ok(if shows && !weakened("erased-row-shows-what-lies-beneath") { Fate::Hides } else { Fate::Goes })
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
    /// All branches, parents before their children; dropped ones that others need, too.
    pub(crate) fn all_branches(&self) -> Vec<Arc<Branch>> {
        self.committer().branches.values().cloned().collect()
    }

    /// The branches beneath one, and up to when each is seen; the nearest first.
    pub(crate) fn ancestors(&self, branch: &Branch) -> Vec<(u32, Timestamp)> {
        let committer = self.committer();
        let (mut all, mut fork) = (Vec::new(), branch.tip.lock().row.fork);
        while let Some((parent, at)) = fork {
            let upto = all.last().map_or(at, |(_, upto): &(u32, Timestamp)| at.min(*upto));
            all.push((parent, upto));
            fork = committer.branches.get(&parent).and_then(|parent| parent.tip.lock().row.fork);
        }
        all
    }

    /// What is erased of each branch, with what shows beneath it.
    fn covered(&self, erasures: BTreeMap<u32, Erasure>) -> Vec<(Arc<Branch>, Arc<Erasure>)> {
        let (mut erasures, mut covered) = (erasures, Vec::<(Arc<Branch>, Arc<Erasure>)>::new());
        for branch in self.all_branches() {
            let Some(mut erasure) = erasures.remove(&branch.number) else { continue };
            let ancestors: Vec<u32> = self.ancestors(&branch).into_iter().map(|(number, _)| number).collect();
            let erased = covered.iter().filter(|(other, _)| ancestors.contains(&other.number));
            let erased = erased.map(|(other, erasure)| (other.number, Arc::clone(erasure))).collect();
            let latest = branch.latest();
            let cover = |beneath: &Arc<Beneath>| Cover { beneath: Arc::clone(beneath), erased };
            erasure.cover = latest.beneath.as_ref().map(cover);
            covered.push((branch, Arc::new(erasure)));
        }
        covered
    }

    /// Erases the versions of rows that commits have deleted, of branches by their numbers; durable when it returns. The format knows no
    /// older reader of what that leaves.
    pub(crate) fn erase(&self, erasures: BTreeMap<u32, Erasure>) -> Result<()> {
        self.upgrade_format()?;
        let _no_point = self.publishing.lock();
        self.forget_all_published()?;
        // A merge has written pages that are not free, and may hold the rows.
        let mut no_merge = self.merging.lock();
        drop(no_merge.take());
        if let Some(merged) = self.merged.lock().take() {
            merged.forget(&self.tier);
        }
        let erasures = self.covered(erasures);
        for (branch, erasure) in &erasures {
            self.erase_live(branch, erasure, &erasure.ranges())?;
        }
        let by_number = erasures.iter().map(|(branch, erasure)| (branch.number, Arc::clone(erasure)));
        let deletion = Deletion::OfRows(Arc::new(by_number.collect()));
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        // From here on the log before is not theirs any more.
        self.subscribers.lose_all();
        for (branch, erasure) in &erasures {
            for range in erasure.ranges() {
                let mut from = Some(range.start.clone());
                while let Some(key) = from {
                    from = self.tidy(branch, &key, &range.end)?;
                }
            }
        }
        self.delete(&deletion)?;
        // They hold pages as they were.
        drop((erasures, deletion));
        // The rows of segments tell their first and last keys.
        self.tidy_system()?;
        // What these free the next but one may use.
        for _ in 0..3 {
            self.force_checkpoint()?;
        }
        let (free, unused) = self.pages.writer().free_pages_now();
        let before = self.committer().log_start;
        if weakened("erased-pages-left") {
            return Ok(());
        }
        self.delete_unneeded()?;
        self.pages.store().scrub(&free, unused).map_err(|error| self.poison(error))?;
        self.log.scrub(before).map_err(|error| self.poison(error))
    }

    /// Clears the unused space of the pages of the system tree.
    fn tidy_system(&self) -> Result<()> {
        self.rearrange(&mut self.committer(), |writer, _, system| {
            let mut from = Some(Vec::new());
            while let Some(key) = from {
                from = writer.tidy(system, &key, &[0xFF; 4], AT_ONCE)?;
            }
            Ok(())
        })
    }

    /// Clears the unused space of some pages of the tree of current rows of a branch; returns the key to go on from.
    fn tidy(&self, branch: &Branch, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let (committer, mut tip) = (&mut *self.committer(), branch.tip.lock());
        let tidied = self.rearrange_rows(committer, branch, &mut tip, |writer, _, root| {
            writer.tidy(root, from, to, AT_ONCE)
        });
        Ok(tidied?.0)
    }
}
