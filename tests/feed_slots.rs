//! Feed slots: named places in the feed that the database remembers, within caps.

mod common;

use std::sync::Arc;

use common::{Clock, cells, with_clock};
use dosql::feed::{Event, FeedStart, FeedState, NewFeed, Op, Slot};
use dosql::{Code, Connection, Database, Options, Storage};

const DAY: u64 = 24 * 3_600_000_000;

struct World {
    storage: Storage,
    options: Options,
    clock: Arc<Clock>,
    db: Option<Database>,
}

impl World {
    fn new() -> World {
        let options = Options { retention: 3_600_000_000, page_size: 4096, ..Options::default() };
        let (options, clock) = with_clock(options);
        clock.set(common::at(40 * 365 * DAY));
        let storage = Storage::memory_with(&options);
        let db = Database::open(storage.share(), options.clone()).unwrap();
        db.connect().unwrap().execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)").unwrap();
        World { storage, options, clock, db: Some(db) }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn sql(&self) -> Connection {
        self.db().connect().unwrap()
    }

    fn run(&self, sql: &str) {
        self.sql().execute_batch(sql).unwrap();
    }

    fn reopen(&mut self) {
        self.db = None;
        self.db = Some(Database::open(self.storage.share(), self.options.clone()).unwrap());
    }
}

/// What a slot hands out now: the rows, before and after.
fn told(slot: &mut Slot) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(change) = slot.try_next().unwrap() {
        if let Event::Row(row) = change.event {
            let text = |row: &Option<Vec<dosql::Value>>| match row {
                Some(row) => row.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                None => "-".to_owned(),
            };
            all.push(format!("{} {} > {}", row.op.name(), text(&row.before), text(&row.after)));
        }
    }
    all
}

#[test]
fn a_slot_goes_on_where_it_was_confirmed_across_reopening_and_past_the_retention() {
    let mut world = World::new();
    world.run("CREATE FEED lake FOR TABLE t (id, v)");
    world.run("INSERT INTO t VALUES (1, 'a', 0)");
    let mut slot = world.db().feed_slot("LAKE").unwrap();
    assert_eq!(told(&mut slot), ["insert - > 1,'a'"]);
    let seen = slot.reached().clone();
    slot.ack(seen).unwrap();
    drop(slot);
    world.run("UPDATE t SET v = 'b'; UPDATE t SET w = 1; UPDATE t SET v = 'c'");
    for _ in 0..3 {
        // Long after the retention, and after checkpoints: what the slot needs is there, before-images too.
        world.clock.advance(DAY);
        world.run("INSERT INTO t VALUES (9, 'x', 0); DELETE FROM t WHERE id = 9");
        world.db().checkpoint().unwrap();
        world.reopen();
        let mut slot = world.db().feed_slot("lake").unwrap();
        assert_eq!(told(&mut slot)[..2], ["update 1,'a' > 1,'b'", "update 1,'b' > 1,'c'"]);
    }
    let pins = cells(&world.sql(), "SELECT kind, name FROM dosql_pins WHERE kind = 'feed'").unwrap();
    assert_eq!(pins, ["feed|lake"]);
    let mut slot = world.db().feed_slot("lake").unwrap();
    told(&mut slot);
    let seen = slot.reached().clone();
    slot.ack(seen).unwrap();
    drop(slot);
    // Confirmed: history goes.
    world.run("UPDATE t SET v = 'd'");
    world.db().delete_history(None).unwrap_or(());
    let feeds = cells(&world.sql(), "SELECT name, state FROM dosql_feeds").unwrap();
    assert_eq!(feeds, ["lake|lost"], "DELETE HISTORY asks nobody");
    world.run("DROP FEED lake");
    assert!(world.db().feeds().is_empty());
    assert!(world.sql().execute("DROP FEED lake", ()).is_err());
    world.run("DROP FEED IF EXISTS lake");
}

