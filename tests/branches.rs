//! Branches: each begins with what its parent had at the fork, and from there on goes its own way.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use dosql::{Begin, Code, Database, Env, ErrorKind, Isolation, Keyspace, ManualClock, NewBranch, Options};
use dosql::{Result, SeededEntropy, Storage, Timestamp};

fn value(db: &Database, space: &Keyspace, key: &str) -> Option<String> {
    let value = db.read().unwrap().get(space, key).unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn put(db: &Database, space: &Keyspace, key: &str, value: &str) -> Timestamp {
    db.write(|tx| tx.put(space, key, value)).unwrap();
    db.last_commit()
}

fn all(db: &Database, space: &Keyspace) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let read = db.read().unwrap();
    read.iter(space)
        .unwrap()
        .map(|entry| entry.map(|(key, value)| (text(key), text(value))).unwrap())
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_branch_sees_its_parent_as_of_the_fork_and_neither_sees_the_other_after_it() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "a", "1");
    put(&db, &space, "b", "1");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    put(&db, &space, "a", "main");
    put(&db, &space, "c", "main");
    draft.write(|tx| tx.delete(&space, "b")).unwrap();
    put(&draft, &space, "d", "draft");
    assert_eq!(all(&draft, &space), pairs(&[("a", "1"), ("d", "draft")]));
    assert_eq!(all(&db, &space), pairs(&[("a", "main"), ("b", "1"), ("c", "main")]));
    assert_eq!((draft.branch_name(), db.branch_name()), ("draft".to_owned(), "main".to_owned()));
    let same = db.branch("DRAFT").unwrap();
    assert_eq!(value(&same, &space, "b"), None);
    let backward: Vec<_> =
        draft.read().unwrap().range_rev::<&str>(&space, ..).unwrap().map(|it| it.unwrap().0).collect();
    assert_eq!(backward, [b"d", b"a"]);
}

#[test]
fn a_branch_can_begin_in_the_past_and_keeps_that_moment_whatever_the_retention() {
    let options = Options { retention: 0, ..Options::default() };
    let storage = Storage::memory();
    let db = Database::open(storage.share(), options.clone()).unwrap();
    let space = db.keyspace("s").unwrap();
    let then = put(&db, &space, "a", "1");
    let draft = db.create_branch("draft", &NewBranch { at: Some(then), ..NewBranch::default() }).unwrap();
    for n in 0..5 {
        put(&db, &space, "a", &format!("main {n}"));
        put(&draft, &space, "b", &format!("draft {n}"));
        db.checkpoint().unwrap();
        assert_eq!(value(&draft, &space, "a").unwrap(), "1");
    }
    let error = db.create_branch("late", &NewBranch { at: Some(then.next()), ..NewBranch::default() });
    assert_eq!(error.unwrap_err().code(), Code::AsOfExpired);
    drop((db, draft));
    let db = Database::open(storage, options).unwrap();
    let draft = db.branch("draft").unwrap();
    assert_eq!(all(&draft, &space), pairs(&[("a", "1"), ("b", "draft 4")]));
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
}

#[test]
fn time_travel_on_a_branch_reaches_back_before_its_fork() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    let first = put(&db, &space, "a", "1");
    let second = put(&db, &space, "a", "2");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let third = put(&draft, &space, "a", "3");
    draft.write(|tx| tx.delete(&space, "a")).unwrap();
    let gone = draft.last_commit();
    put(&draft, &space, "a", "5");
    put(&db, &space, "a", "main");
    for _ in 0..2 {
        let at = |at| draft.read_at(at).unwrap().get(&space, "a").unwrap();
        assert_eq!(at(first).as_deref(), Some(&b"1"[..]));
        assert_eq!(at(second).as_deref(), Some(&b"2"[..]));
        assert_eq!(at(third).as_deref(), Some(&b"3"[..]));
        assert_eq!(at(gone), None);
        assert_eq!(value(&draft, &space, "a").unwrap(), "5");
        db.checkpoint().unwrap();
    }
}

