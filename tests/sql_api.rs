//! The Rust API over SQL: what people know from rusqlite works as they know it.

use std::sync::Arc;
use std::time::Duration;

use dosql::{Code, Connection, Database, ErrorKind, OptionalExtension, Value, named_params, params};

fn people() -> Connection {
    let connection = Database::open_memory().unwrap().connect().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER, photo BLOB);
             INSERT INTO person (name, age) VALUES ('ada', 36), ('bob', NULL);",
        )
        .unwrap();
    connection
}

#[test]
fn parameters_bind_by_position_by_number_and_by_name() {
    let connection = people();
    let one = |sql: &str, params: &[(&str, i64)]| -> i64 {
        assert!(params.len() < 2);
        connection.query_row(sql, [params[0].1], |row| row.get(0)).unwrap()
    };
    assert_eq!(one("SELECT ? + 1", &[("", 1)]), 2);
    assert_eq!(one("SELECT ?1 * ?1", &[("", 7)]), 49);
    let sum: i64 = connection.query_row("SELECT ?2 - ?1", (1, 10), |row| row.get(0)).unwrap();
    assert_eq!(sum, 9);
    let named: String = connection
        .query_row("SELECT :a || @b || $c", named_params! { ":a": "x", "b": "y", "$c": "z" }, |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(named, "xyz");
    let mixed: String = connection
        .query_row("SELECT typeof(?1) || typeof(?2)", params![1.5, None::<i64>], |row| row.get(0))
        .unwrap();
    assert_eq!(mixed, "realnull");
    let error = connection.query_row("SELECT ?1", (), |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), Code::Range);
}

#[test]
fn typed_getters_say_which_column_has_the_wrong_type() {
    let connection = people();
    let (name, age): (String, Option<i64>) = connection
        .query_row("SELECT name, age FROM person WHERE id = 2", (), |row| Ok((row.get("name")?, row.get(1)?)))
        .unwrap();
    assert_eq!((name.as_str(), age), ("bob", None));
    let error = connection.query_row("SELECT name FROM person", (), |row| row.get::<i64>(0)).unwrap_err();
    assert_eq!(error.code(), Code::Mismatch);
    assert!(error.to_string().contains("name"), "{error}");
    let error =
        connection.query_row("SELECT name FROM person", (), |row| row.get::<String>("nme")).unwrap_err();
    assert_eq!(error.code(), Code::Range);
}

#[test]
fn every_kind_of_value_goes_in_and_comes_out_unchanged() {
    let connection = people();
    let values = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(0.1 + 0.2),
        Value::Real(f64::INFINITY),
        Value::Text("ü\0\u{10ffff}".into()),
        Value::Blob(Arc::from(&b"\0\xff"[..])),
    ];
    for value in values {
        let back: Value = connection.query_row("SELECT ?1", [value.clone()], |row| row.get(0)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{value:?}"));
    }
}

#[test]
fn a_query_without_rows_is_an_error_that_optional_turns_into_none() {
    let connection = people();
    let find = |id: i64| {
        connection
            .query_row("SELECT name FROM person WHERE id = ?1", [id], |row| row.get::<String>(0))
            .optional()
    };
    assert_eq!(find(1).unwrap().as_deref(), Some("ada"));
    assert_eq!(find(99).unwrap(), None);
}

#[test]
fn a_statement_is_prepared_once_and_survives_a_schema_change() {
    let connection = people();
    let mut count = connection.prepare("SELECT count(*), * FROM person").unwrap();
    assert_eq!(count.column_names(), ["count(*)", "id", "name", "age", "photo"]);
    connection.execute_batch("CREATE INDEX by_age ON person(age); CREATE TABLE other (x)").unwrap();
    let n: i64 = count.query_row((), |row| row.get(0)).unwrap();
    assert_eq!(n, 2);
    let mut insert = connection.prepare("INSERT INTO other VALUES (?1)").unwrap();
    for i in 0..10 {
        assert_eq!(insert.execute([i]).unwrap(), 1);
    }
    assert_eq!(connection.last_insert_rowid(), 10);
    assert_eq!(connection.changes(), 1);
}

#[test]
fn a_failed_statement_changes_nothing_and_the_transaction_goes_on() {
    let connection = people();
    connection.execute_batch("BEGIN; INSERT INTO person (name) VALUES ('cyd')").unwrap();
    let error = connection.execute("INSERT INTO person (name) VALUES ('dan'), ('ada')", ()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Constraint, Code::ConstraintUnique));
    assert_eq!(error.message(), "UNIQUE constraint failed: person.name");
    connection.execute_batch("COMMIT").unwrap();
    let names: String =
        connection.query_row("SELECT group_concat(name) FROM person", (), |row| row.get(0)).unwrap();
    assert_eq!(names, "ada,bob,cyd");
}

#[test]
fn a_transaction_closure_commits_on_ok_and_rolls_back_on_error_and_panic() {
    let connection = people();
    let count = || connection.query_row("SELECT count(*) FROM person", (), |row| row.get::<i64>(0)).unwrap();
    connection.transaction(|tx| tx.execute("INSERT INTO person (name) VALUES ('cyd')", ())).unwrap();
    assert_eq!(count(), 3);
    let failed: dosql::Result<()> = connection.transaction(|tx| {
        tx.execute("INSERT INTO person (name) VALUES ('dan')", ())?;
        Err(dosql::Error::invalid("no"))
    });
    assert!(failed.is_err() && !connection.in_transaction());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: dosql::Result<()> = connection.transaction(|tx| {
            tx.execute("INSERT INTO person (name) VALUES ('eve')", ())?;
            panic!("on purpose")
        });
    }));
    assert!(panicked.is_err() && !connection.in_transaction());
    assert_eq!(count(), 3);
}

