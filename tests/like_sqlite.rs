//! Statement by statement, dosql gives what SQLite gives: the same rows in the same order, or both refuse.
//!
//! The files below `tests/data/judged/` hold one statement a line. What differs on purpose (docs) is not in them.

mod judge;

use std::path::Path;

use dosql::{Database, Options, Storage};
use judge::{Oracle, differs};

fn judge_file(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/judged").join(name);
    let script = std::fs::read_to_string(&path).unwrap();
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let (connection, oracle) = (database.connect().unwrap(), Oracle::strict());
    let found: Vec<String> = script.lines().filter_map(|sql| differs(&connection, &oracle, sql)).collect();
    assert!(found.is_empty(), "{name}: {} differ\n{}", found.len(), found.join("\n"));
}

macro_rules! judged {
    ($($test:ident: $file:literal;)*) => {
        $(#[test]
        fn $test() {
            judge_file($file);
        })*
    };
}

judged! {
    literals_comparisons_and_conversions: "expressions.sql";
    operators_over_columns_of_every_affinity: "operators.sql";
    result_columns_groups_order_and_limits: "select.sql";
    joins_subqueries_and_compounds: "joins_and_compounds.sql";
    ctes_and_window_functions: "with_and_windows.sql";
    scalar_date_and_format_functions: "functions.sql";
    json_functions_and_tables: "json.sql";
    changes_and_the_order_of_their_constraints: "changes.sql";
}