#[test]
fn a_branch_off_a_branch_from_before_it_began_is_one_off_the_branch_beneath() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    let early = put(&db, &space, "a", "early");
    put(&db, &space, "a", "late");
    let one = db.create_branch("one", &NewBranch::default()).unwrap();
    put(&one, &space, "b", "one");
    let two = one.create_branch("two", &NewBranch { at: Some(early), ..NewBranch::default() }).unwrap();
    assert_eq!(all(&two, &space), pairs(&[("a", "early")]));
    let listed = db.branches();
    let two = listed.iter().find(|branch| branch.name == "two").unwrap();
    assert_eq!((two.parent.as_deref(), two.fork), (Some("main"), Some(early)));
}

#[test]
fn branches_nest_deeper_than_32_and_each_sees_what_lies_beneath() {
    let storage = Storage::memory();
    let options =
        || Options { page_size: 4096, maintenance: dosql::Maintenance::Caller, ..Options::default() };
    let mut db = Database::open(storage.share(), options()).unwrap();
    let space = db.keyspace("s").unwrap();
    let mut expected = std::collections::BTreeMap::new();
    put(&db, &space, "base", "main");
    put(&db, &space, "gone", "main");
    expected.insert("base".to_owned(), "main".to_owned());
    let (mut tip, mut before) = (db.clone(), None);
    for depth in 0..100 {
        tip = tip.create_branch(&format!("b{depth}"), &NewBranch::default()).unwrap();
        let key = format!("k{:02}", depth % 70);
        put(&tip, &space, &key, &format!("of {depth}"));
        expected.insert(key, format!("of {depth}"));
        if depth % 10 == 3 {
            tip.write(|tx| tx.delete(&space, format!("k{:02}", depth / 2))).unwrap();
            expected.remove(&format!("k{:02}", depth / 2));
            db.checkpoint().unwrap();
        }
        if depth == 50 {
            tip.write(|tx| tx.delete(&space, "gone")).unwrap();
            before = Some((tip.last_commit(), expected.clone()));
        }
    }
    for round in 0..3 {
        // Often enough for what lies beneath to be put together.
        for n in 0..70 {
            let key = format!("k{n:02}");
            assert_eq!(value(&tip, &space, &key), expected.get(&key).cloned(), "{key}, round {round}");
        }
        assert_eq!(value(&tip, &space, "base").unwrap(), "main");
        assert_eq!(value(&tip, &space, "gone"), None);
        assert_eq!(all(&tip, &space), expected.clone().into_iter().collect::<Vec<_>>());
        let read = tip.read().unwrap();
        let backward: Vec<_> =
            read.range_rev(&space, "k10".."k30").unwrap().map(|it| it.unwrap().0).collect();
        let wanted: Vec<_> = expected.range("k10".to_owned().."k30".to_owned()).rev().collect();
        assert_eq!(backward, wanted.iter().map(|(key, _)| key.as_bytes().to_vec()).collect::<Vec<_>>());
        let (at, then) = before.as_ref().unwrap();
        let read = tip.read_at(*at).unwrap();
        let found: Vec<_> = read.iter(&space).unwrap().map(Result::unwrap).collect();
        let wanted = then.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        assert_eq!(found, wanted.collect::<Vec<_>>(), "round {round}");
        drop(read);
        match round {
            0 => db.checkpoint().unwrap(),
            _ => {
                drop((tip, db));
                db = Database::open(storage.share(), options()).unwrap();
                tip = db.branch("b99").unwrap();
            }
        }
    }
    assert!(db.verify().unwrap().is_sound());
}

