//! What an opener may choose. Every field has a default, so `Options { cache_bytes: 1 << 30, ..Options::default() }` reads
//! as what differs from it.

use dosql_base::Env;

/// When a commit is acknowledged, in terms of what a power cut may take back. Order is kept in any case: what survives is
/// always a prefix of the commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the log has reached the device: nothing acknowledged is ever lost.
    #[default]
    Sync,
    /// At once; the log is synced by the first commit that comes this many microseconds after the last sync.
    Interval(u64),
    /// At once; the log is synced by checkpoints and by `close` only.
    None,
}

/// What an optimistic transaction is checked for when it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Everything that it read (keys and ranges) and wrote must be as its snapshot had it: no write skew, no phantom.
    #[default]
    Serializable,
    /// Only what it wrote must be: the first committer wins, write skew is possible.
    Snapshot,
}

/// Who makes the checkpoints that fall due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Maintenance {
    /// A thread where time comes from the operating system, the caller where the environment is the opener's own.
    #[default]
    Auto,
    /// A thread, begun when half to seven eighths of what may gather has gathered, for one checkpoint at a time: as late as leaves room
    /// for what commits add meanwhile. They wait for it only where they outrun it. Not where there are no threads.
    Background,
    /// The commit that reaches a limit: it returns when the checkpoint is made. Nothing happens of its own accord.
    Caller,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of memory for pages, clean or changed: clean ones make room for the others.
    pub cache_bytes: usize,
    /// Bytes of changed pages (which are a part of [`Options::cache_bytes`]) and of history in memory (which is not) at which a commit starts a
    /// checkpoint.
    pub dirty_bytes: usize,
    /// Bytes of older page images that open transactions may keep in memory; above it the oldest of them read on through history.
    pub pinned_bytes: usize,
    /// Bytes of log after the last checkpoint at which a commit starts the next: what recovery may have to replay, and about an eighth more
    /// where commits outrun a checkpoint. A page that was changed counts as 256 bytes more, for it has to be read then.
    pub log_limit: u64,
    /// Bytes of pages that current rows may take before those whose pages were not changed for longest move into the segment store; 0 (the
    /// default) leaves them where they are. Reads don't count: what is read often is in memory wherever it lies. Where it is set, large
    /// runs of history move there too, and a quarter of [`Options::cache_bytes`] is for blocks of segments, and an eighth for the one that is
    /// being written.
    pub hot_budget: u64,
    /// Bytes at which a segment is cut. With a hot budget it is a sixth of [`Options::cache_bytes`] at most (256 KiB in any case), for a segment
    /// is whole in memory until it is stored.
    pub segment_bytes: usize,
    /// How long, in microseconds, superseded versions stay readable. 0 keeps none.
    pub retention: u64,
    /// When a commit is acknowledged.
    pub durability: Durability,
    /// Who makes the checkpoints that [`Options::dirty_bytes`] and [`Options::log_limit`] call for.
    pub maintenance: Maintenance,
    /// Where the time and randomness come from; `None` asks the operating system (and is an error on wasm, which has none).
    pub env: Option<Env>,
    /// The page size that [`crate::Storage::directory_with`] and [`crate::Storage::memory_with`] create a database with: a
    /// power of two, 4 to 64 KiB. An existing database keeps its own.
    pub page_size: usize,
    /// Refuse every write.
    pub read_only: bool,
    /// What one transaction may ask for.
    pub limits: Limits,
}

/// Microseconds in a day, for [`Options::retention`].
pub const DAY: u64 = 24 * 60 * 60 * 1_000_000;

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 64 << 20,
            dirty_bytes: 32 << 20,
            pinned_bytes: 32 << 20,
            log_limit: 8 << 20,
            hot_budget: 0,
            segment_bytes: 16 << 20,
            retention: 7 * DAY,
            durability: Durability::Sync,
            maintenance: Maintenance::Auto,
            env: None,
            page_size: 8 << 10,
            read_only: false,
            limits: Limits::default(),
        }
    }
}

/// Bounds on what one transaction may hold. The bounds that the formats set are constants in [`crate::limits`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of keys and values that one transaction may write.
    pub transaction_bytes: usize,
    /// Bytes of remembered writes that optimistic transactions are checked against; one that began before the oldest
    /// remembered commit is refused as a conflict.
    pub conflict_window_bytes: usize,
    /// Bytes that the remembered reads of one optimistic transaction may take. Where they would take more, neighbouring keys become
    /// ranges: it may then conflict with changes of keys in between that it has not read.
    pub read_set_bytes: usize,
    /// History runs at which the checkpoint merges some of them.
    pub history_runs: usize,
    /// Rows that the operators of a query hand on together, 1 to 1 024. Fewer cost time and change no answer.
    pub batch_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            transaction_bytes: 256 << 20,
            conflict_window_bytes: 64 << 20,
            read_set_bytes: 8 << 20,
            history_runs: 8,
            batch_rows: 1_024,
        }
    }
}
