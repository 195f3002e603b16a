//! RESTORE brings back what was, by ordinary commits; DELETE HISTORY lets go of it.

mod common;

use common::cells;
use dosql::{Code, Connection, Database, ErrorKind, Options, Storage, Timestamp};

fn connect() -> Connection {
    Database::open_memory().unwrap().connect().unwrap()
}

fn run(connection: &Connection, script: &str) -> Timestamp {
    connection.execute_batch(script).unwrap();
    connection.last_commit()
}

fn sound(connection: &Connection) {
    assert_eq!(cells(connection, "PRAGMA integrity_check").unwrap(), ["ok"]);
    assert!(connection.database().verify().unwrap().is_sound());
}

#[test]
fn a_table_comes_back_with_its_rows_and_indexes_and_others_stay() {
    let c = connect();
    let then = run(
        &c,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE); CREATE TABLE other (x); CREATE INDEX by_v ON t(v);
         INSERT INTO t SELECT value, 'v' || value FROM generate_series(1, 5000); INSERT INTO other VALUES (1)",
    );
    let before = run(
        &c,
        "UPDATE t SET v = 'w' || id WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0;
         INSERT INTO t SELECT value, 'n' || value FROM generate_series(9000, 9500); UPDATE other SET x = 2",
    );
    let changed = c.execute("RESTORE TABLE t TO LSN ?1", [then]).unwrap();
    assert_eq!(changed, 1666 + 714 - 238 + 501, "only what differs is written");
    let same = |a: &str, b: &str| {
        let sql = format!("SELECT count(*) FROM (SELECT * FROM t {a} EXCEPT SELECT * FROM t {b})");
        assert_eq!(cells(&c, &sql).unwrap(), ["0"]);
    };
    let past = format!("FOR SYSTEM_TIME AS OF LSN {then}");
    same("", &past);
    same(&past, "");
    assert_eq!(cells(&c, "SELECT id FROM t WHERE v = 'v21'").unwrap(), ["21"]);
    assert_eq!(cells(&c, "SELECT x FROM other").unwrap(), ["2"]);
    sound(&c);
    // It is undone like anything else.
    c.execute("RESTORE TABLE t TO LSN ?1", [before]).unwrap();
    same("", &format!("FOR SYSTEM_TIME AS OF LSN {before}"));
    assert_eq!(cells(&c, "SELECT count(*) FROM t WHERE v LIKE 'n%'").unwrap(), ["501"]);
    sound(&c);
}

#[test]
fn a_dropped_table_comes_back_whole() {
    let c = connect();
    let then = run(
        &c,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v); CREATE INDEX by_v ON t(v);
         CREATE TRIGGER grow AFTER INSERT ON t BEGIN UPDATE t SET v = v + 1 WHERE id = new.id; END;
         INSERT INTO t (v) VALUES (10), (20), (30); DELETE FROM t WHERE id = 3",
    );
    run(&c, "DROP TABLE t");
    assert!(cells(&c, "SELECT * FROM t").is_err());
    c.execute("RESTORE TABLE t TO LSN ?1", [then]).unwrap();
    assert_eq!(cells(&c, "SELECT id, v FROM t ORDER BY id").unwrap(), ["1|11", "2|21"]);
    run(&c, "INSERT INTO t (v) VALUES (40)");
    assert_eq!(
        cells(&c, "SELECT id, v FROM t INDEXED BY by_v WHERE v = 41").unwrap(),
        ["4|41"],
        "no id twice"
    );
    sound(&c);
    // A table that was made anew meanwhile makes room for the old one.
    let fresh = run(&c, "DROP TABLE t; CREATE TABLE t (only TEXT); INSERT INTO t VALUES ('new')");
    c.execute("RESTORE TABLE t TO LSN ?1", [then]).unwrap();
    assert_eq!(cells(&c, "SELECT id, v FROM t ORDER BY id").unwrap(), ["1|11", "2|21"]);
    sound(&c);
    c.execute("RESTORE TABLE t TO LSN ?1", [fresh]).unwrap();
    assert_eq!(cells(&c, "SELECT * FROM t").unwrap(), ["new"]);
    sound(&c);
}

#[test]
fn the_schema_comes_back_with_the_rows() {
    let c = connect();
    let then = run(&c, "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 2, 3)");
    run(
        &c,
        "ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME COLUMN c TO d; ALTER TABLE t ADD COLUMN e DEFAULT 9; INSERT INTO t VALUES (4, 5, 6)",
    );
    c.execute("RESTORE TABLE t TO LSN ?1", [then]).unwrap();
    assert_eq!(cells(&c, "SELECT a, b, c FROM t").unwrap(), ["1|2|3"]);
    run(&c, "ALTER TABLE t ADD COLUMN f DEFAULT 7; INSERT INTO t (a, f) VALUES (8, 8)");
    assert_eq!(cells(&c, "SELECT * FROM t ORDER BY a").unwrap(), ["1|2|3|7", "8|NULL|NULL|8"]);
    sound(&c);
}