#[test]
fn branches_nest_as_deep_as_the_limit_and_no_deeper() {
    let db = Database::open_memory().unwrap();
    let mut tip = db.clone();
    for depth in 0..dosql::limits::MAX_BRANCH_DEPTH {
        tip = tip.create_branch(&format!("b{depth}"), &NewBranch::default()).unwrap();
    }
    let error = tip.create_branch("deeper", &NewBranch::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn a_read_through_many_branches_looks_at_few_pages() {
    let db = Database::open_memory().unwrap();
    let sql = db.connect().unwrap();
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)").unwrap();
    let rows = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 20000) INSERT INTO t SELECT i, 0 FROM k";
    sql.execute(rows, ()).unwrap();
    db.checkpoint().unwrap();
    let pages = |branch: &Database| {
        let sql = branch.connect().unwrap();
        let mut read = sql.prepare("SELECT n FROM t WHERE id = ?1").unwrap();
        let mut read = |from: i64| {
            for id in from..from + 100 {
                read.query_row([id], |row| row.get::<i64>(0)).unwrap();
            }
        };
        read(1000);
        let looked = |stats: dosql::Stats| stats.pages.hits + stats.pages.misses;
        let before = looked(branch.stats());
        read(2000);
        looked(branch.stats()) - before
    };
    let (mut tip, mut shallow) = (db.clone(), 0);
    for depth in 1..=64 {
        tip = tip.create_branch(&format!("b{depth}"), &NewBranch::default()).unwrap();
        tip.connect().unwrap().execute("UPDATE t SET n = 1 WHERE id = ?1", [depth]).unwrap();
        if depth == 1 {
            shallow = pages(&tip);
        }
    }
    let deep = pages(&tip);
    assert!(deep <= shallow + shallow / 4, "{deep} pages through 64 branches, {shallow} through one");
}

#[test]
fn a_dropped_parent_stays_for_its_children_and_goes_when_none_needs_it() {
    let options = Options { page_size: 4096, maintenance: dosql::Maintenance::Caller, ..Options::default() };
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "a", "main");
    db.checkpoint().unwrap();
    let before = db.space().unwrap();
    let parent = db.create_branch("parent", &NewBranch::default()).unwrap();
    for n in 0..200 {
        put(&parent, &space, &format!("p{n}"), &"x".repeat(300));
    }
    let child = parent.create_branch("child", &NewBranch::default()).unwrap();
    put(&child, &space, "c", "child");
    db.drop_branch("parent").unwrap();
    let error = parent.read().err().unwrap();
    assert!(error.to_string().contains("no such branch: parent"), "{error}");
    assert!(parent.write(|tx| tx.put(&space, "x", "y")).is_err());
    db.checkpoint().unwrap();
    assert_eq!(all(&child, &space).len(), 202);
    assert_eq!(db.branches().iter().find(|it| it.name == "child").unwrap().parent, None);
    db.drop_branch("child").unwrap();
    drop((parent, child));
    for _ in 0..4 {
        put(&db, &space, "a", "again");
        db.checkpoint().unwrap();
    }
    let after = db.space().unwrap();
    assert!(after.live <= before.live + 2, "{before:?} {after:?}");
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    assert!(db.create_branch("parent", &NewBranch::default()).is_ok(), "the name is free");
}

#[test]
fn a_transaction_under_way_on_a_dropped_branch_can_not_commit() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "a", "main");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let mut tx = draft.begin_write().unwrap();
    tx.put(&space, "a", "draft").unwrap();
    db.drop_branch("draft").unwrap();
    assert!(tx.commit().unwrap_err().to_string().contains("no such branch"));
}

#[test]
fn a_long_write_on_one_branch_holds_up_nobody_on_another() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "n", "0");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let mut long = draft.begin_write().unwrap();
    long.put(&space, "n", "long").unwrap();
    db.try_write(|tx| tx.put(&space, "n", "short")).unwrap();
    assert_eq!(draft.try_write(|tx| tx.put(&space, "n", "x")).unwrap_err().kind(), ErrorKind::Busy);
    long.commit().unwrap();
    assert_eq!(
        (value(&db, &space, "n").unwrap(), value(&draft, &space, "n").unwrap()),
        ("short".into(), "long".into())
    );
}

