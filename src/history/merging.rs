//! Merges of history runs, beside commits and checkpoints: what is merged takes the place of its sources in the next checkpoint that
//! finds them as they were, and is forgotten where it does not.
//!
//! ```text
//! choose  (no checkpoint, a moment)   neighbouring runs of one branch, and the number of the run to be
//! build   (no lock)                   a run of pages, seen by nobody
//! wait    (until a checkpoint comes)  gather takes it, freeze takes it in
//! ```
//!
//! So a checkpoint writes no more than what commits have left, however much history there is.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};
use dosql_btree::{Apart, PageSnapshot};
use dosql_lsm::Filter;

use super::compaction;
use super::cursor::{RunCursor, Versions};
use super::kept::Kept;
use super::run::{Into, write_run};
use crate::engine::Engine;
use crate::manifest::Run;
use crate::tier::Tier;
use crate::trace::span;

/// The part of the hot budget that history may take before it goes into the segment store, and the least that is worth an object.
const DRAIN_SHARE: u64 = 8;
const DRAIN_LEAST: u64 = 64 << 10;

/// Runs to be merged.
struct Chosen {
    branch: u32,
    sources: Vec<Run>,
    kept: Kept,
    number: u64,
    pages: PageSnapshot,
}

/// A run that is to take the place of others.
pub(crate) struct MergedRun {
    pub(crate) branch: u32,
    /// Neighbours.
    pub(crate) sources: Vec<Run>,
    /// `None` where nobody can ask for any of their versions.
    pub(crate) run: Option<Run>,
    pub(crate) filter: Option<Arc<Filter>>,
    /// The number of `run`.
    pub(crate) number: u64,
    /// The pages of `run`.
    pub(crate) apart: Apart,
    kept: Kept,
}

impl MergedRun {
    /// Where its sources begin in the runs of a branch of which `kept` is kept now; `None` where it can't take their place any more.
    pub(crate) fn place_in(&self, branch: u32, runs: &[Run], kept: &Kept) -> Option<usize> {
        let at = runs.iter().position(|run| Some(run) == self.sources.first())?;
        let same = branch == self.branch && runs[at..].starts_with(&self.sources);
        // What is asked for now was there to be asked for then.
        (same && kept.is_within(&self.kept)).then_some(at)
    }
}

impl MergedRun {
    /// Gives it up: its segments will go.
    pub(crate) fn forget(self, tier: &Tier) {
        let segments = self.run.iter().flat_map(|run| run.segments());
        tier.abandon(segments.map(|segment| segment.name.clone()));
    }
}

impl Engine {
    /// Makes the merge that is due, and what is due of moves into the segment store: in a thread where checkpoints are made in one.
    pub(crate) fn merge_in_time(self: &Arc<Self>) {
        if !self.merge_is_due() && !self.flush_is_due() && !self.compaction_is_due() {
            return;
        }
        if self.background {
            self.worker.merge(self);
        } else {
            // All stays as it is where this fails, and can be read as before.
            let _ = self.merge_and_move();
        }
    }

    /// Merges and moves what is due.
    pub(crate) fn merge_and_move(&self) -> Result<()> {
        self.merge_history()?;
        let most = self.options.segment_bytes as u64;
        loop {
            // In turn: where rows move faster than segments are merged, reads have ever more of these to ask.
            let flushed = self.flush_step(most)?;
            let merged = if self.worker.is_leaving() { 0 } else { self.compact_step(most)? };
            if flushed == 0 && merged == 0 {
                break;
            }
        }
        self.collect_what_was_left()?;
        Ok(())
    }

    /// Merges the runs of a branch that has too many, unless somebody does, or a merged run waits to be taken in.
    pub(crate) fn merge_history(&self) -> Result<()> {
        let Some(_one) = self.merging.try_lock() else { return Ok(()) };
        if self.merged.lock().is_some() {
            return Ok(());
        }
        let Some(chosen) = self.choose_runs() else { return Ok(()) };
        span!("merge_history");
        let merged = self.merge_runs(chosen)?;
        *self.merged.lock() = Some(merged);
        Ok(())
    }

    /// Whether there is a merge to make, as far as that can be told without waiting.
    fn merge_is_due(&self) -> bool {
        let most = self.options.limits.history_runs;
        let Some(committer) = self.committer.try_lock() else { return false };
        let due = |runs: &[Run]| compaction::pick(runs, most, self.drained_at()).is_some();
        committer.branches.values().any(|branch| due(&branch.tip.lock().history.runs))
            && self.merged.lock().is_none()
    }