#[test]
fn the_database_comes_back_with_every_table_and_view() {
    let c = connect();
    let then = run(
        &c,
        "CREATE TABLE a (x INTEGER PRIMARY KEY); CREATE TABLE b (y REFERENCES a(x)); CREATE VIEW v AS SELECT count(*) AS n FROM a;
         INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (2); PRAGMA user_version = 5",
    );
    let before = run(
        &c,
        "DROP VIEW v; DELETE FROM b; DELETE FROM a WHERE x = 2; CREATE TABLE c (z); INSERT INTO c VALUES (3);
         CREATE TABLE v (name); ALTER TABLE a RENAME TO renamed",
    );
    c.execute("RESTORE DATABASE TO LSN ?1", [then]).unwrap();
    assert_eq!(cells(&c, "SELECT name FROM sqlite_schema ORDER BY 1").unwrap(), ["a", "b", "v"]);
    assert_eq!(cells(&c, "SELECT n, (SELECT y FROM b) FROM v").unwrap(), ["2|2"]);
    sound(&c);
    run(&c, "CREATE TABLE later (i); INSERT INTO later VALUES (1)");
    c.execute("RESTORE DATABASE TO LSN ?1", [before]).unwrap();
    assert_eq!(cells(&c, "SELECT name FROM sqlite_schema ORDER BY 1").unwrap(), ["b", "c", "renamed", "v"]);
    assert_eq!(cells(&c, "SELECT * FROM renamed JOIN c").unwrap(), ["1|3"]);
    sound(&c);
}

