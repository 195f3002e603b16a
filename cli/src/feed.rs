//! `dosql changes`: the change feed as lines of JSON.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dosql::feed::Changes as Feed;
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
    let mut feed = database.feed();
    for (table, condition) in &wanted.tables {
        feed = match condition {
            Some(condition) => feed.rows(table, condition),
            None => feed.table(table),
        };
    }
    let mut changes = feed.after(wanted.after.clone())?;
    let mut print = |change: dosql::feed::Change| -> Result<()> {
        writeln!(out, "{}", wanted.format.line(&change, name)).map_err(written)
    };
    if !wanted.follow {
        while let Some(change) = changes.try_next()? {
            print(change)?;
        }
        return Ok(true);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let statements = scope.spawn(|| {
            let clean = execute(database, input);
            done.store(true, Ordering::Release);
            clean
        });
        follow(&mut changes, &done, &mut print)?;
        statements.join().unwrap_or(Ok(false))
    })
}

fn follow(
    changes: &mut Feed,
    done: &AtomicBool,
    print: &mut impl FnMut(dosql::feed::Change) -> Result<()>,
) -> Result<()> {
    loop {
        // What was committed before the end is all there when it is looked for after it.
        let ends = done.load(Ordering::Acquire);
        match changes.next_within(PATIENCE)? {
            Some(change) => print(change)?,
            None if ends => return Ok(()),
            None => {}
        }
    }
}

/// Runs statements; what they answer goes to the standard error.
fn execute(database: &Database, input: impl Read) -> Result<bool> {
    let script = read_script(input)?;
    let (mut answers, mut complaints) = (io::stderr(), io::stderr());
    Shell::new(database.connect()?, &mut answers, &mut complaints, Mode::List).run_text(&script, "stdin")
}
