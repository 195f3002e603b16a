//! The commit: check, take a Timestamp, change the tree, append one log record, publish. Then, outside the critical section,
//! wait for the device and become visible.
//!
//! The tree is changed before the record is appended and published after: whatever fails before the append (a page that
//! can't be read, a full device) takes the private page changes back and leaves no trace.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dosql_base::mutant::weakened;
use dosql_base::{Error, ErrorKind, Result, Timestamp};
use dosql_btree::{PageWriter, Pages, Root, Was};
use dosql_wal::{Appended, LogPosition, RecordBuilder};

use crate::branch::layers::Beneath;
use crate::branch::{Branch, Tip, add_pin};
use crate::changes::Changes;
use crate::engine::{Committer, Engine, Pending};
use crate::history::displaced::Displaced;
use crate::long_keys::KeyForm;
use crate::manifest::{BranchRow, MAIN_BRANCH, Merged, SystemChange};
use crate::options::{Durability, Isolation};
use crate::read_set::ReadSet;
use crate::retention::{Retention, SchemaChanges};
use crate::trace::span;
use crate::view::View;
use crate::writes::Writes;

/// What an optimistic transaction is checked for.
pub(crate) struct Validation<'a> {
    pub(crate) snapshot: Timestamp,
    pub(crate) isolation: Isolation,
    pub(crate) reads: &'a ReadSet,
}

/// What a commit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What somebody writes.
    Writes,
    /// It brings in what another branch had up to a moment.
    Merge(u32, Timestamp),
    /// Rows go that are to be erased: on branches that were dropped too, as long as others need them.
    Erasure,
}

/// A commit that is in the log and in the tree.
pub(crate) struct Committed {
    pub(crate) timestamp: Timestamp,
    pub(crate) end: LogPosition,
}

