//! What time travel costs, counted in pages looked at rather than in time: a question about few rows does not go over all.

use dosql::{Connection, Database, Options, Storage, Timestamp};

const ROWS: i64 = 60_000;

fn filled() -> (Database, Connection) {
    let options = Options { page_size: 4096, ..Options::default() };
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").unwrap();
    sql.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO t SELECT i, 'row ' || i FROM n",
        [ROWS],
    )
    .unwrap();
    db.checkpoint().unwrap();
    (db, sql)
}

/// Pages that were looked at meanwhile.
fn pages(db: &Database, work: impl FnOnce()) -> u64 {
    let looked = |db: &Database| {
        let stats = db.stats();
        stats.pages.hits + stats.pages.misses
    };
    let before = looked(db);
    work();
    looked(db) - before
}

fn diff(sql: &Connection, from: Timestamp) -> Vec<(String, i64)> {
    let text = format!(
        "SELECT diff_type, coalesce(to_id, from_id) FROM dosql_diff('t', {}) ORDER BY 2",
        from.as_micros()
    );
    let mut statement = sql.prepare(&text).unwrap();
    statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_difference_of_few_rows_looks_at_few_pages() {
    let (db, sql) = filled();
    let before = db.last_commit();
    sql.execute("UPDATE t SET v = 'other' WHERE id = 31000", ()).unwrap();
    let one = [("modified".to_owned(), 31_000)];
    for round in 0..3 {
        let looked = pages(&db, || assert_eq!(diff(&sql, before), one));
        assert!(looked < 60, "{looked} pages, {round} checkpoints later");
        db.checkpoint().unwrap();
    }
    sql.execute_batch("DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (70000, 'new')").unwrap();
    let three = [("removed".to_owned(), 5), one[0].clone(), ("added".to_owned(), 70_000)];
    let looked = pages(&db, || assert_eq!(diff(&sql, before), three));
    assert!(looked < 100, "{looked} pages");
    let all = pages(&db, || {
        sql.query_row("SELECT count(*), max(v) FROM t", (), |_| Ok(())).unwrap();
    });
    assert!(all > 300, "{all} pages are few to begin with");
}

#[test]
fn a_feed_that_is_filled_from_history_looks_at_what_has_changed() {
    let (db, sql) = filled();
    let before = db.last_commit();
    sql.execute("UPDATE t SET v = 'other' WHERE id = 31000", ()).unwrap();
    db.checkpoint().unwrap();
    sql.execute("UPDATE t SET v = 'more' WHERE id = 77", ()).unwrap();
    db.checkpoint().unwrap();
    let looked = pages(&db, || {
        let mut changes = db.changes(before).unwrap();
        let mut count = 0;
        while changes.try_next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 2);
    });
    assert!(looked < 200, "{looked} pages");
}

#[test]
fn the_versions_of_a_row_are_found_by_its_key() {
    let (db, sql) = filled();
    for round in 0..4 {
        sql.execute("UPDATE t SET v = ?1 WHERE id % 2 = 0", [round]).unwrap();
        db.checkpoint().unwrap();
    }
    sql.execute_batch("CREATE TABLE some (t_id INTEGER); INSERT INTO some VALUES (31000), (7), (31000)")
        .unwrap();
    let count = |text: &str| sql.query_row(text, (), |row| row.get::<i64>(0)).unwrap();
    let looked_at = |text: &str, expected: i64| pages(&db, || assert_eq!(count(text), expected, "{text}"));
    for (text, expected) in [
        ("SELECT count(*) FROM t FOR SYSTEM_TIME ALL WHERE id = 31000", 5),
        ("SELECT count(*) FROM dosql_history('t') WHERE id = 31001", 1),
        ("SELECT count(*) FROM t FOR SYSTEM_TIME ALL WHERE id IN (31000, 7, 59000, 60001)", 11),
        ("SELECT count(*) FROM t FOR SYSTEM_TIME ALL WHERE rowid BETWEEN 31000 AND 31009", 30),
        ("SELECT count(*) FROM some JOIN t FOR SYSTEM_TIME ALL ON id = t_id", 11),
        ("SELECT count(*) FROM t FOR SYSTEM_TIME ALL WHERE id > 60000", 0),
    ] {
        let looked = looked_at(text, expected);
        assert!(looked < 120, "{looked} pages for {text}");
    }
    let all = looked_at("SELECT count(*) FROM t FOR SYSTEM_TIME ALL", ROWS * 3);
    assert!(all > 500, "{all} pages for all versions");
}

#[test]
fn the_log_since_a_moment_looks_at_what_has_changed() {
    let (db, sql) = filled();
    sql.execute("UPDATE t SET v = 'x' WHERE id % 3 = 0", ()).unwrap();
    db.checkpoint().unwrap();
    let since = db.last_commit().as_micros() as i64;
    sql.execute("UPDATE t SET v = 'y' WHERE id IN (7, 40000)", ()).unwrap();
    sql.execute("INSERT INTO t VALUES (100000, 'new')", ()).unwrap();
    sql.execute("DELETE FROM t WHERE id = 9", ()).unwrap();
    let log = |from: &str| -> Vec<(i64, i64, i64, i64)> {
        let text = format!("SELECT lsn, inserted, updated, deleted FROM dosql_log{from} ORDER BY lsn");
        let mut statement = sql.prepare(&text).unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let whole: Vec<_> = log("").into_iter().filter(|commit| commit.0 > since).collect();
    assert_eq!(
        whole.iter().map(|it| (it.1, it.2, it.3)).collect::<Vec<_>>(),
        [(0, 2, 0), (1, 0, 0), (0, 0, 1)]
    );
    for round in 0..3 {
        let looked = pages(&db, || assert_eq!(log(&format!("({since})")), whole));
        assert!(looked < 120, "{looked} pages, {round} checkpoints later");
        assert_eq!(log(&format!(" WHERE since = {since}")), whole);
        db.checkpoint().unwrap();
    }
    assert!(log(&format!("({})", i64::MAX)).is_empty());
    assert!(!log("('2020-01-01')").is_empty());
    for wrong in ["('soon')", "(-1)", "(1.5)"] {
        assert!(sql.execute(&format!("SELECT * FROM dosql_log{wrong}"), ()).is_err(), "{wrong}");
    }
}
