//! What the catalog says of tables, indexes, views and triggers, as the planner and the executor read it. Immutable:
//! a schema change makes a new [`Catalog`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::store::Object;
use crate::parse::ast::{ConflictAction, ForeignKeyAction, Versioning};
use crate::plan::Expr;
use crate::storage::Point;
use crate::value::{Affinity, Collation, Text, Value};

/// The number in front of every key of a table or an index.
pub type SpaceId = u32;

/// All schema objects at one point in time. Names are found without regard to ASCII case.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Rises with every schema change; a plan is good for one version.
    pub version: u64,
    /// The point this is the catalog of.
    pub point: Option<Point>,
    /// By lower-case name; views too, since they share the tables' names.
    pub tables: BTreeMap<Text, Arc<Table>>,
    /// By lower-case name, the tables of the database that temporary ones of the same name hide.
    pub hidden: BTreeMap<Text, Arc<Table>>,
    /// By lower-case name.
    pub views: BTreeMap<Text, Arc<View>>,
    /// By lower-case name.
    pub indexes: BTreeMap<Text, Arc<Index>>,
    /// By lower-case name; those of one table in the order of their creation.
    pub triggers: BTreeMap<Text, Arc<Trigger>>,
    /// By the parent's lower-case name: the children's lower-case names and which of their foreign keys refers to it.
    pub children: BTreeMap<Text, Vec<(Text, usize)>>,
    /// The stored objects in the order of their creation: the rows of `sqlite_schema`.
    pub objects: Vec<Object>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where its rows are.
    pub space: SpaceId,
    /// As written.
    pub name: Text,
    /// In the order of their definition.
    pub columns: Vec<Column>,
    /// How many fields a row has, those of dropped columns included.
    pub fields: usize,
    /// The column of a row's first field, where it and those behind it are the fields, in their order.
    pub fields_from: Option<usize>,
    /// Its generated columns, each after those that it reads.
    pub generated: Vec<usize>,
    /// Belongs to one connection and goes with it.
    pub temporary: bool,
    /// The column that is another name of the rowid (INTEGER PRIMARY KEY).
    pub rowid_alias: Option<usize>,
    /// Rowids are never reused.
    pub autoincrement: bool,
    /// Rows are kept under [`Table::primary_key`] and have no rowid.
    pub without_rowid: bool,
    /// Types are enforced.
    pub strict: bool,
    /// The key of a WITHOUT ROWID table, else empty. (Other primary keys are unique indexes.)
    pub primary_key: Vec<IndexColumn>,
    /// What to do when two rows have the same primary key (rowid or WITHOUT ROWID).
    pub primary_key_conflict: Option<ConflictAction>,
    /// How many of [`Table::indexes`] were there when a WITHOUT ROWID table's key was made: constraints are checked newest first.
    pub primary_key_rank: usize,
    /// Its indexes, those of constraints first.
    pub indexes: Vec<Arc<Index>>,
    /// Its CHECK constraints; a column is the register of its position.
    pub checks: Vec<Check>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// The verbatim CREATE TABLE.
    pub sql: Text,
    /// What becomes of superseded versions of its rows.
    pub versioning: Versioning,
    /// A table that the catalog itself makes up (`sqlite_schema`): rows come from a table function, not from storage.
    pub made_up: bool,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// As written.
    pub name: Text,
    /// The declared type as written, empty where there is none.
    pub declared_type: Text,
    /// What the declared type does to values.
    pub affinity: Affinity,
    /// How its text compares.
    pub collation: Collation,
    /// NOT NULL, and what to do when it is.
    pub not_null: Option<NotNull>,
    /// The DEFAULT, evaluated without any row, and its text.
    pub default: Option<ColumnDefault>,
    /// Its position (1-based) in the PRIMARY KEY, 0 outside.
    pub primary_key_position: usize,
    /// MERGE ADD: where both sides of a merge changed it, what each added to it is added up.
    pub merge_add: bool,
    /// GENERATED ALWAYS AS; a column is the register of its position.
    pub generated: Option<Generated>,
    /// Where a row keeps it.
    pub place: Place,
    /// What it reads as in rows that were written before it was added: its DEFAULT, which is constant then.
    pub absent: Value,
}

