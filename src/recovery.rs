//! Opening: a new database is made, an existing one is brought to its last durable commit. The cases are those of
//! docs/RECOVERY.md.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, Ordering};
use dosql_base::sync::{Mutex, RwLock};
use dosql_base::{Env, Error, Result, Timestamp, checksum};
use dosql_btree::{PageSnapshot, PageWriter, Pages, PagesOptions, Root};
use dosql_wal::{Change, Log, LogOptions, LogPosition, LogStore, Record};

use crate::branch::layers::{Beneath, Layer, Span};
use crate::branch::rowids::Rowids;
use crate::branch::{Branch, Tip, pins};
use crate::commit::{Applying, Keeping, apply};
use crate::engine::{Committer, Counters, Engine};
use crate::feed::{Subscribers, slot_row};
use crate::helper::Helper;
use crate::history::History;
use crate::history::displaced::Displaced;
use crate::history::memtable::Memtable;
use crate::log_room::LogRoom;
use crate::long_keys::KeyForm;
use crate::maintenance::Worker;
use crate::manifest::{BranchRow, MAIN_BRANCH, Meta, Run, SystemChange, TagRow, is_outdated};
use crate::options::{Maintenance, Options};
use crate::readers::Readers;
use crate::replay_queue::{Batch, Queue, Replayable};
use crate::retention::{self, Floors, Objects, Retention, SchemaChanges};
use crate::storage::Storage;
use crate::tags::{self, Tags};
use crate::tier::live::{Live, LiveSegment};
use crate::tier::objects::Exit;
use crate::tier::published::Published;
use crate::tier::{self, Tier};
use crate::timed_log::TimedLog;
use crate::trace::span;
use crate::view::View;

/// Opens the database that `storage` holds, or makes one there. Also tells whether a checkpoint has to make its last commits durable
/// before anybody relies on them.
pub(crate) fn open(storage: Storage, options: Options) -> Result<(Engine, bool)> {
    span!("open");
    let options = Options { segment_bytes: tier::segment_bytes(&options), ..options };
    let env = environment(&options)?;
    let background = match options.maintenance {
        Maintenance::Auto => options.env.is_none(),
        Maintenance::Background => true,
        Maintenance::Caller => false,
    };
    let (cache_bytes, blocks) = tier::divide(&options);
    let pages_options = PagesOptions { cache_bytes };
    let (pages, blob) = Pages::open(Arc::clone(&storage.pages), pages_options)?;
    let meta = if blob.is_empty() {
        create(&pages, &*storage.log, &env, &options)?
    } else {
        let meta = Meta::decode(&blob)?;
        check_log_is_there(&*storage.log, &meta)?;
        meta
    };
    let tier = Tier::new(Arc::clone(&storage.segments), meta.database, blocks, env.clone());
    let manifest = Manifest::load(&pages.latest(), meta.system, &tier)?;
    let floors = manifest.floors.clone();
    let room = options.cache_bytes / pages.page_size();
    let mut replay = Replay::new(&pages, &meta, manifest, options.retention, (room, background))?;
    let counters = Counters::default();
    let log_store = Arc::new(TimedLog::new(Arc::clone(&storage.log), env.clone(), &counters.log_syncs));
    let (log, recovered) = {
        span!("recover");
        pages.hurry(true);
        let log_options = LogOptions { generation: meta.generation, ..LogOptions::default() };
        Log::open(log_store, meta.log, meta.chain, log_options, |record| replay.record(record))?
    };
    tier.set_generation(log.generation());
    let replayed = replay.finish()?;
    pages.hurry(false);
    let last = replayed.last;
    // What was replayed will be written by the next.
    let epoch = pages.writer().epoch() - 1;
    let published = Published::load(&pages.latest(), replayed.system)?;
    let slots = slot_row::load(&pages.latest(), replayed.system)?;
    let branches = branches(&pages, &replayed, options.retention == 0)?;
    let Some(main) = branches.get(&MAIN_BRANCH).cloned() else { return Err(no_main()) };
    let named = branches.values().filter_map(|it| Some((it.key()?, Arc::clone(it)))).collect();
    let elsewhere = branches.values().filter(|branch| branch.number != MAIN_BRANCH);
    let committer = Committer {
        last,
        system: replayed.system,
        tags: replayed.tags,
        objects: replayed.objects,
        retention: replayed.retention,
        stored_floors: floors,
        names: branches.values().filter_map(|it| Some((it.key()?, it.number))).collect(),
        next_branch: branches.keys().next_back().map_or(MAIN_BRANCH, |last| *last).saturating_add(1),
        history_elsewhere: elsewhere.map(|branch| branch.tip.lock().history.memory()).sum(),
        branches,
        log_start: meta.log,
        log_chain: meta.chain,
        synced: env.now(),
    };
    counters.replayed.store(recovered.commits, Ordering::Relaxed);
    let engine = Engine {
        options,
        env,
        database: meta.database,
        pages,
        log,
        tier,
        exit: Exit::default(),
        collected: AtomicBool::new(false),
        publishing: Mutex::default(),
        published: Mutex::new(published),
        main,
        branches: RwLock::new(named),
        rowids: Rowids::default(),
        checkpointing: Mutex::new(()),
        sweep: Mutex::default(),
        background,
        worker: Worker::default(),
        merging: Mutex::default(),
        merged: Mutex::default(),
        room: LogRoom::default(),
        memory: Helper::default(),
        committer: Mutex::new(committer),
        pending: Mutex::new(VecDeque::new()),
        readers: Readers::default(),
        subscribers: Subscribers::default(),
        slots: RwLock::new(slots),
        epochs: Mutex::new(VecDeque::from([(epoch, meta.checkpoint)])),
        fault: OnceLock::new(),
        closed: AtomicBool::new(false),
        outdated: AtomicBool::new(is_outdated(&blob)),
        counters,
        lock: Mutex::new(storage.lock),
    };
    {
        // Now that all is known of their parents too.
        let mut committer = engine.committer();
        let views = engine.renew_views(&mut committer);
        drop(committer);
        engine.show_again(&views);
    }
    Ok((engine, recovered.unproven))
}

