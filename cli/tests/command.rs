//! The `dosql` command, as a user runs it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn dosql(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dosql"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder that goes away, and the name of a database in it.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("test.dosql").to_str().unwrap().to_owned();
    (folder, database)
}

#[test]
fn a_script_loads_and_the_next_run_finds_what_it_left() {
    let (_folder, db) = folder();
    let script = include_str!("../../examples/solar.sql");
    let loaded = dosql(&[&db], script.as_bytes());
    assert!(loaded.status.success(), "{loaded:?}");
    assert_eq!(out(&loaded).lines().next(), Some("Mars|7|1964-11-28|Phobos"));
    let asked = dosql(&[&db, "SELECT count(*) FROM moon; SELECT max(radius_km) FROM planet"], b"");
    assert_eq!(out(&asked), "26\n69911.0\n");
    // The example can be run again.
    assert_eq!(out(&dosql(&[&db], script.as_bytes())), out(&loaded));
}

#[test]
fn the_first_error_of_a_script_is_told_with_its_line_and_column() {
    let (_folder, db) = folder();
    let script =
        b"CREATE TABLE t (a);\nINSERT INTO t VALUES (1);\n\nSELECT a,\n       b FROM t;\nSELECT 'never';\n";
    let output = dosql(&[&db], script);
    let complaint = complaint(&output);
    assert!(complaint.contains("stdin line 5, column 8"), "{complaint}");
    assert!(complaint.contains("no such column: b"), "{complaint}");
    assert_eq!(out(&output), "");
    assert_eq!(out(&dosql(&[&db, "SELECT * FROM t"], b"")), "1\n");
}

#[test]
fn a_script_that_is_not_utf8_is_refused_with_the_place() {
    let output = dosql(&[":memory:"], b"SELECT 1;\nSELECT '\xff';\n");
    assert!(complaint(&output).contains("not UTF-8 at line 2, column 9"), "{output:?}");
}

#[test]
fn dot_commands_work_between_statements() {
    let script = "CREATE TABLE t (a INTEGER, b TEXT);\nCREATE INDEX i ON t(b);\n.tables\n.indexes t\n.schema t\n\
                  INSERT INTO t VALUES (1, 'x');\n.mode json\nSELECT * FROM t;\n.mode markdown\nSELECT * FROM t;\n.nonsense\n";
    let output = dosql(&[":memory:"], script.as_bytes());
    assert_eq!(
        out(&output),
        "t\ni\nCREATE TABLE t (a INTEGER, b TEXT);\nCREATE INDEX i ON t(b);\n[{\"a\":1,\"b\":\"x\"}]\n\
         | a | b |\n|---|---|\n| 1 | x |\n"
    );
    assert!(complaint(&output).contains("line 11, column 1"));
}

#[test]
fn csv_files_come_in_and_go_out() {
    let (folder, db) = folder();
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "id,name\r\n1,\"Ada, \"\"the\"\" first\"\r\n2,Bob\r\n").unwrap();
    let script =
        format!(".import '{}' people\n.mode csv\nSELECT * FROM people ORDER BY id;\n", file.display());
    let output = dosql(&[&db], script.as_bytes());
    assert_eq!(out(&output), "2 rows\nid,name\r\n1,\"Ada, \"\"the\"\" first\"\r\n2,Bob\r\n");
    std::fs::write(&file, "id,name\n3,Cyd\n4\n").unwrap();
    let output = dosql(&[&db], format!(".import '{}' people\n", file.display()).as_bytes());
    assert!(complaint(&output).contains("line 3 has 1 fields where the first line has 2"), "{output:?}");
    assert_eq!(
        out(&dosql(&[&db, "SELECT count(*) FROM people"], b"")),
        "2\n",
        "an import is one transaction"
    );
}

#[test]
fn scripts_read_scripts() {
    let (folder, db) = folder();
    let file = folder.path().join("inner.sql");
    std::fs::write(&file, "SELECT 'inner';\n").unwrap();
    let output = dosql(&[&db], format!("SELECT 1;\n.read '{}'\nSELECT 2;\n", file.display()).as_bytes());
    assert_eq!(out(&output), "1\ninner\n2\n");
    std::fs::write(&file, format!(".read '{}'\n", file.display())).unwrap();
    let output = dosql(&[&db], format!(".read '{}'\n", file.display()).as_bytes());
    assert!(complaint(&output).contains("deeper than 16"), "{output:?}");
}

