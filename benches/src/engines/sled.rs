//! sled: a lock-free tree over a log.

use std::ops::Bound;
use std::path::Path;

use sled::{Batch, Db};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// sled. It has no snapshots: its reader sees what is committed meanwhile.
pub struct Sled(Db);

impl Engine for Sled {
    const NAME: &'static str = "sled";
    type Reader<'e> = SledReader<'e>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let config =
            sled::Config::new().path(directory.join("kv.sled")).cache_capacity(settings.memory_bytes as u64);
        Ok(Sled(config.flush_every_ms(None).open()?))
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.0.apply_batch(batch)?;
        if durability == Durability::Sync {
            self.0.flush()?;
        }
        Ok(())
    }

    fn reader(&self) -> Result<SledReader<'_>> {
        Ok(SledReader(&self.0))
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        self.0.update_and_fetch(key, |old| Some(incremented(old).to_vec()))?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.0.flush()?;
        Ok(())
    }

    fn close(self) -> Result<()> {
        self.0.flush()?;
        Ok(())
    }
}

/// The tree itself.
pub struct SledReader<'e>(&'e Db);

impl Reader for SledReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.0.get(key)?.map(|value| found(&value)).is_some())
    }

    fn scan(
        &mut self,
        from: Option<&[u8]>,
        way: Way,
        limit: usize,
        mut entry: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let mut count = 0;
        let mut lend = |pair: sled::Result<(sled::IVec, sled::IVec)>| -> Result<()> {
            let (key, value) = pair?;
            entry(&key, &value);
            count += 1;
            Ok(())
        };
        match way {
            Way::Up => {
                let range = self.0.range::<&[u8], _>((from, Bound::Unbounded));
                range.take(limit).try_for_each(&mut lend)?;
            }
            Way::Down => {
                let range = self.0.range::<&[u8], _>((Bound::Unbounded, from));
                range.rev().take(limit).try_for_each(&mut lend)?;
            }
        }
        Ok(count)
    }
}
