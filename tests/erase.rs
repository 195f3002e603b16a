//! ERASE FROM t WHERE ..: what matched now or ever is gone from everywhere. DELETE HISTORY FROM t: one table's history is.

mod common;

use std::fs;
use std::path::Path;

use common::cells;
use dosql::{Code, Connection, Database, ErrorKind, NewBranch, Options, Storage};

fn open(path: &Path) -> Database {
    let options = Options { page_size: 4096, ..Options::default() };
    Database::open(Storage::directory_with(path, &options).unwrap(), options).unwrap()
}

fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap();
}

/// The files that hold these bytes.
fn holding(path: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let count = bytes.windows(secret.len()).filter(|part| *part == secret.as_bytes()).count();
            if count > 0 {
                found.push(format!("{}: {count}", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    found
}

/// People, one of whom is to be forgotten, with a past in every place that there is.
fn people(db: &Database) -> Connection {
    let sql = db.connect().unwrap();
    run(
        &sql,
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, mail TEXT UNIQUE, note TEXT);
         CREATE INDEX by_name ON person (name);
         CREATE INDEX by_note ON person (note) WHERE length(note) < 100;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         INSERT INTO person SELECT i, 'name ' || i, 'mail' || i || '@example', 'note ' || i FROM n;
         INSERT INTO person VALUES (7777, 'ZORRO the first', 'ZORRO@mask.example', 'ZORRO short note')",
    );
    db.checkpoint().unwrap();
    run(
        &sql,
        "UPDATE person SET name = 'ZORRO the second', note = replace(hex(zeroblob(3000)), '00', 'ZORRO') WHERE id = 7777",
    );
    run(&sql, "DROP INDEX by_note; UPDATE person SET name = name || '!' WHERE id % 7 = 0");
    db.checkpoint().unwrap();
    run(&sql, "UPDATE person SET name = 'Diego', mail = 'diego@example', note = '' WHERE id = 7777");
    run(
        &sql,
        "INSERT INTO person VALUES (8888, 'kept', 'kept@example', ''), (9999, 'ZORRO too', 'too@example', '')",
    );
    run(&sql, "DELETE FROM person WHERE id = 9999");
    run(&sql, "CREATE TAG early");
    sql
}

#[test]
fn what_matched_now_or_ever_is_in_no_file_when_the_statement_returns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let db = open(&path);
    let sql = people(&db);
    assert!(!holding(&path, "ZORRO").is_empty());
    let before = cells(&sql, "SELECT count(*) FROM dosql_history('person')").unwrap();
    let erased = sql.execute("ERASE FROM person WHERE name LIKE ?1 || '%'", ["ZORRO"]).unwrap();
    assert_eq!(erased, 1, "one of the two is there now");
    assert_eq!(holding(&path, "ZORRO"), [""; 0]);
    assert_eq!(holding(&path, "diego@example"), [""; 0], "the row is gone with all that it ever was");
    assert!(!holding(&path, "kept@example").is_empty());
    let check = |sql: &Connection| {
        assert_eq!(cells(sql, "SELECT id FROM person WHERE id > 600").unwrap(), ["8888"]);
        let then = "SELECT id FROM person FOR SYSTEM_TIME AS OF TAG early WHERE id > 600";
        assert_eq!(cells(sql, then).unwrap(), ["8888"]);
        assert_eq!(
            cells(sql, "SELECT count(*) FROM dosql_kept('person') WHERE id IN (7777, 9999)").unwrap(),
            ["0"]
        );
        assert_eq!(cells(sql, "PRAGMA integrity_check").unwrap(), ["ok"]);
        assert_eq!(cells(sql, "SELECT count(*) FROM person").unwrap(), ["601"]);
    };
    assert_ne!(cells(&sql, "SELECT count(*) FROM dosql_history('person')").unwrap(), before);
    check(&sql);
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    drop(sql);
    drop(db);
    let db = open(&path);
    check(&db.connect().unwrap());
    assert!(db.verify().unwrap().is_sound());
    drop(db);
    assert_eq!(holding(&path, "ZORRO"), [""; 0]);
}

#[test]
fn rows_of_a_table_without_rowid_and_with_long_keys_are_erased_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let db = open(&path);
    let sql = db.connect().unwrap();
    run(&sql, "CREATE TABLE w (k TEXT, n INT, v, PRIMARY KEY (k, n)) WITHOUT ROWID; CREATE INDEX i ON w (v)");
    run(
        &sql,
        "INSERT INTO w VALUES ('a', 1, 'x'), (replace(hex(zeroblob(400)), '00', 'ZORRO'), 2, 'long'), ('ZORRO', 3, 'y')",
    );
    run(&sql, "UPDATE w SET v = v || '!'");
    db.checkpoint().unwrap();
    run(&sql, "DELETE FROM w WHERE n = 3; UPDATE w SET v = v || '?'");
    sql.execute("ERASE FROM w WHERE k LIKE '%ZORRO%'", ()).unwrap();
    assert_eq!(holding(&path, "ZORRO"), [""; 0]);
    assert_eq!(cells(&sql, "SELECT k, v FROM w").unwrap(), ["a|x!?"]);
    assert_eq!(cells(&sql, "SELECT v FROM dosql_kept('w') ORDER BY v").unwrap(), ["x", "x!", "x!?"]);
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn a_feed_that_was_not_told_must_begin_anew_and_one_that_was_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("db"));
    let sql = db.connect().unwrap();
    run(&sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (x)");
    let begin = db.last_commit();
    run(&sql, "INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO u VALUES (1)");
    sql.execute("ERASE FROM t WHERE id = 1", ()).unwrap();
    let after = db.last_commit();
    let told = |mut changes: dosql::feed::Changes| -> dosql::Result<usize> {
        let mut count = 0;
        while changes.try_next()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    assert_eq!(told(db.changes(begin).unwrap()).unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(told(db.feed().table("u").after(begin).unwrap()).unwrap(), 1);
    run(&sql, "INSERT INTO t VALUES (3, 'c')");
    assert_eq!(told(db.changes(after).unwrap()).unwrap(), 1);
}

#[test]
fn where_a_foreign_key_or_somebody_else_forbids_it_nothing_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder.path().join("db"));
    let sql = db.connect().unwrap();
    run(
        &sql,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p)",
    );
    run(&sql, "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1)");
    assert_eq!(sql.execute("ERASE FROM p WHERE id < 9", ()).unwrap_err().kind(), ErrorKind::Constraint);
    assert_eq!(cells(&sql, "SELECT count(*) FROM p").unwrap(), ["2"]);
    assert!(sql.execute("ERASE FROM p", ()).is_err());
    assert!(sql.execute("ERASE FROM q WHERE 1", ()).unwrap_err().message().contains("no such table"));
    assert!(sql.execute("ERASE FROM p WHERE nothing = 1", ()).unwrap_err().message().contains("nothing"));
    run(&sql, "BEGIN");
    assert!(sql.execute("ERASE FROM p WHERE id = 2", ()).is_err());
    run(&sql, "ROLLBACK");
    // What a branch refuses is done on none.
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap().connect().unwrap();
    run(&draft, "INSERT INTO c VALUES (2, 2)");
    assert_eq!(sql.execute("ERASE FROM p WHERE id = 2", ()).unwrap_err().kind(), ErrorKind::Constraint);
    assert_eq!(cells(&sql, "SELECT count(*) FROM p").unwrap(), ["2"]);
    run(&draft, "DELETE FROM c WHERE id = 2; BEGIN IMMEDIATE");
    sql.busy_timeout(std::time::Duration::ZERO);
    assert_eq!(sql.execute("ERASE FROM p WHERE id = 2", ()).unwrap_err().kind(), ErrorKind::Busy);
    run(&draft, "COMMIT");
    assert_eq!(sql.execute("ERASE FROM p WHERE id = 2", ()).unwrap(), 1);
    assert_eq!(cells(&draft, "SELECT id FROM p").unwrap(), ["1"]);
}

