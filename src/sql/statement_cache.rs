//! Prepared statements by their text, the longest unused one dropped first.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_sql::session::Prepared;

/// How many are kept.
const CAPACITY: usize = 128;

/// A small cache.
#[derive(Default)]
pub(super) struct StatementCache {
    entries: BTreeMap<Arc<str>, (Arc<Prepared>, u64)>,
    clock: u64,
}

impl StatementCache {
    pub(super) fn get(&mut self, sql: &str) -> Option<Arc<Prepared>> {
        self.clock += 1;
        let (prepared, used) = self.entries.get_mut(sql)?;
        *used = self.clock;
        Some(Arc::clone(prepared))
    }

    pub(super) fn insert(&mut self, sql: Arc<str>, prepared: Arc<Prepared>) {
        if self.entries.len() >= CAPACITY {
            let oldest =
                self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(sql, _)| Arc::clone(sql));
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(sql, (prepared, self.clock));
    }
}
