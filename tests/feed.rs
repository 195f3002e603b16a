//! The change feed: complete, in order, and the same wherever it is read from.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{db, db_with, db_with_clock};
use dosql::feed::{Change, Changes, Event, Object, Op, Position, RowChange};
use dosql::{Code, Connection, DAY, Database, ErrorKind, Maintenance, Options, Storage, Timestamp, Value};
use futures_core::Stream;

fn execute(connection: &Connection, sql: &str) {
    connection.execute(sql, ()).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// What there is now.
fn all(changes: &mut Changes) -> Vec<Change> {
    std::iter::from_fn(|| changes.try_next().unwrap()).collect()
}

fn row(change: &Change) -> &RowChange {
    match &change.event {
        Event::Row(row) => row,
        other => panic!("{other:?} is no row"),
    }
}

/// A row's change as text: what tests compare.
fn shown(change: &Change) -> String {
    let values = |values: &Option<Vec<Value>>| match values {
        Some(values) => values.iter().map(|v| dosql::types::quote(v.as_ref())).collect::<Vec<_>>().join(","),
        None => "-".into(),
    };
    match &change.event {
        Event::Row(row) => {
            format!("{} {} {} -> {}", row.op.name(), row.table.name, values(&row.before), values(&row.after))
        }
        Event::Entry(entry) => format!("{} {} {:?}", entry.op.name(), entry.keyspace, entry.key),
        Event::Schema(schema) => format!("{} {} {}", schema.op.name(), schema.object.name(), schema.name),
        other => format!("{other:?}"),
    }
}

fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(shown).collect()
}

#[test]
fn every_change_comes_once_in_order_with_what_was_before_and_after() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
    let begin = db.last_commit();
    execute(&connection, "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)");
    let inserted = db.last_commit();
    execute(&connection, "UPDATE t SET b = 20 WHERE id = 2");
    execute(&connection, "UPDATE t SET b = 20 WHERE id = 2");
    execute(&connection, "DELETE FROM t WHERE id = 1");
    let changes = all(&mut db.changes(begin).unwrap());
    assert_eq!(
        texts(&changes),
        [
            "insert t - -> 1,'x',1",
            "insert t - -> 2,'y',2",
            "update t 2,'y',2 -> 2,'y',20",
            "delete t 1,'x',1 -> -",
        ]
    );
    let places: Vec<_> = changes.iter().map(|change| (change.position, change.last)).collect();
    assert_eq!(places, [(0, false), (1, true), (0, true), (0, true)]);
    assert_eq!((changes[0].timestamp, changes[3].timestamp), (inserted, db.last_commit()));
    assert_eq!(row(&changes[2]).key, [Value::Integer(2)]);
    assert_eq!(row(&changes[2]).changed, [2]);
    assert_eq!(&*changes[0].branch, "main");
}

#[test]
fn who_comes_back_gets_what_is_after_its_position_and_a_commit_cut_short_again() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let begin = db.last_commit();
    execute(&connection, "INSERT INTO t VALUES (1), (2)");
    execute(&connection, "INSERT INTO t VALUES (3)");
    let mut changes = db.changes(begin).unwrap();
    changes.try_next().unwrap().unwrap();
    assert_eq!(changes.reached(), &Position::from(begin));
    let again = all(&mut db.changes(changes.reached().clone()).unwrap());
    assert_eq!(again.len(), 3);
    changes.try_next().unwrap().unwrap();
    let again = all(&mut db.changes(changes.reached().clone()).unwrap());
    assert_eq!(texts(&again), ["insert t - -> 3"]);
    all(&mut changes);
    assert!(all(&mut db.changes(changes.reached().clone()).unwrap()).is_empty());
    assert_eq!(changes.reached().timestamp, db.last_commit());
}

#[test]
fn a_subscriber_is_woken_by_a_commit_and_by_the_end() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let mut changes = db.changes(db.last_commit()).unwrap();
    assert_eq!(changes.next_within(Duration::from_millis(1)).unwrap(), None);
    let reader = std::thread::spawn(move || {
        let found: Vec<_> =
            changes.by_ref().take_while(Result::is_ok).map(|change| shown(&change.unwrap())).collect();
        (found, changes.next())
    });
    for id in 0..50 {
        execute(&connection, &format!("INSERT INTO t VALUES ({id})"));
    }
    db.maintain(usize::MAX).unwrap();
    while db.changes(Timestamp::ZERO).unwrap().count_now() < 51 {}
    std::thread::sleep(Duration::from_millis(20));
    db.close().unwrap();
    let (found, after) = reader.join().unwrap();
    assert_eq!(found.len(), 50);
    assert!(after.is_none());
}

