//! The grammar against SQLite's own: the same texts are SQL, and the mistakes in the others are told alike.

use dosql_base::ErrorKind;
use dosql_sql::parse::parse_one;
use fastrand::Rng;
use rusqlite::Connection;

/// Whether SQLite's message is about the grammar, rather than about names, types or the like.
fn is_syntactic(message: &str) -> bool {
    message.ends_with("syntax error")
        || message == "incomplete input"
        || message.starts_with("unrecognized token")
}

/// Databases without and with the tables of the statements: what is missing or there already hides later mistakes.
fn databases() -> [Connection; 2] {
    let [empty, full] = [(), ()].map(|()| Connection::open_in_memory().unwrap());
    full.execute_batch("CREATE TABLE t (z); CREATE TABLE u (z); CREATE VIEW v AS SELECT 1").unwrap();
    [empty, full]
}

/// Mistakes that SQLite finds while it still parses, so that it says nothing about the rest of the text.
fn is_premature(sql: &str, message: &str) -> bool {
    let messages = [
        "duplicate column name",
        "unknown database",
        "no such table",
        "cannot create",
        "row value",
        "IN(...)",
        "sub-select",
        "AUTOINCREMENT",
        "cannot use DEFAULT",
        "expressions prohibited",
        "generated column",
        "temporary trigger",
        "no such collation sequence",
        "table \"t\" has more than one primary key",
    ];
    messages.iter().any(|start| message.starts_with(start))
        || message.ends_with("already exists")
        || message.contains("columns assigned")
        || message.contains("must be unqualified")
        || (message.starts_with("no such column") && sql.starts_with("CREATE TABLE"))
}

/// SQLite's syntax error; the inner option is `None` for SQL, the outer where SQLite says nothing about syntax.
fn judge(databases: &[Connection; 2], sql: &str) -> Option<Option<String>> {
    databases.iter().map(|database| judge_in(database, sql)).max()?
}

fn judge_in(connection: &Connection, sql: &str) -> Option<Option<String>> {
    match connection.prepare(sql) {
        Ok(_) | Err(rusqlite::Error::MultipleStatement) => Some(None),
        Err(rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg))) => {
            (!is_premature(sql, &msg)).then(|| is_syntactic(&msg).then_some(msg))
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Our syntax error; the inner option is `None` for SQL, the outer for what we refuse for reasons of our own.
fn ours(sql: &str) -> Option<Option<String>> {
    match parse_one(sql) {
        Ok(_) => Some(None),
        Err(error) if error.kind() == ErrorKind::InvalidInput && is_syntactic(error.message()) => {
            Some(Some(error.message().to_owned()))
        }
        Err(_) => None,
    }
}

/// The pieces of a statement that a mutation moves about.
fn pieces(sql: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let sign = |c: char| "|<>=!-".contains(c);
        let len = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            _ if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ if sign(first) => rest.find(|c| !sign(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (piece, behind) = rest.split_at(len);
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        rest = behind;
    }
    pieces
}

fn mutate(rng: &mut Rng, statements: &[Vec<&str>]) -> String {
    let mut mutant = rng.choice(statements).expect("statements").clone();
    for _ in 0..rng.usize(1..3) {
        let at = rng.usize(0..=mutant.len());
        let donor = rng.choice(statements).expect("statements");
        let from = rng.usize(0..donor.len());
        match rng.u8(0..5) {
            0 if at < mutant.len() => drop(mutant.remove(at)),
            1 if at < mutant.len() => mutant[at] = donor[from],
            2 => mutant.insert(at, donor[from]),
            3 if at + 1 < mutant.len() => mutant.swap(at, at + 1),
            _ => {
                let run = &donor[from..donor.len().min(from + rng.usize(1..6))];
                mutant.splice(at..at, run.iter().copied());
            }
        }
    }
    mutant.join(" ")
}

/// Mistakes that we tell apart earlier or later than SQLite, in other words: a text with one is refused by both.
fn told_differently(sql: &str) -> bool {
    let sql = sql.to_uppercase();
    ["BETWEEN", "RAISE", "TRIGGER", "VIRTUAL", "WITHIN", "ATTACH", "DETACH", "INDEXED"]
        .iter()
        .any(|word| sql.contains(word))
}

/// Clauses of UPDATE and DELETE that SQLite only takes where it was compiled to.
fn is_ordered_change(sql: &str) -> bool {
    (sql.contains("UPDATE") || sql.contains("DELETE")) && (sql.contains("ORDER") || sql.contains("LIMIT"))
}

#[test]
fn mutants_of_statements_are_sql_exactly_where_sqlite_says_so() {
    let databases = databases();
    let texts = include_str!("parse/accepted.sql");
    let statements: Vec<Vec<&str>> = texts.lines().filter(|sql| !sql.contains("/*")).map(pieces).collect();
    let mut rng = Rng::with_seed(7);
    let (mut valid, mut failures) = (0, Vec::new());
    for _ in 0..40_000 {
        let sql = mutate(&mut rng, &statements);
        if is_ordered_change(&sql) {
            continue;
        }
        let Some(ours) = ours(&sql) else { continue };
        let Some(theirs) = judge(&databases, &sql) else { continue };
        valid += usize::from(theirs.is_none());
        let same = if told_differently(&sql) { ours.is_some() == theirs.is_some() } else { ours == theirs };
        if !same {
            failures.push(format!("{sql}\n    ours:   {ours:?}\n    SQLite: {theirs:?}"));
        }
    }
    assert!(valid > 2_000, "only {valid} mutants were SQL");
    assert!(failures.is_empty(), "{} mutants judged differently:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_accepted_statements_are_sql_to_sqlite() {
    let databases = databases();
    for sql in include_str!("parse/accepted.sql").lines() {
        assert_eq!(judge(&databases, sql).flatten(), None, "{sql}");
    }
}
