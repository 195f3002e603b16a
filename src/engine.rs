//! The state behind a database handle, and how it is locked.
//!
//! ```text
//! turn*          who may write: held by a write transaction from its begin, by an optimistic one only while it commits
//! record*        the record of the commit under way, by whoever has the turn
//! publishing     who publishes
//! merging        who merges runs of history or segments or moves rows, or keeps others from it
//! checkpointing  who makes a checkpoint: held from its first step to its last
//! committer      the short critical section: check, Timestamp, log record, tree, history; some steps of a checkpoint
//! tip*           where a branch has come to; changed under the committer only
//! pending        commits that are in the tree but not yet durable, oldest first
//! visible*       the view that new readers get: the newest commit that is durable (or need not be)
//! sweep          who gives space back, and how far that has come
//!
//! *: one for each branch (crate::branch)
//! ```
//!
//! Always taken in this order: turn, sweep, publishing, merging, record or checkpointing, committer, tip, then any one of window, pending, visible, or the locks of
//! the layers below. Nobody holds two of a kind. A reader takes `visible` alone, for the time of copying a pointer; no I/O happens under it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use dosql_base::metrics::Histogram;
use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::sync::{Mutex, MutexGuard, RwLock};
use dosql_base::{Code, Env, Error, ErrorKind, Result, Timestamp};
use dosql_btree::{Pages, Root};
use dosql_wal::{Log, LogPosition};

use smallvec::SmallVec;

use crate::branch::Branch;
use crate::branch::rowids::Rowids;
use crate::feed::Subscribers;
use crate::feed::slot_row::Slots;
use crate::helper::Helper;
use crate::history::merging::MergedRun;
use crate::log_room::LogRoom;
use crate::maintenance::Worker;
use crate::manifest::{BranchRow, MAIN_BRANCH};
use crate::options::{Durability, Options};
use crate::readers::Readers;
use crate::retention::{Floors, Objects, Retention};
use crate::shrink::Sweep;
use crate::storage::Lock;
use crate::tags::Tags;
use crate::tier::Tier;
use crate::tier::compact::UnderWay;
use crate::tier::objects::Exit;
use crate::tier::published::AllPublished;
use crate::turn::TurnGuard;
use crate::view::View;

/// One open database.
pub(crate) struct Engine {
    pub(crate) options: Options,
    pub(crate) env: Env,
    /// Random, made when the database was created.
    pub(crate) database: [u8; 16],
    pub(crate) pages: Arc<Pages>,
    pub(crate) log: Log,
    /// What lies in the segment store.
    pub(crate) tier: Arc<Tier>,
    /// Segments on their way out of it.
    pub(crate) exit: Exit,
    /// Whether what a crash before the start left in the segment store was looked for.
    pub(crate) collected: AtomicBool,
    /// Held by who publishes.
    pub(crate) publishing: Mutex<()>,
    /// The points that were published; changed under the committer only.
    pub(crate) published: Mutex<AllPublished>,
    /// The branch that every database has.
    pub(crate) main: Arc<Branch>,
    /// The branches that can be used, by their names in small letters.
    pub(crate) branches: RwLock<BTreeMap<String, Arc<Branch>>>,
    /// What rowids were given while there were several.
    pub(crate) rowids: Rowids,
    pub(crate) checkpointing: Mutex<()>,
    pub(crate) sweep: Mutex<Sweep>,
    /// Whether checkpoints that fall due are made by a thread.
    pub(crate) background: bool,
    pub(crate) worker: Worker,
    /// Held by who merges runs of history or live segments, or moves rows: the merge of live segments that was left under way.
    pub(crate) merging: Mutex<Option<UnderWay>>,
    /// What was merged, for the next checkpoint.
    pub(crate) merged: Mutex<Option<MergedRun>>,
    pub(crate) room: LogRoom,
    /// Takes memory for pages ahead of commits.
    pub(crate) memory: Helper,
    pub(crate) committer: Mutex<Committer>,
    pub(crate) pending: Mutex<VecDeque<Pending>>,
    pub(crate) readers: Readers,
    pub(crate) subscribers: Subscribers,
    /// Checkpoints by their numbers: no page of that or a lower one has a change at or after this moment.
    pub(crate) epochs: Mutex<VecDeque<(u64, Timestamp)>>,
    /// The feed slots; changed under the committer only.
    pub(crate) slots: RwLock<Slots>,
    /// Why the database can't be used any more.
    pub(crate) fault: OnceLock<Error>,
    pub(crate) closed: AtomicBool,
    /// Whether the last checkpoint is in an older format, which knows no notes in the log.
    pub(crate) outdated: AtomicBool,
    pub(crate) counters: Counters,
    /// Held as long as the database is open.
    pub(crate) lock: Mutex<Option<Lock>>,
}

/// A user's hold on a branch of an open database. When the last is gone the database closes, after the thread that works for it has
/// ended.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Held>);

struct Held {
    engine: Arc<Engine>,
    branch: Arc<Branch>,
    open: Arc<Open>,
}

/// Ends with the last hold on any branch.
struct Open(Arc<Engine>);

