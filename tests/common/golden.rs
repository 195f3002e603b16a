//! Small databases whose every row and every past version is known, and the judge of damaged copies of them.
//!
//! ```text
//! commit 0 .. n  ->  State: the moment, the pairs of a keyspace, the rows of a table      a model that the engine has no part in
//!     |
//! files of the database  ->  damage  ->  Golden::judge: right, refused, or wrong with the reason
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use dosql::{
    Connection, Database, Env, ErrorKind, Limits, ManualClock, NewBranch, Options, ReadTransaction, Result,
    SeededEntropy, Statement, Timestamp, Value, params,
};
use dosql_wal::{CrashDirectory, Directory, Surviving};

use super::crash::{CrashSegments, storage_with};

const PAGE: usize = 4096;
/// Where the clock stands while the databases are made and judged: nothing they hold ever expires.
const NOW: u64 = 1_000_000;

/// The files of a database, by name.
pub type Files = Vec<(String, Vec<u8>)>;
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A database on its small disk, and all that it must say.
pub struct Golden {
    pub name: &'static str,
    pub files: Files,
    /// The files as they were when the checkpoint before the last had been made, for pages that are stale.
    pub before: Files,
    /// Where the records of the last commits lie in the log, oldest first, where no mark says that they are durable.
    records: Vec<Range<u64>>,
    pub states: Vec<State>,
    /// Bytes that may be hot; 0 where all is in pages.
    hot_budget: u64,
    /// The state after which there are a tag, a feed, a branch and a table with a retention of its own, if there are.
    named: Option<usize>,
}

/// The length of a record's header, of a log file's header and the places in it that say where the file's bytes lie in the log
/// (docs/FORMAT.md).
const RECORD_HEADER: u64 = 52;
const LOG_HEADER: usize = 4096;
const LOG_START: usize = 24;

/// The database as of one commit.
#[derive(Clone, Default)]
pub struct State {
    pub at: Timestamp,
    pub pairs: Pairs,
    items: BTreeMap<i64, Item>,
    /// Whether the table has the column that was added later.
    tagged: bool,
}

#[derive(Clone)]
struct Item {
    name: String,
    cents: i64,
    note: Option<Vec<u8>>,
}

/// What a copy of a golden database turned out to be.
#[derive(Debug)]
pub enum Verdict {
    /// Every row and every version is as it was.
    Right,
    /// A clear error.
    Refused,
    /// Anything else, and what.
    Wrong(String),
}

impl Golden {
    /// Commits in the log and nothing in pages yet; the process died.
    pub fn log() -> Golden {
        Maker::new(1).commits(0..14).crash("log")
    }

    /// Two checkpoints, with overflow pages, a table, its indexes, history runs, a tag, a feed, a branch, and an orderly end.
    pub fn checkpointed() -> Golden {
        Maker::new(2).commits(0..6).names().checkpoint().commits(6..10).close("checkpointed")
    }

    /// Two checkpoints, then commits in the log; the process died.
    pub fn crashed() -> Golden {
        let maker = Maker::new(3).commits(0..5).checkpoint().commits(5..8).checkpoint();
        maker.commits(8..14).crash("crashed")
    }

    /// Rows and history in segments, some of them written over, a published point, and commits in the log; the process died.
    pub fn cold() -> Golden {
        let maker = Maker::cold(4).commits(0..6).names().move_all().commits(6..9).move_all();
        maker.publish().commits(9..13).move_all().commits(13..15).crash("cold")
    }

    /// All of them.
    pub fn all() -> Vec<Golden> {
        vec![Golden::log(), Golden::checkpointed(), Golden::crashed(), Golden::cold()]
    }

