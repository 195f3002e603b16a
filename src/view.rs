//! A view: everything that a reader needs to see the database as of one commit, shared by all who read there.

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Result, Timestamp};
use dosql_btree::{Entry, Near, PageSnapshot, Root};
use dosql_sql::catalog::schema::SpaceId;
use dosql_sql::{Direction, KeyRange, Versions};

use crate::branch::layers::Beneath;
use crate::bytes::Bytes;
use crate::history::History;
use crate::history::past::PastCursor;
use crate::history::versions::VersionWalk;
use crate::long_keys::KeyForm;
use crate::manifest::MAIN_BRANCH;
use crate::retention::{Keep, Retention, not_reached, space_of};
use crate::tags::Tags;

/// The database as of a commit. Immutable, but that its history's memtable goes on growing (see there why that is harmless).
pub(crate) struct View {
    /// The number of the branch.
    pub(crate) branch: u32,
    /// The last commit that it contains; it contains all up to there.
    pub(crate) timestamp: Timestamp,
    /// Pins the page images of that moment.
    pub(crate) pages: PageSnapshot,
    /// The tree of current rows.
    pub(crate) root: Root,
    pub(crate) history: History,
    /// What is seen where the tree says nothing; `None` for main.
    pub(crate) beneath: Option<Arc<Beneath>>,
    /// Versions that ended at or before this may be gone from the history.
    pub(crate) floor: Timestamp,
    /// The last commit that changed the schema, or one after it.
    pub(crate) catalog_changed: Timestamp,
    /// Moments of the branch that can be read whatever the floor is, in order.
    pub(crate) pins: Arc<[Timestamp]>,
    /// All tags, of other branches too.
    pub(crate) tags: Tags,
    /// What tables of main say of their versions.
    pub(crate) retention: Arc<Retention>,
}

/// The branch that is read as of some moment.
pub(crate) struct ReadAt<'v> {
    pub(crate) branch: u32,
    /// See [`View::floor`].
    pub(crate) floor: Timestamp,
    /// Up to here it is read.
    pub(crate) last: Timestamp,
    /// What is kept whatever the floor is.
    pub(crate) pins: &'v [Timestamp],
}

