//! `dosql verify` and `dosql stats`.

use std::process::ExitCode;

use dosql::{Database, Result};

/// Checks everything and says what was found. Fails where something is wrong.
#[allow(clippy::print_stdout)]
pub(crate) fn verify(database: &Database) -> Result<ExitCode> {
    let report = database.verify()?;
    println!("{report}");
    let connection = database.connect()?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query(())?;
    let mut sound = true;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        sound &= line == "ok";
        println!("tables and indexes: {line}");
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints sizes and counters.
#[allow(clippy::print_stdout)]
pub(crate) fn stats(database: &Database) -> Result<ExitCode> {
    println!("{}", database.stats()?);
    Ok(ExitCode::SUCCESS)
}
