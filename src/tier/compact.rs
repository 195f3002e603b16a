//! Merges of live segments, and the dropping of what nobody can ask for.
//!
//! ```text
//! choose   (committer, a moment)  the most useful merge, by a pure choice ([`dosql_lsm::pick`])
//! build    (no lock)              new segments: stored, and seen by nobody
//! replace  (committer, short)     they take the place of the old ones, which leave ([`super::objects`])
//! ```
//!
//! A row that a newer one hides stays as long as somebody may ask for it, and ends when the newer one begins. Whoever asks for a moment
//! between, at which the key held something else or nothing, is told so by history, which is asked first.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};
use dosql_btree::{Apart, PageSnapshot};
use dosql_lsm::{Contents, Job, Kind, MergeCursor, Policy, SegmentMeta, Versions, pick};
use dosql_sql::KeyRange;

use super::live::{Live, LiveSegment};
use super::segment::{Segment, SegmentMaker};
use crate::branch::Branch;
use crate::engine::Engine;
use crate::erase::{Cover, Erasure, Fate};
use crate::history::kept::Kept;
use crate::retention::space_of;
use crate::trace::span;

/// A merge to be made.
struct Chosen {
    branch: Arc<Branch>,
    job: Job,
    live: Arc<Live>,
    kept: Kept,
    pages: PageSnapshot,
}

/// What takes the place of segments.
struct Replacement {
    /// The numbers of those that go.
    old: Vec<u64>,
    new: Vec<Arc<Segment>>,
    level: u8,
    /// The number of the first new one, where it keeps that of an old one.
    number: Option<u64>,
    apart: Apart,
}

impl Engine {
    /// Makes the most useful merge of live segments, of about `most` bytes, if there is any; returns the bytes that it read, or at least 1.
    /// Nothing happens while somebody else moves rows or merges.
    pub(crate) fn compact_step(&self, most: u64) -> Result<u64> {
        let Some(_one) = self.merging.try_lock() else { return Ok(0) };
        let Some(chosen) = self.choose_merge(most) else { return Ok(0) };
        span!("compact");
        match &chosen.job {
            Job::Move { segment, level } => {
                self.move_down(&chosen.branch, *segment, *level as u8)?;
                Ok(1)
            }
            Job::Drop { segments } => {
                let (old, apart) = (segments.clone(), self.pages.apart());
                let nothing = Replacement { old, new: Vec::new(), level: 0, number: None, apart };
                self.replace(&chosen.branch, nothing)?;
                Ok(1)
            }
            Job::Merge { segments, level, bottom } => {
                let inputs: Vec<&LiveSegment> =
                    chosen.live.segments().iter().filter(|it| segments.contains(&it.number)).collect();
                let bytes = inputs.iter().map(|it| it.segment.bytes).sum::<u64>().max(1);
                let (new, apart) = self.merge_live(&chosen, &inputs, *bottom)?;
                let (old, level) = (segments.clone(), *level as u8);
                self.replace(&chosen.branch, Replacement { old, new, level, number: None, apart })?;
                Ok(bytes)
            }
        }
    }

    /// Whether there is a merge of live segments to make.
    pub(crate) fn compaction_is_due(&self) -> bool {
        !self.options.read_only && self.choose_merge(u64::MAX).is_some()
    }

    fn choose_merge(&self, most: u64) -> Option<Chosen> {
        let committer = self.committer.lock();
        let gone = self.unneeded(&committer);
        committer.branches.values().filter(|branch| !gone.contains(&branch.number)).find_map(|branch| {
            let tip = branch.tip.lock();
            if tip.live.segments().is_empty() {
                return None;
            }
            let meta: Vec<SegmentMeta> = tip.live.segments().iter().map(meta).collect();
            let size = self.options.segment_bytes as u64;
            let policy = Policy {
                parent: tip.row.fork.is_some(),
                segment_bytes: size,
                base_bytes: size.saturating_mul(4),
                max_job_bytes: size.saturating_mul(16).min(most),
                ..Policy::new(Contents::Live)
            };
            let job = pick(&meta, &policy)?;
            let kept = self.kept(&tip.latest, Arc::clone(&tip.pins), None);
            let (branch, live) = (Arc::clone(branch), Arc::clone(&tip.live));
            Some(Chosen { branch, job, live, kept, pages: self.pages.latest() })
        })
    }

