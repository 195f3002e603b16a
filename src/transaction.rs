//! A transaction: a view to read in, own writes on top, and how it comes to commit.
//!
//! ```text
//! Read ------------------------------------------------> ends
//! Deferred --first write, nothing committed since--> Write ------> commits
//!     \-----first write, otherwise---> Concurrent ---checked-----> commits or conflicts
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_btree::Near;
use dosql_sql::catalog::store::is_catalog_key;
use dosql_sql::{CatalogStamp, Direction, KeyRange};

use crate::branch::Branch;
use crate::bytes::Bytes;
use crate::commit::{Purpose, Validation};
use crate::engine::{Handle, busy};
use crate::history::versions::VersionWalk;
use crate::keyspace::FullKey;
use crate::known_end::KnownEnd;
use crate::limits::{check_key, check_value, too_big};
use crate::long_keys::KeyForm;
use crate::options::{Durability, Isolation};
use crate::read_set::{ReadSet, after};
use crate::readers::Reader;
use crate::scan::{Bounds, Lend, Scan};
use crate::turn::TurnGuard;
use crate::view::View;
use crate::writes::Writes;

/// A transaction on one database. Sees the database as of its beginning, with its own writes on top. Dropping it rolls it back.
///
/// The calls named `raw_..` take complete keys, with the number of their map in front: SQL lives there. Programs use keyspaces.
pub struct Transaction {
    pub(crate) engine: Handle,
    pub(crate) reader: Arc<Reader>,
    /// The last commit that it sees, or the moment of the past that it reads.
    snapshot: Timestamp,
    mode: Mode,
    pub(crate) writes: Writes,
    durability: Durability,
    patience: Option<Duration>,
    /// What stands for the schema that it sees.
    catalog: CatalogStamp,
    /// The schema was asked for, so that a transaction that is checked has noted that it read it.
    catalog_noted: Cell<bool>,
    pub(crate) end: RefCell<KnownEnd>,
    /// What its commit is for.
    pub(crate) purpose: Purpose,
    /// The other branches that it reads, each as it was when it was first asked for.
    pub(crate) others: RefCell<Vec<(u32, Arc<Reader>)>>,
}

enum Mode {
    Read,
    Deferred(Reads),
    Write(#[allow(dead_code, reason = "held, never looked at")] TurnGuard),
    Concurrent(Reads, Isolation),
    Finished,
}

/// What an optimistic transaction has read so far, and its place among those that commits are remembered for.
struct Reads {
    branch: Arc<Branch>,
    snapshot: Timestamp,
    set: RefCell<ReadSet>,
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.branch.window.lock().leave(self.snapshot);
    }
}

impl Reads {
    /// Enters the window and takes the view that belongs to it, in one step.
    fn enter(engine: &Handle) -> (Reads, Arc<View>) {
        let looked = weakened("window-entered-late").then(|| engine.view());
        let mut window = engine.branch().window.lock();
        let view = looked.unwrap_or_else(|| engine.view());
        window.enter(view.timestamp);
        let reads = Reads {
            branch: Arc::clone(engine.branch()),
            snapshot: view.timestamp,
            set: RefCell::new(ReadSet::new(engine.options.limits.read_set_bytes)),
        };
        (reads, view)
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Only reads.
    Read,
    /// Only reads, the database as of a moment of the past.
    ReadAt(Timestamp),
    /// Reads, and becomes a writer at its first write: with the turn where nothing was committed since it began, else checked
    /// like [`Begin::Concurrent`] under serializable isolation.
    Deferred,
    /// Takes the writer's turn, waiting for it. Never conflicts.
    Write,
    /// Takes the writer's turn, or answers `Busy` after so long.
    WriteWithin(Duration),
    /// Takes no turn; checked when it commits.
    Concurrent(Isolation),
}

impl Transaction {
    pub(crate) fn begin(engine: &Handle, begin: Begin) -> Result<Self> {
        engine.check_usable()?;
        engine.check_readable()?;
        let mut at = Timestamp::MAX;
        let (mode, view) = match begin {
            Begin::Read => (Mode::Read, engine.view()),
            Begin::ReadAt(moment) => {
                at = moment;
                (Mode::Read, engine.view_at(engine.branch(), moment)?)
            }
            Begin::Deferred => {
                let (reads, view) = Reads::enter(engine);
                (Mode::Deferred(reads), view)
            }
            Begin::Concurrent(isolation) => {
                engine.check_branch_writable()?;
                engine.branch().runs.give_way(|| engine.env.now());
                let (reads, view) = Reads::enter(engine);
                (Mode::Concurrent(reads, isolation), view)
            }
            Begin::Write => {
                engine.check_branch_writable()?;
                Self::begin_write(engine, None)?
            }
            Begin::WriteWithin(patience) => {
                engine.check_branch_writable()?;
                Self::begin_write(engine, Some(patience))?
            }
        };
        Ok(Self::with(engine, mode, view, at))
    }

