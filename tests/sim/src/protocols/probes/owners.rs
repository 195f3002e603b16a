//! Two who both take themselves for the owner of a database: one was rebuilt from what the other had published, and neither harms what the
//! other relies on.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::stores::{MemoryLogStore, MemoryPageStore, SegmentStore};
use dosql::{Database, Error, ErrorKind, ManualClock, Options, Result, Storage, Timestamp};

use super::Tally;
use crate::protocols::scenario::Settings;

const SPACE: &str = "space";
/// Rows that each of them writes.
const ROWS: u32 = 120;

fn options(seed: u64) -> Options {
    let settings = Settings { hot_budget: 1, history_runs: 2, ..Settings::DEFAULT };
    settings.options(Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000))), seed)
}

/// Writes rows that say `tag`, and moves them.
fn write(db: &Database, tag: u8) -> Result<()> {
    let space = db.keyspace(SPACE)?;
    db.write(|tx| (0..ROWS).try_for_each(|key| tx.put(&space, key.to_be_bytes(), vec![tag; 150])))?;
    db.checkpoint()?;
    while !db.maintain(1usize << 20)?.done {}
    Ok(())
}

fn says(db: &Database, tag: u8) -> Result<bool> {
    let rows: BTreeMap<Vec<u8>, Vec<u8>> = db.read()?.iter(&db.keyspace(SPACE)?)?.collect::<Result<_>>()?;
    Ok(rows.len() == ROWS as usize && rows.values().all(|value| *value == vec![tag; 150]))
}

pub(super) fn two_owners(tally: &mut Tally) {
    // The later owner has published before the former one notices, or not.
    for published in [false, true] {
        let judge = || live(published).unwrap_or_else(|error| vec![format!("{error:?}")]);
        if !tally.case(|| format!("the later owner has published: {published}"), judge) {
            return;
        }
    }
}

fn live(published: bool) -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    let mut expect = |right: bool, what: &str| {
        if !right {
            mistakes.push(what.to_owned());
        }
    };
    let storage = Storage::memory_with(&options(1));
    let segments: Arc<dyn SegmentStore> = Arc::clone(&storage.segments);
    let former = Database::open(storage, options(1))?;
    write(&former, 1)?;
    former.publish()?;
    let (pages, log) = (Arc::new(MemoryPageStore::new(4096)), Arc::new(MemoryLogStore::new()));
    let target = Storage::new(pages, log, Arc::clone(&segments));
    Database::restore(Arc::clone(&segments), None, None, &target, options(2))?;
    let later = Database::open(target.share(), options(2))?;
    write(&later, 2)?;
    if published {
        later.publish()?;
    }
    // It goes on as if nothing had happened.
    for tag in 3..6 {
        write(&former, tag)?;
    }
    let collected = former.collect_orphans();
    let fenced = |error: &Error| error.kind() == ErrorKind::Fenced;
    if published {
        expect(collected.is_err_and(|error| fenced(&error)), "who is fenced off collects orphans");
        expect(former.publish().is_err_and(|error| fenced(&error)), "who is fenced off publishes");
    }
    expect(says(&former, 5)?, "the former owner has lost rows");
    drop(later);
    let later = Database::open(target, options(3))?;
    expect(says(&later, 2)?, "the later owner has lost rows");
    expect(later.verify()?.is_sound(), "the later owner's database is not sound");
    for point in Database::published(&segments, None)? {
        let attached = Database::attach(Arc::clone(&segments), None, Some(point.at), options(4))?;
        expect(says(&attached, point.number as u8)?, "a published point is not what it was");
    }
    Ok(mistakes)
}
