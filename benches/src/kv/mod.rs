//! The key-value workloads. One process measures one engine, so that memory and background threads are its own; the driver
//! goes round the engines, several times, and takes medians.

mod crash;
mod load;
mod mixed;
mod reads;
mod small;
mod writes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{Engine, Result};
use crate::report::Sheet;

pub use crash::{die_writing, look_after};
pub use reads::scarce;

/// Entries at scale 1.
const ENTRIES: f64 = 1_000_000.0;
/// Bytes of cache where the workload does not say otherwise.
const CACHE: usize = 1 << 30;
/// Bytes of cache at scale 1 where it is to be scarce: less than half the data.
const SCARCE_CACHE: f64 = (64 << 20) as f64;

/// What a measuring process is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A directory of its own.
    pub directory: PathBuf,
    /// 1 is a million entries.
    pub scale: f64,
}

impl Plan {
    /// 1 is the full size.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    fn entries(&self) -> u64 {
        (ENTRIES * self.scale) as u64
    }

    fn scarce_cache(&self) -> usize {
        (SCARCE_CACHE * self.scale) as usize
    }

    /// How long a workload goes on that is bounded by time.
    pub fn spell(&self) -> Duration {
        Duration::from_secs_f64((self.scale * 10.0).clamp(0.2, 5.0))
    }

    /// A directory in the plan's own, which is made.
    pub fn sub(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// Runs every workload but the crash on engine `E`.
pub fn session<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    load::sorted::<E>(plan, sheet)?;
    let random = plan.sub("random")?;
    let engine = load::random::<E>(plan, &random, sheet)?;
    let n = plan.entries();
    reads::warm(&engine, n, sheet)?;
    writes::overwrite(&engine, plan, &random, sheet)?;
    writes::durable(&engine, plan, sheet)?;
    writes::lazy(&engine, plan, sheet)?;
    mixed::reader_and_writer(&engine, plan, sheet)?;
    mixed::optimists(&engine, plan, sheet)?;
    engine.close()?;
    writes::remove_half::<E>(plan, &random, sheet)?;
    small::many::<E>(plan, sheet)
}

fn open<E: Engine>(directory: &Path) -> Result<E> {
    E::open(directory, CACHE)
}
