//! Merges of branches: three-way by key, cell by cell, one commit or nothing.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use common::{branched, texts};
use dosql::{Connection, Database, ErrorKind, Merge, NewBranch, OnConflict, Options, Storage};

const ITEMS: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price INT, stock INT MERGE ADD);
    CREATE INDEX by_name ON items (name);
    INSERT INTO items VALUES (1, 'pen', 10, 100), (2, 'ink', 20, 100), (3, 'pad', 30, 100)";
const ALL: &str = "SELECT id || ' ' || name || ' ' || price || ' ' || stock FROM items ORDER BY id";

fn sound(db: &Database) {
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    for branch in db.branches() {
        let connection = db.branch(&branch.name).unwrap().connect().unwrap();
        assert_eq!(texts(&connection, "PRAGMA integrity_check"), ["ok"], "{}", branch.name);
    }
}

#[test]
fn a_branch_whose_target_did_not_move_is_taken_over_whole_with_its_schema() {
    let (db, main, draft) = branched(ITEMS);
    draft
        .execute_batch(
            "UPDATE items SET price = 11 WHERE id = 1; DELETE FROM items WHERE id = 2; ALTER TABLE items RENAME COLUMN price TO cost;
             CREATE TABLE notes (t TEXT); INSERT INTO notes VALUES ('hi'); CREATE VIEW cheap AS SELECT * FROM items WHERE cost < 20",
        )
        .unwrap();
    assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 3);
    assert_eq!(texts(&main, "SELECT id || ' ' || cost FROM items ORDER BY id"), ["1 11", "3 30"]);
    assert_eq!(texts(&main, "SELECT name FROM cheap"), ["pen"]);
    assert_eq!(texts(&main, "SELECT t FROM notes"), ["hi"]);
    assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 0, "nothing is left to merge");
    sound(&db);
}

#[test]
fn rows_and_cells_that_one_side_changed_come_from_that_side() {
    let (db, main, draft) = branched(ITEMS);
    draft
        .execute_batch("UPDATE items SET name = 'quill' WHERE id = 1; DELETE FROM items WHERE id = 2; INSERT INTO items VALUES (4, 'cup', 40, 1)")
        .unwrap();
    main.execute_batch(
        "UPDATE items SET price = 12 WHERE id = 1; INSERT INTO items VALUES (5, 'bag', 50, 1)",
    )
    .unwrap();
    let report = db.merge("draft", &Merge::default()).unwrap();
    assert_eq!((report.changes, report.conflicts.len()), (3, 0));
    assert_eq!(texts(&main, ALL), ["1 quill 12 100", "3 pad 30 100", "4 cup 40 1", "5 bag 50 1"]);
    assert_eq!(texts(&main, "SELECT name FROM items WHERE name = 'quill'").len(), 1);
    assert_eq!(texts(&draft, ALL).len(), 3, "the other branch stays as it is");
    sound(&db);
}

