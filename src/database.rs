//! The handle of an open database.

use std::fmt;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Error, ErrorKind, Result, Timestamp};
use dosql_lsm::{SegmentStore, Wanted};
use dosql_sql::catalog::schema::SpaceId;

use crate::backup;
use crate::branch::{BranchInfo, NewBranch, no_such_branch};
use crate::engine::Handle;
use crate::keyspace::{Keyspace, Known};
use crate::manifest::MAIN_BRANCH;
use crate::options::{Isolation, Options};
use crate::read::ReadTransaction;
use crate::recovery;
use crate::space::Space;
use crate::stats::Stats;
use crate::storage::Storage;
use crate::tags::{self, Tag};
use crate::tier::budget::{Budget, Progress};
use crate::tier::publish::{self, PublishedPoint};
use crate::tier::report::{SegmentInfo, StoragePart};
use crate::transaction::{Begin, Transaction};
use crate::verify::{self, Report};

/// Conflicts after which the closure form of an optimistic transaction stops retrying and takes the writer's turn.
const OPTIMISTIC_ATTEMPTS: usize = 3;

/// An open database. Cheap to clone; every clone is the same database, from any thread.
///
/// It is closed when the last clone and the last transaction are gone, or by [`Database::close`].
#[derive(Clone)]
pub struct Database(pub(crate) Handle);

impl Database {
    /// Opens the database in `storage`, or makes one where there is none. Whatever a crash left is brought to the last durable
    /// commit.
    ///
    /// Fails with `Corrupt`, `Unsupported` for a newer format, code `NotADb` for something else's storage, or as the stores do.
    pub fn open(storage: Storage, options: Options) -> Result<Self> {
        let (engine, unproven) = recovery::open(storage, options)?;
        let database = Database(Handle::new(engine));
        if unproven && !weakened("recovered-tail-trusted") {
            // The last commits stand in the log, but may not be durable there. From here on they are relied upon.
            database.0.checkpoint().map_err(|error| database.0.poison(error))?;
        }
        if database.0.checkpoint_is_due() {
            database.0.checkpoint()?;
        }
        Ok(database)
    }

    /// A new database in memory.
    pub fn open_memory() -> Result<Self> {
        Self::open(Storage::memory(), Options::default())
    }

    /// Opens or makes the database in the directory at `path`.
    #[cfg(not(target_family = "wasm"))]
    pub fn open_directory(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let options = Options::default();
        Self::open(Storage::directory_with(path, &options)?, options)
    }

    /// Makes a checkpoint and refuses everything from then on, in transactions under way too. A database that is not closed loses
    /// nothing: the next open replays its log.
    pub fn close(&self) -> Result<()> {
        self.0.close()
    }

    /// The keyspace of this name. It need not exist: the first write to it creates it.
    pub fn keyspace(&self, name: &str) -> Result<Keyspace> {
        let keyspace = Keyspace::new(name)?;
        let view = self.0.view();
        if let Some(row) = view.get(&keyspace.catalog_key(), Timestamp::MAX)? {
            let number = crate::keyspace::decode_number(&row)?;
            keyspace.remember(Known { number, since: view.timestamp, branch: view.branch });
        }
        Ok(keyspace)
    }

    /// Begins a transaction.
    pub fn begin(&self, begin: Begin) -> Result<Transaction> {
        Transaction::begin(&self.0, begin)
    }

    /// A snapshot of the present.
    pub fn read(&self) -> Result<ReadTransaction> {
        self.begin(Begin::Read).map(ReadTransaction)
    }

    /// The database as it was at `at`: every commit up to there, and nothing later. No later commit will take a Timestamp at or
    /// below it, so the same rows come back for ever, as long as history reaches.
    ///
    /// Fails with code `AsOfFuture` for a moment that is yet to come, `AsOfExpired` for one before the retained history.
    pub fn read_at(&self, at: Timestamp) -> Result<ReadTransaction> {
        self.begin(Begin::ReadAt(at)).map(ReadTransaction)
    }

    /// Names a moment: `at`, or the last commit. What was current then is kept until the tag is dropped.
    ///
    /// Fails for a name that is taken or no name (1 to 128 of `A-Z a-z 0-9 . _ / -`; case does not count), and as
    /// [`Database::read_at`] for the moment.
    pub fn create_tag(&self, name: &str, at: Option<Timestamp>) -> Result<()> {
        self.0.create_tag(self.0.branch(), name, at, false).map(|_| ())
    }

    /// Drops a tag.
    ///
    /// Fails where there is none of that name.
    pub fn drop_tag(&self, name: &str) -> Result<()> {
        if self.0.drop_tag(name)? { Ok(()) } else { Err(tags::no_such_tag(name)) }
    }

