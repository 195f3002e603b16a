//! The model: what a life has committed so far, what of it was acknowledged, and what of it a restart may find.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::{Durability, Timestamp};

/// All rows at one moment, by a name that the scenario gives them.
pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// One commit that was made or tried.
#[derive(Clone)]
pub(crate) struct Commit {
    /// When; unknown as long as nobody said that it happened.
    pub(crate) at: Option<Timestamp>,
    /// Everything as of then.
    pub(crate) state: Arc<State>,
}

/// See the module's description. Commit 0 is the empty database.
#[derive(Clone)]
pub(crate) struct Lived {
    pub(crate) commits: Vec<Commit>,
    /// Whether the database was ever there.
    pub(crate) made: bool,
    /// How many commits a restart must find.
    pub(crate) acknowledged: usize,
    /// What the engine got wrong while it lived.
    pub(crate) mistakes: Vec<String>,
}

impl Lived {
    pub(crate) fn new() -> Self {
        let empty = Commit { at: None, state: Arc::default() };
        Lived { commits: vec![empty], made: false, acknowledged: 1, mistakes: Vec::new() }
    }

    /// Everything as of the last commit, made or tried.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.commits.last().expect("commit 0 is always there").state)
    }

    /// A commit is about to be tried: from here on it may be durable, whatever the call says.
    pub(crate) fn attempt(&mut self, state: State) {
        self.commits.push(Commit { at: None, state: Arc::new(state) });
    }

    /// The commit that was tried last was refused, and the database lives on.
    pub(crate) fn refused(&mut self) {
        self.commits.pop();
    }

    /// The commit that was tried last happened at `at`.
    pub(crate) fn committed(&mut self, at: Timestamp, durability: Durability) {
        let before = self.commits.iter().rev().find_map(|commit| commit.at);
        if before.is_some_and(|before| at <= before) {
            self.mistake(format!("a commit at {at} follows one at {}", before.unwrap_or_default()));
        }
        if let Some(commit) = self.commits.last_mut() {
            commit.at = Some(at);
        }
        if durability == Durability::Sync {
            self.all_durable();
        }
    }

    /// The engine said that everything committed so far is durable.
    pub(crate) fn all_durable(&mut self) {
        self.acknowledged = self.commits.len();
    }

    pub(crate) fn mistake(&mut self, what: String) {
        self.mistakes.push(what);
    }

    /// A restart found `state`: the last commits may be gone, those that were acknowledged may not. What it found is durable.
    pub(crate) fn found(&mut self, state: &State) -> Result<(), String> {
        let may_be = self.acknowledged..=self.commits.len();
        let Some(count) = may_be.rev().find(|&count| *self.commits[count - 1].state == *state) else {
            let known = self.commits.iter().position(|commit| *commit.state == *state);
            return Err(match known {
                Some(place) => format!(
                    "commits up to {} were acknowledged, found is the state as of commit {place}",
                    self.acknowledged - 1
                ),
                None => "found is a state that no commit made".to_owned(),
            });
        };
        self.commits.truncate(count);
        self.acknowledged = count;
        Ok(())
    }
}