#[test]
fn savepoints_nest_and_roll_back_to_where_they_were_set() {
    let connection = people();
    connection
        .execute_batch(
            "SAVEPOINT a; INSERT INTO person (name) VALUES ('c');
             SAVEPOINT b; INSERT INTO person (name) VALUES ('d');
             ROLLBACK TO b; INSERT INTO person (name) VALUES ('e');
             RELEASE a;",
        )
        .unwrap();
    assert!(!connection.in_transaction());
    let names: String =
        connection.query_row("SELECT group_concat(name) FROM person", (), |row| row.get(0)).unwrap();
    assert_eq!(names, "ada,bob,c,e");
    assert_eq!(
        connection.execute("RELEASE missing", ()).unwrap_err().message(),
        "no such savepoint: missing"
    );
}

#[test]
fn readers_see_their_snapshot_while_a_writer_commits() {
    let connection = people();
    let other = connection.database().connect().unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let count =
        |c: &Connection| c.query_row("SELECT count(*) FROM person", (), |row| row.get::<i64>(0)).unwrap();
    assert_eq!(count(&connection), 2);
    other.execute("INSERT INTO person (name) VALUES ('cyd')", ()).unwrap();
    assert_eq!((count(&connection), count(&other)), (2, 3));
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&connection), 3);
}

#[test]
fn two_optimistic_transactions_that_read_what_the_other_writes_do_not_both_commit() {
    let connection = people();
    let other = connection.database().connect().unwrap();
    for c in [&connection, &other] {
        c.execute_batch("BEGIN CONCURRENT").unwrap();
        let _: i64 =
            c.query_row("SELECT count(*) FROM person WHERE age IS NULL", (), |row| row.get(0)).unwrap();
    }
    connection.execute("UPDATE person SET age = NULL WHERE name = 'ada'", ()).unwrap();
    other.execute("UPDATE person SET age = 1 WHERE name = 'bob'", ()).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    let error = other.execute_batch("COMMIT").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!other.in_transaction());
}

#[test]
fn a_held_turn_makes_the_other_writer_busy_after_its_timeout() {
    let connection = people();
    let other = connection.database().connect().unwrap();
    other.busy_timeout(Duration::from_millis(10));
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = other.execute("DELETE FROM person", ()).unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.message()),
        (ErrorKind::Busy, Code::Busy, "database is locked")
    );
    connection.execute_batch("ROLLBACK").unwrap();
    assert_eq!(other.execute("DELETE FROM person", ()).unwrap(), 2);
}

#[test]
fn pragmas_set_what_the_connection_does_with_writes() {
    let connection = people();
    connection.execute_batch("PRAGMA query_only = on").unwrap();
    assert_eq!(connection.execute("DELETE FROM person", ()).unwrap_err().kind(), ErrorKind::ReadOnly);
    connection.execute_batch("PRAGMA query_only = off").unwrap();
    let other = connection.database().connect().unwrap();
    let timeout: i64 = other.query_row("PRAGMA busy_timeout(20)", (), |row| row.get(0)).unwrap();
    assert_eq!(timeout, 20);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(other.execute("DELETE FROM person", ()).unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn mistakes_point_into_the_text() {
    let connection = people();
    let offset = |sql: &str| connection.prepare(sql).unwrap_err().offset();
    assert_eq!(offset("SELECT nme FROM person"), Some(7));
    assert_eq!(offset("SELECT * FROM persons"), Some(14));
    assert_eq!(offset("SELECT * FRM person"), Some(9));
    assert!(offset("SELECT 1; SELECT 2").is_some());
    assert_eq!(connection.prepare("  -- nothing").unwrap_err().code(), Code::Misuse);
}

#[test]
fn an_interrupt_ends_a_long_statement() {
    let connection = Arc::new(people());
    let handle = connection.interrupt_handle();
    let stop = std::thread::spawn(move || {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(10));
            handle.interrupt();
        }
    });
    let long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT sum(n) FROM c";
    let error = connection.query_row(long, (), |row| row.get::<Value>(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    stop.join().unwrap();
}

#[test]
fn handles_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Database>();
    check::<Connection>();
    fn send<T: Send>() {}
    send::<dosql::Statement>();
}

#[test]
fn a_commit_that_finds_the_turn_taken_leaves_the_transaction_open() {
    let connection = people();
    let other = connection.database().connect().unwrap();
    connection.busy_timeout(Duration::ZERO);
    connection.execute_batch("BEGIN CONCURRENT; INSERT INTO person (name) VALUES ('eve')").unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE person SET age = 40 WHERE name = 'bob'").unwrap();
    assert_eq!(connection.execute("COMMIT", ()).unwrap_err().kind(), ErrorKind::Busy);
    assert!(connection.in_transaction());
    other.execute_batch("ROLLBACK").unwrap();
    connection.execute("COMMIT", ()).unwrap();
    let names: i64 = other.query_row("SELECT count(*) FROM person", (), |row| row.get(0)).unwrap();
    assert_eq!(names, 3);
}
