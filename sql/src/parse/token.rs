//! Tokens: the words, literals and signs of SQL, and the lexer that cuts a text into them.
//!
//! logos dispatches on the first bytes of a token; the callbacks below find its end with plain loops, because logos'
//! own loops over tokens and blanks are calls in tail position, which only an optimiser makes flat.

use logos::{Lexer as Logos_, Logos};

use super::ast::Span;
use super::keyword;

macro_rules! tokens {
    (soft { $($soft:ident $soft_text:literal,)* } reserved { $($hard:ident $hard_text:literal,)* }) => {
        /// The kind of a token.
        #[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Token {
            /// The end of the text.
            End,
            /// What no token starts with, a malformed number or blob, a string without its end.
            Illegal,
            #[token("--", line_comment)]
            #[token("/*", block_comment)]
            Comment,
            #[regex(r"[A-Za-z_]", word)]
            #[regex(r"[^\x00-\x7F]", word)]
            Identifier,
            #[token("\"", quoted)]
            #[token("`", quoted)]
            #[token("[", bracketed)]
            QuotedName,
            #[token("'", quoted)]
            String,
            #[regex("[xX]'", blob)]
            Blob,
            #[regex(r"[0-9]", number)]
            #[regex(r"\.[0-9]", number)]
            Number,
            #[token("?", numbered_parameter)]
            #[regex("[:@$]", named_parameter)]
            Parameter,
            #[token(";")]
            Semicolon,
            #[token("(")]
            LeftParen,
            #[token(")")]
            RightParen,
            #[token(",")]
            Comma,
            #[token(".")]
            Dot,
            #[token("+")]
            Plus,
            #[token("-")]
            Minus,
            #[token("*")]
            Star,
            #[token("/")]
            Slash,
            #[token("%")]
            Percent,
            #[token("=")]
            #[token("==")]
            Equal,
            #[token("!=")]
            #[token("<>")]
            NotEqual,
            #[token("<")]
            Less,
            #[token("<=")]
            LessEqual,
            #[token(">")]
            Greater,
            #[token(">=")]
            GreaterEqual,
            #[token("<<")]
            ShiftLeft,
            #[token(">>")]
            ShiftRight,
            #[token("&")]
            Ampersand,
            #[token("|")]
            Bar,
            #[token("||")]
            Concat,
            #[token("~")]
            Tilde,
            #[token("->")]
            Arrow,
            #[token("->>")]
            LongArrow,
            $($soft,)*
            $($hard,)*
        }

        /// All keywords in capitals; those that may also be names come first.
        pub(super) const KEYWORDS: &[(&str, Token)] =
            &[$(($soft_text, Token::$soft),)* $(($hard_text, Token::$hard),)*];
    };
}

