//! The plan of a query: what the binder and the planner make and the executor runs.
//!
//! ```text
//! Query ── root ──▶ Node (Scan, Join, Aggregate, ..)     a tree of operators that pull batches of rows
//!   └── outputs ──▶ Expr over registers
//! ```
//!
//! A query has one flat set of **registers**. Every value that flows between its operators has a register of its own: a
//! column of a table reference, a computed expression, an aggregate's result. An operator says which registers it fills;
//! what its inputs filled stays readable above it. So an expression means the same wherever in the tree it stands, and
//! moving a predicate down or swapping a join rewrites nothing. A register that an operator's input does not fill is
//! bound by the left row of an enclosing [`Join`] that runs its right side once for every left row.
//!
//! A nested query (a subquery in an expression, a materialised CTE, a trigger's statement) is a [`Query`] with registers of its
//! own; what it reads of its surroundings is handed in as `arguments` and read with [`Expr::Outer`].

use std::sync::Arc;

use dosql_base::Timestamp;

use crate::catalog::schema::{Index, Table};
use crate::func::{AggKind, Function, JsonArgs, WindowKind};
pub mod choose;
mod describe;
pub mod explain;
mod expr;
mod node;
mod prune;
mod same;

pub use crate::parse::ast::{FrameExclude, FrameUnit, RaiseAction};
use crate::storage::{ReadPoint, StateTable};
use crate::value::{Affinity, Collation, Text, Value, format_instant};

/// A register: an index into the row frame of its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(pub u32);

/// A whole query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The operators.
    pub root: Node,
    /// The result columns, evaluated over what the root fills.
    pub outputs: Vec<Expr>,
    /// What the result columns are called, and what they are.
    pub columns: Vec<OutputColumn>,
    /// How many registers there are.
    pub registers: u32,
    /// How many arguments it reads with [`Expr::Outer`].
    pub arguments: u32,
    /// How many parameters the statement has.
    pub parameters: u32,
}

/// A result column.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Its name, by SQLite's rules.
    pub name: Text,
    /// The declared type, where it comes straight from a table's column.
    pub declared_type: Option<Text>,
    /// The affinity that a comparison or a CREATE TABLE AS sees.
    pub affinity: Affinity,
    /// The collation that a comparison sees.
    pub collation: Collation,
    /// The table and column it comes straight from.
    pub origin: Option<(Text, Text)>,
    /// Whether it can be NULL, as far as is known.
    pub nullable: bool,
}

// ---------------------------------------------------------------- expressions

