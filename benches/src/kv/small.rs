//! Many small databases: opened, one row read, closed.

use super::Plan;
use crate::data::{key, value};
use crate::engine::{Durability, Engine, Reader, Result};
use crate::measure::{Latencies, disk_mib};
use crate::report::Sheet;

const DATABASES: u64 = 50;
const ROWS: u64 = 10;
const CACHE: usize = 1 << 20;

/// Creates the databases, then opens each, reads a row and closes.
pub fn many<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let directory = plan.sub("small")?;
    let place = |i: u64| -> Result<_> {
        let place = directory.join(i.to_string());
        std::fs::create_dir_all(&place)?;
        Ok(place)
    };
    let mut created = Latencies::default();
    for i in 0..DATABASES {
        let place = place(i)?;
        created.time(|| {
            let engine = E::open(&place, CACHE)?;
            let entries: Vec<_> = (0..ROWS).map(|row| (key(row), value(row, i))).collect();
            let changes = entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
            engine.commit(changes, Durability::Sync)?;
            engine.close()
        })?;
    }
    let mut opened = Latencies::default();
    for i in 0..DATABASES {
        let place = place(i)?;
        opened.time(|| {
            let engine = E::open(&place, CACHE)?;
            let mut right = false;
            engine.reader()?.get(&key(3), |bytes| right = bytes == value(3, i))?;
            engine.close()?;
            if right { Ok(()) } else { Err("a small database lost its row".into()) }
        })?;
    }
    sheet.less("small database: create, write 10 rows, close [us]", created.percentile(0.5));
    sheet.less("small database: open, read a row, close [us]", opened.percentile(0.5));
    sheet.less("small database: disk [KiB]", disk_mib(&directory)? * 1024.0 / DATABASES as f64);
    Ok(())
}