    /// All tags of moments that this branch can see, by name.
    #[must_use]
    pub fn tags(&self) -> Vec<Tag> {
        let view = self.0.view();
        let own = view.tags.iter().filter(|tag| view.read_at(tag.at).branch == tag.branch);
        own.cloned().collect()
    }

    /// Drops the superseded versions that ended at or before `before`, or all of them, but for those that tags keep. Moments
    /// before it can not be read any more. Writes what is left of the history anew: the cost grows with its size.
    ///
    /// Fails as [`Database::read_at`] for the moment.
    pub fn delete_history(&self, before: Option<Timestamp>) -> Result<()> {
        self.0.delete_history(self.0.branch(), before)
    }

    pub(crate) fn delete_history_of(&self, spaces: Vec<SpaceId>, before: Option<Timestamp>) -> Result<()> {
        if self.0.branch().number != MAIN_BRANCH {
            let message =
                "the history of one table can be deleted on main only; DELETE HISTORY deletes that of all";
            return Err(Error::unsupported(message));
        }
        self.0.delete_history_of(spaces, before)
    }

    /// The branch of this name: a handle on which everything works as on the database, but that it reads and changes that branch.
    /// Checkpoints, housekeeping, backups, figures and closing are about the database as a whole whatever the handle.
    ///
    /// Fails where there is none of that name, and where its time is over.
    pub fn branch(&self, name: &str) -> Result<Database> {
        self.0.check_usable()?;
        Ok(Database(self.0.on(self.0.branch_named(name)?)))
    }

    /// The name of the branch that this handle is of.
    #[must_use]
    pub fn branch_name(&self) -> String {
        self.0.branch().name()
    }

    /// Makes a branch: of this handle's branch as it is now, unless `new` says otherwise. It begins with all that its parent had then,
    /// and from there on neither sees what is done on the other. Costs the same whatever the size of the data, and keeps
    /// what its parent had at that moment until it is dropped.
    ///
    /// Fails for a name that is taken or no name (as those of tags, which share the names), where branches lie
    /// [`MAX_BRANCH_DEPTH`](crate::limits::MAX_BRANCH_DEPTH) deep, and as [`Database::read_at`] for the moment.
    pub fn create_branch(&self, name: &str, new: &NewBranch) -> Result<Database> {
        let parent = self.0.parent_of(new)?;
        let made = self.0.create_branch(&parent, name, new, false)?;
        Ok(Database(self.0.on(made.unwrap_or(parent))))
    }

    /// Drops a branch: handles on it fail from now on. Branches that fork off it stay as they are. What it held goes with a
    /// checkpoint, once no other needs it.
    ///
    /// Fails where there is none of that name, and for main and protected branches.
    pub fn drop_branch(&self, name: &str) -> Result<()> {
        if self.0.drop_branch(name)? { Ok(()) } else { Err(no_such_branch(name)) }
    }

    /// Gives a branch another name.
    ///
    /// Fails where there is none of that name, for main, and for a name that is taken or no name.
    pub fn rename_branch(&self, name: &str, to: &str) -> Result<()> {
        self.0.rename_branch(name, to)
    }

    /// Sets whether only merges may change a branch.
    ///
    /// Fails where there is none of that name.
    pub fn protect_branch(&self, name: &str, protected: bool) -> Result<()> {
        self.0.set_branch(name, Some(protected), None)
    }

    /// Sets how long a branch lives from now on; for ever where that is none. After that it is refused, and goes with a checkpoint.
    ///
    /// Fails where there is none of that name, and for main.
    pub fn expire_branch(&self, name: &str, ttl: Option<std::time::Duration>) -> Result<()> {
        self.0.set_branch(name, None, Some(ttl))
    }

    /// All branches, by name.
    #[must_use]
    pub fn branches(&self) -> Vec<BranchInfo> {
        self.0.list_branches()
    }

    /// Waits for the writer's turn and begins a transaction that can't conflict.
    pub fn begin_write(&self) -> Result<Transaction> {
        self.begin(Begin::Write)
    }

    /// Begins a transaction that takes no turn and is checked when it commits. Where this thread and others make small commits as fast as
    /// they can, it may sleep for up to 200 us for each of the others, so that commits of a thread come in runs.
    pub fn begin_concurrent(&self) -> Result<Transaction> {
        self.begin(Begin::Concurrent(Isolation::Serializable))
    }

    /// Runs `body` in a transaction, in its turn, and commits. An error of `body` rolls back and comes back.
    pub fn write<R>(&self, body: impl FnOnce(&mut Transaction) -> Result<R>) -> Result<R> {
        Self::run(self.begin_write()?, body)
    }