#[test]
fn optimistic_transactions_conflict_within_a_branch_only() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "n", "0");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let mut here = draft.begin(Begin::Concurrent(Isolation::Serializable)).unwrap();
    here.get(&space, "n").unwrap();
    here.put(&space, "n", "1").unwrap();
    put(&db, &space, "n", "main");
    here.commit().unwrap();
    let mut again = draft.begin(Begin::Concurrent(Isolation::Serializable)).unwrap();
    again.get(&space, "n").unwrap();
    again.put(&space, "n", "2").unwrap();
    put(&draft, &space, "n", "other");
    assert_eq!(again.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn writers_on_two_branches_in_threads_do_not_meet() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "n", "0");
    let branches: Vec<Database> =
        (0..3).map(|n| db.create_branch(&format!("b{n}"), &NewBranch::default()).unwrap()).collect();
    std::thread::scope(|scope| {
        for (n, branch) in branches.iter().enumerate() {
            let space = &space;
            scope.spawn(move || {
                for round in 0..200u32 {
                    branch
                        .write(|tx| {
                            let before = tx
                                .get(space, "n")?
                                .map_or(0, |v| std::str::from_utf8(&v).unwrap().parse::<u32>().unwrap());
                            tx.put(space, "n", (before + 1).to_string())?;
                            tx.put(space, format!("b{n}/{round}"), round.to_string())
                        })
                        .unwrap();
                }
            });
        }
        for _ in 0..20 {
            db.checkpoint().unwrap();
        }
    });
    for (n, branch) in branches.iter().enumerate() {
        assert_eq!(value(branch, &space, "n").unwrap(), "200");
        let entries = all(branch, &space);
        assert_eq!(entries.len(), 201);
        assert!(entries.iter().all(|(key, _)| key == "n" || key.starts_with(&format!("b{n}/"))));
    }
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
}

#[test]
fn a_branch_expires_by_the_clock_of_the_environment_and_goes_with_a_checkpoint() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let env = Env::new(Arc::clone(&clock) as Arc<dyn dosql::Clock>, Arc::new(SeededEntropy::new(1)));
    let db = Database::open(Storage::memory(), Options { env: Some(env), ..Options::default() }).unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "a", "1");
    let ttl = Some(Duration::from_secs(60));
    let draft = db.create_branch("draft", &NewBranch { ttl, ..NewBranch::default() }).unwrap();
    put(&draft, &space, "a", "2");
    clock.set(Timestamp::from_micros(62_000_000));
    for error in
        [draft.read().err().unwrap(), db.branch("draft").err().unwrap(), draft.begin_write().err().unwrap()]
    {
        assert!(error.to_string().contains("expired at"), "{error}");
    }
    db.checkpoint().unwrap();
    assert!(db.branches().iter().all(|branch| branch.name != "draft"));
    let kept = db.create_branch("kept", &NewBranch { ttl, ..NewBranch::default() }).unwrap();
    db.expire_branch("kept", None).unwrap();
    clock.set(Timestamp::from_micros(600_000_000));
    assert_eq!(value(&kept, &space, "a").unwrap(), "1");
}

#[test]
fn a_protected_branch_refuses_writes_and_to_be_dropped() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    put(&db, &space, "a", "1");
    let draft = db.create_branch("draft", &NewBranch { protected: true, ..NewBranch::default() }).unwrap();
    assert_eq!(draft.begin_write().err().unwrap().kind(), ErrorKind::ReadOnly);
    assert_eq!(draft.begin_concurrent().err().unwrap().kind(), ErrorKind::ReadOnly);
    let mut deferred = draft.begin(Begin::Deferred).unwrap();
    assert_eq!(deferred.put(&space, "a", "2").unwrap_err().kind(), ErrorKind::ReadOnly);
    assert!(db.drop_branch("draft").unwrap_err().to_string().contains("protected"));
    assert_eq!(value(&draft, &space, "a").unwrap(), "1");
    db.protect_branch("draft", false).unwrap();
    put(&draft, &space, "a", "2");
    db.drop_branch("draft").unwrap();
}

