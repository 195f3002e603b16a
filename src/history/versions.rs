//! A walk through the versions of a range of keys: the tree's rows and the superseded versions, merged key by key.
//!
//! All versions of one key are held in memory at a time. Keys ascend, but for those so long that they are stored under a hash
//! (see [`crate::long_keys`]), which come in the order of their hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::Cursor;
use dosql_sql::{KeyRange, Version};

use super::cursor::{MemtableCursor, Versions};
use super::key;
use crate::view::View;

/// What a key held from `start` until `end`.
struct Held {
    key: Vec<u8>,
    start: Timestamp,
    /// [`Timestamp::MAX`] where the walk's snapshot sees no end.
    end: Timestamp,
    value: Vec<u8>,
}

/// The walk. Sees what a reader of `view` as of `at` may know.
pub(crate) struct VersionWalk {
    view: Arc<View>,
    at: Timestamp,
    /// Versions that began at or before `to` and ended after `from`.
    from: Timestamp,
    to: Timestamp,
    range: KeyRange,
    /// Where stored keys end.
    end: Vec<u8>,
    tree: Cursor,
    in_tree: bool,
    sources: Vec<Source>,
    opened: bool,
    /// Versions of the key that was come to last, the next one last.
    ready: Vec<Held>,
    /// The one that is lent.
    lent: Option<Held>,
}

/// Superseded versions, standing on one.
struct Source {
    versions: Box<dyn Versions + Send>,
    key: Vec<u8>,
    start: Timestamp,
    here: bool,
}

impl Source {
    fn settle(&mut self, found: bool) -> Result<()> {
        self.here = found;
        if found {
            self.start = key::decode(self.versions.key(), &mut self.key)?;
        }
        Ok(())
    }
}

impl VersionWalk {
    /// Reads nothing yet.
    pub(crate) fn new(
        view: &Arc<View>,
        at: Timestamp,
        range: &KeyRange,
        from: Timestamp,
        to: Timestamp,
    ) -> VersionWalk {
        let pages = &view.pages;
        let runs = view.history.runs.iter().filter(|run| run.first_start <= to && run.last_end > from);
        let runs = runs.map(|run| -> Box<dyn Versions + Send> { Box::new(pages.cursor(run.root)) });
        let memtables = view.history.memtables().map(|memtable| -> Box<dyn Versions + Send> {
            Box::new(MemtableCursor::new(Arc::clone(memtable)))
        });
        let source = |versions| Source { versions, key: Vec::new(), start: Timestamp::ZERO, here: false };
        VersionWalk {
            at: at.min(view.timestamp),
            from,
            to,
            end: view.key_form().stored_range(range).end,
            range: range.clone(),
            tree: pages.cursor(view.root),
            in_tree: false,
            sources: runs.chain(memtables).map(source).collect(),
            opened: false,
            ready: Vec::new(),
            lent: None,
            view: Arc::clone(view),
        }
    }

    fn open(&mut self) -> Result<()> {
        let start = self.view.key_form().stored_range(&self.range).start;
        self.in_tree = self.tree.seek(&start)?;
        let mut encoded = Vec::new();
        key::encode_before(&mut encoded, &start);
        for source in &mut self.sources {
            let found = source.versions.seek(&encoded)?;
            source.settle(found)?;
        }
        self.opened = true;
        Ok(())
    }

    /// The least stored key that any source stands on, within the range.
    fn next_key(&self) -> Option<Vec<u8>> {
        let tree = self.in_tree.then(|| self.tree.key());
        let sources = self.sources.iter().filter(|source| source.here).map(|source| source.key.as_slice());
        let least = tree.into_iter().chain(sources).min()?;
        (least < self.end.as_slice()).then(|| least.to_vec())
    }

    /// All versions of the next stored key; whether there was one.
    fn gather(&mut self) -> Result<bool> {
        let Some(stored) = self.next_key() else { return Ok(false) };
        let mut versions: Vec<Held> = Vec::new();
        if self.in_tree && self.tree.key() == stored {
            let start = self.tree.version();
            if start <= self.at && !self.tree.is_tombstone() {
                let value = self.tree.value()?.to_vec();
                versions.push(Held { key: stored.clone(), start, end: Timestamp::MAX, value });
            }
            self.in_tree = self.tree.next()?;
        }
        for source in &mut self.sources {
            while source.here && source.key == stored {
                let (start, end) = (source.start, source.versions.end());
                // What a memtable was given since the view began is still in the view's tree.
                if start <= self.at && end <= self.view.timestamp {
                    let end = if end > self.at { Timestamp::MAX } else { end };
                    let value = source.versions.value()?.to_vec();
                    versions.push(Held { key: stored.clone(), start, end, value });
                }
                let found = source.versions.next()?;
                source.settle(found)?;
            }
        }
        versions.sort_by_key(|version| version.start);
        if self.view.key_form().is_long(&stored) {
            versions = self.spread(versions)?;
        }
        versions.retain(|version| version.start <= self.to && version.end > self.from);
        self.ready = versions;
        Ok(true)
    }

    /// Versions of a bucket as versions of the long keys in it: what stays the same from one to the next is one version.
    fn spread(&self, buckets: Vec<Held>) -> Result<Vec<Held>> {
        let form = self.view.key_form();
        let mut keys: BTreeMap<Vec<u8>, Vec<Held>> = BTreeMap::new();
        for bucket in &buckets {
            for (key, value) in form.entries(&bucket.key, &bucket.value)? {
                let versions = keys.entry(key.to_vec()).or_default();
                match versions.last_mut() {
                    Some(last) if last.end == bucket.start && last.value == value => last.end = bucket.end,
                    _ => versions.push(Held {
                        key: key.into_owned(),
                        start: bucket.start,
                        end: bucket.end,
                        value: value.to_vec(),
                    }),
                }
            }
        }
        let within = |key: &[u8]| self.range.start.as_slice() <= key && key < self.range.end.as_slice();
        // The last is lent first.
        Ok(keys.into_iter().rev().filter(|(key, _)| within(key)).flat_map(|(_, versions)| versions).collect())
    }
}

impl dosql_sql::Versions for VersionWalk {
    fn next(&mut self) -> Result<Option<Version<'_>>> {
        if !self.opened {
            self.open()?;
        }
        while self.ready.is_empty() {
            if !self.gather()? {
                return Ok(None);
            }
        }
        self.lent = self.ready.pop();
        Ok(self.lent.as_ref().map(|held| Version {
            key: &held.key,
            start: held.start,
            end: held.end,
            value: &held.value,
        }))
    }
}
