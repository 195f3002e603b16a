//! What a checkpoint makes of a branch's history: the runs it will have, those that go, and the rows that say so.

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Result, Timestamp};
use dosql_btree::{PageMaker, PageSnapshot, PageWriter, Root, TreePages};
use dosql_lsm::Filter;

use super::Part;
use crate::branch::Tip;
use crate::history::cursor::{MemtableCursor, RunCursor, Versions};
use crate::history::kept::Kept;
use crate::history::memtable::Memtable;
use crate::history::merging::MergedRun;
use crate::history::run::{Into, write_run};
use crate::manifest::{BranchRow, Run};
use crate::retention::{Floor, Floors, Retention};
use crate::tier::live::{Live, LiveSegment};
use crate::tier::segment::Segment;

/// Notes the pages of runs that go.
pub(super) fn free_runs(gone: &[Run], pages: &PageSnapshot, freed: &mut Vec<TreePages>) -> Result<()> {
    for root in gone.iter().flat_map(Run::roots) {
        freed.push(pages.pages_of(root)?);
    }
    Ok(())
}

/// What becomes of the history's runs.
pub(super) struct Plan {
    /// Oldest first.
    pub(super) runs: Vec<Run>,
    /// Filters of those of them that were written just now.
    pub(super) filters: Vec<(u64, Arc<Filter>)>,
    /// Runs that have expired or were merged into others.
    pub(super) gone: Vec<Run>,
    pub(super) kept: Kept,
    /// The first number that none of the runs before has.
    pub(super) first_new: u64,
    /// The number of the run that was merged before, where this takes it in.
    pub(super) merged: Option<u64>,
    pub(super) next_run: u64,
    /// The live segments of a branch that goes, with all that it has.
    pub(super) live: Option<Arc<Live>>,
}

impl Plan {
    /// Chooses the runs to drop, and those to be written anew together with what was set aside, which it returns: all, or none. What was
    /// merged takes its place, if it has one.
    pub(super) fn new(from: &Part, whole: bool, merged: Option<&MergedRun>) -> (Plan, Vec<Run>) {
        let (mut runs, mut gone, mut filters) = (from.history.runs.to_vec(), Vec::new(), Vec::new());
        let merged = merged.filter(|_| !whole).and_then(|merged| {
            let at = merged.place_in(from.branch.number, &runs, &from.kept)?;
            gone.extend(runs.splice(at..at + merged.sources.len(), merged.run.clone()));
            filters.extend(merged.filter.iter().map(|filter| (merged.number, Arc::clone(filter))));
            Some(merged.number)
        });
        let dropped = |run: &mut Run| whole || (from.kept.expired(run) && Some(run.number) != merged);
        let anew: Vec<Run> = runs.extract_if(.., dropped).collect();
        gone.extend(anew.iter().cloned());
        let (kept, next_run) = (from.kept.clone(), from.next_run);
        let plan = Plan { runs, filters, gone, kept, first_new: next_run, merged, next_run, live: None };
        (plan, if whole { anew } else { Vec::new() })
    }

    /// Whether this has taken in what was merged.
    pub(super) fn took(&self, merged: &MergedRun) -> bool {
        self.merged == Some(merged.number)
    }

    /// For a branch that was made since the checkpoint began: it has no runs, and all is kept.
    pub(super) fn of_new(tip: &Tip) -> Plan {
        let kept = Kept::all_from(tip.floor, Arc::clone(&tip.pins));
        let (runs, next_run) = (tip.history.runs.to_vec(), tip.next_run);
        let (gone, filters) = (Vec::new(), Vec::new());
        Plan { runs, filters, gone, kept, first_new: next_run, merged: None, next_run, live: None }
    }

    /// For a branch that goes.
    pub(super) fn of_gone(part: &Part) -> Plan {
        let (gone, kept) = (part.history.runs.to_vec(), part.kept.clone());
        Plan {
            runs: Vec::new(),
            filters: Vec::new(),
            gone,
            kept,
            first_new: 0,
            merged: None,
            next_run: part.next_run,
            live: Some(Arc::clone(&part.live)),
        }
    }

