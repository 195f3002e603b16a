//! What dosql answers is what SQLite answers, over random schemas, data and statements; and what it answers does not depend on
//! indexes, on checkpoints, on where a condition stands, or on asking for the present by its number.

mod differential;

use std::fmt::Write;

use differential::compare::{Rows, same_rows};
use differential::{Generator, Mismatch, Pair, shrink::shrink, with_hint};
use dosql::Value;

/// Databases, and the statements run in each.
const DATABASES: u64 = 32;
const STATEMENTS: usize = 250;

/// Queries of each database that are asked in several ways.
const VARIED: usize = 60;

/// The seeds of the databases that are asked in several ways; others than those compared with SQLite.
const VARIED_SEEDS: std::ops::Range<u64> = 1_000..1_020;

/// A script that shows the difference and is as small as can be.
fn report(seed: u64, script: &[String], mismatch: &Mismatch) -> String {
    let (script, mismatch) = shrink(script, mismatch);
    let script = script.join(";\n");
    format!("seed {seed}\n{script};\n-- ours {:?}\n-- SQLite's {:?}\n", mismatch.ours, mismatch.theirs)
}

/// A database with tables, rows, indexes and views, the same in both.
fn filled(seed: u64, script: &mut Vec<String>) -> Result<(Generator, Pair), String> {
    let mut generator = Generator::new(seed);
    let pair = Pair::new();
    let mut setup = generator.schema();
    for table in 0..generator.tables.len() {
        let rows = generator.random.usize(0..25);
        setup.extend(generator.fill(table, rows));
    }
    for sql in setup {
        pair.check(&sql).map_err(|mismatch| report(seed, script, &mismatch))?;
        script.push(sql);
    }
    Ok((generator, pair))
}

/// Runs one database's statements; the report of the first difference.
fn compare_with_sqlite(seed: u64) -> Result<usize, String> {
    let mut script = Vec::new();
    let (mut generator, pair) = filled(seed, &mut script)?;
    let mut rows = 0;
    for number in 0..STATEMENTS {
        let sql = if number % 4 == 3 {
            let (sql, table) = generator.change();
            pair.check(&sql).map_err(|mismatch| report(seed, &script, &mismatch))?;
            script.push(sql);
            format!("SELECT * FROM {table}")
        } else {
            generator.select(2, &[]).0
        };
        let found = pair.check(&sql).map_err(|mismatch| report(seed, &script, &mismatch))?;
        rows += found.map_or(0, |rows| rows.len());
        if number % 100 == 50 {
            pair.database.checkpoint().unwrap();
        }
    }
    Ok(rows)
}

#[test]
fn random_statements_give_what_sqlite_gives() {
    let mut failures = String::new();
    let mut rows = 0;
    for seed in 0..DATABASES {
        match compare_with_sqlite(seed) {
            Ok(found) => rows += found,
            Err(report) => write!(failures, "\n{report}").unwrap(),
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(rows > 10_000, "the statements found only {rows} rows: they compare nothing");
}

/// The rows of a query that must not fail; `None` for what may (a sum that overflows).
fn rows(pair: &Pair, sql: &str) -> Option<Rows> {
    match pair.ours(sql) {
        Ok(rows) => Some(rows),
        Err(error) => {
            assert!(error.contains("integer overflow"), "{sql}\n{error}");
            None
        }
    }
}

fn with_seeds(check: impl Fn(&mut Generator, &Pair) -> bool) {
    let mut checked = 0;
    for seed in VARIED_SEEDS {
        let (mut generator, pair) = filled(seed, &mut Vec::new()).unwrap_or_else(|report| panic!("{report}"));
        for _ in 0..VARIED {
            checked += usize::from(check(&mut generator, &pair));
        }
    }
    assert!(checked > 200, "only {checked} queries were checked");
}

#[test]
fn a_query_gives_the_same_with_and_without_indexes_and_at_the_number_of_the_present() {
    with_seeds(|generator, pair| {
        let (sql, _) = generator.select(2, &[]);
        if generator.one_in(20) {
            pair.database.checkpoint().unwrap();
        }
        let Some(plain) = rows(pair, &with_hint(&sql, "")) else { return false };
        let now = format!(" FOR SYSTEM_TIME AS OF LSN {}", pair.connection.last_commit().as_micros());
        for hint in [" NOT INDEXED", &now] {
            let hinted = with_hint(&sql, hint);
            let Some(found) = rows(pair, &hinted) else { continue };
            assert!(same_rows(&plain, &found, true), "{hinted}\nplain {plain:?}\nhinted {found:?}");
        }
        !plain.is_empty()
    });
}

#[test]
fn a_checkpoint_changes_no_answer() {
    with_seeds(|generator, pair| {
        let queries: Vec<String> = (0..3).map(|_| with_hint(&generator.select(1, &[]).0, "")).collect();
        let (change, _) = generator.change();
        let _ = pair.ours(&change);
        let before: Vec<_> = queries.iter().map(|sql| rows(pair, sql)).collect();
        pair.database.checkpoint().unwrap();
        let after: Vec<_> = queries.iter().map(|sql| rows(pair, sql)).collect();
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "{queries:?}");
        before.iter().flatten().any(|rows| !rows.is_empty())
    });
}

/// Ternary logic partitioning: a row is where the predicate is true, false or NULL, and nowhere twice.
#[test]
fn a_predicate_its_negation_and_its_null_part_the_rows() {
    with_seeds(|generator, pair| {
        let from = generator.from(1);
        let predicate = generator.predicate(&from.fields, 3);
        let part = |test: &str| rows(pair, &with_hint(&format!("SELECT * FROM {}{test}", from.sql), ""));
        let tests = [
            String::new(),
            format!(" WHERE {predicate}"),
            format!(" WHERE NOT ({predicate})"),
            format!(" WHERE ({predicate}) IS NULL"),
        ];
        let [Some(all), Some(mut parts), Some(mut no), Some(mut null)] =
            tests.each_ref().map(|test| part(test))
        else {
            return false;
        };
        parts.append(&mut no);
        parts.append(&mut null);
        assert!(
            same_rows(&all, &parts, false),
            "SELECT * FROM {} WHERE {predicate}\nall {all:?}\nparts {parts:?}",
            from.sql
        );
        !all.is_empty()
    });
}

/// A WHERE clause, which may use indexes and move into joins, finds as many rows as the same expression computed for every row.
#[test]
fn a_where_clause_keeps_the_rows_for_which_its_expression_is_true() {
    with_seeds(|generator, pair| {
        let from = generator.from(1);
        let predicate = generator.predicate(&from.fields, 3);
        let optimised = with_hint(&format!("SELECT count(*) FROM {} WHERE {predicate}", from.sql), "");
        let computed = with_hint(&format!("SELECT total(({predicate}) IS TRUE) FROM {}", from.sql), "");
        let (Some(optimised_rows), Some(computed_rows)) = (rows(pair, &optimised), rows(pair, &computed))
        else {
            return false;
        };
        let ([Value::Integer(found)], [Value::Real(wanted)]) =
            (&optimised_rows[0][..], &computed_rows[0][..])
        else {
            panic!("{optimised_rows:?} {computed_rows:?}");
        };
        assert_eq!(*found as f64, *wanted, "{optimised}\n{computed}");
        *found > 0
    });
}
