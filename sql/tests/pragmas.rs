//! PRAGMAs as statements and as tables.

mod common;

use common::Db;

#[test]
fn tables_and_columns_are_listed() {
    let mut db = Db::new();
    db.run("CREATE TABLE w(x INT, PRIMARY KEY(x)) WITHOUT ROWID");
    assert_eq!(db.rows("PRAGMA table_info(w)"), ["0|x|INT|1|NULL|1"]);
    db.run("DROP TABLE w");
    db.run(
        "CREATE TABLE t(a VARCHAR(10) NOT NULL DEFAULT 'x', b, c AS (a || b), d INT DEFAULT (1 + 2), PRIMARY KEY(b, a));
         CREATE VIEW v AS SELECT a, d FROM t",
    );
    let info = ["0|a|VARCHAR(10)|1|'x'|2", "1|b||0|NULL|1", "2|d|INT|0|1 + 2|0"];
    assert_eq!(db.rows("PRAGMA table_info(t)"), info);
    assert_eq!(db.rows("SELECT * FROM pragma_table_info('T')"), info);
    assert_eq!(db.rows("SELECT name, hidden FROM pragma_table_xinfo('t')"), ["a|0", "b|0", "c|2", "d|0"]);
    assert_eq!(db.rows("SELECT name, type FROM pragma_table_info('v')"), ["a|VARCHAR(10)", "d|INT"]);
    assert_eq!(
        db.rows("SELECT name, type, ncol, wr, strict FROM pragma_table_list ORDER BY name"),
        ["sqlite_schema|table|5|0|0", "sqlite_temp_schema|table|5|0|0", "t|table|4|0|0", "v|view|2|0|0"]
    );
}

#[test]
fn indexes_and_foreign_keys_are_listed() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, u TEXT COLLATE NOCASE UNIQUE);
         CREATE TABLE t(a, b, d, PRIMARY KEY(b, a)); CREATE INDEX i ON t(d DESC, lower(a)) WHERE b > 1;
         CREATE TABLE w(x, y, z REFERENCES p ON DELETE CASCADE, FOREIGN KEY(x) REFERENCES p(u), PRIMARY KEY(y DESC, x)) WITHOUT ROWID",
    );
    assert_eq!(db.rows("PRAGMA index_list(t)"), ["0|i|0|c|1", "1|sqlite_autoindex_t_1|1|pk|0"]);
    assert_eq!(db.rows("PRAGMA index_info(i)"), ["0|2|d", "1|-2|NULL"]);
    assert_eq!(
        db.rows("PRAGMA index_xinfo(i)"),
        ["0|2|d|1|BINARY|1", "1|-2|NULL|0|BINARY|1", "2|-1|NULL|0|BINARY|0"]
    );
    assert_eq!(
        db.rows("PRAGMA index_xinfo(sqlite_autoindex_p_1)"),
        ["0|1|u|0|NOCASE|1", "1|-1|NULL|0|BINARY|0"]
    );
    assert_eq!(db.rows("PRAGMA index_list(w)"), ["0|sqlite_autoindex_w_1|1|pk|0"]);
    assert_eq!(
        db.rows("PRAGMA foreign_key_list(w)"),
        ["0|0|p|x|u|NO ACTION|NO ACTION|NONE", "1|0|p|z|NULL|NO ACTION|CASCADE|NONE"]
    );
}

#[test]
fn numbers_of_the_user_are_kept_and_switches_are_the_connections() {
    let mut db = Db::new();
    db.run("PRAGMA user_version = 7; PRAGMA application_id = -3");
    assert_eq!(db.rows("PRAGMA user_version"), ["7"]);
    assert_eq!(db.rows("PRAGMA application_id"), ["-3"]);
    db.run("BEGIN; PRAGMA user_version = 8; ROLLBACK");
    assert_eq!(db.rows("PRAGMA user_version"), ["7"]);
    assert_eq!(db.rows("PRAGMA foreign_keys"), ["1"]);
    db.run("PRAGMA foreign_keys = off; PRAGMA case_sensitive_like = on");
    assert_eq!(db.rows("SELECT 'a' LIKE 'A', (SELECT count(*) FROM pragma_foreign_key_list('t'))"), ["0|0"]);
    assert_eq!(db.rows("PRAGMA journal_mode"), ["wal"]);
    assert_eq!(db.run("PRAGMA cache_size = 10").rows.len(), 0);
    assert_eq!(db.rows("PRAGMA cache_size"), ["10"]);
    assert_eq!(db.run("PRAGMA no_such_pragma").rows.len(), 0);
}

#[test]
fn the_schema_version_rises_with_every_change() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a)");
    let version = db.rows("PRAGMA schema_version");
    db.run("CREATE TABLE more(a)");
    assert_ne!(db.rows("PRAGMA schema_version"), version);
}
