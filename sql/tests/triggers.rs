//! Triggers: when they fire, what they see, how they nest.

mod common;

use common::Db;

#[test]
fn triggers_see_the_row_before_and_after() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c AS (b * 2)); CREATE TABLE log(what);
         CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES('new ' || new.a || new.b || new.c); END;
         CREATE TRIGGER u AFTER UPDATE OF b ON t WHEN new.b <> old.b BEGIN
           INSERT INTO log VALUES(old.b || '->' || new.b); END;
         CREATE TRIGGER d BEFORE DELETE ON t BEGIN INSERT INTO log VALUES('gone ' || old.rowid); END",
    );
    db.run("INSERT INTO t(b) VALUES(5); UPDATE t SET b = 5; UPDATE t SET a = 3; UPDATE t SET b = 6; DELETE FROM t");
    assert_eq!(db.rows("SELECT what FROM log"), ["new 1510", "5->6", "gone 3"]);
}

#[test]
fn raise_ends_the_row_the_statement_or_the_transaction() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a);
         CREATE TRIGGER g BEFORE INSERT ON t BEGIN
           SELECT CASE new.a WHEN 'ignore' THEN RAISE(IGNORE) WHEN 'abort' THEN RAISE(ABORT, 'no')
                  WHEN 'fail' THEN RAISE(FAIL, 'stop') WHEN 'rollback' THEN RAISE(ROLLBACK, 'back') END;
         END",
    );
    db.run("INSERT INTO t VALUES(1), ('ignore'), (2)");
    assert_eq!(db.error("INSERT INTO t VALUES(3), ('abort')"), "no");
    assert_eq!(db.error("INSERT INTO t VALUES(4), ('fail'), (5)"), "stop");
    assert_eq!(db.rows("SELECT a FROM t"), ["1", "2", "4"]);
    db.run("BEGIN; INSERT INTO t VALUES(6)");
    assert_eq!(db.error("INSERT INTO t VALUES('rollback')"), "back");
    assert_eq!(db.rows("SELECT a FROM t"), ["1", "2", "4"]);
}

#[test]
fn a_view_is_changed_through_its_triggers() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE VIEW v AS SELECT a AS id, upper(b) AS name FROM t;
         CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES(new.id, lower(new.name)); END;
         CREATE TRIGGER vu INSTEAD OF UPDATE ON v BEGIN UPDATE t SET b = new.name WHERE a = old.id; END;
         CREATE TRIGGER vd INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE a = old.id; END",
    );
    db.run("INSERT INTO v VALUES(1, 'ONE'), (2, 'TWO'); UPDATE v SET name = 'n' || id WHERE id = 2; DELETE FROM v WHERE name = 'ONE'");
    assert_eq!(db.rows("SELECT * FROM t"), ["2|n2"]);
    db.run("DROP TRIGGER vd");
    assert_eq!(db.error("DELETE FROM v"), "cannot modify v because it is a view");
}

#[test]
fn a_trigger_sets_itself_off_only_where_told() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(n); CREATE TRIGGER r AFTER INSERT ON t WHEN new.n > 0 BEGIN INSERT INTO t VALUES(new.n - 1); END");
    db.run("INSERT INTO t VALUES(3)");
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["2"]);
    db.run("DELETE FROM t; PRAGMA recursive_triggers = on; INSERT INTO t VALUES(500)");
    assert_eq!(db.rows("SELECT count(*), changes(), last_insert_rowid() FROM t"), ["501|1|1"]);
    assert_eq!(db.error("INSERT INTO t VALUES(5000)"), "too many levels of trigger recursion");
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["501"]);
}

#[test]
fn a_trigger_that_does_not_bind_refuses_the_statement_that_would_fire_it() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a); CREATE TRIGGER r AFTER UPDATE ON t BEGIN INSERT INTO nowhere VALUES(1); END");
    db.run("INSERT INTO t VALUES(1)");
    assert_eq!(db.error("UPDATE t SET a = 2"), "no such table: main.nowhere");
}

#[test]
fn before_triggers_may_change_the_row_that_is_about_to_change() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c);
         CREATE TRIGGER u BEFORE UPDATE ON t WHEN new.b < 10 BEGIN UPDATE t SET c = 'seen' WHERE a = old.a; END;
         CREATE TRIGGER d BEFORE DELETE ON t WHEN old.b = 1 BEGIN DELETE FROM t WHERE a = old.a; END;
         INSERT INTO t VALUES(1, 1, NULL); UPDATE t SET b = 2",
    );
    assert_eq!(db.rows("SELECT * FROM t"), ["1|2|seen"]);
    db.run("UPDATE t SET b = 1");
    let answer = db.run("DELETE FROM t");
    assert_eq!((db.rows("SELECT * FROM t").len(), answer.outcome.changes), (0, 0));
}
