//! dosql, as it is shipped (a week of history kept), and without history, which is what its peers do.

use std::ops::{Bound, ControlFlow};
use std::path::Path;

use dosql::{Database, Isolation, Keyspace, Options, ReadTransaction, Storage};

use crate::engine::{Change, Durability, Engine, Reader, Result, Settings, Way, incremented};

/// dosql with the retention given, in microseconds.
pub struct Dosql<const RETENTION: u64> {
    database: Database,
    keyspace: Keyspace,
}

/// As shipped.
pub type Shipped = Dosql<{ 7 * dosql::DAY }>;
/// Without history.
pub type Forgetful = Dosql<0>;

/// The options of every run: the memory and the log that its peers get too. A quarter of the memory is for history, which is beside the
/// pages; half may have changed, as in what is shipped.
pub fn options(settings: Settings, retention: u64) -> Options {
    let shipped = Options::default();
    Options {
        cache_bytes: settings.memory_bytes / 4 * 3,
        dirty_bytes: settings.memory_bytes / 2,
        log_limit: settings.log_bytes.map_or(shipped.log_limit, |bytes| bytes as u64),
        retention,
        ..shipped
    }
}

impl<const RETENTION: u64> Engine for Dosql<RETENTION> {
    const NAME: &'static str = if RETENTION == 0 { "dosql-r0" } else { "dosql" };
    type Reader<'e> = DosqlReader<'e>;

    fn open(directory: &Path, settings: Settings) -> Result<Self> {
        let options = options(settings, RETENTION);
        let storage = Storage::directory_with(directory.join("kv.dosql"), &options)?;
        let database = Database::open(storage, options)?;
        let mut keyspace = database.keyspace("kv")?;
        if database.read()?.iter(&keyspace)?.next().is_none() {
            database.write(|tx| tx.put(&keyspace, [0], [0]))?;
            database.write(|tx| tx.delete(&keyspace, [0]))?;
            keyspace = database.keyspace("kv")?;
        }
        Ok(Dosql { database, keyspace })
    }

    fn commit<'a>(&self, changes: impl Iterator<Item = Change<'a>>, durability: Durability) -> Result<()> {
        let mut tx = self.database.begin_write()?;
        if durability == Durability::Lazy {
            tx.set_durability(dosql::Durability::None);
        }
        for (key, value) in changes {
            match value {
                Some(value) => tx.put(&self.keyspace, key, value)?,
                None => tx.delete(&self.keyspace, key)?,
            }
        }
        tx.commit()?;
        Ok(())
    }

    fn reader(&self) -> Result<DosqlReader<'_>> {
        Ok(DosqlReader { tx: self.database.read()?, keyspace: &self.keyspace })
    }

    fn increment(&self, key: &[u8]) -> Result<()> {
        Ok(self.database.write_concurrent(Isolation::Serializable, |tx| {
            tx.set_durability(dosql::Durability::None);
            let old = tx.get(&self.keyspace, key)?;
            tx.put(&self.keyspace, key, incremented(old.as_deref()))
        })?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.sync()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.database.close()?)
    }
}

/// A snapshot.
pub struct DosqlReader<'e> {
    tx: ReadTransaction,
    keyspace: &'e Keyspace,
}

impl Reader for DosqlReader<'_> {
    fn get(&mut self, key: &[u8], found: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.tx.get(self.keyspace, key)?.map(|value| found(&value)).is_some())
    }

    fn scan(
        &mut self,
        from: Option<&[u8]>,
        way: Way,
        limit: usize,
        mut entry: impl FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let mut range = match way {
            Way::Up => self.tx.range::<&[u8]>(self.keyspace, (from, Bound::Unbounded))?,
            Way::Down => self.tx.range_rev::<&[u8]>(self.keyspace, (Bound::Unbounded, from))?,
        };
        let mut count = 0;
        range.visit(|key, value| {
            entry(key, value);
            count += 1;
            if count < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(count)
    }
}
