//! Commits that the log no longer holds, put together again from the tree and from history.
//!
//! Every version that began or ended in a stretch of time is a change of the commit of that moment. They are found by going over
//! the versions, which lie by key, and kept by time, the earliest [`MOST`] of them: what is later takes another pass.

use std::collections::{BTreeMap, BTreeSet};

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, Timestamp};

use super::raw::{Batch, Commit, Entry};
use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::history::cursor::{MemtableCursor, RunCursor, Versions};
use crate::history::key;
use crate::view::View;

/// Changes that are kept at a time, unless one commit has more.
const MOST: usize = 1 << 16;

/// The earliest commits after `after`.
pub(crate) fn read(engine: &Handle, after: Timestamp) -> Result<Batch> {
    let view = engine.view();
    let found = find(&view, engine.unchanged_since(after), after, MOST)?;
    let mut batch = Batch { commits: Vec::new(), complete: found.complete, from: after };
    for (timestamp, stored) in &found.changes {
        if batch.commits.last().is_none_or(|commit| commit.timestamp != *timestamp) {
            batch.commits.push(Commit { timestamp: *timestamp, entries: Vec::new() });
        }
        if let Some(commit) = batch.commits.last_mut() {
            changed_entries(&view, *timestamp, stored, &mut commit.entries)?;
        }
    }
    for commit in &mut batch.commits {
        // Stored keys of long ones are not in the order of the keys.
        commit.entries.sort_by(|a, b| a.key.cmp(&b.key));
    }
    // Only now, since what was read may have gone out of reach while it was.
    engine.check_horizon_of_most(&engine.view(), after)?;
    Ok(batch)
}

/// Changes by time, then by stored key.
struct Found {
    changes: BTreeSet<(Timestamp, Vec<u8>)>,
    complete: Timestamp,
    after: Timestamp,
    most: usize,
}

impl Found {
    /// Notes that the version of a key changed at `at`.
    fn note(&mut self, at: Timestamp, key: &[u8]) {
        if at <= self.after || at > self.complete {
            return;
        }
        self.changes.insert((at, key.to_vec()));
        while self.changes.len() > self.most
            && let (Some(first), Some(last)) = (self.changes.first(), self.changes.last())
            && first.0 < last.0
        {
            // Commits are whole: with one of its changes all of a commit wait for another pass.
            self.complete = last.0.previous();
            self.changes.pop_last();
        }
        while self.changes.last().is_some_and(|last| last.0 > self.complete) {
            self.changes.pop_last();
        }
    }
}

fn find(view: &View, unchanged: u64, after: Timestamp, most: usize) -> Result<Found> {
    let mut found = Found { changes: BTreeSet::new(), complete: view.timestamp, after, most };
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
    Ok(found)
}

fn find_versions(mut versions: impl Versions, found: &mut Found) -> Result<()> {
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
                let part = find(&db.0.view(), 0, after, most).unwrap();
                assert!(part.complete > after, "{most}");
                for (at, _) in &part.changes {
                    match found.last_mut() {
                        Some((last, count)) if last == at => *count += 1,
                        _ => found.push((*at, 1)),
                    }
                }
                after = part.complete;
            }
            assert_eq!(found, expected, "{most}");
        }
    }
}
