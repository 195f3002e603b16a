//! The key-value workloads. One process measures one engine, so that memory and background threads are its own; the driver
//! goes round the engines, several times, and takes medians. The number in front of a figure's name is its workload's; what it is
//! to reach stands in `reach.rs`.

mod crash;
mod device;
mod load;
mod mixed;
mod optimists;
mod reads;
mod scarce;
mod small;
mod writes;

use std::path::PathBuf;
use std::time::Duration;

use crate::data::{Key, Value};
use crate::engine::{Change, Engine, Reader, Result, Settings, Way};
use crate::report::Sheet;

pub use crash::{die_writing, look_after};
pub use scarce::scarce;
pub use small::many;

/// Entries at scale 1.
const ENTRIES: f64 = 1_000_000.0;
/// Small databases at scale 1.
const DATABASES: f64 = 10_000.0;
/// Bytes of memory at scale 1 where it is to be scarce: less than half the data.
const SCARCE_MEMORY: f64 = (64 << 20) as f64;

/// What engines are opened with where the workload does not say otherwise.
pub const AMPLE: Settings = Settings { memory_bytes: 1 << 30, log_bytes: Some(64 << 20) };

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

    fn databases(&self) -> u64 {
        (DATABASES * self.scale) as u64
    }

    fn scarce(&self) -> Settings {
        Settings { memory_bytes: (SCARCE_MEMORY * self.scale) as usize, ..AMPLE }
    }

    /// As engines are shipped, but for the memory.
    fn shipped() -> Settings {
        Settings { log_bytes: None, ..AMPLE }
    }

    /// How long a workload goes on that is bounded by time.
    pub fn spell(&self) -> Duration {
        Duration::from_secs_f64((self.scale * 4.0).clamp(0.2, 2.0))
    }

    /// A directory in the plan's own, which is made.
    pub fn sub(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// Runs on engine `E` every workload but those that have processes of their own: the crash, scarce memory, small databases. The loaded database is copied for those that need
/// it as it was.
pub fn session<E: Engine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    load::sorted::<E>(plan, sheet)?;
    let loaded = plan.sub("main")?;
    load::random::<E>(plan, &loaded, sheet)?;
    for copy in ["crash", "removals"] {
        load::copy(&loaded, &plan.sub(copy)?)?;
    }
    load::flush_files()?;
    let engine = E::open(&loaded, AMPLE)?;
    let n = plan.entries();
    reads::warm(&engine, n, sheet)?;
    let engine = writes::overwrite(engine, plan, &loaded, sheet)?;
    writes::durable(&engine, plan, sheet)?;
    writes::lazy(&engine, plan, sheet)?;
    mixed::reader_and_writer(&engine, plan, sheet)?;
    optimists::increments(&engine, plan, sheet)?;
    engine.close()?;
    std::fs::remove_dir_all(loaded)?;
    writes::remove_half::<E>(plan, &plan.sub("removals")?, sheet)
}

/// Brings every leaf into memory.
fn read_all<E: Engine>(engine: &E) -> Result<()> {
    let mut sum = 0u64;
    engine.reader()?.scan(None, Way::Up, usize::MAX, |_, value| sum += u64::from(value[0]))?;
    std::hint::black_box(sum);
    Ok(())
}

/// Entries as a commit takes them.
fn puts(entries: &[(Key, Value)]) -> impl Iterator<Item = Change<'_>> {
    entries.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::dosql::Shipped;
    use crate::reach::KV;

    #[test]
    fn every_figure_that_is_to_reach_something_is_measured() {
        let plan = Plan { directory: std::env::temp_dir().join("dosql-bench-figures"), scale: 0.005 };
        let _ = std::fs::remove_dir_all(&plan.directory);
        let mut sheet = Sheet::default();
        session::<Shipped>(&plan, &mut sheet).unwrap();
        look_after::<Shipped>(&plan, plan.entries(), &mut sheet).unwrap();
        scarce::<Shipped>(&plan, &mut sheet).unwrap();
        many::<Shipped>(&plan, &mut sheet).unwrap();
        let missing = KV.iter().map(|(name, _)| *name).filter(|name| !sheet.has(name));
        assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
        std::fs::remove_dir_all(&plan.directory).unwrap();
    }
}
