//! Opening: a new database is made, an existing one is brought to its last durable commit. The cases are those of
//! docs/RECOVERY.md.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, Ordering};
use dosql_base::sync::{Mutex, RwLock};
use dosql_base::{Env, Error, Result, Timestamp, checksum};
use dosql_btree::{PageSnapshot, PageWriter, Pages, PagesOptions, Root};
use dosql_wal::{Change, Log, LogOptions, LogPosition, LogStore, Record, RecordBuilder};

use crate::commit::{Applying, apply};
use crate::engine::{Committer, Counters, Engine};
use crate::feed::Subscribers;
use crate::history::History;
use crate::history::displaced::Displaced;
use crate::history::memtable::Memtable;
use crate::log_room::LogRoom;
use crate::long_keys::KeyForm;
use crate::maintenance::Worker;
use crate::manifest::{BranchRow, MAIN_BRANCH, Meta, Run, SystemChange, TagRow, is_outdated};
use crate::options::{Maintenance, Options};
use crate::readers::Readers;
use crate::storage::Storage;
use crate::tags::{self, Tags};
use crate::timed_log::TimedLog;
use crate::trace::span;
use crate::turn::Turn;
use crate::view::View;
use crate::window::Window;

/// Opens the database that `storage` holds, or makes one there. Also tells whether a checkpoint has to make its last commits durable
/// before anybody relies on them.
pub(crate) fn open(storage: Storage, options: Options) -> Result<(Engine, bool)> {
    span!("open");
    let env = environment(&options)?;
    let background = match options.maintenance {
        Maintenance::Auto => options.env.is_none(),
        Maintenance::Background => true,
        Maintenance::Caller => false,
    };
    let pages_options = PagesOptions { cache_bytes: options.cache_bytes };
    let (pages, blob) = Pages::open(Arc::clone(&storage.pages), pages_options)?;
    let meta = if blob.is_empty() {
        create(&pages, &*storage.log, &env, &options)?
    } else {
        let meta = Meta::decode(&blob)?;
        check_log_is_there(&*storage.log, &meta)?;
        meta
    };
    let manifest = Manifest::load(&pages.latest(), meta.system)?;
    let keep = options.retention > 0;
    let mut replay = Replay::new(&pages, &meta, &manifest, keep);
    let counters = Counters::default();
    let log_store = Arc::new(TimedLog::new(Arc::clone(&storage.log), env.clone(), &counters.log_syncs));
    let (log, recovered) = {
        span!("recover");
        let log_options = LogOptions { generation: meta.generation, ..LogOptions::default() };
        Log::open(log_store, meta.log, meta.chain, log_options, |record| replay.record(record))?
    };
    let replayed = replay.finish()?;
    let last = replayed.last;
    let tags = tags::load(&pages.latest(), replayed.system)?;
    let history = History { runs: manifest.runs.into(), aside: Arc::default(), memtable: replayed.memtable };
    let visible_to = recovered.last.unwrap_or(manifest.branch.head);
    let latest = Arc::new(View {
        timestamp: visible_to,
        pages: pages.latest(),
        root: replayed.root,
        system: replayed.system,
        history: history.clone(),
        floor: manifest.branch.floor,
        catalog_changed: visible_to,
        tags: Arc::clone(&tags),
    });
    let floor = if options.retention == 0 && recovered.commits > 0 { last } else { manifest.branch.floor };
    let committer = Committer {
        last,
        root: replayed.root,
        system: replayed.system,
        history,
        displaced: Displaced::default(),
        floor,
        catalog_changed: visible_to,
        tags,
        next_run: manifest.next_run,
        latest: Arc::clone(&latest),
        log_start: meta.log,
        log_chain: meta.chain,
        log_head: manifest.branch.head,
        synced: env.now(),
    };
    counters.replayed.store(recovered.commits, Ordering::Relaxed);
    let engine = Engine {
        options,
        env,
        database: meta.database,
        pages,
        log,
        segments: storage.segments,
        turn: Arc::new(Turn::default()),
        record: Mutex::new(RecordBuilder::new()),
        checkpointing: Mutex::new(()),
        sweep: Mutex::default(),
        background,
        worker: Worker::default(),
        room: LogRoom::default(),
        committer: Mutex::new(committer),
        window: Mutex::new(Window::new(visible_to)),
        pending: Mutex::new(VecDeque::new()),
        visible: RwLock::new(latest),
        readers: Readers::default(),
        subscribers: Subscribers::default(),
        fault: OnceLock::new(),
        closed: AtomicBool::new(false),
        outdated: AtomicBool::new(is_outdated(&blob)),
        counters,
        lock: Mutex::new(storage.lock),
    };
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
    let branch =
        BranchRow { name: "main".to_owned(), fork: None, root: Root::EMPTY, head: created, floor: created };
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

/// What the system tree says.
pub(crate) struct Manifest {
    pub(crate) branch: BranchRow,
    /// Oldest first.
    pub(crate) runs: Vec<Run>,
    pub(crate) next_run: u64,
    pub(crate) tags: Tags,
}

impl Manifest {
    pub(crate) fn load(pages: &PageSnapshot, system: Root) -> Result<Manifest> {
        let row = pages.get(system, &BranchRow::key(MAIN_BRANCH))?;
        let row =
            row.ok_or_else(|| Error::corrupt("the row of the main branch is missing", "system tree"))?;
        let branch = BranchRow::decode(row.value())?;
        let prefix = Run::prefix(MAIN_BRANCH);
        let mut runs: Vec<Run> = Vec::new();
        let mut cursor = pages.cursor(system);
        let mut found = cursor.seek(&prefix)?;
        while found && let Some(number) = cursor.key().strip_prefix(prefix.as_slice()) {
            let run = Run::decode(number, cursor.value()?)?;
            if runs.last().is_some_and(|before| before.last_end >= run.last_end) {
                return Err(Error::corrupt("history runs are not in order", format!("run {}", run.number)));
            }
            runs.push(run);
            found = cursor.next()?;
        }
        let next_run = runs.last().map_or(0, |run| run.number.saturating_add(1));
        Ok(Manifest { branch, runs, next_run, tags: tags::load(pages, system)? })
    }
}

/// Applies the log's records to the tree and to the history, as their commits did.
struct Replay<'a> {
    writer: PageWriter<'a>,
    root: Root,
    system: Root,
    last: Timestamp,
    /// Whether versions are kept without tags too.
    keep: bool,
    /// The keys of the rows of tags.
    tags: BTreeSet<Vec<u8>>,
    form: KeyForm,
    any: bool,
    displaced: Displaced,
    memtable: Memtable,
}

