//! `dosql changes`: the change feed as lines of JSON.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dosql::feed::{Change, Slot};
use dosql::{Database, Result};

use crate::args::Changes;
use crate::output::{Mode, written};
use crate::script::read_script;
use crate::shell::Shell;

/// How soon the end of the statements is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Prints what there is, and where it is asked for what the statements in `input` change meanwhile. Returns whether they went well.
pub(crate) fn run(
    database: &Database,
    name: &str,
    wanted: &Changes,
    input: impl Read + Send,
    out: &mut impl Write,
) -> Result<bool> {
    let mut feed = match &wanted.slot {
        Some(name) => Feed::Slot(database.feed_slot(name)?),
        None => Feed::Free(open(database, wanted)?),
    };
    let mut print = |change: Change| -> Result<()> {
        writeln!(out, "{}", wanted.format.line(&change, name)).map_err(written)
    };
    if !wanted.follow {
        while let Some(change) = feed.changes().try_next()? {
            print(change)?;
        }
        feed.confirm()?;
        return Ok(true);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let statements = scope.spawn(|| {
            let clean = execute(database, input);
            done.store(true, Ordering::Release);
            clean
        });
        follow(&mut feed, &done, &mut print)?;
        statements.join().unwrap_or(Ok(false))
    })
}

/// Where the changes come from.
enum Feed {
    Slot(Slot),
    Free(dosql::feed::Changes),
}

impl Feed {
    fn changes(&mut self) -> &mut dosql::feed::Changes {
        match self {
            Feed::Slot(slot) => slot.changes(),
            Feed::Free(changes) => changes,
        }
    }

    /// What was printed need not come again.
    fn confirm(&mut self) -> Result<()> {
        match self {
            Feed::Slot(slot) => {
                let position = slot.reached().clone();
                slot.ack(position)
            }
            Feed::Free(_) => Ok(()),
        }
    }
}

fn open(database: &Database, wanted: &Changes) -> Result<dosql::feed::Changes> {
    let mut feed = database.feed();
    for (table, condition) in &wanted.tables {
        feed = match condition {
            Some(condition) => feed.rows(table, condition),
            None => feed.table(table),
        };
    }
    feed.after(wanted.after.clone())
}

fn follow(feed: &mut Feed, done: &AtomicBool, print: &mut impl FnMut(Change) -> Result<()>) -> Result<()> {
    loop {
        // What was committed before the end is all there when it is looked for after it.
        let ends = done.load(Ordering::Acquire);
        match feed.changes().next_within(PATIENCE)? {
            Some(change) => print(change)?,
            None => {
                feed.confirm()?;
                if ends {
                    return Ok(());
                }
            }
        }
    }
}

/// Runs statements; what they answer goes to the standard error.
fn execute(database: &Database, input: impl Read) -> Result<bool> {
    let script = read_script(input)?;
    let (mut answers, mut complaints) = (io::stderr(), io::stderr());
    Shell::new(database.connect()?, &mut answers, &mut complaints, Mode::List).run_text(&script, "stdin")
}
