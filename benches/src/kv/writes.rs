//! Commits large and small, durable and lazy; overwrites and removals.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::device::flushes;
use super::reads::{full_scan, gets};
use super::{AMPLE, Plan, puts, read_all};
use crate::data::{key, pick, value};
use crate::engine::{Durability, Engine, Reader, Result, Way};
use crate::measure::{Latencies, disk_mib, timed, written_mib};
use crate::report::Sheet;

/// Where the numbers of new entries begin that a workload adds, clear of those of the others.
fn fresh(workload: u64) -> u64 {
    (1 << 41) + (workload << 32)
}

/// Overwrites every entry once, 1000 a commit; then reads. Closes and opens again.
pub fn overwrite<E: Engine>(engine: E, plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<E> {
    let n = plan.entries();
    let written = written_mib();
    let mut commits = Latencies::default();
    // Ascending numbers are keys in no order.
    for from in (0..n).step_by(1000) {
        let entries: Vec<_> = (from..n.min(from + 1000)).map(|i| (key(i), value(i, 1))).collect();
        commits.time(|| engine.commit(puts(&entries), Durability::Lazy))?;
    }
    let ((), seconds) = timed(|| engine.sync())?;
    sheet.more("8 overwrites, 1k a commit [entries/s]", n as f64 / (commits.seconds() + seconds));
    sheet.less("overwrites, p99 of a commit [us]", commits.percentile(0.99));
    let ((), seconds) = timed(|| gets(&mut engine.reader()?, 5, n, n, 1))?;
    sheet.more("8 random gets right after [gets/s]", n as f64 / seconds);
    engine.close()?;
    sheet.less("written for the overwrites [MiB]", written_mib() - written);
    sheet.less("12 disk after the overwrites and close [MiB]", disk_mib(directory)?);
    let engine = E::open(directory, AMPLE)?;
    read_all(&engine)?;
    Ok(engine)
}

/// Commits of `size` new entries by `threads` threads until the time is up.
fn spell<E: Engine>(
    engine: &E,
    plan: &Plan,
    from: u64,
    size: u64,
    threads: u64,
    durability: Durability,
) -> Result<(Latencies, f64)> {
    let next = AtomicU64::new(from);
    let start = Instant::now();
    let work = || -> Result<Latencies> {
        let mut latencies = Latencies::default();
        while start.elapsed() < plan.spell() {
            let at = next.fetch_add(size, Ordering::Relaxed);
            let entries: Vec<_> = (at..at + size).map(|i| (key(i), value(i, 0))).collect();
            latencies.time(|| engine.commit(puts(&entries), durability))?;
        }
        Ok(latencies)
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut latencies = Latencies::default();
    for result in all {
        latencies.merge(result.map_err(|_| "a writing thread panicked")??);
    }
    Ok((latencies, seconds))
}

/// Commits that reach the device before they return, beside what the device takes alone.
pub fn durable<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let mut device = Latencies::default();
    flushes(plan, &mut device)?;
    let (mut single, seconds) = spell(engine, plan, fresh(0), 1, 1, Durability::Sync)?;
    flushes(plan, &mut device)?;
    let (one, floor) = (single.count() as f64 / seconds, device.percentile(0.5));
    sheet.more("durable single puts, 1 thread [commits/s]", one);
    sheet.less("device: one fdatasync of a preallocated file, p50 [us]", floor);
    single.enter(sheet, "durable single puts, 1 thread");
    sheet.less("2 durable single puts, p50, against the device's [x]", single.percentile(0.5) / floor);
    let (mut many, seconds) = spell(engine, plan, fresh(1), 1, 8, Durability::Sync)?;
    let eight = many.count() as f64 / seconds;
    sheet.more("durable single puts, 8 threads [commits/s]", eight);
    many.enter(sheet, "durable single puts, 8 threads");
    sheet.more("2 durable single puts, 8 threads against 1 [x]", eight / one);
    let (mut hundreds, seconds) = spell(engine, plan, fresh(2), 100, 1, Durability::Sync)?;
    sheet.more("3 durable commits of 100 [entries/s]", hundreds.count() as f64 * 100.0 / seconds);
    hundreds.enter(sheet, "durable commits of 100");
    Ok(())
}

/// Single puts that wait for nothing.
pub fn lazy<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let (mut latencies, seconds) = spell(engine, plan, fresh(3), 1, 1, Durability::Lazy)?;
    sheet.more("4 single puts without sync [commits/s]", latencies.count() as f64 / seconds);
    sheet.less("single puts without sync, p99 [us]", latencies.percentile(0.99));
    engine.sync()
}

/// Removes every other entry of a loaded database, 10 000 a commit, and scans what is left.
pub fn remove_half<E: Engine>(plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<()> {
    let (n, engine) = (plan.entries(), E::open(directory, AMPLE)?);
    read_all(&engine)?;
    let mut commits = Latencies::default();
    let doomed: Vec<u64> = (0..n).filter(|i| i % 2 == 1).collect();
    for chunk in doomed.chunks(10_000) {
        let keys: Vec<_> = chunk.iter().map(|&i| key(i)).collect();
        commits.time(|| engine.commit(keys.iter().map(|key| (key.as_slice(), None)), Durability::Lazy))?;
    }
    let ((), seconds) = timed(|| engine.sync())?;
    sheet.more("9 removals, 10k a commit [entries/s]", doomed.len() as f64 / (commits.seconds() + seconds));
    let left = n - doomed.len() as u64;
    let seconds = full_scan(&engine, Way::Up, left)?;
    sheet.more("9 scan after the removals [entries/s]", left as f64 / seconds);
    let mut reader = engine.reader()?;
    let gone = pick(1, n / 2) * 2 + 1;
    if reader.get(&key(gone), |_| ())? {
        return Err("a removed entry is still there".into());
    }
    drop(reader);
    engine.close()?;
    sheet.less("disk after removals and close [MiB]", disk_mib(directory)?);
    Ok(())
}
