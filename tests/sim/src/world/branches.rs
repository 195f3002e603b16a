//! Branches in a life: made off the present, changed, read and followed, merged or let go. What main holds does not depend on them before
//! they are merged. What a branch was at each of its commits can be read, and its feed tells how one became the next.

use dosql::feed::{Changes, Position};
use dosql::{Code, Database, ErrorKind, Merge, NewBranch, Timestamp};

use super::client::Client;
use super::{Lived, World, check, feeds};
use crate::model::{AsOf, Filter, History, How, State, Statement};
use crate::plan::Ask;

/// A branch that is followed.
struct Followed {
    db: Database,
    /// What it was at its beginning and at each of its commits.
    history: History,
    /// A reader of its feed since then, and up to where it was told.
    reader: Option<Changes>,
    told: Timestamp,
}

impl World {
    /// Makes a branch, asks it all of `asks`, and brings what came of it to main or forgets it.
    pub(super) fn branch(&mut self, asks: &[Ask], merge: bool) -> Lived {
        if !merge {
            self.what_if(asks)?;
        }
        let db = self.db()?;
        self.branches += 1;
        // Where the clock stands still, each commit of the branch goes a step beyond it, whether it fails half way or not.
        let reached = self.beyond.max(db.now()).max(self.history.head().at).as_micros();
        self.beyond = Timestamp::from_micros(reached + asks.len() as u64 + 8);
        let mut name = format!("b{}", self.branches);
        let made = db.create_branch(&name, &NewBranch::default());
        let Some(branch) = self.allow(made, "CREATE BRANCH")? else { return Ok(()) };
        let (mut client, mut state) = (Client::default(), self.history.head().state.clone());
        let Some(mut followed) = self.followed(&branch, &state)? else { return Ok(()) };
        for (number, ask) in asks.iter().enumerate() {
            if number == asks.len() / 2 {
                // Under another name it is the same branch, and a reader that comes back is told of the rest.
                let renamed = db.rename_branch(&name, &format!("{name}-renamed"));
                if self.allow(renamed, "ALTER BRANCH")?.is_some() {
                    name.push_str("-renamed");
                }
                self.follow_branch(&mut followed, true)?;
            }
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
            let at = branch.last_commit();
            if at > followed.history.head().at {
                followed.history.commit(at, state.clone())?;
            } else if state != followed.history.head().state {
                return Err(format!("on a branch: {statement:?} was answered {answer:?} and made no commit"));
            }
        }
        self.follow_branch(&mut followed, false)?;
        self.check_moments(&followed)?;
        drop((client, branch, followed));
        // Who merges waits for the turn of main.
        if merge && !self.turn_may_be_taken(usize::MAX) {
            self.merge(&name, state)?;
        }
        let dropped = self.db()?.drop_branch(&name);
        self.allow(dropped, "DROP BRANCH").map(|_| ())
    }

    /// The same on a branch in memory, of which nothing is left.
    fn what_if(&self, asks: &[Ask]) -> Lived {
        let db = self.db()?;
        let (before, mut state) = (db.last_commit(), self.history.head().state.clone());
        let mut wrong = None;
        let done = db.what_if(|branch| {
            let mut client = Client::default();
            for ask in asks {
                let Some(statement) = ask.resolve(&state, &self.shape) else { continue };
                let answer = client.ask(branch, &statement)?;
                let expected = state.apply(&statement);
                if answer != expected {
                    wrong = Some(format!("in what_if: {statement:?} gave {answer:?}, not {expected:?}"));
                    break;
                }
            }
            Ok(())
        });
        match wrong {
            Some(text) => Err(text),
            None if db.last_commit() != before => Err("what_if made a commit".to_owned()),
            None => self.allow(done, "what_if").map(|_| ()),
        }
    }

    /// A reader of the branch from its beginning on; `None` where it can't be had, with good reason.
    fn followed(&self, branch: &Database, state: &State) -> Lived<Option<Followed>> {
        let mut history = History::new();
        let begin = branch.last_commit();
        history.commit(begin, state.clone())?;
        let reader = match branch.changes(begin) {
            Err(error) if self.may_refuse(&error) => None,
            reader => match self.allow(reader, "the feed of a branch")? {
                None => return Ok(None),
                reader => reader,
            },
        };
        Ok(Some(Followed { db: branch.clone(), history, reader, told: begin }))
    }

    /// Reads what is new on the branch; the reader goes on, or goes away and comes back.
    fn follow_branch(&self, followed: &mut Followed, away: bool) -> Lived {
        let Followed { db, history, reader, told } = followed;
        let Some(changes) = reader else { return Ok(()) };
        match feeds::told(changes, usize::MAX, history, *told) {
            Ok((reached, _)) => *told = reached,
            Err(check::Wrong::Engine(error)) if self.may_refuse(&error) => {
                *reader = None;
                return Ok(());
            }
            found => {
                // A feed ends with its first error.
                *reader = None;
                return self.judge(found.map(drop), "the feed of a branch");
            }
        }
        if away {
            let position: Position = changes.reached().clone();
            match db.feed().after(position) {
                Err(error) if self.may_refuse(&error) => *reader = None,
                again => *reader = self.allow(again, "the feed of a branch")?,
            }
        }
        Ok(())
    }

    /// What the branch was at each of its commits.
    fn check_moments(&self, followed: &Followed) -> Lived {
        for commit in followed.history.commits() {
            match moment(&followed.db, commit.at, &commit.state, self.shape.spaces) {
                Err(check::Wrong::Engine(error)) if self.may_refuse(&error) => {}
                found => self.judge(found, &format!("a branch as of {}", commit.at))?,
            }
        }
        Ok(())
    }

    /// Where little history is kept, the past of a branch may be gone too.
    fn may_refuse(&self, error: &dosql::Error) -> bool {
        let short = self.settings.retention < dosql::DAY;
        let refused = error.kind() == ErrorKind::Unsupported || error.code() == Code::AsOfExpired;
        short && refused
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

/// The branch as of one of its commits, by keyspaces and by SQL.
fn moment(db: &Database, at: Timestamp, state: &State, spaces: u32) -> Result<(), check::Wrong> {
    check::spaces(db, &db.read_at(at)?, state, spaces)?;
    let connection = db.connect()?;
    for table in state.tables.keys() {
        let all = Statement::Select {
            table: table.clone(),
            filter: Filter::All,
            how: How::AsPlanned,
            backward: false,
        };
        check::compare(&connection, state, &all, Some(AsOf::Lsn(at)))?;
    }
    Ok(())
}
