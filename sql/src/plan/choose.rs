//! From what a FROM and WHERE say to how it is done: which access to each table, which order and method of joining,
//! where each predicate is tested, whether the rows come in the wanted order. Pure: no I/O, no state.

use std::sync::Arc;

use super::{ColumnSource, Expr, JoinKind, Node, Register, SortKey};
use crate::catalog::schema::Table;
use crate::storage::Point;
use crate::value::Text;

/// A FROM with its WHERE.
#[derive(Clone, Debug, Default)]
pub struct FromBlock {
    /// Joined left to right, as written; parenthesised joins of inner kind are taken apart, others come as
    /// [`Source::Block`].
    pub relations: Vec<Relation>,
    /// The members of WHERE.
    pub filter: Vec<Expr>,
    /// The order in which the rows are wanted, where that would save a sort.
    pub wanted_order: Vec<SortKey>,
    /// So many rows will be read, if that is known and small.
    pub limit: Option<u64>,
}

/// One item of a FROM.
#[derive(Clone, Debug)]
pub struct Relation {
    /// What it is.
    pub source: Source,
    /// How it joins what stands before it.
    pub join: JoinKind,
    /// CROSS JOIN: the order as written is kept.
    pub keep_order: bool,
    /// The members of its ON (and of USING and NATURAL). Those of an inner join count as WHERE.
    pub on: Vec<Expr>,
}

/// What a FROM item is.
#[derive(Clone, Debug)]
pub enum Source {
    /// A table.
    Table(TableSource),
    /// Rows that are made elsewhere. A source that reads registers of relations before it (a table function with their
    /// columns as arguments) runs anew for each of their rows.
    Node {
        /// What makes them.
        node: Node,
        /// What it fills.
        registers: Vec<Register>,
        /// What EXPLAIN calls it.
        name: Text,
    },
    /// A parenthesised join.
    Block(Box<FromBlock>),
}

/// A table in a FROM.
#[derive(Clone, Debug)]
pub struct TableSource {
    /// The table.
    pub table: Arc<Table>,
    /// What the statement calls it.
    pub alias: Text,
    /// When.
    pub point: Point,
    /// INDEXED BY and NOT INDEXED.
    pub hint: IndexHint,
    /// The columns that anything in the query reads.
    pub columns: Vec<(ColumnSource, Register)>,
}

/// INDEXED BY and NOT INDEXED.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexHint {
    /// Neither.
    #[default]
    Free,
    /// The index of this lower-case name, or none at all.
    Use(Text),
    /// NOT INDEXED.
    None,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The operators.
    pub node: Node,
    /// The rows come in the wanted order.
    pub ordered: bool,
}

/// Plans a FROM and its WHERE: the operators whose rows are the joined relations that pass the filter.
#[must_use]
pub fn plan_from(block: FromBlock) -> Planned {
    super::joins::plan(block)
}
