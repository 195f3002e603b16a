//! The syntax tree: nodes in pools, addressed by small ids, each with the bytes of the text that it came from.
//!
//! ```text
//! Statement ──ids──▶ Ast { exprs, selects, names, … }     one Vec a kind of node; a List is a run of a pool
//! ```
//!
//! Nothing is boxed, so dropping a tree needs no recursion and a parser that is reused allocates nothing. The tree says
//! what was written and no more: names are not resolved, types not known.

use std::marker::PhantomData;
use std::ops::Index;

use crate::value::{Text, Value};

/// The bytes `start..end` of the SQL text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }

    /// The text it spans.
    #[must_use]
    pub fn of(self, sql: &str) -> &str {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The id of a node in the pool of its kind.
pub struct Id<T>(pub(crate) u32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    pub(crate) fn new(index: usize) -> Self {
        Id(u32::try_from(index).expect("a statement is shorter than 4 GiB"), PhantomData)
    }
}

/// A run of nodes in the pool of their kind.
pub struct List<T> {
    pub(crate) start: u32,
    pub(crate) len: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> List<T> {
    /// No nodes.
    pub const EMPTY: List<T> = List { start: 0, len: 0, kind: PhantomData };

    pub(crate) fn new(start: usize, len: usize) -> Self {
        List { start: Id::<T>::new(start).0, len: Id::<T>::new(len).0, kind: PhantomData }
    }

    /// How many nodes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

macro_rules! copy_id {
    ($($kind:ident),*) => {$(
        impl<T> Clone for $kind<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $kind<T> {}
        impl<T> std::fmt::Debug for $kind<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($kind), "{}"), self.0)
            }
        }
        impl<T> PartialEq for $kind<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
    )*};
}
copy_id!(Id);

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<T> {}
impl<T> Default for List<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}
impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List{}+{}", self.start, self.len)
    }
}

/// The id of an expression.
pub type ExprId = Id<Expr>;
/// The id of a SELECT.
pub type SelectId = Id<Select>;
/// The id of a name.
pub type NameId = Id<Name>;

macro_rules! pools {
    ($($pool:ident: $kind:ty),* $(,)?) => {
        /// The pools of one statement's nodes; `ast[id]` and `ast.list(list)` read them.
        #[derive(Clone, Debug, Default)]
        #[allow(missing_docs)]
        pub struct Ast {
            $(pub(crate) $pool: Vec<$kind>,)*
            /// The height of each expression's tree, while it is parsed.
            pub(crate) heights: Vec<u16>,
            pending: Pending,
            /// The parameters in order of their numbers: `None` for `?` and `?7`, else the name with its sign.
            pub parameters: Vec<Option<Text>>,
        }

        /// The members of lists that are not closed yet: a stack a kind, since lists nest.
        #[derive(Clone, Debug, Default)]
        struct Pending {
            $($pool: Vec<$kind>,)*
        }

        impl Ast {
            /// Forgets all nodes and keeps the memory.
            pub fn clear(&mut self) {
                $(self.$pool.clear(); self.pending.$pool.clear();)*
                self.heights.clear();
                self.parameters.clear();
            }
        }

        $(
            impl Index<Id<$kind>> for Ast {
                type Output = $kind;
                fn index(&self, id: Id<$kind>) -> &$kind {
                    &self.$pool[id.0 as usize]
                }
            }
            impl Pool<$kind> for Ast {
                fn pool(&self) -> &Vec<$kind> {
                    &self.$pool
                }
                fn pool_mut(&mut self) -> &mut Vec<$kind> {
                    &mut self.$pool
                }
                fn pool_and_pending(&mut self) -> (&mut Vec<$kind>, &mut Vec<$kind>) {
                    (&mut self.$pool, &mut self.pending.$pool)
                }
            }
        )*
    };
}

/// The pool of one kind of node.
pub trait Pool<T> {
    /// All nodes of the kind.
    fn pool(&self) -> &Vec<T>;
    /// The same, to add to.
    fn pool_mut(&mut self) -> &mut Vec<T>;
    /// The pool, and the members of lists that are still open.
    fn pool_and_pending(&mut self) -> (&mut Vec<T>, &mut Vec<T>);
}

pools! {
    exprs: Expr,
    expr_ids: ExprId,
    names: Name,
    name_ids: NameId,
    selects: Select,
    select_cores: SelectCore,
    result_columns: ResultColumn,
    from_items: FromItem,
    order_terms: OrderTerm,
    ctes: Cte,
    window_definitions: WindowDefinition,
    when_clauses: WhenClause,
    assignments: Assignment,
    upserts: Upsert,
    value_rows: List<ExprId>,
    column_definitions: ColumnDefinition,
    column_constraints: ColumnConstraint,
    table_constraints: TableConstraint,
    statements: Statement,
}