fn environment(options: &Options) -> Result<Env> {
    if let Some(env) = &options.env {
        return Ok(env.clone());
    }
    #[cfg(not(target_family = "wasm"))]
    return Ok(crate::system_env::system_env());
    #[cfg(target_family = "wasm")]
    Err(Error::invalid("there is no clock here to fall back on: set Options::env"))
}

/// Refuses a database without any log where its making left one: later checkpoints name a position that a missing log does not
/// hold, but until then commits are nowhere else.
fn check_log_is_there(log: &dyn LogStore, meta: &Meta) -> Result<()> {
    if meta.log == LogPosition::ZERO && log.caps().keeps_room && log.read_from(meta.log, &mut [0])? == 0 {
        return Err(Error::corrupt(
            "the log is missing, with all commits; restore its files",
            "log position 0",
        ));
    }
    Ok(())
}

/// Makes a database: its first checkpoint is what makes it one. The log must hold nothing yet; if it does, the pages that
/// belong to it are missing.
fn create(pages: &Arc<Pages>, log: &dyn LogStore, env: &Env, options: &Options) -> Result<Meta> {
    let mut first = [0u8; 64];
    let len = log.read_from(LogPosition::ZERO, &mut first)?;
    if first[..len].iter().any(|&byte| byte != 0) && !weakened("orphaned-log-ignored") {
        return Err(Error::corrupt(
            "the log holds commits, but the page store was never written: its file is missing or was replaced",
            "page store",
        ));
    }
    if options.read_only {
        return Err(Error::invalid(
            "there is no database here to open for reading; open it for writing to make one",
        ));
    }
    if log.caps().keeps_room {
        // Before there is a database, so that one whose log is gone can be told from a new one.
        log.reserve(LogPosition::new(1))?;
    }
    let mut database = [0; 16];
    env.random(&mut database);
    let created = env.now().max(Timestamp::from_micros(1));
    let branch = BranchRow::main(Root::EMPTY, created, created);
    let mut writer = pages.writer();
    writer.begin(created);
    let mut system = Root::EMPTY;
    writer.set(&mut system, &BranchRow::key(MAIN_BRANCH), created, &branch.encode())?;
    writer.publish(created)?;
    let chain = checksum(0, &database);
    let log = LogPosition::ZERO;
    let meta = Meta { database, checkpoint: created, log, chain, generation: 0, system };
    writer.checkpoint(&meta.encode())?;
    Ok(meta)
}

fn no_main() -> Error {
    Error::corrupt("the row of the main branch is missing", "system tree")
}

