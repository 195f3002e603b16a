//! Makes a script that shows a violation small: leaves out statements, then parts of statements, as long as what it ends with still
//! shows a violation of the same kind.

use crate::{Mismatch, Pair, with_hint};

/// How many scripts are tried at most.
const TRIES: usize = 3_000;

/// The smallest script found, and its mismatch.
pub fn shrink(script: &[String], mismatch: &Mismatch) -> (Vec<String>, Mismatch) {
    let mut script: Vec<String> = script.iter().map(|sql| with_hint(sql, "")).collect();
    script.push(mismatch.sql.clone());
    let (class, mut last) = (mismatch.class(), mismatch.clone());
    let script = smaller(script, 1, |setup, query| {
        let pair = Pair::new();
        if setup.iter().any(|sql| pair.check(sql).is_err()) {
            return false;
        }
        match pair.check(&query[0]) {
            Err(mismatch) if mismatch.class() == class => {
                last = *mismatch;
                true
            }
            _ => false,
        }
    });
    (script, last)
}

/// The smallest script found for which `shows` is true. It is given the statements and the last `fixed` texts, which stay, though
/// they too get shorter.
pub fn smaller(
    mut script: Vec<String>,
    fixed: usize,
    shows: impl FnMut(&[String], &[String]) -> bool,
) -> Vec<String> {
    let mut search = Search { shows, fixed, tries: 0 };
    search.statements(&mut script);
    for _ in 0..2 {
        for index in (0..script.len()).rev() {
            search.tokens(&mut script, index);
        }
        search.statements(&mut script);
    }
    script
}

struct Search<F> {
    shows: F,
    fixed: usize,
    tries: usize,
}

impl<F: FnMut(&[String], &[String]) -> bool> Search<F> {
    /// Whether the script still shows the violation.
    fn shows(&mut self, script: &[String]) -> bool {
        self.tries += 1;
        if self.tries > TRIES {
            return false;
        }
        let (setup, last) = script.split_at(script.len() - self.fixed);
        (self.shows)(setup, last)
    }

    fn statements(&mut self, script: &mut Vec<String>) {
        let mut size = script.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at + size + self.fixed <= script.len() {
                let mut without = script.clone();
                without.drain(at..at + size);
                if self.shows(&without) {
                    *script = without;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn tokens(&mut self, script: &mut [String], index: usize) {
        let mut tokens = split(&script[index]);
        let free = !["LIMIT", "OVER", "LAST"].iter().any(|word| script[index].contains(word));
        let mut size = (tokens.len() / 2).min(40);
        while size > 0 {
            let mut at = 0;
            while at < tokens.len() {
                let end = (at + size).min(tokens.len());
                let mut changed = false;
                for with in ["", "1", "NULL"] {
                    let mut shorter = tokens.clone();
                    if !with.is_empty() && (size == 1 || tokens[at..end].len() < 2) {
                        continue;
                    }
                    let with = (!with.is_empty()).then(|| with.to_owned());
                    let removed: Vec<String> = shorter.splice(at..end, with).collect();
                    if !fair(&removed, free) {
                        continue;
                    }
                    let old = std::mem::replace(&mut script[index], shorter.join(" "));
                    if self.shows(script) {
                        (tokens, changed) = (shorter, true);
                        break;
                    }
                    script[index] = old;
                }
                if !changed {
                    at += 1;
                }
            }
            size = if size > 8 { size / 2 } else { size - 1 };
        }
    }
}

/// Whether these may go: parentheses in pairs, and no part of an ORDER BY that a LIMIT may lean on.
fn fair(tokens: &[String], free: bool) -> bool {
    let mut depth = 0i32;
    for token in tokens {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "ORDER" | "COLLATE" if !free => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn split(sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in sql.chars() {
        if quoted {
            word.push(c);
            quoted = c != '\'';
        } else if c == '\'' {
            word.push(c);
            quoted = true;
        } else if c.is_whitespace() {
            flush(&mut word, &mut tokens);
        } else if "(),+*/|&".contains(c) && !(c == '|' && word == "|") {
            flush(&mut word, &mut tokens);
            word.push(c);
            if c != '|' {
                flush(&mut word, &mut tokens);
            }
        } else {
            word.push(c);
        }
    }
    flush(&mut word, &mut tokens);
    tokens
}

fn flush(word: &mut String, tokens: &mut Vec<String>) {
    if !word.is_empty() {
        tokens.push(std::mem::take(word));
    }
}
