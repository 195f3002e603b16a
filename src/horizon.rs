//! How far back history reaches: what the retention, tags, forks, feed slots and each table's own rules keep, and the refusal of moments
//! that are gone, or not yet there.

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::catalog::schema::SpaceId;
use dosql_sql::catalog::store::CATALOG_SPACE;
use dosql_sql::value::describe_instant;

use crate::branch::Branch;
use crate::engine::Engine;
use crate::manifest::MAIN_BRANCH;
use crate::retention::{Keep, not_reached};
use crate::view::{ReadAt, View};

impl Engine {
    /// The earliest moment of the branch itself that can be read in `view`, of keyspaces and of tables that say nothing about it.
    pub(crate) fn horizon(&self, view: &View) -> Timestamp {
        self.kept_from(view.floor, view.timestamp)
    }

    /// The earliest moment that can be read in `view` of the table or index whose keys begin with `space`.
    pub(crate) fn horizon_of(&self, view: &View, space: SpaceId) -> Timestamp {
        self.reach_by(view, |read| self.horizon_in(view, read, space))
    }

    /// As [`Engine::horizon_of`], of the branch that is read. What tables say of their versions holds on main.
    fn horizon_in(&self, view: &View, read: &ReadAt, space: SpaceId) -> Timestamp {
        let most = self.kept_from(read.floor, read.last);
        if read.branch != MAIN_BRANCH {
            return most;
        }
        let floor = view.retention.floor(space).moment();
        let horizon = match view.retention.rule(space).map(|rule| rule.keep) {
            None => most.max(floor),
            Some(Keep::Nothing) => read.last,
            Some(Keep::For(micros)) => floor.max(self.ago(micros)),
        };
        horizon.min(read.last)
    }

    /// The earliest moment from which on everything can be read that keeps versions at all.
    fn whole_from(&self, view: &View, read: &ReadAt) -> Timestamp {
        let kept =
            |space: &SpaceId| view.retention.rule(*space).is_none_or(|rule| rule.keep != Keep::Nothing);
        let own = view.retention.floors().keys().copied().filter(kept);
        let most = self.kept_from(read.floor, read.last);
        own.map(|space| self.horizon_in(view, read, space)).fold(most, Timestamp::max)
    }

    /// Whether all that a reader as of `at` may ask for can be read in `view`.
    pub(crate) fn reaches_whole(&self, view: &View, at: Timestamp) -> bool {
        self.whole_from(view, &view.read_at(at)) <= at
    }

    /// Refuses a moment whose history may be gone for the table `name`, whose keys begin with `space`; [`Timestamp::MAX`] only where it has
    /// no history at all.
    pub(crate) fn check_horizon_of(
        &self,
        view: &View,
        space: SpaceId,
        name: &str,
        at: Timestamp,
    ) -> Result<()> {
        let read = view.read_at(at);
        if view.retention.is_plain() || read.branch != MAIN_BRANCH {
            return Ok(());
        }
        let keep = view.retention.rule(space).map(|rule| rule.keep);
        if keep == Some(Keep::Nothing) && at == Timestamp::MAX {
            return Err(not_reached(name, keep, at, at));
        }
        if at >= read.last {
            return Ok(());
        }
        let horizon = self.horizon_in(view, &read, space);
        let tagged =
            keep != Some(Keep::Nothing) && at >= view.retention.floor(space).unkept && view.is_pinned(at);
        if at >= horizon || tagged || weakened("horizon-ignored") {
            return Ok(());
        }
        Err(not_reached(name, keep, at, horizon))
    }

    /// From when on all is kept of a branch with this floor, which is read up to `last`.
    pub(crate) fn kept_from(&self, floor: Timestamp, last: Timestamp) -> Timestamp {
        if self.options.retention == 0 {
            return last;
        }
        floor.max(self.ago(self.options.retention)).min(last)
    }

    /// So many microseconds before now, or where the feed slots begin if that is earlier: as long as their readers need it, others have it
    /// too. What a floor says of is gone all the same.
    fn ago(&self, micros: u64) -> Timestamp {
        let ago = Timestamp::from_micros(self.env.now().as_micros().saturating_sub(micros));
        self.kept_for_slots(&self.main.view()).map_or(ago, |slots| ago.min(slots))
    }

    /// The earliest moment from which on all of `view` is kept, before the branch began too.
    pub(crate) fn reach(&self, view: &View) -> Timestamp {
        self.reach_by(view, |read| self.kept_from(read.floor, read.last))
    }

