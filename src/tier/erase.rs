//! Erasing rows for good from live segments, and what hides them from the tree.

use std::sync::Arc;

use dosql_base::Result;
use dosql_lsm::Kind;
use dosql_sql::KeyRange;

use super::compact::Replacement;
use super::live::LiveSegment;
use super::segment::SegmentMaker;
use crate::branch::Branch;
use crate::engine::Engine;
use crate::erase::{Cover, Erasure, Fate};

impl Engine {
    /// Writes the live segments of a branch anew that may hold versions of erased rows, without these; and takes what hid them out of the
    /// tree. The caller holds `merging`, and not `checkpointing`.
    pub(crate) fn erase_live(
        &self,
        branch: &Arc<Branch>,
        erasure: &Erasure,
        ranges: &[KeyRange],
    ) -> Result<()> {
        let (live, pages) = {
            let tip = branch.tip.lock();
            (Arc::clone(&tip.live), self.pages.latest())
        };
        let concerned =
            |it: &&LiveSegment| ranges.iter().any(|range| it.segment.overlaps(&range.start, &range.end));
        for live in live.segments().filter(concerned) {
            let mut changed = false;
            let mut apart = self.pages.apart();
            let mut maker = SegmentMaker::new(&self.tier, &mut apart, usize::MAX);
            let mut cursor = live.segment.open(&pages)?.cursor();
            let mut here = cursor.first()?;
            while here && let Some(entry) = cursor.entry() {
                let (start, end) = (entry.start, entry.end);
                // The commit that deleted the rows ended all that was there.
                let ended = if start <= erasure.upto { end.min(erasure.upto) } else { end };
                let fate = erasure.fate(entry.key, entry.value, ended)?;
                changed |= !matches!(fate, Fate::Stays);
                match fate {
                    Fate::Stays => maker.push(entry.key, (start, end), entry.kind, entry.value)?,
                    Fate::Becomes(bucket) => maker.push(entry.key, (start, end), entry.kind, &bucket)?,
                    Fate::Hides => maker.push(entry.key, (start, end), Kind::Tombstone, &[])?,
                    Fate::Goes => {}
                }
                here = cursor.next()?;
            }
            let new = maker.finish()?;
            let (old, number, level) = (vec![live.number], Some(live.number), live.level);
            if changed {
                self.replace(branch, Replacement { old, new, level, number, apart })?;
            }
        }
        self.clear_tombstones(branch, erasure, ranges)
    }

    /// Takes the tombstones of erased rows out of the tree of a branch that hide nothing any more; the others hide from its beginning on.
    fn clear_tombstones(&self, branch: &Branch, erasure: &Erasure, ranges: &[KeyRange]) -> Result<()> {
        let committer = &mut *self.committer();
        let mut tip = branch.tip.lock();
        let (snapshot, mut keys) = (self.pages.latest(), Vec::new());
        let mut cursor = snapshot.cursor(tip.root);
        for range in ranges {
            let mut here = cursor.seek(&range.start)?;
            while here && cursor.key() < range.end.as_slice() {
                if cursor.is_tombstone() && cursor.version() <= erasure.upto {
                    match erasure.fate(cursor.key(), &[], erasure.upto)? {
                        Fate::Goes => keys.push((cursor.key().to_vec(), false)),
                        Fate::Hides => keys.push((cursor.key().to_vec(), true)),
                        Fate::Stays | Fate::Becomes(_) => {}
                    }
                }
                here = cursor.next()?;
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.rearrange_rows(committer, branch, &mut tip, |writer, version, root| {
            let begins = erasure.cover.as_ref().map_or(version, Cover::begins);
            for (key, hides) in &keys {
                match hides {
                    false => drop(writer.remove(root, key)?),
                    true => drop(writer.put_tombstone(root, key, begins)?),
                }
            }
            Ok(())
        })
        .map(|_| ())
    }
}
