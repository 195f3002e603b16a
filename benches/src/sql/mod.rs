//! The SQL workloads: the same statements, prepared once, through each engine's own API. What every query gives is summed up and
//! must agree between the engines.

pub mod engines;

use std::time::Instant;

use crate::data::{mix, pick};
use crate::engine::{Result, Settings};
use crate::kv::{AMPLE, Plan};
use crate::measure::{Latencies, MemoryWatch, disk_mib, timed};
use crate::report::Sheet;

/// Rows at scale 1.
const ROWS: f64 = 500_000.0;
/// Rows of the small table of the join.
const SMALL: u64 = 10_000;

/// A parameter.
#[derive(Clone, Debug)]
pub enum Cell {
    /// INTEGER
    Int(i64),
    /// REAL
    Real(f64),
    /// TEXT
    Text(String),
}

/// An SQL database.
pub trait SqlEngine: Sized {
    /// What the tables call it.
    const NAME: &'static str;

    /// A prepared statement.
    type Statement<'c>: SqlStatement
    where
        Self: 'c;

    /// Opens or creates the database in `directory`.
    fn open(directory: &std::path::Path, settings: Settings) -> Result<Self>;

    /// Runs statements that give no rows.
    fn batch(&self, sql: &str) -> Result<()>;

    /// Prepares one statement.
    fn prepare(&self, sql: &str) -> Result<Self::Statement<'_>>;

    /// Makes all durable and moves the log into the database.
    fn checkpoint(&self) -> Result<()>;

    /// Closes in an orderly way.
    fn close(self) -> Result<()>;
}

/// A prepared statement.
pub trait SqlStatement {
    /// Runs it; how many rows changed.
    fn execute(&mut self, cells: &[Cell]) -> Result<u64>;

    /// Runs it and reads every column of every row; how many rows, and a digest of their values.
    fn query(&mut self, cells: &[Cell]) -> Result<(u64, u64)>;
}

/// Folds a value into a digest.
pub fn fold(digest: u64, word: u64) -> u64 {
    mix(digest ^ word)
}

fn int(value: u64) -> Cell {
    Cell::Int(value as i64)
}

/// The row `id` of `n`: id, k, g, u, v, s.
fn row(id: u64, n: u64) -> Vec<Cell> {
    let text = format!("{:016x} row {id:>9} {:016x}", mix(id), mix(id + 1));
    let real = (mix(id) % 1_000_000) as f64 / 8.0;
    vec![
        int(id),
        int(pick(id, n)),
        int(mix(id) % 1000),
        int(pick(id + 1, SMALL)),
        Cell::Real(real),
        Cell::Text(text),
    ]
}

const INSERT: &str = "INSERT INTO t (id, k, g, u, v, s) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Runs every workload on engine `E`.
pub fn session<E: SqlEngine>(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let n = (ROWS * plan.scale()) as u64;
    let directory = plan.sub("sql")?;
    let watch = MemoryWatch::start();
    let engine = E::open(&directory, AMPLE)?;
    engine
        .batch("CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, u INTEGER, v REAL, s TEXT)")?;
    engine.batch("CREATE TABLE u (id INTEGER PRIMARY KEY, w INTEGER, name TEXT)")?;
    insert(&engine, n, sheet)?;
    sheet.less("peak memory of the inserts, anonymous [MiB]", watch.take_mib());
    reads(&engine, n, sheet)?;
    indexed(&engine, n, sheet)?;
    writes(&engine, n, sheet)?;
    autocommit(&engine, plan, n, sheet)?;
    removals(&engine, n, sheet)?;
    engine.close()?;
    sheet.less("disk after close [MiB]", disk_mib(&directory)?);
    Ok(())
}

fn insert<E: SqlEngine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let mut statement = engine.prepare(INSERT)?;
    let ((), seconds) = timed(|| {
        engine.batch("BEGIN")?;
        for id in 0..n {
            statement.execute(&row(id, n))?;
        }
        engine.batch("COMMIT")
    })?;
    sheet.more("S1 prepared INSERT, one transaction [rows/s]", n as f64 / seconds);
    let ((), more) = timed(|| engine.checkpoint())?;
    sheet.more("S1 with checkpoint and sync [rows/s]", n as f64 / (seconds + more));
    let mut statement = engine.prepare("INSERT INTO u (id, w, name) VALUES (?1, ?2, ?3)")?;
    engine.batch("BEGIN")?;
    for id in 0..SMALL {
        statement.execute(&[int(id), int(mix(id) % 1000), Cell::Text(format!("name {id}"))])?;
    }
    engine.batch("COMMIT")
}

/// Times one query that passes over the table, the best of three.
fn pass<E: SqlEngine>(engine: &E, sql: &str) -> Result<(u64, f64)> {
    let mut statement = engine.prepare(sql)?;
    let (mut best, mut digest) = (f64::INFINITY, 0);
    for _ in 0..3 {
        let ((_, sum), seconds) = timed(|| statement.query(&[]))?;
        (best, digest) = (best.min(seconds), sum);
    }
    Ok((digest, best))
}

/// Times `count` runs of one query.
fn many<E: SqlEngine>(
    engine: &E,
    sql: &str,
    count: u64,
    cells: impl Fn(u64) -> Vec<Cell>,
) -> Result<(u64, f64)> {
    let mut statement = engine.prepare(sql)?;
    let (mut digest, mut rows) = (0, 0);
    let ((), seconds) = timed(|| {
        for i in 0..count {
            let (found, sum) = statement.query(&cells(i))?;
            (digest, rows) = (fold(digest, sum), rows + found);
        }
        Ok(())
    })?;
    Ok((fold(digest, rows), count as f64 / seconds))
}

