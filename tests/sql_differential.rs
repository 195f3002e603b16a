//! What dosql answers is what SQLite answers, over random schemas, data and statements; and what it answers does not depend on
//! indexes, on checkpoints, on where a condition stands, or on asking for the present by its number. `dosql-sim queries` does
//! the same for as many seeds as one likes.

use dosql_querygen::Figures;
use dosql_querygen::differential::compare;
use dosql_querygen::metamorphic::vary;
use dosql_querygen::relation::Relation;

/// Databases, and the statements run in each.
const DATABASES: u64 = 32;
const STATEMENTS: usize = 250;

/// Databases whose queries are asked in several ways, and how many; the seeds are others than those compared with SQLite.
const VARIED: std::ops::Range<u64> = 1_000..1_020;
const QUERIES: usize = 160;

#[test]
fn random_statements_give_what_sqlite_gives() {
    let mut figures = Figures::default();
    for seed in 0..DATABASES {
        compare(seed, STATEMENTS, &mut figures);
    }
    assert!(figures.violations.is_empty(), "{}", figures.violations.join("\n\n"));
    assert!(figures.rows > 10_000, "the statements found too little: they compare nothing\n{figures}");
}

#[test]
fn a_query_gives_the_same_in_whatever_way_it_is_asked() {
    let mut figures = Figures::default();
    for seed in VARIED {
        vary(seed, QUERIES, &mut figures);
    }
    assert!(figures.violations.is_empty(), "{}", figures.violations.join("\n\n"));
    for relation in Relation::ALL {
        let pairs = figures.pairs.get(relation.name()).copied().unwrap_or_default();
        assert!(pairs > 50, "only {pairs} pairs: {}", relation.name());
    }
}
