//! Merges: what another branch changed since the two had the same is brought in, row by row, cell by cell.
//!
//! ```text
//! base.rs     what both had last, and the keys that the other branch changed since
//! schema.rs   tables, columns, indexes, views and triggers that it made, changed or dropped
//! rows.rs     three states of a row become one, or a conflict
//! keyed.rs    rows that a primary key besides the rowid tells apart
//! plan.rs     all of the rows
//! apply.rs    the rows are written as INSERT and DELETE would, so that constraints are checked; foreign keys after all of them
//! stored.rs   conflicts that wait in a table to be resolved
//! preview.rs  what would be done, as rows
//! ```
//!
//! Only rows that the other branch changed are looked at: what only this branch changed stays as it is whatever the other has. All is
//! one commit, which notes up to where the other branch was merged: from there the next merge goes on.

mod apply;
mod base;
mod keyed;
mod plan;
mod preview;
mod rows;
mod schema;
mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::codec::get_ordered_u32;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::Point;
use dosql_sql::catalog::schema::{Catalog, Table};
use dosql_sql::value::Value;

use super::add_pin;
use crate::commit::Purpose;
use crate::database::Database;
use crate::engine::Handle;
use crate::limits::FIRST_KEYSPACE;
use crate::sql::Connection;
use crate::transaction::{Begin, Transaction};
use base::Base;
use plan::Plan;
use stored::Resolutions;

/// How a merge goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// All is done but the commit.
    pub dry_run: bool,
    /// What becomes of rows that both sides changed.
    pub on_conflict: OnConflict,
}

/// What becomes of a row that both sides of a merge changed, so that no cell of it can be had from one side alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The merge fails with [`ErrorKind::Conflict`], and nothing changes.
    #[default]
    Abort,
    /// This branch keeps what it has.
    Ours,
    /// What comes from the other branch wins.
    Theirs,
    /// Nothing changes yet: the conflicts become rows of the table `dosql_conflicts` of this branch, to be resolved.
    Store,
}

/// What a merge came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeReport {
    /// Rows and entries that it changed, or would have.
    pub changes: u64,
    /// Objects of the schema that it changed, or would have.
    pub schema_changes: u64,
    /// What both sides changed: none but where they were stored, or settled by taking a side.
    pub conflicts: Vec<MergeConflict>,
    /// The commit that it made; `None` where there was nothing to do, and of one that waits or was only tried.
    pub commit: Option<Timestamp>,
}

/// Something that both sides of a merge changed. Rows are JSON objects; `None` where there is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeConflict {
    /// The table, or the keyspace.
    pub table: String,
    /// The key of the row.
    pub key: String,
    /// What both had last.
    pub base: Option<String>,
    /// What this branch has.
    pub ours: Option<String>,
    /// What comes from the other branch.
    pub theirs: Option<String>,
}

impl Database {
    /// Merges what another branch has changed since it was last merged, or since the two parted, into this handle's branch, in one
    /// commit. Looks only at what changed on the other branch. A row that only one side changed is taken from that side; one that both
    /// changed is put together cell by cell. Constraints hold for all that comes in; triggers don't fire, for they did.
    ///
    /// Fails with [`ErrorKind::Conflict`] where a cell was changed on both sides (unless told otherwise) or the schema was, and with
    /// [`ErrorKind::Constraint`] where what comes in breaks a constraint together with what is here.
    pub fn merge(&self, from: &str, how: &Merge) -> Result<MergeReport> {
        Merging::begin(self, from)?.run(how.on_conflict, how.dry_run, None)
    }

    /// Goes on with a merge whose conflicts were stored, once each has a resolution.
    ///
    /// Fails as [`Database::merge`], and with [`ErrorKind::Conflict`] where some have none; those that came since are stored then.
    pub fn continue_merge(&self, from: &str) -> Result<MergeReport> {
        let merging = Merging::begin(self, from)?;
        let resolutions = Resolutions::load(&merging.connection, from)?;
        merging.run(OnConflict::Store, false, Some(resolutions))
    }

    /// Gives a merge up whose conflicts were stored.
    ///
    /// Fails where there is none.
    pub fn abort_merge(&self, from: &str) -> Result<()> {
        let connection = self.connect()?;
        if !stored::waiting(&connection)?.iter().any(|name| name.eq_ignore_ascii_case(from)) {
            return Err(Error::invalid(format!("no merge of {from} waits here")));
        }
        connection.transaction(|tx| stored::clear(tx, from))
    }

    /// The branches whose merge into this one waits for resolutions.
    pub(crate) fn merges_waiting(&self) -> Result<Vec<String>> {
        stored::waiting(&self.connect()?)
    }
}

/// A merge under way.
struct Merging {
    /// On the branch that is merged into, in a transaction that holds its turn.
    connection: Connection,
    into: Handle,
    from: Handle,
    from_name: String,
    /// What the other branch has, and what both had last.
    theirs: Transaction,
    base: Base,
}

