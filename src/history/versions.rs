//! A walk through the versions of a range of keys: the tree's rows and the superseded versions, merged key by key.
//!
//! On a branch, what a key held before the branch first changed it comes from the branches beneath.
//!
//! All versions of one key are held in memory at a time. Keys ascend, but for those so long that they are stored under a hash
//! (see [`crate::long_keys`]), which come in the order of their hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::{Cursor, PageSnapshot, Root};
use dosql_sql::{KeyRange, Version};

use super::History;
use super::cursor::{MemtableCursor, RunCursor, Versions};
use super::key;
use crate::tier::live::Live;
use crate::view::View;

/// What a key held from `start` until `end`.
struct Held {
    key: Vec<u8>,
    start: Timestamp,
    /// [`Timestamp::MAX`] where the walk's snapshot sees no end.
    end: Timestamp,
    /// `None` where it was deleted.
    value: Option<Vec<u8>>,
}

/// The walk. Sees what a reader of `view` as of `at` may know.
pub(crate) struct VersionWalk {
    view: Arc<View>,
    /// Versions that began at or before `to` and ended after `from`.
    from: Timestamp,
    to: Timestamp,
    range: KeyRange,
    /// Where stored keys end.
    end: Vec<u8>,
    /// The branch, then what lies beneath it, the nearest first.
    layers: Vec<Layer>,
    opened: bool,
    /// Versions of the key that was come to last, the next one last.
    ready: Vec<Held>,
    /// The one that is lent.
    lent: Option<Held>,
}

/// The versions of one branch.
struct Layer {
    /// What is seen of it: up to here.
    at: Timestamp,
    /// What memtables tell of later times is in the tree.
    known: Timestamp,
    tree: Cursor,
    in_tree: bool,
    skip: Option<Skip>,
    sources: Vec<Source>,
    /// The branch's rows in the segment store: versions of which nothing says when they ended, but that others began.
    live: Vec<Source>,
}

/// What of a tree need not be looked at: rows that have not changed since.
struct Skip {
    pages: PageSnapshot,
    root: Root,
    since: Timestamp,
    /// Pages up to this number have not either.
    epoch: u64,
    /// The leaf that the walk is in ends here, if it is known to be one that has changed.
    leaf: Option<Option<Vec<u8>>>,
    /// Where the range ends.
    end: Vec<u8>,
}

impl Layer {
    fn new(
        (pages, root, history, live): (&PageSnapshot, Root, &History, &Live),
        (at, known): (Timestamp, Timestamp),
        (from, to): (Timestamp, Timestamp),
        range: &KeyRange,
    ) -> Layer {
        let runs = history.runs.iter().filter(|run| run.first_start <= to && run.last_end > from);
        let runs = runs.map(|run| -> Box<dyn Versions + Send> { Box::new(RunCursor::new(run, pages)) });
        let memtables = history.memtables().map(|memtable| -> Box<dyn Versions + Send> {
            Box::new(MemtableCursor::new(Arc::clone(memtable)))
        });
        let source = |versions| Source { versions, key: Vec::new(), start: Timestamp::ZERO, here: false };
        let sources = runs.chain(memtables).map(source).collect();
        let sequences = live.sequences(pages, range).into_iter();
        let live = sequences.map(|it| -> Box<dyn Versions + Send> { Box::new(it) }).map(source).collect();
        Layer { at, known, tree: pages.cursor(root), in_tree: false, skip: None, sources, live }
    }

    fn open(&mut self, start: &[u8]) -> Result<()> {
        let found = self.tree.seek(start)?;
        self.settle_tree(found)?;
        let mut encoded = Vec::new();
        key::encode_before(&mut encoded, start);
        for source in self.sources.iter_mut().chain(&mut self.live) {
            let found = source.versions.seek(&encoded)?;
            source.settle(found)?;
        }
        Ok(())
    }

    /// Passes rows that have not changed, and leaves of none that has without reading them.
    fn settle_tree(&mut self, mut found: bool) -> Result<()> {
        let tree = &mut self.tree;
        while let Some(skip) = self.skip.as_mut().filter(|_| found) {
            let key = tree.key();
            if key >= skip.end.as_slice() {
                found = false;
                break;
            }
            let inside = match &skip.leaf {
                Some(high) => high.as_ref().is_none_or(|high| key < high.as_slice()),
                None => false,
            };
            if !inside {
                let Some(leaf) = skip.pages.changed_leaf(skip.root, skip.epoch, key)? else {
                    found = false;
                    break;
                };
                let ahead = leaf.low.as_slice() > key;
                skip.leaf = Some(leaf.high);
                if ahead {
                    found = tree.seek(&leaf.low)?;
                    continue;
                }
            }
            if tree.version() > skip.since {
                break;
            }
            found = tree.next()?;
        }
        self.in_tree = found;
        Ok(())
    }

    /// The least stored key that it stands on.
    fn least(&self) -> Option<&[u8]> {
        let tree = self.in_tree.then(|| self.tree.key());
        let sources = self.sources.iter().chain(&self.live);
        let sources = sources.filter(|source| source.here).map(|source| source.key.as_slice());
        tree.into_iter().chain(sources).min()
    }

