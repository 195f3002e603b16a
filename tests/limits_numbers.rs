//! The ends of the numbers: of time, of keyspaces; and of what an index holds. What is refused there leaves the database usable.

mod common;

use common::{at, db, db_with_clock};
use dosql::limits::MAX_KEY;
use dosql::{Code, ErrorKind, Timestamp, params};

#[test]
fn no_commit_is_stamped_with_the_end_of_time() {
    let (db, clock) = db_with_clock(1_000);
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "1")).unwrap();
    clock.set(Timestamp::MAX);
    let error = db.write(|tx| tx.put(&space, "k", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    clock.set(at(2_000));
    db.write(|tx| tx.put(&space, "k", "3")).unwrap();
    assert_eq!(db.last_commit(), at(2_000));
    assert_eq!(db.read().unwrap().get(&space, "k").unwrap().as_deref(), common::bytes("3"));
}

#[test]
fn the_last_number_of_a_keyspace_is_refused_and_others_go_on() {
    let db = db();
    let before = db.keyspace("before").unwrap();
    db.write(|tx| tx.put(&before, "k", "v")).unwrap();
    // The row that says which number is next, as docs/FORMAT.md has it.
    db.write(|tx| tx.raw_put(b"\0n", b"\xFB\xFF\0\0\0")).unwrap();
    let after = db.keyspace("after").unwrap();
    let error = db.write(|tx| tx.put(&after, "k", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    db.write(|tx| tx.put(&before, "k", "w")).unwrap();
    assert_eq!(db.read().unwrap().get(&before, "k").unwrap().as_deref(), common::bytes("w"));
    assert!(db.read().unwrap().get(&after, "k").unwrap().is_none());
}

#[test]
fn an_index_refuses_a_key_that_is_too_long_and_the_statement_leaves_nothing() {
    let connection = db().connect().unwrap();
    connection.execute_batch("CREATE TABLE t (a TEXT UNIQUE, b TEXT)").unwrap();
    let insert = |a: usize| connection.execute("INSERT INTO t VALUES (?1, 'b')", params!["a".repeat(a)]);
    insert(1_000_000).unwrap();
    let error = insert(MAX_KEY).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::TooBig));
    let rows = |sql: &str| connection.query_row(sql, (), |row| row.get::<i64>(0)).unwrap();
    assert_eq!(rows("SELECT count(*) FROM t"), 1);
    assert_eq!(rows("SELECT max(length(a)) FROM t NOT INDEXED"), 1_000_000);
}
