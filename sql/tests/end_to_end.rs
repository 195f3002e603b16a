//! Statements from text to rows.

mod common;

use common::Db;

#[test]
fn a_table_keeps_the_rows_that_were_inserted() {
    let mut db = Db::new();
    db.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL)");
    let answer = db.run("INSERT INTO t(b, c) VALUES('x', 1), ('y', 2.5)");
    assert_eq!((answer.outcome.changes, answer.outcome.last_insert_rowid), (2, 2));
    assert_eq!(db.rows("SELECT a, b, c FROM t"), ["1|x|1.0", "2|y|2.5"]);
}