/// The branches as they are when all of the log was replayed.
fn branches(pages: &Arc<Pages>, replayed: &Replayed, forgets: bool) -> Result<BTreeMap<u32, Arc<Branch>>> {
    let latest = pages.latest();
    let mut branches = BTreeMap::new();
    for (&number, state) in &replayed.branches {
        let at = state.last.unwrap_or(state.row.head);
        let floor = if forgets && state.last.is_some() { at } else { state.row.floor };
        let history = state.history();
        let rows = replayed.branches.iter().map(|(number, it)| (*number, &it.row));
        let pinned = pins(number, &replayed.tags, rows);
        let view = Arc::new(View {
            branch: number,
            timestamp: at,
            pages: latest.clone(),
            root: state.root,
            history: history.clone(),
            beneath: state.beneath.clone(),
            floor,
            catalog_changed: at,
            pins: Arc::clone(&pinned),
            tags: Arc::clone(&replayed.tags),
            retention: Arc::clone(&replayed.retention),
        });
        let tip = Tip {
            root: state.root,
            history,
            displaced: Displaced::default(),
            floor,
            catalog_changed: at,
            changed: at,
            beneath: state.beneath.clone(),
            pins: pinned,
            next_run: state.next_run,
            live: Arc::clone(&state.live),
            next_segment: state.next_segment,
            latest: view,
            log_head: state.row.head,
            row: state.row.clone(),
        };
        branches.insert(number, Branch::new(number, tip));
    }
    Ok(branches)
}

/// What the system tree says.
pub(crate) struct Manifest {
    pub(crate) branches: BTreeMap<u32, Listed>,
    pub(crate) tags: Tags,
    /// How far back the history of tables of main reaches that have a say in it.
    pub(crate) floors: Floors,
}

/// A branch as the system tree has it.
pub(crate) struct Listed {
    pub(crate) row: BranchRow,
    /// Oldest first.
    pub(crate) runs: Vec<Run>,
    pub(crate) next_run: u64,
    pub(crate) live: Live,
    pub(crate) next_segment: u64,
}

impl Manifest {
    pub(crate) fn load(pages: &PageSnapshot, system: Root, tier: &Arc<Tier>) -> Result<Manifest> {
        let mut branches = BTreeMap::new();
        let mut cursor = pages.cursor(system);
        let mut found = cursor.seek(BranchRow::PREFIX)?;
        while found && let Some(number) = cursor.key().strip_prefix(BranchRow::PREFIX) {
            let number = BranchRow::number(number)?;
            let row = BranchRow::decode(cursor.value()?)?;
            branches.insert(number, Listed::load(pages, system, number, row, tier)?);
            found = cursor.next()?;
        }
        if !branches.contains_key(&MAIN_BRANCH) {
            return Err(no_main());
        }
        let (tags, floors) = (tags::load(pages, system)?, retention::load_floors(pages, system)?);
        Ok(Manifest { branches, tags, floors })
    }
}

impl Listed {
    fn load(
        pages: &PageSnapshot,
        system: Root,
        branch: u32,
        row: BranchRow,
        tier: &Arc<Tier>,
    ) -> Result<Listed> {
        let prefix = Run::prefix(branch);
        let mut runs: Vec<Run> = Vec::new();
        let mut cursor = pages.cursor(system);
        let mut found = cursor.seek(&prefix)?;
        while found && let Some(number) = cursor.key().strip_prefix(prefix.as_slice()) {
            let run = Run::decode(number, cursor.value()?, tier)?;
            if runs.last().is_some_and(|before| before.last_end >= run.last_end) {
                return Err(Error::corrupt("history runs are not in order", format!("run {}", run.number)));
            }
            runs.push(run);
            found = cursor.next()?;
        }
        let next_run = runs.last().map_or(0, |run| run.number.saturating_add(1));
        let (prefix, mut segments) = (LiveSegment::prefix(branch), Vec::new());
        let mut found = cursor.seek(&prefix)?;
        while found && let Some(number) = cursor.key().strip_prefix(prefix.as_slice()) {
            segments.push(LiveSegment::decode(number, cursor.value()?, tier)?);
            found = cursor.next()?;
        }
        let next_segment = segments.last().map_or(0, |last| last.number.saturating_add(1));
        let live = Live::new(segments, Vec::new());
        Ok(Listed { row, runs, next_run, live, next_segment })
    }
}