impl Engine {
    /// Commits `writes`, which must not be empty, to a branch. The caller holds its turn. On success `writes` is empty; after an error it is as
    /// it was, and nothing has changed.
    pub(crate) fn commit(
        &self,
        branch: &Arc<Branch>,
        writes: &mut Writes,
        check: Option<Validation<'_>>,
        purpose: Purpose,
    ) -> Result<Committed> {
        span!("commit", changes = writes.changes().len());
        let mut record = branch.record.lock();
        encode(&mut record, branch.number, writes.changes())?;
        let merge = match purpose {
            Purpose::Merge(from, upto) => Some((from, upto)),
            Purpose::Writes | Purpose::Erasure => {
                record.finish();
                None
            }
        };
        let mut committer = self.committer();
        if !weakened("closed-unchecked") {
            self.check_writable()?;
            if purpose != Purpose::Erasure {
                branch.access.check_there(|| branch.name())?;
            }
        }
        if let Some(check) = &check {
            self.validate(branch, check, writes.changes())?;
        }
        let timestamp = self.next_timestamp(&committer)?;
        let merge = merge
            .map(|(from, upto)| self.note_merge(&committer, branch, Merged { from, upto, at: timestamp }));
        if let Some((_, change)) = &merge {
            record.note(&change.encode())?;
            record.finish();
        }
        record.set_timestamp(timestamp);
        let mut tip = branch.tip.lock();
        let schema = SchemaChanges::among(writes.changes())?;
        let ruled = branch.number == MAIN_BRANCH && committer.retention.has_rules();
        let rules = ruled.then_some(&*committer.retention);
        let mut system = committer.system;
        let noted = merge.as_ref().map(|(_, change)| (change, &mut system));
        let (appended, root) =
            self.apply_and_append(rules, &mut tip, timestamp, writes.changes(), &record, noted)?;
        committer.system = system;
        tip.history.memtable.add(&tip.displaced);
        if branch.number != MAIN_BRANCH {
            committer.history_elsewhere += tip.displaced.bytes();
        }
        committer.last = timestamp;
        tip.root = root;
        tip.changed = timestamp;
        if self.options.retention == 0 {
            tip.floor = timestamp;
        }
        if let Some(schema) = schema {
            tip.catalog_changed = timestamp;
            if branch.number == MAIN_BRANCH {
                committer.follow(schema, self.options.retention, timestamp, tip.floor);
            }
        }
        let view = self.publish_view(&committer, branch.number, &mut tip, timestamp);
        if let Some((row, _)) = merge {
            tip.row = row;
        }
        drop(tip);
        self.pending.lock().push_back(Pending { end: appended.end, branch: Arc::clone(branch), view });
        let bytes = writes.bytes();
        let changes = writes.take();
        let visible = branch.visible.read().timestamp;
        let budget = self.options.limits.conflict_window_bytes;
        branch.window.lock().push(timestamp, bytes, changes, visible, budget);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Committed { timestamp, end: appended.end })
    }

    /// The Timestamp of the commit that is being made.
    pub(crate) fn next_timestamp(&self, committer: &Committer) -> Result<Timestamp> {
        let last = if weakened("clock-believed") { Timestamp::ZERO } else { committer.last };
        let timestamp = Timestamp::after(last, self.env.now());
        if timestamp == Timestamp::MAX {
            return Err(Error::limit(
                "the clock has reached the end of time; set it right and reopen the database",
            ));
        }
        Ok(timestamp)
    }

    /// Notes a merge that changes no row. The caller holds the turn.
    pub(crate) fn note_settled(&self, branch: &Arc<Branch>, (from, upto): (u32, Timestamp)) -> Result<()> {
        let committed = {
            let mut committer = self.committer();
            let at = self.next_timestamp(&committer)?;
            let (row, change) = self.note_merge(&committer, branch, Merged { from, upto, at });
            let committed = self.commit_system(&mut committer, branch, &[change])?;
            branch.tip.lock().row = row;
            committed
        };
        self.acknowledge(branch, &committed, self.options.durability)
    }

    /// The row of a branch with a merge noted in it, and the change that makes it so.
    fn note_merge(&self, committer: &Committer, branch: &Branch, merge: Merged) -> (BranchRow, SystemChange) {
        let mut row = branch.tip.lock().row.clone();
        // What is gone needs no base any more.
        row.merged.retain(|known| known.from != merge.from && committer.branches.contains_key(&known.from));
        row.merged.push(merge);
        if let Some(from) = committer.branches.get(&merge.from) {
            add_pin(from, merge.upto);
        }
        // What this branch has then is what a later merge from it into the other goes by.
        add_pin(branch, merge.at);
        let change = SystemChange { key: BranchRow::key(branch.number), value: Some(row.encode()) };
        (row, change)
    }

    fn validate(&self, branch: &Branch, check: &Validation<'_>, changes: &Changes) -> Result<()> {
        let reads = (check.isolation == Isolation::Serializable).then_some(check.reads);
        let verdict = branch.window.lock().check(check.snapshot, reads, changes);
        if verdict.is_err() {
            self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    fn apply_and_append(
        &self,
        rules: Option<&Retention>,
        tip: &mut Tip,
        timestamp: Timestamp,
        changes: &Changes,
        record: &RecordBuilder,
        note: Option<(&SystemChange, &mut Root)>,
    ) -> Result<(Appended, Root)> {
        let (mut root, displaced) = (tip.root, &mut tip.displaced);
        displaced.clear();
        // Dropping the writer takes back what was not published.
        let mut writer = self.pages.writer();
        writer.begin(timestamp);
        let pinned = !tip.pins.is_empty();
        let keep = Keeping { otherwise: self.options.retention > 0 || pinned, pinned, rules };
        let beneath = tip.beneath.as_deref();
        let how = Applying { timestamp, keep, form: KeyForm::of(&self.pages), beneath, pages: &self.pages };
        let (mut rest, mut ahead) = (changes.iter(), changes.keys().skip(PageWriter::AHEAD));
        while let Some((key, change)) = rest.next() {
            if let Some(key) = ahead.next() {
                writer.look_ahead(key);
            }
            apply(&mut writer, &mut root, how, key, change, displaced)?;
            // What is new displaces nothing; but on a branch it may hide something, and a long key is stored otherwise.
            if beneath.is_none() {
                let run = rest.clone().take_while(|(key, _)| !how.form.is_long(key));
                let appended = writer.append(&mut root, timestamp, run)?;
                if appended > 0 {
                    rest.nth(appended - 1);
                    ahead.nth(appended - 1);
                }
            }
        }
        if let Some((change, system)) = note {
            change.apply(&mut writer, system, timestamp)?;
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

    /// Makes the view of what has just been published on a branch.
    pub(crate) fn publish_view(
        &self,
        committer: &Committer,
        branch: u32,
        tip: &mut Tip,
        timestamp: Timestamp,
    ) -> Arc<View> {
        let view = Arc::new(View {
            branch,
            timestamp,
            pages: self.pages.latest(),
            root: tip.root,
            history: tip.history.clone(),
            beneath: tip.beneath.clone(),
            floor: tip.floor,
            catalog_changed: tip.catalog_changed,
            pins: Arc::clone(&tip.pins),
            tags: Arc::clone(&committer.tags),
            retention: Arc::clone(&committer.retention),
        });
        tip.latest = Arc::clone(&view);
        view
    }

    /// Waits as `durability` asks and shows the commit to new readers.
    pub(crate) fn acknowledge(
        &self,
        branch: &Branch,
        committed: &Committed,
        durability: Durability,
    ) -> Result<()> {
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
                    let mut committer = self.committer();
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
        let visible = branch.visible.read().timestamp;
        branch.window.lock().forget(visible, self.options.limits.conflict_window_bytes);
        self.relieve();
        Ok(())
    }
}

/// Begins a record and puts the changes in; notes may follow.
fn encode(record: &mut RecordBuilder, branch: u32, changes: &Changes) -> Result<()> {
    record.begin(Timestamp::ZERO, branch);
    for (key, change) in changes.iter() {
        match change {
            Some(value) => record.put(key, value)?,
            None => record.delete(key)?,
        }
    }
    Ok(())
}

/// How changes are applied to the tree.
#[derive(Clone, Copy)]
pub(crate) struct Applying<'b> {
    pub(crate) timestamp: Timestamp,
    pub(crate) keep: Keeping<'b>,
    pub(crate) form: KeyForm,
    /// What lies beneath the branch, if anything does.
    pub(crate) beneath: Option<&'b Beneath>,
    pub(crate) pages: &'b Arc<Pages>,
}

/// Whether what changes displace is kept for the history.
#[derive(Clone, Copy)]
pub(crate) struct Keeping<'r> {
    pub(crate) otherwise: bool,
    /// Whether something pins the history, whatever tables say.
    pub(crate) pinned: bool,
    /// What tables say about it, where any do.
    pub(crate) rules: Option<&'r Retention>,
}

impl Keeping<'_> {
    #[inline]
    fn keeps(self, key: &[u8]) -> bool {
        self.rules.map_or(self.otherwise, |rules| rules.keeps(key, self.otherwise, self.pinned))
    }
}

