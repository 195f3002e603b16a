//! Merges of live segments, and the dropping of what nobody can ask for.
//!
//! ```text
//! choose   (committer, a moment)  the most useful merge, by a pure choice ([`dosql_lsm::pick`])
//! build    (no lock)              new segments, step by step: stored, and seen by nobody
//! replace  (committer, short)     they take the place of the old ones, which leave ([`super::objects`])
//! ```
//!
//! A row that a newer one hides stays as long as somebody may ask for it, and ends when the newer one begins. Whoever asks for a moment
//! between, at which the key held something else or nothing, is told so by history, which is asked first.
//!
//! A merge goes on where the step before ended, also after one that had to wait for a far store. It is begun anew where a segment of it
//! is gone or moved, or more is to be kept than when it began.

use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_btree::Apart;
use dosql_lsm::{Compaction, CompactionOptions, Contents, Job, Policy, SegmentMeta, pick};

use super::held::Held;
use super::live::{Live, LiveSegment};
use super::segment::{Segment, Unnamed};
use crate::branch::Branch;
use crate::engine::{Committer, Engine};
use crate::history::kept::Kept;
use crate::retention::space_of;
use crate::trace::span;

/// Bytes of rows that a merge goes through before it stores what is complete.
const MOST_AT_ONCE: u64 = 1 << 20;

/// A merge to be made.
struct Chosen {
    branch: Arc<Branch>,
    job: Job,
    live: Arc<Live>,
    kept: Kept,
}

/// A merge under way.
pub(crate) struct UnderWay {
    branch: Arc<Branch>,
    /// Its inputs.
    old: Vec<LiveSegment>,
    kept: Kept,
    level: u8,
    compaction: Compaction,
    held: Held,
    made: Unnamed,
    apart: Apart,
}

/// What takes the place of segments.
pub(super) struct Replacement {
    /// The numbers of those that go.
    pub(super) old: Vec<u64>,
    pub(super) new: Unnamed,
    pub(super) level: u8,
    /// The number of the first new one, where it keeps that of an old one.
    pub(super) number: Option<u64>,
    pub(super) apart: Apart,
}

