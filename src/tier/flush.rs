//! Moving cold rows out of the tree into live segments, beside commits.
//!
//! ```text
//! choose   (no lock)              the leaves that were not written for longest, as ranges of keys
//! mark     (committer, a moment)  from here on deletions in them leave tombstones
//! build    (no lock)              their rows, as of a snapshot, become segments: stored, and seen by nobody
//! name     (committer, short)     the segments lie beneath the tree
//! clear    (committer, short)     a few rows at a time, those that are still what was moved are taken out of the tree
//! ```
//!
//! Rows are in both places for a while, and say the same. Nothing is logged: until a checkpoint is durable, a crash takes it all back, and
//! the objects are orphans.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::codec::ordered_u32;
use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};
use dosql_btree::{Apart, Cursor, LeafAge, PageSnapshot, Root};
use dosql_lsm::Kind;
use dosql_sql::KeyRange;
use dosql_sql::catalog::store::CATALOG_SPACE;

use super::live::{Live, LiveSegment};
use super::segment::{SegmentMaker, Unnamed};
use crate::branch::Branch;
use crate::engine::Engine;
use crate::retention::space_of;
use crate::trace::span;
use crate::view::View;

/// Rows that are taken out of the tree while commits wait.
const AT_ONCE: usize = 256;
/// The part of the hot budget that is left free when something moves.
const SPARE: u64 = 4;

/// Rows to be moved.
struct Chosen {
    branch: Arc<Branch>,
    ranges: Vec<KeyRange>,
    /// Of the leaves.
    bytes: u64,
}

/// The rows as they were when the move began.
struct Source {
    pages: PageSnapshot,
    root: Root,
    /// What deletions hide.
    beneath: Hidden,
}

/// What may lie beneath a row that is moved.
struct Hidden {
    live: Arc<Live>,
    /// The branch forks off another.
    parents: bool,
}

impl Hidden {
    fn covers(&self, key: &[u8]) -> bool {
        (self.parents || self.live.covers(key)) && !weakened("moved-tombstone-dropped")
    }
}

impl Engine {
    /// The branches whose rows may move, as they are now. What was dropped stays as it is until it goes.
    fn movable(&self) -> Vec<(Arc<Branch>, Arc<View>)> {
        let committer = self.committer();
        let movable = committer.branches.values().filter(|branch| !branch.tip.lock().row.dropped);
        movable.map(|branch| (Arc::clone(branch), branch.latest())).collect()
    }

