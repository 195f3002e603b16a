//! The command line.

use std::ffi::OsString;

use dosql::feed::{Format, Position};
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
    dosql compact DB         moves what is cold into segments, merges these, and gives free space back
    dosql tier DB            what lies where: pages, segments by level, history, what is on its way out
    dosql publish DB         lets its segment store alone be enough to rebuild it as it is now
    dosql restore FROM DB    rebuilds a database from what was published to the segment store FROM
    dosql gc DB              deletes objects in the segment store that nothing names; --dry-run lists them
    dosql backup DB DIR      copies it, history included, to DIR, where nothing may be yet
    dosql changes DB         every change of the data and the schema, one JSON object a line

DB is a directory, or :memory:

FROM is a directory of segments (DB/segments, say), or s3://BUCKET/PREFIX where that was built in

options:
    --segments ADDRESS       where the segments of DB lie, if not in DB/segments: a directory or s3://BUCKET/PREFIX
    --at TIME                of `dosql restore`: as of the last point published by then
    --hot-budget BYTES       the pages that current rows may take (64M, say); the coldest move into segments
    --mode MODE              table, csv, json, markdown, list, line (default: table on a terminal, else list)
    -h, --help
    -V, --version

options of `dosql changes`:
    --after POSITION         only what was committed after it: the lsn of a change (default 0: all rows, then changes)
    --slot NAME              resumes this feed slot, and confirms what was printed
    --table NAME             only these tables; may be given more than once
    --where CONDITION        only rows of the table named before it for which this SQL is true
    --format FORMAT          json or debezium (default: json)
    --follow                 goes on, with what the statements on the standard input change, until that ends
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Shell { database: String, sql: Option<String>, mode: Mode },
    Pipe { database: String },
    Verify { database: String },
    Stats { database: String },
    Compact { database: String },
    Tier { database: String },
    Gc { database: String, dry_run: bool },
    Publish { database: String },
    Restore { from: String, database: String, at: Option<String> },
    Backup { database: String, target: String },
    Changes { database: String, changes: Changes },
    Help,
    Version,
}

/// A command, and how the database is opened for it.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    /// Where segments lie, if not in the database's directory.
    pub(crate) segments: Option<String>,
    /// Bytes; see [`dosql::Options::hot_budget`].
    pub(crate) hot_budget: u64,
}

/// Which changes to print, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) after: Position,
    /// The feed slot to resume.
    pub(crate) slot: Option<String>,
    /// Tables, each with its condition; all where there is none.
    pub(crate) tables: Vec<(String, Option<String>)>,
    pub(crate) format: Format,
    pub(crate) follow: bool,
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
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Usage> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words: Vec<String> = Vec::new();
    let mut mode = Mode::List;
    let mut changes: Option<Changes> = None;
    let (mut hot_budget, mut dry_run, mut segments, mut at) = (0, false, None, None);
    let asked = |command| Ok(Asked { command, segments: None, hot_budget: 0 });
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return asked(Command::Help),
            Short('V') | Long("version") => return asked(Command::Version),
            Long("mode") => {
                let name = parser.value()?.string()?;
                mode = Mode::by_name(&name).ok_or_else(|| {
                    Usage(format!("there is no mode {name}; the modes are {}", Mode::NAMES.join(", ")))
                })?;
            }
            Long("hot-budget") => hot_budget = bytes(&parser.value()?.string()?)?,
            Long("dry-run") => dry_run = true,
            Long("segments") => segments = Some(parser.value()?.string()?),
            Long("at") => at = Some(parser.value()?.string()?),
            Long(name @ ("after" | "slot" | "table" | "where" | "format" | "follow")) => {
                let name = name.to_owned();
                changes_option(&name, &mut parser, changes.get_or_insert_default())?;
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let command = match command(words, mode)? {
        Command::Gc { database, .. } => Command::Gc { database, dry_run },
        Command::Restore { from, database, .. } => Command::Restore { from, database, at },
        _ if at.is_some() => return Err(Usage("--at goes with `dosql restore FROM DB`".into())),
        _ if dry_run => return Err(Usage("--dry-run goes with `dosql gc DB`".into())),
        Command::Changes { database, .. } => {
            let changes = changes.unwrap_or_default();
            if changes.slot.is_some() && (changes.after != Position::default() || !changes.tables.is_empty())
            {
                return Err(Usage(
                    "a slot says itself where it is and what it shows: no --after, no --table".into(),
                ));
            }
            Command::Changes { database, changes }
        }
        _ if changes.is_some() => {
            return Err(Usage(
                "--after, --slot, --table, --where, --format and --follow go with `dosql changes DB`".into(),
            ));
        }
        other => other,
    };
    Ok(Asked { command, segments, hot_budget })
}

