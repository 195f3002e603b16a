//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::output::Mode;

/// What `dosql --help` says.
pub(crate) const USAGE: &str = "\
dosql: an embedded SQL database

    dosql DB                 a shell on the database directory DB (made if it is not there)
    dosql DB \"SQL\"           runs the statements
    dosql DB < FILE          runs a script; the first error ends it with its line and column
    dosql pipe DB            one JSON object a line: {\"sql\": .., \"params\": [..]} in, a result out
    dosql verify DB          reads and checks everything
    dosql stats DB           sizes and counters
    dosql compact DB         moves pages into free places and gives the space back
    dosql backup DB DIR      copies it, history included, to DIR, where nothing may be yet

DB is a directory, or :memory:

options:
    --mode MODE              table, csv, json, markdown, list, line (default: table on a terminal, else list)
    -h, --help
    -V, --version
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Shell { database: String, sql: Option<String>, mode: Mode },
    Pipe { database: String },
    Verify { database: String },
    Stats { database: String },
    Compact { database: String },
    Backup { database: String, target: String },
    Help,
    Version,
}

/// A command line that makes no sense, and why.
#[derive(Debug, PartialEq)]
pub(crate) struct Usage(pub(crate) String);

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Usage(format!("{error}\n\n{USAGE}"))
    }
}

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words: Vec<String> = Vec::new();
    let mut mode = Mode::List;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("mode") => {
                let name = parser.value()?.string()?;
                mode = Mode::by_name(&name).ok_or_else(|| {
                    Usage(format!("there is no mode {name}; the modes are {}", Mode::NAMES.join(", ")))
                })?;
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    command(words, mode)
}

fn command(words: Vec<String>, mode: Mode) -> Result<Command, Usage> {
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Err(Usage(USAGE.to_owned()));
    };
    if first == "backup" {
        let (Some(database), Some(target)) = (words.next(), words.next()) else {
            return Err(Usage("`dosql backup` needs a database and a path: dosql backup DB DIR".to_owned()));
        };
        no_more(words)?;
        return Ok(Command::Backup { database, target });
    }
    let made: fn(String) -> Command = match first.as_str() {
        "pipe" => |database| Command::Pipe { database },
        "verify" => |database| Command::Verify { database },
        "compact" => |database| Command::Compact { database },
        "stats" => |database| Command::Stats { database },
        _ => {
            let sql = words.next();
            no_more(words)?;
            return Ok(Command::Shell { database: first, sql, mode });
        }
    };
    let database =
        words.next().ok_or_else(|| Usage(format!("`dosql {first}` needs a database: dosql {first} DB")))?;
    no_more(words)?;
    Ok(made(database))
}

fn no_more(mut words: impl Iterator<Item = String>) -> Result<(), Usage> {
    match words.next() {
        None => Ok(()),
        Some(word) => Err(Usage(format!("unexpected argument {word:?}; put the SQL in one pair of quotes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, Usage> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn a_database_alone_is_a_shell_and_a_second_word_is_sql() {
        let shell = |sql: Option<&str>| Command::Shell {
            database: "a.dosql".into(),
            sql: sql.map(str::to_owned),
            mode: Mode::List,
        };
        assert_eq!(parsed(&["a.dosql"]), Ok(shell(None)));
        assert_eq!(parsed(&["a.dosql", "SELECT 1"]), Ok(shell(Some("SELECT 1"))));
        assert!(parsed(&["a.dosql", "SELECT", "1"]).is_err());
    }

    #[test]
    fn a_missing_database_and_an_unknown_mode_are_refused() {
        assert!(parsed(&[]).is_err());
        assert!(parsed(&["pipe"]).is_err());
        assert!(parsed(&["backup", "a.dosql"]).is_err());
        assert!(parsed(&["--mode", "xml", "a.dosql"]).is_err());
        assert_eq!(parsed(&["pipe", ":memory:"]), Ok(Command::Pipe { database: ":memory:".into() }));
    }
}
