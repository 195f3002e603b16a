//! A copy of one moment, made while commits go on: it is that moment, with its past, or it does not open.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{crash, faults};
use dosql::{Code, Database, ErrorKind, Maintenance, Options, Result, Storage, Timestamp, params};
use dosql_wal::{CrashDirectory, Surviving};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    // No thread of the database calls its stores beside the one that is watched.
    let maintenance = Maintenance::Caller;
    Options { page_size: 4096, cache_bytes: 64 << 10, maintenance, ..Options::default() }
}

fn stores() -> Storage {
    Storage::memory_with(&options())
}

fn state_at(db: &Database, at: Timestamp) -> Result<State> {
    db.read_at(at)?.iter(&db.keyspace("space")?)?.collect()
}

/// A database with rows in leaves and overflow pages, history in runs and in memory; the state after each commit.
fn lived(stores: Storage) -> (Database, Vec<(Timestamp, State)>) {
    let db = Database::open(stores, options()).unwrap();
    let space = db.keyspace("space").unwrap();
    let (mut state, mut states) = (State::new(), Vec::new());
    for n in 0..12u32 {
        db.write(|tx| {
            for key in 0..20u32 {
                let (key, value) = ((key * 37 % 101 + n).to_be_bytes(), vec![n as u8; 60]);
                tx.put(&space, key, &value)?;
                state.insert(key.to_vec(), value);
            }
            tx.put(&space, "large", vec![n as u8; 9_000])?;
            state.insert(b"large".to_vec(), vec![n as u8; 9_000]);
            tx.delete(&space, n.to_be_bytes())?;
            state.remove(n.to_be_bytes().as_slice());
            Ok(())
        })
        .unwrap();
        states.push((db.last_commit(), state.clone()));
        if n % 5 == 3 {
            db.checkpoint().unwrap();
        }
    }
    (db, states)
}

/// A copy that opens is all of it, and life goes on in it.
fn check(copy: &Database, states: &[(Timestamp, State)], place: &str) {
    for (at, state) in states {
        assert!(state_at(copy, *at).unwrap() == *state, "{place}: as of {at}");
    }
    let report = copy.verify().unwrap();
    assert!(report.is_sound(), "{place}: {:?}", report.problems);
    assert_eq!(copy.last_commit(), states.last().unwrap().0, "{place}");
    let space = copy.keyspace("space").unwrap();
    copy.write(|tx| tx.put(&space, "after", "1")).unwrap();
    copy.checkpoint().unwrap();
    assert!(copy.last_commit() > states.last().unwrap().0);
    assert!(copy.verify().unwrap().is_sound(), "{place}");
    assert!(state_at(copy, states.last().unwrap().0).unwrap() == states.last().unwrap().1, "{place}");
}

#[test]
fn a_copy_is_the_database_with_its_past_and_goes_on_by_itself() {
    let (db, states) = lived(stores());
    let copied = stores();
    let at = db.backup_to(&copied).unwrap();
    assert_eq!(at, states.last().unwrap().0);
    db.write(|tx| tx.put(&db.keyspace("space")?, "later", "1")).unwrap();
    let copy = Database::open(copied, options()).unwrap();
    assert_ne!(copy.id(), db.id());
    check(&copy, &states, "copy");
    assert!(!copy.read().unwrap().contains(&copy.keyspace("space").unwrap(), "later").unwrap());
}

#[test]
fn a_copy_made_beside_writers_is_one_moment_of_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open_directory(folder.path().join("a.dosql")).unwrap();
    let connection = db.connect().unwrap();
    connection
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, pad TEXT); CREATE INDEX i ON t(n)")
        .unwrap();
    for id in 0..400 {
        connection.execute("INSERT INTO t VALUES (?1, 0, ?2)", params![id, "x".repeat(100)]).unwrap();
    }
    let stop = AtomicBool::new(false);
    let mut copies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let connection = db.connect().unwrap();
            for round in 1i64.. {
                // All rows are of one round at any moment.
                connection.execute("UPDATE t SET n = ?1", [round]).unwrap();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for n in 0..3 {
            let path = folder.path().join(format!("copy-{n}.dosql"));
            copies.push((db.backup(&path).unwrap(), path));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for (at, path) in copies {
        let copy = Database::open_directory(&path).unwrap();
        assert_eq!(copy.last_commit(), at);
        let rows = |db: &Database, at: Timestamp| {
            let sql = "SELECT min(n), max(n), count(*), sum(id) FROM t FOR SYSTEM_TIME AS OF LSN ?1";
            let connection = db.connect().unwrap();
            let row = |row: &dosql::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get::<i64>(3)?]);
            connection.query_row(sql, params![at], row).unwrap()
        };
        let found = rows(&copy, at);
        assert_eq!(found[0], found[1]);
        assert_eq!(found, rows(&db, at));
        let earlier = Timestamp::from_micros(at.as_micros() - 1);
        assert_eq!(rows(&copy, earlier), rows(&db, earlier));
        assert!(copy.verify().unwrap().is_sound());
        let sound: String =
            copy.connect().unwrap().query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

#[test]
fn a_fault_at_any_call_of_either_side_leaves_no_half_copy_that_opens() {
    for on_target in [true, false] {
        for sticky in [false, true] {
            let mut at = 0;
            loop {
                let (from, to, calls) = (stores(), stores(), faults::Faults::none());
                let (from_faulty, to_faulty) = match on_target {
                    true => (from.share(), faults::storage(&to, &calls)),
                    false => (faults::storage(&from, &calls), to.share()),
                };
                let (db, states) = lived(from_faulty);
                calls.fail(at, sticky);
                let made = db.backup_to(&to_faulty);
                let (place, reached) =
                    (format!("call {at}, target {on_target}, sticky {sticky}"), calls.reached());
                calls.heal();
                if reached {
                    let error = made.expect_err(&place);
                    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed), "{place}: {error:?}");
                } else {
                    made.unwrap();
                }
                check_target(&to, &states, &place);
                if !reached {
                    break;
                }
                at += 1;
            }
            assert!(at > 4, "{at} calls, target {on_target}");
        }
    }
}

