//! `dosql-sim ledger write PATH [--commits N] [--ballast FILE]` commits to a database in files and prints each commit that was
//! acknowledged; `dosql-sim ledger check PATH --acknowledged N [--may-refuse] [--may-lose]` says whether all of them are there.
//! Whoever runs them, `.ci/real-world`, takes the disk away in between: what a process can't do to itself.
//!
//! ```text
//! commit n: twelve accounts say n | entry n is new | entry n - 30 is gone     so a state is whole or it is not
//! ```
//!
//! A clear error is no violation: `write` prints it and looks whether the handle is as the docs say. A violation ends with 1, a panic
//! with 101.

use std::io::Write;
use std::path::PathBuf;

use dosql::{Connection, Database, ErrorKind, Maintenance, Options, Result, Storage, params};

const ACCOUNTS: i64 = 12;
const ENTRIES: i64 = 30;
/// Every so many commits comes a checkpoint.
const CHECKPOINT: i64 = 8;

const SCHEMA: &str = "BEGIN;
    CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (n INTEGER PRIMARY KEY, note BLOB NOT NULL, size INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS entry_by_size ON entry (size);
    COMMIT";

/// What is asked for.
struct Ask {
    write: bool,
    path: PathBuf,
    commits: i64,
    ballast: Option<PathBuf>,
    acknowledged: i64,
    may_refuse: bool,
    may_lose: bool,
}

impl Ask {
    fn parse(mut parser: lexopt::Parser) -> std::result::Result<Ask, lexopt::Error> {
        use lexopt::prelude::*;
        let (mut write, mut path) = (None, None);
        let mut ask = Ask {
            write: false,
            path: PathBuf::new(),
            commits: 40,
            ballast: None,
            acknowledged: 0,
            may_refuse: false,
            may_lose: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Value(verb) if write.is_none() && (verb == "write" || verb == "check") => {
                    write = Some(verb == "write");
                }
                Value(value) if path.is_none() => path = Some(PathBuf::from(value)),
                Long("commits") => ask.commits = parser.value()?.parse()?,
                Long("ballast") => ask.ballast = Some(PathBuf::from(parser.value()?)),
                Long("acknowledged") => ask.acknowledged = parser.value()?.parse()?,
                Long("may-refuse") => ask.may_refuse = true,
                Long("may-lose") => ask.may_lose = true,
                other => return Err(other.unexpected()),
            }
        }
        ask.write = write.ok_or("write or check?")?;
        ask.path = path.ok_or("the path of the database is missing")?;
        Ok(ask)
    }
}

/// Runs what is asked for; tells whether nothing was violated.
pub fn command(arguments: lexopt::Parser) -> std::result::Result<bool, lexopt::Error> {
    let ask = Ask::parse(arguments)?;
    let violation = if ask.write { write(&ask) } else { check(&ask) };
    if let Some(violation) = &violation {
        println!("VIOLATION {violation}");
    }
    Ok(violation.is_none())
}

fn open(ask: &Ask) -> Result<Database> {
    let options = Options {
        log_limit: 256 << 10,
        dirty_bytes: 512 << 10,
        cache_bytes: 64 << 10,
        maintenance: Maintenance::Caller,
        ..Options::default()
    };
    Database::open(Storage::directory_with(&ask.path, &options)?, options)
}

/// The note of entry `n`: now and then longer than a page.
fn note(n: i64) -> Vec<u8> {
    vec![n as u8; if n % 16 == 0 { 10_000 } else { 40 + (n % 5) as usize }]
}

/// Commits until all is done or something fails.
fn write(ask: &Ask) -> Option<String> {
    match commits(ask) {
        Ok(violation) => violation,
        Err(error) => failed(&error),
    }
}

fn commits(ask: &Ask) -> Result<Option<String>> {
    let db = open(ask)?;
    let connection = db.connect()?;
    connection.execute_batch(SCHEMA)?;
    let mut ballast = ask.ballast.clone();
    let mut n = last(&connection)?;
    let upto = n + ask.commits;
    while n < upto {
        let result = commit(&connection, n + 1);
        if result.is_ok() {
            n += 1;
            say(&format!("committed {n}"));
        }
        let result = result.and_then(|()| if n % CHECKPOINT == 0 { db.checkpoint() } else { Ok(()) });
        let Err(error) = result else { continue };
        let violation = failed(&error).or_else(|| after_failure(&db, n));
        if violation.is_some() || error.kind() != ErrorKind::NoSpace || db.is_poisoned() {
            return Ok(violation);
        }
        // Room is made, and it goes on.
        match ballast.take() {
            Some(ballast) => {
                say(if std::fs::remove_file(ballast).is_ok() { "room was made" } else { "no ballast" })
            }
            None => return Ok(None),
        }
    }
    if n % 2 == 0 { db.close().map(|()| None) } else { Ok(None) }
}

