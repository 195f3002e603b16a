//! From what a FROM and WHERE say to how it is done: which access to each table, which order and method of joining,
//! where each predicate is tested, whether the rows come in the wanted order. Pure: no I/O, no state.
//!
//! ```text
//! FromBlock ─ graph.rs ─▶ relations, conjuncts, who reads what
//!           ─ arguments.rs ─▶ arguments of table functions that stand in the WHERE
//!           ─ terms.rs ─▶ which conjuncts can be looked up in a key
//!           ─ access.rs ─▶ the cheapest access to a table, given what is bound already
//!           ─ order.rs ─▶ the order and methods of the joins
//!           ─ build.rs ─▶ Node
//! ```

mod access;
mod arguments;
mod build;
mod graph;
mod order;
mod terms;

use std::sync::Arc;

use dosql_base::Timestamp;

use super::{ColumnSource, Expr, JoinKind, Node, Register, SortKey};
use crate::catalog::schema::Table;
use crate::storage::ReadPoint;
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

impl Source {
    /// The registers that it fills.
    #[must_use]
    pub fn registers_filled(&self) -> Vec<Register> {
        match self {
            Source::Table(table) => table.columns.iter().map(|(_, register)| *register).collect(),
            Source::Node { registers, .. } => registers.clone(),
            Source::Block(block) => {
                block.relations.iter().flat_map(|inner| inner.source.registers_filled()).collect()
            }
        }
    }
}

/// A table in a FROM.
#[derive(Clone, Debug)]
pub struct TableSource {
    /// The table.
    pub table: Arc<Table>,
    /// What the statement calls it.
    pub alias: Text,
    /// When.
    pub point: ReadPoint,
    /// INDEXED BY and NOT INDEXED.
    pub hint: IndexHint,
    /// The columns that anything in the query reads.
    pub columns: Vec<(ColumnSource, Register)>,
    /// About how many rows it has, where that is known.
    pub rows: Option<u64>,
    /// The versions of its rows are read instead: those that began at or before the second moment and ended after the first.
    pub versions: Option<(Timestamp, Timestamp)>,
}

/// INDEXED BY and NOT INDEXED.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexHint {
    /// Neither.
    #[default]
    Free,
    /// Neither, on what UPDATE and DELETE change: they go through the table in its own order, unless an index finds the rows.
    Changed,
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

/// Plans a FROM and WHERE. The node fills the registers of all relations and gives exactly the rows that the WHERE keeps.
#[must_use]
pub fn plan_from(block: FromBlock) -> Planned {
    // What stands before a RIGHT or FULL JOIN is planned as one, since the join gives rows that none of it has.
    let barrier = block.relations.iter().rposition(|r| matches!(r.join, JoinKind::Right | JoinKind::Full));
    match barrier {
        Some(at) if at > 0 => build::outer_join(block, at),
        _ => {
            let graph = graph::Graph::new(block);
            let (order, terms) = order::choose(&graph);
            build::joins(graph, &order, &terms)
        }
    }
}
