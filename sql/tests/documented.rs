//! docs/SQL.md names every function and every PRAGMA, and none that is not there.

mod common;

use std::collections::BTreeSet;

use common::Db;
use dosql_sql::value::{Value, text_of};

const PAGE: &str = include_str!("../../docs/SQL.md");

/// The section under a heading of the second level.
fn section(heading: &str) -> &'static str {
    let start = PAGE.find(&format!("\n## {heading}\n")).expect("the section is there") + 1;
    let rest = &PAGE[start + 3..];
    rest.split("\n## ").next().unwrap_or_default()
}

fn words(text: &str) -> BTreeSet<String> {
    let inner = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(inner).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn listed(sql: &str) -> BTreeSet<String> {
    let rows = Db::new().try_run(sql).unwrap().rows;
    rows.iter().map(|row: &Vec<Value>| text_of(row[0].as_ref()).to_string()).collect()
}

#[test]
fn every_function_is_named_and_no_other() {
    let listed: BTreeSet<String> =
        listed("PRAGMA function_list").into_iter().filter(|name| !name.starts_with('-')).collect();
    let page = section("Functions");
    let named = words(page);
    let missing: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "not in docs/SQL.md: {missing:?}");
    // The lines of the list, each a kind in bold and its names.
    let lists: String =
        page.lines().filter(|line| !line.contains("**Tables**")).collect::<Vec<_>>().join("\n");
    let invented: Vec<String> = words(&lists)
        .into_iter()
        .filter(|word| word.contains('_') || word.ends_with(|c: char| c.is_ascii_digit()))
        .filter(|word| !listed.contains(word) && word != "function_list" && word != "JSON5")
        .collect();
    assert!(invented.is_empty(), "no such functions: {invented:?}");
}

#[test]
fn every_pragma_is_named_and_no_other() {
    let listed = listed("PRAGMA pragma_list");
    let page = section("PRAGMAs");
    let named = words(page);
    let missing: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "not in docs/SQL.md: {missing:?}");
    let bare = |word: &String| word.strip_prefix("pragma_").unwrap_or(word).to_owned();
    let invented: Vec<String> =
        named.iter().map(bare).filter(|word| word.contains('_') && !listed.contains(word)).collect();
    assert!(invented.is_empty(), "no such PRAGMAs: {invented:?}");
}
