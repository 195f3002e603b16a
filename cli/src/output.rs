//! Results on their way out: as an aligned table, CSV, JSON, Markdown, a list, or a line a column.

use std::io::{self, Write};

use dosql::feed::value_to_json;
use dosql::{Error, Value};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Aligned, with lines around.
    Table,
    /// RFC 4180.
    Csv,
    /// An array of objects.
    Json,
    /// A Markdown table.
    Markdown,
    /// Values separated by `|`.
    List,
    /// `column = value`, a line each.
    Line,
}

impl Mode {
    /// The names of all modes.
    pub const NAMES: [&'static str; 6] = ["table", "csv", "json", "markdown", "list", "line"];

    /// The mode of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Mode> {
        let modes = [Mode::Table, Mode::Csv, Mode::Json, Mode::Markdown, Mode::List, Mode::Line];
        Mode::NAMES.iter().position(|known| *known == name).map(|index| modes[index])
    }
}

/// Writes one result. Rows are written as they come, except where a table must know all widths first.
pub struct Printer<'a> {
    out: &'a mut dyn Write,
    mode: Mode,
    headers: bool,
    names: Vec<String>,
    /// The rows of an aligned table, until its end.
    cells: Vec<Vec<String>>,
    rows: u64,
}

impl<'a> Printer<'a> {
    /// A result with columns of these names.
    pub fn new(out: &'a mut dyn Write, mode: Mode, headers: bool, names: Vec<String>) -> Self {
        Printer { out, mode, headers, names, cells: Vec::new(), rows: 0 }
    }

    /// Writes a row.
    pub fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.rows += 1;
        let first = self.rows == 1;
        match self.mode {
            Mode::Table | Mode::Markdown => {
                self.cells.push(values.iter().map(plain).collect());
                Ok(())
            }
            Mode::List => {
                if first && self.headers {
                    writeln!(self.out, "{}", self.names.join("|"))?;
                }
                let cells: Vec<String> = values.iter().map(plain).collect();
                writeln!(self.out, "{}", cells.join("|"))
            }
            Mode::Csv => {
                if first {
                    write_csv(self.out, self.names.iter().map(String::as_str))?;
                }
                let cells: Vec<String> = values.iter().map(plain).collect();
                write_csv(self.out, cells.iter().map(String::as_str))
            }
            Mode::Json => self.json_row(values),
            Mode::Line => self.line_row(values),
        }
    }

    fn json_row(&mut self, values: &[Value]) -> io::Result<()> {
        let object: serde_json::Map<String, serde_json::Value> = self
            .names
            .iter()
            .cloned()
            .zip(values.iter().map(|value| value_to_json(value.as_ref())))
            .collect();
        let lead = if self.rows == 1 { "[" } else { ",\n" };
        write!(self.out, "{lead}{}", serde_json::Value::Object(object))
    }

    fn line_row(&mut self, values: &[Value]) -> io::Result<()> {
        if self.rows > 1 {
            writeln!(self.out)?;
        }
        let width = self.names.iter().map(|name| width(name)).max().unwrap_or(0);
        for (name, value) in self.names.iter().zip(values) {
            writeln!(
                self.out,
                "{}{name} = {}",
                " ".repeat(width - crate::output::width(name)),
                plain(value)
            )?;
        }
        Ok(())
    }

    /// Writes what is left. Returns the number of rows.
    pub fn finish(mut self) -> io::Result<u64> {
        match self.mode {
            Mode::Json if self.rows > 0 => writeln!(self.out, "]")?,
            Mode::Json => writeln!(self.out, "[]")?,
            Mode::Table if self.rows > 0 => self.table("─", ["┌", "┬", "┐"], "│")?,
            Mode::Markdown if self.rows > 0 => self.table("-", ["|", "|", "|"], "|")?,
            _ => {}
        }
        Ok(self.rows)
    }

    fn table(&mut self, dash: &str, corners: [&str; 3], bar: &str) -> io::Result<()> {
        let widths: Vec<usize> = (0..self.names.len())
            .map(|i| {
                self.cells.iter().map(|row| width(&row[i])).max().unwrap_or(0).max(width(&self.names[i]))
            })
            .collect();
        let rule = |left: &str, middle: &str, right: &str| {
            let dashes: Vec<String> = widths.iter().map(|width| dash.repeat(width + 2)).collect();
            format!("{left}{}{right}", dashes.join(middle))
        };
        let markdown = bar == "|";
        if !markdown {
            writeln!(self.out, "{}", rule(corners[0], corners[1], corners[2]))?;
        }
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, &wide)| {
                    let cell =
                        if markdown { cell.replace('|', "\\|").replace('\n', "<br>") } else { cell.clone() };
                    format!(" {cell}{} ", " ".repeat(wide.saturating_sub(width(&cell))))
                })
                .collect();
            format!("{bar}{}{bar}", padded.join(bar))
        };
        writeln!(self.out, "{}", line(&self.names))?;
        let (left, middle, right) = if markdown { ("|", "|", "|") } else { ("├", "┼", "┤") };
        writeln!(self.out, "{}", rule(left, middle, right))?;
        for row in &self.cells {
            writeln!(self.out, "{}", line(row))?;
        }
        if !markdown {
            writeln!(self.out, "{}", rule("└", "┴", "┘"))?;
        }
        Ok(())
    }
}

