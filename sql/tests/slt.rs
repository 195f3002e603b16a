//! Runs the sqllogictest corpora that stand beside the repository, where they do. Fails only on a failure that
//! `known_failures.txt` does not list, with its reason.
//!
//! A file is named by its path below the corpus; `cargo test --test slt -- --nocapture` shows what fails.
#![allow(clippy::print_stdout)]

mod common;
mod md5;
mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::Db;
use script::{Record, check, parse};

/// Where the corpora are, from this crate.
const CORPORA: &[&str] = &["../slt", "../../shared/slt"];
/// Only some of the classic files: the whole takes minutes.
const CLASSIC: &[&str] = &["classic/select1.test", "classic/evidence"];

fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    CORPORA.iter().map(|path| root.join(path)).find(|path| path.is_dir())
}

fn files(at: &Path, found: &mut Vec<PathBuf>) {
    if at.is_file() {
        found.push(at.to_owned());
        return;
    }
    let Ok(entries) = std::fs::read_dir(at) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "test") {
            files(&entry, found);
        }
    }
}

/// `path:line reason`, one a line; `path:* reason` for all of a file.
fn known_failures() -> BTreeMap<String, String> {
    let text = include_str!("known_failures.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').expect("place and reason"))
        .map(|(a, b)| (a.into(), b.into()))
        .collect()
}

/// An empty database as the corpora expect it: SQLite does not enforce foreign keys unless told.
fn fresh() -> Db {
    let mut db = Db::new();
    db.run("PRAGMA foreign_keys = off");
    db
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

fn run_file(path: &Path, name: &str, known: &BTreeMap<String, String>, bad: &mut Vec<String>) -> Count {
    let bytes = std::fs::read(path).expect("a readable file");
    let text = String::from_utf8_lossy(&bytes);
    let (mut db, mut labels, mut count) = (fresh(), BTreeMap::new(), Count::default());
    for record in parse(&text) {
        if record.is_skipped("sqlite") {
            count.skipped += 1;
            continue;
        }
        match record.kind.as_str() {
            "halt" => break,
            "hash-threshold" => continue,
            "reset" => {
                db = fresh();
                labels.clear();
                continue;
            }
            _ => {}
        }
        match check(&record, &mut db, &mut labels) {
            Ok(()) => count.passed += 1,
            Err(why) => {
                count.failed += 1;
                report(&record, name, &why, known, bad);
            }
        }
    }
    count
}

fn report(record: &Record, name: &str, why: &str, known: &BTreeMap<String, String>, bad: &mut Vec<String>) {
    let place = format!("{name}:{}", record.line);
    if known.contains_key(&place) || known.contains_key(&format!("{name}:*")) {
        return;
    }
    let sql: String = record.sql.chars().take(400).collect();
    bad.push(format!("{place} {why}\n    {}", sql.replace('\n', "\n    ")));
}

fn run(paths: &[&str]) {
    let Some(root) = corpus() else { return };
    let known = known_failures();
    let mut found = Vec::new();
    for path in paths {
        files(&root.join(path), &mut found);
    }
    let (mut total, mut bad) = (Count::default(), Vec::new());
    for path in &found {
        let name = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        let count = run_file(path, &name, &known, &mut bad);
        if count.failed > 0 {
            println!("{name}: {} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
        }
        total.passed += count.passed;
        total.failed += count.failed;
        total.skipped += count.skipped;
    }
    println!(
        "{} files: {} passed, {} failed, {} skipped",
        found.len(),
        total.passed,
        total.failed,
        total.skipped
    );
    for failure in &bad {
        println!("{failure}");
    }
    assert!(bad.is_empty(), "{} failures that are not known", bad.len());
}

#[test]
fn sqlite_corpus() {
    run(&["sqlite"]);
}

/// Only the files or directories that the variable `SLT` lists, below the corpus.
#[test]
fn chosen_files() {
    if let Ok(paths) = std::env::var("SLT") {
        run(&paths.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn turso_corpus() {
    run(&["turso"]);
}

#[test]
fn classic_corpus() {
    run(CLASSIC);
}
