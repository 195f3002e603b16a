//! Readers beside writers, and writers beside writers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::Plan;
use crate::data::{key, pick, value};
use crate::engine::{Durability, Engine, Reader, Result, incremented};
use crate::measure::Latencies;
use crate::report::Sheet;

const WRITERS: u64 = 4;
/// Gets that share a read transaction.
const GETS_EACH: u64 = 100;

/// One thread overwrites, 100 a commit, while another gets.
pub fn reader_and_writer<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let (n, done) = (plan.entries(), AtomicBool::new(false));
    let read = || -> Result<Latencies> {
        let (mut latencies, mut i, mut sum) = (Latencies::default(), 0, 0u64);
        while !done.load(Ordering::Relaxed) {
            let mut reader = engine.reader()?;
            for _ in 0..GETS_EACH {
                i += 1;
                let wanted = key(pick(i, n));
                if !latencies
                    .time(|| reader.get(&wanted, |bytes| sum = sum.wrapping_add(u64::from(bytes[0]))))?
                {
                    return Err("an entry vanished beside a writer".into());
                }
            }
        }
        std::hint::black_box(sum);
        Ok(latencies)
    };
    let write = || -> Result<Latencies> {
        let (mut latencies, mut i, start) = (Latencies::default(), 0, Instant::now());
        while start.elapsed() < plan.spell() {
            let entries: Vec<_> =
                (i..i + 100).map(|i| pick(i, n)).map(|id| (key(id), value(id, 1))).collect();
            let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
            latencies.time(|| engine.commit(changes, Durability::Lazy))?;
            i += 100;
        }
        Ok(latencies)
    };
    let start = Instant::now();
    let (reads, writes) = std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        let writes = write();
        done.store(true, Ordering::Relaxed);
        (reader.join(), writes)
    });
    let seconds = start.elapsed().as_secs_f64();
    let (mut reads, mut writes) = (reads.map_err(|_| "the reader panicked")??, writes?);
    sheet.more("beside a reader: writer, 100 a commit [entries/s]", writes.count() as f64 * 100.0 / seconds);
    sheet.less("beside a reader: writer, p99 of a commit [us]", writes.percentile(0.99));
    sheet.less("beside a reader: writer, worst commit [us]", writes.percentile(1.0));
    sheet.more("beside a writer: reader [gets/s]", reads.count() as f64 / seconds);
    sheet.less("beside a writer: reader, p99 [us]", reads.percentile(0.99));
    Ok(())
}

/// Four threads add to counters: each to its own, then all to one. No increment may be lost.
pub fn optimists<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    for (hot, what) in [(false, "4 writers, keys of their own"), (true, "4 writers, one hot key")] {
        let counter = |thread: u64| key((1 << 42) | if hot { 99 } else { thread });
        let zero = |thread| (counter(thread), [0; 8]);
        let zeros: Vec<_> = (0..WRITERS).map(zero).collect();
        let changes = zeros.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        engine.commit(changes, Durability::Lazy)?;
        let start = Instant::now();
        let add = |thread| -> Result<u64> {
            let (counter, mut count) = (counter(thread), 0);
            while start.elapsed() < plan.spell() / 2 {
                engine.increment(&counter)?;
                count += 1;
            }
            Ok(count)
        };
        let counts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS).map(|thread| scope.spawn(move || add(thread))).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        let seconds = start.elapsed().as_secs_f64();
        let mut total = 0;
        for (thread, count) in counts.into_iter().enumerate() {
            let count = count.map_err(|_| "a writing thread panicked")??;
            total += count;
            if !hot {
                expect(engine, &counter(thread as u64), count)?;
            }
        }
        if hot {
            expect(engine, &counter(0), total)?;
        }
        sheet.more(&format!("{what} [increments/s]"), total as f64 / seconds);
    }
    Ok(())
}

fn expect<E: Engine>(engine: &E, counter: &[u8], count: u64) -> Result<()> {
    let mut stored = Vec::new();
    engine.reader()?.get(counter, |bytes| stored = bytes.to_vec())?;
    let wanted = count.checked_sub(1).map_or([0; 8], |before| incremented(Some(&before.to_le_bytes())));
    if stored == wanted { Ok(()) } else { Err(format!("{} lost increments", E::NAME).into()) }
}
