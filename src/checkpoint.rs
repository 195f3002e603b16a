//! The checkpoint: log synced, then one batch of the page store with all dirty pages, the history run of what was displaced
//! since the last one, the system rows and the meta blob; then the log before it is given back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::{Result, Timestamp};
use dosql_btree::{PageSnapshot, PageWriter};

use crate::engine::{Committer, Engine};
use crate::history::cursor::{MemtableCursor, Versions};
use crate::history::memtable::Memtable;
use crate::history::{History, compaction, key};
use crate::manifest::{BranchRow, MAIN_BRANCH, Meta, Run};

impl Engine {
    /// Whether enough has gathered for a checkpoint.
    pub(crate) fn checkpoint_is_due(&self) -> bool {
        let Some(committer) = self.committer.try_lock() else {
            return false;
        };
        let held = self.pages.dirty_bytes().saturating_add(committer.history.memtable.bytes());
        let logged = self.log.end().0.get().saturating_sub(committer.log_start.get());
        held >= self.options.dirty_bytes || logged >= self.options.log_limit
    }

    /// Makes a checkpoint if anything has changed since the last. Does nothing in a database opened for reading.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.check_usable()?;
        let mut committer = self.committer.lock();
        self.check_usable()?;
        self.checkpoint_if_changed(&mut committer)
    }

    /// Makes a last checkpoint, marks the log as whole, and refuses everything from then on: in one critical section, so that no commit
    /// comes between.
    pub(crate) fn close(&self) -> Result<()> {
        let mut committer = self.committer.lock();
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let result = match self.fault.get() {
            Some(_) => Ok(()),
            None => self.checkpoint_if_changed(&mut committer).and_then(|()| self.log.seal()),
        };
        self.closed.store(true, Ordering::Release);
        drop(committer);
        self.lock.lock().take();
        result
    }

    fn checkpoint_if_changed(&self, committer: &mut Committer) -> Result<()> {
        let unchanged = self.log.end().0 == committer.log_start && committer.history.memtable.len() == 0;
        if unchanged || self.options.read_only {
            return Ok(());
        }
        self.checkpoint_locked(committer)
    }

    fn checkpoint_locked(&self, committer: &mut Committer) -> Result<()> {
        let (end, chain) = self.log.end();
        self.sync_log(end)?;
        self.make_visible(end);
        let version = committer.last.next();
        let mut writer = self.pages.writer();
        writer.begin(version);
        // A block that is not here yet, or a device that is full, leaves everything as it was.
        let plan = Plan::make(self, committer, &mut writer)?;
        let meta =
            Meta { database: self.database, checkpoint: version, log: end, chain, system: plan.system };
        writer.publish(version).map_err(|error| self.poison(error))?;
        writer.checkpoint(&meta.encode()).map_err(|error| self.poison(error))?;
        drop(writer);
        committer.last = version;
        committer.system = plan.system;
        committer.history = History { runs: plan.runs.into(), memtable: Arc::new(Memtable::default()) };
        committer.floor = plan.floor;
        committer.next_run = plan.next_run;
        committer.log_start = end;
        let timestamp = committer.latest.timestamp;
        let view = self.publish_view(committer, timestamp);
        let replaced = std::mem::replace(&mut *self.visible.write(), view);
        drop(replaced);
        self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.log.trim(end).map_err(|error| self.poison(error))
    }
}

/// What the checkpoint changes, before it is published.
struct Plan {
    system: dosql_btree::Root,
    runs: Vec<Run>,
    floor: Timestamp,
    next_run: u64,
}

