//! The checkpoint, in steps between which commits go on:
//!
//! ```text
//! gather  (committer, a moment)  the memtable is set aside
//! build   (no lock)              it becomes a run of pages, with the older runs that are due to be merged
//! freeze  (committer, short)     what commits displaced meanwhile becomes a run too; system rows and meta: all is decided
//! write   (no lock)              the log is synced up to there, then one batch of the page store is written
//! settle  (committer, a moment)  the pages are clean, and the log before is given back
//! ```
//!
//! Until it is frozen a checkpoint can fail without a trace. After that, a failure closes the database.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::mutant::weakened;
use dosql_base::{Result, Timestamp};
use dosql_btree::{Apart, Frozen, PageSnapshot, Root, TreePages};
use dosql_sql::catalog::schema::SpaceId;
use dosql_wal::LogPosition;

use crate::branch::{Branch, pins};
use crate::engine::{Committer, Engine};
use crate::history::History;
use crate::history::cursor::RunCursor;
use crate::history::kept::{Deletion, Kept};
use crate::history::memtable::Memtable;
use crate::history::merging::MergedRun;
use crate::history::run::Into;
use crate::manifest::{MAIN_BRANCH, Meta, TagRow};
use crate::tier::live::Live;
use crate::trace::span;
use crate::view::View;
use plan::{Plan, free_runs, write_floors};

/// Bytes of history that may be left to write while commits wait, and how often to try to get there.
const LEFT_OVER: usize = 256 << 10;
const ROUNDS: usize = 3;

