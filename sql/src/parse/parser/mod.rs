//! The parser: recursive descent over tokens, one token ahead (rarely two).
//!
//! ```text
//! statement.rs   a script, a statement, transactions, PRAGMA and the like
//! select.rs      SELECT, VALUES, WITH, ORDER BY        from.rs    FROM and joins
//! expression.rs  operators by binding power            operand.rs what stands between them
//! call.rs        function calls, windows, frames       dml.rs     INSERT, UPDATE, DELETE
//! table.rs       CREATE TABLE and ALTER TABLE          schema.rs  indexes, views, triggers, DROP
//! ```
//!
//! Methods named after a clause expect to stand on its first token and leave the parser on the token behind it.

mod branch;
mod call;
mod dml;
mod expression;
mod feed;
mod from;
mod operand;
mod schema;
mod select;
mod statement;
mod table;
mod time;

use std::collections::BTreeMap;

use dosql_base::{Code, Error, ErrorKind, Result};

use super::ast::{Ast, Expr, ExprId, ExprKind, List, Name, NameId, QualifiedName, Span};
use super::literal;
use super::token::{Lexer, Token};
use crate::value::Text;

/// How high a tree of expressions and how deep a nesting may be.
pub const MAX_DEPTH: u32 = 1000;
/// The most columns of a result, a table, an index, a list of names.
pub const MAX_COLUMNS: usize = 2000;
/// The most SELECTs that UNION, INTERSECT and EXCEPT may join.
pub const MAX_COMPOUND_TERMS: usize = 500;
/// The most arguments of a function.
pub const MAX_ARGUMENTS: usize = 1000;
/// The greatest number of a parameter.
pub const MAX_PARAMETER: u32 = 32_766;
/// The most bytes of a text.
pub const MAX_LENGTH: usize = 1_000_000_000;

/// What one level of parentheses or operators takes from [`MAX_DEPTH`].
const EXPRESSION_DEPTH: u32 = 1;
/// What a function call, a CASE or a list takes.
const CALL_DEPTH: u32 = 1;
/// What a SELECT within a SELECT takes.
const SELECT_DEPTH: u32 = 8;

/// Reads one text.
pub(super) struct Parser<'s> {
    sql: &'s str,
    lexer: Lexer<'s>,
    /// The token that the parser stands on, and where it is.
    token: Token,
    span: Span,
    /// The token behind, once somebody asked for it.
    ahead: Option<(Token, Span)>,
    /// Where the token in front ended.
    end: u32,
    ast: Ast,
    depth: u32,
    /// The height of the highest expression since somebody last set it to 0.
    tallest: u16,
    /// The last literal 9223372036854775808.
    smallest_integer: Option<ExprId>,
    in_trigger: bool,
    /// The indexes of the parameters that have names.
    parameter_names: BTreeMap<&'s str, usize>,
}

impl<'s> Parser<'s> {
    /// A parser that stands on the first token of `sql` at or behind the byte `from`.
    pub(super) fn new(sql: &'s str, from: usize, mut ast: Ast) -> Result<Self> {
        if sql.len() > MAX_LENGTH {
            let message = format!("statement too long: {} bytes, the most is {MAX_LENGTH}", sql.len());
            return Err(Error::new(ErrorKind::Limit, Code::TooBig, message));
        }
        if !sql.is_char_boundary(from) {
            return Err(Error::invalid(format!(
                "no statement starts at byte {from}: it is not the start of a character"
            )));
        }
        ast.clear();
        let mut lexer = Lexer::new(sql, from);
        let (token, span) = lexer.next(Token::End);
        Ok(Parser {
            sql,
            lexer,
            token,
            span,
            ahead: None,
            end: span.start,
            ast,
            depth: 0,
            tallest: 0,
            smallest_integer: None,
            in_trigger: false,
            parameter_names: BTreeMap::new(),
        })
    }

    // ------------------------------------------------------------ tokens

