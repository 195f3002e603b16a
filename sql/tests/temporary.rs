//! Temporary objects.

mod common;

use common::Db;

#[test]
fn a_temporary_table_leaves_nothing_in_the_database() {
    let mut db = Db::new();
    db.run("CREATE TEMP TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b UNIQUE); INSERT INTO t(b) VALUES('x'), ('y')");
    assert_eq!(db.storage.main.entries().count(), 0);
    assert_eq!(db.rows("SELECT a, b FROM t ORDER BY b DESC"), ["2|y", "1|x"]);
    assert_eq!(db.rows("SELECT name FROM sqlite_temp_schema WHERE name = 't'"), ["t"]);
    assert_eq!(db.rows("SELECT count(*) FROM sqlite_schema"), ["0"]);
}

#[test]
fn a_temporary_table_hides_another_of_its_name_until_it_is_dropped() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a); INSERT INTO t VALUES('main'); CREATE TEMP TABLE t(a); INSERT INTO t VALUES('temp')");
    assert_eq!(db.rows("SELECT a FROM t"), ["temp"]);
    db.run("DROP TABLE t");
    assert_eq!(db.rows("SELECT a FROM t"), ["main"]);
}

#[test]
fn rollback_takes_temporary_rows_and_tables_back() {
    let mut db = Db::new();
    db.run("CREATE TEMP TABLE t(a); INSERT INTO t VALUES(1)");
    db.run(
        "BEGIN; INSERT INTO t VALUES(2); CREATE TEMP TABLE u(b); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s",
    );
    assert_eq!(db.rows("SELECT a FROM t"), ["1", "2"]);
    db.run("ROLLBACK");
    assert_eq!(db.rows("SELECT a FROM t"), ["1"]);
    assert_eq!(db.error("SELECT * FROM u"), "no such table: u");
}
