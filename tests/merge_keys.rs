//! Which rows of two branches are the same row: those with the same primary key, whatever their rowids; and rows that both branches
//! inserted without saying which are not.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::{branched, texts};
use dosql::{Database, Merge, NewBranch, OnConflict, Options, Storage};

fn merge(db: &Database, on_conflict: OnConflict) -> Vec<String> {
    let report = db.merge("draft", &Merge { on_conflict, ..Merge::default() }).unwrap();
    for branch in db.branches() {
        let connection = db.branch(&branch.name).unwrap().connect().unwrap();
        assert_eq!(texts(&connection, "PRAGMA integrity_check"), ["ok"], "{}", branch.name);
    }
    report.conflicts.into_iter().map(|conflict| format!("{} {}", conflict.table, conflict.key)).collect()
}

const STOCK: &str =
    "CREATE TABLE stock (item TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER MERGE ADD, note TEXT);
    INSERT INTO stock VALUES ('ale', 10, ''), ('bun', 20, ''), ('cod', 30, '')";
const ALL: &str = "SELECT item || ' ' || n || ' ' || note FROM stock ORDER BY item";

#[test]
fn rows_that_both_branches_inserted_under_other_keys_are_both_there() {
    for schema in [
        STOCK.to_owned(),
        STOCK.replace("TEXT COLLATE NOCASE PRIMARY KEY", "TEXT PRIMARY KEY"),
        STOCK.replace("note TEXT)", "note TEXT) WITHOUT ROWID"),
    ] {
        let (db, main, draft) = branched(&schema);
        draft.execute_batch("INSERT INTO stock VALUES ('fig', 1, 'd'), ('gin', 2, 'd')").unwrap();
        main.execute_batch("INSERT INTO stock VALUES ('ham', 3, 'm'), ('egg', 4, 'm')").unwrap();
        assert_eq!(merge(&db, OnConflict::Abort), Vec::<String>::new());
        let all = ["ale 10 ", "bun 20 ", "cod 30 ", "egg 4 m", "fig 1 d", "gin 2 d", "ham 3 m"];
        assert_eq!(texts(&main, ALL), all);
    }
}

#[test]
fn a_row_that_was_replaced_under_another_rowid_is_the_same_row() {
    let (db, main, draft) = branched(STOCK);
    draft.execute("INSERT OR REPLACE INTO stock VALUES ('ale', 7, '')", ()).unwrap();
    main.execute("UPDATE stock SET note = 'cold', n = n + 5 WHERE item = 'ale'", ()).unwrap();
    draft.execute("DELETE FROM stock WHERE item = 'bun'", ()).unwrap();
    main.execute("INSERT OR REPLACE INTO stock VALUES ('bun', 20, '')", ()).unwrap();
    assert_eq!(merge(&db, OnConflict::Abort), Vec::<String>::new());
    assert_eq!(texts(&main, ALL), ["ale 12 cold", "cod 30 "]);
    // And again, from what both had last.
    draft.execute("UPDATE stock SET n = n + 1 WHERE item = 'ALE'", ()).unwrap();
    assert_eq!(merge(&db, OnConflict::Abort), Vec::<String>::new());
    assert_eq!(texts(&main, ALL), ["ale 13 cold", "cod 30 "]);
}