fn commit(connection: &Connection, n: i64) -> Result<()> {
    connection.transaction(|tx| {
        for id in 1..=ACCOUNTS {
            tx.execute("INSERT OR REPLACE INTO account (id, n) VALUES (?1, ?2)", params![id, n])?;
        }
        let note = note(n);
        let size = note.len() as i64;
        tx.execute(
            "INSERT INTO entry (n, note, size) VALUES (?1, ?2, ?3)",
            params![n, note.as_slice(), size],
        )?;
        tx.execute("DELETE FROM entry WHERE n <= ?1", params![n - ENTRIES])?;
        Ok(())
    })
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    // Where nobody listens any more, nothing was acknowledged to anybody.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints an error; tells what is wrong with it as an answer to a disk that fails.
fn failed(error: &dosql::Error) -> Option<String> {
    use ErrorKind::{Busy, Closed, Corrupt, Io, NoSpace, ReadOnly};
    say(&format!("failed {error:?}"));
    let clear = matches!(error.kind(), Busy | Closed | Corrupt | Io | NoSpace | ReadOnly);
    (!clear).then(|| format!("an error that does not tell what the disk did: {error:?}"))
}

/// The handle after a failure: closed for good and saying so, or as if the call that failed had never been made.
fn after_failure(db: &Database, n: i64) -> Option<String> {
    if db.is_poisoned() {
        return match db.begin_write() {
            Ok(_) => Some("a poisoned database takes a transaction".to_owned()),
            Err(error) if error.kind() == ErrorKind::Closed && error.to_string().contains("reopen") => None,
            Err(error) => Some(format!("a poisoned database says {error:?}")),
        };
    }
    match db.connect().and_then(|connection| differs(&connection, n)) {
        Ok(differs) => differs.map(|what| format!("after a failure: {what}")),
        Err(error) => failed(&error),
    }
}

/// Opens the database and compares.
fn check(ask: &Ask) -> Option<String> {
    match found(ask) {
        Ok((n, None)) => {
            say(&format!("found {n}"));
            let lost = n < ask.acknowledged && !ask.may_lose;
            let invented = n > ask.acknowledged + 1;
            (lost || invented)
                .then(|| format!("{} commits were acknowledged, {n} are there", ask.acknowledged))
        }
        Ok((_, violation)) => violation,
        Err(error) => {
            let violation = failed(&error);
            if ask.may_refuse { violation } else { Some(format!("the database does not open: {error:?}")) }
        }
    }
}

fn found(ask: &Ask) -> Result<(i64, Option<String>)> {
    let db = open(ask)?;
    let connection = db.connect()?;
    let n = last(&connection)?;
    let differs = if n == 0 { None } else { differs(&connection, n)? };
    let report = db.verify()?;
    Ok((n, differs.or_else(|| report.problems.first().cloned())))
}

/// The last commit that the accounts know of, 0 before the first.
fn last(connection: &Connection) -> Result<i64> {
    let tables: i64 =
        connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'account'", (), |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(n), 0) FROM account", (), |row| row.get(0))
}

/// What is not as commit `n` left it.
fn differs(connection: &Connection, n: i64) -> Result<Option<String>> {
    if n == 0 {
        return Ok(None);
    }
    let accounts = "SELECT count(*), min(n), max(n) FROM account";
    let accounts: (i64, i64, i64) =
        connection.query_row(accounts, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if accounts != (ACCOUNTS, n, n) {
        return Ok(Some(format!("commit {n} is there in part: (accounts, least, most) are {accounts:?}")));
    }
    let first = (n - ENTRIES + 1).max(1);
    let mut entries = connection.prepare("SELECT n, note FROM entry ORDER BY n")?;
    let mut rows = entries.query(())?;
    for expected in first..=n {
        let Some(row) = rows.next()? else { return Ok(Some(format!("entry {expected} is missing"))) };
        let found: (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if found != (expected, note(expected)) {
            return Ok(Some(format!("entry {expected} is not as it was written")));
        }
    }
    if rows.next()?.is_some() {
        return Ok(Some("there are more entries than were written".to_owned()));
    }
    drop(rows);
    let by_size = "SELECT count(*), sum(size) FROM entry INDEXED BY entry_by_size WHERE size >= 0";
    let by_size: (i64, i64) = connection.query_row(by_size, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let size: i64 = (first..=n).map(|n| note(n).len() as i64).sum();
    Ok((by_size != (n - first + 1, size)).then(|| "the index differs from its table".to_owned()))
}