/// A bound expression. Fields are named after their part in the SQL syntax.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Expr {
    /// A constant.
    Literal(Value),
    /// A parameter of the statement, counted from 0. Unbound parameters are NULL.
    Parameter(u32),
    /// The value of a register.
    Register(Register),
    /// The n-th argument of the query: a value of the row around it.
    Outer(u32),
    /// CURRENT_TIMESTAMP and its like, as text; fixed for the statement.
    CurrentTime(crate::parse::ast::CurrentTime),
    /// Applies an affinity as storing does.
    Affinity { affinity: Affinity, operand: Box<Expr> },
    /// CAST to the affinity of a type.
    Cast { to: Affinity, operand: Box<Expr> },
    /// `-x`, `+x` is its operand, `~x`.
    Negate(Box<Expr>),
    /// `~x`
    BitNot(Box<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// Three-valued AND; the right side is evaluated only where the left is not false.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued OR; the right side is evaluated only where the left is not true.
    Or(Box<Expr>, Box<Expr>),
    /// `+ - * / % & | << >> ||`
    Arithmetic { op: ArithmeticOp, left: Box<Expr>, right: Box<Expr> },
    /// `= <> < <= > >=`, IS and IS NOT.
    Compare { op: CompareOp, rule: Comparison, left: Box<Expr>, right: Box<Expr> },
    /// Row values, compared member by member.
    CompareRows { op: CompareOp, rules: Vec<Comparison>, left: Vec<Expr>, right: Vec<Expr> },
    /// `x IS [NOT] NULL`
    IsNull { not: bool, operand: Box<Expr> },
    /// `x [NOT] BETWEEN low AND high`; x is evaluated once.
    Between {
        not: bool,
        operand: Box<Expr>,
        low: Box<Expr>,
        low_rule: Comparison,
        high: Box<Expr>,
        high_rule: Comparison,
    },
    /// `x [NOT] IN (a, b, ..)`; one rule for all members, as SQLite has it.
    InList { not: bool, operand: Box<Expr>, rule: Comparison, list: Vec<Expr> },
    /// `(x, ..) [NOT] IN (SELECT ..)`; also `x IN table`.
    InQuery { not: bool, operands: Vec<Expr>, rules: Vec<Comparison>, query: Subquery },
    /// `[NOT] EXISTS (SELECT ..)`
    Exists { not: bool, query: Subquery },
    /// A column of the first row of a query, NULL where it has none.
    Scalar { query: Subquery, column: u32 },
    /// CASE.
    Case { operand: Option<Box<Expr>>, whens: Vec<(Expr, Comparison, Expr)>, otherwise: Option<Box<Expr>> },
    /// `x [NOT] LIKE | GLOB pattern [ESCAPE e]`.
    Like { kind: LikeKind, not: bool, operand: Box<Expr>, pattern: Box<Expr>, escape: Option<Box<Expr>> },
    /// A scalar function. `collation` is what min, max, nullif and their like compare with; `json` says which
    /// arguments are JSON rather than text.
    Function { function: &'static Function, arguments: Vec<Expr>, collation: Collation, json: JsonArgs },
    /// RAISE() in a trigger.
    Raise { action: RaiseAction, message: Option<Box<Expr>> },
}

/// Which pattern language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikeKind {
    /// LIKE: ASCII letters match in either case.
    Like,
    /// LIKE under `PRAGMA case_sensitive_like`.
    CaseSensitive,
    /// GLOB.
    Glob,
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    BitAnd,
    BitOr,
    ShiftLeft,
    ShiftRight,
    Concat,
}

/// A comparison operator. `Is` and `IsNot` never give NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Is,
    IsNot,
}

/// How two values are compared (<https://www.sqlite.org/datatype3.html>, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Applied to the left value first.
    pub left: Option<Affinity>,
    /// Applied to the right value first.
    pub right: Option<Affinity>,
    /// For text.
    pub collation: Collation,
}

/// A nested query and what it reads of the row around it.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// The query.
    pub query: Arc<Query>,
    /// Evaluated in the surrounding row; the query reads them with [`Expr::Outer`]. Where there are none and nothing in
    /// the query is volatile, it runs once a statement.
    pub arguments: Vec<Expr>,
    /// Unique in the statement: where the executor keeps its result.
    pub id: u32,
}

// ---------------------------------------------------------------- operators

/// An operator. `registers` and `columns` say what it fills; the rest is named after its part in the SQL syntax.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Node {
    /// One row without columns: a SELECT without FROM.
    OneRow,
    /// No rows: what a predicate that is never true leaves.
    Nothing,
    /// Rows of a table.
    Scan(Scan),
    /// VALUES.
    Values { rows: Vec<Vec<Expr>>, registers: Vec<Register> },
    /// Rows that a function makes.
    TableFunction { function: TableFunction, arguments: Vec<Expr>, columns: Vec<(usize, Register)> },
    /// Versions of a table's rows.
    Versions(Box<VersionScan>),
    /// Rows of a nested query: a view or FROM-subquery that could not be merged, a CTE. Runs when opened; with a
    /// `shared` id the rows are kept and every node of that id reads them.
    Nested { query: Subquery, columns: Vec<(usize, Register)>, shared: Option<u32> },
    /// Rows for which the predicate is true.
    Filter { input: Box<Node>, predicate: Expr },
    /// Fills registers from expressions, in order: a later one may read an earlier.
    Compute { input: Box<Node>, columns: Vec<(Register, Expr)> },
    /// Two inputs.
    Join(Box<Join>),
    /// Groups.
    Aggregate(Box<Aggregate>),
    /// Window functions over one window.
    Window(Box<Window>),
    /// Sorted, stably. With a `limit` (LIMIT, OFFSET) only the first LIMIT + OFFSET rows are kept; a [`Node::Limit`] above
    /// still drops the first OFFSET of them.
    Sort { input: Box<Node>, keys: Vec<SortKey>, limit: Option<Box<(Option<Expr>, Option<Expr>)>> },
    /// LIMIT and OFFSET. A negative limit is none.
    Limit { input: Box<Node>, limit: Option<Expr>, offset: Option<Expr> },
    /// Each combination of the registers once; the first row of each stays.
    Distinct { input: Box<Node>, keys: Vec<(Register, Collation)> },
    /// UNION, UNION ALL, INTERSECT, EXCEPT: both sides' outputs into the same registers.
    Compound(Box<Compound>),
    /// A recursive CTE: runs `seed`, then `step` over what the last turn added, until nothing is added.
    Recursive(Box<Recursive>),
    /// The rows that the last turn of the recursive CTE of this id added (one row at a time, as SQLite's queue gives them).
    WorkingTable { id: u32, columns: Vec<(usize, Register)> },
}

