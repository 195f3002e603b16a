//! Branches: lines of commits that share what they have in common.
//!
//! ```text
//! main    tree, history --------- f ------------------>    commits
//!                                  \
//! draft                             own tree, own history ->    only what was changed on it, tombstones included
//! ```
//!
//! A branch begins at a moment of its parent (the fork) and holds nothing then. Where its own tree says nothing about a key, the
//! parent answers as of the fork ([`layers`]): so making one costs the same whatever the size of the data. Forks hold the
//! parent's history as tags do.
//!
//! Writers of different branches wait for each other only in the short critical section of a commit: the turn, the window of
//! recent commits and what readers see are a branch's own; the clock, the log and the pages are shared.

mod access;
pub(crate) mod layers;
mod manage;
mod merge;
mod merged;
mod others;
pub(crate) mod rowids;
pub(crate) mod stack;
mod what_if;

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use dosql_base::sync::{Mutex, RwLock};
use dosql_btree::Root;
use dosql_wal::RecordBuilder;

use crate::engine::{Committer, Engine};
use crate::history::History;
use crate::history::displaced::Displaced;
use crate::manifest::BranchRow;
use crate::runs::Runs;
use crate::tags::{self, Tag};
use crate::tier::live::Live;
use crate::turn::Turn;
use crate::view::View;
use crate::window::Window;
use access::Access;
pub(crate) use access::no_such_branch;
use layers::{Beneath, Layer, Span};
pub(crate) use manage::add_pin;
pub use manage::{BranchInfo, NewBranch};
pub use merge::{Merge, MergeConflict, MergeReport, OnConflict};

/// One branch of an open database.
pub(crate) struct Branch {
    pub(crate) number: u32,
    pub(crate) turn: Arc<Turn>,
    pub(crate) runs: Runs,
    /// The record of the commit under way, by whoever has the turn; kept for its buffer.
    pub(crate) record: Mutex<RecordBuilder>,
    pub(crate) window: Mutex<Window>,
    /// The view that new readers get: the newest commit that is durable (or need not be).
    pub(crate) visible: RwLock<Arc<View>>,
    /// Whether it may be used, and until when; for main too.
    pub(crate) access: Access,
    /// Changed only by who holds the committer too.
    pub(crate) tip: Mutex<Tip>,
}

/// Where a branch has come to.
pub(crate) struct Tip {
    /// The tree of current rows as of the last commit.
    pub(crate) root: Root,
    pub(crate) history: History,
    /// What the commit under way displaces; kept for its buffers.
    pub(crate) displaced: Displaced,
    /// See [`View::floor`].
    pub(crate) floor: Timestamp,
    /// See [`View::catalog_changed`].
    pub(crate) catalog_changed: Timestamp,
    /// The last commit that changed a row, or one after it.
    pub(crate) changed: Timestamp,
    /// What it sees where its own tree says nothing.
    pub(crate) beneath: Option<Arc<Beneath>>,
    /// Moments that are kept whatever the retention is, in order.
    pub(crate) pins: Arc<[Timestamp]>,
    pub(crate) next_run: u64,
    /// Its rows in the segment store.
    pub(crate) live: Arc<Live>,
    /// The number of the next live segment.
    pub(crate) next_segment: u64,
    /// The view of the last commit, durable or not.
    pub(crate) latest: Arc<View>,
    /// The last commit before where the log of the last checkpoint begins.
    pub(crate) log_head: Timestamp,
    /// Its row as the last checkpoint wrote it.
    pub(crate) row: BranchRow,
}

impl Tip {
    /// The row of the branch as it is now.
    pub(crate) fn current_row(&self, floor: Timestamp) -> BranchRow {
        BranchRow { root: self.root, head: self.latest.timestamp, floor, ..self.row.clone() }
    }
}