    /// One that brings a merge in, which protected branches take too. Waits for the turn.
    pub(crate) fn begin_merge(engine: &Handle) -> Result<Self> {
        engine.check_readable()?;
        let (mode, view) = Self::begin_write(engine, None)?;
        Ok(Self::with(engine, mode, view, Timestamp::MAX))
    }

    /// One that erases, on whichever branch, also where nobody else may write. Answers `Busy` where the turn is not to be had for so long.
    pub(crate) fn begin_erase(engine: &Handle, patience: Duration) -> Result<Self> {
        let (mode, view) = Self::begin_write(engine, Some(patience))?;
        let mut transaction = Self::with(engine, mode, view, Timestamp::MAX);
        transaction.purpose = Purpose::Erasure;
        Ok(transaction)
    }

    fn with(engine: &Handle, mode: Mode, view: Arc<View>, at: Timestamp) -> Self {
        Transaction {
            engine: engine.clone(),
            snapshot: at.min(view.timestamp),
            catalog: CatalogStamp { committed: view.catalog_changed.as_micros(), ..CatalogStamp::default() },
            catalog_noted: Cell::new(false),
            end: RefCell::default(),
            others: RefCell::default(),
            purpose: Purpose::Writes,
            reader: engine.readers.add(view, at),
            mode,
            writes: Writes::default(),
            durability: engine.options.durability,
            patience: None,
        }
    }

    fn begin_write(engine: &Handle, patience: Option<Duration>) -> Result<(Mode, Arc<View>)> {
        engine.check_writable()?;
        let turn = engine.take_turn(engine.branch(), patience)?;
        engine.check_writable()?;
        // The last commit, durable or not: this transaction's own record will come after it.
        let view = engine.branch().latest();
        Ok((Mode::Write(turn), view))
    }

    /// The last commit that this transaction sees, or the moment of the past that it reads.
    #[must_use]
    pub fn snapshot(&self) -> Timestamp {
        self.snapshot
    }

    /// Whether it has written anything.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether it was committed or rolled back.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.mode, Mode::Finished)
    }

    /// Whether it holds the writer's turn, so that its commit can't conflict.
    #[must_use]
    pub fn holds_turn(&self) -> bool {
        matches!(self.mode, Mode::Write(_))
    }

    /// When its commit is acknowledged; [`crate::Options::durability`] unless set.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// How long the commit of an optimistic transaction waits for the writer's turn before it answers `Busy`; for ever unless set.
    pub fn set_patience(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_finished() {
            return Err(misuse("the transaction has ended; begin another"));
        }
        if self.engine.closed.load(Ordering::Acquire) {
            return Err(Error::closed(
                "the database was closed while the transaction was open; open it again",
            ));
        }
        Ok(())
    }

    pub(crate) fn noted(&self) -> Option<&RefCell<ReadSet>> {
        match &self.mode {
            Mode::Deferred(reads) | Mode::Concurrent(reads, Isolation::Serializable) => Some(&reads.set),
            _ => None,
        }
    }

    /// As [`Transaction::noted`], of a read as of `at`. What was before the snapshot never changes; as of the snapshot one reads
    /// the present, as far as this transaction knows one.
    fn noted_at(&self, at: Timestamp) -> Option<&RefCell<ReadSet>> {
        self.noted().filter(|_| at >= self.snapshot)
    }

    // ---- reads

