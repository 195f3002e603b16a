//! The past: versions that updates and deletes displaced, as immutable intervals `key, start <= at < end -> value`.
//!
//! ```text
//! commit --> memtable --> set aside --checkpoint--> run --merge of neighbours, next checkpoint--> run
//!            (memory)     (memory, grows no more)   (a tree of pages)
//! ```
//!
//! A version is in exactly one place, and the intervals of a key never overlap, so a read of the past finds at most one
//! version of a key, and a scan of the past is one ordered merge of the tree and these. On a branch other than main a version may say
//! that the key was deleted: without it, the parent would be asked.

pub(crate) mod compaction;
pub(crate) mod cursor;
pub(crate) mod displaced;
pub(crate) mod filters;
pub(crate) mod kept;
pub(crate) mod key;
pub(crate) mod memtable;
pub(crate) mod merging;
pub(crate) mod past;
pub(crate) mod run;
pub(crate) mod versions;

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_btree::PageSnapshot;
use dosql_lsm::Kind;

use crate::bytes::Bytes;
use crate::manifest::{Place, Run};
use crate::tier::segment::Segment;
use filters::Filters;
use memtable::Memtable;

/// The history of one branch as of some checkpoint, and everything displaced since. Cheap to share; what a reader holds stays
/// complete for the present that it was taken with, whatever later checkpoints do.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// Oldest first: the ends of the versions in a run are above those in the run before.
    pub(crate) runs: Arc<[Run]>,
    /// Memtables that the checkpoint under way makes runs of, oldest first.
    pub(crate) aside: Arc<[Arc<Memtable>]>,
    pub(crate) memtable: Arc<Memtable>,
    /// What tells which runs to ask.
    pub(crate) filters: Filters,
}

impl History {
    /// Sets the memtable aside, if it holds anything, for the next run; commits go on in a new one.
    pub(crate) fn set_aside(&mut self) {
        if !self.memtable.is_empty() {
            let full = std::mem::take(&mut self.memtable);
            self.aside = self.aside.iter().cloned().chain([full]).collect();
        }
    }

    /// Everything in memory, oldest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        self.aside.iter().chain([&self.memtable])
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memtables().map(|memtable| memtable.bytes()).sum()
    }

    /// The runs that may hold a version that was current at `at`.
    pub(crate) fn runs_at(&self, at: Timestamp) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.spans(at))
    }

    /// Whether it holds no version.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.memtables().all(|memtable| memtable.is_empty())
    }

    /// The version of `key` that was current at `at`, if it has been displaced since: what the key held, or (`Some(None)`) that it
    /// was deleted.
    pub(crate) fn get(
        &self,
        pages: &PageSnapshot,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Option<Option<Bytes>>> {
        let held = |value: Option<&[u8]>| value.map(|value| Bytes::shared(Arc::from(value)));
        let mut from = key::Buffer::new();
        key::append(&mut from, key, at);
        let found = self.memtables().find_map(|memtable| memtable.get(&from, at, held));
        if found.is_some() {
            return Ok(found);
        }
        for run in self.runs_at(at).filter(|run| !self.filters.exclude(run, key)) {
            let root = match &run.place {
                Place::Tree(root) => *root,
                Place::Segments(segments) => match get_cold(segments, pages, key, at)? {
                    None => continue,
                    found => return Ok(found),
                },
            };
            let newest = pages.first_from(root, &from, key::of_all(&from))?;
            if let Some(version) = newest.filter(|version| version.version() > at) {
                return Ok(Some((!version.is_tombstone()).then(|| Bytes::page(version))));
            }
        }
        Ok(None)
    }

    /// Whether a run is likely to tell what `key` held at `at`: then it is asked before the tree.
    #[inline]
    pub(crate) fn is_likely(&self, key: &[u8], at: Timestamp) -> bool {
        self.filters.are_likely(&self.runs, key, at)
    }
}

/// As [`History::get`], of a run in segments.
fn get_cold(
    segments: &[Arc<Segment>],
    pages: &PageSnapshot,
    key: &[u8],
    at: Timestamp,
) -> Result<Option<Option<Bytes>>> {
    let place = segments.partition_point(|segment| segment.max_key.as_slice() < key);
    let Some(segment) = segments.get(place).filter(|segment| segment.spans(key)) else { return Ok(None) };
    let found = segment.open(pages)?.get(key, at)?;
    Ok(found.map(|it| (it.kind == Kind::Put).then(|| Bytes::shared(Arc::from(it.value())))))
}