fn reads<E: SqlEngine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let select = "SELECT k, s FROM t WHERE id = ?1";
    let (sum, rate) = many(engine, select, n, |i| vec![int(pick(i, n))])?;
    sheet.more("S2 point SELECT by id [queries/s]", rate);
    sheet.same("S2", sum);
    let (sum, seconds) = pass(engine, "SELECT count(*), sum(k), avg(v) FROM t")?;
    sheet.more("S4 count, sum, avg [rows/s]", n as f64 / seconds);
    sheet.same("S4", sum);
    let (sum, seconds) = pass(engine, "SELECT g, count(*), sum(k) FROM t GROUP BY g ORDER BY 3 DESC, 1")?;
    sheet.more("S5 GROUP BY 1000 groups, ORDER BY [rows/s]", n as f64 / seconds);
    sheet.same("S5", sum);
    let join =
        "SELECT count(*), sum(u.w), max(u.name) FROM t JOIN u ON u.id = t.u WHERE u.w < 500 AND t.g >= 100";
    let (sum, seconds) = pass(engine, join)?;
    sheet.more("S6 join with 10k rows, filter [rows/s]", n as f64 / seconds);
    sheet.same("S6", sum);
    Ok(())
}

fn indexed<E: SqlEngine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let ((), seconds) = timed(|| engine.batch("CREATE INDEX t_k ON t (k)"))?;
    sheet.more("S3 CREATE INDEX [rows/s]", n as f64 / seconds);
    let (sum, rate) =
        many(engine, "SELECT id, s FROM t WHERE k = ?1 ORDER BY id", n, |i| vec![int(pick(i + 7, n))])?;
    sheet.more("S3 lookup by k [queries/s]", rate);
    sheet.same("S3", sum);
    let between = "SELECT k, v FROM t WHERE k BETWEEN ?1 AND ?2 ORDER BY k, id LIMIT 100";
    let range = |i| {
        let from = pick(i, n);
        vec![int(from), int(from + 1000)]
    };
    let (sum, rate) = many(engine, between, n / 20, range)?;
    sheet.more("S9 BETWEEN, ORDER BY, LIMIT 100 [queries/s]", rate);
    sheet.same("S9", sum);
    Ok(())
}

fn writes<E: SqlEngine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let count = n / 5;
    let upsert = format!("{INSERT} ON CONFLICT (id) DO UPDATE SET k = excluded.k, v = excluded.v");
    let mut statement = engine.prepare(&upsert)?;
    let ((), seconds) = timed(|| {
        engine.batch("BEGIN")?;
        for i in 0..count {
            // Half of them are there.
            let mut cells = row(n - count / 2 + i, n);
            cells[1] = int(pick(i + 99, n));
            statement.execute(&cells)?;
        }
        engine.batch("COMMIT")
    })?;
    sheet.more("S7 UPSERT with an index on k [rows/s]", count as f64 / seconds);
    let mut statement = engine.prepare("DELETE FROM t WHERE id >= ?1")?;
    let (gone, seconds) = timed(|| statement.execute(&[int(n)]))?;
    sheet.more("S7b DELETE of a range [rows/s]", gone as f64 / seconds);
    sheet.same("S7b", gone);
    let mut statement = engine.prepare("UPDATE t SET v = v + 1 WHERE id = ?1")?;
    let (changed, seconds) = timed(|| {
        engine.batch("BEGIN")?;
        let mut changed = 0;
        for i in 0..count {
            changed += statement.execute(&[int(pick(i, n))])?;
        }
        engine.batch("COMMIT")?;
        Ok(changed)
    })?;
    sheet.more("S10 UPDATE by id, one transaction [rows/s]", count as f64 / seconds);
    sheet.same("S10", changed);
    let (sum, _) = pass(engine, "SELECT count(*), sum(k), sum(id) FROM t")?;
    sheet.same("S7 to S10", sum);
    Ok(())
}

fn autocommit<E: SqlEngine>(engine: &E, plan: &Plan, n: u64, sheet: &mut Sheet) -> Result<()> {
    let mut statement = engine.prepare(INSERT)?;
    let (mut latencies, mut id, start) = (Latencies::default(), 10 * n, Instant::now());
    while start.elapsed() < plan.spell() {
        id += 1;
        let cells = row(id, n);
        latencies.time(|| statement.execute(&cells))?;
    }
    sheet.more(
        "S8 durable autocommit INSERT [commits/s]",
        latencies.count() as f64 / start.elapsed().as_secs_f64(),
    );
    latencies.enter(sheet, "S8 durable autocommit INSERT");
    engine.prepare("DELETE FROM t WHERE id >= ?1")?.execute(&[int(n)])?;
    Ok(())
}

fn removals<E: SqlEngine>(engine: &E, n: u64, sheet: &mut Sheet) -> Result<()> {
    let mut statement = engine.prepare("DELETE FROM t WHERE id % 2 = 0")?;
    let (gone, seconds) = timed(|| statement.execute(&[]))?;
    sheet.more("S11 DELETE of half [rows/s]", gone as f64 / seconds);
    sheet.same("S11", gone);
    let (sum, _) = pass(engine, "SELECT count(*), sum(k), sum(id) FROM t")?;
    sheet.same("S11, what is left", sum + n);
    Ok(())
}