    /// From when on all is kept, where `horizon` says it of one branch: it goes on beneath where a branch keeps all it ever had.
    fn reach_by(&self, view: &View, horizon: impl Fn(&ReadAt<'_>) -> Timestamp) -> Timestamp {
        let mut reach = horizon(&view.own());
        for span in view.beneath.iter().flat_map(|beneath| &beneath.spans) {
            if reach > span.fork {
                break;
            }
            reach = horizon(&view.read_at(span.fork));
        }
        reach
    }

    /// A view of a branch that contains every commit at or before `at`, and the promise that no later commit will be: so that a
    /// read as of `at` gives the same rows for ever.
    pub(crate) fn view_at(&self, branch: &Branch, at: Timestamp) -> Result<Arc<View>> {
        if at > branch.visible.read().timestamp {
            self.reserve_past(branch, at)?;
        }
        // Commits may have come since, and without retention they take the moment with them.
        let view = branch.view();
        self.check_horizon(&view, at)?;
        Ok(view)
    }

    /// Refuses a moment whose history may be gone, of whatever is kept longest.
    pub(crate) fn check_horizon(&self, view: &View, at: Timestamp) -> Result<()> {
        // The schema is kept as long as whatever is kept longest.
        let read = view.read_at(at);
        let most = self.kept_from(read.floor, read.last);
        self.check_from(view, &read, most.min(self.horizon_in(view, &read, CATALOG_SPACE)), at)
    }

    /// As [`Engine::check_horizon`], for who knows that it is `now`: of a moment within the retention that no floor has passed neither the
    /// clock nor slots and pins are asked.
    pub(crate) fn check_horizon_now(&self, view: &View, at: Timestamp, now: Timestamp) -> Result<()> {
        let retention = self.options.retention;
        let whole = retention > 0
            && at >= view.read_at(at).floor
            && now.as_micros().saturating_sub(retention) <= at.as_micros();
        if whole { Ok(()) } else { self.check_horizon(view, at) }
    }

    /// As [`Engine::check_horizon`], for who reads keyspaces and tables that say nothing about their versions.
    pub(crate) fn check_horizon_of_most(&self, view: &View, at: Timestamp) -> Result<()> {
        let read = view.read_at(at);
        self.check_from(view, &read, self.kept_from(read.floor, read.last), at)
    }

    /// As [`Engine::check_horizon`], for who reads everything at that moment that has versions.
    pub(crate) fn check_horizon_of_all(&self, view: &View, at: Timestamp) -> Result<()> {
        let read = view.read_at(at);
        self.check_from(view, &read, self.whole_from(view, &read), at)
    }

    /// As [`Engine::check_horizon_of_all`], for who needs what has none too.
    pub(crate) fn check_fork(&self, view: &View, at: Timestamp) -> Result<()> {
        self.check_horizon_of_all(view, at)?;
        let read = view.read_at(at);
        let unkept = view.retention.rules().find(|(_, rule)| rule.keep == Keep::Nothing);
        match unkept.filter(|_| read.branch == MAIN_BRANCH && at < read.last) {
            Some((_, rule)) => Err(not_reached(&rule.table, Some(rule.keep), at, read.last)),
            None => Ok(()),
        }
    }

    fn check_from(&self, view: &View, read: &ReadAt<'_>, horizon: Timestamp, at: Timestamp) -> Result<()> {
        if at >= horizon || at >= read.last || view.is_pinned(at) || weakened("horizon-ignored") {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            Code::AsOfExpired,
            format!(
                "{} is before {}, the earliest time that history still reaches; ask for a later one",
                describe_instant(at),
                describe_instant(horizon)
            ),
        ))
    }

    /// Sees to it that no commit after this takes a Timestamp at or below `at`, and that all that did are visible.
    pub(crate) fn reserve_past(&self, branch: &Branch, at: Timestamp) -> Result<()> {
        let mut now = self.now_on(branch);
        if at > now {
            // Another branch may have come further, where the clock stands still.
            now = now.max(self.committer().last_shown());
        }
        if at > now {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Code::AsOfFuture,
                format!(
                    "{} lies in the future: it is {} now; ask for an earlier time",
                    describe_instant(at),
                    describe_instant(now)
                ),
            ));
        }
        self.reserve(branch, at)
    }
}
