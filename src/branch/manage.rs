//! Making, changing and dropping branches.
//!
//! Each is a commit whose record holds the new row of the branch as a note (see [`crate::manifest::SystemChange`]), so that it
//! is durable when the call returns, and a recovery does it again. What a dropped branch held goes with a checkpoint, once no
//! other branch needs it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dosql_base::{Error, Result, Timestamp};
use dosql_btree::Root;

use super::access::no_such_branch;
use super::{Branch, Tip};
use crate::commit::Committed;
use crate::engine::{Committer, Engine, Handle, Pending};
use crate::history::History;
use crate::history::displaced::Displaced;
use crate::limits::{MAX_BRANCH_DEPTH, MAX_BRANCHES};
use crate::manifest::{BranchRow, MAIN_BRANCH, SystemChange};
use crate::tags;
use crate::view::View;

/// How a branch is made; see [`crate::Database::create_branch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewBranch {
    /// What it forks off; the branch of the handle unless given.
    pub from: Option<String>,
    /// The moment that it begins at; the last commit unless given.
    pub at: Option<Timestamp>,
    /// How long it lives; for ever unless given.
    pub ttl: Option<Duration>,
    /// Whether only merges may change it.
    pub protected: bool,
}

/// A branch as [`crate::Database::branches`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// What it forks off; `None` for main, and where that was dropped.
    pub parent: Option<String>,
    /// The moment that it began at; `None` for main.
    pub fork: Option<Timestamp>,
    /// When it was made; `None` for main.
    pub created: Option<Timestamp>,
    /// Its last commit that readers see.
    pub head: Timestamp,
    /// Whether only merges may change it.
    pub protected: bool,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

fn some(at: Timestamp) -> Option<Timestamp> {
    (at > Timestamp::ZERO).then_some(at)
}

impl Committer {
    /// The branch of this name that can be used.
    fn named(&self, name: &str) -> Result<Arc<Branch>> {
        let number = self.names.get(&name.to_ascii_lowercase());
        let branch = number.and_then(|number| self.branches.get(number));
        branch.cloned().ok_or_else(|| no_such_branch(name))
    }
}

impl Engine {
    /// The branch of this name.
    pub(crate) fn branch(&self, name: &str) -> Result<Arc<Branch>> {
        let branch = self.branches.read().get(&name.to_ascii_lowercase()).cloned();
        let branch = branch.ok_or_else(|| no_such_branch(name))?;
        branch.access.check_readable(&self.env, || name.to_owned())?;
        Ok(branch)
    }

    /// Makes a branch of `parent`; `None` where there is one of that name and that is allowed.
    pub(crate) fn create_branch(
        &self,
        parent: &Arc<Branch>,
        name: &str,
        new: &NewBranch,
        unless_there: bool,
    ) -> Result<Option<Arc<Branch>>> {
        self.check_writable()?;
        tags::check_name("branch", name)?;
        self.upgrade_format()?;
        // A checkpoint under way has decided what to drop; what is current now is not among it.
        let one = new.at.map(|_| self.checkpointing.lock());
        if let Some(at) = new.at {
            self.view_at(parent, at)?;
        }
        let (branch, committed) = {
            let mut committer = self.committer();
            if committer.names.contains_key(&name.to_ascii_lowercase()) {
                let message = format!("there is already a branch {name}");
                return if unless_there { Ok(None) } else { Err(Error::invalid(message)) };
            }
            if tags::find(&committer.tags, name).is_some() {
                return Err(Error::invalid(format!("there is already a tag {name}")));
            }
            self.fork(&mut committer, parent, name, new)?
        };
        drop(one);
        self.acknowledge(&branch, &committed, self.options.durability)?;
        let key = name.to_ascii_lowercase();
        self.branches.write().insert(key, Arc::clone(&branch));
        Ok(Some(branch))
    }