/// Other work may keep a thread from running, so not each has to be in time; but if half are late it is not the machine.
#[test]
fn who_waits_is_told_within_a_millisecond() {
    const COMMITS: usize = 60;
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    // One commit after long silence, when the reader waits to be woken, and commits that follow each other, when it looks for itself.
    for pause in [Duration::from_millis(5), Duration::from_micros(300)] {
        let mut changes = db.changes(db.last_commit()).unwrap();
        let reader = std::thread::spawn(move || {
            changes.by_ref().take(COMMITS).map(|_| std::time::Instant::now()).collect::<Vec<_>>()
        });
        let mut committed = Vec::new();
        for _ in 0..COMMITS {
            std::thread::sleep(pause);
            execute(&connection, "INSERT INTO t DEFAULT VALUES");
            committed.push(std::time::Instant::now());
        }
        let told = reader.join().unwrap();
        let mut late: Vec<Duration> = told
            .iter()
            .zip(&committed)
            .map(|(told, committed)| told.saturating_duration_since(*committed))
            .collect();
        late.sort();
        assert!(late[COMMITS / 2] <= Duration::from_millis(1), "{pause:?} apart: {late:?}");
    }
}

trait CountNow {
    fn count_now(self) -> usize;
}

impl CountNow for Changes {
    fn count_now(mut self) -> usize {
        all(&mut self).len()
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn as_a_stream_it_wakes_whoever_polls_it() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let mut changes = db.changes(db.last_commit()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut poll = || Pin::new(&mut changes).poll_next(&mut context).map(|change| change.map(Result::unwrap));
    assert_eq!(poll(), Poll::Pending);
    assert_eq!(poll(), Poll::Pending);
    execute(&connection, "INSERT INTO t VALUES (1)");
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(), Poll::Ready(Some(_))));
    assert_eq!(poll(), Poll::Pending);
    execute(&connection, "INSERT INTO t VALUES (2)");
    assert_eq!(woken.0.load(Ordering::SeqCst), 2);
}

#[test]
fn an_idle_feed_says_up_to_where_it_looked() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    execute(&connection, "CREATE TABLE u (id INTEGER PRIMARY KEY)");
    let mut changes =
        db.feed().table("t").watermarks(Duration::from_millis(5)).after(db.last_commit()).unwrap();
    execute(&connection, "INSERT INTO u VALUES (1)");
    let change = changes.next().unwrap().unwrap();
    assert_eq!((&change.event, change.timestamp), (&Event::Watermark, db.last_commit()));
    assert_eq!(changes.reached().timestamp, db.last_commit());
}

#[test]
fn everything_begins_with_a_snapshot_that_can_be_taken_up_anywhere() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    execute(&connection, "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID");
    execute(&connection, "CREATE INDEX ta ON t (a)");
    execute(&connection, "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')");
    execute(&connection, "INSERT INTO w VALUES ('k', 7)");
    let moment = db.last_commit();
    let mut changes = db.changes(Timestamp::ZERO).unwrap();
    execute(&connection, "UPDATE t SET a = 'new' WHERE id = 1");
    let expected = [
        "read table t",
        "read table w",
        "read index ta",
        "read t - -> 1,'x'",
        "read t - -> 2,'y'",
        "read t - -> 3,'z'",
        "read w - -> 'k',7",
        "update t 1,'x' -> 1,'new'",
    ];
    let mut positions = vec![Position::default()];
    let mut found = Vec::new();
    while let Some(change) = changes.try_next().unwrap() {
        assert_eq!(change.timestamp == moment, found.len() < expected.len() - 1);
        assert_eq!(change.last, found.len() + 2 >= expected.len(), "{change:?}");
        found.push(shown(&change));
        positions.push(changes.reached().to_string().parse().unwrap());
    }
    assert_eq!(found, expected);
    let rows = found.iter().position(|line| line.starts_with("read t ")).unwrap();
    for (done, position) in positions.into_iter().enumerate() {
        let rest = texts(&all(&mut db.changes(position).unwrap()));
        if done > rows {
            assert_eq!(rest, found[done..], "after {done}");
        }
    }
}

