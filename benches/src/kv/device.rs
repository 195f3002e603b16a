//! What the device takes for one flush of a short record: the floor of a durable commit.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use super::Plan;
use crate::engine::Result;
use crate::measure::Latencies;

/// Bytes of a record, about those of a put.
const RECORD: usize = 200;
/// Bytes of the file, written once before.
const ROOM: usize = 16 << 20;

/// Writes short records one after the other into a file whose blocks are there already, an fdatasync each.
pub fn flushes(plan: &Plan, latencies: &mut Latencies) -> Result<()> {
    let path = plan.directory.join("device");
    let file = File::create(&path)?;
    file.write_all_at(&vec![1; ROOM], 0)?;
    file.sync_all()?;
    let (start, mut at) = (Instant::now(), 0);
    while start.elapsed() < plan.spell() / 4 && at + RECORD < ROOM {
        latencies.time(|| {
            file.write_all_at(&[7; RECORD], at as u64)?;
            Ok(file.sync_data()?)
        })?;
        at += RECORD;
    }
    Ok(std::fs::remove_file(path)?)
}
