//! Branches in a life: made off the present, changed and read, merged or let go. What main holds does not depend on them before
//! they are merged.

use dosql::{Merge, NewBranch, Timestamp};

use super::client::Client;
use super::{Lived, World};
use crate::plan::Ask;

impl World {
    /// Makes a branch, asks it all of `asks`, and brings what came of it to main or forgets it.
    pub(super) fn branch(&mut self, asks: &[Ask], merge: bool) -> Lived {
        let db = self.db()?;
        self.branches += 1;
        // Where the clock stands still, each commit of the branch goes a step beyond it, whether it fails half way or not.
        let reached = self.beyond.max(db.now()).max(self.history.head().at).as_micros();
        self.beyond = Timestamp::from_micros(reached + asks.len() as u64 + 8);
        let name = format!("b{}", self.branches);
        let made = db.create_branch(&name, &NewBranch::default());
        let Some(branch) = self.allow(made, "CREATE BRANCH")? else { return Ok(()) };
        let (mut client, mut state) = (Client::default(), self.history.head().state.clone());
        for ask in asks {
            let Some(statement) = ask.resolve(&state, &self.shape) else { continue };
            self.say(|| format!("on {name}: {statement:?}"));
            let answer = client.ask(&branch, &statement);
            let Some(answer) = self.allow(answer, &format!("on a branch: {statement:?}"))? else {
                return Ok(());
            };
            let expected = state.apply(&statement);
            if answer != expected {
                return Err(format!("on a branch: {statement:?} gave {answer:?}, not {expected:?}"));
            }
        }
        drop((client, branch));
        // Who merges waits for the turn of main.
        if merge && !self.turn_may_be_taken(usize::MAX) {
            self.merge(&name, state)?;
        }
        let dropped = self.db()?.drop_branch(&name);
        self.allow(dropped, "DROP BRANCH").map(|_| ())
    }

    /// Nothing has been committed to main since the branch was made.
    fn merge(&mut self, name: &str, state: crate::model::State) -> Lived {
        let db = self.db()?;
        match db.merge(name, &Merge::default()) {
            Err(error) => {
                if db.is_poisoned() {
                    self.history.doubt(state);
                }
                self.allow::<()>(Err(error), "MERGE").map(|_| ())
            }
            Ok(report) => match report.commit {
                Some(at) => self.committed(at, state),
                None if state == self.history.head().state => Ok(()),
                None => Err(format!("the merge of {name} found nothing to do")),
            },
        }
    }
}