impl Handle {
    /// A hold on main.
    pub(crate) fn new(engine: Engine) -> Self {
        let engine = Arc::new(engine);
        let (branch, open) = (Arc::clone(&engine.main), Arc::new(Open(Arc::clone(&engine))));
        Handle(Arc::new(Held { engine, branch, open }))
    }

    /// A hold on another branch of the same database.
    pub(crate) fn on(&self, branch: Arc<Branch>) -> Self {
        let (engine, open) = (Arc::clone(&self.0.engine), Arc::clone(&self.0.open));
        Handle(Arc::new(Held { engine, branch, open }))
    }

    pub(crate) fn branch(&self) -> &Arc<Branch> {
        &self.0.branch
    }

    /// The view that new readers of the branch get.
    pub(crate) fn view(&self) -> Arc<View> {
        self.0.branch.view()
    }

    /// Fails where the branch can't be read any more.
    #[inline]
    pub(crate) fn check_readable(&self) -> Result<()> {
        let branch = &self.0.branch;
        branch.access.check_readable(&self.env, || branch.name())
    }

    /// Fails where the branch can't be written.
    pub(crate) fn check_branch_writable(&self) -> Result<()> {
        self.check_writable()?;
        let branch = &self.0.branch;
        branch.access.check_writable(&self.env, || branch.name())
    }

    /// What time it is: never before the last commit of the branch, even where the clock stands still or steps back.
    pub(crate) fn now(&self) -> Timestamp {
        self.now_on(&self.0.branch)
    }
}

impl Deref for Handle {
    type Target = Arc<Engine>;

    fn deref(&self) -> &Arc<Engine> {
        &self.0.engine
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.worker.join();
        self.0.room.join();
        self.0.memory.join();
    }
}

/// What only the committer may change.
pub(crate) struct Committer {
    /// Every Timestamp up to here is taken: by a commit, by a checkpoint, or by a reader of the past.
    pub(crate) last: Timestamp,
    pub(crate) system: Root,
    pub(crate) tags: Tags,
    /// The tables and indexes of main.
    pub(crate) objects: Objects,
    /// See [`View::retention`].
    pub(crate) retention: Arc<Retention>,
    /// The floors of tables as the system tree has them.
    pub(crate) stored_floors: Floors,
    /// All branches by number, main too.
    pub(crate) branches: BTreeMap<u32, Arc<Branch>>,
    /// The branches that can be used, by their names in small letters.
    pub(crate) names: BTreeMap<String, u32>,
    pub(crate) next_branch: u32,
    /// Bytes of history in memory, of all branches but main.
    pub(crate) history_elsewhere: usize,
    /// Where the log of the last checkpoint begins, and what its first record chains to.
    pub(crate) log_start: LogPosition,
    pub(crate) log_chain: u32,
    /// When the log was last synced for the sake of [`crate::Durability::Interval`].
    pub(crate) synced: Timestamp,
}

impl Committer {
    /// The last commit of any branch that readers see.
    pub(crate) fn last_shown(&self) -> Timestamp {
        let shown = self.branches.values().map(|branch| branch.visible.read().timestamp);
        shown.max().unwrap_or(Timestamp::ZERO)
    }

    /// The view of the last commit of each branch, main first.
    pub(crate) fn latest_views(&self) -> Vec<Arc<View>> {
        self.branches.values().map(|branch| branch.latest()).collect()
    }

    /// The rows of all branches, by number.
    pub(crate) fn rows(&self) -> Vec<(u32, BranchRow)> {
        let row = |(number, branch): (&u32, &Arc<Branch>)| (*number, branch.tip.lock().row.clone());
        self.branches.iter().map(row).collect()
    }

    /// Bytes of history in memory, of all branches.
    pub(crate) fn history_memory(&self) -> usize {
        let main = self.branches.get(&MAIN_BRANCH);
        main.map_or(0, |main| main.tip.lock().history.memory()).saturating_add(self.history_elsewhere)
    }
}

/// A commit that waits for the log.
pub(crate) struct Pending {
    pub(crate) end: LogPosition,
    pub(crate) branch: Arc<Branch>,
    pub(crate) view: Arc<View>,
}

/// What has happened since the database was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    /// How often images were found to take more memory than they may.
    pub(crate) relieved: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) replayed: AtomicU64,
    /// How long checkpoints took.
    pub(crate) checkpoint_times: Histogram,
    /// How long syncs of the log took; shared with the store that times them.
    pub(crate) log_syncs: Arc<Histogram>,
    /// Changes of the schema by transactions that were not committed then.
    pub(crate) catalog_changes: AtomicU64,
}