    /// Adds its versions of a stored key, and moves past it. Where it saw no end they end at `end`, from where on the layers
    /// above say what the key held.
    fn take(&mut self, stored: &[u8], end: Timestamp, versions: &mut Vec<Held>) -> Result<()> {
        let held = |start, end, value| Held { key: stored.to_vec(), start, end, value };
        let above = versions.len();
        if self.in_tree && self.tree.key() == stored {
            let start = self.tree.version();
            if start <= self.at {
                let value = (!self.tree.is_tombstone()).then(|| self.tree.value().map(<[u8]>::to_vec));
                versions.push(held(start, end, value.transpose()?));
            }
            let found = self.tree.next()?;
            self.settle_tree(found)?;
        }
        for source in &mut self.sources {
            while source.here && source.key == stored {
                let (start, ended) = (source.start, source.versions.end());
                if start <= self.at && ended <= self.known {
                    let end = if ended > self.at { end } else { ended };
                    let deleted = source.versions.is_tombstone();
                    let value = (!deleted).then(|| source.versions.value().map(<[u8]>::to_vec));
                    versions.push(held(start, end, value.transpose()?));
                }
                let found = source.versions.next()?;
                source.settle(found)?;
            }
        }
        self.take_live(stored, end, above, versions)
    }

    /// As [`Layer::take`], of what lies in the segment store: each ended when the next began that the layer knows of. Those are in
    /// `versions` from place `above` on.
    fn take_live(
        &mut self,
        stored: &[u8],
        end: Timestamp,
        above: usize,
        versions: &mut Vec<Held>,
    ) -> Result<()> {
        for source in &mut self.live {
            while source.here && source.key == stored {
                let start = source.start;
                let next = versions[above..].iter().map(|it| it.start).filter(|it| *it >= start).min();
                // What is on its way is in both places.
                if start <= self.at && next != Some(start) {
                    let deleted = source.versions.is_tombstone();
                    let value =
                        (!deleted).then(|| source.versions.value().map(<[u8]>::to_vec)).transpose()?;
                    let end = next.unwrap_or(end).min(source.versions.end()).min(end);
                    versions.push(Held { key: stored.to_vec(), start, end, value });
                }
                let found = source.versions.next()?;
                source.settle(found)?;
            }
        }
        Ok(())
    }
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
        let at = at.min(view.timestamp);
        // Where there are layers beneath, all versions count: one that ended before tells where those beneath it end.
        let period = if view.beneath.is_some() { (Timestamp::ZERO, Timestamp::MAX) } else { (from, to) };
        let stored = view.key_form().stored_range(range);
        let none = Live::default();
        let live = view.beneath.as_ref().map_or(&none, |beneath| &beneath.own);
        let own = (&view.pages, view.root, &view.history, live);
        let own = Layer::new(own, (at, view.timestamp), period, &stored);
        let mut layers = vec![own];
        for layer in view.beneath.iter().flat_map(|beneath| &beneath.layers) {
            let seen = (at.min(layer.fork), layer.known);
            let held = (&layer.pages, layer.root, &layer.history, &*layer.live);
            layers.push(Layer::new(held, seen, period, &stored));
        }
        VersionWalk {
            from,
            to,
            end: stored.end,
            range: range.clone(),
            layers,
            opened: false,
            ready: Vec::new(),
            lent: None,
            view: Arc::clone(view),
        }
    }

    /// Leaves out keys that have not changed since the walk's beginning, as far as that shows without reading them: no page up to number
    /// `epoch` has a change after it. Where there are layers beneath, all are needed.
    pub(crate) fn skipping(mut self, epoch: u64) -> VersionWalk {
        if self.view.beneath.is_none()
            && let Some(layer) = self.layers.first_mut()
        {
            layer.skip = Some(Skip {
                pages: self.view.pages.clone(),
                root: self.view.root,
                since: self.from,
                epoch,
                leaf: None,
                end: self.end.clone(),
            });
        }
        self
    }

    fn open(&mut self) -> Result<()> {
        let start = self.view.key_form().stored_range(&self.range).start;
        for layer in &mut self.layers {
            layer.open(&start)?;
        }
        self.opened = true;
        Ok(())
    }

    /// The least stored key that any source stands on, within the range.
    fn next_key(&self) -> Option<Vec<u8>> {
        let least = self.layers.iter().filter_map(Layer::least).min()?;
        (least < self.end.as_slice()).then(|| least.to_vec())
    }

    /// All versions of the next stored key; whether there was one.
    fn gather(&mut self) -> Result<bool> {
        let Some(stored) = self.next_key() else { return Ok(false) };
        let mut versions: Vec<Held> = Vec::new();
        for layer in &mut self.layers {
            let above = versions.iter().map(|version| version.start).min();
            layer.take(&stored, above.unwrap_or(Timestamp::MAX), &mut versions)?;
        }
        versions.retain(|version| version.value.is_some());
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
            let held = bucket.value.as_deref().unwrap_or_default();
            for (key, value) in form.entries(&bucket.key, held)? {
                let versions = keys.entry(key.to_vec()).or_default();
                match versions.last_mut() {
                    Some(last) if last.end == bucket.start && last.value.as_deref() == Some(value) => {
                        last.end = bucket.end
                    }
                    _ => versions.push(Held {
                        key: key.into_owned(),
                        start: bucket.start,
                        end: bucket.end,
                        value: Some(value.to_vec()),
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
            value: held.value.as_deref().unwrap_or_default(),
        }))
    }
}
