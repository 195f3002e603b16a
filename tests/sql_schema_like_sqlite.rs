//! Schemas, triggers, foreign keys and PRAGMAs do what SQLite does: every statement of a script runs in both, and gives the
//! same rows, or an error in both.

mod judge;

use dosql::{Database, Options, Storage};
use judge::Oracle;

/// Runs the statements of a script, one a line, in both.
fn same(script: &str) {
    let oracle = Oracle::new();
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let connection = database.connect().unwrap();
    for statement in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        judge::assert_same(&connection, &oracle, statement);
    }
}

#[test]
fn plain_types_show_in_capitals_and_without_quotes() {
    same(
        r#"CREATE TABLE t("a b" int, [c d] text, e "INTEGER", f varchar(10), g 'Blob', h)
        PRAGMA table_info("t")
        CREATE TABLE k("id" "INTEGER" PRIMARY KEY)
        INSERT INTO k VALUES (NULL), ('7'), (8.0)
        SELECT rowid, id, typeof(id) FROM k
        INSERT INTO k VALUES ('x')"#,
    );
}

#[test]
fn defaults_show_as_written() {
    same(
        "CREATE TABLE t(a DEFAULT +5.5, b DEFAULT -1, c DEFAULT (1+1), d DEFAULT x'41', e DEFAULT word)
        PRAGMA table_info(t)
        INSERT INTO t DEFAULT VALUES
        SELECT *, typeof(a) FROM t",
    );
}

#[test]
fn generated_columns_do_not_read_the_rowid() {
    same(
        "CREATE TABLE t(a, b AS (rowid))
        CREATE TABLE t(a, b AS (oid + 1) STORED)
        CREATE TABLE t(a, rowid, b AS (rowid + 1))
        INSERT INTO t(rowid) VALUES (5)
        SELECT * FROM t
        CREATE TABLE d(a, b DEFAULT 5 AS (a))
        CREATE TABLE d(a, b AS (a) DEFAULT 5)",
    );
}

#[test]
fn checks_can_be_ignored() {
    same(
        "CREATE TABLE t(a CHECK (a > 5))
        INSERT INTO t VALUES (1)
        PRAGMA ignore_check_constraints = on
        INSERT INTO t VALUES (2)
        PRAGMA ignore_check_constraints = off
        INSERT INTO t VALUES (3)
        SELECT * FROM t",
    );
}

#[test]
fn query_only_refuses_writes() {
    same(
        "CREATE TABLE t(a)
        PRAGMA query_only = on
        INSERT INTO t VALUES (1)
        CREATE TABLE u(a)
        SELECT * FROM t
        PRAGMA query_only = off
        INSERT INTO t VALUES (1)
        SELECT * FROM t",
    );
}

#[test]
fn foreign_keys_are_not_switched_inside_a_transaction() {
    same(
        "BEGIN
        PRAGMA foreign_keys = off
        PRAGMA foreign_keys
        ROLLBACK
        PRAGMA foreign_keys = off
        PRAGMA foreign_keys",
    );
}

#[test]
fn wrongly_defined_foreign_keys_fail_whatever_rows_there_are() {
    same(
        "CREATE TABLE p(a, b)
        CREATE TABLE c1(x REFERENCES p(b))
        CREATE TABLE c2(x REFERENCES nosuch)
        DELETE FROM p
        UPDATE p SET b = 1
        UPDATE p SET a = 1
        INSERT INTO p VALUES (1, 1)
        INSERT INTO c1 VALUES (NULL)
        DELETE FROM c1
        DELETE FROM c2
        UPDATE c2 SET x = 1
        CREATE VIEW v AS SELECT 1 AS a
        CREATE TABLE c3(x REFERENCES v(a))
        INSERT INTO c3 VALUES (1)
        DROP TABLE c1
        DELETE FROM p",
    );
}

#[test]
fn foreign_key_check_goes_row_by_row() {
    same(
        "PRAGMA foreign_keys = off
        CREATE TABLE p(a INTEGER PRIMARY KEY, b UNIQUE)
        CREATE TABLE c(x REFERENCES p(a), y REFERENCES p(b))
        INSERT INTO c VALUES (1, 1), (NULL, 2), (2, NULL)
        PRAGMA foreign_key_check
        PRAGMA foreign_key_check(c)
        PRAGMA foreign_key_check(nosuch)",
    );
}

