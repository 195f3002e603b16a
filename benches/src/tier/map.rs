//! The engines of [`super::peers`] that are built here.

use std::path::Path;
use std::sync::Arc;

use dosql::{Database, Durability, Keyspace, Options};

use super::far::Far;
use super::peers::{Peer, session, store_in, weigh};
use super::{Sizes, settle, storage};
use crate::engine::Result;
use crate::kv::Plan;
use crate::report::Sheet;

/// dosql with a hot budget; what is hot is published at the end.
struct Tiered {
    db: Database,
    space: Keyspace,
}

impl Peer for Tiered {
    fn open(directory: &Path, far: &Arc<Far>, bytes: usize) -> Result<Tiered> {
        // None of the others keeps a past.
        let options =
            Options { durability: Durability::None, retention: 0, ..Sizes { rows: 0, bytes }.options(true) };
        let db = Database::open(storage(directory, "map", far, &options)?, options)?;
        let space = db.keyspace("readings")?;
        Ok(Tiered { db, space })
    }

    fn load(&self, batch: &[([u8; 8], Vec<u8>)]) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        batch.iter().try_for_each(|(key, value)| tx.put(&self.space, key, value))?;
        tx.commit()?;
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        settle(&self.db)?;
        self.db.publish()?;
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(self.db.close()?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.db.read()?.get(&self.space, key)?.map(|value| value.to_vec()))
    }
}

/// Takes the figures of dosql.
pub fn dosql(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let objects = plan.directory.join("map-objects");
    let far = store_in(&objects)?;
    session::<Tiered>(&plan.directory, &far, (plan.scale, Sizes::at(plan.scale).bytes), sheet)?;
    let sizes = Sizes::at(plan.scale);
    let options = Options { retention: 0, ..sizes.options(true) };
    let db = Database::open(storage(&plan.directory, "map", &far, &options)?, options)?;
    let segments = db.segments();
    let (bytes, rows) = segments.iter().fold((0, 0), |sum, it| (sum.0 + it.bytes, sum.1 + it.rows));
    sheet.less("7 map: stored bytes a row", bytes as f64 / rows.max(1) as f64);
    weigh(&objects, "map: bytes in the store a row", plan.scale, sheet)
}

/// RocksDB with LZ4 on every level: what the same rows weigh there.
#[cfg(feature = "rocksdb")]
pub fn rocksdb(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    use super::readings::{Reading, SENSORS, rows_at};
    let mut options = ::rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_compression_type(::rocksdb::DBCompressionType::Lz4);
    let mut blocks = ::rocksdb::BlockBasedOptions::default();
    blocks.set_bloom_filter(10.0, false);
    options.set_block_based_table_factory(&blocks);
    let directory = plan.directory.join("map.rocksdb");
    let db = ::rocksdb::DB::open(&options, &directory)?;
    for round in 0..rows_at(plan.scale) / SENSORS {
        let mut batch = ::rocksdb::WriteBatch::default();
        for n in round * SENSORS..(round + 1) * SENSORS {
            batch.put(Reading::key_of(n), Reading::new(n).value());
        }
        let mut lazy = ::rocksdb::WriteOptions::default();
        lazy.disable_wal(true);
        db.write_opt(batch, &lazy)?;
    }
    db.flush()?;
    db.compact_range::<&[u8], &[u8]>(None, None);
    let files: u64 = db.live_files()?.iter().map(|file| file.size as u64).sum();
    sheet.less("7 map: stored bytes a row", files as f64 / rows_at(plan.scale) as f64);
    Ok(())
}