    fn merge_live(
        &self,
        chosen: &Chosen,
        inputs: &[&LiveSegment],
        bottom: bool,
    ) -> Result<(Vec<Arc<Segment>>, Apart)> {
        let mut apart = self.pages.apart();
        let mut maker = SegmentMaker::new(&self.tier, &mut apart, self.options.segment_bytes);
        let open = |it: &&LiveSegment| it.segment.open(&chosen.pages);
        let readers = inputs.iter().map(open).collect::<Result<Vec<_>>>()?;
        let mut cursor = MergeCursor::new(readers, Versions::All);
        // The key that it came to last, and when the version of it began that was seen last.
        let (mut last, mut newer): (Option<Vec<u8>>, Timestamp) = (None, Timestamp::MAX);
        let mut here = cursor.first()?;
        while here && let Some(entry) = cursor.entry() {
            if self.worker.is_leaving() {
                return Err(Error::closed("the database is being closed"));
            }
            let newest = last.as_deref() != Some(entry.key);
            let end = if newest { entry.end } else { entry.end.min(newer) };
            newer = entry.start;
            if newest {
                let space = last.as_deref().map(space_of);
                if space.is_some_and(|space| space != space_of(entry.key)) {
                    maker.cut()?;
                }
                last = Some(entry.key.to_vec());
            }
            let hides_nothing = bottom && entry.kind == Kind::Tombstone;
            let needed = newest || chosen.kept.keeps(entry.key, entry.start, end);
            if needed && !hides_nothing {
                maker.push(entry.key, (entry.start, end), entry.kind, entry.value)?;
            }
            here = cursor.next()?;
        }
        Ok((maker.finish()?, apart))
    }

    /// Gives a segment another level.
    fn move_down(&self, branch: &Arc<Branch>, number: u64, level: u8) -> Result<()> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let mut committer = self.committer.lock();
        if !committer.branches.contains_key(&branch.number) {
            return Ok(());
        }
        let mut tip = branch.tip.lock();
        let mut segments = tip.live.segments().to_vec();
        let Some(place) = segments.iter_mut().find(|it| it.number == number) else { return Ok(()) };
        place.level = level;
        let (key, row) = (LiveSegment::key(branch.number, number), place.encode());
        self.rearrange(&mut committer, |writer, version, system| {
            writer.set(system, &key, version, &row).map(|_| ())
        })?;
        tip.live = Arc::new(Live::new(segments, tip.live.moving().to_vec()));
        drop(tip);
        let views = self.renew_views(&mut committer);
        drop(committer);
        self.show_again(&views);
        Ok(())
    }

    /// Puts segments in the place of others; forgets them where the branch is gone, or that fails.
    fn replace(&self, branch: &Arc<Branch>, with: Replacement) -> Result<()> {
        let names: Vec<String> = with.new.iter().map(|segment| segment.name.clone()).collect();
        let replaced = self.try_to_replace(branch, with);
        if !matches!(replaced, Ok(true)) {
            self.tier.abandon(names);
        }
        replaced.map(|_| ())
    }

    fn try_to_replace(&self, branch: &Arc<Branch>, with: Replacement) -> Result<bool> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let mut committer = self.committer.lock();
        if !committer.branches.contains_key(&branch.number) {
            return Ok(false);
        }
        let mut tip = branch.tip.lock();
        let now = tip.live.segments().iter().cloned();
        let (gone, mut left): (Vec<LiveSegment>, Vec<LiveSegment>) =
            now.partition(|live| with.old.contains(&live.number));
        let mut numbers = with.number.into_iter().chain(tip.next_segment..);
        let new: Vec<LiveSegment> = with
            .new
            .into_iter()
            .zip(numbers.by_ref())
            .map(|(segment, number)| LiveSegment { number, level: with.level, segment })
            .collect();
        let snapshot = self.pages.latest();
        self.rearrange(&mut committer, |writer, version, system| {
            writer.adopt(with.apart);
            for live in &gone {
                writer.remove(system, &LiveSegment::key(branch.number, live.number))?;
                writer.free_pages(snapshot.pages_of(live.segment.tail)?);
            }
            for live in &new {
                writer.set(system, &LiveSegment::key(branch.number, live.number), version, &live.encode())?;
            }
            Ok(())
        })?;
        tip.next_segment = new.iter().map(|live| live.number + 1).fold(tip.next_segment, u64::max);
        left.extend(new);
        tip.live = Arc::new(Live::new(left, tip.live.moving().to_vec()));
        drop(tip);
        self.exit.lock().add(gone.into_iter().map(|live| live.segment));
        let views = self.renew_views(&mut committer);
        drop(committer);
        self.show_again(&views);
        Ok(true)
    }

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
        for live in live.segments().iter().filter(concerned) {
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
        let committer = &mut *self.committer.lock();
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

/// What the choice of a merge has to know.
fn meta(live: &LiveSegment) -> SegmentMeta {
    let segment = &live.segment;
    SegmentMeta {
        id: live.number,
        level: u32::from(live.level),
        min_key: segment.min_key.clone(),
        max_key: segment.max_key.clone(),
        bytes: segment.bytes,
        entries: segment.entries,
        tombstones: segment.tombstones,
        min_start: segment.min_start,
        max_start: segment.max_start,
        max_end: segment.max_end,
        swept: Timestamp::ZERO,
    }
}
