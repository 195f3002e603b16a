//! `dosql-sim peers [--every N]`: what `corruption` does to dosql, done to SQLite (one file, and with a log beside it) and redb: one
//! small database each, as they come, with the checks that they make by themselves when rows are read.
//!
//! ```text
//! this process: counts <-- one letter a case -- child process: damages, opens, reads; where it is aborted, another goes on after it
//! ```

use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use redb::ReadableTable;
use rusqlite::Connection;

use crate::corruption::damage::{self, Damage, Density};
use crate::golden::{Files, Verdict};

const ROWS: i64 = 60;
const PAGE: usize = 4096;
const TABLE: redb::TableDefinition<'_, i64, &[u8]> = redb::TableDefinition::new("item");

type AnyError = Box<dyn std::error::Error>;

#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Sqlite,
    SqliteLog,
    Redb,
}

const PEERS: [(Peer, &str); 3] =
    [(Peer::Sqlite, "SQLite"), (Peer::SqliteLog, "SQLite with a log"), (Peer::Redb, "redb")];

/// Prints a line for each peer. Nothing that a peer does is a violation of ours.
pub fn command(mut arguments: lexopt::Parser) -> Result<bool, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut every, mut child, mut from) = (1usize, None, 0usize);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("every") => every = arguments.value()?.parse::<usize>()?.max(1),
            Long("child") => child = Some(arguments.value()?.parse::<usize>()?),
            Long("from") => from = arguments.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    // Memory where there is a directory of it: each case writes and syncs files.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let scratch = parent.join(format!("dosql-peers-{}", std::process::id()));
    let run = || -> Result<(), AnyError> {
        std::fs::create_dir_all(&scratch)?;
        match child {
            Some(index) => judge_all(PEERS[index].0, &scratch, every, from),
            None => (0..PEERS.len()).try_for_each(|index| count(index, every)),
        }
    };
    let result = run();
    let _ = std::fs::remove_dir_all(&scratch);
    result.map(|()| true).map_err(|error| lexopt::Error::from(error.to_string()))
}

/// Runs children until all cases are judged, and prints what they said.
fn count(index: usize, every: usize) -> Result<(), AnyError> {
    let mut letters = String::new();
    loop {
        let arguments = ["peers".to_owned(), "--child".to_owned(), index.to_string()];
        let more = ["--from".to_owned(), letters.len().to_string(), "--every".to_owned(), every.to_string()];
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        letters.extend(lines.map_while(Result::ok).filter_map(|line| line.chars().next()));
        if child.wait()?.success() {
            break;
        }
        letters.push('A');
    }
    let of = |letter: char| letters.chars().filter(|&l| l == letter).count();
    println!(
        "{}, one case in {every} of bytes and lengths: {} cases: {} right, {} errors, {} wrong, {} panics, {} aborts",
        PEERS[index].1,
        letters.len(),
        of('R'),
        of('E'),
        of('W'),
        of('P'),
        of('A'),
    );
    Ok(())
}

/// Judges every case from number `from` on, a letter a line.
fn judge_all(peer: Peer, scratch: &Path, every: usize, from: usize) -> Result<(), AnyError> {
    std::panic::set_hook(Box::new(|_| ()));
    let files = peer.make(scratch)?;
    let none = Files::new();
    let damages = damage::all(&files, &none, Density { patterns: 1, every }, |_| PAGE);
    let mut out = std::io::stdout();
    for damage in damages.iter().skip(from) {
        let letter = match catch_unwind(AssertUnwindSafe(|| peer.judge(scratch, &files, damage))) {
            Ok(Verdict::Right) => 'R',
            Ok(Verdict::Refused) => 'E',
            Ok(Verdict::Wrong(_)) => 'W',
            Err(_) => 'P',
        };
        writeln!(out, "{letter}")?;
    }
    Ok(())
}

/// Row `id`: a text of some length, and a number.
fn row(id: i64) -> (String, i64) {
    (format!("item {id} {}", "x".repeat((id * 7 % 90) as usize)), id * 37 % 11)
}

impl Peer {
    fn path(self, scratch: &Path) -> PathBuf {
        scratch.join("db")
    }