#[test]
fn names_are_checked_and_shared_with_tags() {
    let db = Database::open_memory().unwrap();
    let new = NewBranch::default();
    db.create_tag("v1", None).unwrap();
    db.create_branch("draft", &new).unwrap();
    for (name, why) in [
        ("", "no name"),
        ("a b", "no name"),
        ("v1", "already a tag"),
        ("Draft", "already a branch"),
        ("main", "already a branch"),
    ] {
        let error = db.create_branch(name, &new).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
    assert!(db.create_tag("DRAFT", None).unwrap_err().to_string().contains("already a branch"));
    assert!(db.drop_branch("main").is_err() && db.rename_branch("main", "x").is_err());
    db.rename_branch("draft", "better").unwrap();
    assert!(db.branch("draft").is_err());
    let names: Vec<String> = db.branches().into_iter().map(|branch| branch.name).collect();
    assert_eq!(names, ["better", "main"]);
}

#[test]
fn branches_come_back_after_a_reopen_with_or_without_a_checkpoint() {
    for checkpoint in [false, true] {
        let storage = Storage::memory();
        let db = Database::open(storage.share(), Options::default()).unwrap();
        let space = db.keyspace("s").unwrap();
        put(&db, &space, "a", "main");
        let ttl = Some(Duration::from_secs(1_000_000));
        let one =
            db.create_branch("one", &NewBranch { ttl, protected: false, ..NewBranch::default() }).unwrap();
        put(&one, &space, "a", "one");
        if checkpoint {
            db.checkpoint().unwrap();
        }
        let two = one.create_branch("two", &NewBranch::default()).unwrap();
        put(&one, &space, "a", "one again");
        put(&two, &space, "b", "two");
        db.create_branch("gone", &NewBranch::default()).unwrap();
        db.drop_branch("gone").unwrap();
        db.rename_branch("two", "deux").unwrap();
        db.protect_branch("deux", true).unwrap();
        let listed = db.branches();
        drop((db, one, two));
        let db = Database::open(storage, Options::default()).unwrap();
        assert_eq!(db.branches(), listed);
        assert_eq!(all(&db.branch("one").unwrap(), &space), pairs(&[("a", "one again")]));
        assert_eq!(all(&db.branch("deux").unwrap(), &space), pairs(&[("a", "one"), ("b", "two")]));
        assert!(db.branch("gone").is_err());
        assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
    }
}

#[test]
fn a_backup_has_all_branches() -> Result<()> {
    let db = Database::open_memory()?;
    let space = db.keyspace("s")?;
    let then = put(&db, &space, "a", "main");
    let draft = db.create_branch("draft", &NewBranch::default())?;
    put(&draft, &space, "a", "draft");
    put(&db, &space, "a", "main again");
    draft.create_tag("v1", None)?;
    put(&draft, &space, "a", "later");
    let copy = Storage::memory_with(&Options { page_size: db.stats().page_size, ..Options::default() });
    db.backup_to(&copy)?;
    let copy = Database::open(copy, Options::default())?;
    assert_eq!(value(&copy.branch("draft")?, &space, "a").unwrap(), "later");
    assert_eq!(copy.read_at(then)?.get(&space, "a")?.as_deref(), Some(&b"main"[..]));
    assert_eq!(copy.branches(), db.branches());
    Ok(())
}

#[test]
fn long_keys_of_a_bucket_stay_together_on_a_branch() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    let long = |end: &str| format!("{}{end}", "k".repeat(9000));
    put(&db, &space, &long("a"), "main a");
    put(&db, &space, &long("b"), "main b");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    put(&draft, &space, &long("a"), "draft a");
    draft.write(|tx| tx.delete(&space, long("b"))).unwrap();
    put(&draft, &space, &long("c"), "draft c");
    assert_eq!(all(&draft, &space), [(long("a"), "draft a".to_owned()), (long("c"), "draft c".to_owned())]);
    assert_eq!(all(&db, &space), [(long("a"), "main a".to_owned()), (long("b"), "main b".to_owned())]);
}