/// A number of bytes: digits, and perhaps K, M or G.
fn bytes(text: &str) -> Result<u64, Usage> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G', 'k', 'm', 'g']) {
        Some(digits) => (digits, text.as_bytes()[digits.len()].to_ascii_uppercase()),
        None => (text, b' '),
    };
    let factor = match unit {
        b'K' => 1 << 10,
        b'M' => 1 << 20,
        b'G' => 1 << 30,
        _ => 1,
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| Usage(format!("{text} is no number of bytes; give digits, and perhaps K, M or G")))
}

fn changes_option(name: &str, parser: &mut lexopt::Parser, changes: &mut Changes) -> Result<(), Usage> {
    match name {
        "follow" => changes.follow = true,
        "slot" => changes.slot = Some(parser.value()?.string()?),
        "after" => {
            let after = parser.value()?.string()?;
            changes.after = after.parse().map_err(|error| Usage(format!("--after: {error}")))?;
        }
        "table" => changes.tables.push((parser.value()?.string()?, None)),
        "where" => {
            let condition = parser.value()?.string()?;
            match changes.tables.last_mut() {
                Some((_, slot)) => *slot = Some(condition),
                None => return Err(Usage("--where belongs to a --table: name that first".into())),
            }
        }
        _ => {
            changes.format = match parser.value()?.string()?.as_str() {
                "json" => Format::Json,
                "debezium" => Format::Debezium,
                other => {
                    return Err(Usage(format!("there is no format {other}; the formats are json, debezium")));
                }
            }
        }
    }
    Ok(())
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
    if first == "restore" {
        let (Some(from), Some(database)) = (words.next(), words.next()) else {
            let message = "`dosql restore` needs segments and a path: dosql restore FROM DB";
            return Err(Usage(message.to_owned()));
        };
        no_more(words)?;
        return Ok(Command::Restore { from, database, at: None });
    }
    let made: fn(String) -> Command = match first.as_str() {
        "pipe" => |database| Command::Pipe { database },
        "verify" => |database| Command::Verify { database },
        "compact" => |database| Command::Compact { database },
        "tier" => |database| Command::Tier { database },
        "publish" => |database| Command::Publish { database },
        "gc" => |database| Command::Gc { database, dry_run: false },
        "stats" => |database| Command::Stats { database },
        "changes" => |database| Command::Changes { database, changes: Changes::default() },
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
        parse(words.iter().map(OsString::from)).map(|asked| asked.command)
    }

    #[test]
    fn a_hot_budget_is_bytes_with_or_without_a_unit() {
        let budget = |text: &str| parse(["tier", "a", "--hot-budget", text].iter().map(OsString::from));
        assert_eq!(budget("64M").unwrap().hot_budget, 64 << 20);
        assert_eq!(budget("4096").unwrap().hot_budget, 4096);
        for wrong in ["", "M", "-1", "64MB", "99999999999G"] {
            assert!(budget(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            parsed(&["gc", "a", "--dry-run"]),
            Ok(Command::Gc { database: "a".into(), dry_run: true })
        );
        assert!(parsed(&["tier", "a", "--dry-run"]).is_err());
        let restore = Command::Restore { from: "s".into(), database: "a".into(), at: Some("now".into()) };
        assert_eq!(parsed(&["restore", "s", "a", "--at", "now"]), Ok(restore));
        assert!(parsed(&["restore", "s"]).is_err() && parsed(&["verify", "a", "--at", "now"]).is_err());
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
    fn what_changes_to_print_is_told_by_options_that_nothing_else_takes() {
        let told = parsed(&["changes", "a", "--table", "t", "--where", "x > 1", "--table", "u", "--follow"]);
        let tables = vec![("t".to_owned(), Some("x > 1".to_owned())), ("u".to_owned(), None)];
        let changes = Changes { tables, follow: true, ..Changes::default() };
        assert_eq!(told, Ok(Command::Changes { database: "a".into(), changes }));
        for wrong in [
            &["changes", "a", "--where", "x"][..],
            &["changes", "a", "--format", "xml"],
            &["changes", "a", "--after", "yesterday"],
            &["changes", "a", "--slot", "s", "--table", "t"],
            &["verify", "a", "--follow"],
            &["changes"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
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
