//! `dosql verify`, `dosql tier` and `dosql stats`.

use std::io::Write;

use dosql::stats::Memory;
use dosql::{Database, Result, Space, Stats};

use crate::output::written;

/// Checks everything and says what was found. Returns whether nothing is wrong.
pub(crate) fn verify(database: &Database, out: &mut impl Write) -> Result<bool> {
    let report = database.verify()?;
    let mut sound = report.is_sound();
    let (pages, rows, versions) = (report.pages, report.rows, report.versions);
    writeln!(out, "pages: {pages} read, {rows} rows, {versions} superseded versions").map_err(written)?;
    for problem in &report.problems {
        writeln!(out, "damage: {problem}").map_err(written)?;
    }
    let connection = database.connect()?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        sound &= line == "ok";
        writeln!(out, "tables and indexes: {line}").map_err(written)?;
    }
    writeln!(out, "{}", if sound { "sound" } else { "NOT SOUND" }).map_err(written)?;
    Ok(sound)
}

/// Prints what lies where, and who keeps the past.
pub(crate) fn tier(database: &Database, out: &mut (impl Write + ?Sized)) -> Result<bool> {
    writeln!(out, "{:<16}{:>10}{:>18}{:>16}", "place", "objects", "bytes", "rows").map_err(written)?;
    for part in database.storage()? {
        let (place, objects, bytes, rows) = (part.place, part.objects, part.bytes, part.rows);
        writeln!(out, "{place:<16}{objects:>10}{bytes:>18}{rows:>16}").map_err(written)?;
    }
    let connection = database.connect()?;
    let mut statement = connection.prepare("SELECT kind, name, time FROM dosql_pins")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (kind, name, time): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        writeln!(out, "kept from {time} on by {kind} {name}").map_err(written)?;
    }
    Ok(true)
}

/// Prints sizes and counters, one a line, in groups.
pub(crate) fn stats(database: &Database, out: &mut (impl Write + ?Sized)) -> Result<bool> {
    let (stats, space) = (database.stats(), database.space()?);
    for (group, lines) in groups(database, &stats, &space) {
        writeln!(out, "{group}").map_err(written)?;
        for (name, value) in lines {
            writeln!(out, "  {name:<40}{value:>20}").map_err(written)?;
        }
    }
    Ok(true)
}

type Lines = Vec<(&'static str, u64)>;

fn groups(database: &Database, stats: &Stats, space: &Space) -> [(&'static str, Lines); 7] {
    [
        ("data", data(database, stats)),
        ("space", spent(space)),
        ("transactions since opened", transactions(stats)),
        ("pages since opened", pages(stats)),
        ("log since opened", log(stats)),
        ("checkpoints since opened", checkpoints(stats)),
        ("bytes of memory", memory(&stats.memory)),
    ]
}

fn data(database: &Database, stats: &Stats) -> Lines {
    vec![
        ("last commit", database.last_commit().as_micros()),
        ("rows, indexes and catalogs included", stats.rows),
        ("superseded versions", stats.history_entries),
        ("bytes of superseded versions", stats.history_bytes),
        ("history runs", stats.history_runs as u64),
        ("bytes of log that recovery would replay", stats.log_backlog),
    ]
}

fn spent(space: &Space) -> Lines {
    vec![
        ("bytes of a page", space.page_size as u64),
        ("pages of current rows", space.live),
        ("pages of superseded versions", space.history),
        ("pages that say where all is", space.system),
        ("free pages", space.free),
        ("free but for open transactions", space.pinned),
        ("bytes of the page store", space.store_bytes),
        ("bytes of log files", space.log_bytes),
    ]
}

fn transactions(stats: &Stats) -> Lines {
    vec![
        ("commits", stats.commits),
        ("conflicts", stats.conflicts),
        ("commits replayed when opened", stats.replayed),
        ("transactions under way", stats.transactions as u64),
        ("oldest snapshot", stats.oldest_snapshot.map_or(0, |at| at.as_micros())),
        ("its age in microseconds", stats.oldest_snapshot_age),
    ]
}

fn pages(stats: &Stats) -> Lines {
    let page = stats.page_size as u64;
    vec![
        ("found in memory", stats.pages.hits),
        ("fetched", stats.pages.misses),
        ("dropped from memory", stats.pages.evictions),
        ("copied to be changed", stats.pages.copies),
        ("changes noted beside pages", stats.pages.deltas),
        ("read from the store", stats.store.page_reads),
        ("bytes of them", stats.store.page_reads * page),
        ("written to the store", stats.store.page_writes),
        ("bytes of those", stats.store.page_writes * page),
        ("syncs of the store", stats.store.syncs),
    ]
}

fn log(stats: &Stats) -> Lines {
    let times = &stats.log_syncs;
    vec![
        ("bytes appended", stats.log.appended_bytes),
        ("syncs", stats.log.syncs),
        ("microseconds of a sync, median", times.percentile(50.0)),
        ("90 of 100 take at most", times.percentile(90.0)),
        ("99 of 100 take at most", times.percentile(99.0)),
        ("longest", times.longest),
    ]
}

fn checkpoints(stats: &Stats) -> Lines {
    let times = &stats.checkpoint_times;
    vec![
        ("made", stats.checkpoints),
        ("microseconds of all", times.total),
        ("of the last", times.last),
        ("of the longest", times.longest),
    ]
}

fn memory(memory: &Memory) -> Lines {
    vec![
        ("pages as stored", memory.clean_pages as u64),
        ("changed pages", memory.dirty_pages as u64),
        ("older images for open transactions", memory.pinned_images as u64),
        ("spare buffers", memory.spare_buffers as u64),
        ("superseded versions", memory.history as u64),
        ("writes of open transactions", memory.write_sets as u64),
        ("commits to check against", memory.conflict_window as u64),
        ("log to be written", memory.log_buffer as u64),
        ("all", memory.total() as u64),
    ]
}
