//! The `dosql` command: a shell, a script runner, a checker, and a pipe for other languages.
//!
//! ```text
//! args.rs     what was asked for
//! shell.rs    statements and dot commands, typed or from a script
//! prompt.rs   line editing and history
//! output.rs   results as table, csv, json, markdown, ..
//! import.rs   CSV files into tables
//! pipe.rs     one JSON object a line, in and out
//! report.rs   `verify` and `stats`
//! ```

mod args;
mod import;
mod output;
mod pipe;
mod prompt;
mod report;
mod shell;

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use args::{Command, Usage};
use dosql::{Database, Error, Options, Result, Storage};

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(Usage(message)) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Help => {
            say(args::USAGE);
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            say(concat!("dosql ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Shell { database, sql, mode } => {
            let database = open(&database, true)?;
            let done = run_shell(&database, sql, mode)?;
            database.close()?;
            Ok(done)
        }
        Command::Pipe { database } => {
            let database = open(&database, true)?;
            pipe::run(&database, io::stdin().lock(), io::stdout().lock())?;
            database.close()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { database } => report::verify(&open(&database, false)?),
        Command::Stats { database } => report::stats(&open(&database, false)?),
    }
}

fn run_shell(database: &Database, sql: Option<String>, mode: output::Mode) -> Result<ExitCode> {
    let stdout = io::stdout();
    let mut shell = shell::Shell::new(database.connect()?, Box::new(stdout.lock()), mode);
    let clean = match sql {
        Some(sql) => shell.run_text(&sql, "argument"),
        None if io::stdin().is_terminal() => prompt::run(&mut shell)?,
        None => match read_script(io::stdin().lock()) {
            Ok(script) => shell.run_text(&script, "stdin"),
            Err(error) => return Err(error),
        },
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a script, which must be UTF-8; the error says where it is not.
pub(crate) fn read_script(mut source: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).map_err(|error| Error::io("reading the script", &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let (line, column) = shell::line_and_column(&error.as_bytes()[..valid]);
        Error::invalid(format!("the script is not UTF-8 at line {line}, column {column}"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn open(path: &str, create: bool) -> Result<Database> {
    if path == ":memory:" {
        return Database::open(Storage::memory(), Options::default());
    }
    if !create && !std::path::Path::new(path).exists() {
        return Err(Error::invalid(format!("there is no database at {path}")));
    }
    Database::open_directory(path)
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr)]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
