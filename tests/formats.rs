//! A database that an earlier version of the format left behind still opens, whatever became of the code: its rows, its past, its log
//! that was not yet checkpointed. `tests/data/format-N.txt` holds its files, a run of bytes a line; they are never made anew, a
//! new format gets a file of its own beside them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::at;
use dosql::{Database, Env, ManualClock, Options, SeededEntropy, Storage};

const VERSION_1: &str = include_str!("data/format-1.txt");
const VERSION_2: &str = include_str!("data/format-2.txt");
const VERSION_3: &str = include_str!("data/format-3.txt");
const VERSION_4: &str = include_str!("data/format-4.txt");
/// The clock when they were made.
const START: u64 = 1_767_225_600_000_000;

fn options() -> Options {
    let env = Env::new(Arc::new(ManualClock::at(at(START))), Arc::new(SeededEntropy::new(1)));
    Options { env: Some(env), page_size: 4096, ..Options::default() }
}

fn open(path: &Path) -> Database {
    Database::open(Storage::directory_with(path, &options()).unwrap(), options()).unwrap()
}

/// What is in the database. Every Timestamp follows from the clock, which stands still.
fn fill(database: &Database) {
    let sql = database.connect().unwrap();
    sql.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, r REAL, b BLOB, n INT DEFAULT 7);
         CREATE INDEX i ON t (name, r DESC) WHERE n > 0;
         CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
         CREATE VIEW v AS SELECT name FROM t;
         PRAGMA user_version = 42;
         INSERT INTO t VALUES (1, 'Ada', 1.5, x'00FF', 1), (300, 'b', -0.25, NULL, 0), (-5, NULL, 1e300, x'', 70000);
         INSERT INTO w VALUES ('x', 1), ('y', 9223372036854775807);
         INSERT INTO t (id, b) VALUES (9, replace(hex(zeroblob(1500)), '00', 'long'));",
    )
    .unwrap();
    let space = database.keyspace("space").unwrap();
    database.write(|tx| tx.put(&space, "key", "first")).unwrap();
    database.checkpoint().unwrap();
    sql.execute_batch("UPDATE t SET name = 'Grace' WHERE id = 1; DELETE FROM w WHERE k = 'x'").unwrap();
    database.write(|tx| tx.put(&space, "key", "second")).unwrap();
    database.checkpoint().unwrap();
}

/// Two commits that no checkpoint has seen.
fn fill_log(database: &Database) {
    let sql = database.connect().unwrap();
    sql.execute_batch("INSERT INTO w VALUES ('z', 'only in the log'); UPDATE t SET n = 8 WHERE id = 9")
        .unwrap();
}

/// What came with version 3: a tag in the pages and one in the log alone.
fn fill_3(database: &Database) {
    database.create_tag("Made", Some(at(START + 8))).unwrap();
    database.checkpoint().unwrap();
    fill_log(database);
    database.create_tag("late", None).unwrap();
}

/// What came with version 4: rows in the segment store, some of them changed or deleted since.
fn fill_4(database: Database, path: &Path) -> Database {
    drop(database);
    let options = Options { hot_budget: 4096, ..options() };
    let database = Database::open(Storage::directory_with(path, &options).unwrap(), options).unwrap();
    let sql = database.connect().unwrap();
    let rows = "CREATE TABLE big (id INTEGER PRIMARY KEY, x TEXT);
                WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 100)
                INSERT INTO big SELECT i, printf('%.100c', 'x') FROM k;";
    sql.execute_batch(rows).unwrap();
    while !database.maintain(1usize << 20).unwrap().done {}
    sql.execute_batch(
        "DELETE FROM big WHERE id IN (1, 50); UPDATE big SET x = x || '0123456789' WHERE id = 7",
    )
    .unwrap();
    database.checkpoint().unwrap();
    assert!(!database.segments().is_empty());
    drop(sql);
    drop(database);
    open(path)
}

/// One statement's rows, as literals of SQL.
fn rows(database: &Database, sql: &str) -> Vec<String> {
    let connection = database.connect().unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let mut rows = statement.query(()).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cells: Vec<String> =
            (0..width).map(|i| row.get::<dosql::Value>(i).unwrap().to_string()).collect();
        lines.push(cells.join("|"));
    }
    lines
}

fn check(database: &Database) {
    assert!(database.verify().unwrap().is_sound());
    let t = "SELECT id, name, r, length(b), hex(substr(b, 1, 2)), n FROM t";
    let expected = [
        "-5|NULL|1.0e+300|0|''|70000",
        "1|'Grace'|1.5|2|'00FF'|1",
        "9|NULL|NULL|6000|'6C6F'|8",
        "300|'b'|-0.25|NULL|''|0",
    ];
    assert_eq!(rows(database, &format!("{t} ORDER BY id")), expected);
    assert_eq!(rows(database, "SELECT id FROM t INDEXED BY i WHERE name = 'GRACE' AND n > 0"), ["1"]);
    assert_eq!(rows(database, "SELECT k, v FROM w"), ["'y'|9223372036854775807", "'z'|'only in the log'"]);
    assert_eq!(rows(database, "PRAGMA user_version"), ["42"]);
    assert_eq!(rows(database, "PRAGMA integrity_check"), ["'ok'"]);
    assert_eq!(rows(database, "SELECT name FROM sqlite_schema WHERE type = 'view'"), ["'v'"]);
    // The clock stood still, so commits count on from its moment: the creation, then one each.
    let past = START + 8;
    let then = format!("FOR SYSTEM_TIME AS OF LSN {past}");
    assert_eq!(rows(database, &format!("SELECT name FROM t {then} WHERE id = 1")), ["'Ada'"]);
    assert_eq!(rows(database, &format!("SELECT k FROM w {then}")), ["'x'", "'y'"]);
    let space = database.keyspace("space").unwrap();
    let value = |read: dosql::ReadTransaction| read.get(&space, "key").unwrap().map(|value| value.to_vec());
    assert_eq!(value(database.read().unwrap()), Some(b"second".to_vec()));
    let first = database.last_commit();
    assert!(first > at(past));
}