/// A scan of one table.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The table.
    pub table: Arc<Table>,
    /// What the statement calls it, for EXPLAIN.
    pub alias: Text,
    /// When.
    pub point: ReadPoint,
    /// What is read, and where to.
    pub columns: Vec<(ColumnSource, Register)>,
    /// Which rows are looked at, and in which order.
    pub access: Access,
    /// Which of them count.
    pub filter: Option<Expr>,
    /// From the greatest key down.
    pub backward: bool,
}

/// A scan of the versions of a table's rows.
#[derive(Clone, Debug)]
pub struct VersionScan {
    /// The table, in whose columns they are shown.
    pub table: Arc<Table>,
    /// Which versions.
    pub part: VersionPart,
    /// Of which rows: of all, or of those within bounds of the table's own key.
    pub access: Access,
    /// What is read. Of versions: the columns of the table, then [`PeriodColumn::ALL`], then the rowid. Of a difference: what
    /// kind it is, the columns before, the columns after.
    pub columns: Vec<(usize, Register)>,
}

impl VersionScan {
    /// What stands at a position among the columns of versions.
    #[must_use]
    pub fn source(table: &Table, position: usize) -> ColumnSource {
        match position.checked_sub(table.columns.len()) {
            None => ColumnSource::Column(position),
            Some(at) => PeriodColumn::ALL.get(at).map_or(ColumnSource::Rowid, |it| ColumnSource::Period(*it)),
        }
    }

    /// The position of a column among those of versions.
    #[must_use]
    pub fn position(table: &Table, column: ColumnSource) -> usize {
        match column {
            ColumnSource::Column(column) => column,
            ColumnSource::Period(column) => table.columns.len() + column as usize,
            ColumnSource::Rowid => table.columns.len() + PeriodColumn::ALL.len(),
        }
    }
}

/// Which versions of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum VersionPart {
    /// Those that began at or before `to` and ended after `from`.
    Versions { from: Timestamp, to: Timestamp },
    /// For each row that differs from `from` to `to`, how.
    Diff { from: Timestamp, to: Timestamp },
}

/// A column that says from when until when a row was, or is, as it is. Not among the columns of the table, and not in `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PeriodColumn {
    RowStart,
    RowEnd,
    RowStartLsn,
    RowEndLsn,
}

impl PeriodColumn {
    /// All of them.
    pub const ALL: [PeriodColumn; 4] =
        [PeriodColumn::RowStart, PeriodColumn::RowEnd, PeriodColumn::RowStartLsn, PeriodColumn::RowEndLsn];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PeriodColumn::RowStart => "ROW_START",
            PeriodColumn::RowEnd => "ROW_END",
            PeriodColumn::RowStartLsn => "ROW_START_LSN",
            PeriodColumn::RowEndLsn => "ROW_END_LSN",
        }
    }

    /// Whether it is ISO text, rather than the number of a commit.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, PeriodColumn::RowStart | PeriodColumn::RowEnd)
    }

    /// What it holds for a row of this lifetime; `None`: one that is not committed yet.
    #[must_use]
    pub fn value(self, lifetime: Option<(Timestamp, Timestamp)>) -> Value {
        let end = lifetime.map_or(Timestamp::MAX, |(_, end)| end);
        let moment = match self {
            PeriodColumn::RowStart | PeriodColumn::RowStartLsn => lifetime.map(|(start, _)| start),
            PeriodColumn::RowEnd | PeriodColumn::RowEndLsn => Some(end),
        };
        match moment {
            None => Value::Null,
            Some(moment) if self.is_text() => Value::Text(Text::from(format_instant(moment))),
            Some(moment) => Value::Integer(i64::try_from(moment.as_micros()).unwrap_or(i64::MAX)),
        }
    }
}

