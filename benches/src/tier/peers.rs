//! The same readings as a map of bytes, in engines that keep them in an object store, and in RocksDB for what they weigh.
//!
//! ```text
//! load      batches of 1 000, not waiting for the device or the store     rate
//! finish    until everything lies in the store                            PUTs and bytes, merges on the way included
//! open      with nothing in memory
//! get       in the older half, each key once                              GETs
//! ```

use std::path::Path;
use std::sync::Arc;

use super::far::{DISTANCE, Far};
use super::files::Files;
use super::readings::{Reading, SENSORS, pick, rows_at};
use crate::engine::Result;
use crate::measure::{Latencies, disk_mib, timed};
use crate::report::Sheet;

const COLD_READS: u64 = 100;
/// What a full run has of memory.
const FULL_BYTES: f64 = (64 << 20) as f64;

/// Bytes of memory at a scale; small ones get somewhat more than their share, since pages and segments don't shrink.
pub fn memory_at(scale: f64) -> usize {
    ((FULL_BYTES * scale) as usize).max(4 << 20)
}

/// A far store over files below `directory`.
pub fn store_in(directory: &Path) -> Result<Arc<Far>> {
    Ok(Far::new(Arc::new(Files::new(directory.to_owned())?), DISTANCE))
}

/// An engine that keeps a map in an object store.
pub trait Peer: Sized {
    /// Opens or makes one: with what is near in `directory`, and this many bytes of memory.
    fn open(directory: &Path, far: &Arc<Far>, bytes: usize) -> Result<Self>;

    /// Writes a batch, without waiting until it is durable.
    fn load(&self, batch: &[([u8; 8], Vec<u8>)]) -> Result<()>;

    /// Returns when everything lies in the store.
    fn finish(&self) -> Result<()>;

    /// Closes it.
    fn close(self) -> Result<()>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
}

fn batch(round: u64) -> Vec<([u8; 8], Vec<u8>)> {
    (round * SENSORS..(round + 1) * SENSORS).map(|n| (Reading::key_of(n), Reading::new(n).value())).collect()
}

/// Bytes of keys and values of a whole run.
fn logical(rows: u64) -> f64 {
    let some: usize = batch(0).iter().map(|(key, value)| key.len() + value.len()).sum();
    some as f64 / SENSORS as f64 * rows as f64
}

/// Takes the figures of an engine, with this many bytes of memory.
pub fn session<P: Peer>(
    directory: &Path,
    far: &Arc<Far>,
    (scale, bytes): (f64, usize),
    sheet: &mut Sheet,
) -> Result<()> {
    let rows = rows_at(scale);
    let peer = P::open(directory, far, bytes)?;
    let mut commits = Latencies::default();
    let (begin, mut making) = (far.asked(), 0.0);
    let ((), seconds) = timed(|| {
        for round in 0..rows / SENSORS {
            let (batch, took) = timed(|| Ok(batch(round)))?;
            making += took;
            commits.time(|| peer.load(&batch))?;
        }
        Ok(())
    })?;
    sheet.more("6 map: ingest [rows/s]", rows as f64 / (seconds - making));
    sheet.less("map: worst commit of 1 000 [us]", commits.percentile(1.0));
    let ((), rest) = timed(|| peer.finish())?;
    sheet.more("6 map: ingest until all lies in the store [rows/s]", rows as f64 / (seconds - making + rest));
    let asked = far.asked().since(&begin);
    sheet.less("6 map: PUTs a million rows", asked.puts as f64 * 1e6 / rows as f64);
    sheet.less("6 map: bytes put for a byte ingested [x]", asked.put_bytes as f64 / logical(rows));
    sheet.less("map: GETs a million rows ingested", asked.gets as f64 * 1e6 / rows as f64);
    peer.close()?;
    reads::<P>(directory, far, (rows, bytes), sheet)
}

fn reads<P: Peer>(
    directory: &Path,
    far: &Arc<Far>,
    (rows, bytes): (u64, usize),
    sheet: &mut Sheet,
) -> Result<()> {
    let begin = far.asked();
    let (peer, seconds) = timed(|| P::open(directory, far, bytes))?;
    sheet.less("map: open [ms]", seconds * 1e3);
    sheet.less("map: open [GETs]", far.asked().since(&begin).gets as f64);
    let (begin, mut times) = (far.asked(), Latencies::default());
    for i in 0..COLD_READS {
        let n = pick(i, rows / 2);
        let found = times.time(|| peer.get(&Reading::key_of(n)))?;
        if found != Some(Reading::new(n).value()) {
            return Err(format!("reading {n} is not what was written").into());
        }
    }
    sheet.less("6 map: cold read [GETs]", far.asked().since(&begin).gets as f64 / COLD_READS as f64);
    sheet.less("map: cold read, p50 [ms]", times.percentile(0.5) / 1e3);
    let begin = far.asked();
    for i in 0..COLD_READS {
        let n = pick(i + 7_777, rows / 2);
        if peer.get(&Reading::absent_key(n))?.is_some() {
            return Err(format!("there is a reading after {n}").into());
        }
    }
    sheet.less("6 map: absent cold key [GETs]", far.asked().since(&begin).gets as f64 / COLD_READS as f64);
    peer.close()
}

/// Enters what lies in files below `objects`, a row.
pub fn weigh(objects: &Path, what: &str, scale: f64, sheet: &mut Sheet) -> Result<()> {
    let bytes = disk_mib(objects)? * (1 << 20) as f64;
    sheet.less(what, bytes / rows_at(scale) as f64);
    Ok(())
}