impl Engine {
    /// Makes a checkpoint if anything has changed since the last. Does nothing in a database opened for reading.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        self.make_checkpoint(Kind::OfChanges, None)
    }

    /// Drops the versions that ended at or before `before` (all, where that is none), but for those that tags keep, and makes
    /// that durable. No moment before it can be read afterwards, but those of tags.
    pub(crate) fn delete_history(&self, branch: &Branch, before: Option<Timestamp>) -> Result<()> {
        self.check_writable()?;
        if let Some(before) = before {
            self.view_at(branch, before)?;
        }
        let _one = self.checkpointing.lock();
        self.delete(&Deletion::Before(before.unwrap_or(Timestamp::MAX)))
    }

    /// As [`Engine::delete_history`], of a table of main alone: of the maps whose keys begin with these numbers.
    pub(crate) fn delete_history_of(&self, spaces: Vec<SpaceId>, before: Option<Timestamp>) -> Result<()> {
        self.check_writable()?;
        self.upgrade_format()?;
        if let Some(before) = before {
            self.view_at(&self.main, before)?;
        }
        let _one = self.checkpointing.lock();
        self.delete(&Deletion::OfTables(spaces, before.unwrap_or(Timestamp::MAX)))
    }

    /// Drops versions. The caller holds `checkpointing`.
    pub(crate) fn delete(&self, deletion: &Deletion) -> Result<()> {
        self.make_checkpoint(Kind::Deleting, Some(deletion))
    }

    /// Makes a checkpoint, whether anything has changed or not. The caller holds `checkpointing`.
    pub(crate) fn force_checkpoint(&self) -> Result<()> {
        self.make_checkpoint(Kind::Forced, None)
    }

    /// Sees to it that a program that knows only an older format does not open the database any more, before something is written that
    /// such a one would pass over.
    pub(crate) fn upgrade_format(&self) -> Result<()> {
        if !self.outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.checkpointing.lock();
        self.force_checkpoint()
    }

    /// Makes a checkpoint, whether anything has changed or not, and gives back the free end of the page store.
    pub(crate) fn checkpoint_short(&self) -> Result<()> {
        let _one = self.checkpointing.lock();
        self.check_usable()?;
        self.make_checkpoint(Kind::Short, None)
    }

    /// Refuses everything from now on, makes a last checkpoint and marks the log as whole.
    pub(crate) fn close(&self) -> Result<()> {
        self.worker.leave();
        let _one = self.checkpointing.lock();
        {
            let _committer = self.committer();
            if self.closed.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
        }
        self.room.join();
        self.memory.join();
        self.subscribers.tell();
        let result = match self.fault.get() {
            Some(_) => Ok(()),
            None if self.options.read_only => Ok(()),
            None if weakened("closed-without-checkpoint") => Ok(()),
            None => self
                .make_checkpoint(Kind::OfChanges, None)
                .and_then(|()| self.give_back_free_space())
                .and_then(|()| self.log.seal())
                .and_then(|()| self.log.shrink()),
        };
        self.lock.lock().take();
        result
    }

    /// The steps. The caller holds `checkpointing`.
    fn make_checkpoint(&self, kind: Kind, deletion: Option<&Deletion>) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        self.drop_expired()?;
        span!("checkpoint");
        let started = self.env.now();
        let Some(gathered) = self.gather(kind, deletion) else { return Ok(()) };
        let built = Built::make(self, gathered)?;
        let begun = self.freeze(built, kind)?;
        self.write(begun, kind)?;
        self.outdated.store(false, Ordering::Release);
        let took = self.env.now().as_micros().saturating_sub(started.as_micros());
        self.counters.checkpoint_times.record(took);
        Ok(())
    }

    /// What there is to write; `None` where nothing has changed.
    fn gather(&self, kind: Kind, deletion: Option<&Deletion>) -> Option<Gathered> {
        span!("gather");
        let committer = self.committer();
        let gone = self.unneeded(&committer);
        let unchanged =
            gone.is_empty() && self.log.end().0 == committer.log_start && committer.history_memory() == 0;
        if unchanged && self.pages.dirty_bytes() == 0 && kind == Kind::OfChanges {
            return None;
        }
        let mut parts = Vec::with_capacity(committer.branches.len());
        for branch in committer.branches.values() {
            let mut tip = branch.tip.lock();
            tip.history.set_aside();
            let kept = self.kept(&tip.latest, Arc::clone(&tip.pins), deletion);
            let history = tip.history.clone();
            let gone = gone.contains(&branch.number).then_some(tip.root);
            let next_run = tip.next_run;
            let live = Arc::clone(&tip.live);
            parts.push(Part { branch: Arc::clone(branch), history, kept, next_run, live, gone });
        }
        Some(Gathered { whole: deletion.is_some(), parts, pages: self.pages.latest() })
    }

    /// Sets the memtable of a branch aside once more where it has grown too large to be written while commits wait.
    fn gather_more(&self, branch: &Branch) -> Option<Arc<Memtable>> {
        let _committer = self.committer();
        let mut tip = branch.tip.lock();
        if tip.history.memtable.bytes() <= LEFT_OVER {
            return None;
        }
        tip.history.set_aside();
        tip.history.aside.last().cloned()
    }

    /// Decides what the checkpoint writes, and shows its runs to new views.
    fn freeze(&self, mut built: Built, kind: Kind) -> Result<Begun> {
        span!("freeze");
        let mut committer = self.committer();
        if let Some(fault) = self.fault.get() {
            return Err(fault.clone());
        }
        let (end, chain) = self.log.end();
        let version = committer.last.next();
        let mut writer = self.pages.writer();
        writer.begin(version);
        for apart in built.apart {
            writer.adopt(apart);
        }
        let (mut system, mut decided) = (committer.system, Vec::new());
        let gone: Vec<u32> =
            built.plans.iter().filter(|(_, plan)| plan.live.is_some()).map(|(number, _)| *number).collect();
        // Their numbers may be given again: nothing may name them.
        for tag in committer.tags.iter().filter(|tag| gone.contains(&tag.branch)) {
            writer.remove(&mut system, &TagRow::key(&tag.name))?;
        }
        let mut retention = Arc::clone(&committer.retention);
        let mut leaving = Vec::new();
        for branch in committer.branches.values() {
            let tip = branch.tip.lock();
            let made = built.plans.remove(&branch.number);
            let mut plan = made.unwrap_or_else(|| Plan::of_new(&tip));
            leaving.extend(plan.segments_gone());
            if plan.live.is_some() {
                plan.remove_system_rows(branch.number, &mut writer, &mut system)?;
                continue;
            }
            plan.add_run(&mut writer, Into::Pages, [], &[&tip.history.memtable])?;
            let row =
                plan.write_system_rows(branch.number, &tip, &mut writer, &mut system, version, &gone)?;
            if branch.number == MAIN_BRANCH {
                retention = plan.retention(&retention, &tip);
            }
            decided.push((Arc::clone(branch), plan, row));
        }
        write_floors(&mut writer, &mut system, version, &committer.stored_floors, retention.floors())?;
        let generation = self.log.generation();
        let meta = Meta { database: self.database, checkpoint: version, log: end, chain, generation, system };
        for pages in built.freed {
            if !weakened("freed-run-leaks") {
                writer.free_pages(pages);
            }
        }
        writer.publish(version).map_err(|error| self.poison(error))?;
        let frozen = match kind {
            Kind::OfChanges | Kind::Deleting | Kind::Forced => writer.freeze(&meta.encode()),
            Kind::Short => writer.freeze_short(&meta.encode()),
        };
        let frozen = frozen.map_err(|error| self.poison(error))?;
        self.note_epoch(frozen.epoch(), version);
        drop(writer);
        committer.stored_floors = retention.floors().clone();
        committer.retention = retention;
        committer.last = version;
        committer.system = system;
        committer.history_elsewhere = 0;
        for (branch, plan, row) in decided {
            let mut tip = branch.tip.lock();
            tip.floor = plan.floor(&tip);
            let filters = tip.history.filters.of(&plan.runs, plan.filters);
            tip.history = History { runs: plan.runs.into(), filters, ..History::default() };
            tip.next_run = plan.next_run;
            tip.row = row;
        }
        let leaving = {
            let mut exit = self.exit.lock();
            exit.add(leaving);
            exit.decided()
        };
        if !gone.is_empty() {
            self.forget_branches(&mut committer, &gone);
        }
        let views = self.renew_views(&mut committer);
        Ok(Begun { frozen, views, end, chain, leaving })
    }

    /// Writes what was decided, and settles.
    fn write(&self, begun: Begun, kind: Kind) -> Result<()> {
        span!("write");
        if !weakened("checkpoint-without-log-sync") {
            self.sync_log(begun.end)?;
        }
        self.make_visible(begun.end);
        self.show_again(&begun.views);
        if weakened("trimmed-before-checkpoint") {
            self.log.trim(begun.end).map_err(|error| self.poison(error))?;
        }
        begun.frozen.write().map_err(|error| self.poison(error))?;
        if kind == Kind::Short {
            self.pages.store().shrink(begun.frozen.last_page()).map_err(|error| self.poison(error))?;
        }
        let held = {
            let mut committer = self.committer();
            committer.log_start = begun.end;
            committer.log_chain = begun.chain;
            for (branch, view) in &begun.views {
                branch.tip.lock().log_head = view.timestamp;
            }
            self.pages.writer().settle(begun.frozen)
        };
        self.exit.lock().advance(begun.leaving);
        // Commits go on while the images that only the checkpoint needed are given back.
        drop(held);
        self.pages.evict();
        self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        // What can't be deleted now is tried again after the next.
        let _ = self.delete_unneeded();
        self.log.trim(self.subscribers.keep_from(begun.end)).map_err(|error| self.poison(error))
    }

    /// Gives new readers views of the same commits that pin less, unless they have later ones.
    pub(crate) fn show_again(&self, views: &[(Arc<Branch>, Arc<View>)]) {
        for (branch, view) in views {
            let mut visible = branch.visible.write();
            if visible.timestamp == view.timestamp {
                let replaced = std::mem::replace(&mut *visible, Arc::clone(view));
                drop(visible);
                drop(replaced);
            }
        }
    }

    /// Forgets branches that are gone, and what they pinned.
    fn forget_branches(&self, committer: &mut Committer, gone: &[u32]) {
        committer.tags = committer.tags.iter().filter(|tag| !gone.contains(&tag.branch)).cloned().collect();
        committer.branches.retain(|number, _| !gone.contains(number));
        let rows = committer.rows();
        for (&number, branch) in &committer.branches {
            let rows = rows.iter().map(|(number, row)| (*number, row));
            branch.tip.lock().pins = pins(number, &committer.tags, rows);
        }
    }

    /// Lets the views of all branches say what is so now, where there are several.
    pub(crate) fn renew_all(&self) {
        let mut committer = self.committer();
        if committer.branches.len() > 1 {
            let views = self.renew_views(&mut committer);
            drop(committer);
            self.show_again(&views);
        }
    }

    /// Makes the view of the last commit of every branch anew, of the pages as they are now.
    pub(crate) fn renew_views(&self, committer: &mut Committer) -> Vec<(Arc<Branch>, Arc<View>)> {
        let mut views = Vec::with_capacity(committer.branches.len());
        // A parent comes before its children.
        for branch in committer.branches.values() {
            let beneath = self.beneath(committer, branch);
            let mut tip = branch.tip.lock();
            // What a trial lies on is no branch of this database.
            let lies_elsewhere = tip.beneath.as_ref().is_some_and(|it| !it.spans.is_empty());
            if beneath.is_some() || !lies_elsewhere {
                tip.beneath = beneath;
            }
            let timestamp = tip.latest.timestamp;
            let view = self.publish_view(committer, branch.number, &mut tip, timestamp);
            views.push((Arc::clone(branch), view));
        }
        views
    }
}

