//! Points and periods of the past: every way to name a moment, the versions of rows between two moments, tags.

mod common;

use common::cells;
use dosql::{Code, Connection, Database, Options, Storage, Timestamp};

/// A connection, and the commit after each statement.
fn script(statements: &[&str]) -> (Connection, Vec<Timestamp>) {
    let connection = Database::open_memory().unwrap().connect().unwrap();
    let commits = commits(&connection, statements);
    (connection, commits)
}

fn commits(connection: &Connection, statements: &[&str]) -> Vec<Timestamp> {
    let run = |sql: &&str| {
        connection.execute(sql, ()).unwrap();
        connection.last_commit()
    };
    statements.iter().map(run).collect()
}

/// The rows of a query, in which `{n}` stands for the n-th commit.
fn rows(connection: &Connection, at: &[Timestamp], sql: &str) -> Result<Vec<String>, dosql::Error> {
    cells(connection, &with(at, sql))
}

fn with(at: &[Timestamp], sql: &str) -> String {
    let put = |sql: String, (n, at): (usize, &Timestamp)| sql.replace(&format!("{{{n}}}"), &at.to_string());
    at.iter().enumerate().fold(sql.to_owned(), put)
}

const STOCK: [&str; 5] = [
    "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)",
    "INSERT INTO stock VALUES (1, 10), (2, 20)",
    "UPDATE stock SET n = 11 WHERE id = 1",
    "DELETE FROM stock WHERE id = 2",
    "INSERT INTO stock VALUES (2, 22)",
];

#[test]
fn a_period_lists_the_versions_that_were_current_in_it() {
    let (c, at) = script(&STOCK);
    let list = |period: &str| {
        let sql = format!("SELECT id, n FROM stock FOR SYSTEM_TIME {period} ORDER BY id, row_start");
        rows(&c, &at, &sql).unwrap()
    };
    assert_eq!(list("ALL"), ["1|10", "1|11", "2|20", "2|22"]);
    assert_eq!(list("FROM LSN {1} TO LSN {2}"), ["1|10", "2|20"], "its end is not included");
    assert_eq!(list("BETWEEN LSN {1} AND LSN {2}"), ["1|10", "1|11", "2|20"], "its end is included");
    assert_eq!(list("FROM LSN {3} TO LSN {4}"), ["1|11"]);
    assert_eq!(list("BETWEEN LSN {3} AND LSN {4}"), ["1|11", "2|22"]);
    assert_eq!(list("BETWEEN LSN {2} AND LSN {2}"), ["1|11", "2|20"], "one moment is AS OF");
    assert!(list("FROM LSN {2} TO LSN {2}").is_empty());
    assert!(list("BETWEEN LSN {3} AND LSN {2}").is_empty());
}

#[test]
fn hidden_columns_say_from_when_until_when_a_row_is_as_it_is() {
    let (c, at) = script(&STOCK);
    let list = |sql: &str| rows(&c, &at, sql).unwrap();
    let expected = |start: usize, end: Option<usize>| {
        let end = end.map_or("9223372036854775807".to_owned(), |end| at[end].to_string());
        format!("{}|{end}", at[start])
    };
    let versions =
        list("SELECT row_start_lsn, row_end_lsn FROM stock FOR SYSTEM_TIME ALL ORDER BY id, row_start_lsn");
    let all = [expected(1, Some(2)), expected(2, None), expected(1, Some(3)), expected(4, None)];
    assert_eq!(versions, all);
    assert_eq!(
        list("SELECT row_start_lsn, row_end_lsn FROM stock ORDER BY id"),
        [expected(2, None), expected(4, None)]
    );
    assert_eq!(
        list(
            "SELECT s.ROW_START_LSN, s.row_end_lsn FROM stock FOR SYSTEM_TIME AS OF LSN {1} AS s ORDER BY id"
        ),
        [expected(1, Some(2)), expected(1, Some(3))]
    );
    // As text they read back as points.
    assert_eq!(
        list(
            "SELECT count(*) FROM stock AS s WHERE row_start_lsn = {2} \
             AND row_end = '9999-12-31T23:59:59.999999Z'"
        ),
        ["1"]
    );
    let start = list("SELECT row_start FROM stock WHERE id = 1").remove(0);
    assert_eq!(
        list(&format!("SELECT n FROM stock FOR SYSTEM_TIME AS OF TIMESTAMP '{start}' WHERE id = 1")),
        ["11"]
    );
    assert_eq!(list("SELECT * FROM stock WHERE id = 1"), ["1|11"], "not in *");
    c.execute_batch("CREATE INDEX by_n ON stock(n)").unwrap();
    assert_eq!(list("SELECT row_start_lsn FROM stock WHERE n = 11"), [at[2].to_string()], "by an index");
}

