//! sqllogictest scripts: reading records, and comparing what a database answers.

use std::collections::BTreeMap;

use dosql_sql::value::{Value, to_integer, to_real};

use super::common::Db;
use super::md5::md5_hex;

pub(crate) struct Record {
    pub(crate) kind: String,
    pub(crate) line: usize,
    args: Vec<String>,
    pub(crate) sql: String,
    expected: Vec<String>,
    skipif: Vec<String>,
    onlyif: Vec<String>,
}

impl Record {
    pub(crate) fn is_skipped(&self, engine: &str) -> bool {
        self.skipif.iter().any(|name| name == engine) || self.onlyif.iter().any(|name| name != engine)
    }
}

/// The records of a script.
pub(crate) fn parse(text: &str) -> Vec<Record> {
    let (mut records, mut block) = (Vec::new(), Vec::new());
    for (number, line) in text.split('\n').enumerate().map(|(n, line)| (n + 1, line.trim_end_matches('\r'))) {
        if line.starts_with('#') {
            continue;
        }
        if !line.trim().is_empty() {
            block.push((number, line));
        } else if !block.is_empty() {
            records.extend(record(&block));
            block.clear();
        }
    }
    if !block.is_empty() {
        records.extend(record(&block));
    }
    records
}

fn record(block: &[(usize, &str)]) -> Option<Record> {
    let (mut skipif, mut onlyif, mut at) = (Vec::new(), Vec::new(), 0);
    for (_, line) in block {
        let mut words = line.split_whitespace();
        let list = match words.next() {
            Some("skipif") => &mut skipif,
            Some("onlyif") => &mut onlyif,
            _ => break,
        };
        list.push(words.next().unwrap_or_default().to_lowercase());
        at += 1;
    }
    let (line, first) = *block.get(at)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let kind = words.next()?;
    let body: Vec<&str> = block[at + 1..].iter().map(|(_, line)| *line).collect();
    let cut = body.iter().position(|line| kind == "query" && *line == "----").unwrap_or(body.len());
    let expected = body.get(cut + 1..).unwrap_or_default().iter().map(|&line| line.to_owned()).collect();
    Some(Record { kind, line, args: words.collect(), sql: body[..cut].join("\n"), expected, skipif, onlyif })
}

/// Runs a record.
pub(crate) fn check(
    record: &Record,
    db: &mut Db,
    labels: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    match record.kind.as_str() {
        "statement" => check_statement(record, db),
        "query" => check_query(record, db, labels),
        other => Err(format!("not a record: {other}")),
    }
}

fn check_statement(record: &Record, db: &mut Db) -> Result<(), String> {
    let fails = record.args.first().is_some_and(|word| word == "error");
    match (db.try_run(&record.sql), fails) {
        (Ok(_), false) | (Err(_), true) => Ok(()),
        (Ok(_), true) => Err("should have failed".into()),
        (Err(error), false) => Err(format!("failed: {error}")),
    }
}

fn check_query(record: &Record, db: &mut Db, labels: &mut BTreeMap<String, String>) -> Result<(), String> {
    let types = record.args.first().cloned().unwrap_or_default();
    let sort = record.args.get(1).map_or("nosort", String::as_str);
    let answer = match db.try_run(&record.sql) {
        Ok(answer) => answer,
        Err(error) if error.message().contains("integer overflow") && record.expected.is_empty() => {
            return Ok(());
        }
        Err(error) => return Err(format!("failed: {error}")),
    };
    if answer.columns.len() != types.len() {
        return Err(format!("expected {} columns, got {}", types.len(), answer.columns.len()));
    }
    let got = flatten(&answer.rows, &types, sort);
    let joined: String = got.iter().flat_map(|value| [value.as_str(), "\n"]).collect();
    let hashed = format!("{} values hashing to {}", got.len(), md5_hex(joined.as_bytes()));
    if let Some(label) = record.args.get(2) {
        let known = labels.entry(label.clone()).or_insert_with(|| hashed.clone());
        if *known != hashed {
            return Err(format!("label {label}: not the result of the earlier query with this label"));
        }
    }
    let right = match record.expected.as_slice() {
        [only] if only.contains(" values hashing to ") => *only == hashed,
        expected => expected == got,
    };
    if right {
        return Ok(());
    }
    let some = |values: &[String]| format!("{:?}", &values[..values.len().min(16)]);
    Err(format!("expected {}\n    got {}", some(&record.expected), some(&got)))
}

fn flatten(rows: &[Vec<Value>], types: &str, sort: &str) -> Vec<String> {
    let render_row = |row: &Vec<Value>| row.iter().zip(types.chars()).map(|(v, t)| render(v, t)).collect();
    let mut rendered: Vec<Vec<String>> = rows.iter().map(render_row).collect();
    if sort == "rowsort" {
        rendered.sort();
    }
    let mut values: Vec<String> = rendered.into_iter().flatten().collect();
    if sort == "valuesort" {
        values.sort();
    }
    values
}

fn render(value: &Value, kind: char) -> String {
    match (kind, value) {
        (_, Value::Null) => "NULL".into(),
        ('I', value) => to_integer(value.as_ref()).to_string(),
        ('R', value) => fixed(to_real(value.as_ref())),
        (_, value) => printable(value),
    }
}

/// `%.3f` of sixteen significant digits, as SQLite prints.
fn fixed(real: f64) -> String {
    if real.abs() < 1e12 || real.is_infinite() {
        return format!("{real:.3}");
    }
    let text = format!("{real:.15e}");
    let (digits, exponent) = text.split_once('e').expect("an exponent");
    let exponent: usize = exponent.parse().expect("a positive exponent");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    while digits.len() < exponent + 4 {
        digits.push('0');
    }
    format!("{sign}{}.{}", &digits[..=exponent], &digits[exponent + 1..exponent + 4])
}

fn printable(value: &Value) -> String {
    let bytes = match value {
        Value::Blob(bytes) => bytes.to_vec(),
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Real(real) => general(*real).into_bytes(),
        Value::Integer(integer) => integer.to_string().into_bytes(),
        Value::Null => Vec::new(),
    };
    let text: String = bytes.iter().map(|&b| if (32..=126).contains(&b) { b as char } else { '@' }).collect();
    if text.is_empty() { "(empty)".into() } else { text }
}

/// `%.15g`, with `.0` where it looks like an integer.
fn general(real: f64) -> String {
    if real.is_infinite() {
        return if real > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{real:.14e}");
    let (digits, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let trim = |text: &str| -> String {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text.into() }
    };
    if !(-4..15).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.abs());
    }
    let places = usize::try_from(14 - exponent).expect("not below zero");
    let text = trim(&format!("{real:.places$}"));
    if text.contains('.') { text } else { format!("{text}.0") }
}
