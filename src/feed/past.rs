//! Commits that the log no longer holds, put together again from the tree and from history.
//!
//! Every version that began or ended in a stretch of time is a change of the commit of that moment. They are found by going over
//! the versions, which lie by key, and kept by time, the earliest [`MOST`] of them: what is later takes another pass.

use std::collections::{BTreeMap, BTreeSet};

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};
use smallvec::SmallVec;

use super::raw::{Batch, Commit, Entry};
use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::history::cursor::{MemtableCursor, RunCursor, Versions};
use crate::history::key;
use crate::view::View;

/// Changes that are kept at a time, unless one commit has more.
const MOST: usize = 1 << 16;

/// Changes whose values are read at a time, unless one commit has more: few, so that they are still near when they are told.
const MOST_READ: usize = 1 << 8;

/// A change: when, and the stored key.
type Found = (Timestamp, SmallVec<[u8; 24]>);

/// A pass over the versions: which keys changed when. Values are read as they are asked for.
pub(crate) struct Pass {
    /// By time, then by stored key.
    found: std::iter::Peekable<std::vec::IntoIter<Found>>,
    /// It found all changes up to here.
    complete: Timestamp,
}

impl Pass {
    /// Finds the earliest changes after `after`.
    pub(crate) fn after(engine: &Handle, after: Timestamp) -> Result<Pass> {
        let view = engine.view();
        let (found, complete) = find(&view, engine.unchanged_since(after), after, MOST)?;
        engine.check_horizon_of_most(&engine.view(), after)?;
        Ok(Pass { found: found.into_iter().peekable(), complete })
    }

    /// The next commits of those it found, of which all up to `after` were read; `None` when that was all.
    pub(crate) fn next(&mut self, engine: &Handle, after: Timestamp) -> Result<Option<Batch>> {
        if after >= self.complete {
            return Ok(None);
        }
        let view = engine.view();
        let mut batch = Batch { commits: Vec::new(), complete: self.complete, from: after };
        let mut read = 0;
        while let Some((timestamp, stored)) = self.found.peek() {
            if batch.commits.last().is_none_or(|commit| commit.timestamp != *timestamp) {
                if let Some(last) = batch.commits.last().filter(|_| read >= MOST_READ) {
                    batch.complete = last.timestamp;
                    break;
                }
                batch.commits.push(Commit { timestamp: *timestamp, entries: Vec::new() });
            }
            if let Some(commit) = batch.commits.last_mut() {
                changed_entries(&view, *timestamp, stored, &mut commit.entries)?;
            }
            read += 1;
            self.found.next();
        }
        for commit in &mut batch.commits {
            // Stored keys of long ones are not in the order of the keys.
            commit.entries.sort_by(|a, b| a.key.cmp(&b.key));
        }
        // Only now, since what was read may have gone out of reach while it was.
        engine.check_horizon_of_most(&engine.view(), after)?;
        Ok(Some(batch))
    }
}

/// The earliest changes, as they are found.
struct Earliest {
    /// In no order, some of them twice, until they are more than twice as many as are wanted.
    found: Vec<Found>,
    complete: Timestamp,
    after: Timestamp,
    most: usize,
}

impl Earliest {
    /// Notes that the version of a key changed at `at`.
    fn note(&mut self, at: Timestamp, key: &[u8]) {
        if at <= self.after || at > self.complete {
            return;
        }
        self.found.push((at, SmallVec::from_slice(key)));
        if self.found.len() > self.most.saturating_mul(2) {
            self.put_in_order();
        }
    }

    /// Puts what was found in order, once each, and lets go of what is too much.
    fn put_in_order(&mut self) {
        self.found.sort_unstable();
        self.found.dedup();
        let (Some(first), Some(over)) = (self.found.first(), self.found.get(self.most)) else { return };
        // Commits are whole: with one of its changes all of a commit wait for another pass, but for the first.
        self.complete = if over.0 > first.0 { over.0.previous() } else { over.0 };
        let whole = self.found.partition_point(|found| found.0 <= self.complete);
        self.found.truncate(whole);
    }
}

