//! Which versions are kept: what is not goes when a run of history is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use dosql_sql::catalog::schema::SpaceId;

use crate::engine::Engine;
use crate::erase::Erasure;
use crate::manifest::{MAIN_BRANCH, Run};
use crate::retention::{Horizons, Keep};
use crate::tags;
use crate::view::View;

/// Which versions are to go before their time.
pub(crate) enum Deletion {
    /// Those that ended at or before this, but for what is pinned.
    Before(Timestamp),
    /// The same, of tables and indexes of main.
    OfTables(Vec<SpaceId>, Timestamp),
    /// Those of rows, pinned or not, of branches by their numbers.
    OfRows(Arc<BTreeMap<u32, Arc<Erasure>>>),
}

/// Which versions anybody may still ask for.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Those that ended after this.
    pub(crate) horizon: Timestamp,
    /// The same, of tables for which something else holds.
    pub(crate) tables: Horizons,
    /// Those that were current at one of these, which are in order.
    pub(crate) pins: Arc<[Timestamp]>,
    /// Rows that go, whatever keeps them.
    pub(crate) erasure: Option<Arc<Erasure>>,
    /// Tables that let go of more than their clause says.
    pub(crate) lowered: Vec<SpaceId>,
}

impl Kept {
    /// All that ended after `horizon`, and what is pinned.
    pub(crate) fn all_from(horizon: Timestamp, pins: Arc<[Timestamp]>) -> Kept {
        Kept { horizon, tables: Horizons::default(), pins, erasure: None, lowered: Vec::new() }
    }

    /// Whether a version of `key` is kept.
    pub(crate) fn keeps(&self, key: &[u8], start: Timestamp, end: Timestamp) -> bool {
        let own = if self.tables.is_empty() { None } else { self.tables.of_key(key) };
        self.keeps_after(own.unwrap_or(self.horizon), start, end)
    }

    fn keeps_after(&self, horizon: Timestamp, start: Timestamp, end: Timestamp) -> bool {
        end > horizon || (tags::pin(&self.pins, start, end) && !weakened("tag-keeps-nothing"))
    }

    /// Whether nothing is kept that `earlier` did not keep.
    pub(crate) fn is_within(&self, earlier: &Kept) -> bool {
        let Kept { horizon, tables, pins, .. } = earlier;
        let latest = tables.latest().map_or(*horizon, |latest| latest.max(*horizon));
        let pinned = |pin: &Timestamp| *pin >= latest || pins.contains(pin);
        self.horizon >= *horizon && self.tables.are_within(tables) && self.pins.iter().all(pinned)
    }

    /// Whether a run holds nothing that is kept.
    pub(crate) fn expired(&self, run: &Run) -> bool {
        let earliest = self.tables.earliest().map_or(self.horizon, |earliest| earliest.min(self.horizon));
        !self.keeps_after(earliest, run.first_start, run.last_end)
    }

    /// What ended at or before this is gone of the table or index whose keys begin with `space`, but for what tags keep.
    pub(crate) fn dropped(&self, space: SpaceId) -> Timestamp {
        self.tables.of_space(space).unwrap_or(self.horizon)
    }
}

impl Engine {
    /// Which versions anybody may still ask for who has `view` or a later one.
    pub(crate) fn kept(&self, view: &View, pins: Arc<[Timestamp]>, deletion: Option<&Deletion>) -> Kept {
        let now = self.env.now().as_micros();
        let deleted = match deletion {
            Some(Deletion::Before(before)) => (*before).min(view.timestamp),
            _ => Timestamp::ZERO,
        };
        // What a feed has not been told yet stays, within its caps.
        let slots = self.kept_for_slots(view).unwrap_or(Timestamp::MAX);
        let horizon =
            |retention: u64| Timestamp::from_micros(now.saturating_sub(retention)).min(slots).max(deleted);
        let own = |keep| match keep {
            Keep::Nothing => view.timestamp,
            Keep::For(micros) => horizon(micros),
        };
        let tables = if view.branch == MAIN_BRANCH {
            Horizons::new(&view.retention, own)
        } else {
            Horizons::default()
        };
        let most = match self.options.retention {
            0 => view.timestamp,
            retention => horizon(retention),
        };
        let mut kept = Kept { tables, ..Kept::all_from(most, pins) };
        match deletion {
            Some(Deletion::OfTables(spaces, before)) if view.branch == MAIN_BRANCH => {
                for space in spaces {
                    let horizon = kept.dropped(*space).max((*before).min(view.timestamp));
                    kept.tables.set(*space, horizon);
                }
                kept.lowered.clone_from(spaces);
            }
            Some(Deletion::OfRows(erasures)) => kept.erasure = erasures.get(&view.branch).cloned(),
            _ => {}
        }
        kept
    }
}