/// What a scan reads of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnSource {
    /// A column by position.
    Column(usize),
    /// The rowid.
    Rowid,
    /// From when until when the row is as it is.
    Period(PeriodColumn),
}

/// How a scan finds its rows.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Access {
    /// All of the table in key order.
    Full,
    /// A range of the table's own key (rowid or WITHOUT ROWID primary key).
    Primary(KeyBounds),
    /// A range of an index. `covering`: every column read can be had from the index entry.
    Index { index: Arc<Index>, bounds: KeyBounds, covering: bool },
    /// The union of several accesses, each row once.
    Union(Vec<Access>),
}

/// A range of keys: some leading parts equal, then perhaps a range on the next. Lower and upper are in the order of values,
/// also where the part is kept descending. A bound that is NULL finds nothing.
#[derive(Clone, Debug, Default)]
pub struct KeyBounds {
    /// Values of the leading parts.
    pub equal: Vec<KeyTerm>,
    /// The lower end on the next part; the flag says whether it belongs to the range.
    pub lower: Option<(Bound, bool)>,
    /// The upper end.
    pub upper: Option<(Bound, bool)>,
}

/// One bound value: the expression with the affinity of the indexed column applied to it. NULL finds nothing.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Evaluated once when the scan opens (it may read registers of an enclosing join's left row).
    pub expr: Expr,
    /// Applied before the lookup.
    pub affinity: Option<Affinity>,
}

/// The values that a leading part may have.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum KeyTerm {
    /// One value.
    Equal(Bound),
    /// IS: as `Equal`, but NULL finds NULLs.
    Is(Bound),
    /// Any of these; looked up in key order, each once.
    In(Vec<Bound>),
    /// Any of a query's first column.
    InQuery { query: Subquery, affinity: Option<Affinity> },
}

/// A function that makes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TableFunction {
    /// Columns: key, value, type, atom, id, parent, fullkey, path, json (hidden), root (hidden).
    JsonEach,
    JsonTree,
    /// Columns: value, start, stop, step (the last three hidden).
    GenerateSeries,
    /// `pragma_name(arg)`: the index into [`crate::catalog::pragma::TABLE_PRAGMAS`].
    Pragma(usize),
    /// `sqlite_schema`: type, name, tbl_name, rootpage, sql.
    Schema,
    /// `dosql_tags`, `dosql_pins`, `dosql_feeds`, `dosql_segments`, `dosql_storage`.
    State(StateTable),
    /// `dosql_log[(since)]`: lsn, time, tables, inserted, updated, deleted, schema_changed.
    Log,
}

/// How two inputs are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows that have a match, once.
    Semi,
    /// Left rows that have none.
    Anti,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// What happens to rows without a match.
    pub kind: JoinKind,
    /// The left input.
    pub left: Node,
    /// The right input.
    pub right: Node,
    /// How matches are found.
    pub method: JoinMethod,
    /// What must hold besides the keys for two rows to match (the rest of ON).
    pub condition: Option<Expr>,
    /// The registers that the left side fills: NULL in unmatched rows of a right or full join.
    pub left_registers: Vec<Register>,
    /// The registers that the right side fills: NULL in unmatched rows of a left or full join.
    pub right_registers: Vec<Register>,
}

/// How a join finds matches.
#[derive(Clone, Debug)]
pub enum JoinMethod {
    /// The right side runs anew for every left row, whose registers it may read (an index lookup, usually).
    Loop,
    /// The right side is read once into a hash table by its keys. Right and full joins always use this or `Cross`.
    Hash(Vec<HashKey>),
    /// The right side is read once and kept; every pair is tried.
    Cross,
}

