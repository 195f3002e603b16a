//! Carries out what the command line asks for, on the process's own input and output.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use dosql::{Database, Error, PublishedPoint, Result, Timestamp};

use crate::args::{self, Asked, Command, Usage};
use crate::script::read_script;
use crate::stores::{Opening, segments};
use crate::{feed, output, pipe, prompt, report, shell};

/// Runs the command with these arguments, the program's name left out. The exit code is 2 where they make no sense, 1 where
/// something failed.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let gone = Cell::new(false);
    let mut out = Outlet { inner: io::stdout().lock(), gone: &gone };
    let done = match args::parse(arguments) {
        Ok(asked) => carry_out(asked, &mut out, &gone),
        Err(Usage(message)) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    match done {
        // Whoever reads has read enough.
        _ if gone.get() => ExitCode::SUCCESS,
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The standard output, which notes when nobody reads it any more.
struct Outlet<'g> {
    inner: io::StdoutLock<'static>,
    gone: &'g Cell<bool>,
}

impl Outlet<'_> {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.gone.set(true);
        }
        result
    }
}

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
    }
}

/// The standard error output, for as long as somebody reads the standard output: that nobody does is no reason to complain.
struct Complaints<'g>(&'g Cell<bool>);

impl Write for Complaints<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.get() { Ok(bytes.len()) } else { io::stderr().write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether all went well. What went wrong and was told already is no error.
fn carry_out(asked: Asked, out: &mut impl Write, gone: &Cell<bool>) -> Result<bool> {
    let Asked { command, segments, hot_budget } = asked;
    let stores = Opening { segments, hot_budget };
    let open = |path: &str, create| stores.open(path, create);
    match command {
        Command::Help => say(out, args::USAGE),
        Command::Version => say(out, concat!("dosql ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Shell { database, sql, mode } => {
            let database = open(&database, true)?;
            let clean = run_shell(&database, sql, mode, out, gone)?;
            database.close()?;
            Ok(clean)
        }
        Command::Pipe { database } => {
            let database = open(&database, true)?;
            pipe::run(&database, io::stdin().lock(), out)?;
            database.close()?;
            Ok(true)
        }
        Command::Verify { database } => report::verify(&open(&database, false)?, out),
        Command::Compact { database } => {
            let database = open(&database, false)?;
            let shown = io::stderr().is_terminal();
            let bytes = database.compact_with(&mut |done| {
                if shown {
                    let _ = write!(io::stderr(), "\r{} MiB moved, merged or given back", done >> 20);
                }
            })?;
            if shown {
                complain("");
            }
            database.close()?;
            say(out, &format!("{bytes} bytes given back\n"))
        }
        Command::Tier { database } => report::tier(&open(&database, false)?, out),
        Command::Publish { database } => {
            let database = open(&database, false)?;
            let at = database.publish()?;
            database.close()?;
            say(out, &format!("published as of {at}\n"))
        }
        Command::Restore { from, database, at } => {
            let point = restore(&stores, &from, &database, at.as_deref())?;
            say(out, &format!("restored as of {}\n", point.at))
        }
        Command::Gc { database, dry_run } => {
            let database = open(&database, false)?;
            let orphans = database.orphans()?;
            for name in &orphans {
                say(out, &format!("{name}\n"))?;
            }
            let deleted = if dry_run { 0 } else { database.collect_orphans()? };
            database.close()?;
            say(out, &format!("{} objects that nothing names, {deleted} deleted\n", orphans.len()))
        }
        Command::Backup { database, target } => {
            let at = open(&database, false)?.backup(&target)?;
            say(out, &format!("copied as of {at}\n"))
        }
        Command::Changes { database, changes } => {
            let name = database.clone();
            let database = open(&database, changes.follow)?;
            let clean = feed::run(&database, &name, &changes, io::stdin(), out)?;
            database.close()?;
            Ok(clean)
        }
        Command::Stats { database } => report::stats(&open(&database, false)?, out),
    }
}

fn run_shell(
    database: &Database,
    sql: Option<String>,
    mode: output::Mode,
    out: &mut dyn Write,
    gone: &Cell<bool>,
) -> Result<bool> {
    let mut complaints = Complaints(gone);
    let mut shell = shell::Shell::new(database.connect()?, out, &mut complaints, mode);
    match sql {
        Some(sql) => shell.run_text(&sql, "argument"),
        None if io::stdin().is_terminal() => prompt::run(&mut shell),
        None => shell.run_text(&read_script(io::stdin().lock())?, "stdin"),
    }
}

/// Rebuilds the database at `path` from the segments at `from`.
fn restore(stores: &Opening, from: &str, path: &str, at: Option<&str>) -> Result<PublishedPoint> {
    if Path::new(path).exists() {
        return Err(Error::invalid(format!("{path} exists; name a path where nothing is")));
    }
    let at = match at {
        None => None,
        Some(text) => Some(moment(text).ok_or_else(|| {
            Error::invalid(format!("{text} is no moment; write 2026-01-31 12:00:00, or the number of an lsn"))
        })?),
    };
    let segments = segments(from)?;
    let published = Database::published(&segments, None)?;
    if published.is_empty() {
        return Err(Error::invalid(format!("nothing was published to {from}")));
    }
    let target = stores.storage(path, Some((from, &segments)))?;
    Database::restore(segments, None, at, &target, stores.options())
}

fn moment(text: &str) -> Option<Timestamp> {
    let micros = text.parse::<u64>().ok().or_else(|| dosql::parse_instant(text))?;
    Some(Timestamp::from_micros(micros))
}

fn say(out: &mut impl Write, text: &str) -> Result<bool> {
    out.write_all(text.as_bytes()).map_err(output::written)?;
    Ok(true)
}

#[allow(clippy::print_stderr)]
fn complain(text: &str) {
    eprintln!("{text}");
}