#[test]
fn a_row_that_the_transaction_itself_wrote_has_no_start_yet() {
    let (c, _) = script(&STOCK);
    c.execute_batch("BEGIN; UPDATE stock SET n = 5 WHERE id = 1").unwrap();
    let sql = "SELECT id, row_start IS NULL, row_end_lsn = 9223372036854775807 FROM stock ORDER BY id";
    assert_eq!(cells(&c, sql).unwrap(), ["1|1|1", "2|0|1"]);
    c.execute_batch("COMMIT").unwrap();
    assert_eq!(cells(&c, sql).unwrap(), ["1|0|1", "2|0|1"]);
}

#[test]
fn a_column_of_the_table_comes_before_a_hidden_one_of_its_name() {
    let (c, at) = script(&["CREATE TABLE t (row_start, row_end_lsn)", "INSERT INTO t VALUES ('a', 'b')"]);
    assert_eq!(rows(&c, &at, "SELECT row_start, row_end_lsn FROM t").unwrap(), ["a|b"]);
    let all = "SELECT row_start, row_start_lsn FROM t FOR SYSTEM_TIME ALL";
    assert_eq!(rows(&c, &at, all).unwrap(), [format!("a|{}", at[1])]);
}

#[test]
fn a_period_shows_rows_in_the_schema_of_its_end() {
    let (c, at) = script(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)",
        "INSERT INTO t VALUES (1, 'a1', 'b1')",
        "ALTER TABLE t ADD COLUMN c DEFAULT 7",
        "UPDATE t SET a = 'a2'",
        "ALTER TABLE t DROP COLUMN b",
        "UPDATE t SET c = 8",
        "DROP TABLE t",
    ]);
    let list = |period: &str| {
        rows(&c, &at, &format!("SELECT * FROM t FOR SYSTEM_TIME {period} ORDER BY row_start")).unwrap()
    };
    assert_eq!(list("BETWEEN LSN {0} AND LSN {1}"), ["1|a1|b1"]);
    assert_eq!(list("BETWEEN LSN {0} AND LSN {3}"), ["1|a1|b1|7", "1|a2|b1|7"]);
    let last = list("BETWEEN LSN {0} AND LSN {5}");
    assert_eq!((last.first().unwrap().as_str(), last.last().unwrap().as_str()), ("1|a1|7", "1|a2|8"));
}

#[test]
fn the_versions_of_keys_too_long_for_a_page_are_those_of_each_key() {
    let (c, _) = script(&["CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID"]);
    let long = |end: &str| format!("'{}{end}'", "x".repeat(5000));
    let (a, b) = (long("a"), long("b"));
    c.execute_batch(&format!(
        "INSERT INTO t VALUES ({a}, 1), ({b}, 1); UPDATE t SET v = 2 WHERE k = {b}; DELETE FROM t WHERE k = {a}"
    ))
    .unwrap();
    let sql =
        "SELECT substr(k, -1), v, row_end_lsn = 9223372036854775807 FROM t FOR SYSTEM_TIME ALL ORDER BY 1, 2";
    assert_eq!(cells(&c, sql).unwrap(), ["a|1|0", "b|1|0", "b|2|1"]);
    let sql = "SELECT substr(k, -1), row_start_lsn > 0 FROM t";
    assert_eq!(cells(&c, sql).unwrap(), ["b|1"]);
}