tokens! {
    soft {
        Abort "ABORT",
        Action "ACTION",
        After "AFTER",
        Always "ALWAYS",
        Analyze "ANALYZE",
        Asc "ASC",
        Attach "ATTACH",
        Before "BEFORE",
        Begin "BEGIN",
        By "BY",
        Cascade "CASCADE",
        Cast "CAST",
        Column "COLUMN",
        Conflict "CONFLICT",
        Current "CURRENT",
        CurrentDate "CURRENT_DATE",
        CurrentTime "CURRENT_TIME",
        CurrentTimestamp "CURRENT_TIMESTAMP",
        Database "DATABASE",
        Deferred "DEFERRED",
        Desc "DESC",
        Detach "DETACH",
        Do "DO",
        Each "EACH",
        EndKeyword "END",
        Exclude "EXCLUDE",
        Exclusive "EXCLUSIVE",
        Explain "EXPLAIN",
        Fail "FAIL",
        First "FIRST",
        Following "FOLLOWING",
        For "FOR",
        Generated "GENERATED",
        Glob "GLOB",
        Groups "GROUPS",
        If "IF",
        Ignore "IGNORE",
        Immediate "IMMEDIATE",
        Initially "INITIALLY",
        Instead "INSTEAD",
        Key "KEY",
        Last "LAST",
        Like "LIKE",
        Match "MATCH",
        Materialized "MATERIALIZED",
        No "NO",
        Nulls "NULLS",
        Of "OF",
        Offset "OFFSET",
        Others "OTHERS",
        Partition "PARTITION",
        Plan "PLAN",
        Pragma "PRAGMA",
        Preceding "PRECEDING",
        Query "QUERY",
        Raise "RAISE",
        Range "RANGE",
        Recursive "RECURSIVE",
        Regexp "REGEXP",
        Reindex "REINDEX",
        Release "RELEASE",
        Rename "RENAME",
        Replace "REPLACE",
        Restrict "RESTRICT",
        Rollback "ROLLBACK",
        Row "ROW",
        Rows "ROWS",
        Savepoint "SAVEPOINT",
        Temp "TEMP",
        Temporary "TEMPORARY",
        Ties "TIES",
        Trigger "TRIGGER",
        Unbounded "UNBOUNDED",
        Vacuum "VACUUM",
        View "VIEW",
        Virtual "VIRTUAL",
        With "WITH",
        Without "WITHOUT",
    }
    reserved {
        Indexed "INDEXED",
        Cross "CROSS",
        Full "FULL",
        Inner "INNER",
        Left "LEFT",
        Natural "NATURAL",
        Outer "OUTER",
        Right "RIGHT",
        Add "ADD",
        All "ALL",
        Alter "ALTER",
        And "AND",
        As "AS",
        Autoincrement "AUTOINCREMENT",
        Between "BETWEEN",
        Case "CASE",
        Check "CHECK",
        Collate "COLLATE",
        Commit "COMMIT",
        Constraint "CONSTRAINT",
        Create "CREATE",
        Default "DEFAULT",
        Deferrable "DEFERRABLE",
        Delete "DELETE",
        Distinct "DISTINCT",
        Drop "DROP",
        Else "ELSE",
        Escape "ESCAPE",
        Except "EXCEPT",
        Exists "EXISTS",
        Filter "FILTER",
        Foreign "FOREIGN",
        From "FROM",
        Group "GROUP",
        Having "HAVING",
        In "IN",
        Index "INDEX",
        Insert "INSERT",
        Intersect "INTERSECT",
        Into "INTO",
        Is "IS",
        IsNull "ISNULL",
        Join "JOIN",
        Limit "LIMIT",
        Not "NOT",
        Nothing "NOTHING",
        NotNull "NOTNULL",
        Null "NULL",
        On "ON",
        Or "OR",
        Order "ORDER",
        Over "OVER",
        Primary "PRIMARY",
        References "REFERENCES",
        Returning "RETURNING",
        Select "SELECT",
        Set "SET",
        Table "TABLE",
        Then "THEN",
        To "TO",
        Transaction "TRANSACTION",
        Union "UNION",
        Unique "UNIQUE",
        Update "UPDATE",
        Using "USING",
        Values "VALUES",
        When "WHEN",
        Where "WHERE",
        Window "WINDOW",
    }
}

impl Token {
    /// Whether it can be any name without AS in front: SQLite's ID, with the keywords that fall back to it.
    pub(super) const fn is_id(self) -> bool {
        matches!(self, Token::Identifier | Token::QuotedName)
            || (self as u8 >= Token::Abort as u8 && self as u8 <= Token::Without as u8)
    }

    /// Whether it is a word of a join, or INDEXED: names where no join can stand.
    const fn is_join_word(self) -> bool {
        self as u8 >= Token::Indexed as u8 && self as u8 <= Token::Right as u8
    }

    /// Whether WINDOW or OVER in front of it may be a keyword.
    fn is_window_name(self) -> bool {
        (self.is_name() && self != Token::Indexed) || matches!(self, Token::Window | Token::Over)
    }