#[test]
fn changes_of_the_schema_are_events_and_rows_have_the_schema_of_their_time() {
    let db = db();
    let connection = db.connect().unwrap();
    let begin = db.last_commit();
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL)",
        "INSERT INTO t VALUES (1, 'x')",
        "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 5",
        "UPDATE t SET a = 'y'",
        "ALTER TABLE t RENAME TO u",
        "CREATE VIEW v AS SELECT 1",
        "DELETE FROM u",
        "DROP TABLE u",
    ] {
        execute(&connection, sql);
    }
    let mut live = db.changes(begin).unwrap();
    let changes = all(&mut live);
    assert_eq!(
        texts(&changes),
        [
            "insert table t",
            "insert t - -> 1,'x'",
            "update table t",
            "update t 1,'x',5 -> 1,'y',5",
            "update table u",
            "insert view v",
            "delete u 1,'y',5 -> -",
            "delete table u",
        ]
    );
    let Event::Schema(renamed) = &changes[4].event else { panic!() };
    assert_eq!((renamed.object, renamed.old_name.as_deref()), (Object::Table, Some("t")));
    assert!(renamed.sql.contains("u"));
    let names: Vec<_> = renamed.columns.iter().map(|c| (c.name.as_str(), c.nullable)).collect();
    assert_eq!(names, [("id", false), ("a", false), ("n", true)]);
    let (Event::Schema(first), Event::Schema(second)) = (&changes[0].event, &changes[2].event) else {
        panic!()
    };
    assert_eq!(first.versions.1, second.versions.0);
    assert_eq!(row(&changes[1]).table.schema_version, first.versions.1);
    db.checkpoint().unwrap();
    assert_eq!(all(&mut db.changes(begin).unwrap()), changes, "the same from history");
}

#[test]
fn a_dropped_table_takes_its_rows_along_in_one_event() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)");
    execute(&connection, "INSERT INTO t VALUES (1, 2), (3, 4)");
    let begin = db.last_commit();
    execute(&connection, "DROP TABLE t");
    let found = texts(&all(&mut db.changes(begin).unwrap()));
    assert!(found.contains(&"delete table t".to_owned()), "{found:?}");
    assert!(found.iter().all(|line| line.starts_with("delete table") || line.starts_with("delete index")));
}

