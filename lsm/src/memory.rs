//! Objects in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use dosql_base::Result;
use dosql_base::mutant::weakened;
use parking_lot::Mutex;

use crate::store::{SegmentStore, missing, slice, taken, validate_name};

/// Objects in memory, for tests and databases that live only as long as their process.
#[derive(Debug, Default)]
pub struct MemorySegmentStore {
    objects: Mutex<BTreeMap<String, Arc<[u8]>>>,
}

impl MemorySegmentStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        MemorySegmentStore::default()
    }
}

impl SegmentStore for MemorySegmentStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        validate_name(name)?;
        let mut objects = self.objects.lock();
        if objects.contains_key(name) && !weakened("object-overwritten") {
            return Err(taken(name));
        }
        objects.insert(name.to_string(), bytes.into());
        Ok(())
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        validate_name(name)?;
        let object = self.objects.lock().get(name).cloned().ok_or_else(|| missing(name))?;
        slice(name, &object, &range).map(<[u8]>::to_vec)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| validate_name(name))?;
        let mut objects = self.objects.lock();
        for &name in names {
            objects.remove(name);
        }
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let objects = self.objects.lock();
        Ok(objects.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }
}
