//! Writers beside writers: transactions that read a counter and add to it, optimistic where the engine can.

use std::time::Instant;

use super::Plan;
use crate::data::key;
use crate::engine::{Durability, Engine, Reader, Result};
use crate::report::Sheet;

const WRITERS: u64 = 4;

/// One thread adds to a counter; four add each to its own; four add to the same one. Increments may not be lost.
pub fn increments<E: Engine>(engine: &E, plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let one = spell(engine, plan, 1, |_| counter(0))?;
    sheet.more("1 writer [increments/s]", one.rate());
    let apart = spell(engine, plan, WRITERS, |thread| counter(10 + thread))?;
    sheet.more("4 writers, keys of their own [increments/s]", apart.rate());
    sheet.more("11 4 writers, keys of their own, against 1 [x]", apart.rate() / one.rate());
    let hot = spell(engine, plan, WRITERS, |_| counter(99))?;
    sheet.more("4 writers, one hot key [increments/s]", hot.rate());
    sheet.more("11 4 writers, one hot key, against 1 [x]", hot.rate() / one.rate());
    let slowest = hot.counts.iter().min().copied().unwrap_or(0) as f64;
    sheet.more(
        "11 one hot key: slowest thread, of an even share [x]",
        slowest * WRITERS as f64 / hot.total() as f64,
    );
    sheet.less("11 increments lost", (one.lost + apart.lost + hot.lost) as f64);
    Ok(())
}

fn counter(i: u64) -> crate::data::Key {
    key((1 << 42) | i)
}

struct Outcome {
    /// By thread.
    counts: Vec<u64>,
    seconds: f64,
    lost: u64,
}

impl Outcome {
    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn rate(&self) -> f64 {
        self.total() as f64 / self.seconds
    }
}

fn spell<E: Engine>(
    engine: &E,
    plan: &Plan,
    threads: u64,
    counter: fn(u64) -> crate::data::Key,
) -> Result<Outcome> {
    let mut counters: Vec<_> = (0..threads).map(counter).collect();
    let zeros = counters.iter().map(|counter| (counter.as_slice(), Some([0; 8].as_slice())));
    engine.commit(zeros, Durability::Lazy)?;
    let start = Instant::now();
    let add = |thread| -> Result<u64> {
        let (counter, mut count) = (counter(thread), 0);
        while start.elapsed() < plan.spell() / 2 {
            engine.increment(&counter)?;
            count += 1;
        }
        Ok(count)
    };
    let joined: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || add(thread))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut counts = Vec::new();
    for count in joined {
        counts.push(count.map_err(|_| "a writing thread panicked")??);
    }
    counters.dedup();
    let mut stored = 0;
    let mut reader = engine.reader()?;
    for counter in &counters {
        reader.get(counter, |bytes| stored += bytes.try_into().map_or(0, u64::from_le_bytes))?;
    }
    let lost = counts.iter().sum::<u64>().abs_diff(stored);
    Ok(Outcome { counts, seconds, lost })
}