#[test]
fn the_same_key_inserted_on_both_is_one_row_or_a_conflict_that_names_it() {
    let (db, main, draft) = branched(STOCK);
    for (connection, note) in [(&draft, "theirs"), (&main, "ours")] {
        connection.execute("INSERT INTO stock VALUES ('same', 1, '')", ()).unwrap();
        connection.execute("INSERT INTO stock VALUES ('fig', 1, ?1)", [note]).unwrap();
    }
    let error = db.merge("draft", &Merge::default()).unwrap_err();
    assert!(error.to_string().contains(r#"stock {"item":"fig"}"#), "{error}");
    assert_eq!(merge(&db, OnConflict::Theirs), [r#"stock {"item":"fig"}"#]);
    assert_eq!(texts(&main, ALL)[3..], ["fig 1 theirs", "same 1 "]);
}

#[test]
fn a_key_that_was_changed_is_a_row_that_went_and_one_that_came() {
    let (db, main, draft) = branched(STOCK);
    draft.execute("UPDATE stock SET item = 'dab' WHERE item = 'cod'", ()).unwrap();
    main.execute("INSERT INTO stock VALUES ('eel', 5, '')", ()).unwrap();
    assert_eq!(merge(&db, OnConflict::Abort), Vec::<String>::new());
    assert_eq!(texts(&main, ALL), ["ale 10 ", "bun 20 ", "dab 30 ", "eel 5 "]);
    main.execute("UPDATE stock SET n = 0 WHERE item = 'dab'", ()).unwrap();
    draft.execute("UPDATE stock SET item = 'cod' WHERE item = 'dab'", ()).unwrap();
    let error = db.merge("draft", &Merge::default()).unwrap_err();
    assert!(error.to_string().contains(r#"{"item":"dab"}"#), "{error}");
}

#[test]
fn rows_without_a_whole_key_are_known_by_their_rowid() {
    let (db, main, draft) = branched(
        "CREATE TABLE t (a, b, c, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, NULL, 0), (2, 2, 0), (NULL, NULL, 0)",
    );
    draft.execute_batch("UPDATE t SET c = 1 WHERE rowid = 1; INSERT INTO t VALUES (3, NULL, 7)").unwrap();
    main.execute_batch("UPDATE t SET c = 2 WHERE rowid = 3; INSERT INTO t VALUES (3, NULL, 8)").unwrap();
    assert_eq!(merge(&db, OnConflict::Abort), Vec::<String>::new());
    assert_eq!(texts(&main, "SELECT CAST(c AS TEXT) FROM t ORDER BY c"), ["0", "1", "2", "7", "8"]);
}

#[test]
fn rows_that_got_their_rowids_by_themselves_on_both_branches_are_both_there() {
    for (create, shown) in [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "v"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)", "v"),
        ("CREATE TABLE t (v TEXT)", "v"),
    ] {
        let storage = Storage::memory();
        let mut db = Database::open(storage.share(), Options::default()).unwrap();
        let sql = |db: &Database, branch: &str| db.branch(branch).unwrap().connect().unwrap();
        sql(&db, "main").execute_batch(&format!("{create}; INSERT INTO t (v) VALUES ('a'), ('b')")).unwrap();
        db.create_branch("draft", &NewBranch::default()).unwrap();
        db.create_branch("other", &NewBranch::default()).unwrap();
        let mut expected = vec!["a".to_owned(), "b".to_owned()];
        for round in 0..3 {
            for branch in ["draft", "main", "other"] {
                let connection = sql(&db, branch);
                for n in 0..2 {
                    let value = format!("{branch} {round} {n}");
                    connection.execute("INSERT INTO t (v) VALUES (?1)", [value.as_str()]).unwrap();
                    expected.push(value);
                }
                // Several at once, by a query.
                connection
                    .execute("INSERT INTO t (v) SELECT ?1 || v FROM t ORDER BY v LIMIT 1", [branch])
                    .unwrap();
                let least = expected.iter().filter(|value| value.as_str() == "a").count();
                assert_eq!(least, 1);
                expected.push(format!("{branch}a"));
            }
            drop(db);
            db = Database::open(storage.share(), Options::default()).unwrap();
        }
        for branch in ["draft", "other"] {
            let report = db.merge(branch, &Merge::default()).unwrap();
            assert!(report.conflicts.is_empty(), "{create}");
        }
        expected.sort();
        assert_eq!(
            texts(&sql(&db, "main"), &format!("SELECT {shown} FROM t ORDER BY 1")),
            expected,
            "{create}"
        );
    }
}

#[test]
fn rowids_follow_each_other_where_there_is_one_branch() {
    let db = Database::open_memory().unwrap();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES (1), (2)")
        .unwrap();
    db.what_if(|branch| branch.connect()?.execute("INSERT INTO t (v) VALUES (3), (4)", ()).map(|_| ()))
        .unwrap();
    sql.execute_batch("BEGIN; INSERT INTO t (v) VALUES (9); ROLLBACK; INSERT INTO t (v) VALUES (3)").unwrap();
    assert_eq!(sql.query_row("SELECT max(id) FROM t", (), |row| row.get::<i64>(0)).unwrap(), 3);
}
