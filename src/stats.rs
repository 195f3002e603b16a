//! Figures about an open database.

use dosql_base::sync::atomic::{AtomicU64, Ordering};
use dosql_btree::PagesStats;
use dosql_wal::LogStats;

use crate::engine::Engine;

/// What a database holds and has done since it was opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Transactions that committed changes.
    pub commits: u64,
    /// Optimistic transactions that were refused.
    pub conflicts: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Commits that opening had to replay from the log.
    pub replayed: u64,
    /// Current rows, of every keyspace, table and index, the catalogs included.
    pub rows: u64,
    /// Superseded versions in runs.
    pub history_entries: u64,
    /// Bytes of their keys and values.
    pub history_bytes: u64,
    /// Runs that they lie in.
    pub history_runs: usize,
    /// Bytes of superseded versions in memory, to be written by the next checkpoint.
    pub history_memory: usize,
    /// Bytes of log that a recovery now would replay.
    pub log_backlog: u64,
    /// The page table.
    pub pages: PagesStats,
    /// The log store.
    pub log: LogStats,
}

impl Stats {
    pub(crate) fn of(engine: &Engine) -> Stats {
        let view = engine.view();
        let (log_backlog, _) = engine.backlog();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: count(&engine.counters.commits),
            conflicts: count(&engine.counters.conflicts),
            checkpoints: count(&engine.counters.checkpoints),
            replayed: count(&engine.counters.replayed),
            rows: view.root.entries(),
            history_entries: view.history.runs.iter().map(|run| run.entries).sum(),
            history_bytes: view.history.runs.iter().map(|run| run.bytes).sum(),
            history_runs: view.history.runs.len(),
            history_memory: view.history.memory(),
            log_backlog,
            pages: engine.pages.stats(),
            log: engine.log.stats(),
        }
    }
}
