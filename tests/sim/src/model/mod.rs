//! The oracle's idea of the database: what statements mean, in plain maps.
//!
//! ```text
//! History   Timestamp -> State, and which commits are sure to be durable
//!   State   keyspaces and tables of one moment; shares what did not change with the moment before
//!     Table   columns, indexes, rows by id
//!   Statement   what a client asks, resolved;   State::apply(Statement) -> Answer
//! ```
//!
//! Nothing here knows the engine: the engine never judges itself.

mod apply;
mod history;
mod sql;
mod statement;
mod table;

pub use history::{Commit, History, Marks};
pub use sql::{AsOf, Text};
pub use statement::{Answer, Filter, How, OnConflict, Set, Statement};
pub use table::{Column, Index, Table, Type};

use std::collections::BTreeMap;
use std::sync::Arc;

/// A keyspace's entries.
pub type Space = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// The database at one moment. Cloning it copies names and pointers only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub spaces: BTreeMap<String, Arc<Space>>,
    pub tables: BTreeMap<String, Arc<Table>>,
    pub views: BTreeMap<String, Arc<View>>,
}

/// A view: the id and one column of the rows of a table that have an id below a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub table: String,
    pub column: String,
    pub below: i64,
}

impl State {
    /// Whether a view reads the table.
    #[must_use]
    pub fn is_viewed(&self, table: &str) -> bool {
        self.views.values().any(|view| view.table == table)
    }

    /// Names, kinds and tables of the schema, as `sqlite_schema` has them, sorted.
    #[must_use]
    pub fn schema(&self) -> Vec<[String; 3]> {
        let mut schema = Vec::new();
        let mut add = |kind: &str, name: &str, table: &str| {
            schema.push([kind.to_string(), name.to_string(), table.to_string()]);
        };
        for (name, table) in &self.tables {
            add("table", name, name);
            table.indexes.keys().for_each(|index| add("index", index, name));
        }
        self.views.keys().for_each(|name| add("view", name, name));
        schema.sort();
        schema
    }
}
