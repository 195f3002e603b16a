//! Every statement of the sqllogictest corpora parses, unless its record says that it fails.
//!
//! The corpora are no part of the repository: `DOSQL_SLT` names the directory that holds them.

use std::fs;
use std::path::{Path, PathBuf};

use dosql_sql::parse::ast::Ast;
use dosql_sql::parse::parse_next;

fn test_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            test_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "test") {
            files.push(path);
        }
    }
}

/// The statements of a file that should parse, each with the line it starts on.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut skip = false;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let query = match words[..] {
            ["onlyif", engine, ..] => {
                skip = engine != "sqlite";
                continue;
            }
            ["skipif", engine, ..] => {
                skip = engine == "sqlite";
                continue;
            }
            _ if std::mem::take(&mut skip) => continue,
            ["statement", "ok", ..] => false,
            ["query", ..] => true,
            _ => continue,
        };
        let mut sql = String::new();
        let mut first = 0;
        while let Some((number, line)) =
            lines.next_if(|(_, line)| !(line.is_empty() || query && line.starts_with("----")))
        {
            first = if sql.is_empty() { number + 1 } else { first };
            sql.push_str(line);
            sql.push('\n');
        }
        found.push((first, sql));
    }
    found
}

#[test]
fn corpora_parse() {
    let Some(directory) = std::env::var_os("DOSQL_SLT") else { return };
    let mut files = Vec::new();
    test_files(Path::new(&directory), &mut files);
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for (line, sql) in statements(&text) {
            count += 1;
            let (mut from, mut ast) = (0, Ast::default());
            loop {
                match parse_next(&sql, from, ast) {
                    Ok(None) => break,
                    Ok(Some((parsed, behind))) => (from, ast) = (behind, parsed.ast),
                    Err(error) => {
                        failures.push(format!("{}:{line}: {error}\n{sql}", file.display()));
                        break;
                    }
                }
            }
        }
    }
    assert!(count > 0, "no statement found");
    assert!(failures.is_empty(), "{} of {count} failed:\n{}", failures.len(), failures.join("\n"));
}