    /// The value of a complete key.
    pub fn raw_get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.check_open()?;
        match self.writes.get(key) {
            Some(change) => Ok(change.map(|value| Bytes::shared(Arc::from(value)))),
            None => self.raw_get_stored(key),
        }
    }

    /// As [`Transaction::raw_get`], of a key that this transaction has not written.
    fn raw_get_stored(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(reads) = self.noted() {
            reads.borrow_mut().add_key(key);
        }
        let sight = self.reader.sight();
        sight.view.check_reach(key, sight.at)?;
        sight.view.get(key, sight.at)
    }

    /// The values of complete keys, in the order of the keys.
    pub(crate) fn raw_get_many(&self, keys: impl Iterator<Item = FullKey>) -> Result<Vec<Option<Bytes>>> {
        self.check_open()?;
        if self.reader.sight().view.beneath.is_some() {
            let keys: Vec<FullKey> = keys.collect();
            self.load(&keys)?;
            return self.get_each(keys.into_iter());
        }
        self.get_each(keys)
    }

    /// Brings near what look-ups of these keys read of segments, with few requests.
    fn load(&self, keys: &[FullKey]) -> Result<()> {
        let sight = self.reader.sight();
        let elsewhere = keys.iter().map(|key| &**key).filter(|key| self.writes.get(key).is_none());
        sight.view.load(elsewhere, sight.at)
    }

    fn get_each(&self, keys: impl Iterator<Item = FullKey>) -> Result<Vec<Option<Bytes>>> {
        let (mut near, mut generation) = (Near::default(), 0);
        let mut get = |key: &[u8]| {
            if let Some(change) = self.writes.get(key) {
                return Ok(change.map(|value| Bytes::shared(Arc::from(value))));
            }
            if let Some(reads) = self.noted() {
                reads.borrow_mut().add_key(key);
            }
            // Not held from key to key: the caller's iterator may read too.
            let sight = self.reader.sight();
            if sight.generation != generation {
                (near, generation) = (Near::default(), sight.generation);
            }
            sight.view.check_reach(key, sight.at)?;
            sight.view.get_near(key, sight.at, &mut near)
        };
        keys.map(|key| get(&key)).collect()
    }

    /// The value of a complete key, lent.
    pub fn raw_with<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.check_open()?;
        match self.writes.get(key) {
            Some(change) => Ok(change.map(read)),
            None => Ok(self.raw_get_stored(key)?.map(|value| read(&value))),
        }
    }

    /// The value of a complete key as of `at`, without own writes; `at` comes from [`Transaction::past_point`].
    pub fn raw_get_at(&self, key: &[u8], at: Timestamp) -> Result<Option<Bytes>> {
        self.check_open()?;
        if let Some(reads) = self.noted_at(at) {
            reads.borrow_mut().add_key(key);
        }
        let sight = self.reader.sight();
        sight.view.check_reach(key, at.min(sight.at))?;
        sight.view.get(key, at.min(sight.at))
    }

    /// A scan of complete keys. Reads nothing yet; hand it to [`Transaction::raw_visit`].
    pub fn raw_scan(&self, range: KeyRange, direction: Direction) -> Scan {
        self.raw_scan_at(range, direction, Timestamp::MAX)
    }

    /// A scan as of `at`, without own writes: hand it to [`Transaction::raw_visit_past`].
    pub fn raw_scan_at(&self, range: KeyRange, direction: Direction, at: Timestamp) -> Scan {
        self.scan_of(range.into(), direction, at)
    }

    /// As [`Transaction::raw_scan_at`].
    pub(crate) fn scan_of(&self, bounds: Bounds, direction: Direction, at: Timestamp) -> Scan {
        let sight = self.reader.sight();
        Scan::new(&sight.view, at.min(sight.at), bounds, direction, sight.generation)
    }

    /// Lends up to `limit` entries of a scan of this transaction's view; true when there is nothing further.
    pub fn raw_visit(&self, scan: &mut Scan, limit: usize, lend: &mut Lend<'_>) -> Result<bool> {
        self.check_open()?;
        self.refresh(scan)?;
        visit_noted(self.noted(), scan, Some(&self.writes), limit, lend)
    }

    /// Lends up to `limit` entries of a scan of the past; true when there is nothing further.
    pub fn raw_visit_past(&self, scan: &mut Scan, limit: usize, lend: &mut Lend<'_>) -> Result<bool> {
        self.check_open()?;
        self.refresh(scan)?;
        visit_noted(self.noted_at(scan.at()), scan, None, limit, lend)
    }

    /// Lets a scan go on in the transaction's view, which may have been exchanged since. The sight is not locked while entries are
    /// lent: who gets them may read on.
    fn refresh(&self, scan: &mut Scan) -> Result<()> {
        let sight = self.reader.sight();
        scan.rebase(&sight.view, sight.generation);
        sight.view.check_reach(&scan.range().start, scan.at())
    }

    /// The moment to read when `wanted` is asked for: never after what this transaction sees. Fails with code `AsOfFuture`
    /// or `AsOfExpired`. No later commit takes a Timestamp at or below it, so the same question has the same answer for ever.
    pub fn past_point(&self, wanted: Timestamp) -> Result<Timestamp> {
        self.past_point_now(wanted, self.engine.now())
    }

    /// As [`Transaction::past_point`], for who has read off the clock already that it is `now`.
    pub(crate) fn past_point_now(&self, wanted: Timestamp, now: Timestamp) -> Result<Timestamp> {
        self.check_open()?;
        if wanted > self.snapshot {
            self.engine.reserve_past(self.engine.branch(), wanted)?;
        } else {
            let mut sight = self.reader.sight();
            self.engine.check_horizon_now(&sight.view, wanted, now)?;
            sight.oldest = sight.oldest.min(wanted);
        }
        Ok(wanted.min(self.snapshot))
    }

    /// From when until when what a complete key held at `at` was so, as this transaction knows; nothing of its own writes.
    pub(crate) fn raw_lifetime(&self, key: &[u8], at: Timestamp) -> Result<Option<(Timestamp, Timestamp)>> {
        self.check_open()?;
        if let Some(reads) = self.noted_at(at) {
            reads.borrow_mut().add_key(key);
        }
        let (view, seen) = self.looking();
        view.check_reach(key, at.min(seen))?;
        view.lifetime(key, at, seen)
    }

    /// The versions of the keys in `range` between two moments, as this transaction knows; nothing of its own writes.
    pub(crate) fn raw_versions(
        &self,
        range: &KeyRange,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<VersionWalk> {
        self.check_open()?;
        // Whether a version has ended by now is a question about the present.
        if let Some(reads) = self.noted() {
            reads.borrow_mut().add_range(&range.start, &range.end);
        }
        let (view, seen) = self.looking();
        // From the very beginning: whatever is there.
        if from > Timestamp::ZERO {
            view.check_reach(&range.start, from)?;
        }
        Ok(VersionWalk::new(&view, seen, range, from, to))
    }

    /// The view that it reads in now, and as of when.
    fn looking(&self) -> (Arc<View>, Timestamp) {
        let sight = self.reader.sight();
        (Arc::clone(&sight.view), sight.at)
    }

    /// What stands for the schema that it sees; see [`dosql_sql::Storage::catalog_stamp`].
    pub(crate) fn catalog_stamp(&self) -> Option<CatalogStamp> {
        // A reader of the past may see an older one; and a transaction that is checked has to read it once, to have it noted.
        let past = self.snapshot.as_micros() < self.catalog.committed;
        let noted = self.noted().is_none() || self.catalog_noted.replace(true);
        (noted && !past).then_some(self.catalog)
    }

    /// Notes that the schema may be another now.
    fn catalog_has_changed(&mut self) {
        self.catalog.own = self.engine.counters.catalog_changes.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// About how many entries lie in a range of complete keys.
    pub fn raw_estimate(&self, range: &KeyRange) -> Result<u64> {
        self.check_open()?;
        let stored = {
            let sight = self.reader.sight();
            let form = sight.view.key_form();
            let grouped = form.group(&range.start).is_some() || form.group(&range.end).is_some();
            let range = if grouped { &form.stored_range(range) } else { range };
            let own = sight.view.pages.estimate(sight.view.root, &range.start, &range.end)?;
            let beneath = sight.view.beneath.as_ref().map_or(Ok(0), |beneath| beneath.estimate(range))?;
            own.saturating_add(beneath)
        };
        Ok(stored.saturating_add(self.writes.count_in(range)))
    }

    // ---- writes

    /// Sets a complete key.
    pub fn raw_put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.before_write(key, value.len())?;
        check_value(key, value, KeyForm::of(&self.engine.pages))?;
        self.writes.set(key, Some(value));
        self.reader.note_writes(self.writes.bytes());
        Ok(())
    }

    /// Removes a complete key, if it is there.
    pub fn raw_delete(&mut self, key: &[u8]) -> Result<()> {
        self.before_write(key, 0)?;
        self.writes.set(key, None);
        self.reader.note_writes(self.writes.bytes());
        Ok(())
    }

    pub(crate) fn before_write(&mut self, key: &[u8], value_len: usize) -> Result<()> {
        match self.mode {
            Mode::Write(_) | Mode::Concurrent(..) => {}
            Mode::Deferred(_) => self.upgrade()?,
            Mode::Read => {
                let message = "the transaction only reads; begin one that writes";
                return Err(Error::new(ErrorKind::ReadOnly, Code::ReadOnly, message));
            }
            Mode::Finished => self.check_open()?,
        }
        if is_catalog_key(key) {
            self.catalog_has_changed();
        }
        check_key(key)?;
        let limit = self.engine.options.limits.transaction_bytes;
        let bytes = self.writes.bytes().saturating_add(key.len()).saturating_add(value_len);
        if bytes > limit {
            return Err(too_big(format!(
                "the transaction would write {bytes} bytes, above its limit of {limit}; commit in smaller steps"
            )));
        }
        Ok(())
    }

    /// The first write of a deferred transaction. Never waits: where the turn is not to be had at once, or something was committed
    /// since the snapshot, the transaction goes on and is checked when it commits.
    fn upgrade(&mut self) -> Result<()> {
        self.engine.check_branch_writable()?;
        let Mode::Deferred(reads) = std::mem::replace(&mut self.mode, Mode::Finished) else {
            return Ok(());
        };
        let turn = self.engine.branch().turn.try_take();
        let fresh = self.engine.branch().tip.lock().latest.timestamp == self.snapshot;
        self.mode = match turn {
            Some(turn) if fresh => Mode::Write(turn),
            _ => Mode::Concurrent(reads, Isolation::Serializable),
        };
        Ok(())
    }

    /// Marks the writes so far. Marks nest.
    pub fn savepoint(&mut self) -> Result<u64> {
        self.check_open()?;
        Ok(self.writes.savepoint())
    }

    /// Undoes every write since `mark`, which stays set.
    pub fn rollback_to(&mut self, mark: u64) -> Result<()> {
        self.check_open()?;
        if self.catalog.own > 0 {
            self.catalog_has_changed();
        }
        let done = self.writes.rollback_to(mark);
        self.reader.note_writes(self.writes.bytes());
        done
    }

    /// Forgets `mark` and those inside it; the writes stay.
    pub fn release(&mut self, mark: u64) -> Result<()> {
        self.check_open()?;
        let done = self.writes.release(mark);
        self.reader.note_writes(self.writes.bytes());
        done
    }

    // ---- the end

    /// Commits; returns the commit's Timestamp, or the snapshot's where nothing was written.
    ///
    /// `WouldBlock`, `NoSpace` and `Busy` leave the transaction open: the commit may be tried again. Any other error ends it: `Conflict`
    /// (run it again), or one that also closes the database; whether the commit is durable is then known after reopening.
    pub fn commit(&mut self) -> Result<Timestamp> {
        self.check_open()?;
        if self.writes.is_empty() {
            return self.commit_nothing();
        }
        let engine = self.engine.clone();
        let committed = match &self.mode {
            Mode::Concurrent(reads, isolation) => {
                let turn = engine.branch().turn.take_briefly(self.patience).ok_or_else(busy)?;
                if self.durability != Durability::Sync {
                    engine.branch().runs.note(engine.env.now());
                }
                let set = reads.set.borrow();
                let check = Validation { snapshot: reads.snapshot, isolation: *isolation, reads: &set };
                let committed = engine.commit(engine.branch(), &mut self.writes, Some(check), self.purpose);
                drop(turn);
                committed
            }
            _ => engine.commit(engine.branch(), &mut self.writes, None, self.purpose),
        };
        let committed = match committed {
            Ok(committed) => committed,
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NoSpace) {
                    self.rollback();
                }
                return Err(error);
            }
        };
        self.mode = Mode::Finished;
        self.reader.note_writes(0);
        engine.acknowledge(engine.branch(), &committed, self.durability)?;
        engine.after_commit();
        Ok(committed.timestamp)
    }

    fn commit_nothing(&mut self) -> Result<Timestamp> {
        let snapshot = self.snapshot();
        let held_turn = self.holds_turn();
        self.mode = Mode::Finished;
        // It may have read a commit that is not acknowledged yet; who hears of its end may rely on what it read.
        if held_turn && !weakened("seen-by-a-writer-only") {
            self.engine.show_by(snapshot, self.durability)?;
        }
        Ok(snapshot)
    }

    /// Ends it without a trace.
    pub fn rollback(&mut self) {
        self.mode = Mode::Finished;
        self.writes = Writes::default();
        self.reader.note_writes(0);
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

/// Lends up to `limit` entries of a scan, and adds the range that they were found in to the reads to check, if there are any.
pub(crate) fn visit_noted(
    reads: Option<&RefCell<ReadSet>>,
    scan: &mut Scan,
    own: Option<&Writes>,
    limit: usize,
    lend: &mut Lend<'_>,
) -> Result<bool> {
    let Some(reads) = reads else {
        return scan.visit(own, limit, lend);
    };
    let from = scan.position().to_vec();
    let result = scan.visit(own, limit, lend);
    let done = matches!(result, Ok(true) | Err(_));
    let mut reads = reads.borrow_mut();
    match (scan.direction(), done) {
        (Direction::Forward, true) => reads.add_range(&from, &scan.range().end),
        (Direction::Forward, false) => reads.add_range(&from, &after(scan.position())),
        (Direction::Backward, true) => reads.add_range(&scan.range().start, &after(&from)),
        (Direction::Backward, false) => reads.add_range(scan.position(), &after(&from)),
    }
    result
}

pub(crate) fn misuse(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, Code::Misuse, message)
}