/// A pair of expressions that are equal in matching rows. NULL matches nothing.
#[derive(Clone, Debug)]
pub struct HashKey {
    /// Over the left side.
    pub left: Expr,
    /// Over the right side.
    pub right: Expr,
    /// How they compare.
    pub rule: Comparison,
}

/// Groups and aggregates. What is readable above it is what it fills, and nothing of its input. A key or a bare column that is
/// a plain register of the input goes into the same register, so that expressions above read it where they read it below.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The rows.
    pub input: Node,
    /// What rows of a group agree on; none: one group of all rows, even of no rows.
    pub keys: Vec<GroupKey>,
    /// What is computed of each group.
    pub calls: Vec<AggregateCall>,
    /// Bare columns: taken from one row of the group.
    pub bare: Vec<(Register, Expr)>,
    /// The min() or max() whose row the bare columns come from; else the first row of the group that was read.
    pub bare_from: Option<usize>,
    /// The input comes ordered by the keys.
    pub sorted: bool,
}

/// A GROUP BY term.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct GroupKey {
    pub expr: Expr,
    pub collation: Collation,
    pub output: Register,
}

/// An aggregate function's call.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// Which.
    pub kind: AggKind,
    /// Its arguments; none for count(*).
    pub arguments: Vec<Expr>,
    /// Each combination of arguments once.
    pub distinct: bool,
    /// FILTER.
    pub filter: Option<Expr>,
    /// ORDER BY inside the call.
    pub order_by: Vec<SortKey>,
    /// For min, max and DISTINCT.
    pub collation: Collation,
    /// Which arguments are JSON rather than text.
    pub json: JsonArgs,
    /// Where its result goes.
    pub output: Register,
}

/// Window functions that share a window.
#[derive(Clone, Debug)]
pub struct Window {
    /// The rows.
    pub input: Node,
    /// PARTITION BY.
    pub partition_by: Vec<(Expr, Collation)>,
    /// ORDER BY.
    pub order_by: Vec<SortKey>,
    /// The functions.
    pub calls: Vec<WindowCall>,
}

/// A window function's call.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// Which.
    pub function: WindowFunction,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// FILTER.
    pub filter: Option<Expr>,
    /// The frame.
    pub frame: Frame,
    /// For min and max.
    pub collation: Collation,
    /// Which arguments are JSON rather than text.
    pub json: JsonArgs,
    /// Where its result goes.
    pub output: Register,
}

/// What runs over a window.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum WindowFunction {
    Aggregate(AggKind),
    Ranking(WindowKind),
}

/// A window frame.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Frame {
    pub unit: FrameUnit,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclude: FrameExclude,
}

/// An end of a window frame.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

/// A key to sort by.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SortKey {
    pub expr: Expr,
    pub collation: Collation,
    pub descending: bool,
    pub nulls_first: bool,
}

/// What a compound does with its sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompoundKind {
    UnionAll,
    Union,
    Intersect,
    Except,
}

/// A compound of two sides.
#[derive(Clone, Debug)]
pub struct Compound {
    /// What it does.
    pub kind: CompoundKind,
    /// The left side and its columns.
    pub left: (Node, Vec<Expr>),
    /// The right side and its columns.
    pub right: (Node, Vec<Expr>),
    /// Where the columns go, and how duplicates are told.
    pub columns: Vec<(Register, Collation)>,
}

/// A recursive CTE.
#[derive(Clone, Debug)]
pub struct Recursive {
    /// Ties it to its [`Node::WorkingTable`]s.
    pub id: u32,
    /// The rows it starts with.
    pub seed: (Node, Vec<Expr>),
    /// The rows that follow from a row of the working table; one member for each recursive SELECT.
    pub steps: Vec<(Node, Vec<Expr>)>,
    /// UNION rather than UNION ALL: a row that was there already is dropped.
    pub distinct: bool,
    /// ORDER BY of the queue, by column position: smallest first; empty: first in, first out.
    pub order_by: Vec<(usize, SortKey)>,
    /// LIMIT and OFFSET of the whole.
    pub limit: Option<Expr>,
    /// See `limit`.
    pub offset: Option<Expr>,
    /// Where the columns go, and how duplicates are told.
    pub columns: Vec<(Register, Collation)>,
}
