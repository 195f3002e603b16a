//! What the command is given may be anything: a script that is no text, requests that are no requests, tables that are no tables.
//! Each is refused with its place, and nothing of it stays.

use std::io::BufRead;

use dosql::{Connection, Database, Options, Storage};
use dosql_cli::output::Mode;
use dosql_cli::{import, pipe, script, shell::Shell};
use serde_json::Value as Json;

fn database() -> Database {
    Database::open(Storage::memory(), Options::default()).unwrap()
}

/// What a script prints, what it complains of.
fn run(text: &str) -> (bool, String, String) {
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let connection = database().connect().unwrap();
    let clean =
        Shell::new(connection, &mut out, &mut complaints, Mode::List).run_text(text, "script").unwrap();
    (clean, String::from_utf8(out).unwrap(), String::from_utf8(complaints).unwrap())
}

fn complaint(text: &str) -> String {
    let (clean, _, complaints) = run(text);
    assert!(!clean);
    complaints.lines().next().unwrap().to_owned()
}

/// What the pipe answers to each line.
fn answers(requests: &[u8]) -> Vec<Json> {
    let mut out = Vec::new();
    pipe::run(&database(), requests, &mut out).unwrap();
    out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn imported(connection: &Connection, text: &[u8]) -> dosql::Result<u64> {
    import::csv(connection, text, "file.csv", "t")
}

#[test]
fn a_script_that_is_no_text_is_refused_with_its_line_and_column() {
    for (bytes, place) in [
        (&b"\xff"[..], "line 1, column 1"),
        (b"SELECT 1;\nSELECT '\xc3';", "line 2, column 9"),
        (b"SELECT '\xc3\xbc\xed\xa0\x80'", "line 1, column 10"),
        (b"\n\n\nSELECT 1 \xf8\x88\x80\x80\x80", "line 4, column 10"),
        (b"S\0E\0L\0E\0C\0T\0 \0\xfc\0", "line 1, column 15"),
    ] {
        let error = script::read_script(bytes).unwrap_err();
        assert_eq!(error.kind(), dosql::ErrorKind::InvalidInput);
        assert!(error.message().ends_with(place), "{error}");
    }
    assert_eq!(script::read_script(&b"\xef\xbb\xbfSELECT 1"[..]).unwrap(), "SELECT 1");
}

#[test]
fn the_first_mistake_of_a_script_is_told_with_its_line_and_column() {
    for (text, told) in [
        ("SELECT 1;\nSELEC 2;", "script line 2, column 1: near \"SELEC\": syntax error"),
        ("SELECT 'ü', z;", "script line 1, column 13: no such column: z"),
        ("SELECT 1;\n\n  SELECT\n z", "script line 4, column 2: no such column: z"),
        ("SELECT 'never closed\n\n", "script line 1, column 8: unrecognized token"),
        ("CREATE TABLE t (a);\nINSERT INTO t VALUES\n(1, 2)", "script line 2, column"),
        (".nonsense", "script line 1, column 1: unknown command"),
        ("SELECT 1;\n.import nowhere.csv t\n", "script line 2, column 1: opening nowhere.csv"),
        (".mode 'list", "script line 1, column 1: a quote is not closed"),
        ("SELECT \0", "script line 1, column 8"),
    ] {
        let complaint = complaint(text);
        assert!(complaint.starts_with(&format!("Error: {told}")), "{text:?}: {complaint}");
    }
    let long = format!("{}SELECT z;", "SELECT 1;\n".repeat(20_000));
    assert_eq!(complaint(&long), "Error: script line 20001, column 8: no such column: z");
}

#[test]
fn what_is_no_request_gets_an_answer_and_the_next_line_its_own() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let lines: Vec<Vec<u8>> = [
        "nonsense",
        "[]",
        "null",
        "{}",
        r#"{"sql": 1}"#,
        r#"{"sql": "SELECT 1", "session": 1}"#,
        r#"{"sql": "SELECT ?1", "params": 1}"#,
        r#"{"sql": "SELECT ?1", "params": [[]]}"#,
        r#"{"sql": "SELECT ?1", "params": [1, 2]}"#,
        r#"{"sql": "SELECT ?1", "params": [{"blob": "0"}]}"#,
        r#"{"sql": "SELECT ?1", "params": [{"blob": "zz"}]}"#,
        r#"{"sql": "SELECT ?1", "params": [{"blob": 1}]}"#,
        r#"{"sql": "SELECT ?1", "params": [{"real": "nan"}]}"#,
        r#"{"sql": "SELECT ?1", "params": [1e999]}"#,
        r#"{"sql": "SELECT :a", "params": {"b": 1}}"#,
        r#"{"sql": "SELECT '\ud800'"}"#,
        r#"{"sql": "SELECT 1""#,
        r#"{"sql": "SELECT 1"} {"#,
        &deep,
        &format!(r#"{{"sql": "SELECT ?1", "params": [{deep}]}}"#),
        &format!(r#"{{"sql": "SELECT {}"}}"#, "(".repeat(1 << 20)),
    ]
    .iter()
    .map(|line| line.as_bytes().to_vec())
    .chain([b"{\"sql\": \"SELECT '\xff'\"}".to_vec(), b"\xff\xfe".to_vec(), b"\0".to_vec()])
    .collect();
    let sound = br#"{"sql": "SELECT 7"}"#.to_vec();
    let requests: Vec<u8> =
        lines.iter().flat_map(|line| [line.as_slice(), b"\n", &sound, b"\n"].concat()).collect();
    let answers = answers(&requests);
    assert_eq!(answers.len(), 2 * lines.len());
    for (line, pair) in lines.iter().zip(answers.chunks(2)) {
        let start = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        assert!(pair[0]["error"]["code"].is_string(), "{start}: {}", pair[0]);
        assert!(!pair[0]["error"]["message"].as_str().unwrap().is_empty(), "{start}");
        assert_eq!(pair[1]["rows"].to_string(), "[[7]]", "{start}");
    }
}

#[test]
fn reals_come_in_to_their_last_digit() {
    for real in ["922337.0368547759", "0.1", "1.7976931348623157e308", "5e-324", "-123456789.12345679"] {
        let request = format!(r#"{{"sql": "SELECT ?1 = {real}", "params": [{real}]}}"#);
        assert_eq!(answers(request.as_bytes())[0]["rows"].to_string(), "[[1]]", "{real}");
    }
}

#[test]
fn a_request_with_thousands_of_names_is_answered_in_time() {
    let names: Vec<String> = (0..30_000).map(|i| format!(":p{i}")).collect();
    let values: serde_json::Map<String, Json> =
        (0..30_000).map(|i| (format!("p{i}"), Json::from(i))).collect();
    let sql = format!("SELECT 29999 IN ({})", names.join(","));
    let request = serde_json::json!({ "sql": sql, "params": values });
    assert_eq!(answers(request.to_string().as_bytes())[0]["rows"].to_string(), "[[1]]");
}

#[test]
fn what_is_no_table_of_values_is_refused_and_leaves_nothing() {
    let connection = database().connect().unwrap();
    for (text, told) in [
        (&b""[..], "empty"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 fields"),
        (b"a,b\n1,2,3\n", "line 2 has 3 fields"),
        (b"a,\xff\n1,2\n", "UTF-8"),
        (b"a,b\n1,\xff\n", "UTF-8"),
        (b"a,a\n1,2\n", "duplicate column name: a"),
    ] {
        let error = imported(&connection, text).unwrap_err();
        assert!(error.to_string().contains(told), "{}: {error}", String::from_utf8_lossy(text));
        assert!(!connection.in_transaction());
        let sql = "SELECT count(*) FROM sqlite_schema";
        assert_eq!(connection.query_row(sql, (), |row| row.get::<i64>(0)).unwrap(), 0);
    }
    let wide: Vec<String> = (0..3_000).map(|i| format!("c{i}")).collect();
    let error = imported(&connection, wide.join(",").as_bytes()).unwrap_err();
    assert_eq!(error.kind(), dosql::ErrorKind::Limit, "{error}");
    // Whatever a quote or a name holds is a value or a name.
    let odd = b"\"a\"\"; DROP TABLE t; --\",\"\xc3\xbc\n\"\n\"1\n2\",\"\"\"\"\n\"open, to the end";
    assert!(imported(&connection, odd).is_err());
    let odd = b"\"a\"\"; DROP TABLE t; --\",\"\xc3\xbc\n\"\n\"1\n2\",\"\"\"\"\n";
    assert_eq!(imported(&connection, odd).unwrap(), 1);
    assert_eq!(imported(&connection, b"x,y\n3,4\n").unwrap(), 1);
    assert!(imported(&connection, b"x\n3\n").is_err());
    connection.execute("CREATE VIEW v AS SELECT 1", ()).unwrap();
    assert!(import::csv(&connection, &b"a\n1\n"[..], "file.csv", "v").is_err());
    assert!(import::csv(&connection, &b"a\n1\n"[..], "file.csv", "sqlite_schema").is_err());
}
