//! fjall: an LSM tree.

use std::ops::Bound;
use std::path::Path;

use fjall::{
    Keyspace, KeyspaceCreateOptions, OptimisticTxDatabase, OptimisticTxKeyspace, PersistMode, Readable,
    Snapshot,
};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// fjall, opened with optimistic transactions; batches and reads go past them.
pub struct Fjall {
    database: OptimisticTxDatabase,
    keyspace: OptimisticTxKeyspace,
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    type Reader<'e> = FjallReader<'e>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let builder = OptimisticTxDatabase::builder(directory.join("kv.fjall"));
        let database = builder.cache_size(settings.memory_bytes as u64).open()?;
        let keyspace = database.keyspace("kv", KeyspaceCreateOptions::default)?;
        Ok(Fjall { database, keyspace })
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let mode = (durability == Durability::Sync).then_some(PersistMode::SyncData);
        let mut batch = self.database.inner().batch().durability(mode);
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(self.keyspace.inner(), key, value),
                None => batch.remove(self.keyspace.inner(), key),
            }
        }
        Ok(batch.commit()?)
    }

    fn reader(&self) -> Result<FjallReader<'_>> {
        Ok(FjallReader { snapshot: self.database.read_tx(), keyspace: self.keyspace.inner() })
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        loop {
            let mut tx = self.database.write_tx()?.durability(None);
            let add = |old: Option<&fjall::UserValue>| {
                Some(incremented(old.map(|value| &**value)).as_slice().into())
            };
            tx.update_fetch(&self.keyspace, key, add)?;
            if tx.commit()?.is_ok() {
                return Ok(());
            }
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn close(self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}

/// A snapshot.
pub struct FjallReader<'e> {
    snapshot: Snapshot,
    keyspace: &'e Keyspace,
}

impl Reader for FjallReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.snapshot.get(self.keyspace, key)?.map(|value| found(&value)).is_some())
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
        let mut lend = |guard: fjall::Guard| -> Result<()> {
            let (key, value) = guard.into_inner()?;
            entry(&key, &value);
            count += 1;
            Ok(())
        };
        match way {
            Way::Up => {
                let range = self.snapshot.range::<&[u8], _>(self.keyspace, (from, Bound::Unbounded));
                range.take(limit).try_for_each(&mut lend)?;
            }
            Way::Down => {
                let range = self.snapshot.range::<&[u8], _>(self.keyspace, (Bound::Unbounded, from));
                range.rev().take(limit).try_for_each(&mut lend)?;
            }
        }
        Ok(count)
    }
}