#[test]
fn stock_that_both_sides_changed_is_added_up() {
    let (_db, main, draft) = branched(ITEMS);
    draft.execute("UPDATE items SET stock = stock - 30 WHERE id = 1", ()).unwrap();
    main.execute("UPDATE items SET stock = stock - 5 WHERE id = 1", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    assert_eq!(texts(&main, ALL)[0], "1 pen 10 65");
    draft.execute("UPDATE items SET stock = stock + 1 WHERE id = 1", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    assert_eq!(texts(&main, ALL)[0], "1 pen 10 66");
}

#[test]
fn a_conflict_fails_the_merge_says_what_it_is_and_changes_nothing() {
    let (db, main, draft) = branched(ITEMS);
    draft.execute_batch("UPDATE items SET price = 11; INSERT INTO items VALUES (9, 'new', 1, 1)").unwrap();
    main.execute("UPDATE items SET price = 12 WHERE id = 2", ()).unwrap();
    let before = texts(&main, ALL);
    for dry_run in [true, false] {
        let error = db.merge("draft", &Merge { dry_run, ..Merge::default() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.to_string().contains("1 conflicts") && error.to_string().contains("items {\"id\":2}"),
            "{error}"
        );
        assert_eq!(texts(&main, ALL), before);
    }
}

#[test]
fn ours_and_theirs_settle_conflicts_and_later_merges_remember() {
    for (on_conflict, price) in [("OURS", "12"), ("THEIRS", "11")] {
        let (db, main, draft) = branched(ITEMS);
        draft.execute_batch("UPDATE items SET price = 11, name = 'x' WHERE id = 1; UPDATE items SET price = 31 WHERE id = 3").unwrap();
        main.execute_batch("UPDATE items SET price = 12 WHERE id = 1; DELETE FROM items WHERE id = 3")
            .unwrap();
        main.execute(&format!("MERGE BRANCH draft INTO main ON CONFLICT {on_conflict}"), ()).unwrap();
        let rows = texts(&main, ALL);
        assert_eq!(rows[0], format!("1 x {price} 100"));
        assert_eq!(rows.len(), if on_conflict == "OURS" { 2 } else { 3 });
        assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 0, "{on_conflict}");
        sound(&db);
    }
}

#[test]
fn a_dry_run_says_how_much_would_change_and_changes_nothing() {
    let (db, main, draft) = branched(ITEMS);
    draft.execute_batch("UPDATE items SET price = 1; CREATE TABLE more (a)").unwrap();
    main.execute("INSERT INTO items VALUES (7, 'x', 1, 1)", ()).unwrap();
    let before = (texts(&main, ALL), db.last_commit());
    assert_eq!(main.execute("MERGE DRY RUN BRANCH draft INTO main", ()).unwrap(), 3);
    let report = db.merge("draft", &Merge { dry_run: true, ..Merge::default() }).unwrap();
    assert_eq!((report.changes, report.schema_changes, report.commit), (3, 1, None));
    assert_eq!((texts(&main, ALL), db.last_commit()), before);
}

/// What MERGE DRY RUN tells: the columns that are not NULL.
fn told(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| {
        let cells = (0..7).map(|at| row.get::<Option<String>>(at).map(Option::unwrap_or_default));
        Ok(cells.collect::<dosql::Result<Vec<_>>>()?.join("|"))
    });
    rows.unwrap().collect::<dosql::Result<_>>().unwrap()
}

#[test]
fn changes_says_how_many_rows_a_merge_changed() {
    let (_db, main, draft) = branched(ITEMS);
    draft.execute("UPDATE items SET price = 1 WHERE id < 3", ()).unwrap();
    main.execute("UPDATE items SET price = 2 WHERE id = 2", ()).unwrap();
    let before = main.total_changes();
    main.execute("MERGE DRY RUN BRANCH draft INTO main", ()).unwrap();
    assert_eq!((main.changes(), main.total_changes()), (1, before), "nothing was changed");
    main.execute("MERGE BRANCH draft INTO main ON CONFLICT THEIRS", ()).unwrap();
    assert_eq!((main.changes(), main.total_changes()), (2, before + 2));
    main.execute("ERASE FROM items WHERE id > 1", ()).unwrap();
    assert_eq!((main.changes(), main.total_changes()), (2, before + 4));
}

#[test]
fn a_dry_run_tells_each_change_and_each_conflict_as_a_row() {
    let (db, main, draft) = branched(ITEMS);
    draft
        .execute_batch(
            "UPDATE items SET price = 11 WHERE id = 1; DELETE FROM items WHERE id = 2;
             INSERT INTO items VALUES (9, 'new', 1, 1); CREATE VIEW v AS SELECT 1",
        )
        .unwrap();
    let row = |id: u32, name: &str, price: u32, stock: u32| {
        format!("{{\"id\":{id},\"name\":\"{name}\",\"price\":{price},\"stock\":{stock}}}")
    };
    let changes = [
        "added|v|||||CREATE VIEW v AS SELECT 1".to_owned(),
        format!("modified|items|{{\"id\":1}}||{}||{}", row(1, "pen", 10, 100), row(1, "pen", 11, 100)),
        format!("removed|items|{{\"id\":2}}||{}||", row(2, "ink", 20, 100)),
        format!("added|items|{{\"id\":9}}||||{}", row(9, "new", 1, 1)),
    ];
    let before = (texts(&main, ALL), db.last_commit());
    assert_eq!(told(&main, "MERGE DRY RUN BRANCH draft INTO main"), changes, "taken over whole");
    main.execute("UPDATE items SET price = 12, stock = 90 WHERE id = 1", ()).unwrap();
    let ours = (texts(&main, ALL), db.last_commit());
    let conflict = |merged: &str| {
        format!(
            "conflict|items|{{\"id\":1}}|{}|{}|{}|{merged}",
            row(1, "pen", 10, 100),
            row(1, "pen", 12, 90),
            row(1, "pen", 11, 100)
        )
    };
    for (clause, merged) in [
        ("", String::new()),
        ("ON CONFLICT ABORT", String::new()),
        ("ON CONFLICT STORE", String::new()),
        ("ON CONFLICT OURS", row(1, "pen", 12, 90)),
        ("ON CONFLICT THEIRS", row(1, "pen", 11, 90)),
    ] {
        let sql = format!("MERGE DRY RUN BRANCH draft INTO main {clause}");
        let expected = [&changes[0], &conflict(&merged), &changes[2], &changes[3]].map(String::clone);
        assert_eq!(told(&main, &sql), expected, "{clause}");
    }
    assert_eq!((texts(&main, ALL), db.last_commit()), ours);
    assert_ne!(ours, before);
    let columns = main.prepare("MERGE DRY RUN BRANCH draft INTO main").unwrap();
    assert_eq!(columns.columns().len(), 7);
    // Where there is nothing to merge there is nothing to tell.
    assert_eq!(told(&draft, "MERGE DRY RUN BRANCH main INTO draft").len(), 1);
    main.execute_batch("MERGE BRANCH draft INTO main ON CONFLICT THEIRS").unwrap();
    assert!(told(&main, "MERGE DRY RUN BRANCH draft INTO main").is_empty());
    sound(&db);
}

#[test]
fn repeated_merges_in_both_directions_look_only_at_what_is_new() {
    let (db, main, draft) = branched(ITEMS);
    for round in 0..6 {
        draft.execute(&format!("UPDATE items SET price = {} WHERE id = 1", 100 + round), ()).unwrap();
        main.execute(&format!("UPDATE items SET price = {} WHERE id = 2", 200 + round), ()).unwrap();
        assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 1, "{round}");
        assert_eq!(draft.execute("MERGE BRANCH main INTO draft", ()).unwrap(), 1, "{round}");
        assert_eq!(texts(&main, ALL), texts(&draft, ALL));
        if round % 2 == 0 {
            db.checkpoint().unwrap();
        }
    }
    assert_eq!(texts(&main, ALL)[..2], ["1 pen 105 100", "2 ink 205 100"]);
    sound(&db);
}