    /// How many of the last commits damage to these bytes may cost. Each record says that those before it are durable; where
    /// all who say so of a damaged one are damaged themselves, it can't be told from a torn tail (docs/RECOVERY.md).
    pub fn may_cost(&self, file: &str, bytes: &[Range<usize>]) -> usize {
        let Some((_, contents)) =
            self.files.iter().find(|(name, _)| name == file && name.starts_with("log-"))
        else {
            return 0;
        };
        let start = u64::from_le_bytes(contents[LOG_START..LOG_START + 8].try_into().unwrap());
        let place = |at: usize| start.saturating_add((at.max(LOG_HEADER) - LOG_HEADER) as u64);
        let hit = |stretch: Range<u64>| {
            bytes.iter().any(|bytes| place(bytes.start) < stretch.end && stretch.start < place(bytes.end))
        };
        let mut cost = 0;
        for (newer, record) in self.records.iter().rev().enumerate() {
            if hit(record.clone()) {
                cost = newer + 1;
            }
            if !hit(record.start..record.start + RECORD_HEADER) {
                break;
            }
        }
        cost
    }

    /// Opens a database of these files and reads all of it. So many of the last commits may be missing, the newest first.
    pub fn judge(&self, files: &Files, may_cost: usize) -> Verdict {
        let directory = CrashDirectory::new();
        files.iter().for_each(|(name, bytes)| directory.put(name, bytes.clone()));
        match self.read(&directory, may_cost) {
            Ok(None) => Verdict::Right,
            Ok(Some(wrong)) => Verdict::Wrong(wrong),
            Err(error) if error.kind() == ErrorKind::Corrupt => Verdict::Refused,
            Err(error) => Verdict::Wrong(format!("an error that does not say what is wrong: {error:?}")),
        }
    }

    /// The database of these files.
    pub fn open(&self, directory: &CrashDirectory) -> Result<Database> {
        open_at(directory, NOW, 7, self.hot_budget)
    }

    /// How its copies are opened.
    pub fn options(&self) -> Options {
        options(NOW, 7, self.hot_budget)
    }

    /// Opens a database of these files, which may be of any moment: right is the state of any one commit, whole.
    pub fn judge_any_moment(&self, files: &Files) -> Verdict {
        let upto = |states: usize| Golden {
            name: self.name,
            files: Files::new(),
            before: Files::new(),
            records: Vec::new(),
            states: self.states[..states].to_vec(),
            hot_budget: self.hot_budget,
            named: self.named,
        };
        let mut verdict = self.judge(files, 0);
        for states in (1..self.states.len()).rev() {
            if !matches!(verdict, Verdict::Wrong(_)) {
                break;
            }
            verdict = upto(states).judge(files, 0);
        }
        verdict
    }

    /// Reads everything; tells what is wrong.
    fn read(&self, directory: &CrashDirectory, may_cost: usize) -> Result<Option<String>> {
        let db = self.open(directory)?;
        let last = db.last_commit();
        let whole = self.states.len() - 1;
        let found = self.states.iter().rposition(|state| state.at == last);
        let upto = match found {
            Some(upto) if upto + may_cost >= whole => upto,
            Some(upto) => return Ok(Some(format!("{} commits are missing", whole - upto))),
            None => return Ok(Some(format!("the last commit, {last}, never was"))),
        };
        let states = &self.states[..=upto];
        let mut found = read_pairs(&db, states)?.or(read_items(&db, states)?);
        if let Some(named) = self.named.and_then(|named| states.get(named)) {
            found = found.or(read_names(&db, states, named)?);
        }
        if found.is_some() {
            return Ok(found);
        }
        let report = db.verify()?;
        Ok(report.problems.first().map(|problem| format!("all rows are right, but {problem}")))
    }
}

fn options(now: u64, seed: u64, hot_budget: u64) -> Options {
    let clock = ManualClock::at(Timestamp::from_micros(now));
    Options {
        page_size: PAGE,
        log_limit: u64::MAX,
        dirty_bytes: usize::MAX,
        cache_bytes: 64 * PAGE,
        hot_budget,
        segment_bytes: 4 << 10,
        limits: Limits { history_runs: 2, ..Limits::default() },
        env: Some(Env::new(Arc::new(clock), Arc::new(SeededEntropy::new(seed)))),
        ..Options::default()
    }
}

