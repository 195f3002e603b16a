//! TPC-H at scale 0.01: the 22 queries give the checked answers.

mod judge;

use std::io::Read;
use std::path::Path;
use std::process::Command;

use dosql::{Connection, Database, Value};
use judge::shared;

const TABLES: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// A table's rows, from the compressed file.
fn rows(file: &Path) -> Vec<Vec<String>> {
    let mut child =
        Command::new("gzip").args(["-dc"]).arg(file).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text.lines().map(|line| line.trim_end_matches('|').split('|').map(str::to_owned).collect()).collect()
}

fn load(connection: &Connection, folder: &Path) {
    connection.execute_batch(&std::fs::read_to_string(folder.join("schema.sql")).unwrap()).unwrap();
    connection
        .transaction(|transaction| {
            for table in TABLES {
                let rows = rows(&folder.join("data").join(format!("{table}.tbl.gz")));
                let marks = vec!["?"; rows[0].len()].join(", ");
                let mut insert = transaction.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
                for row in rows {
                    insert.execute(row)?;
                }
            }
            Ok(())
        })
        .unwrap();
}

/// Whether an answer's text says the value, numbers to 1 part in a million.
fn agrees(expected: &str, value: &Value) -> bool {
    if matches!(value, Value::Null) {
        return expected == "NULL";
    }
    let text = dosql::types::to_text(value.as_ref());
    match (expected.parse::<f64>(), text.parse::<f64>()) {
        (Ok(expected), Ok(value)) => (expected - value).abs() <= 1e-6 * expected.abs().max(1.0),
        _ => expected.trim_end() == text.trim_end(),
    }
}

fn check(connection: &Connection, folder: &Path, number: usize) {
    let sql = std::fs::read_to_string(folder.join("queries").join(format!("q{number:02}.sql"))).unwrap();
    let ours = judge::rows_of(connection, &sql).unwrap();
    let answers = folder.join("answers").join(format!("q{number:02}.csv"));
    let mut reader = csv::ReaderBuilder::new().has_headers(true).delimiter(b'|').from_path(answers).unwrap();
    let expected: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(ours.len(), expected.len(), "number of rows of query {number}");
    for (ours, expected) in ours.iter().zip(&expected) {
        let same = ours.len() == expected.len()
            && expected.iter().zip(ours).all(|(text, value)| agrees(text, value));
        assert!(same, "query {number}: {ours:?} where {expected:?} is expected");
    }
}

#[test]
fn the_22_queries_of_tpch_give_the_checked_answers() {
    let Some(folder) = shared("tpch") else { return };
    let connection = Database::open_memory().unwrap().connect().unwrap();
    load(&connection, &folder);
    (1..=22).for_each(|number| check(&connection, &folder, number));
}