/// The earliest changes after `after` by time and stored key, of which all up to the second are there.
fn find(view: &View, unchanged: u64, after: Timestamp, most: usize) -> Result<(Vec<Found>, Timestamp)> {
    let mut found = Earliest { found: Vec::new(), complete: view.timestamp, after, most };
    let mut tree = view.pages.cursor(view.root);
    let mut from = Vec::new();
    // Leaf by leaf, of those that have changed.
    while let Some(leaf) = view.pages.changed_leaf(view.root, unchanged, &from)? {
        let mut here = tree.seek(&leaf.low)?;
        while here && leaf.high.as_ref().is_none_or(|high| tree.key() < high.as_slice()) {
            found.note(tree.version(), tree.key());
            here = tree.next()?;
        }
        match leaf.high {
            Some(high) => from = high,
            None => break,
        }
    }
    for run in view.history.runs.iter().filter(|run| run.last_end > after) {
        if !weakened("feed-forgets-runs") {
            find_versions(RunCursor::new(run, &view.pages), &mut found)?;
        }
    }
    for memtable in view.history.memtables() {
        find_versions(MemtableCursor::new(memtable.clone()), &mut found)?;
    }
    if let Some(beneath) = view.beneath.as_ref().filter(|_| !weakened("feed-forgets-cold-rows")) {
        beneath.own.changed_since(&view.pages, after, &mut |key, start, end| {
            found.note(start, key);
            found.note(end, key);
        })?;
    }
    found.put_in_order();
    Ok((found.found, found.complete))
}

fn find_versions(mut versions: impl Versions, found: &mut Earliest) -> Result<()> {
    let mut key = Vec::new();
    let mut here = versions.seek(&[])?;
    while here {
        let start = key::decode(versions.key(), &mut key)?;
        found.note(start, &key);
        found.note(versions.end(), &key);
        here = versions.next()?;
    }
    Ok(())
}

/// What the commit at `at` did to the keys that are stored under `stored`.
fn changed_entries(view: &View, at: Timestamp, stored: &[u8], entries: &mut Vec<Entry>) -> Result<()> {
    let (before, after) = (view.get_as_stored(stored, at.previous())?, view.get_as_stored(stored, at)?);
    let form = view.key_form();
    if !form.is_long(stored) {
        if before != after {
            entries.push(Entry { key: stored.to_vec(), before, after });
        }
        return Ok(());
    }
    let bucket = |bytes: &Option<Bytes>| match bytes {
        Some(bytes) => {
            let entries = form.entries(stored, bytes)?;
            Ok(entries.into_iter().map(|(key, value)| (key.into_owned(), value.to_vec())).collect())
        }
        None => Ok::<_, Error>(BTreeMap::new()),
    };
    let (mut before, mut after) = (bucket(&before)?, bucket(&after)?);
    let keys: BTreeSet<Vec<u8>> = before.keys().chain(after.keys()).cloned().collect();
    for key in keys {
        let (before, after) = (before.remove(&key), after.remove(&key));
        if before != after {
            let bytes = |value: Vec<u8>| Bytes::shared(value.into());
            entries.push(Entry { key, before: before.map(bytes), after: after.map(bytes) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Keyspace};

    fn commit(db: &Database, space: &Keyspace, keys: std::ops::Range<u32>, value: &str) -> Timestamp {
        db.write(|tx| keys.clone().try_for_each(|n| tx.put(space, n.to_be_bytes(), value))).unwrap();
        db.last_commit()
    }

    #[test]
    fn few_changes_at_a_time_give_whole_commits_in_order() {
        let db = Database::open_memory().unwrap();
        let space = db.keyspace("k").unwrap();
        let begin = db.last_commit();
        let mut expected = vec![(commit(&db, &space, 0..3, "a"), 3 + 2)];
        for n in 0..5 {
            expected.push((commit(&db, &space, n..n + 4, &format!("v{n}")), 4));
        }
        db.write(|tx| (0..20u32).try_for_each(|n| tx.delete(&space, n.to_be_bytes()))).unwrap();
        expected.push((db.last_commit(), 8));
        for most in [1, 4, 7, 1000] {
            let (mut found, mut after) = (Vec::new(), begin);
            while after < db.last_commit() {
                let (part, complete) = find(&db.0.view(), 0, after, most).unwrap();
                assert!(complete > after, "{most}");
                for (at, _) in &part {
                    match found.last_mut() {
                        Some((last, count)) if last == at => *count += 1,
                        _ => found.push((*at, 1)),
                    }
                }
                after = complete;
            }
            assert_eq!(found, expected, "{most}");
        }
    }
}
