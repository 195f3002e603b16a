//! CREATE, ALTER and DROP: what they leave in the schema, in the rows and in everything that speaks of them.

mod common;

use common::Db;

#[test]
fn added_columns_read_as_their_defaults_and_dropped_ones_are_gone() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); INSERT INTO t VALUES(1, 'x', NULL), (2, 'y', 3)");
    let before: Vec<Vec<u8>> = db.storage.main.entries().map(|(_, value)| value.to_vec()).collect();
    db.run("ALTER TABLE t ADD COLUMN d TEXT NOT NULL DEFAULT 7; ALTER TABLE t ADD e; ALTER TABLE t DROP COLUMN b");
    let after: Vec<Vec<u8>> = db.storage.main.entries().map(|(_, value)| value.to_vec()).collect();
    assert_eq!(before[before.len() - 2..], after[after.len() - 2..], "no row is rewritten");
    assert_eq!(db.rows("SELECT *, typeof(d) FROM t"), ["1|NULL|7|NULL|text", "2|3|7|NULL|text"]);
    db.run("ALTER TABLE t ADD COLUMN b INT DEFAULT -1; INSERT INTO t(c) VALUES(5); UPDATE t SET e = 'e' WHERE a = 1");
    assert_eq!(db.rows("SELECT * FROM t"), ["1|NULL|7|e|-1", "2|3|7|NULL|-1", "3|5|7|NULL|-1"]);
    assert_eq!(
        db.rows("SELECT sql FROM sqlite_schema"),
        ["CREATE TABLE t(a INTEGER PRIMARY KEY, c, d TEXT NOT NULL DEFAULT 7, e, b INT DEFAULT -1)"]
    );
}

#[test]
fn alter_table_refuses_what_sqlite_refuses() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c CHECK (c > 0), d, e, CHECK (d <> e)); INSERT INTO t(b) VALUES(1);
         CREATE INDEX i ON t(c); CREATE VIEW v AS SELECT e FROM t; CREATE TABLE one(x)",
    );
    let cases = [
        ("ALTER TABLE t ADD x PRIMARY KEY", "Cannot add a PRIMARY KEY column"),
        ("ALTER TABLE t ADD x UNIQUE", "Cannot add a UNIQUE column"),
        ("ALTER TABLE t ADD x NOT NULL", "Cannot add a NOT NULL column with default value NULL"),
        ("ALTER TABLE t ADD x DEFAULT (random())", "Cannot add a column with non-constant default"),
        ("ALTER TABLE t ADD x DEFAULT 5 CHECK (x < 3)", "CHECK constraint failed"),
        ("ALTER TABLE t ADD b", "duplicate column name: b"),
        ("ALTER TABLE t DROP a", "cannot drop PRIMARY KEY column: \"a\""),
        ("ALTER TABLE t DROP b", "cannot drop UNIQUE column: \"b\""),
        ("ALTER TABLE t DROP c", "error in index i after drop column: no such column: c"),
        ("ALTER TABLE t DROP d", "error in table t after drop column: no such column: d"),
        ("ALTER TABLE t DROP x", "no such column: \"x\""),
        ("ALTER TABLE one DROP x", "cannot drop column \"x\": no other columns exist"),
        ("ALTER TABLE t RENAME TO one", "there is already another table or index with this name: one"),
        ("ALTER TABLE t RENAME TO sqlite_t", "object name reserved for internal use: sqlite_t"),
        ("ALTER TABLE t RENAME x TO y", "no such column: \"x\""),
        ("ALTER TABLE v RENAME TO w", "view v may not be altered"),
        ("ALTER TABLE v ADD x", "Cannot add a column to a view"),
        ("ALTER TABLE nowhere ADD x", "no such table: nowhere"),
    ];
    for (sql, message) in cases {
        assert_eq!(db.error(sql), message, "{sql}");
    }
    db.run("DROP INDEX i; ALTER TABLE t DROP c");
    assert_eq!(db.error("ALTER TABLE t DROP e"), "error in table t after drop column: no such column: e");
}

#[test]
fn renaming_a_table_renames_it_wherever_it_is_named() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b CHECK (t.b > 0), UNIQUE(b));
         CREATE TABLE c(x REFERENCES t(b)); CREATE INDEX i ON t(b) WHERE t.b > 1;
         CREATE VIEW v AS SELECT t.a, x.b FROM t, t AS x WHERE t.a = x.a AND x.b IN (SELECT b FROM t);
         CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET b = t.b + 1 WHERE a = new.a; END; INSERT INTO t(b) VALUES(3)",
    );
    db.run("ALTER TABLE t RENAME TO \"new t\"; INSERT INTO \"new t\"(b) VALUES(8); INSERT INTO c VALUES(9)");
    assert_eq!(db.rows("SELECT * FROM v"), ["1|4", "2|9"]);
    assert_eq!(db.rows("SELECT * FROM sqlite_sequence"), ["new t|2"]);
    assert_eq!(
        db.rows(
            "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type <> 'view' AND name <> 'sqlite_sequence'"
        ),
        [
            "new t|new t|CREATE TABLE \"new t\"(a INTEGER PRIMARY KEY AUTOINCREMENT, b CHECK (\"new t\".b > 0), UNIQUE(b))",
            "sqlite_autoindex_new t_1|new t|NULL",
            "c|c|CREATE TABLE c(x REFERENCES \"new t\"(b))",
            "i|new t|CREATE INDEX i ON \"new t\"(b) WHERE \"new t\".b > 1",
            "r|new t|CREATE TRIGGER r AFTER INSERT ON \"new t\" BEGIN UPDATE \"new t\" SET b = \"new t\".b + 1 WHERE a = new.a; END",
        ]
    );
}