    /// Whether it can name a column or a function where an expression starts.
    pub(super) const fn is_column_name(self) -> bool {
        self.is_id() || self.is_join_word()
    }

    /// Whether it can name a table or a schema in front of a dot, where an expression starts.
    pub(super) const fn is_qualifier(self) -> bool {
        !matches!(
            self,
            Token::Cast | Token::Raise | Token::CurrentDate | Token::CurrentTime | Token::CurrentTimestamp
        ) && self.is_name()
    }

    /// Whether it can be a name where only a name can stand: SQLite's nm.
    pub(super) const fn is_name(self) -> bool {
        self.is_column_name() || matches!(self, Token::String)
    }
}

/// Cuts a text into tokens. Blanks and comments come with none.
#[derive(Clone)]
pub(super) struct Lexer<'s> {
    tokens: Logos_<'s, Token>,
    open_comment: bool,
}

impl<'s> Lexer<'s> {
    /// A lexer of `sql` from the byte `from`, which is the start of a character.
    pub(super) fn new(sql: &'s str, from: usize) -> Self {
        let mut tokens = Token::lexer(sql);
        let from = if from == 0 && sql.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { from };
        tokens.bump(from);
        Lexer { tokens, open_comment: false }
    }

    /// The next token; [`Token::End`] again and again behind the last.
    ///
    /// WINDOW, OVER and FILTER are names except in the places where a window or a filter can begin: `previous` is the
    /// token in front.
    #[inline]
    pub(super) fn next(&mut self, previous: Token) -> (Token, Span) {
        let (token, span) = self.raw();
        if matches!(token, Token::Window | Token::Over | Token::Filter)
            && !self.clone().is_clause(previous, token)
        {
            return (Token::Identifier, span);
        }
        (token, span)
    }

    fn is_clause(&mut self, previous: Token, token: Token) -> bool {
        let next = self.raw().0;
        match token {
            Token::Window => next.is_window_name() && self.raw().0 == Token::As,
            Token::Over => {
                previous == Token::RightParen && (next == Token::LeftParen || next.is_window_name())
            }
            _ => previous == Token::RightParen && next == Token::LeftParen,
        }
    }

    fn raw(&mut self) -> (Token, Span) {
        loop {
            let blanks = self
                .tokens
                .remainder()
                .bytes()
                .take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\n' | b'\x0C'..=b'\r'));
            let blanks = blanks.count();
            self.tokens.bump(blanks);
            let token = match self.tokens.next() {
                None => Token::End,
                Some(Err(())) => Token::Illegal,
                Some(Ok(Token::Comment)) => {
                    self.open_comment |= is_open(self.tokens.slice());
                    continue;
                }
                Some(Ok(Token::Identifier)) => keyword::classify(self.tokens.slice()),
                Some(Ok(token)) => token,
            };
            let span = self.tokens.span();
            return (token, Span { start: span.start as u32, end: span.end as u32 });
        }
    }

    /// Whether a block comment without its end was passed.
    pub(super) fn open_comment(&self) -> bool {
        self.open_comment
    }
}

fn is_open(comment: &str) -> bool {
    comment.starts_with("/*") && (comment.len() < "/**/".len() || !comment.ends_with("*/"))
}

/// What may follow in a word: letters, digits, `_`, `$` and everything outside ASCII.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn count(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| wanted(**byte)).count()
}

fn word(lexer: &mut Logos_<'_, Token>) {
    lexer.bump(count(lexer.remainder().as_bytes(), is_word_byte));
}

fn line_comment(lexer: &mut Logos_<'_, Token>) {
    let rest = lexer.remainder();
    lexer.bump(memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len()));
}

fn block_comment(lexer: &mut Logos_<'_, Token>) {
    let rest = lexer.remainder();
    lexer.bump(memchr::memmem::find(rest.as_bytes(), b"*/").map_or(rest.len(), |at| at + 2));
}

