//! Giving space back while the database is open: pages at the end of the page store move into free places further down, and when a
//! checkpoint that no longer needs the end is durable, the store is cut.
//!
//! ```text
//! look        (no lock)             walks the trees from where the step before ended: what lies above the limit?
//! move        (committer, short)    a few pages at a time; published like a commit, though no row changes and nothing is logged
//! checkpoint                        writes them where they are now; the free numbers at the end are forgotten
//! shrink      (no lock)             the store is cut
//! ```
//!
//! A place is free two checkpoints after it was left, and when no reader needs it any more: a step frees what steps before it moved.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::{Result, Timestamp};
use dosql_btree::{Misplaced, Root};

use crate::branch::Branch;
use crate::engine::{Committer, Engine};
use crate::manifest::Run;
use crate::tier::live::LiveSegment;
use crate::trace::span;

/// Part of the pages in use that the store may be longer by before that is worth a step, and the least number of pages.
const SLACK: (u64, u64) = (8, 16);
/// Pages that are moved at a time while commits wait.
const AT_ONCE: usize = 64;
/// So many free pages are worth a checkpoint to get at their space.
const WORTH_A_CHECKPOINT: u64 = 256;
/// Steps that may go by without moving or cutting anything before it is given up, until something is committed or a reader ends.
const FRUITLESS: u32 = 3;

/// How far it has come.
#[derive(Default)]
pub(crate) struct Sweep {
    /// The tree to go on in: 0 the system tree, then for each branch that of its rows and those of its history runs; and the key.
    tree: usize,
    from: Vec<u8>,
    fruitless: u32,
    /// The last commit and the number of snapshots when that was counted.
    seen: (Timestamp, usize),
}

impl Engine {
    /// One step: moves pages of up to `budget` bytes, makes a checkpoint and lets the store give back its end. Does nothing, and says so,
    /// where that would not be worth it.
    pub(crate) fn shrink_step(&self, budget: usize) -> Result<bool> {
        let mut sweep = self.sweep.lock();
        let before = self.pages.stats();
        let seen = (self.committer().last_shown(), before.snapshots);
        if seen != sweep.seen {
            (sweep.seen, sweep.fruitless) = (seen, 0);
        }
        let spare = before.pages_free;
        let worth = spare > (before.pages_used / SLACK.0).max(SLACK.1);
        if !worth || sweep.fruitless >= FRUITLESS || self.options.read_only {
            return Ok(false);
        }
        span!("shrink");
        let limit = before.pages_used + before.pages_used / SLACK.0 / 2;
        let moved = self.move_pages(&mut sweep, limit, budget / self.pages.page_size())?;
        self.checkpoint_short()?;
        let after = self.pages.stats();
        let cut = after.pages_used + after.pages_free < before.pages_used + before.pages_free;
        sweep.fruitless = if moved > 0 || cut { 0 } else { sweep.fruitless + 1 };
        Ok(true)
    }

    /// At the end: lets the store give back the space of the pages that this process has left free, where it can without moving any. The
    /// caller holds `checkpointing`.
    pub(crate) fn give_back_free_space(&self) -> Result<()> {
        let stats = self.pages.stats();
        let little = (stats.pages_used / SLACK.0).max(WORTH_A_CHECKPOINT);
        if self.counters.checkpoints.load(Ordering::Relaxed) == 0 || stats.pages_free <= little {
            return Ok(());
        }
        let rest = stats.pages_free.saturating_sub(self.pages.writer().free_pages_now().0.len() as u64);
        if rest > little {
            // What the state before the last one needed is free after one more.
            self.force_checkpoint()?;
        }
        let (mut free, _) = self.pages.writer().free_pages_now();
        free.sort_unstable();
        // The database is whole all the same.
        let _ = self.pages.store().discard(&free);
        Ok(())
    }