#[test]
fn a_period_is_refused_where_there_are_no_versions() {
    let (c, at) =
        script(&["CREATE TABLE t (x)", "CREATE VIEW v AS SELECT x FROM t", "CREATE TEMP TABLE here (x)"]);
    for from in ["v", "here", "sqlite_schema"] {
        let error = rows(&c, &at, &format!("SELECT * FROM {from} FOR SYSTEM_TIME ALL")).unwrap_err();
        assert!(error.message().contains("no versions"), "{from}: {error}");
    }
    let sql = "WITH q AS (SELECT 1) SELECT * FROM q FOR SYSTEM_TIME ALL";
    assert!(rows(&c, &at, sql).unwrap_err().message().contains("no versions"));
    let error = rows(&c, &at, "SELECT * FROM t FOR SYSTEM_TIME BETWEEN LSN 1 AND LSN {0}").unwrap_err();
    assert_eq!(error.code(), Code::AsOfExpired);
    let future = c.database().now().as_micros() + 3_600_000_000;
    let error = rows(&c, &at, &format!("SELECT * FROM t FOR SYSTEM_TIME FROM LSN {{0}} TO LSN {future}"));
    assert_eq!(error.unwrap_err().code(), Code::AsOfFuture);
}

#[test]
fn a_moment_may_be_any_scalar_without_columns() {
    let (options, clock) = common::with_clock(Options::default());
    clock.set(common::at(1_800_000_000_000_000));
    let c = Database::open(Storage::memory(), options).unwrap().connect().unwrap();
    let at = commits(&c, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"]);
    let count = |point: &str| rows(&c, &at, &format!("SELECT count(*) FROM t FOR SYSTEM_TIME AS OF {point}"));
    clock.advance(2_000);
    assert_eq!(count("LSN {1} - 1 + 1").unwrap(), ["1"]);
    assert_eq!(count("strftime('%Y-%m-%d %H:%M:%f', 'now')").unwrap(), ["1"]);
    assert_eq!(count("CAST(unixepoch('subsec') * 1000 AS INTEGER)").unwrap(), ["1"]);
    assert_eq!(count("datetime('now', '-1 hour')").unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(count("datetime('now', '+1 hour')").unwrap_err().code(), Code::AsOfFuture);
    assert!(count("x").is_err());
    assert!(count("NULL").unwrap_err().message().contains("NULL"));
}

#[test]
fn as_of_reaches_through_views_and_queries_to_every_table() {
    let (c, at) = script(&[
        "CREATE TABLE t (x)",
        "CREATE VIEW v AS SELECT sum(x) AS total FROM t",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (2)",
        "DROP VIEW v",
        "CREATE VIEW v AS SELECT count(*) AS n FROM t",
    ]);
    let list = |sql: &str| rows(&c, &at, sql).unwrap();
    assert_eq!(list("SELECT * FROM v FOR SYSTEM_TIME AS OF LSN {2}"), ["1"], "with the view of that time");
    assert_eq!(list("SELECT * FROM v"), ["2"]);
    let cte = "WITH a AS (SELECT x FROM t), b AS (SELECT sum(x) AS s FROM a) ";
    assert_eq!(
        list(&format!("{cte} SELECT old.s, new.s FROM b FOR SYSTEM_TIME AS OF LSN {{2}} AS old, b AS new")),
        ["1|3"]
    );
    assert_eq!(
        list(&format!(
            "{cte} SELECT new.s, old.s, new.s FROM b AS new, b FOR SYSTEM_TIME AS OF LSN {{2}} AS old"
        )),
        ["3|1|3"]
    );
    let recursive =
        "WITH RECURSIVE n(i) AS (SELECT max(x) FROM t UNION ALL SELECT i - 1 FROM n WHERE i > 0) ";
    assert_eq!(list(&format!("{recursive} SELECT count(*) FROM n FOR SYSTEM_TIME AS OF LSN {{2}}")), ["2"]);
    assert_eq!(list(&format!("{recursive} SELECT count(*) FROM n")), ["3"]);
}

#[test]
fn keyed_reads_of_the_past_search_and_scan_nothing() {
    let storage = Storage::memory();
    let open = || Database::open(storage.share(), Options::default()).unwrap();
    let database = open();
    let at = commits(
        &database.connect().unwrap(),
        &[
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
            "CREATE INDEX by_v ON t(v)",
            "INSERT INTO t SELECT value, 'v' || value FROM generate_series(1, 20000)",
            "UPDATE t SET v = 'w' || id",
        ],
    );
    database.close().unwrap();
    drop(database);
    for (sql, search) in [
        ("SELECT v, id FROM t FOR SYSTEM_TIME AS OF LSN {2} WHERE id = ", "INTEGER PRIMARY KEY"),
        ("SELECT v, id FROM t FOR SYSTEM_TIME AS OF LSN {2} WHERE v = 'v' || ", "INDEX by_v"),
    ] {
        let sql = with(&at, sql);
        // Nothing is in memory yet.
        let database = open();
        let c = database.connect().unwrap();
        let plan = cells(&c, &format!("EXPLAIN QUERY PLAN {sql} 777")).unwrap().join("\n");
        assert!(plan.contains("SEARCH") && plan.contains(search), "{plan}");
        assert_eq!(cells(&c, &format!("{sql} 777")).unwrap(), ["v777|777"]);
        let before = database.stats().pages.misses;
        assert_eq!(cells(&c, &format!("{sql} 15555")).unwrap(), ["v15555|15555"]);
        let read = database.stats().pages.misses - before;
        assert!((1..=8).contains(&read), "{read} pages read for one row");
        let before = database.stats().pages.misses;
        assert_eq!(
            cells(&c, &with(&at, "SELECT count(*) FROM t FOR SYSTEM_TIME AS OF LSN {2}")).unwrap(),
            ["20000"]
        );
        assert!(database.stats().pages.misses - before > 100);
    }
}

// ------------------------------------------------------------ read-only transactions

#[test]
fn a_read_only_transaction_as_of_a_point_sees_the_database_of_then() {
    let (c, at) = script(&[
        "CREATE TABLE t (x)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t RENAME TO u",
        "INSERT INTO u VALUES (2)",
    ]);
    c.execute_batch(&with(&at, "BEGIN READ ONLY AS OF LSN {1}")).unwrap();
    assert_eq!(cells(&c, "SELECT count(*) FROM t").unwrap(), ["1"]);
    assert_eq!(cells(&c, "SELECT name FROM sqlite_schema").unwrap(), ["t"]);
    assert!(cells(&c, "SELECT count(*) FROM u").is_err());
    assert_eq!(c.execute("INSERT INTO t VALUES (3)", ()).unwrap_err().kind(), dosql::ErrorKind::ReadOnly);
    c.execute_batch("COMMIT; BEGIN READ ONLY").unwrap();
    assert_eq!(cells(&c, "SELECT count(*) FROM u").unwrap(), ["2"]);
    assert_eq!(c.execute("INSERT INTO u VALUES (3)", ()).unwrap_err().kind(), dosql::ErrorKind::ReadOnly);
    c.execute_batch("COMMIT").unwrap();
    assert_eq!(c.execute_batch("BEGIN READ ONLY AS OF LSN 1").unwrap_err().code(), Code::AsOfExpired);
    assert!(!c.in_transaction());
}

#[test]
fn the_point_of_a_transaction_is_that_of_each_run_of_its_statement() {
    let (c, at) = script(&["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"]);
    let mut begin = c.prepare("BEGIN READ ONLY AS OF LSN ?1").unwrap();
    for (point, count) in [(at[2], "2"), (at[0], "0"), (at[1], "1")] {
        begin.execute([point]).unwrap();
        assert_eq!(cells(&c, "SELECT count(*) FROM t").unwrap(), [count]);
        c.execute_batch("ROLLBACK").unwrap();
    }
}

// ------------------------------------------------------------ tags

#[test]
fn a_tag_is_a_point_with_a_name() {
    let (c, at) = script(&STOCK);
    c.execute_batch(&with(
        &at,
        "CREATE TAG empty AS OF LSN {0}; CREATE TAG Release AS OF LSN {2}; CREATE TAG now",
    ))
    .unwrap();
    let count = |tag: &str| cells(&c, &format!("SELECT sum(n) FROM stock FOR SYSTEM_TIME AS OF TAG {tag}"));
    assert_eq!(count("release").unwrap(), ["31"]);
    assert_eq!(count("'RELEASE'").unwrap(), ["31"]);
    assert_eq!(count("empty").unwrap(), ["NULL"]);
    assert_eq!(count("now").unwrap(), ["33"]);
    let mut by_name = c.prepare("SELECT sum(n) FROM stock FOR SYSTEM_TIME AS OF TAG ?1").unwrap();
    assert_eq!(by_name.query_row(["release"], |row| row.get::<i64>(0)).unwrap(), 31);
    assert_eq!(
        cells(&c, "SELECT name, lsn FROM dosql_tags WHERE name <> 'now' ORDER BY name").unwrap(),
        [format!("Release|{}", at[2]), format!("empty|{}", at[0])]
    );
    c.execute_batch("BEGIN READ ONLY AS OF TAG release; ROLLBACK").unwrap();
    c.execute_batch("DROP TAG RELEASE; DROP TAG IF EXISTS release; CREATE TAG IF NOT EXISTS now").unwrap();
    assert!(count("release").unwrap_err().message().contains("no such tag"));
    for wrong in
        ["DROP TAG release", "CREATE TAG now", "CREATE TAG 'a b'", "CREATE TAG ''", "BEGIN; CREATE TAG t2"]
    {
        assert!(c.execute_batch(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_prepared_statement_follows_a_tag_that_moves() {
    let (c, at) = script(&STOCK);
    c.execute_batch(&with(&at, "CREATE TAG t AS OF LSN {1}")).unwrap();
    let mut sum = c.prepare("SELECT sum(n) FROM stock FOR SYSTEM_TIME AS OF TAG t").unwrap();
    assert_eq!(sum.query_row((), |row| row.get::<i64>(0)).unwrap(), 30);
    c.execute_batch(&with(&at, "DROP TAG t; CREATE TAG t AS OF LSN {2}")).unwrap();
    assert_eq!(sum.query_row((), |row| row.get::<i64>(0)).unwrap(), 31);
}

#[test]
fn a_tag_outlives_a_crash_and_a_checkpoint() {
    let storage = Storage::memory();
    let options = || Options { maintenance: dosql::Maintenance::Caller, ..Options::default() };
    let open = || Database::open(storage.share(), options()).unwrap();
    let names = |database: &Database| database.tags().into_iter().map(|tag| tag.name).collect::<Vec<_>>();
    let database = open();
    database.create_tag("logged", None).unwrap();
    database.create_tag("dropped", None).unwrap();
    database.drop_tag("dropped").unwrap();
    drop(database);
    let database = open();
    assert_eq!(names(&database), ["logged"]);
    database.checkpoint().unwrap();
    database.create_tag("again", None).unwrap();
    assert!(database.verify().unwrap().is_sound());
    drop(database);
    let database = open();
    assert_eq!(names(&database), ["again", "logged"]);
    assert!(database.verify().unwrap().is_sound());
}

#[test]
fn a_tag_keeps_what_was_current_at_its_moment_and_nothing_else() {
    let (options, clock) = common::with_clock(Options { retention: 1_000_000, ..Options::default() });
    let storage = Storage::memory();
    let database = Database::open(storage.share(), options.clone()).unwrap();
    let c = database.connect().unwrap();
    commits(&c, &["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 0), (2, 0)"]);
    let mut later = Vec::new();
    for v in 1..20 {
        clock.advance(100);
        later.extend(commits(&c, &[&format!("UPDATE t SET v = {v} WHERE id = 1")]));
        if v == 10 {
            c.execute_batch("CREATE TAG ten").unwrap();
        }
        if v % 4 == 0 {
            database.checkpoint().unwrap();
        }
    }
    clock.advance(5_000_000);
    for round in 0..12 {
        c.execute("UPDATE t SET v = v + 1 WHERE id = 2", ()).unwrap();
        clock.advance(2_000_000);
        database.checkpoint().unwrap();
        let old = format!("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN {} WHERE id = 1", later[3]);
        assert_eq!(cells(&c, &old).unwrap_err().code(), Code::AsOfExpired, "round {round}");
        let then = "SELECT id, v FROM t FOR SYSTEM_TIME AS OF TAG ten ORDER BY id";
        assert_eq!(cells(&c, then).unwrap(), ["1|10", "2|0"], "round {round}");
        // It keeps its moment, not what came after.
        let since = format!("SELECT v FROM t FOR SYSTEM_TIME BETWEEN TAG ten AND LSN {}", c.last_commit());
        assert_eq!(cells(&c, &since).unwrap_err().code(), Code::AsOfExpired);
        let then = "SELECT id, v FROM t FOR SYSTEM_TIME BETWEEN TAG ten AND TAG ten ORDER BY id";
        assert_eq!(cells(&c, then).unwrap(), ["1|10", "2|0"], "round {round}");
        let changed = cells(&c, "SELECT count(*) FROM dosql_diff('t', 'ten')").unwrap();
        assert_eq!(changed, ["2"], "round {round}");
    }
    assert!(database.stats().history_entries < 8, "{:?}", database.stats());
    assert_eq!(cells(&c, "SELECT kind, name FROM dosql_pins WHERE kind = 'tag'").unwrap(), ["tag|ten"]);
    assert!(database.verify().unwrap().is_sound());
    c.execute_batch("DROP TAG ten").unwrap();
    c.execute("UPDATE t SET v = -1", ()).unwrap();
    clock.advance(2_000_000);
    database.checkpoint().unwrap();
    c.execute("UPDATE t SET v = -2", ()).unwrap();
    clock.advance(2_000_000);
    database.checkpoint().unwrap();
    assert_eq!(database.stats().history_entries, 0);
}

#[test]
fn a_tag_keeps_its_moment_in_a_database_without_retention() {
    let options = || Options { retention: 0, ..Options::default() };
    let storage = Storage::memory();
    let open = || Database::open(storage.share(), options()).unwrap();
    let database = open();
    let c = database.connect().unwrap();
    let made = commits(&c, &["CREATE TABLE t (v)", "INSERT INTO t VALUES (1)"]);
    c.execute_batch("CREATE TAG one; UPDATE t SET v = 2; UPDATE t SET v = 3").unwrap();
    let one = "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG one";
    assert_eq!(cells(&c, one).unwrap(), ["1"]);
    drop((c, database));
    // From the log.
    let database = open();
    let c = database.connect().unwrap();
    assert_eq!(cells(&c, one).unwrap(), ["1"]);
    database.checkpoint().unwrap();
    assert_eq!(cells(&c, one).unwrap(), ["1"]);
    let expired = format!("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN {}", made[0]);
    assert_eq!(cells(&c, &expired).unwrap_err().code(), Code::AsOfExpired);
}

#[test]
fn tags_are_bounded_in_number_and_in_length() {
    let database = common::db();
    for name in ["", "a b", "\u{e9}", &"x".repeat(129)] {
        assert_eq!(database.create_tag(name, None).unwrap_err().kind(), dosql::ErrorKind::InvalidInput);
    }
    database.create_tag(&"x".repeat(128), None).unwrap();
    for n in 1..1_000 {
        database.create_tag(&format!("release/{n}.0-rc_1"), None).unwrap();
    }
    assert_eq!(database.create_tag("one-more", None).unwrap_err().kind(), dosql::ErrorKind::Limit);
    database.drop_tag("RELEASE/7.0-rc_1").unwrap();
    database.create_tag("one-more", None).unwrap();
}

#[test]
fn a_point_that_is_read_while_its_reader_is_moved_on_stays_whole() {
    let (options, clock) =
        common::with_clock(Options { retention: 1_000_000, pinned_bytes: 0, ..Options::default() });
    let database = Database::open(Storage::memory(), options).unwrap();
    let c = database.connect().unwrap();
    c.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); \
         INSERT INTO t SELECT value, 0 FROM generate_series(1, 3000)",
    )
    .unwrap();
    let then = c.last_commit();
    clock.advance(900_000);
    c.execute("UPDATE t SET v = 1", ()).unwrap();
    clock.advance(90_000);
    // Under way as of `then`, in a transaction that sees the present.
    let reader = database.connect().unwrap();
    let mut query = reader.prepare("SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?1").unwrap();
    let mut rows = query.query([then]).unwrap();
    assert!(rows.next().unwrap().is_some());
    // Its moment expires, and its reader would be given a newer view.
    clock.advance(500_000);
    c.execute("UPDATE t SET v = 2", ()).unwrap();
    database.checkpoint().unwrap();
    c.execute("UPDATE t SET v = 3", ()).unwrap();
    database.checkpoint().unwrap();
    c.execute("UPDATE t SET v = 4 WHERE id = 1", ()).unwrap();
    let mut count = 1;
    while let Some(row) = rows.next().unwrap() {
        assert_eq!(row.get::<i64>(0).unwrap(), 0);
        count += 1;
    }
    assert_eq!(count, 3000);
}
