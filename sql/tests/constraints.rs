//! What constraints refuse, in which words, and what ON CONFLICT makes of it.

mod common;

use common::Db;
use dosql_base::Code;

fn code(db: &mut Db, sql: &str) -> (Code, String) {
    let error = db.try_run(sql).expect_err("a constraint");
    (error.code(), error.message().to_owned())
}

#[test]
fn violations_have_the_words_and_codes_of_sqlite() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b NOT NULL DEFAULT 0, c CHECK (c > 0), CONSTRAINT small CHECK (b < 10));
         CREATE TABLE w(x TEXT, y TEXT, PRIMARY KEY(x, y)) WITHOUT ROWID;
         CREATE TABLE s(i INTEGER, t TEXT) STRICT;
         CREATE UNIQUE INDEX e ON t(a + b);
         INSERT INTO t VALUES(1, 1, 1, 1); INSERT INTO w VALUES('x', 'y')",
    );
    let cases = [
        ("INSERT INTO t VALUES(1, 9, 9, 9)", Code::ConstraintPrimaryKey, "UNIQUE constraint failed: t.id"),
        (
            "INSERT INTO t(rowid, a) VALUES(1, 9)",
            Code::ConstraintPrimaryKey,
            "UNIQUE constraint failed: t.id",
        ),
        ("INSERT INTO t(a, b) VALUES(1, 7)", Code::ConstraintUnique, "UNIQUE constraint failed: t.a"),
        ("INSERT INTO t(a, b) VALUES(2, 0)", Code::ConstraintUnique, "UNIQUE constraint failed: index 'e'"),
        ("INSERT INTO t(a, b) VALUES(2, NULL)", Code::ConstraintNotNull, "NOT NULL constraint failed: t.b"),
        ("INSERT INTO t(a, c) VALUES(2, -1)", Code::ConstraintCheck, "CHECK constraint failed: c > 0"),
        ("UPDATE t SET b = 10", Code::ConstraintCheck, "CHECK constraint failed: small"),
        ("INSERT INTO w VALUES('x', 'y')", Code::ConstraintPrimaryKey, "UNIQUE constraint failed: w.x, w.y"),
        ("INSERT INTO w(x) VALUES('x')", Code::ConstraintNotNull, "NOT NULL constraint failed: w.y"),
        (
            "INSERT INTO s VALUES('x', 1)",
            Code::ConstraintDatatype,
            "cannot store TEXT value in INTEGER column s.i",
        ),
        (
            "INSERT INTO s VALUES(1, x'00')",
            Code::ConstraintDatatype,
            "cannot store BLOB value in TEXT column s.t",
        ),
        ("INSERT INTO t(id) VALUES('x')", Code::Mismatch, "datatype mismatch"),
    ];
    for (sql, expected, message) in cases {
        assert_eq!(code(&mut db, sql), (expected, message.to_owned()), "{sql}");
    }
    assert_eq!(db.rows("SELECT count(*) FROM t"), ["1"]);
}

#[test]
fn on_conflict_decides_what_is_kept() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE); INSERT INTO t VALUES(1, 'x'), (2, 'y')");
    assert!(db.try_run("INSERT INTO t VALUES(3, 'z'), (4, 'x')").is_err());
    assert_eq!(db.rows("SELECT * FROM t"), ["1|x", "2|y"], "ABORT undoes the statement");
    assert!(db.try_run("INSERT OR FAIL INTO t VALUES(3, 'z'), (4, 'x')").is_err());
    assert_eq!(db.rows("SELECT * FROM t"), ["1|x", "2|y", "3|z"], "FAIL keeps what came before");
    let answer = db.run("INSERT OR IGNORE INTO t VALUES(4, 'x'), (5, 'v')");
    assert_eq!(answer.outcome.changes, 1);
    let answer = db.run("INSERT OR REPLACE INTO t VALUES(6, 'x'), (2, 'v')");
    assert_eq!(answer.outcome.changes, 2, "rows that were replaced don't count");
    assert_eq!(db.rows("SELECT * FROM t"), ["2|v", "3|z", "6|x"]);
    db.run("BEGIN; INSERT INTO t VALUES(7, 'u')");
    assert!(db.try_run("INSERT OR ROLLBACK INTO t VALUES(8, 'u')").is_err());
    assert_eq!(db.error("COMMIT"), "cannot commit - no transaction is active");
    assert_eq!(db.rows("SELECT max(a) FROM t"), ["6"], "ROLLBACK ends the transaction");
}

#[test]
fn an_upsert_takes_the_clause_that_fits_the_conflict() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, n DEFAULT 0); INSERT INTO t(a, b) VALUES(1, 'x'), (2, 'y')");
    let sql =
        "INSERT INTO t(a, b) VALUES(?, ?) ON CONFLICT(b) DO UPDATE SET n = n + 10 WHERE excluded.a > t.a
               ON CONFLICT(a) DO UPDATE SET (b, n) = (excluded.b, t.n + 1) RETURNING a, b, n";
    let mut run = |a: i64, b: &str| {
        let answer = db.try_run_with(sql, &[a.into(), b.into()]).expect("an upsert");
        answer.rows.iter().map(|row| common::show_row(row)).collect::<Vec<_>>()
    };
    assert_eq!(run(1, "new"), ["1|new|1"]);
    assert_eq!(run(9, "y"), ["2|y|10"]);
    assert_eq!(run(0, "y"), Vec::<String>::new());
    assert_eq!(run(9, "z"), ["9|z|0"]);
}

