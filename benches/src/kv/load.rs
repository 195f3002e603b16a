//! Bulk loads: 10 000 entries a commit, synced at the end. What making the entries costs is not counted.

use std::path::Path;
use std::process::Command;

use super::{AMPLE, Plan, puts};
use crate::data::{Key, key, sorted_key, value};
use crate::engine::{Durability, Engine, Result};
use crate::measure::{Latencies, MemoryWatch, disk_mib, timed, written_mib};
use crate::report::Sheet;

const PER_COMMIT: u64 = 10_000;

/// Seconds that the commits and the sync took.
fn load<E: Engine>(engine: &E, n: u64, key: fn(u64) -> Key, commits: &mut Latencies) -> Result<f64> {
    let mut from = 0;
    while from < n {
        let to = n.min(from + PER_COMMIT);
        let entries: Vec<_> = (from..to).map(|i| (key(i), value(i, 0))).collect();
        commits.time(|| engine.commit(puts(&entries), Durability::Lazy))?;
        from = to;
    }
    let ((), seconds) = timed(|| engine.sync())?;
    Ok(commits.seconds() + seconds)
}

/// Ascending keys, into a database of their own.
pub fn sorted<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let directory = plan.sub("sorted")?;
    let engine = E::open(&directory, AMPLE)?;
    let seconds = load(&engine, plan.entries(), sorted_key, &mut Latencies::default())?;
    sheet.more("1 bulk load, sorted keys [entries/s]", plan.entries() as f64 / seconds);
    engine.close()?;
    sheet.less("disk after sorted load and close [MiB]", disk_mib(&directory)?);
    Ok(std::fs::remove_dir_all(directory)?)
}

/// Keys in no order, closed in the end.
pub fn random<E: Engine>(plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<()> {
    let (watch, written) = (MemoryWatch::start(), written_mib());
    let engine = E::open(directory, AMPLE)?;
    let mut commits = Latencies::default();
    let seconds = load(&engine, plan.entries(), key, &mut commits)?;
    sheet.more("1 bulk load, random keys [entries/s]", plan.entries() as f64 / seconds);
    sheet.less("bulk load, slowest commit of 10k [us]", commits.percentile(1.0));
    let ((), seconds) = timed(|| engine.close())?;
    sheet.less("clean close after the load [ms]", seconds * 1000.0);
    sheet.less("written for the load [MiB]", written_mib() - written);
    sheet.less("12 disk after random load and close [MiB]", disk_mib(directory)?);
    sheet.less("peak memory of the load, anonymous [MiB]", watch.take_mib());
    Ok(())
}

/// Copies the files of a database that is closed.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").args(["-r", "--sparse=auto", "-T"]).arg(from).arg(to).status()?;
    if done.success() { Ok(()) } else { Err(format!("cp ended with {done}").into()) }
}

/// Has the device take what was copied, so that no workload waits for it.
pub fn flush_files() -> Result<()> {
    let done = Command::new("sync").status()?;
    if done.success() { Ok(()) } else { Err(format!("sync ended with {done}").into()) }
}
