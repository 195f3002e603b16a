//! Tags: names of moments, which keep what was current then.
//!
//! A tag is a row of the system tree. Making or dropping one is a commit whose record holds the change of that row as a note
//! (see [`crate::manifest::SystemChange`]), so that it is durable when the call returns, and a recovery does it again.

use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_btree::{PageSnapshot, Root};
use dosql_wal::RecordBuilder;

use crate::branch::Branch;
use crate::commit::Committed;
use crate::engine::{Committer, Engine, Pending};
use crate::feed::slot_row::{self, SlotRow};
use crate::limits::{MAX_TAG_NAME, MAX_TAGS};
use crate::manifest::{SystemChange, TagRow};

/// A named moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, as it was given. Names that differ only in the case of ASCII letters are the same.
    pub name: String,
    /// What it stands for: every commit up to here.
    pub at: Timestamp,
    /// The number of its branch.
    pub(crate) branch: u32,
}

impl Tag {
    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// All tags, by the key of their rows.
pub(crate) type Tags = Arc<[Tag]>;

/// The tag of this name.
pub(crate) fn find<'t>(tags: &'t [Tag], name: &str) -> Option<&'t Tag> {
    tags.iter().find(|tag| tag.is_named(name))
}

/// Whether a tag stands for a moment at which a version was current.
pub(crate) fn pin(points: &[Timestamp], start: Timestamp, end: Timestamp) -> bool {
    points.get(points.partition_point(|at| *at < start)).is_some_and(|at| *at < end)
}

/// The moments of all tags of a branch, in order.
pub(crate) fn points(tags: &[Tag], branch: u32) -> Vec<Timestamp> {
    let own = tags.iter().filter(|tag| tag.branch == branch);
    let mut points: Vec<Timestamp> = own.map(|tag| tag.at).collect();
    points.sort_unstable();
    points
}

/// Reads all tags.
pub(crate) fn load(pages: &PageSnapshot, system: Root) -> Result<Tags> {
    let mut tags = Vec::new();
    let mut cursor = pages.cursor(system);
    let mut found = cursor.seek(TagRow::PREFIX)?;
    while found && cursor.key().starts_with(TagRow::PREFIX) {
        let row = TagRow::decode(cursor.value()?)?;
        tags.push(Tag { name: row.name, at: row.at, branch: row.branch });
        found = cursor.next()?;
    }
    Ok(tags.into())
}

/// Refuses what is no name of a `what`.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if name.is_empty() || name.len() > MAX_TAG_NAME || !name.bytes().all(known) {
        return Err(Error::invalid(format!(
            "'{name}' is no name of a {what}: it takes 1 to {MAX_TAG_NAME} letters, digits and . _ / - of ASCII"
        )));
    }
    Ok(())
}

impl Engine {
    /// Makes a tag of the last commit, or of an earlier moment that can be read. Fails where there is one of that name, but for
    /// where that is allowed; whether one was made.
    pub(crate) fn create_tag(
        &self,
        branch: &Arc<Branch>,
        name: &str,
        at: Option<Timestamp>,
        unless_there: bool,
    ) -> Result<bool> {
        self.check_writable()?;
        check_name("tag", name)?;
        self.upgrade_format()?;
        // A checkpoint under way has decided what to drop.
        let one = self.checkpointing.lock();
        if let Some(at) = at {
            self.view_at(branch, at)?;
        }
        let (owner, committed) = {
            let mut committer = self.committer();
            if find(&committer.tags, name).is_some() {
                let message = format!("there is already a tag {name}");
                return if unless_there { Ok(false) } else { Err(Error::invalid(message)) };
            }
            if committer.names.contains_key(&name.to_ascii_lowercase()) {
                return Err(Error::invalid(format!("there is already a branch {name}")));
            }
            if committer.tags.len() >= MAX_TAGS {
                return Err(Error::limit(format!("there are {MAX_TAGS} tags already; drop some")));
            }
            // The last commit, visible or not: without retention it has taken what was before it.
            let latest = branch.latest();
            let at = at.unwrap_or(latest.timestamp);
            // What a table has dropped already no tag can keep.
            self.check_horizon_of_all(&latest, at)?;
            // What was before a branch began is kept by the one that it came from.
            let owner = latest.read_at(at).branch;
            let owner = Arc::clone(committer.branches.get(&owner).unwrap_or(branch));
            let row = TagRow { name: name.to_owned(), branch: owner.number, at };
            let change = SystemChange { key: TagRow::key(name), value: Some(row.encode()) };
            let committed = self.commit_system(&mut committer, &owner, &[change])?;
            (owner, committed)
        };
        drop(one);
        self.acknowledge(&owner, &committed, self.options.durability)?;
        self.renew_all();
        Ok(true)
    }