fn open_at(directory: &CrashDirectory, now: u64, seed: u64, hot_budget: u64) -> Result<Database> {
    let storage = storage_with(directory, PAGE, Arc::new(CrashSegments(directory.clone())), 0)?;
    Database::open(storage, options(now, seed, hot_budget))
}

/// The keyspace, now and as of each commit, by scan and by key.
fn read_pairs(db: &Database, states: &[State]) -> Result<Option<String>> {
    let space = db.keyspace("space")?;
    let now = states.last().map(|state| (db.read(), state));
    let past = states.iter().map(|state| (db.read_at(state.at), state));
    for (read, state) in past.chain(now) {
        let read: ReadTransaction = read?;
        let mut expected = state.pairs.iter();
        for pair in read.iter(&space)? {
            let (key, value) = pair?;
            if expected.next() != Some((&key, &value)) {
                return Ok(Some(format!("as of {}: key {key:?} is not as it was", state.at)));
            }
        }
        if let Some((key, _)) = expected.next() {
            return Ok(Some(format!("as of {}: key {key:?} is missing", state.at)));
        }
        for key in states.iter().flat_map(|state| state.pairs.keys()).take(16) {
            if read.get(&space, key)?.as_deref() != state.pairs.get(key).map(Vec::as_slice) {
                return Ok(Some(format!("as of {}: a get of {key:?} is wrong", state.at)));
            }
        }
    }
    Ok(None)
}

/// What the system tree names besides.
fn read_names(db: &Database, states: &[State], named: &State) -> Result<Option<String>> {
    let wrong = |what: &str| Ok(Some(format!("the {what} is not as it was")));
    let tags = db.tags();
    if tags.len() != 1 || tags[0].name != "early" || tags[0].at != states[2].at {
        return wrong("tag");
    }
    let connection = db.connect()?;
    let feeds = rows(&mut connection.prepare("SELECT name, confirmed_lsn, state FROM dosql_feeds")?, ())?;
    let [feed] = feeds.as_slice() else { return wrong("feed") };
    if feed[0] != Value::Text("lake".into()) || feed[2] != Value::Text("active".into()) {
        return wrong("feed");
    }
    let kept = "SELECT count(*) FROM kept FOR SYSTEM_TIME AS OF LSN ?1";
    if rows(&mut connection.prepare(kept)?, params![named.at])? != [[Value::Integer(1)]] {
        return wrong("table that is kept longer");
    }
    let side = db.branch("side")?;
    let space = side.keyspace("space")?;
    let mut expected = named.pairs.clone();
    expected.insert(b"side".to_vec(), b"of the branch".to_vec());
    let found: Pairs = side.read()?.iter(&space)?.collect::<Result<_>>()?;
    if found != expected {
        return wrong("branch");
    }
    let items = side.connect()?.query_row("SELECT count(*) FROM item", (), |row| row.get::<i64>(0))?;
    if items != named.items.len() as i64 { wrong("branch's table") } else { Ok(None) }
}

/// The table, now and as of each commit, and now through its indexes too.
fn read_items(db: &Database, states: &[State]) -> Result<Option<String>> {
    let connection = db.connect()?;
    let mut past = connection.prepare("SELECT * FROM item FOR SYSTEM_TIME AS OF LSN ?1 ORDER BY id")?;
    for state in states {
        if rows(&mut past, params![state.at])? != state.rows() {
            return Ok(Some(format!("as of {}: the rows of the table differ", state.at)));
        }
    }
    let Some(state) = states.last() else { return Ok(None) };
    if rows(&mut connection.prepare("SELECT * FROM item NOT INDEXED ORDER BY id")?, ())? != state.rows() {
        return Ok(Some("the rows of the table differ".to_owned()));
    }
    read_indexes(&connection, state)
}