#[test]
fn a_slot_that_is_behind_by_more_than_its_caps_is_lost_and_says_so() {
    let mut world = World::new();
    world.run("CREATE FEED old WITH (max_age = '2 hours'); CREATE FEED small WITH (max_lag_bytes = 2000)");
    let state = |world: &World, name: &str| {
        world.db().feeds().into_iter().find(|feed| feed.name == name).unwrap().state
    };
    world.run("INSERT INTO t VALUES (1, 'a', 0)");
    assert_eq!((state(&world, "old"), state(&world, "small")), (FeedState::Active, FeedState::Active));
    world.run("INSERT INTO t VALUES (2, hex(zeroblob(700)), 0)");
    assert_eq!((state(&world, "old"), state(&world, "small")), (FeedState::Active, FeedState::Lagging));
    world.run("INSERT INTO t VALUES (3, hex(zeroblob(700)), 0)");
    assert_eq!((state(&world, "old"), state(&world, "small")), (FeedState::Active, FeedState::Lost));
    assert_eq!(world.db().feed_slot("small").unwrap_err().code(), Code::FeedLost);
    world.clock.advance(90 * 60_000_000);
    assert_eq!(state(&world, "old"), FeedState::Lagging);
    world.clock.advance(60 * 60_000_000);
    assert_eq!(state(&world, "old"), FeedState::Lost);
    world.run("UPDATE t SET v = 'x'");
    world.db().checkpoint().unwrap();
    world.reopen();
    assert_eq!(world.db().feed_slot("old").unwrap_err().code(), Code::FeedLost);
    // History is not kept for it.
    let entries = world.db().stats().history_entries;
    world.clock.advance(DAY);
    world.run("UPDATE t SET v = 'y'");
    world.db().checkpoint().unwrap();
    assert!(world.db().stats().history_entries <= entries.max(3));
}

#[test]
fn a_slot_that_is_told_everything_is_not_lost_while_nothing_happens() {
    let mut world = World::new();
    world.run("CREATE FEED f; INSERT INTO t VALUES (1, 'a', 0)");
    let mut slot = world.db().feed_slot("f").unwrap();
    told(&mut slot);
    let seen = slot.reached().clone();
    for _ in 0..10 {
        // Nothing new, but its reader is there.
        slot.ack(seen.clone()).unwrap();
        world.clock.advance(3 * DAY);
    }
    drop(slot);
    world.db().checkpoint().unwrap();
    world.reopen();
    world.run("INSERT INTO t VALUES (2, 'b', 0)");
    let rows = cells(&world.sql(), "SELECT name, lag_bytes > 0, state FROM dosql_feeds").unwrap();
    assert_eq!(rows, ["f|1|active"]);
    assert_eq!(told(&mut world.db().feed_slot("f").unwrap()), ["insert - > 2,'b',0"]);
}

#[test]
fn a_slot_from_a_snapshot_gives_the_rows_then_the_changes_and_resumes_within() {
    let mut world = World::new();
    world.run("INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0)");
    let snapshot = NewFeed { from: FeedStart::Snapshot, ..NewFeed::default() };
    world.db().create_feed("all", &snapshot).unwrap();
    world.run("UPDATE t SET v = 'c' WHERE id = 1");
    world.reopen();
    let mut slot = world.db().feed_slot("all").unwrap();
    let mut ops = Vec::new();
    while let Some(change) = slot.try_next().unwrap() {
        if let Event::Row(row) = &change.event {
            ops.push(row.op);
            if ops.len() == 1 {
                let within = slot.reached().clone();
                slot.ack(within).unwrap();
            }
        }
    }
    assert_eq!(ops, [Op::Read, Op::Read, Op::Update]);
    drop(slot);
    world.reopen();
    let mut slot = world.db().feed_slot("all").unwrap();
    assert_eq!(
        told(&mut slot),
        ["insert - > 2,'b',0".replace("insert", "read"), "update 1,'a',0 > 1,'c',0".to_owned()]
    );
    let later = dosql::Timestamp::from_micros(world.db().last_commit().as_micros() + 1);
    assert!(slot.ack(later).is_err(), "not handed out yet");
}

#[test]
fn what_can_not_be_a_feed_is_refused() {
    let world = World::new();
    let sql = world.sql();
    for wrong in [
        "CREATE FEED f FOR TABLE nothing",
        "CREATE FEED f FOR TABLE t (nothing)",
        "CREATE FEED f FROM LSN 1",
        "CREATE FEED f WITH (max_age = '2 moons')",
        "CREATE FEED f WITH (max_lag_bytes = 'much')",
        "CREATE FEED f WITH (colour = 1)",
        "CREATE FEED \"no name\"",
    ] {
        assert!(sql.execute(wrong, ()).is_err(), "{wrong}");
    }
    let at = sql.last_commit().as_micros();
    world.run(&format!(
        "CREATE FEED f FROM LSN {at} FOR TABLE t, t (id) WITH (max_lag_bytes = '1 GB', max_age = 7 DAYS)"
    ));
    assert!(sql.execute("CREATE FEED F", ()).is_err());
    world.run("CREATE FEED IF NOT EXISTS f FROM SNAPSHOT; CREATE FEED g FROM CURRENT");
    assert_eq!(cells(&sql, "SELECT name FROM dosql_feeds").unwrap(), ["f", "g"]);
}

