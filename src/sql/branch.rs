//! The statements about branches.

use std::time::Duration;

use dosql_base::{Error, Result};
use dosql_sql::parse::ast::OnMergeConflict;
use dosql_sql::session::Transaction as Statement;
use dosql_sql::value::{Text, Value};

use super::core::Core;
use super::statement_cache::StatementCache;
use crate::branch::{Merge, NewBranch, OnConflict, no_such_branch};

impl Core {
    /// Carries a statement about branches out: what it says, and how many rows it changed; `None` for any other.
    pub(super) fn about_branches(&mut self, statement: &Statement) -> Result<Option<i64>> {
        let what = match statement {
            Statement::CreateBranch { .. } => "create a branch",
            Statement::DropBranch { .. } => "drop a branch",
            Statement::RenameBranch { .. } | Statement::SetBranch { .. } => "change a branch",
            Statement::UseBranch(_) => "go to another branch",
            Statement::Merge { .. } | Statement::ContinueMerge(_) | Statement::AbortMerge(_) => "merge",
            _ => return Ok(None),
        };
        self.refuse_inside(what)?;
        let micros = Duration::from_micros;
        let database = &self.database;
        match statement {
            Statement::CreateBranch { name, from, at, if_not_exists, ttl, protected } => {
                let new = NewBranch {
                    from: from.as_ref().map(Text::to_string),
                    at: *at,
                    ttl: ttl.map(micros),
                    protected: *protected,
                };
                let parent = database.0.parent_of(&new)?;
                database.0.create_branch(&parent, name, &new, *if_not_exists)?;
            }
            Statement::DropBranch { name, if_exists } => {
                let dropped = database.0.drop_branch(name)?;
                if !dropped && !*if_exists {
                    return Err(no_such_branch(name));
                }
            }
            Statement::RenameBranch { name, to } => database.rename_branch(name, to)?,
            Statement::SetBranch { name, ttl, protected } => {
                database.0.set_branch(name, *protected, ttl.map(|ttl| ttl.map(micros)))?;
            }
            Statement::UseBranch(name) => self.use_branch(name)?,
            Statement::Merge { from, into, on_conflict, .. } => {
                let how = Merge { dry_run: false, on_conflict: settled_by(*on_conflict) };
                return self.merged(database.branch(into)?.merge(from, &how)?.changes).map(Some);
            }
            Statement::ContinueMerge(between) => {
                let (from, into) = self.merge_under_way(between.as_ref())?;
                return self.merged(database.branch(&into)?.continue_merge(&from)?.changes).map(Some);
            }
            Statement::AbortMerge(between) => {
                let (from, into) = self.merge_under_way(between.as_ref())?;
                database.branch(&into)?.abort_merge(&from)?;
            }
            _ => {}
        }
        Ok(Some(0))
    }

    /// MERGE DRY RUN: the rows that say what it would do, and how many rows it would change.
    pub(super) fn tried_merge(
        &self,
        from: &str,
        into: &str,
        on_conflict: OnMergeConflict,
    ) -> Result<(Vec<Vec<Value>>, i64)> {
        self.refuse_inside("merge")?;
        let preview = self.database.branch(into)?.preview_merge(from, settled_by(on_conflict))?;
        Ok((preview.rows, self.merged(preview.changes)?))
    }

    fn merged(&self, changes: u64) -> Result<i64> {
        i64::try_from(changes).map_err(|_| Error::limit("more rows than can be counted"))
    }

    /// Goes on with another branch.
    fn use_branch(&mut self, name: &str) -> Result<()> {
        self.database = self.database.branch(name)?;
        self.session.forget_branch();
        self.cache = StatementCache::default();
        Ok(())
    }

    /// From where and into where; where that is not said, the one that waits on the branch in use.
    fn merge_under_way(&self, between: Option<&(Text, Text)>) -> Result<(String, String)> {
        if let Some((from, into)) = between {
            return Ok((from.to_string(), into.to_string()));
        }
        let into = self.database.branch_name();
        let waiting = self.database.merges_waiting()?;
        match waiting.as_slice() {
            [from] => Ok((from.clone(), into)),
            [] => Err(Error::invalid(format!("no merge into {into} waits for anything"))),
            _ => Err(Error::invalid(format!(
                "several merges into {into} wait: say which, as in CONTINUE MERGE BRANCH {} INTO {into}",
                waiting[0]
            ))),
        }
    }
}

fn settled_by(on_conflict: OnMergeConflict) -> OnConflict {
    match on_conflict {
        OnMergeConflict::Abort => OnConflict::Abort,
        OnMergeConflict::Ours => OnConflict::Ours,
        OnMergeConflict::Theirs => OnConflict::Theirs,
        OnMergeConflict::Store => OnConflict::Store,
    }
}