/// Goes behind the closing quote; a doubled one stands for itself. `false` where there is none.
fn quoted(lexer: &mut Logos_<'_, Token>) -> bool {
    let rest = lexer.remainder().as_bytes();
    let quote = lexer.slice().as_bytes()[0];
    let mut at = 0;
    loop {
        match memchr::memchr(quote, &rest[at..]) {
            None => {
                lexer.bump(rest.len());
                return false;
            }
            Some(found) if rest.get(at + found + 1) == Some(&quote) => at += found + 2,
            Some(found) => {
                lexer.bump(at + found + 1);
                return true;
            }
        }
    }
}

fn bracketed(lexer: &mut Logos_<'_, Token>) -> bool {
    let rest = lexer.remainder().as_bytes();
    let end = memchr::memchr(b']', rest);
    lexer.bump(end.map_or(rest.len(), |at| at + 1));
    end.is_some()
}

fn blob(lexer: &mut Logos_<'_, Token>) -> bool {
    let rest = lexer.remainder().as_bytes();
    let digits = count(rest, |byte| byte.is_ascii_hexdigit());
    if rest.get(digits) == Some(&b'\'') && digits % 2 == 0 {
        lexer.bump(digits + 1);
        return true;
    }
    lexer.bump(memchr::memchr(b'\'', rest).map_or(rest.len(), |at| at + 1));
    false
}

/// Goes to the end of a number, and of the word that it runs into; `false` where it does, or where a `_` is not between
/// two digits.
fn number(lexer: &mut Logos_<'_, Token>) -> bool {
    let start = lexer.span().start;
    let text = &lexer.source().as_bytes()[start..];
    let mut at;
    let mut digit: fn(u8) -> bool = |byte| byte.is_ascii_digit();
    let hex = text[0] == b'0'
        && text.get(1).is_some_and(|byte| byte | 0x20 == b'x')
        && text.get(2).is_some_and(u8::is_ascii_hexdigit);
    if hex {
        digit = |byte| byte.is_ascii_hexdigit();
        at = 2 + count(&text[2..], |byte| byte.is_ascii_hexdigit() || byte == b'_');
    } else {
        let digits = |from: usize| count(&text[from..], |byte| byte.is_ascii_digit() || byte == b'_');
        at = digits(0);
        if text.get(at) == Some(&b'.') {
            at += 1;
            at += digits(at);
        }
        if text.get(at).is_some_and(|byte| byte | 0x20 == b'e') {
            let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
            if text.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                at += 1 + sign;
                at += digits(at);
            }
        }
    }
    let end = at + count(&text[at..], is_word_byte);
    lexer.bump(end - (lexer.span().end - start));
    let between_digits = |at: usize| digit(text[at - 1]) && text.get(at + 1).is_some_and(|byte| digit(*byte));
    end == at && memchr::memchr_iter(b'_', &text[..end]).all(between_digits)
}

fn numbered_parameter(lexer: &mut Logos_<'_, Token>) {
    lexer.bump(count(lexer.remainder().as_bytes(), |byte| byte.is_ascii_digit()));
}

/// `:name`, `@name`, `$name`, with Tcl's `::` and `(..)` in it; `false` for a bare sign.
fn named_parameter(lexer: &mut Logos_<'_, Token>) -> bool {
    let rest = lexer.remainder().as_bytes();
    let mut at = 0;
    let mut letters = 0;
    loop {
        let word = count(&rest[at..], is_word_byte);
        letters += word;
        at += word;
        if rest[at..].starts_with(b"::") {
            at += 2;
        } else {
            break;
        }
    }
    if letters > 0 && rest.get(at) == Some(&b'(') {
        let inside = count(&rest[at + 1..], |byte| byte != b')' && !byte.is_ascii_whitespace());
        if rest.get(at + 1 + inside) == Some(&b')') {
            at += inside + 2;
        }
    }
    lexer.bump(at);
    letters > 0
}