#[test]
fn siblings_merge_through_what_they_have_in_common() {
    let (db, main, draft) = branched(ITEMS);
    main.execute("UPDATE items SET name = 'later' WHERE id = 3", ()).unwrap();
    let other = db.create_branch("other", &NewBranch::default()).unwrap().connect().unwrap();
    other.execute("UPDATE items SET price = 77 WHERE id = 1", ()).unwrap();
    draft.execute("UPDATE items SET price = 88 WHERE id = 2", ()).unwrap();
    assert_eq!(draft.execute("MERGE BRANCH other INTO draft", ()).unwrap(), 2);
    assert_eq!(texts(&draft, ALL), ["1 pen 77 100", "2 ink 88 100", "3 later 30 100"]);
}

#[test]
fn constraints_are_checked_on_what_comes_in() {
    let schema = "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INT NOT NULL CHECK (n < 100));
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO c VALUES (1, 1)";
    for (theirs, ours, why) in [
        (
            "INSERT INTO p VALUES (10, 'x', 1)",
            "INSERT INTO p VALUES (11, 'x', 1)",
            "UNIQUE constraint failed: p.u",
        ),
        ("DELETE FROM p WHERE id = 2", "INSERT INTO c VALUES (5, 2)", "FOREIGN KEY constraint failed"),
        ("INSERT INTO c VALUES (6, 2)", "DELETE FROM p WHERE id = 2", "FOREIGN KEY constraint failed"),
    ] {
        let (db, main, draft) = branched(schema);
        draft.execute(theirs, ()).unwrap();
        main.execute(ours, ()).unwrap();
        let before = db.last_commit();
        let error = main.execute("MERGE BRANCH draft INTO main", ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Constraint, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(db.last_commit(), before, "one commit or nothing");
    }
    let (db, main, draft) = branched(schema);
    draft.execute_batch("UPDATE p SET u = 't' WHERE id = 1; UPDATE p SET u = 'a' WHERE id = 2; UPDATE p SET u = 'b' WHERE id = 1").unwrap();
    main.execute("INSERT INTO c VALUES (7, 2)", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    assert_eq!(texts(&main, "SELECT u FROM p ORDER BY id"), ["b", "a"], "values may be swapped");
    assert_eq!(texts(&main, "SELECT id || '' FROM c").len(), 2, "no action of a foreign key was set off");
    sound(&db);
}

#[test]
fn triggers_do_not_fire_again_for_what_comes_in() {
    let (_db, main, draft) = branched(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);
         CREATE TRIGGER on_t AFTER INSERT ON t BEGIN INSERT INTO log (what) VALUES ('t' || new.id); END",
    );
    draft.execute("INSERT INTO t VALUES (1)", ()).unwrap();
    main.execute("CREATE TABLE elsewhere (a)", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    assert_eq!(texts(&main, "SELECT what FROM log"), ["t1"]);
    main.execute("INSERT INTO t VALUES (2)", ()).unwrap();
    assert_eq!(texts(&main, "SELECT what FROM log ORDER BY id"), ["t1", "t2"]);
}

#[test]
fn schema_changes_of_both_sides_come_together() {
    let (db, main, draft) = branched(ITEMS);
    draft
        .execute_batch(
            "ALTER TABLE items ADD COLUMN color TEXT DEFAULT 'red'; UPDATE items SET color = 'blue' WHERE id = 1;
             CREATE TABLE theirs (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO theirs VALUES ('a', 1), ('b', 2);
             DROP INDEX by_name; CREATE INDEX by_price ON items (price)",
        )
        .unwrap();
    main.execute_batch(
        "ALTER TABLE items ADD COLUMN size INT; UPDATE items SET size = 5 WHERE id = 2;
         CREATE TABLE ours (k); INSERT INTO ours VALUES (1); CREATE VIEW v AS SELECT name FROM items",
    )
    .unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    let rows = texts(&main, "SELECT id || coalesce(size, '-') || color FROM items ORDER BY id");
    assert_eq!(rows, ["1-blue", "25red", "3-red"]);
    assert_eq!(texts(&main, "SELECT k FROM theirs"), ["a", "b"]);
    assert_eq!(
        texts(&main, "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'by%'"),
        ["by_price"]
    );
    sound(&db);
}

#[test]
fn schemas_that_both_changed_in_different_ways_are_a_conflict() {
    for (theirs, ours) in [
        ("CREATE TABLE n (a)", "CREATE TABLE n (b)"),
        ("ALTER TABLE items ADD COLUMN c TEXT", "ALTER TABLE items ADD COLUMN c INT"),
        ("DROP TABLE items", "UPDATE items SET price = 1"),
        ("ALTER TABLE items RENAME COLUMN price TO cost", "UPDATE items SET price = 1"),
        ("CREATE VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 2"),
    ] {
        let (db, main, draft) = branched(ITEMS);
        draft.execute(theirs, ()).unwrap();
        main.execute(ours, ()).unwrap();
        let before = db.last_commit();
        let error = main.execute("MERGE BRANCH draft INTO main ON CONFLICT THEIRS", ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{theirs}: {error}");
        assert!(error.to_string().contains("schemas can't be merged"), "{error}");
        assert_eq!(db.last_commit(), before);
    }
    let (_db, main, draft) = branched(ITEMS);
    for connection in [&main, &draft] {
        connection.execute("CREATE TABLE same (a INTEGER PRIMARY KEY)", ()).unwrap();
    }
    draft.execute("INSERT INTO same VALUES (1)", ()).unwrap();
    main.execute("INSERT INTO same VALUES (2)", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main", ()).unwrap();
    assert_eq!(texts(&main, "SELECT a || '' FROM same ORDER BY a"), ["1", "2"], "both made the same table");
}

#[test]
fn stored_conflicts_wait_are_resolved_and_continued() {
    let storage = Storage::memory();
    let db = Database::open(storage.share(), Options::default()).unwrap();
    let main = db.connect().unwrap();
    main.execute_batch(ITEMS).unwrap();
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap().connect().unwrap();
    draft.execute_batch("UPDATE items SET price = price + 1, name = name || '!'").unwrap();
    main.execute_batch("UPDATE items SET price = price + 2").unwrap();
    assert_eq!(main.execute("MERGE BRANCH draft INTO main ON CONFLICT STORE", ()).unwrap(), 0);
    assert_eq!(texts(&main, ALL)[0], "1 pen 12 100", "nothing has changed yet");
    let stored = texts(
        &main,
        "SELECT merge || ' ' || \"table\" || ' ' || \"key\" || ' ' || base FROM dosql_conflicts ORDER BY \"key\"",
    );
    assert_eq!(stored[0], "draft items {\"id\":1} {\"id\":1,\"name\":\"pen\",\"price\":10,\"stock\":100}");
    assert_eq!(stored.len(), 3);
    let error = main.execute("CONTINUE MERGE", ()).unwrap_err();
    assert!(error.to_string().contains("3 conflicts"), "{error}");
    main.execute_batch(
        "UPDATE dosql_conflicts SET resolution = 'ours' WHERE \"key\" = '{\"id\":1}';
         UPDATE dosql_conflicts SET resolution = 'theirs' WHERE \"key\" = '{\"id\":2}'",
    )
    .unwrap();
    drop((main, draft, db));
    let db = Database::open(storage, Options::default()).unwrap();
    let main = db.connect().unwrap();
    assert!(main.execute("CONTINUE MERGE", ()).unwrap_err().to_string().contains("1 conflicts"));
    main.execute("UPDATE dosql_conflicts SET resolution = '{\"price\": 99}' WHERE resolution IS NULL", ())
        .unwrap();
    assert_eq!(main.execute("CONTINUE MERGE BRANCH draft INTO main", ()).unwrap(), 3);
    assert_eq!(texts(&main, ALL), ["1 pen! 12 100", "2 ink! 21 100", "3 pad! 99 100"]);
    assert!(main.prepare("SELECT * FROM dosql_conflicts").is_err(), "the table goes with its last row");
    assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 0);
    sound(&db);
}

#[test]
fn a_merge_that_waits_can_be_given_up_and_its_resolutions_hold_only_for_what_they_saw() {
    let (_db, main, draft) = branched(ITEMS);
    draft.execute("UPDATE items SET price = 1 WHERE id = 1", ()).unwrap();
    main.execute("UPDATE items SET price = 2 WHERE id = 1", ()).unwrap();
    main.execute("MERGE BRANCH draft INTO main ON CONFLICT STORE", ()).unwrap();
    main.execute("UPDATE dosql_conflicts SET resolution = 'theirs'", ()).unwrap();
    main.execute("UPDATE items SET price = 3 WHERE id = 1", ()).unwrap();
    assert_eq!(main.execute("CONTINUE MERGE", ()).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(texts(&main, "SELECT coalesce(resolution, 'none') FROM dosql_conflicts"), ["none"]);
    main.execute("ABORT MERGE", ()).unwrap();
    assert!(main.prepare("SELECT * FROM dosql_conflicts").is_err());
    assert!(main.execute("ABORT MERGE BRANCH draft INTO main", ()).is_err());
}

#[test]
fn entries_of_keyspaces_are_merged_as_a_whole() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    db.write(|tx| tx.put(&space, "a", "1").and_then(|()| tx.put(&space, "b", "1"))).unwrap();
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let (mine, fresh) = (draft.keyspace("s").unwrap(), draft.keyspace("fresh").unwrap());
    draft
        .write(|tx| {
            tx.put(&mine, "a", "2")?;
            tx.delete(&mine, "b")?;
            tx.put(&fresh, "k", "v")?;
            tx.put(&mine, "k".repeat(9000), "long")
        })
        .unwrap();
    let other = db.keyspace("made on main").unwrap();
    db.write(|tx| tx.put(&other, "x", "y").and_then(|()| tx.put(&space, "c", "3"))).unwrap();
    assert_eq!(db.merge("draft", &Merge::default()).unwrap().changes, 4);
    let read = db.read().unwrap();
    let value =
        |space: &str, key: &str| read.get(&db.keyspace(space).unwrap(), key).unwrap().map(|it| it.to_vec());
    assert_eq!(value("s", "a"), Some(b"2".to_vec()));
    assert_eq!(value("s", "b"), None);
    assert_eq!(value("s", "c"), Some(b"3".to_vec()));
    assert_eq!(value("fresh", "k"), Some(b"v".to_vec()));
    assert_eq!(value("made on main", "x"), Some(b"y".to_vec()));
    assert_eq!(value("s", &"k".repeat(9000)), Some(b"long".to_vec()));
    draft.write(|tx| tx.put(&mine, "a", "draft")).unwrap();
    db.write(|tx| tx.put(&space, "a", "main")).unwrap();
    assert_eq!(db.merge("draft", &Merge::default()).unwrap_err().kind(), ErrorKind::Conflict);
    db.merge("draft", &Merge { on_conflict: OnConflict::Theirs, ..Merge::default() }).unwrap();
    assert_eq!(db.read().unwrap().get(&space, "a").unwrap().as_deref(), Some(&b"draft"[..]));
}

#[test]
fn a_protected_branch_takes_merges() {
    let (db, main, _draft) = branched(ITEMS);
    db.protect_branch("main", true).unwrap();
    db.branch("draft").unwrap().connect().unwrap().execute("DELETE FROM items WHERE id = 1", ()).unwrap();
    assert_eq!(main.execute("DELETE FROM items", ()).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(main.execute("MERGE BRANCH draft INTO main", ()).unwrap(), 1);
    assert_eq!(texts(&main, ALL).len(), 2);
}

#[test]
fn merges_are_remembered_after_a_reopen_with_and_without_retention() {
    for retention in [0, dosql::DAY] {
        let storage = Storage::memory();
        let options = Options { retention, ..Options::default() };
        let mut db = Database::open(storage.share(), options.clone()).unwrap();
        db.connect().unwrap().execute_batch(ITEMS).unwrap();
        db.create_branch("draft", &NewBranch::default()).unwrap();
        for round in 0..5 {
            {
                let (main, draft) = (db.connect().unwrap(), db.branch("draft").unwrap().connect().unwrap());
                draft.execute(&format!("UPDATE items SET price = {round} + 1000 WHERE id = 1"), ()).unwrap();
                draft.execute(&format!("INSERT INTO items VALUES ({round} + 50, 'd', 1, 1)"), ()).unwrap();
                main.execute(&format!("UPDATE items SET price = {round} + 2000 WHERE id = 2"), ()).unwrap();
                assert_eq!(
                    main.execute("MERGE BRANCH draft INTO main", ()).unwrap(),
                    2 + u64::from(round == 1),
                    "{retention}, {round}"
                );
                draft.execute("DELETE FROM items WHERE id = 50", ()).unwrap();
            }
            if round % 2 == 0 {
                db.checkpoint().unwrap();
            }
            drop(db);
            db = Database::open(storage.share(), options.clone()).unwrap();
        }
        let main = db.connect().unwrap();
        assert_eq!(texts(&main, ALL)[..2], ["1 pen 1004 100", "2 ink 2004 100"]);
        assert_eq!(texts(&main, "SELECT id || '' FROM items WHERE id >= 50").len(), 4);
        sound(&db);
    }
}