/// Branches of [`people`], two of them off the first, one of these dropped.
fn branches(db: &Database) -> dosql::Timestamp {
    let on = |name: &str, sql: &str| run(&db.branch(name).unwrap().connect().unwrap(), sql);
    on("main", "CREATE BRANCH one; CREATE BRANCH other");
    on(
        "one",
        "INSERT INTO person VALUES (5000, 'ZORRO native', 'native@example', 'ZORRO of one');
         UPDATE person SET name = 'ZORRO copy', note = 'ZORRO of one' WHERE id = 8888;
         UPDATE person SET name = 'plain', note = '' WHERE id = 8888; DELETE FROM person WHERE id = 100",
    );
    let plain = db.branch("one").unwrap().last_commit();
    db.checkpoint().unwrap();
    on(
        "one",
        "UPDATE person SET note = 'x' WHERE id = 8888; CREATE BRANCH two FROM one; CREATE BRANCH three FROM one",
    );
    on(
        "two",
        "CREATE INDEX two_by_note ON person (note); UPDATE person SET note = 'of two' WHERE id IN (7, 7777, 8888);
         INSERT INTO person VALUES (5001, 'of two', 'two@example', '')",
    );
    on("main", "ALTER BRANCH two SET (protected)");
    on(
        "three",
        "INSERT INTO person VALUES (5002, 'ZORRO of three', 'three@example', ''); UPDATE person SET name = 'ZORRO!' WHERE id = 3;
         CREATE BRANCH four FROM three",
    );
    on("four", "DELETE FROM person WHERE id = 5002; UPDATE person SET name = 'name 3' WHERE id = 3");
    on("main", "DROP BRANCH three; UPDATE person SET note = 'after' WHERE id = 8888");
    on("other", "DROP TABLE person");
    plain
}