    fn fork(
        &self,
        committer: &mut Committer,
        parent: &Arc<Branch>,
        name: &str,
        new: &NewBranch,
    ) -> Result<(Arc<Branch>, Committed)> {
        parent.access.check_readable(&self.env, || parent.name())?;
        if committer.branches.len() >= MAX_BRANCHES {
            return Err(Error::limit(format!("there are {MAX_BRANCHES} branches already; drop some")));
        }
        let latest = parent.latest();
        let at = new.at.unwrap_or(latest.timestamp);
        self.check_fork(&latest, at)?;
        // What was before the parent began is its parent's.
        let owner = latest.read_at(at).branch;
        let owner = committer.branches.get(&owner).ok_or_else(|| no_such_branch(name))?;
        let owner = Arc::clone(owner);
        let depth = owner.latest().beneath.as_ref().map_or(0, |beneath| beneath.spans.len());
        if depth >= MAX_BRANCH_DEPTH {
            return Err(Error::limit(format!(
                "a branch of {} would lie on more than {MAX_BRANCH_DEPTH} others; merge some of them first",
                owner.name()
            )));
        }
        let number = committer.next_branch;
        let made = self.next_timestamp(committer)?;
        let lives = |ttl: Duration| made.as_micros().saturating_add(ttl.as_micros() as u64);
        let row = BranchRow {
            name: name.to_owned(),
            fork: Some((owner.number, at)),
            created: made,
            expires: Timestamp::from_micros(new.ttl.map_or(0, lives)),
            protected: new.protected,
            ..BranchRow::main(Root::EMPTY, made, at)
        };
        let change = SystemChange { key: BranchRow::key(number), value: Some(row.encode()) };
        let committed = self.log_system(committer, number, &[change])?;
        let branch = self.begin_branch(committer, number, row, &owner, committed.timestamp);
        committer.next_branch = number.saturating_add(1);
        committer.branches.insert(number, Arc::clone(&branch));
        committer.names.insert(name.to_ascii_lowercase(), number);
        add_pin(&owner, at);
        self.pending.lock().push_back(Pending {
            end: committed.end,
            branch: Arc::clone(&branch),
            view: branch.latest(),
        });
        Ok((branch, committed))
    }

    /// A branch that holds nothing yet.
    fn begin_branch(
        &self,
        committer: &Committer,
        number: u32,
        row: BranchRow,
        parent: &Branch,
        made: Timestamp,
    ) -> Arc<Branch> {
        let beneath = row.fork.map(|(_, at)| self.beneath_at(parent, at));
        let view = Arc::new(View {
            branch: number,
            timestamp: made,
            pages: self.pages.latest(),
            root: Root::EMPTY,
            history: History::default(),
            beneath: beneath.clone(),
            floor: row.floor,
            catalog_changed: made,
            pins: Arc::default(),
            tags: Arc::clone(&committer.tags),
            retention: Arc::clone(&committer.retention),
        });
        Branch::new(
            number,
            Tip {
                root: Root::EMPTY,
                history: History::default(),
                displaced: Displaced::default(),
                floor: row.floor,
                catalog_changed: made,
                changed: made,
                beneath,
                pins: Arc::default(),
                next_run: 0,
                live: Arc::default(),
                next_segment: 0,
                latest: view,
                log_head: Timestamp::ZERO,
                row,
            },
        )
    }

