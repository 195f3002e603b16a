//! Bulk loads: 10 000 entries a commit, synced at the end.

use std::path::Path;

use super::{Plan, open};
use crate::data::{Key, key, sorted_key, value};
use crate::engine::{Durability, Engine, Result};
use crate::measure::{Latencies, MemoryWatch, disk_mib, timed, written_mib};
use crate::report::Sheet;

const PER_COMMIT: u64 = 10_000;

fn load<E: Engine>(engine: &E, n: u64, key: fn(u64) -> Key, commits: &mut Latencies) -> Result<()> {
    let mut from = 0;
    while from < n {
        let to = n.min(from + PER_COMMIT);
        let entries: Vec<_> = (from..to).map(|i| (key(i), value(i, 0))).collect();
        let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        commits.time(|| engine.commit(changes, Durability::Lazy))?;
        from = to;
    }
    engine.sync()
}

/// Ascending keys, into a database of their own.
pub fn sorted<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let directory = plan.sub("sorted")?;
    let engine: E = open(&directory)?;
    let ((), seconds) = timed(|| load(&engine, plan.entries(), sorted_key, &mut Latencies::default()))?;
    sheet.more("bulk load, sorted keys [entries/s]", plan.entries() as f64 / seconds);
    engine.close()?;
    sheet.less("disk after sorted load and close [MiB]", disk_mib(&directory)?);
    Ok(std::fs::remove_dir_all(directory)?)
}

/// Keys in no order. Closes and reopens; the other workloads go on with the result.
pub fn random<E: Engine>(plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<E> {
    let (watch, written) = (MemoryWatch::start(), written_mib());
    let engine: E = open(directory)?;
    let mut commits = Latencies::default();
    let ((), seconds) = timed(|| load(&engine, plan.entries(), key, &mut commits))?;
    sheet.more("bulk load, random keys [entries/s]", plan.entries() as f64 / seconds);
    sheet.less("bulk load, slowest commit of 10k [us]", commits.percentile(1.0));
    let ((), seconds) = timed(|| engine.close())?;
    sheet.less("clean close after the load [ms]", seconds * 1000.0);
    sheet.less("written for the load [MiB]", written_mib() - written);
    sheet.less("disk after random load and close [MiB]", disk_mib(directory)?);
    sheet.less("peak memory of the load, anonymous [MiB]", watch.take_mib());
    let (engine, seconds) = timed(|| {
        let engine: E = open(directory)?;
        let found = crate::engine::Reader::get(&mut engine.reader()?, &key(7), |_| ())?;
        if found { Ok(engine) } else { Err("an entry is missing after a clean close".into()) }
    })?;
    sheet.less("open after a clean close, to the first get [ms]", seconds * 1000.0);
    Ok(engine)
}
