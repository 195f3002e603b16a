//! Random statements over the dialect that dosql shares with SQLite, and the comparison of what both make of them.
//!
//! ```text
//! schema.rs   tables, their columns, indexes and views; values that fit them
//! expr.rs     expressions by type over the columns in scope
//! select.rs   queries: joins, groups, windows, compounds, CTEs
//! change.rs   INSERT, UPDATE, DELETE, upsert
//! compare.rs  whether two results are the same
//! pair.rs     a dosql database and an SQLite database that run the same statements
//! known.rs    differences on purpose, each with its reason
//! shrink.rs   makes a script that shows a difference small
//! ```
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod change;
pub mod compare;
pub mod expr;
pub mod known;
pub mod pair;
pub mod schema;
pub mod select;
pub mod shrink;

pub use pair::{Mismatch, Pair};
pub use schema::{Kind, Table};

/// Where a query's base tables end, so that `NOT INDEXED` or a point in time can be put there.
pub const AFTER_TABLE: char = '\u{1}';

/// A query with `hint` after each of its base tables.
pub fn with_hint(sql: &str, hint: &str) -> String {
    sql.replace(AFTER_TABLE, hint)
}

/// A source of random statements: the same seed gives the same statements.
pub struct Generator {
    pub random: fastrand::Rng,
    pub tables: Vec<Table>,
    /// Views, as tables that can only be read.
    pub views: Vec<Table>,
    /// Whether values that several representations share (1 and 1.0, 'a' and 'A') and numbers at the ends of their ranges occur.
    pub hostile: bool,
    /// For names that no other in the statement has.
    next_name: usize,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let hostile = random.u8(..3) == 0;
        Generator { random, tables: Vec::new(), views: Vec::new(), hostile, next_name: 0 }
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }

    pub fn name(&mut self, prefix: &str) -> String {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name)
    }
}