/// Applies the log's records to the trees and to the histories, as their commits did.
struct Replay<'a> {
    writer: PageWriter<'a>,
    branches: BTreeMap<u32, Replaying>,
    system: Root,
    last: Timestamp,
    /// How long versions are kept without pins and where the table says nothing.
    default: u64,
    /// That of main's whole history.
    floor: Timestamp,
    objects: Objects,
    retention: Arc<Retention>,
    tags: Tags,
    pages: &'a Arc<Pages>,
    /// Whether anything was changed that is not published.
    any: bool,
    /// The version that the writer began with.
    begun: Timestamp,
    displaced: Displaced,
    queue: Queue,
}

/// A branch that records are applied to.
struct Replaying {
    row: BranchRow,
    root: Root,
    runs: Arc<[Run]>,
    next_run: u64,
    live: Arc<Live>,
    next_segment: u64,
    memtable: Arc<Memtable>,
    beneath: Option<Arc<Beneath>>,
    /// Whether something pins its history.
    pinned: bool,
    /// The last record.
    last: Option<Timestamp>,
}

impl Replaying {
    fn history(&self) -> History {
        History { runs: Arc::clone(&self.runs), memtable: Arc::clone(&self.memtable), ..History::default() }
    }
}

struct Replayed {
    branches: BTreeMap<u32, Replaying>,
    tags: Tags,
    system: Root,
    last: Timestamp,
    objects: Objects,
    retention: Arc<Retention>,
}

impl<'a> Replay<'a> {
    /// `room`: for so many pages in memory, and whether there may be threads.
    fn new(
        pages: &'a Arc<Pages>,
        meta: &Meta,
        manifest: Manifest,
        default: u64,
        (room, threads): (usize, bool),
    ) -> Result<Self> {
        let main = manifest.branches.get(&MAIN_BRANCH).ok_or_else(no_main)?;
        let (root, floor) = (main.row.root, main.row.floor);
        let objects = Objects::load(&pages.latest(), root)?;
        let retention = Retention::new(&objects, manifest.floors, default, floor);
        let mut writer = pages.writer();
        let begun = meta.checkpoint.next();
        writer.begin(begun);
        let roots = manifest.branches.iter().map(|(number, listed)| (*number, listed.row.root)).collect();
        let queue = Queue::new(pages.latest(), roots, room, threads);
        let mut replay = Replay {
            writer,
            branches: BTreeMap::new(),
            system: meta.system,
            last: meta.checkpoint,
            default,
            floor,
            objects,
            retention,
            tags: manifest.tags,
            pages,
            any: false,
            begun,
            displaced: Displaced::default(),
            queue,
        };
        for (number, listed) in manifest.branches {
            let replaying = replay.begin(listed)?;
            replay.branches.insert(number, replaying);
        }
        replay.note_pins();
        Ok(replay)
    }

    /// A branch as its row has it. Its parent is known already.
    fn begin(&self, listed: Listed) -> Result<Replaying> {
        let Listed { row, runs, next_run, live, next_segment } = listed;
        let (mut beneath, live) = (None, Arc::new(live));
        if let Some((number, fork)) = row.fork {
            let parent = self.branches.get(&number).ok_or_else(|| no_branch(number, "system tree"))?;
            let span = Span { branch: number, fork, floor: parent.row.floor, pins: Arc::default() };
            let (pages, history) = (self.pages.latest(), parent.history());
            let known = parent.last.unwrap_or(parent.row.head);
            let (root, live) = (parent.root, Arc::clone(&parent.live));
            let layer = Layer { branch: number, pages, root, history, live, fork, known };
            beneath = Some(Arc::new(Beneath::fork(span, layer, parent.beneath.as_deref())));
        }
        Ok(Replaying {
            root: row.root,
            row,
            runs: runs.into(),
            next_run,
            beneath: Beneath::under(Arc::clone(&live), beneath),
            live,
            next_segment,
            memtable: Arc::default(),
            pinned: false,
            last: None,
        })
    }