#[test]
fn foreign_key_actions_run_for_the_newest_child_first() {
    same(
        "CREATE TABLE p(a INTEGER PRIMARY KEY)
        CREATE TABLE a1(x REFERENCES p ON DELETE CASCADE)
        CREATE TABLE z1(x REFERENCES p ON DELETE CASCADE)
        CREATE TABLE m1(x REFERENCES p ON DELETE CASCADE)
        CREATE TABLE log(t)
        CREATE TRIGGER ta AFTER DELETE ON a1 BEGIN INSERT INTO log VALUES ('a'); END
        CREATE TRIGGER tz AFTER DELETE ON z1 BEGIN INSERT INTO log VALUES ('z'); END
        CREATE TRIGGER tm AFTER DELETE ON m1 BEGIN INSERT INTO log VALUES ('m'); END
        INSERT INTO p VALUES (1)
        INSERT INTO a1 VALUES (1)
        INSERT INTO z1 VALUES (1)
        INSERT INTO m1 VALUES (1)
        DELETE FROM p
        SELECT * FROM log",
    );
}

#[test]
fn a_trigger_looks_at_its_when_after_the_triggers_before_it() {
    same(
        "CREATE TABLE t(a)
        CREATE TABLE log(x)
        CREATE TRIGGER second AFTER INSERT ON t WHEN (SELECT count(*) FROM log) > 0 BEGIN INSERT INTO log VALUES ('second'); END
        CREATE TRIGGER first AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('first'); END
        INSERT INTO t VALUES (1)
        SELECT * FROM log",
    );
}

#[test]
fn a_trigger_that_waits_its_turn_may_fire_from_within_another() {
    same(
        "CREATE TABLE t(a)
        CREATE TABLE log(x)
        CREATE TRIGGER waits AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('waits ' || new.a); END
        CREATE TRIGGER inserts AFTER INSERT ON t WHEN new.a < 3 BEGIN INSERT INTO t VALUES (new.a + 1); END
        INSERT INTO t VALUES (1)
        SELECT * FROM log
        SELECT * FROM t",
    );
}

#[test]
fn an_update_of_a_view_needs_a_trigger_for_its_columns() {
    same(
        "CREATE TABLE t(a, b)
        INSERT INTO t VALUES (1, 2)
        CREATE VIEW v AS SELECT a, b FROM t
        CREATE TRIGGER vu INSTEAD OF UPDATE OF a ON v BEGIN UPDATE t SET a = new.a; END
        UPDATE v SET a = 5
        UPDATE v SET b = 5
        UPDATE v SET nosuch = 5
        UPDATE v SET a = 6, b = 7
        SELECT * FROM t",
    );
}

#[test]
fn an_upsert_sees_the_tables_of_the_with_before_it() {
    same(
        "CREATE TABLE t(a PRIMARY KEY, b)
        INSERT INTO t VALUES (1, 1)
        WITH x AS (SELECT 1 AS p, 8 AS q) INSERT INTO t SELECT p, q FROM x WHERE true ON CONFLICT DO UPDATE SET b = (SELECT p + q FROM x) WHERE (SELECT q FROM x) = 8
        SELECT * FROM t",
    );
}

#[test]
fn failed_statements_count_as_sqlite_counts_them() {
    same(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)
        INSERT INTO t VALUES (5, 5)
        INSERT INTO t VALUES (7, 7), (8, 5)
        SELECT last_insert_rowid(), changes(), total_changes()
        INSERT OR FAIL INTO t VALUES (50, 50), (51, 50)
        SELECT last_insert_rowid(), changes(), total_changes()",
    );
}

#[test]
fn a_column_is_not_renamed_while_a_view_is_broken() {
    same(
        "CREATE TABLE h(q)
        CREATE VIEW hv AS SELECT nosuch FROM h
        ALTER TABLE h RENAME COLUMN q TO r
        DROP VIEW hv
        ALTER TABLE h RENAME COLUMN q TO r
        SELECT r FROM h",
    );
}

#[test]
fn temporary_tables_hide_others_and_have_names_of_their_own() {
    same(
        "CREATE TEMP TABLE t(a, b)
        CREATE TABLE t(a)
        INSERT INTO t VALUES (1, 2)
        INSERT INTO main.t VALUES (1)
        INSERT INTO temp.t VALUES (3, 4)
        SELECT * FROM t
        SELECT * FROM main.t
        SELECT * FROM temp.t
        SELECT main.t.a, temp.t.b FROM main.t, temp.t
        UPDATE main.t SET a = 9
        DELETE FROM t WHERE a = 1
        CREATE TRIGGER tt AFTER INSERT ON main.t BEGIN INSERT INTO t VALUES (new.a + 1); END
        INSERT INTO main.t VALUES (20)
        SELECT * FROM main.t
        INSERT INTO t VALUES (30, 30)
        SELECT * FROM t
        ALTER TABLE main.t ADD COLUMN z
        SELECT * FROM main.t
        DROP TABLE t
        SELECT * FROM t
        CREATE TEMP VIEW t AS SELECT 5 AS five
        SELECT * FROM t
        SELECT a FROM main.t
        DROP VIEW t
        CREATE TEMP TABLE q(a)
        CREATE VIEW v AS SELECT * FROM q
        SELECT * FROM v
        SELECT * FROM main.q",
    );
}