    /// How many leaves there are of each age. Reads the inner pages above them.
    fn leaves_by_age(&self, of: &[(Arc<Branch>, Arc<View>)]) -> Result<BTreeMap<u64, u64>> {
        let mut ages: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, view) in of {
            movable_leaves(view, &mut |leaf| {
                *ages.entry(leaf.epoch).or_default() += 1;
                ControlFlow::Continue(())
            })?;
        }
        Ok(ages)
    }

    /// Bytes of the leaves that current rows lie in.
    pub(crate) fn hot_bytes(&self) -> Result<u64> {
        let leaves: u64 = self.leaves_by_age(&self.movable())?.values().sum();
        Ok(leaves * self.pages.page_size() as u64)
    }

    /// Whether current rows take more than they may.
    pub(crate) fn flush_is_due(&self) -> bool {
        let budget = self.options.hot_budget;
        // What can't be read can't be moved.
        budget > 0 && !self.options.read_only && self.hot_bytes().is_ok_and(|hot| hot > budget)
    }

    /// Sees to rows that are to move, after a commit: has them moved beside commits, and has the commit wait a little where more come than go.
    pub(crate) fn hold_back(self: &Arc<Self>) {
        let budget = self.options.hot_budget;
        if budget == 0 || !self.background || self.options.read_only {
            return;
        }
        let (end, gauge) = (self.log.end().0.get(), &self.worker.gauge);
        let committed = gauge.committed(end);
        let hot = gauge.hot(end, budget, || self.hot_bytes());
        if hot <= budget {
            return;
        }
        if gauge.may_begin(end) {
            self.worker.merge(self);
        }
        let pause = gauge.pause(hot, budget, committed);
        if !pause.is_zero() {
            gauge.wait(pause);
        }
    }

    /// Moves cold rows of about `most` bytes, if current rows take more than they may; returns of how many bytes. Nothing moves while
    /// somebody else moves rows or merges.
    pub(crate) fn flush_step(&self, most: u64) -> Result<u64> {
        if self.options.hot_budget == 0 || self.options.read_only {
            return Ok(0);
        }
        let Some(_one) = self.merging.try_lock() else { return Ok(0) };
        let Some(chosen) = self.choose_cold(most)? else { return Ok(0) };
        let began = self.env.now();
        let moved = self.move_rows(&chosen)?;
        let took = self.env.now().as_micros().saturating_sub(began.as_micros());
        self.worker.gauge.note_move(moved, took);
        Ok(moved)
    }

    /// The coldest leaves, of about so many bytes but of one branch, where there are more than there may be.
    fn choose_cold(&self, most: u64) -> Result<Option<Chosen>> {
        let (movable, size) = (self.movable(), self.pages.page_size() as u64);
        let (ages, budget) = (self.leaves_by_age(&movable)?, self.options.hot_budget);
        let hot = ages.values().sum::<u64>() * size;
        self.worker.gauge.note(hot, self.log.end().0.get());
        if hot <= budget {
            return Ok(None);
        }
        let excess = hot - (budget - budget / SPARE);
        let wanted = excess.min(most).div_ceil(size).max(1);
        let Some(limit) = oldest(&ages, wanted) else { return Ok(None) };
        for (branch, view) in movable {
            let (mut ranges, mut leaves): (Vec<KeyRange>, u64) = (Vec::new(), 0);
            movable_leaves(&view, &mut |leaf| {
                if leaf.epoch <= limit {
                    add(&mut ranges, leaf.low, leaf.high);
                    leaves += 1;
                }
                if leaves < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if leaves > 0 {
                return Ok(Some(Chosen { branch, ranges, bytes: leaves * size }));
            }
        }
        Ok(None)
    }

    fn move_rows(&self, chosen: &Chosen) -> Result<u64> {
        span!("flush");
        let source = self.mark(chosen)?;
        let moved = self.build(chosen, &source).and_then(|(made, apart)| {
            let named = self.name(chosen, made, apart)?;
            if named { self.clear(chosen, &source) } else { Ok(0) }
        });
        // What was not moved is not on its way any more.
        self.unmark(&chosen.branch);
        Ok(if moved? > 0 { chosen.bytes } else { 0 })
    }

    /// From here on what is deleted in the ranges is remembered.
    fn mark(&self, chosen: &Chosen) -> Result<Source> {
        self.check_writable()?;
        let committer = self.committer();
        let source = {
            let mut tip = chosen.branch.tip.lock();
            let (live, parents) = (Arc::clone(&tip.live), tip.row.fork.is_some());
            tip.live = Arc::new(live.with_moving(chosen.ranges.clone()));
            Source { pages: self.pages.latest(), root: tip.root, beneath: Hidden { live, parents } }
        };
        self.show_segments(committer);
        Ok(source)
    }

    fn unmark(&self, branch: &Branch) {
        let committer = self.committer();
        {
            let mut tip = branch.tip.lock();
            tip.live = Arc::new(tip.live.with_moving(Vec::new()));
        }
        self.show_segments(committer);
    }

    fn build(&self, chosen: &Chosen, source: &Source) -> Result<(Unnamed, Apart)> {
        let mut apart = self.pages.apart();
        let mut maker = SegmentMaker::new(&self.tier, &mut apart, self.options.segment_bytes);
        let mut space = None;
        source.walk(&chosen.ranges, &mut |row| {
            if self.worker.is_leaving() {
                return Err(Error::closed("the database is being closed"));
            }
            let key = row.key();
            // A segment lies in one table, index or keyspace.
            if space.replace(space_of(key)).is_some_and(|before| before != space_of(key)) {
                maker.cut()?;
            }
            let life = (row.version(), Timestamp::MAX);
            match row.is_tombstone() {
                false => maker.push(key, life, Kind::Put, row.value()?),
                true if source.beneath.covers(key) => maker.push(key, life, Kind::Tombstone, &[]),
                true => Ok(()),
            }
        })?;
        let made = maker.finish()?;
        Ok((made, apart))
    }

    /// Puts the segments beneath the tree; false where the branch was dropped meanwhile.
    fn name(&self, chosen: &Chosen, unnamed: Unnamed, apart: Apart) -> Result<bool> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let mut committer = self.committer();
        if chosen.branch.tip.lock().row.dropped {
            return Ok(false);
        }
        {
            let mut tip = chosen.branch.tip.lock();
            let made = LiveSegment::numbered(unnamed.segments(), 0, tip.next_segment..);
            self.rearrange(&mut committer, |writer, version, system| {
                writer.adopt(apart);
                for live in &made {
                    let key = LiveSegment::key(chosen.branch.number, live.number);
                    writer.set(system, &key, version, &live.encode())?;
                }
                Ok(())
            })?;
            unnamed.named();
            tip.next_segment += made.len() as u64;
            let segments = tip.live.segments().cloned().chain(made);
            tip.live = Arc::new(Live::new(segments, chosen.ranges.clone()));
        }
        self.show_segments(committer);
        Ok(true)
    }

    /// Takes the rows out of the tree that are what they were when the move began; returns how many there were.
    fn clear(&self, chosen: &Chosen, source: &Source) -> Result<u64> {
        let mut moved = 0;
        let mut part: Vec<(Vec<u8>, Timestamp)> = Vec::with_capacity(AT_ONCE);
        source.walk(&chosen.ranges, &mut |row| {
            part.push((row.key().to_vec(), row.version()));
            moved += 1;
            if part.len() < AT_ONCE {
                return Ok(());
            }
            self.give_way();
            let cleared = self.clear_some(&chosen.branch, &part);
            part.clear();
            cleared
        })?;
        self.clear_some(&chosen.branch, &part)?;
        Ok(moved)
    }

    fn clear_some(&self, branch: &Arc<Branch>, rows: &[(Vec<u8>, Timestamp)]) -> Result<()> {
        self.check_usable()?;
        let committer = &mut *self.committer();
        let mut tip = branch.tip.lock();
        if tip.row.dropped {
            // The checkpoint under way may be giving back the pages of its tree.
            return Ok(());
        }
        let ((), view) = self.rearrange_rows(committer, branch, &mut tip, |writer, _, root| {
            for (key, moved) in rows {
                let now = writer.get(*root, key)?;
                if now.is_some_and(|now| now.version() == *moved || weakened("newer-row-taken-out")) {
                    writer.remove(root, key)?;
                }
            }
            Ok(())
        })?;
        drop(tip);
        self.show_again(&[(Arc::clone(branch), view)]);
        Ok(())
    }
}

