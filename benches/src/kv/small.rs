//! Many small databases: opened, one row read, closed.

use std::path::{Path, PathBuf};

use super::load::flush_files;
use super::{Plan, puts};
use crate::data::{key, value};
use crate::engine::{Durability, Engine, Reader, Result, Settings};
use crate::measure::{Latencies, disk_mib, held_kib};
use crate::report::Sheet;

const ROWS: u64 = 10;
const SETTINGS: Settings = Settings { memory_bytes: 1 << 20, log_bytes: None };
/// Databases that are made, each by its engine.
const MADE: u64 = 20;
/// Copies that are made at a time.
const COPIES: u64 = 250;
/// Databases that are open together while their memory is measured.
const TOGETHER: u64 = 100;

/// Makes a few, copies one of them many times, and opens the copies: one after the other, then some together.
pub fn many<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let directory = plan.sub("small")?;
    let mut made = Latencies::default();
    for i in 0..MADE {
        let place = plan.sub(&format!("small/made-{i}"))?;
        made.time(|| {
            let engine = E::open(&place, SETTINGS)?;
            let entries: Vec<_> = (0..ROWS).map(|row| (key(row), value(row, 0))).collect();
            engine.commit(puts(&entries), Durability::Sync)?;
            engine.close()
        })?;
    }
    sheet.less("small database: make, write 10 rows, close [us]", made.percentile(0.5));
    sheet.less("small database: disk [KiB]", disk_mib(&directory)? * 1024.0 / MADE as f64);
    let held = held_open::<E>(&copies(&directory, TOGETHER)?)?;
    sheet.less("14 memory of a small database while open, anonymous [KiB]", held);
    let (mut opened, mut number) = (Latencies::default(), 0);
    // Slow engines need not do all.
    let enough = 2.0 * plan.spell().as_secs_f64();
    while number < plan.databases() && opened.seconds() < enough {
        for place in copies(&directory, COPIES)? {
            opened.time(|| {
                let engine = E::open(&place, SETTINGS)?;
                read_row(&engine)?;
                engine.close()
            })?;
            if opened.seconds() >= enough {
                break;
            }
        }
        number += COPIES;
    }
    sheet
        .more("14 small databases opened, a row read, closed [/s]", opened.count() as f64 / opened.seconds());
    opened.enter(sheet, "small database: open, read a row, close");
    Ok(std::fs::remove_dir_all(directory)?)
}

/// Fresh copies, which the device has.
fn copies(directory: &Path, count: u64) -> Result<Vec<PathBuf>> {
    let made = directory.join("made-0");
    let places: Vec<_> = (0..count).map(|i| directory.join(i.to_string())).collect();
    for place in &places {
        let _ = std::fs::remove_dir_all(place);
        copy(&made, place)?;
    }
    flush_files()?;
    Ok(places)
}

/// Copies a directory of small files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &place)?,
            false => drop(std::fs::copy(entry.path(), place)?),
        }
    }
    Ok(())
}

fn read_row<E: Engine>(engine: &E) -> Result<()> {
    let mut right = false;
    engine.reader()?.get(&key(3), |bytes| right = bytes == value(3, 0))?;
    if right { Ok(()) } else { Err("a small database lost its row".into()) }
}

/// KiB that each takes while many are open.
fn held_open<E: Engine>(places: &[PathBuf]) -> Result<f64> {
    let before = held_kib();
    let mut open = Vec::new();
    for place in places {
        let engine = E::open(place, SETTINGS)?;
        read_row(&engine)?;
        open.push(engine);
    }
    let held = held_kib().saturating_sub(before) as f64 / open.len() as f64;
    open.into_iter().try_for_each(E::close)?;
    Ok(held)
}
