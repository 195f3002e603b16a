//! Every state that the database was in, and what of it may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::Timestamp;

use super::State;

/// Tags by number, and what each stands for.
pub type Tags = Arc<BTreeMap<u32, Timestamp>>;

/// A commit and the state that it led to.
#[derive(Clone, Debug)]
pub struct Commit {
    pub at: Timestamp,
    pub state: State,
    /// No part of the state: no transaction sees them.
    pub tags: Tags,
}

/// The commits in order, the oldest an empty database.
#[derive(Clone, Debug)]
pub struct History {
    commits: Vec<Commit>,
    /// How many of the commits no crash may take back.
    durable: usize,
    /// The state after a commit of which nobody knows whether it happened.
    in_doubt: Option<(State, Tags)>,
    /// Reads at or after this moment must be answered.
    horizon: Timestamp,
}

impl History {
    /// Before the first commit.
    #[must_use]
    pub fn new() -> Self {
        let first = Commit { at: Timestamp::ZERO, state: State::default(), tags: Tags::default() };
        History { commits: vec![first], durable: 1, in_doubt: None, horizon: Timestamp::ZERO }
    }

    #[must_use]
    pub fn head(&self) -> &Commit {
        self.commits.last().expect("the first commit stays")
    }

    /// All commits but the first, which is no commit.
    #[must_use]
    pub fn commits(&self) -> &[Commit] {
        &self.commits[1..]
    }

    /// The state as of a moment.
    #[must_use]
    pub fn state_at(&self, at: Timestamp) -> &State {
        let after = self.commits.partition_point(|commit| commit.at <= at);
        &self.commits[after.saturating_sub(1)].state
    }

    /// Adds a commit; says what is wrong with its Timestamp, if something is.
    pub fn commit(&mut self, at: Timestamp, state: State) -> Result<(), String> {
        let before = self.head().at;
        if at <= before {
            return Err(format!("commit {at} follows {before}: time went back"));
        }
        let tags = Arc::clone(&self.head().tags);
        self.commits.push(Commit { at, state, tags });
        Ok(())
    }

    /// Adds a commit that changes the tags alone.
    pub fn commit_tags(&mut self, at: Timestamp, tags: Tags) -> Result<(), String> {
        self.commit(at, self.head().state.clone())?;
        if let Some(head) = self.commits.last_mut() {
            head.tags = tags;
        }
        Ok(())
    }

    /// Whether a tag stands for a moment.
    #[must_use]
    pub fn is_tagged(&self, at: Timestamp) -> bool {
        self.head().tags.values().any(|tagged| *tagged == at)
    }

    /// A commit failed in a way that may have left it there.
    pub fn doubt(&mut self, state: State) {
        self.in_doubt = Some((state, Arc::clone(&self.head().tags)));
    }

    /// A change of the tags failed in a way that may have left it there.
    pub fn doubt_tags(&mut self, tags: Tags) {
        self.in_doubt = Some((self.head().state.clone(), tags));
    }

    /// Everything so far is durable.
    pub fn settle(&mut self) {
        self.durable = self.commits.len();
    }

    /// No read at or before `horizon` has to be answered any more.
    pub fn expire(&mut self, horizon: Timestamp) {
        self.horizon = self.horizon.max(horizon);
    }

    #[must_use]
    pub fn horizon(&self) -> Timestamp {
        self.horizon
    }

    /// The database was opened again and says that `last` is its last commit. Forgets the commits that are gone; says what is
    /// wrong, if one of them must not be.
    pub fn reopened(&mut self, last: Timestamp) -> Result<(), String> {
        if self.head().at == Timestamp::ZERO {
            // The first opening: the database names the moment when it was made.
            self.commits[0].at = last;
        }
        let doubtful = self.in_doubt.take();
        if let Some((state, tags)) = doubtful
            && last > self.head().at
        {
            self.commits.push(Commit { at: last, state, tags });
            self.settle();
            return Ok(());
        }
        let Some(found) = self.commits.iter().rposition(|commit| commit.at == last) else {
            return Err(format!("the last commit is {last}, which nobody made"));
        };
        if found + 1 < self.durable {
            let lost = self.commits[found + 1].at;
            return Err(format!("commit {lost} was acknowledged as durable and is gone: the last is {last}"));
        }
        self.commits.truncate(found + 1);
        self.settle();
        Ok(())
    }
}
