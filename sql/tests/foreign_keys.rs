//! Foreign keys: on unless switched off, with all actions, immediate and deferred.

mod common;

use common::Db;

const FAILED: &str = "FOREIGN KEY constraint failed";

#[test]
fn children_need_parents_and_parents_keep_children() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE); CREATE TABLE c(x REFERENCES p, y REFERENCES p(u))",
    );
    db.run("INSERT INTO p VALUES(1, 'a'), (2, 'b'); INSERT INTO c VALUES(1, 'a'), (NULL, 'b')");
    assert_eq!(db.error("INSERT INTO c VALUES(3, NULL)"), FAILED);
    assert_eq!(db.error("UPDATE c SET y = 'z' WHERE x = 1"), FAILED);
    assert_eq!(db.error("DELETE FROM p WHERE id = 2"), FAILED);
    assert_eq!(db.error("UPDATE p SET id = 5 WHERE id = 1"), FAILED);
    assert_eq!(db.error("DROP TABLE p"), FAILED);
    db.run("DELETE FROM c; DELETE FROM p; PRAGMA foreign_keys = off; INSERT INTO c VALUES(9, 9)");
    assert_eq!(db.rows("PRAGMA foreign_key_check"), ["c|1|p|0", "c|1|p|1"]);
}

#[test]
fn actions_reach_through_several_tables() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE a(id INTEGER PRIMARY KEY);
         CREATE TABLE b(id INTEGER PRIMARY KEY, a REFERENCES a ON DELETE CASCADE ON UPDATE CASCADE);
         CREATE TABLE c(b DEFAULT 1 REFERENCES b ON DELETE SET NULL, a REFERENCES a ON DELETE SET DEFAULT ON UPDATE SET NULL);
         INSERT INTO a VALUES(1), (2); INSERT INTO b VALUES(1, 1), (2, 2); INSERT INTO c VALUES(1, 1), (2, 2)",
    );
    db.run("UPDATE a SET id = 20 WHERE id = 2");
    assert_eq!(db.rows("SELECT * FROM b"), ["1|1", "2|20"]);
    assert_eq!(db.rows("SELECT * FROM c"), ["1|1", "2|NULL"]);
    let answer = db.run("DELETE FROM a WHERE id = 20");
    assert_eq!(answer.outcome.changes, 1, "cascades don't count");
    assert_eq!(db.rows("SELECT * FROM b"), ["1|1"]);
    assert_eq!(db.rows("SELECT * FROM c"), ["1|1", "NULL|NULL"]);
}

#[test]
fn deferred_keys_are_checked_at_commit() {
    let mut db = Db::new();
    db.run("CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(x REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
    db.run("BEGIN; INSERT INTO c VALUES(1)");
    assert_eq!(db.error("COMMIT"), FAILED);
    db.run("INSERT INTO p VALUES(1); COMMIT");
    assert_eq!(db.error("DELETE FROM p"), FAILED, "without a transaction the statement is one");
    db.run("BEGIN; DELETE FROM p; ROLLBACK; BEGIN; DELETE FROM p; INSERT INTO p VALUES(1); COMMIT");
    db.run("CREATE TABLE i(x REFERENCES p); BEGIN; PRAGMA defer_foreign_keys = on; INSERT INTO i VALUES(7)");
    assert_eq!(db.error("COMMIT"), FAILED);
    db.run("DELETE FROM i; COMMIT");
}

#[test]
fn a_chain_of_a_row_with_itself_goes_at_once() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t ON DELETE CASCADE)");
    db.run("INSERT INTO t VALUES(1, 1), (2, 1), (3, 2), (4, 3); DELETE FROM t WHERE id = 1");
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["0"]);
}

#[test]
fn cascades_stop_at_a_thousand_levels_without_overflowing_the_stack() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t ON DELETE CASCADE); CREATE INDEX i ON t(up)",
    );
    db.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
            INSERT INTO t SELECT i, nullif(i - 1, 0) FROM n",
    );
    db.run("DELETE FROM t WHERE id = 1");
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["0"]);
    db.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
            INSERT INTO t SELECT i, nullif(i - 1, 0) FROM n",
    );
    assert_eq!(db.error("DELETE FROM t WHERE id = 1"), "too many levels of trigger recursion");
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["1200"]);
}

#[test]
fn a_parent_without_a_unique_key_is_a_mismatch() {
    let mut db = Db::new();
    db.run("CREATE TABLE p(a, b); CREATE TABLE c(x REFERENCES p(a)); CREATE TABLE d(x REFERENCES nowhere)");
    assert_eq!(db.error("INSERT INTO c VALUES(1)"), "foreign key mismatch - \"c\" referencing \"p\"");
    assert_eq!(db.error("INSERT INTO d VALUES(1)"), "no such table: main.nowhere");
}