    /// Adds a run of the versions in `runs` and `memtables` that anybody may still ask for, if there are any.
    pub(super) fn add_run<M: PageMaker>(
        &mut self,
        maker: &mut M,
        into: Into<'_>,
        runs: impl IntoIterator<Item = RunCursor>,
        memtables: &[&Arc<Memtable>],
    ) -> Result<()> {
        let mut sources: Vec<Box<dyn Versions>> = Vec::new();
        for run in runs {
            sources.push(Box::new(run));
        }
        for &memtable in memtables {
            sources.push(Box::new(MemtableCursor::new(Arc::clone(memtable))));
        }
        let made = write_run(maker, into, sources, &self.kept, self.next_run)?;
        self.next_run += 1;
        let named = made.filter(|_| !weakened("history-run-unnamed"));
        if let Some((run, filter)) = named {
            self.filters.extend(filter.map(|filter| (run.number, filter)));
            self.runs.push(run);
        }
        Ok(())
    }

    /// The segments that no row names afterwards.
    pub(super) fn segments_gone(&self) -> Vec<Arc<Segment>> {
        let runs = self.gone.iter().flat_map(|run| run.segments()).cloned();
        let live = self.live.iter().flat_map(|live| live.segments());
        runs.chain(live.map(|it| Arc::clone(&it.segment))).collect()
    }

    /// Versions that ended at or before this may be gone afterwards.
    pub(super) fn floor(&self, tip: &Tip) -> Timestamp {
        if weakened("history-floor-forgotten") {
            return tip.floor;
        }
        tip.floor.max(self.kept.horizon)
    }

    /// What holds of the tables of main afterwards.
    pub(super) fn retention(&self, before: &Arc<Retention>, tip: &Tip) -> Arc<Retention> {
        let plain = before.is_plain() && self.kept.lowered.is_empty() && self.kept.erasure.is_none();
        if plain || weakened("table-floor-forgotten") {
            return Arc::clone(before);
        }
        let erased = self.kept.erasure.as_ref().map(|erasure| (erasure.table, erasure.upto));
        let before = before.noting(&self.kept.lowered, erased);
        Arc::new(before.lowered(|space| self.kept.dropped(space), self.floor(tip)))
    }

    /// Removes the rows of a branch and of its runs.
    pub(super) fn remove_system_rows(
        &self,
        branch: u32,
        writer: &mut PageWriter<'_>,
        system: &mut Root,
    ) -> Result<()> {
        for run in &self.gone {
            writer.remove(system, &Run::key(branch, run.number))?;
        }
        for live in self.live.iter().flat_map(|live| live.segments()) {
            writer.remove(system, &LiveSegment::key(branch, live.number))?;
        }
        writer.remove(system, &BranchRow::key(branch)).map(|_| ())
    }

    /// Writes the rows of a branch and of its runs to the system tree; returns that of the branch.
    pub(super) fn write_system_rows(
        &self,
        branch: u32,
        tip: &Tip,
        writer: &mut PageWriter<'_>,
        system: &mut Root,
        version: Timestamp,
        gone: &[u32],
    ) -> Result<BranchRow> {
        for run in &self.gone {
            writer.remove(system, &Run::key(branch, run.number))?;
        }
        let is_new = |run: &&Run| run.number >= self.first_new || Some(run.number) == self.merged;
        for run in self.runs.iter().filter(is_new) {
            writer.set(system, &Run::key(branch, run.number), version, &run.encode())?;
        }
        let mut row = tip.current_row(self.floor(tip));
        row.merged.retain(|merge| !gone.contains(&merge.from));
        if row != tip.row {
            writer.set(system, &BranchRow::key(branch), version, &row.encode())?;
        }
        Ok(row)
    }
}

/// Writes the rows of the floors of tables that have changed.
pub(super) fn write_floors(
    writer: &mut PageWriter<'_>,
    system: &mut Root,
    version: Timestamp,
    before: &Floors,
    after: &Floors,
) -> Result<()> {
    for space in before.keys().filter(|space| !after.contains_key(space)) {
        writer.remove(system, &Floor::key(*space))?;
    }
    for (space, floor) in after.iter().filter(|(space, floor)| before.get(space) != Some(floor)) {
        writer.set(system, &Floor::key(*space), version, &floor.encode())?;
    }
    Ok(())
}