impl Ast {
    /// The nodes of `list`.
    #[must_use]
    pub fn list<T>(&self, list: List<T>) -> &[T]
    where
        Ast: Pool<T>,
    {
        &Pool::<T>::pool(self)[list.start as usize..(list.start + list.len) as usize]
    }

    /// Adds a node.
    pub fn add<T>(&mut self, node: T) -> Id<T>
    where
        Ast: Pool<T>,
    {
        let pool = Pool::<T>::pool_mut(self);
        pool.push(node);
        Id::new(pool.len() - 1)
    }

    /// Adds a run of nodes.
    pub fn add_list<T>(&mut self, nodes: impl IntoIterator<Item = T>) -> List<T>
    where
        Ast: Pool<T>,
    {
        let pool = Pool::<T>::pool_mut(self);
        let start = pool.len();
        pool.extend(nodes);
        List::new(start, pool.len() - start)
    }

    /// Opens a list whose members come one by one, with other nodes of the kind among them.
    pub(crate) fn open_list<T>(&mut self) -> usize
    where
        Ast: Pool<T>,
    {
        Pool::<T>::pool_and_pending(self).1.len()
    }

    /// Adds a member to the innermost open list.
    pub(crate) fn push<T>(&mut self, node: T)
    where
        Ast: Pool<T>,
    {
        Pool::<T>::pool_and_pending(self).1.push(node);
    }

    /// Closes the innermost list, which [`Ast::open_list`] opened at `start`.
    pub(crate) fn close_list<T>(&mut self, start: usize) -> List<T>
    where
        Ast: Pool<T>,
    {
        let (pool, pending) = Pool::<T>::pool_and_pending(self);
        let first = pool.len();
        pool.extend(pending.drain(start..));
        List::new(first, pool.len() - first)
    }

    /// The text of a name, quotes removed.
    #[must_use]
    pub fn text(&self, name: NameId) -> &str {
        &self[name].text
    }
}

/// A name as it was written, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Name {
    pub text: Text,
    /// Written in double quotes, square brackets or backticks (or, where SQLite allows it, as a string).
    pub quoted: bool,
    pub span: Span,
}

/// `[schema.]name`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct QualifiedName {
    pub schema: Option<NameId>,
    pub name: NameId,
}

// ---------------------------------------------------------------- expressions

