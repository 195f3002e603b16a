//! `dosql verify` and `dosql stats`.

use std::io::Write;

use dosql::{Database, Result};

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

/// Prints sizes and counters, one a line.
pub(crate) fn stats(database: &Database, out: &mut impl Write) -> Result<bool> {
    let stats = database.stats();
    let lines: [(&str, u64); 12] = [
        ("last commit", database.last_commit().as_micros()),
        ("rows, indexes and catalogs included", stats.rows),
        ("superseded versions", stats.history_entries),
        ("bytes of superseded versions", stats.history_bytes),
        ("history runs", stats.history_runs as u64),
        ("pages in use", stats.pages.pages_used),
        ("free pages", stats.pages.pages_free),
        ("bytes of pages in memory", stats.pages.resident_bytes as u64),
        ("bytes of log files", stats.log.allocated),
        ("bytes of log that recovery would replay", stats.log_backlog),
        ("commits replayed when opened", stats.replayed),
        ("checkpoints since opened", stats.checkpoints),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<42}{value:>16}").map_err(written)?;
    }
    Ok(true)
}
