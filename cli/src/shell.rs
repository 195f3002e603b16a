//! The shell: statements one after the other, and the dot commands between them.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use dosql::{Connection, Error, Result};

use crate::import;
use crate::output::{Mode, Printer, written};
use crate::report;
use crate::script::{line_and_column, read_script};

const HELP: &str = "\
.exit                    leave
.headers on|off          column names above results (list mode)
.help                    this
.import FILE TABLE       rows of a CSV file into a table, which is made if it is not there
.indexes [TABLE]         names of indexes
.mode MODE               table, csv, json, markdown, list, line
.read FILE               runs a script
.schema [TABLE]          the CREATE statements
.stats                   sizes and counters
.tables                  names of tables and views
.timer on|off            time after every statement
";

/// A connection with the settings of a shell.
pub struct Shell<'a> {
    connection: Connection,
    out: &'a mut dyn Write,
    complaints: &'a mut dyn Write,
    mode: Mode,
    headers: bool,
    timer: bool,
    /// `.exit` was said.
    pub(crate) done: bool,
    depth: u32,
}

/// Scripts may `.read` scripts this deep.
const MAX_READ_DEPTH: u32 = 16;

/// What a piece of input is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing but blanks.
    Blank,
    /// A dot command.
    Command,
    /// One or more whole statements.
    Statements,
    /// A statement that goes on.
    Partial,
}

/// Tells what `text` is, for a prompt that must know whether to ask for more.
pub(crate) fn classify(text: &str) -> Input {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Input::Blank
    } else if trimmed.starts_with('.') {
        Input::Command
    } else if dosql::is_complete(trimmed) {
        Input::Statements
    } else {
        Input::Partial
    }
}

impl<'a> Shell<'a> {
    /// A shell that writes results to `out` and errors to `complaints`.
    pub fn new(
        connection: Connection,
        out: &'a mut dyn Write,
        complaints: &'a mut dyn Write,
        mode: Mode,
    ) -> Self {
        Shell { connection, out, complaints, mode, headers: false, timer: false, done: false, depth: 0 }
    }