/// An expression and where it stands.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// What an expression is. Parentheses around one expression leave no trace but the span.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ExprKind {
    /// NULL, numbers, strings, blobs; TRUE and FALSE where no column has that name are [`ExprKind::Column`]s that the
    /// binder turns into 1 and 0, as SQLite does.
    Literal(Value),
    /// CURRENT_TIME, CURRENT_DATE, CURRENT_TIMESTAMP.
    CurrentTime(CurrentTime),
    /// The index into [`Ast::parameters`] (parameter number minus 1).
    Parameter(u32),
    Column {
        schema: Option<NameId>,
        table: Option<NameId>,
        column: NameId,
    },
    Unary {
        op: UnaryOp,
        operand: ExprId,
    },
    Binary {
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
    },
    /// `operand [NOT] LIKE pattern [ESCAPE escape]`, and GLOB, MATCH, REGEXP.
    Like {
        op: LikeOp,
        not: bool,
        operand: ExprId,
        pattern: ExprId,
        escape: Option<ExprId>,
    },
    /// `operand IS [NOT] NULL`, ISNULL, NOTNULL.
    IsNull {
        not: bool,
        operand: ExprId,
    },
    Between {
        not: bool,
        operand: ExprId,
        low: ExprId,
        high: ExprId,
    },
    In {
        not: bool,
        operand: ExprId,
        set: InSet,
    },
    Exists {
        not: bool,
        select: SelectId,
    },
    Subquery(SelectId),
    Case {
        operand: Option<ExprId>,
        whens: List<WhenClause>,
        otherwise: Option<ExprId>,
    },
    Cast {
        operand: ExprId,
        type_name: NameId,
    },
    Collate {
        operand: ExprId,
        collation: NameId,
    },
    Function(FunctionCall),
    /// `(a, b, ..)` with two or more members.
    Row(List<ExprId>),
    /// RAISE(IGNORE | ROLLBACK | ABORT | FAIL, message), inside triggers.
    Raise {
        action: RaiseAction,
        message: Option<ExprId>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CurrentTime {
    Time,
    Date,
    Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Negate,
    Plus,
    Not,
    BitNot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// IS, IS NOT DISTINCT FROM
    Is,
    /// IS NOT, IS DISTINCT FROM
    IsNot,
    BitAnd,
    BitOr,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concat,
    /// `->`
    JsonExtract,
    /// `->>`
    JsonExtractText,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LikeOp {
    Like,
    Glob,
    Match,
    Regexp,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum InSet {
    List(List<ExprId>),
    Select(SelectId),
    /// `x IN t` and `x IN f(..)`.
    Table {
        name: QualifiedName,
        arguments: Option<List<ExprId>>,
    },
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct WhenClause {
    pub when: ExprId,
    pub then: ExprId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RaiseAction {
    Ignore,
    Rollback,
    Abort,
    Fail,
}

/// `name([DISTINCT] arguments [ORDER BY ..]) [FILTER (WHERE ..)] [OVER ..]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FunctionCall {
    pub name: NameId,
    pub distinct: bool,
    /// `f(*)`
    pub star: bool,
    pub arguments: List<ExprId>,
    pub order_by: List<OrderTerm>,
    pub filter: Option<ExprId>,
    pub over: Option<Over>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Over {
    Name(NameId),
    Definition(Id<WindowDefinition>),
}

/// `[name AS] ([base] [PARTITION BY ..] [ORDER BY ..] [frame])`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct WindowDefinition {
    pub name: Option<NameId>,
    pub base: Option<NameId>,
    pub partition_by: List<ExprId>,
    pub order_by: List<OrderTerm>,
    pub frame: Option<Frame>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Frame {
    pub unit: FrameUnit,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclude: FrameExclude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(ExprId),
    CurrentRow,
    Following(ExprId),
    UnboundedFollowing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameExclude {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

/// `expr [ASC | DESC] [NULLS FIRST | LAST]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct OrderTerm {
    pub expr: ExprId,
    pub descending: bool,
    /// `None`: SQLite's rule (NULLs are the smallest).
    pub nulls_first: Option<bool>,
}

// ---------------------------------------------------------------- SELECT

/// `[WITH ..] core [UNION core ..] [ORDER BY ..] [LIMIT ..]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Select {
    pub with: With,
    /// The first, then one for each compound operator.
    pub cores: List<SelectCore>,
    pub order_by: List<OrderTerm>,
    pub limit: Option<ExprId>,
    pub offset: Option<ExprId>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct With {
    pub recursive: bool,
    pub ctes: List<Cte>,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Cte {
    pub name: NameId,
    pub columns: List<NameId>,
    /// `AS MATERIALIZED`: true, `AS NOT MATERIALIZED`: false.
    pub materialized: Option<bool>,
    pub select: SelectId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompoundOp {
    Union,
    UnionAll,
    Intersect,
    Except,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SelectCore {
    /// How it joins those before it; `None` in the first.
    pub compound: Option<CompoundOp>,
    pub body: SelectBody,
    pub span: Span,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum SelectBody {
    Values(List<List<ExprId>>),
    Query {
        distinct: bool,
        columns: List<ResultColumn>,
        /// Joined left to right; the first one's [`FromItem::join`] says nothing.
        from: List<FromItem>,
        filter: Option<ExprId>,
        group_by: List<ExprId>,
        having: Option<ExprId>,
        windows: List<WindowDefinition>,
    },
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ResultColumn {
    Star,
    TableStar(NameId),
    Expr {
        expr: ExprId,
        /// Given with or without AS.
        alias: Option<NameId>,
    },
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FromItem {
    pub join: Join,
    pub source: FromSource,
    pub alias: Option<NameId>,
    pub constraint: JoinConstraint,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Join {
    pub kind: JoinKind,
    pub natural: bool,
    /// A comma rather than a JOIN word.
    pub comma: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JoinKind {
    Inner,
    Cross,
    Left,
    Right,
    Full,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum JoinConstraint {
    None,
    On(ExprId),
    Using(List<NameId>),
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FromSource {
    Table {
        name: QualifiedName,
        as_of: Option<AsOf>,
        indexed: Option<IndexedBy>,
    },
    TableFunction {
        name: QualifiedName,
        arguments: List<ExprId>,
    },
    Select(SelectId),
    /// `(a JOIN b ..)`
    Join(List<FromItem>),
}

/// `INDEXED BY i` or `NOT INDEXED`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum IndexedBy {
    Index(NameId),
    None,
}

/// `FOR SYSTEM_TIME AS OF [TIMESTAMP | LSN] expr`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct AsOf {
    pub unit: AsOfUnit,
    pub expr: ExprId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AsOfUnit {
    /// ISO text, or Unix milliseconds.
    Timestamp,
    /// The exact number of a commit: microseconds.
    Lsn,
}

// ---------------------------------------------------------------- statements

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
    RenameColumn { from: NameId, to: NameId },
    DropColumn(NameId),
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
    Begin(BeginMode),
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