/// What is below this stays: the catalogs, which are read without asking beneath.
fn first_key() -> Vec<u8> {
    let (bytes, len) = ordered_u32(CATALOG_SPACE + 1);
    bytes[..len].to_vec()
}

/// Shows the leaves that hold rows that may move, until `show` breaks off. Reads the inner pages above them, and one leaf.
fn movable_leaves(view: &View, show: &mut dyn FnMut(LeafAge<'_>) -> ControlFlow<()>) -> Result<()> {
    let first = first_key();
    let mut cursor = view.pages.cursor(view.root);
    if !cursor.seek(&first)? {
        return Ok(());
    }
    view.pages.leaf_ages(view.root, &first, &mut |leaf| {
        // The one that the catalogs end in may hold nothing else.
        let empty = leaf.high.is_some_and(|high| high <= cursor.key());
        if empty { ControlFlow::Continue(()) } else { show(leaf) }
    })
}

/// The least age such that leaves of that or before are so many; `None` where there are no leaves.
fn oldest(ages: &BTreeMap<u64, u64>, wanted: u64) -> Option<u64> {
    let mut found = 0;
    let enough = |(&epoch, &count): (&u64, &u64)| {
        found += count;
        (found >= wanted).then_some(epoch)
    };
    ages.iter().find_map(enough).or_else(|| ages.keys().next_back().copied())
}

/// Adds a leaf to ranges in order; one that follows the last makes it longer.
fn add(ranges: &mut Vec<KeyRange>, low: &[u8], high: Option<&[u8]>) {
    let (start, end) = (low.max(&first_key()).to_vec(), high.map_or_else(|| vec![0xFF; 16], <[u8]>::to_vec));
    match ranges.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => ranges.push(KeyRange { start, end }),
    }
}

impl Source {
    /// Shows the rows in the ranges, tombstones too.
    fn walk(&self, ranges: &[KeyRange], show: &mut dyn FnMut(&Cursor) -> Result<()>) -> Result<()> {
        let mut cursor = self.pages.cursor(self.root);
        for range in ranges {
            let mut here = cursor.seek(&range.start)?;
            while here && cursor.key() < range.end.as_slice() {
                show(&cursor)?;
                here = cursor.next()?;
            }
        }
        Ok(())
    }
}
