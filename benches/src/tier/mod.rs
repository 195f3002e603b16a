//! What a hot budget costs, and what it spares: a table of sensor readings that is thirty times as large as what may stay in pages, in an
//! object store ten milliseconds away.
//!
//! ```text
//! session()    ingest()   with a hot budget and without: rate, longest waits, memory
//!              recent()   the last day's queries, of both
//!              cold()     requests of an opening, of a point read, of an absent key; a scan of the older half
//!              steady     what is stored over what is required, in the long run
//! peers        the same readings as a map of bytes, beside SlateDB and RocksDB
//! ```

pub mod far;
pub mod files;
pub mod map;
pub mod peers;
pub mod readings;
mod steady;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dosql::object::{ObjectOptions, ObjectSegmentStore};
use dosql::{Connection, Database, Options, Storage, system_env};

use crate::engine::Result;
use crate::kv::Plan;
use crate::measure::{Latencies, MemoryWatch, held_kib, processor_seconds, timed};
use crate::report::Sheet;
use far::{DISTANCE, Far};
use peers::{memory_at, store_in};
use readings::{DAYS, Reading, SENSORS, pick, rows_at};

const COLD_READS: u64 = 50;
const WITH: &str = "with a hot budget";

/// What a run has, by its scale.
pub struct Sizes {
    /// Readings.
    pub rows: u64,
    /// Of memory for pages and blocks, and of the hot budget.
    pub bytes: usize,
}

impl Sizes {
    /// At this scale; small ones get somewhat more than their share, since pages and segments don't shrink.
    pub fn at(scale: f64) -> Sizes {
        Sizes { rows: rows_at(scale), bytes: memory_at(scale) }
    }

    /// The options of every database; `hot` for one with a hot budget.
    pub fn options(&self, hot: bool) -> Options {
        let segment_bytes = Options::default().segment_bytes.min(self.bytes / 4);
        let hot_budget = if hot { self.bytes as u64 } else { 0 };
        Options {
            cache_bytes: self.bytes,
            dirty_bytes: self.bytes / 2,
            hot_budget,
            segment_bytes,
            ..Options::default()
        }
    }
}

/// Takes all figures.
pub fn session(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let sizes = Sizes::at(plan.scale);
    let hot = Subject::create(&plan.directory, "budget", &sizes, true)?;
    let with = hot.ingest(&sizes)?.enter(sheet, WITH, &sizes);
    let held = hot.db.stats().held_back;
    sheet.less("held back for moves, of the time of the ingest [x]", held.total as f64 / 1e6 / with.seconds);
    sheet.less("held back for moves, longest [us]", held.longest as f64);
    let ((), seconds) = timed(|| settle(&hot.db))?;
    sheet.less("housekeeping left after the ingest [s]", seconds);
    let all = Subject::create(&plan.directory, "none", &sizes, false)?;
    let without = all.ingest(&sizes)?.enter(sheet, "without", &sizes);
    sheet.more("1 ingest with a hot budget against without [x]", without.seconds / with.seconds);
    settle(&all.db)?;
    recent(&hot, &all, &sizes, sheet)?;
    drop(all);
    stored(&hot.db, sheet)?;
    hot.db.close()?;
    let far = hot.far.clone();
    drop(hot);
    cold(&plan.directory, &far, &sizes, sheet)?;
    steady::session(&plan.directory, plan.scale, sheet)
}

/// A database and the store of its segments.
struct Subject {
    db: Database,
    sql: Connection,
    far: Arc<Far>,
}

/// Files in `directory/name`, segments in `far`.
pub fn storage(directory: &Path, name: &str, far: &Arc<Far>, options: &Options) -> Result<Storage> {
    let segments = ObjectSegmentStore::new(far.clone(), "", ObjectOptions::new(system_env()))?;
    Ok(Storage::directory_with(directory.join(name), options)?.with_segments(Arc::new(segments)))
}

fn objects(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}-objects"))
}

