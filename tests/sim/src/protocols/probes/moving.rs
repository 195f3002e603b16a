//! Commits while rows are on their way into a segment: at the moment when it is stored, and nothing names it yet.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use dosql::stores::{MemoryLogStore, MemoryPageStore, MemorySegmentStore, SegmentStore};
use dosql::{Database, ManualClock, Result, Storage, Timestamp};
use parking_lot::Mutex;

use super::Tally;
use crate::protocols::scenario::Settings;

const SPACE: &str = "space";

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Objects in memory; what was planned happens when the next is put.
#[derive(Default)]
struct Meanwhile {
    objects: MemorySegmentStore,
    planned: Mutex<Option<Database>>,
}

impl SegmentStore for Meanwhile {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let planned = self.planned.lock().take();
        if let Some(db) = planned {
            change(&db)?;
        }
        self.objects.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.objects.read(name, range)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.objects.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.objects.list(prefix)
    }
}

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// Some rows are written over, some go, some are new.
fn change(db: &Database) -> Result<()> {
    let space = db.keyspace(SPACE)?;
    db.write(|tx| {
        (0..40).step_by(5).try_for_each(|n| tx.put(&space, key(n), "written over"))?;
        (1..40).step_by(5).try_for_each(|n| tx.delete(&space, key(n)))?;
        (40..45).try_for_each(|n| tx.put(&space, key(n), "new"))
    })
}

fn changed(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    (0..40).step_by(5).for_each(|n| drop(rows.insert(key(n).to_vec(), b"written over".to_vec())));
    (1..40).step_by(5).for_each(|n| drop(rows.remove(key(n).as_slice())));
    (40..45).for_each(|n| drop(rows.insert(key(n).to_vec(), b"new".to_vec())));
    rows
}

pub(super) fn moving(tally: &mut Tally) {
    for again in [false, true] {
        let judge = || live(again).unwrap_or_else(|error| vec![format!("{error:?}")]);
        if !tally.case(|| format!("moved before: {again}"), judge) {
            return;
        }
    }
}

fn live(again: bool) -> Result<Vec<String>> {
    let segments = Arc::new(Meanwhile::default());
    let (pages, log) = (Arc::new(MemoryPageStore::new(4096)), Arc::new(MemoryLogStore::new()));
    let storage = Storage::new(pages, log, segments.clone());
    let settings = Settings { hot_budget: 1, ..Settings::DEFAULT };
    let options = |seed| settings.options(Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000))), seed);
    let db = Database::open(storage.share(), options(1))?;
    let (space, mut rows) = (db.keyspace(SPACE)?, Rows::new());
    let fill = |rows: &mut Rows, tag: u8| -> Result<()> {
        let value = vec![tag; 200];
        db.write(|tx| (0..40).try_for_each(|n| tx.put(&space, key(n), &value)))?;
        (0..40).for_each(|n| drop(rows.insert(key(n).to_vec(), value.clone())));
        Ok(())
    };
    fill(&mut rows, 1)?;
    if again {
        db.checkpoint()?;
        while !db.maintain(1usize << 20)?.done {}
        fill(&mut rows, 2)?;
    }
    let before = db.last_commit();
    *segments.planned.lock() = Some(db.clone());
    db.checkpoint()?;
    while !db.maintain(1usize << 20)?.done {}
    let after = changed(&rows);
    let mut mistakes = Vec::new();
    let mut judge = |db: &Database, place: &str| -> Result<()> {
        let read = |at: Option<Timestamp>| -> Result<Rows> {
            let read = at.map_or_else(|| db.read(), |at| db.read_at(at))?;
            read.iter(&db.keyspace(SPACE)?)?.collect()
        };
        if segments.planned.lock().is_some() || db.segments().is_empty() {
            mistakes.push(format!("{place}: nothing has moved"));
        }
        if read(None)? != after {
            mistakes.push(format!("{place}: the rows are not what they were made"));
        }
        if read(Some(before))? != rows {
            mistakes.push(format!("{place}: the rows before are not what they were"));
        }
        if !db.verify()?.is_sound() {
            mistakes.push(format!("{place}: the database is not sound"));
        }
        Ok(())
    };
    judge(&db, "moved")?;
    db.checkpoint()?;
    while !db.maintain(1usize << 20)?.done {}
    judge(&db, "moved again")?;
    drop(db);
    judge(&Database::open(storage, options(2))?, "opened again")?;
    Ok(mistakes)
}
