//! The plans of INSERT, UPDATE and DELETE: bound once, run many times.
//!
//! A **row** is a vector of a table's columns by position with the rowid at the end (NULL WITHOUT ROWID). Expressions
//! over a row read column i as register i. An upsert's expressions see two rows: the one that is there, and behind it
//! (register base: columns + 1) `excluded`.

use std::sync::Arc;

use crate::catalog::schema::Table;
use crate::parse::ast::ConflictAction;
use crate::plan::{Expr, OutputColumn, Query};
use crate::value::{Text, Value};

/// A row of a table: its columns by position, then its rowid.
pub(crate) type Row = Vec<Value>;

/// A statement that changes rows, or a query inside a trigger.
#[derive(Clone, Debug)]
pub enum Change {
    /// INSERT.
    Insert(Arc<InsertPlan>),
    /// UPDATE.
    Update(Arc<UpdatePlan>),
    /// DELETE.
    Delete(Arc<DeletePlan>),
    /// A SELECT in a trigger, whose rows nobody sees.
    Select(Arc<Query>),
}

/// RETURNING.
#[derive(Clone, Debug)]
pub struct Returning {
    /// Over the changed row.
    pub exprs: Vec<Expr>,
    /// What they are called.
    pub columns: Vec<OutputColumn>,
}

/// Where an inserted row's column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The n-th column of the source.
    Source(usize),
    /// Its DEFAULT, or NULL.
    Default,
    /// Computed from the others.
    Generated,
}

/// An INSERT.
#[derive(Clone, Debug)]
pub struct InsertPlan {
    /// Where the rows go; for a view, the view's columns.
    pub table: Arc<Table>,
    /// The rows go to INSTEAD OF triggers.
    pub view: bool,
    /// INSERT OR ..
    pub or: Option<ConflictAction>,
    /// The rows; `None`: one row of defaults.
    pub source: Option<Arc<Query>>,
    /// For each column.
    pub inputs: Vec<Input>,
    /// The source's column that is the rowid, where it is given.
    pub rowid: Option<usize>,
    /// ON CONFLICT clauses in order.
    pub upserts: Vec<UpsertPlan>,
    /// RETURNING.
    pub returning: Option<Arc<Returning>>,
}

/// What an ON CONFLICT clause is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpsertTarget {
    /// Any uniqueness constraint.
    Any,
    /// The rowid or the WITHOUT ROWID primary key.
    Primary,
    /// The index of this lower-case name.
    Index(Text),
}

/// An ON CONFLICT clause.
#[derive(Clone, Debug)]
pub struct UpsertPlan {
    /// Which conflicts it handles.
    pub target: UpsertTarget,
    /// DO UPDATE; `None`: DO NOTHING.
    pub update: Option<UpsertSet>,
}

/// DO UPDATE SET, over the present row and `excluded`.
#[derive(Clone, Debug)]
pub struct UpsertSet {
    /// Values in order.
    pub sets: Vec<(SetTarget, Expr)>,
    /// WHERE.
    pub filter: Option<Expr>,
}

/// What an assignment sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTarget {
    /// A column by position.
    Column(usize),
    /// The rowid.
    Rowid,
}

/// An UPDATE.
#[derive(Clone, Debug)]
pub struct UpdatePlan {
    /// Which table.
    pub table: Arc<Table>,
    /// The rows go to INSTEAD OF triggers.
    pub view: bool,
    /// UPDATE OR ..
    pub or: Option<ConflictAction>,
    /// Rows to change: the rowid, the columns, then the values to set.
    pub source: Arc<Query>,
    /// What each further output of the source sets; `None` where a later one sets the same.
    pub sets: Vec<Option<SetTarget>>,
    /// UPDATE .. FROM: the source may give a row of the table more than once.
    pub joined: Option<Joined>,
    /// RETURNING.
    pub returning: Option<Arc<Returning>>,
}

/// Which rows of an UPDATE .. FROM count: the last for each row of the table, or with LIMIT and OFFSET the first, and so many
/// of them.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// LIMIT.
    pub limit: Option<Expr>,
    /// OFFSET.
    pub offset: Option<Expr>,
}

/// A DELETE.
#[derive(Clone, Debug)]
pub struct DeletePlan {
    /// Which table.
    pub table: Arc<Table>,
    /// The rows go to INSTEAD OF triggers.
    pub view: bool,
    /// Rows to remove: the rowid, then the columns.
    pub source: Arc<Query>,
    /// RETURNING.
    pub returning: Option<Arc<Returning>>,
}

impl Change {
    /// The table it changes.
    #[must_use]
    pub fn table(&self) -> Option<&Arc<Table>> {
        match self {
            Change::Insert(plan) => Some(&plan.table),
            Change::Update(plan) => Some(&plan.table),
            Change::Delete(plan) => Some(&plan.table),
            Change::Select(_) => None,
        }
    }

    /// Its RETURNING.
    #[must_use]
    pub fn returning(&self) -> Option<&Arc<Returning>> {
        match self {
            Change::Insert(plan) => plan.returning.as_ref(),
            Change::Update(plan) => plan.returning.as_ref(),
            Change::Delete(plan) => plan.returning.as_ref(),
            Change::Select(_) => None,
        }
    }
}

/// What a trigger waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Insert,
    Delete,
    /// The columns of UPDATE OF; empty: any.
    Update(Vec<usize>),
}

/// A trigger, bound. Its statements read OLD as arguments `0..=n` and NEW as arguments `n+1..=2n+1` where n is the
/// number of columns.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: Text,
    pub(crate) when: Option<Expr>,
    pub(crate) body: Vec<Change>,
}
