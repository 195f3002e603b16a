//! What time travel, branches and the feed cost, against what they cost where there is no past: ratios, of one database with itself.
//!
//! ```text
//! points()     reads AS OF beside reads of now; 10 and 10 000 versions back
//! scans()      a table whose history is ten times its rows
//! writes()     with and without history, bytes of history an update
//! diff()       one changed row among many
//! feed()       changes a second, commits with a subscriber and without
//! branches()   making one, reading through many, merging
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dosql::{Connection, Database, NewBranch, Options, Storage, Timestamp};

use crate::engine::Result;
use crate::kv::Plan;
use crate::measure::{Latencies, timed};
use crate::report::Sheet;

/// Takes all figures.
pub fn session(plan: &Plan, sheet: &mut Sheet) -> Result<()> {
    let rows = ((1_000_000.0 * plan.scale) as i64).max(1_000);
    points(&plan.directory, rows, sheet)?;
    scans(&plan.directory, rows / 10, sheet)?;
    writes(&plan.directory, rows / 20, sheet)?;
    diff(&plan.directory, rows, sheet)?;
    feed(&plan.directory, rows / 20, sheet)?;
    branches(&plan.directory, rows, sheet)
}

fn open(directory: &Path, name: &str, retention: u64) -> Result<(Database, Connection)> {
    let options = Options { retention, durability: dosql::Durability::None, ..Options::default() };
    let db = Database::open(Storage::directory_with(directory.join(name), &options)?, options)?;
    let sql = db.connect()?;
    Ok((db, sql))
}

/// A table of so many rows of 200 bytes.
fn fill(sql: &Connection, rows: i64) -> Result<()> {
    sql.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, pad TEXT)")?;
    sql.execute(
        "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < ?1)
         INSERT INTO t SELECT i, 0, printf('%0190d', i) FROM k",
        [rows],
    )?;
    Ok(())
}

/// The middle of how long reads of these rows take, as of a moment or now, in microseconds.
fn reads(sql: &Connection, ids: impl Iterator<Item = i64>, at: Option<Timestamp>) -> Result<f64> {
    let clause = if at.is_some() { "FOR SYSTEM_TIME AS OF LSN ?2" } else { "" };
    let mut statement = sql.prepare(&format!("SELECT n FROM t {clause} WHERE id = ?1"))?;
    let mut times = Latencies::default();
    for id in ids {
        times.time(|| {
            match at {
                None => statement.query_row([id], |row| row.get::<i64>(0))?,
                Some(at) => statement.query_row([id, at.as_micros() as i64], |row| row.get::<i64>(0))?,
            };
            Ok(())
        })?;
    }
    Ok(times.percentile(0.5))
}

fn points(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let (db, sql) = open(directory, "points", dosql::DAY)?;
    fill(&sql, rows)?;
    let before = db.last_commit();
    sql.execute("UPDATE t SET n = 1 WHERE id % 2 = 0", ())?;
    db.checkpoint()?;
    let some =
        |odd: i64| (0..20_000).map(move |n| (n * 7_919 * 2 + odd) % rows / 2 * 2 + odd).filter(|id| *id > 0);
    let now = reads(&sql, some(1), None)?;
    sheet.less(
        "1 point read AS OF, unchanged row, against now [x]",
        reads(&sql, some(1), Some(before))? / now,
    );
    let changed = reads(&sql, some(0), Some(before))?;
    sheet.less("1 point read AS OF, changed row, against now [x]", changed / now);
    sheet.less("1 point read AS OF, changed row, p50 [us]", changed);
    let mut moments = Vec::new();
    let mut update = sql.prepare("UPDATE t SET n = ?1 WHERE id = 1")?;
    for n in 0..10_010i64 {
        update.execute([n])?;
        moments.push(db.last_commit());
        if n % 2_500 == 0 {
            db.checkpoint()?;
        }
    }
    let back = |versions: usize| moments[moments.len() - 1 - versions];
    let same = || std::iter::repeat_n(1i64, 5_000);
    let near = reads(&sql, same(), Some(back(10)))?;
    sheet
        .less("2 AS OF 10 000 versions back against 10 [x]", reads(&sql, same(), Some(back(10_000)))? / near);
    Ok(())
}

