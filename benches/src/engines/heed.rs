//! heed: LMDB, a copy-on-write B-tree in a memory map.

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, FlagSetMode, RoTxn, WithoutTls};
use parking_lot::Mutex;

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// Address space for the map; the file takes only what it needs.
const MAP_BYTES: usize = 64 << 30;

/// LMDB. Its cache is the operating system's.
pub struct Heed {
    env: Env<WithoutTls>,
    map: Database<'static, Bytes, Bytes>,
    mode: Mutex<Durability>,
}

impl Heed {
    #[allow(unsafe_code, reason = "LMDB's flags can't be set safely from several threads")]
    fn set_mode(&self, durability: Durability) -> Result<()> {
        let mut mode = self.mode.lock();
        if *mode != durability {
            let set = if durability == Durability::Lazy { FlagSetMode::Enable } else { FlagSetMode::Disable };
            // SAFETY: the lock keeps other changes of the flags away, and the workloads never mix durabilities.
            unsafe { self.env.set_flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC, set)? };
            *mode = durability;
        }
        Ok(())
    }
}

impl Engine for Heed {
    const NAME: &'static str = "heed";
    const BOUNDED: bool = false;
    type Reader<'e> = HeedReader<'e>;

    #[allow(unsafe_code, reason = "LMDB maps its file")]
    fn open(directory: &Path, _settings: Settings) -> Result<Self> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        // SAFETY: nobody else touches the file of a benchmark.
        let env = unsafe { options.map_size(MAP_BYTES).open(directory)? };
        let tx = env.write_txn()?;
        let created = env.create_databases_and_commit(tx, |opener, tx| {
            opener.create_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
        });
        let map = created.map_err(|error: heed::Error| error)?.commit().ok_or("the map was not made")?;
        Ok(Heed { env, map, mode: Mutex::new(Durability::Sync) })
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        self.set_mode(durability)?;
        let mut tx = self.env.write_txn()?;
        for (key, value) in changes {
            match value {
                Some(value) => self.map.put(&mut tx, key, value)?,
                None => drop(self.map.delete(&mut tx, key)?),
            }
        }
        Ok(tx.commit()?)
    }

    fn reader(&self) -> Result<HeedReader<'_>> {
        Ok(HeedReader { tx: self.env.read_txn()?, map: self.map })
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        self.set_mode(Durability::Lazy)?;
        let mut tx = self.env.write_txn()?;
        let new = incremented(self.map.get(&tx, key)?);
        self.map.put(&mut tx, key, &new)?;
        Ok(tx.commit()?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn close(self) -> Result<()> {
        self.env.force_sync()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

/// A read transaction.
pub struct HeedReader<'e> {
    tx: RoTxn<'e, WithoutTls>,
    map: Database<'static, Bytes, Bytes>,
}

impl Reader for HeedReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.map.get(&self.tx, key)?.map(found).is_some())
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
        let mut lend = |pair: heed::Result<(&[u8], &[u8])>| -> Result<()> {
            let (key, value) = pair?;
            entry(key, value);
            count += 1;
            Ok(())
        };
        match way {
            Way::Up => {
                let range = self.map.range(&self.tx, &(from, Bound::<&[u8]>::Unbounded))?;
                range.take(limit).try_for_each(&mut lend)?;
            }
            Way::Down => {
                let range = self.map.rev_range(&self.tx, &(Bound::<&[u8]>::Unbounded, from))?;
                range.take(limit).try_for_each(&mut lend)?;
            }
        }
        Ok(count)
    }
}
