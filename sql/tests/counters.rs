//! changes(), total_changes() and last_insert_rowid() count as SQLite's do: what triggers and foreign keys do is in the total alone.

mod common;

use common::Db;

fn counted(db: &mut Db, sql: &str) -> String {
    db.run(sql);
    db.rows("SELECT changes(), total_changes(), last_insert_rowid()").concat()
}

#[test]
fn a_trigger_counts_in_the_total_alone() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    db.run("CREATE TABLE l (x)");
    db.run("CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO l VALUES (1), (2); UPDATE l SET x = 9; END");
    assert_eq!(counted(&mut db, "INSERT INTO t (b) VALUES (1), (2)"), "2|12|2");
    assert_eq!(counted(&mut db, "DELETE FROM l"), "4|16|2");
    assert_eq!(counted(&mut db, "INSERT OR REPLACE INTO t VALUES (1, 5)"), "1|21|1");
    assert_eq!(counted(&mut db, "UPDATE t SET b = 1 WHERE 0"), "0|21|1");
}

#[test]
fn the_actions_of_foreign_keys_count_in_the_total_alone() {
    let mut db = Db::new();
    db.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.run("CREATE TABLE child (p REFERENCES parent ON DELETE CASCADE ON UPDATE SET NULL)");
    db.run("INSERT INTO parent VALUES (1), (2)");
    assert_eq!(counted(&mut db, "INSERT INTO child VALUES (1), (1), (2)"), "3|5|3");
    assert_eq!(counted(&mut db, "DELETE FROM parent WHERE id = 1"), "1|8|3");
    assert_eq!(counted(&mut db, "UPDATE parent SET id = 9"), "1|10|3");
}

#[test]
fn what_a_trigger_does_instead_of_an_insert_is_no_change_of_the_view() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (a)");
    db.run("CREATE VIEW v AS SELECT a FROM t");
    db.run("CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.a); END");
    assert_eq!(counted(&mut db, "INSERT INTO v VALUES (5), (6)"), "0|2|0");
}
