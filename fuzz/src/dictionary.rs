//! Dictionaries: words that a target's inputs are made of, in the format of AFL and libFuzzer. A line is a comment, or `"word"`
//! with `\\`, `\"` and `\xAB`, perhaps after `name=`.

use std::path::Path;

/// The words for the inputs of this target; none for those that are no text.
pub fn words(target: &str) -> Vec<Vec<u8>> {
    let own = |name: &str| format!("dictionaries/{name}.dict");
    let files = match target {
        // The shared corpora lie beside the repository, where they are present.
        "parse" | "script" | "pages_sql" => vec![own("sql"), "../../shared/fuzz/sql.dict".to_owned()],
        "csv" => vec![own("csv")],
        "pipe" => vec![own("pipe"), own("sql")],
        _ => Vec::new(),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = files.into_iter().filter_map(|file| std::fs::read_to_string(root.join(file)).ok());
    texts.flat_map(|text| text.lines().filter_map(word).collect::<Vec<_>>()).collect()
}

/// The word of a line, if it has one.
fn word(line: &str) -> Option<Vec<u8>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let inside = line.get(line.find('"')? + 1..line.rfind('"')?)?;
    let mut word = Vec::new();
    let mut bytes = inside.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            word.push(byte);
            continue;
        }
        match bytes.next()? {
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                word.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            other => word.push(other),
        }
    }
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_or_none() {
        assert_eq!(word(r#"name="a\x00\"b\\""#).unwrap(), b"a\0\"b\\");
        assert_eq!(word("# \"comment\""), None);
        assert_eq!(word(""), None);
        assert_eq!(word("\"\\x0"), None);
    }

    #[test]
    fn the_committed_dictionaries_are_found() {
        for target in ["script", "csv", "pipe"] {
            assert!(words(target).len() > 10, "{target}");
        }
        assert!(words("keyspace").is_empty());
    }
}
