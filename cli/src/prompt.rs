//! The shell at a terminal: line editing, history, completion of table names, statements over several lines.

use std::borrow::Cow;
use std::path::PathBuf;

use dosql::{Error, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use crate::shell::{Input, Shell, classify};

/// Completes words with the names of tables and views.
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..pos].rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let word = line[start..pos].to_lowercase();
        let fits = |name: &&String| !word.is_empty() && name.to_lowercase().starts_with(&word);
        Ok((start, self.0.iter().filter(fits).cloned().collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Borrowed(hint)
    }
}

impl Validator for Names {}
impl Helper for Names {}

/// Where the history of earlier shells is kept.
fn history_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".dosql_history"))
}

/// Asks for statements and commands until the end of input or `.exit`. An error is told and the shell goes on; returns
/// true.
pub(crate) fn run(shell: &mut Shell<'_>) -> Result<bool> {
    let failed = |error: ReadlineError| Error::invalid(format!("the terminal: {error}"));
    let mut editor: Editor<Names, DefaultHistory> = Editor::new().map_err(failed)?;
    let history = history_file();
    if let Some(file) = &history {
        // A first run has no history to load.
        let _ = editor.load_history(file);
    }
    let mut pending = String::new();
    while !shell.done {
        editor.set_helper(Some(Names(shell.names())));
        let prompt = if pending.is_empty() { "dosql> " } else { "  ...> " };
        match editor.readline(prompt) {
            Ok(line) => {
                pending.push_str(&line);
                take(shell, &mut editor, &mut pending)?;
            }
            Err(ReadlineError::Interrupted) => pending.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        shell.warn(&format!("the history could not be saved: {error}"))?;
    }
    Ok(true)
}

/// Carries out what is pending, if it is whole.
fn take(
    shell: &mut Shell<'_>,
    editor: &mut Editor<Names, DefaultHistory>,
    pending: &mut String,
) -> Result<()> {
    match classify(pending) {
        Input::Partial => {
            pending.push('\n');
            return Ok(());
        }
        Input::Blank => {}
        Input::Command | Input::Statements => {
            // A line that is not remembered is no reason to stop.
            let _ = editor.add_history_entry(pending.trim());
            shell.run_text(pending, "input")?;
            shell.flush()?;
        }
    }
    pending.clear();
    Ok(())
}