fn read_indexes(connection: &Connection, state: &State) -> Result<Option<String>> {
    let by_cents = "SELECT cents, id FROM item INDEXED BY item_by_cents ORDER BY cents, id";
    let mut expected: Vec<(i64, i64)> = state.items.iter().map(|(&id, item)| (item.cents, id)).collect();
    expected.sort_unstable();
    let expected: Vec<Vec<Value>> =
        expected.into_iter().map(|(cents, id)| vec![Value::Integer(cents), Value::Integer(id)]).collect();
    if rows(&mut connection.prepare(by_cents)?, ())? != expected {
        return Ok(Some("the index differs from its table".to_owned()));
    }
    let mut by_name = connection.prepare("SELECT id FROM item WHERE name = ?1")?;
    for (&id, item) in &state.items {
        if rows(&mut by_name, params![item.name.as_str()])? != [[Value::Integer(id)]] {
            return Ok(Some(format!("'{}' is not found by name", item.name)));
        }
    }
    Ok(None)
}

pub fn rows(statement: &mut Statement, parameters: impl dosql::Params) -> Result<Vec<Vec<Value>>> {
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row.values());
    }
    Ok(all)
}

impl State {
    /// The rows of the table, in order.
    pub fn rows(&self) -> Vec<Vec<Value>> {
        let row = |(&id, item): (&i64, &Item)| {
            let note = item.note.as_ref().map_or(Value::Null, |note| Value::Blob(note.as_slice().into()));
            let mut row = vec![Value::Integer(id), Value::Text(item.name.as_str().into())];
            row.extend([Value::Integer(item.cents), note]);
            if self.tagged {
                row.push(Value::Text("none".into()));
            }
            row
        };
        self.items.iter().map(row).collect()
    }
}

/// Makes a golden database, and the model of it.
struct Maker {
    directory: CrashDirectory,
    db: Database,
    connection: Connection,
    now: State,
    states: Vec<State>,
    before: Files,
    records: Vec<Range<u64>>,
    hot_budget: u64,
    named: Option<usize>,
}

impl Maker {
    fn new(seed: u64) -> Maker {
        Maker::of(seed, 0)
    }

    /// Of a database that moves all that it can into segments.
    fn cold(seed: u64) -> Maker {
        Maker::of(seed, 1)
    }

    fn of(seed: u64, hot_budget: u64) -> Maker {
        let directory = CrashDirectory::new();
        let db = open_at(&directory, NOW / 2, seed, hot_budget).unwrap();
        let connection = db.connect().unwrap();
        let (now, states, before, records) = (State::default(), Vec::new(), Files::new(), Vec::new());
        Maker { directory, db, connection, now, states, before, records, hot_budget, named: None }
    }

    fn commits(mut self, numbers: Range<u32>) -> Maker {
        for n in numbers {
            let start = self.db.stats().log.end.get();
            match n {
                0 => self.create_table(),
                8 => self.add_column(),
                n if n % 3 == 1 => self.change_items(i64::from(n)),
                n => self.change_pairs(n),
            }
            self.now.at = self.db.last_commit();
            self.states.push(self.now.clone());
            self.records.push(start..self.db.stats().log.end.get());
        }
        self
    }

    /// A tag, a feed, a table with a retention of its own, and a branch that has changed something.
    fn names(mut self) -> Maker {
        let start = self.db.stats().log.end.get();
        self.db.create_tag("early", Some(self.states[2].at)).unwrap();
        let more = "CREATE FEED lake; CREATE TABLE kept (id INTEGER PRIMARY KEY) WITH SYSTEM VERSIONING RETAIN 10 YEARS;
             INSERT INTO kept VALUES (1)";
        self.connection.execute_batch(more).unwrap();
        self.now.at = self.db.last_commit();
        self.named = Some(self.states.len());
        self.states.push(self.now.clone());
        self.records.push(start..self.db.stats().log.end.get());
        let side = self.db.create_branch("side", &NewBranch::default()).unwrap();
        let space = side.keyspace("space").unwrap();
        side.write(|tx| tx.put(&space, "side", "of the branch")).unwrap();
        self
    }

    fn create_table(&self) {
        let schema = "BEGIN; CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cents INTEGER, note BLOB);
             CREATE INDEX item_by_cents ON item (cents); COMMIT";
        self.connection.execute_batch(schema).unwrap();
    }

