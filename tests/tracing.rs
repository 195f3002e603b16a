//! With the feature `tracing`: what a subscriber sees of the work of a database.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::fmt;
use std::sync::{Arc, Mutex};

use dosql::{Database, Options, Storage};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Notes each span when it is entered: those around it, its name and fields.
#[derive(Default)]
struct Collector(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    spans: Vec<String>,
    open: Vec<usize>,
    entered: Vec<String>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "dosql"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        let mut seen = self.0.lock().unwrap();
        seen.spans.push(fields.0);
        Id::from_u64(seen.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        let mut seen = self.0.lock().unwrap();
        seen.open.push(id.into_u64() as usize - 1);
        let path: Vec<&str> = seen.open.iter().map(|&span| seen.spans[span].as_str()).collect();
        let path = path.join(" > ");
        seen.entered.push(path);
    }

    fn exit(&self, id: &Id) {
        let left = self.0.lock().unwrap().open.pop();
        assert_eq!(left, Some(id.into_u64() as usize - 1), "spans end in the order that they nest in");
    }
}

/// What `work` enters.
fn entered(work: impl FnOnce()) -> Vec<String> {
    let collector = Arc::new(Collector::default());
    let seen = Arc::clone(&collector);
    tracing::subscriber::with_default(collector, work);
    let seen = seen.0.lock().unwrap();
    assert!(seen.open.is_empty());
    seen.entered.clone()
}

#[test]
fn opening_shows_its_recovery() {
    let storage = Storage::memory();
    let spans = entered(|| drop(Database::open(storage, Options::default()).unwrap()));
    assert_eq!(spans[..2], ["open", "open > recover"]);
}

#[test]
fn a_statement_shows_its_text_and_the_commit_and_sync_within_it() {
    let db = Database::open_memory().unwrap();
    let connection = db.connect().unwrap();
    connection.execute("CREATE TABLE t (x)", ()).unwrap();
    let insert = "INSERT INTO t VALUES (1), (2)";
    let spans = entered(|| {
        connection.execute(insert, ()).unwrap();
        let sum: i64 = connection.query_row("SELECT sum(x) FROM t", (), |row| row.get(0)).unwrap();
        assert_eq!(sum, 3);
    });
    let execute = format!("execute sql={insert:?}");
    let expected = [
        format!("prepare sql={insert:?}"),
        execute.clone(),
        format!("{execute} > commit changes=2"),
        format!("{execute} > log_sync"),
        "rows".to_owned(),
        "prepare sql=\"SELECT sum(x) FROM t\"".to_owned(),
        "execute sql=\"SELECT sum(x) FROM t\"".to_owned(),
    ];
    assert_eq!(spans[..expected.len()], expected);
}

#[test]
fn a_checkpoint_shows_its_steps() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| tx.put(&space, "k", "v")).unwrap();
    let spans = entered(|| db.checkpoint().unwrap());
    let steps = [
        "checkpoint",
        "checkpoint > gather",
        "checkpoint > build",
        "checkpoint > freeze",
        "checkpoint > write",
    ];
    assert_eq!(spans, steps);
}

#[test]
fn a_backup_and_giving_space_back_show_themselves() {
    let db = Database::open_memory().unwrap();
    let space = db.keyspace("space").unwrap();
    db.write(|tx| (0..2_000u32).try_for_each(|n| tx.put(&space, n.to_be_bytes(), [0; 400]))).unwrap();
    let spans = entered(|| assert_eq!(db.backup_to(&Storage::memory()).unwrap(), db.last_commit()));
    assert!(
        spans.contains(&"backup".to_owned()) && spans.contains(&"backup > checkpoint".to_owned()),
        "{spans:?}"
    );
    for round in 0..4u8 {
        db.write(|tx| (0..2_000u32).try_for_each(|n| tx.put(&space, n.to_be_bytes(), [round; 4]))).unwrap();
        db.checkpoint().unwrap();
    }
    let spans = entered(|| assert!(db.compact().is_ok()));
    assert!(spans.contains(&"shrink > checkpoint".to_owned()), "{spans:?}");
}