/// NOT NULL.
#[derive(Clone, Copy, Debug)]
pub struct NotNull {
    /// ON CONFLICT of the constraint.
    pub conflict: Option<ConflictAction>,
}

/// DEFAULT.
#[derive(Clone, Debug)]
pub struct ColumnDefault {
    /// As written, for `PRAGMA table_info`.
    pub sql: Text,
    /// To evaluate.
    pub expr: Arc<Expr>,
}

/// GENERATED ALWAYS AS.
#[derive(Clone, Debug)]
pub struct Generated {
    /// To evaluate over the row's columns.
    pub expr: Arc<Expr>,
    /// Kept in the row rather than computed at every read.
    pub stored: bool,
}

/// Where a stored row keeps a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the rowid: in the key alone.
    Rowid,
    /// The n-th part of the key of a WITHOUT ROWID table, and nowhere else (the key gives back the value exactly).
    Key(usize),
    /// The n-th field of the row.
    Row(usize),
    /// Nowhere: a virtual generated column.
    Virtual,
}

/// A CHECK constraint.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, or its text: what the error calls it.
    pub name: Text,
    /// To evaluate over the row's columns.
    pub expr: Arc<Expr>,
}

/// A part of an index's or a primary key's key.
#[derive(Clone, Debug)]
pub struct IndexColumn {
    /// What is indexed.
    pub key: IndexKey,
    /// How its text compares in the index.
    pub collation: Collation,
    /// DESC.
    pub descending: bool,
}

/// What a part of an index key is taken from.
#[derive(Clone, Debug)]
pub enum IndexKey {
    /// A column of the table.
    Column(usize),
    /// The rowid (only as the tail of an index).
    Rowid,
    /// An expression over the row's columns (register = column position).
    Expr(Arc<Expr>),
}

/// How an index came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexOrigin {
    /// CREATE INDEX.
    Created,
    /// A UNIQUE constraint.
    Unique,
    /// A PRIMARY KEY constraint.
    PrimaryKey,
}

/// An index. Its keys are: space, the encoded columns, then the rowid or the primary key of the row.
#[derive(Clone, Debug)]
pub struct Index {
    /// Where its entries are.
    pub space: SpaceId,
    /// As written, or `sqlite_autoindex_T_N`.
    pub name: Text,
    /// The lower-case name of its table.
    pub table: Text,
    /// The parts of its key, without the tail that finds the row.
    pub columns: Vec<IndexColumn>,
    /// No two entries agree on all columns (NULLs agree with nothing).
    pub unique: bool,
    /// The WHERE of a partial index, over the row's columns (register = column position).
    pub filter: Option<Arc<Expr>>,
    /// How it came to be.
    pub origin: IndexOrigin,
    /// What a violated UNIQUE does unless the statement says.
    pub conflict: Option<ConflictAction>,
    /// The verbatim CREATE INDEX; empty for a constraint's.
    pub sql: Text,
}

/// A foreign key of a child table.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// The child's columns.
    pub columns: Vec<usize>,
    /// The parent table as written.
    pub parent: Text,
    /// The parent's columns as written; empty: its primary key.
    pub parent_columns: Vec<Text>,
    /// ON DELETE.
    pub on_delete: ForeignKeyAction,
    /// ON UPDATE.
    pub on_update: ForeignKeyAction,
    /// Checked at COMMIT rather than at the end of the statement.
    pub deferred: bool,
}

/// A view: its text, bound anew in every statement that uses it.
#[derive(Clone, Debug)]
pub struct View {
    /// As written.
    pub name: Text,
    /// The verbatim CREATE VIEW.
    pub sql: Text,
    /// Belongs to one connection and goes with it.
    pub temporary: bool,
    /// The parsed CREATE VIEW.
    pub parsed: Arc<crate::parse::ast::Parsed>,
}

/// A trigger.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// As written.
    pub name: Text,
    /// The lower-case name of its table or view.
    pub table: Text,
    /// The verbatim CREATE TRIGGER.
    pub sql: Text,
    /// The parsed CREATE TRIGGER.
    pub parsed: Arc<crate::parse::ast::Parsed>,
    /// Rises with creation: later triggers fire first, as SQLite's do.
    pub sequence: u64,
}