impl Committer {
    /// Takes note of what the commit at `timestamp` did to the schema of main, whose history reaches back to `floor`.
    fn follow(&mut self, schema: SchemaChanges, default: u64, timestamp: Timestamp, floor: Timestamp) {
        if !schema.is_empty() {
            self.objects.follow(schema);
            self.retention = self.retention.after(&self.objects, default, timestamp, floor);
        }
    }
}

/// Changes one key of the tree. What that displaces is noted for the history where it is kept.
pub(crate) fn apply(
    writer: &mut PageWriter<'_>,
    root: &mut Root,
    how: Applying<'_>,
    key: &[u8],
    value: Option<&[u8]>,
    displaced: &mut Displaced,
) -> Result<()> {
    if !how.form.is_long(key) {
        return apply_stored(writer, root, how, key, value, displaced);
    }
    let stored = how.form.stored(key);
    let before = writer.get(*root, &stored)?;
    let shared = match (&before, how.beneath) {
        // A branch takes over what its parent keeps under the same hash, and a tree what was moved out of it.
        (None, Some(beneath)) => beneath.get(&how.pages.latest(), &stored, Timestamp::MAX)?,
        _ => None,
    };
    let own = before.as_ref().filter(|entry| !entry.is_tombstone()).map(|entry| entry.value());
    let bucket = own.or(shared.as_deref()).unwrap_or_default();
    let bucket = how.form.changed(bucket, key, value)?;
    apply_stored(writer, root, how, &stored, bucket.as_deref(), displaced)
}

fn apply_stored(
    writer: &mut PageWriter<'_>,
    root: &mut Root,
    how: Applying<'_>,
    key: &[u8],
    value: Option<&[u8]>,
    displaced: &mut Displaced,
) -> Result<()> {
    let Applying { timestamp, keep, .. } = how;
    // Whether a deletion has to be remembered; only a deletion asks.
    let covered = || how.beneath.is_some_and(|beneath| beneath.covers(key));
    if !keep.keeps(key) {
        match value {
            Some(value) => writer.set(root, key, timestamp, value)?,
            None if covered() => writer.put_tombstone(root, key, timestamp)?.is_some(),
            None => writer.remove(root, key)?,
        };
        return Ok(());
    }
    let end = if weakened("version-ends-late") { timestamp.next() } else { timestamp };
    let begun = displaced.begin(end);
    let before: Option<Was> = match value {
        Some(value) => writer.put_keeping(root, key, timestamp, value, begun)?,
        None if covered() => {
            let before = writer.put_tombstone(root, key, timestamp)?;
            before.map(|before| {
                begun.extend_from_slice(&before.value);
                Was { version: before.version, tombstone: before.tombstone }
            })
        }
        None => writer.delete_keeping(root, key, begun)?,
    };
    let forgotten = value.is_none() && weakened("deleted-row-forgotten");
    let Some(before) = before.filter(|_| !forgotten) else {
        displaced.drop_begun();
        return Ok(());
    };
    if before.tombstone {
        match value {
            // Its end has to be known: where nothing says that the key was deleted, the parent is asked.
            Some(_) if how.beneath.is_some() && !weakened("deletion-on-branch-forgotten") => {
                displaced.keep_tombstone(key, before.version);
            }
            None if covered() => {
                writer.put_tombstone(root, key, before.version)?;
                displaced.drop_begun();
            }
            _ => displaced.drop_begun(),
        }
        return Ok(());
    }
    if value == Some(displaced.begun()) {
        // The same again is no new version: the tree holds what it held, and the row goes on being what it was since it was first so.
        displaced.drop_begun();
        return Ok(());
    }
    displaced.keep(key, before.version);
    Ok(())
}
