//! JSON text to JSONB, in one pass without recursion. Reads JSON5 too, and says whether it was needed.

use super::jsonb::{self, Kind, MAX_DEPTH};
use super::text::escape_len;

/// A text that has been read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The JSONB.
    pub(super) blob: Vec<u8>,
    /// Whether the text is JSON5 but not JSON (RFC 8259).
    pub(super) json5: bool,
}

/// Reads a text; fails with the byte offset where it stops being JSON5.
pub(super) fn parse(text: &str) -> Result<Parsed, usize> {
    let mut parser =
        Parser { text: text.as_bytes(), at: 0, out: Vec::with_capacity(text.len() + 16), json5: false };
    parser.document()?;
    Ok(Parsed { blob: parser.out, json5: parser.json5 })
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    out: Vec<u8>,
    json5: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> u8 {
        // NUL ends a text for every rule below; a real NUL is no part of JSON either.
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn document(&mut self) -> Result<(), usize> {
        // Open containers: whether an object, and where its head is.
        let mut open: Vec<(bool, usize)> = Vec::new();
        'value: loop {
            self.space();
            let byte = self.peek(0);
            let opens = matches!(byte, b'{' | b'[');
            if opens {
                if open.len() >= MAX_DEPTH {
                    return Err(self.at);
                }
                let kind = if byte == b'{' { Kind::Object } else { Kind::Array };
                open.push((byte == b'{', jsonb::open(&mut self.out, kind)));
                self.at += 1;
            } else {
                self.scalar()?;
            }
            let mut first = opens;
            while let Some(&(object, head)) = open.last() {
                let close = if object { b'}' } else { b']' };
                self.space();
                let mut comma = false;
                if !first && self.peek(0) == b',' {
                    comma = true;
                    self.at += 1;
                    self.space();
                }
                if self.peek(0) == close {
                    self.json5 |= comma;
                    self.at += 1;
                    jsonb::close(&mut self.out, head);
                    open.pop();
                    first = false;
                    continue;
                }
                if !first && !comma {
                    return Err(self.at);
                }
                if object {
                    self.label()?;
                }
                continue 'value;
            }
            self.space();
            return if self.at == self.text.len() { Ok(()) } else { Err(self.at) };
        }
    }

    /// Skips white space, and the comments and spaces of JSON5.
    fn space(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => match json5_space(self.rest()) {
                    0 => return,
                    len => {
                        self.json5 = true;
                        self.at += len;
                    }
                },
            }
        }
    }

    /// A label and its colon.
    fn label(&mut self) -> Result<(), usize> {
        if matches!(self.peek(0), b'"' | b'\'') {
            self.string()?;
        } else {
            self.identifier()?;
        }
        self.space();
        if self.peek(0) != b':' {
            return Err(self.at);
        }
        self.at += 1;
        Ok(())
    }

    /// A label without quotes.
    fn identifier(&mut self) -> Result<(), usize> {
        let mut len = 0;
        let mut kind = Kind::Text;
        loop {
            let rest = self.rest().get(len..).unwrap_or_default();
            match rest.first() {
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$') => len += 1,
                Some(b'0'..=b'9') if len > 0 => len += 1,
                Some(0x80..) if json5_space(rest) == 0 => len += 1,
                Some(b'\\') if rest.get(1) == Some(&b'u') && escape_len(&rest[1..]).is_some() => {
                    kind = Kind::TextJ;
                    len += 6;
                }
                _ => break,
            }
        }
        if len == 0 {
            return Err(self.at);
        }
        self.json5 = true;
        self.put(kind, self.at, self.at + len);
        Ok(())
    }

    /// Appends the text between two offsets as an element, and goes on after it.
    fn put(&mut self, kind: Kind, from: usize, to: usize) {
        jsonb::put(&mut self.out, kind, self.text.get(from..to).unwrap_or_default());
        self.at = to;
    }

    fn scalar(&mut self) -> Result<(), usize> {
        match self.peek(0) {
            b'"' | b'\'' => self.string(),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    /// `true`, `false`, `null`, and JSON5's names of what is no number.
    fn word(&mut self) -> Result<(), usize> {
        const WORDS: [(&[u8], Kind); 3] =
            [(b"true", Kind::True), (b"false", Kind::False), (b"null", Kind::Null)];
        const NAMES: [(&[u8], Kind); 5] = [
            (b"infinity", Kind::Float),
            (b"inf", Kind::Float),
            (b"nan", Kind::Null),
            (b"qnan", Kind::Null),
            (b"snan", Kind::Null),
        ];
        let len = self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let word = &self.rest()[..len];
        if let Some((_, kind)) = WORDS.iter().find(|(name, _)| *name == word) {
            self.out.push(*kind as u8);
        } else if let Some((_, kind)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            jsonb::put(&mut self.out, *kind, if *kind == Kind::Float { b"9e999" } else { b"" });
            self.json5 = true;
        } else {
            return Err(self.at);
        }
        self.at += len;
        Ok(())
    }

    fn string(&mut self) -> Result<(), usize> {
        let quote = self.peek(0);
        self.json5 |= quote == b'\'';
        let start = self.at + 1;
        let mut at = start;
        let mut kind = Kind::Text;
        loop {
            match self.text.get(at).copied() {
                None | Some(0) => return Err(at.min(self.text.len())),
                Some(byte) if byte == quote => break,
                Some(b'\\') => {
                    let escape = escape_len(self.text.get(at + 1..).unwrap_or_default());
                    let (len, json5) = escape.ok_or(at)?;
                    if json5 {
                        self.json5 = true;
                        kind = Kind::Text5;
                    } else if kind == Kind::Text {
                        kind = Kind::TextJ;
                    }
                    at += 1 + len;
                }
                Some(byte) => {
                    if byte < 0x20 {
                        self.json5 = true;
                        kind = Kind::Text5;
                    } else if byte == b'"' {
                        kind = Kind::Text5;
                    }
                    at += 1;
                }
            }
        }
        self.put(kind, start, at);
        self.at = at + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), usize> {
        let start = self.at;
        let sign = usize::from(matches!(self.peek(0), b'-' | b'+'));
        let plus = usize::from(self.peek(0) == b'+');
        self.json5 |= plus == 1;
        let digit = |byte: u8| byte.is_ascii_digit();
        let body = start + sign;
        match (self.peek(sign), self.peek(sign + 1)) {
            (b'0', b'x' | b'X') if self.peek(sign + 2).is_ascii_hexdigit() => {
                let digits = self.text.get(body + 2..).unwrap_or_default();
                let len = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                self.json5 = true;
                self.put(Kind::Int5, start + plus, body + 2 + len);
                return Ok(());
            }
            (b'0', next) if digit(next) => return Err(body),
            (b'.', next) if digit(next) => {}
            (first, _) if digit(first) => {}
            (b'i' | b'I', _) if sign == 1 => return self.infinity(),
            _ => return Err(start),
        }
        self.float(start + plus, body)
    }

    /// `-inf`, `+Infinity`: written as a number too great for a float.
    fn infinity(&mut self) -> Result<(), usize> {
        let negative = self.peek(0) == b'-';
        let len = self.rest()[1..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let word = &self.rest()[1..=len];
        if !word.eq_ignore_ascii_case(b"inf") && !word.eq_ignore_ascii_case(b"infinity") {
            return Err(self.at);
        }
        self.json5 = true;
        jsonb::put(&mut self.out, Kind::Float, if negative { b"-9e999" } else { b"9e999" });
        self.at += 1 + len;
        Ok(())
    }

    /// Digits, a point, an exponent; `start` may have a minus before `body`.
    fn float(&mut self, start: usize, body: usize) -> Result<(), usize> {
        let count = |from: usize| {
            let digits = self.text.get(from..).unwrap_or_default();
            digits.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let at = |at: usize| self.text.get(at).copied().unwrap_or(0);
        let whole = count(body);
        let mut end = body + whole;
        let (mut float, mut bare) = (false, false);
        if at(end) == b'.' {
            float = true;
            let fraction = count(end + 1);
            // JSON wants digits on both sides of the point.
            bare = whole == 0 || fraction == 0;
            end += 1 + fraction;
        }
        if matches!(at(end), b'e' | b'E') {
            float = true;
            let signed = end + 1 + usize::from(matches!(at(end + 1), b'+' | b'-'));
            let exponent = count(signed);
            if exponent == 0 {
                return Err(end);
            }
            end = signed + exponent;
        }
        if matches!(at(end), b'.' | b'e' | b'E') {
            return Err(end);
        }
        self.json5 |= bare;
        let kind = match (float, bare) {
            (false, _) => Kind::Int,
            (true, false) => Kind::Float,
            (true, true) => Kind::Float5,
        };
        self.put(kind, start, end);
        Ok(())
    }
}

/// The length of the white space or comment that only JSON5 has at the start of `rest`; 0 where there is none.
fn json5_space(rest: &[u8]) -> usize {
    match *rest {
        [0x0B | 0x0C, ..] => 1,
        [b'/', b'*', ref comment @ ..] => memchr::memmem::find(comment, b"*/").map_or(0, |end| end + 4),
        [b'/', b'/', ref comment @ ..] => {
            let text = comment.len();
            let newline = memchr::memchr2(b'\n', b'\r', comment).unwrap_or(text);
            let separator = memchr::memmem::find(comment, "\u{2028}".as_bytes()).unwrap_or(text);
            2 + newline
                .min(separator)
                .min(memchr::memmem::find(comment, "\u{2029}".as_bytes()).unwrap_or(text))
        }
        [0xC2, 0xA0, ..] => 2,
        [0xE1, 0x9A, 0x80, ..] | [0xE3, 0x80, 0x80, ..] | [0xEF, 0xBB, 0xBF, ..] => 3,
        [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..] | [0xE2, 0x81, 0x9F, ..] => 3,
        _ => 0,
    }
}
