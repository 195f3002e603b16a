//! What a connection keeps between statements.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use dosql_base::{Env, Result, Timestamp};

use crate::bind::{Catalogs, Valid, no_such_tag};
use crate::catalog::layout::space_range;
use crate::catalog::schema::{Catalog, SpaceId};
use crate::catalog::store::{CATALOG_SPACE, counters_key, read_counters};
use crate::catalog::temp;
use crate::dml::direct::Scratch;
use crate::dml::machine::{Machine, Surroundings};
use crate::dml::{Programs, Suspect};
use crate::exec::Limits;
use crate::storage::{CatalogStamp, Point, Storage};

/// What PRAGMAs set for one connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Foreign keys are enforced.
    pub foreign_keys: bool,
    /// All foreign keys are checked at COMMIT; ends with the transaction.
    pub defer_foreign_keys: bool,
    /// Triggers fire; off only while a merge writes what triggers have done already.
    pub triggers: bool,
    /// Triggers may set themselves off.
    pub recursive_triggers: bool,
    /// LIKE tells upper case from lower.
    pub case_sensitive_like: bool,
    /// CHECK constraints are not looked at.
    pub ignore_checks: bool,
    /// Nothing may be written.
    pub query_only: bool,
    /// How long a statement waits for the writer's turn; the owner of the transaction does the waiting.
    pub busy_timeout: Duration,
    /// Bounds of what one statement may use.
    pub limits: Limits,
    /// What other PRAGMAs were set to: accepted, remembered, without effect.
    pub(crate) accepted: Vec<(String, String)>,
}

/// How long a statement waits for the writer's turn unless told otherwise: rusqlite's default.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Default for Settings {
    fn default() -> Self {
        Settings {
            foreign_keys: true,
            defer_foreign_keys: false,
            triggers: true,
            recursive_triggers: false,
            case_sensitive_like: false,
            ignore_checks: false,
            query_only: false,
            busy_timeout: BUSY_TIMEOUT,
            limits: Limits::default(),
            accepted: Vec::new(),
        }
    }
}

/// What `changes()` and its kin say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows changed by the last INSERT, UPDATE or DELETE.
    pub changes: i64,
    /// Rows changed since the connection was opened.
    pub total_changes: i64,
    /// The rowid of the last row inserted.
    pub last_insert_rowid: i64,
}

/// A connection's state.
#[derive(Debug, Default)]
pub struct Session {
    /// What PRAGMAs have set.
    pub settings: Settings,
    /// What was changed.
    pub counters: Counters,
    pub(crate) catalog: Option<Arc<Catalog>>,
    /// The schema's version when it was last read, and what stands for that catalog.
    version: Option<(CatalogStamp, u64)>,
    /// Whether the transaction under way has changed the schema.
    pub(crate) schema_changed: bool,
    /// How many changed schemas were undone: the versions that they had may be given to other schemas.
    pub(crate) undone: u64,
    past: RefCell<Vec<(Point, Arc<Catalog>)>>,
    pub(crate) deferred: Vec<Suspect>,
    pub(crate) in_transaction: bool,
    /// Memory that statements use one after the other.
    pub(crate) scratch: Scratch,
}

/// How many catalogs of the past are kept.
const PAST_CATALOGS: usize = 8;

impl Session {
    /// A new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The catalog as the transaction sees it, read anew where it has changed.
    pub fn catalog<S: Storage>(&mut self, storage: &S) -> Result<Arc<Catalog>> {
        let version = self.schema_version(storage)?;
        if let Some(catalog) = self.catalog.as_ref().filter(|catalog| catalog.version == version) {
            return Ok(Arc::clone(catalog));
        }
        let catalog = Arc::new(Catalog::load(storage, Point::Live, self.catalog.as_deref())?);
        self.catalog = Some(Arc::clone(&catalog));
        Ok(catalog)
    }

    /// The version of the schema, that of temporary objects included: as [`Catalog::version`]. Read only where it can have
    /// changed.
    pub(crate) fn schema_version<S: Storage>(&mut self, storage: &S) -> Result<u64> {
        let stamp = storage.catalog_stamp();
        if let (Some((known, version)), Some(stamp)) = (self.version, stamp)
            && known == stamp
        {
            return Ok(version);
        }
        let main = read_counters(storage, Point::Live, CATALOG_SPACE)?.version;
        let temporary = read_counters(storage, Point::Live, temp::CATALOG)?.version;
        let version = main.wrapping_add(temporary << 32);
        self.version = stamp.map(|stamp| (stamp, version));
        Ok(version)
    }

