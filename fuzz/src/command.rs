//! The command's readers of what others write: CSV files and the pipe's requests.

use dosql::{Connection, Database, Value};
use dosql_cli::output::{Mode, Printer};
use dosql_cli::{import, pipe};
use serde_json::Value as Json;

use crate::watch::watched;

fn connect() -> (Database, Connection) {
    let db = Database::open_memory().expect("a new database");
    let connection = db.connect().expect("a connection");
    (db, connection)
}

fn rows(connection: &Connection, sql: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let mut statement = connection.prepare(sql).expect("a query");
    let names = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query(()).expect("it runs");
    let mut all = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        all.push(row.values());
    }
    (names, all)
}

/// A CSV file comes in whole or not at all; what came in comes back the same when it is written as CSV and read again.
pub fn csv(data: &[u8]) {
    let (db, connection) = connect();
    let count = match import::csv(&connection, data, "file", "t") {
        Ok(count) => count,
        Err(error) => {
            assert!(!error.message().is_empty() && !connection.in_transaction());
            let tables =
                connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get::<i64>(0));
            assert_eq!(tables.expect("a count"), 0, "what failed left something: {error}");
            return;
        }
    };
    let (names, values) = rows(&connection, "SELECT * FROM t");
    assert_eq!(values.len() as u64, count);
    let mut text = Vec::new();
    let mut printer = Printer::new(&mut text, Mode::Csv, true, names.clone());
    values.iter().for_each(|row| printer.row(row).expect("memory takes it"));
    printer.finish().expect("memory takes it");
    // Without rows there is no line of names; a row of one empty value is an empty line, which CSV does not tell from none.
    if !values.is_empty() && (names.len() > 1 || names.iter().all(|name| !name.is_empty())) {
        let (_again, other) = connect();
        let twice = import::csv(&other, text.as_slice(), "file", "t");
        let ambiguous = names.len() == 1;
        assert!(ambiguous || twice.as_ref().is_ok_and(|twice| *twice == count), "{twice:?} of {count}");
        if !ambiguous {
            assert_eq!(rows(&other, "SELECT * FROM t"), (names, values));
        }
    }
    assert!(db.verify().expect("it can be checked").is_sound());
}

/// Every line of requests gets one answer, which is a result or an error.
pub fn pipe(data: &[u8]) {
    let db = Database::open_memory().expect("a new database");
    let mut sessions = pipe::Sessions::new(&db);
    for line in data.split(|&byte| byte == b'\n').take(40) {
        let session = match serde_json::from_slice(line) {
            Ok(Json::Object(request)) => {
                request.get("session").and_then(Json::as_str).unwrap_or("").to_owned()
            }
            _ => String::new(),
        };
        let handle = sessions.connection(&session).expect("a connection").interrupt_handle();
        let answer = watched(vec![handle], || sessions.answer(line));
        check(&answer);
        assert_eq!(serde_json::from_str::<Json>(&answer.to_string()).ok().as_ref(), Some(&answer));
    }
    // How lines are cut apart: of requests that can't run for long.
    let requests: Vec<u8> = data.iter().map(|&byte| if byte == b'"' { b'\'' } else { byte }).collect();
    let mut out = Vec::new();
    pipe::run(&db, requests.as_slice(), &mut out).expect("memory takes it");
    let blank = |line: &&[u8]| line.iter().all(u8::is_ascii_whitespace);
    let asked = requests.split(|&byte| byte == b'\n').filter(|line| !blank(line)).count();
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), asked);
    assert!(db.verify().expect("it can be checked").is_sound());
}

fn check(answer: &Json) {
    if let Some(error) = answer.get("error") {
        let text = |name: &str| error.get(name).and_then(Json::as_str).is_some_and(|text| !text.is_empty());
        assert!(text("code") && text("message"), "{answer}");
        assert!(error.get("offset").is_some_and(|offset| offset.is_null() || offset.is_u64()), "{answer}");
        return;
    }
    let list = |name: &str| answer.get(name).and_then(Json::as_array);
    let (Some(columns), Some(types), Some(rows)) = (list("columns"), list("types"), list("rows")) else {
        panic!("neither a result nor an error: {answer}");
    };
    assert_eq!(columns.len(), types.len(), "{answer}");
    assert!(rows.iter().all(|row| row.as_array().is_some_and(|row| row.len() == columns.len())), "{answer}");
    assert!(answer["changes"].is_u64() && answer["lsn"].is_u64(), "{answer}");
}
