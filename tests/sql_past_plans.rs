//! A prepared query AS OF a parameter is planned once for each schema, and resolves its moments for each run.

#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::{db, db_with_clock};
use dosql::{Code, Connection, Options, Statement, Timestamp};

fn at(moment: Timestamp) -> i64 {
    moment.as_micros() as i64
}

fn read(statement: &mut Statement, moment: Timestamp) -> String {
    statement.query_row([at(moment)], |row| row.get::<String>(0)).unwrap()
}

fn expired(sql: &Connection, moment: Timestamp) -> Code {
    sql.query_row("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1", [at(moment)], |_| Ok(()))
        .unwrap_err()
        .code()
}

#[test]
fn a_prepared_read_of_the_past_follows_its_parameter_through_schemas() {
    let db = db();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
        .unwrap();
    let mut moments = vec![(db.last_commit(), "one")];
    let mut step = |change: &str, value: &'static str| {
        sql.execute_batch(change).unwrap();
        moments.push((db.last_commit(), value));
    };
    step("UPDATE t SET v = 'two'", "two");
    step("ALTER TABLE t ADD COLUMN w TEXT; UPDATE t SET v = 'three'", "three");
    step(
        "ALTER TABLE t RENAME COLUMN v TO old; ALTER TABLE t RENAME COLUMN w TO v; UPDATE t SET v = 'four'",
        "four",
    );
    step(
        "DROP TABLE t; CREATE TABLE t (v TEXT, id INTEGER PRIMARY KEY); INSERT INTO t VALUES ('five', 1)",
        "five",
    );
    step("UPDATE t SET v = 'six'", "six");
    for text in [
        "SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 1",
        "SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1",
        "WITH c AS (SELECT v FROM t) SELECT a.v FROM c FOR SYSTEM_TIME AS OF LSN ?1 AS a, c FOR SYSTEM_TIME AS OF LSN ?1 AS b WHERE a.v = b.v",
        "SELECT (SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = one.id) FROM t FOR SYSTEM_TIME AS OF LSN ?1 AS one",
    ] {
        let mut statement = sql.prepare(text).unwrap();
        for _ in 0..2 {
            for (moment, value) in moments.iter().chain(moments.iter().rev()) {
                assert_eq!(read(&mut statement, *moment), *value, "{text}");
                assert_eq!(read(&mut statement, *moment), *value, "{text}");
            }
        }
        let future = statement.query_row([at(db.last_commit()) + 1_000_000_000], |_| Ok(())).unwrap_err();
        assert_eq!(future.code(), Code::AsOfFuture, "{text}");
        assert!(future.offset().is_some(), "{text}");
        assert_eq!(read(&mut statement, moments[0].0), "one", "{text}");
    }
}

#[test]
fn each_moment_of_a_prepared_query_is_its_own() {
    let db = db();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, -1)")
        .unwrap();
    let mut moments = Vec::new();
    for n in 0..20 {
        sql.execute("UPDATE t SET n = ?1", [n]).unwrap();
        moments.push(db.last_commit());
    }
    let mut difference = sql
        .prepare(
            "SELECT b.n - a.n, b.row_start_lsn FROM t FOR SYSTEM_TIME AS OF LSN ?1 AS a, t FOR SYSTEM_TIME AS OF LSN ?2 AS b",
        )
        .unwrap();
    for from in 0..20 {
        for to in 0..20 {
            let points = [at(moments[from]), at(moments[to])];
            let found =
                difference.query_row(points, |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?))).unwrap();
            assert_eq!(found, (to as i64 - from as i64, points[1]), "{from} to {to}");
        }
    }
    // A tag that is made anew elsewhere is found where it is now.
    let mut tagged = sql.prepare("SELECT n FROM t FOR SYSTEM_TIME AS OF TAG ?1").unwrap();
    for (round, moment) in moments.iter().enumerate() {
        sql.execute_batch(&format!("CREATE TAG here AS OF LSN {}", at(*moment))).unwrap();
        assert_eq!(tagged.query_row(["here"], |row| row.get::<i64>(0)).unwrap(), round as i64);
        sql.execute("DROP TAG here", ()).unwrap();
        assert!(tagged.query_row(["here"], |_| Ok(())).unwrap_err().message().contains("no such tag"));
    }
}

