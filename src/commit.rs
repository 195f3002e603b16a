//! The commit: check, take a Timestamp, change the tree, append one log record, publish. Then, outside the critical section,
//! wait for the device and become visible.
//!
//! The tree is changed before the record is appended and published after: whatever fails before the append (a page that
//! can't be read, a full device) takes the private page changes back and leaves no trace.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::mutant::weakened;
use dosql_base::{Error, ErrorKind, Result, Timestamp};
use dosql_btree::{PageWriter, Root, Was};
use dosql_sql::catalog::store::is_catalog_key;
use dosql_wal::{Appended, LogPosition, RecordBuilder};

use crate::changes::Changes;
use crate::engine::{Committer, Engine, Pending};
use crate::history::displaced::Displaced;
use crate::long_keys::KeyForm;
use crate::manifest::MAIN_BRANCH;
use crate::options::{Durability, Isolation};
use crate::read_set::ReadSet;
use crate::trace::span;
use crate::view::View;
use crate::writes::Writes;

/// What an optimistic transaction is checked for.
pub(crate) struct Validation<'a> {
    pub(crate) snapshot: Timestamp,
    pub(crate) isolation: Isolation,
    pub(crate) reads: &'a ReadSet,
}

/// A commit that is in the log and in the tree.
pub(crate) struct Committed {
    pub(crate) timestamp: Timestamp,
    pub(crate) end: LogPosition,
}