/// Seconds of a walk over the whole table.
fn scan(sql: &Connection, at: Option<Timestamp>) -> Result<f64> {
    let clause = at.map_or(String::new(), |at| format!("FOR SYSTEM_TIME AS OF LSN {}", at.as_micros()));
    let mut statement = sql.prepare(&format!("SELECT sum(n), sum(length(pad)) FROM t {clause}"))?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(timed(|| Ok(statement.query_row((), |row| row.get::<i64>(0))?))?.1);
    }
    Ok(best)
}

fn scans(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let (db, sql) = open(directory, "scans", dosql::DAY)?;
    fill(&sql, rows)?;
    let mut middle = db.last_commit();
    for n in 0..10 {
        sql.execute("UPDATE t SET n = n + 1", ())?;
        if n == 4 {
            middle = db.last_commit();
        }
        db.checkpoint()?;
    }
    let now = scan(&sql, None)?;
    sheet.less(
        "3 full scan AS OF, history 10 times the rows, against now [x]",
        scan(&sql, Some(middle))? / now,
    );
    Ok(())
}

fn writes(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let mut took = Vec::new();
    for (name, retention) in [("kept", dosql::DAY), ("unkept", 0)] {
        let (db, sql) = open(directory, name, retention)?;
        fill(&sql, rows)?;
        let mut update = sql.prepare("UPDATE t SET n = n + 1 WHERE id = ?1")?;
        let ((), seconds) = timed(|| {
            for id in 1..=rows {
                update.execute([id])?;
            }
            Ok(())
        })?;
        db.checkpoint()?;
        if retention > 0 {
            let stats = db.stats();
            let each = stats.history_bytes as f64 / stats.history_entries.max(1) as f64;
            sheet.less("5 history of an update of one column of a 200-byte row [bytes]", each);
        }
        took.push((seconds, reads(&sql, (1..=rows).cycle().take(20_000), None)?));
    }
    sheet.less("4 reads of now, history on against off [x]", took[0].1 / took[1].1);
    sheet.less("4 updates, history on against off [x]", took[0].0 / took[1].0);
    Ok(())
}

fn diff(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let (db, sql) = open(directory, "diff", dosql::DAY)?;
    fill(&sql, rows)?;
    db.checkpoint()?;
    let before = db.last_commit();
    sql.execute("UPDATE t SET n = 7 WHERE id = ?1", [rows / 2])?;
    let mut statement =
        sql.prepare(&format!("SELECT count(*) FROM dosql_diff('t', {})", before.as_micros()))?;
    let mut times = Latencies::default();
    for _ in 0..100 {
        times.time(|| Ok(statement.query_row((), |row| row.get::<i64>(0))?))?;
    }
    sheet.less("6 diff of 1 changed row, all rows [ms]", times.percentile(0.5) / 1e3);
    Ok(())
}

fn feed(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let (db, sql) = open(directory, "feed", dosql::DAY)?;
    fill(&sql, rows)?;
    let begin = db.last_commit();
    updates(&sql, rows)?;
    let mut changes = db.changes(begin)?;
    let (count, seconds) = timed(|| {
        let mut count = 0u64;
        while changes.try_next()?.is_some() {
            count += 1;
        }
        Ok(count)
    })?;
    sheet.more("7 feed, one reader [changes/s]", count as f64 / seconds);
    drop(changes);
    subscribed(&db, &sql, rows, sheet)
}

/// The middle of how long commits of an update of a row take, in microseconds.
fn updates(sql: &Connection, rows: i64) -> Result<f64> {
    let (mut update, mut times) =
        (sql.prepare("UPDATE t SET n = n + 1 WHERE id = ?1")?, Latencies::default());
    for id in 1..=rows {
        times.time(|| Ok(update.execute([id])?))?;
    }
    Ok(times.percentile(0.5))
}