#[test]
fn only_what_was_asked_for_is_shown() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE o (id INTEGER PRIMARY KEY, total, note)");
    execute(&connection, "CREATE TABLE u (id INTEGER PRIMARY KEY)");
    let begin = db.last_commit();
    for sql in [
        "INSERT INTO o VALUES (1, 50, 'a'), (2, 150, 'b')",
        "INSERT INTO u VALUES (1)",
        "UPDATE o SET note = 'c'",
        "UPDATE o SET total = 120 WHERE id = 1",
        "UPDATE o SET total = 130 WHERE id = 1",
        "UPDATE o SET total = 10 WHERE id = 2",
        "DELETE FROM o",
    ] {
        execute(&connection, sql);
    }
    let feed = db.feed().columns("O", ["Total"]).rows("o", "total > 100");
    let found = all(&mut feed.after(begin).unwrap());
    assert_eq!(
        texts(&found),
        [
            "insert o - -> 150",
            "insert o - -> 120",
            "update o 120 -> 130",
            "delete o 150 -> -",
            "delete o 130 -> -"
        ]
    );
    assert_eq!(row(&found[0]).key, [Value::Integer(2)]);
    let only_u = texts(&all(&mut db.feed().table("u").after(begin).unwrap()));
    assert_eq!(only_u, ["insert u - -> 1"]);
    for (feed, said) in [
        (db.feed().table("nope"), "no such table: nope"),
        (db.feed().columns("o", ["nope"]), "no such stored column: o.nope"),
        (db.feed().rows("o", "nope > 1"), "no such column: nope"),
        (db.feed().rows("o", "total >"), "incomplete input"),
        (db.feed().rows("o", "id IN (SELECT id FROM u)"), "subqueries prohibited"),
        (db.feed().rows("o", "total > ?"), "parameters prohibited"),
    ] {
        let error = feed.after(begin).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn columns_marked_pii_are_left_out_unless_they_are_named() {
    let db = db();
    let connection = db.connect().unwrap();
    execute(
        &connection,
        "CREATE TABLE p (mail TEXT PII PRIMARY KEY, name pii VARCHAR(9), age INTEGER) WITHOUT ROWID",
    );
    let begin = db.last_commit();
    execute(&connection, "INSERT INTO p VALUES ('a@b', 'ann', 7)");
    execute(&connection, "UPDATE p SET name = 'bob'");
    let found = all(&mut db.changes(begin).unwrap());
    assert_eq!(texts(&found), ["insert p - -> 7"]);
    assert_eq!(row(&found[0]).key, [Value::Null]);
    let named = all(&mut db.feed().columns("p", ["mail", "name"]).after(begin).unwrap());
    assert_eq!(texts(&named), ["insert p - -> 'a@b','ann'", "update p 'a@b','ann' -> 'a@b','bob'"]);
    assert_eq!(row(&named[0]).key, [Value::Text("a@b".into())]);
}

#[test]
fn keyspaces_are_shown_with_long_keys_as_they_are() {
    let db = db();
    let space = db.keyspace("docs").unwrap();
    let begin = db.last_commit();
    let long = |last: u8| [vec![b'k'; 20_000], vec![last]].concat();
    db.write(|tx| {
        tx.put(&space, long(1), "one")?;
        tx.put(&space, long(2), "two")
    })
    .unwrap();
    db.write(|tx| tx.put(&space, long(2), "TWO")).unwrap();
    db.write(|tx| tx.delete(&space, long(1))).unwrap();
    let found = all(&mut db.changes(begin).unwrap());
    let entries: Vec<_> = found
        .iter()
        .map(|change| {
            let Event::Entry(entry) = &change.event else { panic!("{change:?}") };
            let value = |bytes: &Option<dosql::Bytes>| bytes.as_deref().map(<[u8]>::to_vec);
            (entry.op, entry.key.clone(), value(&entry.before), value(&entry.after))
        })
        .collect();
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(
        entries,
        [
            (Op::Insert, long(1), None, some("one")),
            (Op::Insert, long(2), None, some("two")),
            (Op::Update, long(2), some("two"), some("TWO")),
            (Op::Delete, long(1), some("one"), None),
        ]
    );
    db.checkpoint().unwrap();
    assert!(all(&mut db.changes(begin).unwrap()) == found, "the same from history");
}

#[test]
fn a_moment_that_history_does_not_reach_or_that_is_to_come_is_refused() {
    let (db, clock) = db_with_clock(1_000_000);
    let connection = db.connect().unwrap();
    execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let begin = db.last_commit();
    let mut slow = db.changes(begin).unwrap();
    execute(&connection, "INSERT INTO t VALUES (1)");
    clock.advance(8 * DAY);
    execute(&connection, "UPDATE t SET id = 2");
    db.checkpoint().unwrap();
    assert_eq!(slow.try_next().unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(slow.try_next().unwrap(), None);
    assert_eq!(db.changes(begin).unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(db.changes(clock.now().next()).unwrap_err().code(), Code::AsOfFuture);
    assert!(db.changes(db.earliest()).is_ok());
    let none = db_with(Options { retention: 0, ..Options::default() });
    assert_eq!(none.changes(none.last_commit()).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// The same stores, to open once more.
fn same(stores: &Storage) -> Storage {
    let (pages, log, segments) = (stores.pages.clone(), stores.log.clone(), stores.segments.clone());
    Storage::new(pages, log, segments)
}

/// What a subscriber knows of the tables: name and key to row.
type Known = BTreeMap<(String, String), Vec<Value>>;

fn apply(known: &mut Known, change: &Change) {
    match &change.event {
        Event::Row(row) => {
            let name = (row.table.name.to_string(), format!("{:?}", row.key));
            let before = match &row.after {
                Some(after) => known.insert(name, after.clone()),
                None => known.remove(&name),
            };
            assert_eq!(before, row.before, "{change:?}");
        }
        Event::Schema(schema) if schema.object == Object::Table && schema.op == Op::Delete => {
            known.retain(|(table, _), _| *table != schema.name.as_str());
        }
        _ => {}
    }
}

/// The tables as they were at a moment.
fn as_of(db: &Database, at: Timestamp) -> Known {
    let connection = db.connect().unwrap();
    let mut known = Known::new();
    let transaction = db.read_at(at).unwrap();
    drop(transaction);
    for table in ["t", "u"] {
        let sql = format!("SELECT * FROM {table} FOR SYSTEM_TIME AS OF LSN {}", at.as_micros());
        let Ok(mut statement) = connection.prepare(&sql) else { continue };
        let Ok(mut rows) = statement.query(()) else { continue };
        while let Some(row) = rows.next().unwrap() {
            let values = row.values();
            known.insert((table.to_owned(), format!("{:?}", [&values[0]])), values);
        }
    }
    known
}

#[test]
fn a_snapshot_and_the_feed_up_to_a_moment_are_the_database_as_of_it() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let options = Options {
            maintenance: Maintenance::Caller,
            log_limit: if seed % 2 == 0 { 2_000 } else { 1 << 20 },
            page_size: 4096,
            // Of some lives all that can lie in segments does.
            hot_budget: u64::from(seed.is_multiple_of(3)),
            segment_bytes: 4 << 10,
            ..Options::default()
        };
        let storage = Storage::memory_with(&options);
        let mut db = Database::open(same(&storage), options.clone()).unwrap();
        let connection = db.connect().unwrap();
        execute(&connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
        execute(&connection, "CREATE TABLE u (id INTEGER PRIMARY KEY, a, b)");
        execute(&connection, "CREATE INDEX ub ON u (b)");
        drop(connection);
        let mut live = db.changes(Timestamp::ZERO).unwrap();
        let (mut known, mut seen, mut states) = (Known::new(), Vec::new(), Vec::new());
        for round in 0..120 {
            let connection = db.connect().unwrap();
            let table = if random.bool() { "t" } else { "u" };
            let id = random.u32(0..30);
            match random.u32(0..12) {
                0..4 => execute(
                    &connection,
                    &format!("INSERT OR REPLACE INTO {table} VALUES ({id}, {round}, '{round:0>50}')"),
                ),
                4..6 => execute(&connection, &format!("UPDATE {table} SET a = {round} WHERE id < {id}")),
                6 => execute(&connection, &format!("DELETE FROM {table} WHERE id > {id}")),
                7 => execute(&connection, &format!("UPDATE {table} SET id = id + 1000 WHERE id = {id}")),
                8 => execute(&connection, "DROP TABLE u"),
                9 => db.checkpoint().unwrap(),
                10 => {
                    execute(&connection, "BEGIN");
                    execute(&connection, &format!("DELETE FROM {table} WHERE id = {id}"));
                    execute(&connection, &format!("INSERT INTO {table} VALUES ({id}, 0, 0)"));
                    execute(&connection, "COMMIT");
                }
                _ => {
                    let position = live.reached().clone();
                    drop((live, connection));
                    db.close().unwrap();
                    db = Database::open(same(&storage), options.clone()).unwrap();
                    live = db.changes(position).unwrap();
                }
            }
            let connection = db.connect().unwrap();
            execute(&connection, "CREATE TABLE IF NOT EXISTS u (id INTEGER PRIMARY KEY, a, b)");
            if random.u32(0..3) == 0 {
                for change in all(&mut live) {
                    apply(&mut known, &change);
                    seen.push(change);
                }
                assert_eq!(known, as_of(&db, db.last_commit()), "seed {seed}, round {round}");
                states.push((db.last_commit(), known.clone()));
            }
        }
        let changes: Vec<Change> = seen
            .into_iter()
            .filter(|change| !matches!(&change.event, Event::Row(row) if row.op == Op::Read))
            .collect();
        for (at, state) in &states {
            assert_eq!(&as_of(&db, *at), state, "seed {seed}");
            // Whoever begins there sees the same as who was there all the time.
            let later: Vec<_> = changes.iter().filter(|change| change.timestamp > *at).cloned().collect();
            let mut again = all(&mut db.changes(*at).unwrap());
            again.retain(|change| change.timestamp <= states.last().unwrap().0);
            assert_eq!(again, later, "seed {seed} from {at}");
        }
    }
}

#[test]
fn many_writers_and_a_slow_reader_agree() {
    let options = Options { log_limit: 64 << 10, ..Options::default() };
    let db = db_with(options);
    let space = db.keyspace("k").unwrap();
    let begin = db.last_commit();
    let writers: Vec<_> = (0..4u8)
        .map(|writer| {
            let (db, space) = (db.clone(), space.clone());
            std::thread::spawn(move || {
                for n in 0..300u32 {
                    db.write(|tx| tx.put(&space, [writer], [&n.to_be_bytes()[..], &[7; 200]].concat()))
                        .unwrap();
                }
            })
        })
        .collect();
    let mut changes = db.changes(begin).unwrap();
    let (mut next, mut last) = ([0u32; 4], begin);
    while next.iter().any(|&n| n < 300) {
        let change = changes.next().unwrap().unwrap();
        let Event::Entry(entry) = &change.event else { panic!() };
        assert!(change.timestamp > last);
        last = change.timestamp;
        let writer = usize::from(entry.key[0]);
        let number = u32::from_be_bytes(entry.after.as_ref().unwrap()[..4].try_into().unwrap());
        assert_eq!(number, next[writer], "no gap, no repetition");
        next[writer] += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(changes.try_next().unwrap(), None);
}