struct Replayed {
    root: Root,
    system: Root,
    last: Timestamp,
    memtable: Arc<Memtable>,
}

impl<'a> Replay<'a> {
    fn new(pages: &'a Arc<Pages>, meta: &Meta, manifest: &Manifest, keep: bool) -> Self {
        let mut writer = pages.writer();
        writer.begin(meta.checkpoint.next());
        Replay {
            writer,
            root: manifest.branch.root,
            system: meta.system,
            last: meta.checkpoint,
            keep,
            tags: manifest.tags.iter().map(|tag| TagRow::key(&tag.name)).collect(),
            form: KeyForm::of(pages),
            any: false,
            displaced: Displaced::default(),
            memtable: Memtable::default(),
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let place = || format!("log position {}", record.start);
        if record.timestamp <= self.last {
            let message =
                format!("commit {} follows {}: time went back in the log", record.timestamp, self.last);
            return Err(Error::corrupt(message, place()));
        }
        if record.branch != MAIN_BRANCH {
            return Err(Error::corrupt(
                format!("a commit to branch {}, which is not there", record.branch),
                place(),
            ));
        }
        self.last = record.timestamp;
        self.any = true;
        let keep = (self.keep || !self.tags.is_empty()) && !weakened("replay-forgets-history");
        let how = Applying { timestamp: record.timestamp, keep, form: self.form };
        let mut changes = record.changes();
        while let Some(change) = changes.next()? {
            let (key, value) = match change {
                Change::Put { key, value } => (key, Some(value)),
                Change::Delete { key } => (key, None),
                Change::Note(note) => {
                    self.note(note, record.timestamp)?;
                    continue;
                }
            };
            let (writer, root) = (&mut self.writer, &mut self.root);
            apply(writer, root, how, key, value, &mut self.displaced)?;
        }
        self.memtable.add(&self.displaced);
        self.displaced.clear();
        Ok(())
    }

    /// A change of the system tree.
    fn note(&mut self, note: &[u8], timestamp: Timestamp) -> Result<()> {
        let change = SystemChange::decode(note)?;
        change.apply(&mut self.writer, &mut self.system, timestamp)?;
        if change.key.starts_with(TagRow::PREFIX) {
            match change.value {
                Some(_) => self.tags.insert(change.key),
                None => self.tags.remove(&change.key),
            };
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Replayed> {
        if self.any {
            self.writer.publish(self.last)?;
        }
        Ok(Replayed {
            root: self.root,
            system: self.system,
            last: self.last,
            memtable: Arc::new(self.memtable),
        })
    }
}
