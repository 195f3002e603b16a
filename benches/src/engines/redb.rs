//! redb: a copy-on-write B-tree.

use std::ops::Bound;
use std::path::Path;

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("kv");

/// redb.
pub struct Redb(Database);

impl Redb {
    fn begin(&self, durability: Durability) -> Result<redb::WriteTransaction> {
        let mut tx = self.0.begin_write()?;
        tx.set_durability(match durability {
            Durability::Sync => redb::Durability::Immediate,
            Durability::Lazy => redb::Durability::None,
        })?;
        Ok(tx)
    }
}

impl Engine for Redb {
    const NAME: &'static str = "redb";
    type Reader<'e> = ReadOnlyTable<&'static [u8], &'static [u8]>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let engine = Redb(
            Database::builder().set_cache_size(settings.memory_bytes).create(directory.join("kv.redb"))?,
        );
        if engine.0.begin_read()?.open_table(TABLE).is_err() {
            let tx = engine.begin(Durability::Sync)?;
            tx.open_table(TABLE)?;
            tx.commit()?;
        }
        Ok(engine)
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let tx = self.begin(durability)?;
        {
            let mut table = tx.open_table(TABLE)?;
            for (key, value) in changes {
                match value {
                    Some(value) => drop(table.insert(key, value)?),
                    None => drop(table.remove(key)?),
                }
            }
        }
        Ok(tx.commit()?)
    }

    fn reader(&self) -> Result<Self::Reader<'_>> {
        Ok(self.0.begin_read()?.open_table(TABLE)?)
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        let tx = self.begin(Durability::Lazy)?;
        {
            let mut table = tx.open_table(TABLE)?;
            let new = incremented(table.get(key)?.as_ref().map(|guard| guard.value()));
            table.insert(key, new.as_slice())?;
        }
        Ok(tx.commit()?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.begin(Durability::Sync)?.commit()?)
    }

    fn close(self) -> Result<()> {
        drop(self.0);
        Ok(())
    }
}

impl Reader for ReadOnlyTable<&'static [u8], &'static [u8]> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(ReadableTable::get(self, key)?.map(|guard| found(guard.value())).is_some())
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
        let mut lend = |pair: std::result::Result<_, redb::StorageError>| -> Result<()> {
            let (key, value): (redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>) = pair?;
            entry(key.value(), value.value());
            count += 1;
            Ok(())
        };
        match way {
            Way::Up => {
                let range = self.range::<&[u8]>((from, Bound::Unbounded))?;
                range.take(limit).try_for_each(&mut lend)?;
            }
            Way::Down => {
                let range = self.range::<&[u8]>((Bound::Unbounded, from))?;
                range.rev().take(limit).try_for_each(&mut lend)?;
            }
        }
        Ok(count)
    }
}