#[test]
fn a_restore_is_part_of_its_transaction() {
    let c = connect();
    let then = run(&c, "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    run(&c, "UPDATE t SET x = 2");
    c.execute_batch(&format!("BEGIN; RESTORE TABLE t TO LSN {then}")).unwrap();
    assert_eq!(cells(&c, "SELECT x FROM t").unwrap(), ["1"]);
    c.execute_batch("ROLLBACK").unwrap();
    assert_eq!(cells(&c, "SELECT x FROM t").unwrap(), ["2"]);
    c.execute_batch(&format!("BEGIN; RESTORE TABLE t TO LSN {then}; INSERT INTO t VALUES (3); COMMIT"))
        .unwrap();
    assert_eq!(cells(&c, "SELECT x FROM t ORDER BY x").unwrap(), ["1", "3"]);
    assert_eq!(
        c.execute_batch("BEGIN READ ONLY; RESTORE TABLE t TO LSN 1").unwrap_err().code(),
        Code::AsOfExpired
    );
    c.execute_batch("ROLLBACK").unwrap();
    sound(&c);
}

#[test]
fn a_restore_that_would_leave_a_row_without_its_parent_is_refused_whole() {
    let c = connect();
    let then =
        run(&c, "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p REFERENCES parent(id))");
    run(&c, "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1)");
    let error = c.execute("RESTORE TABLE parent TO LSN ?1", [then]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert_eq!(cells(&c, "SELECT count(*) FROM parent, child").unwrap(), ["1"]);
    c.execute("RESTORE TABLE child TO LSN ?1", [then]).unwrap();
    c.execute("RESTORE TABLE parent TO LSN ?1", [then]).unwrap();
    assert_eq!(
        cells(&c, "SELECT (SELECT count(*) FROM parent) + (SELECT count(*) FROM child)").unwrap(),
        ["0"]
    );
    sound(&c);
}

#[test]
fn what_can_not_be_restored_says_why() {
    let c = connect();
    let empty = c.last_commit();
    let then = run(&c, "CREATE TABLE t (x); CREATE INDEX i ON t(x)");
    run(&c, "DROP TABLE t; CREATE TABLE u (y); CREATE INDEX i ON u(y)");
    let code = |sql: String| c.execute(&sql, ()).unwrap_err().code();
    assert_eq!(code(format!("RESTORE TABLE t TO LSN {empty}")), Code::AsOfNoTable);
    assert_eq!(code("RESTORE TABLE t TO LSN 1".to_owned()), Code::AsOfExpired);
    assert_eq!(code("RESTORE TABLE t TO TIMESTAMP '2999-01-01'".to_owned()), Code::AsOfFuture);
    let error = c.execute("RESTORE TABLE t TO LSN ?1", [then]).unwrap_err();
    assert!(error.message().contains("index i stands in the way"), "{error}");
    sound(&c);
}

#[test]
fn a_difference_lists_what_was_added_removed_and_modified() {
    let c = connect();
    let a = run(
        &c,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (5, 'e')",
    );
    let b = run(
        &c,
        "UPDATE t SET v = 'A' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'd');
         UPDATE t SET v = 'x' WHERE id = 3; UPDATE t SET v = 'c' WHERE id = 3; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'e')",
    );
    let list = |from: &str, to: &str| {
        let sql = format!("SELECT * FROM dosql_diff('t', {from}{to}) ORDER BY coalesce(from_id, to_id)");
        cells(&c, &sql).unwrap()
    };
    let expected = ["modified|1|a|1|A", "removed|2|b|NULL|NULL", "added|NULL|NULL|4|d"];
    assert_eq!(list(&a.to_string(), ""), expected);
    assert_eq!(list(&a.to_string(), &format!(", {b}")), expected);
    assert_eq!(list(&b.to_string(), &format!(", {a}"))[0], "modified|1|A|1|a");
    assert!(list(&b.to_string(), "").is_empty());
    run(&c, &format!("CREATE TAG start AS OF LSN {a}"));
    assert_eq!(list("'start'", ""), expected);
    let history =
        cells(&c, "SELECT id, v FROM dosql_history('t') WHERE id = 3 ORDER BY row_start_lsn").unwrap();
    assert_eq!(history, ["3|c", "3|x", "3|c"]);
    for wrong in ["dosql_diff('t')", "dosql_diff('nope', 1)", "dosql_history()", "dosql_history(1)"] {
        assert!(cells(&c, &format!("SELECT * FROM {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn deleted_history_is_gone_but_for_what_tags_keep() {
    let storage = Storage::memory();
    let database = Database::open(storage.share(), Options::default()).unwrap();
    let c = database.connect().unwrap();
    let first = run(&c, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'secret-one')");
    let second = run(&c, "UPDATE t SET v = 'two'");
    run(&c, "CREATE TAG kept");
    database.checkpoint().unwrap();
    let third = run(&c, "UPDATE t SET v = 'three'");
    let fourth = run(&c, "UPDATE t SET v = 'four'");
    let read = |at: Timestamp| cells(&c, &format!("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN {at}"));
    c.execute("DELETE HISTORY BEFORE LSN ?1", [third]).unwrap();
    assert_eq!(read(first).unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(read(second).unwrap(), ["two"], "the moment of the tag");
    assert_eq!(read(third).unwrap(), ["three"]);
    assert_eq!(read(fourth).unwrap(), ["four"]);
    assert_eq!(cells(&c, "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG kept").unwrap(), ["two"]);
    run(&c, "DELETE HISTORY");
    assert_eq!(read(third).unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(cells(&c, "SELECT v FROM t").unwrap(), ["four"]);
    assert_eq!(cells(&c, "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG kept").unwrap(), ["two"]);
    assert!(database.verify().unwrap().is_sound());
    run(&c, "DROP TAG kept; DELETE HISTORY");
    assert_eq!(database.stats().history_entries, 0);
    assert_eq!(database.stats().history_memory, 0);
    assert!(c.execute_batch("BEGIN; DELETE HISTORY").is_err());
    c.execute_batch("ROLLBACK").unwrap();
    drop((c, database));
    let database = Database::open(storage, Options::default()).unwrap();
    assert_eq!(database.read_at(third).unwrap_err().code(), Code::AsOfExpired, "nor after reopening");
    assert!(database.verify().unwrap().is_sound());
}

#[test]
fn the_log_lists_commits_and_what_each_did() {
    let c = connect();
    c.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE);
         INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
         CREATE TABLE u (x);
         BEGIN; UPDATE t SET v = 'A' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'd'); INSERT INTO u VALUES (1); COMMIT;
         DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'again');
         DROP TABLE t",
    )
    .unwrap();
    let last = c.last_commit();
    let list = "SELECT tables, inserted, updated, deleted, schema_changed FROM dosql_log ORDER BY lsn";
    let expected =
        ["|0|0|0|1", "t|3|0|0|0", "|0|0|0|1", "t, u|2|1|1|0", "t|0|0|1|0", "t|1|0|0|0", "t|0|0|3|1"];
    assert_eq!(cells(&c, list).unwrap(), expected);
    c.database().checkpoint().unwrap();
    assert_eq!(cells(&c, list).unwrap(), expected, "from runs too");
    assert_eq!(
        cells(&c, "SELECT max(lsn), max(time) > '2020' FROM dosql_log").unwrap(),
        [format!("{last}|1")]
    );
    c.execute_batch("DELETE HISTORY").unwrap();
    assert!(cells(&c, list).unwrap().is_empty());
}