    /// To be called when writes were undone outside of a statement (ROLLBACK, ROLLBACK TO): a schema change among them
    /// would otherwise be remembered.
    pub fn forget_catalog(&mut self) {
        self.catalog = None;
        self.undone += u64::from(self.schema_changed);
    }

    /// To be called when the session goes on with another branch: what it knows is of the one before.
    pub fn forget_branch(&mut self) {
        self.catalog = None;
        self.past.borrow_mut().clear();
        self.undone += 1;
    }

    /// Fails where a deferred foreign key is violated: COMMIT must then be refused, and the transaction goes on.
    pub fn check_deferred<S: Storage>(&mut self, storage: &mut S, env: &Env, now: Timestamp) -> Result<()> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let catalog = self.catalog(storage)?;
        let (programs, interrupt) = (Programs::default(), std::sync::atomic::AtomicBool::new(false));
        let around =
            Surroundings { env, now, parameters: &[], limits: self.settings.limits, interrupt: &interrupt };
        let mut machine = Machine::new(storage, around, &catalog, &self.settings, &programs, self.counters);
        for suspect in &self.deferred {
            if machine.is_violated(suspect)? {
                return Err(crate::dml::foreign_key::foreign_key_failed());
            }
        }
        Ok(())
    }

    /// To be called when the last statement was undone after it was done: its own transaction could not be committed.
    pub fn undo_statement(&mut self) {
        self.counters.total_changes -= self.counters.changes;
        self.counters.changes = 0;
    }

    /// To be called when a transaction begins that goes on from statement to statement.
    pub fn begin_transaction(&mut self) {
        self.in_transaction = true;
    }

    /// To be called when a transaction has ended.
    pub fn end_transaction(&mut self) {
        self.in_transaction = false;
        self.schema_changed = false;
        self.deferred.clear();
        self.settings.defer_foreign_keys = false;
    }

    /// The catalogs that a statement is bound with.
    pub(crate) fn catalogs<'s, S: Storage>(&'s mut self, storage: &'s S) -> Result<StorageCatalogs<'s, S>> {
        let live = self.catalog(storage)?;
        Ok(StorageCatalogs { storage, live, past: &self.past })
    }
}

/// The catalogs of a transaction: the live one, and those of the past by the storage's leave.
pub(crate) struct StorageCatalogs<'s, S: Storage> {
    storage: &'s S,
    live: Arc<Catalog>,
    past: &'s RefCell<Vec<(Point, Arc<Catalog>)>>,
}

impl<S: Storage> Catalogs for StorageCatalogs<'_, S> {
    fn live(&self) -> &Arc<Catalog> {
        &self.live
    }

    fn rows(&self, space: SpaceId) -> Option<u64> {
        self.storage.estimate(&space_range(space)).ok()
    }

    fn horizon_of(&self, space: SpaceId) -> Timestamp {
        self.storage.horizon_of(space)
    }

    fn check_reach(&self, point: Point, space: SpaceId, name: &str) -> Result<()> {
        self.storage.check_reach(point, space, name)
    }

    fn tag(&self, name: &str) -> Result<Timestamp> {
        self.storage.tag(name)?.ok_or_else(|| no_such_tag(name))
    }

    fn branch(&self, name: &str) -> Result<(Point, Arc<Catalog>)> {
        let point = self.storage.resolve_branch(name)?;
        if point == Point::Live {
            return Ok((point, Arc::clone(&self.live)));
        }
        Ok((point, Arc::new(Catalog::load(self.storage, point, Some(&self.live))?)))
    }

    fn valid(&self, point: Point) -> Result<Option<Valid>> {
        let Point::Past(at) = point else { return Ok(None) };
        let lifetime = self.storage.lifetime(point, &counters_key(CATALOG_SPACE))?;
        Ok(lifetime.map(|(from, to)| match to {
            Timestamp::MAX => Valid { from, to: at.next(), live: self.storage.catalog_stamp() },
            to => Valid { from, to, live: None },
        }))
    }

    fn at(&self, moment: Timestamp) -> Result<(Point, Arc<Catalog>)> {
        let point = self.storage.resolve_point(moment)?;
        if point == Point::Live {
            return Ok((point, Arc::clone(&self.live)));
        }
        let known = self.past.borrow().iter().find(|(known, _)| *known == point).map(|(_, c)| Arc::clone(c));
        if let Some(catalog) = known {
            return Ok((point, catalog));
        }
        let catalog = Arc::new(Catalog::load(self.storage, point, Some(&self.live))?);
        let mut past = self.past.borrow_mut();
        if past.len() >= PAST_CATALOGS {
            past.remove(0);
        }
        past.push((point, Arc::clone(&catalog)));
        Ok((point, catalog))
    }
}