impl Branch {
    pub(crate) fn new(number: u32, tip: Tip) -> Arc<Branch> {
        let visible = Arc::clone(&tip.latest);
        Arc::new(Branch {
            number,
            turn: Arc::new(Turn::default()),
            runs: Runs::default(),
            record: Mutex::new(RecordBuilder::new()),
            window: Mutex::new(Window::new(visible.timestamp)),
            visible: RwLock::new(visible),
            access: Access::of(&tip.row),
            tip: Mutex::new(tip),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.tip.lock().row.name.clone()
    }

    /// What it is found by; `None` where it was dropped.
    pub(crate) fn key(&self) -> Option<String> {
        let tip = self.tip.lock();
        (!tip.row.dropped).then(|| tip.row.name.to_ascii_lowercase())
    }

    /// The view that new readers get.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.visible.read())
    }

    /// The view of the last commit, durable or not.
    pub(crate) fn latest(&self) -> Arc<View> {
        Arc::clone(&self.tip.lock().latest)
    }
}

impl Branch {
    /// Shows a newer view to new readers; what is left over is for the caller to drop when no lock is held.
    pub(crate) fn show(&self, view: Arc<View>) -> Arc<View> {
        let mut visible = self.visible.write();
        if view.timestamp > visible.timestamp { std::mem::replace(&mut visible, view) } else { view }
    }
}

/// The moments of a branch that are kept whatever the retention is, in order: those of its tags, where others fork off
/// it, up to where it was merged into others, and where others were merged into it.
pub(crate) fn pins<'r>(
    branch: u32,
    tags: &[Tag],
    rows: impl Iterator<Item = (u32, &'r BranchRow)>,
) -> Arc<[Timestamp]> {
    let mut pins = tags::points(tags, branch);
    for (number, row) in rows.filter(|_| !weakened("fork-keeps-nothing")) {
        pins.extend(row.fork.filter(|(parent, _)| *parent == branch).map(|(_, at)| at));
        pins.extend(row.merged.iter().filter(|merge| merge.from == branch).map(|merge| merge.upto));
        pins.extend(row.merged.iter().filter(|_| number == branch).map(|merge| merge.at));
    }
    pins.sort_unstable();
    pins.dedup();
    pins.into()
}

impl Engine {
    /// The pins of a branch now.
    pub(crate) fn pins_now(&self, committer: &Committer, branch: u32) -> Arc<[Timestamp]> {
        let rows = committer.rows();
        pins(branch, &committer.tags, rows.iter().map(|(number, row)| (*number, row)))
    }

    /// Every branch that readers see, with its row and what they see of it.
    pub(crate) fn visible_views(&self) -> Vec<(BranchRow, Arc<View>)> {
        let committer = self.committer();
        let mut views: BTreeMap<u32, (BranchRow, Arc<View>)> = BTreeMap::new();
        for (&number, branch) in &committer.branches {
            let row = branch.tip.lock().row.clone();
            // One that was made just now may have more beneath it than readers see yet.
            let whole = |(parent, at): (u32, Timestamp)| {
                views.get(&parent).is_some_and(|(_, view)| view.timestamp >= at)
            };
            if row.fork.is_none_or(whole) {
                views.insert(number, (row, branch.view()));
            }
        }
        views.into_values().collect()
    }

    /// What lies beneath a branch now.
    pub(crate) fn beneath(&self, committer: &Committer, branch: &Branch) -> Option<Arc<Beneath>> {
        let (fork, live) = {
            let tip = branch.tip.lock();
            (tip.row.fork, Arc::clone(&tip.live))
        };
        let parent = fork.and_then(|(parent, at)| Some((committer.branches.get(&parent)?, at)));
        Beneath::under(live, parent.map(|(parent, fork)| self.beneath_at(parent, fork)))
    }

    /// What lies beneath a branch that forks off `parent` at `fork`.
    fn beneath_at(&self, parent: &Branch, fork: Timestamp) -> Arc<Beneath> {
        let tip = parent.tip.lock();
        let span = Span { branch: parent.number, fork, floor: tip.floor, pins: Arc::clone(&tip.pins) };
        let layer = Layer {
            branch: parent.number,
            pages: self.pages.latest(),
            root: tip.root,
            history: tip.history.clone(),
            live: Arc::clone(&tip.live),
            fork,
            known: tip.latest.timestamp,
        };
        Arc::new(Beneath::fork(span, layer, tip.beneath.as_deref()))
    }
}
