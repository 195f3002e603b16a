//! A branch in memory that leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use dosql::{Database, ErrorKind, NewBranch};

#[test]
fn what_is_done_in_it_is_seen_in_it_over_several_commits_and_nowhere_else() {
    let db = Database::open_memory().unwrap();
    let connection = db.connect().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20)",
        )
        .unwrap();
    db.checkpoint().unwrap();
    connection.execute("UPDATE t SET v = 11 WHERE id = 1", ()).unwrap();
    let before = (db.last_commit(), db.stats().log.appends, db.stats().pages.dirty_bytes);
    let sum = db
        .what_if(|branch| {
            let there = branch.connect()?;
            there.execute("UPDATE t SET v = v * 2", ())?;
            there.execute_batch(
                "DELETE FROM t WHERE id = 1; CREATE TABLE more (a); INSERT INTO more VALUES (5)",
            )?;
            let inner = branch.create_branch("inner", &NewBranch::default())?;
            inner.connect()?.execute("INSERT INTO t VALUES (3, 100)", ())?;
            branch.checkpoint()?;
            let sum: i64 =
                there.query_row("SELECT sum(v) + (SELECT a FROM more) FROM t", (), |row| row.get(0))?;
            let inner: i64 = inner.connect()?.query_row("SELECT sum(v) FROM t", (), |row| row.get(0))?;
            let past: i64 = there.query_row(
                &format!("SELECT sum(v) FROM t FOR SYSTEM_TIME AS OF LSN {}", before.0.as_micros()),
                (),
                |row| row.get(0),
            )?;
            assert_eq!((inner, past), (140, 31));
            Ok(sum)
        })
        .unwrap();
    assert_eq!(sum, 45);
    assert_eq!((db.last_commit(), db.stats().log.appends, db.stats().pages.dirty_bytes), before);
    let now: i64 = connection.query_row("SELECT sum(v) FROM t", (), |row| row.get(0)).unwrap();
    assert_eq!(now, 31);
    assert_eq!(db.branches().len(), 1);
}

#[test]
fn it_begins_with_a_branch_and_an_error_comes_back() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    db.write(|tx| tx.put(&space, "a", "main")).unwrap();
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    draft.write(|tx| tx.put(&space, "b", "draft")).unwrap();
    let error = draft
        .what_if(|branch| {
            let space = branch.keyspace("s")?;
            branch.write(|tx| tx.put(&space, "c", "what if"))?;
            let read = branch.read()?;
            let keys: Vec<Vec<u8>> =
                read.iter(&space)?.map(|entry| entry.map(|it| it.0)).collect::<Result<_, _>>()?;
            assert_eq!(keys, [b"a", b"b", b"c"]);
            branch.try_write(|tx| tx.get(&space, "a").map(|_| ()))?;
            Err::<(), _>(dosql::Error::new(ErrorKind::InvalidInput, dosql::Code::Error, "on purpose"))
        })
        .unwrap_err();
    assert!(error.to_string().contains("on purpose"));
    assert_eq!(draft.read().unwrap().iter(&space).unwrap().count(), 2);
}
