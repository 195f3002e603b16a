//! RocksDB: an LSM tree in C++. Behind the feature `rocksdb`, since it takes many minutes to compile.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, OptimisticTransactionDB, Options, WriteBatchWithTransaction,
    WriteOptions,
};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// RocksDB with optimistic transactions; batches and reads go past them.
pub struct Rocks(OptimisticTransactionDB);

impl Engine for Rocks {
    const NAME: &'static str = "rocksdb";
    type Reader<'e> = RocksReader<'e>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(settings.memory_bytes));
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        // Nobody else compresses, and the values don't shrink.
        options.set_compression_type(DBCompressionType::None);
        options.set_block_based_table_factory(&blocks);
        Ok(Rocks(OptimisticTransactionDB::open(&options, directory.join("kv.rocksdb"))?))
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Sync);
        Ok(self.0.write_opt(batch, &options)?)
    }

    fn reader(&self) -> Result<RocksReader<'_>> {
        Ok(RocksReader(self.0.snapshot()))
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        loop {
            let tx = self.0.transaction();
            let new = incremented(tx.get_for_update(key, true)?.as_deref());
            tx.put(key, new)?;
            match tx.commit() {
                Ok(()) => return Ok(()),
                Err(error)
                    if matches!(error.kind(), rocksdb::ErrorKind::Busy | rocksdb::ErrorKind::TryAgain) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sync(&self) -> Result<()> {
        Ok(self.0.flush_wal(true)?)
    }

    fn close(self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// A snapshot.
pub struct RocksReader<'e>(rocksdb::SnapshotWithThreadMode<'e, OptimisticTransactionDB>);

impl Reader for RocksReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.0.get_pinned(key)?.map(|value| found(&value)).is_some())
    }

    fn scan(
        &mut self,
        from: Option<&[u8]>,
        way: Way,
        limit: usize,
        mut entry: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let mut cursor = self.0.raw_iterator();
        match (from, way) {
            (None, Way::Up) => cursor.seek_to_first(),
            (None, Way::Down) => cursor.seek_to_last(),
            (Some(from), Way::Up) => cursor.seek(from),
            (Some(from), Way::Down) => cursor.seek_for_prev(from),
        }
        let mut count = 0;
        while count < limit
            && let Some((key, value)) = cursor.item()
        {
            entry(key, value);
            count += 1;
            match way {
                Way::Up => cursor.next(),
                Way::Down => cursor.prev(),
            }
        }
        cursor.status()?;
        Ok(count)
    }
}
