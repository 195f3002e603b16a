//! LIKE and GLOB. Matching is linear in the text for every star: the last star alone is tried again, which
//! suffices for both languages, so no pattern takes exponential time.

/// What one step of a pattern asks of a character.
enum Step<'p> {
    /// Any number of characters.
    Many,
    /// Any one character.
    One,
    /// This character.
    Exactly(char),
    /// One character of a GLOB set, the text between its brackets.
    Set(&'p str),
    /// Nothing: the pattern is malformed here.
    Never,
}

/// Whether `text LIKE pattern ESCAPE escape`: `%` is any run of characters, `_` any one, ASCII letters match in
/// either case, and the character after `escape` stands for itself.
#[must_use]
pub fn like<'p>(pattern: &'p str, text: &str, escape: Option<char>) -> bool {
    let next = |rest: &mut &'p str| like_step(rest, escape);
    matches(pattern, text, next, |a, b| a == b || a.eq_ignore_ascii_case(&b))
}

/// As [`like`], but letters match in their own case only: `PRAGMA case_sensitive_like`.
#[must_use]
pub fn like_case_sensitive<'p>(pattern: &'p str, text: &str, escape: Option<char>) -> bool {
    let next = |rest: &mut &'p str| like_step(rest, escape);
    matches(pattern, text, next, |a, b| a == b)
}

/// Whether `text GLOB pattern`: `*` is any run of characters, `?` any one, `[a-z]` one of a set, `[^a-z]` one
/// outside it.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    matches(pattern, text, glob_step, |a, b| a == b)
}

fn take_char(rest: &mut &str) -> Option<char> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    *rest = chars.as_str();
    Some(first)
}

fn like_step<'p>(rest: &mut &'p str, escape: Option<char>) -> Option<Step<'p>> {
    let first = take_char(rest)?;
    Some(match first {
        _ if Some(first) == escape => take_char(rest).map_or(Step::Never, Step::Exactly),
        '%' => Step::Many,
        '_' => Step::One,
        _ => Step::Exactly(first),
    })
}

fn glob_step<'p>(rest: &mut &'p str) -> Option<Step<'p>> {
    let first = take_char(rest)?;
    Some(match first {
        '*' => Step::Many,
        '?' => Step::One,
        '[' => {
            // A `]` right after the bracket (or its `^`) is a member, not the end.
            let body = *rest;
            let skip = usize::from(body.starts_with('^'));
            let skip = skip + usize::from(body[skip..].starts_with(']'));
            match body[skip..].find(']') {
                Some(end) => {
                    *rest = &body[skip + end + 1..];
                    Step::Set(&body[..skip + end])
                }
                None => Step::Never,
            }
        }
        _ => Step::Exactly(first),
    })
}

fn in_set(set: &str, wanted: char) -> bool {
    let (inverted, members) = match set.strip_prefix('^') {
        Some(members) => (true, members),
        None => (false, set),
    };
    let mut found = false;
    let mut previous: Option<char> = None;
    let mut rest = members;
    while let Some(member) = take_char(&mut rest) {
        match (member, previous, rest.chars().next()) {
            ('-', Some(low), Some(high)) => {
                found |= low <= wanted && wanted <= high;
                take_char(&mut rest);
                previous = None;
            }
            _ => {
                found |= member == wanted;
                previous = Some(member);
            }
        }
    }
    found != inverted
}

fn matches<'p>(
    pattern: &'p str,
    text: &str,
    next: impl Fn(&mut &'p str) -> Option<Step<'p>>,
    same: impl Fn(char, char) -> bool,
) -> bool {
    let mut rest = pattern;
    let mut left = text;
    // Where to go on when the pattern after the last star fails: one character further into the text.
    let mut retry: Option<(&'p str, &str)> = None;
    loop {
        let matched = match next(&mut rest) {
            None if left.is_empty() => return true,
            None => false,
            Some(Step::Many) => {
                if rest.is_empty() {
                    return true;
                }
                retry = Some((rest, left));
                continue;
            }
            Some(Step::Never) => return false,
            Some(Step::One) => take_char(&mut left).is_some(),
            Some(Step::Exactly(wanted)) => take_char(&mut left).is_some_and(|found| same(wanted, found)),
            Some(Step::Set(set)) => take_char(&mut left).is_some_and(|found| in_set(set, found)),
        };
        if matched {
            continue;
        }
        let Some((pattern_again, mut text_again)) = retry else { return false };
        if take_char(&mut text_again).is_none() {
            return false;
        }
        retry = Some((pattern_again, text_again));
        rest = pattern_again;
        left = text_again;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_knows_its_wildcards() {
        assert!(like("a%c", "ABBC", None));
        assert!(like("%", "", None));
        assert!(!like("_", "", None));
        assert!(like("_", "ä", None));
        assert!(!like("Ä", "ä", None));
        assert!(like("10\\%", "10%", Some('\\')));
        assert!(!like("10\\%", "100", Some('\\')));
        assert!(!like("a\\", "a", Some('\\')));
        assert!(like("%%_%", "x", None));
    }

    #[test]
    fn glob_knows_sets() {
        assert!(glob("[a-c]x*", "bxyz"));
        assert!(!glob("[^a-c]", "b"));
        assert!(glob("[]]", "]"));
        assert!(glob("[^]]", "a"));
        assert!(glob("[a-]", "-"));
        assert!(!glob("[a", "a"));
        assert!(!glob("ABC", "abc"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = "a".repeat(2_000);
        assert!(!like(&"a%".repeat(40).replace("a%", "%a%a"), &format!("{}b", &text[..30]), None));
        assert!(!like(&format!("{}b", "%a".repeat(50)), &text, None));
    }
}
