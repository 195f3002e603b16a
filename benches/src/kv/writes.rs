//! Commits large and small, durable and lazy; overwrites and removals.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::reads::{full_scan, gets};
use super::{Plan, open};
use crate::data::{key, pick, value};
use crate::engine::{Durability, Engine, Result, Way};
use crate::measure::{Latencies, disk_mib, timed, written_mib};
use crate::report::Sheet;

/// Where the numbers of new entries begin that a workload adds, clear of those of the others.
fn fresh(workload: u64) -> u64 {
    (1 << 41) + (workload << 32)
}

/// Overwrites every entry once, 1000 a commit; then reads.
pub fn overwrite<E: Engine>(engine: &E, plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<()> {
    let n = plan.entries();
    let written = written_mib();
    let mut commits = Latencies::default();
    // A step that has no factor in common with the number of entries visits each once, in no order of keys.
    let ids: Vec<u64> = (0..n).collect();
    let ((), seconds) = timed(|| {
        for chunk in ids.chunks(1000) {
            let entries: Vec<_> = chunk.iter().map(|&i| (key(i), value(i, 1))).collect();
            let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
            commits.time(|| engine.commit(changes, Durability::Lazy))?;
        }
        engine.sync()
    })?;
    sheet.more("overwrites, 1k a commit [entries/s]", n as f64 / seconds);
    sheet.less("overwrites, p99 of a commit [us]", commits.percentile(0.99));
    let ((), seconds) = timed(|| gets(&mut engine.reader()?, 5, n, n, 1))?;
    sheet.more("random gets right after [gets/s]", n as f64 / seconds);
    sheet.less("written for the overwrites [MiB]", written_mib() - written);
    sheet.less("disk after the overwrites [MiB]", disk_mib(directory)?);
    Ok(())
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
            let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
            latencies.time(|| engine.commit(changes, durability))?;
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

/// Commits that reach the device before they return.
pub fn durable<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    for (workload, size, threads, what) in [
        (0, 1, 1, "durable single puts, 1 thread"),
        (1, 1, 8, "durable single puts, 8 threads"),
        (2, 100, 1, "durable commits of 100"),
    ] {
        let (mut latencies, seconds) = spell(engine, plan, fresh(workload), size, threads, Durability::Sync)?;
        let unit = if size == 1 { "commits/s" } else { "entries/s" };
        sheet.more(&format!("{what} [{unit}]"), latencies.count() as f64 * size as f64 / seconds);
        latencies.enter(sheet, what);
    }
    Ok(())
}

/// Single puts that wait for nothing.
pub fn lazy<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let (mut latencies, seconds) = spell(engine, plan, fresh(3), 1, 1, Durability::Lazy)?;
    sheet.more("single puts without sync [commits/s]", latencies.count() as f64 / seconds);
    sheet.less("single puts without sync, p99 [us]", latencies.percentile(0.99));
    engine.sync()
}

/// Loads a database anew, removes every other entry, 10 000 a commit, and scans what is left.
pub fn remove_half<E: Engine>(plan: &Plan, directory: &Path, sheet: &mut Sheet) -> Result<()> {
    std::fs::remove_dir_all(directory)?;
    std::fs::create_dir_all(directory)?;
    let (n, engine) = (plan.entries(), open::<E>(directory)?);
    let ids: Vec<u64> = (0..n).collect();
    for chunk in ids.chunks(10_000) {
        let entries: Vec<_> = chunk.iter().map(|&i| (key(i), value(i, 0))).collect();
        let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        engine.commit(changes, Durability::Lazy)?;
    }
    engine.sync()?;
    let doomed: Vec<u64> = ids.into_iter().filter(|i| i % 2 == 1).collect();
    let ((), seconds) = timed(|| {
        for chunk in doomed.chunks(10_000) {
            let keys: Vec<_> = chunk.iter().map(|&i| key(i)).collect();
            engine.commit(keys.iter().map(|key| (key.as_slice(), None)), Durability::Lazy)?;
        }
        engine.sync()
    })?;
    sheet.more("removals, 10k a commit [entries/s]", doomed.len() as f64 / seconds);
    let left = n - doomed.len() as u64;
    let seconds = full_scan(&engine, Way::Up, left)?;
    sheet.more("scan after the removals [entries/s]", left as f64 / seconds);
    let mut reader = engine.reader()?;
    let gone = pick(1, n / 2) * 2 + 1;
    if crate::engine::Reader::get(&mut reader, &key(gone), |_| ())? {
        return Err("a removed entry is still there".into());
    }
    drop(reader);
    engine.close()?;
    sheet.less("disk after removals and close [MiB]", disk_mib(directory)?);
    Ok(())
}