/// Does all housekeeping that there is.
pub fn settle(db: &Database) -> Result<()> {
    while !db.maintain(64 << 20)?.done {}
    Ok(())
}

/// What an ingest came to.
struct Ingest {
    rows: u64,
    seconds: f64,
    commits: Latencies,
    /// Rows of the second in which there were fewest, and of all on average.
    slowest: f64,
    /// At most, in bytes: hot pages, the engine's memory by its own figures; and anonymous memory in MiB that came with it.
    hot: u64,
    own: u64,
    anonymous: f64,
}

impl Ingest {
    fn enter(mut self, sheet: &mut Sheet, how: &str, sizes: &Sizes) -> Ingest {
        sheet.more(&format!("ingest {how} [rows/s]"), self.rows as f64 / self.seconds);
        sheet.less(&format!("ingest {how}, a commit of 1 000, p50 [us]"), self.commits.percentile(0.5));
        sheet.less(&format!("ingest {how}, p99 [us]"), self.commits.percentile(0.99));
        sheet.less(&format!("ingest {how}, worst commit [us]"), self.commits.percentile(1.0));
        let number = if how == WITH { "1 " } else { "" };
        sheet.more(&format!("{number}ingest {how}, slowest second, of the mean [x]"), self.slowest);
        let share = |bytes: f64| bytes / sizes.bytes as f64;
        if how == WITH {
            sheet.less("2 hot pages at most, against the hot budget [x]", share(self.hot as f64));
        }
        sheet.less(
            &format!("2 memory at most, own figures, {how}, against cache_bytes [x]"),
            share(self.own as f64),
        );
        let anonymous = share(self.anonymous * (1 << 20) as f64);
        sheet.less(&format!("2 anonymous memory at most, {how}, against cache_bytes [x]"), anonymous);
        self
    }
}

impl Subject {
    fn create(directory: &Path, name: &str, sizes: &Sizes, hot: bool) -> Result<Subject> {
        let far = store_in(&objects(directory, name))?;
        Subject::open(directory, name, sizes, hot, far)
    }

    fn open(directory: &Path, name: &str, sizes: &Sizes, hot: bool, far: Arc<Far>) -> Result<Subject> {
        let options = sizes.options(hot);
        let db = Database::open(storage(directory, name, &far, &options)?, options)?;
        let sql = db.connect()?;
        Ok(Subject { db, sql, far })
    }

    /// All readings, a round of all sensors in each commit.
    fn ingest(&self, sizes: &Sizes) -> Result<Ingest> {
        self.sql.execute_batch(
            "CREATE TABLE readings (id INTEGER PRIMARY KEY, at INTEGER, sensor INTEGER, temperature REAL, humidity REAL,
             pressure REAL, battery REAL, status TEXT, place TEXT)",
        )?;
        // What the process holds besides, another database for one, is not this one's.
        let held = held_kib() as f64 / 1024.0;
        let (memory, end) = (MemoryWatch::start(), AtomicBool::new(false));
        let (hot, own) = (AtomicU64::new(0), AtomicU64::new(0));
        let (mut commits, mut seconds_of, mut making) = (Latencies::default(), Vec::new(), 0.0);
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| watch(&self.db, &hot, &own, &end));
            let loaded: Result<()> = (0..sizes.rows / SENSORS).try_for_each(|round| {
                let (readings, took) = timed(|| Ok(round_of(round)))?;
                making += took;
                commits.time(|| self.insert(readings))?;
                let second = began.elapsed().as_secs() as usize;
                seconds_of.resize(second.max(seconds_of.len().max(1) - 1) + 1, 0u64);
                seconds_of[second] += SENSORS;
                Ok(())
            });
            end.store(true, Ordering::Release);
            loaded
        })
        .and_then(|()| Ok(self.db.sync()?))?;
        let seconds = began.elapsed().as_secs_f64();
        // The last second is not a whole one.
        seconds_of.pop();
        let mean = sizes.rows as f64 / seconds;
        let slowest = seconds_of.iter().min().map_or(1.0, |rows| *rows as f64 / mean);
        let (hot, own) = (hot.load(Ordering::Relaxed), own.load(Ordering::Relaxed));
        // What making them costs is not in the rate.
        let seconds = seconds - making;
        let anonymous = memory.take_mib() - held;
        Ok(Ingest { rows: sizes.rows, seconds, commits, slowest, hot, own, anonymous })
    }

    fn insert(&self, readings: Vec<Reading>) -> Result<()> {
        let mut statement =
            self.sql.prepare_cached("INSERT INTO readings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
        self.sql.execute("BEGIN", ())?;
        for it in readings {
            statement.execute((
                it.id,
                it.at,
                it.sensor,
                it.temperature,
                it.humidity,
                it.pressure,
                it.battery,
                it.status,
                it.place,
            ))?;
        }
        self.sql.execute("COMMIT", ())?;
        Ok(())
    }
}

