//! What two branches had last in common, and what one changed since.

use std::collections::BTreeSet;

use dosql_base::{Result, Timestamp};
use dosql_btree::{PageSnapshot, Root};

use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::history::cursor::{MemtableCursor, RunCursor, Versions};
use crate::history::{History, key};
use crate::tier::live::Live;
use crate::transaction::{Begin, Transaction};
use crate::view::View;

/// The state that both branches come from.
pub(super) struct Base {
    /// Reads it.
    pub(super) read: Transaction,
    /// The number of a branch that had it, and when.
    branch: u32,
    at: Timestamp,
    /// From when on the other branch's own changes count, and those of branches beneath it, where they do.
    since: Timestamp,
    beneath: Option<Timestamp>,
    /// Whether it is that of an earlier merge.
    merged: bool,
}

/// A branch and those beneath it, with the moment up to which each is seen.
fn lineage(view: &View) -> Vec<(u32, Timestamp)> {
    let spans = view.beneath.iter().flat_map(|beneath| &beneath.spans);
    let beneath = spans.map(|span| (span.branch, span.fork));
    [(view.branch, Timestamp::MAX)].into_iter().chain(beneath).collect()
}

impl Base {
    /// What `into` and `from` had last in common: where they parted, or the last merge between them.
    pub(super) fn find(into: &Handle, from: &Handle) -> Result<Base> {
        let (ours, theirs) = (lineage(&into.branch().latest()), lineage(&from.view()));
        let shared = theirs.iter().find_map(|&(branch, upto)| {
            let other = ours.iter().find(|(number, _)| *number == branch)?;
            Some((branch, upto.min(other.1)))
        });
        // Without anything in common all that the other has is new.
        let (branch, parted) = shared.unwrap_or((from.branch().number, Timestamp::ZERO));
        let merged = |of: &Handle, what: &Handle| {
            let tip = of.branch().tip.lock();
            let number = what.branch().number;
            tip.row.merged.iter().find(|merge| merge.from == number).copied()
        };
        let (here, there) = (merged(into, from), merged(from, into));
        let read = |of: &Handle, at| Transaction::begin(of, Begin::ReadAt(at));
        let since = here.map(|merge| merge.upto);
        let own = from.branch().number == branch;
        let beneath = (!own).then_some(parted);
        let after = since.unwrap_or(if own { parted } else { Timestamp::ZERO });
        match (here, there) {
            (Some(here), there) if there.is_none_or(|there| there.at < here.at) => Ok(Base {
                read: read(from, here.upto)?,
                branch: from.branch().number,
                at: here.upto,
                since: here.upto,
                beneath: None,
                merged: true,
            }),
            (here, Some(there)) => Ok(Base {
                read: read(into, there.upto)?,
                branch: into.branch().number,
                at: there.upto,
                since: after,
                beneath: beneath.filter(|_| here.is_none()),
                merged: true,
            }),
            _ => Ok(Base {
                read: read(from, parted)?,
                branch,
                at: parted,
                since: after,
                beneath,
                merged: false,
            }),
        }
    }

    /// Whether `into` holds just this, and nothing was merged between the two before: what was settled then may have left this branch
    /// without something that the other has and did not touch since.
    pub(super) fn is_what_we_have(&self, into: &Handle) -> bool {
        if self.merged {
            return false;
        }
        let tip = into.branch().tip.lock();
        let untouched = tip.root.is_empty() && tip.history.is_empty() && tip.live.is_empty();
        let forked = tip.row.fork.is_some_and(|fork| fork == (self.branch, self.at));
        (self.branch == into.branch().number && tip.changed <= self.at) || (untouched && forked)
    }

    /// The complete keys that the other branch may have changed since, in order.
    pub(super) fn changed_keys(&self, from: &Handle, upto: Timestamp) -> Result<Vec<Vec<u8>>> {
        let view = from.view_at(from.branch(), upto)?;
        let mut stored = BTreeSet::new();
        let unchanged = from.unchanged_since(self.since);
        note_changes((&view.pages, view.root, &view.history), unchanged, self.since, &mut stored)?;
        if let Some(beneath) = &view.beneath {
            note_moved(&beneath.own, &view.pages, self.since, &mut stored)?;
        }
        let layers = view.beneath.iter().flat_map(|beneath| &beneath.layers);
        for (layer, parted) in layers.zip(std::iter::repeat(self.beneath)) {
            if let Some(parted) = parted.filter(|parted| layer.fork > *parted) {
                let unchanged = from.unchanged_since(parted);
                note_changes((&layer.pages, layer.root, &layer.history), unchanged, parted, &mut stored)?;
                note_moved(&layer.live, &layer.pages, parted, &mut stored)?;
            }
        }
        let (form, mut keys) = (view.key_form(), Vec::with_capacity(stored.len()));
        for stored in stored {
            if !form.is_long(&stored) {
                keys.push(stored);
                continue;
            }
            let before = self.read.stored(&stored)?;
            let after = view.get_as_stored(&stored, upto)?;
            for bucket in [before, after].into_iter().flatten() {
                let entries = form.entries(&stored, &bucket)?;
                keys.extend(entries.into_iter().map(|(key, _)| key.into_owned()));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}

impl Transaction {
    /// What is stored under a stored key.
    fn stored(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let sight = self.reader.sight();
        sight.view.get_as_stored(key, sight.at)
    }
}

/// The stored keys of which a version began after `since`, or that held something else then.
fn note_changes(
    (pages, root, history): (&PageSnapshot, Root, &History),
    unchanged: u64,
    since: Timestamp,
    changed: &mut BTreeSet<Vec<u8>>,
) -> Result<()> {
    let (mut tree, mut from) = (pages.cursor(root), Vec::new());
    // Leaf by leaf, of those that have changed.
    while let Some(leaf) = pages.changed_leaf(root, unchanged, &from)? {
        let mut here = tree.seek(&leaf.low)?;
        while here && leaf.high.as_ref().is_none_or(|high| tree.key() < high.as_slice()) {
            if tree.version() > since {
                changed.insert(tree.key().to_vec());
            }
            here = tree.next()?;
        }
        match leaf.high {
            Some(high) => from = high,
            None => break,
        }
    }
    for run in history.runs.iter().filter(|run| run.last_end > since) {
        note_versions(RunCursor::new(run, pages), since, changed)?;
    }
    for memtable in history.memtables() {
        note_versions(MemtableCursor::new(memtable.clone()), since, changed)?;
    }
    Ok(())
}

/// The same of rows in the segment store.
fn note_moved(
    live: &Live,
    pages: &PageSnapshot,
    since: Timestamp,
    changed: &mut BTreeSet<Vec<u8>>,
) -> Result<()> {
    live.changed_since(pages, since, &mut |key, _, _| {
        if !changed.contains(key) {
            changed.insert(key.to_vec());
        }
    })
}

fn note_versions(
    mut versions: impl Versions,
    since: Timestamp,
    changed: &mut BTreeSet<Vec<u8>>,
) -> Result<()> {
    let mut key = Vec::new();
    let mut here = versions.seek(&[])?;
    while here {
        if versions.end() > since {
            key::decode(versions.key(), &mut key)?;
            if !changed.contains(&key) {
                changed.insert(key.clone());
            }
        }
        here = versions.next()?;
    }
    Ok(())
}