    /// Drops a branch: nobody finds it any more. Whether there was one.
    pub(crate) fn drop_branch(&self, name: &str) -> Result<bool> {
        let dropped = self.change_branch(name, |row| {
            if row.fork.is_none() {
                return Err(Error::invalid("the branch main can't be dropped"));
            }
            if row.protected {
                return Err(Error::invalid(format!(
                    "the branch {name} is protected; ALTER BRANCH {name} SET (protected = 0) allows to drop it"
                )));
            }
            row.dropped = true;
            Ok(())
        });
        match dropped {
            Err(error) if error.message() == no_such_branch(name).message() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Gives a branch another name.
    pub(crate) fn rename_branch(&self, name: &str, to: &str) -> Result<()> {
        tags::check_name("branch", to)?;
        self.change_branch(name, |row| {
            if row.fork.is_none() {
                return Err(Error::invalid("the branch main can't be renamed"));
            }
            row.name = to.to_owned();
            Ok(())
        })
    }

    /// Protects a branch or not, and sets how long it lives from now on.
    pub(crate) fn set_branch(
        &self,
        name: &str,
        protected: Option<bool>,
        ttl: Option<Option<Duration>>,
    ) -> Result<()> {
        let now = self.env.now();
        self.change_branch(name, |row| {
            row.protected = protected.unwrap_or(row.protected);
            if let Some(ttl) = ttl {
                if row.fork.is_none() {
                    return Err(Error::invalid("the branch main does not expire"));
                }
                let until = |ttl: Duration| now.as_micros().saturating_add(ttl.as_micros() as u64);
                row.expires = Timestamp::from_micros(ttl.map_or(0, until));
            }
            Ok(())
        })
    }

    /// Commits a change of the row of a branch.
    fn change_branch(&self, name: &str, change: impl FnOnce(&mut BranchRow) -> Result<()>) -> Result<()> {
        self.check_writable()?;
        self.upgrade_format()?;
        let (branch, committed) = {
            let mut committer = self.committer();
            let branch = committer.named(name)?;
            let before = branch.tip.lock().row.clone();
            let mut row = before.clone();
            change(&mut row)?;
            let (old, new) = (before.name.to_ascii_lowercase(), row.name.to_ascii_lowercase());
            let taken = committer.names.contains_key(&new) || tags::find(&committer.tags, &new).is_some();
            if old != new && taken {
                return Err(Error::invalid(format!("there is already a branch or a tag {}", row.name)));
            }
            let change = SystemChange { key: BranchRow::key(branch.number), value: Some(row.encode()) };
            let committed = self.commit_system(&mut committer, &branch, &[change])?;
            branch.access.set(&row);
            committer.names.remove(&old);
            let mut named = self.branches.write();
            named.remove(&old);
            if !row.dropped {
                committer.names.insert(new.clone(), branch.number);
                named.insert(new, Arc::clone(&branch));
            }
            drop(named);
            branch.tip.lock().row = row;
            (branch, committed)
        };
        self.acknowledge(&branch, &committed, self.options.durability)
    }

    /// Drops the branches whose time is over.
    pub(crate) fn drop_expired(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let now = self.env.now();
        let expired: Vec<String> = {
            let committer = self.committer();
            let over = |branch: &&Arc<Branch>| {
                let tip = branch.tip.lock();
                !tip.row.dropped && tip.row.expires > Timestamp::ZERO && tip.row.expires <= now
            };
            committer.branches.values().filter(over).map(|branch| branch.name()).collect()
        };
        for name in expired {
            self.change_branch(&name, |row| {
                row.dropped = true;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The dropped branches that no other needs, which a checkpoint may take away.
    pub(crate) fn unneeded(&self, committer: &Committer) -> Vec<u32> {
        let mut gone: Vec<u32> = Vec::new();
        // Children come after their parents.
        for (&number, branch) in committer.branches.iter().rev() {
            let needed = || {
                committer.branches.iter().any(|(other, branch)| {
                    let fork = branch.tip.lock().row.fork;
                    !gone.contains(other) && fork.is_some_and(|(parent, _)| parent == number)
                })
            };
            let dropped = branch.tip.lock().row.dropped;
            if number != MAIN_BRANCH && dropped && !needed() {
                gone.push(number);
            }
        }
        gone
    }

    /// The branches that fork off one, with the moments; one that was dropped has no name.
    pub(crate) fn forks(&self, parent: u32) -> Vec<(String, Timestamp)> {
        let committer = self.committer();
        let mut forks = Vec::new();
        for branch in committer.branches.values() {
            let tip = branch.tip.lock();
            if let Some((_, at)) = tip.row.fork.filter(|(from, _)| *from == parent) {
                forks.push((if tip.row.dropped { String::new() } else { tip.row.name.clone() }, at));
            }
        }
        forks
    }

    /// All branches that can be used, by name.
    pub(crate) fn list_branches(&self) -> Vec<BranchInfo> {
        let branches: Vec<Arc<Branch>> = self.branches.read().values().cloned().collect();
        let committer = self.committer();
        let name_of = |number: u32| {
            let parent = committer.branches.get(&number)?;
            let row = &parent.tip.lock().row;
            (!row.dropped).then(|| row.name.clone())
        };
        let describe = |branch: &Arc<Branch>| {
            let row = branch.tip.lock().row.clone();
            BranchInfo {
                parent: row.fork.and_then(|(parent, _)| name_of(parent)),
                fork: row.fork.map(|(_, at)| at),
                created: some(row.created),
                head: branch.visible.read().timestamp,
                protected: row.protected,
                expires: some(row.expires),
                name: row.name,
            }
        };
        branches.iter().map(describe).collect()
    }
}

impl Handle {
    /// The branch of this name; main where there is none.
    pub(crate) fn parent_of(&self, new: &NewBranch) -> Result<Arc<Branch>> {
        match &new.from {
            Some(name) => self.branch_named(name),
            None => Ok(Arc::clone(self.branch())),
        }
    }

    pub(crate) fn branch_named(&self, name: &str) -> Result<Arc<Branch>> {
        Engine::branch(self, name)
    }
}

/// Keeps a moment of a branch from now on.
pub(crate) fn add_pin(branch: &Branch, at: Timestamp) {
    let mut tip = branch.tip.lock();
    if let Err(place) = tip.pins.binary_search(&at) {
        let mut pins = tip.pins.to_vec();
        pins.insert(place, at);
        tip.pins = pins.into();
    }
}
