//! Points and periods of the past, and the statements about them.

use super::{ExprId, List, NameId, QualifiedName, Span};

/// A point in the past, or another branch: `[TIMESTAMP] expr | LSN expr | TAG name | BRANCH name`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct AsOf {
    pub unit: AsOfUnit,
    pub expr: ExprId,
}

/// How a point is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AsOfUnit {
    /// ISO text, or Unix milliseconds.
    Timestamp,
    /// The exact number of a commit: microseconds.
    Lsn,
    /// The name of a tag, as text.
    Tag,
    /// The name of a branch, as text: what it holds now.
    Branch,
}

/// `FOR SYSTEM_TIME ..`
#[derive(Clone, Copy, Debug)]
pub enum Period {
    /// `AS OF point`: the rows of that moment.
    AsOf(AsOf),
    /// `FROM a TO b`: the versions of a period, its end not included.
    FromTo(AsOf, AsOf),
    /// `BETWEEN a AND b`: its end included.
    Between(AsOf, AsOf),
    /// `ALL`: every version that is kept.
    All,
}

/// What becomes of a table's superseded versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// `WITH SYSTEM VERSIONING`, or nothing: they stay for as long as the database says.
    #[default]
    Database,
    /// `WITH SYSTEM VERSIONING RETAIN ..`: they stay for so many microseconds; [`u64::MAX`] is for ever.
    Retain(u64),
    /// `WITHOUT SYSTEM VERSIONING`: none are kept.
    Nothing,
}

/// What a clause about SYSTEM VERSIONING says, and where it stands.
pub type VersioningClause = (Versioning, Span);

/// `CREATE FEED`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateFeed {
    pub if_not_exists: bool,
    pub name: NameId,
    pub from: FeedFrom,
    /// Each with its columns, or all.
    pub tables: Vec<(NameId, List<NameId>)>,
    pub max_lag_bytes: Option<u64>,
    /// In microseconds.
    pub max_age: Option<u64>,
}

/// Where a feed begins.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum FeedFrom {
    Current,
    Point(AsOf),
    Snapshot,
}

/// A statement about the past that is none of SQLite's.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TimeStatement {
    /// `CREATE TAG [IF NOT EXISTS] name [AS OF point]`
    CreateTag { if_not_exists: bool, name: NameId, as_of: Option<AsOf> },
    /// `DROP TAG [IF EXISTS] name`
    DropTag { if_exists: bool, name: NameId },
    /// `CREATE FEED [IF NOT EXISTS] name [FROM ..] [FOR TABLE ..] [WITH (..)]`
    CreateFeed(CreateFeed),
    /// `DROP FEED [IF EXISTS] name`
    DropFeed { if_exists: bool, name: NameId },
    /// `DELETE HISTORY [FROM table] [BEFORE point]`
    DeleteHistory { table: Option<QualifiedName>, before: Option<AsOf> },
    /// `ERASE FROM table WHERE condition`; the condition's text.
    Erase { table: QualifiedName, condition: Span },
    /// `RESTORE TABLE table TO point`
    RestoreTable { table: QualifiedName, to: AsOf },
    /// `RESTORE DATABASE TO point`
    RestoreDatabase { to: AsOf },
}
