//! With memory for less than half the data, in a process of its own. The operating system's cache stays warm: what counts is the
//! price of a miss, and whether the memory asked for is all that is taken.

use std::time::Duration;

use super::reads::gets;
use super::{Plan, puts};
use crate::data::{key, value};
use crate::engine::{Durability, Engine, Result};
use crate::measure::{MemoryWatch, timed};
use crate::report::Sheet;

/// Gets, then overwrites, of the database that survived being killed.
pub fn scarce<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    if !E::BOUNDED {
        return Ok(());
    }
    let (n, settings) = (plan.entries(), plan.scarce());
    let watch = MemoryWatch::start();
    let engine = E::open(&plan.sub("crash")?, settings)?;
    gets(&mut engine.reader()?, 1, n / 2, n, 0)?;
    let ((), seconds) = timed(|| gets(&mut engine.reader()?, 3, n, n, 0))?;
    sheet.more("6 random gets, memory for 2 of 5 entries [gets/s]", n as f64 / seconds);
    // The watcher looks every ten milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    let budget = settings.memory_bytes as f64 / f64::from(1 << 20);
    let reading = watch.take_mib();
    sheet.less("12 peak memory of these gets, against the budget [x]", reading / budget);
    for from in (0..n / 2).step_by(1000) {
        let entries: Vec<_> = (from..from + 1000).map(|i| (key(i), value(i, 0))).collect();
        engine.commit(puts(&entries), Durability::Lazy)?;
    }
    engine.sync()?;
    sheet.less("12 peak memory of overwrites, against the budget [x]", watch.take_mib() / budget);
    engine.close()
}
