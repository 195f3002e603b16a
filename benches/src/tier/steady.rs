//! What is stored over what is required, in the long run: rows are written over in no order, round after round, and housekeeping does what
//! there is to do after each.
//!
//! Versions are counted, as all have the same size: those in pages and in segments, over the current rows and the versions that somebody
//! may ask for.

use std::path::Path;
use std::sync::Arc;

use dosql::stores::MemorySegmentStore;
use dosql::{Database, Env, Maintenance, ManualClock, Options, SeededEntropy, Storage, Timestamp};

use super::readings::{Reading, rows_at};
use super::{Sizes, settle};
use crate::engine::Result;
use crate::report::Sheet;

/// Rounds, and those of them whose versions may be asked for at the end.
const ROUNDS: u64 = 30;
const KEPT: u64 = 10;
/// A round writes one row in so many.
const SHARE: u64 = 10;
/// A prime that divides no number of rows: as many rounds as a round has of parts write each row once.
const STRIDE: u64 = 7_919;
const HOUR: u64 = 3_600_000_000;

/// Takes the figures, of a tenth of the rows.
pub fn session(directory: &Path, scale: f64, sheet: &mut Sheet) -> Result<()> {
    let amplified = run(directory, "steady", scale / 10.0, 0)?;
    sheet.less("8 live rows stored over those required, worst of the last rounds [x]", amplified);
    let amplified = run(directory, "steady-past", scale / 10.0, KEPT)?;
    sheet.less("8 rows and history stored over those required, worst of the last rounds [x]", amplified);
    Ok(())
}

/// How many versions there are over those that are required, the worst after any of the last rounds.
fn run(directory: &Path, name: &str, scale: f64, kept: u64) -> Result<f64> {
    let (sizes, rows) = (Sizes::at(scale), rows_at(scale));
    let clock = Arc::new(ManualClock::default());
    let options = Options {
        retention: kept * HOUR,
        env: Some(Env::new(clock.clone(), Arc::new(SeededEntropy::new(1)))),
        maintenance: Maintenance::Caller,
        segment_bytes: (sizes.bytes / 16).max(256 << 10),
        hot_budget: rows * 100 / 16,
        ..sizes.options(true)
    };
    clock.set(Timestamp::from_micros(HOUR));
    let storage = Storage::directory_with(directory.join(name), &options)?;
    let db = Database::open(storage.with_segments(Arc::new(MemorySegmentStore::new())), options)?;
    let space = db.keyspace("readings")?;
    let write = |numbers: &mut dyn Iterator<Item = u64>| -> Result<()> {
        let mut tx = db.begin_write()?;
        for n in numbers {
            tx.put(&space, Reading::key_of(n), Reading::new(n).value())?;
        }
        tx.commit()?;
        Ok(())
    };
    for first in (0..rows).step_by(1_000) {
        write(&mut (first..rows.min(first + 1_000)))?;
    }
    let (each, mut worst) = (rows / SHARE, 0.0f64);
    for round in 0..ROUNDS {
        for first in (0..each).step_by(1_000) {
            let some = first..each.min(first + 1_000);
            write(&mut some.map(|i| (round * each + i) * STRIDE % rows))?;
        }
        clock.advance(HOUR);
        settle(&db)?;
        let parts = db.storage()?;
        let there: u64 = parts.iter().filter(|part| part.place != "leaving").map(|part| part.rows).sum();
        if round >= ROUNDS - KEPT {
            worst = worst.max(there as f64 / (rows + kept * each) as f64);
        }
    }
    Ok(worst)
}