    /// Drops a tag: what it alone kept may go. Whether there was one.
    pub(crate) fn drop_tag(&self, name: &str) -> Result<bool> {
        self.check_writable()?;
        self.upgrade_format()?;
        let (owner, committed) = {
            let mut committer = self.committer();
            let Some(owner) = find(&committer.tags, name).map(|tag| tag.branch) else { return Ok(false) };
            let owner = Arc::clone(committer.branches.get(&owner).unwrap_or(&self.main));
            let change = SystemChange { key: TagRow::key(name), value: None };
            let committed = self.commit_system(&mut committer, &owner, &[change])?;
            (owner, committed)
        };
        self.acknowledge(&owner, &committed, self.options.durability)?;
        self.renew_all();
        Ok(true)
    }

    /// Commits changes of the system tree, which no transaction sees, as a commit of `branch`.
    pub(crate) fn commit_system(
        &self,
        committer: &mut Committer,
        branch: &Arc<Branch>,
        changes: &[SystemChange],
    ) -> Result<Committed> {
        let logged = self.log_system(committer, branch.number, changes)?;
        let pins = self.pins_now(committer, branch.number);
        let mut tip = branch.tip.lock();
        tip.pins = pins;
        let view = self.publish_view(committer, branch.number, &mut tip, logged.timestamp);
        drop(tip);
        self.pending.lock().push_back(Pending { end: logged.end, branch: Arc::clone(branch), view });
        Ok(logged)
    }

    /// Changes the system tree, with a record of a commit of a branch that says so. The caller publishes its view.
    pub(crate) fn log_system(
        &self,
        committer: &mut Committer,
        branch: u32,
        changes: &[SystemChange],
    ) -> Result<Committed> {
        self.check_writable()?;
        let timestamp = self.next_timestamp(committer)?;
        let mut record = RecordBuilder::new();
        record.begin(timestamp, branch);
        changes.iter().try_for_each(|change| record.note(&change.encode()))?;
        record.finish();
        let mut writer = self.pages.writer();
        writer.begin(timestamp);
        let mut system = committer.system;
        changes.iter().try_for_each(|change| change.apply(&mut writer, &mut system, timestamp))?;
        let appended = self.append(&record)?;
        writer.publish(timestamp).map_err(|error| self.poison(error))?;
        drop(writer);
        committer.last = timestamp;
        committer.system = system;
        if changes.iter().any(|change| change.key.starts_with(TagRow::PREFIX)) {
            committer.tags = load(&self.pages.latest(), system).map_err(|error| self.poison(error))?;
        }
        if changes.iter().any(|change| change.key.starts_with(SlotRow::PREFIX)) {
            let slots = slot_row::load(&self.pages.latest(), system).map_err(|error| self.poison(error))?;
            *self.slots.write() = slots;
        }
        Ok(Committed { timestamp, end: appended.end })
    }
}

/// What is said of a tag that is not there.
pub(crate) fn no_such_tag(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Code::Error, format!("no such tag: {name}"))
}