impl Plan {
    fn make(engine: &Engine, committer: &Committer, writer: &mut PageWriter<'_>) -> Result<Plan> {
        let version = committer.last.next();
        let retention = engine.options.retention;
        let kept_from = Timestamp::from_micros(engine.env.now().as_micros().saturating_sub(retention));
        let horizon = if retention == 0 { committer.latest.timestamp } else { kept_from };
        let mut plan = Plan {
            system: committer.system,
            runs: committer.history.runs.to_vec(),
            floor: committer.floor,
            next_run: committer.next_run,
        };
        let gone = compaction::expired(&plan.runs, horizon);
        let mut freed: Vec<Run> = plan.runs.drain(..gone).collect();
        let merge_from = plan.merge_from(committer, engine.options.limits.history_runs);
        let merged: Vec<Run> = plan.runs.drain(merge_from..).collect();
        let memtable = &committer.history.memtable;
        if memtable.len() > 0 || !merged.is_empty() {
            let run = write_run(writer, &committer.latest.pages, &merged, memtable, horizon, plan.next_run)?;
            plan.next_run += 1;
            plan.runs.extend(run);
        }
        freed.extend(merged);
        for run in &freed {
            writer.free_tree(run.root)?;
            writer.remove(&mut plan.system, &Run::key(MAIN_BRANCH, run.number))?;
        }
        for run in &plan.runs {
            if run.number >= committer.next_run {
                let row = run.encode();
                writer.set(&mut plan.system, &Run::key(MAIN_BRANCH, run.number), version, &row)?;
            }
        }
        plan.floor = plan.floor.max(horizon);
        let branch = BranchRow {
            name: "main".to_owned(),
            fork: None,
            root: committer.root,
            head: committer.latest.timestamp,
            floor: plan.floor,
        };
        writer.set(&mut plan.system, &BranchRow::key(MAIN_BRANCH), version, &branch.encode())?;
        Ok(plan)
    }

    /// The place of the first run to merge with the memtable; the number of runs where there is none.
    fn merge_from(&self, committer: &Committer, most: usize) -> usize {
        let mut sizes = self.runs.clone();
        let memtable = &committer.history.memtable;
        if memtable.len() > 0 {
            sizes.push(Run {
                number: self.next_run,
                root: dosql_btree::Root::EMPTY,
                first_start: Timestamp::ZERO,
                last_end: Timestamp::MAX,
                entries: memtable.len() as u64,
                bytes: memtable.bytes() as u64,
            });
        }
        compaction::pick(&sizes, most).map_or(self.runs.len(), |plan| plan.merge.start)
    }
}

/// Writes the versions of `runs` and of the memtable that ended after `horizon` as one run; `None` if there are none.
fn write_run(
    writer: &mut PageWriter<'_>,
    pages: &PageSnapshot,
    runs: &[Run],
    memtable: &Arc<Memtable>,
    horizon: Timestamp,
    number: u64,
) -> Result<Option<Run>> {
    let mut sources: Vec<Box<dyn Versions>> = Vec::with_capacity(runs.len() + 1);
    for run in runs {
        sources.push(Box::new(pages.cursor(run.root)));
    }
    sources.push(Box::new(MemtableCursor::new(Arc::clone(memtable))));
    let mut open = Vec::with_capacity(sources.len());
    for mut source in sources {
        if source.seek(&[])? {
            open.push(source);
        }
    }
    let mut run = Run {
        number,
        root: dosql_btree::Root::EMPTY,
        first_start: Timestamp::MAX,
        last_end: Timestamp::ZERO,
        entries: 0,
        bytes: 0,
    };
    let mut loader = writer.bulk();
    let mut user_key = Vec::new();
    while let Some(least) = least(&open) {
        let source = &mut open[least];
        if source.end() > horizon {
            let start = key::decode(source.key(), &mut user_key)?;
            loader.push(source.key(), source.end(), source.value()?)?;
            run.first_start = run.first_start.min(start);
            run.last_end = run.last_end.max(source.end());
            run.entries += 1;
            run.bytes = run.bytes.saturating_add((source.key().len() + source.value()?.len()) as u64);
        }
        if !source.next()? {
            drop(open.swap_remove(least));
        }
    }
    if run.entries == 0 {
        return Ok(None);
    }
    run.root = loader.finish()?;
    Ok(Some(run))
}

fn least(sources: &[Box<dyn Versions>]) -> Option<usize> {
    (0..sources.len()).min_by(|&a, &b| sources[a].key().cmp(sources[b].key()))
}
