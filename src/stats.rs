//! Figures about an open database.
//!
//! ```text
//! Stats ---- pages: PagesStats    the page table: hits, misses, copies, pages in use and free
//!       ---- store: StoreStats    the page store: reads, writes, syncs, bytes
//!       ---- log: LogStats        the log store: appends, bytes, syncs
//!       ---- log_syncs, checkpoint_times: Durations
//!       ---- memory: Memory       bytes held, by what for
//! ```
//!
//! What is counted is counted by the part that does it, where that costs next to nothing; here it is only read.

use dosql_base::Timestamp;
use dosql_base::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Handle;
use crate::tier::metered::SegmentStats;

pub use dosql_base::metrics::Durations;
pub use dosql_btree::{PagesStats, StoreStats};
pub use dosql_wal::LogStats;

/// What a database holds and has done since it was opened. Figures are taken one after the other while work goes on, so they
/// need not belong to one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Transactions that committed changes.
    pub commits: u64,
    /// Optimistic transactions that were refused.
    pub conflicts: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// How long each checkpoint took, from its first step to the durable meta; commits go on meanwhile.
    pub checkpoint_times: Durations,
    /// How long commits were to wait because rows move into the segment store more slowly than commits bring them in.
    pub held_back: Durations,
    /// Commits that opening had to replay from the log.
    pub replayed: u64,
    /// Transactions under way, reads included.
    pub transactions: usize,
    /// The earliest moment that a transaction under way reads; `None` where there is none.
    pub oldest_snapshot: Option<Timestamp>,
    /// How long ago that was, in microseconds; 0 where there is none.
    pub oldest_snapshot_age: u64,
    /// Current rows, of every keyspace, table and index, the catalogs included; where some lie in the segment store, what hides others
    /// there counts too.
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
    /// Bytes of a page: what [`StoreStats::page_reads`] and [`StoreStats::page_writes`] move at a time.
    pub page_size: usize,
    /// The page table.
    pub pages: PagesStats,
    /// The page store.
    pub store: StoreStats,
    /// What was asked of the segment store.
    pub segments: SegmentStats,
    /// The log store.
    pub log: LogStats,
    /// How long each sync of the log took.
    pub log_syncs: Durations,
    /// What memory is used for.
    pub memory: Memory,
}

/// Bytes of memory, by what they are for. Structures around them are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Pages that are as the store has them: at most [`crate::Options::cache_bytes`], together with the dirty and the pinned ones
    /// unless those alone are more.
    pub clean_pages: usize,
    /// Pages that the next checkpoint writes.
    pub dirty_pages: usize,
    /// Older images of pages, which open transactions pin.
    pub pinned_images: usize,
    /// Buffers of pages that are gone, kept for the next ones, and such that were made ahead.
    pub spare_buffers: usize,
    /// Blocks of segments, filters and indexes of those that are open, and the segment that is being written or on its way into the store.
    pub segments: usize,
    /// Superseded versions that the next checkpoint writes, and what tells in which run to look for those that are written.
    pub history: usize,
    /// Keys and values that transactions under way hold to be written.
    pub write_sets: usize,
    /// Keys and values of recent commits, which optimistic transactions are checked against.
    pub conflict_window: usize,
    /// Log records that wait to be written.
    pub log_buffer: usize,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> usize {
        let pages = self.clean_pages + self.dirty_pages + self.pinned_images + self.spare_buffers;
        pages + self.segments + self.history + self.write_sets + self.conflict_window + self.log_buffer
    }
}

impl Stats {
    pub(crate) fn of(engine: &Handle) -> Stats {
        let view = engine.view();
        let (log_backlog, _) = engine.backlog();
        let open = engine.readers.open();
        let pages = engine.pages.stats();
        let history_memory = view.history.memory();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let age = |at: Timestamp| engine.now().as_micros().saturating_sub(at.as_micros());
        Stats {
            commits: count(&engine.counters.commits),
            conflicts: count(&engine.counters.conflicts),
            checkpoints: count(&engine.counters.checkpoints),
            checkpoint_times: engine.counters.checkpoint_times.durations(),
            held_back: engine.worker.gauge.pauses.durations(),
            replayed: count(&engine.counters.replayed),
            transactions: open.transactions,
            oldest_snapshot: open.oldest,
            oldest_snapshot_age: open.oldest.map_or(0, age),
            rows: view.root.entries() + view.beneath.as_ref().map_or(0, |beneath| beneath.own.entries()),
            history_entries: view.history.runs.iter().map(|run| run.entries).sum(),
            history_bytes: view.history.runs.iter().map(|run| run.bytes).sum(),
            history_runs: view.history.runs.len(),
            history_memory,
            log_backlog,
            page_size: engine.pages.page_size(),
            memory: Memory {
                clean_pages: pages
                    .resident_bytes
                    .saturating_sub(pages.dirty_bytes)
                    .saturating_sub(pages.pinned_bytes),
                dirty_pages: pages.dirty_bytes,
                pinned_images: pages.pinned_bytes,
                spare_buffers: pages.spare_bytes,
                segments: engine.tier.memory(),
                history: history_memory + view.history.filters.bytes(),
                write_sets: open.writes,
                conflict_window: engine.branch().window.lock().bytes(),
                log_buffer: engine.log.buffered(),
            },
            pages,
            store: engine.pages.store().stats(),
            segments: engine.tier.stats(),
            log: engine.log.stats(),
            log_syncs: engine.counters.log_syncs.durations(),
        }
    }
}
