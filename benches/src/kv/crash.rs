//! kill -9: a process writes until it is killed; another looks what is there.

use std::io::Write as _;
use std::path::Path;

use super::{Plan, puts};
use crate::data::{key, value};
use crate::engine::{Durability, Engine, Reader, Result};
use crate::measure::timed;
use crate::report::Sheet;

/// Entries of a durable commit while waiting to be killed.
const BATCH: u64 = 100;

/// Adds to a loaded database, durably, and says each commit's number when it has returned, for ever.
pub fn die_writing<E: Engine>(plan: &Plan) -> Result<()> {
    let engine = E::open(&plan.sub("crash")?, Plan::shipped())?;
    let mut at = plan.entries();
    let mut out = std::io::stdout().lock();
    loop {
        let entries: Vec<_> = (at..at + BATCH).map(|i| (key(i), value(i, 0))).collect();
        engine.commit(puts(&entries), Durability::Sync)?;
        at += BATCH;
        writeln!(out, "{at}")?;
        out.flush()?;
    }
}

/// Opens what the killed process left, of which everything before entry `acknowledged` was promised.
pub fn look_after<E: Engine>(plan: &Plan, acknowledged: u64, sheet: &mut Sheet) -> Result<()> {
    let directory = plan.sub("crash")?;
    let (engine, seconds) = timed(|| open::<E>(&directory))?;
    sheet.less("13 open after kill -9, to the first get [ms]", seconds * 1000.0);
    let mut reader = engine.reader()?;
    let mut lost = 0;
    for i in 0..acknowledged {
        let mut right = false;
        reader.get(&key(i), |bytes| right = bytes == value(i, 0))?;
        lost += u64::from(!right);
    }
    sheet.less("kill -9: acknowledged entries lost", lost as f64);
    // Commits that were under way are whole or absent.
    let (mut at, mut torn) = (acknowledged, 0);
    loop {
        let mut there = 0;
        for i in at..at + BATCH {
            there += u64::from(reader.get(&key(i), |_| ())?);
        }
        torn += u64::from(there != 0 && there != BATCH);
        if there == 0 {
            break;
        }
        at += BATCH;
    }
    sheet.less("kill -9: torn commits", torn as f64);
    drop(reader);
    engine.close()?;
    let (engine, seconds) = timed(|| open::<E>(&directory))?;
    sheet.less("13 open after a clean close, to the first get [ms]", seconds * 1000.0);
    engine.close()
}

/// Opens what is there, up to the first get.
fn open<E: Engine>(directory: &Path) -> Result<E> {
    let engine = E::open(directory, Plan::shipped())?;
    let found = engine.reader()?.get(&key(7), |_| ())?;
    if found { Ok(engine) } else { Err("an entry is missing".into()) }
}