#[test]
fn indexes_follow_every_change() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE, c, d AS (b || c), e AS (c * 2) STORED);
         CREATE INDEX tb ON t(b); CREATE INDEX tc ON t(c DESC, b) WHERE c > 5; CREATE INDEX te ON t(lower(d), e);
         INSERT INTO t(b, c) VALUES('A', 1), ('b', 7), ('a', 9), (NULL, NULL);
         UPDATE t SET c = c + 5 WHERE b = 'a'; UPDATE t SET a = a + 10; DELETE FROM t WHERE c > 10",
    );
    assert_eq!(
        db.rows("SELECT a, b, c, d, e FROM t"),
        ["11|A|6|A6|12", "12|b|7|b7|14", "14|NULL|NULL|NULL|NULL"]
    );
    assert_eq!(db.rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(db.rows("SELECT a FROM t INDEXED BY tc WHERE c > 5"), ["12", "11"]);
    assert_eq!(db.rows("SELECT a FROM t WHERE lower(d) = 'a6'"), ["11"]);
}

#[test]
fn an_index_entry_that_is_missing_shows_in_the_check() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b); INSERT INTO t VALUES(1, 'x'), (2, 'y')");
    let key: Vec<u8> = db.storage.main.entries().last().expect("an entry").0.to_vec();
    dosql_sql::storage::Storage::delete(&mut db.storage, &key).expect("a write");
    assert_eq!(db.rows("PRAGMA integrity_check"), ["row 2 missing from index i"]);
}

#[test]
fn autoincrement_never_gives_a_rowid_twice() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t(b) VALUES(1), (2), (3)");
    db.run("DELETE FROM t; INSERT INTO t(b) VALUES(4)");
    assert_eq!(db.rows("SELECT a FROM t"), ["4"]);
    assert_eq!(db.rows("SELECT * FROM sqlite_sequence"), ["t|4"]);
    db.run("CREATE TABLE u(a INTEGER PRIMARY KEY, b); INSERT INTO u VALUES(9223372036854775807, 1)");
    db.run("INSERT INTO u(b) VALUES(2)");
    assert_eq!(db.rows("SELECT count(*), count(DISTINCT a), min(a) > 0 FROM u"), ["2|2|1"]);
}

#[test]
fn a_statement_reads_what_was_there_before_it_wrote() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2); INSERT INTO t SELECT a + 10 FROM t; UPDATE t SET a = a + 1");
    assert_eq!(db.rows("SELECT a FROM t ORDER BY a"), ["2", "3", "12", "13"]);
    db.run("CREATE TABLE u(a INTEGER PRIMARY KEY); INSERT INTO u VALUES(1), (2), (3)");
    db.run("UPDATE u SET a = a + 3");
    assert_eq!(db.rows("SELECT a FROM u"), ["4", "5", "6"]);
}

#[test]
fn a_null_that_no_default_mends_is_found_after_the_other_columns_and_types_after_all_nulls() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a NOT NULL DEFAULT NULL, b NOT NULL); CREATE TABLE s(i INTEGER, b TEXT NOT NULL) STRICT;
         CREATE TABLE g(a AS (b) NOT NULL, b NOT NULL)",
    );
    let cases = [
        ("REPLACE INTO t DEFAULT VALUES", "NOT NULL constraint failed: t.b"),
        ("REPLACE INTO t VALUES(NULL, 1)", "NOT NULL constraint failed: t.a"),
        ("INSERT INTO s VALUES('x', NULL)", "NOT NULL constraint failed: s.b"),
        ("INSERT INTO g VALUES(NULL)", "NOT NULL constraint failed: g.b"),
    ];
    for (sql, message) in cases {
        assert_eq!(code(&mut db, sql), (Code::ConstraintNotNull, message.to_owned()), "{sql}");
    }
}

#[test]
fn the_key_of_a_table_without_rowid_is_checked_in_its_place_among_the_unique_constraints() {
    let mut db = Db::new();
    db.run(
        "CREATE TABLE t(a UNIQUE, b, c, PRIMARY KEY(b), UNIQUE(c)) WITHOUT ROWID; INSERT INTO t VALUES(1, 1, 1);
         CREATE TABLE i(a INTEGER PRIMARY KEY, b UNIQUE) WITHOUT ROWID; INSERT INTO i VALUES(1, 1)",
    );
    for (sql, message) in [
        ("INSERT INTO t VALUES(1, 1, 1)", "UNIQUE constraint failed: t.c"),
        ("INSERT INTO t VALUES(1, 1, 2)", "UNIQUE constraint failed: t.b"),
        ("INSERT INTO t VALUES(1, 2, 2)", "UNIQUE constraint failed: t.a"),
        ("INSERT INTO i VALUES(1, 1)", "UNIQUE constraint failed: i.a"),
    ] {
        assert_eq!(code(&mut db, sql).1, message, "{sql}");
    }
}

#[test]
fn a_check_that_begins_with_a_quoted_word_is_named_by_it() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a, b, CHECK ('it''s' || a < b), CHECK ([b] > 0))");
    for (sql, name) in [("INSERT INTO t VALUES('z', 'a')", "it's"), ("INSERT INTO t VALUES(NULL, -1)", "b")] {
        assert_eq!(code(&mut db, sql).1, format!("CHECK constraint failed: {name}"));
    }
}