#[test]
fn feeds_are_bounded_in_number() {
    let world = World::new();
    for n in 0..dosql::limits::MAX_FEEDS {
        world.db().create_feed(&format!("f{n}"), &NewFeed::default()).unwrap();
    }
    let error = world.db().create_feed("more", &NewFeed::default()).unwrap_err();
    assert_eq!(error.kind(), dosql::ErrorKind::Limit);
}

#[test]
fn a_slot_that_is_made_after_a_long_silence_tells_all_that_comes() {
    for (from, set_back) in [("", 0), (" FROM SNAPSHOT", 0), ("", DAY), (" FROM SNAPSHOT", DAY)] {
        let mut world = World::new();
        world.run("INSERT INTO t VALUES (1, 'a', 0)");
        // Longer than history is kept, and a checkpoint lets it go; then the clock may be set back.
        world.clock.advance(DAY);
        world.db().checkpoint().unwrap();
        world.clock.set(common::at(40 * 365 * DAY + DAY - set_back));
        world.run(&format!("CREATE FEED f{from}"));
        world.reopen();
        world.run("INSERT INTO t VALUES (2, 'b', 0)");
        let mut slot = world.db().feed_slot("f").unwrap();
        let expected = ["read - > 1,'a',0", "insert - > 2,'b',0"];
        assert_eq!(told(&mut slot), expected[usize::from(from.is_empty())..], "{from}, {set_back} back");
    }
}

#[test]
fn a_slot_that_was_told_all_is_there_after_history_was_deleted() {
    let world = World::new();
    world.run("CREATE FEED f; INSERT INTO t VALUES (1, 'a', 0)");
    let mut slot = world.db().feed_slot("f").unwrap();
    told(&mut slot);
    let seen = slot.reached().clone();
    slot.ack(seen).unwrap();
    world.db().delete_history(None).unwrap();
    assert_eq!(world.db().feeds()[0].state, FeedState::Active);
    assert_eq!(told(&mut world.db().feed_slot("f").unwrap()), [""; 0]);
    world.run("INSERT INTO t VALUES (2, 'b', 0)");
    assert_eq!(told(&mut world.db().feed_slot("f").unwrap()), ["insert - > 2,'b',0"]);
}

#[test]
fn to_confirm_what_is_known_is_no_commit() {
    let world = World::new();
    world.run("CREATE FEED f; INSERT INTO t VALUES (1, 'a', 0)");
    let mut slot = world.db().feed_slot("f").unwrap();
    told(&mut slot);
    let seen = slot.reached().clone();
    slot.ack(seen).unwrap();
    let last = world.db().last_commit();
    for _ in 0..3 {
        // It is told of its own confirmation, so to speak.
        assert_eq!(told(&mut slot), [""; 0]);
        let seen = slot.reached().clone();
        slot.ack(seen).unwrap();
        slot = world.db().feed_slot("f").unwrap();
    }
    assert_eq!(world.db().last_commit(), last);
}

#[test]
fn readers_that_confirm_in_turns_come_to_rest() {
    let mut world = World::new();
    world.run("CREATE FEED a; CREATE FEED b FOR TABLE t (id); CREATE FEED c");
    for round in 0..3 {
        if round > 0 {
            world.run(&format!("INSERT INTO t VALUES ({round}, 1, 1)"));
        }
        let mut readers: Vec<Slot> =
            ["a", "b", "c"].iter().map(|name| world.db().feed_slot(name).unwrap()).collect();
        let mut commits = Vec::new();
        for _ in 0..4 {
            for reader in &mut readers {
                told(reader);
                let reached = reader.reached().clone();
                reader.ack(reached).unwrap();
            }
            commits.push(world.db().last_commit());
        }
        assert_eq!(commits[1], commits[3], "nothing was committed but what they confirmed");
        drop(readers);
        if round < 2 {
            world.reopen();
        }
    }
    // Nobody is behind, whoever confirmed last, and however long ago.
    world.clock.advance(30 * DAY);
    let feeds = cells(&world.sql(), "SELECT DISTINCT state FROM dosql_feeds").unwrap();
    assert_eq!(feeds, ["active"]);
}