impl View {
    /// The branch of the view itself, up to its last commit.
    pub(crate) fn own(&self) -> ReadAt<'_> {
        ReadAt { branch: self.branch, floor: self.floor, last: self.timestamp, pins: &self.pins }
    }

    /// Whose rows a reader as of `at` gets where the branch itself had begun later.
    pub(crate) fn read_at(&self, at: Timestamp) -> ReadAt<'_> {
        let beneath = self.beneath.iter().flat_map(|beneath| &beneath.spans);
        let read = beneath.take_while(|span| at <= span.fork).last();
        let Some(span) = read else { return self.own() };
        ReadAt { branch: span.branch, floor: span.floor, last: span.fork, pins: &span.pins }
    }

    /// Whether something keeps what the branch that is read held at `at`: a tag, a fork, a merge.
    pub(crate) fn is_pinned(&self, at: Timestamp) -> bool {
        self.read_at(at).pins.binary_search(&at).is_ok()
    }

    /// Refuses a moment at which what `key` belongs to may have had versions that are gone. Costs nothing where no table says anything about
    /// its versions: then it is enough to have asked whether the history reaches the moment.
    #[inline]
    pub(crate) fn check_reach(&self, key: &[u8], at: Timestamp) -> Result<()> {
        if at >= self.timestamp || self.retention.is_plain() {
            Ok(())
        } else {
            self.check_kept(space_of(key), at)
        }
    }

    /// As [`View::check_reach`], of the table or index whose keys begin with `space`.
    fn check_kept(&self, space: SpaceId, at: Timestamp) -> Result<()> {
        let read = self.read_at(at);
        if read.branch != MAIN_BRANCH {
            return Ok(());
        }
        let (rule, floor) = (self.retention.rule(space), self.retention.floor(space));
        let keep = rule.map(|rule| rule.keep);
        let dropped = if keep.is_none() { floor.dropped.max(read.floor) } else { floor.dropped };
        let horizon = match keep {
            Some(Keep::Nothing) => read.last,
            _ if self.is_pinned(at) => floor.unkept,
            _ => floor.moment().max(dropped),
        };
        if at >= horizon.min(read.last) || weakened("table-floor-ignored") {
            return Ok(());
        }
        let name = rule.map_or("this table", |rule| &rule.table);
        Err(not_reached(name, keep, at, horizon))
    }

    /// How its keys are stored.
    pub(crate) fn key_form(&self) -> KeyForm {
        KeyForm::of(self.pages.pages())
    }

    /// The value of `key` in this view, or as of `at` where that is earlier.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], at: Timestamp) -> Result<Option<Bytes>> {
        self.get_by(key, at, |key| self.pages.get(self.root, key))
    }

    /// As [`View::get`], near where the key before was found.
    pub(crate) fn get_near(&self, key: &[u8], at: Timestamp, near: &mut Near) -> Result<Option<Bytes>> {
        self.get_by(key, at, |key| self.pages.get_near(self.root, key, near))
    }

    #[inline]
    fn get_by(
        &self,
        key: &[u8],
        at: Timestamp,
        find: impl FnOnce(&[u8]) -> Result<Option<Entry>>,
    ) -> Result<Option<Bytes>> {
        let form = self.key_form();
        if !form.is_long(key) {
            return self.get_stored(key, at, find);
        }
        let Some(bucket) = self.get_stored(&form.stored(key), at, find)? else { return Ok(None) };
        Ok(form.find(&bucket, key)?.map(|value| Bytes::shared(value.into())))
    }

    /// Brings near what look-ups of these keys as of `at` read of the branch's own segments.
    pub(crate) fn load<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, at: Timestamp) -> Result<()> {
        let Some(beneath) = &self.beneath else { return Ok(()) };
        let form = self.key_form();
        let mut cold: Vec<Vec<u8>> = Vec::new();
        for key in keys {
            let stored = form.stored(key).into_owned();
            if beneath.own.covers(&stored) && self.pages.get(self.root, &stored)?.is_none() {
                cold.push(stored);
            }
        }
        let cold: Vec<&[u8]> = cold.iter().map(Vec::as_slice).collect();
        if cold.is_empty() { Ok(()) } else { beneath.own.load(&self.pages, &cold, at) }
    }

    /// What is stored under a stored key.
    pub(crate) fn get_as_stored(&self, key: &[u8], at: Timestamp) -> Result<Option<Bytes>> {
        self.get_stored(key, at, |key| self.pages.get(self.root, key))
    }

    /// As [`View::get_as_stored`], with `find` to look in the tree.
    #[inline]
    fn get_stored(
        &self,
        key: &[u8],
        at: Timestamp,
        find: impl FnOnce(&[u8]) -> Result<Option<Entry>>,
    ) -> Result<Option<Bytes>> {
        if at < self.timestamp && self.history.is_likely(key, at) {
            return self.get_past_first(key, at, find);
        }
        let entry = find(key)?;
        match entry {
            Some(entry) if entry.version() <= at || at >= self.timestamp => {
                Ok((!entry.is_tombstone()).then(|| Bytes::page(entry)))
            }
            _ if at >= self.timestamp && self.beneath.is_none() => Ok(None),
            _ => self.get_elsewhere(key, at),
        }
    }

    /// As [`View::get_stored`], where a run of history is likely to tell: what has been displaced since need not be looked for in the tree.
    fn get_past_first(
        &self,
        key: &[u8],
        at: Timestamp,
        find: impl FnOnce(&[u8]) -> Result<Option<Entry>>,
    ) -> Result<Option<Bytes>> {
        if let Some(found) = self.history.get(&self.pages, key, at)? {
            return Ok(found);
        }
        match find(key)? {
            Some(entry) if entry.version() <= at => Ok((!entry.is_tombstone()).then(|| Bytes::page(entry))),
            _ => self.beneath.as_ref().map_or(Ok(None), |beneath| beneath.get(&self.pages, key, at)),
        }
    }

    /// What is stored under a stored key that the tree has no version of from then.
    fn get_elsewhere(&self, key: &[u8], at: Timestamp) -> Result<Option<Bytes>> {
        if at < self.timestamp
            && let Some(found) = self.history.get(&self.pages, key, at)?
        {
            return Ok(found);
        }
        self.beneath.as_ref().map_or(Ok(None), |beneath| beneath.get(&self.pages, key, at))
    }

    /// From when until when what `key` held at `at` was so, as a reader as of `seen` knows: [`Timestamp::MAX`] where it saw no end.
    pub(crate) fn lifetime(
        self: &Arc<Self>,
        key: &[u8],
        at: Timestamp,
        seen: Timestamp,
    ) -> Result<Option<(Timestamp, Timestamp)>> {
        let at = at.min(seen).min(self.timestamp);
        if !self.key_form().is_long(key)
            && let Some(entry) = self.pages.get(self.root, key)?
            && entry.version() <= at
        {
            return Ok((!entry.is_tombstone()).then(|| (entry.version(), Timestamp::MAX)));
        }
        let range = KeyRange { start: key.to_vec(), end: [key, &[0]].concat() };
        let mut walk = VersionWalk::new(self, seen, &range, at, at);
        Ok(walk.next()?.map(|version| (version.start, version.end)))
    }

    /// A scan of the past, over stored keys.
    pub(crate) fn past(&self, at: Timestamp, range: &KeyRange, direction: Direction) -> PastCursor {
        PastCursor::new(&self.pages, self.root, &self.history, at, range, direction)
    }
}
