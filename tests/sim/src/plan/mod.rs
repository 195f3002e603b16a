//! Plans: what happens in one simulated life, as plain data, so that a part of a plan is a plan too.
//!
//! An operation says what it is about by numbers that are looked up when it runs (which table, which row, which commit), so it
//! still makes sense when operations before it are left out: that is what shrinking does. What the engine can not do yet gets a
//! variant with the feature.

mod generate;
mod resolve;

use dosql::{Durability, Isolation};
use dosql_wal::{Calls, DiskFault, Surviving};

/// One life.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
    pub first: Settings,
    pub operations: Vec<Operation>,
}

/// What the data of a plan looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub page_size: usize,
    /// Different keys and row ids.
    pub keys: u32,
    /// One in so many values takes several pages.
    pub large: u32,
    pub spaces: u32,
    pub tables: u32,
    /// The clock when the life begins, in microseconds.
    pub clock: u64,
}

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub cache_bytes: usize,
    pub dirty_bytes: usize,
    pub pinned_bytes: usize,
    pub log_limit: u64,
    pub log_segment: u64,
    pub retention: u64,
    pub history_runs: usize,
    pub window_bytes: usize,
    pub durability: Durability,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Begin {
    Kv(Mode),
    Sql(Mode),
}

/// When a transaction takes the writer's turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Deferred,
    Write,
    Concurrent(Isolation),
}

/// A statement to be: its kind, and a seed for the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    pub kind: Kind,
    pub seed: u64,
}

/// Kinds of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put,
    Delete,
    Get,
    Range,
    Insert,
    Update,
    Move,
    Remove,
    Select,
    Count,
    SelectView,
    CreateTable,
    DropTable,
    RenameTable,
    AddColumn,
    DropColumn,
    RenameColumn,
    CreateIndex,
    DropIndex,
    CreateView,
    DropView,
}

/// How a machine or a process ends.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// What the disk keeps; `None` where only the process ends and the system keeps everything for the next.
    pub surviving: Option<Surviving>,
    /// Crashes of the recovery that follows, each after so many changes of the disk.
    pub again: Vec<(u64, Surviving)>,
    /// The old process does not know that it is dead, and goes on.
    pub zombie: bool,
    pub settings: Settings,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A client begins a transaction.
    Begin {
        client: usize,
        begin: Begin,
    },
    /// A client asks something, in its transaction if it has one, else in one of its own.
    Ask {
        client: usize,
        ask: Ask,
    },
    Savepoint {
        client: usize,
    },
    RollbackTo {
        client: usize,
        which: usize,
    },
    Release {
        client: usize,
        which: usize,
    },
    Commit {
        client: usize,
    },
    Rollback {
        client: usize,
    },
    /// Somebody takes a snapshot and keeps it.
    Snapshot,
    /// A kept snapshot is read through, and given up or not.
    ReadSnapshot {
        which: usize,
        give_up: bool,
    },
    /// The past is read, as of about the commit of this number; by keyspaces or by SQL.
    ReadPast {
        which: usize,
        off_by: i64,
        ask: Ask,
    },
    /// The last commit gets a name.
    Tag {
        number: u32,
    },
    DropTag {
        number: u32,
    },
    /// A slot in the feed of main is made, after the last commit.
    Feed {
        number: u32,
    },
    DropFeed {
        number: u32,
    },
    /// A slot is resumed, so many changes are read, and what was read is confirmed.
    Follow {
        number: u32,
        count: usize,
    },
    /// What ended before about the commit of this number is let go.
    DeleteHistory {
        which: usize,
    },
    /// All tables and views become what they were at the commit of this number.
    Restore {
        which: usize,
    },
    /// A branch off the present is changed, then merged or forgotten.
    Branch {
        asks: Vec<Ask>,
        merge: bool,
    },
    Checkpoint,
    Maintain {
        budget: usize,
    },
    /// Free space is given back.
    Compact,
    Verify,
    /// The database is opened again; closed before, or just let go.
    Reopen {
        close: bool,
        settings: Settings,
    },
    End(End),
    /// After so many changes of the disk from now.
    EndSoon {
        after: u64,
        end: End,
    },
    /// A dead process that does not know it asks something.
    ZombieAsk {
        ask: Ask,
    },
    /// The clock moves, or is set back.
    Clock {
        micros: i64,
    },
    /// Calls of the disk go wrong; should that close the database, it ends so.
    Fault {
        calls: Calls,
        after: u64,
        sticky: bool,
        fault: DiskFault,
        end: End,
    },
    /// So many more bytes, and the disk is full.
    FillDisk {
        left: u64,
        end: End,
    },
    Heal,
}
