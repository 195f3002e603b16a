//! Branches in SQL: the statements, the branch in use, reads of another branch.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use dosql::{Connection, Database, ErrorKind, Value};

fn numbers(connection: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn database() -> (Database, Connection) {
    let db = Database::open_memory().unwrap();
    let connection = db.connect().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')",
        )
        .unwrap();
    (db, connection)
}

#[test]
fn statements_make_use_alter_and_drop_branches() {
    let (db, connection) = database();
    connection
        .execute_batch("CREATE BRANCH draft; USE BRANCH draft; INSERT INTO t VALUES (3, 'three')")
        .unwrap();
    assert_eq!(numbers(&connection, "SELECT id FROM t"), [1, 2, 3]);
    connection.execute("USE BRANCH main", ()).unwrap();
    assert_eq!(numbers(&connection, "SELECT id FROM t"), [1, 2]);
    connection.execute("CREATE BRANCH IF NOT EXISTS draft", ()).unwrap();
    assert!(connection.execute("CREATE BRANCH draft", ()).is_err());
    let rows = "SELECT name || ':' || coalesce(parent, '-') || ':' || protected || ':' || current FROM dosql_branches ORDER BY name";
    connection
        .execute_batch("CREATE BRANCH \"feature/x\" FROM draft WITH (ttl = '48 hours', protected)")
        .unwrap();
    assert_eq!(texts(&connection, rows), ["draft:main:0:0", "feature/x:draft:1:0", "main:-:0:1"]);
    let ttl = numbers(
        &connection,
        "SELECT expires IS NOT NULL AND created < expires FROM dosql_branches WHERE name = 'feature/x'",
    );
    assert_eq!(ttl, [1]);
    connection.execute_batch("ALTER BRANCH \"feature/x\" SET (protected = 0, ttl = NULL); ALTER BRANCH \"feature/x\" RENAME TO y").unwrap();
    assert_eq!(numbers(&connection, "SELECT expires IS NULL FROM dosql_branches WHERE name = 'y'"), [1]);
    connection.execute_batch("DROP BRANCH y; DROP BRANCH IF EXISTS y; DROP BRANCH draft").unwrap();
    assert!(connection.execute("DROP BRANCH y", ()).unwrap_err().to_string().contains("no such branch: y"));
    assert_eq!(db.branches().len(), 1);
}

#[test]
fn a_table_of_another_branch_is_read_and_joined_in_one_query() {
    let (_db, connection) = database();
    connection
        .execute_batch(
            "CREATE BRANCH draft; USE BRANCH draft; UPDATE t SET v = 'eins' WHERE id = 1; DELETE FROM t WHERE id = 2;
             CREATE TABLE only_there (x); INSERT INTO only_there VALUES (42); ALTER TABLE t ADD COLUMN w DEFAULT 'new';
             USE BRANCH main; UPDATE t SET v = 'uno' WHERE id = 1",
        )
        .unwrap();
    let joined = "SELECT m.v || '/' || coalesce(d.v || d.w, 'gone') FROM t m LEFT JOIN t FOR SYSTEM_TIME AS OF BRANCH 'draft' d USING (id) ORDER BY id";
    assert_eq!(texts(&connection, joined), ["uno/einsnew", "two/gone"]);
    assert_eq!(numbers(&connection, "SELECT x FROM only_there FOR SYSTEM_TIME AS OF BRANCH draft"), [42]);
    let mut bound =
        connection.prepare("SELECT v FROM t FOR SYSTEM_TIME AS OF BRANCH ? WHERE id = 1").unwrap();
    for (branch, v) in [("main", "uno"), ("draft", "eins")] {
        assert_eq!(bound.query_row([branch], |row| row.get::<String>(0)).unwrap(), v);
    }
    let error = bound.query_row(["nowhere"], |row| row.get::<String>(0)).unwrap_err();
    assert!(error.to_string().contains("no such branch: nowhere"), "{error}");
}

#[test]
fn a_transaction_sees_another_branch_as_it_was_when_it_first_asked() {
    let (db, connection) = database();
    connection.execute("CREATE BRANCH draft", ()).unwrap();
    let other = db.branch("draft").unwrap().connect().unwrap();
    connection.execute("BEGIN", ()).unwrap();
    let count = "SELECT count(*) FROM t FOR SYSTEM_TIME AS OF BRANCH draft";
    assert_eq!(numbers(&connection, count), [2]);
    other.execute("INSERT INTO t VALUES (3, 'three')", ()).unwrap();
    assert_eq!(numbers(&connection, count), [2]);
    connection.execute("COMMIT", ()).unwrap();
    assert_eq!(numbers(&connection, count), [3]);
}