/// Writes the files: a line is a file's name and length, an offset, and the bytes there; all others are zeros.
fn restore(directory: &Path, files_of: &str) {
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for line in files_of.lines().filter(|line| !line.is_empty()) {
        let [name, length, offset, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bytes = files.entry(name).or_insert_with(|| vec![0; length.parse().unwrap()]);
        let offset: usize = offset.parse().unwrap();
        for (i, pair) in hex.as_bytes().chunks(2).enumerate() {
            bytes[offset + i] = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
    }
    for (name, bytes) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_database_of_version_1_opens_with_its_rows_its_past_and_its_log() {
    opens(VERSION_1);
}

#[test]
fn a_database_of_version_2_opens_with_its_rows_its_past_and_its_log() {
    opens(VERSION_2);
}

#[test]
fn a_database_of_version_3_opens_with_its_tags_too() {
    opens(VERSION_3);
    let directory = tempfile::tempdir().unwrap();
    restore(directory.path(), VERSION_3);
    check_3(&open(directory.path()));
}

fn check_3(database: &Database) {
    let names: Vec<String> = database.tags().into_iter().map(|tag| tag.name).collect();
    assert_eq!(names, ["late", "Made"]);
    assert_eq!(rows(database, "SELECT name FROM t FOR SYSTEM_TIME AS OF TAG made WHERE id = 1"), ["'Ada'"]);
    assert_eq!(rows(database, "SELECT n FROM t FOR SYSTEM_TIME AS OF TAG late WHERE id = 9"), ["8"]);
}

#[test]
fn a_database_of_version_4_opens_with_its_rows_in_segments() {
    opens(VERSION_4);
    let directory = tempfile::tempdir().unwrap();
    restore(directory.path(), VERSION_4);
    let database = open(directory.path());
    check_3(&database);
    check_4(&database);
}

fn check_4(database: &Database) {
    assert!(!database.segments().is_empty());
    let sum = "SELECT count(*), sum(length(x)), min(id), max(id) FROM big";
    assert_eq!(rows(database, sum), ["98|9810|2|100"]);
    assert_eq!(rows(database, "SELECT length(x) FROM big WHERE id = 7"), ["110"]);
}

/// The format in the newer slot's meta.
fn format_of(directory: &Path) -> u16 {
    let pages = fs::read(directory.join("pages")).unwrap();
    let sequence = |slot: &[u8]| u64::from_le_bytes(slot[24..32].try_into().unwrap());
    let newer = pages.chunks(4096).take(2).max_by_key(|slot| sequence(slot)).unwrap();
    let meta = newer.windows(4).position(|bytes| bytes == b"DSQL").unwrap();
    u16::from_le_bytes(newer[meta + 4..meta + 6].try_into().unwrap())
}

#[test]
fn an_older_version_is_raised_by_a_checkpoint_and_before_anything_that_it_does_not_know() {
    for (version, files) in [(1, VERSION_1), (2, VERSION_2), (3, VERSION_3)] {
        let directory = tempfile::tempdir().unwrap();
        restore(directory.path(), files);
        let database = open(directory.path());
        database.connect().unwrap().execute("INSERT INTO w VALUES ('more', 1)", ()).unwrap();
        assert_eq!(format_of(directory.path()), version, "a commit alone raises nothing");
        database.create_tag("t", None).unwrap();
        assert_eq!(format_of(directory.path()), 4, "an older program would pass over the tag in the log");
        drop(database);
        let database = open(directory.path());
        assert!(database.tags().iter().any(|tag| tag.name == "t"));
        assert_eq!(database.stats().replayed, 1);
    }
}

fn opens(files: &str) {
    let directory = tempfile::tempdir().unwrap();
    restore(directory.path(), files);
    let database = open(directory.path());
    assert!(database.stats().replayed >= 2, "two commits or more are in the log alone");
    check(&database);
    // It can be written on, closed and opened again.
    let connection = database.connect().unwrap();
    connection.execute_batch("INSERT INTO w VALUES ('after', 1); DELETE FROM w WHERE k = 'after'").unwrap();
    drop(connection);
    database.close().unwrap();
    check(&open(directory.path()));
}

#[test]
fn what_is_written_today_reads_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.dosql");
    let database = open(&path);
    fill(&database);
    let database = fill_4(database, &path);
    fill_3(&database);
    check(&database);
    check_3(&database);
    check_4(&database);
}

#[test]
#[ignore = "writes the files of a new version of the format, to be put beside the old ones"]
fn write_the_files_of_this_version() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.dosql");
    let database = open(&path);
    fill(&database);
    let database = fill_4(database, &path);
    fill_3(&database);
    let list =
        |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut names = list(&path);
    names.extend(list(&path.join("segments")));
    names.sort();
    let mut text = String::new();
    for file in names.iter().filter(|path| path.is_file()) {
        let bytes = fs::read(file).unwrap();
        let name = file.strip_prefix(&path).unwrap().to_string_lossy();
        for (number, piece) in
            bytes.chunks(64).enumerate().filter(|(_, piece)| piece.iter().any(|&byte| byte != 0))
        {
            let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("{name} {} {} {hex}\n", bytes.len(), number * 64);
        }
    }
    fs::write(std::env::temp_dir().join("dosql-format.txt"), text).unwrap();
}