impl Engine {
    /// Makes a step of the most useful merge of live segments, if there is any; returns the bytes that it went through, or at least 1. Nothing
    /// happens while somebody else moves rows or merges.
    pub(crate) fn compact_step(&self, most: u64) -> Result<u64> {
        let Some(mut merging) = self.merging.try_lock() else { return Ok(0) };
        span!("compact");
        let going_on = merging.take().filter(|it| self.is_still_right(it));
        let mut under_way = match going_on {
            Some(under_way) => under_way,
            None => match self.begin_merge()? {
                Begun::Nothing => return Ok(0),
                Begun::Done => return Ok(1),
                Begun::Merge(under_way) => *under_way,
            },
        };
        match self.go_on(&mut under_way, most) {
            Ok((bytes, false)) => {
                *merging = Some(under_way);
                Ok(bytes.max(1))
            }
            Ok((bytes, true)) => {
                self.replace(&under_way.branch.clone(), under_way.into())?;
                Ok(bytes.max(1))
            }
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    *merging = Some(under_way);
                }
                Err(error)
            }
        }
    }

    /// Whether there is a merge of live segments to make.
    pub(crate) fn compaction_is_due(&self) -> bool {
        !self.options.read_only && self.choose_merge().is_some()
    }

    fn choose_merge(&self) -> Option<Chosen> {
        let committer = self.committer();
        let gone = self.unneeded(&committer);
        committer.branches.values().filter(|branch| !gone.contains(&branch.number)).find_map(|branch| {
            let tip = branch.tip.lock();
            let meta: Vec<SegmentMeta> = tip.live.segments().map(meta).collect();
            let size = self.options.segment_bytes as u64;
            let policy = Policy {
                parent: tip.row.fork.is_some(),
                segment_bytes: size,
                base_bytes: size.saturating_mul(4),
                max_job_bytes: size.saturating_mul(16),
                ..Policy::new(Contents::Live)
            };
            let job = pick(&meta, &policy)?;
            let kept = self.kept(&tip.latest, Arc::clone(&tip.pins), None);
            Some(Chosen { branch: Arc::clone(branch), job, live: Arc::clone(&tip.live), kept })
        })
    }

    /// Chooses a merge and opens what it reads; what only changes rows of segments is done at once.
    fn begin_merge(&self) -> Result<Begun> {
        let Some(Chosen { branch, job, live, kept }) = self.choose_merge() else { return Ok(Begun::Nothing) };
        let (segments, level, bottom) = match job {
            Job::Move { segment, level } => {
                self.move_down(&branch, segment, level as u8)?;
                return Ok(Begun::Done);
            }
            Job::Drop { segments } => (segments, 0, true),
            Job::Merge { segments, level, bottom } => (segments, level as u8, bottom),
        };
        let old: Vec<LiveSegment> =
            live.segments().filter(|it| segments.contains(&it.number)).cloned().collect();
        let pages = self.pages.latest();
        let readers = old.iter().map(|it| it.segment.open(&pages)).collect::<Result<Vec<_>>>()?;
        let options = CompactionOptions {
            segment_bytes: self.options.segment_bytes,
            beside: true,
            boundary: Some(|a, b| space_of(a) != space_of(b)),
            write: self.tier.write_options(0),
            ..CompactionOptions::new(Contents::Live, bottom)
        };
        let compaction = Compaction::new(readers, options);
        let (held, made, apart) = (Held::new(&self.tier), Unnamed::new(&self.tier), self.pages.apart());
        Ok(Begun::Merge(Box::new(UnderWay { branch, old, kept, level, compaction, held, made, apart })))
    }

    /// Whether a merge under way may still take the place of what it reads.
    fn is_still_right(&self, under_way: &UnderWay) -> bool {
        let committer = self.committer();
        if !committer.branches.contains_key(&under_way.branch.number) {
            return false;
        }
        let tip = under_way.branch.tip.lock();
        let there = |old: &LiveSegment| {
            tip.live.segments().any(|it| {
                (it.number, it.level, &it.segment.name) == (old.number, old.level, &old.segment.name)
            })
        };
        let kept = self.kept(&tip.latest, Arc::clone(&tip.pins), None);
        under_way.old.iter().all(there) && kept.is_within(&under_way.kept)
    }

    /// Goes through about so many bytes, and stores the segments that are complete; whether that was all.
    fn go_on(&self, under_way: &mut UnderWay, most: u64) -> Result<(u64, bool)> {
        let UnderWay { kept, compaction, held, made, apart, .. } = under_way;
        let retain = |key: &[u8], start: Timestamp, end: Timestamp| kept.keeps(key, start, end);
        let (mut gone, mut finished) = (0, false);
        while gone < most.max(1) && !finished {
            // However much may be done, what is complete does not wait in memory for the rest.
            let part = (most.max(1) - gone).min(MOST_AT_ONCE);
            let progress = match compaction.step(part, &retain, &mut || self.tier.new_id()) {
                // Told by the next step, which has to wait too.
                Err(error) if error.kind() == ErrorKind::WouldBlock && gone > 0 => break,
                progress => progress?,
            };
            held.set(compaction.held_bytes());
            for output in compaction.take_outputs() {
                let id = output.segment.properties.id;
                made.push(Segment::store(&self.tier, id, &output.segment, apart)?);
            }
            held.set(compaction.held_bytes());
            (gone, finished) = (gone + progress.bytes, progress.finished);
            if progress.bytes == 0 {
                break;
            }
        }
        Ok((gone, finished))
    }

    /// Gives a segment another level.
    fn move_down(&self, branch: &Arc<Branch>, number: u64, level: u8) -> Result<()> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let mut committer = self.committer();
        if !committer.branches.contains_key(&branch.number) {
            return Ok(());
        }
        let mut tip = branch.tip.lock();
        let Some(moved) = tip.live.segments().find(|it| it.number == number).cloned() else { return Ok(()) };
        let moved = LiveSegment { level, ..moved };
        self.rearrange(&mut committer, |writer, version, system| {
            let key = LiveSegment::key(branch.number, number);
            writer.set(system, &key, version, &moved.encode()).map(|_| ())
        })?;
        tip.live = Arc::new(tip.live.with_moved(&moved));
        drop(tip);
        self.show_segments(committer);
        Ok(())
    }

    /// Puts segments in the place of others; forgets them where the branch is gone, or that fails.
    pub(super) fn replace(&self, branch: &Branch, with: Replacement) -> Result<()> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let mut committer = self.committer();
        if !committer.branches.contains_key(&branch.number) {
            return Ok(());
        }
        let mut tip = branch.tip.lock();
        let now = tip.live.segments().cloned();
        let (gone, left): (Vec<LiveSegment>, Vec<LiveSegment>) =
            now.partition(|live| with.old.contains(&live.number));
        let numbers = with.number.into_iter().chain(tip.next_segment..);
        let new = LiveSegment::numbered(with.new.segments(), with.level, numbers);
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
        with.new.named();
        tip.next_segment = new.iter().map(|live| live.number + 1).fold(tip.next_segment, u64::max);
        tip.live = Arc::new(Live::new(left.into_iter().chain(new), tip.live.moving().to_vec()));
        drop(tip);
        self.exit.lock().add(gone.into_iter().map(|live| live.segment));
        self.show_segments(committer);
        Ok(())
    }

    /// Lets readers that begin from now on see the segments as they are now.
    pub(super) fn show_segments(&self, mut committer: impl std::ops::DerefMut<Target = Committer>) {
        let views = self.renew_views(&mut committer);
        drop(committer);
        self.show_again(&views);
    }
}

/// What became of a choice.
enum Begun {
    /// There was nothing to do.
    Nothing,
    /// It was done at once.
    Done,
    Merge(Box<UnderWay>),
}

impl From<UnderWay> for Replacement {
    fn from(done: UnderWay) -> Replacement {
        let UnderWay { old, level, made, apart, .. } = done;
        let old = old.iter().map(|live| live.number).collect();
        Replacement { old, new: made, level, number: None, apart }
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
