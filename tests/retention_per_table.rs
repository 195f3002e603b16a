//! How long superseded versions stay can be said for each table: `WITH SYSTEM VERSIONING RETAIN ..`, `WITHOUT SYSTEM VERSIONING`.

mod common;

use std::sync::Arc;

use common::{Clock, at, cells, with_clock};
use dosql::feed::Event;
use dosql::{Code, Connection, Database, ErrorKind, Options, Storage, Timestamp};

const HOUR: u64 = 3_600_000_000;
const DAY: u64 = 24 * HOUR;

struct World {
    storage: Storage,
    options: Options,
    clock: Arc<Clock>,
    db: Option<Database>,
}

impl World {
    fn new(retention: u64) -> World {
        let options = Options { retention, page_size: 4096, ..Options::default() };
        let (options, clock) = with_clock(options);
        clock.set(at(400 * 365 * DAY / 10));
        let storage = Storage::memory_with(&options);
        let db = Database::open(storage.share(), options.clone()).unwrap();
        World { storage, options, clock, db: Some(db) }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn sql(&self) -> Connection {
        self.db().connect().unwrap()
    }

    /// Ends without a word, and opens again.
    fn reopen(&mut self) {
        self.db = None;
        self.db = Some(Database::open(self.storage.share(), self.options.clone()).unwrap());
    }
}

fn run(connection: &Connection, sql: &str) -> Timestamp {
    connection.execute_batch(sql).unwrap();
    connection.last_commit()
}

fn past(connection: &Connection, table: &str, at: Timestamp) -> Result<Vec<String>, Code> {
    let sql = format!("SELECT * FROM {table} FOR SYSTEM_TIME AS OF LSN {} ORDER BY 1", at.as_micros());
    cells(connection, &sql).map_err(|error| error.code())
}

#[test]
fn a_table_is_kept_for_as_long_as_it_says_and_the_others_as_the_database_says() {
    let mut world = World::new(7 * DAY);
    let sql = world.sql();
    run(&sql, "CREATE TABLE long (id INTEGER PRIMARY KEY, v TEXT) WITH SYSTEM VERSIONING RETAIN 90 DAYS");
    run(
        &sql,
        "CREATE TABLE short (id INTEGER PRIMARY KEY, v UNIQUE) WITH SYSTEM VERSIONING RETAIN '2 hours'",
    );
    run(&sql, "CREATE TABLE usual (id INTEGER PRIMARY KEY, v)");
    let first = run(
        &sql,
        "BEGIN; INSERT INTO long VALUES (1, 'a'); INSERT INTO short VALUES (1, 'a'); INSERT INTO usual VALUES (1, 'a'); COMMIT",
    );
    for value in ["b", "c"] {
        world.clock.advance(HOUR);
        for table in ["long", "short", "usual"] {
            run(&sql, &format!("UPDATE {table} SET v = '{value}'"));
        }
        world.db().checkpoint().unwrap();
    }
    let all = |sql: &Connection| ["long", "short", "usual"].map(|table| past(sql, table, first));
    let there = Ok(vec!["1|a".to_owned()]);
    assert_eq!(all(&sql), [there.clone(), there.clone(), there.clone()]);
    world.clock.advance(HOUR);
    drop(sql);
    for round in 0..2 {
        let sql = world.sql();
        assert_eq!(all(&sql), [there.clone(), Err(Code::AsOfExpired), there.clone()], "{round}");
        run(&sql, "UPDATE usual SET v = v || 'x'");
        world.db().checkpoint().unwrap();
        drop(sql);
        world.reopen();
    }
    world.clock.advance(8 * DAY);
    for round in 0..3 {
        let sql = world.sql();
        assert_eq!(all(&sql), [there.clone(), Err(Code::AsOfExpired), Err(Code::AsOfExpired)], "{round}");
        run(&sql, "UPDATE usual SET v = v || 'x'");
        world.db().checkpoint().unwrap();
        drop(sql);
        world.reopen();
        assert!(world.db().verify().unwrap().is_sound());
    }
    world.clock.advance(90 * DAY);
    assert_eq!(all(&world.sql()), [Err(Code::AsOfExpired), Err(Code::AsOfExpired), Err(Code::AsOfExpired)]);
}

#[test]
fn a_table_without_versioning_keeps_none_and_its_past_is_refused() {
    let mut world = World::new(7 * DAY);
    let sql = world.sql();
    run(
        &sql,
        "CREATE TABLE log (id INTEGER PRIMARY KEY, v) WITHOUT SYSTEM VERSIONING; CREATE INDEX i ON log (v)",
    );
    run(&sql, "CREATE TABLE kept (id INTEGER PRIMARY KEY, v)");
    let first = run(&sql, "BEGIN; INSERT INTO log VALUES (1, 'a'); INSERT INTO kept VALUES (1, 'a'); COMMIT");
    let before = world.db().stats().history_memory;
    run(&sql, "UPDATE log SET v = 'b'; DELETE FROM log; INSERT INTO log VALUES (2, 'c')");
    assert_eq!(world.db().stats().history_memory, before, "nothing of it is recorded");
    run(&sql, "UPDATE kept SET v = 'b'");
    assert!(world.db().stats().history_memory > before);
    drop(sql);
    for _ in 0..2 {
        let sql = world.sql();
        assert_eq!(past(&sql, "log", first), Err(Code::AsOfUnkept));
        assert_eq!(past(&sql, "kept", first), Ok(vec!["1|a".to_owned()]));
        for query in [
            "SELECT * FROM log FOR SYSTEM_TIME ALL".to_owned(),
            "SELECT * FROM dosql_history('log')".to_owned(),
            format!(
                "SELECT * FROM dosql_diff('log', {}, {})",
                first.as_micros(),
                sql.last_commit().as_micros()
            ),
            format!("SELECT * FROM log FOR SYSTEM_TIME BETWEEN LSN {0} AND LSN {0}", first.as_micros()),
        ] {
            assert_eq!(cells(&sql, &query).unwrap_err().code(), Code::AsOfUnkept, "{query}");
        }
        run(&sql, &format!("BEGIN READ ONLY AS OF LSN {}", first.as_micros()));
        assert_eq!(cells(&sql, "SELECT * FROM kept").unwrap(), ["1|a"]);
        assert_eq!(cells(&sql, "SELECT * FROM log").unwrap_err().code(), Code::AsOfUnkept);
        sql.execute_batch("ROLLBACK").unwrap();
        assert_eq!(cells(&sql, "SELECT v FROM log WHERE v = 'c'").unwrap(), ["c"]);
        drop(sql);
        world.reopen();
    }
}

#[test]
fn what_a_table_says_can_be_altered_and_nothing_partial_is_read_across_that() {
    let mut world = World::new(7 * DAY);
    let sql = world.sql();
    let mut moments = Vec::new();
    moments.push(run(&sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT"));
    moments.push(run(&sql, "INSERT INTO t VALUES (1, 'a')"));
    run(&sql, "ALTER TABLE t SET WITHOUT SYSTEM VERSIONING");
    moments.push(run(&sql, "UPDATE t SET v = 'b'"));
    let again = run(&sql, "ALTER TABLE t SET SYSTEM VERSIONING RETAIN 1 YEAR");
    let kept = run(&sql, "UPDATE t SET v = 'c'");
    run(&sql, "UPDATE t SET v = 'd'");
    drop(sql);
    for round in 0..4 {
        let sql = world.sql();
        assert_eq!(past(&sql, "t", kept), Ok(vec!["1|c".to_owned()]), "{round}");
        assert_eq!(past(&sql, "t", again), Ok(vec!["1|b".to_owned()]), "{round}");
        for moment in &moments {
            assert_eq!(past(&sql, "t", *moment), Err(Code::AsOfExpired), "{round}");
        }
        let schema = cells(&sql, "SELECT sql FROM sqlite_schema WHERE name = 't'").unwrap();
        assert_eq!(
            schema,
            ["CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) WITH SYSTEM VERSIONING RETAIN 1 YEAR, STRICT"]
        );
        drop(sql);
        match round {
            0 => world.reopen(),
            1 => world.db().checkpoint().unwrap(),
            _ => world.reopen(),
        }
    }
    // A table that is dropped leaves what it said to those who read its past.
    let sql = world.sql();
    run(&sql, "DROP TABLE t");
    world.db().checkpoint().unwrap();
    drop(sql);
    world.reopen();
    let sql = world.sql();
    assert_eq!(past(&sql, "t", kept), Ok(vec!["1|c".to_owned()]));
    assert_eq!(past(&sql, "t", moments[2]), Err(Code::AsOfExpired));
}

#[test]
fn one_table_may_be_kept_where_the_database_keeps_nothing() {
    let mut world = World::new(0);
    let sql = world.sql();
    run(
        &sql,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v) WITH SYSTEM VERSIONING RETAIN 1 DAY; CREATE TABLE b (id INTEGER PRIMARY KEY, v)",
    );
    let first = run(&sql, "BEGIN; INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1, 'x'); COMMIT");
    run(&sql, "UPDATE a SET v = 'y'; UPDATE b SET v = 'y'");
    drop(sql);
    for _ in 0..3 {
        let sql = world.sql();
        assert_eq!(past(&sql, "a", first), Ok(vec!["1|x".to_owned()]));
        assert_eq!(past(&sql, "b", first), Err(Code::AsOfExpired));
        drop(sql);
        world.db().checkpoint().unwrap();
        world.reopen();
    }
    world.clock.advance(2 * DAY);
    assert_eq!(past(&world.sql(), "a", first), Err(Code::AsOfExpired));
}

#[test]
fn a_tag_keeps_what_a_table_keeps_and_cannot_bring_back_what_it_dropped() {
    let world = World::new(7 * DAY);
    let sql = world.sql();
    run(&sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, v) WITH SYSTEM VERSIONING RETAIN 1 HOUR");
    let first = run(&sql, "INSERT INTO t VALUES (1, 'a')");
    sql.execute_batch("CREATE TAG early").unwrap();
    run(&sql, "UPDATE t SET v = 'b'");
    world.clock.advance(2 * HOUR);
    run(&sql, "UPDATE t SET v = 'c'");
    world.db().checkpoint().unwrap();
    assert_eq!(cells(&sql, "SELECT v FROM t FOR SYSTEM_TIME AS OF TAG early").unwrap(), ["a"]);
    assert_eq!(past(&sql, "t", first.next()), Err(Code::AsOfExpired));
    let error = world.db().create_tag("late", Some(first.next())).unwrap_err();
    assert_eq!(error.code(), Code::AsOfExpired, "{error}");
}

#[test]
fn a_feed_leaves_out_what_keeps_no_versions() {
    let world = World::new(7 * DAY);
    let sql = world.sql();
    let begin = run(
        &sql,
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY) WITHOUT SYSTEM VERSIONING",
    );
    run(
        &sql,
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); UPDATE b SET id = 2; INSERT INTO a VALUES (2)",
    );
    let mut changes = world.db().changes(begin).unwrap();
    let mut tables = Vec::new();
    while let Some(change) = changes.try_next().unwrap() {
        let Event::Row(row) = change.event else { continue };
        tables.push(row.table.name.to_string());
    }
    assert_eq!(tables, ["a", "a"]);
    let error = world.db().feed().table("b").after(begin).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_is_no_length_of_time_is_refused_where_it_stands() {
    let world = World::new(DAY);
    let sql = world.sql();
    for (clause, place) in [
        ("WITH SYSTEM VERSIONING RETAIN 0 DAYS", "0 DAYS"),
        ("WITH SYSTEM VERSIONING RETAIN 5 MOONS", "5 MOONS"),
        ("WITH SYSTEM VERSIONING RETAIN 'long'", "'long'"),
        ("WITH SYSTEM VERSIONING, WITHOUT SYSTEM VERSIONING", "WITHOUT"),
        ("WITHOUT SYSTEM VERSIONING RETAIN 5 DAYS", "RETAIN"),
    ] {
        let text = format!("CREATE TABLE t (x) {clause}");
        let error = sql.execute(&text, ()).unwrap_err();
        assert_eq!(error.offset(), text.find(place), "{error} in {clause}");
    }
    for good in ["RETAIN 1 SECOND", "RETAIN '3 weeks'", "RETAIN FOREVER", ""] {
        run(&sql, &format!("CREATE TABLE t (x) WITH SYSTEM VERSIONING {good}; DROP TABLE t"));
    }
    assert!(sql.execute("CREATE TEMP TABLE t (x) WITHOUT SYSTEM VERSIONING", ()).is_err());
    let pins = cells(&sql, "SELECT kind, name FROM dosql_pins WHERE kind = 'table'").unwrap();
    assert!(pins.is_empty());
    run(&sql, "CREATE TABLE p (x UNIQUE) WITH SYSTEM VERSIONING RETAIN 5 MINUTES");
    let pins = cells(&sql, "SELECT kind, name FROM dosql_pins WHERE kind = 'table'").unwrap();
    assert_eq!(pins, ["table|p"]);
}

#[test]
fn a_branch_keeps_what_it_sees_of_a_table_that_keeps_nothing() {
    let mut world = World::new(7 * DAY);
    let sql = world.sql();
    let first = run(
        &sql,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v) WITHOUT SYSTEM VERSIONING; INSERT INTO t VALUES (1, 'a')",
    );
    run(&sql, "UPDATE t SET v = 'b'");
    let past = dosql::NewBranch { at: Some(first), ..dosql::NewBranch::default() };
    assert_eq!(world.db().create_branch("then", &past).unwrap_err().code(), Code::AsOfUnkept);
    world.db().create_branch("draft", &dosql::NewBranch::default()).unwrap();
    run(&sql, "UPDATE t SET v = 'c'");
    drop(sql);
    for _ in 0..3 {
        let draft = world.db().branch("draft").unwrap().connect().unwrap();
        assert_eq!(cells(&draft, "SELECT v FROM t").unwrap(), ["b"]);
        assert_eq!(cells(&world.sql(), "SELECT v FROM t").unwrap(), ["c"]);
        run(&world.sql(), "UPDATE t SET v = 'd'; UPDATE t SET v = 'c'");
        world.db().checkpoint().unwrap();
        drop(draft);
        world.reopen();
    }
}