#[test]
fn a_prepared_read_of_the_past_says_when_its_moment_has_expired() {
    let (db, clock) = db_with_clock(1_000_000_000_000_000);
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
        .unwrap();
    let first = db.last_commit();
    sql.execute("UPDATE t SET v = 'two'", ()).unwrap();
    let mut statement = sql.prepare("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 1").unwrap();
    assert_eq!(read(&mut statement, first), "one");
    clock.advance(Options::default().retention + 1_000);
    sql.execute("UPDATE t SET v = 'three'", ()).unwrap();
    let error = statement.query_row([at(first)], |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), Code::AsOfExpired);
    assert_eq!(expired(&sql, first), Code::AsOfExpired);
    assert_eq!(read(&mut statement, db.last_commit()), "three");
    // A table that lets go of its versions by its own rule.
    sql.execute_batch("CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT) WITH SYSTEM VERSIONING RETAIN '1 hour'; INSERT INTO u VALUES (1, 'u')").unwrap();
    let own = db.last_commit();
    let mut both = sql
        .prepare("SELECT t.v || u.v FROM t FOR SYSTEM_TIME AS OF LSN ?1, u FOR SYSTEM_TIME AS OF LSN ?1")
        .unwrap();
    assert_eq!(read(&mut both, own), "threeu");
    clock.advance(2 * 3_600_000_000);
    sql.execute("UPDATE u SET v = 'w'", ()).unwrap();
    assert_eq!(read(&mut statement, own), "three");
    let error = both.query_row([at(own)], |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), Code::AsOfExpired);
}

#[test]
fn a_prepared_read_of_the_past_sees_nothing_of_its_own_transaction() {
    let db = db();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
        .unwrap();
    let before = db.last_commit();
    let mut statement = sql.prepare("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 1").unwrap();
    for end in ["ROLLBACK", "COMMIT"] {
        sql.execute_batch("BEGIN; UPDATE t SET v = 'two'").unwrap();
        assert_eq!(read(&mut statement, before), "one");
        sql.execute_batch(
            "ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t ADD COLUMN v TEXT DEFAULT 'new'",
        )
        .unwrap();
        assert_eq!(read(&mut statement, before), "one");
        sql.execute(end, ()).unwrap();
        assert_eq!(read(&mut statement, before), "one");
    }
    assert_eq!(read(&mut statement, db.last_commit()), "new");
    assert_eq!(read(&mut statement, before), "one");
}

#[test]
fn a_prepared_read_of_the_past_follows_the_branch_of_its_connection() {
    let db = db();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
        .unwrap();
    let fork = db.last_commit();
    sql.execute_batch("CREATE BRANCH b; USE BRANCH b; ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t ADD COLUMN v TEXT DEFAULT 'b'").unwrap();
    let on_branch = db.branch("b").unwrap().last_commit();
    sql.execute_batch("USE BRANCH main; UPDATE t SET v = 'main'").unwrap();
    let on_main = db.last_commit();
    let mut statement = sql.prepare("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id = 1").unwrap();
    for _ in 0..2 {
        assert_eq!(read(&mut statement, on_main), "main");
        assert_eq!(read(&mut statement, on_branch), "one");
        assert_eq!(read(&mut statement, fork), "one");
        sql.execute("USE BRANCH b", ()).unwrap();
        assert_eq!(read(&mut statement, on_branch), "b");
        assert_eq!(read(&mut statement, fork), "one");
        sql.execute("USE BRANCH main", ()).unwrap();
    }
}
