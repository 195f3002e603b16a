//! Gets, seeks and scans.

use crate::data::{absent, digest, key, pick, value};
use crate::engine::{Engine, Reader, Result, Way};
use crate::measure::timed;
use crate::report::Sheet;

const THREADS: u64 = 2;

/// `count` random gets; fails where one finds nothing, or where the values are not those of `generation`.
pub fn gets(reader: &mut impl Reader, seed: u64, count: u64, n: u64, generation: u64) -> Result<()> {
    let (mut sum, mut checked) = (0u64, 0u64);
    for i in 0..count {
        let id = pick(seed + i, n);
        let found = reader.get(&key(id), |bytes| {
            sum = sum.wrapping_add(digest(bytes));
            // Checking every value would cost as much as reading it.
            checked += u64::from(i % 64 != 0 || bytes == value(id, generation));
        })?;
        if !found {
            return Err(format!("entry {id} is missing").into());
        }
    }
    std::hint::black_box(sum);
    if checked != count { Err("a value is not what was written".into()) } else { Ok(()) }
}

/// Everything that reads, from a warm cache.
pub fn warm<E: Engine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    gets(&mut engine.reader()?, 1, n, n, 0)?;
    points(engine, n, sheet)?;
    seeks(engine, n, sheet)?;
    let up = full_scan(engine, Way::Up, n)?;
    sheet.more("7 full scan forward [entries/s]", n as f64 / up);
    let down = full_scan(engine, Way::Down, n)?;
    sheet.more("7 full scan backward [entries/s]", n as f64 / down);
    Ok(())
}

fn points<E: Engine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let count = n;
    let ((), seconds) = timed(|| gets(&mut engine.reader()?, 2, count, n, 0))?;
    sheet.more("5 random gets, 1 thread [gets/s]", count as f64 / seconds);
    let (results, seconds) = timed(|| {
        Ok(std::thread::scope(|scope| {
            let work = |t: u64| move || gets(&mut engine.reader()?, t * count, count, n, 0);
            let threads: Vec<_> = (0..THREADS).map(|t| scope.spawn(work(t))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        }))
    })?;
    for result in results {
        result.map_err(|_| "a reading thread panicked")??;
    }
    sheet.more("5 random gets, 2 threads [gets/s]", (THREADS * count) as f64 / seconds);
    let ((), seconds) = timed(|| (0..n / 2).try_for_each(|i| gets(&mut engine.reader()?, i, 1, n, 0)))?;
    sheet.more("random gets, a transaction each [gets/s]", (n / 2) as f64 / seconds);
    let mut reader = engine.reader()?;
    let ((), seconds) = timed(|| {
        (0..count).try_for_each(|i| match reader.get(&absent(i), |_| ())? {
            true => Err("an absent key was found".into()),
            false => Ok(()),
        })
    })?;
    sheet.more("5 gets of absent keys [gets/s]", count as f64 / seconds);
    Ok(())
}

fn seeks<E: Engine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let mut reader = engine.reader()?;
    let seeks = n / 4;
    let mut sum = 0u64;
    let ((), seconds) = timed(|| {
        (0..seeks).try_for_each(|i| {
            let from = key(pick(i, n));
            let passed = reader.scan(Some(&from), Way::Up, 10, |key, value| {
                sum = sum.wrapping_add(digest(value)) ^ u64::from(key[0]);
            })?;
            if passed == 0 { Err("a seek to a key found nothing".into()) } else { Ok(()) }
        })
    })?;
    std::hint::black_box(sum);
    sheet.more("7 seek and read 10 [seeks/s]", seeks as f64 / seconds);
    Ok(())
}

/// Seconds to pass over all `n` entries, checking their order; the best of three, since small ones take milliseconds.
pub fn full_scan<E: Engine>(engine: &E, way: Way, n: u64) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let mut reader = engine.reader()?;
        let (mut sum, mut before, mut disorder) = (0u64, None, false);
        let (count, seconds) = timed(|| {
            reader.scan(None, way, usize::MAX, |key, value| {
                sum = sum.wrapping_add(digest(value));
                let head = key.first_chunk::<8>().map(|head| u64::from_be_bytes(*head));
                disorder |= before.is_some() && (head < before) != (way == Way::Down) && head != before;
                before = head;
            })
        })?;
        std::hint::black_box(sum);
        if count as u64 != n || disorder {
            return Err(format!("a scan gave {count} entries of {n}, in order: {}", !disorder).into());
        }
        best = best.min(seconds);
    }
    Ok(best)
}