/// Commits with a subscriber, and beside a thread that has nothing to do with the database, each against commits alone: in turns, since
/// the machine and the table change as time goes on, and the middle of the turns.
fn subscribed(db: &Database, sql: &Connection, rows: i64, sheet: &mut Sheet) -> Result<()> {
    const TURNS: usize = 9;
    let (mut watched, mut beside) = (Vec::new(), Vec::new());
    let mut before = updates(sql, rows)?;
    for _ in 0..TURNS {
        let mut changes = db.changes(db.last_commit())?;
        let watch = || drop(changes.next_within(Duration::from_millis(20)));
        let with = alongside(watch, || updates(sql, rows))?;
        let between = updates(sql, rows)?;
        watched.push(with * 2.0 / (before + between));
        let with = alongside(nap_and_work, || updates(sql, rows))?;
        before = updates(sql, rows)?;
        beside.push(with * 2.0 / (between + before));
    }
    sheet.less("7 commit with a subscriber against without, p50 [x]", middle(watched));
    sheet.less("7 commit beside a thread of no concern against without, p50 [x]", middle(beside));
    Ok(())
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Runs `main` while another thread does `other` again and again.
fn alongside<T>(mut other: impl FnMut() + Send, main: impl FnOnce() -> Result<T>) -> Result<T> {
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Acquire) {
                other();
            }
        });
        let result = main();
        end.store(true, Ordering::Release);
        result
    })
}

/// About what a subscriber does of commits that follow each other: sleeps, then works for a third of that.
fn nap_and_work() {
    std::thread::sleep(Duration::from_micros(200));
    let (start, mut memory, mut at) = (Instant::now(), [0u8; 1 << 16], 1usize);
    while start.elapsed() < Duration::from_micros(70) {
        for _ in 0..100 {
            at = at.wrapping_mul(0x9E37_79B9).wrapping_add(1);
            let byte = &mut memory[at >> 7 & 0xFFFF];
            *byte = byte.wrapping_add(1);
        }
        std::hint::black_box(&memory);
    }
}

fn branches(directory: &Path, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let mut made = Vec::new();
    for (name, rows) in [("few", 5), ("many", rows)] {
        let (db, sql) = open(directory, name, dosql::DAY)?;
        fill(&sql, rows)?;
        db.checkpoint()?;
        let mut times = Latencies::default();
        for n in 0..200 {
            times.time(|| Ok(db.create_branch(&format!("b{n}"), &NewBranch::default()).map(drop)?))?;
        }
        made.push(times.percentile(0.5));
        if rows > 5 {
            deep(&db, rows, sheet)?;
            merge(&db, &sql, rows, sheet)?;
        }
    }
    sheet.less("8 make a branch of many rows, p50 [us]", made[1]);
    sheet.less("8 make a branch of many rows against of few [x]", made[1] / made[0]);
    Ok(())
}

/// So many branches lie beneath the last.
const DEEP: usize = 32;

/// Reads through branches of which each has changed a row of its own.
fn deep(db: &Database, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let (mut branch, mut times) = (db.branch("b0")?, Vec::new());
    for n in 1..=DEEP {
        branch.connect()?.execute("UPDATE t SET n = 9 WHERE id = ?1", [n as i64])?;
        if n == 1 || n == DEEP {
            times.push(reads(&branch.connect()?, 100..=rows.min(20_000), None)?);
        }
        if n < DEEP {
            branch = branch.create_branch(&format!("d{n}"), &NewBranch::default())?;
        }
    }
    sheet.less("9 point read 32 branches deep against 1 [x]", times[1] / times[0]);
    Ok(())
}

/// A thousand rows changed on a branch, a thousand others on main.
fn merge(db: &Database, sql: &Connection, rows: i64, sheet: &mut Sheet) -> Result<()> {
    let work = db.create_branch("work", &NewBranch::default())?.connect()?;
    for (place, own) in [(&work, 0), (sql, 1)] {
        let mut update = place.prepare("UPDATE t SET n = 5 WHERE id = ?1")?;
        place.execute("BEGIN", ())?;
        for n in 0..1_000.min(rows / 4) {
            update.execute([1 + (n * 2 + own) * (rows / 2_000).max(1) % rows])?;
        }
        place.execute("COMMIT", ())?;
    }
    let ((), seconds) = timed(|| Ok(sql.execute("MERGE BRANCH work INTO main", ()).map(drop)?))?;
    sheet.less("10 merge of 1 000 and 1 000 changes, all rows [ms]", seconds * 1e3);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::TIME;

    #[test]
    fn every_figure_is_taken_at_a_small_scale() {
        let directory = std::env::temp_dir().join(format!("dosql-bench-time-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut sheet = Sheet::default();
        session(&Plan { directory: directory.clone(), scale: 0.001 }, &mut sheet).unwrap();
        std::fs::remove_dir_all(directory).unwrap();
        let missing = TIME.iter().map(|(name, _)| *name).filter(|name| !sheet.has(name));
        assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
    }
}
