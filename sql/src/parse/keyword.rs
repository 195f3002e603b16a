//! Keywords: which words are, found by a hash of length, first and last letter.

use super::token::{KEYWORDS, Token};

const BUCKETS: usize = 256;
const LONGEST: usize = "CURRENT_TIMESTAMP".len();
const NONE: u8 = u8::MAX;

/// `FIRST[hash]` is the first keyword of a bucket, `NEXT[keyword]` the one behind it.
const TABLE: ([u8; BUCKETS], [u8; KEYWORDS.len()]) = build();
static FIRST: [u8; BUCKETS] = TABLE.0;
static NEXT: [u8; KEYWORDS.len()] = TABLE.1;

const fn bucket(word: &[u8]) -> usize {
    let first = word[0] & 0xDF;
    let last = word[word.len() - 1] & 0xDF;
    ((first as usize * 4) ^ (last as usize * 3) ^ (word.len() * 23)) % BUCKETS
}

const fn build() -> ([u8; BUCKETS], [u8; KEYWORDS.len()]) {
    assert!(KEYWORDS.len() < NONE as usize);
    let mut first = [NONE; BUCKETS];
    let mut next = [NONE; KEYWORDS.len()];
    let mut keyword = 0;
    while keyword < KEYWORDS.len() {
        let bucket = bucket(KEYWORDS[keyword].0.as_bytes());
        next[keyword] = first[bucket];
        first[bucket] = keyword as u8;
        keyword += 1;
    }
    (first, next)
}

/// Whether a word is a keyword, so that it needs quotes to be a name.
#[must_use]
pub fn is_keyword(word: &str) -> bool {
    classify(word) != Token::Identifier
}

/// The keyword that a word of the text is, in any case of its letters; [`Token::Identifier`] for none.
pub(super) fn classify(word: &str) -> Token {
    let bytes = word.as_bytes();
    if bytes.len() < 2 || bytes.len() > LONGEST {
        return Token::Identifier;
    }
    let mut keyword = FIRST[bucket(bytes)];
    while let Some((text, token)) = KEYWORDS.get(keyword as usize) {
        if text.len() == bytes.len() && text.as_bytes().eq_ignore_ascii_case(bytes) {
            return *token;
        }
        keyword = NEXT[keyword as usize];
    }
    Token::Identifier
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case() {
        for (text, token) in KEYWORDS {
            assert_eq!(classify(text), *token);
            assert_eq!(classify(&text.to_lowercase()), *token);
        }
    }

    #[test]
    fn words_that_are_no_keywords_are_identifiers() {
        for word in ["a", "selec", "selects", "ünion", "tables", "current_timestamp_", "_"] {
            assert_eq!(classify(word), Token::Identifier);
        }
    }

    #[test]
    fn buckets_are_short() {
        for first in FIRST {
            let (mut keyword, mut length) = (first, 0);
            while keyword != NONE {
                keyword = NEXT[keyword as usize];
                length += 1;
            }
            assert!(length <= 4, "a bucket holds {length} keywords");
        }
    }
}
