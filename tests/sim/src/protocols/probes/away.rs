//! A segment store that fails at one call, or from one on until it is well again: before or after the request took effect, late, short, with
//! other bytes, or with a stale list. Commits go on; what is read is right or an error; and once the store is well all is as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::stores::{MemoryLogStore, MemoryPageStore, MemorySegmentStore, SegmentStore};
use dosql::{Code, Database, Error, ErrorKind, ManualClock, Options, Result, Storage, Timestamp};
use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};

use super::Tally;
use crate::protocols::scenario::Settings;

const SPACE: &str = "space";
const ROUNDS: u32 = 4;
/// No life asks as often as this.
const MOST: u64 = 400;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What goes wrong, where and how long.
#[derive(Clone, Debug)]
struct Trouble {
    call: SegmentCall,
    nth: u64,
    sticky: bool,
    fault: SegmentFault,
}

fn away() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the store is away")
}

fn options(seed: u64) -> Options {
    let settings = Settings { hot_budget: 1, history_runs: 2, ..Settings::DEFAULT };
    settings.options(Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000))), seed)
}

/// Every fault of every call.
pub(super) fn store_away(tally: &mut Tally) {
    use SegmentCall::{Delete, List, Put, Read};
    let late = |calls| SegmentFault::Late(calls, away());
    let faults = [
        (Put, vec![SegmentFault::Before(away()), SegmentFault::After(away()), late(1), late(7)]),
        (Delete, vec![SegmentFault::Before(away()), SegmentFault::After(away()), late(1), late(7)]),
        (
            Read,
            vec![
                SegmentFault::Before(away()),
                SegmentFault::Short(1),
                SegmentFault::Wrong(9),
                SegmentFault::Missing,
            ],
        ),
        (List, vec![SegmentFault::Before(away()), SegmentFault::Stale, SegmentFault::Missing]),
    ];
    for (call, faults) in faults {
        for fault in faults {
            for nth in 0..MOST {
                let mut met = false;
                for sticky in [false, true] {
                    let trouble = Trouble { call, nth, sticky, fault: fault.clone() };
                    let judge = || {
                        let mut life = Life::default();
                        let result = life.live(&trouble, &mut met);
                        life.mistakes.extend(result.err().map(|error| format!("{error:?}")));
                        life.mistakes
                    };
                    if !tally.case(|| format!("{trouble:?}"), judge) {
                        return;
                    }
                }
                if !met {
                    break;
                }
            }
        }
    }
}

#[derive(Default)]
struct Life {
    /// The rows after each commit.
    states: Vec<(Timestamp, Rows)>,
    mistakes: Vec<String>,
}

impl Life {
    fn live(&mut self, trouble: &Trouble, met: &mut bool) -> Result<()> {
        let store = Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())));
        let segments: Arc<dyn SegmentStore> = store.clone();
        let (pages, log) = (Arc::new(MemoryPageStore::new(4096)), Arc::new(MemoryLogStore::new()));
        let storage = Storage::new(pages, log, Arc::clone(&segments));
        let db = Database::open(storage.share(), options(1))?;
        store.inject(trouble.call, trouble.nth, trouble.sticky, trouble.fault.clone());
        for round in 1..=ROUNDS {
            self.write(&db, round)?;
            // Whatever they answer: housekeeping can be done another time.
            let _ = db.checkpoint();
            for _ in 0..4 {
                let _ = db.maintain(1usize << 20);
            }
            if round % 2 == 0 {
                let _ = db.publish();
                let _ = db.collect_orphans();
            }
            self.read(&db, false, "while it is away")?;
            if db.is_poisoned() {
                self.mistakes.push("a store that is away closes the database".to_owned());
                return Ok(());
            }
        }
        *met |= store.faults() > 0;
        store.heal();
        store.land();
        for _ in 0..50 {
            if db.maintain(1usize << 20)?.done {
                break;
            }
        }
        self.read(&db, true, "when it is back")?;
        drop(db);
        let db = Database::open(storage, options(2))?;
        db.collect_orphans()?;
        self.write(&db, ROUNDS + 1)?;
        db.checkpoint()?;
        while !db.maintain(1usize << 20)?.done {}
        self.read(&db, true, "after a restart")?;
        let report = db.verify()?;
        self.mistakes.extend(report.problems);
        self.read_published(&db, &segments)
    }

    /// Commits some rows.
    fn write(&mut self, db: &Database, round: u32) -> Result<()> {
        let space = db.keyspace(SPACE)?;
        let mut rows = self.states.last().map(|(_, rows)| rows.clone()).unwrap_or_default();
        let at = db.write(|tx| {
            for key in (0..40u32).filter(|key| key % round == 0) {
                let value = vec![round as u8; 100 + key as usize];
                tx.put(&space, key.to_be_bytes(), &value)?;
                rows.insert(key.to_be_bytes().to_vec(), value);
            }
            rows.remove((round * 3).to_be_bytes().as_slice());
            tx.delete(&space, (round * 3).to_be_bytes())
        });
        at?;
        self.states.push((db.last_commit(), rows));
        Ok(())
    }

    /// Reads the present and the past: right, or an error that says what is the matter; no error where `well`.
    fn read(&mut self, db: &Database, well: bool, place: &str) -> Result<()> {
        let now = self.states.last().map(|(_, rows)| (None, rows));
        for (at, expected) in self.states.iter().map(|(at, rows)| (Some(*at), rows)).chain(now) {
            let read = || -> Result<Rows> {
                let read = at.map_or_else(|| db.read(), |at| db.read_at(at))?;
                read.iter(&db.keyspace(SPACE)?)?.collect()
            };
            match read() {
                Ok(found) if found == *expected => {}
                Ok(_) => self.mistakes.push(format!("{place}, as of {at:?}: other rows")),
                Err(error) if !well && matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt) => {}
                Err(error) => self.mistakes.push(format!("{place}, as of {at:?}: {error:?}")),
            }
        }
        Ok(())
    }

    /// Every point that the store shows can be read from it.
    fn read_published(&mut self, db: &Database, segments: &Arc<dyn SegmentStore>) -> Result<()> {
        for point in Database::published(segments, Some(db.id()))? {
            let attached = Database::attach(Arc::clone(segments), Some(db.id()), Some(point.at), options(3))?;
            let found: Rows = attached.read()?.iter(&attached.keyspace(SPACE)?)?.collect::<Result<_>>()?;
            let expected = self.states.iter().rev().find(|(at, _)| *at <= point.at).map(|(_, rows)| rows);
            if expected != Some(&found) {
                self.mistakes.push(format!("the point published at {} has other rows", point.at));
            }
        }
        Ok(())
    }
}
