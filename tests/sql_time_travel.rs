//! AS OF: any retained commit can be queried, with the schema of its time.

use dosql::{Code, Connection, Database, Options, Storage, Timestamp, Value, params};

/// A connection, and the commit after each statement.
fn script(statements: &[&str]) -> (Connection, Vec<Timestamp>) {
    let connection = Database::open_memory().unwrap().connect().unwrap();
    let commits = statements
        .iter()
        .map(|sql| {
            connection.execute(sql, ()).unwrap();
            connection.last_commit()
        })
        .collect();
    (connection, commits)
}

fn rows(connection: &Connection, sql: &str, at: Timestamp) -> Result<Vec<Vec<String>>, dosql::Error> {
    let mut statement = connection.prepare(sql)?;
    let values: Vec<Timestamp> = vec![at; statement.parameter_names().len()];
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(
            row.values().iter().map(|value| dosql::types::to_text(value.as_ref()).to_string()).collect(),
        );
    }
    Ok(all)
}

const T: &str = "SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?1 ORDER BY 1";

#[test]
fn a_query_of_the_past_sees_each_commit_as_it_was() {
    let (connection, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET v = 'A' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
    ]);
    assert!(rows(&connection, T, at[0]).unwrap().is_empty());
    assert_eq!(rows(&connection, T, at[1]).unwrap(), [["1", "a"], ["2", "b"]]);
    assert_eq!(rows(&connection, T, at[2]).unwrap(), [["1", "A"], ["2", "b"]]);
    assert_eq!(rows(&connection, T, at[3]).unwrap(), [["1", "A"]]);
}

#[test]
fn the_past_has_the_schema_of_its_time_across_alter_and_drop() {
    let (connection, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
        "INSERT INTO t VALUES (1, 'a')",
        "ALTER TABLE t ADD COLUMN w DEFAULT 7",
        "ALTER TABLE t RENAME COLUMN v TO name",
        "ALTER TABLE t DROP COLUMN name",
        "DROP TABLE t",
    ]);
    assert_eq!(rows(&connection, T, at[1]).unwrap(), [["1", "a"]]);
    assert_eq!(rows(&connection, T, at[2]).unwrap(), [["1", "a", "7"]]);
    let named = "SELECT name FROM t FOR SYSTEM_TIME AS OF LSN ?1";
    assert_eq!(rows(&connection, named, at[3]).unwrap(), [["a"]]);
    assert!(rows(&connection, named, at[2]).is_err());
    assert_eq!(rows(&connection, T, at[4]).unwrap(), [["1", "7"]]);
    assert_eq!(rows(&connection, "SELECT * FROM t", at[5]).unwrap_err().message(), "no such table: t");
}

#[test]
fn indexes_of_the_time_serve_queries_of_the_past() {
    let (connection, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
        "CREATE INDEX by_v ON t(v)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET v = 'c' WHERE id = 1",
        "DROP INDEX by_v",
    ]);
    let keyed = "SELECT id FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE v = 'a'";
    assert_eq!(rows(&connection, keyed, at[2]).unwrap(), [["1"]]);
    assert!(rows(&connection, keyed, at[3]).unwrap().is_empty());
    let moved = "SELECT id FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE v = 'c'";
    assert!(rows(&connection, moved, at[2]).unwrap().is_empty());
    assert_eq!(rows(&connection, moved, at[4]).unwrap(), [["1"]]);
}

#[test]
fn one_query_can_join_different_points() {
    let (connection, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)",
        "INSERT INTO t VALUES (1, 10), (2, 20)",
        "UPDATE t SET v = v + id",
    ]);
    let sql = "SELECT old.id, old.v, now.v FROM t FOR SYSTEM_TIME AS OF LSN ?1 AS old JOIN t AS now USING (id) ORDER BY 1";
    assert_eq!(rows(&connection, sql, at[1]).unwrap(), [["1", "10", "11"], ["2", "20", "22"]]);
}

#[test]
fn a_prepared_statement_reads_another_point_at_each_run() {
    let (connection, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (3)",
    ]);
    let mut count = connection.prepare("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF LSN ?1").unwrap();
    for (expected, at) in [(3, at[3]), (0, at[0]), (2, at[2]), (1, at[1])] {
        assert_eq!(count.query_row([at], |row| row.get::<i64>(0)).unwrap(), expected);
    }
}