    #[inline]
    fn advance(&mut self) {
        self.end = self.span.end;
        (self.token, self.span) = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.lexer.next(self.token),
        };
    }

    /// The token behind the one that the parser stands on.
    fn peek(&mut self) -> Token {
        if self.ahead.is_none() {
            self.ahead = Some(self.lexer.next(self.token));
        }
        self.ahead.map_or(Token::End, |(token, _)| token)
    }

    /// Whether the token behind is this word.
    fn peek_is_word(&mut self, word: &str) -> bool {
        self.peek() == Token::Identifier
            && self.ahead.is_some_and(|(_, span)| span.of(self.sql).eq_ignore_ascii_case(word))
    }

    /// The two tokens behind.
    fn peek_two(&mut self) -> (Token, Token) {
        let first = self.peek();
        (first, self.lexer.clone().next(first).0)
    }

    fn at(&self, token: Token) -> bool {
        self.token == token
    }

    /// Passes `token` if the parser stands on it.
    #[inline]
    fn eat(&mut self, token: Token) -> bool {
        let found = self.token == token;
        if found {
            self.advance();
        }
        found
    }

    #[inline]
    fn expect(&mut self, token: Token) -> Result<()> {
        if self.token != token {
            return Err(self.syntax_error());
        }
        self.advance();
        Ok(())
    }

    /// Passes a number without `_`, which SQLite takes in expressions alone.
    fn expect_plain_number(&mut self) -> Result<()> {
        if self.text().contains('_') {
            return Err(self.syntax_error());
        }
        self.expect(Token::Number)
    }

    fn expect_all(&mut self, tokens: &[Token]) -> Result<()> {
        tokens.iter().try_for_each(|token| self.expect(*token))
    }

    /// Whether the parser stands on this word, which is no keyword.
    fn at_word(&self, word: &str) -> bool {
        self.token == Token::Identifier && self.span.of(self.sql).eq_ignore_ascii_case(word)
    }

    fn text(&self) -> &'s str {
        self.span.of(self.sql)
    }

    /// From `start` to the end of the last token that was passed.
    fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.end.max(start) }
    }

    // ------------------------------------------------------------ errors

    /// The token that the parser stands on can't stand here.
    #[cold]
    fn syntax_error(&self) -> Error {
        let message = match self.token {
            Token::End => "incomplete input".to_owned(),
            Token::Illegal => format!("unrecognized token: \"{}\"", self.text()),
            _ => format!("near \"{}\": syntax error", self.text()),
        };
        Error::invalid(message).at_offset(self.span.start as usize)
    }

    #[cold]
    fn error_at(&self, span: Span, message: impl Into<String>) -> Error {
        Error::invalid(message).at_offset(span.start as usize)
    }

    #[cold]
    fn unsupported(&self, message: impl Into<String>) -> Error {
        Error::unsupported(message).at_offset(self.span.start as usize)
    }

    // ------------------------------------------------------------ depth

    /// Goes one construct deeper, which takes `cost` of the depth.
    fn descend(&mut self, cost: u32) -> Result<()> {
        self.depth += cost;
        if self.depth > MAX_DEPTH { Err(self.too_deep()) } else { Ok(()) }
    }

    fn ascend(&mut self, cost: u32) {
        self.depth -= cost;
    }

    #[cold]
    fn too_deep(&self) -> Error {
        let message = format!("Expression tree is too large (maximum depth {MAX_DEPTH})");
        Error::new(ErrorKind::Limit, Code::Error, message).at_offset(self.span.start as usize)
    }

    /// Adds an expression over parts of which the highest has the height `below`.
    #[inline]
    fn add(&mut self, kind: ExprKind, span: Span, below: u16) -> Result<ExprId> {
        let height = below + 1;
        if u32::from(height) > MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.tallest = self.tallest.max(height);
        self.ast.heights.push(height);
        Ok(self.ast.add(Expr { kind, span }))
    }

    fn height(&self, expr: ExprId) -> u16 {
        self.ast.heights.get(expr.0 as usize).copied().unwrap_or_default()
    }

    /// Starts to measure the expressions to come; [`Parser::measured`] gives the height of the highest.
    fn measure(&mut self) -> u16 {
        std::mem::take(&mut self.tallest)
    }

    fn measured(&mut self, outer: u16) -> u16 {
        let below = self.tallest;
        self.tallest = outer.max(below);
        below
    }

    // ------------------------------------------------------------ names

    /// Adds the name that the token spells, and passes it.
    #[inline]
    fn take_name(&mut self) -> NameId {
        let (text, quoted) = match self.token {
            Token::QuotedName | Token::String => (literal::unquote(self.text()), true),
            _ => (Text::new(self.text()), false),
        };
        let name = self.ast.add(Name { text, quoted, span: self.span });
        self.advance();
        name
    }

    /// A name where only a name can stand.
    #[inline]
    fn name(&mut self) -> Result<NameId> {
        if self.token.is_name() { Ok(self.take_name()) } else { Err(self.syntax_error()) }
    }

    /// A name that is no word of a join: a collation, for one.
    fn id_or_string(&mut self) -> Result<NameId> {
        let found = self.token.is_id() || self.token == Token::String;
        if found { Ok(self.take_name()) } else { Err(self.syntax_error()) }
    }

    /// `[schema.]name`
    fn qualified_name(&mut self) -> Result<QualifiedName> {
        let first = self.name()?;
        if !self.eat(Token::Dot) {
            return Ok(QualifiedName { schema: None, name: first });
        }
        Ok(QualifiedName { schema: Some(first), name: self.name()? })
    }

    /// `(name, ..)`
    fn names_in_parens(&mut self) -> Result<List<NameId>> {
        self.expect(Token::LeftParen)?;
        let names = self.names(|_, _| Ok(()))?;
        self.expect(Token::RightParen)?;
        Ok(names)
    }

    /// `(name, ..)` or nothing.
    fn optional_names_in_parens(&mut self) -> Result<List<NameId>> {
        if self.at(Token::LeftParen) { self.names_in_parens() } else { Ok(List::EMPTY) }
    }

    /// `(column, ..)` or nothing: the columns of a view, a common table expression or a key. SQLite once took
    /// collations and orders here, and says so.
    fn column_names(&mut self) -> Result<List<NameId>> {
        if !self.eat(Token::LeftParen) {
            return Ok(List::EMPTY);
        }
        let names = self.names(|parser, name| {
            let collated = parser.eat(Token::Collate);
            if collated {
                parser.id_or_string()?;
            }
            if !collated && !matches!(parser.token, Token::Asc | Token::Desc) {
                return Ok(());
            }
            parser.descending();
            let message = format!("syntax error after column name \"{}\"", parser.ast.text(name));
            Err(parser.error_at(parser.ast[name].span, message))
        })?;
        self.expect(Token::RightParen)?;
        Ok(names)
    }

    /// `name, ..`, each with what `behind` reads behind it.
    fn names(&mut self, behind: impl Fn(&mut Self, NameId) -> Result<()>) -> Result<List<NameId>> {
        let start = self.ast.open_list::<NameId>();
        loop {
            let name = self.name()?;
            behind(self, name)?;
            self.ast.push(name);
            if !self.eat(Token::Comma) {
                return self.close_columns::<NameId>(start, "column list");
            }
        }
    }

    /// Closes a list that has at most [`MAX_COLUMNS`] members.
    fn close_columns<T>(&mut self, start: usize, of: &str) -> Result<List<T>>
    where
        Ast: super::ast::Pool<T>,
    {
        let list = self.ast.close_list::<T>(start);
        if list.len() > MAX_COLUMNS {
            let message = format!("too many columns in {of}: {}, the most is {MAX_COLUMNS}", list.len());
            return Err(Error::limit(message).at_offset(self.span.start as usize));
        }
        Ok(list)
    }
}