    /// As [`Database::write`], but answers `Busy` where somebody else has the turn.
    pub fn try_write<R>(&self, body: impl FnOnce(&mut Transaction) -> Result<R>) -> Result<R> {
        Self::run(self.begin(Begin::WriteWithin(std::time::Duration::ZERO))?, body)
    }

    fn run<R>(mut transaction: Transaction, body: impl FnOnce(&mut Transaction) -> Result<R>) -> Result<R> {
        let result = body(&mut transaction)?;
        if !transaction.is_finished() {
            transaction.commit()?;
        }
        Ok(result)
    }

    /// Runs `body` in an optimistic transaction and commits; runs it again where that conflicts, in the writer's turn if it keeps
    /// conflicting. May sleep as [`Database::begin_concurrent`] does.
    pub fn write_concurrent<R>(
        &self,
        isolation: Isolation,
        mut body: impl FnMut(&mut Transaction) -> Result<R>,
    ) -> Result<R> {
        for _ in 0..OPTIMISTIC_ATTEMPTS {
            match Self::run(self.begin(Begin::Concurrent(isolation))?, &mut body) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                result => return result,
            }
        }
        self.write(body)
    }

    /// Writes what has changed to the page store, and gives back the log.
    pub fn checkpoint(&self) -> Result<()> {
        self.0.checkpoint()?;
        self.0.merge_in_time();
        Ok(())
    }

    /// Makes all commits so far durable, those that did not ask for it too: one sync of the log, none where nothing is left to sync.
    pub fn sync(&self) -> Result<()> {
        self.0.check_usable()?;
        if self.0.options.read_only {
            return Ok(());
        }
        self.0.settle()
    }

    /// A step of housekeeping within a budget (see [`Budget`]; a number of bytes will do): makes what commits left unsynced durable, makes
    /// a checkpoint when the log or the changed pages exceed its bytes, and gives space back where much of the page store is free: moves
    /// pages from its end into free places, and cuts it once a checkpoint is durable that no longer needs the end. Merges history; moves
    /// rows into the segment store where [`Options::hot_budget`] asks for it, merges segments, and deletes those that nobody needs.
    /// Commits and readers go on meanwhile; what a reader pins stays where it is. For a background thread, a timer, an alarm.
    pub fn maintain(&self, budget: impl Into<Budget>) -> Result<Progress> {
        self.0.check_usable()?;
        self.0.maintain(budget.into())
    }

    /// What reads wanted of the segment store and did not get since the last call: who was answered `WouldBlock` fetches that, and asks
    /// again.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        self.0.tier.store.wanted()
    }

    /// The segments of this database: what of it lies in the segment store.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.0.list_segments()
    }

    /// What is where: bytes and rows in pages and in segments, by level, and of objects on their way out.
    ///
    /// Fails where the pages above the leaves can't be read.
    pub fn storage(&self) -> Result<Vec<StoragePart>> {
        self.0.storage_parts()
    }

    /// Publishes what readers see now: the segment store alone is enough then to read it elsewhere ([`Database::attach`]) or to rebuild a lost
    /// database ([`Database::restore`]). Returns the moment. Writes all that lies in pages; segments are named, and stay as long as the
    /// point is kept: for [`Options::retention`], and the last one in any case.
    ///
    /// Fails with `Fenced` where another owner of the same segments has published since; or as the stores do.
    pub fn publish(&self) -> Result<Timestamp> {
        self.0.publish()
    }

    /// The points at which databases were published to a segment store, in order; of one of them, if its id is given.
    ///
    /// Fails as the store does, and for a damaged manifest.
    pub fn published(
        segments: &Arc<dyn SegmentStore>,
        database: Option<[u8; 16]>,
    ) -> Result<Vec<PublishedPoint>> {
        publish::list(segments, database)
    }

    /// Opens the last published point at or before `at` for reading, from the segment store alone. What was committed since is not in it.
    ///
    /// Fails with `InvalidInput` where there is none, or where several databases are published there and none is named; or as the store does.
    pub fn attach(
        segments: Arc<dyn SegmentStore>,
        database: Option<[u8; 16]>,
        at: Option<Timestamp>,
        options: Options,
    ) -> Result<Self> {
        publish::attach(segments, database, at, options).map(|(database, _)| database)
    }

    /// Fills empty stores with the last published point at or before `at`, and reads it all to check it. Where `target` shares the very segment store it
    /// goes on as the same database; else segments are copied, and it is another.
    ///
    /// Fails as [`Database::attach`], and with `InvalidInput` where `target` holds something or has other pages.
    pub fn restore(
        segments: Arc<dyn SegmentStore>,
        database: Option<[u8; 16]>,
        at: Option<Timestamp>,
        target: &Storage,
        options: Options,
    ) -> Result<PublishedPoint> {
        publish::restore(segments, database, at, target, options)
    }

    /// The names of objects in the segment store that belong to this database, and that nothing needs: a crash left them. Asks the store
    /// for names.
    ///
    /// Fails as the store does.
    pub fn orphans(&self) -> Result<Vec<String>> {
        self.0.orphans()
    }

    /// Deletes what [`Database::orphans`] finds; returns how many there were.
    ///
    /// Fails as the store does.
    pub fn collect_orphans(&self) -> Result<usize> {
        self.0.collect_orphans()
    }

    /// Gives all the space back that can be had now, in steps as [`Database::maintain`] makes them; returns by how many bytes the page
    /// store has become smaller.
    ///
    /// Writes at most what the database holds, and a few small checkpoints. Fails as [`Database::checkpoint`] does.
    pub fn compact(&self) -> Result<u64> {
        self.compact_with(&mut |_| {})
    }

    /// As [`Database::compact`]; `tell` is told after each step by how many bytes the page store has become smaller, and of how many bytes
    /// segments were written or read, so far.
    pub fn compact_with(&self, tell: &mut dyn FnMut(u64)) -> Result<u64> {
        const STEP: usize = 4 << 20;
        self.0.check_writable()?;
        let mut moved = 0;
        loop {
            let progress = self.0.maintain(STEP.into())?;
            moved += progress.bytes;
            tell(moved);
            if progress.done {
                break;
            }
        }
        self.0.checkpoint()?;
        let before = self.0.pages.store().stats().bytes;
        // Others may go on making room meanwhile: it ends all the same.
        let steps = 16 + 2 * before / STEP as u64;
        for _ in 0..steps {
            if !self.0.shrink_step(STEP)? {
                break;
            }
            tell(moved + before.saturating_sub(self.0.pages.store().stats().bytes));
        }
        self.0.delete_unneeded()?;
        Ok(before.saturating_sub(self.0.pages.store().stats().bytes))
    }

    /// Copies the database, as it is now and with its history, into the directory at `path`, which must not be there yet: a database
    /// of its own, with another id. Commits go on meanwhile; the copy has those up to the moment that is returned. It is on the
    /// device, and was read and checked, when this returns.
    ///
    /// Reads and writes everything once, in bounded memory. While it goes on, pages that commits replace stay in the page store, which
    /// grows by as many. A copy that is not finished, because of an error or a crash, is refused when it is opened: remove it.
    ///
    /// Fails with `InvalidInput` where `path` exists, or as the stores do.
    #[cfg(not(target_family = "wasm"))]
    pub fn backup(&self, path: impl AsRef<std::path::Path>) -> Result<Timestamp> {
        let path = path.as_ref();
        let options = Options {
            page_size: self.0.pages.page_size(),
            log_limit: self.0.options.log_limit,
            ..Options::default()
        };
        let made = crate::directory::make_unfinished(path, &options)?;
        let at = self.backup_to(&made)?;
        drop(made);
        crate::directory::finish(path)?;
        Ok(at)
    }

    /// As [`Database::backup`], into any stores. They must be empty, with pages of the same size as this database has.
    ///
    /// Fails with `InvalidInput` where they are not, or as the stores do; the stores are of no use then.
    pub fn backup_to(&self, target: &Storage) -> Result<Timestamp> {
        backup::backup(&self.0, target)
    }

    /// What it holds and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.0)
    }

    /// What its pages are used for, and who keeps free ones from being used again. Reads the pages of the history.
    ///
    /// Fails where they can't be read.
    pub fn space(&self) -> Result<Space> {
        Space::of(&self.0)
    }

    /// Reads everything and checks that it is sound: every page, every row's place, every version's interval.
    ///
    /// Fails only where the check itself can't be made; what is wrong with the data is in the report.
    pub fn verify(&self) -> Result<Report> {
        verify::verify(&self.0)
    }

    /// What time it is to this database: the clock, but never before the last commit.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// The Timestamp of the last commit that readers see (of the creation, where there is none).
    #[must_use]
    pub fn last_commit(&self) -> Timestamp {
        self.0.view().timestamp
    }

    /// The database's own random number, made when it was created.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.0.database
    }

    /// Whether a failure has closed it; it must be reopened.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.fault.get().is_some()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("last_commit", &self.last_commit()).finish_non_exhaustive()
    }
}
