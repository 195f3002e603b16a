//! One process at a time, and only in a directory that is a database's.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(clippy::disallowed_methods, reason = "the test is its own second process")]

use std::process::Command;

use dosql::{Code, Database, ErrorKind};

#[test]
fn a_second_opener_is_told_that_the_database_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open_directory(&path).unwrap();
    let error = Database::open_directory(&path).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, Code::Busy));
    drop(db);
    Database::open_directory(&path).unwrap();
}

#[test]
fn closing_lets_the_next_one_in_while_handles_are_still_around() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open_directory(&path).unwrap();
    let reader = db.read().unwrap();
    let space = db.keyspace("space").unwrap();
    db.close().unwrap();
    Database::open_directory(&path).unwrap();
    assert_eq!(reader.get(&space, "k").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
#[cfg(unix)]
fn neither_a_removed_lock_file_nor_another_path_lets_a_second_one_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open_directory(&path).unwrap();
    let linked = dir.path().join("linked");
    std::os::unix::fs::symlink(&path, &linked).unwrap();
    assert_eq!(Database::open_directory(&linked).unwrap_err().kind(), ErrorKind::Busy);
    std::fs::remove_file(path.join("LOCK")).unwrap();
    assert_eq!(Database::open_directory(&path).unwrap_err().kind(), ErrorKind::Busy);
    let renamed = dir.path().join("renamed");
    std::fs::rename(&path, &renamed).unwrap();
    assert_eq!(Database::open_directory(&renamed).unwrap_err().kind(), ErrorKind::Busy);
    drop(db);
    Database::open_directory(&renamed).unwrap();
}

const CHILD: &str = "DOSQL_LOCK_TEST_PATH";

#[test]
fn another_process_is_kept_out_and_let_in_afterwards() {
    if let Ok(path) = std::env::var(CHILD) {
        let code = match Database::open_directory(path) {
            Ok(_) => 10,
            Err(error) if error.code() == Code::Busy => 11,
            Err(_) => 12,
        };
        std::process::exit(code);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let child = || {
        let test = "another_process_is_kept_out_and_let_in_afterwards";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(CHILD, &path);
        command.output().unwrap().status.code()
    };
    let db = Database::open_directory(&path).unwrap();
    assert_eq!(child(), Some(11));
    drop(db);
    assert_eq!(child(), Some(10));
}

#[test]
fn a_directory_of_something_else_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Database::open_directory(dir.path()).unwrap_err();
    assert_eq!(error.code(), Code::NotADb);
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["letter.txt"]);
    let file = dir.path().join("letter.txt");
    assert_eq!(Database::open_directory(file).unwrap_err().code(), Code::NotADb);
}

#[test]
fn the_log_of_a_database_whose_pages_are_missing_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open_directory(&path).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    drop(db);
    std::fs::remove_file(path.join("pages")).unwrap();
    let error = Database::open_directory(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("missing"), "{error}");
}