#[test]
fn the_pipe_answers_every_line_with_one_line() {
    let requests = [
        r#"{"sql": "CREATE TABLE t (i INTEGER, r REAL, s, b BLOB)"}"#,
        r#"{"sql": "INSERT INTO t VALUES (?1, :r, ?3, ?4)", "params": [9223372036854775807, 1, "ü", {"blob": "00FF"}]}"#,
        r#"{"sql": "SELECT i, r, s, b, 1e999, NULL FROM t"}"#,
        r#"{"sql": "SELECT :a || $b AS joined", "params": {"a": "x", "$b": "y"}}"#,
        r#"{"sql": "SELECT missing"}"#,
        r#"{"sql": 7}"#,
        r#"nonsense"#,
        r#"{"sql": "SELECT 1; SELECT 2 AS two;"}"#,
        r#"{"sql": ""}"#,
    ];
    let output = dosql(&["pipe", ":memory:"], requests.join("\n").as_bytes());
    let answers: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), requests.len());
    assert_eq!(answers[1]["changes"], 1);
    let row = r#"[[9223372036854775807,1.0,"ü",{"blob":"00ff"},{"real":"inf"},null]]"#;
    assert_eq!(answers[2]["rows"].to_string(), row);
    assert_eq!(answers[2]["types"].to_string(), r#"["INTEGER","REAL","TEXT","BLOB","REAL","NULL"]"#);
    assert_eq!(answers[3]["rows"].to_string(), r#"[["xy"]]"#);
    assert_eq!(answers[4]["error"]["offset"], 7);
    assert_eq!(answers[4]["error"]["message"], "no such column: missing");
    assert_eq!(answers[5]["error"]["code"], "SQLITE_MISUSE");
    assert_eq!(answers[6]["error"]["code"], "SQLITE_MISUSE");
    assert_eq!(answers[7]["columns"].to_string(), r#"["two"]"#);
    assert_eq!(answers[8]["rows"].to_string(), "[]");
    assert!(answers[2]["lsn"].as_u64().unwrap() > 1_700_000_000_000_000);
}

#[test]
fn pipe_sessions_interleave_their_transactions() {
    let requests = [
        r#"{"sql": "CREATE TABLE t (x)"}"#,
        r#"{"sql": "BEGIN IMMEDIATE", "session": "a"}"#,
        r#"{"sql": "INSERT INTO t VALUES (1)", "session": "a"}"#,
        r#"{"sql": "SELECT count(*) FROM t", "session": "b"}"#,
        r#"{"sql": "INSERT INTO t VALUES (2)", "session": "b"}"#,
        r#"{"sql": "COMMIT", "session": "a"}"#,
        r#"{"sql": "SELECT count(*) FROM t", "session": "b"}"#,
    ];
    let output = dosql(&["pipe", ":memory:"], requests.join("\n").as_bytes());
    let answers: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[3]["rows"].to_string(), "[[0]]");
    assert_eq!(answers[4]["error"]["code"], "SQLITE_BUSY");
    assert_eq!(answers[6]["rows"].to_string(), "[[1]]");
}

#[test]
fn verify_finds_a_flipped_byte_and_says_where() {
    let (_folder, db) = folder();
    let script = "CREATE TABLE t (a PRIMARY KEY, b);
        INSERT INTO t SELECT value, hex(randomblob(100)) FROM generate_series(1, 500);";
    assert!(dosql(&[&db], script.as_bytes()).status.success());
    let sound = dosql(&["verify", &db], b"");
    assert!(sound.status.success() && out(&sound).ends_with("sound\n"), "{sound:?}");
    let stats = dosql(&["stats", &db], b"");
    assert!(stats.status.success(), "{stats:?}");
    for line in ["rows, indexes and catalogs included", "found in memory", "oldest snapshot", "  all  "] {
        assert!(out(&stats).contains(line), "{line}: {stats:?}");
    }
    let shell = dosql(&[&db], b".stats\n");
    assert!(out(&shell).contains("commits to check against"), "{shell:?}");
    let pages = Path::new(&db).join("pages");
    let mut bytes = std::fs::read(&pages).unwrap();
    // The middle of a page of rows: past the two meta slots, in use.
    let at = bytes.len() / 2;
    let at = (at..bytes.len()).find(|&at| bytes[at] != 0).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(&pages, bytes).unwrap();
    let damaged = dosql(&["verify", &db], b"");
    assert!(!damaged.status.success(), "{damaged:?}");
}

#[test]
fn compacting_gives_back_the_space_of_what_was_deleted() {
    let (_folder, db) = folder();
    let script = "CREATE TABLE t (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
                  INSERT INTO t SELECT hex(zeroblob(400)) FROM n;";
    assert!(dosql(&[&db], script.as_bytes()).status.success());
    let len = || std::fs::metadata(Path::new(&db).join("pages")).unwrap().len();
    let full = len();
    assert!(dosql(&[&db, "DROP TABLE t"], b"").status.success());
    // The rows are history now: a copy of them was made, the place of the first can be had.
    let said = out(&dosql(&["compact", &db], b""));
    assert!(said.ends_with(" bytes given back\n") && !said.starts_with("0 "), "{said}");
    assert!(len() < full * 5 / 4, "{full} to {}", len());
    assert!(out(&dosql(&["verify", &db], b"")).ends_with("sound\n"));
}

#[test]
fn a_backup_is_a_database_of_its_own_and_takes_no_place_that_is_taken() {
    let (folder, db) = folder();
    assert!(dosql(&[&db, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)"], b"").status.success());
    let copy = folder.path().join("copy.dosql").to_str().unwrap().to_owned();
    let made = dosql(&["backup", &db, &copy], b"");
    assert!(out(&made).starts_with("copied as of "), "{made:?}");
    assert_eq!(out(&dosql(&[&copy, "SELECT sum(x) FROM t"], b"")), "3\n");
    assert!(out(&dosql(&["verify", &copy], b"")).ends_with("sound\n"));
    assert!(complaint(&dosql(&["backup", &db, &copy], b"")).contains("something is there already"));
}

#[test]
fn what_is_no_database_and_bad_arguments_are_told_apart_from_damage() {
    let (folder, _) = folder();
    let output = dosql(&["verify", folder.path().join("nowhere").to_str().unwrap()], b"");
    assert!(complaint(&output).contains("there is no database"), "{output:?}");
    let file = folder.path().join("file");
    std::fs::write(&file, "hello").unwrap();
    assert!(!complaint(&dosql(&[file.to_str().unwrap(), "SELECT 1"], b"")).is_empty());
    assert_eq!(dosql(&[], b"").status.code(), Some(2));
    assert_eq!(dosql(&["--mode", "xml", ":memory:"], b"").status.code(), Some(2));
    assert!(out(&dosql(&["--help"], b"")).contains("dosql pipe DB"));
}

#[test]
fn a_second_process_is_told_that_the_database_is_open() {
    let (_folder, db) = folder();
    let mut first = Command::new(env!("CARGO_BIN_EXE_dosql"))
        .args(["pipe", &db])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = first.stdin.take().unwrap();
    writeln!(input, r#"{{"sql": "CREATE TABLE t (x)"}}"#).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(first.stdout.take().unwrap()), &mut line)
        .unwrap();
    let second = dosql(&[&db, "SELECT 1"], b"");
    let complaint = complaint(&second);
    assert!(complaint.contains("open") || complaint.contains("lock"), "{complaint}");
    drop(input);
    assert!(first.wait().unwrap().success());
    assert!(dosql(&[&db, "SELECT * FROM t"], b"").status.success());
}

#[test]
fn changes_are_printed_as_json_after_any_of_them_and_as_they_come() {
    let (_folder, db) = folder();
    let made = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c REAL);
        INSERT INTO t VALUES (1, 'x\"y', x'00ff', 9e999), (2, NULL, NULL, 0.1);";
    assert!(dosql(&[&db], made.as_bytes()).status.success());
    let json = |output: &std::process::Output| -> Vec<serde_json::Value> {
        out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = json(&dosql(&["changes", &db], b""));
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[0]["op"], &all[0]["table"], &all[0]["columns"][1]["type"]),
        (&"schema_read".into(), &"t".into(), &"TEXT".into())
    );
    assert_eq!(
        all[1]["after"],
        serde_json::json!({"id": 1, "a": "x\"y", "b": {"blob": "00ff"}, "c": {"real": "inf"}})
    );
    assert_eq!(
        (&all[2]["op"], &all[2]["last"], &all[2]["key"]["id"]),
        (&"read".into(), &true.into(), &2.into())
    );
    let lsn = all[2]["lsn"].as_u64().unwrap().to_string();
    let follow = [
        "changes", &db, "--after", &lsn, "--table", "t", "--where", "id > 1", "--format", "debezium",
        "--follow",
    ];
    let script = b"UPDATE t SET a = 'new', b = x'0102' WHERE id = 2; DELETE FROM t; INSERT INTO t VALUES (3, 'z', NULL, 1.0);";
    let output = dosql(&follow, script);
    let followed = json(&output);
    let ops: Vec<_> = followed.iter().map(|change| change["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["u", "d", "c"], "{output:?}");
    assert_eq!(followed[0]["before"], serde_json::json!({"id": 2, "a": null, "b": null, "c": 0.1}));
    assert_eq!(followed[0]["after"]["b"], "AQI=");
    assert_eq!(
        (&followed[1]["after"], &followed[2]["before"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(
        (&followed[0]["source"]["connector"], &followed[0]["source"]["table"]),
        (&"dosql".into(), &"t".into())
    );
    assert_eq!(followed[0]["source"]["lsn"].as_u64().map(|lsn| lsn / 1000), followed[0]["ts_ms"].as_u64());
    assert_eq!(followed[2]["transaction"]["total_order"], 1);
    assert!(complaint(&dosql(&["changes", &db, "--table", "nope"], b"")).contains("no such table: nope"));
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let (_folder, database) = folder();
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_dosql"))
        .args([database.as_str(), sql])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn cold_rows_move_into_segments_and_a_database_is_rebuilt_from_them() {
    let (_folder, db) = folder();
    let fill = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO t SELECT i, printf('%080d', i * 7919) FROM n";
    assert!(dosql(&[&db, fill], b"").status.success());
    let compacted = dosql(&["compact", &db, "--hot-budget", "64K"], b"");
    assert!(out(&compacted).ends_with("bytes given back\n"), "{compacted:?}");
    let tier = out(&dosql(&["tier", &db], b""));
    assert!(tier.contains("hot") && tier.contains("live "), "{tier}");
    let sum = "SELECT count(*), sum(length(x)) FROM t; SELECT count(*) > 0 FROM dosql_segments";
    assert_eq!(out(&dosql(&[&db, sum], b"")), "5000|400000\n1\n");
    let gc = out(&dosql(&["gc", &db, "--dry-run"], b""));
    assert!(gc.ends_with("0 deleted\n"), "{gc}");
    assert!(out(&dosql(&["publish", &db], b"")).starts_with("published as of "));
    let segments = Path::new(&db).join("segments");
    let (segments, again) = (segments.to_str().unwrap(), format!("{db}2"));
    assert!(out(&dosql(&["restore", segments, &again], b"")).starts_with("restored as of "));
    assert_eq!(out(&dosql(&[&again, sum], b"")), "5000|400000\n1\n");
    assert!(out(&dosql(&["verify", &again], b"")).ends_with("sound\n"));
    let early = complaint(&dosql(&["restore", segments, &format!("{db}3"), "--at", "2001-01-01"], b""));
    assert!(early.contains("nothing was published here at or before"), "{early}");
    let bucket = complaint(&dosql(&["--segments", "s3://bucket/prefix", &db, "SELECT 1"], b""));
    assert!(bucket.contains("object stores"), "{bucket}");
}