    /// The names that a prompt can complete: tables and views.
    pub(crate) fn names(&self) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1";
        self.strings(sql, &[]).unwrap_or_default()
    }

    /// Runs a script; the first error ends it and is told with its place in `source`. Returns whether all went well; fails where
    /// nothing can be written any more.
    pub fn run_text(&mut self, text: &str, source: &str) -> Result<bool> {
        let mut from = 0;
        while from < text.len() && !self.done {
            let rest = &text[from..];
            let blank = rest.len() - rest.trim_start().len();
            if rest[blank..].starts_with('.') && starts_line(text, from + blank) {
                let line = rest[blank..].lines().next().unwrap_or_default();
                if let Err(error) = self.command(line) {
                    return self.fail(&error, text, from + blank, source);
                }
                from += blank + line.len();
                continue;
            }
            match self.statement(text, from) {
                Ok(Some(end)) => from = end,
                Ok(None) => break,
                Err(error) => {
                    let at = error.offset().unwrap_or(from + blank);
                    return self.fail(&error, text, at, source);
                }
            }
        }
        Ok(true)
    }

    fn fail(&mut self, error: &Error, text: &str, at: usize, source: &str) -> Result<bool> {
        // What was printed so far comes before the complaint.
        self.flush()?;
        let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let (line, column) = line_and_column(&text.as_bytes()[..at]);
        writeln!(self.complaints, "Error: {source} line {line}, column {column}: {error}")
            .map_err(written)?;
        if let Some(shown) = text.lines().nth(line - 1).filter(|shown| shown.len() <= 200) {
            writeln!(self.complaints, "    {shown}\n    {}^", " ".repeat(column - 1)).map_err(written)?;
        }
        Ok(false)
    }

    /// Runs the next statement of `text`. Returns where the one after it starts, `None` at the end.
    fn statement(&mut self, text: &str, from: usize) -> Result<Option<usize>> {
        #[allow(clippy::disallowed_methods)]
        let started = Instant::now();
        let Some((mut statement, end)) = self.connection.prepare_next(text, from)? else {
            return Ok(None);
        };
        let mut rows = statement.query(())?;
        let names: Vec<String> = rows.columns().iter().map(|column| column.name.to_string()).collect();
        if names.is_empty() {
            while rows.next()?.is_some() {}
        } else {
            let mut printer = Printer::new(&mut *self.out, self.mode, self.headers, names);
            while let Some(row) = rows.next()? {
                printer.row(&row.values()).map_err(written)?;
            }
            printer.finish().map_err(written)?;
        }
        if self.timer {
            let seconds = started.elapsed().as_secs_f64();
            writeln!(self.out, "Run Time: {seconds:.6} s").map_err(written)?;
        }
        Ok(Some(end))
    }

    /// Carries out a dot command.
    pub(crate) fn command(&mut self, line: &str) -> Result<()> {
        let words = split_words(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [".exit" | ".quit"] => self.done = true,
            [".help"] => self.print(HELP)?,
            [".headers" | ".header", setting] => self.headers = switch(setting)?,
            [".timer", setting] => self.timer = switch(setting)?,
            [".mode", name] => {
                self.mode = Mode::by_name(name).ok_or_else(|| {
                    Error::invalid(format!("there is no mode {name}; the modes are {}", Mode::NAMES.join(", ")))
                })?;
            }
            [".tables"] => self.list("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1", &[])?,
            [".indexes" | ".indices"] => self.list("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY 1", &[])?,
            [".indexes" | ".indices", table] => {
                self.list("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE ?1 ORDER BY 1", &[table])?;
            }
            [".schema"] => self.list("SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", &[])?,
            [".schema", table] => {
                self.list("SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name LIKE ?1", &[table])?;
            }
            [".stats"] => {
                report::stats(&self.connection.database(), self.out)?;
            }
            [".read", file] => self.read(file)?,
            [".import", file, table] => {
                let rows = import::csv(&self.connection, opened(file)?, file, table)?;
                self.print(&format!("{rows} rows\n"))?;
            }
            _ => return Err(Error::invalid(format!("unknown command or wrong arguments: {line}; .help lists the commands"))),
        }
        Ok(())
    }

    fn read(&mut self, file: &str) -> Result<()> {
        if self.depth == MAX_READ_DEPTH {
            return Err(Error::limit(format!(".read nests deeper than {MAX_READ_DEPTH} files")));
        }
        let script = read_script(opened(file)?)?;
        self.depth += 1;
        let clean = self.run_text(&script, file);
        self.depth -= 1;
        if clean? { Ok(()) } else { Err(Error::invalid(format!("{file} ended with an error"))) }
    }

    fn list(&mut self, sql: &str, values: &[&str]) -> Result<()> {
        for text in self.strings(sql, values)? {
            self.print(&format!("{text}\n"))?;
        }
        Ok(())
    }

    fn strings(&self, sql: &str, values: &[&str]) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(values)?;
        let mut strings = Vec::new();
        while let Some(row) = rows.next()? {
            strings.push(row.get(0)?);
        }
        Ok(strings)
    }

    fn print(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(written)
    }

    /// Tells of something that went wrong beside the statements.
    pub(crate) fn warn(&mut self, text: &str) -> Result<()> {
        writeln!(self.complaints, "{text}").map_err(written)
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(written)
    }
}

fn opened(file: &str) -> Result<File> {
    File::open(file).map_err(|error| Error::io(format!("opening {file}"), &error))
}

fn switch(setting: &str) -> Result<bool> {
    match setting {
        "on" | "1" | "yes" => Ok(true),
        "off" | "0" | "no" => Ok(false),
        _ => Err(Error::invalid(format!("{setting} is neither on nor off"))),
    }
}

/// Whether only blanks stand between the start of the line and `at`.
fn starts_line(text: &str, at: usize) -> bool {
    text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty())
}

/// Words separated by blanks; single or double quotes keep blanks inside a word.
fn split_words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut characters = line.trim().chars().peekable();
    while let Some(&next) = characters.peek() {
        if next.is_whitespace() {
            characters.next();
            continue;
        }
        let mut word = String::new();
        while let Some(&next) = characters.peek() {
            if next.is_whitespace() {
                break;
            }
            characters.next();
            if next != '\'' && next != '"' {
                word.push(next);
                continue;
            }
            loop {
                match characters.next() {
                    None => return Err(Error::invalid(format!("a quote is not closed: {line}"))),
                    Some(end) if end == next => break,
                    Some(inside) => word.push(inside),
                }
            }
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_inside_a_word() {
        assert_eq!(split_words(".read 'a b'.sql  x").unwrap(), [".read", "a b.sql", "x"]);
        assert!(split_words(".read 'a").is_err());
    }

    #[test]
    fn a_prompt_knows_whether_to_ask_for_more() {
        assert_eq!(classify("  "), Input::Blank);
        assert_eq!(classify(".tables"), Input::Command);
        assert_eq!(classify("SELECT 1"), Input::Partial);
        assert_eq!(classify("SELECT 1;"), Input::Statements);
        assert_eq!(classify("SELECT ';"), Input::Partial);
    }
}