#[test]
fn rows_are_erased_on_every_branch_that_has_them() {
    for (from, forwards) in [("main", true), ("two", false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut db = open(&path);
        drop(people(&db));
        let plain = branches(&db);
        if forwards {
            db.checkpoint().unwrap();
        }
        assert!(!holding(&path, "ZORRO").is_empty());
        let sql = db.branch(from).unwrap().connect().unwrap();
        sql.execute("ERASE FROM person WHERE name LIKE ?1 || '%'", ["ZORRO"]).unwrap();
        drop(sql);
        for round in 0..3 {
            assert_eq!(holding(&path, "ZORRO"), [""; 0], "from {from}, round {round}");
            assert!(!holding(&path, "kept@example").is_empty(), "main has never had it so");
            for (branch, ids, count) in [
                ("main", vec!["8888"], "601"),
                ("one", vec![], "599"),
                ("two", vec!["5001"], "600"),
                ("four", vec![], "598"),
            ] {
                let sql = db.branch(branch).unwrap().connect().unwrap();
                let place = format!("{branch}, from {from}, round {round}");
                let found = cells(&sql, "SELECT id FROM person WHERE id > 600").unwrap();
                assert_eq!(found, ids, "{place}");
                assert_eq!(cells(&sql, "SELECT count(*) FROM person").unwrap(), [count], "{place}");
                assert_eq!(cells(&sql, "PRAGMA integrity_check").unwrap(), ["ok"], "{place}");
                let named = "SELECT count(*) FROM person INDEXED BY by_name WHERE name > ''";
                assert_eq!(cells(&sql, named).unwrap(), [count], "{place}");
            }
            let one = db.branch("one").unwrap().connect().unwrap();
            let then = format!("SELECT count(*) FROM person FOR SYSTEM_TIME AS OF LSN {}", plain.as_micros());
            // What it said of the row it says no more, and what lies beneath does not show in its place.
            assert_eq!(cells(&one, &format!("{then} WHERE id = 8888")).unwrap(), ["0"], "round {round}");
            assert_eq!(
                cells(&one, &format!("{} WHERE id > 600 OR id = 100", then.replace("count(*)", "id")))
                    .unwrap(),
                [""; 0],
                "round {round}"
            );
            assert_eq!(cells(&one, &then).unwrap(), ["599"], "round {round}");
            drop(one);
            assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
            match round {
                0 => db.checkpoint().unwrap(),
                _ => {
                    drop(db);
                    db = open(&path);
                }
            }
        }
    }
}

#[test]
fn the_history_of_one_table_is_deleted_and_that_of_others_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut db = open(&path);
    let sql = db.connect().unwrap();
    run(
        &sql,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v UNIQUE); CREATE TABLE b (id INTEGER PRIMARY KEY, v)",
    );
    run(&sql, "INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1, 'x')");
    let first = db.last_commit();
    run(&sql, "UPDATE a SET v = 'y'; UPDATE b SET v = 'y'");
    let middle = db.last_commit();
    run(&sql, "UPDATE a SET v = 'z'; UPDATE b SET v = 'z'");
    sql.execute("DELETE HISTORY FROM a BEFORE LSN ?1", [middle]).unwrap();
    drop(sql);
    for _ in 0..2 {
        let sql = db.connect().unwrap();
        let then = |table: &str, at: dosql::Timestamp| {
            let at = at.as_micros();
            cells(&sql, &format!("SELECT v FROM {table} FOR SYSTEM_TIME AS OF LSN {at}"))
                .map_err(|it| it.code())
        };
        assert_eq!(then("a", first), Err(Code::AsOfExpired));
        assert_eq!(then("a", middle), Ok(vec!["y".to_owned()]));
        assert_eq!(then("b", first), Ok(vec!["x".to_owned()]));
        assert!(db.verify().unwrap().is_sound());
        drop(sql);
        drop(db);
        db = open(&path);
    }
    let sql = db.connect().unwrap();
    run(&sql, "DELETE HISTORY FROM a");
    assert_eq!(cells(&sql, "SELECT count(*) FROM dosql_kept('a')").unwrap(), ["1"]);
    assert_eq!(cells(&sql, "SELECT count(*) FROM dosql_kept('b')").unwrap(), ["3"]);
}