    /// The files of a small database.
    fn make(self, scratch: &Path) -> Result<Files, AnyError> {
        let path = self.path(scratch);
        clear(scratch)?;
        if self == Peer::Redb {
            let db = redb::Database::create(&path)?;
            for first in (0..ROWS).step_by(10) {
                let tx = db.begin_write()?;
                {
                    let mut table = tx.open_table(TABLE)?;
                    for id in first..first + 10 {
                        table.insert(id, row(id).0.as_bytes())?;
                    }
                }
                tx.commit()?;
            }
            drop(db);
            return read_files(scratch);
        }
        let db = Connection::open(&path)?;
        if self == Peer::SqliteLog {
            db.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0")?;
        }
        db.execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, cents INTEGER); CREATE INDEX by_cents ON item (cents)",
        )?;
        for id in 0..ROWS {
            let (name, cents) = row(id);
            db.execute("INSERT INTO item VALUES (?1, ?2, ?3)", rusqlite::params![id, name, cents])?;
        }
        // While it is open the log is there; without a log the file is whole.
        let mut files = read_files(scratch)?;
        files.retain(|(name, _)| !name.ends_with("-shm"));
        Ok(files)
    }

    fn judge(self, scratch: &Path, files: &Files, damage: &Damage) -> Verdict {
        let files = damage.apply(files, &Files::new());
        let put = || -> Result<(), AnyError> {
            clear(scratch)?;
            files.iter().try_for_each(|(name, bytes)| Ok(std::fs::write(scratch.join(name), bytes)?))
        };
        put().expect("the scratch directory takes files");
        let read = if self == Peer::Redb {
            read_redb(&self.path(scratch))
        } else {
            read_sqlite(&self.path(scratch))
        };
        match read {
            Ok(true) => Verdict::Right,
            Ok(false) => Verdict::Wrong(String::new()),
            Err(_) => Verdict::Refused,
        }
    }
}

fn clear(scratch: &Path) -> Result<(), AnyError> {
    for entry in std::fs::read_dir(scratch)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

fn read_files(scratch: &Path) -> Result<Files, AnyError> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(scratch)? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// Whether all rows are there, by the table and by the index. Values are compared as SQLite gives them: it is not asked whether text
/// is text.
fn read_sqlite(path: &Path) -> Result<bool, AnyError> {
    let db = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let by_table = stored(&db, "SELECT id, name, cents FROM item NOT INDEXED ORDER BY id")?;
    let by_index = stored(&db, "SELECT cents, id FROM item INDEXED BY by_cents ORDER BY cents, id")?;
    let (integer, text) = (|n: i64| format!("i{n}").into_bytes(), |t: String| [b"t", t.as_bytes()].concat());
    let rows = (0..ROWS).map(|id| vec![integer(id), text(row(id).0), integer(row(id).1)]);
    let mut pairs: Vec<(i64, i64)> = (0..ROWS).map(|id| (row(id).1, id)).collect();
    pairs.sort_unstable();
    let pairs = pairs.into_iter().map(|(cents, id)| vec![integer(cents), integer(id)]);
    Ok(by_table == rows.collect::<Vec<_>>() && by_index == pairs.collect::<Vec<_>>())
}

/// The rows of a query, each value as its type and its bytes.
fn stored(db: &Connection, sql: &str) -> Result<Vec<Vec<Vec<u8>>>, AnyError> {
    use rusqlite::types::ValueRef;
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |column| -> Result<Vec<u8>, AnyError> {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => b"n".to_vec(),
                ValueRef::Integer(integer) => format!("i{integer}").into_bytes(),
                ValueRef::Real(real) => format!("r{real}").into_bytes(),
                ValueRef::Text(text) => [b"t", text].concat(),
                ValueRef::Blob(blob) => [b"b", blob].concat(),
            })
        };
        all.push((0..columns).map(value).collect::<Result<_, _>>()?);
    }
    Ok(all)
}

/// Whether all rows are there, by scan and by key.
fn read_redb(path: &Path) -> Result<bool, AnyError> {
    use redb::ReadableDatabase;
    let db = redb::Database::open(path)?;
    let table = db.begin_read()?.open_table(TABLE)?;
    let mut found = Vec::new();
    for pair in table.iter()? {
        let (id, name) = pair?;
        found.push((id.value(), name.value().to_vec()));
    }
    for id in 0..ROWS {
        if table.get(id)?.is_none_or(|name| name.value() != row(id).0.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(found == (0..ROWS).map(|id| (id, row(id).0.into_bytes())).collect::<Vec<_>>())
}