/// What a checkpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To make durable what has changed, if anything has.
    OfChanges,
    /// To drop history too, even where nothing has changed.
    Deleting,
    /// To give back the free end of the page store too, even where nothing has changed.
    Short,
    /// Even where nothing has changed.
    Forced,
}

/// The state that a checkpoint starts from.
struct Gathered {
    /// All branches.
    parts: Vec<Part>,
    pages: PageSnapshot,
    /// Every run is to be written anew, without what is not kept.
    whole: bool,
}

/// What there is to write of one branch.
struct Part {
    branch: Arc<Branch>,
    history: History,
    kept: Kept,
    next_run: u64,
    live: Arc<Live>,
    /// The tree of its rows, where the branch was dropped and goes.
    gone: Option<Root>,
}

/// What was built beside the commits.
struct Built {
    /// By the number of the branch.
    plans: BTreeMap<u32, Plan>,
    apart: Vec<Apart>,
    /// The pages of runs that are no longer needed.
    freed: Vec<TreePages>,
}

/// A checkpoint whose content is decided.
struct Begun {
    frozen: Frozen,
    /// Of every branch.
    views: Vec<(Arc<Branch>, Arc<View>)>,
    /// Where the log begins that it does not contain, and what its first record chains to.
    end: LogPosition,
    chain: u32,
    /// How many segments no row names any more.
    leaving: usize,
}