#[test]
fn the_schema_is_a_branch_s_own_and_plans_follow_the_branch_in_use() {
    let (db, connection) = database();
    let mut held = connection.prepare("SELECT count(*) FROM t WHERE v = 'one'").unwrap();
    assert_eq!(held.query_row((), |row| row.get::<i64>(0)).unwrap(), 1);
    connection.execute_batch("CREATE BRANCH draft; USE BRANCH draft; DROP TABLE t; CREATE TABLE t (v); INSERT INTO t VALUES ('one'), ('one')").unwrap();
    assert_eq!(held.query_row((), |row| row.get::<i64>(0)).unwrap(), 2);
    connection.execute("USE BRANCH main", ()).unwrap();
    assert_eq!(held.query_row((), |row| row.get::<i64>(0)).unwrap(), 1);
    connection
        .execute_batch("CREATE TABLE on_main (a); USE BRANCH draft; CREATE TABLE on_draft (b)")
        .unwrap();
    assert!(connection.prepare("SELECT a FROM on_main").is_err());
    let draft = db.branch("draft").unwrap();
    assert_eq!(
        texts(&draft.connect().unwrap(), "SELECT name FROM sqlite_schema WHERE name LIKE 'on_%'"),
        ["on_draft"]
    );
}

#[test]
fn versions_tags_log_and_restore_work_on_a_branch() {
    let (db, connection) = database();
    connection
        .execute_batch(
            "CREATE TAG before; CREATE BRANCH draft; USE BRANCH draft; UPDATE t SET v = 'eins' WHERE id = 1;
             CREATE TAG middle; UPDATE t SET v = 'un' WHERE id = 1; DELETE FROM t WHERE id = 2",
        )
        .unwrap();
    let versions = "SELECT v FROM t FOR SYSTEM_TIME ALL WHERE id = 1 ORDER BY ROW_START_LSN";
    assert_eq!(texts(&connection, versions), ["one", "eins", "un"]);
    assert_eq!(texts(&connection, "SELECT v FROM t FOR SYSTEM_TIME ALL WHERE id = 2"), ["two"]);
    assert_eq!(
        numbers(&connection, "SELECT ROW_END_LSN < 9e15 FROM t FOR SYSTEM_TIME ALL WHERE id = 2"),
        [1]
    );
    assert_eq!(
        texts(&connection, "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG before ORDER BY id"),
        ["one", "two"]
    );
    assert_eq!(
        texts(&connection, "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG middle ORDER BY id"),
        ["eins", "two"]
    );
    assert_eq!(numbers(&connection, "SELECT updated FROM dosql_log WHERE updated > 0"), [1, 1]);
    let fork = numbers(&connection, "SELECT fork FROM dosql_branches WHERE name = 'draft'")[0];
    let sql = format!("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN {fork} ORDER BY id");
    assert_eq!(texts(&connection, &sql), ["one", "two"]);
    connection.execute("RESTORE TABLE t TO TAG middle", ()).unwrap();
    assert_eq!(texts(&connection, "SELECT v FROM t ORDER BY id"), ["eins", "two"]);
    assert_eq!(texts(&connection, "SELECT name FROM dosql_tags ORDER BY 1"), ["before", "middle"]);
    let main = db.connect().unwrap();
    assert_eq!(texts(&main, "SELECT name FROM dosql_tags ORDER BY 1"), ["before"]);
    let error = main.execute("SELECT * FROM t FOR SYSTEM_TIME AS OF TAG middle", ()).unwrap_err();
    assert!(error.to_string().contains("no such tag: middle"), "{error}");
    assert_eq!(texts(&main, "SELECT v FROM t ORDER BY id"), ["one", "two"]);
}

#[test]
fn protected_branches_and_statements_inside_transactions_are_refused() {
    let (_db, connection) = database();
    connection.execute_batch("CREATE BRANCH draft WITH (protected); USE BRANCH draft").unwrap();
    let error = connection.execute("INSERT INTO t VALUES (3, 'x')", ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    connection.execute_batch("USE BRANCH main; BEGIN").unwrap();
    for sql in ["CREATE BRANCH x", "DROP BRANCH draft", "USE BRANCH draft", "MERGE BRANCH draft INTO main"] {
        let error = connection.execute(sql, ()).unwrap_err();
        assert!(error.to_string().contains("within a transaction"), "{sql}: {error}");
    }
    connection.execute("ROLLBACK", ()).unwrap();
    for (sql, why) in [
        ("CREATE BRANCH x WITH (ttl = 'soon')", "no length of time"),
        ("SELECT * FROM t FOR SYSTEM_TIME FROM BRANCH draft TO BRANCH draft", "a branch is no moment"),
        ("CREATE BRANCH x FROM nowhere", "no such branch: nowhere"),
        ("MERGE BRANCH main INTO main", "into itself"),
        ("CONTINUE MERGE", "waits for anything"),
    ] {
        let error = connection.execute(sql, ()).unwrap_err();
        assert!(error.to_string().contains(why), "{sql}: {error}");
    }
    let value: Value = connection.query_row("SELECT 1 AS branch", (), |row| row.get(0)).unwrap();
    assert_eq!(value, Value::Integer(1));
    connection
        .execute_batch("CREATE TABLE branch (use, merge, tag); INSERT INTO branch VALUES (1, 2, 3)")
        .unwrap();
}