#[test]
fn the_feed_of_a_branch_tells_its_own_changes() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("s").unwrap();
    let first = put(&db, &space, "a", "1");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    let begun = draft.last_commit();
    for checkpoint in [false, true] {
        put(&db, &space, "a", "main");
        put(&draft, &space, "a", &format!("draft {checkpoint}"));
        draft.write(|tx| tx.delete(&space, "a")).unwrap();
        if checkpoint {
            db.checkpoint().unwrap();
        }
        let mut changes = draft.changes(begun).unwrap();
        let mut seen = Vec::new();
        while let Some(change) = changes.try_next().unwrap() {
            assert_eq!(&*change.branch, "draft");
            let dosql::feed::Event::Entry(entry) = change.event else { continue };
            let text = |value: Option<dosql::Bytes>| value.map(|it| String::from_utf8(it.to_vec()).unwrap());
            seen.push((text(entry.before), text(entry.after)));
        }
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(seen[..2], [(some("1"), some("draft false")), (some("draft false"), None)]);
        assert_eq!(seen.len(), if checkpoint { 4 } else { 2 });
    }
    let mut whole = draft.changes(Timestamp::ZERO).unwrap();
    assert!(whole.try_next().is_ok());
    let error = draft.changes(first.previous()).err().unwrap();
    assert!(error.to_string().contains("the branch draft begins at"), "{error}");
}

#[test]
fn a_branch_that_nobody_writes_does_not_pin_what_its_parent_was() {
    let options = Options {
        page_size: 4096,
        pinned_bytes: 64 << 10,
        dirty_bytes: 512 << 20,
        log_limit: 512 << 20,
        durability: dosql::Durability::None,
        ..Options::default()
    };
    let db = Database::open(Storage::memory_with(&options), options).unwrap();
    let space = db.keyspace("s").unwrap();
    db.write(|tx| (0..2000u32).try_for_each(|n| tx.put(&space, n.to_be_bytes(), [0u8; 500]))).unwrap();
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    for round in 1..200u32 {
        db.write(|tx| {
            (0..20u32).try_for_each(|n| {
                tx.put(&space, ((n * 97 + round * 13) % 2000).to_be_bytes(), [round as u8; 500])
            })
        })
        .unwrap();
    }
    let pinned = db.stats().memory.pinned_images;
    assert!(pinned < 1 << 20, "{pinned}");
    let read = draft.read().unwrap();
    assert!(read.iter(&space).unwrap().all(|entry| entry.unwrap().1 == [0u8; 500]));
}

#[test]
fn a_tag_of_a_moment_before_a_branch_began_is_one_of_its_parent() {
    let options = Options { retention: 0, ..Options::default() };
    let db = Database::open(Storage::memory(), options).unwrap();
    let space = db.keyspace("s").unwrap();
    let then = put(&db, &space, "a", "1");
    let draft = db.create_branch("draft", &NewBranch::default()).unwrap();
    put(&draft, &space, "a", "2");
    draft.create_tag("begun", Some(then)).unwrap();
    draft.create_tag("own", None).unwrap();
    put(&draft, &space, "a", "3");
    put(&db, &space, "a", "main");
    let names = |db: &Database| db.tags().into_iter().map(|tag| tag.name).collect::<Vec<_>>();
    assert_eq!(
        (names(&db), names(&draft)),
        (vec!["begun".to_owned()], vec!["begun".to_owned(), "own".to_owned()])
    );
    let own = draft.tags()[1].at;
    db.drop_branch("draft").unwrap();
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    assert_eq!(db.read_at(then).unwrap().get(&space, "a").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(draft.read_at(own).is_err());
    db.create_tag("own", None).unwrap();
    db.drop_tag("own").unwrap();
    db.drop_tag("begun").unwrap();
    put(&db, &space, "a", "again");
    assert_eq!(db.read_at(then).err().unwrap().code(), Code::AsOfExpired);
    assert!(db.verify().unwrap().is_sound(), "{:?}", db.verify());
}