fn round_of(round: u64) -> Vec<Reading> {
    (round * SENSORS..(round + 1) * SENSORS).map(Reading::new).collect()
}

/// Notes the most that is hot and in memory, until the end.
fn watch(db: &Database, hot: &AtomicU64, own: &AtomicU64, end: &AtomicBool) {
    while !end.load(Ordering::Acquire) {
        let parts = db.storage().unwrap_or_default();
        let pages = parts.iter().find(|part| part.place == "hot").map_or(0, |part| part.bytes);
        hot.fetch_max(pages, Ordering::Relaxed);
        own.fetch_max(db.stats().memory.total() as u64, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The last day's queries of both, in turn.
fn recent(hot: &Subject, all: &Subject, sizes: &Sizes, sheet: &mut Sheet) -> Result<()> {
    let day = sizes.rows / DAYS;
    let from = Reading::id_of(sizes.rows - day);
    let mut groups = [&hot.sql, &all.sql].map(|sql| {
        sql.prepare(
            "SELECT sensor, avg(temperature), max(humidity) FROM readings WHERE id >= ?1 GROUP BY sensor",
        )
    });
    let mut points =
        [&hot.sql, &all.sql].map(|sql| sql.prepare("SELECT temperature FROM readings WHERE id = ?1"));
    let (mut by_sensor, mut by_id) =
        ([Latencies::default(), Latencies::default()], [Latencies::default(), Latencies::default()]);
    for round in 0..10u64 {
        for which in [0, 1] {
            let (Ok(group), Ok(point)) = (&mut groups[which], &mut points[which]) else {
                return Err("a query of the last day can't be prepared".into());
            };
            let mut rows = 0;
            let mut scan = || {
                rows = group.query_map([from], |row| row.get::<f64>(1))?.count();
                Ok(())
            };
            // The first finds the pages.
            if round == 0 {
                scan()?
            } else {
                by_sensor[which].time(scan)?
            }
            if rows as u64 != SENSORS.min(day) {
                return Err(format!("{rows} sensors in the last day").into());
            }
            for i in 0..500 {
                let n = sizes.rows - 1 - pick(round * 500 + i, day);
                let mut read = || Ok(point.query_row([Reading::id_of(n)], |row| row.get::<f64>(0))?);
                let found = if round == 0 { read()? } else { by_id[which].time(read)? };
                if found.to_bits() != Reading::new(n).temperature.to_bits() {
                    return Err(format!("reading {n} is {found}").into());
                }
            }
        }
    }
    let [mut with, mut without] = by_sensor;
    sheet.less("last day by sensor, p50 [us]", with.percentile(0.5));
    sheet.less(
        "3 last day by sensor, with a hot budget against without [x]",
        with.percentile(0.5) / without.percentile(0.5),
    );
    let [mut with, mut without] = by_id;
    sheet.less("last day by id, p50 [us]", with.percentile(0.5));
    sheet.less(
        "3 last day by id, with a hot budget against without [x]",
        with.percentile(0.5) / without.percentile(0.5),
    );
    Ok(())
}

/// Bytes a row in segments.
fn stored(db: &Database, sheet: &mut Sheet) -> Result<()> {
    let segments = db.segments();
    let (bytes, raw): (u64, u64) =
        segments.iter().fold((0, 0), |sum, segment| (sum.0 + segment.bytes, sum.1 + segment.raw_bytes));
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    sheet.less("segments", segments.len() as f64);
    sheet.less("bytes a cold row", bytes as f64 / rows.max(1) as f64);
    sheet.less("bytes a cold row before compression", raw as f64 / rows.max(1) as f64);
    Ok(())
}

/// Requests and times of what is cold, after an opening.
fn cold(directory: &Path, far: &Arc<Far>, sizes: &Sizes, sheet: &mut Sheet) -> Result<()> {
    let before = far.asked();
    let (subject, seconds) = timed(|| Subject::open(directory, "budget", sizes, true, far.clone()))?;
    let mut point = subject.sql.prepare("SELECT temperature FROM readings WHERE id = ?1")?;
    let opened = far.asked().since(&before);
    sheet.less("open with cold rows [ms]", seconds * 1e3);
    sheet.less("4 open with cold rows [GETs]", opened.gets as f64);
    let old = sizes.rows / 2;
    let (mut times, mut before) = (Latencies::default(), far.asked());
    for i in 0..COLD_READS {
        let n = pick(i, old);
        let found = times.time(|| Ok(point.query_row([Reading::id_of(n)], |row| row.get::<f64>(0))?))?;
        if found.to_bits() != Reading::new(n).temperature.to_bits() {
            return Err(format!("cold reading {n} is {found}").into());
        }
    }
    let reads = COLD_READS as f64;
    sheet.less("4 cold point read [GETs]", far.asked().since(&before).gets as f64 / reads);
    sheet.less("cold point read, p50 [ms]", times.percentile(0.5) / 1e3);
    before = far.asked();
    let mut absent = subject.sql.prepare("SELECT count(*) FROM readings WHERE id = ?1")?;
    for i in 0..COLD_READS * 20 {
        let id = Reading::id_of(pick(i + 7_777, old)) + 1;
        if absent.query_row([id], |row| row.get::<i64>(0))? != 0 {
            return Err(format!("{id} is somebody's").into());
        }
    }
    sheet.less("4 absent cold key [GETs]", far.asked().since(&before).gets as f64 / (reads * 20.0));
    scan(&subject, old, sheet)
}

fn scan(subject: &Subject, old: u64, sheet: &mut Sheet) -> Result<()> {
    let mut statement =
        subject.sql.prepare("SELECT count(*), sum(sensor), max(pressure) FROM readings WHERE id < ?1")?;
    let (before, used) = (subject.far.asked(), processor_seconds());
    let (rows, seconds) = timed(|| Ok(statement.query_row([Reading::id_of(old)], |row| row.get::<i64>(0))?))?;
    if rows as u64 != old {
        return Err(format!("{rows} rows of {old} in a cold scan").into());
    }
    let asked = subject.far.asked().since(&before);
    sheet.more("cold scan of the older half [rows/s]", old as f64 / seconds);
    sheet.more("cold scan [MB/s]", asked.get_bytes as f64 / seconds / 1e6);
    sheet.less("cold scan [GETs]", asked.gets as f64);
    let share = asked.get_bytes as f64 / seconds / DISTANCE.rate as f64;
    sheet.more("5 cold scan, of the store's bandwidth [x]", share);
    sheet.less("cold scan, processor time, of its time [x]", (processor_seconds() - used) / seconds);
    let (_, again) = timed(|| Ok(statement.query_row([Reading::id_of(old)], |row| row.get::<i64>(0))?))?;
    sheet.less("the same again [s]", again);
    Ok(())
}