    fn note_pins(&mut self) {
        let rows: Vec<(u32, BranchRow)> =
            self.branches.iter().map(|(number, branch)| (*number, branch.row.clone())).collect();
        for (&number, branch) in &mut self.branches {
            let rows = rows.iter().map(|(number, row)| (*number, row));
            branch.pinned = !pins(number, &self.tags, rows).is_empty();
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let place = || format!("log position {}", record.start);
        if record.timestamp <= self.last {
            let message =
                format!("commit {} follows {}: time went back in the log", record.timestamp, self.last);
            return Err(Error::corrupt(message, place()));
        }
        self.last = record.timestamp;
        let mut schema = SchemaChanges::none();
        let mut changes = record.changes();
        while let Some(change) = changes.next()? {
            let (key, value) = match change {
                Change::Put { key, value } => (key, Some(value)),
                Change::Delete { key } => (key, None),
                Change::Note(note) => {
                    self.apply_all()?;
                    self.note(note, record.timestamp)?;
                    continue;
                }
            };
            if record.branch == MAIN_BRANCH {
                schema.note(key, value)?;
            }
            self.queue.push(record.branch, record.timestamp, key, value);
        }
        let branch = self.branches.get_mut(&record.branch);
        let branch = branch.ok_or_else(|| no_branch(record.branch, &place()))?;
        branch.last = Some(record.timestamp);
        while let Some(batch) = self.queue.next_full() {
            self.apply(&batch)?;
        }
        if !schema.is_empty() {
            self.apply_all()?;
            self.objects.follow(schema);
            self.retention =
                self.retention.after(&self.objects, self.default, record.timestamp, self.floor());
        }
        Ok(())
    }

    /// How far back main's whole history reaches.
    fn floor(&self) -> Timestamp {
        let last = self.branches.get(&MAIN_BRANCH).and_then(|main| main.last).filter(|_| self.default == 0);
        last.unwrap_or(self.floor)
    }

    /// Applies all that waits.
    fn apply_all(&mut self) -> Result<()> {
        while let Some(batch) = self.queue.next() {
            self.apply(&batch)?;
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) -> Result<()> {
        let form = KeyForm::of(self.pages);
        let mut changes = batch.iter().enumerate().peekable();
        while let Some((n, Replayable { branch: number, at, key, value })) = changes.next() {
            self.queue.applied(batch, n);
            let branch = self.branches.get_mut(&number).ok_or_else(|| no_branch(number, "log"))?;
            let rules = (number == MAIN_BRANCH && self.retention.has_rules()).then_some(&*self.retention);
            let otherwise = (self.default > 0 || branch.pinned) && !weakened("replay-forgets-history");
            let keep = Keeping { otherwise, pinned: branch.pinned, rules };
            let (beneath, pages) = (branch.beneath.as_deref(), self.pages);
            let how = Applying { timestamp: at, keep, form, beneath, pages };
            self.any = true;
            apply(&mut self.writer, &mut branch.root, how, key, value, &mut self.displaced)?;
            if changes.peek().is_none_or(|(_, next)| next.branch != number) {
                branch.memtable.add(&self.displaced);
                self.displaced.clear();
            }
        }
        Ok(())
    }

    /// A change of the system tree.
    fn note(&mut self, note: &[u8], timestamp: Timestamp) -> Result<()> {
        let change = SystemChange::decode(note)?;
        change.apply(&mut self.writer, &mut self.system, timestamp)?;
        self.any = true;
        // What follows may depend on it: it is read from where readers find it.
        self.publish()?;
        self.begun = self.begun.next();
        self.writer.begin(self.begun);
        if change.key.starts_with(TagRow::PREFIX) {
            self.tags = tags::load(&self.pages.latest(), self.system)?;
        }
        if let (Some(number), Some(row)) = (change.key.strip_prefix(BranchRow::PREFIX), &change.value) {
            self.note_branch(BranchRow::number(number)?, BranchRow::decode(row)?)?;
        }
        self.note_pins();
        Ok(())
    }

    /// A branch was made, or its row changed: in all but how far it has come, which commits tell.
    fn note_branch(&mut self, number: u32, row: BranchRow) -> Result<()> {
        match self.branches.get_mut(&number) {
            Some(known) => {
                known.row =
                    BranchRow { root: known.row.root, head: known.row.head, floor: known.row.floor, ..row }
            }
            None => {
                let (runs, live) = (Vec::new(), Live::default());
                let begun = self.begin(Listed { row, runs, next_run: 0, live, next_segment: 0 })?;
                self.branches.insert(number, begun);
            }
        }
        Ok(())
    }

    /// Shows what was done so far to readers.
    fn publish(&mut self) -> Result<()> {
        self.begun = self.begun.max(self.last);
        self.any = false;
        self.writer.publish(self.begun)
    }

    fn finish(mut self) -> Result<Replayed> {
        self.apply_all()?;
        let mut last = self.last;
        if self.any {
            self.publish()?;
            last = self.begun;
        }
        let Replay { branches, tags, system, objects, retention, .. } = self;
        Ok(Replayed { branches, tags, system, last, objects, retention })
    }
}

fn no_branch(number: u32, place: &str) -> Error {
    Error::corrupt(format!("branch {number} is missing"), place)
}
