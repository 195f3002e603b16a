//! Every state that the database was in, and what of it may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::Timestamp;

use super::State;

/// What has a place in time and is no part of the state: no transaction sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// Tags by number, and what each stands for.
    pub tags: BTreeMap<u32, Timestamp>,
    /// Feed slots by number, and up to where each was confirmed.
    pub feeds: BTreeMap<u32, Timestamp>,
}

/// A commit and the state that it led to.
#[derive(Clone, Debug)]
pub struct Commit {
    pub at: Timestamp,
    pub state: State,
    pub marks: Arc<Marks>,
}

/// The commits in order, the oldest an empty database.
#[derive(Clone, Debug)]
pub struct History {
    commits: Vec<Commit>,
    /// How many of the commits no crash may take back.
    durable: usize,
    /// The state after a commit of which nobody knows whether it happened.
    in_doubt: Option<(State, Arc<Marks>)>,
    /// Reads at or after this moment must be answered.
    horizon: Timestamp,
    /// What ended at or before this moment may be gone, whoever needs it.
    let_go: Timestamp,
}

impl History {
    /// Before the first commit.
    #[must_use]
    pub fn new() -> Self {
        let first = Commit { at: Timestamp::ZERO, state: State::default(), marks: Arc::default() };
        let (horizon, let_go) = (Timestamp::ZERO, Timestamp::ZERO);
        History { commits: vec![first], durable: 1, in_doubt: None, horizon, let_go }
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
        let marks = Arc::clone(&self.head().marks);
        self.commits.push(Commit { at, state, marks });
        Ok(())
    }

    /// Adds a commit that changes the marks alone.
    pub fn commit_marks(&mut self, at: Timestamp, marks: Marks) -> Result<(), String> {
        self.commit(at, self.head().state.clone())?;
        if let Some(head) = self.commits.last_mut() {
            head.marks = marks.into();
        }
        Ok(())
    }

    /// Whether a tag stands for a moment.
    #[must_use]
    pub fn is_tagged(&self, at: Timestamp) -> bool {
        self.head().marks.tags.values().any(|tagged| *tagged == at)
    }

    /// A commit failed in a way that may have left it there.
    pub fn doubt(&mut self, state: State) {
        self.in_doubt = Some((state, Arc::clone(&self.head().marks)));
    }

    /// A change of the marks failed in a way that may have left it there.
    pub fn doubt_marks(&mut self, marks: Marks) {
        self.in_doubt = Some((self.head().state.clone(), marks.into()));
    }

    /// Everything so far is durable.
    pub fn settle(&mut self) {
        self.durable = self.commits.len();
    }

    /// No read at or before `horizon` has to be answered any more.
    pub fn expire(&mut self, horizon: Timestamp) {
        self.horizon = self.horizon.max(horizon);
    }

    /// History up to `before` is let go, whatever pins it but for tags.
    pub fn let_go(&mut self, before: Timestamp) {
        self.expire(before);
        self.let_go = self.let_go.max(before);
    }

    /// Whether what came after this moment may be gone even for those who had it kept.
    #[must_use]
    pub fn may_be_gone(&self, after: Timestamp) -> bool {
        after < self.let_go
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
        if let Some((state, marks)) = doubtful
            && last > self.head().at
        {
            self.commits.push(Commit { at: last, state, marks });
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
