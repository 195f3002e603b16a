//! Expressions.

use super::{ExprId, Id, List, NameId, QualifiedName, SelectId, Span};
use crate::value::Value;

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
    /// The index into [`parameters`](super::Ast::parameters) (parameter number minus 1).
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
