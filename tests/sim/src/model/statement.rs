//! What a client asks, with all names and values resolved, and what it is answered.

use std::ops::Bound;

use dosql::{Pair, Value};

use super::table::{Column, Row, Table};

/// See above. The first four are the key-value API's, the others SQL's.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Put { space: String, key: Vec<u8>, value: Vec<u8> },
    Delete { space: String, key: Vec<u8> },
    Get { space: String, key: Vec<u8> },
    Range { space: String, bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>), backward: bool },
    Insert { table: String, rows: Vec<Row>, conflict: OnConflict },
    Update { table: String, column: String, set: Set, filter: Filter },
    Move { table: String, from: i64, to: i64 },
    Remove { table: String, filter: Filter },
    Select { table: String, filter: Filter, how: How, backward: bool },
    Count { table: String, filter: Filter },
    SelectView { view: String },
    CreateTable { name: String, table: Table },
    DropTable { table: String },
    RenameTable { table: String, to: String },
    AddColumn { table: String, column: Column },
    DropColumn { table: String, column: String },
    RenameColumn { table: String, column: String, to: String },
    CreateIndex { name: String, table: String, columns: Vec<String>, unique: bool },
    DropIndex { name: String },
    CreateView { name: String, table: String, column: String, below: i64 },
    DropView { view: String },
}

/// What an INSERT does where a row is in the way.
#[derive(Clone, Debug, PartialEq)]
pub enum OnConflict {
    Abort,
    Ignore,
    Replace,
    /// Sets this column of the row that has the id.
    Update(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    To(Value),
    Add(i64),
}

/// Which rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    All,
    Id(i64),
    Ids(i64, i64),
    Equal(String, Value),
    Below(String, Value),
    AtLeast(String, Value),
    IsNull(String),
}

/// By which way a query is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    AsPlanned,
    NotIndexed,
    By(String),
}

/// What a statement comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done,
    Changed(u64),
    Value(Option<Vec<u8>>),
    Pairs(Vec<Pair>),
    Rows(Vec<Row>),
    /// A constraint refused it, and nothing changed.
    Constraint,
    /// What it is about is not there.
    Missing,
}

impl Statement {
    /// Whether it goes by the key-value API.
    #[must_use]
    pub fn is_kv(&self) -> bool {
        matches!(
            self,
            Statement::Put { .. }
                | Statement::Delete { .. }
                | Statement::Get { .. }
                | Statement::Range { .. }
        )
    }

    /// Whether it only reads.
    #[must_use]
    pub fn is_query(&self) -> bool {
        matches!(
            self,
            Statement::Get { .. }
                | Statement::Range { .. }
                | Statement::Select { .. }
                | Statement::Count { .. }
                | Statement::SelectView { .. }
        )
    }
}
