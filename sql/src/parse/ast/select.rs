//! SELECT and its clauses.

use super::{ExprId, List, NameId, OrderTerm, Period, QualifiedName, SelectId, Span, WindowDefinition};

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
        period: Option<Period>,
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