/// What was left is nothing, the whole copy, or refused.
fn check_target(target: &Storage, states: &[(Timestamp, State)], place: &str) {
    if target.pages.meta().unwrap().is_none() {
        return;
    }
    match Database::open(target.share(), options()) {
        Ok(copy) => check(&copy, states, place),
        Err(error) => {
            assert_eq!(error.code(), Code::NotADb, "{place}: {error:?}");
            assert!(error.to_string().contains("not finished"), "{place}: {error}");
        }
    }
}

#[test]
fn a_crash_at_any_write_of_the_copy_leaves_it_whole_or_refused() {
    let (db, states) = lived(stores());
    let mut whole = 0;
    for operation in 0.. {
        let directory = CrashDirectory::new();
        directory.crash_at(operation);
        let made = crash::storage(&directory, 4096).and_then(|target| db.backup_to(&target));
        for surviving in [Surviving::Nothing, Surviving::Everything, Surviving::Some(operation)] {
            let left = directory.survivor(surviving);
            let place = format!("operation {operation}, {surviving:?}");
            let target = crash::storage(&left, 4096).unwrap();
            assert!(made.is_err() || target.pages.meta().unwrap().is_some(), "{place}");
            check_target(&target, &states, &place);
            whole += u32::from(made.is_ok());
        }
        if made.is_ok() {
            assert!(operation > 6, "{operation}");
            break;
        }
    }
    assert_eq!(whole, 3);
}

#[test]
fn a_target_that_exists_or_does_not_fit_is_refused_and_not_touched() {
    let (db, _) = lived(stores());
    let folder = tempfile::tempdir().unwrap();
    let error = db.backup(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let taken = stores();
    let (other, _) = lived(taken.share());
    assert_eq!(db.backup_to(&taken).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(other.verify().unwrap().is_sound());
    let wide = Storage::memory_with(&Options { page_size: 8192, ..options() });
    assert_eq!(db.backup_to(&wide).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(wide.pages.meta().unwrap().is_none());
}

#[test]
fn a_directory_with_an_unfinished_copy_is_no_database() {
    let (db, states) = lived(stores());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.dosql");
    db.backup(&path).unwrap();
    std::fs::write(path.join("UNFINISHED"), "").unwrap();
    let error = Database::open_directory(&path).unwrap_err();
    assert_eq!(error.code(), Code::NotADb);
    assert!(error.to_string().contains("not finished"), "{error}");
    std::fs::remove_file(path.join("UNFINISHED")).unwrap();
    check(&Database::open_directory(&path).unwrap(), &states, "directory");
}

#[test]
fn a_copy_without_retention_has_the_present_alone() {
    let none = Options { retention: 0, ..options() };
    let db = Database::open(Storage::memory_with(&none), none.clone()).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    let first = db.last_commit();
    db.write(|tx| tx.put(&space, "k", "2")).unwrap();
    let copied = stores();
    db.backup_to(&copied).unwrap();
    let copy = Database::open(copied, options()).unwrap();
    assert_eq!(copy.read_at(first).unwrap_err().code(), Code::AsOfExpired);
    assert_eq!(copy.read().unwrap().get(&space, "k").unwrap().as_deref(), common::bytes("2"));
}

#[test]
fn a_copy_has_the_tags_and_what_they_keep() {
    let stores = stores();
    let db = Database::open(stores, Options { retention: 0, ..options() }).unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "key", "then")).unwrap();
    db.create_tag("Then", None).unwrap();
    db.create_tag("b", None).unwrap();
    let then = db.tags()[0].at;
    db.write(|tx| tx.put(&space, "key", "now")).unwrap();
    let target = Storage::memory_with(&options());
    db.backup_to(&target).unwrap();
    let copy = Database::open(target, Options { retention: 0, ..options() }).unwrap();
    let mut names: Vec<_> = copy.tags().into_iter().map(|tag| tag.name).collect();
    names.sort();
    assert_eq!(names, ["Then", "b"]);
    let space = copy.keyspace("space").unwrap();
    assert_eq!(copy.read_at(then).unwrap().get(&space, "key").unwrap().as_deref(), Some(&b"then"[..]));
}
