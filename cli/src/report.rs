//! `dosql verify` and `dosql stats`.

use std::process::ExitCode;

use dosql::{Database, Result};

/// Checks everything and says what was found. Fails where something is wrong.
#[allow(clippy::print_stdout)]
pub(crate) fn verify(database: &Database) -> Result<ExitCode> {
    let report = database.verify()?;
    let mut sound = report.is_sound();
    println!("pages: {} read, {} rows, {} superseded versions", report.pages, report.rows, report.versions);
    report.problems.iter().for_each(|problem| println!("damage: {problem}"));
    let connection = database.connect()?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        sound &= line == "ok";
        println!("tables and indexes: {line}");
    }
    println!("{}", if sound { "sound" } else { "NOT SOUND" });
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints sizes and counters, one a line.
#[allow(clippy::print_stdout)]
pub(crate) fn stats(database: &Database) -> Result<ExitCode> {
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
        println!("{name:<42}{value:>16}");
    }
    Ok(ExitCode::SUCCESS)
}
