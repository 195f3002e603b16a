//! One writer and one reader beside each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Plan, puts};
use crate::data::{digest, key, pick, value};
use crate::engine::{Durability, Engine, Reader, Result};
use crate::measure::Latencies;
use crate::report::Sheet;

/// Gets that share a read transaction.
const GETS_EACH: u64 = 100;
/// The generation that every entry is of before, and those that the writer goes round.
const GENERATIONS: std::ops::RangeInclusive<u64> = 1..=16;

/// What the writer writes as its `i`th: each entry once in every pass, in no order, a generation a pass.
fn overwriting(i: u64, n: u64) -> (u64, u64) {
    // A prime, so that every number below `n` comes once.
    let id = (u128::from(i % n) * 1_000_000_007 % u128::from(n)) as u64;
    let written = GENERATIONS.end() - GENERATIONS.start();
    (id, GENERATIONS.start() + 1 + i / n % written)
}

/// One thread overwrites, 100 a commit, while another gets.
pub fn reader_and_writer<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let (n, done) = (plan.entries(), AtomicBool::new(false));
    let start = Instant::now();
    let (reads, writes) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(engine, n, &done));
        let writes = write(engine, n, plan);
        done.store(true, Ordering::Relaxed);
        (reader.join(), writes)
    });
    let seconds = start.elapsed().as_secs_f64();
    let (mut reads, mut writes) = (reads.map_err(|_| "the reader panicked")??, writes?);
    sheet.more(
        "10 beside a reader: writer, 100 a commit [entries/s]",
        writes.count() as f64 * 100.0 / seconds,
    );
    sheet.less("beside a reader: writer, p99 of a commit [us]", writes.percentile(0.99));
    sheet.less("beside a reader: writer, p99.9 of a commit [us]", writes.percentile(0.999));
    sheet.less("10 beside a reader: writer, worst commit [us]", writes.percentile(1.0));
    sheet.more("10 beside a writer: reader [gets/s]", reads.count() as f64 / seconds);
    sheet.less("10 beside a writer: reader, p99 [us]", reads.percentile(0.99));
    sheet.less("beside a writer: reader, p99.9 [us]", reads.percentile(0.999));
    Ok(())
}

fn read<E: Engine>(engine: &E, n: u64, done: &AtomicBool) -> Result<Latencies> {
    let (mut latencies, mut i, mut sum) = (Latencies::default(), 0, 0u64);
    while !done.load(Ordering::Relaxed) {
        let mut reader = engine.reader()?;
        for _ in 0..GETS_EACH {
            i += 1;
            let id = pick(i, n);
            let wanted = key(id);
            let mut right = false;
            let found = latencies.time(|| {
                reader.get(&wanted, |bytes| {
                    sum = sum.wrapping_add(digest(bytes));
                    right = i % 64 != 0
                        || GENERATIONS.into_iter().any(|generation| bytes == value(id, generation));
                })
            })?;
            if !found || !right {
                return Err("an entry vanished or changed beside a writer".into());
            }
        }
    }
    std::hint::black_box(sum);
    Ok(latencies)
}

fn write<E: Engine>(engine: &E, n: u64, plan: &Plan) -> Result<Latencies> {
    let (mut latencies, mut i, start) = (Latencies::default(), 0, Instant::now());
    while start.elapsed() < plan.spell() * 2 {
        let entries: Vec<_> = (i..i + 100)
            .map(|i| overwriting(i, n))
            .map(|(id, generation)| (key(id), value(id, generation)))
            .collect();
        latencies.time(|| engine.commit(puts(&entries), Durability::Lazy))?;
        i += 100;
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_overwrites_every_entry_once_a_pass_with_something_new() {
        for n in [1, 10, 1000, 4096] {
            for pass in 0..3 {
                let mut ids: Vec<_> = (pass * n..(pass + 1) * n).map(|i| overwriting(i, n)).collect();
                assert!(ids.iter().all(|&(_, generation)| generation == 2 + pass));
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len() as u64, n);
            }
        }
    }
}