/// The number of character cells, near enough: combining marks and wide characters are not told apart.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// A value as SQLite's shell shows it: text as it is, blobs in hex, NULL as nothing.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
        other => dosql::types::to_text(other.as_ref()).to_string(),
    }
}

fn write_csv<'a>(out: &mut dyn Write, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

/// The error of an output that can't be written.
pub(crate) fn written(error: io::Error) -> Error {
    Error::io("writing the output", &error)
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use dosql::ValueRef;

    use super::*;

    fn printed(mode: Mode) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, mode, true, vec!["id".into(), "name".into()]);
        printer.row(&[Value::Integer(1), Value::Text("a,\"b\"".into())]).unwrap();
        printer.row(&[Value::Null, Value::Text("ü|".into())]).unwrap();
        assert_eq!(printer.finish().unwrap(), 2);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_mode_writes_what_its_readers_expect() {
        assert_eq!(printed(Mode::List), "id|name\n1|a,\"b\"\n|ü|\n");
        assert_eq!(printed(Mode::Csv), "id,name\r\n1,\"a,\"\"b\"\"\"\r\n,ü|\r\n");
        assert_eq!(
            printed(Mode::Json),
            "[{\"id\":1,\"name\":\"a,\\\"b\\\"\"},\n{\"id\":null,\"name\":\"ü|\"}]\n"
        );
        assert_eq!(printed(Mode::Line), "  id = 1\nname = a,\"b\"\n\n  id = \nname = ü|\n");
        let table = "┌────┬───────┐\n│ id │ name  │\n├────┼───────┤\n│ 1  │ a,\"b\" │\n│    │ ü|    │\n└────┴───────┘\n";
        assert_eq!(printed(Mode::Table), table);
        assert_eq!(
            printed(Mode::Markdown),
            "| id | name  |\n|----|-------|\n| 1  | a,\"b\" |\n|    | ü\\|   |\n"
        );
    }

    #[test]
    fn json_keeps_integers_exact_and_reals_apart() {
        assert_eq!(value_to_json(ValueRef::Integer(i64::MAX)).to_string(), "9223372036854775807");
        assert_eq!(value_to_json(ValueRef::Real(1.0)).to_string(), "1.0");
        assert_eq!(value_to_json(ValueRef::Real(f64::NEG_INFINITY)).to_string(), r#"{"real":"-inf"}"#);
        assert_eq!(value_to_json(ValueRef::Blob(&[0, 255])).to_string(), r#"{"blob":"00ff"}"#);
    }
}
