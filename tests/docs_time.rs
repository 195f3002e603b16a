//! The examples of docs/TIME.md do what it says.

mod common;

use common::cells;
use dosql::Database;

const PAGE: &str = include_str!("../docs/TIME.md");

/// The lines of the page's SQL, each with its number.
fn lines() -> Vec<(usize, &'static str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in PAGE.lines().enumerate() {
        match line {
            "```sql" => inside = true,
            "```" => inside = false,
            _ if inside => found.push((number + 1, line)),
            _ => {}
        }
    }
    found
}

#[test]
fn the_examples_give_what_stands_under_them() {
    let connection = Database::open_memory().unwrap().connect().unwrap();
    let (mut statement, mut got, mut checked) = (String::new(), None::<Vec<String>>, 0);
    let finish = |got: &mut Option<Vec<String>>, number: usize| {
        let left = got.take().unwrap_or_default();
        assert!(left.is_empty(), "rows that the page does not show, before line {number}: {left:?}");
    };
    for (number, line) in lines() {
        if let Some(row) = line.strip_prefix("-- ") {
            let rows = got.as_mut().unwrap_or_else(|| panic!("line {number}: there is no query"));
            assert!(!rows.is_empty(), "line {number}: there is no row {row}");
            assert_eq!(rows.remove(0), row, "line {number}");
            checked += 1;
            continue;
        }
        finish(&mut got, number);
        statement.push_str(line);
        statement.push('\n');
        if line.ends_with(';') {
            let rows = cells(&connection, &statement);
            got = Some(rows.unwrap_or_else(|error| panic!("line {number}: {statement}: {error}")));
            statement.clear();
        }
    }
    finish(&mut got, PAGE.lines().count());
    assert!(checked > 20, "{checked} rows");
}