#[test]
fn renaming_a_column_follows_it_into_views_triggers_indexes_and_keys() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b DEFAULT 'b', c AS (b || '!'), CHECK (b <> ''), UNIQUE(b));
         CREATE TABLE k(x REFERENCES t(b)); CREATE INDEX i ON t(lower(b)) WHERE b IS NOT NULL;
         CREATE TABLE o(b); CREATE VIEW v AS SELECT b, (SELECT max(b) FROM o) AS m FROM t WHERE t.b > '' ORDER BY b;
         CREATE TRIGGER r AFTER UPDATE OF b ON t WHEN old.b <> new.b BEGIN INSERT INTO o(b) SELECT b FROM t WHERE b = new.b; END",
    );
    db.run("ALTER TABLE t RENAME COLUMN b TO name; INSERT INTO t(a) VALUES(1); UPDATE t SET name = 'z'");
    assert_eq!(db.rows("SELECT a, name, c FROM t"), ["1|z|z!"]);
    assert_eq!(db.rows("SELECT * FROM o"), ["z"]);
    assert_eq!(db.rows("SELECT * FROM v"), ["z|z"]);
    assert_eq!(
        db.rows("SELECT sql FROM sqlite_schema WHERE name IN ('t', 'k', 'i', 'r')"),
        [
            "CREATE TABLE t(a INTEGER PRIMARY KEY, name DEFAULT 'b', c AS (name || '!'), CHECK (name <> ''), UNIQUE(name))",
            "CREATE TABLE k(x REFERENCES t(name))",
            "CREATE INDEX i ON t(lower(name)) WHERE name IS NOT NULL",
            "CREATE TRIGGER r AFTER UPDATE OF name ON t WHEN old.name <> new.name BEGIN INSERT INTO o(b) SELECT name FROM t WHERE name = new.name; END",
        ]
    );
}

#[test]
fn a_unique_index_is_refused_where_rows_agree() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 1), (1, 2), (NULL, 3), (NULL, 4)");
    assert_eq!(db.error("CREATE UNIQUE INDEX i ON t(a)"), "UNIQUE constraint failed: t.a");
    db.run("CREATE UNIQUE INDEX i ON t(a, b); CREATE UNIQUE INDEX p ON t(a) WHERE b <> 2");
    assert_eq!(db.error("INSERT INTO t VALUES(1, 5)"), "UNIQUE constraint failed: t.a");
    assert_eq!(db.rows("SELECT name FROM sqlite_schema WHERE type = 'index'"), ["i", "p"]);
}

#[test]
fn the_past_has_the_schema_of_its_time() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 2)");
    let then = db.last.as_micros();
    db.run("ALTER TABLE t ADD c DEFAULT 'new'; ALTER TABLE t RENAME a TO z; UPDATE t SET b = 9");
    let later = db.last.as_micros();
    db.run("DROP TABLE t");
    assert_eq!(db.rows(&format!("SELECT a, b FROM t FOR SYSTEM_TIME AS OF LSN {then}")), ["1|2"]);
    assert_eq!(db.rows(&format!("SELECT * FROM t FOR SYSTEM_TIME AS OF LSN {later}")), ["1|9|new"]);
    assert_eq!(db.error("SELECT * FROM t"), "no such table: t");
    let sql = format!("SELECT sql FROM sqlite_schema FOR SYSTEM_TIME AS OF LSN {then}");
    assert_eq!(db.rows(&sql), ["CREATE TABLE t(a, b)"]);
}

#[test]
fn a_failed_schema_change_leaves_nothing() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a); INSERT INTO t VALUES(1), (1)");
    let before: Vec<_> = db.storage.main.entries().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    for sql in [
        "CREATE TABLE u(a, a)",
        "CREATE TABLE u(a PRIMARY KEY, b CHECK (c))",
        "CREATE UNIQUE INDEX i ON t(a)",
        "ALTER TABLE t ADD b CHECK (0)",
        "CREATE TABLE u AS SELECT abs('x', 1)",
    ] {
        db.error(sql);
    }
    let after: Vec<_> = db.storage.main.entries().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    assert_eq!(before, after);
}

#[test]
fn create_table_as_takes_names_types_and_rows() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INT, b TEXT, c); INSERT INTO t VALUES(1, 'x', 2.5)");
    db.run("CREATE TABLE u AS SELECT a, b AS \"the b\", c, a + 1, c AS a FROM t");
    assert_eq!(
        db.rows("SELECT sql FROM sqlite_schema WHERE name = 'u'"),
        ["CREATE TABLE u(\n  a INT,\n  \"the b\" TEXT,\n  c,\n  \"a + 1\",\n  \"a:1\"\n)"]
    );
    assert_eq!(db.rows("SELECT rowid, * FROM u"), ["1|1|x|2.5|2|2.5"]);
}