    /// Where a run of about so many bytes goes.
    pub(crate) fn place_for(&self, bytes: u64) -> Into<'_> {
        match self.drained_at() {
            Some(least) if bytes >= least => Into::Segments(&self.tier, self.options.segment_bytes),
            _ => Into::Pages,
        }
    }

    /// The bytes of history from which on it goes into the segment store; `None` where it stays in pages.
    fn drained_at(&self) -> Option<u64> {
        let (budget, most) = (self.options.hot_budget, self.options.segment_bytes as u64);
        (budget > 0).then(|| (budget / DRAIN_SHARE).clamp(DRAIN_LEAST.min(most), most))
    }

    fn choose_runs(&self) -> Option<Chosen> {
        // The numbers of runs say which are older: no checkpoint makes any meanwhile.
        let _one = self.checkpointing.lock();
        let committer = self.committer();
        let gone = self.unneeded(&committer);
        committer.branches.values().filter(|branch| !gone.contains(&branch.number)).find_map(|branch| {
            let mut tip = branch.tip.lock();
            let plan =
                compaction::pick(&tip.history.runs, self.options.limits.history_runs, self.drained_at())?;
            let sources = tip.history.runs[plan.merge].to_vec();
            let (kept, number) = (self.kept(&tip.latest, Arc::clone(&tip.pins), None), tip.next_run);
            tip.next_run += 1;
            Some(Chosen { branch: branch.number, sources, kept, number, pages: self.pages.latest() })
        })
    }

    fn merge_runs(&self, chosen: Chosen) -> Result<MergedRun> {
        let Chosen { branch, sources, kept, number, pages } = chosen;
        let mut apart = self.pages.apart();
        let cursor = |run: &Run| -> Box<dyn Versions + '_> {
            Box::new(WhileOpen { engine: self, inner: RunCursor::new(run, &pages) })
        };
        let into = self.place_for(sources.iter().map(|run| run.bytes).sum());
        let run = write_run(&mut apart, into, sources.iter().map(cursor).collect(), &kept, number)?;
        let (run, filter) = run.map_or((None, None), |(run, filter)| (Some(run), filter));
        Ok(MergedRun { branch, sources, run, filter, number, apart, kept })
    }
}

/// The versions of a run, as long as the database is open: nobody waits at its end for a merge that comes to nothing.
struct WhileOpen<'e> {
    engine: &'e Engine,
    inner: RunCursor,
}