impl Engine {
    /// Takes the committer.
    pub(crate) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock()
    }

    /// Fails where the database is closed or poisoned.
    pub(crate) fn check_usable(&self) -> Result<()> {
        if let Some(fault) = self.fault.get() {
            return Err(Error::closed(format!(
                "the database failed and was closed ({fault}); reopen it to go on from what is durable"
            )));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("the database was closed; open it again"));
        }
        Ok(())
    }

    /// Fails where the database can't be written.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_usable()?;
        if self.options.read_only {
            let message = "the database was opened for reading only; open it with read_only off";
            return Err(Error::new(ErrorKind::ReadOnly, Code::ReadOnly, message));
        }
        Ok(())
    }

    /// From now on nothing but closing works. Hands `error` back, though never as [`ErrorKind::NoSpace`]: that would say that the same
    /// can be tried again.
    pub(crate) fn poison(&self, error: Error) -> Error {
        let error = match error.kind() {
            ErrorKind::NoSpace => Error::new(ErrorKind::Io, Code::IoErr, error.to_string()),
            _ => error,
        };
        if !weakened("failed-sync-forgiven") {
            let _ = self.fault.set(error.clone());
        }
        self.subscribers.tell();
        error
    }

    /// What time it is: never before the last commit of `branch`.
    pub(crate) fn now_on(&self, branch: &Branch) -> Timestamp {
        self.env.now().max(branch.visible.read().timestamp)
    }

    /// Makes visible every pending commit whose record ends at or before `durable`.
    pub(crate) fn make_visible(&self, durable: LogPosition) {
        let mut replaced = SmallVec::<[Arc<View>; 4]>::new();
        {
            let mut pending = self.pending.lock();
            while pending.front().is_some_and(|first| first.end <= durable) {
                let Some(Pending { branch, view, .. }) = pending.pop_front() else { break };
                let next = pending.front().filter(|next| next.end <= durable);
                let newest = next.is_none_or(|next| !Arc::ptr_eq(&next.branch, &branch));
                replaced.push(if newest { branch.show(view) } else { view });
            }
        }
        // Views are given back, with the page images that they pin, when no lock is held.
        drop(replaced);
        self.subscribers.tell();
    }

    /// Sees to it that whoever begins from now on sees the commits up to `timestamp`, durable where `durability` asks for that.
    pub(crate) fn show_by(&self, timestamp: Timestamp, durability: Durability) -> Result<()> {
        let last = self
            .pending
            .lock()
            .iter()
            .rfind(|pending| pending.view.timestamp <= timestamp)
            .map(|last| last.end);
        let Some(end) = last else { return Ok(()) };
        if durability == Durability::Sync {
            self.sync_log(end)?;
        }
        self.make_visible(end);
        Ok(())
    }

    /// Waits until the last commit is durable and shows it to readers.
    pub(crate) fn settle(&self) -> Result<()> {
        let end = self.log.end().0;
        self.sync_log(end)?;
        self.make_visible(end);
        Ok(())
    }

    /// Syncs the log; a failure poisons the database.
    pub(crate) fn sync_log(&self, upto: LogPosition) -> Result<()> {
        self.log.sync(upto).map_err(|error| self.poison(error))
    }

    /// Notes a checkpoint that was frozen before `version` was.
    pub(crate) fn note_epoch(&self, epoch: u64, version: Timestamp) {
        const KNOWN: usize = 512;
        let mut epochs = self.epochs.lock();
        if epochs.len() >= KNOWN {
            // Of the older half every other will do: more of a tree is read than need be.
            let mut nth = 0;
            epochs.retain(|_| {
                nth += 1;
                nth > KNOWN / 2 || nth % 2 == 1
            });
        }
        epochs.push_back((epoch, version));
    }

    /// The highest number of a page that surely has no change after `from`; 0 where none is known.
    pub(crate) fn unchanged_since(&self, from: Timestamp) -> u64 {
        let epochs = self.epochs.lock();
        epochs.iter().rev().find(|(_, version)| version.previous() <= from).map_or(0, |(epoch, _)| *epoch)
    }

    /// As [`Engine::reserve_past`], of a moment that may be to come.
    pub(crate) fn reserve(&self, branch: &Branch, at: Timestamp) -> Result<()> {
        let waits = {
            let mut committer = self.committer();
            if !weakened("past-not-reserved") {
                committer.last = committer.last.max(at);
            }
            let latest = branch.tip.lock().latest.timestamp;
            latest > branch.visible.read().timestamp
        };
        if waits { self.settle() } else { Ok(()) }
    }

    /// Bytes of log that a recovery now would replay, and bytes in memory that a checkpoint now would write.
    pub(crate) fn backlog(&self) -> (u64, usize) {
        let committer = self.committer();
        let logged = self.log.end().0.get().saturating_sub(committer.log_start.get());
        (logged, self.pages.dirty_bytes().saturating_add(committer.history_memory()))
    }

    /// Takes the turn of a branch's writers, or answers `Busy`.
    pub(crate) fn take_turn(
        &self,
        branch: &Branch,
        patience: Option<std::time::Duration>,
    ) -> Result<TurnGuard> {
        branch.turn.take(patience).ok_or_else(busy)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Commits that did not ask to wait for the device are given to it on an orderly way out. Nobody is left to hear of a
        // failure, and nothing was promised.
        let writes = !self.options.read_only && self.fault.get().is_none();
        if writes && !self.closed.load(Ordering::Acquire) {
            let _ = self.log.seal();
        }
    }
}

pub(crate) fn busy() -> Error {
    let message = "another transaction is writing; try again, or wait for the turn";
    Error::new(ErrorKind::Busy, Code::Busy, message)
}
