//! Scripts: text that must be UTF-8, and places in it.

use std::io::Read;

use dosql::{Error, Result};

/// Reads a script; where it is not UTF-8, the error says at which line and column.
pub fn read_script(mut source: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).map_err(|error| Error::io("reading the script", &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let (line, column) = line_and_column(&error.as_bytes()[..valid]);
        Error::invalid(format!("the script is not UTF-8 at line {line}, column {column}"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The line and column (both from 1, columns in characters) that come after `before`.
#[must_use]
pub fn line_and_column(before: &[u8]) -> (usize, usize) {
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    (line, 1 + String::from_utf8_lossy(&before[line_start..]).chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_lines_and_characters() {
        assert_eq!(line_and_column(b""), (1, 1));
        assert_eq!(line_and_column("a\nü".as_bytes()), (2, 2));
    }
}