impl Versions for WhileOpen<'_> {
    fn seek(&mut self, encoded: &[u8]) -> Result<bool> {
        Versions::seek(&mut self.inner, encoded)
    }

    fn seek_for_prev(&mut self, encoded: &[u8]) -> Result<bool> {
        Versions::seek_for_prev(&mut self.inner, encoded)
    }

    fn next(&mut self) -> Result<bool> {
        if self.engine.worker.is_leaving() {
            return Err(Error::closed("the database is being closed"));
        }
        Versions::next(&mut self.inner)
    }

    fn prev(&mut self) -> Result<bool> {
        Versions::prev(&mut self.inner)
    }

    fn key(&self) -> &[u8] {
        Versions::key(&self.inner)
    }

    fn end(&self) -> Timestamp {
        self.inner.end()
    }

    fn value(&self) -> Result<&[u8]> {
        Versions::value(&self.inner)
    }

    fn is_tombstone(&self) -> bool {
        Versions::is_tombstone(&self.inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Database, Keyspace, Maintenance, Options, Storage};

    type State = BTreeMap<Vec<u8>, Vec<u8>>;

    /// A database that merges only when it is told to.
    struct Subject {
        storage: Storage,
        options: Options,
        db: Database,
        space: Keyspace,
        states: Vec<(Timestamp, State)>,
    }

    impl Subject {
        /// With more runs than there should be, all to be merged.
        fn new() -> Subject {
            let mut options =
                Options { page_size: 4096, maintenance: Maintenance::Caller, ..Options::default() };
            options.limits.history_runs = 3;
            let storage = Storage::memory_with(&options);
            let db = Database::open(storage.share(), options.clone()).unwrap();
            let space = db.keyspace("space").unwrap();
            let mut subject = Subject { storage, options, db, space, states: Vec::new() };
            (0..5).for_each(|_| subject.live());
            assert!(subject.runs() > 3);
            subject
        }

        /// Commits that displace, and a checkpoint.
        fn live(&mut self) {
            for _ in 0..4 {
                let n = self.states.len() as u8;
                let mut state = self.states.last().map(|(_, state)| state.clone()).unwrap_or_default();
                for key in (0..60u8).filter(|key| !(key ^ n).is_multiple_of(3)) {
                    state.insert(vec![key], vec![n; 100]);
                }
                state.remove(&vec![n % 60]);
                let write = |tx: &mut crate::Transaction| {
                    state.iter().try_for_each(|(key, value)| tx.put(&self.space, key, value))?;
                    tx.delete(&self.space, [n % 60])
                };
                self.db.write(write).unwrap();
                self.states.push((self.db.last_commit(), state));
            }
            self.db.0.checkpoint().unwrap();
        }

        fn runs(&self) -> usize {
            self.db.stats().history_runs
        }

        fn check(&self) {
            for (at, state) in &self.states {
                let snapshot = self.db.read_at(*at).unwrap();
                let found: State = snapshot.iter(&self.space).unwrap().map(Result::unwrap).collect();
                assert_eq!(&found, state, "as of {at}");
            }
            assert!(self.db.verify().unwrap().is_sound(), "{:?}", self.db.verify());
        }

        fn waits(&self) -> bool {
            self.db.0.merged.lock().is_some()
        }
    }

    #[test]
    fn a_merged_run_takes_the_place_of_its_sources_with_the_next_checkpoint() {
        let mut subject = Subject::new();
        let before = subject.runs();
        subject.db.0.merge_history().unwrap();
        assert!(subject.waits());
        subject.check();
        // One of commits that came meanwhile is added.
        subject.live();
        assert!(!subject.waits() && subject.runs() == 2, "{} of {before}", subject.runs());
        subject.check();
        let Subject { storage, options, db, states, .. } = subject;
        drop(db);
        let db = Database::open(storage.share(), options.clone()).unwrap();
        let space = db.keyspace("space").unwrap();
        Subject { storage, options, db, space, states }.check();
    }

    #[test]
    fn pages_of_a_merged_run_are_written_as_they_are_made() {
        let mut subject = Subject::new();
        let writes = || subject.db.stats().store.page_writes;
        let before = writes();
        subject.db.0.merge_history().unwrap();
        assert!(writes() >= before + 16, "{} pages", writes() - before);
        subject.live();
        subject.check();
    }

    #[test]
    fn a_merged_run_is_read_where_an_older_reader_holds_what_was_on_its_pages() {
        let mut subject = Subject::new();
        let mut readers = Vec::new();
        for round in 0..12 {
            readers.push(subject.db.read().unwrap());
            for _ in 0..2 {
                subject.live();
                subject.db.0.merge_history().unwrap();
            }
            subject.live();
            subject.check();
            if round % 4 == 3 {
                readers.remove(0);
            }
        }
    }

    #[test]
    fn checkpoints_go_on_while_runs_are_merged() {
        let mut subject = Subject::new();
        let chosen = subject.db.0.choose_runs().unwrap();
        subject.live();
        let merged = subject.db.0.merge_runs(chosen).unwrap();
        subject.live();
        *subject.db.0.merged.lock() = Some(merged);
        subject.live();
        assert_eq!(subject.runs(), 4, "the merged one, and one of each checkpoint since");
        subject.check();
    }

    #[test]
    fn a_merged_run_whose_sources_have_gone_is_forgotten_and_its_pages_are_free_again() {
        let mut subject = Subject::new();
        subject.db.0.merge_history().unwrap();
        let from = subject.states[15].0;
        subject.db.delete_history(Some(from)).unwrap();
        assert!(!subject.waits());
        subject.states.retain(|(at, _)| *at >= from);
        subject.live();
        subject.check();
    }

    #[test]
    fn a_merged_run_that_lacks_what_is_kept_by_now_is_forgotten() {
        let mut subject = Subject::new();
        subject.db.0.merge_history().unwrap();
        if let Some(merged) = subject.db.0.merged.lock().as_mut() {
            // As if the clock had been set back since.
            merged.kept.horizon = subject.states[10].0;
        }
        let before = subject.runs();
        subject.live();
        assert!(!subject.waits() && subject.runs() == before + 1);
        subject.check();
    }

    #[test]
    fn a_merge_is_given_up_where_the_database_is_closed() {
        let subject = Subject::new();
        subject.db.close().unwrap();
        assert!(subject.db.0.merge_history().is_err());
        assert!(!subject.waits());
    }

    #[test]
    fn what_is_erased_is_not_left_in_the_pages_of_a_merged_run_that_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options { page_size: 4096, maintenance: Maintenance::Caller, ..Options::default() };
        options.limits.history_runs = 3;
        let storage = Storage::directory_with(folder.path().join("db"), &options).unwrap();
        let db = Database::open(storage, options).unwrap();
        let sql = db.connect().unwrap();
        sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, name TEXT)").unwrap();
        let rows = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 200)
                    INSERT INTO t SELECT i, 0, 'SECRETSECRETSECRET' || i FROM k";
        sql.execute(rows, ()).unwrap();
        for _ in 0..5 {
            sql.execute("UPDATE t SET n = n + 1", ()).unwrap();
            db.0.checkpoint().unwrap();
        }
        db.0.merge_history().unwrap();
        let holds = || {
            let bytes = std::fs::read(folder.path().join("db/pages")).unwrap();
            bytes.windows(18).any(|window| window == b"SECRETSECRETSECRET")
        };
        assert!(db.0.merged.lock().is_some() && holds());
        sql.execute("ERASE FROM t WHERE id > 0", ()).unwrap();
        assert!(!holds());
    }
}