    fn add_column(&mut self) {
        self.connection.execute("ALTER TABLE item ADD COLUMN tag TEXT DEFAULT 'none'", ()).unwrap();
        self.now.tagged = true;
    }

    /// New rows, a changed one and a deleted one; a long value where `n` is even.
    fn change_items(&mut self, n: i64) {
        let items = &mut self.now.items;
        let changed = self.connection.transaction(|tx| {
            for id in n * 10..n * 10 + 7 {
                let long = id == n * 10 && n % 2 == 0;
                let note =
                    if long { Some(vec![n as u8; 1_500]) } else { (id % 3 == 0).then(|| vec![n as u8; 9]) };
                let item = Item { name: format!("item {id}"), cents: id * 37 % 11, note };
                let note = item.note.as_deref();
                tx.execute(
                    "INSERT INTO item (id, name, cents, note) VALUES (?1, ?2, ?3, ?4)",
                    params![id, item.name.as_str(), item.cents, note],
                )?;
                items.insert(id, item);
            }
            let ids: Vec<i64> = items.keys().copied().collect();
            let (changed, deleted) = (ids[0], ids[ids.len() / 2]);
            tx.execute("UPDATE item SET cents = ?2 WHERE id = ?1", params![changed, -n])?;
            tx.execute("DELETE FROM item WHERE id = ?1", params![deleted])?;
            items.entry(changed).and_modify(|item| item.cents = -n);
            items.remove(&deleted);
            Ok(())
        });
        changed.unwrap();
    }

    /// Pairs put and taken away; now and then one that is longer than a page.
    fn change_pairs(&mut self, n: u32) {
        let pairs = &mut self.now.pairs;
        let space = self.db.keyspace("space").unwrap();
        let changed = self.db.write(|tx| {
            let mut put = |key: &[u8], value: Vec<u8>| {
                tx.put(&space, key, &value)?;
                pairs.insert(key.to_vec(), value);
                dosql::Result::Ok(())
            };
            for key in 0..5 {
                put(&(n / 2 + key).to_be_bytes(), vec![n as u8; 10 + 40 * key as usize])?;
            }
            if n % 6 == 5 {
                put(b"large", vec![n as u8; 6_000])?;
            }
            pairs.remove(&(n / 3).to_be_bytes()[..]);
            tx.delete(&space, (n / 3).to_be_bytes())
        });
        changed.unwrap();
    }

    fn checkpoint(mut self) -> Maker {
        self.db.checkpoint().unwrap();
        self.records.clear();
        self.before = files_of(&self.directory);
        self
    }

    /// Moves rows and history into segments, and makes that durable.
    fn move_all(self) -> Maker {
        while !self.db.maintain(1usize << 20).unwrap().done {}
        let maker = self.checkpoint();
        // So that what they had in pages is given back.
        maker.db.maintain(1usize << 20).unwrap();
        maker.checkpoint()
    }

    fn publish(self) -> Maker {
        self.db.publish().unwrap();
        self.checkpoint()
    }

    /// Ends the process without a word.
    fn crash(self, name: &'static str) -> Golden {
        let files = files_of(&self.directory);
        let Maker { before, records, states, hot_budget, named, .. } = self;
        Golden { name, files, before, records, states, hot_budget, named }
    }

    /// Closes the database: a checkpoint, and a mark at the end of the log.
    fn close(self, name: &'static str) -> Golden {
        self.db.close().unwrap();
        let files = files_of(&self.directory);
        let Maker { before, states, hot_budget, named, .. } = self;
        Golden { name, files, before, records: Vec::new(), states, hot_budget, named }
    }
}

/// The files that a process which dies now leaves; of the page file only what has a meaning, to the end of the last page that is
/// not all zeros.
fn files_of(directory: &CrashDirectory) -> Files {
    let left = directory.survivor(Surviving::Everything);
    let file = |name: String| {
        let mut bytes = left.contents(&name).unwrap_or_default();
        if name == "pages" {
            let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used.next_multiple_of(PAGE));
        }
        (name, bytes)
    };
    left.list().unwrap().into_iter().map(file).collect()
}