impl Merging {
    fn begin(into: &Database, from: &str) -> Result<Merging> {
        let handle = &into.0;
        handle.check_writable()?;
        let other = handle.branch_named(from)?;
        if other.number == handle.branch().number {
            return Err(Error::invalid(format!("{from} can't be merged into itself")));
        }
        handle.upgrade_format()?;
        let from_name = other.name();
        let other = handle.on(other);
        // Of a branch that keeps no history, nothing may go between what is read of it and the note that it was read.
        let forgets = handle.options.retention == 0;
        let first = forgets && other.branch().number < handle.branch().number;
        let before = first.then(|| other.take_turn(other.branch(), None)).transpose()?;
        let connection = into.connect()?;
        connection.begin_merge(Transaction::begin_merge(handle)?)?;
        let after = (forgets && !first).then(|| other.take_turn(other.branch(), None)).transpose()?;
        // What was committed there may not be durable yet: it comes before in the log.
        let end = other.log.end().0;
        other.sync_log(end)?;
        other.make_visible(end);
        let theirs = Transaction::begin(&other, Begin::Read)?;
        {
            let _committer = handle.committer();
            add_pin(other.branch(), theirs.snapshot());
        }
        connection.hold(before.into_iter().chain(after));
        let base = Base::find(handle, &other)?;
        Ok(Merging { connection, into: handle.clone(), from: other, from_name, theirs, base })
    }

    fn run(
        mut self,
        on_conflict: OnConflict,
        dry_run: bool,
        resolutions: Option<Resolutions>,
    ) -> Result<MergeReport> {
        let changed = self.base.changed_keys(&self.from, self.theirs.snapshot())?;
        let mut report = MergeReport::default();
        if changed.is_empty() {
            return Ok(report);
        }
        if self.base.is_what_we_have(&self.into) {
            report.changes = self.take_over(&changed)?;
            return self.end(report, dry_run);
        }
        report.schema_changes = self.merge_schema()?;
        let plan = Plan::make(&self, &changed, on_conflict, resolutions.as_ref())?;
        report.conflicts = plan.conflicts.clone();
        if plan.waits {
            return self.store(plan, report, on_conflict, dry_run, resolutions);
        }
        report.changes = self.apply(&plan)?;
        if resolutions.is_some() {
            stored::clear(&self.connection, &self.from_name)?;
        }
        self.end(report, dry_run)
    }

    /// This branch has what both had last: all that the other changed is taken as it is.
    fn take_over(&mut self, changed: &[Vec<u8>]) -> Result<u64> {
        let mut changes = 0;
        let catalog = Catalog::load(&self.theirs, Point::Live, None)?;
        let spaces: BTreeSet<u32> = catalog.tables.values().map(|table| table.space).collect();
        for key in changed {
            let theirs = self.theirs.raw_get(key)?;
            let differs = self.connection.with_transaction(|ours| match &theirs {
                value if ours.raw_get(key)?.as_deref() == value.as_deref() => Ok(false),
                Some(value) => ours.raw_put(key, value).map(|()| true),
                None => ours.raw_delete(key).map(|()| true),
            })?;
            let space = get_ordered_u32(key).map_or(0, |(space, _)| space);
            changes += u64::from(differs && (space >= FIRST_KEYSPACE || spaces.contains(&space)));
        }
        Ok(changes)
    }

    /// Conflicts that nobody has resolved: the merge fails, or waits.
    fn store(
        self,
        plan: Plan,
        report: MergeReport,
        on_conflict: OnConflict,
        dry_run: bool,
        resolutions: Option<Resolutions>,
    ) -> Result<MergeReport> {
        let open = plan
            .conflicts
            .iter()
            .filter(|conflict| resolutions.as_ref().is_none_or(|known| known.of(conflict).is_none()));
        let first = open.clone().next();
        let message = first.map_or_else(String::new, |first| {
            let what =
                if first.table.is_empty() { String::new() } else { format!("{} {}", first.table, first.key) };
            format!("{} conflicts in merging {}; the first: {what}", open.clone().count(), self.from_name)
        });
        if on_conflict == OnConflict::Store && !dry_run {
            self.connection.roll_back_merge()?;
            if self.into.check_branch_writable().is_err() {
                return Err(Error::invalid("conflicts can't be stored on a protected branch"));
            }
            self.connection
                .transaction(|tx| stored::save(tx, &self.from_name, &plan.conflicts, resolutions.as_ref()))?;
            if resolutions.is_none() {
                return Ok(MergeReport { schema_changes: 0, ..report });
            }
        }
        Err(Error::new(ErrorKind::Conflict, Code::Busy, message))
    }

    /// Commits, with a note of what was merged.
    fn end(self, mut report: MergeReport, dry_run: bool) -> Result<MergeReport> {
        if dry_run {
            self.connection.roll_back_merge()?;
            return Ok(report);
        }
        let upto = (self.from.branch().number, self.theirs.snapshot());
        let wrote = self.connection.with_transaction(|ours| {
            ours.purpose = Purpose::Merge(upto.0, upto.1);
            Ok(ours.has_writes())
        })?;
        if wrote {
            self.connection.commit_merge()?;
            report.commit = Some(self.into.view().timestamp);
        } else {
            if !report.conflicts.is_empty() {
                // What was settled so is not to be asked again.
                self.into.note_settled(self.into.branch(), upto)?;
            }
            self.connection.roll_back_merge()?;
        }
        Ok(report)
    }
}

/// The rows of a merge as they go in: a table of this branch, the key of the row, and what it is to hold.
pub(super) struct Write {
    pub(super) table: Arc<Table>,
    pub(super) rowid: i64,
    /// What it held on this branch.
    pub(super) before: Option<Vec<Value>>,
    pub(super) after: Option<Vec<Value>>,
}