impl Built {
    fn make(engine: &Engine, from: Gathered) -> Result<Built> {
        span!("build");
        let (mut plans, mut freed) = (BTreeMap::new(), Vec::new());
        let mut apart = engine.pages.apart();
        let mut merged = engine.merged.lock().take();
        for part in &from.parts {
            if let Some(root) = part.gone {
                freed.push(from.pages.pages_of(root)?);
                let plan = Plan::of_gone(part);
                free_runs(&plan.gone, &from.pages, &mut freed)?;
                for live in part.live.segments() {
                    freed.push(from.pages.pages_of(live.segment.tail)?);
                }
                plans.insert(part.branch.number, plan);
                continue;
            }
            let (mut plan, sources) = Plan::new(part, from.whole, merged.as_ref());
            free_runs(&plan.gone, &from.pages, &mut freed)?;
            let aside: Vec<&Arc<Memtable>> = part.history.aside.iter().collect();
            let sources: Vec<_> = sources.iter().map(|run| RunCursor::new(run, &from.pages)).collect();
            let bytes = if from.whole { plan.gone.iter().map(|run| run.bytes).sum() } else { 0 };
            plan.add_run(&mut apart, engine.place_for(bytes), sources, &aside)?;
            plans.insert(part.branch.number, plan);
        }
        for part in &from.parts {
            let plan = plans.get_mut(&part.branch.number).filter(|plan| plan.live.is_none());
            let Some(plan) = plan else { continue };
            for _ in 0..ROUNDS {
                let Some(memtable) = engine.gather_more(&part.branch) else { break };
                plan.add_run(&mut apart, Into::Pages, [], &[&memtable])?;
            }
        }
        // Where no plan has a place for it, it is forgotten here.
        let taken = |merged: &mut MergedRun| plans.get(&merged.branch).is_some_and(|plan| plan.took(merged));
        let taken = merged.take_if(taken).map(|merged| merged.apart);
        if let Some(forgotten) = merged {
            forgotten.forget(&engine.tier);
        }
        Ok(Built { plans, apart: taken.into_iter().chain([apart]).collect(), freed })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::Handle;
    use crate::{Database, Keyspace, Options, Storage};

    type State = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Commits changes that `seed` picks; notes the state after each.
    fn commit(db: &Database, space: &Keyspace, seed: u64, states: &mut Vec<(Timestamp, State)>) {
        let mut state = states.last().map(|(_, state)| state.clone()).unwrap_or_default();
        for n in 0..7 {
            let at = db
                .write(|tx| {
                    for key in 0..20u64 {
                        let key = ((seed * 31 + n * 7 + key * key) % 97).to_be_bytes();
                        if (seed + n + u64::from(key[7])).is_multiple_of(5) {
                            tx.delete(space, key)?;
                            state.remove(&key[..]);
                        } else {
                            let value = vec![(seed + n) as u8; 200];
                            tx.put(space, key, &value)?;
                            state.insert(key.to_vec(), value);
                        }
                    }
                    Ok(())
                })
                .map(|()| db.last_commit())
                .unwrap();
            states.push((at, state.clone()));
        }
    }

    fn check(db: &Database, space: &Keyspace, states: &[(Timestamp, State)]) {
        for (at, state) in states {
            let snapshot = db.read_at(*at).unwrap();
            let found: State = snapshot.iter(space).unwrap().map(Result::unwrap).collect();
            assert_eq!(&found, state, "as of {at}");
            let (key, value) = state.first_key_value().unwrap();
            assert_eq!(snapshot.get(space, key).unwrap().as_deref(), Some(&value[..]));
        }
    }

    #[test]
    fn commits_between_the_steps_of_a_checkpoint_keep_every_version_and_come_back_after_it() {
        // The number of steps done before the process goes away.
        for steps in 0..=3 {
            let storage = Storage::memory_with(&Options { page_size: 4096, ..Options::default() });
            let options = Options { maintenance: crate::Maintenance::Caller, ..Options::default() };
            let db = Database::open(storage.share(), options.clone()).unwrap();
            let space = db.keyspace("space").unwrap();
            let mut states = Vec::new();
            for seed in 0..4 {
                commit(&db, &space, seed, &mut states);
                db.checkpoint().unwrap();
            }
            let engine: &Handle = &db.0;
            commit(&db, &space, 10, &mut states);
            let gathered = engine.gather(Kind::OfChanges, None).unwrap();
            commit(&db, &space, 11, &mut states);
            let built = Built::make(engine, gathered).unwrap();
            commit(&db, &space, 12, &mut states);
            check(&db, &space, &states);
            if steps > 0 {
                let begun = engine.freeze(built, Kind::OfChanges).unwrap();
                check(&db, &space, &states);
                commit(&db, &space, 13, &mut states);
                check(&db, &space, &states);
                if steps > 1 {
                    engine.write(begun, Kind::OfChanges).unwrap();
                    check(&db, &space, &states);
                    commit(&db, &space, 14, &mut states);
                    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
                }
            }
            if steps > 2 {
                db.checkpoint().unwrap();
                check(&db, &space, &states);
            }
            drop(db);
            let db = Database::open(storage, options).unwrap();
            let space = db.keyspace("space").unwrap();
            check(&db, &space, &states);
            assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
        }
    }

    #[test]
    fn a_checkpoint_that_is_given_up_before_it_is_frozen_leaves_no_trace() {
        let db = Database::open_memory().unwrap();
        let space = db.keyspace("space").unwrap();
        let mut states = Vec::new();
        commit(&db, &space, 1, &mut states);
        let built = Built::make(&db.0, db.0.gather(Kind::OfChanges, None).unwrap()).unwrap();
        drop(built);
        commit(&db, &space, 2, &mut states);
        check(&db, &space, &states);
        assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
        db.checkpoint().unwrap();
        check(&db, &space, &states);
        assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    }
}
