//! Random statements in the dialect that dosql shares with SQLite, and what judges their results: SQLite itself, and relations
//! that hold between the answers to queries that mean the same.
//!
//! ```text
//! schema.rs        tables, their columns, indexes and views; values that fit them
//! expr.rs          expressions by type over the columns in scope
//! function.rs      calls of date, JSON and format functions
//! select.rs        queries: joins, groups, compounds, CTEs
//! window.rs        queries with window functions
//! change.rs        INSERT, UPDATE, DELETE, upsert
//! definition.rs    foreign keys, triggers, ALTER TABLE, transactions
//!
//! compare.rs       whether two results are the same
//! pair.rs          a dosql database and an SQLite database that run the same statements
//! known.rs         differences on purpose, each with its reason
//! differential.rs  the statements of one seed, judged by SQLite
//! metamorphic.rs   queries of one seed, asked in several ways that must give the same
//! relation.rs      what must hold between the answers
//! parameters.rs    a query's constants as parameters
//! twin.rs          a database, and its twin under other conditions
//! shrink.rs        makes a script that shows a violation small
//! figures.rs       what was compared, and what was found
//! ```
//!
//! The tests of dosql run a few fixed seeds; `dosql-sim queries` (tests/sim) runs many; the fuzz target `differential` takes its
//! seeds from the fuzzer. All judge by [`known`].

pub mod change;
pub mod compare;
pub mod definition;
pub mod differential;
pub mod expr;
pub mod figures;
pub mod function;
pub mod known;
pub mod metamorphic;
pub mod pair;
pub mod parameters;
pub mod relation;
pub mod schema;
pub mod select;
pub mod shrink;
pub mod twin;
pub mod window;

pub use figures::Figures;
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
    /// Sources that one FROM joins at most: few within a subquery, since their rows multiply.
    pub most_joined: usize,
    /// Whether the schema has triggers.
    triggers: bool,
    /// Whether calls may fail.
    faulty: bool,
    /// For names that no other in the statement has.
    next_name: usize,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let hostile = random.u8(..3) == 0;
        Generator {
            random,
            tables: Vec::new(),
            views: Vec::new(),
            hostile,
            most_joined: 3,
            faulty: false,
            triggers: false,
            next_name: 0,
        }
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }

    /// What `make` makes, for a place within a query: of at most two joined sources.
    pub fn within<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let most = if self.most_joined == 3 && self.one_in(4) { 2 } else { 1 };
        let outer = std::mem::replace(&mut self.most_joined, most);
        let made = make(self);
        self.most_joined = outer;
        made
    }

    pub fn name(&mut self, prefix: &str) -> String {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name)
    }
}
