//! Statements other than SELECT.

use super::{
    AsOf, Ast, BranchStatement, ExprId, FromItem, Id, IndexedBy, List, NameId, OrderTerm, QualifiedName,
    ResultColumn, SelectId, Span, TimeStatement, Versioning, VersioningClause, With,
};
use crate::value::Value;

/// `INSERT OR REPLACE` and its like; ON CONFLICT of a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConflictAction {
    Rollback,
    Abort,
    Fail,
    Ignore,
    Replace,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Assignment {
    /// One name, or several for `(a, b) = (..)`.
    pub columns: List<NameId>,
    pub value: ExprId,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum InsertSource {
    Select(SelectId),
    DefaultValues,
}

/// `ON CONFLICT [(target) [WHERE ..]] DO NOTHING | DO UPDATE SET .. [WHERE ..]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Upsert {
    pub target: List<OrderTerm>,
    pub target_filter: Option<ExprId>,
    /// `None`: DO NOTHING.
    pub update: Option<UpsertUpdate>,
    pub span: Span,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct UpsertUpdate {
    pub assignments: List<Assignment>,
    pub filter: Option<ExprId>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Insert {
    pub with: With,
    /// INSERT OR ..; REPLACE is `Some(Replace)`.
    pub or: Option<ConflictAction>,
    pub table: QualifiedName,
    pub alias: Option<NameId>,
    pub columns: List<NameId>,
    pub source: InsertSource,
    pub upserts: List<Upsert>,
    pub returning: List<ResultColumn>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Update {
    pub with: With,
    pub or: Option<ConflictAction>,
    pub table: QualifiedName,
    pub alias: Option<NameId>,
    pub indexed: Option<IndexedBy>,
    pub assignments: List<Assignment>,
    pub from: List<FromItem>,
    pub filter: Option<ExprId>,
    pub returning: List<ResultColumn>,
    pub order_by: List<OrderTerm>,
    pub limit: Option<ExprId>,
    pub offset: Option<ExprId>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Delete {
    pub with: With,
    pub table: QualifiedName,
    pub alias: Option<NameId>,
    pub indexed: Option<IndexedBy>,
    pub filter: Option<ExprId>,
    pub returning: List<ResultColumn>,
    pub order_by: List<OrderTerm>,
    pub limit: Option<ExprId>,
    pub offset: Option<ExprId>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateTable {
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub body: TableBody,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TableBody {
    Columns {
        columns: List<ColumnDefinition>,
        constraints: List<TableConstraint>,
        without_rowid: bool,
        strict: bool,
        /// What its clause about SYSTEM VERSIONING says, and where that is.
        versioning: Option<VersioningClause>,
        /// Where the list of columns ends.
        end: Span,
    },
    Select(SelectId),
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ColumnDefinition {
    pub name: NameId,
    /// The type as written, e.g. `VARCHAR(255)`; its whitespace normalised to single spaces.
    pub type_name: Option<NameId>,
    pub constraints: List<ColumnConstraint>,
    pub span: Span,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ColumnConstraint {
    pub name: Option<NameId>,
    pub kind: ColumnConstraintKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ColumnConstraintKind {
    PrimaryKey {
        descending: bool,
        conflict: Option<ConflictAction>,
        autoincrement: bool,
    },
    NotNull {
        conflict: Option<ConflictAction>,
    },
    /// A bare NULL, which says nothing.
    Null,
    Unique {
        conflict: Option<ConflictAction>,
    },
    Check(ExprId),
    Default(ExprId),
    Collate(NameId),
    References(ForeignKeyClause),
    Generated {
        expr: ExprId,
        stored: bool,
    },
    /// Where two branches changed it, a merge adds up by how much.
    MergeAdd,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TableConstraint {
    pub name: Option<NameId>,
    pub kind: TableConstraintKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TableConstraintKind {
    PrimaryKey { columns: List<OrderTerm>, conflict: Option<ConflictAction>, autoincrement: bool },
    Unique { columns: List<OrderTerm>, conflict: Option<ConflictAction> },
    Check(ExprId),
    ForeignKey { columns: List<NameId>, clause: ForeignKeyClause },
}

/// `REFERENCES table[(columns)] [ON DELETE ..] [ON UPDATE ..] [DEFERRABLE ..]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ForeignKeyClause {
    pub table: NameId,
    pub columns: List<NameId>,
    pub on_delete: ForeignKeyAction,
    pub on_update: ForeignKeyAction,
    /// DEFERRABLE INITIALLY DEFERRED.
    pub deferred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum ForeignKeyAction {
    #[default]
    NoAction,
    Restrict,
    SetNull,
    SetDefault,
    Cascade,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateIndex {
    pub unique: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub table: NameId,
    pub columns: List<OrderTerm>,
    pub filter: Option<ExprId>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateView {
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub columns: List<NameId>,
    pub select: SelectId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TriggerTime {
    Before,
    After,
    InsteadOf,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum TriggerEvent {
    Insert,
    Delete,
    /// With the columns of UPDATE OF; empty: any.
    Update(List<NameId>),
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateTrigger {
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub time: TriggerTime,
    pub event: TriggerEvent,
    pub table: QualifiedName,
    pub when: Option<ExprId>,
    /// INSERT, UPDATE, DELETE and SELECT statements.
    pub body: List<Statement>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum AlterAction {
    RenameTable(NameId),
    AddColumn(Id<ColumnDefinition>),
    RenameColumn {
        from: NameId,
        to: NameId,
    },
    DropColumn(NameId),
    /// `SET WITH | WITHOUT SYSTEM VERSIONING ..`, and its clause.
    SetVersioning(Versioning, Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SchemaObject {
    Table,
    Index,
    View,
    Trigger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BeginMode {
    Deferred,
    Immediate,
    Exclusive,
    /// BEGIN CONCURRENT: optimistic.
    Concurrent,
    /// BEGIN READ ONLY: refuses to write; the only one that can be of the past.
    ReadOnly,
}

/// One statement.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Statement {
    Select(SelectId),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    CreateTable(CreateTable),
    CreateIndex(CreateIndex),
    CreateView(CreateView),
    CreateTrigger(CreateTrigger),
    AlterTable {
        table: QualifiedName,
        action: AlterAction,
    },
    Drop {
        object: SchemaObject,
        if_exists: bool,
        name: QualifiedName,
    },
    /// With the point that it reads as of.
    Begin(BeginMode, Option<AsOf>),
    Commit,
    /// ROLLBACK [TO savepoint]
    Rollback(Option<NameId>),
    Savepoint(NameId),
    Release(NameId),
    /// PRAGMA name [= value | (value)]: the value is a literal, a signed number, or a name as text.
    Pragma {
        name: QualifiedName,
        value: Option<Value>,
    },
    Explain {
        query_plan: bool,
        statement: Id<Statement>,
    },
    Analyze(Option<QualifiedName>),
    Reindex(Option<QualifiedName>),
    Vacuum,
    Time(TimeStatement),
    /// About branches.
    Branch(BranchStatement),
}

/// One parsed statement: its nodes and its root.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Parsed {
    pub ast: Ast,
    pub statement: Statement,
    /// The bytes of the statement, without leading blanks and comments and without the `;`.
    pub span: Span,
}
