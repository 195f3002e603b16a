//! The statements about branches.

use super::{AsOf, NameId};
use crate::value::Text;

/// A statement about branches; none of SQLite's.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum BranchStatement {
    /// `CREATE BRANCH [IF NOT EXISTS] name [FROM parent] [AS OF point] [WITH (option, ..)]`
    Create {
        if_not_exists: bool,
        name: NameId,
        from: Option<NameId>,
        as_of: Option<AsOf>,
        options: BranchOptions,
    },
    /// `DROP BRANCH [IF EXISTS] name`
    Drop { if_exists: bool, name: NameId },
    /// `ALTER BRANCH name RENAME TO other`
    Rename { name: NameId, to: NameId },
    /// `ALTER BRANCH name SET (option, ..)`
    Set { name: NameId, options: BranchOptions },
    /// `USE BRANCH name`
    Use { name: NameId },
    /// `MERGE [DRY RUN] BRANCH from INTO into [ON CONFLICT ABORT | OURS | THEIRS | STORE]`
    Merge { dry_run: bool, from: NameId, into: NameId, on_conflict: OnMergeConflict },
    /// `CONTINUE MERGE [BRANCH from INTO into]`
    Continue { between: Option<(NameId, NameId)> },
    /// `ABORT MERGE [BRANCH from INTO into]`
    Abort { between: Option<(NameId, NameId)> },
}

/// `ttl = 'n units' | NULL, protected [= 0 | 1]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchOptions {
    /// A length of time as it was written; `Some(None)` for none.
    pub ttl: Option<Option<Text>>,
    /// Whether only merges may change the branch.
    pub protected: Option<bool>,
}

/// What becomes of a row that both sides of a merge changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMergeConflict {
    /// The merge fails, and nothing changes.
    #[default]
    Abort,
    /// The branch that is merged into keeps what it has.
    Ours,
    /// What comes from the other branch wins.
    Theirs,
    /// The merge waits until every conflict is resolved.
    Store,
}