#[test]
fn timestamps_are_iso_text_or_unix_milliseconds() {
    let (connection, at) = script(&["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"]);
    std::thread::sleep(std::time::Duration::from_millis(3));
    let count = |sql: &str| connection.query_row(sql, (), |row| row.get::<i64>(0));
    let later = at[1].as_micros() / 1000 + 1;
    assert_eq!(count(&format!("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF TIMESTAMP {later}")).unwrap(), 1);
    let iso: String = connection
        .query_row(
            "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')",
            [i64::try_from(later).unwrap()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(count(&format!("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '{iso}'")).unwrap(), 1);
    let seconds = count("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF TIMESTAMP 1764000000").unwrap_err();
    assert!(seconds.message().contains("milliseconds"), "{seconds}");
    assert!(count("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF TIMESTAMP 'yesterday-ish'").is_err());
}

#[test]
fn the_future_the_expired_and_the_not_yet_created_are_three_errors() {
    let (connection, at) = script(&["CREATE TABLE s (x)", "CREATE TABLE t (x)", "DROP TABLE t"]);
    let code = |at: Timestamp| rows(&connection, T, at).unwrap_err().code();
    assert_eq!(code(Timestamp::from_micros(at[2].as_micros() + 3_600_000_000)), Code::AsOfFuture);
    assert_eq!(code(at[0]), Code::AsOfNoTable);
    assert_eq!(code(at[2]), Code::AsOfNoTable);
    assert!(rows(&connection, T, at[1]).is_ok());
    assert_eq!(code(Timestamp::from_micros(1)), Code::AsOfExpired);
}

#[test]
fn the_past_outlives_checkpoints_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        || Database::open(Storage::directory(folder.path().join("db")).unwrap(), Options::default()).unwrap();
    let mut at = Vec::new();
    let database = open();
    let connection = database.connect().unwrap();
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", ()).unwrap();
    for i in 0..20 {
        connection.execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", params![i % 5, i]).unwrap();
        at.push(connection.last_commit());
        if i % 7 == 3 {
            database.checkpoint().unwrap();
        }
    }
    drop(connection);
    database.close().unwrap();
    drop(database);
    let connection = open().connect().unwrap();
    for (i, at) in at.iter().enumerate() {
        let newest: Value = connection
            .query_row("SELECT max(v) FROM t FOR SYSTEM_TIME AS OF LSN ?1", [*at], |row| row.get(0))
            .unwrap();
        assert_eq!(format!("{newest:?}"), format!("Integer({i})"));
    }
}

#[test]
fn a_transaction_reads_the_past_without_its_own_writes() {
    let (connection, at) = script(&["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"]);
    connection.execute_batch("BEGIN; INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(rows(&connection, "SELECT count(*) FROM t", at[1]).unwrap(), [["2"]]);
    assert_eq!(
        rows(&connection, "SELECT count(*) FROM t FOR SYSTEM_TIME AS OF LSN ?1", at[1]).unwrap(),
        [["1"]]
    );
    connection.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_read_as_of_now_is_checked_at_commit_like_a_read_of_the_present() {
    let (first, _) = script(&["CREATE TABLE doctor (id INTEGER PRIMARY KEY, on_call INTEGER)"]);
    first.execute("INSERT INTO doctor VALUES (1, 1), (2, 1)", ()).unwrap();
    let database = first.database();
    let second = database.connect().unwrap();
    for queries in [
        ["SELECT sum(on_call) FROM doctor FOR SYSTEM_TIME AS OF LSN ?1"; 2],
        [
            "SELECT on_call FROM doctor FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 2",
            "SELECT on_call FROM doctor FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 1",
        ],
    ] {
        first.execute("UPDATE doctor SET on_call = 1", ()).unwrap();
        for (connection, query, id) in [(&first, queries[0], 1), (&second, queries[1], 2)] {
            connection.execute_batch("BEGIN CONCURRENT").unwrap();
            rows(connection, query, database.now()).unwrap();
            connection.execute("UPDATE doctor SET on_call = 0 WHERE id = ?1", [id]).unwrap();
        }
        first.execute_batch("COMMIT").unwrap();
        let error = second.execute_batch("COMMIT").unwrap_err();
        assert_eq!(error.kind(), dosql::ErrorKind::Conflict, "{queries:?}");
    }
}