    /// Moves pages above `limit` down until about `most` were written; returns how many.
    fn move_pages(&self, sweep: &mut Sweep, limit: u64, most: usize) -> Result<usize> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        let (pages, trees) = {
            let committer = self.committer();
            (self.pages.latest(), trees(&committer))
        };
        let mut moved = 0;
        if sweep.tree >= trees.len() {
            (sweep.tree, sweep.from) = (0, Vec::new());
        }
        let mut looked = 0;
        while moved < most && looked < 4 * most.max(AT_ONCE) && sweep.tree < trees.len() {
            let part = AT_ONCE.min(most - moved).max(1);
            let found = pages.find_above(trees[sweep.tree].0, limit, &sweep.from, part)?;
            looked += found.looked;
            let done = self.relocate(sweep.tree, &found.misplaced, limit)?;
            moved += done;
            if done < found.misplaced.iter().map(|misplaced| misplaced.pages).sum() {
                // No room for more until a checkpoint has made some: the rest is found again.
                break;
            }
            match found.next {
                Some(next) => sweep.from = next,
                None => (sweep.tree, sweep.from) = (sweep.tree + 1, Vec::new()),
            }
        }
        Ok(moved)
    }

    /// Moves what was found in a tree, as far as there is room for it; returns how many pages that may have taken.
    fn relocate(&self, tree: usize, found: &[Misplaced], limit: u64) -> Result<usize> {
        if found.is_empty() {
            return Ok(0);
        }
        let mut committer = self.committer();
        let now = trees(&committer);
        let Some((before, owner)) = now.get(tree) else { return Ok(0) };
        let (mut root, mut taken) = (*before, 0);
        let (mut moved_run, mut moved_live) = (None, None);
        self.rearrange(&mut committer, |writer, version, system| {
            for misplaced in found {
                if writer.room_below(limit) < misplaced.pages {
                    break;
                }
                writer.relocate(&mut root, misplaced)?;
                taken += misplaced.pages;
            }
            match owner {
                Owner::System => *system = root,
                Owner::Run(branch, run, n) if root != *before => {
                    let run = run.with_root(*n, root);
                    writer.set(system, &Run::key(branch.number, run.number), version, &run.encode())?;
                    moved_run = Some(run);
                }
                Owner::Live(branch, live) if root != *before => {
                    let segment = Arc::new(live.segment.with_tail(root));
                    let live = LiveSegment { segment, ..live.clone() };
                    let key = LiveSegment::key(branch.number, live.number);
                    writer.set(system, &key, version, &live.encode())?;
                    moved_live = Some(live);
                }
                Owner::Rows(_) | Owner::Run(..) | Owner::Live(..) => {}
            }
            Ok(())
        })?;
        let (Owner::Rows(branch) | Owner::Run(branch, ..) | Owner::Live(branch, _)) = owner else {
            return Ok(taken);
        };
        if let Some(moved) = moved_live {
            let mut tip = branch.tip.lock();
            tip.live = Arc::new(tip.live.with_moved(&moved));
            drop(tip);
            self.renew_views(&mut committer);
            return Ok(taken);
        }
        let mut tip = branch.tip.lock();
        match moved_run {
            Some(moved) => {
                let renewed =
                    |run: &Run| if run.number == moved.number { moved.clone() } else { run.clone() };
                tip.history.runs = tip.history.runs.iter().map(renewed).collect();
            }
            None if matches!(owner, Owner::Rows(_)) => tip.root = root,
            None => {}
        }
        let timestamp = tip.latest.timestamp;
        self.publish_view(&committer, branch.number, &mut tip, timestamp);
        Ok(taken)
    }
}

/// The trees, in the order of [`Sweep::tree`].
fn trees(committer: &Committer) -> Vec<(Root, Owner)> {
    let mut trees = vec![(committer.system, Owner::System)];
    for branch in committer.branches.values() {
        let tip = branch.tip.lock();
        trees.push((tip.root, Owner::Rows(Arc::clone(branch))));
        for live in tip.live.segments() {
            trees.push((live.segment.tail, Owner::Live(Arc::clone(branch), live.clone())));
        }
        for run in tip.history.runs.iter() {
            let owner = |n| Owner::Run(Arc::clone(branch), run.clone(), n);
            trees.extend(run.roots().into_iter().enumerate().map(|(n, root)| (root, owner(n))));
        }
    }
    trees
}

/// What a tree holds.
enum Owner {
    System,
    Rows(Arc<Branch>),
    /// The tail of a live segment.
    Live(Arc<Branch>, LiveSegment),
    /// A tree of a run: that of this place in [`Run::roots`].
    Run(Arc<Branch>, Run, usize),
}