impl Engine {
    /// Commits `writes`, which must not be empty. The caller holds the turn. On success `writes` is empty; after an error it is as
    /// it was, and nothing has changed.
    pub(crate) fn commit(&self, writes: &mut Writes, check: Option<Validation<'_>>) -> Result<Committed> {
        span!("commit", changes = writes.changes().len());
        let mut record = self.record.lock();
        encode(&mut record, writes.changes())?;
        let mut committer = self.committer.lock();
        if !weakened("closed-unchecked") {
            self.check_writable()?;
        }
        if let Some(check) = &check {
            self.validate(check, writes.changes())?;
        }
        let last = if weakened("clock-believed") { Timestamp::ZERO } else { committer.last };
        let timestamp = Timestamp::after(last, self.env.now());
        if timestamp == Timestamp::MAX {
            return Err(Error::limit(
                "the clock has reached the end of time; set it right and reopen the database",
            ));
        }
        record.set_timestamp(timestamp);
        let (appended, root) = self.apply_and_append(&mut committer, timestamp, writes.changes(), &record)?;
        committer.history.memtable.add(&committer.displaced);
        committer.last = timestamp;
        // The catalog's keys come before all others.
        if writes.changes().keys().next().is_some_and(is_catalog_key) {
            committer.catalog_changed = timestamp;
        }
        committer.root = root;
        if self.options.retention == 0 {
            committer.floor = timestamp;
        }
        let view = self.publish_view(&mut committer, timestamp);
        self.pending.lock().push_back(Pending { end: appended.end, view });
        let bytes = writes.bytes();
        let changes = writes.take();
        let visible = self.visible.read().timestamp;
        let budget = self.options.limits.conflict_window_bytes;
        self.window.lock().push(timestamp, bytes, changes, visible, budget);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Committed { timestamp, end: appended.end })
    }

    fn validate(&self, check: &Validation<'_>, changes: &Changes) -> Result<()> {
        let reads = (check.isolation == Isolation::Serializable).then_some(check.reads);
        let verdict = self.window.lock().check(check.snapshot, reads, changes);
        if verdict.is_err() {
            self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    fn apply_and_append(
        &self,
        committer: &mut Committer,
        timestamp: Timestamp,
        changes: &Changes,
        record: &RecordBuilder,
    ) -> Result<(Appended, Root)> {
        let (mut root, displaced) = (committer.root, &mut committer.displaced);
        displaced.clear();
        // Dropping the writer takes back what was not published.
        let mut writer = self.pages.writer();
        writer.begin(timestamp);
        let keep = self.options.retention > 0 || !committer.tags.is_empty();
        let how = Applying { timestamp, keep, form: KeyForm::of(&self.pages) };
        for (key, change) in changes.iter() {
            apply(&mut writer, &mut root, how, key, change, displaced)?;
        }
        let appended = self.append(record)?;
        writer.publish(timestamp).map_err(|error| self.poison(error))?;
        Ok((appended, root))
    }

    /// Appends a commit's record to the log.
    pub(crate) fn append(&self, record: &RecordBuilder) -> Result<Appended> {
        self.log.append(record).map_err(|error| match error.kind() {
            // Refused before anything was taken; had it failed later, the log would be closed.
            ErrorKind::NoSpace | ErrorKind::Limit if self.log.reserve(0).is_ok() => error,
            _ => self.poison(error),
        })
    }

    /// Makes the view of what the committer has just published.
    pub(crate) fn publish_view(&self, committer: &mut Committer, timestamp: Timestamp) -> Arc<View> {
        let view = Arc::new(View {
            timestamp,
            pages: self.pages.latest(),
            root: committer.root,
            system: committer.system,
            history: committer.history.clone(),
            floor: committer.floor,
            catalog_changed: committer.catalog_changed,
            tags: Arc::clone(&committer.tags),
        });
        committer.latest = Arc::clone(&view);
        view
    }

    /// Waits as `durability` asks and shows the commit to new readers.
    pub(crate) fn acknowledge(&self, committed: &Committed, durability: Durability) -> Result<()> {
        if weakened("visible-before-durable") {
            self.make_visible(committed.end);
        }
        match durability {
            Durability::Sync if weakened("acknowledged-before-sync") => {}
            Durability::Sync => self.sync_log(committed.end)?,
            Durability::None => {}
            Durability::Interval(micros) => {
                let now = self.env.now();
                let due = {
                    let mut committer = self.committer.lock();
                    let since = now.as_micros().saturating_sub(committer.synced.as_micros());
                    let due = since >= micros;
                    if due {
                        committer.synced = now;
                    }
                    due
                };
                if due && !weakened("interval-ignored") {
                    self.sync_log(committed.end)?;
                }
            }
        }
        self.make_visible(committed.end);
        let visible = self.visible.read().timestamp;
        self.window.lock().forget(visible, self.options.limits.conflict_window_bytes);
        self.relieve();
        Ok(())
    }
}

fn encode(record: &mut RecordBuilder, changes: &Changes) -> Result<()> {
    record.begin(Timestamp::ZERO, MAIN_BRANCH);
    for (key, change) in changes.iter() {
        match change {
            Some(value) => record.put(key, value)?,
            None => record.delete(key)?,
        }
    }
    record.finish();
    Ok(())
}

/// How changes are applied to the tree.
#[derive(Clone, Copy)]
pub(crate) struct Applying {
    pub(crate) timestamp: Timestamp,
    /// Whether what they displace is kept for the history.
    pub(crate) keep: bool,
    pub(crate) form: KeyForm,
}

/// Changes one key of the tree. What that displaces is noted for the history where it is kept.
pub(crate) fn apply(
    writer: &mut PageWriter<'_>,
    root: &mut Root,
    how: Applying,
    key: &[u8],
    value: Option<&[u8]>,
    displaced: &mut Displaced,
) -> Result<()> {
    if !how.form.is_long(key) {
        return apply_stored(writer, root, how, key, value, displaced);
    }
    let stored = how.form.stored(key);
    let before = writer.get(*root, &stored)?.filter(|entry| !entry.is_tombstone());
    let bucket = before.as_ref().map_or(&[][..], |entry| entry.value());
    let bucket = how.form.changed(bucket, key, value)?;
    apply_stored(writer, root, how, &stored, bucket.as_deref(), displaced)
}

fn apply_stored(
    writer: &mut PageWriter<'_>,
    root: &mut Root,
    how: Applying,
    key: &[u8],
    value: Option<&[u8]>,
    displaced: &mut Displaced,
) -> Result<()> {
    let Applying { timestamp, keep, .. } = how;
    if !keep {
        match value {
            Some(value) => writer.set(root, key, timestamp, value)?,
            None => writer.remove(root, key)?,
        };
        return Ok(());
    }
    let end = if weakened("version-ends-late") { timestamp.next() } else { timestamp };
    let begun = displaced.begin(end);
    let before: Option<Was> = match value {
        Some(value) => writer.put_keeping(root, key, timestamp, value, begun)?,
        None => writer.delete_keeping(root, key, begun)?,
    };
    let forgotten = value.is_none() && weakened("deleted-row-forgotten");
    let Some(before) = before.filter(|before| !before.tombstone && !forgotten) else {
        displaced.drop_begun();
        return Ok(());
    };
    if value == Some(displaced.begun()) {
        // The same again is no new version: the row goes on being what it was since it was first so.
        writer.set(root, key, before.version, displaced.begun())?;
        displaced.drop_begun();
        return Ok(());
    }
    displaced.keep(key, before.version);
    Ok(())
}
